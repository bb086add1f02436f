//! The counters after the charges of an event, and the segments in which these count.

use crate::batch_executor::BatchExecutor;
use crate::flats;
use crate::segments::{Closed, stands};
use journal::{By, Charge, ChargePricing, CounterKey, Place, Restated};
use prepare::event::RatedEvent;
use prepare::measured::{ByCard, Plan};
use rating::Exact;
use rating::segments::{Charged, Pricer};

impl BatchExecutor {
    /// The counters after these charges of an event, and where each counts, if that must be said.
    pub fn count(&mut self, prepared: &RatedEvent, plan: &Plan, charges: &[Charge]) -> Vec<Place> {
        let mut places = Vec::new();
        for charge in charges {
            let Some(id) = charge.counter else { continue };
            let buyer = charge.link.buyer;
            let key = CounterKey { buyer, id };
            if charge.by(0).is_none() {
                // What a commission was charged (`shares`): it is priced by no card.
                let mut counted = self.states.counted(&key);
                counted.follow(charge, None, false);
                self.states.counters.set(key, counted);
                continue;
            }
            let link = plan.links().find(|link| link.agreement.buyer == buyer);
            let Some(by_card) = link.as_ref().and_then(|link| link.method.by_card()) else {
                continue;
            };
            let ByCard {
                version,
                card,
                measured,
                ..
            } = by_card;
            let rate = measured.found.rate;
            let alone = card.goes_by_arrival(rate);
            let cell = if alone {
                card.cell(rate, &prepared.usage(plan))
            } else {
                0
            };
            let mut counted = self.states.counted(&key);
            let by = By {
                version: *version,
                rate,
                cell,
            };
            let flats = flats::due(by_card, key, &counted, &charge.after, &self.states)
                .ok()
                .flatten();
            let due = flats.map_or(Exact::ZERO, |flats| flats.due);
            let restated = counted
                .so_far
                .and_then(|so_far| restated(&so_far.now, charge, due, Pricer { card, by }));
            let mut place = Place {
                buyer,
                number: counted.segment.number,
                cell,
                start: None,
                restated,
            };
            if counted.is_left_by(by, alone)
                && let (Ok(ended), Some(next)) = (Closed::of(&counted), place.number.checked_add(1))
            {
                self.states
                    .distinct_values
                    .set(ended.key(key), stands(true));
                if place.number == 0 && flats::is_kept(key, &counted, &self.states) {
                    flats::keep_from_now(key, &mut self.states);
                }
                place.number = next;
            }
            counted.follow(charge, Some(&place), false);
            self.states.counters.set(key, counted);
            if let Some(flats) = flats {
                flats::keep(key, card.card(), flats.charged, &mut self.states);
            }
            if place.number != 0 || place.cell != 0 || place.restated.is_some() {
                places.push(place);
            }
        }
        places
    }
}

/// What a counter was charged so far after this charge, if that does not follow from the charge.
/// `due`: beyond its way on the curve.
pub(crate) fn restated(
    now: &Charged,
    charge: &Charge,
    due: Exact,
    pricer: Pricer<'_>,
) -> Option<Restated> {
    let Pricer { card, by } = pricer;
    let is_whole = matches!(charge.pricing, ChargePricing::Card { .. });
    let follows = now
        .charged(by, charge.exact.checked_sub(charge.local).ok()?)
        .ok()?;
    // Above its bound it was charged what its prices say.
    if is_whole
        && follows
            .least
            .is_none_or(|least| follows.sum > least && !card.gives_money(by.rate))
    {
        return None;
    }
    let more = pricer
        .counted(&charge.before, &charge.after)
        .ok()?
        .checked_add(due)
        .ok()?;
    let is = now.grown(by, card.gives_money(by.rate), more).ok()?;
    let follows = if is_whole {
        Ok(follows)
    } else {
        now.charged(by, charge.counted().ok()?)
    };
    (follows != Ok(is)).then_some(Restated::by_charge(is))
}
