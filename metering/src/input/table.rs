//! Any CSV file of usage, through a column map that says what each column means.
//!
//! ```json
//! {"columns": {"id": "Call ID", "customer": "Account", "at": "Began", "quantity": "Seconds", "destination": 4},
//!  "attributes": {"direction": "Kind"}, "constants": {"meter": "call", "source": "legacy"},
//!  "delimiter": ";", "date_form": "day_first", "zone": "Europe/Berlin", "decimal_comma": true}
//! ```
//! A column is named by its header or by its index from 0. Nothing is guessed but the delimiter.

use super::cdr;
use super::fields::{self, DEFAULT_SOURCE};
use super::when::{Clock, DateForm};
use super::{Row, fields::push_attribute};
use crate::command::{Problem, UsageEvent};
use crate::sheet::{self, Record};
use compact_str::CompactString;
use rating::Quantity;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The fields of an event that a column or a constant may give.
const FIELDS: [&str; 10] = ["id", "source", "customer", "meter", "quantity", "amount", "at", "destination", "origin", "hold"];

/// A column by its header's name or by its index from 0; of an id or an instant also several, put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a column's title, its number from 0, or a list of them")]
pub enum Column {
    Index(usize),
    Name(String),
    Several(Vec<Self>),
}

impl Column {
    /// Among these titles, whatever their case. `None`: it is several; inside: there is no such title.
    pub fn index_in(&self, titles: &[impl AsRef<str>]) -> Option<Option<usize>> {
        match self {
            Self::Index(index) => Some(Some(*index)),
            Self::Name(name) => Some(titles.iter().position(|title| title.as_ref().trim().eq_ignore_ascii_case(name.trim()))),
            Self::Several(_) => None,
        }
    }
}

/// What the columns of a file mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnMap {
    /// Field of the event → column.
    pub columns: BTreeMap<String, Column>,
    /// Attribute → column; an empty cell is no attribute.
    pub attributes: BTreeMap<String, Column>,
    /// Field → value of every event that has no column for it, or an empty cell.
    pub constants: BTreeMap<String, String>,
    /// Default: the one of `,` `;` tab that the first line has most of.
    pub delimiter: Option<char>,
    /// The file has no line of names; columns are indices.
    pub headless: bool,
    pub date_form: DateForm,
    /// IANA zone of local times.
    pub zone: Option<String>,
    /// `1.234,5` is 1234.5.
    pub decimal_comma: bool,
    /// Rows of quantity 0 are no usage.
    pub skip_zero: bool,
}

/// The rows of a file. An error: the column map, or a column of it that the file does not have.
pub fn parse(file: &[u8], map: &ColumnMap) -> Result<Vec<Row>, Problem> {
    let text = sheet::text_of(file);
    let delimiter = sheet::delimiter(map.delimiter, &text)?;
    let header = if map.headless { Vec::new() } else { cdr::header(&text, delimiter) };
    let reader = Reader::new(map, &header)?;
    let mut first = !map.headless;
    Ok(cdr::each_row(&text, delimiter, |record| {
        if std::mem::take(&mut first) {
            return Row::Skipped { line: record.line, why: "the columns' names".to_owned() };
        }
        reader.row(record)
    }))
}

