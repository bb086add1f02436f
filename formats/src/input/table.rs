//! Any CSV file of usage, through a column map that says what each column means.
//!
//! ```json
//! {"columns": {"id": "Call ID", "customer": "Account", "at": "Began", "quantity": "Seconds", "destination": 4},
//!  "attributes": {"direction": "Kind"}, "constants": {"meter": "call", "source": "legacy"},
//!  "delimiter": ";", "date_form": "day_first", "zone": "Europe/Berlin", "decimal_comma": true}
//! ```
//! A column is named by its header or by its index from 0. Nothing is guessed but the delimiter,
//! and that a file whose columns are stated by index begins with a record if its first line has a
//! time or a quantity where they belong.

mod columns;
mod event;
mod lines;

pub use columns::Column;

use super::row::Row;
use super::said::{self, AmountUnit, Named};
use super::when::{Clock, DateForm};
use super::{cdr, fields};
use crate::sheet::duration::DurationForm;
use crate::sheet::{self, Records};
use columns::{Place, check_shared, index_of, left_out, named, place_of, shown_titles};
use lines::{First, said_of_titles, unclear_first};
use problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// The fields of an event that a column or a constant may give.
const FIELDS: [&str; 10] = [
    "id",
    "source",
    "customer",
    "meter",
    "quantity",
    "amount",
    "at",
    "destination",
    "origin",
    "hold",
];
/// When the usage ended, in place of a quantity; whether the call was answered.
const COLUMNS_ONLY: [&str; 2] = ["end", DISPOSITION];
/// Asterisk's name for it.
const DISPOSITION: &str = "disposition";

/// What the columns of a file mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnMap {
    /// Field of the event → column. `end` is the end of the usage, in place of a quantity; rows
    /// whose `disposition` is not that of an answered call are no usage.
    pub columns: BTreeMap<String, Column>,
    /// Attribute → column; an empty cell is no attribute.
    pub attributes: BTreeMap<String, Column>,
    /// Field → value of every event that has no column for it, or an empty cell.
    pub constants: BTreeMap<String, String>,
    /// Default: the one of `,` `;` tab `|` that the first line has most of.
    pub delimiter: Option<char>,
    /// The file has no line of names; columns are indices. Default: where all of them are, the
    /// first line shows it.
    pub headless: Option<bool>,
    pub date_form: DateForm,
    /// IANA zone of local times.
    pub zone: Option<String>,
    /// `1.234,5` is 1234.5. Not stated: `1.234` is refused where it may be either.
    pub decimal_comma: Option<bool>,
    /// How quantities are written. `00:01:23` is always read. Default: a number in the meter's
    /// unit, unless the title says another.
    pub duration_form: Option<DurationForm>,
    /// What amounts are, where the title says a unit.
    pub amount_unit: Option<AmountUnit>,
    /// An instant without a time of day is the beginning of its day.
    pub whole_days: bool,
    /// Rows of quantity 0 are no usage.
    pub skip_zero: bool,
    /// Columns that mean nothing. Others that say a unit, a currency or whether a row counts are
    /// mapped, or stop the file.
    pub ignore_columns: Vec<Column>,
}

impl ColumnMap {
    /// Columns of the same name as an event's fields.
    pub fn by_names(file: &[u8]) -> Result<Self, Problem> {
        let text = sheet::text_of(file);
        let (stated, text, _) = sheet::separator_line(&text);
        let titles = cdr::header(text, sheet::delimiter(stated, text)?);
        let known = FIELDS
            .iter()
            .chain(&COLUMNS_ONLY)
            .filter(|field| titles.iter().any(|title| title == *field));
        let columns = known
            .map(|field| ((*field).to_owned(), Column::Name((*field).to_owned())))
            .collect();
        Ok(Self {
            columns,
            ..Self::default()
        })
    }
}

/// The one of all rows.
fn stated_meter(map: &ColumnMap) -> Option<&str> {
    map.constants
        .get("meter")
        .map(String::as_str)
        .filter(|_| !map.columns.contains_key("meter"))
}

/// Of calls a column that is called so is used without being named, as Asterisk writes it: a call
/// that nobody answered is none.
fn own_disposition(
    map: &ColumnMap,
    header: &[String],
    fields: &[(&str, Place)],
) -> Result<Option<(&'static str, Place)>, Problem> {
    let left_out = left_out(map, header)?;
    let is_taken = |index: usize| {
        left_out.contains(&index)
            || fields
                .iter()
                .any(|(_, place)| place.indices().contains(&index))
    };
    let is_of_calls =
        stated_meter(map) == Some(fields::METER) && !map.columns.contains_key(DISPOSITION);
    let index = header
        .iter()
        .position(|title| is_of_calls && title.eq_ignore_ascii_case(DISPOSITION));
    Ok(index
        .filter(|index| !is_taken(*index))
        .map(|index| (DISPOSITION, Place::One(index))))
}

