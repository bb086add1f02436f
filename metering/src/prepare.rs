//! The half of a usage event's way that needs no turn: customer, chain, cards, measuring. Runs in
//! the caller's task, many at a time; what depends on counters and balances is left to the
//! committer.
//!
//! Nearly every event finds all it needs in memory ([`UsagePreparer::at_hand`]); the others wait for the
//! records ([`UsagePreparer::prepare`]).

use crate::digest::Digest;
use crate::directory::{Customer, Directory};
use crate::distinct_value;
use crate::hold_name::{hold_id, named_hold};
use crate::lacks::{self, Lack};
use crate::plan::{Base, ChainPlan, LinkTerms, PlanLink, Timeline};
use crate::reporters::{self, Other};
use crate::requests::{Caller, FUTURE_SECS_MAX, Problem, UsageEvent};
use crate::standing::{self, BELOW_UNKNOWN, Open};
use compact_str::CompactString;
use formats::numbers::{self, Doubt};
use journal::hash;
use journal::{Identity, Journal, Keyed, Name, Namespace, Personal, Reporter, Seq};
use ledger::Settlement;
use rating::aggregate::Level;
use rating::card::{Aggregation, CALL_UNIT, MeterTerms};
use rating::compile::CompiledCard;
use rating::usage::{Measured, Number, Unrated, Usage};
use rating::{
    CardVersionId, Currency, Instant, Quantity, TenantId,
    ids::{ApiKeyId, HoldId},
};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use tenants::Pricing;

/// How many fallback cards may stand behind one another.
pub const FALLBACKS_MAX: usize = 8;
/// Keys the digests of events whose customer is unknown.
const NO_KEY: [u8; 32] = [0; 32];

/// An event that waits for its turn.
#[derive(Debug, Clone)]
pub struct RatedEvent {
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
    unattributed: Option<(TenantId, u64)>,
    /// Digest of the content as sent, under the customer's key: tells a resend from a conflict.
    pub content: [u8; 16],
    /// Of what names a person, as it stands in a record of a rated event.
    personal_digest: [u8; 16],
    /// The hold that this usage captures, if it is there: the one it names, or the one of its own
    /// id.
    pub hold: HoldId,
    dialled: Dialled,
    /// Whose key sent it, and which.
    pub sender: TenantId,
    pub sender_key: Option<ApiKeyId>,
    /// `None`: kept under the key's own root until somebody creates it.
    pub customer: Option<Arc<Customer>>,
    pub received_at: Instant,
    /// Priced but for the counters, or why it cannot be.
    pub priced: Result<Box<Plan>, UnratedReason>,
    /// What links without a price lack; mostly nothing.
    pub lacks: Vec<Lack>,
    /// The event that it corrects on the lower links alone.
    pub corrects: Option<Seq>,
}

/// Every link measured that can be charged, up to the platform's.
#[derive(Debug, Clone)]
pub struct Plan {
    pub currency: Currency,
    pub meter: Arc<MeterTerms>,
    /// What was measured: the event's own, or another for a hold.
    quantity: Quantity,
    chain: Arc<[PlanLink]>,
    /// Links of the chain below those that are charged.
    skipped: usize,
    /// Of the chain's other links, in their order.
    methods: SmallVec<[Method; 2]>,
    /// Links that cannot be charged, from the customer's own up; mostly none.
    pub open: Vec<Open>,
}

#[derive(Debug, Clone, Copy)]
pub struct MeasuredLink<'a> {
    pub agreement: &'a LinkTerms,
    pub settlement: Settlement,
    pub method: &'a Method,
    /// Of a commission, if it is not taken from the link below.
    pub base: Option<&'a Base>,
}

#[derive(Debug, Clone)]
pub enum Method {
    Card(ByCard),
    /// With a least price, if there is one.
    Commission {
        commission_bp: u16,
        floor: Option<Box<ByCard>>,
    },
}

/// Measured by a version of a card.
#[derive(Debug, Clone)]
pub struct ByCard {
    pub version: CardVersionId,
    pub card: Arc<CompiledCard>,
    pub measured: Measured,
    /// Of its card, with the versions of the month compiled, where some of the price is due once in
    /// a month.
    pub timeline: Option<Arc<Timeline>>,
}

impl Method {
    /// The card that prices the link, or bounds its price.
    pub fn by_card(&self) -> Option<&ByCard> {
        match self {
            Self::Card(by) => Some(by),
            Self::Commission { floor, .. } => floor.as_deref(),
        }
    }
}

/// Why a well-formed event has no price now: a stable code, kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnratedReason(pub &'static str);

impl UnratedReason {
    /// For commands that must be priced at once: holds, dry runs.
    pub fn problem(&self) -> Problem {
        Problem::new(
            self.0,
            format!("this usage cannot be priced: {}", self.0.replace('_', " ")),
        )
    }
}

