//! What a commission took through a counter, so that it gives no more back than that.
//!
//! Where a price depends on what the month has counted, it may give back what was charged before: a
//! `latest` value goes down, a `volume` price reaches a cheaper tier, an event that is taken back
//! moves others. Where terms changed within the month, whoever set those further down could be
//! charged by some and be given back by others. So what each commission took is kept as a counter
//! of its own, and in such a month it gives back at most in proportion to that. What a void leaves
//! standing above is never mixed with what it takes back: where a commission above has a share of
//! the count, it is refused.

use crate::counters::{self, Candidates};
use crate::states::States;
use journal::{Charge, ChargePricing, CounterKey};
use prepare::caller::FUTURE_SECS_MAX;
use prepare::digest::Digest;
use prepare::event::RatedEvent;
use prepare::measured::{ByCard, MeasuredLink, Method, Plan};
use rating::card::{Aggregation, MeterTerms};
use rating::compile::CompiledCard;
use rating::usage::{Counter, CounterId};
use rating::{Exact, Instant, Overflow, Quantity, TenantId, link, window};
use std::sync::Arc;
use tenants::Agreement;

/// The counter of what a commission took, whose quantity is the exact sum, and the counter that it
/// follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub own: CounterKey,
    followed: Candidates,
    /// Terms between the two changed within the month.
    is_bounded: bool,
}

/// `None`: no price that counts lies below the link, or a floor is what protects it.
pub fn share(prepared: &RatedEvent, plan: &Plan, link: &MeasuredLink<'_>) -> Option<Share> {
    let Method::Commission { floor: None, .. } = link.method else {
        return None;
    };
    let mut followed = None;
    let mut between: usize = 0;
    for other in plan
        .links()
        .take_while(|other| other.agreement.buyer != link.agreement.buyer)
    {
        between += 1;
        let counts = counting(&other, &plan.meter).is_some();
        // A price of its own is what all above it follow.
        if counts || matches!(other.method, Method::Card(_)) {
            followed = counts.then(|| counters::candidates(prepared, plan, &other));
            between = 0;
        }
    }
    let followed: Candidates = followed?;
    let CounterKey {
        buyer: TenantId(buyer),
        id,
    } = *followed.last()?;
    let digest = Digest::keyed(&[0; 32])
        .text("share")
        .number(id.rate_key.into())
        .number(buyer.into())
        .finish();
    let bytes = std::array::from_fn(|index| digest[index]);
    let own = CounterKey {
        buyer: link.agreement.buyer,
        id: CounterId {
            rate_key: i64::from_le_bytes(bytes) & i64::MAX,
            ..id
        },
    };
    let is_bounded = prepared.customer.as_deref().is_some_and(|customer| {
        let path = &customer.tenant.path;
        let at = path
            .iter()
            .position(|tenant| *tenant == link.agreement.buyer)
            .unwrap_or(0);
        path[at..]
            .iter()
            .take(between + 1)
            .any(|buyer| is_changed_since(customer.agreements_of(*buyer), id.month))
    });
    Some(Share {
        own,
        followed,
        is_bounded,
    })
}

/// Whether terms of a buyer begin within a month, or after it. Usage may be reported a little ahead
/// of its time.
pub fn is_changed_since<'a>(
    mut agreements: impl Iterator<Item = &'a Agreement>,
    month: i32,
) -> bool {
    let since: Instant = window::month_begins(month).plus_secs(-FUTURE_SECS_MAX);
    agreements.any(|terms| terms.from > since)
}

/// The card of a link whose price depends on what others of the month came to.
fn counting<'a>(link: &MeasuredLink<'a>, meter: &MeterTerms) -> Option<&'a ByCard> {
    let by = link
        .method
        .by_card()
        .filter(|by| by.measured.counter.is_some())?;
    depends_on_others(&by.card, by.measured.found.rate, meter).then_some(by)
}

/// Whether an event at this rate costs something else where others of the month were not.
fn depends_on_others(card: &CompiledCard, rate: u32, meter: &MeterTerms) -> bool {
    let is_own = matches!(
        card.aggregation(rate, meter.aggregation),
        Aggregation::Sum | Aggregation::Count
    );
    !is_own || !card.is_even(rate)
}

