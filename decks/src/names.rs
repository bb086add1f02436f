//! Names of destinations: which of several columns holds them, and what of a price a name must not
//! say. A name is free text, so it is not read as a note is ([`super::notes`]); words that restrict
//! or price the row are refused, for nothing reads them there.

use super::bad::Bad;
use super::titles::folded;
use formats::sheet::shown;
use std::borrow::Cow;

/// How fine the names under a title are: `Destination` before `Description` before `Country`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fineness {
    Country,
    Any,
    Destination,
}

impl Fineness {
    pub fn of(title: &str) -> Self {
        const COUNTRIES: [&str; 8] = [
            "country",
            "countryname",
            "zielland",
            "land",
            "pays",
            "pais",
            "paese",
            "nomdupays",
        ];
        match folded(title).as_str() {
            destination if destination.starts_with("destination") => Self::Destination,
            country if COUNTRIES.contains(&country) => Self::Country,
            _ => Self::Any,
        }
    }
}

/// `Germany` and `Mobile` are `Germany Mobile`, `Germany` and `Germany Mobile` as well.
pub fn joined<'n>(country: &str, name: &'n str) -> Cow<'n, str> {
    let begins_so = name
        .get(..country.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(country));
    match (country.is_empty() || begins_so, name.is_empty()) {
        (true, _) => Cow::Borrowed(name),
        (false, true) => Cow::Owned(country.to_owned()),
        (false, false) => Cow::Owned(format!("{country} {name}")),
    }
}

/// Words of a state: a row that is in the state by its own column may say them.
const STATES: [&str; 19] = [
    "blocked",
    "barred",
    "deleted",
    "removed",
    "discontinued",
    "ceased",
    "suspended",
    "gesperrt",
    "geloscht",
    "bloque",
    "bloquee",
    "supprime",
    "supprimee",
    "bloqueado",
    "bloqueada",
    "eliminado",
    "bloccato",
    "bloccata",
    "eliminato",
];

/// Words of another price, another unit, or of some hours alone.
const PRICES: [&str; 27] = [
    "cent",
    "cents",
    "centimes",
    "centesimi",
    "peak",
    "offpeak",
    "weekend",
    "weekends",
    "weekday",
    "weekdays",
    "wochenende",
    "nebenzeit",
    "hauptzeit",
    "surcharge",
    "zuschlag",
    "rabatt",
    "inbound",
    "incoming",
    "vat",
    "mwst",
    "tva",
    "iva",
    "sms",
    "mms",
    "eur",
    "usd",
    "gbp",
];

/// `per call`, `pro Sekunde`, `par appel`.
const PER: [&str; 7] = ["per", "pro", "je", "each", "par", "por", "al"];
const UNITS: [&str; 28] = [
    "call",
    "calls",
    "anruf",
    "gesprach",
    "appel",
    "llamada",
    "chiamata",
    "sms",
    "message",
    "nachricht",
    "second",
    "sec",
    "sekunde",
    "sek",
    "seconde",
    "segundo",
    "secondo",
    "hour",
    "stunde",
    "heure",
    "hora",
    "ora",
    "day",
    "tag",
    "month",
    "monat",
    "mois",
    "mes",
];

/// The word of a name that says something of the price; `is_closed`: the row's own columns say that
/// it is blocked or deleted.
pub fn says_of_price(name: &str, is_closed: bool) -> Option<String> {
    // `Germany /sec`.
    let spelt = if name.contains('/') {
        Cow::Owned(name.replace('/', " per "))
    } else {
        Cow::Borrowed(name)
    };
    let name = &*spelt;
    let plain = if name.is_ascii() {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(deunicode::deunicode(name))
    };
    let mut before = "";
    let is_in =
        |words: &[&str], word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    for word in plain
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let is_state = !is_closed && is_in(&STATES, word);
        if is_state || is_in(&PRICES, word) {
            return Some(word.to_owned());
        }
        if is_in(&PER, before) && is_in(&UNITS, word) {
            return Some(format!("{before} {word}"));
        }
        before = word;
    }
    None
}

/// The refusal of such a name.
pub fn not_read(name: &str, word: &str) -> Bad {
    let detail = format!(
        "{} says {} of the price, which is not read in a name: say it in a column of its own \
            (blocked, unit, price), or leave the column of \
         names out (--ignore-column)",
        shown(name),
        shown(word)
    );
    ("unread_note", detail)
}
