//! Cells that hold several prefixes. `4477 78 79` and `4930,40` are a prefix and the ends of
//! others, `4477 4478` are whole ones, and `44 20 7946` is one in groups: a list is read where it
//! can be one thing alone, and refused otherwise. A part with a `+` (or `00`) of its own is whole.

use super::bad::{AMBIGUOUS_PREFIX, Bad};
use formats::numbers;
use formats::sheet::shown;

/// Between prefixes; a space may stand inside one.
pub const BETWEEN: [char; 3] = [',', ';', '|'];

/// Whose numbers the prefixes are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// One row is one destination, and one destination is hardly of two countries.
    Called,
    /// A price may be for calls from many countries.
    Calling,
}

/// Codes that one destination has together: networks of no country, Kosovo, the Vatican, San
/// Marino.
const TOGETHER: [&str; 4] = [
    "870 881 882 883",
    "383 37744 37745 38128 38129 38138 38139 38643 38649",
    "379 3906698",
    "378 390549",
];

/// It begins with what is dialled before a country's code.
pub fn is_marked(part: &str) -> bool {
    part.starts_with('+') || part.starts_with("00")
}

fn unmarked(part: &str) -> &str {
    let digits = part.strip_prefix('+').unwrap_or(part);
    digits.strip_prefix("00").unwrap_or(digits)
}

/// The country code that digits begin with; those that are not given out have three digits.
pub fn country_of(digits: &str) -> &str {
    let mut codes = (1..=3).filter_map(|len| digits.get(..len));
    codes
        .clone()
        .find(|code| numbers::is_country_code(code))
        .or(codes.next_back())
        .unwrap_or(digits)
}

/// Behind a country's code and a dash that is no range's: `1-204`, `49-171`, `39-06`. Its end would
/// be longer than its beginning, or begin with a zero.
pub fn without_dash(part: &str) -> Option<String> {
    let (from, area) = part.split_once('-')?;
    let code = unmarked(from);
    let is_digits = !area.is_empty() && area.bytes().all(|b| b.is_ascii_digit());
    let is_area = match code {
        "1" => numbers::is_north_american_prefix(area),
        _ => (area.len() > code.len() || area.starts_with('0')) && !area.starts_with(code),
    };
    (numbers::is_country_code(code) && is_digits && is_area).then(|| format!("{from}{area}"))
}

/// A dash may part an area from its exchange, or its country's code from a zero of its own, as
/// well.
pub fn check_range(from: &str, to: &str) -> Result<(), Bad> {
    let digits = unmarked(from);
    let country = country_of(digits);
    let is_exchange = country == "1" && digits.len() == 4 && (to.len() == 3 || to.contains('-'));
    let is_behind_zero = to.len() < digits.len() && digits.strip_prefix(country) == Some("0");
    if !is_exchange && !is_behind_zero {
        return Ok(());
    }
    let detail = format!(
        "{} may be a range, or one prefix with a dash: write each prefix by itself",
        shown(&format!("{from}-{to}"))
    );
    Err((AMBIGUOUS_PREFIX, detail))
}

/// One part of a cell, by its first prefix if it is a range.
#[derive(Debug, Clone, Copy)]
struct Part<'c> {
    text: &'c str,
    digits: &'c str,
}

impl<'c> Part<'c> {
    /// `None`: it is no prefix, which is said where it is read.
    fn of(text: &'c str) -> Option<Self> {
        let digits = unmarked(text.split('-').next().unwrap_or_default());
        let is_prefix = !digits.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'+' || b == b'-');
        is_prefix.then_some(Self { text, digits })
    }
}

/// Parts, each with those that only spaces part from it. `None`: one of them is no prefix.
fn parts(cell: &str) -> Option<Vec<Vec<Part<'_>>>> {
    let groups = cell.split(BETWEEN).map(|group| {
        group
            .split_whitespace()
            .map(Part::of)
            .collect::<Option<Vec<_>>>()
    });
    groups
        .filter(|group| group.as_ref().is_none_or(|parts| !parts.is_empty()))
        .collect()
}

/// Are the parts of a cell whole prefixes?
pub fn check_whole(cell: &str, side: Side) -> Result<(), Bad> {
    let Some(groups) = parts(cell) else {
        return Ok(());
    };
    let mut all = groups
        .iter()
        .flat_map(|group| group.iter().map(move |part| (group, *part)));
    // That no number begins with 0 is said where it is read.
    let Some((_, first)) = all
        .next()
        .filter(|(_, first)| !first.digits.starts_with('0'))
    else {
        return Ok(());
    };
    let mut unclear = all.filter(|(_, part)| !is_marked(part.text));
    let is_one = |part: &str| {
        is_like(first.digits, part) || (side == Side::Calling && part.len() >= first.digits.len())
    };
    if let Some((group, part)) = unclear.clone().find(|(_, part)| !is_one(part.digits)) {
        return Err(doubtful(cell, group, first, part));
    }
    let has_spaces = groups.iter().any(|group| group.len() > 1);
    match unclear.find(|(_, part)| has_spaces && part.digits.len() != first.digits.len()) {
        None => Ok(()),
        Some(_) => {
            let commas: Vec<&str> = groups.iter().flatten().map(|part| part.text).collect();
            let detail = format!(
                "{} may be several prefixes, or one in groups: write `{}` for several, or the one \
                    without spaces",
                shown(cell),
                commas.join(", ")
            );
            Err((AMBIGUOUS_PREFIX, detail))
        }
    }
}

