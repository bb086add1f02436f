//! Price lists and call records in random dialects: separator, decimal sign, currency, unit, form
//! of dates, encoding, order of columns, titles in five languages, quoted or not. What was written
//! is read, or refused with its column: never a third thing.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use decks::DeckOptions;
use formats::input::Row;
use formats::input::table::{self, ColumnMap};
use formats::input::when::DateForm;
use formats::sheet::duration::DurationForm;
use proptest::prelude::*;
use proptest::sample::select;
use rating::{Currency, Instant, Quantity};
use serde_json::json;

/// How a file is written.
#[derive(Debug, Clone)]
struct Dialect {
    separator: char,
    comma: bool,
    comma_stated: bool,
    /// `1.234,5` or `1 234,5`.
    groups: Option<char>,
    quoted: bool,
    encoding: usize,
    language: usize,
    date: usize,
    date_stated: bool,
    crlf: bool,
    /// Of the columns.
    order: Vec<usize>,
    /// How prefixes are written: with nothing, `+`, `00`, `'` before them, with the zero of their
    /// country in brackets, or by NPA-NXX.
    prefix: usize,
    /// What stands above the titles, if anything.
    above: usize,
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let numbers = (
        any::<bool>(),
        any::<bool>(),
        select(vec![None, None, Some('m'), Some(' ')]),
    );
    let files = (
        select(vec![',', ';', '\t', '|']),
        any::<bool>(),
        0..6_usize,
        any::<bool>(),
    );
    let words = (
        0..5_usize,
        0..8_usize,
        any::<bool>(),
        Just((0..7).collect::<Vec<usize>>()).prop_shuffle(),
        0..6_usize,
        0..10_usize,
    );
    (numbers, files, words).prop_map(
        |((comma, comma_stated, groups), (separator, quoted, encoding, crlf), words)| {
            let (language, date, date_stated, order, prefix, above) = words;
            let groups = groups.map(|mark| {
                if mark == 'm' {
                    if comma { '.' } else { ',' }
                } else {
                    mark
                }
            });
            Dialect {
                separator,
                comma,
                comma_stated,
                groups,
                quoted,
                encoding,
                language,
                date,
                date_stated,
                crlf,
                order,
                prefix,
                above,
            }
        },
    )
}

impl Dialect {
    /// A decimal of so many digits behind the point.
    fn number(&self, value: u64, decimals: u32) -> String {
        let one = 10_u64.pow(decimals);
        let whole = (value / one).to_string();
        let whole = match self.groups.filter(|_| whole.len() > 3) {
            Some(mark) => {
                let first = whole.len() % 3;
                let groups = whole.as_bytes()[first..]
                    .chunks(3)
                    .map(|group| std::str::from_utf8(group).unwrap().to_owned());
                let all: Vec<String> = Some(whole[..first].to_owned())
                    .filter(|f| !f.is_empty())
                    .into_iter()
                    .chain(groups)
                    .collect();
                all.join(&mark.to_string())
            }
            None => whole,
        };
        let fraction = format!("{:0width$}", value % one, width = decimals as usize);
        let fraction = if decimals == 0 {
            ""
        } else {
            fraction.trim_end_matches('0')
        };
        let mark = if self.comma { ',' } else { '.' };
        if fraction.is_empty() {
            whole
        } else {
            format!("{whole}{mark}{fraction}")
        }
    }

    fn day(&self, day: u32, time: &str) -> String {
        const MONTHS: [[&str; 2]; 5] = [
            ["Nov", "December"],
            ["Nov.", "Dezember"],
            ["novembre", "décembre"],
            ["noviembre", "dic"],
            ["nov", "dicembre"],
        ];
        let (month, day) = (11 + day / 28, day % 28 + 1);
        let name = MONTHS[self.language][month as usize - 11];
        let date = match self.date {
            0 => format!("2026-{month:02}-{day:02}"),
            1 => format!("{day:02}.{month:02}.2026"),
            2 => format!("{month}/{day}/2026"),
            3 => format!("{day:02}/{month:02}/26"),
            4 => format!("{day} {name} 2026"),
            5 => format!("{day:02}-{name}-26"),
            6 => format!("2026/{month}/{day}"),
            _ if time.is_empty() => format!("2026{month:02}{day:02}"),
            _ => return format!("2026{month:02}{day:02}{}", time.replace(':', "")),
        };
        match (time, self.date) {
            ("", _) => date,
            (time, 2) => {
                let hour: u32 = time[..2].parse().unwrap();
                format!(
                    "{date} {}{} {}",
                    (hour + 11) % 12 + 1,
                    &time[2..],
                    if hour < 12 { "AM" } else { "PM" }
                )
            }
            _ => format!("{date} {time}"),
        }
    }

