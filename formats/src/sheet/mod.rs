//! What price lists and call records have in common: files of rows and cells.
//!
//! Vocabulary: a *sheet* is such a file; a *record* is one row (several lines, where a quoted cell
//! has line breaks); a *unit* is what a title or a cell says of its number besides the digits
//! (`EUR`, `ct/min`).
//!
//! Invariants: a record has its own line, text and cells; a byte that is no UTF-8 costs nobody else
//! anything; what may be read in two ways is refused, with the value and what says which.

pub mod decimal;
pub mod duration;
mod record;
mod text;
pub mod units;

pub use record::{Cells, Record, Records, complete_len, delimiter_of};
pub use text::{has_cut_end, has_only_returns, is_rewritten, is_utf16, text_of, without_rows};

use problem::{Code, Problem};

/// Characters of a value that a message shows.
const SHOWN_CHARS_MAX: usize = 40;

/// A value as a message shows it: in backquotes, without control characters, cut if long.
pub fn shown(value: &str) -> String {
    let mut shown: String = value
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(SHOWN_CHARS_MAX)
        .collect();
    if value.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// `n/a`, `-`, `null`: a cell that is filled and says nothing.
pub fn is_nothing(cell: &str) -> bool {
    let word: String = cell.chars().filter(char::is_ascii_alphanumeric).collect();
    ["", "na", "none", "null", "nil", "nan"].contains(&word.to_lowercase().as_str())
        && !cell.contains(|c: char| !c.is_ascii() && c.is_alphabetic())
}

/// Excel's first line `sep=;`: what it states, the text behind it, and how many lines it is.
pub fn separator_line(text: &str) -> (Option<char>, &str, u64) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim_end_matches('\r').trim_matches('"');
    let stated = first
        .get(..4)
        .filter(|sep| sep.eq_ignore_ascii_case("sep="))
        .and_then(|_| first.get(4..));
    let mut stated = stated.unwrap_or_default().chars();
    match (stated.next(), stated.next()) {
        (Some(separator), None) => (Some(separator), rest, 1),
        _ => (None, text, 0),
    }
}

/// The byte between cells: as stated, or found.
pub fn delimiter(stated: Option<char>, text: &str) -> Result<u8, Problem> {
    match stated {
        Some(c) => u8::try_from(c).ok().filter(u8::is_ascii).ok_or_else(|| {
            let detail = "`delimiter`: expected one ASCII character";
            Problem::field(Code::InvalidField, "delimiter", detail)
        }),
        None => Ok(delimiter_of(text)),
    }
}
