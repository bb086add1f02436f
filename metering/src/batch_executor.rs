//! The turn of each command of a batch, in order, on the states the batch loaded. Pure: no await,
//! no clock; what it leaves behind is one [`Batch`].
//!
//! Invariants: whatever is validated is validated before the first change; a command that is
//! refused leaves nothing behind; the same identity twice in one batch is the same case as twice in
//! two.

use crate::charge::{self, Charges, Priced};
use crate::command::{Amended, Command, CommandResult};
use crate::directory::Customer;
use crate::distinct_value;
use crate::hold_name::may_end;
use crate::overrule::Beside;
use crate::prepare::{Plan, RatedEvent, UnratedReason};
use crate::requests::{Outcome, Posted, Problem};
use crate::standing::{BELOW_UNKNOWN, Open, RatedBy, Standing};
use crate::states::States;
use journal::{
    Amendment, Batch, Charge, EntryPayload, JournalEntry, Keyed, Kind, Namespace, OpenLink, Place,
    Seq, State, StateKeys, Steps, Trail,
};
use ledger::{Books, Event, Limit, LinkCharge, Refusal};
use rating::fast::FastMap;
use rating::{Cents, Currency, Instant, TenantId, ids::HoldId};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// One batch under way.
#[derive(Debug)]
pub struct BatchExecutor {
    pub now: Instant,
    pub books: Books,
    pub states: States,
    /// What the journal knows already, by key.
    known: Known,
    /// Records that others are about: those that priced kept events later, those that were
    /// confirmed. By their seq.
    later: HashMap<Seq, Arc<JournalEntry>>,
    batch: Batch,
    /// This batch's own records, by key.
    fresh: Fresh,
    /// Names of events that take their turns in a later batch: what comes under these names comes
    /// after them.
    put_off: Vec<u64>,
    /// Records that a seller loses money with, by index.
    pub below_cost: Vec<u32>,
}

/// Records by the keys of their names; the names are compared too.
pub type Known = FastMap<u64, SmallVec<[Arc<JournalEntry>; 1]>>;
pub type Fresh = FastMap<u64, SmallVec<[u32; 2]>>;

/// The batch before a command that may have to be taken back.
#[derive(Debug)]
pub struct Saved {
    books: Books,
    states: States,
    batch: Batch,
    fresh: Fresh,
    below_cost: Vec<u32>,
}

/// Where a record stands: in the journal, or in this batch.
#[derive(Debug, Clone)]
pub enum Earlier {
    Stored(Arc<JournalEntry>),
    Fresh(usize),
}

impl BatchExecutor {
    pub fn new(
        now: Instant,
        keys: StateKeys,
        state: State,
        known: Known,
        later: HashMap<Seq, Arc<JournalEntry>>,
    ) -> Self {
        let (states, accounts) = States::new(state);
        let books = Books::load(keys.accounts, &accounts);
        let batch = Batch {
            committed_at: now,
            ..Batch::default()
        };
        Self {
            now,
            books,
            states,
            known,
            later,
            batch,
            fresh: Fresh::default(),
            put_off: Vec::new(),
            below_cost: Vec::new(),
        }
    }

    /// Room for this many records.
    pub fn reserve(&mut self, records: usize) {
        self.batch.records.reserve(records);
        self.fresh.reserve(records);
    }

    /// What is left behind, and the keys of what it records.
    pub fn into_batch(self) -> (Batch, Fresh) {
        let mut batch = self.batch;
        batch.state = State {
            accounts: self.books.into_changed(),
            carries: self.states.carries.into_changed(),
            counters: self.states.counters.into_changed(),
            distinct_values: self.states.distinct_values.into_changed(),
            holds: self.states.holds.into_changed(),
            amendments: FastMap::default(),
        };
        (batch, self.fresh)
    }

