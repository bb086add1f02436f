//! The turn of each command of a batch, in order, on the states the batch loaded. Pure: no await, no
//! clock; what it leaves behind is one [`Batch`].
//!
//! Invariants: whatever is validated is validated before the first change; a command that is refused
//! leaves nothing behind; the same identity twice in one batch is the same case as twice in two.

use crate::charge::{self, Charges};
use crate::command::{Outcome, Posted, Problem};
use crate::directory::Customer;
use crate::member;
use crate::overrule::Beside;
use crate::prepare::{Kept, Plan, Prepared};
use crate::states::States;
use crate::work::{Amended, Done, Work};
use ledger::{Books, Event, Refusal};
use rating::fast::FastMap;
use rating::{Cents, Currency, Instant, TenantId, ids::HoldId};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use store::journal::{Amendment, Batch, Body, Charge, CounterKey, Keyed, Kind, Namespace, Record, Seq, State, StateKeys};

/// One batch under way.
#[derive(Debug)]
pub struct Turn {
    pub now: Instant,
    pub books: Books,
    pub states: States,
    /// What the journal knows already, by key.
    known: Known,
    /// Records that others are about: those that priced kept events later, those that were confirmed. By their seq.
    later: HashMap<Seq, Arc<Record>>,
    batch: Batch,
    /// This batch's own records, by key.
    fresh: Fresh,
    /// Names of events that take their turns in a later batch: what comes under these names comes after them.
    put_off: Vec<u64>,
    /// Records that a seller loses money with, by index.
    pub below_cost: Vec<u32>,
}

/// Records by the keys of their names; the names are compared too.
pub type Known = FastMap<u64, SmallVec<[Arc<Record>; 1]>>;
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
    Stored(Arc<Record>),
    Fresh(usize),
}

