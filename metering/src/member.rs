//! The distinct values behind `unique`, `max` and `latest` counters: which must be loaded, what a
//! report or a withdrawal makes of the counter, what is written back.
//!
//! A `unique` value is kept as a digest under its customer's personal key: it may name a person.

use crate::command::UsageEvent;
use crate::digest::Digest;
use crate::prepare::{ByCard, MeasuredLink, Plan, Prepared};
use crate::states::States;
use crate::void::Void;
use rating::aggregate::{self, Known, Left, MemberChange, NEWEST};
use rating::card::{Aggregation, MeterTerms};
use rating::usage::{Counter, Measured, Unrated};
use rating::{Instant, Overflow, Quantity};
use store::journal::{Charge, CounterKey, Member, MemberKey, StateKeys};

/// The member an event is on one link: its counter, how that counts, and the value.
struct Place {
    aggregation: Aggregation,
    key: MemberKey,
}

/// What a `unique` meter counts of an event. An empty text is nobody.
fn distinct<'e>(meter: &MeterTerms, attributes: &'e [(String, String)]) -> Option<&'e str> {
    let attribute = meter.unique_by.as_deref().filter(|_| meter.aggregation == Aggregation::Unique)?;
    attributes.iter().find(|(name, value)| name == attribute && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// The name under which a `unique` event is counted; kept with the event, so that it can be withdrawn.
pub fn name(prepared: &Prepared, plan: &Plan) -> Option<String> {
    distinct(&plan.meter, &prepared.event.attributes).map(|value| digest_of(prepared, value))
}

fn digest_of(prepared: &Prepared, value: &str) -> String {
    let digest = Digest::keyed(prepared.personal_key()).text(value).finish();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// # Errors
/// It is counted by an attribute that it lacks.
pub(crate) fn check(
    aggregation: Aggregation,
    measured: &Measured,
    meter: &MeterTerms,
    attributes: &[(String, String)],
) -> Result<(), Unrated> {
    let is_counted = aggregation == Aggregation::Unique && measured.counter.is_some();
    if is_counted && distinct(meter, attributes).is_none() {
        return Err(Unrated::NoAttribute(meter.unique_by.clone().unwrap_or_default()));
    }
    Ok(())
}

/// The member an event is; `name`: what a distinct value is called.
///
/// # Errors
/// It is counted by an attribute that it lacks.
pub(crate) fn value(
    aggregation: Aggregation,
    measured: &Measured,
    meter: &MeterTerms,
    event: &UsageEvent,
    name: impl Fn(&str) -> String,
) -> Result<Option<String>, Unrated> {
    check(aggregation, measured, meter, &event.attributes)?;
    let name = distinct(meter, &event.attributes).map(name);
    Ok(aggregate::member_value(aggregation, measured.billed, event.at, name.as_deref()))
}

fn place(prepared: &Prepared, plan: &Plan, link: &MeasuredLink<'_>) -> Result<Option<Place>, Unrated> {
    let Some(ByCard { card, measured, .. }) = link.method.by_card() else { return Ok(None) };
    let aggregation = card.aggregation(measured.found.rate, plan.meter.aggregation);
    let value = value(aggregation, measured, &plan.meter, &prepared.event, |value| digest_of(prepared, value))?;
    let counter = measured.counter.map(|id| CounterKey { buyer: link.agreement.buyer, id });
    Ok(counter.zip(value).map(|(counter, value)| Place { aggregation, key: MemberKey { counter, value } }))
}

fn newest(counter: CounterKey) -> MemberKey {
    MemberKey { counter, value: NEWEST.to_owned() }
}

pub fn keys(prepared: &Prepared, plan: &Plan, keys: &mut StateKeys) {
    for place in plan.links().filter_map(|link| place(prepared, plan, &link).ok().flatten()) {
        if place.aggregation == Aggregation::Latest {
            keys.members.push(newest(place.key.counter));
        }
        keys.members.push(place.key);
    }
}

/// The counter after this event on this link.
pub fn after(prepared: &Prepared, plan: &Plan, link: &MeasuredLink<'_>, before: &Counter, states: &States) -> Result<Counter, Unrated> {
    let Some(ByCard { card, measured, .. }) = link.method.by_card() else { return Ok(*before) };
    let aggregation = card.aggregation(measured.found.rate, plan.meter.aggregation);
    let mut known = Known { at: prepared.event.at, ..Known::default() };
    if let Some(place) = place(prepared, plan, link)? {
        known.standing = states.member(&place.key).count;
        known.newest = Some(states.member(&newest(place.key.counter))).filter(|member| member.count > 0).map(|member| member.at);
    }
    Ok(aggregate::grow(aggregation, before, measured.billed, MemberChange::Report(known))?)
}

/// The event is posted on the links of these charges: there it counts from now on.
pub fn add(prepared: &Prepared, plan: &Plan, charges: &[Charge], states: &mut States) {
    let is_charged = |link: &MeasuredLink<'_>| charges.iter().any(|charge| charge.link.buyer == link.agreement.buyer);
    for place in plan.links().filter(is_charged).filter_map(|link| place(prepared, plan, &link).ok().flatten()) {
        let member = states.member(&place.key);
        let at = prepared.event.at.max(member.at);
        if place.aggregation == Aggregation::Latest {
            let key = newest(place.key.counter);
            let at = at.max(states.member(&key).at);
            states.members.set(key, Member { count: 1, at });
        }
        states.members.set(place.key, Member { count: member.count + 1, at });
    }
}

/// The member a recorded charge is.
fn recorded(void: &Void, index: usize, charge: &Charge) -> Option<Place> {
    let card = void.cards.get(index)?.as_ref()?;
    let counter = CounterKey { buyer: charge.link.buyer, id: charge.counter? };
    let aggregation = card.aggregation(void.rate(charge)?, void.meter.aggregation);
    let value = aggregate::member_value(aggregation, charge.billed, void.charged.at, void.charged.body.member.as_deref())?;
    Some(Place { aggregation, key: MemberKey { counter, value } })
}

fn places(void: &Void) -> impl Iterator<Item = Place> {
    void.charged.body.charges.iter().enumerate().filter_map(|(index, charge)| recorded(void, index, charge))
}

pub fn void_keys(void: &Void, keys: &mut StateKeys) {
    for place in places(void) {
        match place.aggregation {
            Aggregation::Max | Aggregation::Latest => keys.all_members.push(place.key.counter),
            _ => keys.members.push(place.key),
        }
    }
}

/// The counter after a charge is taken back.
pub fn withdrawn(void: &Void, index: usize, charge: &Charge, before: &Counter, states: &States) -> Result<Counter, Overflow> {
    let of_meter = void.meter.aggregation;
    let aggregation = match (void.cards.get(index), void.rate(charge)) {
        (Some(Some(card)), Some(rate)) => card.aggregation(rate, of_meter),
        _ => of_meter,
    };
    let left = match recorded(void, index, charge) {
        None => Left::default(),
        Some(place) => Left { standing: states.member(&place.key).count - 1, value: standing(states, &place)?.map(|(_, value)| value) },
    };
    aggregate::grow(aggregation, before, charge.billed, MemberChange::Withdraw(left))
}

/// The value that stands once this member is taken out (`max`, `latest`).
fn standing(states: &States, without: &Place) -> Result<Option<(Instant, Quantity)>, Overflow> {
    let members = states.members.iter().filter(|(key, _)| key.counter == without.key.counter);
    let counts = members.map(|(key, member)| (key.value.as_str(), member.count - i64::from(*key == without.key)));
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
            let at = left.map(|(at, _)| at);
            states.members.set(newest(place.key.counter), Member { count: i64::from(at.is_some()), at: at.unwrap_or_default() });
        }
        let member = states.member(&place.key);
        states.members.set(place.key, Member { count: member.count - 1, at: member.at });
    }
}
