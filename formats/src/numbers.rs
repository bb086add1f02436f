//! Telephone numbers as the digits that a rate card's prefixes are matched against.
//!
//! Order of the rules, for what is left of `"Name" <sip:USER@host;params>` or `tel:` and
//! separators:
//! 1. `+`: the rest is international; so are a country code and what follows before and after a
//!    `(0)`.
//! 2. The country's own international prefix (`011` in the US, `00` in most), the longest that
//!    fits; but `00` alone where what follows it fits better, because switches write it for `+`.
//!    Where both fit as well, the country is unclear ([`Doubt`]).
//! 3. `00`; and `011` where no country is known.
//! 4. The country's national prefix (`0` in most): the country code takes its place. A national
//!    prefix that is not `0` (Russia's 8, America's 1) only if what follows is a number of the
//!    country, because an international number may begin with that digit. A carrier's code behind
//!    it (Brazil) is left out.
//! 5. A leading 0 in a country without national prefix belongs to the number (Italy).
//! 6. Ten digits NPA-NXX-XXXX in a country of the North American plan: 1 goes before them.
//! 7. Digits with nothing before them: what numbers are in use decides
//!    (`data/national_numbers.csv`). A national number that is written so gets its country code, if
//!    no number abroad begins so and is so long; where both are in use, the country is unclear. So
//!    it is where only a national number is in use, and it has lost the 0 that must stand before
//!    it. Anything else stays as it is: numbers that come as bare international digits, and short
//!    numbers ([`is_short`]).
//! 8. A national prefix behind the country code (`+49 0151`) is left out, where the plan of that
//!    country has one and no number of it begins so.
//!
//! What holds no number (`voicemail`, `anonymous`, `*98`) is `None`: the event has no destination
//! to match by prefix; a rate without prefixes may still match it. What means a number and is not
//! wholly understood is refused where it comes in ([`is_garbled`]). Not covered: Argentina's mobile
//! 15.

mod dialled;
mod garbled;
mod plans;
mod text;

pub use garbled::is_garbled;
pub use plans::{
    behind_country_code, behind_international, ends_in_trunk_prefix, is_code_alone,
    is_country_code, is_north_american_prefix, is_of_no_country, prefix_as_arriving,
    prefix_without_trunk, without_trunk_prefix,
};
pub use text::{technical_prefix, zero_behind};

use plans::{Territory, plan_of, without_trunk};
use std::borrow::Cow;
use text::{inside, is_number, user_part, without_separators};

/// Digits of the longest number that is looked at; a longer one is no number.
pub const DIGITS_MAX: usize = 32;
/// Digits of the shortest number with a country's code.
pub const INTERNATIONAL_DIGITS_MIN: usize = 7;
/// Of the longest, by E.164.
const INTERNATIONAL_DIGITS_MAX: usize = 15;
/// Of a number with neither area nor country in the North American plan.
const NANP_LOCAL_DIGITS: usize = 7;

/// A number as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<'t> {
    /// Borrowed whenever nothing had to be rewritten.
    pub digits: Cow<'t, str>,
    /// Why its country is unclear.
    pub doubt: Option<Doubt>,
}

impl<'t> Read<'t> {
    fn certain(digits: Cow<'t, str>) -> Self {
        Self {
            digits,
            doubt: None,
        }
    }

    /// Behind a `+`.
    fn international(digits: &'t str) -> Self {
        let is_cut = is_code_alone(digits);
        let doubt = (is_cut || digits.len() > INTERNATIONAL_DIGITS_MAX).then_some(Doubt::NoNumber);
        Self {
            doubt,
            ..Self::certain(without_trunk(Cow::Borrowed(digits)))
        }
    }

    fn unclear(digits: &'t str, doubt: Doubt) -> Self {
        Self {
            digits: Cow::Borrowed(digits),
            doubt: Some(doubt),
        }
    }

    /// A national number of a country.
    fn of(territory: &Territory, national: &str) -> Self {
        Self::certain(Cow::Owned(format!("{}{national}", territory.country_code)))
    }

    fn into_owned(self) -> Read<'static> {
        Read {
            digits: Cow::Owned(self.digits.into_owned()),
            doubt: self.doubt,
        }
    }
}

/// The digits of a number as sent, by the rules above. `None`: it holds no number.
pub fn read<'t>(text: &'t str, country: Option<&str>) -> Option<Read<'t>> {
    if let Some(rest) = text.strip_prefix('+')
        && is_number(rest)
    {
        return Some(Read::international(rest));
    }
    let user = user_part(text);
    let territory = Territory::of(country);
    if is_number(user) {
        return Some(dialled::dial(user, territory));
    }
    let plain = without_separators(user, territory)?;
    if let Some(rest) = plain.strip_prefix('+') {
        return is_number(rest).then(|| Read::international(rest).into_owned());
    }
    is_number(&plain).then(|| dialled::dial(&plain, territory).into_owned())
}

/// The digits alone.
pub fn normalise<'t>(text: &'t str, country: Option<&str>) -> Option<Cow<'t, str>> {
    read(text, country).map(|read| read.digits)
}

/// Is `text`, whose digits are `digits`, a short number: an extension, 112, a number without its
/// area? It has too few digits for a country's code before it, whatever stands there (`+112`); or
/// it came bare, without `+`, an international or a national prefix, and has fewer digits than any
/// number behind the country code that it begins with.
pub fn is_short(text: &str, digits: &str, country: Option<&str>) -> bool {
    if !is_number(digits) {
        return false;
    }
    let is_bare = || {
        !user_part(text).starts_with('+')
            && user_part(text).bytes().filter(u8::is_ascii_digit).count() == digits.len()
    };
    let is_local = || {
        digits.len() == NANP_LOCAL_DIGITS
            && Territory::of(country).is_some_and(|territory| territory.country_code == "1")
    };
    let is_too_short =
        || plan_of(digits).is_some_and(|(plan, _, rest)| plan.shortest() > rest.len());
    digits.len() < INTERNATIONAL_DIGITS_MIN || ((is_local() || is_too_short()) && is_bare())
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

#[cfg(test)]
#[path = "numbers_tests.rs"]
mod tests;