    pub fn take(&mut self, work: Command) -> CommandResult {
        match work {
            Command::Usage(prepared) => self.usage(prepared),
            Command::RateUnrated { kept, prepared } => self.rate_unrated(&kept, prepared),
            Command::Overrule {
                lower,
                void,
                event,
                own,
            } => self.overrule(lower, void.as_deref(), event, own),
            Command::Void(void) => CommandResult::Amended(self.void(&void).map(|posted| Amended {
                void: posted,
                event: None,
            })),
            Command::Correct { void, event } => CommandResult::Amended(self.correct(&void, event)),
            Command::PlaceHold(work) => CommandResult::Hold(self.place_hold(*work)),
            Command::ExtendHold { hold, named, work } => {
                CommandResult::Hold(self.extend_hold(hold, named, *work))
            }
            Command::ReleaseHold {
                hold,
                named,
                currency,
            } => CommandResult::Hold(self.release_hold(hold, named, currency)),
            Command::SettleCarries(settling) => {
                CommandResult::Settled(self.settle_carries(&settling))
            }
            Command::Sweep { .. } => CommandResult::Swept,
            Command::Reclassify {
                named,
                tenant,
                currency,
                received_at,
            } => CommandResult::Reclassified(self.reclassify(named, tenant, currency, received_at)),
            Command::Money {
                named,
                command,
                received_at,
            } => CommandResult::Money(self.money(named, &command, received_at)),
            Command::Payment {
                named,
                command,
                received_at,
            } => CommandResult::Payment(self.payment(named, *command, received_at)),
        }
    }

    /// What is already recorded under a name.
    pub fn earlier(&self, keyed: Keyed<'_>) -> Option<Earlier> {
        if let Some(record) = self.known.get(&keyed.key).and_then(|known| {
            known
                .iter()
                .find(|record| record.identity.name() == keyed.name)
        }) {
            return Some(Earlier::Stored(Arc::clone(record)));
        }
        let same =
            |index: &&u32| self.batch.records[**index as usize].identity.name() == keyed.name;
        self.fresh
            .get(&keyed.key)?
            .iter()
            .find(same)
            .map(|index| Earlier::Fresh(*index as usize))
    }

    pub fn earlier_record<'a>(&'a self, earlier: &'a Earlier) -> &'a JournalEntry {
        match earlier {
            Earlier::Stored(record) => record,
            Earlier::Fresh(index) => &self.batch.records[*index],
        }
    }

    /// Appends a record; its position in the batch. `key`: of its name; steps of the engine have
    /// none.
    pub fn push(&mut self, mut record: JournalEntry, key: Option<u64>) -> usize {
        let index = self.batch.records.len();
        self.batch.identity_keys.push(key.unwrap_or_default());
        if let Some(key) = key {
            // A batch has far fewer than 2³² records: the queue is bounded.
            self.fresh.entry(key).or_default().push(index as u32);
        }
        record.seq = relative(index);
        // Statements go by this instant: it follows the order of the journal, also where a large
        // batch was long in preparing.
        record.received_at = self.now;
        self.batch.records.push(record);
        index
    }

    pub fn record_at(&self, index: usize) -> &JournalEntry {
        &self.batch.records[index]
    }

    /// Everything a command may change, to go back to.
    pub fn save(&self) -> Saved {
        Saved {
            books: self.books.clone(),
            states: self.states.clone(),
            batch: self.batch.clone(),
            fresh: self.fresh.clone(),
            below_cost: self.below_cost.clone(),
        }
    }

    pub fn restore(&mut self, saved: Saved) {
        let Saved {
            books,
            states,
            batch,
            fresh,
            below_cost,
        } = saved;
        (
            self.books,
            self.states,
            self.batch,
            self.fresh,
            self.below_cost,
        ) = (books, states, batch, fresh, below_cost);
    }

    pub fn amend(&mut self, of: Seq, kind: Kind, by: usize) {
        self.states.amended.insert(
            of,
            Amendment {
                kind,
                by: relative(by),
            },
        );
        self.batch.amendments.push((of, kind, by));
    }

    pub fn amendment(&self, of: Seq) -> Option<Amendment> {
        self.states.amended.get(&of).copied()
    }

    /// A kept event needs no more rating.
    pub fn settle(&mut self, kept: Seq) {
        self.batch.settled.push(kept);
    }

    // ---- usage ----

    pub fn usage(&mut self, prepared: Box<RatedEvent>) -> CommandResult {
        self.usage_beside(prepared, None)
    }

