//! The engine as everybody uses it: HTTP, command line, tests. Prepares in the caller's task, hands
//! over to the one committer, waits until the answer is durable.

mod overruling;

use crate::balance_monitor::BalanceMonitor;
use crate::batch_executor::{self, BatchExecutor, Known};
use crate::behind::{Behind, LongVoids, Taken};
use crate::command::{Amended, Command, CommandResult, HoldCommand, Named};
use crate::committer::{self, Clock, Queue, Started};
use crate::directory::{Customer, Directory};
use crate::execution::SWEEP_HOLDS_MAX;
use crate::hold_name::{hold_id, may_end};
use crate::prepare::{Lateness, RatedEvent, UsagePreparer};
use crate::reach::{Reach, is_above, reported_by};
use crate::requests::{
    AgainSummary, Caller, Covered, EventAnswer, HoldAnswer, MoneyAnswer, MoveMoney, Outcome,
    PaymentPosted, PlaceHold, PostPayment, Posted, Problem, Quote, SellerCover, UsageEvent,
    VoidRequest,
};
use crate::retention_start::{BEFORE_RECORDS, RetentionStart};
use crate::standing::Standing;
use crate::void::Void;
use crate::watch::{Outcomes, Waiting, Watch};
use crate::{amend, charge, failures, holds, shares};
use compact_str::{ToCompactString, format_compact};
use journal::{
    Charge, EntryQuery, Identity, Journal, JournalEntry, JournalError, Kind, Namespace, Of,
    Reporter, Seq, StateKeys,
};
use ledger::{AccountKey, Balance, Hold, Limit};
use rating::{
    Cents, Currency, Instant, Quantity, TenantId,
    ids::{ApiKeyId, HoldId},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Kept events tried by one request.
pub const AGAIN_EVENTS_MAX: usize = 10_000;
/// Events of one batch prepared before others get a turn.
const PREPARED_AT_ONCE: usize = 250;
/// Events of one batch whose customers are read together.
const READ_AHEAD: usize = 1_000;
/// How often a void looks again when its event was rated meanwhile.
const LOOKS_MAX: usize = 8;

/// Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    directory: Directory,
    journal: Arc<dyn Journal>,
    clock: Clock,
    balance_monitor: BalanceMonitor,
    queue: Arc<Mutex<Option<Queue>>>,
    worker: Arc<tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>>,
    watch: Watch,
    outcomes: Outcomes,
    gate: Gate,
    long_voids: Arc<LongVoids>,
}

/// Whether money may be written now; asked once for each submission.
pub type Gate = Arc<dyn Fn() -> Result<(), Problem> + Send + Sync>;

/// Commands were still under way when the time to finish them was over.
#[derive(Debug, thiserror::Error)]
#[error("after {} s these had not finished: {}", .within.as_secs(), .waiting.iter().map(Waiting::place).collect::<Vec<_>>().join(", "))]
pub struct NotDrained {
    pub within: Duration,
    pub waiting: Vec<Waiting>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// Starts the committer on the present runtime.
    pub fn start(journal: Arc<dyn Journal>, directory: Directory, clock: Clock) -> Self {
        let balance_monitor = BalanceMonitor::default();
        let Started {
            queue,
            worker,
            watch,
            outcomes,
        } = committer::start(
            Arc::clone(&journal),
            Arc::clone(&clock),
            balance_monitor.clone(),
        );
        let (queue, worker) = (
            Arc::new(Mutex::new(Some(queue))),
            Arc::new(tokio::sync::Mutex::new(Some(worker))),
        );
        Self {
            directory,
            journal,
            clock,
            balance_monitor,
            queue,
            worker,
            watch,
            outcomes,
            gate: Arc::new(|| Ok(())),
            long_voids: Arc::default(),
        }
    }

