//! The prefixes of a card against the numbers that they will meet ([`formats::numbers`]). A deck's
//! own are read as numbers are; those of a card that somebody wrote are digits, and may be none
//! that a number begins with.

use formats::numbers;
use rating::card::CardDoc;
use rating::validate::{MISTAKES_MAX, Mistake};

/// Prefixes that nothing begins with: what is dialled to reach another country stands before them,
/// or the zero that is dialled inside a country only is in them, and they are longer than short
/// numbers.
pub fn mistakes(doc: &CardDoc) -> Vec<Mistake> {
    let wrong = |prefix: &str| {
        let digits = numbers::behind_international(prefix).unwrap_or(prefix);
        if digits.len() == prefix.len() && !is_too_long_for_short(prefix) {
            return None;
        }
        let expected = numbers::prefix_as_arriving(digits);
        let is_wrong = digits.len() < prefix.len() || expected != digits;
        is_wrong.then(|| {
            format!(
                "no number begins with {prefix:?}: numbers arrive as 4930123456; \
            expected {expected:?}"
            )
        })
    };
    said(doc, "no_such_number", wrong)
}

/// What publishing says of a card's prefixes: those that no number with a country code begins with,
/// and that may be a short number, are that alone; those that are an emergency number, and that
/// numbers with a country code begin with, are both.
pub fn warnings(doc: &CardDoc) -> Vec<Mistake> {
    let mut said = short_alone(doc);
    said.extend(short_and_abroad(doc));
    said.truncate(MISTAKES_MAX);
    said
}

/// A rate made for 911 is one for all of +91 1 as well.
fn short_and_abroad(doc: &CardDoc) -> Vec<Mistake> {
    let doubtful = |prefix: &str| {
        let (code, rest) = numbers::behind_country_code(prefix).filter(|_| is_emergency(prefix))?;
        Some(format!(
            "{prefix:?} is an emergency or service number, and numbers abroad begin with it too \
                (+{code} {rest}…): they cost the same; where \
             only the short number is meant, give {prefix}0 to {prefix}9 the price of those abroad"
        ))
    };
    said(doc, "short_number_too", doubtful)
}

/// Emergency and service numbers of two and three digits that are no country's code, as far as
/// numbers abroad begin so.
fn is_emergency(prefix: &str) -> bool {
    const NUMBERS: &str = "15 17 18 19 122 123 125 127 128 129 130 131 132 133 134 135 137 140 \
        141 143 144 145 147 148 149 150 151 152 153 154 \
         155 156 157 158 159 160 161 162 165 166 170 171 175 177 180 181 185 188 190 191 192 193 \
         194 195 196 197 198 199 \
         311 411 511 611 711 811 911 912 988";
    NUMBERS
        .split_ascii_whitespace()
        .any(|known| known == prefix)
}

fn short_alone(doc: &CardDoc) -> Vec<Mistake> {
    let doubtful = |prefix: &str| {
        let is_odd =
            !is_too_long_for_short(prefix) && numbers::prefix_as_arriving(prefix) != prefix;
        let expected = numbers::prefix_as_arriving(prefix);
        is_odd.then(|| {
            format!(
                "{prefix:?} is the short number {prefix} alone: longer ones arrive without the 0 \
                    after the country code, as {expected:?}"
            )
        })
    };
    said(doc, "short_number_only", doubtful)
}

fn is_too_long_for_short(prefix: &str) -> bool {
    prefix.len() >= numbers::INTERNATIONAL_DIGITS_MIN
}

fn said(doc: &CardDoc, code: &'static str, of: impl Fn(&str) -> Option<String>) -> Vec<Mistake> {
    let lists = doc.rates.iter().enumerate().flat_map(|(index, rate)| {
        let lists = [
            ("prefixes", &rate.prefixes),
            ("origin_prefixes", &rate.origin_prefixes),
        ];
        lists.into_iter().flat_map(move |(name, list)| {
            list.iter()
                .enumerate()
                .map(move |(at, prefix)| (index, name, at, prefix))
        })
    });
    let found = lists.filter_map(|(index, name, at, prefix)| {
        of(prefix).map(|message| Mistake {
            path: format!("rates[{index}].{name}[{at}]"),
            code,
            message,
        })
    });
    found.take(MISTAKES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_what_a_number_begins_with() {
        let told = |prefix: &str| {
            let rate =
                format!(r#"{{"key":"a","meter":"call","prefixes":["{prefix}"],"blocked":true}}"#);
            let doc: CardDoc =
                serde_json::from_str(&format!(r#"{{"currency":"EUR","rates":[{rate}]}}"#)).unwrap();
            let all = mistakes(&doc).into_iter().chain(warnings(&doc));
            all.map(|said| format!("{} {}", said.path, said.code))
                .collect::<Vec<_>>()
                .join(" ")
        };
        for (prefix, want) in [
            ("", ""),
            ("49", ""),
            ("4930", ""),
            ("49900", ""),
            ("3906", ""),
            ("1212555", ""),
            ("112", ""),
            ("0800", ""),
            ("030", ""),
            ("0049", "rates[0].prefixes[0] no_such_number"),
            ("004930", "rates[0].prefixes[0] no_such_number"),
            ("49030123", "rates[0].prefixes[0] no_such_number"),
            ("490", "rates[0].prefixes[0] short_number_only"),
            ("49030", "rates[0].prefixes[0] short_number_only"),
            // Of India, of North America.
            ("911", "rates[0].prefixes[0] short_number_too"),
            ("15", "rates[0].prefixes[0] short_number_too"),
            ("9111", ""),
            ("1514", ""),
            ("211", ""),
            ("110", ""),
            ("999", ""),
        ] {
            assert_eq!(told(prefix), want, "{prefix}");
        }
    }
}
