//! The half of a usage event's way that needs no turn: customer, chain, cards, measuring. Runs in the
//! caller's task, many at a time; what depends on counters and balances is left to the committer.
//!
//! Nearly every event finds all it needs in memory ([`Desk::at_hand`]); the others wait for the records
//! ([`Desk::prepare`]).

use crate::command::{Caller, FUTURE_SECS_MAX, Problem, UsageEvent};
use crate::digest::Digest;
use crate::directory::{Customer, Directory};
use crate::hold_name::{hold_id, named_hold};
use crate::numbers;
use crate::plan::{PlanLink, Timeline};
use crate::reporters::{self, Other};
use compact_str::CompactString;
use ledger::Settlement;
use rating::card::MeterTerms;
use rating::compile::CompiledCard;
use rating::usage::{Measured, Unrated, Usage};
use rating::{CardVersionId, Currency, Instant, Quantity, TenantId, ids::HoldId};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use store::hash;
use store::journal::{Identity, Journal, Keyed, Name, Namespace, Personal, Reporter};
use tenants::{Agreement, Pricing};

/// How many fallback cards may stand behind one another.
const FALLBACKS_MAX: usize = 8;
/// Usage of a meter in this unit is a call.
const CALL_UNIT: &str = "second";
/// Keys the digests of events whose customer is unknown.
const NO_KEY: [u8; 32] = [0; 32];

/// An event that waits for its turn.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub event: UsageEvent,
    /// Whose books: the customer's root, or the key's own for an unknown customer.
    pub root: TenantId,
    pub namespace: Namespace,
    /// Whose key reports it.
    pub reporter: Reporter,
    /// Of its name in the journal.
    key: u64,
    /// Who else on the chain may have reported it, the highest first.
    others: Vec<Other>,
    /// Where the event lies if it came before its customer was known: under the key's own root.
    orphan: Option<(TenantId, u64)>,
    /// Digest of the content as sent, under the customer's key: tells a resend from a conflict.
    pub content: [u8; 16],
    /// Of what names a person, as it stands in a record of a rated event.
    personal_digest: [u8; 16],
    /// The hold that this usage captures, if it is there: the one it names, or the one of its own id.
    pub hold: HoldId,
    /// Destination and origin as sent, where the customer's country made other digits of them.
    sent: [Option<CompactString>; 2],
    /// Whose key sent it.
    pub sender: TenantId,
    /// `None`: kept under the key's own root until somebody creates it.
    pub customer: Option<Arc<Customer>>,
    pub received_at: Instant,
    /// Priced but for the counters, or why it cannot be.
    pub priced: Result<Plan, Kept>,
}

/// Every link measured, from the customer's own up.
#[derive(Debug, Clone)]
pub struct Plan {
    pub currency: Currency,
    pub meter: Arc<MeterTerms>,
    /// What was measured: the event's own, or another for a hold.
    quantity: Quantity,
    chain: Arc<[PlanLink]>,
    /// Of the chain's links, in their order.
    methods: SmallVec<[Method; 2]>,
}

#[derive(Debug, Clone, Copy)]
pub struct MeasuredLink<'a> {
    pub agreement: &'a Agreement,
    pub settlement: Settlement,
    pub method: &'a Method,
}

#[derive(Debug, Clone)]
pub enum Method {
    Card { version: CardVersionId, card: Arc<CompiledCard>, measured: Measured },
    Commission { commission_bp: u16 },
}

/// Why a well-formed event has no price now: a stable code, kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept(pub &'static str);

impl Kept {
    /// For commands that must be priced at once: holds, dry runs.
    pub fn problem(&self) -> Problem {
        Problem::new(self.0, format!("this usage cannot be priced: {}", self.0.replace('_', " ")))
    }
}

/// Late events are not priced by themselves; an operator's call may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    Kept,
    Accepted,
}

impl Plan {
    /// From the customer's own link up.
    pub fn links(&self) -> impl ExactSizeIterator<Item = MeasuredLink<'_>> {
        self.chain.iter().zip(&self.methods).map(|(link, method)| MeasuredLink {
            agreement: &link.agreement,
            settlement: link.settlement,
            method,
        })
    }
}

