//! What a card, or one of its fallbacks, says of a usage.

use crate::distinct;
use formats::{UsageEvent, numbers};
use rating::card::{Aggregation, CALL_UNIT, MeterTerms};
use rating::compile::CompiledCard;
use rating::usage::{Measured, Number, Unrated, Usage};
use std::sync::Arc;

/// How many fallback cards may stand behind one another.
pub const FALLBACKS_MAX: usize = 8;

#[inline]
pub(crate) fn usage_of<'a>(event: &'a UsageEvent, meter: &MeterTerms, number: Number) -> Usage<'a> {
    Usage {
        meter: &event.meter,
        is_call: meter.unit == CALL_UNIT,
        aggregation: meter.aggregation,
        at: event.at,
        quantity: event.quantity,
        amount: event.amount,
        number,
        // An extension 49 is no call to Germany, whose rates have this prefix.
        destination: event
            .destination
            .as_deref()
            .filter(|digits| number != Number::Short || !numbers::is_code_alone(digits)),
        origin: event.origin.as_deref(),
        attributes: &event.attributes,
    }
}

/// What stands in the place of terms, where nobody has made the meter.
pub fn no_meter() -> Arc<MeterTerms> {
    Arc::new(MeterTerms {
        unit: String::new(),
        aggregation: Aggregation::Sum,
        unique_by: None,
    })
}

/// What can be said before the event's turn of a usage that a card has a rate for.
pub(crate) fn check(
    card: &CompiledCard,
    measured: &Measured,
    usage: &Usage<'_>,
    meter: &MeterTerms,
) -> Result<(), Unrated> {
    card.check(measured, usage)?;
    distinct::check(
        card.aggregation(measured.found.rate, meter.aggregation),
        measured,
        meter,
        usage.attributes,
    )
}

/// What a card says of a usage.
pub(crate) enum Asked<C, F> {
    Found(F),
    /// It has no rate: its fallback card is asked.
    Next(C),
}

/// Asks a card, then its fallback cards; `None`: there are too many of them.
pub(crate) fn through_fallbacks<C, F, E>(
    first: C,
    mut ask: impl FnMut(C) -> Result<Asked<C, F>, E>,
) -> Result<Option<F>, E> {
    let mut card = first;
    for _ in 0..FALLBACKS_MAX {
        match ask(card)? {
            Asked::Found(found) => return Ok(Some(found)),
            Asked::Next(next) => card = next,
        }
    }
    Ok(None)
}