    /// `standing`: a report from below that cannot be taken back.
    pub fn usage_beside(
        &mut self,
        prepared: Box<RatedEvent>,
        standing: Option<Seq>,
    ) -> CommandResult {
        if self.put_off.contains(&prepared.name().key) {
            return CommandResult::overrules(prepared, None, None);
        }
        if let Some(earlier) = self
            .earlier(prepared.name())
            .or_else(|| self.unattributed(&prepared))
        {
            return self.resent(&earlier, prepared);
        }
        match self.beside(&prepared, None) {
            Beside::Nothing => CommandResult::Event(self.first(prepared, None)),
            Beside::Known(outcome) => CommandResult::Event(outcome),
            Beside::Own(earlier) => self.resent(&earlier, prepared),
            Beside::Confirms(lower) => CommandResult::Event(self.confirm(prepared, lower)),
            Beside::Overrules(Some(lower)) if standing == Some(lower.seq) => {
                CommandResult::Event(self.first(prepared, None))
            }
            Beside::Overrules(lower) => {
                self.put_off.push(prepared.name().key);
                CommandResult::overrules(prepared, None, lower)
            }
        }
    }

    /// An event that was not reported before; `overruled`: the report from below whose place it
    /// takes.
    pub fn first(&mut self, prepared: Box<RatedEvent>, overruled: Option<Seq>) -> Outcome {
        match self.rate(&prepared) {
            Ok(rated) => self.record_rated(
                prepared,
                rated,
                Kind::Rated,
                Refers {
                    kept: None,
                    overruled,
                },
            ),
            Err(kept) => {
                let body = EntryPayload {
                    reason: kept.0.to_owned(),
                    refers_to: overruled,
                    ..event_body(&prepared)
                };
                let key = prepared.name().key;
                let index = self.push(record_of(prepared, Kind::Unrated, body), Some(key));
                self.batch.unrated.push(index);
                Outcome::Unrated {
                    reason: kept.0.to_owned(),
                    duplicate: false,
                }
            }
        }
    }

    /// The same event from before its customer was known. Another customer's event of that id is
    /// another event.
    fn unattributed(&self, prepared: &RatedEvent) -> Option<Earlier> {
        let earlier = self.earlier(prepared.unattributed()?)?;
        let hint = self
            .earlier_record(&earlier)
            .personal
            .as_ref()
            .and_then(|personal| personal.customer_hint.as_deref());
        hint.is_some_and(|hint| hint == prepared.event.customer)
            .then_some(earlier)
    }

    /// The same identity again: the first answer, a conflict, or another try at a kept event.
    pub fn resent(&mut self, earlier: &Earlier, prepared: Box<RatedEvent>) -> CommandResult {
        let record = self.earlier_record(earlier);
        // What came before its customer was known was kept under no key.
        let same = record.content == prepared.content
            || (record.kind == Kind::Unrated && record.content == prepared.unattributed_content());
        if !same {
            let detail = format!(
                "the event {:?} of source {:?} was already reported with other content",
                record.identity.id, record.identity.source
            );
            return CommandResult::Event(Outcome::Rejected(Problem::field(
                "id_conflict",
                "id",
                detail,
            )));
        }
        match earlier {
            Earlier::Stored(kept) if kept.is_kept() => self.rate_unrated(kept, prepared),
            _ => CommandResult::Event(self.answered(record)),
        }
    }

    /// What has become of an event, to whoever sends it again.
    pub fn told(&self, event: &JournalEntry, standing: &Standing) -> Outcome {
        let open = standing.open.as_deref().unwrap_or_default();
        if standing.charged.is_empty() {
            let reason = match open.first() {
                Some(open) => open.reason.as_str(),
                None if standing.voided => "voided",
                None => event.body.reason.as_str(),
            };
            return Outcome::Unrated {
                reason: reason.to_owned(),
                duplicate: true,
            };
        }
        if standing.voided && event.kind == Kind::Unrated && open.is_empty() {
            return Outcome::Unrated {
                reason: "voided".to_owned(),
                duplicate: true,
            };
        }
        match standing
            .rated
            .ok_or(Refusal::BrokenChain)
            .and_then(|by| self.posted(by, &standing.charged))
        {
            Ok(posted) if open.is_empty() => Outcome::Duplicate(posted),
            Ok(posted) => Outcome::PartlyRated {
                posted,
                open: open.to_vec(),
                duplicate: true,
            },
            Err(refusal) => fault(refusal),
        }
    }

