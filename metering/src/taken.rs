//! What taking an event back comes to where a card priced it: the month's total without it, less the total with it.

use crate::amend::OVERTAKEN;
use crate::command::Problem;
use crate::member;
use crate::segments::{self, Closed};
use crate::states::States;
use crate::void::Void;
use rating::compile::CompiledCard;
use rating::segments::{Change, Pricer, change};
use rating::usage::Counter;
use rating::{Exact, Overflow};
use std::collections::BTreeMap;
use store::journal::{By, Charge, Counted, CounterKey, Place};

/// What a counter and its price are without the event.
#[derive(Debug, Default)]
pub struct Taken {
    /// By how much the total changes, local terms included.
    pub exact: Exact,
    /// The part that is the event's own; the rest is what others come to at their new places.
    pub local: Exact,
    pub before: Counter,
    pub after: Counter,
    pub place: Option<Place>,
    /// Earlier segments that change: as they were, and as they are.
    pub moved: Vec<(Closed, Closed)>,
    /// No other event's price changes.
    pub others_stand: bool,
}

/// One charge that is taken back.
pub struct Taking<'a> {
    pub void: &'a Void,
    /// Of the charge.
    pub index: usize,
    pub charge: &'a Charge,
    pub card: &'a CompiledCard,
    pub rate: u32,
}

/// Its place on the counter.
struct Spot {
    key: CounterKey,
    counted: Counted,
    number: u32,
    cell: u32,
}

