//! Where a counter stands, since when it is priced as it is: the last of its segments
//! (`rating::segments`); and what it was charged so far.
//!
//! Those before it are kept beside it, each as a distinct value of the counter, and are read only
//! when an event is taken back. An event of the first segment says nothing of it, so that a counter
//! whose price never changes costs no bytes more; and what it was charged follows from its charges,
//! but where a change of prices was bounded ([`Restated`]).
//!
//! Invariant: it follows from the records of its counter, in order, and from nothing else
//! ([`Counted::follow`]).

use super::{Charge, ChargePricing, JournalError};
use crate::codec::{pack_into, unpack_from};
use rating::segments::{By, Charged};
use rating::usage::{Counter, Priced};
use rating::{Exact, Overflow, TenantId};
use serde::{Deserialize, Serialize};

/// The last segment of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Segment {
    /// Counted from 0.
    pub number: u32,
    /// `None`: it began before segments were kept, and may be of several versions.
    pub by: Option<By>,
    /// Where the counter stood when it began, less what was taken back since.
    pub start: Counter,
}

/// What a counter was charged so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SoFar {
    /// In front of its last segment.
    pub before: Charged,
    pub now: Charged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub counter: Counter,
    pub segment: Segment,
    /// `None`: it began before this was kept. Nothing bounds it until its month ends.
    pub so_far: Option<SoFar>,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            counter: Counter::default(),
            segment: Segment::default(),
            so_far: Some(SoFar::default()),
        }
    }
}

/// In which segment the charge of this buyer counts; absent: in the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub buyer: TenantId,
    pub number: u32,
    pub cell: u32,
    /// A void of an earlier segment: where the last one begins from now on.
    pub start: Option<Counter>,
    pub restated: Option<Restated>,
}

/// What a counter was charged so far, after a charge from which that does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restated {
    /// A void of an earlier segment: in front of the last one.
    pub before: Option<Charged>,
    /// By whose prices: said of a void only, any other charge names its own.
    pub now: Charged,
}

impl Restated {
    /// After a charge that says by what it is priced.
    pub const fn by_charge(now: Charged) -> Self {
        Self {
            before: None,
            now: Charged { by: None, ..now },
        }
    }
}

impl Charge {
    /// The rate that moved its counter.
    pub const fn by(&self, cell: u32) -> Option<By> {
        match self.pricing {
            ChargePricing::Card { version, rate, .. }
            | ChargePricing::Floored { version, rate, .. } => Some(By {
                version,
                rate,
                cell,
            }),
            ChargePricing::Commission { .. }
            | ChargePricing::CommissionOf { .. }
            | ChargePricing::Carry => None,
        }
    }

    /// What it comes to but for its own part; of a floor that does not apply, nothing that its
    /// counter knows of.
    pub fn counted(&self) -> Result<Exact, Overflow> {
        match self.pricing {
            ChargePricing::Floored { applies: false, .. } => Ok(Exact::ZERO),
            _ => self.exact.checked_sub(self.local),
        }
    }
}

impl SoFar {
    /// After a charge, as far as it follows from that alone.
    fn after(&self, charge: &Charge, by: By, is_new: bool) -> Result<Self, Overflow> {
        let now = self.now.charged(by, charge.counted()?)?;
        Ok(Self {
            before: if is_new { self.now } else { self.before },
            now,
        })
    }

    /// After one of its last segment is taken back, likewise: what that adds. `is_empty`: no other
    /// is left there.
    pub fn without(&self, more: Exact, is_empty: bool) -> Result<Self, Overflow> {
        let now = match self.now.by.filter(|_| !is_empty) {
            Some(by) => self.now.charged(by, more)?,
            None => self.before,
        };
        Ok(Self { now, ..*self })
    }
}

impl Counted {
    /// What a counter was before there were segments.
    pub fn before_segments(counter: Counter) -> Self {
        Self {
            counter,
            segment: Segment::default(),
            so_far: None,
        }
    }

    fn is_fresh(&self) -> bool {
        self.counter == Counter::default() && self.segment == Segment::default()
    }

    /// Whether an event that is priced so begins a segment of its own. `alone`: it depends on its
    /// order of arrival.
    pub fn is_left_by(&self, by: By, alone: bool) -> bool {
        !self.is_fresh() && (alone || self.segment.by != Some(by))
    }

    /// The price of an event, where a change of prices gives back no more than was charged.
    /// `gives`: [`Charged::grown`].
    pub fn bounded(&self, by: By, gives: bool, priced: Priced) -> Result<Priced, Overflow> {
        match &self.so_far {
            Some(SoFar { now, .. }) if priced.exact != priced.local => {
                Ok(now.price(by, gives, priced)?.0)
            }
            _ => Ok(priced),
        }
    }

