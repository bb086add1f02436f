//! Two records of one call: the second leg is no call of its own.
//!
//! A file grows, and one of the two may be charged before the other is written. So what is the second leg shows in its own
//! record, or else it is the later one of the file; one that may be a second leg and stands alone is refused.

use super::Row;
use crate::command::Problem;
use crate::sheet::shown;
use std::collections::HashMap;

/// What a record says of its channel and of the other one of its call.
#[derive(Debug, Clone, Default)]
pub(super) struct Leg {
    pub own: String,
    pub others: Vec<String>,
    /// Made to reach somebody.
    pub is_outbound: bool,
    /// Why it is no call of its own where the other's record is not there.
    pub alone: Option<Problem>,
}

/// A record that says `field`, and may be the second leg of a call.
pub(super) fn alone(field: &str, value: &str, what: &str) -> Problem {
    let detail = format!(
        "`{field}` {}: {what}, and the other leg's record is not beside it: it is not charged, as the other one may be; if such records \
         are calls of their own, say so by `both_legs`: true",
        shown(value)
    );
    Problem::field("second_leg", field, detail)
}

/// Of two records that are usage and name one another, the second leg is skipped: the one that was made to reach somebody,
/// else the later one of the file. `legs`: of each row, in order.
pub(super) fn skip_second(rows: &mut [Row], legs: &[Leg]) {
    skip_pairs(rows, legs);
    for (row, leg) in rows.iter_mut().zip(legs) {
        if let (Row::Event { line, event }, Some(problem)) = (&mut *row, &leg.alone) {
            *row = Row::Refused { line: *line, id: std::mem::take(&mut event.id), problem: problem.clone() };
        }
    }
}

fn skip_pairs(rows: &mut [Row], legs: &[Leg]) {
    let is_usage: Vec<bool> = rows.iter().map(|row| matches!(row, Row::Event { .. })).collect();
    let used = |number: &usize| is_usage.get(*number).copied().unwrap_or_default();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for (number, leg) in legs.iter().enumerate().filter(|(number, leg)| used(number) && !leg.own.is_empty()) {
        // Of the same record twice the first one.
        by_name.entry(leg.own.as_str()).or_insert(number);
    }
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
    let rank = |number: usize| legs.get(number).map(|leg| (leg.is_outbound, number));
    if rank(a) > rank(b) { a } else { b }
}
