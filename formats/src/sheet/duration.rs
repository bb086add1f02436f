//! Durations as switches and spreadsheets write them.

use super::decimal::{self, Mark};
use super::{shown, units};
use rating::Quantity;
use serde::{Deserialize, Serialize};

/// How a column of durations is written. `1:02:03` is read whatever is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DurationForm {
    /// A number in the meter's unit.
    #[default]
    Number,
    /// A number of seconds, or `1h 2m 3s`.
    Seconds,
    Milliseconds,
    /// A number of minutes, with decimals or not.
    Minutes,
    /// `83:05` is 83 minutes and 5 seconds.
    MinutesSeconds,
    /// `1:23` is one hour and 23 minutes.
    HoursMinutes,
}

/// Why it is none, with the value and what would help.
pub fn read(text: &str, form: DurationForm, mark: Mark) -> Result<Quantity, String> {
    let expected = |what: &str| format!("cannot read {}: expected {what}", shown(text));
    let parts: Vec<&str> = text.split(':').collect();
    let (hours, minutes, seconds) = match (&parts[..], form) {
        ([hours, minutes, seconds], _) => (*hours, *minutes, *seconds),
        ([minutes, seconds], DurationForm::MinutesSeconds) => ("0", *minutes, *seconds),
        ([hours, minutes], DurationForm::HoursMinutes) => (*hours, *minutes, "0"),
        ([_, _], _) => {
            return Err(expected(
                "00:01:23; of two parts say which they are: `duration_form` minutes_seconds or \
                    hours_minutes",
            ));
        }
        ([one], form)
            if form != DurationForm::Number && one.bytes().any(|b| b.is_ascii_alphabetic()) =>
        {
            return worded(one, mark).ok_or_else(|| expected("1h 2m 3s, 00:01:23 or seconds"));
        }
        ([one], DurationForm::MinutesSeconds | DurationForm::HoursMinutes)
            if one.bytes().any(|b| (b'1'..=b'9').contains(&b)) =>
        {
            return Err(expected(
                "two parts, such as 83:05 (`duration_form`); of one nobody knows the unit: \
                    minutes, seconds",
            ));
        }
        ([one], form) => return number(one, form, mark).ok_or_else(|| number_expected(text, mark)),
        _ => return Err(expected("00:01:23")),
    };
    let clock = || {
        let (hours, minutes): (i64, i64) = (whole(hours)?, whole(minutes)?);
        let seconds: Quantity = decimal::plain(seconds, mark)?.parse().ok()?;
        let is_minute = minutes < 60 || (form == DurationForm::MinutesSeconds && parts.len() == 2);
        let below_60 = is_minute && !seconds.is_negative() && seconds < Quantity::whole(60);
        let whole = hours
            .checked_mul(3600)?
            .checked_add(minutes.checked_mul(60)?)?;
        if below_60 {
            Quantity::whole(whole).checked_add(seconds).ok()
        } else {
            None
        }
    };
    clock().ok_or_else(|| expected("00:01:23, minutes and seconds below 60"))
}

fn whole(text: &str) -> Option<i64> {
    if text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        None
    } else {
        text.parse().ok()
    }
}

/// Negative numbers are read: who asks says what is wrong with them.
fn number(text: &str, form: DurationForm, mark: Mark) -> Option<Quantity> {
    let read: Quantity = decimal::plain(text, mark)?.parse().ok()?;
    match form {
        DurationForm::Milliseconds if read.0 % 1000 == 0 => Some(Quantity(read.0 / 1000)),
        DurationForm::Milliseconds => None,
        DurationForm::Minutes => read.0.checked_mul(60).map(Quantity),
        // Of two parts; one alone is 0.
        DurationForm::MinutesSeconds
        | DurationForm::HoursMinutes
        | DurationForm::Number
        | DurationForm::Seconds => Some(read),
    }
    .filter(|quantity| *quantity <= Quantity::EVENT_MAX)
}