    /// What is stated of the dates, if anything.
    fn date_form(&self) -> DateForm {
        match self.date {
            1 | 3 | 5 if self.date_stated => DateForm::DayFirst,
            2 if self.date_stated => DateForm::MonthFirst,
            _ => DateForm::YearFirst,
        }
    }

    fn line(&self, cells: &[String]) -> String {
        let cells: Vec<String> = self
            .order
            .iter()
            .filter_map(|&index| Some(self.cell(cells.get(index)?)))
            .collect();
        cells.join(&self.separator.to_string()) + if self.crlf { "\r\n" } else { "\n" }
    }

    fn cell(&self, cell: &str) -> String {
        if self.quoted || cell.contains(self.separator) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    }

    fn bytes(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            0 | 1 => text.as_bytes().to_vec(),
            2 => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            3 => [0xff, 0xfe]
                .into_iter()
                .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
                .collect(),
            4 => [0xfe, 0xff]
                .into_iter()
                .chain(text.encode_utf16().flat_map(u16::to_be_bytes))
                .collect(),
            _ => encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
        }
    }
}

/// How a price is written.
#[derive(Debug, Clone)]
struct Money {
    in_cents: bool,
    /// Seconds that it is for.
    per: u64,
    /// Around the number, in its cell.
    sign: usize,
    /// The unit stands in the title (as in `Rate per minute`), in the cell (`/min`), or is stated
    /// by the options.
    place: usize,
}

fn money() -> impl Strategy<Value = Money> {
    (
        any::<bool>(),
        select(vec![1_u64, 60, 3600]),
        0..5_usize,
        0..3_usize,
    )
        .prop_map(|(in_cents, per, sign, place)| Money {
            in_cents,
            per,
            sign,
            place,
        })
}

const PER: [[&str; 3]; 5] = [
    ["per second", "per minute", "per hour"],
    ["pro Sekunde", "pro Minute", "pro Stunde"],
    ["par seconde", "par minute", "par heure"],
    ["por segundo", "por minuto", "por hora"],
    ["al secondo", "al minuto", "per ora"],
];
const PRICE: [&str; 5] = ["Rate", "Preis", "Prix", "Precio", "Prezzo"];
/// Prefix, destination, first increment, next increment, from, until.
const TITLES: [[&str; 6]; 5] = [
    [
        "Prefix",
        "Destination",
        "Initial increment",
        "Next increment",
        "Effective date",
        "Valid to",
    ],
    [
        "Vorwahl",
        "Ziel",
        "Ersttakt",
        "Folgetakt",
        "Gültig ab",
        "Gültig bis",
    ],
    [
        "Préfixe",
        "Destination",
        "Premier incrément",
        "Incrément suivant",
        "Date d'effet",
        "Date de fin",
    ],
    [
        "Prefijo",
        "Destino",
        "Incremento inicial",
        "Incremento siguiente",
        "Fecha efectiva",
        "Válido hasta",
    ],
    [
        "Prefisso",
        "Destinazione",
        "Incremento iniziale",
        "Incremento successivo",
        "Decorrenza",
        "Data fine",
    ],
];
/// Lines above the titles that change nothing, and some that change the price.
const ABOVE: [&str; 3] = ["", "Acme Telecom, A-Z", "Preise in EUR"];
const DOUBTFUL: [&str; 7] = [
    "All rates in cents",
    "Tous les prix en centimes",
    "Precios en USD",
    "Taktung 6/6",
    "Valid from 1 Jan 2027",
    "Prezzi IVA inclusa",
    "Rates per 100 minutes",
];

impl Money {
    fn which(&self) -> usize {
        match self.per {
            1 => 0,
            60 => 1,
            _ => 2,
        }
    }
    fn title(&self, language: usize) -> String {
        let unit = if self.place == 0 {
            format!(" {}", PER[language][self.which()])
        } else {
            String::new()
        };
        let cents = if self.in_cents && self.sign != 4 {
            " (Cent)"
        } else {
            ""
        };
        format!("{}{unit}{cents}", PRICE[language])
    }
    /// `micros`: millionths of a euro.
    fn cell(&self, dialect: &Dialect, micros: u64) -> String {
        let number = dialect.number(micros, if self.in_cents { 4 } else { 6 });
        let unit = if self.place == 1 {
            ["/s", "/min", "/h"][self.which()]
        } else {
            ""
        };
        match (self.sign, self.in_cents) {
            (4, true) => format!("{number} ct{unit}"),
            (1, false) => format!("€ {number}{unit}"),
            (2, false) => format!("{number} EUR{unit}"),
            (3, false) => format!("€{number}{unit}"),
            _ => format!("{number}{unit}"),
        }
    }
}

