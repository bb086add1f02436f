//! Digits as dialled: rules 2 to 7 of [`super`].

use super::digits::{INTERNATIONAL_DIGITS_MAX, INTERNATIONAL_DIGITS_MIN};
use super::number::{Doubt, Read};
use super::plans::{
    Fit, Territory, begins_a_number, fit, fit_behind_prefix, is_code_alone, is_north_american,
    plan_of, without_trunk,
};
use std::borrow::Cow;
use std::cmp::Ordering;

pub(super) fn dial<'t>(digits: &'t str, territory: Option<&'static Territory>) -> Read<'t> {
    if let Some(rest) = territory.and_then(|territory| territory.after_international(digits)) {
        return abroad(digits, rest, territory);
    }
    let generic = digits.strip_prefix("00").or_else(|| {
        if territory.is_none() {
            digits.strip_prefix("011")
        } else {
            None
        }
    });
    if let Some(rest) = generic.filter(|rest| begins_a_number(rest)) {
        return international(digits, rest, territory);
    }
    territory
        .and_then(|territory| national(digits, territory))
        .unwrap_or_else(|| bare(digits, territory))
}

/// Behind the country's own prefix of calls abroad is `own`; but `00` alone, or the whole where
/// that prefix is none of zeros (Finland's 99), where it fits better.
fn abroad<'t>(digits: &'t str, own: &'t str, territory: Option<&'static Territory>) -> Read<'t> {
    let (other, fits) = match digits.strip_prefix("00") {
        Some(generic) if generic != own => (generic, fit_behind_prefix(generic)),
        None if !digits.starts_with('0') => (digits, fit(digits)),
        _ => return international(digits, own, territory),
    };
    match fits.cmp(&fit_behind_prefix(own)) {
        Ordering::Greater => international(digits, other, territory),
        Ordering::Equal if fits > Fit::No => Read {
            doubt: Some(Doubt::Abroad),
            ..international(digits, own, territory)
        },
        _ => international(digits, own, territory),
    }
}

/// `rest` stands behind a prefix of calls abroad.
fn international<'t>(
    digits: &'t str,
    rest: &'t str,
    territory: Option<&'static Territory>,
) -> Read<'t> {
    let fits = fit_behind_prefix(rest);
    // What is possible abroad may be in use since; of North America it is known.
    let is_open = fits == Fit::No || (fits == Fit::Possible && rest.starts_with('1'));
    let doubt = match territory.filter(|territory| is_open && is_behind_a_line(digits, territory)) {
        Some(territory) => Some(Doubt::National {
            country: territory.iso2,
        }),
        None => {
            let is_none =
                (fits == Fit::No && rest.len() >= INTERNATIONAL_DIGITS_MIN) || is_code_alone(rest);
            (is_none || rest.len() > INTERNATIONAL_DIGITS_MAX).then_some(Doubt::NoNumber)
        }
    };
    Read {
        doubt,
        ..Read::certain(without_trunk(Cow::Borrowed(rest)))
    }
}

/// `0 0151 …`: a 0 for a line of the switch, and a national number in use.
fn is_behind_a_line(digits: &str, territory: &Territory) -> bool {
    let behind = || digits.strip_prefix('0')?.strip_prefix(territory.national);
    let is_in_use = |number: &str| territory.plan().is_some_and(|plan| plan.is_in_use(number));
    territory.national == "0" && behind().is_some_and(is_in_use)
}

/// A number that is national by what stands before it.
fn national<'t>(digits: &'t str, territory: &'static Territory) -> Option<Read<'t>> {
    if territory.national.is_empty() {
        return digits
            .strip_prefix('0')
            .is_some_and(begins_a_number)
            .then(|| Read::of(territory, digits));
    }
    if territory.country_code == "1" {
        let is_area = is_north_american(digits)
            && (territory.plan()?.is_in_use(digits) || fit(digits) < Fit::InUse);
        return is_area.then(|| Read::of(territory, digits));
    }
    let plan = territory.plan()?;
    let mut rests = territory.behind_national(digits);
    if digits.starts_with('0') {
        return Some(behind_zero(rests.next()?, territory));
    }
    // An international number may begin with a prefix that is no zero.
    let in_use = territory
        .behind_national(digits)
        .find(|rest| plan.is_in_use(rest));
    let rest = in_use.or_else(|| {
        rests
            .find(|rest| territory.has_length(rest.len()))
            .filter(|_| fit(digits) < Fit::InUse)
    })?;
    Some(Read::of(territory, rest))
}

/// Behind a prefix that begins with a zero, and perhaps a carrier's code.
fn behind_zero<'t>(rest: &'t str, territory: &'static Territory) -> Read<'t> {
    let is_in_use = |number: &str| territory.plan().is_some_and(|plan| plan.is_in_use(number));
    if territory.has_length(rest.len()) || is_in_use(rest) {
        return Read::of(territory, rest);
    }
    let number = territory
        .behind_carrier(rest)
        .find(|number| is_in_use(number));
    let doubt = (number.is_none() && territory.is_too_long(rest.len())).then_some(Doubt::TooLong {
        country: territory.iso2,
    });
    Read {
        doubt,
        ..Read::of(territory, number.unwrap_or(rest))
    }
}

/// With nothing before them that says what they are.
fn bare<'t>(digits: &'t str, territory: Option<&'static Territory>) -> Read<'t> {
    if digits.len() < INTERNATIONAL_DIGITS_MIN {
        return Read::certain(Cow::Borrowed(digits));
    }
    let fits = fit(digits);
    // In North America ten digits are national by their form, others are not.
    let home = territory
        .filter(|territory| territory.country_code != "1")
        .and_then(|territory| Some((territory, territory.plan()?)));
    if let Some((territory, plan)) = home {
        match plan.fit_bare(digits) {
            Fit::No => {}
            at_home if at_home > fits => return Read::of(territory, digits),
            at_home if at_home == fits => {
                return Read::unclear(
                    digits,
                    Doubt::National {
                        country: territory.iso2,
                    },
                );
            }
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
    let is_own = |territory: &Territory| {
        whole.starts_with(territory.country_code) && fit(&whole) == Fit::InUse
    };
    let lost = home.filter(|(territory, plan)| {
        territory.national.starts_with('0') && plan.is_in_use(digits) && !is_own(territory)
    });
    match lost {
        Some((territory, _)) => Read::unclear(
            digits,
            Doubt::National {
                country: territory.iso2,
            },
        ),
        None if fits == Fit::No && fit(&whole) == Fit::No && is_too_long(digits) => {
            Read::unclear(digits, Doubt::NoNumber)
        }
        None => Read::certain(whole),
    }
}

/// Longer than the shortest number behind the country code that they begin with, and of no length
/// that one has.
fn is_too_long(digits: &str) -> bool {
    plan_of(digits).is_some_and(|(plan, _, rest)| rest.len() > plan.shortest())
}

/// Numbers behind a 1 are ten digits, NPA-NXX-XXXX: as many, and others, or more of them are no
/// number. Fewer may be one without its area.
fn is_no_number(digits: &str) -> bool {
    let is_american = digits.len() > 10
        && digits
            .strip_prefix('1')
            .is_some_and(|number| !is_north_american(number));
    is_american || digits.len() > INTERNATIONAL_DIGITS_MAX
}
