//! Local dates and times as people write them: in digits in a stated order, with a month's name, in
//! fourteen digits, with AM or PM, with an offset behind them.

use super::DateForm;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::Offset;

/// A date and time of day.
pub(super) struct Local {
    pub at: DateTime,
    /// That it says.
    pub offset: Option<Offset>,
    /// Otherwise midnight stands for it.
    pub has_time: bool,
    /// Otherwise it is one of the minute.
    pub has_seconds: bool,
    /// The day of the week that it says, if the date is of another one.
    pub other_weekday: Option<Weekday>,
}

/// Two digits of a year below this are of this century.
const CENTURY_SPLIT: i16 = 70;

pub(super) fn read(text: &str, form: DateForm) -> Option<Local> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return compact(text, form).map(|at| Local {
            at,
            offset: None,
            has_time: text.len() > 8,
            has_seconds: text.len() > 12,
            other_weekday: None,
        });
    }
    let (text, offset) = without_offset(text);
    let (text, half) = without_half(text);
    let (date, time) = parts(text);
    let (year, month, day) = date_of(date, form)?;
    let (hour, minute, second, nanos) = time.map_or(Some((0, 0, 0, 0)), time_of_day)?;
    let hour = match (half, hour) {
        (None, hour) => hour,
        (Some(half), 1..=12) if time.is_some() => hour % 12 + if half == Half::Pm { 12 } else { 0 },
        _ => return None,
    };
    let at = DateTime::new(year, month, day, hour, minute, second, nanos).ok()?;
    (offset.is_none() || time.is_some()).then_some(Local {
        at,
        offset,
        has_time: time.is_some(),
        has_seconds: time.is_some_and(|time| time.matches(':').count() > 1),
        other_weekday: words_of(date)
            .find_map(weekday)
            .filter(|weekday| *weekday != at.weekday()),
    })
}

/// `20261120`, `202611200905`, `20261120090507`: the year first, or nobody knows.
fn compact(text: &str, form: DateForm) -> Option<DateTime> {
    if form != DateForm::YearFirst || ![8, 12, 14].contains(&text.len()) {
        return None;
    }
    let two = |at: usize| text.get(at..at + 2).map_or(Some(0), narrow);
    let year = text
        .get(..4)
        .and_then(small)
        .filter(|year| (1970..2100).contains(year))?;
    DateTime::new(year, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?, 0).ok()
}

/// `+01:00`, `-0500`, `UTC` behind a time of day.
fn without_offset(text: &str) -> (&str, Option<Offset>) {
    for utc in ["UTC", "GMT", "Z"] {
        if let Some(rest) = text
            .strip_suffix(utc)
            .filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit() || c == ' '))
        {
            return (rest.trim_end(), Some(Offset::UTC));
        }
    }
    let found = text.rfind(['+', '-']).and_then(|at| {
        let (rest, offset) = text.split_at_checked(at)?;
        let digits: String = offset.get(1..)?.split(':').collect();
        let is_offset =
            digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()) && rest.contains(':');
        let (hours, minutes) = (
            digits.get(..2)?.parse::<i32>().ok()?,
            digits.get(2..)?.parse::<i32>().ok()?,
        );
        let seconds = (hours * 60 + minutes) * 60;
        let offset = Offset::from_seconds(if offset.starts_with('-') {
            -seconds
        } else {
            seconds
        })
        .ok()?;
        is_offset.then_some((rest.trim_end(), Some(offset)))
    });
    found.unwrap_or((text, None))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Am,
    Pm,
}

fn without_half(text: &str) -> (&str, Option<Half>) {
    let cut =
        text.trim_end_matches(|c: char| c.is_alphabetic() || c == '.' || c == ' ' || c == '\u{a0}');
    let word: String = text
        .get(cut.len()..)
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_alphabetic())
        .collect();
    match word.to_ascii_lowercase().as_str() {
        "am" => (cut, Some(Half::Am)),
        "pm" => (cut, Some(Half::Pm)),
        _ => (text, None),
    }
}

/// The date, and the time of day if there is one: it has colons and stands last.
fn parts(text: &str) -> (&str, Option<&str>) {
    let Some(colon) = text.find(':') else {
        return (text, None);
    };
    let is_between = |c: char| c == ' ' || c == 'T' || c == '\u{a0}' || c == ',';
    match text
        .get(..colon)
        .and_then(|before| before.rfind(is_between))
    {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).map(str::trim),
        ),
        None => (text, None),
    }
}