/// Titles of the lengths of calls, and whether they say what they are.
const TITLES_OF_QUANTITIES: [(&str, bool); 15] = [
    ("Dauer", true),
    ("Billed seconds", true),
    ("Durée de l'appel", true),
    ("Duración", true),
    ("Durata chiamata (s)", true),
    ("billsec", true),
    ("Units (6s)", false),
    ("Ring time", false),
    ("Blöcke", false),
    ("Seconds since start", false),
    ("Durée d'appel", true),
    ("Secondi fatturati", true),
    ("Abrechnungsdauer", true),
    ("Call", false),
    ("Chiamata", false),
];

type Line = (u64, u64, u64, u64, u32);

/// As written, and as it is meant.
fn prefix_cell(dialect: &Dialect, prefix: u64) -> (String, String) {
    let digits = prefix.to_string();
    match dialect.prefix {
        1 => (format!("+{digits}"), digits),
        2 => (format!("00{digits}"), digits),
        3 => (format!("49(0){digits}"), format!("49{digits}")),
        4 => (format!("+49 0{digits}"), format!("49{digits}")),
        5 => {
            let digits = format!("{}{}", 200 + prefix % 800, 200 + prefix / 7 % 800);
            (digits.clone(), format!("1{digits}"))
        }
        _ => (digits.clone(), digits),
    }
}

fn deck_file(dialect: &Dialect, money: &Money, lines: &[Line]) -> Vec<u8> {
    let [prefix, destination, initial, next, from, until] =
        TITLES[dialect.language].map(str::to_owned);
    let prefix = if dialect.prefix == 5 {
        "NPANXX".to_owned()
    } else {
        prefix
    };
    let above = ABOVE
        .get(dialect.above)
        .unwrap_or_else(|| &DOUBTFUL[dialect.above - ABOVE.len()]);
    let mut text = String::new();
    if !above.is_empty() {
        let filling = vec![dialect.separator.to_string(); dialect.order.len() - 1].concat();
        text = format!("\"{above}\"{filling}\n");
    }
    text += &dialect.line(&[
        prefix,
        destination,
        money.title(dialect.language),
        initial,
        next,
        from,
        until,
    ]);
    for (prefix, micros, initial, next, day) in lines {
        let cells = [
            prefix_cell(dialect, *prefix).0,
            "Österreich, mobil".to_owned(),
            money.cell(dialect, *micros),
            initial.to_string(),
            next.to_string(),
            dialect.day(*day, ""),
            dialect.day(day + 1, ""),
        ];
        text += &dialect.line(&cells);
    }
    dialect.bytes(&text)
}

/// Without zeros, of which some countries have their own.
fn prefixes() -> impl Strategy<Value = u64> {
    "[1-9]{4,5}".prop_map(|digits| digits.parse().unwrap())
}

