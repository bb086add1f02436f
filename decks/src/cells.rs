//! The cells of a deck: prefixes, increments, flags.

use super::bad::{AMBIGUOUS_PREFIX, Bad, CELL_PREFIXES_MAX, bad_prefix};
use super::lists::{self, BETWEEN, Place, Side};
use formats::numbers;
use formats::sheet::shown;
use std::borrow::Cow;

/// Digits of the longest prefix.
const PREFIX_DIGITS_MAX: usize = 32;

/// The prefixes of a cell: `4930`, `+4930`, `004930`; several (`4930, 4931`), ranges (`4477-4479`,
/// `4477-79`), and a country code before area codes (`61 38,39`; the first of several parts is one
/// if it is a country's code and a space follows). `country_code`: from a column of its own.
pub fn prefixes(cell: &str, country_code: Option<&str>) -> Result<Vec<Box<str>>, Bad> {
    read(cell, |text| match country_code {
        Some(code) => behind_country(&plain(code)?, text),
        None => whole(text, Side::Called),
    })
}

/// Prefixes of the calling number.
pub fn origins(cell: &str) -> Result<Vec<Box<str>>, Bad> {
    read(cell, |text| whole(text, Side::Calling))
}

/// Area codes behind the code of their country, whatever digits they begin with.
pub fn areas(cell: &str, country_code: &str) -> Result<Vec<Box<str>>, Bad> {
    read(cell, |text| {
        behind(&plain(country_code)?, text, Place::Column)
    })
}

/// A refusal shows the cell.
fn read(
    cell: &str,
    read: impl FnOnce(&str) -> Result<Vec<Box<str>>, Bad>,
) -> Result<Vec<Box<str>>, Bad> {
    let text = with_plain_dashes(unwrapped(cell));
    let shown = shown(cell.trim());
    read(&text).map_err(|(code, detail)| {
        let why = detail
            .strip_prefix("cannot read ")
            .and_then(|said| said.split_once(": "))
            .map_or(detail.as_str(), |(_, why)| why);
        let is_said = detail.contains(&shown) || code == "missing_prefix";
        (
            code,
            if is_said {
                detail
            } else {
                format!("cannot read {shown}: {why}")
            },
        )
    })
}

fn whole(cell: &str, side: Side) -> Result<Vec<Box<str>>, Bad> {
    if !cell.is_empty() && is_plain(cell) {
        return Ok(vec![of_numbers(&plain(cell)?)?]);
    }
    if is_grouped(cell) {
        let detail = format!(
            "{} may be two prefixes, or one that a spreadsheet wrote with a comma: write each by \
                itself",
            shown(cell)
        );
        return Err((AMBIGUOUS_PREFIX, detail));
    }
    let elements: Vec<&str> = cell
        .split(BETWEEN)
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .collect();
    if elements.len() > 1
        && elements
            .iter()
            .all(|element| lists::is_marked(element) || element.contains("(0)"))
    {
        return each_whole(&elements, side);
    }
    if let Some((code, areas)) = behind_bracketed_zero(cell) {
        return behind(&plain(code)?, &areas, Place::BracketedZero);
    }
    match cell.split_once(|c: char| c.is_whitespace()) {
        Some((first, areas))
            if is_country_code(first) && !areas.split_whitespace().all(lists::is_marked) =>
        {
            behind_first(first, areas)
        }
        _ => {
            let joined = |part: &str| lists::without_dash(part).unwrap_or_else(|| part.to_owned());
            let text = cell.split_inclusive(SEPARATORS).map(|part| {
                match part.split_at_checked(part.trim_end_matches(SEPARATORS).len()) {
                    Some((part, end)) => joined(part) + end,
                    None => joined(part),
                }
            });
            let text: String = text.collect();
            lists::check_whole(&text, side)?;
            expand("", &text)
        }
    }
}

/// Each of them says that it begins with a country's code.
fn each_whole(elements: &[&str], side: Side) -> Result<Vec<Box<str>>, Bad> {
    let mut found = Vec::new();
    for element in elements {
        found.extend(whole(element, side)?);
        if found.len() > CELL_PREFIXES_MAX {
            return Err(bad_prefix("a cell stands for at most 1000 prefixes"));
        }
    }
    Ok(found)
}

