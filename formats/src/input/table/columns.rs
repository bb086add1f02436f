//! Which column of a file is which, by its title or its number; and those that no field of the map
//! names.

use super::super::fields;
use super::super::titles;
use super::{ColumnMap, DISPOSITION, Reader};
use crate::sheet::{self, Record};
use problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A column by its header's name or by its index from 0; of an id or an instant also several, put
/// together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a column's title, its number from 0, or a list of them"
)]
pub enum Column {
    Index(usize),
    Name(String),
    Several(Vec<Self>),
}

impl Column {
    /// Among these titles, whatever their case. `None`: it is several; inside: there is no such
    /// title.
    pub fn index_in(&self, titles: &[impl AsRef<str>]) -> Option<Option<usize>> {
        match self {
            Self::Index(index) => Some(Some(*index)),
            Self::Name(name) => Some(
                titles
                    .iter()
                    .position(|title| title.as_ref().trim().eq_ignore_ascii_case(name.trim())),
            ),
            Self::Several(_) => None,
        }
    }
}

/// Where a field comes from.
pub(super) enum Place {
    One(usize),
    /// Put together, with this between them.
    Several(Vec<usize>, char),
}

impl Place {
    pub(super) fn indices(&self) -> &[usize] {
        match self {
            Self::One(index) => std::slice::from_ref(index),
            Self::Several(all, _) => all,
        }
    }

    /// `None`: nothing stands there. Several are told apart whatever stands in them: `a:b` and `c`
    /// is not `a` and `b:c`.
    pub(super) fn read<'r>(&self, record: &Record<'r>) -> Option<Cow<'r, str>> {
        let Self::Several(all, between) = self else {
            return record.cell(*self.indices().first()?).map(Cow::Borrowed);
        };
        if all.iter().all(|index| record.cell(*index).is_none()) {
            return None;
        }
        let escaped = |text: &str| match between {
            ':' => text.replace('\\', "\\\\").replace(':', "\\:"),
            _ => text.to_owned(),
        };
        let parts: Vec<String> = all
            .iter()
            .map(|index| escaped(record.cell(*index).unwrap_or_default()))
            .collect();
        Some(Cow::Owned(
            parts.join(&between.to_string()).trim().to_owned(),
        ))
    }
}

/// The titles by which columns are named.
pub(super) fn named(column: &Column) -> Vec<&str> {
    match column {
        Column::Index(_) => Vec::new(),
        Column::Name(name) => vec![name],
        Column::Several(all) => all.iter().flat_map(named).collect(),
    }
}

/// A first line as a message shows it.
pub(super) fn shown_titles(titles: &[String]) -> String {
    const SHOWN_CHARS_MAX: usize = 400;
    titles
        .join("`, `")
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(SHOWN_CHARS_MAX)
        .collect()
}

/// A column of a number or an instant is that of one field: of names, one may be several things (a
/// customer's number is whom it calls from).
pub(super) fn check_shared(fields: &[(&str, Place)]) -> Result<(), Problem> {
    const MEASURES: [&str; 5] = ["quantity", "amount", "at", "end", DISPOSITION];
    let ones = || {
        fields.iter().filter_map(|(field, place)| {
            if let Place::One(index) = place {
                Some((*field, *index))
            } else {
                None
            }
        })
    };
    // Two calls may begin in one second, and call one number: what tells them apart is a column of
    // its own, or several.
    for (field, index) in ones().filter(|(field, _)| MEASURES.contains(field) || *field == "id") {
        if let Some((other, _)) = ones().find(|(other, taken)| *other != field && *taken == index) {
            let detail = format!(
                "`{field}`: its column (the one with number {index}) is that of `{other}` too: \
                    name another one for one of them"
            );
            return Err(Problem::field(Code::AmbiguousColumn, field, detail));
        }
    }
    Ok(())
}

pub(super) fn place_of(field: &str, column: &Column, header: &[String]) -> Result<Place, Problem> {
    let Column::Several(all) = column else {
        return index_of(field, column, header).map(Place::One);
    };
    let between = match field {
        "id" => ':',
        "at" | "end" => ' ',
        _ => {
            return Err(fields::invalid(
                field,
                "expected one column: several make an id, or a date and a time of day",
            ));
        }
    };
    let indices = all
        .iter()
        .map(|column| index_of(field, column, header))
        .collect::<Result<_, _>>()?;
    Ok(Place::Several(indices, between))
}

