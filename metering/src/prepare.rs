//! The half of a usage event's way that needs no turn: customer, chain, cards, measuring. Runs in the
//! caller's task, many at a time; what depends on counters and balances is left to the committer.

use crate::command::{Caller, FUTURE_SECS_MAX, Problem, UsageEvent};
use crate::digest::Digest;
use crate::directory::{Customer, Directory};
use crate::hold_name::{hold_id, named_hold};
use crate::numbers;
use crate::plan::{PlanLink, Timeline};
use rating::card::MeterTerms;
use rating::compile::CompiledCard;
use rating::usage::{Measured, Unrated, Usage};
use rating::{CardVersionId, Currency, Instant, Quantity, TenantId, ids::HoldId};
use std::borrow::Cow;
use std::sync::Arc;
use store::journal::{Identity, Namespace, Personal};
use tenants::{Agreement, Pricing};

/// How many fallback cards may stand behind one another.
const FALLBACKS_MAX: usize = 8;
/// Usage of a meter in this unit is a call.
const CALL_UNIT: &str = "second";
/// Keys the digests of events whose customer is unknown.
const NO_KEY: [u8; 32] = [0; 32];

/// An event that waits for its turn.
#[derive(Debug)]
pub struct Prepared {
    pub event: UsageEvent,
    pub identity: Identity,
    /// Where the event lies if it came before its customer was known: under the key's own root.
    pub orphan: Option<Identity>,
    /// Digest of the content as sent, under the customer's key: tells a resend from a conflict.
    pub content: [u8; 16],
    /// The digest before it was keyed; never stored.
    plain: [u8; 16],
    /// Destination and origin as sent, where the customer's country made other digits of them.
    sent: [Option<String>; 2],
    /// Whose key sent it.
    pub sender: TenantId,
    /// `None`: kept under the key's own root until somebody creates it.
    pub customer: Option<Arc<Customer>>,
    pub received_at: Instant,
    /// Priced but for the counters, or why it cannot be.
    pub priced: Result<Plan, Kept>,
}

/// Every link measured, from the customer's own up.
#[derive(Debug)]
pub struct Plan {
    pub currency: Currency,
    pub meter: Arc<MeterTerms>,
    pub links: Vec<MeasuredLink>,
}

#[derive(Debug)]
pub struct MeasuredLink {
    pub agreement: Agreement,
    pub method: Method,
}

#[derive(Debug)]
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

impl Prepared {
    pub fn usage(&self, meter: &MeterTerms) -> Usage<'_> {
        usage_of(&self.event, meter)
    }
    /// `as_sent`: what will be prepared again (kept usage, holds). Digits that are normal already could be
    /// taken for a national number.
    pub fn personal(&self, as_sent: bool) -> Personal {
        let event = &self.event;
        let [destination, origin] = &self.sent;
        let number = |sent: &Option<String>, digits: &Option<String>| sent.as_ref().filter(|_| as_sent).or(digits.as_ref()).cloned();
        Personal {
            destination: number(destination, &event.destination),
            origin: number(origin, &event.origin),
            attributes: event.attributes.clone(),
            customer_hint: self.customer.is_none().then(|| event.customer.clone()),
            raw: event.raw.clone(),
        }
    }
    /// The content's digest as it was kept while the customer was unknown.
    pub fn orphan_content(&self) -> [u8; 16] {
        sealed(&NO_KEY, &self.plain)
    }
    /// The hold that this usage captures, if it is there: the one it names, or the one of its own id.
    pub fn hold_id(&self) -> HoldId {
        let (root, source) = (self.identity.root, &self.event.source);
        match &self.event.hold {
            Some(name) => named_hold(root, source, name),
            None => hold_id(root, source, &self.event.id),
        }
    }
    /// The same usage with another quantity, measured again: what a hold for less would be.
    pub fn of_quantity(&self, plan: &Plan, quantity: Quantity) -> Result<(Self, Plan), Kept> {
        let event = UsageEvent { quantity, ..self.event.clone() };
        let usage = usage_of(&event, &plan.meter);
        let mut links = Vec::with_capacity(plan.links.len());
        for link in &plan.links {
            let method = match &link.method {
                Method::Commission { commission_bp } => Method::Commission { commission_bp: *commission_bp },
                Method::Card { version, card, .. } => {
                    let measured = card.measure(&usage).map_err(|unrated| Kept(unrated.code()))?;
                    Method::Card { version: *version, card: Arc::clone(card), measured }
                }
            };
            links.push(MeasuredLink { agreement: link.agreement.clone(), method });
        }
        let plan = Plan { currency: plan.currency, meter: Arc::clone(&plan.meter), links };
        let (identity, customer) = (self.identity.clone(), self.customer.clone());
        let (content, plain, sender, received_at) = (self.content, self.plain, self.sender, self.received_at);
        let priced = Err(Kept("measured_apart"));
        let sent = [None, None];
        Ok((Self { event, identity, orphan: None, content, plain, sent, sender, customer, received_at, priced }, plan))
    }
    pub fn personal_key(&self) -> &[u8; 32] {
        self.customer.as_ref().map_or(&NO_KEY, |customer| &customer.personal_key)
    }
}

pub fn usage_of<'a>(event: &'a UsageEvent, meter: &MeterTerms) -> Usage<'a> {
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