    /// What stands of an event that the journal knows.
    pub fn standing(&self, event: &JournalEntry) -> Standing {
        let mut steps = vec![event];
        let mut next = self.amendment(event.seq).map(|amendment| amendment.by);
        while let Some(step) = next.and_then(|seq| self.referred(seq)) {
            steps.push(step);
            next = step.previous();
        }
        steps[1..].reverse();
        Standing::after(steps)
    }

    /// Rates what is open of a kept event. An event has one step in a batch: the next one names it
    /// by its seq.
    pub fn rate_unrated(
        &mut self,
        kept: &Arc<JournalEntry>,
        prepared: Box<RatedEvent>,
    ) -> CommandResult {
        self.again_beside(kept, prepared, None)
    }

    /// `stays`: a report from below that cannot be taken back.
    pub fn again_beside(
        &mut self,
        kept: &Arc<JournalEntry>,
        prepared: Box<RatedEvent>,
        stays: Option<Seq>,
    ) -> CommandResult {
        let standing = self.standing(kept);
        let amended_now = self
            .amendment(kept.seq)
            .is_some_and(|amendment| amendment.by < Seq(0));
        if !standing.is_open() || amended_now {
            return CommandResult::Event(self.told(kept, &standing));
        }
        if standing.open.is_some() {
            return CommandResult::Event(self.rate_open(kept, &standing, prepared));
        }
        if prepared.name().name != kept.identity.name()
            && let Some(earlier) = self.earlier(prepared.name())
        {
            // It came again under its customer's root: what became of it there counts.
            let resent = self.resent(&earlier, prepared);
            return self.settled_by(kept, resent);
        }
        let is_own_name = prepared.name().name == kept.identity.name();
        match self.beside(&prepared, Some(kept.as_ref())) {
            Beside::Nothing | Beside::Own(_) => {}
            Beside::Confirms(lower) | Beside::Overrules(Some(lower))
                if stays == Some(lower.seq) => {}
            Beside::Known(outcome) => return self.settled_by(kept, CommandResult::Event(outcome)),
            // The kept record has the name under which it would be confirmed: it is rated instead.
            Beside::Confirms(lower) if is_own_name => {
                return CommandResult::overrules(prepared, Some(Arc::clone(kept)), Some(lower));
            }
            Beside::Confirms(lower) => {
                let confirmed = CommandResult::Event(self.confirm(prepared, lower));
                return self.settled_by(kept, confirmed);
            }
            Beside::Overrules(lower) => {
                return CommandResult::overrules(prepared, Some(Arc::clone(kept)), lower);
            }
        }
        CommandResult::Event(match self.rate(&prepared) {
            Ok(rated) => self.record_rated(
                prepared,
                rated,
                Kind::RatedLater,
                Refers {
                    kept: Some(kept),
                    overruled: None,
                },
            ),
            Err(reason) => Outcome::Unrated {
                reason: reason.0.to_owned(),
                duplicate: true,
            },
        })
    }

    /// What became of an event by another record needs no more rating.
    fn settled_by(&mut self, kept: &JournalEntry, done: CommandResult) -> CommandResult {
        if matches!(
            done,
            CommandResult::Event(
                Outcome::Rated(_) | Outcome::PartlyRated { .. } | Outcome::Duplicate(_)
            )
        ) {
            self.settle(kept.seq);
        }
        done
    }

    /// A record that another one is about.
    pub fn referred(&self, seq: Seq) -> Option<&JournalEntry> {
        match usize::try_from(-1 - seq.0) {
            Ok(index) => self.batch.records.get(index),
            Err(_) => self.later.get(&seq).map(AsRef::as_ref),
        }
    }

    /// It will be asked for by its seq.
    pub fn refer_to(&mut self, record: Arc<JournalEntry>) {
        self.later.insert(record.seq, record);
    }

