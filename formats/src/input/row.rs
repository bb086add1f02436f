//! What becomes of one record: an event, or why there is none.

use crate::{BATCH_EVENTS_MAX, UsageEvent};
use problem::{Code, Problem};

/// One event of a body, in order: the event, or its id (empty if unreadable) and what is wrong.
pub type Parsed = Result<UsageEvent, (String, Problem)>;

/// One row of a file. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Event {
        line: u64,
        event: UsageEvent,
    },
    /// Not usage (unanswered, a second leg, a header): said, not an error.
    Skipped {
        line: u64,
        why: String,
    },
    Refused {
        line: u64,
        /// Empty if unreadable.
        id: String,
        problem: Problem,
    },
}

impl Row {
    pub fn of(line: u64, parsed: Parsed) -> Self {
        match parsed {
            Ok(event) => Self::Event { line, event },
            Err((id, problem)) => Self::Refused { line, id, problem },
        }
    }
    pub fn line(&self) -> u64 {
        match self {
            Self::Event { line, .. } | Self::Skipped { line, .. } | Self::Refused { line, .. } => {
                *line
            }
        }
    }
    /// Its line in a file that has so many lines above.
    pub(crate) fn move_down(&mut self, lines: u64) {
        match self {
            Self::Event { line, .. } | Self::Skipped { line, .. } | Self::Refused { line, .. } => {
                *line += lines
            }
        }
    }
    /// As an event of a request; a refusal says its line. `None`: skipped.
    pub fn into_parsed(self) -> Option<Parsed> {
        match self {
            Self::Event { event, .. } => Some(Ok(event)),
            Self::Skipped { .. } => None,
            Self::Refused {
                line,
                id,
                mut problem,
            } => {
                problem.detail = format!("line {line}: {}", problem.detail);
                Some(Err((id, problem)))
            }
        }
    }
}

/// The rows of a body of CSV, of which a last line without a line feed is none: its writer may have
/// been in the middle of it, and a cut identity or a cut number would be charged.
pub fn whole_rows(mut rows: Vec<Row>, body: &[u8]) -> Vec<Row> {
    let is_cut = crate::sheet::has_cut_end(body);
    if let Some(last) = rows.last_mut().filter(|_| is_cut) {
        let problem = Problem::new(
            Code::IncompleteRecord,
            "the last line ends without a line feed: it may be cut, and is not read",
        );
        *last = Row::Refused {
            line: last.line(),
            id: String::new(),
            problem,
        };
    }
    rows
}

/// The text of a body, without a byte order mark.
pub(crate) fn utf8(body: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(body).map_err(|e| {
        Problem::new(
            Code::InvalidJson,
            format!(
                "expected UTF-8, found another byte at offset {}",
                e.valid_up_to()
            ),
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// One line per row, for tests.
#[cfg(test)]
pub(crate) fn tell(row: &Row) -> String {
    match row {
        Row::Event { line, event: e } => {
            let (to, from) = (
                e.destination.as_deref().unwrap_or("-"),
                e.origin.as_deref().unwrap_or("-"),
            );
            format!(
                "{line} {} {} {} {} {to} from {from} id {}",
                e.customer, e.meter, e.quantity, e.at, e.id
            )
        }
        Row::Skipped { line, why } => format!("{line} skipped: {why}"),
        Row::Refused { line, problem, .. } => format!(
            "{line} refused {} {}",
            problem.field.as_deref().unwrap_or("-"),
            problem.code
        ),
    }
}

pub(crate) fn too_many() -> Problem {
    Problem::new(
        Code::BatchTooLarge,
        format!("a batch has at most {BATCH_EVENTS_MAX} events: send several"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_ends_in_a_line_has_a_row_less() {
        let event = || Row::Event {
            line: 1,
            event: UsageEvent::default(),
        };
        let code = |body: &[u8]| match &whole_rows(vec![event()], body)[..] {
            [Row::Refused { problem, .. }] => problem.code.as_str(),
            _ => "-",
        };
        let utf16 = |text: &str| -> Vec<u8> {
            [0xff, 0xfe]
                .into_iter()
                .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
                .collect()
        };
        let whole = utf16("acme,60\n");
        for (body, want) in [
            (&b"acme,60\n"[..], "-"),
            (b"acme,60\r\n  ", "-"),
            (b"acme,6", "incomplete_record"),
            (&whole, "-"),
            (&utf16("acme,6"), "incomplete_record"),
            (b"acme,60\racme,60\r", "-"),
            (b"acme,60\racme,6", "incomplete_record"),
            // Within the line feed.
            (&whole[..whole.len() - 1], "incomplete_record"),
        ] {
            assert_eq!(code(body), want, "{body:?}");
        }
    }
}