impl Prepared {
    /// As measured by this plan.
    pub fn usage(&self, plan: &Plan) -> Usage<'_> {
        Usage { quantity: plan.quantity, ..usage_of(&self.event, &plan.meter) }
    }
    /// Its name in the journal.
    pub fn name(&self) -> Keyed<'_> {
        Keyed { key: self.key, name: self.named(self.root) }
    }
    pub fn orphan(&self) -> Option<Keyed<'_>> {
        self.orphan.map(|(root, key)| Keyed { key, name: self.named(root) })
    }
    fn named(&self, root: TenantId) -> Name<'_> {
        Name { root, reporter: self.reporter, namespace: self.namespace, source: &self.event.source, id: &self.event.id }
    }
    /// Its names by others of the chain, the highest first; whether they sell to its reporter.
    pub fn others(&self) -> impl Iterator<Item = (bool, Keyed<'_>)> {
        let keyed = |other: &Other| Keyed { key: other.key, name: Name { reporter: other.reporter, ..self.named(self.root) } };
        self.others.iter().map(move |other| (other.is_above, keyed(other)))
    }
    /// `reporters`: all that have ever reported in its root.
    pub fn look_beside(&mut self, reporters: &[Reporter], journal: &dyn Journal) {
        let path = self.customer.as_ref().map_or(&[][..], |customer| customer.tenant.path.as_slice());
        self.others = reporters::others(reporters, path, self.named(self.root), journal);
    }
    /// Another kind of command about this usage; what is recorded under its name is of that kind.
    pub fn in_namespace(self, namespace: Namespace, journal: &dyn Journal) -> Self {
        let mut other = Self { namespace, orphan: None, others: Vec::new(), ..self };
        other.key = journal.identity_key(other.named(other.root));
        other
    }
    /// The content's digest as it was kept while the customer was unknown.
    pub fn orphan_content(&self) -> [u8; 16] {
        self.orphan_content_as(&self.event.customer)
    }
    /// The same, if the customer was called so.
    pub fn orphan_content_as(&self, customer: &str) -> [u8; 16] {
        self.content_under(&NO_KEY, customer)
    }
    /// The content's digests as if the customer were called otherwise: everybody has names of his own.
    pub fn contents_by_other_names(&self) -> SmallVec<[[u8; 16]; 2]> {
        let Some(customer) = &self.customer else { return SmallVec::new() };
        let (id, external_id) = (customer.tenant.id.to_string(), customer.tenant.external_id.as_str());
        let others = [id.as_str(), external_id].into_iter().filter(|name| *name != self.event.customer);
        others.map(|name| self.content_under(&customer.personal_key, name)).collect()
    }
    fn content_under(&self, key: &[u8; 32], customer: &str) -> [u8; 16] {
        content_digest(key, &self.event, customer, [self.sent[0].as_deref(), self.sent[1].as_deref()])
    }
    /// The same usage with another quantity, measured again: what a hold for less would be.
    pub fn of_quantity(&self, plan: &Plan, quantity: Quantity) -> Result<Plan, Kept> {
        let usage = Usage { quantity, ..self.usage(plan) };
        let mut methods = SmallVec::new();
        for method in &plan.methods {
            methods.push(match method {
                Method::Commission { commission_bp } => Method::Commission { commission_bp: *commission_bp },
                Method::Card { version, card, .. } => {
                    let measured = card.measure(&usage).map_err(|unrated| Kept(unrated.code()))?;
                    Method::Card { version: *version, card: Arc::clone(card), measured }
                }
            });
        }
        Ok(Plan { currency: plan.currency, meter: Arc::clone(&plan.meter), quantity, chain: Arc::clone(&plan.chain), methods })
    }
    pub fn personal_key(&self) -> &[u8; 32] {
        self.customer.as_ref().map_or(&NO_KEY, |customer| &customer.personal_key)
    }
    /// An unknown customer's usage belongs to its sender: only there will its customer be looked for.
    pub fn owner(&self) -> TenantId {
        self.customer.as_ref().map_or(self.sender, |customer| customer.tenant.id)
    }

    /// Its identity and personal part for the record. `as_sent`: what will be prepared again (kept usage,
    /// holds); digits that are normal already could be taken for a national number.
    pub fn into_record_parts(self, as_sent: bool) -> (Identity, Option<Personal>, [u8; 16]) {
        let Self { event, sent: [destination, origin], root, reporter, namespace, customer, personal_digest, .. } = self;
        let again = as_sent && (destination.is_some() || origin.is_some());
        let number = |sent: Option<CompactString>, digits: Option<CompactString>| if as_sent { sent.or(digits) } else { digits };
        let personal = Personal {
            destination: number(destination, event.destination),
            origin: number(origin, event.origin),
            attributes: event.attributes,
            customer_hint: customer.is_none().then_some(event.customer),
            raw: event.raw,
        };
        let key = customer.as_ref().map_or(&NO_KEY, |customer| &customer.personal_key);
        let digest = if again { hash::personal_digest(key, &personal) } else { personal_digest };
        let identity = Identity { root, reporter, namespace, source: event.source, id: event.id };
        (identity, (personal != Personal::default()).then_some(personal), digest)
    }
}

