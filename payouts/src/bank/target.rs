//! Days on which banks of the euro carry payments out: the TARGET calendar of the European Central
//! Bank (since 2002). Closed on Saturdays, Sundays, 1 January, Good Friday, Easter Monday, 1 May,
//! 25 and 26 December.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

/// The longest time between two such days is five days, at Easter and around Christmas.
const CLOSED_DAYS_MAX: usize = 7;

pub fn is_open(day: Date) -> bool {
    let is_weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let is_fixed = matches!((day.month(), day.day()), (1 | 5, 1) | (12, 25 | 26));
    let from_easter = easter_sunday(day.year())
        .and_then(|easter| easter.until(day).ok())
        .map(|span| span.get_days());
    !is_weekend && !is_fixed && !matches!(from_easter, Some(-2 | 1))
}

/// That day, or the next one on which they are open.
pub fn next_open(day: Date) -> Date {
    let mut next = day;
    for _ in 0..CLOSED_DAYS_MAX {
        if is_open(next) {
            return next;
        }
        next = next.checked_add(1.day()).unwrap_or(Date::MAX);
    }
    next
}

/// Of the Gregorian calendar, by the rule of Meeus, Jones and Butcher.
fn easter_sunday(year: i16) -> Option<Date> {
    let year = i32::from(year);
    let (golden, century, rest) = (year % 19, year / 100, year % 100);
    let corrected = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - corrected + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (rest / 4) - epact - rest % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let days = epact + weekday - 7 * late + 114;
    Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(days / 31).ok()?,
        i8::try_from(days % 31 + 1).ok()?,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn easter_is_where_the_calendar_has_it() {
        for sunday in [
            "2000-04-23",
            "2008-03-23",
            "2011-04-24",
            "2024-03-31",
            "2025-04-20",
            "2026-04-05",
            "2027-03-28",
            "2038-04-25",
        ] {
            assert_eq!(easter_sunday(day(sunday).year()), Some(day(sunday)));
        }
    }

    #[test]
    fn banks_are_closed_on_weekends_and_six_holidays() {
        for (asked, open) in [
            ("2026-11-20", "2026-11-20"),
            ("2026-11-21", "2026-11-23"),
            ("2026-12-25", "2026-12-28"),
            ("2027-01-01", "2027-01-04"),
            ("2026-04-03", "2026-04-07"),
            ("2026-05-01", "2026-05-04"),
            ("2027-12-24", "2027-12-24"),
            // Holidays of a country are none of TARGET's.
            ("2026-10-03", "2026-10-05"),
            ("2026-05-14", "2026-05-14"),
        ] {
            assert_eq!(next_open(day(asked)), day(open), "{asked}");
            assert_eq!(is_open(day(asked)), asked == open, "{asked}");
        }
    }
}