fn midnight(day: u32) -> Instant {
    format!("2026-{:02}-{:02}T00:00:00Z", 11 + day / 28, day % 28 + 1)
        .parse()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_price_list_is_read_as_written_or_refused(
        dialect in dialects(),
        money in money(),
        lines in prop::collection::vec((prefixes(), prop_oneof![0_u64..2_000_000, 0_u64..5_000_000_000], 1_u64..61, 1_u64..61, 0_u32..54), 1..8),
    ) {
        let per = Some(Quantity::whole(i64::try_from(money.per).unwrap())).filter(|_| money.place == 2);
        let options = DeckOptions {
            zone: Some("UTC".into()),
            currency: Some(Currency::EUR),
            delimiter: None,
            decimal_comma: Some(dialect.comma).filter(|_| dialect.comma_stated),
            date_form: dialect.date_form(),
            per,
            ..DeckOptions::default()
        };
        let deck = match decks::parse(&deck_file(&dialect, &money, &lines), &options) {
            Ok(deck) => deck,
            Err(problem) => {
                prop_assert!(problem.field.is_some() && problem.detail.contains('`'), "{problem:?}");
                return Ok(());
            }
        };
        // Cents that the titles say too.
        let is_said = money.in_cents && money.sign != 4 && dialect.above < ABOVE.len() + 2;
        prop_assert!(dialect.above < ABOVE.len() || is_said, "{} was waved through", DOUBTFUL[dialect.above - ABOVE.len()]);
        for refusal in &deck.refused {
            prop_assert!(!refusal.column.is_empty() || refusal.code == "contradiction", "{refusal:?}");
        }
        // Behind the titles, and the line above them if there is one.
        let first = if dialect.above == 0 { 2_u32 } else { 3 };
        for ((prefix, micros, initial, next, day), line) in lines.iter().zip(first..) {
            let read: Vec<_> = deck.rows.iter().filter(|row| row.line == line).collect();
            let is_refused = deck.refused.iter().any(|refusal| refusal.line == line);
            let is_said_again = lines.iter().filter(|(other, .., other_day)| (other, other_day) == (prefix, day)).count() > 1;
            prop_assert!(read.len() <= 1 && (is_said_again || (read.len() == 1) != is_refused), "line {line}: {:?}", deck.refused);
            for row in read {
                let (terms, period) = (deck.terms(row), deck.period(row));
                // Micros per second, by the other's seconds: exact.
                let price = terms.price.0 * rust_decimal::Decimal::from(1_000_000 * money.per);
                let seconds = rust_decimal::Decimal::from(*micros) * rust_decimal::Decimal::from(i64::try_from(terms.per.0 / Quantity::ONE).unwrap());
                prop_assert_eq!(price, seconds, "line {} of {:?} {:?}", line, &dialect, &money);
                let whole = |n: u64| Quantity::whole(i64::try_from(n).unwrap());
                prop_assert_eq!((terms.initial, terms.next), (whole(*initial), whole(*next)));
                prop_assert_eq!((period.from, period.until), (Some(midnight(*day)), Some(midnight(day + 1).plus_secs(86_400))));
                prop_assert_eq!(&*row.prefix, &prefix_cell(&dialect, *prefix).1);
                prop_assert_eq!(deck.name(row), "Österreich, mobil");
            }
        }
    }

    #[test]
    fn a_call_record_is_read_as_written_or_refused(
        dialect in dialects(),
        form in 0..5_usize,
        form_stated in any::<bool>(),
        title in 0..TITLES_OF_QUANTITIES.len(),
        lines in prop::collection::vec((0_u32..56, 0_u64..86_400, prop_oneof![1_u64..7_200_000, 1_u64..7_200]), 1..8),
    ) {
        // A map that does not state a decimal comma states a decimal point.
        let groups = dialect.groups.filter(|mark| *mark != '.' || dialect.comma_stated);
        let dialect = Dialect { groups, ..dialect };
        let (title, is_known) = TITLES_OF_QUANTITIES[title];
        let mut text = dialect.line(&["Id", "Kunde", "Began", title, "Ziel", "Näme"].map(str::to_owned));
        let mut want = Vec::new();
        for ((day, second, millis), number) in lines.iter().zip(0_u32..) {
            let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
            let whole = millis / 1000;
            // In whole seconds, where that is all the form can say.
            let (duration, millis) = match form {
                0 => (dialect.number(*millis, 3), *millis),
                1 => (format!("{:02}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60), whole * 1000),
                2 => (format!("{}:{:02}", whole / 60, whole % 60), whole * 1000),
                3 => (dialect.number(*millis, 0), *millis),
                _ => (format!("{}m {}s", whole / 60, whole % 60), whole * 1000),
            };
            let cells = [number.to_string(), "acme".to_owned(), dialect.day(*day, &time), duration, "+4930123456".to_owned(), "Müller, Jörg".to_owned()];
            text += &dialect.line(&cells);
            want.push((Quantity(i128::from(millis) * (Quantity::ONE / 1000)), midnight(*day).plus_secs(i64::try_from(*second).unwrap())));
        }
        let stated = match form {
            2 if form_stated => DurationForm::MinutesSeconds,
            3 => DurationForm::Milliseconds,
            4 if form_stated => DurationForm::Seconds,
            _ => DurationForm::Number,
        };
        // What the meter's unit is need not be stated.
        let stated = Some(stated).filter(|stated| *stated != DurationForm::Number || form_stated);
        let map: ColumnMap = serde_json::from_value(json!({
            "columns": {"id": "Id", "customer": "kunde", "at": "Began", "quantity": title, "destination": "Ziel"},
            "attributes": {"name": "Näme"}, "constants": {"meter": "call"}, "zone": "UTC", "date_form": dialect.date_form(),
            "decimal_comma": dialect.comma && dialect.comma_stated, "duration_form": stated,
        })).unwrap();
        let rows = match table::parse(&dialect.bytes(&text), &map) {
            Ok(rows) => rows,
            Err(problem) => {
                prop_assert!(problem.field.is_some(), "{problem:?}");
                return Ok(());
            }
        };
        prop_assert!(is_known || stated.is_some(), "{title} was waved through");
        prop_assert_eq!(rows.len(), lines.len() + 1);
        for (row, (quantity, at)) in rows[1..].iter().zip(want) {
            match row {
                Row::Event { event, .. } => {
                    prop_assert_eq!((event.quantity, event.at), (quantity, at), "{:?}", &dialect);
                    prop_assert_eq!(&event.attributes[0].1, "Müller, Jörg");
                }
                Row::Refused { problem, .. } => prop_assert!(problem.field.is_some() && problem.detail.contains('`'), "{problem:?}"),
                Row::Skipped { .. } => prop_assert!(false, "a call was skipped"),
            }
        }
    }
}