    /// Charges those of the open links that can be charged now, up to the lowest that was charged
    /// before, and no other.
    fn rate_open(
        &mut self,
        kept: &JournalEntry,
        standing: &Standing,
        prepared: Box<RatedEvent>,
    ) -> Outcome {
        let still = standing.open.clone().unwrap_or_default();
        let is_open = |buyer: TenantId| still.iter().any(|open| open.buyer == buyer);
        let (Some(customer), Ok(plan)) = (&prepared.customer, &prepared.priced) else {
            return self.told(kept, standing);
        };
        let Ok(mut priced) = charge::price_standing(&prepared, customer, plan, &self.states) else {
            return self.told(kept, standing);
        };
        priced.charges.retain(|charge| is_open(charge.link.buyer));
        let joined = priced.charges.last().map(|charge| charge.link.buyer)
            == still.last().map(|open| open.buyer);
        let now = if joined && self.post_cut(customer, plan, &mut priced).is_ok() {
            std::mem::take(&mut priced.charges)
        } else {
            Vec::new()
        };
        let open = still
            .iter()
            .filter(|open| !now.iter().any(|charge| charge.link.buyer == open.buyer))
            .map(|open| {
                let reason = priced.open.iter().find(|new| new.buyer == open.buyer);
                reason.map_or_else(|| open.clone(), |new| new.link())
            });
        let open: Vec<OpenLink> = open.collect();
        if now.is_empty() {
            return self.told(
                kept,
                &Standing {
                    open: Some(open),
                    ..standing.clone()
                },
            );
        }
        let places = self.grow(&prepared, customer, plan, &now);
        let rated = Rated {
            charges: now,
            places,
            open,
            currency: plan.currency,
            hold: None,
            over_hold: None,
        };
        self.record_rated(
            prepared,
            rated,
            Kind::RatedLater,
            Refers {
                kept: Some(kept),
                overruled: None,
            },
        )
    }

    /// Prices and posts; when it refuses, nothing has changed.
    pub fn rate(&mut self, prepared: &RatedEvent) -> Result<Rated, UnratedReason> {
        let plan = prepared.priced.as_ref().map_err(Clone::clone)?;
        let customer = prepared
            .customer
            .as_ref()
            .ok_or(UnratedReason("unknown_customer"))?;
        let mut priced = charge::price_standing(prepared, customer, plan, &self.states)?;
        let (hold, over_hold) = self
            .post_usage(prepared, customer, plan, &mut priced)
            .map_err(|refusal| UnratedReason(refusal.code()))?;
        let Priced { charges, open } = priced;
        let places = self.grow(prepared, customer, plan, &charges);
        let open = open.into_iter().map(Open::link).collect();
        Ok(Rated {
            charges,
            places,
            open,
            currency: plan.currency,
            hold,
            over_hold,
        })
    }

    /// With its hold, if there is one that is open; otherwise under the limits.
    fn post_usage(
        &mut self,
        prepared: &RatedEvent,
        customer: &Customer,
        plan: &Plan,
        priced: &mut Priced,
    ) -> Result<(Option<HoldId>, Option<Cents>), Refusal> {
        let id = prepared.hold;
        while let Some(hold) = self.states.holds.get(&id) {
            // A hold of one's own follows from one's own id.
            if prepared.event.hold.is_some()
                && !may_end(&customer.tenant.path, prepared.reporter, hold)
            {
                break;
            }
            let mut hold = hold.clone();
            let links = charge::link_charges(&priced.charges);
            match self
                .books
                .capture(&event(customer, plan, &links, &[]), &mut hold, self.now)
            {
                Ok(posted) => {
                    self.states.holds.set(id, hold);
                    let account = charge::customer_account(
                        customer.tenant.id,
                        &priced.charges,
                        plan.currency,
                    );
                    let over = posted
                        .over_hold
                        .iter()
                        .find(|(of, _)| *of == account)
                        .map(|&(_, cents)| cents);
                    return Ok((Some(id), over));
                }
                // The usage has happened: it is posted like any other.
                Err(Refusal::HoldOver | Refusal::HoldEnded { .. } | Refusal::HoldOfAnother) => {
                    break;
                }
                Err(refusal) if !priced.cut(&refusal, plan) => return Err(refusal),
                Err(_cut) => {}
            }
        }
        self.post_cut(customer, plan, priced).map(|()| (None, None))
    }

    /// Posts the charges under their limits; those that are refused, from the lowest up, are left
    /// out and open.
    fn post_cut(
        &mut self,
        customer: &Customer,
        plan: &Plan,
        priced: &mut Priced,
    ) -> Result<(), Refusal> {
        loop {
            let (links, limits) = (
                charge::link_charges(&priced.charges),
                charge::refusing(plan, &priced.charges),
            );
            match self.books.charge(&event(customer, plan, &links, &limits)) {
                Ok(_posted) => return Ok(()),
                Err(refusal) if !priced.cut(&refusal, plan) => return Err(refusal),
                Err(_cut) => {}
            }
        }
    }

