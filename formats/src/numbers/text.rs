//! What is a number in a text as sent: `"Name" <sip:USER@host;params>`, `tel:`, separators, `(0)`,
//! codes of a switch.

use super::plans::{Territory, is_country_code};

/// `"Name" <sip:USER@host;params>`, `sip:USER@host`, `tel:USER;params` → USER. Of a dial string's
/// `PJSIP/USER@trunk` and of `USER#`, whose `#` ends dialling, as well.
pub(super) fn user_part(text: &str) -> &str {
    let inside = inside(text);
    let user = inside.split(['@', ';']).next().unwrap_or_default().trim();
    let dialled = || {
        ["SIP/", "PJSIP/", "IAX2/"]
            .iter()
            .find_map(|channel| user.strip_prefix(channel))
    };
    let user = if inside.contains('@') {
        dialled().unwrap_or(user)
    } else {
        user
    };
    without_end_of_dialling(user)
}

/// Of `"Name" <sip:USER@host;params>`: `USER@host;params`.
pub(super) fn inside(text: &str) -> &str {
    let inside = text
        .rsplit_once('<')
        .map_or(text, |(_, rest)| rest.split('>').next().unwrap_or_default())
        .trim();
    match inside.split_once(':') {
        Some((scheme, rest))
            if ["sip", "sips", "tel"]
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known)) =>
        {
            rest
        }
        _ => inside,
    }
}

/// `030123456#`, and `FMGL-030123456#` as FreePBX dials those that follow somebody.
fn without_end_of_dialling(user: &str) -> &str {
    /// Of the shortest number (112): `*21#`, `1#` are codes.
    const DIGITS_MIN: usize = 3;
    let Some(number) = user.strip_suffix('#') else {
        return user;
    };
    let number = number.strip_prefix("FMGL-").unwrap_or(number);
    let is_plain = number
        .chars()
        .all(|c| c.is_ascii_digit() || "+ -./()".contains(c));
    if is_plain && number.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_MIN {
        number.trim_end()
    } else {
        user
    }
}

/// `+49 (0)30`, `49(0)30`, `0049(0)30` and `01149(0)30`: the zero in brackets is dialled inside the
/// country only, and what stands before it is a country code.
fn without_trunk_zero(user: String, territory: Option<&'static Territory>) -> String {
    let Some((before, rest)) = user.split_once("(0)") else {
        return user;
    };
    let digits: String = before.chars().filter(char::is_ascii_digit).collect();
    let international = [
        Some(digits.as_str()),
        digits.strip_prefix("00"),
        digits.strip_prefix("011"),
    ];
    let own = territory.and_then(|territory| territory.after_international(&digits));
    let Some(code) = international
        .into_iter()
        .chain([own])
        .flatten()
        .find(|code| is_country_code(code))
    else {
        return user;
    };
    format!("+{code}{}{rest}", zero_behind(code))
}

/// What the `(0)` behind a country code is: in Italy and some others it belongs to the number.
pub fn zero_behind(country_code: &str) -> &'static str {
    const KEEPING_IT: [&str; 7] = ["39", "378", "379", "225", "229", "241", "242"];
    if KEEPING_IT.contains(&country_code) {
        "0"
    } else {
        ""
    }
}

/// What stands before a number and is none of it: `9#` of `9#4930123456`, `*31#`. A code of a
/// switch (`*98`, `*21#`) is no number.
pub fn technical_prefix(text: &str) -> Option<&str> {
    /// Digits of the shortest number that is called behind a `#` (112), and behind a `*` (or
    /// several) that is the first character.
    const DIGITS_MIN: usize = 3;
    const DIGITS_MIN_AFTER_STAR: usize = 7;
    if !text.contains(['#', '*']) {
        return None;
    }
    let user = user_part(text);
    let at = user.rfind(['#', '*'])?;
    let (prefix, number) = user.split_at_checked(at + 1)?;
    let digits = number.strip_prefix('+').unwrap_or(number);
    let is_code = |c: char| c.is_ascii_digit() || c == '#' || c == '*';
    // `**1001` picks a call up, and calls nobody.
    let is_code_alone = at == 0 || prefix.bytes().all(|b| b == b'*');
    let least = if is_code_alone {
        DIGITS_MIN_AFTER_STAR
    } else {
        DIGITS_MIN
    };
    (prefix.chars().all(is_code)
        && digits.len() >= least
        && digits.bytes().all(|b| b.is_ascii_digit()))
    .then_some(prefix)
}

/// Without spaces, dashes, dots, slashes and brackets, and without the `(0)` of `+49 (0)30`;
/// `None`: it holds something else than a number.
pub(super) fn without_separators(
    user: &str,
    territory: Option<&'static Territory>,
) -> Option<String> {
    let user = user.replace("%2B", "+").replace("%2b", "+");
    let user = without_trunk_zero(user, territory);
    let mut plain = String::with_capacity(user.len());
    for c in user.chars() {
        match c {
            '0'..='9' => plain.push(c),
            '+' if plain.is_empty() => plain.push(c),
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' | '\u{2010}'..='\u{2013}' => {}
            // Marks of the direction of writing, which phone books put around a number: nobody sees
            // them.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            _ => return None,
        }
    }
    Some(plain)
}
