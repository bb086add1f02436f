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
mod bad;
mod card;
mod cells;
mod columns;
mod deck;
mod digits;
mod entry;
mod field;
mod increments;
mod intern;
mod keep;
mod lists;
mod merge;
mod money;
mod names;
mod notes;
mod npanxx;
mod options;
mod preview;
mod rate;
mod read;
mod row;
mod screen;
mod stated;
mod terms;
mod titles;
mod words;

pub use card::{lay_over, preview, preview_and_screen, to_card};
pub use deck::{Deck, DeckRow, Period, ROWS_MAX, Refusal, Says, Spared};
pub use digits::Prefix;
pub use field::Field;
pub use options::{DeckOptions, ValidTo};
pub use preview::{Change, Import, Kind, Mode, Preview};
pub use read::parse;
pub use terms::{Beside, Jurisdiction, Terms};
