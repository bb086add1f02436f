//! The distinct values behind `unique`, `max` and `latest` counters: which must be loaded, what a
//! report or a withdrawal makes of the counter, what is written back.
//!
//! A `unique` value is kept as a digest under its customer's personal key: it may name a person.

use crate::segments::is_segment;
use crate::states::States;
use crate::void::Void;
use crate::{counters, flats};
use journal::{
    Charge, Counted, CounterKey, DistinctValue, DistinctValueKey, Place as Segmented, StateKeys,
};
use prepare::digest::Digest;
use prepare::distinct::{distinct, value};
use prepare::event::RatedEvent;
use prepare::measured::{ByCard, MeasuredLink, Plan};
use rating::aggregate::{self, DistinctValueChange, Known, Left, NEWEST, Newest, Report, Stands};
use rating::card::Aggregation;
use rating::fast::FastMap;
use rating::usage::{Counter, Unrated};
use rating::{Instant, Overflow, Quantity};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The distinct value of an event on one link: its counter, how that counts, and the value.
struct Place {
    aggregation: Aggregation,
    key: DistinctValueKey,
}

/// The name under which a `unique` event is counted; kept with the event, so that it can be
/// withdrawn.
pub fn name(prepared: &RatedEvent, plan: &Plan) -> Option<String> {
    distinct(&plan.meter, &prepared.event.attributes).map(|value| digest_of(prepared, value))
}

fn digest_of(prepared: &RatedEvent, value: &str) -> String {
    let digest = Digest::keyed(prepared.personal_key()).text(value).finish();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `counter`: that of the link in which it counts.
fn place(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    counter: Option<CounterKey>,
) -> Result<Option<Place>, Unrated> {
    let Some(ByCard { card, measured, .. }) = link.method.by_card() else {
        return Ok(None);
    };
    let aggregation = card.aggregation(measured.found.rate, plan.meter.aggregation);
    let reporter = (&prepared.event, prepared.level());
    let value = value(aggregation, measured, &plan.meter, reporter, |value| {
        digest_of(prepared, value)
    })?;
    Ok(counter.zip(value).map(|(counter, value)| Place {
        aggregation,
        key: DistinctValueKey { counter, value },
    }))
}

/// Where the event may count on every link, before it is known which counters are in use.
fn places_possible(prepared: &RatedEvent, plan: &Plan) -> Vec<Place> {
    let mut possible = Vec::new();
    for link in plan.links() {
        for counter in counters::candidates(prepared, plan, &link) {
            possible.extend(place(prepared, plan, &link, Some(counter)).ok().flatten());
        }
    }
    possible
}

fn newest(counter: CounterKey) -> DistinctValueKey {
    DistinctValueKey {
        counter,
        value: NEWEST.to_owned(),
    }
}

/// What stands, as it is kept: the count says how far down its reporter is, and 0 that there is
/// nothing. What was kept before reporters were told apart counts as the platform's.
fn newest_of(distinct_value: &DistinctValue) -> Option<Newest> {
    let level = u8::try_from(distinct_value.count.checked_sub(1)?).ok()?;
    Some(Newest {
        level: Reverse(level),
        at: distinct_value.at,
    })
}

fn distinct_value_of(newest: Option<Newest>) -> DistinctValue {
    newest.map_or(
        DistinctValue {
            count: 0,
            at: Instant::default(),
        },
        |newest| DistinctValue {
            count: i64::from(newest.level.0) + 1,
            at: newest.at,
        },
    )
}

pub fn keys(prepared: &RatedEvent, plan: &Plan, keys: &mut StateKeys) {
    flats::keys(prepared, plan, keys);
    for place in places_possible(prepared, plan) {
        if place.aggregation == Aggregation::Latest {
            keys.distinct_values.push(newest(place.key.counter));
        }
        keys.distinct_values.push(place.key);
    }
}

/// The counter after this event on this link.
pub fn after(
    prepared: &RatedEvent,
    plan: &Plan,
    link: &MeasuredLink<'_>,
    (counter, before): (CounterKey, &Counter),
    states: &States,
) -> Result<Counter, Unrated> {
    let Some(ByCard { card, measured, .. }) = link.method.by_card() else {
        return Ok(*before);
    };
    let aggregation = card.aggregation(measured.found.rate, plan.meter.aggregation);
    let mut known = Known {
        at: prepared.event.at,
        level: prepared.level(),
        ..Known::default()
    };
    if let Some(place) = place(prepared, plan, link, Some(counter))? {
        known.standing = states.distinct_value(&place.key).count;
        known.newest = newest_of(&states.distinct_value(&newest(place.key.counter)));
    }
    Ok(aggregate::grow(
        aggregation,
        before,
        measured.billed,
        DistinctValueChange::Report(known),
    )?)
}

/// The event is posted on the links of these charges: there it counts from now on, in these
/// segments.
pub fn add(
    prepared: &RatedEvent,
    plan: &Plan,
    charges: &[Charge],
    places: &[Segmented],
    states: &mut States,
) {
    if !plan.counts() {
        return;
    }
    let is_charged = |link: &MeasuredLink<'_>| {
        charges
            .iter()
            .any(|charge| charge.link.buyer == link.agreement.buyer)
    };
    for link in plan.links().filter(is_charged) {
        let counter = counters::counter(prepared, plan, &link, states);
        let Some(place) = place(prepared, plan, &link, counter).ok().flatten() else {
            continue;
        };
        let distinct_value = states.distinct_value(&place.key);
        let at = prepared.event.at.max(distinct_value.at);
        if place.aggregation == Aggregation::Latest {
            let key = newest(place.key.counter);
            let own = Newest {
                level: Reverse(prepared.level()),
                at,
            };
            let stands =
                newest_of(&states.distinct_value(&key)).map_or(own, |newest| newest.max(own));
            states
                .distinct_values
                .set(key, distinct_value_of(Some(stands)));
        }
        let segment = places
            .iter()
            .find(|segmented| segmented.buyer == place.key.counter.buyer)
            .map_or(0, |segmented| segmented.number);
        count_in(states, &place.key, segment, 1);
        states.distinct_values.set(
            place.key,
            DistinctValue {
                count: distinct_value.count + 1,
                at,
            },
        );
    }
}

