//! Usage that is reported, asked the price of, or tried again.

use super::Engine;
use crate::batch_executor::{self, BatchExecutor, Known};
use crate::charge;
use crate::command::{Command, CommandResult, out_of_step};
use crate::record::{self, event_of};
use crate::requests::{AgainSummary, EventAnswer, Outcome, Posted, Quote, UsageEvent};
use crate::retention_start::{BEFORE_RECORDS, RetentionStart};
use journal::{EntryQuery, Kind, Of, Seq, StateKeys};
use prepare::caller::Caller;
use prepare::failures::journal_problem;
use prepare::preparer::Lateness;
use problem::{Code, Problem};
use rating::TenantId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

impl Engine {
    /// Answers per event, in order; one bad event never costs the others. `Err`: nothing was posted
    /// and everything may be sent again.
    pub async fn ingest(
        &self,
        caller: &Caller,
        events: Vec<Result<UsageEvent, (String, Problem)>>,
    ) -> Result<Vec<EventAnswer>, Problem> {
        let mut preparer = self.preparer(caller, Lateness::Kept).await?.of_reports();
        let mut answers = Vec::with_capacity(events.len());
        let (mut work, mut places) = (
            Vec::with_capacity(events.len()),
            Vec::with_capacity(events.len()),
        );
        let (mut was_long, mut read_until) = (false, 0);
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            let index = answers.len();
            if index % PREPARED_AT_ONCE == PREPARED_AT_ONCE - 1 || std::mem::take(&mut was_long) {
                // A large batch must not keep a small one waiting.
                tokio::task::yield_now().await;
            }
            let (id, prepared) = match event {
                Ok(event) => (
                    event.id.clone(),
                    match preparer.at_hand(event) {
                        Ok(prepared) => prepared,
                        Err(event) => {
                            if index >= read_until {
                                read_until = index + READ_AHEAD;
                                self.read_ahead(caller, &event, events.as_slice()).await;
                            }
                            preparer.prepare_report(*event).await
                        }
                    },
                ),
                Err((id, problem)) => (id, Err(problem)),
            };
            let mut lacks = Vec::new();
            let outcome = match prepared {
                Ok(mut prepared) => {
                    was_long = prepared.was_long();
                    lacks = std::mem::take(&mut prepared.lacks);
                    places.push(answers.len());
                    work.push(Command::Usage(prepared));
                    Outcome::Unrated {
                        reason: String::new(),
                        duplicate: false,
                    }
                }
                Err(problem) if problem.code == Code::Unavailable => return Err(problem),
                Err(problem) => Outcome::Rejected(problem),
            };
            answers.push(EventAnswer {
                id,
                outcome,
                lacks,
                voided: false,
            });
        }
        let mut overruling = Vec::new();
        for (place, done) in places.into_iter().zip(self.submit(work).await?) {
            match done {
                CommandResult::Overrules(overrules) => overruling.push((place, overrules)),
                done => answers[place].outcome = done.event()?,
            }
        }
        for (place, outcome) in self.overrule_all(overruling).await {
            answers[place].outcome = outcome;
        }
        for answer in answers.iter_mut().filter(|answer| !answer.lacks.is_empty()) {
            if !matches!(
                answer.outcome,
                Outcome::Unrated { .. } | Outcome::PartlyRated { .. }
            ) {
                answer.lacks.clear();
            }
        }
        self.note_voided(&mut answers).await;
        Ok(answers)
    }

    /// Whose customer is not in memory has company, mostly.
    pub(crate) async fn read_ahead(
        &self,
        caller: &Caller,
        event: &UsageEvent,
        behind: &[Result<UsageEvent, (String, Problem)>],
    ) {
        let behind = behind.iter().take(READ_AHEAD - 1).flatten();
        let names = std::iter::once(event)
            .chain(behind)
            .map(|event| event.customer.as_str());
        // What cannot be read is told of each event by itself.
        let _ = self.directory.read_ahead(caller, names).await;
    }

    /// What the event would cost now: the same code as the charge, nothing written.
    pub async fn quote(&self, caller: &Caller, event: UsageEvent) -> Result<Quote, Problem> {
        let prepared = self
            .preparer(caller, Lateness::Kept)
            .await?
            .prepare(event)
            .await?;
        self.check_customer(caller, &prepared).await?;
        if let Some(problem) = prepared.unpriced(caller) {
            return Err(problem);
        }
        let mut keys = StateKeys::default();
        let work = Command::Usage(prepared);
        work.keys(&mut keys);
        let state = self.journal.load(&keys).await.map_err(journal_problem)?;
        let Command::Usage(prepared) = work else {
            return Err(out_of_step());
        };
        let turn = BatchExecutor::new(self.now(), keys, state, Known::default(), HashMap::new());
        let plan = prepared
            .priced
            .as_ref()
            .map_err(prepare::measured::UnratedReason::problem)?;
        plan.check_whole()?;
        let customer = prepared.customer.as_deref().ok_or_else(out_of_step)?;
        let charges = charge::price(&prepared, customer, plan, &turn.states)
            .map_err(|kept| kept.problem())?;
        let body = journal::EntryPayload {
            currency: Some(plan.currency),
            charges,
            ..record::event_body(&prepared)
        };
        let record = record::record_of(prepared, Kind::Rated, body);
        let posted = turn.posted_of(&record).map_err(batch_executor::refused)?;
        let balance = posted
            .balance
            .checked_sub(posted.debit)
            .map_err(|overflow| Problem::new(Code::Overflow, overflow.to_string()))?;
        Ok(Quote {
            posted: Posted { balance, ..posted },
            record,
        })
    }

    /// Tries the kept events of a root (`None`: of every one) again, late ones too: somebody asked
    /// for it.
    pub async fn rate_again(
        &self,
        caller: &Caller,
        root: Option<TenantId>,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<AgainSummary, Problem> {
        let limit = limit.clamp(1, AGAIN_EVENTS_MAX);
        let query = EntryQuery {
            of: root.map_or(Of::EveryUnrated, Of::Unrated),
            after,
            newest_first: false,
            limit,
        };
        let kept = self.journal.read(&query).await.map_err(journal_problem)?;
        let next = (kept.len() == limit)
            .then(|| kept.last().map(|record| record.seq))
            .flatten();
        let (mut work, mut unrated) = (Vec::new(), BTreeMap::<String, u64>::new());
        let mut seen = HashMap::new();
        let mut retention_start = RetentionStart::of(&*self.journal);
        for record in kept {
            if !self.sees_once(caller, record.tenant, &mut seen).await? {
                continue;
            }
            // As its sender: whoever asks, the customer is looked for where the sender could have
            // meant it.
            let sender = Caller {
                tenant: record.tenant,
                root: record.identity.root,
                ..*caller
            };
            match self
                .preparer_of(&sender, record.identity.reporter, Lateness::Accepted)
                .prepare(event_of(&record))
                .await
            {
                Ok(prepared) if retention_start.may_hide(&record, prepared.root).await? => {
                    *unrated.entry(BEFORE_RECORDS.to_owned()).or_default() += 1
                }
                Ok(prepared) => work.push(Command::RateUnrated {
                    kept: Arc::new(record),
                    prepared,
                }),
                Err(problem) => *unrated.entry(problem.code.to_string()).or_default() += 1,
            }
        }
        let mut summary = AgainSummary {
            next,
            ..AgainSummary::default()
        };
        for done in self.submit(work).await? {
            let outcome = match done {
                CommandResult::Overrules(overrules) => self
                    .overrule(*overrules)
                    .await
                    .unwrap_or_else(Outcome::Rejected),
                done => done.event()?,
            };
            match outcome {
                Outcome::Rated(_) | Outcome::Duplicate(_) => summary.rated += 1,
                Outcome::PartlyRated { open, .. } => {
                    summary.partly_rated += 1;
                    let reason = open
                        .first()
                        .map(|open| open.reason.to_string())
                        .unwrap_or_default();
                    *unrated.entry(reason).or_default() += 1;
                }
                Outcome::Unrated { reason, .. } => *unrated.entry(reason).or_default() += 1,
                Outcome::Rejected(problem) => {
                    *unrated.entry(problem.code.to_string()).or_default() += 1
                }
            }
        }
        summary.unrated = unrated.into_iter().collect();
        Ok(summary)
    }

    pub(crate) async fn sees_once(
        &self,
        caller: &Caller,
        tenant: TenantId,
        seen: &mut HashMap<TenantId, bool>,
    ) -> Result<bool, Problem> {
        if let Some(&sees) = seen.get(&tenant) {
            return Ok(sees);
        }
        let sees = self.directory.sees(caller, tenant).await?;
        seen.insert(tenant, sees);
        Ok(sees)
    }
}

/// Kept events tried by one request.
pub const AGAIN_EVENTS_MAX: usize = 10_000;
/// Events of one batch prepared before others get a turn.
pub(crate) const PREPARED_AT_ONCE: usize = 250;
/// Events of one batch whose customers are read together.
pub(crate) const READ_AHEAD: usize = 1_000;