fn date_of(date: &str, form: DateForm) -> Option<(i16, i8, i8)> {
    let is_filler = |word: &&str| matches!(*word, "de" | "of" | "del") || weekday(word).is_some();
    let words: Vec<&str> = words_of(date).filter(|word| !is_filler(word)).collect();
    let [a, b, c] = words[..] else { return None };
    let is_name = |word: &str| word.chars().all(char::is_alphabetic);
    match (is_name(a), is_name(b), is_name(c)) {
        (true, false, false) => named(a, b, c, form),
        (false, true, false) if a.len() == 4 => named(b, c, a, form),
        (false, true, false) => named(b, a, c, form),
        (false, false, false) => in_digits(a, b, c, form),
        _ => None,
    }
}

/// With the month's name it is plain which number is the day, unless the year has two digits.
fn named(month: &str, day: &str, year: &str, form: DateForm) -> Option<(i16, i8, i8)> {
    let is_stated = matches!(form, DateForm::DayFirst | DateForm::MonthFirst);
    let year = if year.len() == 4 {
        small(year)?
    } else {
        short_year(year).filter(|_| is_stated)?
    };
    // `1st`, `1er`, `1º`.
    let day = day.trim_end_matches(|c: char| !c.is_ascii_digit());
    Some((year, month_of(month)?, narrow(day)?))
}

fn in_digits(a: &str, b: &str, c: &str, form: DateForm) -> Option<(i16, i8, i8)> {
    let year = |text: &str| {
        if text.len() == 4 {
            small(text)
        } else {
            short_year(text)
        }
    };
    let (year, month, day) = match form {
        _ if a.len() == 4 => (small(a)?, b, c),
        DateForm::DayFirst => (year(c)?, b, a),
        DateForm::MonthFirst => (year(c)?, a, b),
        _ => return None,
    };
    Some((year, narrow(month)?, narrow(day)?))
}

fn short_year(text: &str) -> Option<i16> {
    let two = small(text).filter(|_| text.len() == 2)?;
    Some(two + if two < CENTURY_SPLIT { 2000 } else { 1900 })
}

fn words_of(date: &str) -> impl Iterator<Item = &str> {
    date.split(|c: char| "-/., \u{a0}".contains(c))
        .filter(|word| !word.is_empty())
}

fn weekday(word: &str) -> Option<Weekday> {
    let short: String = word.to_ascii_lowercase().chars().take(3).collect();
    let at = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        .iter()
        .position(|day| *day == short)?;
    let day = Weekday::from_monday_zero_offset(i8::try_from(at).ok()?).ok()?;
    month_of(word).is_none().then_some(day)
}

/// By its name in English, German, French, Spanish, Italian or Portuguese, or at least three
/// letters of it.
fn month_of(word: &str) -> Option<i8> {
    const NAMES: [&str; 12] = [
        "january januar janvier enero gennaio janeiro janner",
        "february februar fevrier febrero febbraio fevereiro",
        "march marz maerz mars marzo marco mrz",
        "april avril abril aprile",
        "may mai mayo maggio maio",
        "june juni juin junio giugno junho",
        "july juli juillet julio luglio julho",
        "august aout agosto",
        "september septembre septiembre setiembre settembre setembro sept",
        "october oktober octobre octubre ottobre outubro",
        "november novembre noviembre novembro",
        "december dezember decembre diciembre dicembre dezembro",
    ];
    let word = deunicode::deunicode(word).to_lowercase();
    if word.len() < 3 {
        return None;
    }
    let mut found = (1_i8..)
        .zip(NAMES)
        .filter(|(_, names)| names.split(' ').any(|name| name.starts_with(&word)));
    let (month, _) = found.next()?;
    found.next().is_none().then_some(month)
}

/// `9:05`, `09:05:07`, `09:05:07.25`.
fn time_of_day(text: &str) -> Option<(i8, i8, i8, i32)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some((narrow(hour)?, narrow(minute)?, narrow(second)?, nanos))
}

fn small(text: &str) -> Option<i16> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

fn narrow(text: &str) -> Option<i8> {
    (text.len() <= 2)
        .then(|| small(text))?
        .and_then(|n| i8::try_from(n).ok())
}
