//! Any CSV file of usage, through a column map that says what each column means.
//!
//! ```json
//! {"columns": {"id": "Call ID", "customer": "Account", "at": "Began", "quantity": "Seconds", "destination": 4},
//!  "attributes": {"direction": "Kind"}, "constants": {"meter": "call", "source": "legacy"},
//!  "delimiter": ";", "date_form": "day_first", "zone": "Europe/Berlin", "decimal_comma": true}
//! ```
//! A column is named by its header or by its index from 0. Nothing is guessed but the delimiter, and that a file whose
//! columns are stated by index begins with a record if its first line reads as one.

use super::answered::{self, Answered};
use super::cdr;
use super::fields::{self, DEFAULT_SOURCE};
use super::when::{Clock, DateForm};
use super::{Row, fields::push_attribute};
use crate::command::{Problem, UsageEvent};
use crate::sheet::decimal::{self, Mark};
use crate::sheet::duration::{self, DurationForm};
use crate::sheet::{self, Record};
use compact_str::CompactString;
use rating::{Instant, Quantity};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The fields of an event that a column or a constant may give.
const FIELDS: [&str; 10] = ["id", "source", "customer", "meter", "quantity", "amount", "at", "destination", "origin", "hold"];
/// When the usage ended, in place of a quantity; whether the call was answered.
const COLUMNS_ONLY: [&str; 2] = ["end", DISPOSITION];
/// Asterisk's name for it: looked at whenever a file has it.
const DISPOSITION: &str = "disposition";

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
    /// Field of the event → column. `end` is the end of the usage, in place of a quantity; rows whose `disposition` is
    /// not that of an answered call are no usage.
    pub columns: BTreeMap<String, Column>,
    /// Attribute → column; an empty cell is no attribute.
    pub attributes: BTreeMap<String, Column>,
    /// Field → value of every event that has no column for it, or an empty cell.
    pub constants: BTreeMap<String, String>,
    /// Default: the one of `,` `;` tab `|` that the first line has most of.
    pub delimiter: Option<char>,
    /// The file has no line of names; columns are indices.
    pub headless: bool,
    pub date_form: DateForm,
    /// IANA zone of local times.
    pub zone: Option<String>,
    /// `1.234,5` is 1234.5.
    pub decimal_comma: bool,
    /// How quantities are written. `00:01:23` is always read.
    pub duration_form: DurationForm,
    /// Rows of quantity 0 are no usage.
    pub skip_zero: bool,
}

impl ColumnMap {
    /// Columns of the same name as an event's fields.
    pub fn by_names(file: &[u8]) -> Result<Self, Problem> {
        let text = sheet::text_of(file);
        let titles = cdr::header(&text, sheet::delimiter(None, &text)?);
        let known = FIELDS.iter().chain(&COLUMNS_ONLY).filter(|field| titles.iter().any(|title| title == *field));
        let columns = known.map(|field| ((*field).to_owned(), Column::Name((*field).to_owned()))).collect();
        Ok(Self { columns, ..Self::default() })
    }
}

/// The rows of a file. An error: the column map, or a column of it that the file does not have.
pub fn parse(file: &[u8], map: &ColumnMap) -> Result<Vec<Row>, Problem> {
    let text = sheet::text_of(file);
    let delimiter = sheet::delimiter(map.delimiter, &text)?;
    let header = if map.headless { Vec::new() } else { cdr::header(&text, delimiter) };
    let reader = Reader::new(map, &header)?;
    let mut first = !map.headless;
    Ok(cdr::each_row(&text, delimiter, |record| {
        if std::mem::take(&mut first) && !reader.begins_with(record) {
            return Row::Skipped { line: record.line, why: "the columns' names".to_owned() };
        }
        reader.row(record)
    }))
}

/// Where a field comes from.
enum Place {
    One(usize),
    /// Put together, with this between them.
    Several(Vec<usize>, char),
}