/// Late events are not priced by themselves; an operator's call may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    Kept,
    Accepted,
}

impl Plan {
    /// From the customer's own link up, or the lowest that can be charged.
    pub fn links(&self) -> impl ExactSizeIterator<Item = MeasuredLink<'_>> {
        self.chain[self.skipped..]
            .iter()
            .zip(&self.methods)
            .map(|(link, method)| MeasuredLink {
                agreement: &link.agreement,
                settlement: link.settlement,
                method,
                base: link.base.as_deref(),
            })
    }
}

impl Plan {
    /// Every link, or the problem of what must be priced at once.
    pub fn check_whole(&self) -> Result<(), Problem> {
        let Some(open) = self.open.first() else {
            return Ok(());
        };
        let (buyer, why) = (open.buyer, open.reason.replace('_', " "));
        Err(Problem::new(
            open.reason,
            format!("this usage cannot be priced on the link of {buyer}: {why}"),
        ))
    }

    /// Of the links only those up to the sales of `seller`: what corrects them alone.
    pub fn keep_up_to(&mut self, seller: TenantId) {
        let last = self
            .links()
            .position(|link| link.agreement.seller == seller);
        if let Some(last) = last {
            self.methods.truncate(last + 1);
        }
    }

    /// Whether any of its prices depends on what the month has counted; most do not.
    pub fn counts(&self) -> bool {
        self.methods.iter().any(|method| {
            method
                .by_card()
                .is_some_and(|by| by.measured.counter.is_some())
        })
    }
}

