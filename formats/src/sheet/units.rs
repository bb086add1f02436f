//! What a title or a cell says of its number besides the digits: currency, cents, per minute or per
//! second. In English, German, French, Spanish, Italian, and some of Portuguese and Dutch.

use rating::{Currency, Quantity};

/// A unit as written; what is not said is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unit {
    pub currency: Option<Currency>,
    /// Cents, pence: the smallest unit of its currency.
    pub is_minor: bool,
    /// Units that a price is for, or that a duration is counted in.
    pub seconds: Option<Quantity>,
}

impl Unit {
    pub fn is_of_money(&self) -> bool {
        self.currency.is_some() || self.is_minor
    }
    /// `None`: they contradict each other.
    pub fn and(self, other: Self) -> Option<Self> {
        let currency = self.currency.or(other.currency);
        let seconds = self.seconds.or(other.seconds);
        let agree = other.currency.is_none_or(|c| currency == Some(c))
            && other.seconds.is_none_or(|s| seconds == Some(s));
        agree.then_some(Self {
            currency,
            is_minor: self.is_minor || other.is_minor,
            seconds,
        })
    }
}

/// What one word means.
enum Word {
    Unit(Unit),
    /// `per`, `pro`, `/`.
    Joint,
}

const JOINTS: [&str; 13] = [
    "per", "pro", "par", "por", "al", "alla", "je", "a", "la", "di", "in", "en", "le",
];
const MINUTES: [&str; 9] = [
    "min", "mins", "minute", "minutes", "minuten", "minuto", "minutos", "minuti", "minuut",
];
const SECONDS: [&str; 15] = [
    "s", "sec", "secs", "second", "seconds", "sek", "sekunde", "sekunden", "seconde", "secondes",
    "seconden", "segundo", "segundos", "secondo", "secondi",
];
const HOURS: [&str; 11] = [
    "h", "hr", "hrs", "hour", "hours", "stunde", "std", "heure", "hora", "ora", "uur",
];
const MINOR: [&str; 11] = [
    "cent",
    "cents",
    "ct",
    "cts",
    "c",
    "centime",
    "centimes",
    "centimo",
    "centimos",
    "centesimo",
    "centesimi",
];
/// Hundredths that are of one currency alone. Those of several (`öre`, `centavo` is one of many)
/// say too little.
const MINOR_OF: [(&str, &str); 10] = [
    ("rappen", "CHF"),
    ("grosz", "PLN"),
    ("groszy", "PLN"),
    ("grosze", "PLN"),
    ("haler", "CZK"),
    ("filler", "HUF"),
    ("paise", "INR"),
    ("paisa", "INR"),
    ("eurocent", "EUR"),
    ("eurocents", "EUR"),
];

fn word(text: &str) -> Option<Word> {
    let lower = deunicode::deunicode(&text.to_lowercase());
    let of = |seconds: i64| {
        Some(Word::Unit(Unit {
            seconds: Some(Quantity::whole(seconds)),
            ..Unit::default()
        }))
    };
    let lower = lower.as_str();
    if lower == "/" || JOINTS.contains(&lower) {
        return Some(Word::Joint);
    }
    if MINUTES.contains(&lower) {
        return of(60);
    }
    if SECONDS.contains(&lower) {
        return of(1);
    }
    if HOURS.contains(&lower) {
        return of(3600);
    }
    let minor = |currency| {
        Some(Word::Unit(Unit {
            currency,
            is_minor: true,
            seconds: None,
        }))
    };
    if text == "¢" || MINOR.contains(&lower) {
        return minor(None);
    }
    if let Some((_, code)) = MINOR_OF.iter().find(|(name, _)| *name == lower) {
        return minor(code.parse().ok());
    }
    if ["pence", "penny", "p"].contains(&lower) {
        return minor("GBP".parse().ok());
    }
    currency(text).map(|currency| {
        Word::Unit(Unit {
            currency: Some(currency),
            ..Unit::default()
        })
    })
}