fn usage_of<'a>(event: &'a UsageEvent, meter: &MeterTerms) -> Usage<'a> {
    Usage {
        meter: &event.meter,
        is_call: meter.unit == CALL_UNIT,
        aggregation: meter.aggregation,
        at: event.at,
        quantity: event.quantity,
        amount: event.amount,
        destination: event.destination.as_deref(),
        origin: event.origin.as_deref(),
        attributes: &event.attributes,
    }
}

/// Where the events of one request are prepared.
#[derive(Debug)]
pub struct Desk<'a> {
    directory: &'a Directory,
    journal: &'a dyn Journal,
    caller: &'a Caller,
    /// Whose key it is.
    reporter: Reporter,
    now: Instant,
    late: Lateness,
    /// The meter of the event before: mostly this one's too.
    meter: Option<(String, Arc<MeterTerms>)>,
}

/// Who and what an event is about.
struct About {
    meter: Arc<MeterTerms>,
    customer: Option<Arc<Customer>>,
    /// Why there is none.
    nobody: &'static str,
}

/// What memory does not have.
enum Missing {
    Version { timeline: Arc<Timeline>, at: Instant },
    Fallback { timeline: Arc<Timeline>, name: String },
}

/// A plan, or why the event is kept without one; or what has to be read first.
type Planned = Result<Result<Plan, Kept>, Missing>;