/// A column map, resolved to indices.
struct Reader<'m> {
    map: &'m ColumnMap,
    fields: Vec<(&'m str, Place)>,
    attributes: Vec<(&'m str, usize)>,
    /// A column of that name which the map does not mention.
    disposition: Option<usize>,
    /// Of the line of titles; `None`: there is none.
    width: Option<usize>,
    clock: Clock,
    mark: Mark,
}

impl<'m> Reader<'m> {
    fn new(map: &'m ColumnMap, header: &[String]) -> Result<Self, Problem> {
        let is_known = |name: &String| FIELDS.contains(&name.as_str());
        let is_column = |name: &String| is_known(name) || COLUMNS_ONLY.contains(&name.as_str());
        let columns = map.columns.keys().find(|name| !is_column(name));
        if let Some(name) = columns.or_else(|| map.constants.keys().find(|name| !is_known(name))) {
            let known = FIELDS.join(", ");
            let detail = format!("`{name}` is not a field of a usage event; they are {known} (and as columns {})", COLUMNS_ONLY.join(", "));
            return Err(Problem::field("unknown_field", name.clone(), detail));
        }
        let fields = map.columns.iter().map(|(field, column)| Ok((field.as_str(), place_of(field, column, header)?)));
        let attributes = map.attributes.iter().map(|(name, column)| Ok((name.as_str(), index_of(name, column, header)?)));
        let is_mapped = map.columns.contains_key(DISPOSITION);
        Ok(Self {
            map,
            fields: fields.collect::<Result<_, Problem>>()?,
            attributes: attributes.collect::<Result<_, Problem>>()?,
            disposition: header.iter().position(|title| title.eq_ignore_ascii_case(DISPOSITION)).filter(|_| !is_mapped),
            width: Some(header.len()).filter(|width| *width > 0),
            clock: Clock::new(map.zone.as_deref(), map.date_form)?,
            mark: if map.decimal_comma { Mark::Comma } else { Mark::Point },
        })
    }

    /// Is the first line a record? Only where columns are stated by their numbers, and it reads as one.
    fn begins_with(&self, record: &Record<'_>) -> bool {
        let by_index = |column: &Column| match column {
            Column::Index(_) => true,
            Column::Name(_) => false,
            Column::Several(all) => all.iter().all(|column| matches!(column, Column::Index(_))),
        };
        !self.map.columns.is_empty() && self.map.columns.values().all(by_index) && self.event(record).is_ok()
    }

    fn row(&self, record: &Record<'_>) -> Row {
        if let Some(why) = self.misshapen(record) {
            return cdr::refused(record, why);
        }
        match self.not_answered(record).map_or_else(|| self.event(record).map(Ok), |why| why.map(Err)) {
            Ok(Ok(event)) if self.map.skip_zero && event.quantity == Quantity::ZERO => {
                Row::Skipped { line: record.line, why: "a quantity of 0".to_owned() }
            }
            Ok(Ok(event)) => Row::Event { line: record.line, event },
            Ok(Err(why)) => Row::Skipped { line: record.line, why },
            Err(problem) => Row::Refused { line: record.line, id: self.value(record, "id").unwrap_or_default().into_owned(), problem },
        }
    }

    /// As many cells as titles: otherwise a comma that was not quoted moved the others along, or the line was cut.
    fn misshapen(&self, record: &Record<'_>) -> Option<String> {
        let last = self
            .fields
            .iter()
            .flat_map(|(_, place)| place.indices().iter().copied())
            .chain(self.attributes.iter().map(|(_, index)| *index))
            .max();
        let names = self.width.unwrap_or_else(|| last.map_or(0, |last| last + 1));
        let cells = record.cells.len();
        if self.width.is_some() && (names..cells).any(|index| record.cell(index).is_some()) {
            return Some(format!("{cells} cells for {names} columns: is a comma in a cell not quoted?"));
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
        if let Some(text) = self.disposition.and_then(|index| record.cell(index)).filter(|text| answered::of(text) == Answered::No) {
            return Some(Ok(format!("not answered: {text}")));
        }
        let is_empty = |field: &str| self.fields.iter().any(|(name, _)| *name == field) && self.value(record, field).is_none();
        let measured = ["quantity", "end"].into_iter().filter(|field| self.fields.iter().any(|(name, _)| name == field)).all(is_empty);
        (is_empty("at") && measured && self.value(record, "amount").is_none())
            .then(|| Ok("not answered: neither begin nor duration".to_owned()))
    }

    fn value<'r>(&'r self, record: &'r Record<'_>, field: &str) -> Option<Cow<'r, str>> {
        let place = self.fields.iter().find(|(name, _)| *name == field);
        let constant = || self.map.constants.get(field).map(|text| Cow::Borrowed(text.as_str()));
        place.and_then(|(_, place)| place.read(record)).or_else(constant)
    }

    fn amount(&self, record: &Record<'_>) -> Result<Option<rating::money::Rate>, Problem> {
        let Some(text) = self.value(record, "amount") else { return Ok(None) };
        let expected = || fields::invalid("amount", duration::number_expected(&text, self.mark));
        let plain = decimal::plain(&text, self.mark).ok_or_else(expected)?;
        fields::amount("amount", &plain).map(Some)
    }

    /// By its own column, or from the begin to the end.
    fn quantity(&self, record: &Record<'_>, at: Instant) -> Result<Option<Quantity>, Problem> {
        if let Some(text) = self.value(record, "quantity") {
            let read = duration::read(&text, self.map.duration_form, self.mark);
            return read.map_err(|detail| fields::invalid("quantity", detail)).and_then(|q| fields::not_negative("quantity", q)).map(Some);
        }
        let Some(end) = self.value(record, "end") else { return Ok(None) };
        let micros = self.clock.read("end", &end)?.micros() - at.micros();
        if micros < 0 {
            return Err(fields::invalid("end", format_args!("{} is before the begin", sheet::shown(&end))));
        }
        Ok(Some(Quantity(i128::from(micros) * (Quantity::ONE / 1_000_000))))
    }

    fn event(&self, record: &Record<'_>) -> Result<UsageEvent, Problem> {
        let text = |field: &str| self.value(record, field).map(CompactString::from);
        let amount = self.amount(record)?;
        let at = self.value(record, "at").ok_or_else(|| fields::missing("at"))?;
        let at = self.clock.read("at", &at)?;
        let quantity = fields::measure(self.quantity(record, at)?, amount)?;
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
            at,
            destination: text("destination"),
            origin: text("origin"),
            attributes,
            hold: text("hold").map(Into::into),
            raw: Some(record.raw.to_owned()),
        })
    }
}