/// A column map, resolved to indices.
struct Reader<'m> {
    map: &'m ColumnMap,
    fields: Vec<(&'m str, usize)>,
    attributes: Vec<(&'m str, usize)>,
    clock: Clock,
}

impl<'m> Reader<'m> {
    fn new(map: &'m ColumnMap, header: &[String]) -> Result<Self, Problem> {
        if let Some(name) = map.columns.keys().chain(map.constants.keys()).find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(Problem::field(
                "unknown_field",
                name.clone(),
                format!("`{name}` is not a field of a usage event; they are {}", FIELDS.join(", ")),
            ));
        }
        let resolve = |columns: &'m BTreeMap<String, Column>| -> Result<Vec<(&'m str, usize)>, Problem> {
            columns.iter().map(|(field, column)| Ok((field.as_str(), index_of(field, column, header)?))).collect()
        };
        let clock = Clock::new(map.zone.as_deref(), map.date_form)?;
        Ok(Self { map, fields: resolve(&map.columns)?, attributes: resolve(&map.attributes)?, clock })
    }

    fn row(&self, record: &Record<'_>) -> Row {
        match self.event(record) {
            Ok(event) if self.map.skip_zero && event.quantity == Quantity::ZERO => {
                Row::Skipped { line: record.line, why: "a quantity of 0".to_owned() }
            }
            Ok(event) => Row::Event { line: record.line, event },
            Err(problem) => Row::Refused { line: record.line, id: self.value(record, "id").unwrap_or_default().to_owned(), problem },
        }
    }

    fn value<'r>(&'r self, record: &'r Record<'_>, field: &str) -> Option<&'r str> {
        let column = self.fields.iter().find(|(name, _)| *name == field);
        let constant = || self.map.constants.get(field).map(String::as_str);
        column.and_then(|(_, index)| record.cell(*index)).or_else(constant)
    }

    fn decimal<T>(&self, record: &Record<'_>, field: &str, read: fn(&str, &str) -> Result<T, Problem>) -> Result<Option<T>, Problem> {
        let Some(text) = self.value(record, field) else { return Ok(None) };
        let text = if self.map.decimal_comma { Cow::Owned(text.replace('.', "").replace(',', ".")) } else { Cow::Borrowed(text) };
        read(field, &text).map(Some)
    }

    fn event(&self, record: &Record<'_>) -> Result<UsageEvent, Problem> {
        let text = |field: &str| self.value(record, field).map(CompactString::from);
        let amount = self.decimal(record, "amount", fields::amount)?;
        let quantity = fields::measure(self.decimal(record, "quantity", fields::quantity)?, amount)?;
        let at = self.value(record, "at").ok_or_else(|| fields::missing("at"))?;
        let mut attributes = Vec::new();
        for (name, index) in &self.attributes {
            if let Some(value) = record.cell(*index) {
                push_attribute(&mut attributes, name, value)?;
            }
        }
        fields::check(UsageEvent {
            id: text("id").unwrap_or_default().into(),
            source: text("source").unwrap_or_else(|| DEFAULT_SOURCE.into()),
            customer: text("customer").unwrap_or_default(),
            meter: text("meter").unwrap_or_default(),
            quantity,
            amount,
            at: self.clock.read("at", at)?,
            destination: text("destination"),
            origin: text("origin"),
            attributes,
            hold: text("hold").map(Into::into),
            raw: Some(record.raw.to_owned()),
        })
    }
}

fn index_of(field: &str, column: &Column, header: &[String]) -> Result<usize, Problem> {
    let same = |name: &str, title: &String| title.trim().eq_ignore_ascii_case(name.trim());
    match column {
        Column::Index(index) => Ok(*index),
        Column::Several(_) => Err(fields::invalid(field, "expected one column")),
        Column::Name(name) => header.iter().position(|title| same(name, title)).ok_or_else(|| {
            let titles = header.join("`, `");
            Problem::field("unknown_column", field, format!("`{field}`: the file has no column `{name}`; it has `{titles}`"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIXTURE: &[u8] = include_bytes!("../../../tests/fixtures/usage_table.csv");
    const MAP: &str = include_str!("../../../tests/fixtures/usage_table.json");

    fn map() -> ColumnMap {
        serde_json::from_str(MAP).unwrap()
    }

    #[test]
    fn columns_mean_what_the_map_says() {
        let told: Vec<String> = parse(FIXTURE, &map()).unwrap().iter().map(super::super::tell).collect();
        assert_eq!(
            told,
            [
                "1 skipped: the columns' names",
                "2 acme-42 call 90.5 2026-11-20T08:00:00Z +4930123456 from - id t-1",
                "3 skipped: a quantity of 0",
                "4 refused customer missing_field",
                "5 refused at invalid_field",
                "6 acme-43 call 1234.5 2026-11-20T08:08:00Z 0301234567 from - id t-5",
            ]
        );
    }

    #[test]
    fn the_map_is_checked_first() {
        for (from, to, code) in [
            ("\"id\"", "\"ident\"", "unknown_field"),
            ("Call ID", "Nothing", "unknown_column"),
            ("Europe/Berlin", "x", "invalid_field"),
            ("\";\"", "\"€\"", "invalid_field"),
        ] {
            let map: ColumnMap = serde_json::from_str(&MAP.replacen(from, to, 1)).unwrap();
            assert_eq!(parse(FIXTURE, &map).unwrap_err().code, code, "{to}");
        }
        assert!(serde_json::from_str::<ColumnMap>(r#"{"colums":{}}"#).is_err());
    }

    #[test]
    fn without_names_columns_are_indices() {
        let map: ColumnMap = serde_json::from_str(r#"{"headless":true,"columns":{"id":0,"quantity":1,"at":2},"constants":{"customer":"c","meter":"sms"},"date_form":"epoch_seconds"}"#).unwrap();
        let told: Vec<String> = parse(b"a\t1\t1795165200\n", &map).unwrap().iter().map(super::super::tell).collect();
        assert_eq!(told, ["1 c sms 1 2026-11-20T09:00:00Z - from - id a"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), rows in "([-0-9a-z.,:\"ü ]{0,12};){0,8}\n([-0-9a-z.,:\"ü ]{0,12};){0,8}") {
            let _ = parse(&bytes, &ColumnMap::default());
            let text = [&FIXTURE[..42], rows.as_bytes()].concat();
            let _ = parse(&text, &map());
        }
    }
}