/// A sign, a code or a word. `$` alone is the dollar of the United States, `¥` the yen: others name
/// themselves.
pub fn currency(text: &str) -> Option<Currency> {
    let code = match text.to_lowercase().as_str() {
        "€" | "euro" | "euros" => "EUR",
        "$" | "us$" | "usdollar" => "USD",
        "£" => "GBP",
        "¥" => "JPY",
        "a$" | "au$" => "AUD",
        "c$" | "ca$" => "CAD",
        _ => return of_code(text),
    };
    code.parse().ok()
}

/// Three letters, in capitals or not; words that happen to be codes (`all`, `top`, `try`) only in
/// capitals.
fn of_code(text: &str) -> Option<Currency> {
    const COMMON: [&str; 12] = [
        "eur", "usd", "gbp", "chf", "jpy", "aud", "cad", "sek", "dkk", "nok", "pln", "czk",
    ];
    let is_code = text.len() == 3
        && (text.bytes().all(|b| b.is_ascii_uppercase())
            || COMMON.contains(&text.to_lowercase().as_str()));
    if is_code {
        text.to_ascii_uppercase().parse().ok()
    } else {
        None
    }
}

/// Which letters are units by themselves. Beside a `/` all are (`€/s`, `c/min`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// Of a text that is a unit.
    All,
    /// Behind a number: cents and pence.
    Minor,
    /// Of a title, where a letter may name anything: `Rate C`.
    None,
}

/// The unit that words say, and the words that say none. `None`: they say two.
fn sorted<'t>(words: &[&'t str], letters: Letters) -> Option<(Unit, Vec<&'t str>)> {
    let (mut unit, mut rest) = (Unit::default(), Vec::new());
    let joins = |next: &str| word(next).is_some() || next.bytes().all(|b| b.is_ascii_digit());
    for (index, &text) in words.iter().enumerate() {
        let next = words.get(index + 1).copied();
        let follows_joint = index
            .checked_sub(1)
            .and_then(|before| words.get(before))
            .is_some_and(|text| matches!(word(text), Some(Word::Joint)));
        let is_letter = text.len() == 1 && text.bytes().all(|b| b.is_ascii_alphabetic());
        let is_unit = !is_letter
            || follows_joint
            || next == Some("/")
            || letters == Letters::All
            || (letters == Letters::Minor && ["c", "C", "p", "P"].contains(&text));
        // `Min price` may be the lowest one.
        let is_lowest = letters == Letters::None
            && index == 0
            && text.eq_ignore_ascii_case("min")
            && next.is_some_and(|next| word(next).is_none());
        match word(text) {
            Some(Word::Unit(found)) if is_unit && !is_lowest => unit = unit.and(found)?,
            Some(Word::Joint) if text == "/" || next.is_some_and(joins) => {}
            _ => rest.push(text),
        }
    }
    Some((unit, rest))
}

/// Letters with letters, signs with their letters (`US$`), `/` by itself.
pub fn words(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_alphanumeric() || "$€£¥¢".contains(c);
    let mut words = Vec::new();
    let mut start = None;
    for (index, c) in text.char_indices() {
        if is_part(c) {
            let from = *start.get_or_insert(index);
            // `€ct`, `ct€`: such a sign is a word of its own.
            let before = text.get(from..index).unwrap_or_default();
            if !before.is_empty() && ("€£¥¢".contains(c) || before.ends_with(['€', '£', '¥', '¢']))
            {
                words.push(before);
                start = Some(index);
            }
            continue;
        }
        words.extend(start.take().and_then(|from| text.get(from..index)));
        if c == '/' {
            words.extend(text.get(index..=index));
        }
    }
    words.extend(start.and_then(|from| text.get(from..)));
    words
}

/// The unit of a text that is nothing else; `None`: it is something else, or says two things.
pub fn of(text: &str) -> Option<Unit> {
    alone(text, Letters::All)
}

fn alone(text: &str, letters: Letters) -> Option<Unit> {
    if text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    sorted(&words(text), letters)
        .filter(|(_, rest)| rest.is_empty())
        .map(|(unit, _)| unit)
}