/// What follows a country's code and a space.
fn behind_first(first: &str, areas: &str) -> Result<Vec<Box<str>>, Bad> {
    let parts: Vec<&str> = areas.split_whitespace().collect();
    if is_plain_code(first) && parts.iter().copied().all(is_plain_code) {
        let (countries, several) = (parts.join(", +"), parts.join(", "));
        let areas = if parts.len() > 1 {
            format!("`{first} {several}`, ")
        } else {
            String::new()
        };
        let detail = format!(
            "{} may be several country codes, or one before an area: write `+{first}, \
                +{countries}`, {areas}or {first}{}",
            shown(&format!("{first} {}", parts.join(" "))),
            parts.concat()
        );
        return Err((AMBIGUOUS_PREFIX, detail));
    }
    behind(&plain(first)?, areas, Place::Cell)
}

fn behind(code: &str, areas: &str, place: Place) -> Result<Vec<Box<str>>, Bad> {
    lists::check_areas(code, areas, place)?;
    expand(code, areas)
}

/// A column of country codes stands beside one of prefixes, which may hold whole ones.
fn behind_country(code: &str, cell: &str) -> Result<Vec<Box<str>>, Bad> {
    let begins_with_it = |part: &str| part.strip_prefix('+').unwrap_or(part).starts_with(code);
    match cell
        .split(SEPARATORS)
        .find(|part| !part.is_empty() && begins_with_it(part))
    {
        None => behind(code, cell, Place::Column),
        Some(part) => {
            let detail = format!(
                "{} begins with the country code {code}: if it is a whole prefix, leave the \
                    country codes out (--ignore-column, and `prefix` in --map); if it is an area \
                    code, say so by `area_code` (--map)",
                shown(part)
            );
            Err((AMBIGUOUS_PREFIX, detail))
        }
    }
}

/// `1,212`, `44,207`: groups of three digits behind a country's code.
fn is_grouped(cell: &str) -> bool {
    let mut parts = cell.split(',');
    let first = parts.next().unwrap_or_default();
    let is_group = |part: &str| part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit());
    cell.contains(',') && first.len() <= 3 && is_plain_code(first) && parts.all(is_group)
}

fn is_plain(cell: &str) -> bool {
    cell.strip_prefix('+')
        .unwrap_or(cell)
        .bytes()
        .all(|b| b.is_ascii_digit())
}

/// With nothing before it that says that it is one.
fn is_plain_code(text: &str) -> bool {
    numbers::is_country_code(text)
}

fn is_country_code(text: &str) -> bool {
    numbers::is_country_code(without_marks(text))
}

pub(super) fn without_marks(text: &str) -> &str {
    let digits = text.strip_prefix('+').unwrap_or(text);
    digits.strip_prefix("00").unwrap_or(digits)
}

/// Spreadsheets keep digits as text by `'4930` or `="4930"`.
pub(super) fn unwrapped(cell: &str) -> &str {
    let cell = cell.trim();
    let cell = cell.strip_prefix('\'').unwrap_or(cell);
    cell.strip_prefix("=\"")
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(cell)
        .trim()
}

/// `+49(0)30`, `49 (0)30` and `0049(0)30` are 49 before 30; `39(0)6` is 39 before 06.
fn behind_bracketed_zero(cell: &str) -> Option<(&str, String)> {
    let (before, rest) = cell.split_once("(0)")?;
    let code = before.trim();
    is_country_code(code).then(|| {
        (
            code,
            format!(
                "{}{}",
                numbers::zero_behind(without_marks(code)),
                rest.trim_start()
            ),
        )
    })
}

/// `4915 - 4917` and `4915–4917`.
pub(super) fn with_plain_dashes(cell: &str) -> Cow<'_, str> {
    const DASHES: [char; 6] = [
        '-', '\u{2010}', '\u{2011}', '\u{2013}', '\u{2014}', '\u{2212}',
    ];
    if !cell.contains(DASHES) {
        return cell.into();
    }
    let parts: Vec<&str> = cell.split(DASHES).map(str::trim).collect();
    parts.join("-").into()
}

/// A prefix that numbers begin with: with a country code, and without the zero that is dialled
/// inside the country only.
fn of_numbers(digits: &str) -> Result<Box<str>, Bad> {
    if digits.starts_with('0') {
        let detail = format!(
            "{} begins with 0: expected a prefix with its country code, such as 4930",
            shown(digits)
        );
        return Err(bad_prefix(&detail));
    }
    if numbers::ends_in_trunk_prefix(digits) {
        let detail = format!(
            "no number begins with {}: its 0 is dialled inside the country only",
            shown(digits)
        );
        return Err(bad_prefix(&detail));
    }
    Ok(numbers::prefix_without_trunk(digits).into())
}