    /// Carries, counters and their members after these charges of an event, and where on the
    /// counters these count.
    fn grow(
        &mut self,
        prepared: &RatedEvent,
        customer: &Customer,
        plan: &Plan,
        charges: &[Charge],
    ) -> Vec<Place> {
        self.carry(customer.tenant.id, charges);
        let places = self.count(prepared, plan, charges);
        distinct_value::add(prepared, plan, charges, &places, &mut self.states);
        places
    }

    /// The carries after these charges.
    pub fn carry(&mut self, customer: TenantId, charges: &[Charge]) {
        self.states.set_carries(
            customer,
            charges
                .iter()
                .map(|charge| (charge.link.buyer, charge.carry)),
        );
    }

    fn record_rated(
        &mut self,
        prepared: Box<RatedEvent>,
        rated: Rated,
        kind: Kind,
        Refers { kept, overruled }: Refers<'_>,
    ) -> Outcome {
        let previous = kept
            .and_then(|kept| self.amendment(kept.seq))
            .map(|amendment| amendment.by);
        let Rated {
            charges,
            places,
            open,
            currency,
            hold,
            over_hold,
        } = rated;
        let (is_open, corrects) = (!open.is_empty(), prepared.corrects);
        let has_steps = is_open || previous.is_some() || corrects.is_some() || !places.is_empty();
        let body = EntryPayload {
            currency: Some(currency),
            charges,
            reason: if kind == Kind::Rated {
                reason_of(&open)
            } else {
                String::new()
            },
            hold,
            refers_to: kept.map(|record| record.seq).or(overruled),
            trail: Trail {
                key: prepared.sender_key,
                steps: has_steps.then(|| {
                    Box::new(Steps {
                        open: open.clone(),
                        previous,
                        corrects,
                        places,
                    })
                }),
            },
            ..event_body(&prepared)
        };
        let mut key = Some(prepared.name().key);
        let below_cost = body
            .charges
            .windows(2)
            .any(|pair| pair[0].exact < pair[1].exact);
        let mut record = record_of(prepared, kind, body);
        if kept.is_some_and(|kept| kept.identity == record.identity) {
            // The kept record is the one that its identity finds.
            record.identity.namespace = Namespace::Engine;
            key = None;
        }
        let index = self.push(record, key);
        if below_cost {
            self.below_cost.push(index as u32);
        }
        if kept.is_some() || is_open {
            return self.record_step(index, kind, kept, open, over_hold);
        }
        match self.posted_of(&self.batch.records[index]) {
            Ok(posted) => Outcome::Rated(Posted {
                over_hold,
                ..posted
            }),
            Err(refusal) => fault(refusal),
        }
    }

    /// The answer to an event that is charged in several steps; this one is at `index`.
    fn record_step(
        &mut self,
        index: usize,
        kind: Kind,
        kept: Option<&JournalEntry>,
        open: Vec<OpenLink>,
        over_hold: Option<Cents>,
    ) -> Outcome {
        let is_open = !open.is_empty();
        let posted = match kept {
            Some(kept) => {
                self.amend(kept.seq, kind, index);
                if !is_open {
                    self.settle(kept.seq);
                }
                let record = &self.batch.records[index];
                let currency = record.body.currency.ok_or(Refusal::BrokenChain);
                let customer = record.tenant;
                let by = currency.map(|currency| RatedBy {
                    seq: relative(index),
                    customer,
                    currency,
                    overruled: None,
                });
                by.and_then(|by| self.posted(by, &self.standing(kept).charged))
            }
            None => {
                self.batch.unrated.push(index);
                self.posted_of(&self.batch.records[index])
            }
        };
        match posted {
            Ok(posted) if is_open => Outcome::PartlyRated {
                posted,
                open,
                duplicate: false,
            },
            Ok(posted) => Outcome::Rated(Posted {
                over_hold,
                ..posted
            }),
            Err(refusal) => fault(refusal),
        }
    }