impl Place {
    fn indices(&self) -> &[usize] {
        match self {
            Self::One(index) => std::slice::from_ref(index),
            Self::Several(all, _) => all,
        }
    }

    /// `None`: nothing stands there. Several are told apart whatever stands in them: `a:b` and `c` is not `a` and `b:c`.
    fn read<'r>(&self, record: &Record<'r>) -> Option<Cow<'r, str>> {
        let Self::Several(all, between) = self else { return record.cell(*self.indices().first()?).map(Cow::Borrowed) };
        if all.iter().all(|index| record.cell(*index).is_none()) {
            return None;
        }
        let escaped = |text: &str| match between {
            ':' => text.replace('\\', "\\\\").replace(':', "\\:"),
            _ => text.to_owned(),
        };
        let parts: Vec<String> = all.iter().map(|index| escaped(record.cell(*index).unwrap_or_default())).collect();
        Some(Cow::Owned(parts.join(&between.to_string()).trim().to_owned()))
    }
}

fn place_of(field: &str, column: &Column, header: &[String]) -> Result<Place, Problem> {
    let Column::Several(all) = column else { return index_of(field, column, header).map(Place::One) };
    let between = match field {
        "id" => ':',
        "at" | "end" => ' ',
        _ => return Err(fields::invalid(field, "expected one column: several make an id, or a date and a time of day")),
    };
    let indices = all.iter().map(|column| index_of(field, column, header)).collect::<Result<_, _>>()?;
    Ok(Place::Several(indices, between))
}