impl RatedEvent {
    /// Why what must be priced at once cannot be, in words about what the caller may see.
    pub fn unpriced(&self, caller: &Caller) -> Option<Problem> {
        let lack = self.lack_seen_by(caller.tenant)?;
        Some(Problem::new(
            lack.reason,
            format!("this usage cannot be priced: {}", lack.detail),
        ))
    }
    /// What it lacks, on a link that this tenant may see.
    pub fn lack_seen_by(&self, tenant: TenantId) -> Option<&Lack> {
        let path = self
            .customer
            .as_ref()
            .map_or(&[][..], |customer| customer.tenant.path.as_slice());
        let place = |tenant: TenantId| path.iter().position(|id| *id == tenant);
        let own = place(tenant);
        self.lacks
            .iter()
            .find(|lack| lack.buyer.is_none_or(|buyer| place(buyer) >= own))
    }
    /// It took a while to measure: a call that was cut often, or one that was given up.
    pub fn was_long(&self) -> bool {
        const PIECES: usize = 32;
        let pieces = |link: MeasuredLink<'_>| {
            link.method
                .by_card()
                .map_or(0, |by| by.measured.pieces.len())
        };
        self.priced.as_ref().map_or(true, |plan| {
            !plan.open.is_empty() || plan.links().any(|link| pieces(link) > PIECES)
        })
    }
    /// How far below the platform its reporter is.
    pub fn level(&self) -> Level {
        reporters::level(
            self.customer
                .as_ref()
                .map_or(&[][..], |customer| customer.tenant.path.as_slice()),
            self.reporter,
        )
    }
    /// As measured by this plan.
    pub fn usage(&self, plan: &Plan) -> Usage<'_> {
        Usage {
            quantity: plan.quantity,
            ..usage_of(&self.event, &plan.meter, self.dialled.number)
        }
    }
    /// Its name in the journal.
    pub fn name(&self) -> Keyed<'_> {
        Keyed {
            key: self.key,
            name: self.named(self.root),
        }
    }
    pub fn unattributed(&self) -> Option<Keyed<'_>> {
        self.unattributed.map(|(root, key)| Keyed {
            key,
            name: self.named(root),
        })
    }
    fn named(&self, root: TenantId) -> Name<'_> {
        Name {
            root,
            reporter: self.reporter,
            namespace: self.namespace,
            source: &self.event.source,
            id: &self.event.id,
        }
    }
    /// Its names by others of the chain, the highest first; whether they sell to its reporter.
    pub fn others(&self) -> impl Iterator<Item = (bool, Keyed<'_>)> {
        let keyed = |other: &Other| Keyed {
            key: other.key,
            name: Name {
                reporter: other.reporter,
                ..self.named(self.root)
            },
        };
        self.others
            .iter()
            .map(move |other| (other.is_above, keyed(other)))
    }
    /// `reporters`: all that have ever reported in its root.
    pub fn look_beside(&mut self, reporters: &[Reporter], journal: &dyn Journal) {
        let path = self
            .customer
            .as_ref()
            .map_or(&[][..], |customer| customer.tenant.path.as_slice());
        self.others = reporters::others(reporters, path, self.named(self.root), journal);
    }
    /// Another kind of command about this usage; what is recorded under its name is of that kind.
    pub fn in_namespace(
        mut self: Box<Self>,
        namespace: Namespace,
        journal: &dyn Journal,
    ) -> Box<Self> {
        (self.namespace, self.unattributed) = (namespace, None);
        self.others.clear();
        self.key = journal.identity_key(self.named(self.root));
        self
    }
    /// The content's digest as it was kept while the customer was unknown.
    pub fn unattributed_content(&self) -> [u8; 16] {
        self.unattributed_content_as(&self.event.customer)
    }
    /// The same, if the customer was called so.
    pub fn unattributed_content_as(&self, customer: &str) -> [u8; 16] {
        self.content_under(&NO_KEY, customer)
    }
    /// The content's digests as if the customer were called otherwise: everybody has names of his
    /// own.
    pub fn contents_by_other_names(&self) -> SmallVec<[[u8; 16]; 2]> {
        let Some(customer) = &self.customer else {
            return SmallVec::new();
        };
        let (id, external_id) = (
            customer.tenant.id.to_string(),
            customer.tenant.external_id.as_str(),
        );
        let others = [id.as_str(), external_id]
            .into_iter()
            .filter(|name| *name != self.event.customer);
        others
            .map(|name| self.content_under(&customer.personal_key, name))
            .collect()
    }
    /// A request that does not say `at` means the moment it comes: its digest leaves it out.
    pub fn said_without_at(mut self: Box<Self>) -> Box<Self> {
        let at = std::mem::replace(&mut self.event.at, Instant::MIN);
        let key = self
            .customer
            .as_ref()
            .map_or(NO_KEY, |customer| customer.personal_key);
        self.content = self.content_under(&key, &self.event.customer);
        self.event.at = at;
        self
    }
    fn content_under(&self, key: &[u8; 32], customer: &str) -> [u8; 16] {
        content_digest(
            key,
            &self.event,
            customer,
            [
                self.dialled.sent[0].as_deref(),
                self.dialled.sent[1].as_deref(),
            ],
        )
    }
    /// The same usage with another quantity, measured again: what a hold for less would be.
    pub fn of_quantity(&self, plan: &Plan, quantity: Quantity) -> Result<Plan, UnratedReason> {
        let usage = Usage {
            quantity,
            ..self.usage(plan)
        };
        let mut methods = SmallVec::new();
        let again = |by: &ByCard| -> Result<ByCard, UnratedReason> {
            let measured = by
                .card
                .measure(&usage)
                .map_err(|unrated| UnratedReason(unrated.code()))?;
            Ok(ByCard {
                version: by.version,
                card: Arc::clone(&by.card),
                measured,
                timeline: by.timeline.clone(),
            })
        };
        for method in &plan.methods {
            methods.push(match method {
                Method::Card(by) => Method::Card(again(by)?),
                Method::Commission {
                    commission_bp,
                    floor,
                } => {
                    let floor = floor.as_deref().map(again).transpose()?.map(Box::new);
                    Method::Commission {
                        commission_bp: *commission_bp,
                        floor,
                    }
                }
            });
        }
        let (meter, chain) = (Arc::clone(&plan.meter), Arc::clone(&plan.chain));
        Ok(Plan {
            currency: plan.currency,
            meter,
            quantity,
            chain,
            skipped: plan.skipped,
            methods,
            open: plan.open.clone(),
        })
    }
    pub fn personal_key(&self) -> &[u8; 32] {
        self.customer
            .as_ref()
            .map_or(&NO_KEY, |customer| &customer.personal_key)
    }
    /// An unknown customer's usage belongs to its sender: only there will its customer be looked
    /// for.
    pub fn owner(&self) -> TenantId {
        self.customer
            .as_ref()
            .map_or(self.sender, |customer| customer.tenant.id)
    }

    /// Its identity and personal part for the record. `as_sent`: what will be prepared again (kept
    /// usage, holds); digits that are normal already could be taken for a national number.
    pub fn into_record_parts(
        self: Box<Self>,
        as_sent: bool,
    ) -> (Identity, Option<Personal>, [u8; 16]) {
        let Self {
            event,
            dialled:
                Dialled {
                    sent: [destination, origin],
                    ..
                },
            root,
            reporter,
            namespace,
            customer,
            personal_digest,
            ..
        } = *self;
        let again = as_sent && (destination.is_some() || origin.is_some());
        let number = |sent: Option<CompactString>, digits: Option<CompactString>| {
            if as_sent { sent.or(digits) } else { digits }
        };
        let personal = Personal {
            destination: number(destination, event.destination),
            origin: number(origin, event.origin),
            attributes: event.attributes,
            customer_hint: customer.is_none().then_some(event.customer),
            raw: event.raw,
        };
        let key = customer
            .as_ref()
            .map_or(&NO_KEY, |customer| &customer.personal_key);
        let digest = if again {
            hash::personal_digest(key, &personal)
        } else {
            personal_digest
        };
        let identity = Identity {
            root,
            reporter,
            namespace,
            source: event.source,
            id: event.id,
        };
        (
            identity,
            (personal != Personal::default()).then_some(personal),
            digest,
        )
    }
}

