//! Digits as dialled: rules 2 to 7 of [`super`].

use super::plans::{Fit, Territory, begins_a_number, fit, fit_behind_prefix, is_north_american, without_trunk};
use super::{Doubt, INTERNATIONAL_DIGITS_MIN, Read};
use std::borrow::Cow;

/// Of E.164.
const INTERNATIONAL_DIGITS_MAX: usize = 15;

pub(super) fn dial<'t>(digits: &'t str, territory: Option<&'static Territory>) -> Read<'t> {
    if let Some(rest) = territory.and_then(|territory| territory.after_international(digits)) {
        return abroad(digits, rest);
    }
    let generic = digits.strip_prefix("00").or_else(|| if territory.is_none() { digits.strip_prefix("011") } else { None });
    if let Some(rest) = generic.filter(|rest| begins_a_number(rest)) {
        return Read::certain(without_trunk(Cow::Borrowed(rest)));
    }
    territory.and_then(|territory| national(digits, territory)).unwrap_or_else(|| bare(digits, territory))
}

/// Behind the country's own prefix of calls abroad is `own`; but `00` alone where what follows it fits better.
fn abroad<'t>(digits: &'t str, own: &'t str) -> Read<'t> {
    let generic = digits.strip_prefix("00").filter(|generic| *generic != own);
    let fits = generic.map_or(Fit::No, fit_behind_prefix);
    let read = |rest| Read::certain(without_trunk(Cow::Borrowed(rest)));
    match (generic, fits.cmp(&fit_behind_prefix(own))) {
        (Some(generic), std::cmp::Ordering::Greater) => read(generic),
        (Some(_), std::cmp::Ordering::Equal) if fits > Fit::No => Read { doubt: Some(Doubt::Abroad), ..read(own) },
        _ => read(own),
    }
}

/// A number that is national by what stands before it.
fn national<'t>(digits: &'t str, territory: &'static Territory) -> Option<Read<'t>> {
    if territory.national.is_empty() {
        return digits.strip_prefix('0').is_some_and(begins_a_number).then(|| Read::of(territory, digits));
    }
    if territory.country_code == "1" {
        let is_area = is_north_american(digits) && (territory.plan()?.is_in_use(digits) || fit(digits) < Fit::InUse);
        return is_area.then(|| Read::of(territory, digits));
    }
    let plan = territory.plan()?;
    let mut rests = territory.behind_national(digits);
    if digits.starts_with('0') {
        return Some(behind_zero(rests.next()?, territory));
    }
    // An international number may begin with a prefix that is no zero.
    let in_use = territory.behind_national(digits).find(|rest| plan.is_in_use(rest));
    let rest = in_use.or_else(|| rests.find(|rest| territory.has_length(rest.len())).filter(|_| fit(digits) < Fit::InUse))?;
    Some(Read::of(territory, rest))
}

/// Behind a prefix that begins with a zero, and perhaps a carrier's code.
fn behind_zero<'t>(rest: &'t str, territory: &'static Territory) -> Read<'t> {
    let is_in_use = |number: &str| territory.plan().is_some_and(|plan| plan.is_in_use(number));
    if territory.has_length(rest.len()) || is_in_use(rest) {
        return Read::of(territory, rest);
    }
    let number = territory.behind_carrier(rest).find(|number| is_in_use(number));
    let doubt = (number.is_none() && territory.is_too_long(rest.len())).then_some(Doubt::TooLong { country: territory.iso2 });
    Read { doubt, ..Read::of(territory, number.unwrap_or(rest)) }
}

/// With nothing before them that says what they are.
fn bare<'t>(digits: &'t str, territory: Option<&'static Territory>) -> Read<'t> {
    if digits.len() < INTERNATIONAL_DIGITS_MIN {
        return Read::certain(Cow::Borrowed(digits));
    }
    let fits = fit(digits);
    // In North America ten digits are national by their form, others are not.
    let home = territory.filter(|territory| territory.country_code != "1").and_then(|territory| Some((territory, territory.plan()?)));
    if let Some((territory, plan)) = home {
        match plan.fit_bare(digits) {
            Fit::No => {}
            at_home if at_home > fits => return Read::of(territory, digits),
            at_home if at_home == fits => return Read::unclear(digits, Doubt::National { country: territory.iso2 }),
            _ => {}
        }
    }
    if is_no_number(digits) {
        return Read::unclear(digits, Doubt::NoNumber);
    }
    if fits == Fit::InUse {
        return Read::certain(Cow::Borrowed(digits));
    }
    // A spreadsheet takes the zero off.
    let whole = without_trunk(Cow::Borrowed(digits));
    let is_own = |territory: &Territory| whole.starts_with(territory.country_code) && fit(&whole) == Fit::InUse;
    let lost = home.filter(|(territory, plan)| territory.national.starts_with('0') && plan.is_in_use(digits) && !is_own(territory));
    match lost {
        Some((territory, _)) => Read::unclear(digits, Doubt::National { country: territory.iso2 }),
        None => Read::certain(whole),
    }
}

/// Areas of the North American plan begin with 2 to 9, and behind them are seven digits.
fn is_no_number(digits: &str) -> bool {
    let is_no_area = |area: &str| area.starts_with(['0', '1']) || area.len() > 10;
    let is_american = digits.len() > 10 && digits.strip_prefix('1').is_some_and(is_no_area);
    is_american || digits.len() > INTERNATIONAL_DIGITS_MAX
}
