//! What stands in the place of the number called, and of an id, and is neither. Both are known by
//! what is allowed: whatever else stands there would be charged as what calls nobody outside, or
//! take one call for another.

use crate::numbers;

/// Does a text say that there is nothing? An empty cell as programs and spreadsheets write it, or
/// one that a spreadsheet spoilt.
pub(super) fn is_nothing(text: &str) -> bool {
    const WORDS: [&str; 25] = [
        "n/a",
        "na",
        "n.a.",
        "#n/a",
        "nan",
        "nil",
        "null",
        "none",
        "undefined",
        "unknown",
        "missing",
        "empty",
        "blank",
        "\\n",
        "leer",
        "keine",
        "k.a.",
        "unbekannt",
        "inconnu",
        "aucun",
        "desconocido",
        "ninguno",
        "sconosciuto",
        "nessuno",
        "not available",
    ];
    const WORD_BYTES_MAX: usize = 20;
    let text = text.trim();
    if text == NIL_UUID {
        return true;
    }
    if text.len() > WORD_BYTES_MAX {
        return false;
    }
    let inner = text
        .trim_matches(['(', ')', '[', ']', '<', '>', '{', '}', '\'', '"'])
        .trim();
    WORDS.iter().any(|word| inner.eq_ignore_ascii_case(word))
        || is_spoilt(text)
        || !has_content(text)
}

/// Does an id tell nothing from anything? What programs write for a value that is not there; a word
/// may be an id.
pub(super) fn is_no_id(text: &str) -> bool {
    const MISSING: [&str; 7] = ["n/a", "#n/a", "nan", "none", "null", "undefined", "\\n"];
    let text = text.trim();
    text == NIL_UUID
        || MISSING
            .iter()
            .any(|missing| text.eq_ignore_ascii_case(missing))
        || is_spoilt(text)
        || !has_content(text)
}

const NIL_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// `#REF!`, `#NV`, `#NAME?`, `####`: of a spreadsheet.
pub(super) fn is_spoilt(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('#') else {
        return false;
    };
    let is_name = rest.starts_with(|c: char| c.is_ascii_uppercase())
        && rest
            .chars()
            .all(|c| c.is_alphanumeric() || "/!?".contains(c));
    is_name || (rest.len() > 2 && rest.bytes().all(|b| b == b'#'))
}

/// Letters and figures, or a code of a switch (`#`).
fn has_content(text: &str) -> bool {
    text.contains(char::is_alphanumeric)
        || (!text.is_empty() && text.chars().all(|c| c == '*' || c == '#'))
}

/// `1.79618E+12`: a spreadsheet writes a long number so, and others alike. `123e4567` is of an id
/// as programs make them.
pub(super) fn has_lost_digits(text: &str) -> bool {
    let text = text.trim();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return false;
    };
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mantissa = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, decimals) = mantissa
        .split_once(['.', ','])
        .map_or((mantissa, None), |(whole, decimals)| {
            (whole, Some(decimals))
        });
    let is_written = decimals.is_some() || power.len() < exponent.len();
    is_written && is_digits(whole) && decimals.is_none_or(is_digits) && is_digits(power)
}

/// What switches write where nobody outside is called. Alone, or with figures behind them.
const NAMES: &str = "voicemail vmail mailbox voicebox vmu vmb vms vmi vmain anrufbeantworter \
    messagerie buzon anonymous anonym restricted private \
     unavailable withheld conf conference confbridge meetme konferenz ivr queue warteschlange \
     park parked parking parkedcalls valet pickup \
     intercept intercom paging page echo echotest delay_echo milliwatt moh music hold_music fax \
     operator reception attendant autoattendant \
     ring group ringgroup huntgroup hunt room ext exten extension agent directory disa eavesdrop \
     spy hangup busy congestion blackhole \
     playback announcement announce test s h i t o a e";
/// Of Asterisk: how a call to somebody ended (`s-NOANSWER`).
const OUTCOMES: [&str; 8] = [
    "NOANSWER",
    "BUSY",
    "CHANUNAVAIL",
    "CONGESTION",
    "CANCEL",
    "ANSWER",
    "TORTURE",
    "DONTCALL",
];

/// `A` is Austria's plate, `a` an extension of Asterisk's.
fn is_known(word: &str) -> bool {
    NAMES.split_ascii_whitespace().any(|name| {
        if name.len() > 1 {
            name.eq_ignore_ascii_case(word)
        } else {
            name == word
        }
    })
}

/// Is a destination that holds no number what a switch writes: a name of its own (`voicemail`,
/// `queue 600`, `conf-12`), a code (`*98`), or an address (`sip:alice@pbx`)? The name of a country
/// is none of them.
pub(super) fn is_internal(text: &str) -> bool {
    let text = text.trim();
    if numbers::normalise(text, None).is_some() || text.starts_with('*') || is_address(text) {
        return true;
    }
    if text.starts_with('#') {
        return text
            .chars()
            .all(|c| c.is_ascii_digit() || c == '*' || c == '#');
    }
    if let Some(outcome) = text.strip_prefix("s-") {
        return OUTCOMES.contains(&outcome);
    }
    // One word, and behind its first part whatever its owner calls it: `queue-sales`, `valet_park`,
    // `Ext.100`.
    let is_one = !text.contains(char::is_whitespace);
    let first = text.split(['-', '_', '.']).next().unwrap_or_default();
    let name = |word: &str| {
        word.trim_end_matches(|c: char| c.is_ascii_digit())
            .to_owned()
    };
    if is_one && first.len() > 1 && first.len() < text.len() && is_known(&name(first)) {
        return true;
    }
    text.split_ascii_whitespace()
        .all(|word| is_known(&name(word)) || word.bytes().all(|b| b.is_ascii_digit()))
}

/// `sip:alice@pbx.example`, `voicemail@10.20.30.40`.
fn is_address(text: &str) -> bool {
    let inside = text.rsplit_once('<').map_or(text, |(_, rest)| rest);
    let is_of_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    inside.split_once('@').is_some_and(|(user, host)| {
        is_of_word(user.chars().next_back())
            && is_of_word(host.chars().next())
            && !user.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_switches_write() {
        for text in [
            "Ext.100",
            "VMail.999",
            "Ext 100",
            "queue 600",
            "ivr2",
            "delay_echo",
            "ringgroup-3",
            "s",
            "s-BUSY",
            "Desk <1001>",
            "*",
            "#",
        ] {
            assert!(is_internal(text), "{text}");
        }
        for text in [
            "A",
            "I",
            "S",
            "s-korea",
            "S.Korea",
            "Zone.1",
            "#alice",
            "Alice",
            "alice1",
            "Germany @ night",
            "@",
            "x",
            "",
            "queue south 2",
        ] {
            assert_eq!(is_internal(text), text.is_empty(), "{text}");
        }
    }

    #[test]
    fn numbers_that_a_spreadsheet_wrote_anew() {
        for text in [
            "1.79618E+12",
            "1,79618E+12",
            "1e+12",
            "1.5e3",
            "-1.5E-3",
            " 2E+15 ",
        ] {
            assert!(has_lost_digits(text), "{text}");
        }
        for text in [
            "",
            "e",
            "123e4567",
            "1e12",
            "1.5",
            "a1.5E+3",
            "1.5E+3a",
            "E+12",
            "1.E+",
            "12345e67-e89b",
        ] {
            assert!(!has_lost_digits(text), "{text}");
        }
    }
}
