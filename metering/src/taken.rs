//! What taking an event back comes to where a card priced it: the month's total without it, less
//! the total with it.

use crate::segments::{self, Closed};
use crate::states::States;
use crate::void::Void;
use crate::{distinct_value, flats};
use journal::{By, Charge, ChargePricing, Counted, CounterKey, Place, Restated};
use problem::{Code, Problem};
use rating::compile::CompiledCard;
use rating::segments::{Before, Change, Changed, Flats, Pricer, change};
use rating::usage::Counter;
use rating::{Exact, Overflow};
use std::collections::BTreeMap;

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
    /// What the counter is charged, without it, of what is due once; `None`: nothing of that
    /// changes, or it is not kept.
    pub flats: Option<Flats>,
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
            return Ok(Taken {
                exact,
                local: exact,
                others_stand: true,
                ..Taken::default()
            });
        };
        let key = CounterKey { buyer, id };
        let place = self.void.place(buyer);
        let (number, cell) = place.map_or((0, 0), |place| (place.number, place.cell));
        let spot = Spot {
            key,
            counted: states.counted(&key),
            number,
            cell,
        };
        let is_last = number >= spot.counted.segment.number;
        if !self.void.whole.contains(&key)
            && (!is_last || (number > 0 && self.card.has_flats(self.rate)))
        {
            return Err(overtaken());
        }
        if is_last {
            let flats = if self.card.has_flats(self.rate) {
                self.flats_before(&spot, spot.counted.segment.start, states)?
            } else {
                None
            };
            return self.of_last(&spot, flats, states).map_err(overflow);
        }
        let ended = segments::closed(states.distinct_values.iter(), key, number);
        self.of_earlier(&spot, &ended, states)
    }

    /// `Overflow`: no card priced it, and it has no counter.
    fn pricer(&self, cell: u32) -> Result<Pricer<'_>, Overflow> {
        Ok(Pricer {
            card: self.card,
            by: self.charge.by(cell).ok_or(Overflow)?,
        })
    }

    /// All of the difference, and the event's own part of it: what it was charged by its order of
    /// arrival changes with the others of its segment, the rest of its local part is given back as
    /// it was. `by`: of the segment; `None`: it is not known whether all of it goes by this event's
    /// version.
    fn parts(
        &self,
        pricer: Pricer<'_>,
        by: Option<By>,
        changed: &Changed,
    ) -> Result<(Exact, Exact), Overflow> {
        let charged = pricer.by_arrival(&self.charge.before, &self.charge.after)?;
        let fixed = self.charge.local.checked_sub(charged)?.checked_neg()?;
        // Of events before segments were kept it is only known what they were charged.
        let by_arrival = if by.is_none() {
            charged.checked_neg()?
        } else {
            changed.by_arrival
        };
        let local = fixed.checked_add(by_arrival)?;
        Ok((local.checked_add(changed.rest)?, local))
    }

    /// What was charged of what is due once in front of the event's segment, which begins there;
    /// `None`: it is not kept.
    fn flats_before(
        &self,
        spot: &Spot,
        start: Counter,
        states: &States,
    ) -> Result<Option<Flats>, Problem> {
        if !flats::is_kept(spot.key, &spot.counted, states) {
            return Ok(None);
        }
        let mut flats = Flats::default();
        if spot.number == 0 {
            return Ok(Some(flats));
        }
        let mut front = segments::closed(states.distinct_values.iter(), spot.key, 0);
        front.retain(|number, _| *number < spot.number);
        if front.len() != spot.number as usize {
            return Err(missing());
        }
        let ends = front.values().rev().scan(Ok(start), |at, closed| {
            let end = (*at).ok()?;
            *at = end.checked_sub(closed.growth);
            Some((*at).map(|start| (closed.by, start, end)))
        });
        let stretches: Result<Vec<_>, Overflow> = ends.collect();
        for (by, start, end) in stretches.map_err(overflow)?.into_iter().rev() {
            flats
                .grow(&self.pricer_of(by)?, &start, &end)
                .map_err(overflow)?;
        }
        Ok(Some(flats))
    }

    fn of_last(
        &self,
        spot: &Spot,
        flats: Option<Flats>,
        states: &States,
    ) -> Result<Taken, Overflow> {
        let Spot {
            counted:
                Counted {
                    counter: before,
                    segment,
                    so_far,
                },
            cell,
            ..
        } = *spot;
        let after = distinct_value::withdrawn(self.void, self.index, self.charge, &before, states)?;
        let pricer = self.pricer(cell)?;
        let own = Change {
            pricer,
            was: before.checked_sub(segment.start)?,
            is: after.checked_sub(segment.start)?,
        };
        let before_it = Before {
            start: segment.start,
            charged: so_far.map(|so_far| so_far.before),
            flats,
        };
        let changed = change(before_it, &[own])?;
        let (exact, local) = self.parts(pricer, segment.by, &changed)?;
        let restated = self.restated(&spot.counted, after, &changed);
        let is_last = before == self.charge.after;
        Ok(Taken {
            exact,
            local,
            before,
            after,
            place: self.recorded(spot, None, restated),
            moved: Vec::new(),
            flats: changed.flats,
            others_stand: is_last
                || (self.card.is_even(self.rate)
                    && distinct_value::is_sum(self.void, self.index, self.charge)),
        })
    }

    /// What the counter was charged so far without the event, if that does not follow from what is
    /// given back. Under a floor that says nothing of it.
    fn restated(&self, counted: &Counted, after: Counter, changed: &Changed) -> Option<Restated> {
        let (so_far, now) = (counted.so_far?, *changed.charged.last()?);
        let is_whole = matches!(self.charge.pricing, ChargePricing::Card { .. });
        let follows = so_far.without(changed.rest, after.events == counted.segment.start.events);
        (!is_whole || follows.map(|follows| follows.now) != Ok(now))
            .then_some(Restated { before: None, now })
    }

    fn recorded(
        &self,
        spot: &Spot,
        start: Option<Counter>,
        restated: Option<Restated>,
    ) -> Option<Place> {
        let place = Place {
            buyer: spot.key.buyer,
            number: spot.number,
            cell: spot.cell,
            start,
            restated,
        };
        (spot.number != 0 || spot.cell != 0 || start.is_some() || restated.is_some())
            .then_some(place)
    }

    fn of_earlier(
        &self,
        spot: &Spot,
        ended: &BTreeMap<u32, Closed>,
        states: &States,
    ) -> Result<Taken, Problem> {
        let (counted, last) = (spot.counted, spot.counted.segment.number);
        if ended.len() != (last - spot.number) as usize {
            return Err(missing());
        }
        let grown = ended.values().map(|closed| (closed.by, closed.growth));
        let of_last = counted
            .counter
            .checked_sub(counted.segment.start)
            .map_err(overflow)?;
        let all: Vec<_> = grown.chain([(counted.segment.by, of_last)]).collect();
        let start = all
            .iter()
            .try_fold(counted.counter, |start, (_, growth)| {
                start.checked_sub(*growth)
            })
            .map_err(overflow)?;
        let ends = ends_of(start, all.iter().map(|(_, growth)| *growth)).map_err(overflow)?;
        let without = distinct_value::ends_without(
            self.void,
            self.index,
            self.charge,
            spot.number,
            &ends,
            states,
        )
        .map_err(overflow)?;
        let growths = growths_of(start, &without).map_err(overflow)?;

        let own = self.pricer(spot.cell).map_err(overflow)?;
        let mut changes = Vec::with_capacity(all.len());
        for (index, ((by, was), is)) in all.iter().zip(&growths).enumerate() {
            let pricer = if index == 0 {
                own
            } else {
                self.pricer_of(*by)?
            };
            changes.push(Change {
                pricer,
                was: *was,
                is: *is,
            });
        }
        let others_stand = changes
            .iter()
            .all(|change| change.pricer.card.is_even(change.pricer.by.rate));
        let before = ended
            .values()
            .next()
            .and_then(|closed| closed.before)
            .filter(|_| counted.so_far.is_some());
        let flats = self.flats_before(spot, start, states)?;
        let changed = change(
            Before {
                start,
                charged: before,
                flats,
            },
            &changes,
        )
        .map_err(overflow)?;
        let (exact, local) = self.parts(own, all[0].0, &changed).map_err(overflow)?;
        let new_start = without.iter().rev().nth(1).copied().unwrap_or(start);
        Ok(Taken {
            exact,
            local,
            before: counted.counter,
            after: without.last().copied().unwrap_or(start),
            place: self.recorded(spot, Some(new_start), restated_behind(&changed)),
            moved: moved(ended, &growths, &changed),
            flats: changed.flats,
            others_stand: others_stand
                && distinct_value::is_sum(self.void, self.index, self.charge),
        })
    }

    fn pricer_of(&self, by: Option<By>) -> Result<Pricer<'_>, Problem> {
        let by = by.ok_or_else(overtaken)?;
        let card = self.void.versions.get(&by.version).ok_or_else(overtaken)?;
        Ok(Pricer { card, by })
    }
}