/// The unit of a word among others, which no letter alone is.
pub fn of_word(text: &str) -> Option<Unit> {
    match word(text) {
        Some(Word::Unit(unit)) if text.len() > 1 => Some(unit),
        _ => None,
    }
}

/// `Minutes per EUR` is no price.
fn is_time_for_money(words: &[&str]) -> bool {
    const PER: [&str; 8] = ["/", "per", "pro", "par", "por", "al", "alla", "je"];
    let [time, joint, money] = words else {
        return false;
    };
    let unit = |text: &str| {
        if let Some(Word::Unit(unit)) = word(text) {
            Some(unit)
        } else {
            None
        }
    };
    PER.contains(&joint.to_lowercase().as_str())
        && unit(time).is_some_and(|unit| unit.seconds.is_some())
        && unit(money).is_some_and(|unit| unit.is_of_money())
}

/// A title's unit, and its other words: `Rate per min (USD)` → per 60 s in USD, `Rate`.
/// `None`: it says two units, or how much time some money is.
pub fn of_title(title: &str) -> Option<(Unit, String)> {
    let spaced = title.replace('_', " ");
    let words = words(&spaced);
    if words.windows(3).any(is_time_for_money) {
        return None;
    }
    let (unit, rest) = sorted(&words, Letters::None)?;
    Some((unit, rest.join(" ")))
}

/// A number with its unit around it: `€ 0.02`, `2,5 ct/min`. `None`: there is something else around
/// it.
pub fn split(cell: &str) -> Option<(Unit, &str)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let (first, last) = (cell.find(is_digit)?, cell.rfind(is_digit)?);
    // A sign or a mark before the first digit belongs to the number.
    let start = cell
        .get(..first)?
        .rfind(|c| !".,-+".contains(c))
        .map_or(0, |index| {
            index + cell[index..].chars().next().map_or(1, char::len_utf8)
        });
    let (before, number, after) = (
        cell.get(..start)?,
        cell.get(start..=last)?,
        cell.get(last + 1..)?,
    );
    let unit = alone(before, Letters::Minor)?.and(alone(after, Letters::Minor)?)?;
    // What is left beside words must be spaces, brackets and slashes. Brackets around the number
    // are a sign: below zero.
    let is_plain = |text: &str| {
        text.chars()
            .all(|c| c.is_alphabetic() || c.is_whitespace() || "$€£¥¢/.()".contains(c))
    };
    let is_closed = |text: &str| text.matches('(').count() == text.matches(')').count();
    let is_point_of_its_own = after.starts_with('.');
    // `ct/100`: of a hundred of something.
    if before.trim_end().ends_with('/') {
        return None;
    }
    (is_plain(before) && is_plain(after) && is_closed(before) && !is_point_of_its_own)
        .then_some((unit, number))
}

/// `Rate %`, `Rate +`, `-Rate`, `Rate (-)`, `Rate &`: more than its words. A dash, a slash or an
/// `&` between words says nothing.
pub fn has_sign(title: &str) -> bool {
    let is_word = |c: &char| c.is_alphanumeric() || "$€£¥¢".contains(*c);
    let is_space = |c: &char| c.is_whitespace();
    title.char_indices().any(|(index, c)| {
        if is_word(&c) || is_space(&c) || "_()[].,:'’\"".contains(c) {
            return false;
        }
        let (before, after) = (
            title.get(..index).unwrap_or_default(),
            title.get(index + c.len_utf8()..).unwrap_or_default(),
        );
        let joins = ['-', '–', '—', '/', '&'].contains(&c);
        let is_between = before
            .chars()
            .rev()
            .find(|c| !is_space(c))
            .is_some_and(|c| is_word(&c) || c == ')')
            && after
                .chars()
                .find(|c| !is_space(c))
                .is_some_and(|c| is_word(&c) || c == '(');
        // `/min` by itself is a unit.
        let is_unit = c == '/'
            && (before.trim().is_empty() || before.ends_with(['(', '[']))
            && after.starts_with(char::is_alphabetic);
        !(is_unit || (joins && is_between))
    })
}

