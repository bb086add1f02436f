//! When a rate applies: weekdays, months, days, years and a time of day in an IANA zone.
//!
//! A window is a set of local wall-clock instants, end exclusive. One that runs over midnight
//! belongs to the day on which it begins: Friday 22:00–06:00 ends on Saturday morning. On a day of
//! 25 hours the repeated hour counts twice, on one of 23 hours the missing hour not at all.
//! [`Window::next_boundary`] names instants at which the answer *may* change; between two of them
//! it does not.

use crate::Instant;
use crate::card;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const DAY_MICROS: i64 = 86_400_000_000;
const MINUTES_PER_HOUR: u32 = 60;
const DAY_SECS: u32 = 86_400;

/// An IANA zone.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

/// An instant as the clocks on the wall show it.
#[derive(Debug, Clone, Copy)]
pub struct Local {
    date: Date,
    time_micros: i64,
}

impl Zone {
    /// `None`: no such zone.
    pub fn named(name: &str) -> Option<Self> {
        if name.is_empty() {
            return None;
        }
        TimeZone::get(name).ok().map(Self)
    }

    pub fn local(&self, at: Instant) -> Local {
        let stamp = stamp(at);
        let offset = self.0.to_offset(stamp);
        let offset_micros = i64::from(offset.seconds()) * 1_000_000;
        let time_micros = at
            .micros()
            .saturating_add(offset_micros)
            .rem_euclid(DAY_MICROS);
        Local {
            date: offset.to_datetime(stamp).date(),
            time_micros,
        }
    }

    /// `year * 12 + month - 1` of the local date.
    pub fn month(&self, at: Instant) -> i32 {
        // Zones are at most 26 hours from UTC: away from the ends of a month UTC's date decides.
        let utc = jiff::tz::Offset::UTC.to_datetime(stamp(at)).date();
        let date = if (3..=26).contains(&utc.day()) {
            utc
        } else {
            self.local(at).date
        };
        i32::from(date.year()) * 12 + i32::from(date.month()) - 1
    }

    /// When the local month of an instant began.
    pub fn month_began(&self, at: Instant) -> Instant {
        let date = self.local(at).date;
        let first = self
            .0
            .to_ambiguous_zoned(date.first_of_month().at(0, 0, 0, 0))
            .compatible();
        // At the ends of the calendar there is no such instant.
        first.map_or(at, |first| {
            Instant(first.timestamp().as_microsecond()).min(at)
        })
    }

    /// The next change of the offset after an instant.
    fn next_transition(&self, after: Instant) -> Option<i64> {
        self.0
            .following(stamp(after))
            .next()
            .map(|transition| transition.timestamp().as_microsecond())
    }
}

/// When a calendar month (`year * 12 + month - 1`) begins where it begins first.
pub fn month_begins(month: i32) -> Instant {
    const EAST_OF_ALL_HOURS: i64 = 14;
    let (year, month) = (
        i16::try_from(month.div_euclid(12)),
        i8::try_from(month.rem_euclid(12) + 1),
    );
    let first = year
        .ok()
        .zip(month.ok())
        .and_then(|(year, month)| Date::new(year, month, 1).ok());
    let begins =
        first.and_then(|date| jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok());
    begins.map_or(Instant::MIN, |at| {
        Instant(at.as_microsecond()).plus_secs(-EAST_OF_ALL_HOURS * 3600)
    })
}

/// The instant in the range of the calendar (which ends a day before [`Instant::MAX`]).
fn stamp(at: Instant) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(jiff::Timestamp::MAX)
}

/// A compiled window. Masks: bit n for the number n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    weekdays: u8,
    months: u16,
    month_days: u32,
    /// Empty: every year.
    years: Box<[i16]>,
    from_micros: i64,
    until_micros: i64,
}