/// Behind all segments; and in front of the last one, which begins elsewhere now.
fn restated_behind(changed: &Changed) -> Option<Restated> {
    let [.., before, now] = changed.charged.as_slice() else {
        return None;
    };
    Some(Restated {
        before: Some(*before),
        now: *now,
    })
}

/// Segments that are not what they were: shorter, or charged something else in front of them.
fn moved(
    ended: &BTreeMap<u32, Closed>,
    growths: &[Counter],
    changed: &Changed,
) -> Vec<(Closed, Closed)> {
    let befores = changed
        .charged
        .iter()
        .copied()
        .map(Some)
        .chain(std::iter::repeat(None));
    let is = ended
        .values()
        .zip(growths)
        .zip(befores)
        .map(|((was, growth), before)| Closed {
            growth: *growth,
            before,
            ..*was
        });
    ended
        .values()
        .copied()
        .zip(is)
        .filter(|(was, is)| was != is)
        .collect()
}

fn ends_of(
    start: Counter,
    growths: impl Iterator<Item = Counter>,
) -> Result<Vec<Counter>, Overflow> {
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
    ends.iter()
        .zip(begins)
        .map(|(end, begin)| end.checked_sub(*begin))
        .collect()
}

fn overflow(overflow: Overflow) -> Problem {
    Problem::new(Code::Overflow, overflow.to_string())
}

fn missing() -> Problem {
    Problem::new(
        Code::Internal,
        "segments of the counter are missing; see verify",
    )
}

fn overtaken() -> Problem {
    Problem::new(Code::Overtaken, "the counter's prices changed meanwhile")
}