/// `RatePerMin` → `Rate Per Min`.
pub fn spaced(title: &str) -> String {
    let mut spaced = String::with_capacity(title.len() + 4);
    let mut before = ' ';
    for c in title.trim().chars() {
        if before.is_lowercase() && c.is_uppercase() {
            spaced.push(' ');
        }
        spaced.push(c);
        before = c;
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(unit: Unit) -> String {
        let currency = unit.currency.map_or(String::new(), |c| c.to_string());
        let seconds = unit.seconds.map_or(String::new(), |s| format!("/{s}"));
        format!(
            "{currency}{}{seconds}",
            if unit.is_minor { " minor" } else { "" }
        )
    }

    #[test]
    fn cells_with_a_unit() {
        for (cell, want) in [
            ("0.02", "0.02|"),
            ("€ 0.02", "0.02|EUR"),
            ("0,02 €", "0,02|EUR"),
            ("$0.02", "0.02|USD"),
            ("US$ 0.02", "0.02|USD"),
            ("A$0.02", "0.02|AUD"),
            ("0.02 USD", "0.02|USD"),
            ("EUR 0.02/min", "0.02|EUR/60"),
            ("2.5 ct", "2.5| minor"),
            ("2,5 ct/min", "2,5| minor/60"),
            ("2.5 €ct", "2.5|EUR minor"),
            ("2.5¢", "2.5| minor"),
            ("3p", "3|GBP minor"),
            ("0.01 per second", "0.01|/1"),
            ("-0.5", "-0.5|"),
            (".5", ".5|"),
            ("1.5E-05", "1.5E-05|"),
            ("0.02 (blocked)", "-"),
            ("0.02 (EUR)", "0.02|EUR"),
            ("(EUR) 0.02", "0.02|EUR"),
            ("(0.02)", "-"),
            ("EUR(0.02)", "-"),
            ("0.02.", "-"),
            ("2c", "2| minor"),
            ("0.02 s", "-"),
            ("0.02 a", "-"),
            ("0.02 / s", "0.02|/1"),
            ("0.02 USD EUR", "-"),
            ("0.02*", "-"),
            ("~0.02", "-"),
            ("n/a", "-"),
        ] {
            assert_eq!(
                split(cell).map_or("-".to_owned(), |(unit, number)| format!(
                    "{number}|{}",
                    told(unit)
                )),
                want,
                "{cell}"
            );
        }
    }

    #[test]
    fn titles_with_a_unit() {
        for (title, want) in [
            ("Rate", "Rate|"),
            ("Rate per min (USD)", "Rate|USD/60"),
            ("Cost / Min (EUR)", "Cost|EUR/60"),
            ("rate_per_min", "rate|/60"),
            ("Rate/sec", "Rate|/1"),
            ("ct/min", "| minor/60"),
            ("€/min", "|EUR/60"),
            ("€ct/min", "|EUR minor/60"),
            ("Preis pro Minute in Cent", "Preis| minor/60"),
            ("Prix par seconde (€)", "Prix|EUR/1"),
            ("Precio por minuto", "Precio|/60"),
            ("Prezzo al minuto", "Prezzo|/60"),
            ("Rate per 100 min", "Rate 100|/60"),
            ("Rate per min per sec", "-"),
            ("Setup fee (cents)", "Setup fee| minor"),
            ("Rate C", "Rate C|"),
            ("Rate S", "Rate S|"),
            ("Rate A", "Rate A|"),
            ("c/min", "| minor/60"),
            ("Rate per h", "Rate|/3600"),
            ("Min price", "Min price|"),
            ("Min/Rate", "Rate|/60"),
            ("Minute price", "price|/60"),
        ] {
            assert_eq!(
                of_title(title).map_or("-".to_owned(), |(unit, rest)| format!(
                    "{rest}|{}",
                    told(unit)
                )),
                want,
                "{title}"
            );
        }
    }
}
