//! Instants as switches and spreadsheets write them. What cannot be known is stated, never guessed:
//! the zone of a local time, and whether day or month comes first.

mod local;

use super::fields;
use crate::sheet::shown;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::{AmbiguousOffset, TimeZone};
use problem::{Code, Problem};
use rating::Instant;
use serde::{Deserialize, Serialize};

/// How dates are written. Year first is always read, and so are RFC 3339 and a month's name (`1 Dec
/// 2026`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateForm {
    /// `2026-11-20`, `2026/11/20`, `20261120090000`.
    #[default]
    YearFirst,
    /// `20.11.2026`, `20/11/26`.
    DayFirst,
    /// `11/20/2026 9:00 PM`.
    MonthFirst,
    /// Seconds since 1970, with or without a fraction.
    EpochSeconds,
    EpochMillis,
}

/// What a text may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub at: Instant,
    /// The other instant of a local time that is twice, or that a clock which is put forward leaves
    /// out.
    pub again: Option<Instant>,
    /// Otherwise it is a day's midnight.
    pub has_time: bool,
    /// Otherwise it is anywhere in its minute.
    pub has_seconds: bool,
}

impl Moment {
    pub fn of(at: Instant) -> Self {
        Self {
            at,
            again: None,
            has_time: true,
            has_seconds: true,
        }
    }
    /// Microseconds to another one, in all ways that the two may be meant.
    pub fn spans(self, end: Self) -> impl Iterator<Item = i64> {
        let begins = [Some(self.at), self.again].into_iter().flatten();
        begins.flat_map(move |begin| {
            [Some(end.at), end.again]
                .into_iter()
                .flatten()
                .map(move |end| end.micros() - begin.micros())
        })
    }
    /// An instant that a call began or ended at.
    pub fn timed(self, field: &str, text: &str) -> Result<Self, Problem> {
        if self.has_time {
            return Ok(self);
        }
        let detail = format_args!(
            "cannot read {}: expected a time of day behind the date, such as 2026-11-20 09:00:00",
            shown(text)
        );
        Err(fields::invalid(field, detail))
    }
}

/// Is it a name of UTC?
pub fn is_utc(zone: &str) -> bool {
    ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu"].contains(&zone)
}

/// An IANA zone by name.
pub fn zone(name: &str) -> Result<TimeZone, Problem> {
    TimeZone::get(name)
        .map_err(|_| fields::invalid("zone", "expected an IANA zone, such as Europe/Berlin"))
}

/// The zone of local times, once it is needed.
#[derive(Debug, Clone)]
pub struct Clock {
    pub zone: Option<TimeZone>,
    pub form: DateForm,
}

impl Clock {
    pub fn new(zone_name: Option<&str>, form: DateForm) -> Result<Self, Problem> {
        Ok(Self {
            zone: zone_name.map(zone).transpose()?,
            form,
        })
    }

    /// A local time that exists twice is the earlier one; one that a clock which is put forward
    /// leaves out is refused. A date alone is its midnight, or the first instant of its day.
    pub fn read(&self, field: &str, text: &str) -> Result<Instant, Problem> {
        self.moment(field, text).map(|moment| moment.at)
    }

    pub(crate) fn moment(&self, field: &str, text: &str) -> Result<Moment, Problem> {
        let text = text.trim();
        let invalid = |expected: &str| {
            fields::invalid(
                field,
                format_args!("cannot read {}: {expected}", shown(text)),
            )
        };
        let of_epoch = |decimals, expected: &str, unlikely: &str| {
            let at = epoch(text, decimals).ok_or_else(|| invalid(expected))?;
            if is_likely(at) {
                Ok(Moment::of(at))
            } else {
                Err(invalid(&format!("that is {at}: {unlikely}")))
            }
        };
        match self.form {
            DateForm::EpochSeconds => {
                return of_epoch(
                    0,
                    "expected seconds since 1970, as stated by `date_form`",
                    "expected seconds since 1970, of this century",
                );
            }
            DateForm::EpochMillis => {
                let unlikely = "expected milliseconds since 1970; if it is seconds, say so by \
                    `date_form` epoch_seconds";
                return of_epoch(
                    3,
                    "expected milliseconds since 1970, as stated by `date_form`",
                    unlikely,
                );
            }
            DateForm::YearFirst | DateForm::DayFirst | DateForm::MonthFirst => {}
        }
        if let Ok(at) = text.parse() {
            return Ok(Moment::of(at));
        }
        let local = local::read(text, self.form).ok_or_else(|| invalid(self.expected(text)))?;
        if local.other_weekday.is_some() {
            let detail = format!(
                "`{field}`: {} is a {:?}: the day of the week contradicts the date",
                shown(text),
                local.at.weekday()
            );
            return Err(Problem::field(Code::Contradiction, field, detail));
        }
        let instant = |timestamp: Option<Timestamp>| {
            let at =
                timestamp.and_then(|timestamp| Instant::from_micros(timestamp.as_microsecond()));
            at.ok_or_else(|| invalid("expected a date from 1970 to 9999"))
        };
        let (at, again) = match (local.offset, &self.zone) {
            (Some(offset), _) => (instant(offset.to_timestamp(local.at).ok())?, None),
            (None, Some(zone)) => {
                let zoned = zone.to_ambiguous_zoned(local.at);
                let is_twice = zoned.is_ambiguous();
                if matches!(zoned.offset(), AmbiguousOffset::Gap { .. })
                    && local.at.time() != Time::midnight()
                {
                    return Err(left_out(field, text, zone));
                }
                let at = instant(zoned.clone().compatible().ok().map(|at| at.timestamp()))?;
                let others = || {
                    [zoned.clone().earlier(), zoned.later()]
                        .map(|at| at.ok().map(|at| at.timestamp()))
                };
                let other = |at: Instant| {
                    others()
                        .into_iter()
                        .filter_map(|other| instant(other).ok())
                        .find(|other| *other != at)
                };
                (at, if is_twice { other(at) } else { None })
            }
            (None, None) => {
                let detail = format!(
                    "`{field}`: {} is a local time: state its zone by `zone` (--zone), such as \
                        Europe/Berlin",
                    shown(text)
                );
                return Err(Problem::field(Code::ZoneRequired, field, detail));
            }
        };
        Ok(Moment {
            at,
            again,
            has_time: local.has_time,
            has_seconds: local.has_seconds,
        })
    }

