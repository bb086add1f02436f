//! What the title of a column says of its numbers: minutes, cents, a currency. A unit that is said
//! and not stated by the map is not passed over: the number may be a sixtieth, or a hundred times,
//! of what was used.

use super::when::{DateForm, is_utc};
use super::{fields, titles};
use crate::sheet::duration::DurationForm;
use crate::sheet::shown;
use crate::sheet::units::{self, Unit};
use problem::{Code, Problem};
use rating::Quantity;
use serde::{Deserialize, Serialize};

/// What names the numbers of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named<'n> {
    Column(&'n str),
    /// A place of CloudEvents, and its words as those of a title.
    Place {
        place: &'n str,
        title: &'n str,
    },
}

impl Named<'_> {
    fn title(&self) -> &str {
        match self {
            Self::Column(title) | Self::Place { title, .. } => title,
        }
    }
    /// What helps where its words are not those of the field.
    fn way_out(&self) -> &'static str {
        match self {
            Self::Column(_) => {
                "where the column is meant all the same, name it by its number from 0"
            }
            Self::Place { .. } => {
                "give the begin in the `time` of the envelope, or in a field whose name says it, \
                    such as started_at"
            }
        }
    }
}

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Column(title) => write!(f, "the title {}", shown(title)),
            Self::Place { place, .. } => write!(f, "the place {}", shown(place)),
        }
    }
}

/// Units of an amount, as stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmountUnit {
    /// Euros, dollars: of the currency of the customer's agreement.
    Major,
    /// Hundredths.
    Cents,
}

/// Of a title of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    One(Quantity),
    /// `Min:Sec`.
    Two,
    /// `µs`, `1/10 s`, days, or a letter.
    Other,
}

const ONE_SECOND: Quantity = Quantity(Quantity::ONE);
const MILLIS: [&str; 7] = [
    "ms",
    "msec",
    "msecs",
    "millis",
    "milliseconds",
    "millisekunden",
    "millisecondes",
];
/// Units that no form stands for, so that only `number` (the meter's own unit) can be meant: whole
/// words, or ends of names.
const OTHERS: [&str; 48] = [
    "us",
    "usec",
    "usecs",
    "micros",
    "microseconds",
    "mikrosekunden",
    "ns",
    "nsec",
    "nanos",
    "nanoseconds",
    "nanosekunden",
    "cs",
    "centiseconds",
    "hundertstel",
    "hundertstelsekunden",
    "ds",
    "deciseconds",
    "zehntel",
    "zehntelsekunden",
    "h",
    "m",
    "d",
    "day",
    "days",
    "tag",
    "tage",
    "jour",
    "jours",
    "dia",
    "dias",
    "giorno",
    "giorni",
    "week",
    "weeks",
    "woche",
    "wochen",
    "takt",
    "takte",
    "pulse",
    "pulses",
    "tick",
    "ticks",
    "scatti",
    "hh",
    "mm",
    "increments",
    "blocks",
    "impulse",
];
/// Ends of names that are one word (`billminutes`), and their seconds.
const JOINED: [(&str, i64); 7] = [
    ("minutes", 60),
    ("minuten", 60),
    ("minuti", 60),
    ("minutos", 60),
    ("hours", 3600),
    ("stunden", 3600),
    ("heures", 3600),
];

fn of_durations(title: &str) -> Said {
    let title = units::spaced(&titles::without_elisions(title));
    let lower = title.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    let is_millis = words.any(|word| MILLIS.contains(&word))
        || MILLIS
            .iter()
            .any(|word| word.len() > 2 && lower.ends_with(word));
    if is_millis {
        return Said::One(Quantity(Quantity::ONE / 1000));
    }
    let folded = deunicode::deunicode(&lower.replace(['µ', 'μ'], "u"));
    let is_other = |word: &str| {
        OTHERS.contains(&word)
            || OTHERS
                .iter()
                .any(|end| end.len() > 3 && word.ends_with(end))
    };
    // `Duration/60`, `1/10 s`: a number is a factor.
    let has_words = title.contains(char::is_alphabetic);
    let is_scaled = has_words
        && units::words(&title)
            .iter()
            .any(|word| word.bytes().all(|b| b.is_ascii_digit()));
    if is_scaled || folded.split(|c: char| !c.is_alphanumeric()).any(is_other) {
        return Said::Other;
    }
    match units::of_title(&title) {
        None => Said::Two,
        Some((
            Unit {
                seconds: Some(seconds),
                ..
            },
            _,
        )) => Said::One(seconds),
        Some(_) => JOINED
            .iter()
            .find(|(end, _)| lower.ends_with(end))
            .map_or(Said::Nothing, |(_, n)| Said::One(Quantity::whole(*n))),
    }
}