/// A value as it is counted in a later segment alone. What is counted under the value itself is all
/// of them together.
fn in_segment(key: &DistinctValueKey, segment: u32) -> DistinctValueKey {
    DistinctValueKey {
        counter: key.counter,
        value: format!("{}{SEGMENT}{segment}", key.value),
    }
}

/// What stands between a value and the number of a segment; no value has it.
const SEGMENT: char = '@';

fn count_in(states: &mut States, key: &DistinctValueKey, segment: u32, more: i64) {
    if segment > 0 {
        let key = in_segment(key, segment);
        let distinct_value = states.distinct_value(&key);
        states.distinct_values.set(
            key,
            DistinctValue {
                count: distinct_value.count + more,
                ..distinct_value
            },
        );
    }
}

/// Of counters whose prices have changed: the values in their present segments.
pub fn later_keys(
    prepared: &RatedEvent,
    plan: &Plan,
    counters: &FastMap<CounterKey, Counted>,
    keys: &mut StateKeys,
) {
    for place in places_possible(prepared, plan) {
        let number = counters
            .get(&place.key.counter)
            .map_or(0, |counted| counted.segment.number);
        if number > 0 {
            keys.distinct_values.push(in_segment(&place.key, number));
        }
    }
}

/// The distinct value of a recorded charge.
fn recorded(void: &Void, index: usize, charge: &Charge) -> Option<Place> {
    let counter = CounterKey {
        buyer: charge.link.buyer,
        id: charge.counter.filter(|_| charge.by(0).is_some())?,
    };
    let aggregation = aggregation(void, index, charge);
    let charged = &void.charged;
    let report = Report {
        at: charged.at,
        quantity: charge.billed,
        unique_by: charged.body.distinct_value.as_deref(),
        level: void.level(),
    };
    let value = aggregate::distinct_value_text(aggregation, &report)?;
    Some(Place {
        aggregation,
        key: DistinctValueKey { counter, value },
    })
}

/// How the counter of a recorded charge moves.
fn aggregation(void: &Void, index: usize, charge: &Charge) -> Aggregation {
    match (void.cards.get(index), void.rate(charge)) {
        (Some(Some(card)), Some(rate)) => card.aggregation(rate, void.meter.aggregation),
        _ => void.meter.aggregation,
    }
}

/// Whether what an event brings to the counter does not depend on the others.
pub fn is_sum(void: &Void, index: usize, charge: &Charge) -> bool {
    matches!(
        aggregation(void, index, charge),
        Aggregation::Sum | Aggregation::Count
    )
}

fn places(void: &Void) -> impl Iterator<Item = Place> {
    void.charged
        .body
        .charges
        .iter()
        .enumerate()
        .filter_map(|(index, charge)| recorded(void, index, charge))
}

pub fn void_keys(void: &Void, keys: &mut StateKeys) {
    for place in places(void) {
        if let Some(segmented) = void
            .place(place.key.counter.buyer)
            .filter(|segmented| segmented.number > 0)
        {
            keys.distinct_values
                .push(in_segment(&place.key, segmented.number));
        }
        match place.aggregation {
            Aggregation::Max | Aggregation::Latest => {
                keys.all_distinct_values.push(place.key.counter)
            }
            _ => keys.distinct_values.push(place.key),
        }
    }
    keys.all_distinct_values.extend(&void.whole);
}

/// The counter after a charge of its last segment is taken back.
pub fn withdrawn(
    void: &Void,
    index: usize,
    charge: &Charge,
    before: &Counter,
    states: &States,
) -> Result<Counter, Overflow> {
    let left = match recorded(void, index, charge) {
        None => Left::default(),
        Some(place) => Left {
            standing: states.distinct_value(&place.key).count - 1,
            value: standing(states, &place)?.map(|stands| stands.quantity),
        },
    };
    aggregate::grow(
        aggregation(void, index, charge),
        before,
        charge.billed,
        DistinctValueChange::Withdraw(left),
    )
}