    /// What a record moved, with the customer's balance as it is now.
    pub fn posted_of(&self, record: &JournalEntry) -> Result<Posted, Refusal> {
        let currency = record.body.currency.ok_or(Refusal::BrokenChain)?;
        let overruled = record.body.refers_to.filter(|_| record.kind == Kind::Rated);
        self.posted(
            RatedBy {
                seq: record.seq,
                customer: record.tenant,
                currency,
                overruled,
            },
            &record.body.charges,
        )
    }

    /// What these charges of an event moved.
    fn posted(
        &self,
        RatedBy {
            seq,
            customer,
            currency,
            overruled,
        }: RatedBy,
        charges: &[Charge],
    ) -> Result<Posted, Refusal> {
        let account = charge::customer_account(customer, charges, currency);
        Ok(Posted {
            seq,
            customer,
            currency,
            debit: charge::debit(customer, charges),
            splits: charge::splits(customer, charges)?,
            balance: self
                .books
                .balance(account)
                .map_or(Cents::ZERO, |balance| balance.posted),
            over_hold: None,
            overruled,
        })
    }
}

/// Other records that one is about.
struct Refers<'a> {
    kept: Option<&'a JournalEntry>,
    overruled: Option<Seq>,
}

/// What rating an event came to.
#[derive(Debug)]
pub struct Rated {
    pub charges: Charges,
    /// Where on their counters these count.
    pub places: Vec<Place>,
    /// Links that are not charged, from the customer's own up.
    pub open: Vec<OpenLink>,
    pub currency: Currency,
    pub hold: Option<HoldId>,
    pub over_hold: Option<Cents>,
}

/// On its way into the books.
fn event<'a>(
    customer: &Customer,
    plan: &Plan,
    charges: &'a [LinkCharge],
    limits: &'a [Limit],
) -> Event<'a> {
    let (root, platform, customer) = (
        customer.tenant.root,
        customer.platform(),
        customer.tenant.id,
    );
    Event {
        root,
        platform,
        customer,
        currency: plan.currency,
        charges,
        limits,
    }
}

/// Of the link nearest to the customer that has a reason of its own.
fn reason_of(open: &[OpenLink]) -> String {
    let own = open
        .iter()
        .find(|open| ![tenants::chain::ABOVE_OPEN, BELOW_UNKNOWN].contains(&open.reason.as_str()));
    own.or(open.first())
        .map(|open| open.reason.to_string())
        .unwrap_or_default()
}

/// A record of this batch before the journal has placed it.
pub fn relative(index: usize) -> Seq {
    Seq(-1 - i64::try_from(index).unwrap_or(i64::MAX - 1))
}

/// A refusal of the ledger as the caller sees it.
pub fn refused(refusal: Refusal) -> Problem {
    Problem::new(refusal.code(), refusal.to_string())
}

/// The books could not answer for what they hold: reported, never hidden.
fn fault(refusal: Refusal) -> Outcome {
    Outcome::Rejected(refused(refusal))
}

/// What the event says of itself.
pub fn event_body(prepared: &RatedEvent) -> EntryPayload {
    let event = &prepared.event;
    EntryPayload {
        meter: event.meter.clone(),
        quantity: event.quantity,
        amount: event.amount.map(|amount| amount.to_string()),
        distinct_value: prepared
            .priced
            .as_ref()
            .ok()
            .and_then(|plan| distinct_value::name(prepared, plan)),
        trail: Trail {
            key: prepared.sender_key,
            steps: None,
        },
        ..EntryPayload::default()
    }
}

pub fn record_of(prepared: Box<RatedEvent>, kind: Kind, body: EntryPayload) -> JournalEntry {
    let (at, received_at, content, tenant) = (
        prepared.event.at,
        prepared.received_at,
        prepared.content,
        prepared.owner(),
    );
    let is_open = body
        .trail
        .steps
        .as_ref()
        .is_some_and(|steps| !steps.open.is_empty());
    let is_kept = kind == Kind::Unrated || (kind == Kind::Rated && is_open);
    let as_sent = is_kept || matches!(kind, Kind::HoldPlaced | Kind::HoldExtended);
    let (identity, personal, personal_digest) = prepared.into_record_parts(as_sent);
    JournalEntry {
        seq: Seq(0),
        kind,
        tenant,
        identity,
        at,
        received_at,
        content,
        body,
        personal,
        personal_digest,
    }
}
