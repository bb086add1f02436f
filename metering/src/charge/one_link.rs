//! The charge of one link: by its card, by a commission, or by a commission with a floor.

use super::below::Below;
use crate::states::States;
use crate::{counters, distinct_value, flats, shares};
use journal::{By, Charge, ChargePricing, CounterKey};
use ledger::{LinkCharge, Settlement};
use prepare::event::RatedEvent;
use prepare::measured::{ByCard, MeasuredLink, Method, Plan};
use prepare::plan::LinkTerms;
use rating::usage::{self, Counter, Unrated};
use rating::{Carry, Exact, Quantity, link};

#[inline]
pub(super) fn price_link(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (below, charges): (Option<Below>, &[Charge]),
    carry: Carry,
    states: &States,
) -> Result<Charge, Unrated> {
    let by = match link.method {
        Method::Card(by) => by,
        Method::Commission {
            commission_bp,
            floor,
        } => {
            let Some(floor) = floor.as_deref() else {
                return price_share(
                    prepared,
                    plan,
                    link,
                    (*commission_bp, below, charges),
                    carry,
                    states,
                );
            };
            let commission = below
                .map(|below| link::commission_of(below.left, *commission_bp))
                .transpose()?;
            return price_floored(
                prepared,
                plan,
                link,
                (*commission_bp, commission),
                floor,
                carry,
                states,
            );
        }
    };
    let counter = counters::counter(prepared, plan, link, states);
    let usage::Priced {
        exact,
        local,
        before,
        after,
    } = price_card(prepared, plan, link, (by, counter), states)?;
    let ByCard {
        version, measured, ..
    } = by;
    let (version, rate, prefix_len, pieces) = (
        *version,
        measured.found.rate,
        measured.found.prefix_len,
        measured.pieces.clone(),
    );
    let pricing = ChargePricing::Card {
        version,
        rate,
        prefix_len,
        pieces,
    };
    let (billed, counter) = (measured.billed, counter.map(|key| key.id));
    finish(
        Draft {
            exact,
            local,
            billed,
            counter,
            before,
            after,
            pricing,
            ..Draft::on(link)
        },
        carry,
    )
}

/// A commission without a floor.
fn price_share(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (commission_bp, below, charges): (u16, Option<Below>, &[Charge]),
    carry: Carry,
    states: &States,
) -> Result<Charge, Unrated> {
    let Below { left, of } = below.ok_or(Unrated::NoRate)?;
    let exact = link::commission_of(left, commission_bp)?;
    let pricing = match of {
        Some((of, less)) => ChargePricing::CommissionOf {
            commission_bp,
            of,
            less,
        },
        None => ChargePricing::Commission { commission_bp },
    };
    let Some(share) = shares::share(prepared, plan, link) else {
        return finish(
            Draft {
                exact,
                pricing,
                ..Draft::on(link)
            },
            carry,
        );
    };
    let (exact, before, after) = share.bounded(exact, charges.iter(), states)?;
    finish(
        Draft {
            exact,
            pricing,
            counter: Some(share.own.id),
            before,
            after,
            ..Draft::on(link)
        },
        carry,
    )
}

/// What a card makes of an event, and of its counter.
#[inline]
fn price_card(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (by, counter): (&ByCard, Option<CounterKey>),
    states: &States,
) -> Result<usage::Priced, Unrated> {
    let ByCard {
        version,
        card,
        measured,
        ..
    } = by;
    let usage = prepared.usage(plan);
    let Some(key) = counter else {
        return card.price(measured, &usage, &Counter::default(), &Counter::default());
    };
    let counted = states.counted(&key);
    let after = distinct_value::after(prepared, plan, link, (key, &counted.counter), states)?;
    let mut priced = card.price(measured, &usage, &counted.counter, &after)?;
    if let Some(flats) = flats::due(by, key, &counted, &after, states)? {
        priced.exact = priced.exact.checked_add(flats.due)?;
    }
    // What goes by order of arrival, cell by cell, is the event's own.
    let rate = measured.found.rate;
    let by = By {
        version: *version,
        rate,
        cell: 0,
    };
    Ok(counted.bounded(by, card.gives_money(rate), priced)?)
}

/// `commission`: basis points and what they come to; `None` where the price below is not known: the
/// floor is all there is.
fn price_floored(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (commission_bp, commission): (u16, Option<Exact>),
    by: &ByCard,
    carry: Carry,
    states: &States,
) -> Result<Charge, Unrated> {
    let counter = counters::counter(prepared, plan, link, states);
    let usage::Priced {
        exact: least,
        local,
        before,
        after,
    } = price_card(prepared, plan, link, (by, counter), states)?;
    let applies = commission.is_none_or(|commission| least >= commission);
    let exact = commission.unwrap_or(least).max(least);
    let ByCard {
        version, measured, ..
    } = by;
    let (version, rate, prefix_len, pieces) = (
        *version,
        measured.found.rate,
        measured.found.prefix_len,
        measured.pieces.clone(),
    );
    let pricing = ChargePricing::Floored {
        commission_bp,
        applies,
        version,
        rate,
        prefix_len,
        pieces,
    };
    let (billed, counter) = (measured.billed, counter.map(|key| key.id));
    finish(
        Draft {
            exact,
            local,
            billed,
            counter,
            before,
            after,
            pricing,
            ..Draft::on(link)
        },
        carry,
    )
}

/// A charge but for its whole cents.
struct Draft<'a> {
    agreement: &'a LinkTerms,
    settlement: Settlement,
    exact: Exact,
    local: Exact,
    billed: Quantity,
    counter: Option<rating::usage::CounterId>,
    before: Counter,
    after: Counter,
    pricing: ChargePricing,
}

impl<'a> Draft<'a> {
    fn on(link: &MeasuredLink<'a>) -> Self {
        Self {
            agreement: link.agreement,
            settlement: link.settlement,
            exact: Exact::ZERO,
            local: Exact::ZERO,
            billed: Quantity::ZERO,
            counter: None,
            before: Counter::default(),
            after: Counter::default(),
            pricing: ChargePricing::Commission { commission_bp: 0 },
        }
    }
}

#[inline]
fn finish(draft: Draft<'_>, carry: Carry) -> Result<Charge, Unrated> {
    let link::LinkPosting { cents, carry } = link::post(carry, draft.exact)?;
    let agreement = draft.agreement;
    Ok(Charge {
        link: LinkCharge {
            buyer: agreement.buyer,
            seller: agreement.seller,
            settlement: draft.settlement,
            cents,
        },
        agreement: agreement.id,
        pricing: draft.pricing,
        billed: draft.billed,
        counter: draft.counter,
        before: draft.before,
        after: draft.after,
        exact: draft.exact,
        local: draft.local,
        carry,
    })
}