impl Taking<'_> {
    pub fn taken(&self, states: &States) -> Result<Taken, Problem> {
        let buyer = self.charge.link.buyer;
        let Some(id) = self.charge.counter else {
            let exact = self.charge.local.checked_neg().map_err(overflow)?;
            return Ok(Taken { exact, local: exact, others_stand: true, ..Taken::default() });
        };
        let key = CounterKey { buyer, id };
        let place = self.void.place(buyer);
        let (number, cell) = place.map_or((0, 0), |place| (place.number, place.cell));
        let spot = Spot { key, counted: states.counted(&key), number, cell };
        if number >= spot.counted.segment.number {
            return self.of_last(&spot, states).map_err(overflow);
        }
        if !self.void.whole.contains(&key) {
            return Err(overtaken());
        }
        let ended = segments::closed(states.members.iter(), key, number);
        self.of_earlier(&spot, &ended, states)
    }

    fn pricer(&self, cell: u32) -> Pricer<'_> {
        Pricer { card: self.card, rate: self.rate, cell }
    }

    /// What the event was charged by its order of arrival; the rest of its local part stays what it was.
    fn by_arrival(&self, cell: u32) -> Result<Exact, Overflow> {
        let is = self.card.goes_by_arrival(self.rate);
        if is { self.pricer(cell).between(&self.charge.before, &self.charge.after) } else { Ok(Exact::ZERO) }
    }

    /// `own`: the segment's change; `by`: `None`: it is not known whether all of it goes by this event's version.
    fn price(&self, cell: u32, start: Counter, own: Change<'_>, by: Option<By>) -> Result<(Exact, Exact), Overflow> {
        let charged = self.by_arrival(cell)?;
        let fixed = self.charge.local.checked_sub(charged)?.checked_neg()?;
        if !self.card.goes_by_arrival(self.rate) {
            return Ok((change(start, &[own])?, fixed));
        }
        // Of events before segments were kept it is only known what they were charged.
        let present = if by.is_none() { charged.checked_neg()? } else { change(start, &[own])? };
        Ok((present, fixed.checked_add(present)?))
    }

    fn of_last(&self, spot: &Spot, states: &States) -> Result<Taken, Overflow> {
        let Spot { counted: Counted { counter: before, segment }, cell, .. } = *spot;
        let after = member::withdrawn(self.void, self.index, self.charge, &before, states)?;
        let own = Change { pricer: self.pricer(cell), was: before.checked_sub(segment.start)?, is: after.checked_sub(segment.start)? };
        let (changed, local) = self.price(cell, segment.start, own, segment.by)?;
        let exact = if self.card.goes_by_arrival(self.rate) { local } else { changed.checked_add(local)? };
        let is_last = before == self.charge.after;
        Ok(Taken {
            exact,
            local,
            before,
            after,
            place: self.recorded(spot, None),
            moved: Vec::new(),
            others_stand: is_last || (self.card.is_even(self.rate) && member::is_sum(self.void, self.index, self.charge)),
        })
    }

    fn recorded(&self, spot: &Spot, start: Option<Counter>) -> Option<Place> {
        let place = Place { buyer: spot.key.buyer, number: spot.number, cell: spot.cell, start };
        (spot.number != 0 || spot.cell != 0 || start.is_some()).then_some(place)
    }

    fn of_earlier(&self, spot: &Spot, ended: &BTreeMap<u32, Closed>, states: &States) -> Result<Taken, Problem> {
        let (counted, last) = (spot.counted, spot.counted.segment.number);
        if ended.len() != (last - spot.number) as usize {
            return Err(Problem::new("internal", "segments of the counter are missing; see verify"));
        }
        let grown = ended.values().map(|closed| (closed.by, closed.growth));
        let of_last = counted.counter.checked_sub(counted.segment.start).map_err(overflow)?;
        let all: Vec<_> = grown.chain([(counted.segment.by, of_last)]).collect();
        let start = all.iter().try_fold(counted.counter, |start, (_, growth)| start.checked_sub(*growth)).map_err(overflow)?;
        let ends = ends_of(start, all.iter().map(|(_, growth)| *growth)).map_err(overflow)?;
        let without = member::ends_without(self.void, self.index, self.charge, spot.number, &ends, states).map_err(overflow)?;
        let growths = growths_of(start, &without).map_err(overflow)?;

        let mut changes = Vec::with_capacity(all.len());
        for (index, ((by, was), is)) in all.iter().zip(&growths).enumerate() {
            let pricer = if index == 0 { self.pricer(spot.cell) } else { self.pricer_of(*by)? };
            changes.push(Change { pricer, was: *was, is: *is });
        }
        let others_stand = changes.iter().all(|change| change.pricer.card.is_even(change.pricer.rate));
        let (own, local) = self.price(spot.cell, start, changes[0], all[0].0).map_err(overflow)?;
        let later = later_change(start, &changes).map_err(overflow)?;
        let own = if self.card.goes_by_arrival(self.rate) { Ok(local) } else { own.checked_add(local) };
        let new_start = without.iter().rev().nth(1).copied().unwrap_or(start);
        let moved = ended.values().zip(&growths).filter(|(closed, growth)| closed.growth != **growth);
        Ok(Taken {
            exact: own.and_then(|own| own.checked_add(later)).map_err(overflow)?,
            local,
            before: counted.counter,
            after: without.last().copied().unwrap_or(start),
            place: self.recorded(spot, Some(new_start)),
            moved: moved.map(|(closed, growth)| (*closed, Closed { growth: *growth, ..*closed })).collect(),
            others_stand: others_stand && member::is_sum(self.void, self.index, self.charge),
        })
    }

    fn pricer_of(&self, by: Option<By>) -> Result<Pricer<'_>, Problem> {
        let By { version, rate, cell } = by.ok_or_else(overtaken)?;
        let card = self.void.versions.get(&version).ok_or_else(overtaken)?;
        Ok(Pricer { card, rate, cell })
    }
}

/// Of the segments behind the first.
fn later_change(start: Counter, changes: &[Change<'_>]) -> Result<Exact, Overflow> {
    let Some((own, _)) = changes.split_first() else { return Ok(Exact::ZERO) };
    change(start, changes)?.checked_sub(change(start, &[*own])?)
}

fn ends_of(start: Counter, growths: impl Iterator<Item = Counter>) -> Result<Vec<Counter>, Overflow> {
    let mut end = start;
    growths
        .map(|growth| {
            end = end.checked_add(growth)?;
            Ok(end)
        })
        .collect()
}

fn growths_of(start: Counter, ends: &[Counter]) -> Result<Vec<Counter>, Overflow> {
    let begins = std::iter::once(&start).chain(ends);
    ends.iter().zip(begins).map(|(end, begin)| end.checked_sub(*begin)).collect()
}

fn overflow(overflow: Overflow) -> Problem {
    Problem::new("overflow", overflow.to_string())
}

fn overtaken() -> Problem {
    Problem::new(OVERTAKEN, "the counter's prices changed meanwhile")
}
