//! Where a counter stands, and since when it is priced as it is: the last of its segments (`rating::segments`).
//!
//! Those before it are kept beside it, each as a member of the counter, and are read only when an event is taken back. An
//! event of the first segment says nothing of it, so that a counter whose price never changes costs no bytes more.
//!
//! Invariant: it follows from the records of its counter, in order, and from nothing else ([`Counted::follow`]).

use super::{Charge, ChargePricing};
use rating::usage::Counter;
use rating::{CardVersionId, TenantId};
use serde::{Deserialize, Serialize};

/// What prices a segment: a rate of a version, and which price of a matrix (0: there are not several).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    pub version: CardVersionId,
    pub rate: u32,
    pub cell: u32,
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    pub counter: Counter,
    pub segment: Segment,
}

/// In which segment the charge of this buyer counts; absent: in the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub buyer: TenantId,
    pub number: u32,
    pub cell: u32,
    /// A void of an earlier segment: where the last one begins from now on.
    pub start: Option<Counter>,
}

impl Charge {
    /// The rate that moved its counter.
    pub const fn by(&self, cell: u32) -> Option<By> {
        match self.pricing {
            ChargePricing::Card { version, rate, .. } | ChargePricing::Floored { version, rate, .. } => Some(By { version, rate, cell }),
            ChargePricing::Commission { .. } | ChargePricing::CommissionOf { .. } | ChargePricing::Carry => None,
        }
    }
}

impl Counted {
    /// What a counter was before there were segments.
    pub fn before_segments(counter: Counter) -> Self {
        Self { counter, segment: Segment::default() }
    }

    fn is_fresh(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an event that is priced so begins a segment of its own. `alone`: it depends on its order of arrival.
    pub fn is_left_by(&self, by: By, alone: bool) -> bool {
        !self.is_fresh() && (alone || self.segment.by != Some(by))
    }

    /// After a charge of a record, or one that takes another back.
    pub fn follow(&mut self, charge: &Charge, place: Option<&Place>, is_void: bool) {
        let by = charge.by(place.map_or(0, |place| place.cell));
        if is_void {
            self.segment.start = place.and_then(|place| place.start).unwrap_or(self.segment.start);
        } else if let Some(place) = place.filter(|place| place.number > self.segment.number) {
            self.segment = Segment { number: place.number, by, start: self.counter };
        } else if self.is_fresh() {
            self.segment.by = by;
        } else if self.segment.number == 0 && self.segment.by != by {
            // Of records from before segments were kept: prices changed, and nobody knows in which order.
            self.segment.by = None;
        }
        self.counter = charge.after;
    }

    /// Whether two accounts of one counter agree, where one may not know its segments.
    pub fn agrees(&self, other: &Self) -> bool {
        let know_both = self.segment.by.is_some() && other.segment.by.is_some();
        self.counter == other.counter && (!know_both || self.segment == other.segment)
    }
}
