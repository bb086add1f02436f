//! Two records of one call in one file: the second leg is no call of its own.

use super::Row;
use std::collections::HashMap;

/// What a record says of its channel and of the other one of its call.
#[derive(Debug, Clone, Default)]
pub(super) struct Leg {
    pub own: String,
    pub others: Vec<String>,
    /// Made to reach somebody.
    pub is_outbound: bool,
    /// When it began, as the file writes it.
    pub began: String,
}

/// Of two records that are usage and name one another, the second leg is skipped: the one that was made to reach somebody,
/// else the later one. `legs`: of each row, in order.
pub(super) fn skip_second(rows: &mut [Row], legs: &[Leg]) {
    let is_usage: Vec<bool> = rows.iter().map(|row| matches!(row, Row::Event { .. })).collect();
    let used = |number: &usize| is_usage.get(*number).copied().unwrap_or_default();
    let by_name: HashMap<&str, usize> = legs
        .iter()
        .enumerate()
        .filter(|(number, leg)| used(number) && !leg.own.is_empty())
        .map(|(number, leg)| (leg.own.as_str(), number))
        .collect();
    let pairs = legs.iter().enumerate().filter(|(number, _)| used(number)).flat_map(|(number, leg)| {
        let others = leg.others.iter().filter_map(|other| by_name.get(other.as_str()).copied());
        others.map(move |other| (number, other))
    });
    // The same record twice is no other leg: it is a duplicate.
    let is_other = |a: usize, b: usize| legs.get(a).map(|leg| &leg.own) != legs.get(b).map(|leg| &leg.own);
    let seconds: Vec<usize> = pairs.filter(|(a, b)| is_other(*a, *b)).map(|(a, b)| second(legs, a, b)).collect();
    for number in seconds {
        if let Some(row) = rows.get_mut(number) {
            *row = Row::Skipped { line: row.line(), why: "a second leg of the call".to_owned() };
        }
    }
}

fn second(legs: &[Leg], a: usize, b: usize) -> usize {
    let rank = |number: usize| legs.get(number).map(|leg| (leg.is_outbound, leg.began.as_str(), number));
    if rank(a) > rank(b) { a } else { b }
}