impl Share {
    /// What the link comes to, given what it would by its terms alone, and what it took before and
    /// after. `charges`: below it.
    pub fn bounded<'a>(
        &self,
        present: Exact,
        mut charges: impl Iterator<Item = &'a Charge>,
        states: &States,
    ) -> Result<(Exact, Counter, Counter), Overflow> {
        let taken = states.counter(&self.own);
        let followed = charges.find(|charge| {
            self.followed
                .iter()
                .any(|key| key.buyer == charge.link.buyer)
        });
        let exact = match followed.filter(|_| self.is_bounded) {
            Some(followed) => present.max(least(&taken, followed, states)?.unwrap_or(present)),
            None => present,
        };
        Ok((exact, taken, after(&taken, exact, 1)?))
    }
}

/// The most that a commission gives back beside a charge that gives back. `None`: that gives
/// nothing back, or what was charged before the upgrade to the build that keeps it is not known.
pub fn least(
    taken: &Counter,
    followed: &Charge,
    states: &States,
) -> Result<Option<Exact>, Overflow> {
    let back = followed.exact.checked_sub(followed.local)?;
    let Some(id) = followed.counter.filter(|_| back < Exact::ZERO) else {
        return Ok(None);
    };
    let Some(so_far) = states
        .counted(&CounterKey {
            buyer: followed.link.buyer,
            id,
        })
        .so_far
    else {
        return Ok(None);
    };
    let (total, taken) = (so_far.now.total(), Exact(taken.quantity.0.max(0)));
    if total <= Exact::ZERO {
        Ok(Some(Exact::ZERO))
    } else {
        link::given_back(taken, total, back).map(Some)
    }
}

/// After a charge of so much, or one that is taken back.
pub fn after(taken: &Counter, exact: Exact, events: i64) -> Result<Counter, Overflow> {
    let events = taken.events.checked_add(events).ok_or(Overflow)?;
    Ok(Counter {
        quantity: taken.quantity.checked_add(Quantity(exact.0))?,
        events,
    })
}

/// Whether a commission that stands follows what is taken back below it, at a price that counts:
/// its share would be of another count than the customer's. `back`: from the lowest up, each with
/// the card that priced it; `above`: what stands.
pub fn is_followed<'a>(
    back: impl DoubleEndedIterator<Item = (&'a Charge, &'a Option<Arc<CompiledCard>>)>,
    above: &[Charge],
    meter: &MeterTerms,
) -> bool {
    let by_itself = |charge: &Charge| matches!(charge.pricing, ChargePricing::Card { .. });
    let is_share = |charge: &Charge| {
        matches!(
            charge.pricing,
            ChargePricing::Commission { .. } | ChargePricing::CommissionOf { .. }
        )
    };
    let counts = |charge: &Charge, card: &CompiledCard| {
        charge
            .by(0)
            .is_some_and(|by| charge.counter.is_some() && depends_on_others(card, by.rate, meter))
    };
    if !above
        .iter()
        .take_while(|charge| !by_itself(charge))
        .any(is_share)
    {
        return false;
    }
    let mut followed = back.rev();
    // A price of its own is what all above it follow.
    let nearest = followed.find(|(charge, card)| {
        by_itself(charge) || card.as_deref().is_some_and(|card| counts(charge, card))
    });
    nearest.is_some_and(|(charge, card)| card.as_deref().is_some_and(|card| counts(charge, card)))
}

/// The same of an event that is charged up to the sales of `seller` alone.
pub fn is_followed_above(plan: &Plan, seller: TenantId) -> bool {
    let Some(last) = plan
        .links()
        .position(|link| link.agreement.seller == seller)
    else {
        return false;
    };
    let by_itself = |link: &MeasuredLink<'_>| matches!(link.method, Method::Card(_));
    let is_share =
        |link: MeasuredLink<'_>| matches!(link.method, Method::Commission { floor: None, .. });
    if !plan
        .links()
        .skip(last + 1)
        .take_while(|link| !by_itself(link))
        .any(is_share)
    {
        return false;
    }
    let counts = |link: &MeasuredLink<'_>| counting(link, &plan.meter).is_some();
    let mut followed: Vec<_> = plan.links().take(last + 1).collect();
    followed.reverse();
    followed
        .iter()
        .find(|link| by_itself(link) || counts(link))
        .is_some_and(counts)
}

/// Why such a void, or the event in its place, is refused.
pub const FOLLOWED: &str = "the cost of this event depends on the month's count, and a seller \
    above has a share of it: only that seller, or one above it, may void or correct it";