    fn expected(&self, text: &str) -> &'static str {
        match self.form {
            _ if [10, 13].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) => {
                "a time since 1970 is stated by `date_form` epoch_seconds or epoch_millis"
            }
            DateForm::DayFirst => {
                "expected a date such as 20.11.2026 09:00:00 (day first, as stated)"
            }
            DateForm::MonthFirst => {
                "expected a date such as 11/20/2026 09:00:00 (month first, as stated)"
            }
            _ => {
                "expected a date such as 2026-11-20 09:00:00; if day or month comes first, say \
                    which by `date_form` day_first or month_first (import-rates: --date-order dmy \
                    or mdy)"
            }
        }
    }
}

/// Nothing that is charged began in another century: its digits count something else.
pub(super) fn is_likely(at: Instant) -> bool {
    const CENTURY_MICROS: i64 = 946_684_800 * 1_000_000;
    at.micros() >= CENTURY_MICROS
}

fn left_out(field: &str, text: &str, zone: &TimeZone) -> Problem {
    let zone = zone.iana_name().unwrap_or("its zone");
    let detail = format!(
        "`{field}`: {} is not there in {zone}, where the clocks are put forward over it: is the \
            `zone` (--zone) another one? Otherwise give \
         the time with its offset, such as +01:00",
        shown(text)
    );
    Problem::field(Code::NoSuchTime, field, detail)
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
    format!("{whole}{}", fraction.get(..kept)?)
        .parse()
        .ok()
        .and_then(Instant::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_stated() {
        use DateForm::*;
        for (form, zone, text, want) in [
            (
                YearFirst,
                "Europe/Berlin",
                "2026-11-20 09:00:00",
                "2026-11-20T08:00:00Z",
            ),
            (
                YearFirst,
                "Europe/Berlin",
                "2026/7/1 9:05",
                "2026-07-01T07:05:00Z",
            ),
            (
                YearFirst,
                "Europe/Berlin",
                "2026-11-20T09:00:00Z",
                "2026-11-20T09:00:00Z",
            ),
            (
                YearFirst,
                "",
                "2026-11-20T09:00:00.5+01:00",
                "2026-11-20T08:00:00.5Z",
            ),
            (YearFirst, "UTC", "2026-11-20", "2026-11-20T00:00:00Z"),
            (YearFirst, "", "2026-11-20 09:00:00", "zone_required"),
            (YearFirst, "UTC", "11/20/2026", "invalid_field"),
            (YearFirst, "UTC", "2026-02-30", "invalid_field"),
            (DayFirst, "UTC", "03/04/2026 10:00", "2026-04-03T10:00:00Z"),
            (
                MonthFirst,
                "UTC",
                "03/04/2026 10:00",
                "2026-03-04T10:00:00Z",
            ),
            (MonthFirst, "UTC", "20/04/2026", "invalid_field"),
            (DayFirst, "UTC", "03.04.26", "2026-04-03T00:00:00Z"),
            (MonthFirst, "UTC", "03/04/99", "1999-03-04T00:00:00Z"),
            (YearFirst, "UTC", "26-04-03", "invalid_field"),
            (YearFirst, "UTC", "1-Dec-2026", "2026-12-01T00:00:00Z"),
            (DayFirst, "UTC", "1-Dec-2026", "2026-12-01T00:00:00Z"),
            (
                YearFirst,
                "UTC",
                "Dec 1, 2026 09:05",
                "2026-12-01T09:05:00Z",
            ),
            (
                YearFirst,
                "UTC",
                "Tue, 1st December 2026",
                "2026-12-01T00:00:00Z",
            ),
            (
                YearFirst,
                "UTC",
                "Sun 29 Nov 2026 09:00:00",
                "2026-11-29T09:00:00Z",
            ),
            (
                YearFirst,
                "UTC",
                "Mon 29 Nov 2026 09:00:00",
                "contradiction",
            ),
            (DayFirst, "UTC", "Monday, 29.11.2026", "contradiction"),
            (
                YearFirst,
                "UTC",
                "Fri, 29 Nov 2026 09:00:00 +0000",
                "contradiction",
            ),
            (
                YearFirst,
                "UTC",
                "1. März 2026 09:00",
                "2026-03-01T09:00:00Z",
            ),
            (YearFirst, "UTC", "1er août 2026", "2026-08-01T00:00:00Z"),
            (
                YearFirst,
                "UTC",
                "1 de diciembre de 2026",
                "2026-12-01T00:00:00Z",
            ),
            (YearFirst, "UTC", "15 mag 2026", "2026-05-15T00:00:00Z"),
            (YearFirst, "UTC", "2026-Nov-20", "2026-11-20T00:00:00Z"),
            (YearFirst, "UTC", "01-DEC-26", "invalid_field"),
            (DayFirst, "UTC", "01-DEC-26", "2026-12-01T00:00:00Z"),
            (YearFirst, "UTC", "1 Jui 2026", "invalid_field"),
            (YearFirst, "UTC", "1 Foo 2026", "invalid_field"),
            (
                MonthFirst,
                "UTC",
                "11/20/2026 9:05:07 PM",
                "2026-11-20T21:05:07Z",
            ),
            (
                MonthFirst,
                "UTC",
                "11/20/2026 12:05 a.m.",
                "2026-11-20T00:05:00Z",
            ),
            (MonthFirst, "UTC", "11/20/2026 13:05 PM", "invalid_field"),
            (YearFirst, "UTC", "20261120090507", "2026-11-20T09:05:07Z"),
            (YearFirst, "UTC", "202611200905", "2026-11-20T09:05:00Z"),
            (YearFirst, "UTC", "20261120", "2026-11-20T00:00:00Z"),
            (DayFirst, "UTC", "20112026", "invalid_field"),
            (YearFirst, "UTC", "1795165200", "invalid_field"),
            (
                YearFirst,
                "",
                "2026-11-20 09:00:00 +0100",
                "2026-11-20T08:00:00Z",
            ),
            (DayFirst, "", "20.11.2026 09:00 UTC", "2026-11-20T09:00:00Z"),
            (YearFirst, "UTC", "2026-11-20 09:00:00 CET", "invalid_field"),
            (EpochSeconds, "", "1795165200", "2026-11-20T09:00:00Z"),
            (EpochSeconds, "", "1795165200.5", "2026-11-20T09:00:00.5Z"),
            (EpochMillis, "", "1795165200500", "2026-11-20T09:00:00.5Z"),
            (EpochSeconds, "", "-1", "invalid_field"),
            (EpochSeconds, "", "99999999999999999999", "invalid_field"),
            (EpochMillis, "", "1795165200", "invalid_field"),
            (EpochSeconds, "", "1795165", "invalid_field"),
            // Twice on the night the clocks go back: the earlier. Never when they go forward.
            (
                YearFirst,
                "Europe/Berlin",
                "2026-10-25 02:30",
                "2026-10-25T00:30:00Z",
            ),
            (
                YearFirst,
                "Europe/Berlin",
                "2026-03-29 02:30",
                "no_such_time",
            ),
            (
                YearFirst,
                "Europe/Berlin",
                "2026-03-29 02:30 +0100",
                "2026-03-29T01:30:00Z",
            ),
            (
                YearFirst,
                "Europe/Berlin",
                "2026-03-29 01:59:59",
                "2026-03-29T00:59:59Z",
            ),
            (
                YearFirst,
                "Europe/Berlin",
                "2026-03-29 03:00",
                "2026-03-29T01:00:00Z",
            ),
            // A day without a midnight begins later.
            (
                YearFirst,
                "Africa/Cairo",
                "2026-04-24",
                "2026-04-23T22:00:00Z",
            ),
        ] {
            let clock = Clock::new(Some(zone).filter(|z| !z.is_empty()), form).unwrap();
            if let Err(problem) = clock.read("at", text) {
                assert!(problem.detail.contains(&shown(text)), "{}", problem.detail);
            }
            let got = clock
                .read("at", text)
                .map_or_else(|problem| problem.code.to_string(), |at| at.to_string());
            assert_eq!(got, want, "{text} {form:?} {zone}");
        }
        let clock = Clock::new(Some("UTC"), YearFirst).unwrap();
        assert!(
            clock
                .read("at", "1795165200")
                .unwrap_err()
                .detail
                .contains("epoch_seconds")
        );
        assert_eq!(
            Clock::new(Some("Mars/Olympus"), YearFirst)
                .unwrap_err()
                .field
                .as_deref(),
            Some("zone")
        );
    }
}