/// What names quantities is understood as a whole, or stated: not its unit alone is in doubt
/// (`00:01:23` of ringing is no usage). `meter`: the one of all rows.
pub(super) fn check_words_of_quantities(
    named: Named<'_>,
    form: Option<DurationForm>,
    meter: Option<&str>,
) -> Result<(), Problem> {
    // What names another unit is refused by that.
    let is_read = check_durations(named, form, meter)?.is_ok();
    let unknown =
        titles::unknown_of_lengths(named.title(), meter).filter(|_| form.is_none() && is_read);
    unknown.map_or(Ok(()), |word| Err(unstated(named, &word)))
}

fn unstated(named: Named<'_>, word: &str) -> Problem {
    let forms = match has_factor(named.title()) {
        true => {
            "convert the column and give it another title, as no form stands for a multiple; \
                `duration_form` number reads it in the meter's unit"
        }
        false => {
            "say by `duration_form` what they are: number (in the meter's unit), seconds, \
                milliseconds, minutes, minutes_seconds or hours_minutes"
        }
    };
    let detail =
        format!("`quantity`: what {named} says of its numbers is not known ({word}): {forms}");
    Problem::field(Code::AmbiguousUnit, "quantity", detail)
}

/// The same of amounts.
pub(super) fn check_words_of_amounts(
    named: Named<'_>,
    unit: Option<AmountUnit>,
) -> Result<(), Problem> {
    let Some(word) = titles::unknown_of_amounts(named.title()).filter(|_| unit.is_none()) else {
        return Ok(());
    };
    let detail = format!(
        "`amount`: what {named} says of its numbers is not known ({word}): say by `amount_unit` \
            what they are: major or cents, in the \
         currency of the customer's agreement (no other is converted, and what is not owed is no \
         amount)"
    );
    Err(Problem::field(Code::AmbiguousUnit, "amount", detail))
}

/// Of instants: `field` is `at` or `end`. A column that is named by its number is stated, whatever
/// its title says.
pub(super) fn check_instants(
    field: &str,
    named: Named<'_>,
    zone: Option<&str>,
    form: DateForm,
) -> Result<(), Problem> {
    let said = titles::instants(named.title(), zone);
    let refused = |code, what: &str| {
        Err(Problem::field(
            code,
            field,
            format!("`{field}`: {named} {what}; {}", named.way_out()),
        ))
    };
    if field == "at" && said.ends {
        let end = if matches!(named, Named::Column(_)) {
            ": map the column as `end`"
        } else {
            ""
        };
        return refused(
            Code::AmbiguousColumn,
            &format!("says when the usage ended, and `at` is when it began{end}"),
        );
    }
    if field == "end" && said.begins && !said.ends {
        return refused(
            Code::AmbiguousColumn,
            "says when the usage began: map the column as `at`",
        );
    }
    if let Some(word) = &said.unknown {
        return refused(
            Code::AmbiguousColumn,
            &format!("says something that is not known ({word})"),
        );
    }
    if said.is_utc && !zone.is_none_or(is_utc) {
        return refused(
            Code::AmbiguousZone,
            &format!(
                "says UTC, and `zone` {}: state the one that the times are of",
                zone.unwrap_or_default()
            ),
        );
    }
    let contradicts = match form {
        DateForm::EpochSeconds => said.millis,
        DateForm::EpochMillis => said.seconds,
        DateForm::YearFirst => said.millis || said.seconds || said.epoch,
        DateForm::DayFirst => {
            said.millis || said.seconds || said.epoch || said.day_first == Some(false)
        }
        DateForm::MonthFirst => {
            said.millis || said.seconds || said.epoch || said.day_first == Some(true)
        }
    };
    if contradicts {
        let what = match named {
            Named::Column(_) => {
                "contradicts `date_form`: say by it how the times are written (epoch_seconds, \
                    epoch_millis, day_first …)"
            }
            Named::Place { .. } => {
                "says how the times are written, and those of events are written as \
                    2026-11-20T09:00:00Z"
            }
        };
        return refused(Code::AmbiguousDate, what);
    }
    Ok(())
}

