//! Whether a call was answered, as switches spell it.

use crate::command::Problem;
use crate::sheet::shown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    Yes,
    No,
    /// A word that is not known: nobody's call is free for it.
    Unknown,
}

/// Of a disposition, whatever its case and spaces.
pub(super) fn of(disposition: &str) -> Answered {
    const YES: [&str; 4] = ["ANSWERED", "ANSWER", "COMPLETED", "CONNECTED"];
    const NO: [&str; 20] = [
        "NOANSWER",
        "NOTANSWERED",
        "UNANSWERED",
        "BUSY",
        "FAILED",
        "FAIL",
        "FAILURE",
        "CONGESTION",
        "CANCEL",
        "CANCELED",
        "CANCELLED",
        "REJECTED",
        "DECLINED",
        "MISSED",
        "ABANDONED",
        "UNAVAILABLE",
        "CHANUNAVAIL",
        "UNALLOCATED",
        "TIMEOUT",
        "NULL",
    ];
    let word: String = disposition.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    match word.as_str() {
        word if YES.contains(&word) => Answered::Yes,
        word if NO.contains(&word) => Answered::No,
        _ => Answered::Unknown,
    }
}

pub(super) fn unknown(field: &str, value: &str) -> Problem {
    let detail = format!("`{field}`: cannot read {}: expected ANSWERED, or NO ANSWER, BUSY, FAILED, CONGESTION or CANCEL", shown(value));
    Problem::field("unknown_disposition", field, detail)
}

pub(super) fn missing(field: &str) -> Problem {
    Problem::field("missing_field", field, format!("`{field}` is empty: whether the call was answered is not said"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (text, want) in [
            ("ANSWERED", Answered::Yes),
            ("Answered", Answered::Yes),
            ("NO ANSWER", Answered::No),
            ("NOANSWER", Answered::No),
            ("no_answer", Answered::No),
            ("No-Answer", Answered::No),
            ("Cancelled", Answered::No),
            ("8", Answered::Unknown),
            ("beantwortet", Answered::Unknown),
        ] {
            assert_eq!(of(text), want, "{text}");
        }
    }
}