/// Path inside the window, code, what was expected.
pub type BadWindow = (String, &'static str, String);

const ALL_WEEKDAYS: u8 = 0b1111_1110;
const ALL_MONTHS: u16 = 0b1_1111_1111_1110;
const ALL_MONTH_DAYS: u32 = 0xffff_fffe;
/// Years in one window.
pub const WINDOW_YEARS_MAX: usize = 100;

impl Window {
    /// Every mistake, not only the first.
    pub fn compile(window: &card::Window) -> Result<Self, Vec<BadWindow>> {
        let mut bad = Vec::new();
        let weekdays = mask(&window.weekdays, 7, "weekdays", &mut bad) as u8;
        let months = mask(&window.months, 12, "months", &mut bad) as u16;
        let month_days = mask(&window.month_days, 31, "month_days", &mut bad);
        check_years(&window.years, &mut bad);
        let from = time(window.from.as_deref(), 0, DAY_SECS - 1, "from", &mut bad);
        let until = time(
            window.until.as_deref(),
            DAY_SECS,
            DAY_SECS,
            "until",
            &mut bad,
        );
        if bad.is_empty() && window.years.is_empty() && never(months, month_days) {
            bad.push((
                "month_days".to_owned(),
                "empty_window",
                "no month of the window has such a day".to_owned(),
            ));
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        let mut years = window.years.clone();
        years.sort_unstable();
        years.dedup();
        Ok(Self {
            weekdays: if weekdays == 0 {
                ALL_WEEKDAYS
            } else {
                weekdays
            },
            months: if months == 0 { ALL_MONTHS } else { months },
            month_days: if month_days == 0 {
                ALL_MONTH_DAYS
            } else {
                month_days
            },
            years: years.into_boxed_slice(),
            from_micros: i64::from(from) * 1_000_000,
            until_micros: i64::from(until) * 1_000_000,
        })
    }

    /// The years that it is limited to are all over at that instant. The day before counts: it may
    /// run over midnight.
    pub fn is_over(&self, zone: &Zone, at: Instant) -> bool {
        const DAY_SECS: i64 = 86_400;
        let year = zone.local(at.plus_secs(-DAY_SECS)).date.year();
        self.years.last().is_some_and(|last| *last < year)
    }

    /// All day long from a time on, or never: nobody can tell. Not of a day from its beginning to
    /// its end.
    pub(crate) fn ends_as_it_begins(&self) -> bool {
        self.until_micros == self.from_micros
    }

    fn over_midnight(&self) -> bool {
        self.until_micros <= self.from_micros
    }
    fn every_date(&self) -> bool {
        self.weekdays == ALL_WEEKDAYS
            && self.months == ALL_MONTHS
            && self.month_days == ALL_MONTH_DAYS
            && self.years.is_empty()
    }
    /// All day long, counted from `from` on.
    fn whole_day(&self) -> bool {
        self.until_micros - self.from_micros == DAY_MICROS || self.until_micros == self.from_micros
    }
    fn has_date(&self, date: Date) -> bool {
        self.weekdays & (1 << date.weekday().to_monday_one_offset()) != 0
            && self.months & (1 << date.month()) != 0
            && self.month_days & (1 << date.day()) != 0
            && (self.years.is_empty() || self.years.binary_search(&date.year()).is_ok())
    }

    pub fn contains(&self, local: Local) -> bool {
        if !self.over_midnight() {
            return (self.from_micros..self.until_micros).contains(&local.time_micros)
                && self.has_date(local.date);
        }
        (local.time_micros >= self.from_micros && self.has_date(local.date))
            || (local.time_micros < self.until_micros
                && local
                    .date
                    .yesterday()
                    .is_ok_and(|before| self.has_date(before)))
    }

    /// The next instant after `after` (whose local form is given) at which `contains` may change.
    pub fn next_boundary(&self, zone: &Zone, after: Instant, local: Local) -> Option<Instant> {
        if self.every_date() && self.whole_day() {
            return None;
        }
        let tomorrow = [self.from_micros, self.until_micros]
            .map(|time| time % DAY_MICROS)
            .into_iter()
            .min()
            .unwrap_or(0)
            + DAY_MICROS;
        let midnight = if self.every_date() {
            tomorrow
        } else {
            DAY_MICROS
        };
        let today = [self.from_micros, self.until_micros]
            .into_iter()
            .filter(|&time| time > local.time_micros);
        let time = today.fold(midnight, i64::min);
        let by_clock = after.micros() + (time - local.time_micros);
        let next = zone
            .next_transition(after)
            .map_or(by_clock, |transition| transition.min(by_clock));
        Instant::from_micros(next).filter(|&next| next > after)
    }

    /// Whether some instant may lie in both. Dates are compared by weekday, month, day and year one
    /// by one, so two windows that exclude each other only through the calendar count as
    /// overlapping.
    pub fn may_overlap(&self, other: &Self) -> bool {
        self.runs().iter().flatten().any(|a| {
            other
                .runs()
                .iter()
                .flatten()
                .any(|b| self.runs_meet(a, other, b))
        })
    }

    /// The stretches of a day that the window covers, and how many days after its date they lie.
    fn runs(&self) -> [Option<(i64, i64, bool)>; 2] {
        if !self.over_midnight() {
            return [Some((self.from_micros, self.until_micros, false)), None];
        }
        [
            Some((self.from_micros, DAY_MICROS, false)),
            (self.until_micros > 0).then_some((0, self.until_micros, true)),
        ]
    }

    fn runs_meet(&self, a: &(i64, i64, bool), other: &Self, b: &(i64, i64, bool)) -> bool {
        if a.0.max(b.0) >= a.1.min(b.1) {
            return false;
        }
        match (a.2, b.2) {
            (true, false) => self.day_before(other),
            (false, true) => other.day_before(self),
            _ => self.same_day(other),
        }
    }

    fn same_day(&self, other: &Self) -> bool {
        let years = self.years.is_empty()
            || other.years.is_empty()
            || self.years.iter().any(|y| other.years.contains(y));
        years
            && self.weekdays & other.weekdays != 0
            && self.months & other.months != 0
            && self.month_days & other.month_days != 0
    }

    /// Whether a date of `self` may be followed by a date of `next`.
    fn day_before(&self, next: &Self) -> bool {
        let weekdays = (self.weekdays << 1) | (self.weekdays >> 6 & 0b10);
        let months = self.months | (self.months << 1) | (self.months >> 11 & 0b10);
        let first = if self.month_days >> 28 == 0 { 0 } else { 0b10 };
        let days = (self.month_days << 1) | first;
        let years = self.years.is_empty()
            || next.years.is_empty()
            || self
                .years
                .iter()
                .any(|&y| next.years.contains(&y) || next.years.contains(&y.saturating_add(1)));
        years
            && weekdays & next.weekdays != 0
            && months & next.months != 0
            && days & next.month_days != 0
    }
}

fn mask(list: &[u8], most: u8, path: &'static str, bad: &mut Vec<BadWindow>) -> u32 {
    let mut bits = 0_u32;
    for (index, &number) in list.iter().enumerate() {
        if (1..=most).contains(&number) {
            bits |= 1 << number;
        } else {
            bad.push((
                format!("{path}[{index}]"),
                "out_of_range",
                format!("expected 1 to {most}"),
            ));
        }
    }
    if list.len() > usize::from(most) {
        bad.push((
            path.to_owned(),
            "too_many",
            format!("expected at most {most}, each once"),
        ));
    }
    bits
}

fn check_years(years: &[i16], bad: &mut Vec<BadWindow>) {
    if years.len() > WINDOW_YEARS_MAX {
        bad.push((
            "years".to_owned(),
            "too_many",
            format!("expected at most {WINDOW_YEARS_MAX}"),
        ));
    }
    for (index, year) in years.iter().enumerate().take(WINDOW_YEARS_MAX) {
        if !(1970..=9999).contains(year) {
            bad.push((
                format!("years[{index}]"),
                "out_of_range",
                "expected 1970 to 9999".to_owned(),
            ));
        }
    }
}

/// Seconds of the day of `HH:MM[:SS]`.
fn time(
    text: Option<&str>,
    absent: u32,
    most: u32,
    path: &'static str,
    bad: &mut Vec<BadWindow>,
) -> u32 {
    let Some(text) = text else { return absent };
    match time_of_day(text) {
        Some(secs) if secs <= most => secs,
        _ => {
            let range = if most == DAY_SECS {
                "00:00 to 24:00"
            } else {
                "00:00 to 23:59:59"
            };
            bad.push((
                path.to_owned(),
                "bad_time",
                format!("expected HH:MM or HH:MM:SS, {range}"),
            ));
            absent
        }
    }
}

fn time_of_day(text: &str) -> Option<u32> {
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())
            .flatten()
    };
    let mut parts = text.split(':');
    let (hours, minutes) = (two(parts.next()?)?, two(parts.next()?)?);
    let seconds = parts.next().map_or(Some(0), two)?;
    if parts.next().is_some() || minutes >= MINUTES_PER_HOUR || seconds >= MINUTES_PER_HOUR {
        return None;
    }
    Some((hours * MINUTES_PER_HOUR + minutes) * MINUTES_PER_HOUR + seconds)
}

/// No month of the mask has any day of the mask (empty masks mean all).
fn never(months: u16, month_days: u32) -> bool {
    let days_of = |month: u32| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    months != 0
        && month_days != 0
        && !(1..=12).any(|month| {
            months & (1 << month) != 0
                && month_days & ((2_u32 << days_of(month)).wrapping_sub(2)) != 0
        })
}
