//! Decimals as people write them. `1.234,5` and `1,234.5` are one number with two marks: which of
//! them is decimal is stated, or shown by the file itself, or the number is refused.

use std::borrow::Cow;

/// What stands before the decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// By default: nobody said what a comma is, so there is none.
    Point,
    /// As stated: commas stand between groups of digits.
    GroupedPoint,
    Comma,
}

impl Mark {
    fn decimal(self) -> char {
        match self {
            Self::Point | Self::GroupedPoint => '.',
            Self::Comma => ',',
        }
    }
    fn between_groups(self) -> Option<char> {
        match self {
            Self::Point => None,
            Self::GroupedPoint => Some(','),
            Self::Comma => Some('.'),
        }
    }
}

/// Spaces and apostrophes stand between groups of three digits whatever the mark.
const OTHER_GROUP_MARKS: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\'', '\u{2019}'];

/// The number in digits and a point. Groups have three digits each, and there are none behind the
/// mark; anything else (`90.5` by a decimal comma, `1,23`) is `None`.
pub fn plain(text: &str, mark: Mark) -> Option<Cow<'_, str>> {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (sign, unsigned) = if text.starts_with('-') {
        text.split_at(1)
    } else {
        ("", text.strip_prefix('+').unwrap_or(text))
    };
    let (whole, fraction) = match unsigned.split_once(mark.decimal()) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    if fraction.is_some_and(|fraction| fraction.is_empty() || !digits(fraction))
        || (whole.is_empty() && fraction.is_none())
    {
        return None;
    }
    let whole = if digits(whole) {
        Cow::Borrowed(whole)
    } else {
        Cow::Owned(without_groups(whole, mark)?)
    };
    match (fraction, &whole) {
        (None, Cow::Borrowed(whole)) if sign.is_empty() => Some(Cow::Borrowed(*whole)),
        (fraction, whole) => {
            let (zero, point) = (
                if whole.is_empty() { "0" } else { "" },
                if fraction.is_some() { "." } else { "" },
            );
            Some(Cow::Owned(format!(
                "{sign}{zero}{whole}{point}{}",
                fraction.unwrap_or_default()
            )))
        }
    }
}

fn without_groups(whole: &str, mark: Mark) -> Option<String> {
    let between = whole.chars().find(|c| !c.is_ascii_digit())?;
    if Some(between) != mark.between_groups() && !OTHER_GROUP_MARKS.contains(&between) {
        return None;
    }
    let mut groups = whole.split(between);
    let first = groups.next().unwrap_or_default();
    let is_first = (1..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_digit());
    let is_group = |group: &str| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit());
    (is_first && !first.starts_with('0') && groups.all(is_group))
        .then(|| whole.replace(between, ""))
}

/// May the comma or point of `text` stand between groups as well as before decimals (`1,234`)?
pub fn is_doubtful(text: &str) -> bool {
    [Mark::GroupedPoint, Mark::Comma]
        .into_iter()
        .all(|mark| plain(text, mark).is_some())
        && text.contains([',', '.'])
}

/// Digits that an exponent moves, exactly: `1e-7` → `0.0000001`. `None`: not such a number, or
/// longer than any of ours.
pub fn without_exponent(text: &str) -> Option<Cow<'_, str>> {
    const MOVED_MAX: i32 = 40;
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Some(Cow::Borrowed(text));
    };
    let exponent: i32 = exponent
        .strip_prefix('+')
        .unwrap_or(exponent)
        .parse()
        .ok()
        .filter(|e: &i32| e.abs() <= MOVED_MAX)?;
    let (sign, mantissa) = if mantissa.starts_with('-') {
        mantissa.split_at(1)
    } else {
        ("", mantissa)
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty()
        || !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let moved = match usize::try_from(point) {
        Err(_) | Ok(0) => format!("0.{}{digits}", "0".repeat(usize::try_from(-point).ok()?)),
        Ok(point) if point >= digits.len() => {
            format!("{digits}{}", "0".repeat(point - digits.len()))
        }
        Ok(point) => format!("{}.{}", &digits[..point], &digits[point..]),
    };
    let moved = moved.trim_start_matches('0');
    let moved = if moved.contains('.') {
        moved.trim_end_matches('0').trim_end_matches('.')
    } else {
        moved
    };
    let zero = if moved.is_empty() || moved.starts_with('.') {
        "0"
    } else {
        ""
    };
    Some(Cow::Owned(format!("{sign}{zero}{moved}")))
}

/// Digits and an exponent, however large: `1e400`.
pub fn has_exponent(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return false;
    };
    let [mantissa, exponent] = [mantissa, exponent].map(|part| part.trim_start_matches(['+', '-']));
    digits(exponent) && digits(&mantissa.replacen('.', "", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_means_one_thing() {
        for (text, by_point, by_comma) in [
            ("90", "90", "90"),
            ("90.5", "90.5", "-"),
            ("90,5", "-", "90.5"),
            ("1.234,5", "-", "1234.5"),
            ("1,234.5", "1234.5", "-"),
            ("1.234.567", "-", "1234567"),
            ("1.234", "1.234", "1234"),
            ("0.234", "0.234", "-"),
            ("1 234,5", "-", "1234.5"),
            ("1'234.50", "1234.50", "-"),
            (".5", "0.5", "-"),
            (",5", "-", "0.5"),
            ("-1.5", "-1.5", "-"),
            ("1,5.2", "-", "-"),
            ("1.5,2", "-", "-"),
            ("1,23,456", "-", "-"),
            ("5.", "-", "-"),
            ("", "-", "-"),
            (".", "-", "-"),
            ("1e3", "-", "-"),
        ] {
            assert_eq!(
                plain(text, Mark::GroupedPoint).as_deref().unwrap_or("-"),
                by_point,
                "{text}"
            );
            let ungrouped = if text.contains(',') { "-" } else { by_point };
            assert_eq!(
                plain(text, Mark::Point).as_deref().unwrap_or("-"),
                ungrouped,
                "{text}"
            );
            assert_eq!(
                plain(text, Mark::Comma).as_deref().unwrap_or("-"),
                by_comma,
                "{text}"
            );
            assert_eq!(
                is_doubtful(text),
                by_point != "-" && by_comma != "-" && text != "90",
                "{text}"
            );
        }
    }

    #[test]
    fn exponents_are_moved_exactly() {
        for (text, want) in [
            ("1e-7", "0.0000001"),
            ("1E-05", "0.00001"),
            ("1.25e2", "125"),
            ("1.5e-3", "0.0015"),
            ("6e+2", "600"),
            ("-2.50e1", "-25"),
            ("0e5", "0"),
            ("600", "600"),
            ("12.5e-1", "1.25"),
            ("1e99", "-"),
            ("e5", "-"),
            ("1e", "-"),
            ("1e5e5", "-"),
        ] {
            assert_eq!(
                without_exponent(text).as_deref().unwrap_or("-"),
                want,
                "{text}"
            );
        }
    }
}
