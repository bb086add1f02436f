//! Rate decks: a supplier's price list of prefixes, read, previewed and turned into a rate card.
//!
//! Vocabulary: a *deck* is a file of rows; a *row* prices one prefix (a cell with several prefixes
//! is several rows) from a date on; an *import* lays a deck over a card: a *full* deck closes every
//! prefix it does not name, a *partial* one leaves them.
//!
//! Invariants: a row that cannot be read is refused with its line, column and reason, and costs
//! only itself; the prefixes of a refused row keep their rates, also in a full deck; a column that
//! is not understood stops the import; day-or-month order, a doubtful decimal comma, a unit and a
//! foreign currency are never guessed; prices keep their digits; the preview and the card come from
//! the same merge.

mod above;
mod card;
mod cells;
mod columns;
mod digits;
mod intern;
mod keep;
mod lists;
mod merge;
mod money;
mod names;
mod notes;
mod npanxx;
mod read;
mod row;
mod screen;
mod stated;
mod titles;

pub use card::{lay_over, preview, preview_and_screen, to_card};
pub use columns::Field;
pub use digits::Prefix;
use intern::{AllTerms, Intern, Texts};
pub use merge::{Change, Import, Kind, Mode, Preview};
pub use read::parse;

use formats::input::table::Column;
use formats::input::when::DateForm;
use rating::card::{CallTerms, Rate, Rounding, Step, ZeroDuration};
use rating::money::Rate as Amount;
use rating::{Currency, Instant, Quantity};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// Rows of a deck, after cells with several prefixes are taken apart.
pub const ROWS_MAX: usize = 1_000_000;
/// Prefixes that one cell may stand for.
pub const CELL_PREFIXES_MAX: usize = 1_000;
/// Lines above the columns' names (titles, notes).
pub const LINES_ABOVE_MAX: usize = 20;
/// Bytes of a destination's name.
pub const NAME_BYTES_MAX: usize = 200;

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
    fn ignores(&self, index: usize, title: &str) -> bool {
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

/// A deck as read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deck {
    pub rows: Vec<DeckRow>,
    /// The first is the empty name.
    names: Texts,
    terms: AllTerms,
    /// Prefixes of the calling number, in order; the first is none.
    origins: Intern<Vec<String>>,
    periods: Intern<Period>,
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
const REFUSALS_KEPT: usize = 1_000;

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
    fn origin(&self, row: &DeckRow) -> &[String] {
        self.origins.get(row.origin).map_or(&[], Vec::as_slice)
    }

    fn has_origins(&self) -> bool {
        self.origins.len() > 1
    }

    fn refuse(&mut self, refusal: Refusal) {
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
    origin: u32,
    name: u32,
    terms: u32,
    period: u32,
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

/// Decks of the United States price a prefix by where the call came from. The rate asks for the
/// attribute `jurisdiction`; the indeterminate price is the one of calls without it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Jurisdiction {
    #[default]
    Any,
    Interstate,
    Intrastate,
}

impl Jurisdiction {
    pub const ATTRIBUTE: &'static str = "jurisdiction";

    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }

    pub fn value(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Interstate => Some("interstate"),
            Self::Intrastate => Some("intrastate"),
        }
    }

    /// Of a rate that a deck may replace: no attribute, or only this one.
    fn of(rate: &Rate) -> Option<Self> {
        match rate.attributes.len() {
            0 => Some(Self::Any),
            1 => {
                let value = rate.attributes.get(Self::ATTRIBUTE)?;
                [Self::Interstate, Self::Intrastate]
                    .into_iter()
                    .find(|j| j.value() == Some(value))
            }
            _ => None,
        }
    }
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

/// What a row says about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Terms {
    pub price: Amount,
    pub per: Quantity,
    pub initial: Quantity,
    pub next: Quantity,
    pub connect_fee: Amount,
    pub minimum_duration: Quantity,
    pub free_if_shorter_than: Quantity,
    pub included: Quantity,
    pub blocked: bool,
    pub beside: Beside,
}

/// What a rate may say of a call and no deck does: it stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Beside {
    pub minimum_charge: Option<Amount>,
    pub maximum_charge: Option<Amount>,
    pub zero_duration: ZeroDuration,
    pub rounding: Option<Rounding>,
    pub counted: bool,
}

impl Terms {
    /// As a rate card writes them.
    pub fn to_call(&self) -> CallTerms {
        let unless_zero = |quantity: Quantity| Some(quantity).filter(|q| *q != Quantity::ZERO);
        CallTerms {
            initial: Some(self.initial),
            next: Some(self.next),
            steps: vec![Step {
                from: Quantity::ZERO,
                price: self.price,
                per: self.per,
                increment: None,
                fixed_fee: None,
            }],
            connect_fee: Some(self.connect_fee).filter(|fee| *fee != Amount::ZERO),
            minimum_duration: unless_zero(self.minimum_duration),
            free_if_shorter_than: unless_zero(self.free_if_shorter_than),
            included: unless_zero(self.included),
            minimum_charge: self.beside.minimum_charge,
            maximum_charge: self.beside.maximum_charge,
            zero_duration: self.beside.zero_duration,
        }
    }

    /// Of a rate that says no more than a deck's row can, beside what no row does.
    pub fn of(rate: &Rate) -> Option<Self> {
        let call = rate.call.as_ref()?;
        let terms = Self::nearest(rate);
        let only_that = CallTerms {
            initial: Some(terms.initial),
            next: Some(terms.next),
            ..CallTerms::clone(call)
        } == terms.to_call();
        (only_that && rate.price.is_none()).then_some(terms)
    }

    /// What a row could say of it; of several prices by elapsed time the first.
    fn nearest(rate: &Rate) -> Self {
        let none = CallTerms::default();
        let call = rate.call.as_deref().unwrap_or(&none);
        let next = call.next.unwrap_or(Quantity::whole(1));
        let (price, per) = call
            .steps
            .first()
            .map_or((Amount::ZERO, Quantity::whole(60)), |step| {
                (step.price, step.per)
            });
        Self {
            price,
            per,
            initial: call.initial.unwrap_or(next),
            next,
            connect_fee: call.connect_fee.unwrap_or_default(),
            minimum_duration: call.minimum_duration.unwrap_or_default(),
            free_if_shorter_than: call.free_if_shorter_than.unwrap_or_default(),
            included: call.included.unwrap_or_default(),
            blocked: rate.blocked,
            beside: Beside {
                minimum_charge: call.minimum_charge,
                maximum_charge: call.maximum_charge,
                zero_duration: call.zero_duration,
                rounding: rate.rounding,
                counted: rate.counted,
            },
        }
    }
}
