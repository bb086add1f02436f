//! What a counter was charged of what is due once in a month (a flat, the flats of tiers), by card:
//! kept as distinct values of it.
//!
//! Another card's is due anew and another version's by its difference upwards, whatever came in
//! between, so that the last segment alone does not tell. Kept since the counter's first event; of
//! those whose prices had changed before this was kept, it is not, and they go on until their month
//! ends as they began.

use crate::counters;
use crate::segments::stands;
use crate::states::States;
use journal::{By, Counted, CounterKey, DistinctValue, DistinctValueKey, StateKeys};
use prepare::event::RatedEvent;
use prepare::measured::{ByCard, Plan};
use rating::segments::FlatsDue;
use rating::usage::Counter;
use rating::{Exact, Instant, Overflow, RateCardId};

/// What the name of such a distinct value begins with: like a segment's, it is no value that was
/// reported.
const MARK: &str = "#flat/";
/// That it was kept when the counter's prices first changed.
const KEPT: &str = "#flats";

fn key(counter: CounterKey, card: RateCardId) -> DistinctValueKey {
    DistinctValueKey {
        counter,
        value: format!("{MARK}{}", card.0),
    }
}

fn kept_key(counter: CounterKey) -> DistinctValueKey {
    DistinctValueKey {
        counter,
        value: KEPT.to_owned(),
    }
}

/// Whole cents in the count, 10⁻¹² cents in the instant.
fn distinct_value(charged: Exact) -> Result<DistinctValue, Overflow> {
    let cents = i64::try_from(charged.0.div_euclid(Exact::PER_CENT)).map_err(|_| Overflow)?;
    let rest = i64::try_from(charged.0.rem_euclid(Exact::PER_CENT)).map_err(|_| Overflow)?;
    Ok(DistinctValue {
        count: cents,
        at: Instant(rest),
    })
}

fn charged(distinct_value: &DistinctValue) -> Exact {
    Exact(
        i128::from(distinct_value.count) * Exact::PER_CENT + i128::from(distinct_value.at.micros()),
    )
}

/// Of the links that have such prices.
pub fn keys(prepared: &RatedEvent, plan: &Plan, keys: &mut StateKeys) {
    for link in plan.links() {
        let Some(by) = link
            .method
            .by_card()
            .filter(|by| by.card.has_flats(by.measured.found.rate))
        else {
            continue;
        };
        for counter in counters::candidates(prepared, plan, &link) {
            keys.distinct_values
                .extend([key(counter, by.card.card()), kept_key(counter)]);
        }
    }
}

/// Whether it is known of a counter.
pub fn is_kept(counter: CounterKey, counted: &Counted, states: &States) -> bool {
    let is_known =
        counted.so_far.is_some() && (counted.segment.by.is_some() || counted.counter.events == 0);
    is_known && (counted.segment.number == 0 || states.distinct_value(&kept_key(counter)).count > 0)
}

/// What an event that moves the counter so owes beyond its way on the curve. `None`: its price has
/// none of it.
pub fn due(
    by: &ByCard,
    counter: CounterKey,
    counted: &Counted,
    after: &Counter,
    states: &States,
) -> Result<Option<FlatsDue>, Overflow> {
    let ByCard { card, measured, .. } = by;
    let rate = measured.found.rate;
    if !card.has_flats(rate) || !is_kept(counter, counted, states) {
        return Ok(None);
    }
    let charged = match states.distinct_values.get(&key(counter, card.card())) {
        Some(distinct_value) => charged(distinct_value),
        None => of_first_segment(by, counted)?,
    };
    FlatsDue::between(card, rate, charged, &counted.counter, after).map(Some)
}

/// Of a counter from before this was kept: what its only segment has charged of it, if that is of
/// the same card.
fn of_first_segment(by: &ByCard, counted: &Counted) -> Result<Exact, Overflow> {
    let Some(By { version, rate, .. }) = counted.segment.by.filter(|_| counted.segment.number == 0)
    else {
        return Ok(Exact::ZERO);
    };
    let first = if version == by.version {
        Some(&*by.card)
    } else {
        by.timeline.as_ref().and_then(|card| card.compiled(version))
    };
    first.map_or(Ok(Exact::ZERO), |first| first.flats(rate, &counted.counter))
}

/// The counter was charged so much of it under this card.
pub fn keep(counter: CounterKey, card: RateCardId, is: Exact, states: &mut States) {
    let key = key(counter, card);
    // Beyond what a distinct value holds nothing could be posted either.
    let Ok(is) = distinct_value(is) else { return };
    // A void may not have loaded what it was.
    if states.distinct_values.get(&key) != Some(&is) {
        states.distinct_values.set(key, is);
    }
}

/// The counter's prices change for the first time.
pub fn keep_from_now(counter: CounterKey, states: &mut States) {
    states.distinct_values.set(kept_key(counter), stands(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_reads_back_from_its_distinct_value() {
        for amount in [
            0,
            1,
            -1,
            990 * Exact::PER_CENT + 7,
            -990 * Exact::PER_CENT - 7,
            i128::from(i64::MAX),
        ] {
            assert_eq!(
                charged(&distinct_value(Exact(amount)).unwrap()),
                Exact(amount)
            );
        }
        assert!(distinct_value(Exact(i128::MAX)).is_err());
    }
}