/// What a number must look like, and what says so.
pub fn number_expected(text: &str, mark: Mark) -> String {
    let shown = shown(text);
    let other = if mark == Mark::Comma {
        Mark::Point
    } else {
        Mark::Comma
    };
    let hint = match (mark, decimal::plain(text, other).is_some()) {
        (Mark::Point | Mark::GroupedPoint, true) => {
            "; a decimal comma is stated by `decimal_comma`: true"
        }
        (Mark::Comma, true) => {
            "; a decimal comma is stated (`decimal_comma`), and a point stands only between \
                groups of three digits"
        }
        _ => "",
    };
    format!(
        "cannot read {shown}: expected a decimal number, such as 600 or {}{hint}",
        if mark == Mark::Comma { "90,5" } else { "90.5" }
    )
}

/// `1h 2m 3s`, `PT1M23S`, `90 sec`, `83 Sek.`: each number says its unit.
fn worded(text: &str, mark: Mark) -> Option<Quantity> {
    let spelled = || {
        text.parse()
            .ok()
            .map(|duration: jiff::SignedDuration| Quantity(duration.as_nanos()))
    };
    let read = spelled().or_else(|| with_unit(text, mark))?;
    (!read.is_negative() && read <= Quantity::EVENT_MAX).then_some(read)
}

/// A number and the word of its unit, in the languages of [`units`].
fn with_unit(text: &str, mark: Mark) -> Option<Quantity> {
    let (unit, number) = units::split(text)?;
    let (seconds, number) = (
        unit.seconds.filter(|_| !unit.is_of_money())?,
        decimal::plain(number, mark)?.parse::<Quantity>().ok()?,
    );
    number
        .0
        .checked_mul(seconds.0 / Quantity::ONE)
        .map(Quantity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        use DurationForm::*;
        for (text, form, mark, want) in [
            ("83", Seconds, Mark::Point, "83"),
            ("90.5", Seconds, Mark::Point, "90.5"),
            ("90,5", Seconds, Mark::Comma, "90.5"),
            ("00:01:23", Seconds, Mark::Point, "83"),
            ("1:00:00.5", Seconds, Mark::Point, "3600.5"),
            ("100:00:00", Seconds, Mark::Point, "360000"),
            ("01:23", MinutesSeconds, Mark::Point, "83"),
            ("83:05", MinutesSeconds, Mark::Point, "4985"),
            ("1:23", HoursMinutes, Mark::Point, "4980"),
            ("90", MinutesSeconds, Mark::Point, "-"),
            ("1.5", HoursMinutes, Mark::Point, "-"),
            ("0", MinutesSeconds, Mark::Point, "0"),
            ("1.5", Minutes, Mark::Point, "90"),
            ("67540", Milliseconds, Mark::Point, "67.54"),
            ("1m 23s", Seconds, Mark::Point, "83"),
            ("PT1M23S", Seconds, Mark::Point, "83"),
            ("90 sec", Seconds, Mark::Point, "90"),
            ("1m 75s", Seconds, Mark::Point, "135"),
            ("83 Sek.", Seconds, Mark::Point, "83"),
            ("1,5 Minuten", Seconds, Mark::Comma, "90"),
            ("2 heures", Seconds, Mark::Point, "-"),
            ("2 Stunde", Minutes, Mark::Point, "7200"),
            ("83 €", Seconds, Mark::Point, "-"),
            ("-83 Sek.", Seconds, Mark::Point, "-"),
            ("01:23", Seconds, Mark::Point, "-"),
            ("00:61:00", Seconds, Mark::Point, "-"),
            ("00:00:60", Seconds, Mark::Point, "-"),
            ("00:01:23:04", Seconds, Mark::Point, "-"),
            ("-1:00:00", Seconds, Mark::Point, "-"),
            ("1h", Number, Mark::Point, "-"),
            ("00:01:23", Number, Mark::Point, "83"),
            ("90,5", Number, Mark::Point, "-"),
            ("90.5", Seconds, Mark::Comma, "-"),
            ("long", Seconds, Mark::Point, "-"),
            ("", Seconds, Mark::Point, "-"),
        ] {
            let got = read(text, form, mark);
            assert_eq!(
                got.as_ref().map_or("-".to_owned(), Quantity::to_string),
                want,
                "{text}"
            );
            if let Err(detail) = got {
                assert!(detail.contains(&shown(text)), "{detail}");
            }
        }
        assert!(
            read("90,5", Seconds, Mark::Point)
                .unwrap_err()
                .contains("`decimal_comma`: true")
        );
        assert!(
            read("01:23", Seconds, Mark::Point)
                .unwrap_err()
                .contains("`duration_form`")
        );
    }
}
