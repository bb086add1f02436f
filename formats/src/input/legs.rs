//! Two records of one call: the second leg is no call of its own.
//!
//! A file grows, and one of the two may be charged before the other is written. So what is the
//! second leg shows in its own record, or else it is the later one of the file; one that may be a
//! second leg and stands alone is refused.

use super::row::Row;
use crate::numbers;
use crate::sheet::shown;
use problem::{Code, Problem};
use std::collections::{HashMap, HashSet};

/// Digits of the shortest number that is no extension of the switch's own.
const OUTSIDE_DIGITS_MIN: usize = 7;

/// Why a record is no call.
pub(super) const SECOND_LEG: &str = "a second leg of the call";

/// What a record says of its channel and of the other one of its call.
#[derive(Debug, Clone, Default)]
pub(super) struct Leg {
    pub own: String,
    pub others: Vec<String>,
    /// Made to reach somebody.
    pub is_outbound: bool,
    /// It is the second half of a channel; the first half.
    pub half_of: Option<String>,
    /// Somebody called in on it, and it says so by this field and the other leg's name: of two such
    /// nothing tells which is the call.
    pub came_in: Option<(&'static str, String)>,
    /// Why it is no call of its own where the other's record is not there.
    pub alone: Option<Problem>,
    /// It is the second half of a channel of the switch's own, which both halves tell of: beside
    /// the first it is known what it is.
    pub is_local_second: bool,
    /// It goes out over a trunk, so that a short number is no extension.
    pub over_trunk: bool,
    /// Of an answered leg that is a second one by its own record, and so no row of a call: the
    /// number that it went to.
    pub reached: Option<String>,
    /// The channel whose other half this record's own is: the switch called it, and it called
    /// somebody.
    pub called_by_switch: Option<CalledHalf>,
}

/// A first half of a channel that has a record of its own, because the switch itself made the
/// channel (a call file, say).
#[derive(Debug, Clone)]
pub(super) struct CalledHalf {
    /// What the second half's record is called.
    pub channel: String,
    /// It dialled nobody: the number is in the other half's record.
    pub is_silent: bool,
}

/// A record that says `field`, and may be the second leg of a call.
pub(super) fn alone(field: &str, value: &str, what: &str) -> Problem {
    refused(
        field,
        value,
        &format!(
            "{what}, and the other leg's record is not beside it: it is not charged, as the other \
                one may be"
        ),
    )
}

pub(super) fn refused(field: &str, value: &str, why: &str) -> Problem {
    let detail = format!(
        "`{field}` {}: {why}; if such records are calls of their own, say so by `both_legs`: true",
        shown(value)
    );
    Problem::field(Code::SecondLeg, field, detail)
}

/// Of two records that are usage and name one another, the second leg is skipped: the one that was
/// made to reach somebody, else the later one of the file. Of two that both came in none is
/// charged, unless one of them asked for the other. One that goes to another number outside is no
/// second leg of the first (a call that was forwarded): it is refused. `legs`: of each row, in
/// order.
pub(super) fn skip_second(rows: &mut [Row], legs: &[Leg]) {
    let stands = settle_called(rows, legs);
    skip_halves(rows, legs);
    let pairs = pairs(rows, legs);
    let mut is_beside = vec![false; legs.len()];
    for (first, second, _) in pairs.iter().filter(|(.., are_calls)| !are_calls) {
        // Where each names the other, it is settled.
        let is_used = matches!(rows.get(*second), Some(Row::Event { .. }));
        if goes_elsewhere(rows, legs, *first, *second) {
            refuse(rows.get_mut(*second), &elsewhere(legs.get(*second)));
        } else if let Some(row) = rows.get_mut(*second).filter(|_| is_used) {
            *row = Row::Skipped {
                line: row.line(),
                why: SECOND_LEG.to_owned(),
            };
        }
        if let (Some(leg), Some(is_beside)) = (legs.get(*first), is_beside.get_mut(*first)) {
            *is_beside = leg.came_in.is_some();
        }
    }
    for (first, second, _) in pairs.iter().filter(|(.., are_calls)| *are_calls) {
        let both = [*first, *second].map(|number| (number, legs.get(number)));
        if both
            .iter()
            .all(|(_, leg)| leg.is_some_and(|leg| leg.alone.is_none()))
        {
            for (number, leg) in both {
                let Some((field, other)) = leg.and_then(|leg| leg.came_in.as_ref()) else {
                    continue;
                };
                let why = "both legs came in, and nothing says which of them is the call: neither \
                    is charged";
                refuse(rows.get_mut(number), &refused(field, other, why));
            }
        }
    }
    refuse_reached(rows, legs);
    let is_settled = is_beside
        .into_iter()
        .zip(stands)
        .map(|(is_beside, stands)| is_beside || stands);
    for ((row, leg), _) in rows
        .iter_mut()
        .zip(legs)
        .zip(is_settled)
        .filter(|(_, is_settled)| !is_settled)
    {
        if let Some(problem) = &leg.alone {
            refuse(Some(row), problem);
        }
    }
}

/// Second legs by their own record that went to another number outside than the one of the call
/// that they are of: the call was forwarded, and which of the two is to be charged is not known.
fn refuse_reached(rows: &mut [Row], legs: &[Leg]) {
    let is_used = |number: usize| matches!(rows.get(number), Some(Row::Event { .. }));
    let calls: HashMap<&str, usize> = legs
        .iter()
        .enumerate()
        .filter(|(number, _)| is_used(*number))
        .map(|(number, leg)| (leg.own.as_str(), number))
        .collect();
    let forwarded = legs.iter().enumerate().filter(|(number, leg)| {
        let is_skipped =
            matches!(rows.get(*number), Some(Row::Skipped { why, .. }) if why == SECOND_LEG);
        let call = leg
            .others
            .iter()
            .filter(|other| **other != leg.own)
            .find_map(|other| calls.get(other.as_str()));
        is_skipped && call.is_some_and(|call| goes_elsewhere(rows, legs, *call, *number))
    });
    let forwarded: Vec<usize> = forwarded.map(|(number, _)| number).collect();
    for number in forwarded {
        if let (Some(row), Some(leg)) = (rows.get_mut(number), legs.get(number)) {
            *row = Row::Refused {
                line: row.line(),
                id: leg.own.clone(),
                problem: elsewhere(Some(leg)),
            };
        }
    }
}

fn elsewhere(leg: Option<&Leg>) -> Problem {
    let field = if leg.is_some_and(|leg| leg.is_local_second) {
        "channel"
    } else {
        "uuid"
    };
    let why = "it goes to another number than the record beside it, which is charged: whether it \
        is a call of its own is not known";
    refused(field, leg.map_or("", |leg| leg.own.as_str()), why)
}

/// The call goes on to a number outside that is not the one of the first record, but for what is
/// dialled for an outside line or a call abroad. A short number is outside where it leaves over a
/// trunk.
fn goes_elsewhere(rows: &[Row], legs: &[Leg], first: usize, second: usize) -> bool {
    let leg = legs.get(second);
    let dialled = |number: usize| {
        let called = match rows.get(number) {
            Some(Row::Event { event, .. }) => event.destination.as_deref(),
            _ => legs.get(number).and_then(|leg| leg.reached.as_deref()),
        };
        called.and_then(|text| numbers::normalise(text, None))
    };
    let Some(on) = dialled(second) else {
        return false;
    };
    let from = dialled(first).unwrap_or_default();
    let (on, from) = (on.trim_start_matches('0'), from.trim_start_matches('0'));
    if on.len() >= OUTSIDE_DIGITS_MIN {
        let is_same =
            from.ends_with(on) || (on.ends_with(from) && from.len() >= OUTSIDE_DIGITS_MIN);
        return !is_same;
    }
    let is_form = |long: &str, short: &str| {
        !short.is_empty() && (long.ends_with(short) || long.starts_with(short))
    };
    leg.is_some_and(|leg| leg.over_trunk)
        && !on.is_empty()
        && !is_form(on, from)
        && !is_form(from, on)
}

/// Second halves of channels beside a record of the first half that is no usage, or that dialled
/// nobody: they are the call. Of a first half that dialled somebody itself, both are calls, and
/// nothing says which of them is to be charged: the second is refused.
fn settle_called(rows: &mut [Row], legs: &[Leg]) -> Vec<bool> {
    let mut stands = vec![false; legs.len()];
    let is_used = |row: Option<&Row>| matches!(row, Some(Row::Event { .. }));
    let seconds = legs
        .iter()
        .enumerate()
        .filter(|(number, leg)| leg.is_local_second && is_used(rows.get(*number)));
    let seconds: HashMap<String, usize> = seconds
        .map(|(number, leg)| (leg.own.clone(), number))
        .collect();
    for (number, leg) in legs.iter().enumerate() {
        let called = leg.called_by_switch.as_ref();
        let channels = called
            .map(|half| &half.channel)
            .into_iter()
            .chain(&leg.others);
        let Some(&second) = channels
            .filter_map(|channel| seconds.get(channel))
            .find(|second| **second != number)
        else {
            continue;
        };
        let Some(row) = rows.get_mut(number) else {
            continue;
        };
        match (&*row, called) {
            (Row::Event { line, .. }, Some(half)) if half.is_silent => {
                *row = Row::Skipped {
                    line: *line,
                    why: SECOND_LEG.to_owned(),
                };
                mark(&mut stands, second);
            }
            (Row::Event { .. }, Some(_)) => {
                let why = "the first half has a record of its own, which dialled somebody too: \
                    that one is charged, and this one is not";
                refuse(
                    rows.get_mut(second),
                    &refused(
                        "channel",
                        legs.get(second).map_or("", |leg| leg.own.as_str()),
                        why,
                    ),
                );
            }
            // It calls through the second half: a pair as others are.
            (Row::Event { .. }, None) => {}
            (row, _) if is_no_usage(row) => mark(&mut stands, second),
            _ => {}
        }
    }
    stands
}

fn mark(stands: &mut [bool], number: usize) {
    if let Some(stands) = stands.get_mut(number) {
        *stands = true;
    }
}

/// Of nobody's account, or not answered: it is not charged, and will not be.
fn is_no_usage(row: &Row) -> bool {
    match row {
        Row::Skipped { .. } => true,
        Row::Refused { problem, .. } => {
            problem.code == Code::MissingField && problem.field.as_deref() == Some("customer")
        }
        Row::Event { .. } => false,
    }
}

/// The second half of a channel whose first half is a second leg: the call is that of whoever it
/// was made for.
fn skip_halves(rows: &mut [Row], legs: &[Leg]) {
    let is_second = |row: &Row| matches!(row, Row::Skipped { why, .. } if why == SECOND_LEG);
    let skipped: HashSet<&str> = rows
        .iter()
        .zip(legs)
        .filter(|(row, _)| is_second(row))
        .map(|(_, leg)| leg.own.as_str())
        .collect();
    for (row, leg) in rows.iter_mut().zip(legs) {
        let is_of_one = leg
            .half_of
            .as_deref()
            .is_some_and(|first| !first.is_empty() && skipped.contains(first));
        if is_of_one && matches!(row, Row::Event { .. }) {
            *row = Row::Skipped {
                line: row.line(),
                why: SECOND_LEG.to_owned(),
            };
        }
    }
}

fn refuse(row: Option<&mut Row>, problem: &Problem) {
    if let Some(row) = row
        && let Row::Event { line, event } = row
    {
        *row = Row::Refused {
            line: *line,
            id: std::mem::take(&mut event.id),
            problem: problem.clone(),
        };
    }
}

/// Two records that are usage, of which one names the other: the first and the second leg, and
/// whether somebody called in on both.
fn pairs(rows: &[Row], legs: &[Leg]) -> Vec<(usize, usize, bool)> {
    let used = |number: &usize| {
        rows.get(*number)
            .is_some_and(|row| matches!(row, Row::Event { .. }))
    };
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for (number, leg) in legs
        .iter()
        .enumerate()
        .filter(|(number, leg)| used(number) && !leg.own.is_empty())
    {
        // Of the same record twice the first one.
        by_name.entry(leg.own.as_str()).or_insert(number);
    }
    let pairs = legs
        .iter()
        .enumerate()
        .filter(|(number, _)| used(number))
        .flat_map(|(number, leg)| {
            let others = leg
                .others
                .iter()
                .filter_map(|other| by_name.get(other.as_str()).copied());
            others.map(move |other| (number, other))
        });
    // The same record twice is no other leg: it is a duplicate.
    let is_other =
        |a: usize, b: usize| legs.get(a).map(|leg| &leg.own) != legs.get(b).map(|leg| &leg.own);
    let came_in = |number: usize| legs.get(number).is_some_and(|leg| leg.came_in.is_some());
    let ordered = pairs.filter(|(a, b)| is_other(*a, *b)).map(|(a, b)| {
        let second = second(legs, a, b);
        (
            if second == a { b } else { a },
            second,
            came_in(a) && came_in(b),
        )
    });
    ordered.collect()
}

fn second(legs: &[Leg], a: usize, b: usize) -> usize {
    let rank = |number: usize| {
        legs.get(number)
            .map(|leg| (leg.half_of.is_some(), leg.is_outbound, number))
    };
    if rank(a) > rank(b) { a } else { b }
}