/// The parts of a clock that a title says: `mm:ss`, `Stunden:Minuten`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    hours: bool,
    minutes: bool,
    seconds: bool,
}

fn parts_of(title: &str) -> Parts {
    const LETTERS: [(&str, [bool; 3]); 12] = [
        ("h", [true, false, false]),
        ("hh", [true, false, false]),
        ("hhh", [true, false, false]),
        ("m", [false, true, false]),
        ("mm", [false, true, false]),
        ("mmm", [false, true, false]),
        ("ss", [false, false, true]),
        ("hhmm", [true, true, false]),
        ("hhmmss", [true, true, true]),
        ("mmss", [false, true, true]),
        ("hms", [true, true, true]),
        ("ms", [false, false, false]),
    ];
    let mut found = [false; 3];
    for word in titles::words(&titles::without_elisions(title)) {
        let named = |seconds: i64| {
            units::of(&word).is_some_and(|unit| {
                !unit.is_of_money() && unit.seconds == Some(Quantity::whole(seconds))
            })
        };
        let joined = |seconds: i64| {
            JOINED
                .iter()
                .any(|(end, of)| *of == seconds && word.ends_with(end))
        };
        let letters = LETTERS
            .iter()
            .find(|(letters, _)| *letters == word)
            .map(|(_, parts)| *parts);
        let parts = letters
            .unwrap_or_else(|| [3600, 60, 1].map(|seconds| named(seconds) || joined(seconds)));
        found =
            [0, 1, 2].map(|part| found.get(part) == Some(&true) || parts.get(part) == Some(&true));
    }
    let [hours, minutes, seconds] = found;
    Parts {
        hours,
        minutes,
        seconds,
    }
}

/// `Units (6s)`, `10ths`, `x10`: no form stands for a multiple.
fn has_factor(title: &str) -> bool {
    let is_factor = |word: &String| {
        word.contains(|c: char| c.is_ascii_digit()) && word.contains(char::is_alphabetic)
    };
    titles::words(title).iter().any(is_factor)
}

/// Is a number that is so named one in the meter's unit, by what is stated? An error: the two
/// contradict each other. `Err` inside: nothing is stated, and the title says another unit.
/// `meter`: the one of all rows; a call's unit is the second.
pub(super) fn check_durations(
    named: Named<'_>,
    form: Option<DurationForm>,
    meter: Option<&str>,
) -> Result<Result<(), Problem>, Problem> {
    use DurationForm::{HoursMinutes, Milliseconds, Minutes, MinutesSeconds, Number, Seconds};
    let (said, parts) = (of_durations(named.title()), parts_of(named.title()));
    let seconds = if let Said::One(seconds) = said {
        seconds
    } else {
        ONE_SECOND
    };
    let are_parts = [parts.hours, parts.minutes, parts.seconds]
        .into_iter()
        .filter(|part| *part)
        .count()
        > 1;
    let agrees = match form {
        None => true,
        Some(Number) => seconds == ONE_SECOND || meter != Some(fields::METER),
        Some(Seconds) => seconds == ONE_SECOND && said != Said::Other,
        Some(Milliseconds) => (seconds < ONE_SECOND || said == Said::Nothing) && !are_parts,
        Some(Minutes) => {
            (seconds == Quantity::whole(60) || [Said::Nothing, Said::Other].contains(&said))
                && !are_parts
                && !parts.hours
        }
        Some(MinutesSeconds) => seconds >= ONE_SECOND && !parts.hours,
        Some(HoursMinutes) => {
            seconds >= ONE_SECOND && !parts.seconds && (parts.hours || !parts.minutes)
        }
    };
    let agrees = agrees && (matches!(form, None | Some(Number)) || !has_factor(named.title()));
    let refused = |what: &str| {
        let which = "number (in the meter's unit), seconds, milliseconds, minutes, \
            minutes_seconds or hours_minutes";
        let detail = format!(
            "`quantity`: {named} {what}: say by `duration_form` what its numbers are: {which}"
        );
        Problem::field(Code::AmbiguousUnit, "quantity", detail)
    };
    match (agrees, form, said) {
        (false, ..) => Err(refused("names another unit than the map states")),
        (_, None, Said::Two) => Ok(Err(refused("names two units"))),
        (_, None, Said::Other) => Ok(Err(refused(
            "names a unit that is not the second, or may be one",
        ))),
        (_, None, Said::One(said)) if said != ONE_SECOND => {
            Ok(Err(refused("names a unit that is not the second")))
        }
        _ => Ok(Ok(())),
    }
}

