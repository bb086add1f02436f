//! Which column of a deck means what: by the names that ASTPP, MagnusBilling, A2Billing, Kazoo,
//! IvozProvider, CallWithUs and 46Labs write, by the common union of them, or as stated.

use super::DeckOptions;
use crate::command::Problem;
use crate::input::fields;
use crate::input::table::Column;
use rating::Currency;
use serde::{Deserialize, Serialize};

/// What a column of a deck may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Prefix,
    CountryCode,
    Destination,
    /// Per minute, unless the options say otherwise.
    Price,
    PriceInterstate,
    PriceIntrastate,
    ConnectFee,
    /// Due once as well: added to the connect fee.
    DisconnectFee,
    /// Also of the form `60/1`.
    Initial,
    Next,
    FreeIfShorterThan,
    MinimumDuration,
    EffectiveFrom,
    EffectiveUntil,
    Direction,
    Blocked,
    /// Terms that a row cannot say here; any but 0 is refused.
    Unsupported,
}

/// Names without case, brackets and anything but letters and digits.
const NAMES: &[(Field, &[&str])] = &[
    (
        Field::Prefix,
        &["prefix", "code", "dialprefix", "dialcode", "dialcodes", "codes", "prefixes", "areacode", "areacodes", "npanxx", "breakout"],
    ),
    (Field::CountryCode, &["countrycode", "cc"]),
    (
        Field::Destination,
        &["destination", "destinationname", "name", "ratename", "description", "area", "countryname", "country", "comment"],
    ),
    (
        Field::Price,
        &[
            "rate",
            "rateinitial",
            "ratepermin",
            "rateperminute",
            "ratecost",
            "costmin",
            "costpermin",
            "costperminute",
            "price",
            "pricepermin",
            "priceperminute",
            "perminuterate",
            "perminutecharge",
            "perminutecost",
            "sellrate",
            "ijrate",
            "indeterminaterate",
        ],
    ),
    (Field::PriceInterstate, &["interrate", "interstaterate", "interstate"]),
    (Field::PriceIntrastate, &["intrarate", "intrastaterate", "intrastate"]),
    (
        Field::ConnectFee,
        &[
            "connectfee",
            "connectioncost",
            "connectcharge",
            "connectioncharge",
            "connectionfee",
            "connectcost",
            "ratesurcharge",
            "setupfee",
            "surcharge",
        ],
    ),
    (Field::DisconnectFee, &["disconnectcharge"]),
    (
        Field::Initial,
        &[
            "initialincrement",
            "initblock",
            "initialbillingtime",
            "initialblock",
            "initialperiod",
            "rateminimum",
            "minimum",
            "duration",
            "increments",
            "billingincrements",
            "firstincrement",
            "initial",
            "mintime",
        ],
    ),
    (
        Field::Next,
        &[
            "increment",
            "subsequentincrement",
            "billingblock",
            "billingincrement",
            "rateincrement",
            "chargeperiod",
            "nextincrement",
            "interval",
            "subsequent",
        ],
    ),
    (Field::FreeIfShorterThan, &["gracetime", "graceperiod", "ratenochargetime", "nochargetime", "minimaltimecharge", "freeifshorterthan"]),
    (Field::MinimumDuration, &["minimumduration", "minduration"]),
    (Field::EffectiveFrom, &["effectivefrom", "effectivedate", "effective", "startdate", "validfrom", "activationdate"]),
    (Field::EffectiveUntil, &["effectiveuntil", "enddate", "stopdate", "validto", "validuntil", "expirationdate", "expires"]),
    (Field::Direction, &["direction"]),
    (Field::Blocked, &["blocked", "block"]),
    (
        Field::Unsupported,
        &["stepchargea", "stepchargeb", "stepchargec", "chargea", "chargeb", "chargec", "additionalblockcharge", "announcetimecorrection"],
    ),
];

/// The columns of one deck.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    found: Vec<(Field, usize)>,
    /// As the file names them.
    pub titles: Vec<String>,
    pub ignored: Vec<String>,
}

