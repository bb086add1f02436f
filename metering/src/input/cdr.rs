//! What the call records of switches have in common: the tenant's choices, and CSV rows by line.

use super::fields::{self, DEFAULT_SOURCE};
use super::when::{Clock, DateForm};
use super::{Row, fields::push_attribute};
use crate::command::{Problem, UsageEvent};
use rating::{Instant, Quantity};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How a tenant reads its switch. Each has a default that suits a plain installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub meter: String,
    /// Of the identity. "default" lets a record capture the hold placed under the call's own id.
    pub source: String,
    /// Variables or columns that may name the customer, the first that is not empty.
    pub customer: Vec<String>,
    /// Variable or column of the number called, in place of the format's own.
    pub destination: Option<String>,
    /// Further variables or columns kept as attributes.
    pub attributes: Vec<String>,
    pub seconds: SecondsField,
    /// Second legs and forwarded legs are calls of their own.
    pub both_legs: bool,
    /// Values are URL-encoded (FreeSWITCH JSON).
    pub url_encoded: bool,
    /// IANA zone of local times (CSV): there is no default.
    pub zone: Option<String>,
    /// Column names in order (CSV), in place of the format's own.
    pub columns: Vec<String>,
}

/// FreeSWITCH tells the billable time twice, and they may differ by up to a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondsField {
    #[default]
    Billsec,
    /// Milliseconds, exact.
    Billmsec,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            meter: "call".to_owned(),
            source: DEFAULT_SOURCE.to_owned(),
            customer: vec!["accountcode".to_owned()],
            destination: None,
            attributes: Vec::new(),
            seconds: SecondsField::default(),
            both_legs: false,
            url_encoded: true,
            zone: None,
            columns: Vec::new(),
        }
    }
}

impl Options {
    pub(super) fn clock(&self) -> Result<Clock, Problem> {
        Clock::new(self.zone.as_deref(), DateForm::YearFirst)
    }
}

/// A call as a format found it; `field` looks a variable or column up for what the options name.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub id: String,
    pub at: Instant,
    pub seconds: Quantity,
    pub destination: Option<Cow<'a, str>>,
    pub origin: Option<Cow<'a, str>>,
    pub attributes: Vec<(&'static str, Option<Cow<'a, str>>)>,
    pub raw: &'a str,
}

impl Call<'_> {
    /// The event, once the customer is found; empty attributes are left out.
    pub(super) fn into_event<'f>(self, options: &Options, field: impl Fn(&str) -> Option<Cow<'f, str>>) -> Result<UsageEvent, Problem> {
        let customer = options.customer.iter().find_map(|name| field(name)).ok_or_else(|| {
            let names = options.customer.join("`, `");
            Problem::field("missing_field", "customer", format!("`{names}` names no customer"))
        })?;
        let mut attributes = Vec::new();
        for (name, value) in &self.attributes {
            if let Some(value) = value {
                push_attribute(&mut attributes, name, value)?;
            }
        }
        for name in options.attributes.iter().filter(|name| !self.attributes.iter().any(|(taken, _)| taken == name)) {
            if let Some(value) = field(name) {
                push_attribute(&mut attributes, name, &value)?;
            }
        }
        let named = options.destination.as_deref().and_then(&field);
        fields::check(UsageEvent {
            id: self.id,
            source: options.source.as_str().into(),
            customer: customer.into(),
            meter: options.meter.as_str().into(),
            quantity: self.seconds,
            at: self.at,
            destination: named.or(self.destination).map(Into::into),
            origin: self.origin.map(Into::into),
            attributes,
            raw: Some(self.raw.to_owned()),
            ..UsageEvent::default()
        })
    }
}

/// One row of a CSV file, by its columns' names.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub line: u64,
    pub cells: Vec<Cow<'a, str>>,
    /// As in the file, without the line's end.
    pub raw: &'a str,
}

impl Record<'_> {
    pub(super) fn cell(&self, index: usize) -> Option<&str> {
        self.cells.get(index).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
    }
    pub(super) fn named(&self, columns: &[impl AsRef<str>], name: &str) -> Option<&str> {
        columns.iter().position(|column| column.as_ref() == name).and_then(|index| self.cell(index))
    }
}

/// The text of a file: UTF-8, or else Latin-1 (old switches write callers' names in it), without a byte order mark.
pub(crate) fn file_text(file: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(file) {
        Ok(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(_) => Cow::Owned(file.iter().copied().map(char::from).collect()),
    }
}

/// Reads each row; rows of any width, blank ones left out.
pub(super) fn each_row(text: &str, delimiter: u8, mut row: impl FnMut(Record<'_>) -> Row) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let (mut cells, mut rows) = (csv::StringRecord::new(), Vec::new());
    loop {
        match reader.read_record(&mut cells) {
            Ok(false) => return rows,
            Ok(true) => {
                let (line, start) = cells.position().map_or((0, 0), |p| (p.line(), usize::try_from(p.byte()).unwrap_or(0)));
                let end = usize::try_from(reader.position().byte()).unwrap_or(start);
                let raw = text.get(start..end).unwrap_or_default().trim();
                if cells.iter().any(|cell| !cell.trim().is_empty()) {
                    rows.push(row(Record { line, cells: cells.iter().map(Cow::Borrowed).collect(), raw }));
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                rows.push(Row::Refused {
                    line,
                    id: String::new(),
                    problem: Problem::new("invalid_row", format!("not a CSV row: {error}")),
                });
                return rows;
            }
        }
    }
}

/// The one of `,` `;` tab that the first line has most of; a comma if none.
pub(crate) fn delimiter_of(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |c: u8| first.bytes().filter(|&b| b == c).count();
    let most = [b'\t', b';', b','].into_iter().max_by_key(|&c| count(c)).unwrap_or(b',');
    if count(most) == 0 { b',' } else { most }
}

/// The cells of the first row.
pub(super) fn header(text: &str, delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let mut cells = csv::StringRecord::new();
    match reader.read_record(&mut cells) {
        Ok(true) => cells.iter().map(|cell| cell.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}