/// Digits without a leading `+` or `00`.
fn plain(text: &str) -> Result<String, Bad> {
    if text.contains(['#', '*']) {
        let detail = format!(
            "{} has a technical prefix: a deck names the numbers behind it",
            shown(text)
        );
        return Err(("technical_prefix", detail));
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    let digits = digits
        .strip_prefix("00")
        .filter(|rest| !rest.is_empty())
        .unwrap_or(digits);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad_prefix(&format!(
            "cannot read {}: expected digits, such as 4930 or 4477-4479",
            shown(text)
        )));
    }
    if digits.len() > PREFIX_DIGITS_MAX {
        return Err(bad_prefix("a prefix has at most 32 digits"));
    }
    Ok(digits.to_owned())
}

const SEPARATORS: [char; 5] = [',', ';', '|', ' ', '\t'];

fn expand(before: &str, cell: &str) -> Result<Vec<Box<str>>, Bad> {
    let mut found: Vec<Box<str>> = Vec::new();
    let parts = cell.split(SEPARATORS).filter(|part| !part.is_empty());
    for part in parts {
        match part.split_once('-') {
            Some((from, to)) => range(before, from.trim(), to.trim(), &mut found)?,
            None if before.is_empty() => found.push(of_numbers(&plain(part)?)?),
            None => found.push(joined(before, part)?),
        }
        if found.len() > CELL_PREFIXES_MAX {
            return Err(bad_prefix("a cell stands for at most 1000 prefixes"));
        }
    }
    match (found.is_empty(), before.is_empty()) {
        (false, _) => Ok(found),
        (true, false) => Ok(vec![of_numbers(before)?]),
        (true, true) => Err(("missing_prefix", "expected a prefix".to_owned())),
    }
}

/// An area code behind its country's.
fn joined(before: &str, area: &str) -> Result<Box<str>, Bad> {
    check_area(area)?;
    if before == "1" && area.starts_with(['0', '1']) {
        return Err(bad_prefix(&format!(
            "cannot read {}: no area of the North American plan begins with 0 or 1",
            shown(area)
        )));
    }
    of_numbers(&plain(&format!(
        "{before}{}",
        numbers::without_trunk_prefix(before, area)
    ))?)
}

/// Behind a country's code no area is written with what is dialled to reach another country.
fn check_area(area: &str) -> Result<(), Bad> {
    if area.starts_with("00") {
        let detail = format!(
            "{} is a whole prefix, and not an area behind a country code: leave the country codes \
                out",
            shown(area)
        );
        return Err((AMBIGUOUS_PREFIX, detail));
    }
    Ok(())
}

/// `4477-4479`, and `4477-79` for the same. A country code before a dash may stand before its area
/// as well.
pub(super) fn range(
    before: &str,
    from: &str,
    to: &str,
    found: &mut Vec<Box<str>>,
) -> Result<(), Bad> {
    let expected =
        || bad_prefix("expected a range with an end not before its begin, such as 4477-4479");
    let cell = || shown(&format!("{from}-{to}"));
    if before.is_empty() && is_country_code(from) {
        let detail = format!(
            "{} may be a range, or a country code before an area code: write each prefix by itself",
            cell()
        );
        return Err((AMBIGUOUS_PREFIX, detail));
    }
    if before.is_empty() {
        lists::check_range(from, to)?;
    }
    if !before.is_empty() {
        check_area(from)?;
    }
    let from = if before.is_empty() {
        plain(from)?
    } else {
        numbers::without_trunk_prefix(before, from).to_owned()
    };
    let to = if before.is_empty() {
        to.strip_prefix('+').unwrap_or(to)
    } else {
        numbers::without_trunk_prefix(before, to)
    };
    if from.is_empty() || to.is_empty() || to.len() > from.len() || from.len() + before.len() > 15 {
        return Err(expected());
    }
    let to = format!(
        "{}{to}",
        from.get(..from.len() - to.len()).ok_or_else(expected)?
    );
    let (from, to) = match (
        before.is_empty(),
        numbers::prefix_without_trunk(&from),
        numbers::prefix_without_trunk(&to),
    ) {
        (true, Cow::Owned(first), Cow::Owned(last)) => (first, last),
        _ => (from, to),
    };
    let (Ok(first), Ok(last)) = (from.parse::<u64>(), to.parse::<u64>()) else {
        return Err(expected());
    };
    if last < first {
        return Err(expected());
    }
    if last - first >= u64::try_from(CELL_PREFIXES_MAX).unwrap_or(u64::MAX) {
        return Err(bad_prefix("a cell stands for at most 1000 prefixes"));
    }
    let width = from.len();
    if before.is_empty() && from.starts_with('0') {
        return Err(bad_prefix(
            "expected prefixes with their country code, such as 4477-4479",
        ));
    }
    if before.is_empty() && lists::country_of(&from) != lists::country_of(&to) {
        let detail = format!(
            "{} is a range over several countries: write each prefix by itself",
            cell()
        );
        return Err((AMBIGUOUS_PREFIX, detail));
    }
    // Some that no number begins with (4400) may lie between others.
    found.extend((first..=last).map(|number| format!("{before}{number:0width$}").into_boxed_str()));
    Ok(())
}

