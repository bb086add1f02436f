//! What commission links were charged through a counter that may fall, so that they give no more back than that.
//!
//! A `latest` value that goes down, and a `volume` price that reaches a cheaper tier, give back what was charged before. Terms may
//! have changed in between, and whoever sets those further down could be charged by the old ones and be given back by the new
//! ones. So a commission gives back by its present terms, but no more than the proportion of what it was charged in which the
//! customer gets its money back. What it was charged is kept as a counter of its own, beside the customer's.

use crate::counters;
use crate::digest::Digest;
use crate::prepare::{MeasuredLink, Method, Plan, Prepared};
use crate::states::States;
use rating::card::Aggregation;
use rating::usage::{Counter, CounterId};
use rating::{Exact, Overflow, Quantity, TenantId, link};
use store::journal::{Charge, CounterKey};

/// The counter of what a commission link was charged through the customer's own; its quantity is the exact sum. `None`: the link
/// has none, since no counter falls that it follows, or a floor is what protects it.
pub fn key(prepared: &Prepared, plan: &Plan, link: &MeasuredLink<'_>) -> Option<CounterKey> {
    let Method::Commission { floor: None, .. } = link.method else { return None };
    let own = plan.links().next().filter(|own| own.agreement.buyer == prepared.owner())?;
    let by = own.method.by_card()?;
    let rate = by.measured.found.rate;
    let may_fall = by.card.may_fall(rate) || by.card.aggregation(rate, plan.meter.aggregation) == Aggregation::Latest;
    let counter = counters::candidates(prepared, plan, &own).last().copied().filter(|_| may_fall)?;
    Some(CounterKey { buyer: link.agreement.buyer, id: id_of(counter) })
}

fn id_of(CounterKey { buyer: TenantId(buyer), id }: CounterKey) -> CounterId {
    let digest = Digest::keyed(&[0; 32]).text("share").number(id.rate_key.into()).number(buyer.into()).finish();
    let bytes = std::array::from_fn(|index| digest[index]);
    CounterId { rate_key: i64::from_le_bytes(bytes) & i64::MAX, ..id }
}

/// What the link comes to, given what it would by its present terms. `charged`: it was so far; `own`: the customer's own
/// charge, as it is made or taken back.
pub fn bounded(present: Exact, charged: &Counter, own: Option<&Charge>, states: &States) -> Result<Exact, Overflow> {
    let Some((own, id)) = own.and_then(|own| Some((own, own.counter?))) else { return Ok(present) };
    let back = own.exact.checked_sub(own.local)?;
    let so_far = states.counted(&CounterKey { buyer: own.link.buyer, id }).so_far.map(|so_far| so_far.now.total());
    let is_known = charged.events > 0 && charged.quantity >= Quantity::ZERO;
    match so_far.filter(|so_far| is_known && back < Exact::ZERO && *so_far > Exact::ZERO) {
        Some(so_far) => Ok(present.max(link::given_back(Exact(charged.quantity.0), so_far, back)?)),
        None => Ok(present),
    }
}

/// After a charge of so much, or one that is taken back.
pub fn after(charged: &Counter, exact: Exact, events: i64) -> Result<Counter, Overflow> {
    let events = charged.events.checked_add(events).ok_or(Overflow)?;
    Ok(Counter { quantity: charged.quantity.checked_add(Quantity(exact.0))?, events })
}

/// What taking a charge back comes to, where its customer's own comes to `own`: in the proportion in which both were charged;
/// `otherwise`: nothing was.
pub fn as_charged(otherwise: Exact, (link, was): (&Charge, &Charge), own: &Charge) -> Result<Exact, Overflow> {
    let [back, was] = [own, was].map(|charge| charge.exact.checked_sub(charge.local));
    let (back, was) = (back?, was?);
    if was == Exact::ZERO { Ok(otherwise) } else { link::in_proportion(back, link.exact, was) }
}
