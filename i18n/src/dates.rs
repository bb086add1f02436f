//! Dates and times as people write them, by ICU. A customer's own zone is the caller's to know;
//! without one it is UTC, and the text says so.

use crate::Locale;
use icu_calendar::{Date, Gregorian};
use icu_datetime::FixedCalendarDateTimeFormatter;
use icu_datetime::fieldsets::{YMD, YMDT};
use icu_datetime::input::{DateTime, Time};
use jiff::{civil, tz::TimeZone};
use rating::Instant;

type Dates = FixedCalendarDateTimeFormatter<Gregorian, YMD>;
type Times = FixedCalendarDateTimeFormatter<Gregorian, YMDT>;

thread_local! {
    /// ICU's formatters stay on their thread.
    static DATES: [Option<Dates>; 3] = Locale::ALL.map(|locale| Dates::try_new(locale.icu().into(), YMD::long()).ok());
    static TIMES: [Option<Times>; 3] =
        Locale::ALL.map(|locale| Times::try_new(locale.icu().into(), YMD::long().with_time_hm()).ok());
}

/// `20. November 2026`, `November 20, 2026`, `20 novembre 2026`.
pub fn date(locale: Locale, day: civil::Date) -> String {
    let formatted = DATES.with(|dates| {
        Some(
            dates[locale.place()]
                .as_ref()?
                .format(&gregorian(day)?)
                .to_string(),
        )
    });
    formatted.unwrap_or_else(|| day.to_string())
}

/// Date, hour and minute, as a clock on the wall shows them.
pub fn date_time(locale: Locale, at: civil::DateTime) -> String {
    let formatted = TIMES.with(|times| {
        let time =
            Time::try_new(at.hour().cast_unsigned(), at.minute().cast_unsigned(), 0, 0).ok()?;
        let at = DateTime {
            date: gregorian(at.date())?,
            time,
        };
        Some(times[locale.place()].as_ref()?.format(&at).to_string())
    });
    formatted.unwrap_or_else(|| at.to_string())
}

/// An instant, in UTC: `20 novembre 2026 à 09:05 UTC`.
pub fn instant(locale: Locale, at: Instant) -> String {
    format!(
        "{} UTC",
        date_time(locale, at.timestamp().to_zoned(TimeZone::UTC).datetime())
    )
}

fn gregorian(day: civil::Date) -> Option<Date<Gregorian>> {
    Date::try_new_gregorian(
        i32::from(day.year()),
        day.month().cast_unsigned(),
        day.day().cast_unsigned(),
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_each_language_does() {
        let at = civil::date(2026, 11, 20).at(9, 5, 59, 0);
        let dates = Locale::ALL.map(|locale| date(locale, at.date()));
        assert_eq!(
            dates,
            ["20. November 2026", "November 20, 2026", "20 novembre 2026"]
        );
        let times = Locale::ALL.map(|locale| date_time(locale, at).replace('\u{202f}', " "));
        assert_eq!(
            times,
            [
                "20. November 2026 um 09:05",
                "November 20, 2026 at 9:05 AM",
                "20 novembre 2026 à 09:05"
            ]
        );
    }

    #[test]
    fn instants_are_in_utc_and_say_so() {
        let at = "2026-03-01T23:59:00Z".parse().unwrap();
        assert_eq!(instant(Locale::Fr, at), "1 mars 2026 à 23:59 UTC");
        assert_eq!(instant(Locale::De, at), "1. März 2026 um 23:59 UTC");
    }
}