    /// The same engine behind a gate.
    #[must_use]
    pub fn guarded(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// # Errors
    /// Why no money may be written now.
    pub fn may_write(&self) -> Result<(), Problem> {
        (self.gate)()
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }
    /// Where to hear of what durable batches changed.
    pub fn balance_monitor(&self) -> &BalanceMonitor {
        &self.balance_monitor
    }
    pub fn now(&self) -> Instant {
        (self.clock)()
    }
    /// After every cold write.
    pub fn invalidate(&self) {
        self.directory.invalidate();
    }

    /// Whether commands are taken.
    pub fn is_running(&self) -> bool {
        self.queue
            .lock()
            .is_ok_and(|queue| queue.as_ref().is_some_and(Queue::is_open))
    }

    /// How it stands at every queue and lane; `now` on a clock that only goes forward. To be asked
    /// about once a second.
    pub fn waiting(&self, now: Duration) -> Vec<Waiting> {
        self.watch.look(now)
    }

    /// Why batches do not become durable, if several in a row failed of late; `now` as of
    /// [`Self::waiting`].
    pub fn failing(&self, now: Duration) -> Option<String> {
        self.outcomes.failing(now)
    }

    /// Finishes what is waiting; everything later is refused.
    ///
    /// # Errors
    /// It was not finished in time. What waits still goes on as long as the process does, and may
    /// be durable or not: whoever sent it hears nothing, and sends it again.
    pub async fn drain(&self, within: Duration) -> Result<(), NotDrained> {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        let Some(mut worker) = self.worker.lock().await.take() else {
            return Ok(());
        };
        match tokio::time::timeout(within, &mut worker).await {
            Ok(_stopped) => Ok(()),
            Err(_) => {
                let waits = |waiting: &Waiting| waiting.count > 0;
                Err(NotDrained {
                    within,
                    waiting: self
                        .waiting(Duration::ZERO)
                        .into_iter()
                        .filter(waits)
                        .collect(),
                })
            }
        }
    }

    pub(crate) async fn submit(&self, work: Vec<Command>) -> Result<Vec<CommandResult>, Problem> {
        self.may_write()?;
        let queue = self.queue.lock().ok().and_then(|queue| queue.clone());
        queue
            .ok_or_else(|| Problem::new("unavailable", "the engine is shutting down"))?
            .submit(work)
            .await
    }

    async fn submit_one(&self, work: Command) -> Result<CommandResult, Problem> {
        self.submit(vec![work]).await?.pop().ok_or_else(out_of_step)
    }

    async fn preparer<'a>(
        &'a self,
        caller: &'a Caller,
        late: Lateness,
    ) -> Result<UsagePreparer<'a>, Problem> {
        let reporter = self.directory.reporter(caller).await?;
        Ok(self.preparer_of(caller, reporter, late))
    }

    pub(crate) fn preparer_of<'a>(
        &'a self,
        caller: &'a Caller,
        reporter: Reporter,
        late: Lateness,
    ) -> UsagePreparer<'a> {
        UsagePreparer::new(
            &self.directory,
            &*self.journal,
            (caller, reporter),
            self.now(),
            late,
        )
    }

    // ---- usage ----

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
                Err(problem) if problem.code == "unavailable" => return Err(problem),
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
    async fn read_ahead(
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
            .map_err(crate::prepare::UnratedReason::problem)?;
        plan.check_whole()?;
        let customer = prepared.customer.as_deref().ok_or_else(out_of_step)?;
        let charges = charge::price(&prepared, customer, plan, &turn.states)
            .map_err(|kept| kept.problem())?;
        let body = journal::EntryPayload {
            currency: Some(plan.currency),
            charges,
            ..batch_executor::event_body(&prepared)
        };
        let record = batch_executor::record_of(prepared, Kind::Rated, body);
        let posted = turn.posted_of(&record).map_err(batch_executor::refused)?;
        let balance = posted
            .balance
            .checked_sub(posted.debit)
            .map_err(|overflow| Problem::new("overflow", overflow.to_string()))?;
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
                Err(problem) => *unrated.entry(problem.code.to_owned()).or_default() += 1,
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
                    *unrated.entry(problem.code.to_owned()).or_default() += 1
                }
            }
        }
        summary.unrated = unrated.into_iter().collect();
        Ok(summary)
    }

    async fn sees_once(
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

    // ---- void, correct ----

    pub async fn void(&self, caller: &Caller, request: &VoidRequest) -> Result<Amended, Problem> {
        self.amend(caller, request, None).await
    }

    /// A void and a new event in one step. The new event's id must be its own.
    pub async fn correct(
        &self,
        caller: &Caller,
        request: &VoidRequest,
        event: UsageEvent,
    ) -> Result<Amended, Problem> {
        self.amend(caller, request, Some(event)).await
    }

    async fn amend(
        &self,
        caller: &Caller,
        request: &VoidRequest,
        event: Option<UsageEvent>,
    ) -> Result<Amended, Problem> {
        let reporter = self.directory.reporter(caller).await?;
        for _ in 0..LOOKS_MAX {
            let found = self
                .locate(
                    caller,
                    &request.source,
                    &request.id,
                    request.customer.as_deref(),
                )
                .await?;
            // However it is named, an event that was rated later is voided once: at the record that
            // was kept.
            let original = match (found.kind, found.body.refers_to) {
                (Kind::RatedLater, Some(kept)) => self.record(kept).await?,
                _ => found,
            };
            let (source, key) = (request.source.as_str(), request.key.as_str());
            let identity = |root| Identity {
                root,
                reporter,
                namespace: Namespace::Amend,
                source: source.into(),
                id: key.to_owned(),
            };
            let by = (caller.tenant, caller.key, Some(caller));
            let (mut void, reach) = self
                .void_work(by, original, identity, &request.reason)
                .await?;
            void.cover = void.cover.map(|(limit, _)| (limit, request.cover));
            let void = Box::new(void);
            let work = match &event {
                None => Command::Void(void),
                Some(event) => {
                    let event = self
                        .preparer(caller, Lateness::Accepted)
                        .await?
                        .of_reports()
                        .prepare(event.clone())
                        .await?;
                    Command::Correct {
                        event: reach.limit(event, &void)?,
                        void,
                    }
                }
            };
            match self.submit_one(work).await? {
                CommandResult::Amended(Err(problem)) if problem.code == amend::OVERTAKEN => {}
                CommandResult::Amended(outcome) => return outcome,
                _ => return Err(out_of_step()),
            }
        }
        Err(kept_changing())
    }

    /// `identity`: in the root whose books it moves. `by`: who takes the event back; without a
    /// caller a report from above takes its place.
    async fn void_work(
        &self,
        (author, key, by): (TenantId, Option<ApiKeyId>, Option<&Caller>),
        original: Arc<JournalEntry>,
        identity: impl FnOnce(TenantId) -> Identity,
        reason: &str,
    ) -> Result<(Void, Reach), Problem> {
        let steps = self.steps(&original).await?;
        let standing = Standing::after(steps.iter().map(AsRef::as_ref));
        let customer = standing.rated.map_or(original.tenant, |by| by.customer);
        let path = self.directory.path(customer).await?.unwrap_or_default();
        let reach = match by {
            Some(caller) => Reach::of(
                caller.tenant,
                &path,
                self.reported_below(caller, &original, &path).await?,
            ),
            None => Reach::whole(&path),
        };
        let root = steps
            .last()
            .map_or(original.identity.root, |last| last.identity.root);
        let last = (steps.len() > 1)
            .then(|| steps.last().map(|last| last.seq))
            .flatten();
        let open = reach.open_above(&original, &standing);
        let (back, above): (Vec<Charge>, Vec<Charge>) = standing
            .charges
            .iter()
            .cloned()
            .partition(|charge| reach.covers(charge.link.buyer));
        let closes = match &standing.open {
            Some(open) => open.iter().any(|open| reach.covers(open.buyer)),
            None => !reach.is_nothing(),
        };
        let (reaches, listed) = (!back.is_empty() || closes, standing.is_open());
        let charged = as_standing(&original, &steps, &standing, back);
        let mut cards = Vec::with_capacity(charged.body.charges.len());
        for charge in &charged.body.charges {
            cards.push(match charge.pricing.version() {
                Some(version) => Some(self.directory.version(version).await?),
                None => None,
            });
        }
        let places = standing.places.clone();
        let meter = match self.directory.meter(&charged.body.meter).await? {
            Some(meter) => meter,
            // It was kept without one.
            None if charged.body.charges.is_empty() => crate::prepare::no_meter(),
            None => return Err(Problem::new("unknown_meter", "the event's meter is gone")),
        };
        let side = if path.first() == Some(&author) {
            author
        } else {
            root
        };
        let taken = Taken {
            root,
            charged: &charged,
            cards: &cards,
            places: &places,
            meter: &meter,
        };
        let Behind {
            whole,
            versions,
            turn,
        } = Behind::of(
            &*self.journal,
            &self.directory,
            (&self.long_voids, side),
            taken,
        )
        .await?;
        let is_followed =
            shares::is_followed(charged.body.charges.iter().zip(&cards), &above, &meter);
        let terms_changed = self.terms_changed(&charged.body.charges).await?;
        let personal_key = self.directory.personal_key(charged.tenant).await?;
        let identity = identity(root);
        let before = identity.reporter.is_some().then(|| {
            Named::new(
                Identity {
                    reporter: None,
                    ..identity.clone()
                },
                &*self.journal,
            )
        });
        let charged_in = charged.body.currency;
        // The links above an event in place of another stand, whoever reported it.
        let top = charged.body.charges.last().map(|charge| charge.link.seller);
        let in_place = reach.by_report().filter(|_| original.corrects().is_some());
        let payer = reach.pays_itself().or(in_place.and(top));
        let void = Void {
            named: Named::new(identity, &*self.journal),
            named_before: before,
            key,
            path: path.iter().copied().collect(),
            others: Vec::new(),
            original,
            charged,
            last,
            open,
            reaches,
            listed,
            voided: standing.voided,
            by_report: reach.by_report(),
            personal_key,
            meter,
            cards,
            places,
            whole,
            versions,
            given_back: standing.given_back(),
            cover: self
                .cover(payer, charged_in)
                .await?
                .map(|limit| (limit, None)),
            is_overruled: by.is_none(),
            turn,
            terms_changed,
            is_followed,
            reason: reason.to_owned(),
            received_at: self.now(),
        };
        Ok((void, reach))
    }

    /// Whether a link of a commission has other terms since a month of these charges began.
    async fn terms_changed(&self, charges: &[Charge]) -> Result<bool, Problem> {
        let Some(month) = charges
            .iter()
            .filter_map(|charge| charge.counter)
            .map(|id| id.month)
            .min()
        else {
            return Ok(false);
        };
        for charge in charges.iter().filter(|charge| charge.by(0).is_none()) {
            if shares::is_changed_since(
                self.directory
                    .agreements_of(charge.link.buyer)
                    .await?
                    .iter(),
                month,
            ) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a seller gives back of its own, it pays like anything else it buys: within the credit
    /// that it was given.
    async fn cover(
        &self,
        payer: Option<TenantId>,
        currency: Option<Currency>,
    ) -> Result<Option<Limit>, Problem> {
        let (Some(author), Some(currency)) = (payer, currency) else {
            return Ok(None);
        };
        let (agreements, now) = (self.directory.agreements_of(author).await?, self.now());
        let own = agreements
            .iter()
            .find(|terms| terms.in_force(now) && terms.currency == currency);
        let credit_limit = own.map_or(Some(Cents::ZERO), |terms| terms.credit_limit);
        Ok(Some(Limit {
            account: AccountKey::balance(author, currency),
            credit_limit,
            refuse: true,
        }))
    }

    /// Whether the caller's own subtree reported an event, and nobody above it did.
    async fn reported_below(
        &self,
        caller: &Caller,
        event: &JournalEntry,
        path: &[TenantId],
    ) -> Result<bool, Problem> {
        let reporter = reported_by(event, path);
        if reporter != caller.tenant && !self.directory.sees(caller, reporter).await? {
            return Ok(false);
        }
        // Somebody above may have reported the same since.
        let root = event.identity.root;
        let reporters = self
            .journal
            .reporters(&[root], Namespace::Usage)
            .await
            .map_err(journal_problem)?;
        let above = reporters
            .into_iter()
            .map(|(_, reporter)| reporter)
            .filter(|reporter| is_above(path, caller.tenant, *reporter));
        let names: Vec<Identity> = above
            .map(|reporter| Identity {
                reporter,
                ..event.identity.clone()
            })
            .collect();
        let found = self
            .journal
            .find_each(&names)
            .await
            .map_err(journal_problem)?;
        let confirms = |record: &Arc<JournalEntry>| {
            record.kind == Kind::Confirmed && record.body.refers_to == Some(event.seq)
        };
        Ok(!found.iter().flatten().any(confirms))
    }

    /// An event's own record and what was done to it later, oldest first.
    pub async fn steps(
        &self,
        original: &Arc<JournalEntry>,
    ) -> Result<Vec<Arc<JournalEntry>>, Problem> {
        let keys = StateKeys {
            amendments: vec![original.seq],
            ..StateKeys::default()
        };
        let state = self.journal.load(&keys).await.map_err(journal_problem)?;
        let mut steps = vec![Arc::clone(original)];
        let mut next = state
            .amendments
            .get(&original.seq)
            .map(|amendment| amendment.by);
        while let Some(seq) = next {
            let step = self.record(seq).await?;
            next = step.previous();
            steps.insert(1, step);
        }
        Ok(steps)
    }

    /// The record at a position.
    pub async fn record(&self, seq: Seq) -> Result<Arc<JournalEntry>, Problem> {
        let query = EntryQuery {
            of: Of::Seqs(vec![seq]),
            after: None,
            newest_first: false,
            limit: 1,
        };
        let found = self
            .journal
            .read(&query)
            .await
            .map_err(journal_problem)?
            .pop();
        found
            .map(Arc::new)
            .ok_or_else(|| Problem::new("not_found", "there is no such record"))
    }

    /// What must be priced at once needs one customer: none, or several of that name, are refused.
    async fn check_customer(&self, caller: &Caller, prepared: &RatedEvent) -> Result<(), Problem> {
        match prepared.customer {
            Some(_) => Ok(()),
            None => self
                .customer(caller, &prepared.event.customer)
                .await
                .map(drop),
        }
    }

    pub async fn customer(&self, caller: &Caller, name: &str) -> Result<Arc<Customer>, Problem> {
        let found = self.directory.customer(caller, name).await?;
        found.ok_or_else(|| Problem::field("not_found", "customer", "there is no such customer"))
    }

    // ---- holds ----

    /// Commission that is withheld counts as money here: see [`Self::place_covered_hold`].
    pub async fn place_hold(
        &self,
        caller: &Caller,
        request: PlaceHold,
    ) -> Result<HoldAnswer, Problem> {
        let work = self.new_hold(caller, request).await?;
        self.submit_one(Command::PlaceHold(Box::new(work)))
            .await?
            .hold()
    }

    /// A seller's own account is debited only where its cover is known, and not beyond that.
    pub async fn place_covered_hold(
        &self,
        caller: &Caller,
        request: PlaceHold,
        covers: &[SellerCover],
    ) -> Result<Covered, Problem> {
        let work = HoldCommand {
            covers: Some(covers.to_vec()),
            ..self.new_hold(caller, request).await?
        };
        Ok(self
            .submit_one(Command::PlaceHold(Box::new(work)))
            .await?
            .hold()?
            .covered())
    }

    async fn new_hold(&self, caller: &Caller, request: PlaceHold) -> Result<HoldCommand, Problem> {
        let mut usage = request.usage;
        if usage.id.is_empty() {
            usage.id.clone_from(&request.key);
        }
        let work = self
            .hold_work(caller, usage, request.ttl_secs, request.as_much_as_possible)
            .await?;
        Ok(if request.begins_now {
            HoldCommand {
                prepared: work.prepared.said_without_at(),
                ..work
            }
        } else {
            work
        })
    }

    async fn hold_work(
        &self,
        caller: &Caller,
        usage: UsageEvent,
        ttl_secs: Option<u32>,
        as_much_as_possible: bool,
    ) -> Result<HoldCommand, Problem> {
        let prepared = self
            .preparer(caller, Lateness::Kept)
            .await?
            .prepare(usage)
            .await?;
        self.check_customer(caller, &prepared).await?;
        let ttl_secs = holds::ttl_secs(ttl_secs, &prepared)?;
        let id = hold_id(
            prepared.root,
            prepared.reporter,
            &prepared.event.source,
            &prepared.event.id,
        );
        let prepared = prepared.in_namespace(Namespace::Hold, &*self.journal);
        Ok(HoldCommand {
            id,
            prepared,
            ttl_secs,
            as_much_as_possible,
            covers: None,
        })
    }

    /// As [`Self::extend_covered_hold`], and commission that is withheld counts as money.
    pub async fn extend_hold(
        &self,
        caller: &Caller,
        name: &str,
        key: &str,
        quantity: Option<Quantity>,
        ttl_secs: Option<u32>,
    ) -> Result<HoldAnswer, Problem> {
        self.extend(caller, (name, key), quantity, ttl_secs, None)
            .await
    }

    /// `quantity`: the new total; absent: the hold's own. Covers are as in
    /// [`Self::place_covered_hold`].
    pub async fn extend_covered_hold(
        &self,
        caller: &Caller,
        (name, key): (&str, &str),
        quantity: Option<Quantity>,
        ttl_secs: Option<u32>,
        covers: &[SellerCover],
    ) -> Result<Covered, Problem> {
        Ok(self
            .extend(
                caller,
                (name, key),
                quantity,
                ttl_secs,
                Some(covers.to_vec()),
            )
            .await?
            .covered())
    }

    async fn extend(
        &self,
        caller: &Caller,
        (name, key): (&str, &str),
        quantity: Option<Quantity>,
        ttl_secs: Option<u32>,
        covers: Option<Vec<SellerCover>>,
    ) -> Result<HoldAnswer, Problem> {
        let hold = self.hold_to_change(caller, name).await?;
        let placed = self.placed(&hold).await?;
        let mut usage = event_of(&placed);
        usage.quantity = quantity.unwrap_or(hold.quantity);
        if usage.quantity.is_negative() {
            return Err(Problem::field(
                "negative_quantity",
                "quantity",
                "expected 0 or more",
            ));
        }
        usage.customer = placed.tenant.to_compact_string();
        let work = HoldCommand {
            covers,
            ..self.hold_work(caller, usage, ttl_secs, false).await?
        };
        let identity = step_identity(&hold, self.directory.reporter(caller).await?, "extend", key);
        self.submit_one(Command::ExtendHold {
            hold: hold.id,
            named: Named::new(identity, &*self.journal),
            work: Box::new(work),
        })
        .await?
        .hold()
    }

    pub async fn release_hold(
        &self,
        caller: &Caller,
        name: &str,
        key: &str,
    ) -> Result<HoldAnswer, Problem> {
        let hold = self.hold_to_change(caller, name).await?;
        let currency = match hold.amounts.first() {
            Some((account, _)) => account.currency,
            // Nothing was set aside: only the record says in which currency.
            None => self
                .placed(&hold)
                .await?
                .body
                .currency
                .ok_or_else(out_of_step)?,
        };
        let identity = step_identity(
            &hold,
            self.directory.reporter(caller).await?,
            "release",
            key,
        );
        self.submit_one(Command::ReleaseHold {
            hold: hold.id,
            named: Named::new(identity, &*self.journal),
            currency,
        })
        .await?
        .hold()
    }

    /// A hold that the caller placed, or somebody it sells to: what a seller above set aside is not
    /// for those below to end.
    async fn hold_to_change(&self, caller: &Caller, name: &str) -> Result<Hold, Problem> {
        let hold = self.hold_named(caller, name).await?;
        let path = self
            .directory
            .path(hold.customer)
            .await?
            .unwrap_or_default();
        if may_end(&path, self.directory.reporter(caller).await?, &hold) {
            return Ok(hold);
        }
        Err(Problem::new(
            "placed_above",
            "a seller above placed this hold: only it, or a seller above that, may change it",
        ))
    }

    pub async fn hold(&self, id: HoldId) -> Result<Option<Hold>, Problem> {
        let keys = StateKeys {
            holds: vec![id],
            ..StateKeys::default()
        };
        Ok(self
            .journal
            .load(&keys)
            .await
            .map_err(journal_problem)?
            .holds
            .remove(&id))
    }

    // ---- money, balances ----

    pub async fn move_money(&self, command: MoveMoney) -> Result<MoneyAnswer, Problem> {
        let source = command.account.tenant.to_string();
        let identity = Identity {
            root: command.root,
            reporter: None,
            namespace: Namespace::Money,
            source: source.into(),
            id: command.key.clone(),
        };
        match self
            .submit_one(Command::Money {
                named: Named::new(identity, &*self.journal),
                command: Box::new(command),
                received_at: self.now(),
            })
            .await?
        {
            CommandResult::Money(answer) => answer,
            _ => Err(out_of_step()),
        }
    }

    /// A step of a payment or payout, posted once under its name.
    pub async fn post_payment(&self, command: PostPayment) -> Result<PaymentPosted, Problem> {
        let identity = Identity {
            root: command.root,
            reporter: None,
            namespace: Namespace::Payment,
            source: command.source.clone(),
            id: command.key.clone(),
        };
        let work = Command::Payment {
            named: Named::new(identity, &*self.journal),
            command: Box::new(command),
            received_at: self.now(),
        };
        match self.submit_one(work).await? {
            CommandResult::Payment(answer) => answer,
            _ => Err(out_of_step()),
        }
    }

    /// The balance now: what holds that are over still set aside is already out of `held`.
    pub async fn balance(&self, account: AccountKey) -> Result<Balance, Problem> {
        let keys = StateKeys {
            accounts: vec![account],
            ..StateKeys::default()
        };
        let state = self.journal.load(&keys).await.map_err(journal_problem)?;
        let mut balance = state.accounts.get(&account).copied().unwrap_or_default();
        if balance.held > Cents::ZERO {
            let over = self
                .journal
                .expired_holds(self.now(), usize::MAX)
                .await
                .map_err(journal_problem)?;
            for hold in over {
                balance.held = Cents(balance.held.0.saturating_sub(hold.amount(account).0));
            }
        }
        Ok(balance)
    }

    /// Posted balances and what is held, of many accounts at once; each is zero that was never
    /// posted to.
    pub async fn balances(
        &self,
        accounts: &[AccountKey],
    ) -> Result<Vec<(AccountKey, Balance)>, Problem> {
        let keys = StateKeys {
            accounts: accounts.to_vec(),
            ..StateKeys::default()
        };
        let state = self.journal.load(&keys).await.map_err(journal_problem)?;
        Ok(accounts
            .iter()
            .map(|account| {
                (
                    *account,
                    state.accounts.get(account).copied().unwrap_or_default(),
                )
            })
            .collect())
    }

    /// Wakes the committer, so that holds that are over are recorded as such without other traffic.
    pub async fn sweep_holds(&self) -> Result<(), Problem> {
        if self.may_write().is_err() {
            return Ok(());
        }
        let over = self
            .journal
            .expired_holds(self.now(), SWEEP_HOLDS_MAX)
            .await
            .map_err(journal_problem)?;
        let roots: BTreeSet<TenantId> = over.iter().map(|hold| hold.root).collect();
        self.submit(
            roots
                .into_iter()
                .map(|root| Command::Sweep { root })
                .collect(),
        )
        .await
        .map(drop)
    }
}

impl CommandResult {
    fn event(self) -> Result<Outcome, Problem> {
        match self {
            Self::Event(outcome) => Ok(outcome),
            _ => Err(out_of_step()),
        }
    }
    fn hold(self) -> Result<HoldAnswer, Problem> {
        match self {
            Self::Hold(answer) => answer,
            _ => Err(out_of_step()),
        }
    }
}

/// A kept or held usage as it was reported.
pub fn event_of(record: &JournalEntry) -> UsageEvent {
    let personal = record.personal.clone().unwrap_or_default();
    UsageEvent {
        id: record.identity.id.clone(),
        source: record.identity.source.clone(),
        customer: personal
            .customer_hint
            .unwrap_or_else(|| record.tenant.to_compact_string()),
        meter: record.body.meter.clone(),
        quantity: record.body.quantity,
        amount: record
            .body
            .amount
            .as_deref()
            .and_then(|amount| amount.parse().ok()),
        at: record.at,
        destination: personal.destination,
        origin: personal.origin,
        attributes: personal.attributes,
        hold: None,
        raw: personal.raw,
    }
}

/// The event as its charges stand now, where that is not as it was recorded.
fn as_standing(
    original: &Arc<JournalEntry>,
    steps: &[Arc<JournalEntry>],
    standing: &Standing,
    charges: Vec<Charge>,
) -> Arc<JournalEntry> {
    if steps.len() == 1 && original.body.charges.len() == charges.len() {
        return Arc::clone(original);
    }
    let rated = standing
        .rated
        .and_then(|by| steps.iter().find(|step| step.seq == by.seq));
    let mut record = JournalEntry::clone(rated.unwrap_or(original));
    record.body.charges = charges;
    Arc::new(record)
}

fn step_identity(hold: &Hold, reporter: Reporter, step: &str, key: &str) -> Identity {
    let source = format_compact!("{}:{}:{step}", hold.source, hold.key);
    Identity {
        root: hold.root,
        reporter,
        namespace: Namespace::HoldStep,
        source,
        id: key.to_owned(),
    }
}

fn kept_changing() -> Problem {
    Problem::new("unavailable", "the event kept changing; try again")
}

/// The committer answered something else than was asked: a fault of ours.
pub(crate) fn out_of_step() -> Problem {
    Problem::new("internal", "the engine's answer does not fit the command")
}

pub fn journal_problem(error: JournalError) -> Problem {
    tracing::error!(%error, "the journal failed");
    failures::count();
    Problem::new(
        "unavailable",
        "the database did not answer; nothing was changed, try again",
    )
}