impl Columns {
    pub fn index(&self, field: Field) -> Option<usize> {
        self.found.iter().find(|(f, _)| *f == field).map(|(_, index)| *index)
    }
    pub fn all(&self, field: Field) -> impl Iterator<Item = usize> + '_ {
        self.found.iter().filter(move |(f, _)| *f == field).map(|(_, index)| *index)
    }
    pub fn title(&self, index: usize) -> String {
        self.titles.get(index).filter(|title| !title.is_empty()).cloned().unwrap_or_else(|| format!("column {index}"))
    }
    pub fn has_what_it_takes(&self) -> bool {
        let price = [Field::Price, Field::PriceInterstate, Field::PriceIntrastate].into_iter().any(|field| self.index(field).is_some());
        price && (self.index(Field::Prefix).is_some() || self.index(Field::CountryCode).is_some())
    }

    /// Of a row of names. `Ok` even if prefix or price are not among them: it may be a title line.
    pub fn of(titles: &[&str], options: &DeckOptions) -> Result<Self, Problem> {
        let mut columns = Self { titles: titles.iter().map(|title| title.trim().to_owned()).collect(), ..Self::default() };
        for (field, column) in &options.columns {
            let index = match column {
                Column::Index(index) => Some(*index),
                Column::Name(name) => titles.iter().position(|title| title.trim().eq_ignore_ascii_case(name.trim())),
            };
            columns.found.extend(index.map(|index| (*field, index)));
        }
        if options.headless {
            return Ok(columns);
        }
        let mut ambiguous = None;
        for (index, title) in titles.iter().enumerate() {
            if columns.found.iter().any(|(_, taken)| *taken == index) {
                continue;
            }
            match field_of(title) {
                Some(field) if options.columns.contains_key(&field) => columns.ignored.push(columns.title(index)),
                // Several names do no harm: `destination` before others, then the first.
                Some(Field::Destination) if columns.index(Field::Destination).is_some() => columns.another_name(index),
                Some(field) if field != Field::Unsupported && columns.index(field).is_some() => {
                    ambiguous = ambiguous.or(columns.index(field).map(|first| (field, first, index)));
                }
                Some(field) => columns.found.push((field, index)),
                None => columns.ignored.push(columns.title(index)),
            }
        }
        match ambiguous.filter(|_| columns.has_what_it_takes()) {
            Some((field, first, second)) => Err(ambiguous_column(field, &columns.title(first), &columns.title(second))),
            None => Ok(columns),
        }
    }

    fn another_name(&mut self, index: usize) {
        let better = self.title(index).to_lowercase().starts_with("destination");
        let taken = self.found.iter_mut().find(|(field, _)| *field == Field::Destination);
        let left_out = match taken {
            Some((_, taken)) if better => std::mem::replace(taken, index),
            _ => index,
        };
        let title = self.title(left_out);
        self.ignored.push(title);
    }

    /// Another currency in a column's name (`Cost / Min (USD)`) than the card's.
    pub fn check_currency(&self, card: Option<Currency>) -> Result<(), Problem> {
        let Some(card) = card else { return Ok(()) };
        let money = [Field::Price, Field::PriceInterstate, Field::PriceIntrastate, Field::ConnectFee, Field::DisconnectFee];
        let titles = self.found.iter().filter(|(field, _)| money.contains(field)).filter_map(|(_, index)| self.titles.get(*index));
        let named = |title: &String| title.split(['(', ')', ' ', '_']).find_map(|part| part.parse::<Currency>().ok());
        match titles.filter_map(named).find(|named| *named != card) {
            Some(other) => {
                let detail = format!("the deck's columns name {other}, the card is in {card}");
                Err(Problem::field("currency_mismatch", "currency", detail))
            }
            None => Ok(()),
        }
    }
}

fn ambiguous_column(field: Field, first: &str, second: &str) -> Problem {
    let name = serde_json::to_string(&field).unwrap_or_default();
    let detail = format!("`{first}` and `{second}` may both be {name}: state which by `columns`");
    Problem::field("ambiguous_column", name.trim_matches('"'), detail)
}

/// Of a title in the form of [`NAMES`]; a currency or unit in brackets or at its end does not count.
fn field_of(title: &str) -> Option<Field> {
    let named = |text: &str| {
        let name: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(field, _)| *field)
    };
    let title = title.trim();
    let outside = title.split('(').next().unwrap_or_default();
    let shorter = outside.trim().rsplit_once([' ', '_']).filter(|(_, last)| last.parse::<Currency>().is_ok()).map(|(rest, _)| rest);
    named(title).or_else(|| named(outside)).or_else(|| shorter.and_then(named))
}

/// The problem of a file in which no line names prefix and price.
pub fn not_found(first: &[String]) -> Problem {
    let titles = first.join("`, `");
    let detail = format!("no line names a prefix and a price; the first has `{titles}`: state them by `columns`");
    Problem { detail, ..fields::missing("columns") }
}
