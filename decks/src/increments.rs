//! Cells of increments, in seconds.

use super::bad::Bad;
use formats::sheet::decimal::{self, Mark};
use formats::sheet::duration::{self, DurationForm};
use formats::sheet::shown;
use rating::Quantity;

/// Seconds, whole or not. `60/1` in one cell: the initial and the following increment. `unit`: what
/// one of them counts.
pub fn increments(
    cell: &str,
    unit: Quantity,
    mark: Mark,
) -> Result<(Quantity, Option<Quantity>), Bad> {
    match cell.split_once('/') {
        Some((initial, next)) => {
            let one = |part: &str| seconds(part, unit, mark).map_err(|_| bad_increment(cell));
            // `1/1 min`: the unit behind counts for both, or for nothing that is known.
            let says_unit =
                |part: &str| part.contains(|c: char| c == ':' || c.is_ascii_alphabetic());
            let (first, second) = (one(initial)?, one(next)?);
            let is_in_seconds = || {
                decimal::plain(
                    next.trim()
                        .trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' '),
                    mark,
                )
                .is_some_and(|text| text.parse() == Ok(second))
            };
            if says_unit(next) && !says_unit(initial) && !is_in_seconds() {
                return Err(bad_increment(cell));
            }
            Ok((first, Some(second)))
        }
        None => Ok((seconds(cell, unit, mark)?, None)),
    }
}

pub(crate) fn bad_increment(cell: &str) -> Bad {
    (
        "invalid_increment",
        format!(
            "cannot read {}: expected seconds, such as 60, or 60/1",
            shown(cell)
        ),
    )
}

/// A number of `unit`s; `00:01:00` and `30s` say their own.
pub fn seconds(cell: &str, unit: Quantity, mark: Mark) -> Result<Quantity, Bad> {
    let expected = || bad_increment(cell);
    let cell = cell.trim();
    if cell.contains(|c: char| c == ':' || c.is_ascii_alphabetic()) {
        return duration::read(cell, DurationForm::Seconds, mark).map_err(|_| expected());
    }
    let read: Option<Quantity> = decimal::plain(cell, mark).and_then(|text| text.parse().ok());
    let read = read.filter(|q| !q.is_negative()).ok_or_else(expected)?;
    let whole = read.0.checked_mul(unit.0 / Quantity::ONE).map(Quantity);
    whole
        .filter(|q| *q <= Quantity::EVENT_MAX)
        .ok_or_else(expected)
}