/// The rows of a file. An error: the column map, or a column of it that the file does not have.
pub fn parse(file: &[u8], map: &ColumnMap) -> Result<Vec<Row>, Problem> {
    let text = sheet::text_of(file);
    let (stated, text, above) = sheet::separator_line(&text);
    let delimiter = sheet::delimiter(map.delimiter.or(stated), text)?;
    let is_headless = map.headless == Some(true);
    let header = if is_headless {
        Vec::new()
    } else {
        cdr::header(text, delimiter)
    };
    if map.columns.is_empty() && map.constants.is_empty() && !header.is_empty() {
        return Err(no_column(&header));
    }
    let reader = Reader::new(map, &header, text, delimiter)?;
    let first = if is_headless {
        First::Record
    } else {
        reader.first_is(Records::new(text, delimiter).read().as_ref())
    };
    match first {
        First::Titles => {
            reader.check_stated_titles(&header)?;
            reader.check_titles(&header)?;
        }
        First::Unclear => return Err(unclear_first(&header)),
        First::Record => {}
    }
    let (mut is_first, mut words_at) = (true, None);
    let mut rows = cdr::each_row(text, delimiter, |record| {
        let is_first = std::mem::take(&mut is_first);
        let named = || Row::Skipped {
            line: record.line,
            why: "the columns' names".to_owned(),
        };
        if is_first && first == First::Titles {
            return named();
        }
        if let Some(line) = words_at {
            return reader.behind(record, line);
        }
        let is_of_words = reader.is_of_words(record);
        if is_of_words && reader.is_titles_again(record, &header) {
            return named();
        }
        if is_of_words {
            words_at = Some(record.line + above);
        }
        let row = if is_of_words {
            reader.words(record)
        } else {
            reader.row(record)
        };
        if is_first { said_of_titles(row) } else { row }
    });
    rows.iter_mut().for_each(|row| row.move_down(above));
    Ok(rows)
}

fn no_column(header: &[String]) -> Problem {
    let detail = format!(
        "no column has the name of a field of an event ({}); the first line is `{}`: say by a map \
            (--map) which column is what",
        FIELDS.join(", "),
        shown_titles(header)
    );
    Problem::new(Code::UnknownColumn, detail)
}

/// A column map, resolved to indices.
struct Reader<'m> {
    map: &'m ColumnMap,
    fields: Vec<(&'m str, Place)>,
    attributes: Vec<(&'m str, usize)>,
    /// Of the line of titles; `None`: there is none.
    width: Option<usize>,
    clock: Clock,
    /// The title of the quantities says another unit than the meter's.
    unit: Result<(), Problem>,
    text: &'m str,
    delimiter: u8,
    shows_commas: OnceCell<bool>,
}

impl<'m> Reader<'m> {
    fn new(
        map: &'m ColumnMap,
        header: &[String],
        text: &'m str,
        delimiter: u8,
    ) -> Result<Self, Problem> {
        let is_known = |name: &String| FIELDS.contains(&name.as_str());
        let is_column = |name: &String| is_known(name) || COLUMNS_ONLY.contains(&name.as_str());
        let columns = map.columns.keys().find(|name| !is_column(name));
        if let Some(name) = columns.or_else(|| map.constants.keys().find(|name| !is_known(name))) {
            let known = FIELDS.join(", ");
            let detail = format!(
                "`{name}` is not a field of a usage event; they are {known} (and as columns {})",
                COLUMNS_ONLY.join(", ")
            );
            return Err(Problem::field(Code::UnknownField, name.clone(), detail));
        }
        let fields = map
            .columns
            .iter()
            .map(|(field, column)| Ok((field.as_str(), place_of(field, column, header)?)));
        let attributes = map
            .attributes
            .iter()
            .map(|(name, column)| Ok((name.as_str(), index_of(name, column, header)?)));
        let mut fields = fields.collect::<Result<Vec<_>, Problem>>()?;
        fields.extend(own_disposition(map, header, &fields)?);
        check_shared(&fields)?;
        let titled = |field: &str| match fields.iter().find(|(name, _)| *name == field) {
            Some((_, Place::One(index))) => header.get(*index),
            _ => None,
        };
        let unit = titled("quantity").map_or(Ok(Ok(())), |title| {
            said::check_durations(Named::Column(title), map.duration_form, stated_meter(map))
        })?;
        titled("amount").map_or(Ok(()), |title| {
            said::check_amounts(Named::Column(title), map.amount_unit)
        })?;
        Ok(Self {
            map,
            fields,
            attributes: attributes.collect::<Result<_, Problem>>()?,
            width: Some(header.len()).filter(|width| *width > 0),
            clock: Clock::new(map.zone.as_deref(), map.date_form)?,
            unit,
            text,
            delimiter,
            shows_commas: OnceCell::new(),
        })
    }

    /// What stands in the first line, if it is that of the titles, is understood or stated.
    fn check_titles(&self, header: &[String]) -> Result<(), Problem> {
        let map = self.map;
        let titled = |field: &str| match self.fields.iter().find(|(name, _)| *name == field) {
            Some((_, Place::One(index))) => header.get(*index),
            _ => None,
        };
        titled("quantity").map_or(Ok(()), |title| {
            said::check_words_of_quantities(
                Named::Column(title),
                map.duration_form,
                stated_meter(map),
            )
        })?;
        titled("amount").map_or(Ok(()), |title| {
            said::check_words_of_amounts(Named::Column(title), map.amount_unit)
        })?;
        for field in ["at", "end"] {
            for title in map.columns.get(field).map(named).unwrap_or_default() {
                said::check_instants(
                    field,
                    Named::Column(title),
                    map.zone.as_deref(),
                    map.date_form,
                )?;
            }
        }
        self.check_beside(header)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "table_said_tests.rs"]
mod said_tests;

#[cfg(test)]
#[path = "table_lines_tests.rs"]
mod lines_tests;
