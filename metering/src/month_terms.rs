//! Where a price depends on what the month has counted so far, the commissions above it are taken, all month, at the terms that
//! the month began with.
//!
//! Such a price may give back what was charged before: a `latest` value goes down, a `volume` price reaches a cheaper tier, an
//! event that is taken back moves others into other tiers. At other terms a commission would give back another share than it
//! took, and whoever sets those terms further down could choose which.

use crate::directory::Customer;
use crate::plan::{self, PlanLink};
use crate::prepare::{ByCard, MeasuredLink, Plan};
use rating::Instant;
use rating::card::{Aggregation, MeterTerms};
use smallvec::SmallVec;
use std::sync::Arc;
use tenants::{Agreement, Link, Pricing};

/// The chain of a plan with the terms that its month began with; `None`: it has them.
pub fn chain(customer: &Customer, plan: &Plan, at: Instant) -> Option<Arc<[PlanLink]>> {
    let (chain, skipped) = plan.chain();
    let (lowest, by) = plan.links().enumerate().find_map(|(index, link)| Some((index, counting(&link, &plan.meter)?)))?;
    let (above, month) = (skipped + lowest + 1, by.card.month_began(at));
    if chain[above..].iter().all(|link| link.agreement.from <= month) {
        return None;
    }
    let mut is_another = false;
    let mut links: SmallVec<[Link; 3]> = chain.iter().map(|link| Link { agreement: link.agreement.clone() }).collect();
    for link in &mut links[above..] {
        if let Some(first) = first(customer, &link.agreement, month) {
            link.agreement = priced_as(first, &link.agreement);
            is_another = true;
        }
    }
    is_another.then(|| plan::links(links, customer.platform(), customer.timelines()))
}

/// The card of a link whose price depends on what others of the month came to.
fn counting<'a>(link: &MeasuredLink<'a>, meter: &MeterTerms) -> Option<&'a ByCard> {
    let by = link.method.by_card().filter(|by| by.measured.counter.is_some())?;
    let rate = by.measured.found.rate;
    let is_own = matches!(by.card.aggregation(rate, meter.aggregation), Aggregation::Sum | Aggregation::Count);
    (!is_own || !by.card.is_even(rate)).then_some(by)
}

/// The terms with which the month began, if a commission was changed since.
fn first<'a>(customer: &'a Customer, now: &Agreement, month: Instant) -> Option<&'a Agreement> {
    let of_month = customer.agreements_of(now.buyer).filter(|terms| terms.until.is_none_or(|until| until > month));
    let first = of_month.min_by_key(|terms| terms.from)?;
    let is_commission = |terms: &Agreement| matches!(terms.pricing, Pricing::Commission { .. });
    let is_changed = first.id != now.id && first.currency == now.currency && (is_commission(first) || is_commission(now));
    is_changed.then_some(first)
}

/// What both owe each other is as of now: only the price is that of before.
fn priced_as(first: &Agreement, now: &Agreement) -> Agreement {
    let Agreement { id, pricing, floor, free_retail, author, .. } = *first;
    Agreement { id, pricing, floor, free_retail, author, ..now.clone() }
}
