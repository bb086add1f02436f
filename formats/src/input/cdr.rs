//! What the call records of switches have in common: the tenant's choices, and CSV rows by line.

use super::fields::{self, DEFAULT_SOURCE, METER, push_attribute};
use super::legs::{self, Leg};
use super::row::Row;
use super::when::{Clock, DateForm, Moment};
use crate::UsageEvent;
use crate::sheet::{Record, Records, shown};
use problem::{Code, Problem};
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

/// Why records of calls are none of a meter.
pub fn not_in_seconds(meter: &str, unit: &str) -> String {
    format!(
        "the records of a switch are in seconds, and the meter {meter:?} counts in {unit:?}: name \
            one whose unit is `second`"
    )
}

impl Default for Options {
    fn default() -> Self {
        Self {
            meter: METER.to_owned(),
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
    /// Of local times in columns.
    pub(super) fn clock(&self) -> Result<Clock, Problem> {
        if self.seconds == SecondsField::Billmsec {
            let detail = "`billmsec` is what FreeSWITCH's mod_json_cdr says; rows of CSV are \
                billed by `billsec`";
            return Err(fields::invalid("seconds", detail));
        }
        Clock::new(self.zone.as_deref(), DateForm::YearFirst)
    }

    /// Are the columns there that the options name? `own`: attributes that the format keeps of
    /// itself.
    pub(super) fn check_columns(
        &self,
        columns: &[&str],
        kept_from: &[&str],
        own: &[&str],
    ) -> Result<(), Problem> {
        let lacks = |field: &str, name: &str, columns: &[&str]| {
            let detail = format!(
                "`{field}`: there is no column {}; they are `{}`",
                shown(name),
                columns.join("`, `")
            );
            Problem::field(Code::UnknownColumn, field, detail)
        };
        if let Some(name) = self
            .destination
            .as_deref()
            .filter(|name| !columns.contains(name))
        {
            return Err(lacks("destination", name, columns));
        }
        let is_kept =
            |name: &&String| kept_from.contains(&name.as_str()) || own.contains(&name.as_str());
        self.attributes
            .iter()
            .find(|name| !is_kept(name))
            .map_or(Ok(()), |name| Err(lacks("attributes", name, kept_from)))
    }
}

/// A call as a format found it; `field` looks a variable or column up for what the options name.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub id: String,
    pub at: Instant,
    pub seconds: Quantity,
    pub destination: Option<Cow<'a, str>>,
    /// Where a record of the format has it: one without it is not known to have called nobody
    /// outside.
    pub called: Option<&'static str>,
    pub origin: Option<Cow<'a, str>>,
    pub attributes: Vec<(&'static str, Option<Cow<'a, str>>)>,
    pub raw: &'a str,
}

impl Call<'_> {
    /// The event, once the customer is found; empty attributes are left out.
    pub(super) fn into_event<'f>(
        self,
        options: &Options,
        field: impl Fn(&str) -> Option<Cow<'f, str>>,
    ) -> Result<UsageEvent, Problem> {
        let customer = options
            .customer
            .iter()
            .find_map(|name| field(name))
            .ok_or_else(|| {
                let names = options.customer.join("`, `");
                Problem::field(
                    Code::MissingField,
                    "customer",
                    format!("`{names}` names no customer"),
                )
            })?;
        let mut attributes = Vec::new();
        for (name, value) in &self.attributes {
            if let Some(value) = value {
                push_attribute(&mut attributes, name, value)?;
            }
        }
        for name in options
            .attributes
            .iter()
            .filter(|name| !self.attributes.iter().any(|(taken, _)| taken == name))
        {
            if let Some(value) = field(name) {
                push_attribute(&mut attributes, name, &value)?;
            }
        }
        let named = options.destination.as_deref().and_then(&field);
        let destination = named.or(self.destination);
        if let Some(name) = self.called.filter(|_| destination.is_none()) {
            let detail = format!(
                "`{name}` is empty or not there: whom the call went to is not known; name a \
                    variable or column that has it by `destination`"
            );
            return Err(Problem::field(Code::MissingField, "destination", detail));
        }
        fields::check(UsageEvent {
            id: self.id,
            source: options.source.as_str().into(),
            customer: customer.into(),
            meter: options.meter.as_str().into(),
            quantity: self.seconds,
            at: self.at,
            destination: destination.map(Into::into),
            origin: self.origin.map(Into::into),
            attributes,
            raw: Some(self.raw.to_owned()),
            ..UsageEvent::default()
        })
    }
}

