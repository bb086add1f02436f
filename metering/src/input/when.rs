//! Instants as switches and spreadsheets write them. What cannot be known is stated, never guessed:
//! the zone of a local time, and whether day or month comes first.

use super::fields;
use crate::command::Problem;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rating::Instant;
use serde::{Deserialize, Serialize};

/// How dates are written. Year first is always read, and so is RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateForm {
    /// `2026-11-20` or `2026/11/20`.
    #[default]
    YearFirst,
    /// `20.11.2026`, `20/11/2026`.
    DayFirst,
    /// `11/20/2026`.
    MonthFirst,
    /// Seconds since 1970, with or without a fraction.
    EpochSeconds,
    EpochMillis,
}

/// An IANA zone by name.
pub fn zone(name: &str) -> Result<TimeZone, Problem> {
    TimeZone::get(name).map_err(|_| fields::invalid("zone", "expected an IANA zone, such as Europe/Berlin"))
}

/// The zone of local times, once it is needed.
#[derive(Debug, Clone)]
pub struct Clock {
    pub zone: Option<TimeZone>,
    pub form: DateForm,
}

impl Clock {
    pub fn new(zone_name: Option<&str>, form: DateForm) -> Result<Self, Problem> {
        Ok(Self { zone: zone_name.map(zone).transpose()?, form })
    }

    /// A local time that exists twice is the earlier one; one that does not exist is moved forward by the gap.
    pub fn read(&self, field: &str, text: &str) -> Result<Instant, Problem> {
        let text = text.trim();
        match self.form {
            DateForm::EpochSeconds => return epoch(text, 0).ok_or_else(|| fields::invalid(field, "expected seconds since 1970")),
            DateForm::EpochMillis => return epoch(text, 3).ok_or_else(|| fields::invalid(field, "expected milliseconds since 1970")),
            DateForm::YearFirst | DateForm::DayFirst | DateForm::MonthFirst => {}
        }
        if let Ok(at) = text.parse() {
            return Ok(at);
        }
        let local = local(text, self.form).ok_or_else(|| fields::invalid(field, self.expected()))?;
        let zone = self.zone.as_ref().ok_or_else(|| {
            Problem::field("zone_required", field, format!("`{field}` is a local time: state its zone, such as Europe/Berlin"))
        })?;
        let zoned = zone.to_zoned(local).map_err(|_| fields::invalid(field, "expected a date from 1970 to 9999"))?;
        Instant::from_micros(zoned.timestamp().as_microsecond()).ok_or_else(|| fields::invalid(field, "expected a date from 1970 to 9999"))
    }

    fn expected(&self) -> &'static str {
        match self.form {
            DateForm::DayFirst => "expected a date such as 20.11.2026 09:00:00 (day first, as stated)",
            DateForm::MonthFirst => "expected a date such as 11/20/2026 09:00:00 (month first, as stated)",
            _ => "expected a date such as 2026-11-20 09:00:00; state the form if day or month comes first",
        }
    }
}

/// Decimal digits, moved by `decimals` and cut to microseconds.
pub(super) fn epoch(text: &str, decimals: u32) -> Option<Instant> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let kept = usize::try_from(6 - decimals.min(6)).ok()?;
    let fraction = format!("{fraction:0<kept$}");
    format!("{whole}{}", fraction.get(..kept)?).parse().ok().and_then(Instant::from_micros)
}

/// A local date, with or without a time of day.
fn local(text: &str, form: DateForm) -> Option<DateTime> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let mut parts = date.split(['-', '/', '.']);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = match form {
        _ if a.len() == 4 => (a, b, c),
        DateForm::DayFirst => (c, b, a),
        DateForm::MonthFirst => (c, a, b),
        _ => return None,
    };
    if year.len() != 4 {
        return None;
    }
    let (hour, minute, second, nanos) = time_of_day(time.trim())?;
    DateTime::new(small(year)?, narrow(month)?, narrow(day)?, hour, minute, second, nanos).ok()
}

/// `9:05`, `09:05:07`, `09:05:07.25`.
fn time_of_day(text: &str) -> Option<(i8, i8, i8, i32)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some((narrow(hour)?, narrow(minute)?, narrow(second)?, nanos))
}

fn small(text: &str) -> Option<i16> {
    (text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn narrow(text: &str) -> Option<i8> {
    (text.len() <= 2).then(|| small(text))?.and_then(|n| i8::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_stated() {
        use DateForm::*;
        for (form, zone, text, want) in [
            (YearFirst, "Europe/Berlin", "2026-11-20 09:00:00", "2026-11-20T08:00:00Z"),
            (YearFirst, "Europe/Berlin", "2026/7/1 9:05", "2026-07-01T07:05:00Z"),
            (YearFirst, "Europe/Berlin", "2026-11-20T09:00:00Z", "2026-11-20T09:00:00Z"),
            (YearFirst, "", "2026-11-20T09:00:00.5+01:00", "2026-11-20T08:00:00.5Z"),
            (YearFirst, "UTC", "2026-11-20", "2026-11-20T00:00:00Z"),
            (YearFirst, "", "2026-11-20 09:00:00", "zone_required"),
            (YearFirst, "UTC", "11/20/2026", "invalid_field"),
            (YearFirst, "UTC", "2026-02-30", "invalid_field"),
            (DayFirst, "UTC", "03/04/2026 10:00", "2026-04-03T10:00:00Z"),
            (MonthFirst, "UTC", "03/04/2026 10:00", "2026-03-04T10:00:00Z"),
            (MonthFirst, "UTC", "20/04/2026", "invalid_field"),
            (DayFirst, "UTC", "03.04.26", "invalid_field"),
            (EpochSeconds, "", "1795165200", "2026-11-20T09:00:00Z"),
            (EpochSeconds, "", "1795165200.5", "2026-11-20T09:00:00.5Z"),
            (EpochMillis, "", "1795165200500", "2026-11-20T09:00:00.5Z"),
            (EpochSeconds, "", "-1", "invalid_field"),
            (EpochSeconds, "", "99999999999999999999", "invalid_field"),
            // Twice on the night the clocks go back: the earlier. Never when they go forward: moved by the gap.
            (YearFirst, "Europe/Berlin", "2026-10-25 02:30", "2026-10-25T00:30:00Z"),
            (YearFirst, "Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:30:00Z"),
        ] {
            let clock = Clock::new(Some(zone).filter(|z| !z.is_empty()), form).unwrap();
            let got = clock.read("at", text).map_or_else(|problem| problem.code.to_owned(), |at| at.to_string());
            assert_eq!(got, want, "{text} {form:?} {zone}");
        }
        assert_eq!(Clock::new(Some("Mars/Olympus"), YearFirst).unwrap_err().field.as_deref(), Some("zone"));
    }
}