pub(crate) fn usage_of<'a>(event: &'a UsageEvent, meter: &MeterTerms, number: Number) -> Usage<'a> {
    Usage {
        meter: &event.meter,
        is_call: meter.unit == CALL_UNIT,
        aggregation: meter.aggregation,
        at: event.at,
        quantity: event.quantity,
        amount: event.amount,
        number,
        // An extension 49 is no call to Germany, whose rates have this prefix.
        destination: event
            .destination
            .as_deref()
            .filter(|digits| number != Number::Short || !numbers::is_code_alone(digits)),
        origin: event.origin.as_deref(),
        attributes: &event.attributes,
    }
}

/// Where the events of one request are prepared.
#[derive(Debug)]
pub struct UsagePreparer<'a> {
    directory: &'a Directory,
    journal: &'a dyn Journal,
    caller: &'a Caller,
    /// Whose key it is.
    reporter: Reporter,
    now: Instant,
    late: Lateness,
    /// What is told has happened: it ended before now.
    is_over: bool,
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
    Version {
        timeline: Arc<Timeline>,
        id: CardVersionId,
    },
    Fallback {
        timeline: Arc<Timeline>,
        name: String,
    },
}

/// A plan, or why the event is kept without one; or what has to be read first.
type Planned = Result<Result<Box<Plan>, UnratedReason>, Missing>;

