//! Destinations that mean a number and are not wholly understood. They are known by what is allowed: a number, a code of a switch,
//! a name with a few figures. Anything else with figures in it is refused, as it would be charged as what calls nobody outside.

use super::{INTERNATIONAL_DIGITS_MIN, inside, is_number, normalise, user_part};

/// Does a destination mean a number, which is not wholly understood? It has figures, and is neither a number, nor a code of a switch
/// (`*98`, `*21#`), nor a name with a few figures (`conf-12`). What is taken for a name is charged as what calls nobody outside.
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
    let Some(digits) = normalise(user, None) else { return !is_code(user) && !is_name(user) };
    // No country code begins with 0.
    let is_plus_zero = digits.starts_with('0') && (user.starts_with('+') || user.starts_with("%2"));
    is_plus_zero || has_odd_parameters(text) || is_decimal(user)
}

/// Figures of a name, such as those of an extension.
const NAME_FIGURES_MAX: usize = 4;

fn figures(text: &str) -> usize {
    text.chars().filter(|c| c.is_numeric()).count()
}

/// `+4930123456;+4930123457` are two numbers; `;phone-context=x` is a parameter.
fn has_odd_parameters(text: &str) -> bool {
    inside(text).split(';').skip(1).any(|part| !part.trim_start().starts_with(|c: char| c.is_ascii_alphabetic()) && !part.trim().is_empty())
}

/// `493012345678.0`: what a spreadsheet makes of a number.
fn is_decimal(user: &str) -> bool {
    const DECIMALS_MAX: usize = 2;
    let has_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    user.split_once('.').is_some_and(|(whole, decimals)| {
        let whole = whole.strip_prefix('+').unwrap_or(whole);
        has_digits(whole) && whole.len() >= INTERNATIONAL_DIGITS_MIN && has_digits(decimals) && decimals.len() <= DECIMALS_MAX
    })
}

/// `*98`, `*21#`, `**1001`, `#31#`.
fn is_code(user: &str) -> bool {
    let is_of_codes = |c: char| c.is_ascii_digit() || c == '*' || c == '#';
    user.starts_with(['*', '#']) && user.chars().all(is_of_codes) && figures(user) < INTERNATIONAL_DIGITS_MIN
}

/// `conf-12`, `ivr2`, `queue 600`.
fn is_name(user: &str) -> bool {
    let is_of_names = |c: char| !c.is_control() && !"+=/\\\"',;&<>*#".contains(c) && (!c.is_numeric() || c.is_ascii_digit());
    user.starts_with(|c: char| c.is_alphabetic() || c == '_') && user.chars().all(is_of_names) && figures(user) <= NAME_FIGURES_MAX
}