    /// After a charge of a record, or one that takes another back.
    pub fn follow(&mut self, charge: &Charge, place: Option<&Place>, is_void: bool) {
        let by = charge.by(place.map_or(0, |place| place.cell));
        let is_new = !is_void && place.is_some_and(|place| place.number > self.segment.number);
        self.so_far = self.so_far_after(charge, place, is_void, is_new);
        if is_void {
            self.segment.start = place
                .and_then(|place| place.start)
                .unwrap_or(self.segment.start);
        } else if let Some(place) = place.filter(|_| is_new) {
            self.segment = Segment {
                number: place.number,
                by,
                start: self.counter,
            };
        } else if self.is_fresh() {
            self.segment.by = by;
        } else if self.segment.number == 0 && self.segment.by != by {
            // Of records from before segments were kept: prices changed, and nobody knows in which
            // order.
            (self.segment.by, self.so_far) = (None, None);
        }
        self.counter = charge.after;
    }

    fn so_far_after(
        &self,
        charge: &Charge,
        place: Option<&Place>,
        is_void: bool,
        is_new: bool,
    ) -> Option<SoFar> {
        let so_far = self.so_far?;
        let by = charge.by(place.map_or(0, |place| place.cell))?;
        if let Some(Restated { before, now }) = place.and_then(|place| place.restated) {
            let before = before.unwrap_or(if is_new { so_far.now } else { so_far.before });
            return Some(SoFar {
                before,
                now: Charged {
                    by: if is_void { now.by } else { Some(by) },
                    ..now
                },
            });
        }
        // Records from before this was kept restate nothing: neither a void of an earlier segment,
        // nor what is beyond a bound.
        if is_void && place.is_some_and(|place| place.start.is_some()) {
            return None;
        }
        let is_empty = charge.after.events == self.segment.start.events;
        let after = if is_void {
            charge
                .counted()
                .and_then(|more| so_far.without(more, is_empty))
        } else {
            so_far.after(charge, by, is_new)
        };
        after
            .ok()
            .filter(|SoFar { now, .. }| now.sum == now.total() || *now == so_far.before)
    }

    /// Whether two accounts of one counter agree, where one may not know its segments, or what it
    /// was charged.
    pub fn agrees(&self, other: &Self) -> bool {
        let know_both = self.segment.by.is_some() && other.segment.by.is_some();
        let charged_both = self.so_far.is_some() && other.so_far.is_some();
        self.counter == other.counter
            && (!know_both || self.segment == other.segment)
            && (!know_both || !charged_both || self.so_far == other.so_far)
    }

    /// All but the counter, as rows have it: the segment, and behind it what was charged so far.
    pub fn packed(&self) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::with_capacity(48);
        pack_into(&self.segment, &mut bytes)?;
        pack_into(&self.so_far, &mut bytes)?;
        Ok(bytes)
    }

    /// `packed`: absent in rows from before there were segments; those from before it was kept what
    /// was charged end behind the segment.
    pub fn unpacked(counter: Counter, packed: Option<&[u8]>) -> Result<Self, JournalError> {
        let Some(packed) = packed else {
            return Ok(Self::before_segments(counter));
        };
        let (segment, rest) = unpack_from(packed, "segment")?;
        let so_far = if rest.is_empty() {
            None
        } else {
            unpack_from(rest, "segment")?.0
        };
        Ok(Self {
            counter,
            segment,
            so_far,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::pack;
    use rating::{CardVersionId, Quantity};

    fn counted() -> Counted {
        let by = By {
            version: CardVersionId(9),
            rate: 4,
            cell: 0,
        };
        let start = Counter {
            quantity: Quantity::whole(10),
            events: 2,
        };
        let counter = Counter {
            quantity: Quantity::whole(11),
            events: 3,
        };
        let before = Charged {
            by: Some(By {
                version: CardVersionId(8),
                ..by
            }),
            sum: Exact(10),
            least: None,
        };
        let now = Charged {
            by: Some(by),
            sum: Exact(-90),
            least: Some(Exact::ZERO),
        };
        let segment = Segment {
            number: 1,
            by: Some(by),
            start,
        };
        Counted {
            counter,
            segment,
            so_far: Some(SoFar { before, now }),
        }
    }

    #[test]
    fn a_row_reads_back_and_so_do_those_from_before() {
        let counted = counted();
        for is in [
            counted,
            Counted {
                so_far: None,
                ..counted
            },
            Counted::default(),
        ] {
            assert_eq!(
                Counted::unpacked(is.counter, Some(&is.packed().unwrap())).unwrap(),
                is
            );
        }
        let of_segments = pack(&counted.segment).unwrap();
        assert_eq!(
            Counted::unpacked(counted.counter, Some(&of_segments)).unwrap(),
            Counted {
                so_far: None,
                ..counted
            }
        );
        assert_eq!(
            Counted::unpacked(counted.counter, None).unwrap(),
            Counted::before_segments(counted.counter)
        );
        assert!(
            Counted::unpacked(counted.counter, Some(&counted.packed().unwrap()[..12])).is_err()
        );
    }

    #[test]
    fn accounts_agree_where_one_knows_less() {
        let counted = counted();
        let SoFar { before, now } = counted.so_far.unwrap();
        let other = Counted {
            so_far: Some(SoFar {
                before,
                now: Charged {
                    sum: Exact(-91),
                    ..now
                },
            }),
            ..counted
        };
        assert!(
            counted.agrees(&Counted {
                so_far: None,
                ..counted
            }) && counted.agrees(&Counted::before_segments(counted.counter))
        );
        assert!(counted.agrees(&counted) && !counted.agrees(&other));
    }
}