impl<'a> UsagePreparer<'a> {
    pub fn new(
        directory: &'a Directory,
        journal: &'a dyn Journal,
        (caller, reporter): (&'a Caller, Reporter),
        now: Instant,
        late: Lateness,
    ) -> Self {
        Self {
            directory,
            journal,
            caller,
            reporter,
            now,
            late,
            is_over: false,
            meter: None,
        }
    }

    /// Of usage that is reported, not asked for: a call cannot have lasted longer than since it
    /// began.
    pub fn of_reports(self) -> Self {
        Self {
            is_over: true,
            ..self
        }
    }

    /// With what is in memory; `Err`: something is not. What is refused is malformed (in the
    /// future) and is not kept.
    pub fn at_hand(
        &mut self,
        mut event: UsageEvent,
    ) -> Result<Result<Box<RatedEvent>, Problem>, Box<UsageEvent>> {
        if let Err(problem) = self.check(&event) {
            return Ok(Err(problem));
        }
        let Some(meter) = self.meter_at_hand(&event.meter) else {
            return Err(Box::new(event));
        };
        if let Err(problem) = self.check_over(&event, &meter) {
            return Ok(Err(problem));
        }
        let Some(customer) = self
            .directory
            .customer_at_hand(self.caller, &event.customer)
        else {
            return Err(Box::new(event));
        };
        let about = About {
            meter,
            customer: Some(customer),
            nobody: "unknown_customer",
        };
        let (content, dialled) = normalised(&mut event, about.customer.as_deref());
        match self.plan(&about, &event, dialled.number) {
            Ok(priced) => Ok(Ok(self.assemble(event, about, content, dialled, priced))),
            Err(_missing) => Err(Box::new(as_sent(event, dialled))),
        }
    }

    /// The same, after reading what is missing.
    pub async fn prepare(&mut self, mut event: UsageEvent) -> Result<Box<RatedEvent>, Problem> {
        self.check(&event)?;
        let Some(meter) = self.directory.meter(&event.meter).await? else {
            return Err(Problem::field(
                UNKNOWN_METER,
                "meter",
                format!("there is no meter {:?}", event.meter),
            ));
        };
        self.check_over(&event, &meter)?;
        let (customer, nobody) = self.customer_of(&event).await?;
        let about = About {
            meter,
            customer,
            nobody,
        };
        let (content, dialled) = normalised(&mut event, about.customer.as_deref());
        loop {
            match self.plan(&about, &event, dialled.number) {
                Ok(priced) => return Ok(self.assemble(event, about, content, dialled, priced)),
                Err(Missing::Version { timeline, id }) => {
                    if let Some(slot) = timeline.versions.iter().find(|slot| slot.id == id) {
                        self.directory.compiled(slot).await?;
                    }
                }
                Err(Missing::Fallback { timeline, name }) => {
                    self.directory.load_fallback(&timeline, &name).await?
                }
            }
        }
    }

    /// The same for what has happened: it is kept where there is no such meter, which can be made
    /// later.
    pub async fn prepare_report(
        &mut self,
        mut event: UsageEvent,
    ) -> Result<Box<RatedEvent>, Problem> {
        if self.directory.meter(&event.meter).await?.is_some() {
            return self.prepare(event).await;
        }
        self.check(&event)?;
        let (customer, nobody) = self.customer_of(&event).await?;
        let kept = UnratedReason(if customer.is_some() {
            UNKNOWN_METER
        } else {
            nobody
        });
        let about = About {
            meter: no_meter(),
            customer,
            nobody,
        };
        let (content, dialled) = normalised(&mut event, about.customer.as_deref());
        Ok(self.assemble(event, about, content, dialled, Err(kept)))
    }

    async fn customer_of(
        &self,
        event: &UsageEvent,
    ) -> Result<(Option<Arc<Customer>>, &'static str), Problem> {
        match self.directory.customer(self.caller, &event.customer).await {
            Ok(customer) => Ok((customer, "unknown_customer")),
            // Whose it is, its sender can say later: what happened is kept.
            Err(problem) if problem.code == "ambiguous_id" => Ok((None, "ambiguous_customer")),
            Err(problem) => Err(problem),
        }
    }

    fn check(&self, event: &UsageEvent) -> Result<(), Problem> {
        if event.at <= self.now.plus_secs(FUTURE_SECS_MAX) {
            return Ok(());
        }
        Err(Problem::field(
            "future_event",
            "at",
            format!(
                "at most {FUTURE_SECS_MAX} s ahead of the server's clock ({})",
                self.now
            ),
        ))
    }

    fn check_over(&self, event: &UsageEvent, meter: &MeterTerms) -> Result<(), Problem> {
        const NANOS_PER_MICRO: i128 = Quantity::ONE / 1_000_000;
        let ended = i128::from(event.at.micros()) + event.quantity.0 / NANOS_PER_MICRO;
        if !self.is_over
            || meter.unit != CALL_UNIT
            || ended <= i128::from(self.now.plus_secs(FUTURE_SECS_MAX).micros())
        {
            return Ok(());
        }
        let detail = format!(
            "a call of {} s from {} on would not be over yet (now: {}): `quantity` is in seconds, \
                `at` is when the call began",
            event.quantity, event.at, self.now
        );
        Err(Problem::field("impossible_duration", "quantity", detail))
    }

    fn meter_at_hand(&mut self, name: &str) -> Option<Arc<MeterTerms>> {
        if let Some((_, meter)) = self.meter.as_ref().filter(|(last, _)| last == name) {
            return Some(Arc::clone(meter));
        }
        let meter = self.directory.meter_at_hand(name)?;
        self.meter = Some((name.to_owned(), Arc::clone(&meter)));
        Some(meter)
    }

    fn plan(&self, about: &About, event: &UsageEvent, number: Number) -> Planned {
        let Some(customer) = &about.customer else {
            return Ok(Err(UnratedReason(about.nobody)));
        };
        let window_secs = i64::from(customer.tenant.late_window_days) * 86_400;
        if self.late == Lateness::Kept && event.at < self.now.plus_secs(-window_secs) {
            return Ok(Err(UnratedReason("late")));
        }
        let Some(at) = customer.chain_at(event.at) else {
            return Ok(Err(UnratedReason("no_agreement")));
        };
        let chain = match &at.links {
            Ok(chain) => chain,
            Err(error) => return Ok(Err(UnratedReason(error.code()))),
        };
        let usage = usage_of(event, &about.meter, number);
        let mut methods = SmallVec::new();
        if at.open.is_empty() {
            for link in chain.iter() {
                match self.measure_link(link, &usage, &about.meter)? {
                    Ok(method) => methods.push(method),
                    Err(_kept) => break,
                }
            }
        }
        if methods.len() < chain.len() {
            return self.plan_upper(at, chain, about, &usage);
        }
        let Some(currency) = chain.first().map(|link| link.agreement.currency) else {
            return Ok(Err(UnratedReason("no_agreement")));
        };
        let (meter, chain) = (Arc::clone(&about.meter), Arc::clone(chain));
        Ok(Ok(Box::new(Plan {
            currency,
            meter,
            quantity: event.quantity,
            chain,
            skipped: 0,
            methods,
            open: Vec::new(),
        })))
    }

    /// Where not every link can be charged: those above.
    fn plan_upper(
        &self,
        at: &ChainPlan,
        chain: &Arc<[PlanLink]>,
        about: &About,
        usage: &Usage<'_>,
    ) -> Planned {
        let mut links: SmallVec<[(TenantId, Option<&'static str>); 4]> = at
            .open
            .iter()
            .map(|open| (open.buyer, Some(open.reason)))
            .collect();
        let below = links.len();
        let mut measured = Vec::with_capacity(chain.len());
        for link in chain.iter() {
            let method = self.measure_link(link, usage, &about.meter)?;
            let reason = match &method {
                Ok(Method::Card(_) | Method::Commission { floor: Some(_), .. }) => None,
                Ok(Method::Commission { floor: None, .. }) => links
                    .last()
                    .is_none_or(|(_, reason)| reason.is_some())
                    .then_some(BELOW_UNKNOWN),
                Err(kept) => Some(kept.0),
            };
            links.push((link.agreement.buyer, reason));
            measured.push(method);
        }
        let (first, open) = standing::cut(&links);
        let skipped = first.saturating_sub(below);
        let methods: SmallVec<[Method; 2]> = measured.into_iter().skip(skipped).flatten().collect();
        let Some(top) = chain.last().filter(|_| !methods.is_empty()) else {
            return Ok(Err(UnratedReason(standing::reason(&open))));
        };
        let (meter, chain) = (Arc::clone(&about.meter), Arc::clone(chain));
        Ok(Ok(Box::new(Plan {
            currency: top.agreement.currency,
            meter,
            quantity: usage.quantity,
            chain,
            skipped,
            methods,
            open,
        })))
    }

    #[inline]
    fn measure_link(
        &self,
        link: &PlanLink,
        usage: &Usage<'_>,
        meter: &MeterTerms,
    ) -> Result<Result<Method, UnratedReason>, Missing> {
        let (timeline, commission_bp) = match (&link.agreement.pricing, &link.timeline) {
            (Pricing::Wholesale { .. }, Some(timeline)) => (timeline, None),
            (Pricing::Wholesale { .. }, None) => return Ok(Err(UnratedReason("no_rate"))),
            (Pricing::Commission { commission_bp }, Some(floor)) => (floor, Some(*commission_bp)),
            (Pricing::Commission { commission_bp }, None) => {
                return Ok(Ok(Method::Commission {
                    commission_bp: *commission_bp,
                    floor: None,
                }));
            }
        };
        // A floor needs nobody's approval.
        let approval = link.approval.as_deref().filter(|_| commission_bp.is_none());
        let by =
            match self.measure_card(timeline, (link.agreement.currency, approval), usage, meter)? {
                Ok(by) => by,
                Err(kept) => return Ok(Err(kept)),
            };
        Ok(Ok(match commission_bp {
            None => Method::Card(by),
            Some(commission_bp) => Method::Commission {
                commission_bp,
                floor: Some(Box::new(by)),
            },
        }))
    }

    /// The card's version in force at the start, then its fallback cards. `approval`: only versions
    /// that one of these tenants published or approved are in force.
    #[inline]
    fn measure_card(
        &self,
        timeline: &Arc<Timeline>,
        (currency, approval): (Currency, Option<&[TenantId]>),
        usage: &Usage<'_>,
        meter: &MeterTerms,
    ) -> Result<Result<ByCard, UnratedReason>, Missing> {
        let found = through_fallbacks(
            Cow::Borrowed(timeline),
            |timeline: Cow<'_, Arc<Timeline>>| {
                let Some(slot) = timeline.in_force(usage.at, approval) else {
                    let unapproved = timeline.in_force(usage.at, None).is_some();
                    return Ok(Asked::Found(Err(UnratedReason(if unapproved {
                        "card_not_approved"
                    } else {
                        "no_rate"
                    }))));
                };
                let Some(card) = slot.compiled.get() else {
                    let id = slot.id;
                    return Err(Missing::Version {
                        timeline: timeline.into_owned(),
                        id,
                    });
                };
                if card.currency() != currency {
                    return Ok(Asked::Found(Err(UnratedReason("currency_mismatch"))));
                }
                match card.measure(usage) {
                    Ok(measured) => {
                        let has_flats =
                            measured.counter.is_some() && card.has_flats(measured.found.rate);
                        if has_flats
                            && let Some(id) =
                                timeline.not_compiled_since(card.month_began(usage.at))
                        {
                            return Err(Missing::Version {
                                timeline: timeline.into_owned(),
                                id,
                            });
                        }
                        let of_card = has_flats.then(|| Arc::clone(&timeline));
                        let by = ByCard {
                            version: slot.id,
                            card: Arc::clone(card),
                            measured,
                            timeline: of_card,
                        };
                        let checked = check(card, &by.measured, usage, meter);
                        return Ok(Asked::Found(
                            checked
                                .map(|()| by)
                                .map_err(|unrated| UnratedReason(unrated.code())),
                        ));
                    }
                    Err(Unrated::NoRate) => {}
                    Err(unrated) => return Ok(Asked::Found(Err(UnratedReason(unrated.code())))),
                }
                let Some(name) = card.fallback() else {
                    return Ok(Asked::Found(Err(UnratedReason("no_rate"))));
                };
                match self.directory.fallback_at_hand(&timeline, name) {
                    Some(Some(next)) => Ok(Asked::Next(Cow::Owned(next))),
                    Some(None) => Ok(Asked::Found(Err(UnratedReason("no_rate")))),
                    None => Err(Missing::Fallback {
                        name: name.to_owned(),
                        timeline: timeline.into_owned(),
                    }),
                }
            },
        )?;
        Ok(found.unwrap_or(Err(UnratedReason("no_rate"))))
    }

    fn assemble(
        &self,
        event: UsageEvent,
        about: About,
        content: [u8; 16],
        dialled: Dialled,
        priced: Result<Box<Plan>, UnratedReason>,
    ) -> Box<RatedEvent> {
        let lacks = self.lacks(&event, &about, &priced, &dialled);
        let customer = about.customer;
        let root = customer
            .as_ref()
            .map_or(self.caller.root, |c| c.tenant.root);
        let reporter = self.reporter;
        let name = |root| Name {
            root,
            reporter,
            namespace: Namespace::Usage,
            source: &event.source,
            id: &event.id,
        };
        let key = |root| self.journal.identity_key(name(root));
        let unattributed =
            (root != self.caller.root).then(|| (self.caller.root, key(self.caller.root)));
        let hold = match &event.hold {
            Some(name) => named_hold(root, reporter, &event.source, name),
            None => hold_id(root, reporter, &event.source, &event.id),
        };
        let hint = customer.is_none().then_some(event.customer.as_str());
        let personal_key = customer.as_ref().map_or(&NO_KEY, |c| &c.personal_key);
        let texts = [
            event.destination.as_deref(),
            event.origin.as_deref(),
            hint,
            event.raw.as_deref(),
        ];
        let personal_digest = hash::personal_digest_of(personal_key, texts, &event.attributes);
        Box::new(RatedEvent {
            key: key(root),
            reporter,
            others: Vec::new(),
            root,
            namespace: Namespace::Usage,
            unattributed,
            content,
            personal_digest,
            hold,
            dialled,
            sender: self.caller.tenant,
            sender_key: self.caller.key,
            customer,
            received_at: self.now,
            priced,
            lacks,
            corrects: None,
            event,
        })
    }

    /// In words, where something has no price.
    fn lacks(
        &self,
        event: &UsageEvent,
        about: &About,
        priced: &Result<Box<Plan>, UnratedReason>,
        dialled: &Dialled,
    ) -> Vec<Lack> {
        let reason = match priced {
            Ok(plan) if plan.open.is_empty() => return Vec::new(),
            Ok(_) => None,
            Err(kept) => Some(kept.0),
        };
        let Some(customer) = &about.customer else {
            let name = &event.customer;
            let detail = match about.nobody {
                "ambiguous_customer" => format!(
                    "several tenants are called {name:?}: name the one that is meant by its id \
                        (ten_…)"
                ),
                _ => format!("there is no tenant {name:?} below the key's"),
            };
            return vec![Lack::of_event(about.nobody, detail)];
        };
        if reason == Some("late") {
            let days = customer.tenant.late_window_days;
            return vec![Lack::of_event(
                "late",
                format!("it is older than {days} days; rating it again by hand gives it a price"),
            )];
        }
        if reason == Some(UNKNOWN_METER) {
            let detail = format!(
                "there is no meter {:?}: once it is made (POST /v1/meters), rate again",
                event.meter
            );
            return vec![Lack::of_event(UNKNOWN_METER, detail)];
        }
        let usage = usage_of(event, &about.meter, dialled.number);
        let reasons = match priced {
            Ok(plan) => plan
                .open
                .iter()
                .map(|open| (open.buyer, open.reason))
                .collect(),
            Err(_) => self.reasons(customer, &usage, &about.meter),
        };
        let mut lacks = lacks::of_chain(self.directory, customer, (&usage, &about.meter), &reasons);
        if let Some(doubt) = &dialled.doubt {
            for lack in lacks
                .iter_mut()
                .filter(|lack| lack.reason == Unrated::NoRate.code())
            {
                lack.detail = format!("{}; {doubt}", lack.detail);
            }
        }
        lacks
    }

    /// Of every link of the chain that has no price.
    fn reasons(
        &self,
        customer: &Customer,
        usage: &Usage<'_>,
        meter: &MeterTerms,
    ) -> Vec<(TenantId, &'static str)> {
        let Some(at) = customer.chain_at(usage.at) else {
            return Vec::new();
        };
        let chain = match &at.links {
            Ok(chain) => chain,
            Err(error) => {
                let buyers = customer.tenant.path.iter().skip(1).rev();
                let lacking = buyers.filter(|buyer| {
                    !customer
                        .agreements_of(**buyer)
                        .any(|terms| terms.in_force(usage.at))
                });
                let lacking: Vec<_> = lacking.map(|buyer| (*buyer, NO_AGREEMENT)).collect();
                let is_that = error.code() == NO_AGREEMENT && !lacking.is_empty();
                return if is_that {
                    lacking
                } else {
                    vec![(customer.tenant.id, error.code())]
                };
            }
        };
        let mut reasons: Vec<_> = at
            .open
            .iter()
            .map(|open| (open.buyer, open.reason))
            .collect();
        for link in chain.iter() {
            if let Ok(Err(kept)) = self.measure_link(link, usage, meter) {
                reasons.push((link.agreement.buyer, kept.0));
            }
        }
        reasons
    }
}

/// What stands in the place of terms, where nobody has made the meter.
pub(crate) fn no_meter() -> Arc<MeterTerms> {
    Arc::new(MeterTerms {
        unit: String::new(),
        aggregation: Aggregation::Sum,
        unique_by: None,
    })
}

/// The reason of an event whose meter nobody has made.
const UNKNOWN_METER: &str = "unknown_meter";
/// The reason of a buyer without terms.
const NO_AGREEMENT: &str = "no_agreement";

/// What can be said before the event's turn of a usage that a card has a rate for.
pub(crate) fn check(
    card: &CompiledCard,
    measured: &Measured,
    usage: &Usage<'_>,
    meter: &MeterTerms,
) -> Result<(), Unrated> {
    card.check(measured, usage)?;
    distinct_value::check(
        card.aggregation(measured.found.rate, meter.aggregation),
        measured,
        meter,
        usage.attributes,
    )
}

/// What a card says of a usage.
pub(crate) enum Asked<C, F> {
    Found(F),
    /// It has no rate: its fallback card is asked.
    Next(C),
}

/// Asks a card, then its fallback cards; `None`: there are too many of them.
pub(crate) fn through_fallbacks<C, F, E>(
    first: C,
    mut ask: impl FnMut(C) -> Result<Asked<C, F>, E>,
) -> Result<Option<F>, E> {
    let mut card = first;
    for _ in 0..FALLBACKS_MAX {
        match ask(card)? {
            Asked::Found(found) => return Ok(Some(found)),
            Asked::Next(next) => card = next,
        }
    }
    Ok(None)
}

/// Numbers become digits as the customer's country writes them. The digest of the content as sent,
/// and the numbers that changed, as they were.
fn normalised(event: &mut UsageEvent, customer: Option<&Customer>) -> ([u8; 16], Dialled) {
    let content = content_digest(
        customer.map_or(&NO_KEY, |c| &c.personal_key),
        event,
        &event.customer,
        [None, None],
    );
    (
        content,
        dial(event, customer.and_then(|c| c.tenant.country.as_deref())),
    )
}

/// Numbers become digits as the country writes them; those that changed, as they were. What cannot
/// be read as a number stays as it is, and matches no prefix.
pub(crate) fn dial(event: &mut UsageEvent, country: Option<&str>) -> Dialled {
    let read = |number: &mut Option<CompactString>| {
        let text = number.as_deref()?;
        let read = numbers::read(text, country)?;
        let (digits, doubt) = (
            Some(read.digits)
                .filter(|digits| *digits != text)
                .map(CompactString::from),
            read.doubt,
        );
        Some((digits.and_then(|digits| number.replace(digits)), doubt))
    };
    let (origin, _) = read(&mut event.origin).unwrap_or_default();
    let (destination, doubt) = read(&mut event.destination).unwrap_or_default();
    let sent = [destination, origin];
    let destination = event.destination.as_deref().unwrap_or_default();
    let text = sent[0].as_deref().unwrap_or(destination);
    let number = match doubt {
        Some(_) => Number::Unclear,
        None if numbers::is_short(text, destination, country) => Number::Short,
        None if numbers::is_of_no_country(destination) => Number::WithoutCountry,
        None => Number::International,
    };
    Dialled {
        sent,
        number,
        doubt,
    }
}

/// What became of an event's numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialled {
    /// Destination and origin as sent, where the customer's country made other digits of them.
    sent: [Option<CompactString>; 2],
    pub(crate) number: Number,
    /// It may be one of a country, but nobody knows which.
    pub(crate) doubt: Option<Doubt>,
}

/// Of an event as it was sent, outside an installation.
pub(crate) fn content_of(event: &UsageEvent) -> [u8; 16] {
    content_digest(&NO_KEY, event, &event.customer, [None, None])
}

/// Of what an event is called, outside an installation.
pub(crate) fn identity_digest(source: &str, id: &str) -> [u8; 16] {
    Digest::keyed(&NO_KEY).text(source).text(id).finish()
}

/// The event before [`normalised`].
fn as_sent(event: UsageEvent, dialled: Dialled) -> UsageEvent {
    let [destination, origin] = dialled.sent;
    UsageEvent {
        destination: destination.or(event.destination),
        origin: origin.or(event.origin),
        ..event
    }
}

/// Equal after parsing: "600" = 600.0; attributes are sorted; the hold and the raw record do not
/// count. `sent`: destination and origin as sent, where the event has other digits by now.
fn content_digest(
    key: &[u8; 32],
    event: &UsageEvent,
    customer: &str,
    sent: [Option<&str>; 2],
) -> [u8; 16] {
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
