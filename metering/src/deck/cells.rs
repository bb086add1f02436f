//! The cells of a deck: prefixes, prices, increments.

use super::CELL_PREFIXES_MAX;
use crate::numbers;
use rating::Quantity;
use rating::money::Rate as Amount;
use rust_decimal::Decimal;

/// Digits of the longest prefix.
const PREFIX_DIGITS_MAX: usize = 32;

/// A cell that cannot be read: a stable code and what was expected.
pub type Bad = (&'static str, String);

const BAD_PREFIX: &str = "invalid_prefix";

fn bad_prefix(detail: &str) -> Bad {
    (BAD_PREFIX, detail.to_owned())
}

/// The prefixes of a cell: `4930`, `+4930`, `004930`; several (`4930, 4931`), ranges (`4477-4479`,
/// `4477-79`), and a country code before area codes (`61 38,39`; the first of several parts is one if
/// it is a country's code and a space follows). `country_code`: from a column of its own.
pub fn prefixes(cell: &str, country_code: Option<&str>) -> Result<Vec<Box<str>>, Bad> {
    let cell = unwrapped(cell);
    if let Some(code) = country_code {
        return expand(&plain(code)?, cell);
    }
    if !cell.is_empty() && is_plain(cell) {
        return Ok(vec![plain(cell)?.into()]);
    }
    match cell.split_once(|c: char| c.is_whitespace()) {
        Some((first, areas)) if is_country_code(first) => expand(&plain(first)?, areas),
        _ => expand("", cell),
    }
}

fn is_plain(cell: &str) -> bool {
    cell.strip_prefix('+').unwrap_or(cell).bytes().all(|b| b.is_ascii_digit())
}

fn is_country_code(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    numbers::is_country_code(digits.strip_prefix("00").unwrap_or(digits))
}

/// Spreadsheets keep digits as text by `'4930` or `="4930"`.
fn unwrapped(cell: &str) -> &str {
    let cell = cell.trim();
    let cell = cell.strip_prefix('\'').unwrap_or(cell);
    cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(cell).trim()
}

/// Digits without a leading `+` or `00`.
fn plain(text: &str) -> Result<String, Bad> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let digits = digits.strip_prefix("00").filter(|rest| !rest.is_empty()).unwrap_or(digits);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad_prefix("expected digits, such as 4930 or 4477-4479"));
    }
    if digits.len() > PREFIX_DIGITS_MAX {
        return Err(bad_prefix("a prefix has at most 32 digits"));
    }
    Ok(digits.to_owned())
}

fn expand(before: &str, cell: &str) -> Result<Vec<Box<str>>, Bad> {
    let mut found: Vec<Box<str>> = Vec::new();
    let parts = cell.split([',', ';', '|', ' ', '\t']).filter(|part| !part.is_empty());
    for part in parts {
        match part.split_once('-') {
            Some((from, to)) => range(before, from.trim(), to.trim(), &mut found)?,
            None if before.is_empty() => found.push(plain(part)?.into()),
            None => found.push(joined(before, part)?),
        }
        if found.len() > CELL_PREFIXES_MAX {
            return Err(bad_prefix("a cell stands for at most 1000 prefixes"));
        }
    }
    match (found.is_empty(), before.is_empty()) {
        (false, _) => Ok(found),
        (true, false) => Ok(vec![before.into()]),
        (true, true) => Err(("missing_prefix", "expected a prefix".to_owned())),
    }
}

/// An area code keeps its zeros.
fn joined(before: &str, area: &str) -> Result<Box<str>, Bad> {
    plain(&format!("{before}{area}")).map(Into::into)
}

/// `4477-4479`, and `4477-79` for the same.
fn range(before: &str, from: &str, to: &str, found: &mut Vec<Box<str>>) -> Result<(), Bad> {
    let expected = || bad_prefix("expected a range with an end not before its begin, such as 4477-4479");
    let from = if before.is_empty() { plain(from)? } else { from.to_owned() };
    let to = if before.is_empty() { to.strip_prefix('+').unwrap_or(to) } else { to };
    if from.is_empty() || to.is_empty() || to.len() > from.len() || from.len() + before.len() > 15 {
        return Err(expected());
    }
    let to = format!("{}{to}", from.get(..from.len() - to.len()).ok_or_else(expected)?);
    let (Ok(first), Ok(last)) = (from.parse::<u64>(), to.parse::<u64>()) else { return Err(expected()) };
    if last < first {
        return Err(expected());
    }
    if last - first >= u64::try_from(CELL_PREFIXES_MAX).unwrap_or(u64::MAX) {
        return Err(bad_prefix("a cell stands for at most 1000 prefixes"));
    }
    let width = from.len();
    found.extend((first..=last).map(|number| format!("{before}{number:0width$}").into_boxed_str()));
    Ok(())
}

/// How the decimals of a deck are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decimals {
    /// `0,0125`. `None`: not stated, and found if unambiguous.
    pub comma: Option<bool>,
    /// Cells are separated by something else than commas, so a comma in a price is one of decimals.
    pub comma_free: bool,
    pub seen_point: bool,
    pub seen_comma: bool,
}