impl Turn {
    pub fn new(now: Instant, keys: StateKeys, state: State, known: Known, later: HashMap<Seq, Arc<Record>>) -> Self {
        let (states, accounts) = States::new(state);
        let books = Books::load(keys.accounts, &accounts);
        let batch = Batch { committed_at: now, ..Batch::default() };
        Self { now, books, states, known, later, batch, fresh: Fresh::default(), put_off: Vec::new(), below_cost: Vec::new() }
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
            members: self.states.members.into_changed(),
            holds: self.states.holds.into_changed(),
            amendments: FastMap::default(),
        };
        (batch, self.fresh)
    }

    pub fn take(&mut self, work: Work) -> Done {
        match work {
            Work::Usage(prepared) => self.usage(*prepared),
            Work::Again { kept, prepared } => self.again(&kept, *prepared),
            Work::Overrule { void, event, own } => self.overrule(&void, *event, own),
            Work::Void(void) => Done::Amended(self.void(&void).map(|posted| Amended { void: posted, event: None })),
            Work::Correct { void, event } => Done::Amended(self.correct(&void, *event)),
            Work::PlaceHold(work) => Done::Hold(self.place_hold(*work)),
            Work::ExtendHold { hold, named, work } => Done::Hold(self.extend_hold(hold, named, *work)),
            Work::ReleaseHold { hold, named, currency } => Done::Hold(self.release_hold(hold, named, currency)),
            Work::SettleCarries(settling) => Done::Settled(self.settle_carries(&settling)),
            Work::Sweep { .. } => Done::Swept,
            Work::Reclassify { named, tenant, currency, received_at } => {
                Done::Reclassified(self.reclassify(named, tenant, currency, received_at))
            }
            Work::Money { named, command, received_at } => Done::Money(self.money(named, &command, received_at)),
            Work::Payment { named, command, received_at } => Done::Payment(self.payment(named, *command, received_at)),
        }
    }

    /// What is already recorded under a name.
    pub fn earlier(&self, keyed: Keyed<'_>) -> Option<Earlier> {
        if let Some(record) = self.known.get(&keyed.key).and_then(|known| known.iter().find(|record| record.identity.name() == keyed.name))
        {
            return Some(Earlier::Stored(Arc::clone(record)));
        }
        let same = |index: &&u32| self.batch.records[**index as usize].identity.name() == keyed.name;
        self.fresh.get(&keyed.key)?.iter().find(same).map(|index| Earlier::Fresh(*index as usize))
    }

    pub fn earlier_record<'a>(&'a self, earlier: &'a Earlier) -> &'a Record {
        match earlier {
            Earlier::Stored(record) => record,
            Earlier::Fresh(index) => &self.batch.records[*index],
        }
    }

    /// Appends a record; its position in the batch. `key`: of its name; steps of the engine have none.
    pub fn push(&mut self, mut record: Record, key: Option<u64>) -> usize {
        let index = self.batch.records.len();
        self.batch.identity_keys.push(key.unwrap_or_default());
        if let Some(key) = key {
            // A batch has far fewer than 2³² records: the queue is bounded.
            self.fresh.entry(key).or_default().push(index as u32);
        }
        record.seq = relative(index);
        // Statements go by this instant: it follows the order of the journal, also where a large batch was long in preparing.
        record.received_at = self.now;
        self.batch.records.push(record);
        index
    }

    pub fn record_at(&self, index: usize) -> &Record {
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
        let Saved { books, states, batch, fresh, below_cost } = saved;
        (self.books, self.states, self.batch, self.fresh, self.below_cost) = (books, states, batch, fresh, below_cost);
    }

    pub fn amend(&mut self, of: Seq, kind: Kind, by: usize) {
        self.states.amended.insert(of, Amendment { kind, by: relative(by) });
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

    pub fn usage(&mut self, prepared: Prepared) -> Done {
        if self.put_off.contains(&prepared.name().key) {
            return Done::overrules(prepared, None, None);
        }
        if let Some(earlier) = self.earlier(prepared.name()).or_else(|| self.orphan(&prepared)) {
            return self.resent(&earlier, prepared);
        }
        match self.beside(&prepared, None) {
            Beside::Nothing => Done::Event(self.first(prepared, None)),
            Beside::Known(outcome) => Done::Event(outcome),
            Beside::Own(earlier) => self.resent(&earlier, prepared),
            Beside::Confirms(lower) => Done::Event(self.confirm(prepared, lower)),
            Beside::Overrules(lower) => {
                self.put_off.push(prepared.name().key);
                Done::overrules(prepared, None, lower)
            }
        }
    }

    /// An event that was not reported before; `overruled`: the report from below whose place it takes.
    pub fn first(&mut self, prepared: Prepared, overruled: Option<Seq>) -> Outcome {
        match self.rate(&prepared) {
            Ok(rated) => self.record_rated(prepared, rated, Kind::Rated, Refers { kept: None, overruled }),
            Err(kept) => {
                let body = Body { reason: kept.0.to_owned(), refers_to: overruled, ..event_body(&prepared) };
                let key = prepared.name().key;
                let index = self.push(record_of(prepared, Kind::Unrated, body), Some(key));
                self.batch.unrated.push(index);
                Outcome::Unrated { reason: kept.0.to_owned(), duplicate: false }
            }
        }
    }

    /// The same event from before its customer was known. Another customer's event of that id is another event.
    fn orphan(&self, prepared: &Prepared) -> Option<Earlier> {
        let earlier = self.earlier(prepared.orphan()?)?;
        let hint = self.earlier_record(&earlier).personal.as_ref().and_then(|personal| personal.customer_hint.as_deref());
        hint.is_some_and(|hint| hint == prepared.event.customer).then_some(earlier)
    }

    /// The same identity again: the first answer, a conflict, or another try at a kept event.
    pub fn resent(&mut self, earlier: &Earlier, prepared: Prepared) -> Done {
        let record = self.earlier_record(earlier);
        // What came before its customer was known was kept under no key.
        let same = record.content == prepared.content || (record.kind == Kind::Unrated && record.content == prepared.orphan_content());
        if !same {
            let detail = format!(
                "the event {:?} of source {:?} was already reported with other content",
                record.identity.id, record.identity.source
            );
            return Done::Event(Outcome::Rejected(Problem::field("id_conflict", "id", detail)));
        }
        match earlier {
            Earlier::Stored(kept) if kept.kind == Kind::Unrated => self.again(kept, prepared),
            _ => Done::Event(self.answered(record)),
        }
    }

    /// Rates a kept event, unless that has happened or it was voided.
    pub fn again(&mut self, kept: &Arc<Record>, prepared: Prepared) -> Done {
        if self.amendment(kept.seq).is_some() {
            return Done::Event(self.answered(kept));
        }
        if prepared.name().name != kept.identity.name()
            && let Some(earlier) = self.earlier(prepared.name())
        {
            // It came again under its customer's root: what became of it there counts.
            let resent = self.resent(&earlier, prepared);
            return self.settled_by(kept, resent);
        }
        let is_own_name = prepared.name().name == kept.identity.name();
        match self.beside(&prepared, Some(kept.seq)) {
            Beside::Nothing | Beside::Own(_) => {}
            Beside::Known(outcome) => return self.settled_by(kept, Done::Event(outcome)),
            // The kept record has the name under which it would be confirmed: it is rated instead.
            Beside::Confirms(lower) if is_own_name => return Done::overrules(prepared, Some(Arc::clone(kept)), Some(lower)),
            Beside::Confirms(lower) => {
                let confirmed = Done::Event(self.confirm(prepared, lower));
                return self.settled_by(kept, confirmed);
            }
            Beside::Overrules(lower) => return Done::overrules(prepared, Some(Arc::clone(kept)), lower),
        }
        Done::Event(match self.rate(&prepared) {
            Ok(rated) => self.record_rated(prepared, rated, Kind::RatedLater, Refers { kept: Some(kept), overruled: None }),
            Err(reason) => Outcome::Unrated { reason: reason.0.to_owned(), duplicate: true },
        })
    }

    /// What became of an event by another record needs no more rating.
    fn settled_by(&mut self, kept: &Record, done: Done) -> Done {
        if matches!(done, Done::Event(Outcome::Rated(_) | Outcome::Duplicate(_))) {
            self.settle(kept.seq);
        }
        done
    }

    /// A record that another one is about.
    pub fn referred(&self, seq: Seq) -> Option<&Record> {
        match usize::try_from(-1 - seq.0) {
            Ok(index) => self.batch.records.get(index),
            Err(_) => self.later.get(&seq).map(AsRef::as_ref),
        }
    }

    /// It will be asked for by its seq.
    pub fn refer_to(&mut self, record: Arc<Record>) {
        self.later.insert(record.seq, record);
    }

    /// The answer to an event that was charged before.
    pub fn duplicate_of(&self, charged: &Record) -> Outcome {
        self.posted_of(charged).map_or_else(fault, Outcome::Duplicate)
    }

    /// Prices and posts; when it refuses, nothing has changed.
    pub fn rate(&mut self, prepared: &Prepared) -> Result<Rated, Kept> {
        let plan = prepared.priced.as_ref().map_err(Clone::clone)?;
        let customer = prepared.customer.as_ref().ok_or(Kept("unknown_customer"))?;
        let charges = charge::price(prepared, customer, plan, &self.states)?;
        let (hold, over_hold) = self.post_usage(prepared, customer, plan, &charges).map_err(|refusal| Kept(refusal.code()))?;
        self.grow(customer.tenant.id, &charges);
        member::add(prepared, plan, &mut self.states);
        Ok(Rated { charges, currency: plan.currency, hold, over_hold })
    }

    /// With its hold, if there is one that is open; otherwise under the limits.
    fn post_usage(
        &mut self,
        prepared: &Prepared,
        customer: &Customer,
        plan: &Plan,
        charges: &Charges,
    ) -> Result<(Option<HoldId>, Option<Cents>), Refusal> {
        let (links, limits) = (charge::link_charges(charges), charge::limits(plan));
        let (root, platform, currency) = (customer.tenant.root, customer.platform(), plan.currency);
        let event = Event { root, customer: customer.tenant.id, platform, currency, charges: &links, limits: &limits };
        let id = prepared.hold;
        if let Some(hold) = self.states.holds.get(&id) {
            let mut hold = hold.clone();
            match self.books.capture(&event, &mut hold, self.now) {
                Ok(posted) => {
                    self.states.holds.set(id, hold);
                    let account = charge::customer_account(charges, plan.currency);
                    let over = posted.over_hold.iter().find(|(of, _)| Some(*of) == account).map(|&(_, cents)| cents);
                    return Ok((Some(id), over));
                }
                // The usage has happened: it is posted like any other.
                Err(Refusal::HoldOver | Refusal::HoldEnded { .. } | Refusal::HoldOfAnother) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        self.books.charge(&event).map(|_| (None, None))
    }

    /// Carries and counters after these charges.
    pub fn grow(&mut self, customer: TenantId, charges: &[Charge]) {
        self.states.set_carries(customer, charges.iter().map(|charge| (charge.link.buyer, charge.carry)));
        for charge in charges {
            if let Some(id) = charge.counter {
                self.states.counters.set(CounterKey { buyer: charge.link.buyer, id }, charge.after);
            }
        }
    }

    fn record_rated(&mut self, prepared: Prepared, rated: Rated, kind: Kind, Refers { kept, overruled }: Refers<'_>) -> Outcome {
        let body = Body {
            currency: Some(rated.currency),
            charges: rated.charges,
            hold: rated.hold,
            refers_to: kept.map(|record| record.seq).or(overruled),
            ..event_body(&prepared)
        };
        let mut key = Some(prepared.name().key);
        let below_cost = body.charges.windows(2).any(|pair| pair[0].exact < pair[1].exact);
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
        if let Some(kept) = kept {
            self.amend(kept.seq, kind, index);
            self.settle(kept.seq);
        }
        match self.posted_of(&self.batch.records[index]) {
            Ok(posted) => Outcome::Rated(Posted { over_hold: rated.over_hold, ..posted }),
            Err(refusal) => fault(refusal),
        }
    }

    /// What a record moved, with the customer's balance as it is now.
    pub fn posted_of(&self, record: &Record) -> Result<Posted, Refusal> {
        let currency = record.body.currency.ok_or(Refusal::BrokenChain)?;
        let charges = charge::link_charges(&record.body.charges);
        let account = charge::customer_account(&record.body.charges, currency).ok_or(Refusal::BrokenChain)?;
        Ok(Posted {
            seq: record.seq,
            customer: record.tenant,
            currency,
            debit: charge::debit(&record.body.charges),
            splits: ledger::splits_of(&charges)?,
            balance: self.books.balance(account)?.posted,
            over_hold: None,
            overruled: record.body.refers_to.filter(|_| record.kind == Kind::Rated),
        })
    }
}

/// Other records that one is about.
struct Refers<'a> {
    kept: Option<&'a Record>,
    overruled: Option<Seq>,
}

/// What rating an event came to.
#[derive(Debug)]
pub struct Rated {
    pub charges: Charges,
    pub currency: Currency,
    pub hold: Option<HoldId>,
    pub over_hold: Option<Cents>,
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
pub fn event_body(prepared: &Prepared) -> Body {
    let event = &prepared.event;
    Body {
        meter: event.meter.clone(),
        quantity: event.quantity,
        amount: event.amount.map(|amount| amount.to_string()),
        member: prepared.priced.as_ref().ok().and_then(|plan| member::name(prepared, plan)),
        ..Body::default()
    }
}

pub fn record_of(prepared: Prepared, kind: Kind, body: Body) -> Record {
    let (at, received_at, content, tenant) = (prepared.event.at, prepared.received_at, prepared.content, prepared.owner());
    let as_sent = matches!(kind, Kind::Unrated | Kind::HoldPlaced | Kind::HoldExtended);
    let (identity, personal, personal_digest) = prepared.into_record_parts(as_sent);
    Record { seq: Seq(0), kind, tenant, identity, at, received_at, content, body, personal, personal_digest }
}
