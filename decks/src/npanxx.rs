//! Cells of areas and exchanges of the North American plan: `212`, `212555`, `212-555`, with or
//! without the 1.

use super::bad::{AMBIGUOUS_PREFIX, Bad, CELL_PREFIXES_MAX, bad_prefix};
use super::cells;
use super::lists::BETWEEN;
use formats::numbers;
use formats::sheet::shown;

/// A country code beside such areas.
pub fn is_country_code(code: &str) -> bool {
    cells::without_marks(code.trim()) == "1"
}

pub fn not_its_code(code: &str) -> Bad {
    bad_prefix(&format!(
        "the country code {} beside an area of the North American plan: expected 1",
        shown(code)
    ))
}

/// The prefixes of a cell. `is_area_alone`: the column is one of areas, in which `201-205` may be
/// five of them as well.
pub fn prefixes(cell: &str, is_area_alone: bool) -> Result<Vec<Box<str>>, Bad> {
    let cell = cells::with_plain_dashes(cells::unwrapped(cell));
    let (mut found, mut first): (Vec<Box<str>>, Option<usize>) = (Vec::new(), None);
    for part in cell
        .split(BETWEEN)
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let range = part
            .split_once('-')
            .filter(|(from, to)| from.len() >= 6 && from.len() == to.len());
        let begin = range.map_or(part, |(from, _)| from);
        // Behind `212555` `556` may be 212556; with its 1 it is an area.
        let is_end = first.is_some_and(|first| digits_of(begin).len() < first)
            && !cells::without_marks(begin).starts_with('1');
        let is_number = part
            .chars()
            .all(|c| c.is_ascii_digit() || "+ -().".contains(c));
        if is_number && (is_end || (range.is_none() && !is_one(part, is_area_alone))) {
            let detail = format!(
                "{} may be several prefixes, or one in groups or its end: write each by itself, \
                    and whole",
                shown(part)
            );
            return Err((AMBIGUOUS_PREFIX, detail));
        }
        match range {
            Some((from, to)) => cells::range("", &whole(from)?, &whole(to)?, &mut found)?,
            None => found.push(whole(part)?.into()),
        }
        first = first.or(Some(digits_of(begin).len()));
        if found.len() > CELL_PREFIXES_MAX {
            return Err(bad_prefix("a cell stands for at most 1000 prefixes"));
        }
    }
    if found.is_empty() {
        Err(("missing_prefix", "expected a prefix".to_owned()))
    } else {
        Ok(found)
    }
}

/// Of an area and its exchanges, in columns of their own: `212` and `555`, `555, 556`.
pub fn with_exchange(area: &str, exchanges: &str) -> Result<Vec<Box<str>>, Bad> {
    let exchanges = cells::unwrapped(exchanges);
    let parts = exchanges
        .split(BETWEEN)
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let area = digits_of(cells::unwrapped(area).trim());
    let is_three = |digits: &str| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
    let whole_of = |exchange: &str| match is_three(&area) && is_three(exchange) {
        true => whole(&format!("{area}{exchange}")).map(Box::from),
        false => Err(bad_prefix(&format!(
            "cannot read {} behind {}: expected an area and an exchange of three digits each",
            shown(exchange),
            shown(&area)
        ))),
    };
    parts.map(whole_of).collect()
}

/// Without what stands between groups.
fn digits_of(part: &str) -> String {
    let digits: String = part.chars().filter(|c| !" -().".contains(*c)).collect();
    let digits = digits.strip_prefix('+').unwrap_or(&digits);
    digits.strip_prefix('1').unwrap_or(digits).to_owned()
}

/// Are its groups those of one prefix: `212-555-1234`, `1 212 555`?
fn is_one(part: &str, is_area_alone: bool) -> bool {
    let groups: Vec<&str> = part
        .trim_start_matches('+')
        .split([' ', '-', '(', ')', '.'])
        .filter(|group| !group.is_empty())
        .collect();
    let groups = match &groups[..] {
        ["1", rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    let Some((first, rest)) = groups.split_first() else {
        return true;
    };
    let area = first.strip_prefix('1').unwrap_or(first).len();
    match (area, rest) {
        (_, []) => true,
        (3, [exchange]) => !(is_area_alone && exchange.len() == 3),
        (3, [exchange, _]) => exchange.len() == 3,
        _ => false,
    }
}

fn whole(part: &str) -> Result<String, Bad> {
    let digits = digits_of(part);
    if numbers::is_north_american_prefix(&digits) {
        return Ok(format!("1{digits}"));
    }
    Err(bad_prefix(&format!(
        "cannot read {}: expected an area of the North American plan, such as 212 or 212555",
        shown(part)
    )))
}