/// The same of amounts: cents, a currency, a price per minute.
pub(super) fn check_amounts(named: Named<'_>, unit: Option<AmountUnit>) -> Result<(), Problem> {
    let title = named.title();
    let refused = |what: &str| {
        let detail = format!(
            "`amount`: {named} {what}: say by `amount_unit` what its numbers are: major or cents, \
                in the currency of the customer's \
             agreement (no other is converted)"
        );
        Err(Problem::field(Code::AmbiguousUnit, "amount", detail))
    };
    /// Parts and multiples of a currency's unit.
    const SCALES: [&str; 16] = [
        "mille", "mill", "mills", "milli", "thousand", "tsd", "tausend", "mil", "percent",
        "prozent", "minor", "micro", "micros", "subunits", "c", "p",
    ];
    let spaced = units::spaced(title);
    let said = units::of_title(&spaced);
    let has_words = title.contains(char::is_alphabetic);
    let is_scale = |word: &&str| {
        (has_words && word.bytes().all(|b| b.is_ascii_digit()))
            || SCALES.contains(&word.to_lowercase().as_str())
            || word.to_lowercase().ends_with("cents")
    };
    if unit.is_none() && (title.contains(['%', '‰']) || units::words(&spaced).iter().any(is_scale))
    {
        return refused("names a part or a multiple");
    }
    match (said, unit) {
        (Some((said, _)), Some(AmountUnit::Major)) if said.is_minor => {
            refused("names cents, and the map states major units")
        }
        (_, Some(_)) => Ok(()),
        (None, None) => refused("names two units"),
        (Some((said, _)), None) if said.is_minor => refused("names cents"),
        (Some((said, _)), None) if said.currency.is_some() => refused("names a currency"),
        (Some((said, _)), None) if said.seconds.is_some() => {
            refused("names a price for a time, not an amount")
        }
        _ => Ok(()),
    }
}

