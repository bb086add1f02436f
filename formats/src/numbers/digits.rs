//! Digits that may be a number.

pub(crate) fn is_number(text: &str) -> bool {
    (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Digits of the longest number that is looked at; a longer one is no number.
pub const DIGITS_MAX: usize = 32;
/// Digits of the shortest number with a country's code.
pub const INTERNATIONAL_DIGITS_MIN: usize = 7;
/// Of the longest, by E.164.
pub(crate) const INTERNATIONAL_DIGITS_MAX: usize = 15;