fn index_of(field: &str, column: &Column, header: &[String]) -> Result<usize, Problem> {
    match column.index_in(header) {
        Some(Some(index)) => Ok(index),
        None => Err(fields::invalid(field, "expected one column")),
        Some(None) => {
            let (name, titles) = (if let Column::Name(name) = column { name.as_str() } else { "" }, header.join("`, `"));
            let detail = format!(
                "`{field}`: the file has no column `{name}`; its first line is `{titles}` (without a line of titles: \"headless\": true, and columns by their numbers from 0)"
            );
            Err(Problem::field("unknown_column", field, detail))
        }
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

    /// The rows of a file by a map: `line quantity at destination id`, or why not.
    fn told(file: &str, map: &str) -> Vec<String> {
        parse(file.as_bytes(), &serde_json::from_str(map).unwrap()).unwrap().iter().skip(1).map(super::super::tell).collect()
    }

    const CALLS: &str = r#""constants":{"meter":"call","customer":"c"},"zone":"UTC""#;

    #[test]
    fn a_row_of_more_or_fewer_cells_is_refused() {
        let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{CALLS}}}"#);
        let file =
            "id,data,at,s\na,x,2026-11-20 09:00,6\nb,x,60,2026-11-20 09:00,49,6\nc,x,2026-11-20 09:00\nd,\"x,60\",2026-11-20 09:00,6,,\n";
        let told = told(file, &map);
        assert_eq!(told[1..3], ["3 refused - invalid_row", "4 refused - invalid_row"]);
        assert_eq!((told.len(), &told[3]), (4, &"5 c call 6 2026-11-20T09:00:00Z - from - id d".to_owned()));
    }

    #[test]
    fn a_mark_stands_where_it_may() {
        let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},"decimal_comma":true,{CALLS}}}"#);
        let file = "id;at;s\na;2026-11-20 09:00;90,5\nb;2026-11-20 09:00;90.5\nc;2026-11-20 09:00;1.234,5\nd;2026-11-20 09:00;1,2.3\n";
        let quantities: Vec<String> = told(file, &map).iter().map(|row| row.split(' ').nth(3).unwrap().to_owned()).collect();
        assert_eq!(quantities, ["90.5", "invalid_field", "1234.5", "invalid_field"]);
        let rows = parse(b"id;at;s\na;2026-11-20 09:00;90,5\n", &serde_json::from_str(&map.replace("true", "false")).unwrap()).unwrap();
        assert!(
            matches!(&rows[1], Row::Refused { problem, .. } if problem.detail.contains("`90,5`") && problem.detail.contains("decimal_comma"))
        );
    }

    #[test]
    fn durations_are_written_in_many_ways() {
        let file = "id,at,end,s\na,2026-11-20 09:00:05,2026-11-20 09:01:28,00:01:23\nb,,2026-11-20 09:10:20,\nc,2026-11-20 09:00:05,,\n";
        let by = |columns: &str, form: &str| told(file, &format!(r#"{{"columns":{{"id":"id","at":"at",{columns}}}{form},{CALLS}}}"#));
        let want = ["2 c call 83 2026-11-20T09:00:05Z - from - id a", "3 skipped: not answered: neither begin nor duration"];
        assert_eq!(by(r#""quantity":"s""#, "")[..2], want);
        let ended = by(r#""end":"end""#, "");
        assert_eq!((&ended[0][..], &ended[2][..]), (want[0], "4 refused quantity missing_field"));
        let minutes = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},"duration_form":"minutes_seconds",{CALLS}}}"#);
        assert_eq!(told("id,at,s\na,2026-11-20 09:00:05,01:23\n", &minutes), want[..1]);
    }

    #[test]
    fn an_id_of_several_columns_and_a_date_of_two() {
        let file = "day,time,s,u,n\n2026-11-20,09:00:05,83,a,7\n2026-11-20,09:00:05,83,a:7,\n2026-11-20,09:00:05,83,,\n";
        let map = format!(r#"{{"columns":{{"id":["u","n"],"at":["day","time"],"quantity":"s"}},{CALLS}}}"#);
        let want = |line: u8, id: &str| format!("{line} c call 83 2026-11-20T09:00:05Z - from - id {id}");
        assert_eq!(told(file, &map), [want(2, "a:7"), want(3, "a\\:7:"), "4 refused id missing_field".to_owned()]);
        let wrong = serde_json::from_str(&map.replace(r#""quantity":"s""#, r#""quantity":["s"]"#)).unwrap();
        assert_eq!(parse(file.as_bytes(), &wrong).unwrap_err().field.as_deref(), Some("quantity"));
        let error = serde_json::from_str::<ColumnMap>(r#"{"columns":{"id":{}}}"#).unwrap_err().to_string();
        assert!(error.contains("expected a column's title"), "{error}");
    }

    #[test]
    fn unanswered_rows_are_no_usage_whatever_their_seconds() {
        let file = "id,at,s,disposition\na,2026-11-20 09:00,60,NOANSWER\nb,2026-11-20 09:00,60,Answered\nc,2026-11-20 09:00,60,7\n";
        let map = format!(r#"{{"columns":{{"id":"id","at":"at","quantity":"s"}},{CALLS}}}"#);
        let (skipped, answered) = ("2 skipped: not answered: NOANSWER", "3 c call 60 2026-11-20T09:00:00Z - from - id b");
        assert_eq!(told(file, &map)[..2], [skipped, answered]);
        let mapped = map.replace(r#""quantity":"s""#, r#""quantity":"s","disposition":"disposition""#);
        assert_eq!(told(file, &mapped), [skipped, answered, "4 refused disposition unknown_disposition"]);
    }

    #[test]
    fn a_first_line_that_is_a_record_is_one() {
        let map = format!(r#"{{"columns":{{"id":0,"at":1,"quantity":2}},{CALLS}}}"#);
        let rows = |text: &str| parse(text.as_bytes(), &serde_json::from_str(&map).unwrap()).unwrap().len();
        let first = |text: &str| matches!(parse(text.as_bytes(), &serde_json::from_str(&map).unwrap()).unwrap()[0], Row::Event { .. });
        assert!(rows("a,2026-11-20 09:00,6\n") == 1 && first("a,2026-11-20 09:00,6\n") && !first("id,at,s\na,2026-11-20 09:00,6\n"));
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
