//! Lists of a rate that are empty: they may mean none or all.

use crate::validate::{MISTAKES_MAX, Mistake};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// `[]`, or with spaces between.
pub(super) fn has_empty_list(json: &[u8]) -> bool {
    json.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'[')
        .any(|(at, _)| {
            let mut behind = json.get(at + 1..).unwrap_or_default().iter();
            behind.find(|byte| !byte.is_ascii_whitespace()) == Some(&b']')
        })
}

/// Lists of what a rate is limited to, and that limit it to nothing; a rate without them is not
/// limited at all.
pub(super) fn empty_lists(json: &[u8]) -> Vec<Mistake> {
    #[derive(Deserialize)]
    struct Rates {
        rates: Vec<Limits>,
    }
    #[derive(Deserialize)]
    struct Limits {
        prefixes: Option<Vec<IgnoredAny>>,
        origin_prefixes: Option<Vec<IgnoredAny>>,
        window: Option<Days>,
    }
    #[derive(Deserialize)]
    struct Days {
        weekdays: Option<Vec<IgnoredAny>>,
        months: Option<Vec<IgnoredAny>>,
        month_days: Option<Vec<IgnoredAny>>,
        years: Option<Vec<IgnoredAny>>,
    }
    let Ok(found) = serde_json::from_slice::<Rates>(json) else {
        return Vec::new();
    };
    let mut bad = Vec::new();
    for (index, rate) in found.rates.into_iter().enumerate() {
        let days = rate.window.map_or([const { None }; 4], |days| {
            [days.weekdays, days.months, days.month_days, days.years]
        });
        let days = [
            "window.weekdays",
            "window.months",
            "window.month_days",
            "window.years",
        ]
        .into_iter()
        .zip(days);
        let lists = [
            ("prefixes", rate.prefixes),
            ("origin_prefixes", rate.origin_prefixes),
        ]
        .into_iter()
        .chain(days);
        let empty = lists
            .filter(|(_, list)| list.as_ref().is_some_and(Vec::is_empty))
            .map(|(path, _)| path);
        bad.extend(empty.map(|path| {
            Mistake::new(
                format!("rates[{index}].{path}"),
                "empty_list",
                "an empty list may mean none or all: expected some, or no such field for all",
            )
        }));
    }
    bad.truncate(MISTAKES_MAX);
    bad
}
