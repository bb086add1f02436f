//! What a usage without a rate missed: said to whoever must mend it. Looks once more, at leisure,
//! where the match has failed.

use super::{CompiledCard, FOREVER, Terms, find};
use crate::Instant;
use crate::usage::{Number, Usage};
use std::fmt;

/// The nearest that a card came to pricing a usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    /// The card has no rate of the meter.
    Meter,
    /// Every rate of the meter looks at the destination, and the usage has none that is a number.
    Destination,
    /// No rate has a prefix of the destination.
    Prefix,
    /// Rates of the prefix look at the origin.
    Origin,
    /// Rates of the prefix want this attribute to have another value, or to be there.
    Attribute {
        name: String,
        value: String,
    },
    /// The rate was in force later or earlier.
    NotYet {
        from: Instant,
    },
    Ended {
        at: Instant,
    },
    /// The rate is in force at other hours.
    Window,
}

impl Missed {
    /// From when on the card has what it lacks.
    pub fn begins_at(&self) -> Option<Instant> {
        if let Self::NotYet { from } = self {
            Some(*from)
        } else {
            None
        }
    }

    /// How near it came.
    fn rank(&self) -> u8 {
        match self {
            Self::Meter => 0,
            Self::Destination | Self::Prefix => 1,
            Self::Origin => 2,
            Self::Attribute { .. } => 3,
            Self::Ended { .. } => 4,
            Self::NotYet { .. } => 5,
            Self::Window => 6,
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meter => f.write_str("no rate is of this meter"),
            Self::Destination => f.write_str(
                "every rate of this meter looks at the destination, and the event has \
                    none that can be read as a number",
            ),
            Self::Prefix => f.write_str("no rate has a prefix of this destination"),
            Self::Origin => f.write_str("the rates of this destination are for other origins"),
            Self::Attribute { name, value } => write!(
                f,
                "the nearest rate wants the attribute \
                {name} to be {value:?}"
            ),
            Self::NotYet { from } => write!(f, "its rate begins at {from}"),
            Self::Ended { at } => write!(f, "its rate ended at {at}"),
            Self::Window => f.write_str("its rate is not in force at this hour (`window`)"),
        }
    }
}

impl CompiledCard {
    /// What the usage missed here. Only of interest where no rate was found.
    pub fn missed(&self, usage: &Usage<'_>) -> Missed {
        let Some(meter) = self.meter(usage.meter) else {
            return Missed::Meter;
        };
        if usage.number == Number::Unclear && meter.looks_at_destination {
            return Missed::Prefix;
        }
        let digits = find::digits_of(usage);
        let mut nearest = if !digits.is_empty() {
            Missed::Prefix
        } else {
            Missed::Destination
        };
        let mut at_most = digits.len();
        while let Some((len, value)) = meter.prefixes.longest(digits, at_most) {
            // A short number is none of the country that begins with its digits.
            let fits = usage.number.has_prefixes() || len == 0 || len == digits.len();
            let is_for_it = |rate: &u32| {
                fits && (len > 0
                    || find::is_with_country(usage, digits)
                    || !self.is_of_every_number(*rate))
            };
            for rate in self.rates_of(value).into_iter().filter(is_for_it) {
                let missed = self
                    .terms_of(rate)
                    .and_then(|terms| self.missed_by(terms, usage));
                if let Some(missed) = missed.filter(|missed| missed.rank() > nearest.rank()) {
                    nearest = missed;
                }
            }
            let Some(shorter) = len.checked_sub(1) else {
                break;
            };
            at_most = shorter;
        }
        nearest
    }

    /// What one rate wants; mostly something.
    fn missed_by(&self, terms: &Terms, usage: &Usage<'_>) -> Option<Missed> {
        if let Some((name, value)) = terms
            .attributes
            .iter()
            .find(|(name, value)| !has(usage.attributes, name, value))
        {
            return Some(Missed::Attribute {
                name: name.to_string(),
                value: value.to_string(),
            });
        }
        if terms.origins.as_ref().is_some_and(|origins| {
            origins
                .longest(usage.origin.unwrap_or("").as_bytes(), usize::MAX)
                .is_none()
        }) {
            return Some(Missed::Origin);
        }
        if usage.at < terms.effective_from {
            return Some(Missed::NotYet {
                from: terms.effective_from,
            });
        }
        if terms.effective_until != FOREVER && usage.at >= terms.effective_until {
            return Some(Missed::Ended {
                at: terms.effective_until,
            });
        }
        if terms.window.is_some() {
            Some(Missed::Window)
        } else {
            None
        }
    }
}

fn has(attributes: &[(String, String)], name: &str, value: &str) -> bool {
    attributes
        .iter()
        .any(|(own, given)| own == name && given == value)
}