impl Decimals {
    /// A price in major units, not below zero.
    pub fn price(&mut self, cell: &str) -> Result<Amount, Bad> {
        const CODE: &str = "invalid_price";
        let text = cell.trim_matches(|c: char| c.is_whitespace() || "$€£\u{a0}".contains(c));
        let (comma, point) = (text.contains(','), text.contains('.'));
        self.seen_point |= point;
        let read = match (comma, point, self.comma) {
            (true, _, Some(true)) => amount(&text.replace('.', "").replace(',', ".")),
            (false, true, Some(true)) => return Err((CODE, "a point, where a decimal comma was stated".to_owned())),
            (true, false, None) if self.comma_free => {
                self.seen_comma = true;
                amount(&text.replace(',', "."))
            }
            (true, _, _) => return Err((CODE, "a comma may be decimal or not: state which by the decimal comma option".to_owned())),
            (false, ..) => amount(text),
        };
        match read {
            Some(price) if price.is_negative() => Err((CODE, "expected a price of 0 or more".to_owned())),
            Some(price) => Ok(price),
            None => Err((CODE, "expected a decimal with at most 12 decimals, such as 0.0125".to_owned())),
        }
    }
}

/// Plain decimals, `.5`, and what spreadsheets make of small numbers: `1.5E-05`, exactly.
fn amount(text: &str) -> Option<Amount> {
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    let value = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()?
    } else if text.starts_with('.') && text.len() > 1 {
        Decimal::from_str_exact(&format!("0{text}")).ok()?
    } else {
        return None;
    };
    Amount::from_decimal(value).ok()
}

/// Seconds, whole or not. `60/1` in one cell: the initial and the following increment.
pub fn increments(cell: &str) -> Result<(Quantity, Option<Quantity>), Bad> {
    match cell.split_once('/') {
        Some((initial, next)) => Ok((seconds(initial)?, Some(seconds(next)?))),
        None => Ok((seconds(cell)?, None)),
    }
}

pub fn seconds(cell: &str) -> Result<Quantity, Bad> {
    let read: Option<Quantity> = cell.trim().parse().ok();
    read.filter(|q| !q.is_negative()).ok_or_else(|| ("invalid_increment", "expected seconds, such as 60, or 60/1".to_owned()))
}

pub fn flag(cell: &str) -> Result<bool, Bad> {
    match cell.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "blocked" => Ok(true),
        "0" | "false" | "no" | "n" | "" => Ok(false),
        _ => Err(("invalid_flag", "expected yes or no".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cell_of_prefixes() {
        for (cell, want) in [
            ("4930", "4930"),
            (" +4930 ", "4930"),
            ("004930", "4930"),
            ("'4930", "4930"),
            ("=\"4930\"", "4930"),
            ("4930, 4931;4932|4933", "4930 4931 4932 4933"),
            ("4477-4479", "4477 4478 4479"),
            ("4477-79", "4477 4478 4479"),
            ("4409-4411", "4409 4410 4411"),
            ("+4477-+4478", "4477 4478"),
            ("61 38,39", "6138 6139"),
            ("61 38, 39", "6138 6139"),
            ("+61 38-40,2", "6138 6139 6140 612"),
            ("39 06,02", "3906 3902"),
            ("1 212", "1212"),
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
            let got = prefixes(cell, None).map_or_else(|(code, _)| code.to_owned(), |all| all.join(" "));
            assert_eq!(got, want, "{cell}");
        }
        assert_eq!(prefixes("38,39", Some("61")).unwrap().join(" "), "6138 6139");
        assert_eq!(prefixes("", Some("+61")).unwrap().join(" "), "61");
    }

    #[test]
    fn a_cell_of_money() {
        for (cell, comma, comma_free, want) in [
            ("0.0125", None, false, "0.0125"),
            ("$ 0.0125", None, false, "0.0125"),
            (".5", None, false, "0.5"),
            ("1.5E-05", None, false, "0.000015"),
            ("0", None, false, "0"),
            ("0,0125", None, true, "0.0125"),
            ("0,0125", Some(true), false, "0.0125"),
            ("1.234,5", Some(true), false, "1234.5"),
            ("0,0125", None, false, "invalid_price"),
            ("0,0125", Some(false), true, "invalid_price"),
            ("0.0125", Some(true), true, "invalid_price"),
            ("1,234.5", None, true, "invalid_price"),
            ("-1", None, false, "invalid_price"),
            ("n/a", None, false, "invalid_price"),
            ("0.1234567890123", None, false, "invalid_price"),
        ] {
            let mut decimals = Decimals { comma, comma_free, ..Decimals::default() };
            let got = decimals.price(cell).map_or_else(|(code, _)| code.to_owned(), |price| price.to_string());
            assert_eq!(got, want, "{cell}");
        }
    }

    #[test]
    fn a_cell_of_increments() {
        let whole = Quantity::whole;
        assert_eq!(increments("60/1"), Ok((whole(60), Some(whole(1)))));
        assert_eq!(increments("6"), Ok((whole(6), None)));
        for bad in ["", "x", "-1", "60/", "1/2/3"] {
            assert!(increments(bad).is_err(), "{bad}");
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
            let _ = Decimals::default().price(&cell);
            let _ = increments(&cell);
        }
    }
}
