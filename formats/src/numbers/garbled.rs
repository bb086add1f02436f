//! Destinations that mean a number and are not wholly understood. They are known by what is
//! allowed: a number, a code of a switch, a name with a few figures. Anything else with figures in
//! it is refused, as it would be charged as what calls nobody outside.

use super::digits::{INTERNATIONAL_DIGITS_MIN, is_number};
use super::plans::behind_country_code;
use super::reading::normalise;
use super::text::{inside, user_part};

/// Does a destination mean a number, which is not wholly understood? It has figures, and is neither
/// a number, nor a code of a switch (`*98`, `*21#`), nor a name with a few figures (`conf-12`).
/// What is taken for a name is charged as what calls nobody outside.
pub fn is_garbled(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if is_number(digits) {
        return digits.len() < text.len() && digits.starts_with('0');
    }
    let user = user_part(text);
    if !user.contains(char::is_numeric) {
        // `+4930123456 <Bob>`, `;+4930123456`.
        return figures(text.split(['<', '@']).next().unwrap_or_default()) > NAME_FIGURES_MAX;
    }
    let Some(digits) = normalise(user, None) else {
        return !is_code(user) && !is_name(user);
    };
    // No country code begins with 0.
    let is_plus_zero = digits.starts_with('0') && (user.starts_with('+') || user.starts_with("%2"));
    is_plus_zero || has_odd_parameters(text) || is_decimal(user) || is_two(user)
}

/// Figures of a name, such as those of an extension.
const NAME_FIGURES_MAX: usize = 4;

fn figures(text: &str) -> usize {
    text.chars().filter(|c| c.is_numeric()).count()
}

/// `+4930123456;+4930123457` are two numbers; `;phone-context=x` is a parameter.
fn has_odd_parameters(text: &str) -> bool {
    inside(text).split(';').skip(1).any(|part| {
        !part
            .trim_start()
            .starts_with(|c: char| c.is_ascii_alphabetic())
            && !part.trim().is_empty()
    })
}

/// `030 1234567 / 68` are two numbers, `030/1234567` is one: what stands before a slash is an area,
/// and behind it is what somebody dials there.
fn is_two(user: &str) -> bool {
    /// Of an area, with a mobile network's and a little more; and of a number behind one.
    const AREA_DIGITS_MAX: usize = 6;
    const LOCAL_DIGITS_MIN: usize = 3;
    let Some((before, after)) = user.rsplit_once('/') else {
        return false;
    };
    let digits: String = before.chars().filter(char::is_ascii_digit).collect();
    let is_abroad = user.trim_start().starts_with('+') || user.starts_with("%2");
    // With a country code, if there may be one: by `+`, `00` or `011`, or bare.
    let readings = [
        Some(digits.as_str()).filter(|_| is_abroad || before.contains("(0)")),
        digits.strip_prefix("00"),
        digits.strip_prefix("011"),
    ];
    let national = readings
        .into_iter()
        .flatten()
        .filter_map(|digits| behind_country_code(digits).map(|(_, national)| national));
    let areas = national.chain((!is_abroad).then_some(digits.as_str()));
    let shortest = areas.map(|area| area.trim_start_matches('0').len()).min();
    // `1001/1002`.
    let is_pair = !is_abroad && !digits.starts_with('0') && digits.len() == figures(after);
    is_pair
        || figures(after) < LOCAL_DIGITS_MIN
        || shortest.is_some_and(|shortest| shortest > AREA_DIGITS_MAX)
}

/// `493012345678.0`: what a spreadsheet makes of a number.
fn is_decimal(user: &str) -> bool {
    const DECIMALS_MAX: usize = 2;
    let has_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    user.split_once('.').is_some_and(|(whole, decimals)| {
        let whole = whole.strip_prefix('+').unwrap_or(whole);
        has_digits(whole)
            && whole.len() >= INTERNATIONAL_DIGITS_MIN
            && has_digits(decimals)
            && decimals.len() <= DECIMALS_MAX
    })
}

/// `*98`, `*21#`, `**1001`, `#31#`.
fn is_code(user: &str) -> bool {
    let is_of_codes = |c: char| c.is_ascii_digit() || c == '*' || c == '#';
    user.starts_with(['*', '#'])
        && user.chars().all(is_of_codes)
        && figures(user) < INTERNATIONAL_DIGITS_MIN
}

/// `conf-12`, `ivr2`, `queue 600`.
fn is_name(user: &str) -> bool {
    let is_of_names = |c: char| {
        !c.is_control() && !"+=/\\\"',;&<>*#".contains(c) && (!c.is_numeric() || c.is_ascii_digit())
    };
    user.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && user.chars().all(is_of_names)
        && figures(user) <= NAME_FIGURES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first was +49 30 1234567 68.
    #[test]
    fn a_slash_between_two_numbers_joins_none() {
        for text in [
            "030 123 45 67 / 68",
            "030 1234567/68",
            "030 1234567 / 680",
            "+49 30 1234567/68",
            "0049 30 1234567 / 68",
            "02841 1234 / 1235",
            "030 12345 / 12346",
            "(030) 12345/46",
            "030/1234567/68",
            "030/1234567 / 1234568",
            "+49 (0)30 / 1234567 / 68",
            "1001/1002",
            "112 / 911",
        ] {
            assert!(is_garbled(text), "{text}");
        }
        for text in [
            "030/1234567",
            "030 / 123 45 67",
            "+49 (0)30 / 123-456",
            "+49 (0)33203 / 12345",
            "0049 (0)33203/12345",
            "49 (0) 151 / 12345678",
            "01149 30/1234567",
            "0176/12345678",
            "02/123.45.67",
            "0475/12.34.56",
            "+32 (0)2/123.45.67",
            "06-30/123-4567",
            "+43/1/12345-12",
            "212/555-1234",
            "1/212/555-1234",
            "030/123-0",
        ] {
            assert!(!is_garbled(text), "{text}");
        }
    }
}
