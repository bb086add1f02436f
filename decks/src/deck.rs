//! A deck as read: its rows, and those that could not be read.

use super::digits::Prefix;
use super::intern::{AllTerms, Intern, Texts};
use super::terms::{Jurisdiction, Terms};
use rating::Instant;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;

/// Rows of a deck, after cells with several prefixes are taken apart.
pub const ROWS_MAX: usize = 1_000_000;

/// A deck as read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deck {
    pub rows: Vec<DeckRow>,
    /// The first is the empty name.
    pub(crate) names: Texts,
    pub(crate) terms: AllTerms,
    /// Prefixes of the calling number, in order; the first is none.
    pub(crate) origins: Intern<Vec<String>>,
    pub(crate) periods: Intern<Period>,
    /// Of the first lines, [`REFUSALS_KEPT`] and more.
    pub refused: Vec<Refusal>,
    /// All of them.
    pub refused_count: usize,
    pub spared: Spared,
    /// Rows that say again what another row says.
    pub duplicates: usize,
    /// Columns that mean nothing for a price: labels, and those that were named.
    pub ignored_columns: Vec<String>,
    /// What it speaks of: of all else the prefixes keep what they had.
    pub says: Says,
}

/// Refused rows of a deck that are told of; a file that is no deck at all has a million.
pub(crate) const REFUSALS_KEPT: usize = 1_000;

impl Deck {
    pub fn name(&self, row: &DeckRow) -> &str {
        self.names.get(row.name).unwrap_or_default()
    }
    pub fn terms(&self, row: &DeckRow) -> Terms {
        self.terms.get(row.terms).unwrap_or_default()
    }
    pub fn period(&self, row: &DeckRow) -> Period {
        self.periods.get(row.period).copied().unwrap_or_default()
    }
    /// Prefixes of the calling number; none: any.
    pub(crate) fn origin(&self, row: &DeckRow) -> &[String] {
        self.origins.get(row.origin).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn has_origins(&self) -> bool {
        self.origins.len() > 1
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.refused_count += 1;
        self.refused.push(refusal);
        if self.refused.len() >= 2 * REFUSALS_KEPT {
            self.refused.sort_by_key(|refusal| refusal.line);
            self.refused.truncate(REFUSALS_KEPT);
        }
    }
}

/// Which terms a deck speaks of, by a column or by what was stated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Says {
    pub increments: bool,
    pub connect_fee: bool,
    pub minimum_duration: bool,
    pub free_if_shorter_than: bool,
    pub included: bool,
    /// Also by a status.
    pub blocked: bool,
}

/// What refused rows name: their price is not known, so an import leaves it as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spared {
    pub prefixes: HashSet<Prefix>,
    /// Not even the prefixes of some row could be read: it may be any.
    pub any: bool,
}

impl Spared {
    pub fn has(&self, prefix: &str) -> bool {
        self.any || self.prefixes.contains(prefix)
    }
}

/// The price of one prefix from a date on, in a few words: what rows have in common stands once in
/// the deck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeckRow {
    pub prefix: Prefix,
    pub line: u32,
    pub(crate) origin: u32,
    pub(crate) name: u32,
    pub(crate) terms: u32,
    pub(crate) period: u32,
    pub jurisdiction: Jurisdiction,
}

/// When a row's price is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period {
    /// `None`: at once.
    pub from: Option<Instant>,
    pub until: Option<Instant>,
    /// The prefix is not sold any more: its terms mean nothing.
    pub closes: bool,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub line: u32,
    /// As the file names it; empty: the row as a whole.
    pub column: String,
    pub code: Cow<'static, str>,
    pub detail: String,
}
