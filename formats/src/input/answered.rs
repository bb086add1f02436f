//! Whether a call was answered, as switches spell it.

use crate::sheet::shown;
use problem::{Code, Problem};

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
    const NO: [&str; 30] = [
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
        // Causes of FreeSWITCH that no answered call ends by.
        "USERBUSY",
        "NOUSERRESPONSE",
        "ORIGINATORCANCEL",
        "CALLREJECTED",
        "UNALLOCATEDNUMBER",
        "INVALIDNUMBERFORMAT",
        "NOROUTEDESTINATION",
        "NORMALCIRCUITCONGESTION",
        "SUBSCRIBERABSENT",
        "NORMALTEMPORARYFAILURE",
    ];
    let word: String = disposition
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    match word.as_str() {
        word if YES.contains(&word) => Answered::Yes,
        word if NO.contains(&word) => Answered::No,
        // SIP's final answer.
        "200" | "200OK" | "OK" => Answered::Yes,
        word if is_sip_failure(word) => Answered::No,
        _ => Answered::Unknown,
    }
}

/// `486`, `404`: of SIP, and `603 Decline`.
fn is_sip_failure(word: &str) -> bool {
    let (code, rest) = word.split_at_checked(3).unwrap_or((word, ""));
    let is_code = matches!(code.parse(), Ok(400..=699)) && code.bytes().all(|b| b.is_ascii_digit());
    is_code && !rest.starts_with(|c: char| c.is_ascii_digit())
}

pub(super) fn unknown(field: &str, value: &str) -> Problem {
    let detail = format!(
        "`{field}`: cannot read {}: expected ANSWERED, or NO ANSWER, BUSY, FAILED, CONGESTION or \
            CANCEL, or a code of SIP such as 200 or 486 \
         (why a call ended, such as NORMAL_CLEARING or 16, does not say whether it was answered: \
         map another column)",
        shown(value)
    );
    Problem::field(Code::UnknownDisposition, field, detail)
}

pub(super) fn missing(field: &str) -> Problem {
    Problem::field(
        Code::MissingField,
        field,
        format!("`{field}` is empty: whether the call was answered is not said"),
    )
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
            ("200", Answered::Yes),
            ("200 OK", Answered::Yes),
            ("486", Answered::No),
            ("603 Decline", Answered::No),
            ("USER_BUSY", Answered::No),
            ("ORIGINATOR_CANCEL", Answered::No),
            // An unanswered call ends so as well.
            ("NORMAL_CLEARING", Answered::Unknown),
            ("16", Answered::Unknown),
            ("4860", Answered::Unknown),
            ("302", Answered::Unknown),
            ("8", Answered::Unknown),
            ("beantwortet", Answered::Unknown),
        ] {
            assert_eq!(of(text), want, "{text}");
        }
    }
}