impl<'a> Desk<'a> {
    pub fn new(
        directory: &'a Directory,
        journal: &'a dyn Journal,
        (caller, reporter): (&'a Caller, Reporter),
        now: Instant,
        late: Lateness,
    ) -> Self {
        Self { directory, journal, caller, reporter, now, late, meter: None }
    }

    /// With what is in memory; `Err`: something is not. What is refused is malformed (unknown meter, in the
    /// future) and is not kept.
    pub fn at_hand(&mut self, mut event: UsageEvent) -> Result<Result<Prepared, Problem>, Box<UsageEvent>> {
        if let Err(problem) = self.check(&event) {
            return Ok(Err(problem));
        }
        let Some(meter) = self.meter_at_hand(&event.meter) else { return Err(Box::new(event)) };
        let Some(customer) = self.directory.customer_at_hand(self.caller, &event.customer) else { return Err(Box::new(event)) };
        let about = About { meter, customer: Some(customer), nobody: "unknown_customer" };
        let (content, sent) = normalised(&mut event, about.customer.as_deref());
        match self.plan(&about, &event) {
            Ok(priced) => Ok(Ok(self.assemble(event, about, content, sent, priced))),
            Err(_missing) => Err(Box::new(as_sent(event, sent))),
        }
    }

    /// The same, after reading what is missing.
    pub async fn prepare(&mut self, mut event: UsageEvent) -> Result<Prepared, Problem> {
        self.check(&event)?;
        let Some(meter) = self.directory.meter(&event.meter).await? else {
            return Err(Problem::field("unknown_meter", "meter", format!("there is no meter {:?}", event.meter)));
        };
        let (customer, nobody) = match self.directory.customer(self.caller, &event.customer).await {
            Ok(customer) => (customer, "unknown_customer"),
            // Whose it is, its sender can say later: what happened is kept.
            Err(problem) if problem.code == "ambiguous_id" => (None, "ambiguous_customer"),
            Err(problem) => return Err(problem),
        };
        let about = About { meter, customer, nobody };
        let (content, sent) = normalised(&mut event, about.customer.as_deref());
        loop {
            match self.plan(&about, &event) {
                Ok(priced) => return Ok(self.assemble(event, about, content, sent, priced)),
                Err(Missing::Version { timeline, at }) => {
                    if let Some(slot) = timeline.in_force(at) {
                        self.directory.compiled(slot).await?;
                    }
                }
                Err(Missing::Fallback { timeline, name }) => self.directory.load_fallback(&timeline, &name).await?,
            }
        }
    }

    fn check(&self, event: &UsageEvent) -> Result<(), Problem> {
        if event.at <= self.now.plus_secs(FUTURE_SECS_MAX) {
            return Ok(());
        }
        Err(Problem::field("future_event", "at", format!("at most {FUTURE_SECS_MAX} s ahead of the server's clock ({})", self.now)))
    }

    fn meter_at_hand(&mut self, name: &str) -> Option<Arc<MeterTerms>> {
        if let Some((_, meter)) = self.meter.as_ref().filter(|(last, _)| last == name) {
            return Some(Arc::clone(meter));
        }
        let meter = self.directory.meter_at_hand(name)?;
        self.meter = Some((name.to_owned(), Arc::clone(&meter)));
        Some(meter)
    }

    fn plan(&self, about: &About, event: &UsageEvent) -> Planned {
        let Some(customer) = &about.customer else { return Ok(Err(Kept(about.nobody))) };
        if customer.tenant.closed_at.is_some_and(|closed| event.at >= closed) {
            return Ok(Err(Kept("tenant_closed")));
        }
        let window_secs = i64::from(customer.tenant.late_window_days) * 86_400;
        if self.late == Lateness::Kept && event.at < self.now.plus_secs(-window_secs) {
            return Ok(Err(Kept("late")));
        }
        let chain = match customer.chain_at(event.at).map(|plan| &plan.links) {
            Some(Ok(chain)) => chain,
            Some(Err(error)) => return Ok(Err(Kept(error.code()))),
            None => return Ok(Err(Kept("no_agreement"))),
        };
        let Some(currency) = chain.first().map(|link| link.agreement.currency) else { return Ok(Err(Kept("no_agreement"))) };
        let usage = usage_of(event, &about.meter);
        let mut methods = SmallVec::new();
        for link in chain.iter() {
            match self.measure_link(link, &usage)? {
                Ok(method) => methods.push(method),
                Err(kept) => return Ok(Err(kept)),
            }
        }
        Ok(Ok(Plan { currency, meter: Arc::clone(&about.meter), quantity: event.quantity, chain: Arc::clone(chain), methods }))
    }

    fn measure_link(&self, link: &PlanLink, usage: &Usage<'_>) -> Result<Result<Method, Kept>, Missing> {
        match (&link.agreement.pricing, &link.timeline) {
            (Pricing::Commission { commission_bp }, _) => Ok(Ok(Method::Commission { commission_bp: *commission_bp })),
            (Pricing::Wholesale { .. }, Some(timeline)) => self.measure_card(timeline, link.agreement.currency, usage),
            (Pricing::Wholesale { .. }, None) => Ok(Err(Kept("no_rate"))),
        }
    }

    /// The card's version in force at the start, then its fallback cards.
    fn measure_card(&self, timeline: &Arc<Timeline>, currency: Currency, usage: &Usage<'_>) -> Result<Result<Method, Kept>, Missing> {
        let mut timeline = Cow::Borrowed(timeline);
        for _ in 0..FALLBACKS_MAX {
            let Some(slot) = timeline.in_force(usage.at) else { return Ok(Err(Kept("no_rate"))) };
            let Some(card) = slot.compiled.get() else {
                return Err(Missing::Version { timeline: timeline.into_owned(), at: usage.at });
            };
            if card.currency() != currency {
                return Ok(Err(Kept("currency_mismatch")));
            }
            match card.measure(usage) {
                Ok(measured) => return Ok(Ok(Method::Card { version: slot.id, card: Arc::clone(card), measured })),
                Err(Unrated::NoRate) => {}
                Err(unrated) => return Ok(Err(Kept(unrated.code()))),
            }
            let Some(name) = card.fallback() else { return Ok(Err(Kept("no_rate"))) };
            match self.directory.fallback_at_hand(&timeline, name) {
                Some(Some(next)) => timeline = Cow::Owned(next),
                Some(None) => return Ok(Err(Kept("no_rate"))),
                None => return Err(Missing::Fallback { name: name.to_owned(), timeline: timeline.into_owned() }),
            }
        }
        Ok(Err(Kept("no_rate")))
    }

    fn assemble(
        &self,
        event: UsageEvent,
        about: About,
        content: [u8; 16],
        sent: [Option<CompactString>; 2],
        priced: Result<Plan, Kept>,
    ) -> Prepared {
        let customer = about.customer;
        let root = customer.as_ref().map_or(self.caller.root, |c| c.tenant.root);
        let reporter = self.reporter;
        let name = |root| Name { root, reporter, namespace: Namespace::Usage, source: &event.source, id: &event.id };
        let key = |root| self.journal.identity_key(name(root));
        let orphan = (root != self.caller.root).then(|| (self.caller.root, key(self.caller.root)));
        let hold = match &event.hold {
            Some(name) => named_hold(root, reporter, &event.source, name),
            None => hold_id(root, reporter, &event.source, &event.id),
        };
        let hint = customer.is_none().then_some(event.customer.as_str());
        let personal_key = customer.as_ref().map_or(&NO_KEY, |c| &c.personal_key);
        let texts = [event.destination.as_deref(), event.origin.as_deref(), hint, event.raw.as_deref()];
        let personal_digest = hash::personal_digest_of(personal_key, texts, &event.attributes);
        Prepared {
            key: key(root),
            reporter,
            others: Vec::new(),
            root,
            namespace: Namespace::Usage,
            orphan,
            content,
            personal_digest,
            hold,
            sent,
            sender: self.caller.tenant,
            customer,
            received_at: self.now,
            priced,
            event,
        }
    }
}

/// Numbers become digits as the customer's country writes them. The digest of the content as sent, and the
/// numbers that changed, as they were.
fn normalised(event: &mut UsageEvent, customer: Option<&Customer>) -> ([u8; 16], [Option<CompactString>; 2]) {
    let content = content_digest(customer.map_or(&NO_KEY, |c| &c.personal_key), event, &event.customer, [None, None]);
    let country = customer.and_then(|c| c.tenant.country.as_deref());
    let digits = |number: &mut Option<CompactString>| {
        let text = number.as_deref()?;
        let digits = numbers::normalise(text, country).filter(|digits| *digits != text).map(CompactString::from)?;
        number.replace(digits)
    };
    let sent = [digits(&mut event.destination), digits(&mut event.origin)];
    (content, sent)
}

/// The event before [`normalised`].
fn as_sent(event: UsageEvent, [destination, origin]: [Option<CompactString>; 2]) -> UsageEvent {
    UsageEvent { destination: destination.or(event.destination), origin: origin.or(event.origin), ..event }
}

/// Equal after parsing: "600" = 600.0; attributes are sorted; the hold and the raw record do not count.
/// `sent`: destination and origin as sent, where the event has other digits by now.
fn content_digest(key: &[u8; 32], event: &UsageEvent, customer: &str, sent: [Option<&str>; 2]) -> [u8; 16] {
    let amount = event.amount.map(|amount| amount.to_string());
    let mut digest = Digest::keyed(key);
    digest
        .text(customer)
        .text(&event.meter)
        .number(event.quantity.0)
        .number(event.at.micros().into())
        .optional(amount.as_deref())
        .optional(sent[0].or(event.destination.as_deref()))
        .optional(sent[1].or(event.origin.as_deref()));
    for (name, value) in &event.attributes {
        digest.text(name).text(value);
    }
    digest.finish()
}