pub(super) fn index_of(field: &str, column: &Column, header: &[String]) -> Result<usize, Problem> {
    match column.index_in(header) {
        Some(Some(index)) => match column {
            Column::Name(name)
                if header
                    .iter()
                    .filter(|title| title.trim().eq_ignore_ascii_case(name.trim()))
                    .count()
                    > 1 =>
            {
                let detail = format!(
                    "`{field}`: the file has more than one column {}: name it by its number from 0",
                    sheet::shown(name)
                );
                Err(Problem::field(Code::AmbiguousColumn, field, detail))
            }
            Column::Index(_) if !header.is_empty() && index >= header.len() => {
                let (count, titles) = (header.len(), shown_titles(header));
                let detail = format!(
                    "`{field}`: the file has no column {index}: its first line is `{titles}`, \
                        {count} columns from 0 to {}",
                    count - 1
                );
                Err(Problem::field(Code::UnknownColumn, field, detail))
            }
            _ => Ok(index),
        },
        None => Err(fields::invalid(field, "expected one column")),
        Some(None) => {
            let (name, titles) = (
                if let Column::Name(name) = column {
                    name.as_str()
                } else {
                    ""
                },
                shown_titles(header),
            );
            let detail = format!(
                "`{field}`: the file has no column `{name}`; its first line is `{titles}` \
                    (without a line of titles: \"headless\": true, and columns by their numbers \
                    from 0)"
            );
            Err(Problem::field(Code::UnknownColumn, field, detail))
        }
    }
}

/// What numbers are, where a column says so for each row.
const UNITS: &str = "unit|duration unit|quantity unit|unit of \
    measure|uom|einheit|masseinheit|mengeneinheit|zeiteinheit|unite|unite de mesure|\
     unidad|unidad de medida|unita|unita di misura";
const CURRENCIES: &str =
    "currency|currency code|ccy|waehrung|wahrung|devise|monnaie|moneda|divisa|valuta";
/// Whether a row is one that counts.
const COUNTS: &str = "status|state|call status|call state|result|call \
    result|outcome|disposition|call disposition|hangup cause|hangupcause|\
     release cause|disconnect cause|termination cause|answered|is \
     answered|void|voided|cancelled|canceled|deleted|refunded|\
     anrufstatus|ergebnis|storno|storniert|beantwortet|angenommen|geloscht|geloescht|\
     statut|etat|resultat|annule|annulee|repondu|estado|resultado|anulado|anulada|contestada|contestado|\
     stato|esito|risultato|annullato|annullata|risposto|risposta";

impl Reader<'_> {
    /// Columns that the map uses.
    pub(super) fn used(&self) -> impl Iterator<Item = usize> {
        let fields = self
            .fields
            .iter()
            .flat_map(|(_, place)| place.indices().iter().copied());
        fields.chain(self.attributes.iter().map(|(_, index)| *index))
    }

    /// A column that says the unit, the currency, or whether a row counts is used, or said to mean
    /// nothing. All others of a file may be there: a switch writes dozens of them.
    pub(super) fn check_beside(&self, header: &[String]) -> Result<(), Problem> {
        let left_out = left_out(self.map, header)?;
        let has = |field: &str| self.fields.iter().any(|(name, _)| *name == field);
        let is_in = |list: &str, title: &str| list.split('|').any(|known| known.trim() == title);
        let is_telling = |title: &str| {
            let title = titles::words(title).join(" ");
            let is_unit = is_in(UNITS, &title) && (has("quantity") || has("amount"));
            is_unit || (is_in(CURRENCIES, &title) && has("amount")) || is_in(COUNTS, &title)
        };
        let beside = header.iter().enumerate().filter(|(index, _)| {
            !self.used().any(|used| used == *index) && !left_out.contains(index)
        });
        let found: Vec<String> = beside
            .filter(|(_, title)| is_telling(title))
            .map(|(_, title)| sheet::shown(title))
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "what {} say{} may change what is charged, and the map does not name {}: map a column \
                (`{DISPOSITION}` tells answered calls, \
             `attributes` keep what it says), or leave it out by `ignore_columns` of the map \
             (--map), by its title or its number from 0",
            found.join(", "),
            if found.len() == 1 { "s" } else { "" },
            if found.len() == 1 { "it" } else { "them" },
        );
        Err(Problem::field(Code::UnknownColumn, "columns", detail))
    }
}

/// The columns that the map says mean nothing.
pub(super) fn left_out(map: &ColumnMap, header: &[String]) -> Result<Vec<usize>, Problem> {
    map.ignore_columns
        .iter()
        .map(|column| index_of("ignore_columns", column, header))
        .collect()
}
