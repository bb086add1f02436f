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
mod lines;

use super::fields::{self, DEFAULT_SOURCE, push_attribute};
pub use columns::Column;

use super::answered::{self, Answered};
use super::cdr;
use super::row::Row;
use super::said::{self, AmountUnit, Named};
use super::when::{Clock, DateForm, Moment};
use crate::UsageEvent;
use crate::sheet::decimal::{self, Mark};
use crate::sheet::duration::{self, DurationForm};
use crate::sheet::{self, Record, Records};
use columns::{Place, check_shared, index_of, left_out, named, place_of, shown_titles};
use compact_str::CompactString;
use lines::{First, said_of_titles, unclear_first};
use problem::{Code, Problem};
use rating::Quantity;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
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

    fn row(&self, record: &Record<'_>) -> Row {
        if let Some(why) = self.misshapen(record) {
            return cdr::refused(record, why);
        }
        match self
            .not_answered(record)
            .map_or_else(|| self.event(record).map(Ok), |why| why.map(Err))
        {
            Ok(Ok(event)) if self.map.skip_zero && event.quantity == Quantity::ZERO => {
                Row::Skipped {
                    line: record.line,
                    why: "a quantity of 0".to_owned(),
                }
            }
            Ok(Ok(event)) => Row::Event {
                line: record.line,
                event,
            },
            Ok(Err(why)) => Row::Skipped {
                line: record.line,
                why,
            },
            Err(problem) => Row::Refused {
                line: record.line,
                id: self.value(record, "id").unwrap_or_default().into_owned(),
                problem,
            },
        }
    }

    /// As many cells as titles: otherwise a comma that was not quoted moved the others along, or
    /// the line was cut.
    fn misshapen(&self, record: &Record<'_>) -> Option<String> {
        let last = self.used().max();
        let names = self
            .width
            .unwrap_or_else(|| last.map_or(0, |last| last + 1));
        let cells = record.cells.len();
        if self.width.is_some() && (names..cells).any(|index| record.cell(index).is_some()) {
            return Some(format!(
                "{cells} cells for {names} columns: is a comma in a cell not quoted?"
            ));
        }
        (cells < names).then(|| format!("{cells} cells for {names} columns: is the line cut?"))
    }

    /// Why the row is no usage, if it is none.
    fn not_answered(&self, record: &Record<'_>) -> Option<Result<String, Problem>> {
        if let Some(text) = self.value(record, DISPOSITION) {
            return match answered::of(&text) {
                Answered::Yes => None,
                Answered::No => Some(Ok(format!("not answered: {text}"))),
                Answered::Unknown => Some(Err(answered::unknown(DISPOSITION, &text))),
            };
        }
        let is_empty = |field: &str| {
            self.fields.iter().any(|(name, _)| *name == field)
                && self.value(record, field).is_none()
        };
        let measured = ["quantity", "end"]
            .into_iter()
            .filter(|field| self.fields.iter().any(|(name, _)| name == field))
            .all(is_empty);
        if is_empty("at") && measured && self.value(record, "amount").is_none() {
            return Some(Ok("not answered: neither begin nor duration".to_owned()));
        }
        is_empty(DISPOSITION).then(|| Err(answered::missing(DISPOSITION)))
    }

    fn value<'r>(&'r self, record: &'r Record<'_>, field: &str) -> Option<Cow<'r, str>> {
        let place = self.fields.iter().find(|(name, _)| *name == field);
        let constant = || {
            self.map
                .constants
                .get(field)
                .map(|text| Cow::Borrowed(text.as_str()))
        };
        place
            .and_then(|(_, place)| place.read(record))
            .or_else(constant)
    }

    /// What stands before the decimals of a number; an error: nothing says what its mark is.
    fn mark(&self, field: &str, text: &str) -> Result<Mark, Problem> {
        match self.map.decimal_comma {
            Some(true) => Ok(Mark::Comma),
            None if decimal::is_doubtful(text)
                && (self.delimiter != b',' || self.shows_commas()) =>
            {
                let detail = format!(
                    "`{field}`: {} may be a little more than one or a thousand times that: say by \
                        `decimal_comma` true or false which",
                    sheet::shown(text)
                );
                Err(Problem::field(Code::AmbiguousNumber, field, detail))
            }
            _ => Ok(Mark::Point),
        }
    }

    /// Has another number of the file a decimal comma? Asked only where one is in doubt.
    fn shows_commas(&self) -> bool {
        *self.shows_commas.get_or_init(|| {
            let mut records = Records::new(self.text, self.delimiter);
            let is_comma = |text: &str| {
                decimal::plain(text, Mark::Comma).is_some()
                    && decimal::plain(text, Mark::GroupedPoint).is_none()
            };
            while let Some(record) = records.read() {
                if ["quantity", "amount"].into_iter().any(|field| {
                    self.value(&record, field)
                        .is_some_and(|text| is_comma(&text))
                }) {
                    return true;
                }
            }
            false
        })
    }

    fn amount(&self, record: &Record<'_>) -> Result<Option<rating::money::Rate>, Problem> {
        let Some(text) = self.value(record, "amount") else {
            return Ok(None);
        };
        let mark = self.mark("amount", &text)?;
        let expected = || fields::invalid("amount", duration::number_expected(&text, mark));
        let plain = decimal::plain(&text, mark).ok_or_else(expected)?;
        said::amount(self.map.amount_unit, fields::amount("amount", &plain)?).map(Some)
    }

    /// Its own column, if it has something.
    fn measured(&self, record: &Record<'_>) -> Result<Option<Quantity>, Problem> {
        let Some(text) = self.value(record, "quantity") else {
            return Ok(None);
        };
        // `00:01:23` says its units itself.
        if let (Err(problem), false) = (&self.unit, text.contains(':')) {
            return Err(problem.clone());
        }
        let (form, mark) = (
            self.map.duration_form.unwrap_or_default(),
            self.mark("quantity", &text)?,
        );
        let hint = || match duration::read(&text, DurationForm::Seconds, mark) {
            Ok(_) if form == DurationForm::Number => "; `duration_form`: seconds reads this",
            _ => "",
        };
        let read = duration::read(&text, form, mark)
            .map_err(|detail| fields::invalid("quantity", format_args!("{detail}{}", hint())))?;
        fields::not_negative("quantity", read).map(Some)
    }

    fn moment(&self, field: &str, text: &str) -> Result<Moment, Problem> {
        let moment = self.clock.moment(field, text)?;
        if self.map.whole_days {
            return Ok(moment);
        }
        moment.timed(field, text).map_err(|mut problem| {
            problem.detail.push_str(
                "; where an instant is its day's beginning, say so by `whole_days`: true",
            );
            problem
        })
    }

    /// By its own column, or from the begin to the end: if both are there, they agree.
    fn quantity(&self, record: &Record<'_>, at: Moment) -> Result<Option<Quantity>, Problem> {
        let measured = self.measured(record)?;
        let Some(text) = self.value(record, "end") else {
            return Ok(measured);
        };
        let end = self.moment("end", &text)?;
        if let Some(seconds) = measured {
            let what = cdr::Length {
                seconds,
                field: "quantity",
                may_be_shorter: false,
            };
            return what
                .agrees(at, end, "`at` to `end`")
                .map(|()| Some(seconds));
        }
        if at.again.or(end.again).is_some() {
            let detail = format!(
                "`end`: on the way to {} the clocks are put back or forward, so that the duration \
                    may be an hour off: give a `quantity`, or \
                 both times with their offset, such as +01:00",
                sheet::shown(&text)
            );
            return Err(Problem::field(Code::AmbiguousTime, "end", detail));
        }
        let micros = end.at.micros() - at.at.micros();
        if micros < 0 {
            return Err(fields::invalid(
                "end",
                format_args!("{} is before the begin", sheet::shown(&text)),
            ));
        }
        Ok(Some(Quantity(
            i128::from(micros) * (Quantity::ONE / 1_000_000),
        )))
    }

    /// Is the cell of the number called empty? In a file of several meters others than calls need
    /// none.
    fn says_nobody(&self, record: &Record<'_>) -> bool {
        let has = |field: &str| self.fields.iter().any(|(name, _)| *name == field);
        let is_of_calls = || {
            self.value(record, "meter")
                .is_none_or(|meter| meter.eq_ignore_ascii_case(fields::METER))
        };
        has("destination")
            && self.value(record, "destination").is_none()
            && (!has("meter") || is_of_calls())
    }

    /// An id of several columns: where the first says nothing, the others may be those of many
    /// calls.
    fn check_parts(&self, record: &Record<'_>) -> Result<(), Problem> {
        let several = self
            .fields
            .iter()
            .find(|(name, _)| *name == "id")
            .filter(|(_, place)| matches!(place, Place::Several(..)));
        let first = several.and_then(|(_, place)| place.indices().first());
        let first = first
            .map(|index| record.cell(*index).ok_or_else(|| fields::missing("id")))
            .transpose()?;
        first.map_or(Ok(()), fields::identity)
    }

    fn event(&self, record: &Record<'_>) -> Result<UsageEvent, Problem> {
        let text = |field: &str| self.value(record, field).map(CompactString::from);
        let amount = self.amount(record)?;
        let at = self
            .value(record, "at")
            .ok_or_else(|| fields::missing("at"))?;
        let at = self.moment("at", &at)?;
        let quantity = fields::measure(
            self.quantity(record, at)?,
            amount,
            &self.value(record, "meter").unwrap_or_default(),
        )?;
        let is_no_usage = self.map.skip_zero && quantity == Quantity::ZERO;
        if !is_no_usage && self.says_nobody(record) {
            return Err(fields::nobody_called(""));
        }
        self.check_parts(record)?;
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
            at: at.at,
            destination: text("destination"),
            origin: text("origin"),
            attributes,
            hold: text("hold").map(Into::into),
            raw: Some(record.raw.to_owned()),
        })
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
