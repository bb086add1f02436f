//! A number as sent, read by the rules of [`super`].

use super::dialled;
use super::digits::{INTERNATIONAL_DIGITS_MIN, is_number};
use super::number::Read;
use super::plans::{Territory, plan_of};
use super::text::{user_part, without_separators};
use std::borrow::Cow;

/// Of a number with neither area nor country in the North American plan.
pub(crate) const NANP_LOCAL_DIGITS: usize = 7;

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