/// Behind `first`, is `part` a whole prefix and neither the end of another nor an area?
fn is_like(first: &str, part: &str) -> bool {
    let country = country_of(first);
    if !part.starts_with(country) {
        let is_in =
            |codes: &str, digits: &str| codes.split(' ').any(|code| digits.starts_with(code));
        return TOGETHER
            .iter()
            .any(|codes| is_in(codes, first) && is_in(codes, part));
    }
    // No area or exchange of the North American plan begins with 1: what does is whole.
    if country == "1" && part.get(1..).is_some_and(numbers::is_north_american_prefix) {
        return true;
    }
    // As many digits as the first has behind its country's code may be another area.
    let is_bare = first.len() == country.len();
    part.len() + country.len() > first.len() && (is_bare || part.len() > country.len())
}

/// What a part may be, and how each is written so that it is that alone.
fn doubtful(cell: &str, group: &[Part<'_>], first: Part<'_>, part: Part<'_>) -> Bad {
    let (begin, end) = (first.digits, part.digits);
    let mut readings = vec![format!("a prefix of its own (+{end})")];
    if begin == country_of(begin) {
        readings.push(format!("an area of {begin} ({begin}{end})"));
    } else if let Some(kept) = begin
        .len()
        .checked_sub(end.len())
        .filter(|kept| *kept > 0)
        .and_then(|kept| begin.get(..kept))
        && format!("{kept}{end}") != begin
    {
        readings.push(format!("the end of another (`{begin}, {kept}{end}`)"));
    }
    if group.len() > 1 {
        let one: String = group.iter().map(|part| part.text).collect();
        readings.push(format!("a part of one ({one})"));
    }
    let detail = match (readings.len(), readings.pop()) {
        (2.., Some(last)) => format!(
            "{}: `{end}` may be {} or {last}: write what is meant",
            shown(cell),
            readings.join(", ")
        ),
        _ => format!(
            "{}: `{end}` is no prefix of the country that `{begin}` is of: write each with + \
                (`+{begin}, +{end}`), or in a row of its own",
            shown(cell)
        ),
    };
    (AMBIGUOUS_PREFIX, detail)
}

/// Where areas behind a country's code stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind it in one cell.
    Cell,
    /// Likewise, with the `(0)` that only areas have.
    BracketedZero,
    /// In a column of their own.
    Column,
}

/// Are the parts of a text areas of the country?
pub fn check_areas(code: &str, text: &str, place: Place) -> Result<(), Bad> {
    let Some(groups) = parts(text) else {
        return Ok(());
    };
    let cell = if place == Place::Column {
        text.to_owned()
    } else {
        format!("{code} {text}")
    };
    if let Some(group) = groups.iter().find(|group| group.len() > 1) {
        let digits: Vec<&str> = group.iter().map(|part| part.text).collect();
        let commas: Vec<&str> = groups.iter().flatten().map(|part| part.text).collect();
        let (one, several) = match place {
            Place::Column => (digits.concat(), commas.join(", ")),
            _ => (
                format!("{code}{}", digits.concat()),
                format!("{code} {}", commas.join(", ")),
            ),
        };
        let detail = format!(
            "{} may be one prefix in groups, or several areas: write `{one}` or `{several}`",
            shown(&cell)
        );
        return Err((AMBIGUOUS_PREFIX, detail));
    }
    for (index, part) in groups.iter().flatten().enumerate() {
        if code == "1" && part.digits.len() == 3 && part.text.len() == 7 {
            let detail = format!(
                "{} may be areas, or one and its exchange: write each by itself",
                shown(part.text)
            );
            return Err((AMBIGUOUS_PREFIX, detail));
        }
        let is_certain = place == Place::Column || (place == Place::BracketedZero && index == 0);
        if !is_certain && part.digits.starts_with(code) {
            let area = part.digits;
            let detail = format!(
                "{}: `{area}` may be a whole prefix, or an area of {code}: write `{code}, {area}` \
                    or `{code}{area}`",
                shown(&cell)
            );
            return Err((AMBIGUOUS_PREFIX, detail));
        }
    }
    check_ends(code, &cell, &groups, place)
}

/// `207, 8` may be 207 and 208. In a column of areas those of several lengths are usual; one digit
/// alone is not.
fn check_ends(code: &str, cell: &str, groups: &[Vec<Part<'_>>], place: Place) -> Result<(), Bad> {
    let mut all = groups.iter().flatten();
    let Some(first) = all
        .next()
        .map(|part| part.digits)
        .filter(|first| first.len() >= 3)
    else {
        return Ok(());
    };
    let is_short = |area: &str| {
        if place == Place::Column {
            area.len() == 1
        } else {
            area.len() < first.len()
        }
    };
    let mut areas = all
        .map(|part| part.digits)
        .filter(|area| !area.starts_with('0'));
    let Some(area) = areas.find(|area| is_short(area)) else {
        return Ok(());
    };
    let whole = format!(
        "{}{area}",
        first.get(..first.len() - area.len()).unwrap_or_default()
    );
    let detail = match place {
        Place::Column => {
            format!(
                "{}: `{area}` may be an area of its own, or stand for {whole}: write {whole}, or \
                    give it a row",
                shown(cell)
            )
        }
        _ => format!(
            "{}: `{area}` may be an area of its own, or stand for {whole}: write `{code}{first}, \
                {code}{whole}` or `{code}{first}, {code}{area}`",
            shown(cell)
        ),
    };
    Err((AMBIGUOUS_PREFIX, detail))
}