/// Seconds that a switch bills, beside what else its record says of the call's length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    pub seconds: Quantity,
    pub field: &'static str,
    /// They may end before the call does: at a transfer, say.
    pub may_be_shorter: bool,
}

impl Length {
    /// Times are cut to seconds, and so is what is between them.
    const ROUNDED_SECS: i64 = 2;

    /// With the time between two instants, in one of the ways that they may be meant. `between`:
    /// what they are called.
    pub(super) fn agrees(self, begin: Moment, end: Moment, between: &str) -> Result<(), Problem> {
        let to_the_minute = !(begin.has_seconds && end.has_seconds);
        let rounded_secs = if to_the_minute {
            Self::ROUNDED_SECS + 60
        } else {
            Self::ROUNDED_SECS
        };
        let rounded = i128::from(rounded_secs) * Quantity::ONE;
        let seconds = |micros: i64| i128::from(micros) * (Quantity::ONE / 1_000_000);
        let agrees = |micros: i64| {
            let longer = self.seconds.0 - seconds(micros);
            longer <= rounded && (self.may_be_shorter || longer >= -rounded) && micros > -1_000_000
        };
        match begin.spans(end).any(agrees) {
            true => Ok(()),
            false => {
                let micros = end.at.micros() - begin.at.micros();
                Err(self
                    .contradiction(&format!("from {between} are {}", Quantity(seconds(micros)))))
            }
        }
    }

    /// With the length of the whole call.
    pub(super) fn is_within(self, duration: Quantity) -> Result<(), Problem> {
        let longest = duration.0 + i128::from(Self::ROUNDED_SECS) * Quantity::ONE;
        if self.seconds.0 <= longest {
            Ok(())
        } else {
            Err(self.contradiction(&format!("`duration` is {duration}")))
        }
    }

    /// With the same length, told once more.
    pub(super) fn is_also(self, other: Self) -> Result<(), Problem> {
        let apart = (self.seconds.0 - other.seconds.0).abs();
        let rounded = i128::from(Self::ROUNDED_SECS) * Quantity::ONE;
        if apart <= rounded {
            Ok(())
        } else {
            Err(self.contradiction(&format!("`{}` is {}", other.field, other.seconds)))
        }
    }

    fn contradiction(self, other: &str) -> Problem {
        let Self { seconds, field, .. } = self;
        contradiction(field, &format!("is {seconds} seconds, and {other}"))
    }
}

fn contradiction(field: &str, what: &str) -> Problem {
    let detail = format!(
        "`{field}` {what}: the record contradicts itself and is not charged; send the call once \
            it is known which is right"
    );
    Problem::field(Code::Contradiction, field, detail)
}

/// All that a record says of a call's times, beside what is billed.
#[derive(Debug)]
pub(super) struct Times {
    /// What the format calls them.
    pub names: [&'static str; 3],
    pub start: Option<Moment>,
    pub answer: Moment,
    pub end: Option<Moment>,
    /// From the start to the end.
    pub duration: Option<Quantity>,
}

impl Times {
    /// Of cells: the start, the answer and the end by their names, and `duration`.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn of_cells<'t>(
        names: [&'static str; 3],
        answer: Moment,
        clock: &Clock,
        cell: impl Fn(&str) -> Option<Cow<'t, str>>,
    ) -> Result<Self, Problem> {
        let time = |name: &str| cell(name).map(|text| clock.moment(name, &text)).transpose();
        let [start, _, end] = names;
        let duration = cell("duration")
            .map(|duration| fields::quantity("duration", &duration))
            .transpose()?;
        Ok(Self {
            names,
            start: time(start)?,
            answer,
            end: time(end)?,
            duration,
        })
    }

