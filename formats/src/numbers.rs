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
mod digits;
mod garbled;
mod number;
mod plans;
mod reading;
mod text;

pub use digits::{DIGITS_MAX, INTERNATIONAL_DIGITS_MIN};
pub use garbled::is_garbled;
pub use number::{Doubt, Read};
pub use plans::{
    behind_country_code, behind_international, ends_in_trunk_prefix, is_code_alone,
    is_country_code, is_north_american_prefix, is_of_no_country, prefix_as_arriving,
    prefix_without_trunk, without_trunk_prefix,
};
pub use reading::{is_short, normalise, read};
pub use text::{technical_prefix, zero_behind};

#[cfg(test)]
#[path = "numbers_tests.rs"]
mod tests;
