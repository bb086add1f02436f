//! What the title of a column that is stated (`columns`) says all the same: it must agree with how the column is read.

use super::DeckOptions;
use super::columns::Field;
use crate::command::Problem;
use crate::input::titles::{instants, words};
use crate::input::when::{DateForm, is_utc};
use crate::sheet::shown;
use crate::sheet::units::{self, Unit};

/// What the title of a column that is stated says of its numbers, although nobody knows its other words: `Our offer (ct)`.
///
/// # Errors
/// `ambiguous_unit`: it says more of them than a unit; whoever states `per` and `cents` knows what they are.
pub fn unit_of(field: Field, title: &str, options: &DeckOptions) -> Result<Unit, Problem> {
    /// Words of what a price is for, of taxes, and of other directions than out.
    const SAY_MORE: [&str; 54] = [
        "per",
        "pro",
        "je",
        "each",
        "call",
        "calls",
        "anruf",
        "appel",
        "llamada",
        "chiamata",
        "sms",
        "message",
        "messages",
        "event",
        "day",
        "daily",
        "tag",
        "week",
        "month",
        "monthly",
        "monat",
        "mois",
        "mes",
        "mese",
        "year",
        "setup",
        "fee",
        "tax",
        "taxes",
        "vat",
        "mwst",
        "ust",
        "steuer",
        "tva",
        "iva",
        "ttc",
        "ht",
        "incl",
        "inkl",
        "including",
        "inclus",
        "excl",
        "exkl",
        "excluding",
        "mill",
        "mills",
        "rp",
        "inbound",
        "incoming",
        "percent",
        "prozent",
        "discount",
        "rabatt",
        "factor",
    ];
    if !field.is_money() && !field.is_duration() {
        return Ok(Unit::default());
    }
    let is_known = options.per.is_some() && options.cents.is_some();
    let Some((unit, rest)) = units::of_title(title) else { return Err(says_more(title)) };
    // `1st increment`, `Palier n°2`.
    let rest = if field.is_duration() { without_ordinals(&rest) } else { rest };
    let has_more = rest.contains(|c: char| c.is_ascii_digit())
        || units::has_sign(title)
        || units::words(&rest).iter().any(|word| SAY_MORE.contains(&deunicode::deunicode(&word.to_lowercase()).as_str()));
    match has_more {
        false => Ok(unit),
        true if is_known && field.is_price() => Ok(Unit::default()),
        true if field.is_duration() => Err(says_more_of_time(title)),
        true => Err(says_more(title)),
    }
}

fn without_ordinals(words: &str) -> String {
    const ENDS: [&str; 11] = ["", "st", "nd", "rd", "th", "er", "e", "o", "a", "º", "ª"];
    let is_ordinal = |word: &str| word.strip_prefix(['1', '2']).is_some_and(|end| ENDS.contains(&end));
    words.split(' ').filter(|word| !is_ordinal(word)).collect::<Vec<_>>().join(" ")
}

fn says_more_of_time(title: &str) -> Problem {
    let detail = format!(
        "{title:?} says something of its numbers that is not understood: give the column another title, or leave it out (`ignore_columns`) and \
         state `initial` and `next` for all rows"
    );
    Problem::field("ambiguous_unit", "columns", detail)
}

fn says_more(title: &str) -> Problem {
    let detail = format!(
        "{title:?} says something of its numbers that is not understood: state what a price is for and whether it is in cents (`per`, \
         `cents`), or give the column another title"
    );
    Problem::field("ambiguous_unit", "columns", detail)
}

/// What the title of a column of dates that is stated says of them agrees with how they are read.
///
/// # Errors
/// `ambiguous_zone`, `ambiguous_date`.
pub fn check_dates(field: Field, title: &str, options: &DeckOptions) -> Result<(), Problem> {
    /// Whether the last day counts is what `valid_to` says.
    const OF_THE_END: [&str; 8] = ["exclusive", "inclusive", "exklusive", "inklusive", "exclus", "inclus", "excluido", "incluido"];
    let zone = options.zone.as_deref();
    let said = instants(title, zone);
    let refused = |code, what: &str| {
        let detail = format!("the title {} {what}; give the column another title if it is read rightly all the same", shown(title));
        Err(Problem::field(code, format!("columns.{}", field.name()), detail))
    };
    if said.is_utc && zone.is_some_and(|zone| !is_utc(zone)) {
        return refused("ambiguous_zone", "says UTC, and the dates are read in the card's zone");
    }
    let is_other = match options.date_form {
        DateForm::DayFirst => said.day_first == Some(false),
        DateForm::MonthFirst => said.day_first == Some(true),
        _ => false,
    };
    if is_other {
        return refused("ambiguous_date", "names another order of day and month than `date_form`");
    }
    let bracketed = title.split_once(['(', '[']).map(|(_, rest)| rest.split([')', ']']).next().unwrap_or_default());
    let is_unknown = bracketed.is_some_and(|text| instants(text, zone).unknown.is_some());
    let of_the_end = words(title).iter().any(|word| OF_THE_END.iter().any(|known| word.starts_with(known)));
    let is_doubtful = if of_the_end { options.valid_to.is_none() } else { is_unknown };
    if is_doubtful {
        return refused("ambiguous_date", "says something of its dates that is not looked at");
    }
    Ok(())
}

/// A title that is stated stands over one column.
pub fn check_once(field: Field, name: &str, titles: &[&str]) -> Result<(), Problem> {
    if titles.iter().filter(|title| title.trim().eq_ignore_ascii_case(name.trim())).count() < 2 {
        return Ok(());
    }
    let field = field.name();
    let detail = format!("several columns are called {}: state `{field}` by its number from 0", shown(name));
    Err(Problem::field("ambiguous_column", format!("columns.{field}"), detail))
}