    /// # Errors
    /// `contradiction`: they do not fit one another, or what is billed.
    pub(super) fn check(&self, billed: Length) -> Result<(), Problem> {
        let [start_name, answer_name, end_name] = self.names;
        if let Some(start) = self.start {
            let to_the_minute = !(start.has_seconds && self.answer.has_seconds);
            let late_secs = if to_the_minute {
                Length::ROUNDED_SECS + 60
            } else {
                Length::ROUNDED_SECS
            };
            if start
                .spans(self.answer)
                .all(|micros| micros < -late_secs * 1_000_000)
            {
                let what = format!(
                    "is {}, and `{answer_name}` {}: a call begins before it is answered",
                    start.at, self.answer.at
                );
                return Err(contradiction(start_name, &what));
            }
        }
        if let Some(end) = self.end {
            billed.agrees(
                self.answer,
                end,
                &format!("`{answer_name}` to `{end_name}`"),
            )?;
        }
        let Some(duration) = self.duration else {
            return Ok(());
        };
        billed.is_within(duration)?;
        let (Some(start), Some(end)) = (self.start, self.end) else {
            return Ok(());
        };
        let whole = Length {
            seconds: duration,
            field: "duration",
            ..billed
        };
        whole.agrees(start, end, &format!("`{start_name}` to `{end_name}`"))
    }
}

/// Reads each row; rows of any width, blank ones left out.
pub(super) fn each_row(
    text: &str,
    delimiter: u8,
    mut row: impl FnMut(&Record<'_>) -> Row,
) -> Vec<Row> {
    let (mut records, mut rows) = (Records::new(text, delimiter), Vec::new());
    while let Some(record) = records.read() {
        rows.push(if record.is_open {
            refused(&record, "a quote is opened and not closed")
        } else {
            row(&record)
        });
    }
    rows
}

/// Each row with what its record says of its call's other leg; of two legs in one file the second
/// is skipped, unless both count.
pub(super) fn each_leg(
    text: &str,
    options: &Options,
    mut row: impl FnMut(&Record<'_>) -> (Row, Leg),
) -> Vec<Row> {
    let mut found = Vec::new();
    let mut rows = each_row(text, b',', |record| {
        let (row, leg) = row(record);
        found.push((record.line, leg));
        row
    });
    if !options.both_legs {
        let mut found = found.into_iter().peekable();
        // Rows that are no records have no leg.
        let leg_of = |row: &Row| {
            found
                .next_if(|(line, _)| *line == row.line())
                .map(|(_, leg)| leg)
                .unwrap_or_default()
        };
        let legs: Vec<Leg> = rows.iter().map(leg_of).collect();
        legs::skip_second(&mut rows, &legs);
    }
    rows
}

/// More cells than names: a comma that was not quoted moved the others along. Fewer than go up to
/// `needed`: the line is cut.
pub(super) fn misshapen(
    record: &Record<'_>,
    names: usize,
    needed: Option<usize>,
) -> Option<String> {
    let cells = record.cells.len();
    if (names..cells).any(|index| record.cell(index).is_some()) {
        return Some(format!(
            "{cells} cells for {names} columns: is a comma in a cell not quoted, or are the \
                columns others (`columns`)?"
        ));
    }
    needed
        .filter(|needed| cells <= *needed)
        .map(|_| format!("{cells} cells for {names} columns: is the line cut?"))
}

/// A row that is none of this format's.
pub(super) fn refused(record: &Record<'_>, why: impl Into<String>) -> Row {
    Row::Refused {
        line: record.line,
        id: String::new(),
        problem: Problem::new(Code::InvalidRow, why),
    }
}

/// The cells of the first row.
pub(super) fn header(text: &str, delimiter: u8) -> Vec<String> {
    let mut records = Records::new(text, delimiter);
    records
        .read()
        .map(|record| {
            record
                .cells
                .iter()
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .unwrap_or_default()
}
