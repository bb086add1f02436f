//! Segments of counters: which one a charge counts in, and the earlier ones, each kept as a member of its counter.
//!
//! A segment ends when an event is priced by another rate of another version, and behind every event whose price depends
//! on its order of arrival. It is written then and read only when an event is taken back.

use crate::prepare::{ByCard, Plan, Prepared};
use crate::turn::Turn;
use rating::usage::Counter;
use rating::{CardVersionId, Instant, Overflow, Quantity};
use std::collections::BTreeMap;
use store::journal::{By, Charge, Counted, CounterKey, Member, MemberKey, Place};

/// Segments that are read for one void. Behind a change of prices there are as many as stragglers of the old ones; of
/// prices that go by arrival, as many as events.
pub const SEGMENTS_MAX: u32 = 100_000;
/// What the name of such a member begins with; no value of another one does.
const MARK: char = '#';

/// A segment that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    pub number: u32,
    /// `None`: from before segments were kept.
    pub by: Option<By>,
    pub growth: Counter,
}

impl Closed {
    /// The last segment of a counter, that ends now. `Overflow`: it grew by more than can be held.
    fn of(counted: &Counted) -> Result<Self, Overflow> {
        let segment = counted.segment;
        Ok(Self { number: segment.number, by: segment.by, growth: counted.counter.checked_sub(segment.start)? })
    }

    pub fn key(&self, counter: CounterKey) -> MemberKey {
        let Self { number, growth, .. } = self;
        let by = self.by.map(|By { version, rate, cell }| format!("/{}/{rate}/{cell}", version.0)).unwrap_or_default();
        MemberKey { counter, value: format!("{MARK}{number}/{}/{}{by}", growth.quantity.0, growth.events) }
    }

    /// `None`: the member is something else.
    pub fn read(value: &str) -> Option<Self> {
        let mut fields = value.strip_prefix(MARK)?.split('/');
        let (number, quantity) = (fields.next()?.parse().ok()?, Quantity(fields.next()?.parse().ok()?));
        let events = fields.next()?.parse().ok()?;
        let by = match fields.next() {
            None => None,
            Some(version) => Some(By {
                version: CardVersionId(version.parse().ok()?),
                rate: fields.next()?.parse().ok()?,
                cell: fields.next()?.parse().ok()?,
            }),
        };
        Some(Self { number, by, growth: Counter { quantity, events } })
    }
}

/// That a segment is as it is; or was, and is no more.
pub fn stands(stands: bool) -> Member {
    Member { count: i64::from(stands), at: Instant(0) }
}

/// Those of a counter that have ended, from this number on.
pub fn closed<'a>(members: impl Iterator<Item = (&'a MemberKey, &'a Member)>, counter: CounterKey, from: u32) -> BTreeMap<u32, Closed> {
    let standing = members.filter(|(key, member)| key.counter == counter && member.count > 0);
    let closed = standing.filter_map(|(key, _)| Closed::read(&key.value));
    closed.filter(|closed| closed.number >= from).map(|closed| (closed.number, closed)).collect()
}

/// Whether a member is a segment, and no value that was reported.
pub fn is_segment(value: &str) -> bool {
    value.starts_with(MARK)
}

impl Turn {
    /// The counters after these charges of an event, and where each counts, if that must be said.
    pub fn count(&mut self, prepared: &Prepared, plan: &Plan, charges: &[Charge]) -> Vec<Place> {
        let mut places = Vec::new();
        for charge in charges {
            let Some(id) = charge.counter else { continue };
            let buyer = charge.link.buyer;
            let key = CounterKey { buyer, id };
            let link = plan.links().find(|link| link.agreement.buyer == buyer);
            let Some(ByCard { version, card, measured }) = link.as_ref().and_then(|link| link.method.by_card()) else { continue };
            let rate = measured.found.rate;
            let alone = card.goes_by_arrival(rate);
            let cell = if alone { card.cell(rate, &prepared.usage(plan)) } else { 0 };
            let mut counted = self.states.counted(&key);
            let mut place = Place { buyer, number: counted.segment.number, cell, start: None };
            if counted.is_left_by(By { version: *version, rate, cell }, alone)
                && let (Ok(ended), Some(next)) = (Closed::of(&counted), place.number.checked_add(1))
            {
                self.states.members.set(ended.key(key), stands(true));
                place.number = next;
            }
            counted.follow(charge, Some(&place), false);
            self.states.counters.set(key, counted);
            if place.number != 0 || place.cell != 0 {
                places.push(place);
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::TenantId;
    use rating::usage::CounterId;

    #[test]
    fn a_segment_reads_back_from_its_name() {
        let counter = CounterKey { buyer: TenantId(7), id: CounterId { rate_key: 1, month: 2 } };
        let growth = Counter { quantity: Quantity(-5), events: 3 };
        for by in [None, Some(By { version: CardVersionId(9), rate: 4, cell: 2 })] {
            let closed = Closed { number: 12, by, growth };
            assert_eq!(Closed::read(&closed.key(counter).value), Some(closed));
        }
        for other in ["", "7", "-7", "1000000/7", "00ff", "#", "#x/1/1", "#1/1", "#1/1/1/9"] {
            assert_eq!(Closed::read(other), None, "{other}");
        }
    }
}