/// In major units.
pub(super) fn amount(
    unit: Option<AmountUnit>,
    amount: rating::money::Rate,
) -> Result<rating::money::Rate, Problem> {
    if unit != Some(AmountUnit::Cents) {
        return Ok(amount);
    }
    let major = amount
        .0
        .checked_mul(rust_decimal::Decimal::new(1, 2))
        .map(|major| major.normalize());
    let read = major.and_then(|major| rating::money::Rate::from_decimal(major).ok());
    read.ok_or_else(|| fields::invalid("amount", "a hundredth of it has too many decimals"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_durations() {
        use DurationForm::{HoursMinutes, Milliseconds, Minutes, MinutesSeconds, Number, Seconds};
        for (title, form, want) in [
            // Each was 60 times too much, or a sixtieth.
            ("Dauer (mm:ss)", Some(HoursMinutes), "contradicts"),
            ("Duration (hh:mm)", Some(MinutesSeconds), "contradicts"),
            ("Duration hhmm", Some(MinutesSeconds), "contradicts"),
            ("Duration (hh:mm:ss)", Some(MinutesSeconds), "contradicts"),
            ("Duration (hh:mm:ss)", Some(HoursMinutes), "contradicts"),
            ("Stunden:Minuten", Some(MinutesSeconds), "contradicts"),
            ("Min:Sec", Some(HoursMinutes), "contradicts"),
            ("Minuten", Some(HoursMinutes), "contradicts"),
            ("Dauer (mm:ss)", Some(Minutes), "contradicts"),
            ("Dauer (mm:ss)", Some(MinutesSeconds), "read"),
            ("Duration (hh:mm)", Some(HoursMinutes), "read"),
            ("Stunden:Minuten", Some(HoursMinutes), "read"),
            ("Dauer (min)", Some(MinutesSeconds), "read"),
            ("Duration", Some(HoursMinutes), "read"),
            ("Durée d'appel", Some(HoursMinutes), "read"),
            ("billmsec", Some(Number), "contradicts"),
            ("Minutes", Some(Number), "contradicts"),
            ("Dauer", None, "read"),
            ("Seconds", None, "read"),
            ("Dauer (s)", Some(Seconds), "read"),
            ("Dauer (min)", None, "refused"),
            ("Dauer (min)", Some(Minutes), "read"),
            ("Dauer (min)", Some(Number), "contradicts"),
            ("Dauer (min)", Some(Seconds), "contradicts"),
            ("duration_minutes", None, "refused"),
            ("DurationMin", None, "refused"),
            ("billminutes", None, "refused"),
            ("Hours", None, "refused"),
            ("billmsec", None, "refused"),
            ("Duration (ms)", Some(Milliseconds), "read"),
            ("Duration (ms)", Some(Minutes), "contradicts"),
            ("Min:Sec", None, "refused"),
            ("Min:Sec", Some(MinutesSeconds), "read"),
            ("Seconds", Some(Minutes), "contradicts"),
            ("Seconds", Some(MinutesSeconds), "read"),
            ("Units", None, "read"),
            ("billusec", None, "refused"),
            ("billusec", Some(Seconds), "contradicts"),
            ("billusec", Some(Number), "read"),
            ("Duration (µs)", None, "refused"),
            ("Zehntelsekunden", None, "refused"),
            ("Duration (1/10 s)", None, "refused"),
            ("Duration/60", None, "refused"),
            ("Duration (h)", None, "refused"),
            ("Dauer in m", None, "refused"),
            ("Dauer in m", Some(Minutes), "read"),
            ("Dauer (hh:mm)", None, "refused"),
            ("Tage", None, "refused"),
            ("Dauer (Takte)", None, "refused"),
            ("billsec", None, "read"),
            ("Quantity", None, "read"),
        ] {
            let got = match check_durations(Named::Column(title), form, Some("call")) {
                Ok(Ok(())) => "read",
                Ok(Err(_)) => "refused",
                Err(_) => "contradicts",
            };
            assert_eq!(got, want, "{title} {form:?}");
        }
        // In a meter of its own, minutes may be what is counted.
        assert_eq!(
            check_durations(Named::Column("Minutes"), Some(Number), Some("meeting")),
            Ok(Ok(()))
        );
    }

    #[test]
    fn titles_of_amounts() {
        for (title, unit, want) in [
            ("Betrag", None, true),
            ("Betrag (cents)", None, false),
            ("Betrag (cents)", Some(AmountUnit::Cents), true),
            ("Betrag (cents)", Some(AmountUnit::Major), false),
            ("Preis (USD)", None, false),
            ("Preis (USD)", Some(AmountUnit::Major), true),
            ("Preis €", None, false),
            ("Price per min", None, false),
            ("Betrag (Rappen)", None, false),
            ("eurocents", None, false),
            ("Betrag (Tsd)", None, false),
            ("Betrag x 100", None, false),
            ("Anteil %", None, false),
            ("amount_minor", None, false),
            ("amountcents", None, false),
            ("Betrag c", None, false),
            ("Amount/100", None, false),
            ("Amount", None, true),
        ] {
            assert_eq!(
                check_amounts(Named::Column(title), unit).is_ok(),
                want,
                "{title} {unit:?}"
            );
        }
        assert_eq!(
            amount(Some(AmountUnit::Cents), "150".parse().unwrap())
                .unwrap()
                .to_string(),
            "1.5"
        );
    }
}