/// What is refused here is malformed (unknown meter, in the future) and is not kept.
pub async fn prepare(directory: &Directory, caller: &Caller, event: UsageEvent, now: Instant, late: Lateness) -> Result<Prepared, Problem> {
    if event.at > now.plus_secs(FUTURE_SECS_MAX) {
        return Err(Problem::field("future_event", "at", format!("at most {FUTURE_SECS_MAX} s ahead of the server's clock ({now})")));
    }
    let Some(meter) = directory.meter(&event.meter).await? else {
        return Err(Problem::field("unknown_meter", "meter", format!("there is no meter {:?}", event.meter)));
    };
    let customer = directory.customer(caller, &event.customer).await?;
    let identity = |root| Identity { root, namespace: Namespace::Usage, source: event.source.clone(), id: event.id.clone() };
    let root = customer.as_ref().map_or(caller.root, |c| c.tenant.root);
    let (identity, orphan) = (identity(root), (root != caller.root).then(|| identity(caller.root)));
    let plain = content_digest(&event);
    let content = sealed(customer.as_ref().map_or(&NO_KEY, |c| &c.personal_key), &plain);
    let (event, sent) = normalised(event, customer.as_deref());
    let priced = match &customer {
        None => Err(Kept("unknown_customer")),
        Some(customer) => plan(directory, customer, &event, meter, now, late).await?,
    };
    let sender = caller.tenant;
    Ok(Prepared { event, identity, orphan, content, plain, sent, sender, customer, received_at: now, priced })
}

/// Numbers become digits as the customer's country writes them; with those that changed, as they were.
fn normalised(mut event: UsageEvent, customer: Option<&Customer>) -> (UsageEvent, [Option<String>; 2]) {
    let country = customer.and_then(|c| c.tenant.country.as_deref());
    let digits = |number: &mut Option<String>| {
        let text = number.as_deref()?;
        let digits = numbers::normalise(text, country).filter(|digits| *digits != text).map(Cow::into_owned)?;
        number.replace(digits)
    };
    let sent = [digits(&mut event.destination), digits(&mut event.origin)];
    (event, sent)
}

async fn plan(
    directory: &Directory,
    customer: &Customer,
    event: &UsageEvent,
    meter: Arc<MeterTerms>,
    now: Instant,
    late: Lateness,
) -> Result<Result<Plan, Kept>, Problem> {
    if customer.tenant.closed_at.is_some_and(|closed| event.at >= closed) {
        return Ok(Err(Kept("tenant_closed")));
    }
    let window_secs = i64::from(customer.tenant.late_window_days) * 86_400;
    if late == Lateness::Kept && event.at < now.plus_secs(-window_secs) {
        return Ok(Err(Kept("late")));
    }
    let chain = match customer.chain_at(event.at).map(|plan| plan.links.as_ref()) {
        Some(Ok(chain)) => chain,
        Some(Err(error)) => return Ok(Err(Kept(error.code()))),
        None => return Ok(Err(Kept("no_agreement"))),
    };
    let usage = usage_of(event, &meter);
    let mut links = Vec::with_capacity(chain.len());
    for link in chain {
        match measure_link(directory, link, &usage).await? {
            Ok(method) => links.push(MeasuredLink { agreement: link.agreement.clone(), method }),
            Err(kept) => return Ok(Err(kept)),
        }
    }
    let Some(currency) = chain.first().map(|link| link.agreement.currency) else {
        return Ok(Err(Kept("no_agreement")));
    };
    Ok(Ok(Plan { currency, meter, links }))
}

async fn measure_link(directory: &Directory, link: &PlanLink, usage: &Usage<'_>) -> Result<Result<Method, Kept>, Problem> {
    match (&link.agreement.pricing, &link.timeline) {
        (Pricing::Commission { commission_bp }, _) => Ok(Ok(Method::Commission { commission_bp: *commission_bp })),
        (Pricing::Wholesale { .. }, Some(timeline)) => measure_card(directory, timeline, link.agreement.currency, usage).await,
        (Pricing::Wholesale { .. }, None) => Ok(Err(Kept("no_rate"))),
    }
}

/// The card's version in force at the start, then its fallback cards.
async fn measure_card(
    directory: &Directory,
    timeline: &Arc<Timeline>,
    currency: Currency,
    usage: &Usage<'_>,
) -> Result<Result<Method, Kept>, Problem> {
    let mut timeline = Arc::clone(timeline);
    for _ in 0..FALLBACKS_MAX {
        let Some(slot) = timeline.in_force(usage.at) else { return Ok(Err(Kept("no_rate"))) };
        let card = directory.compiled(slot).await?;
        if card.currency() != currency {
            return Ok(Err(Kept("currency_mismatch")));
        }
        let version = slot.id;
        match card.measure(usage) {
            Ok(measured) => return Ok(Ok(Method::Card { version, card, measured })),
            Err(Unrated::NoRate) => {}
            Err(unrated) => return Ok(Err(Kept(unrated.code()))),
        }
        let Some(name) = card.fallback() else { return Ok(Err(Kept("no_rate"))) };
        match directory.fallback(&timeline, name).await? {
            Some(next) => timeline = next,
            None => return Ok(Err(Kept("no_rate"))),
        }
    }
    Ok(Err(Kept("no_rate")))
}

/// Equal after parsing: "600" = 600.0; attributes are sorted; the hold and the raw record do not count.
fn content_digest(event: &UsageEvent) -> [u8; 16] {
    let amount = event.amount.map(|amount| amount.to_string());
    let mut digest = Digest::keyed(&NO_KEY)
        .text(&event.customer)
        .text(&event.meter)
        .number(event.quantity.0)
        .number(event.at.micros().into())
        .optional(amount.as_deref())
        .optional(event.destination.as_deref())
        .optional(event.origin.as_deref());
    for (name, value) in &event.attributes {
        digest = digest.text(name).text(value);
    }
    digest.finish()
}

/// A content's digest under the key of the person it is about.
fn sealed(key: &[u8; 32], plain: &[u8; 16]) -> [u8; 16] {
    Digest::keyed(key).number(i128::from_le_bytes(*plain)).finish()
}
