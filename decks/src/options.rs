//! How a deck is read, where its own columns do not say.

use super::field::Field;
use formats::input::table::Column;
use formats::input::when::DateForm;
use rating::{Currency, Quantity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a last date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidTo {
    /// The last day, to its end.
    Day,
    /// The instant from which the price is no longer valid.
    Instant,
}

/// How a deck is read, where its own columns do not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeckOptions {
    /// Field → column by name or index, before the names that are known.
    pub columns: BTreeMap<Field, Column>,
    /// The file has no line of names; `columns` are indices. Default: where all of them are, the
    /// first line shows it.
    pub headless: Option<bool>,
    /// Columns that mean nothing for the price, by name or index. Any other that is not understood
    /// stops the import.
    pub ignore_columns: Vec<Column>,
    /// Lines at the file's beginning that are left out: titles and notes whose words mean nothing
    /// for the price.
    pub skip_lines: usize,
    /// Default: the one of `,` `;` tab `|` that the first line has most of.
    pub delimiter: Option<char>,
    /// Default: found, if `;` or tab separate the cells and the prices themselves show which it is.
    pub decimal_comma: Option<bool>,
    pub date_form: DateForm,
    /// IANA zone of the dates: the card's.
    pub zone: Option<String>,
    /// What a last date with the time 00:00 is: databases write days so. Default: such a date is
    /// refused.
    pub valid_to: Option<ValidTo>,
    /// The card's currency: a deck whose columns name another is refused.
    pub currency: Option<Currency>,
    /// Prices and fees are in cents. Default: if their titles or cells say so.
    pub cents: Option<bool>,
    /// Units that a price is for. Default: what its title says, or 60 (per minute).
    pub per: Option<Quantity>,
    /// Increments of rows that have none. Default: 1, or, in a deck without a column of them, those
    /// that the prefix had.
    pub initial: Option<Quantity>,
    pub next: Option<Quantity>,
}

impl DeckOptions {
    /// A number names a column without a title.
    pub(crate) fn ignores(&self, index: usize, title: &str) -> bool {
        self.ignore_columns.iter().any(|column| match column {
            Column::Index(stated) => *stated == index,
            Column::Name(name) => {
                name.trim().eq_ignore_ascii_case(title)
                    || (title.is_empty() && name.trim().parse() == Ok(index))
            }
            Column::Several(_) => false,
        })
    }
}