/// Where the segments end, from the charge's own on, once it is taken back. `first`: its own one's
/// number.
pub fn ends_without(
    void: &Void,
    index: usize,
    charge: &Charge,
    first: u32,
    ends: &[Counter],
    states: &States,
) -> Result<Vec<Counter>, Overflow> {
    let aggregation = aggregation(void, index, charge);
    let fewer = |end: &Counter| end.events.checked_sub(1).ok_or(Overflow);
    match recorded(void, index, charge) {
        None => ends
            .iter()
            .map(|end| {
                aggregate::grow(
                    aggregation,
                    end,
                    charge.billed,
                    DistinctValueChange::Withdraw(Left::default()),
                )
            })
            .collect(),
        Some(place) if aggregation == Aggregation::Unique => {
            let last = first + ends.len() as u32 - 1;
            let mut standing = count_up_to(states, &place.key, first, last) - 1;
            let without = ends.iter().zip(first..).map(|(end, number)| {
                standing += if number > first {
                    states.distinct_value(&in_segment(&place.key, number)).count
                } else {
                    0
                };
                aggregate::grow(
                    aggregation,
                    end,
                    charge.billed,
                    DistinctValueChange::Withdraw(Left {
                        standing,
                        value: None,
                    }),
                )
            });
            without.collect()
        }
        Some(place) => {
            let last = first + ends.len() as u32 - 1;
            let (mut stands, by_segment) = standing_by_segment(states, &place, first, last)?;
            let without = ends.iter().zip(first..).map(|(end, number)| {
                stands = stands.max(by_segment.get(&number).copied());
                Ok(Counter {
                    quantity: stands.map_or(Quantity::ZERO, |stands| stands.quantity),
                    events: fewer(end)?,
                })
            });
            without.collect()
        }
    }
}

/// How often a value stands in the segments up to one of them; `last`: the counter's last one.
fn count_up_to(states: &States, key: &DistinctValueKey, segment: u32, last: u32) -> i64 {
    let later: i64 = (segment + 1..=last)
        .map(|number| states.distinct_value(&in_segment(key, number)).count)
        .sum();
    states.distinct_value(key).count - later
}

type StandsBySegment = BTreeMap<u32, Stands>;

/// The value that stands at the end of the segment before `first` (of `max` and `latest`), and by
/// each segment from there on, without one report of a distinct value in `first`. Values of the
/// earlier segments are told by what is left of their totals.
fn standing_by_segment(
    states: &States,
    without: &Place,
    first: u32,
    last: u32,
) -> Result<(Option<Stands>, StandsBySegment), Overflow> {
    let mut earlier: BTreeMap<&str, i64> = BTreeMap::new();
    let mut by_segment = StandsBySegment::new();
    for (key, distinct_value) in states
        .distinct_values
        .iter()
        .filter(|(key, _)| key.counter == without.key.counter && !is_segment(&key.value))
    {
        let Some((value, number)) = key.value.split_once(SEGMENT) else {
            *earlier.entry(&key.value).or_default() += distinct_value.count;
            continue;
        };
        let number: u32 = number.parse().map_err(|_| Overflow)?;
        if number < first || number > last {
            continue;
        }
        *earlier.entry(value).or_default() -= distinct_value.count;
        let own = i64::from(number == first && value == without.key.value);
        if let Some(stands) = aggregate::standing_value([(value, distinct_value.count - own)])? {
            let slot = by_segment.entry(number).or_insert(stands);
            *slot = (*slot).max(stands);
        }
    }
    if first == 0 {
        *earlier.entry(&without.key.value).or_default() -= 1;
    }
    Ok((aggregate::standing_value(earlier)?, by_segment))
}

/// The value that stands once this distinct value is taken out (`max`, `latest`).
fn standing(states: &States, without: &Place) -> Result<Option<Stands>, Overflow> {
    let is_value = |key: &DistinctValueKey| {
        key.counter == without.key.counter
            && !is_segment(&key.value)
            && !key.value.contains(SEGMENT)
    };
    let distinct_values = states
        .distinct_values
        .iter()
        .filter(|(key, _)| is_value(key));
    let counts = distinct_values.map(|(key, distinct_value)| {
        (
            key.value.as_str(),
            distinct_value.count - i64::from(*key == without.key),
        )
    });
    match without.aggregation {
        Aggregation::Max | Aggregation::Latest => aggregate::standing_value(counts),
        _ => Ok(None),
    }
}

/// The void is posted: the event counts no more.
pub fn remove(void: &Void, states: &mut States) {
    for place in places(void) {
        if place.aggregation == Aggregation::Latest {
            let left = standing(states, &place).ok().flatten();
            states.distinct_values.set(
                newest(place.key.counter),
                distinct_value_of(left.map(|stands| stands.newest)),
            );
        }
        let segment = void
            .place(place.key.counter.buyer)
            .map_or(0, |segmented| segmented.number);
        count_in(states, &place.key, segment, -1);
        let distinct_value = states.distinct_value(&place.key);
        states.distinct_values.set(
            place.key,
            DistinctValue {
                count: distinct_value.count - 1,
                at: distinct_value.at,
            },
        );
    }
}
