//! A number as it was understood, or why its country is unclear.

use super::digits::INTERNATIONAL_DIGITS_MAX;
use super::plans::{Territory, is_code_alone, without_trunk};
use std::borrow::Cow;

/// A number as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<'t> {
    /// Borrowed whenever nothing had to be rewritten.
    pub digits: Cow<'t, str>,
    /// Why its country is unclear.
    pub doubt: Option<Doubt>,
}

impl<'t> Read<'t> {
    pub(crate) fn certain(digits: Cow<'t, str>) -> Self {
        Self {
            digits,
            doubt: None,
        }
    }

    /// Behind a `+`.
    pub(crate) fn international(digits: &'t str) -> Self {
        let is_cut = is_code_alone(digits);
        let doubt = (is_cut || digits.len() > INTERNATIONAL_DIGITS_MAX).then_some(Doubt::NoNumber);
        Self {
            doubt,
            ..Self::certain(without_trunk(Cow::Borrowed(digits)))
        }
    }

    pub(crate) fn unclear(digits: &'t str, doubt: Doubt) -> Self {
        Self {
            digits: Cow::Borrowed(digits),
            doubt: Some(doubt),
        }
    }

    /// A national number of a country.
    pub(super) fn of(territory: &Territory, national: &str) -> Self {
        Self::certain(Cow::Owned(format!("{}{national}", territory.country_code)))
    }

    pub(crate) fn into_owned(self) -> Read<'static> {
        Read {
            digits: Cow::Owned(self.digits.into_owned()),
            doubt: self.doubt,
        }
    }
}

/// Why nobody knows of which country a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Digits with nothing before them that may be a number of the customer's country, or one with
    /// another country's code.
    National { country: &'static str },
    /// No number begins so, or is so long.
    NoNumber,
    /// `00` and a longer prefix of calls abroad both leave a number.
    Abroad,
    /// It is dialled as a number of the country, and has more digits than any.
    TooLong { country: &'static str },
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::National { country } => write!(
                f,
                "the destination came without + and may be a national number of {country}, or one \
                    with a country code: send it with + and \
                 its country code"
            ),
            Self::Abroad => f.write_str(
                "the destination may be two numbers abroad, behind 00 and behind a longer prefix \
                    of the customer's country: send it with + and \
                 its country code",
            ),
            Self::TooLong { country } => {
                write!(
                    f,
                    "the destination is longer than any number of {country}: send it with + \
                    and its country code"
                )
            }
            Self::NoNumber => f.write_str(
                "the destination is no international number: none \
                begins so, or is so long",
            ),
        }
    }
}
