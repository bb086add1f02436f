//! Calendar months in the platform's time zone: the periods of statements and payouts.

use jiff::civil;
use jiff::tz::TimeZone;
use rating::Instant;
use std::fmt;
use std::str::FromStr;

/// Counted from January of the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub i64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a month between 1970-01 and 9999-11, such as 2026-11")]
pub struct BadMonth;

impl Month {
    pub const MIN: Self = Self(1970 * 12);
    pub const MAX: Self = Self(9999 * 12 + 10);

    /// The month that an instant is in.
    pub fn of(at: Instant, zone: &TimeZone) -> Self {
        let date = zone.to_datetime(at.timestamp());
        Self(i64::from(date.year()) * 12 + i64::from(date.month()) - 1)
    }

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
    pub fn before(self) -> Self {
        Self(self.0 - 1)
    }

    /// Its first instant, if all of it is in one zone.
    pub fn start(self, zone: &TimeZone) -> Instant {
        let (year, month) = self.parts();
        let first = i16::try_from(year)
            .ok()
            .and_then(|year| civil::Date::new(year, month, 1).ok());
        // A midnight that the zone skips is the instant after the gap.
        let start = first.and_then(|date| date.to_zoned(zone.clone()).ok());
        start.map_or(Instant::MAX, |start| {
            Instant(
                start
                    .timestamp()
                    .as_microsecond()
                    .clamp(Instant::MIN.0, Instant::MAX.0),
            )
        })
    }

    fn parts(self) -> (i64, i8) {
        (
            self.0.div_euclid(12),
            i8::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1),
        )
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = self.parts();
        write!(f, "{year:04}-{month:02}")
    }
}

impl FromStr for Month {
    type Err = BadMonth;
    fn from_str(text: &str) -> Result<Self, BadMonth> {
        let digits = |part: &str, count: usize| {
            part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let (year, month) = text
            .split_once('-')
            .filter(|(year, month)| digits(year, 4) && digits(month, 2))
            .ok_or(BadMonth)?;
        let (year, month): (i64, i64) = (
            year.parse().map_err(|_| BadMonth)?,
            month.parse().map_err(|_| BadMonth)?,
        );
        let found = Self(year * 12 + month - 1);
        ((1..=12).contains(&month) && (Self::MIN..=Self::MAX).contains(&found))
            .then_some(found)
            .ok_or(BadMonth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_begins_in_its_zone_and_ends_where_the_next_begins() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (zone, instant, month, from, until) in [
            (
                TimeZone::UTC,
                "2026-11-30T23:59:59.999999Z",
                "2026-11",
                "2026-11-01T00:00:00Z",
                "2026-12-01T00:00:00Z",
            ),
            (
                berlin.clone(),
                "2026-10-31T23:00:00Z",
                "2026-11",
                "2026-10-31T23:00:00Z",
                "2026-11-30T23:00:00Z",
            ),
            (
                berlin.clone(),
                "2026-10-31T22:59:59Z",
                "2026-10",
                "2026-09-30T22:00:00Z",
                "2026-10-31T23:00:00Z",
            ),
            (
                berlin,
                "2026-12-31T23:00:00Z",
                "2027-01",
                "2026-12-31T23:00:00Z",
                "2027-01-31T23:00:00Z",
            ),
        ] {
            let found = Month::of(at(instant), &zone);
            assert_eq!(found.to_string(), month);
            assert_eq!(
                (found.start(&zone), found.next().start(&zone)),
                (at(from), at(until)),
                "{month}"
            );
            assert_eq!(month.parse(), Ok(found));
            assert_eq!(found.next().before(), found);
        }
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "26-11",
            "2026-1",
            "2026-11-01",
            "1969-12",
            "9999-12",
            "+026-11",
        ] {
            assert_eq!(text.parse::<Month>(), Err(BadMonth), "{text}");
        }
    }
}
