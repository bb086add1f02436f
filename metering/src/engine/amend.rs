//! Events taken back, and corrected.

use super::Engine;
use crate::behind::{Behind, Taken};
use crate::command::{Amended, Command, CommandResult, out_of_step};
use crate::named::Named;
use crate::reach::{Reach, is_above, reported_by};
use crate::requests::{UsageEvent, VoidRequest};
use crate::shares;
use crate::standing::Standing;
use crate::void::Void;
use journal::{Charge, Identity, JournalEntry, Kind, Namespace};
use ledger::{AccountKey, Limit};
use prepare::caller::Caller;
use prepare::failures::journal_problem;
use prepare::preparer::Lateness;
use problem::{Code, Problem};
use rating::ids::ApiKeyId;
use rating::{Cents, Currency, TenantId};
use std::sync::Arc;

impl Engine {
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

    pub(crate) async fn amend(
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
                CommandResult::Amended(Err(problem)) if problem.code == Code::Overtaken => {}
                CommandResult::Amended(outcome) => return outcome,
                _ => return Err(out_of_step()),
            }
        }
        Err(kept_changing())
    }

    /// `identity`: in the root whose books it moves. `by`: who takes the event back; without a
    /// caller a report from above takes its place.
    pub(crate) async fn void_work(
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
            None if charged.body.charges.is_empty() => prepare::measure::no_meter(),
            None => {
                return Err(Problem::new(
                    Code::UnknownMeter,
                    "the event's meter no longer exists",
                ));
            }
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
    pub(crate) async fn terms_changed(&self, charges: &[Charge]) -> Result<bool, Problem> {
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
    pub(crate) async fn cover(
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
    pub(crate) async fn reported_below(
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
}

/// How often a void looks again when its event was rated meanwhile.
pub(crate) const LOOKS_MAX: usize = 8;

/// The event as its charges stand now, where that is not as it was recorded.
pub(crate) fn as_standing(
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

pub(crate) fn kept_changing() -> Problem {
    Problem::new(Code::Unavailable, "the event kept changing; try again")
}