#[cfg(test)]
#[path = "cells_tests.rs"]
mod lists_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::increments::increments;
    use crate::words::status;
    use formats::sheet::decimal::Mark;
    use proptest::prelude::*;
    use rating::Quantity;

    #[test]
    fn a_cell_of_prefixes() {
        for (cell, want) in [
            ("4930", "4930"),
            (" +4930 ", "4930"),
            ("004930", "4930"),
            ("0049(0)30", "4930"),
            ("+49 (0)30,(0)40", "invalid_prefix"),
            ("9#4930", "technical_prefix"),
            ("'4930", "4930"),
            ("=\"4930\"", "4930"),
            ("4930, 4931;4932|4933", "4930 4931 4932 4933"),
            ("4477-4479", "4477 4478 4479"),
            ("4477-79", "4477 4478 4479"),
            ("4409-4411", "4409 4410 4411"),
            ("49030-49031", "4930 4931"),
            ("030-031", "invalid_prefix"),
            ("+4477-+4478", "4477 4478"),
            ("61 38,39", "6138 6139"),
            ("61 38, 39", "6138 6139"),
            ("+61 38-40,2", "6138 6139 6140 612"),
            ("39 06,02", "3906 3902"),
            ("1 212", "ambiguous_prefix"),
            ("+1 212", "1212"),
            ("49 171", "49171"),
            ("49030", "4930"),
            ("49(0)30", "4930"),
            ("+39(0)6", "3906"),
            ("030", "invalid_prefix"),
            ("46-7", "ambiguous_prefix"),
            ("31-33", "ambiguous_prefix"),
            ("4477 4478", "4477 4478"),
            ("", "missing_prefix"),
            ("abc", "invalid_prefix"),
            ("49.30", "invalid_prefix"),
            ("4.93E+05", "invalid_prefix"),
            ("4479-4477", "invalid_prefix"),
            ("4477-", "invalid_prefix"),
            ("1000-9999", "invalid_prefix"),
            ("123456789012345678901234567890123", "invalid_prefix"),
        ] {
            let got =
                prefixes(cell, None).map_or_else(|(code, _)| code.to_owned(), |all| all.join(" "));
            assert_eq!(got, want, "{cell}");
        }
        assert_eq!(
            prefixes("38,39", Some("61")).unwrap().join(" "),
            "6138 6139"
        );
        assert_eq!(prefixes("", Some("+61")).unwrap().join(" "), "61");
    }

    #[test]
    fn a_cell_of_increments() {
        let whole = Quantity::whole;
        let read = |cell| increments(cell, whole(1), Mark::Point);
        assert_eq!(read("60/1"), Ok((whole(60), Some(whole(1)))));
        assert_eq!(read("6"), Ok((whole(6), None)));
        assert_eq!(read("00:01:00"), Ok((whole(60), None)));
        assert_eq!(read("30s/6s"), Ok((whole(30), Some(whole(6)))));
        assert_eq!(
            increments("1/0.5", whole(60), Mark::Point),
            Ok((whole(60), Some(whole(30))))
        );
        for bad in ["", "x", "-1", "60/", "1/2/3", "06.Jun", "60,5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cell_of_status() {
        for (cell, want) in [
            ("Active", "Open"),
            ("No change", "Open"),
            ("", "Open"),
            ("gesperrt", "Blocked"),
            ("Gelöscht", "Deleted"),
            ("supprimé", "Deleted"),
            ("0", "unknown_status"),
            ("Pending", "unknown_status"),
        ] {
            assert_eq!(
                status(cell)
                    .map_or_else(|(code, _)| code.to_owned(), |status| format!("{status:?}")),
                want,
                "{cell}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn never_panics(cell in "[-+0-9,;| .eE$€/ü]{0,24}", code in "[+0-9]{0,4}") {
            if let Ok(all) = prefixes(&cell, None) {
                prop_assert!(!all.is_empty() && all.iter().all(|p| p.bytes().all(|b| b.is_ascii_digit())));
            }
            let _ = prefixes(&cell, Some(&code));
            let _ = increments(&cell, Quantity::whole(60), Mark::Comma);
            let _ = status(&cell);
        }
    }
}
