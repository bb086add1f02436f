//! The value by which an event is counted: what it is, and whether the event has it.

use formats::UsageEvent;
use rating::aggregate::{self, Level, Report};
use rating::card::{Aggregation, MeterTerms};
use rating::usage::{Measured, Unrated};

/// What a `unique` meter counts of an event. An empty text is nobody.
#[inline]
pub fn distinct<'e>(meter: &MeterTerms, attributes: &'e [(String, String)]) -> Option<&'e str> {
    let attribute = meter
        .unique_by
        .as_deref()
        .filter(|_| meter.aggregation == Aggregation::Unique)?;
    attributes
        .iter()
        .find(|(name, value)| name == attribute && !value.is_empty())
        .map(|(_, value)| value.as_str())
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
        return Err(Unrated::NoAttribute(
            meter.unique_by.clone().unwrap_or_default(),
        ));
    }
    Ok(())
}

/// The distinct value of an event; `name`: what a distinct value is called.
///
/// # Errors
/// It is counted by an attribute that it lacks.
pub fn value(
    aggregation: Aggregation,
    measured: &Measured,
    meter: &MeterTerms,
    (event, level): (&UsageEvent, Level),
    name: impl Fn(&str) -> String,
) -> Result<Option<String>, Unrated> {
    check(aggregation, measured, meter, &event.attributes)?;
    let name = distinct(meter, &event.attributes).map(name);
    let report = Report {
        at: event.at,
        quantity: measured.billed,
        unique_by: name.as_deref(),
        level,
    };
    Ok(aggregate::distinct_value_text(aggregation, &report))
}
