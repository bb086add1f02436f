//! Rates between which the match could not decide.
//!
//! Two rates tie when some event could match both with the same rank: the same meter, destination
//! prefix and origin prefix, as many attributes with none that excludes the other, the same
//! `effective_from` and `priority`, and windows that may overlap.

use super::{MISTAKES_MAX, Mistake};
use crate::card::Rate;
use crate::prefix::Packed;
use crate::window::Window;
use std::collections::{HashMap, HashSet};

/// Pairs of rates that are compared at most: beyond, the card is refused.
pub const PAIRS_MAX: usize = 5_000_000;

/// Meter, prefix and rate by number; sorted, the rates of a prefix stand together.
type Entry = (u32, Packed, usize);

pub fn check(rates: &[Rate], bad: &mut Vec<Mistake>) {
    let mut meters: HashMap<&str, u32> = HashMap::new();
    let mut entries: Vec<Entry> = Vec::with_capacity(rates.len());
    for (index, rate) in rates.iter().enumerate() {
        let next = u32::try_from(meters.len()).unwrap_or(u32::MAX);
        let meter = *meters.entry(&rate.meter).or_insert(next);
        let none = rate.prefixes.is_empty().then_some("");
        let packed = rate
            .prefixes
            .iter()
            .map(String::as_str)
            .chain(none)
            .filter_map(Packed::new);
        entries.extend(packed.map(|prefix| (meter, prefix, index)));
    }
    entries.sort_unstable();
    let mut search = Search {
        rates,
        bad,
        seen: HashSet::new(),
        pairs_left: PAIRS_MAX,
    };
    for same in entries
        .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
        .filter(|same| same.len() > 1)
    {
        if search.bad.len() >= MISTAKES_MAX {
            return;
        }
        if !search.prefix(same) {
            search.bad.push(Mistake::new(
                "rates",
                "too_many_overlaps",
                "too many rates share a prefix: tell them apart by priority",
            ));
            return;
        }
    }
}

struct Search<'a> {
    rates: &'a [Rate],
    bad: &'a mut Vec<Mistake>,
    seen: HashSet<(usize, usize)>,
    pairs_left: usize,
}

/// A rate of the prefix at hand with its window made ready.
struct Rival<'a> {
    index: usize,
    rate: &'a Rate,
    window: Option<Window>,
}

impl<'a> Search<'a> {
    /// `false`: too many pairs.
    fn prefix(&mut self, same: &[Entry]) -> bool {
        if let Some(twice) = same.windows(2).find(|pair| pair[0].2 == pair[1].2) {
            self.duplicate(twice[0].2, twice[0].1);
            return true;
        }
        let (rates, prefix) = (self.rates, same[0].1);
        let mut rivals: Vec<Rival<'_>> = same
            .iter()
            .map(|&(_, _, index)| Rival {
                index,
                rate: &rates[index],
                window: rates[index]
                    .window
                    .as_ref()
                    .and_then(|w| Window::compile(w).ok()),
            })
            .collect();
        let rank = |rival: &Rival<'a>| {
            (
                rival.rate.effective_from,
                rival.rate.priority,
                rival.rate.attributes.len(),
            )
        };
        // Rates that set the same attributes stand together, equal values side by side.
        rivals.sort_by(|a, b| {
            rank(a)
                .cmp(&rank(b))
                .then_with(|| a.rate.attributes.cmp(&b.rate.attributes))
        });
        rivals.chunk_by(|a, b| rank(a) == rank(b)).all(|equals| {
            let names = |rival: &'a Rate| rival.attributes.keys();
            if equals
                .windows(2)
                .all(|pair| names(pair[0].rate).eq(names(pair[1].rate)))
            {
                return equals
                    .chunk_by(|a, b| a.rate.attributes == b.rate.attributes)
                    .all(|twins| self.compare(twins, prefix));
            }
            self.compare(equals, prefix)
        })
    }

    fn compare(&mut self, equals: &[Rival<'_>], prefix: Packed) -> bool {
        for (position, a) in equals.iter().enumerate() {
            for b in &equals[position + 1..] {
                let Some(left) = self.pairs_left.checked_sub(1) else {
                    return false;
                };
                self.pairs_left = left;
                if ties(a, b) {
                    self.tie(a.index.min(b.index), a.index.max(b.index), prefix);
                }
                if self.bad.len() >= MISTAKES_MAX {
                    return true;
                }
            }
        }
        true
    }

    fn tie(&mut self, first: usize, second: usize, prefix: Packed) {
        if self.seen.insert((first, second)) {
            let message = format!(
                "nothing decides between this and rates[{first}]: expected another effective_from \
                    or priority"
            );
            self.bad
                .push(Mistake::new(self.path(second, prefix), "tie", message));
        }
    }

    fn duplicate(&mut self, rate: usize, prefix: Packed) {
        self.bad.push(Mistake::new(
            self.path(rate, prefix),
            "duplicate_prefix",
            "the rate has this prefix twice",
        ));
    }

    fn path(&self, rate: usize, prefix: Packed) -> String {
        match self.rates[rate]
            .prefixes
            .iter()
            .rposition(|p| Packed::new(p) == Some(prefix))
        {
            Some(position) => format!("rates[{rate}].prefixes[{position}]"),
            None => format!("rates[{rate}]"),
        }
    }
}

fn ties(a: &Rival<'_>, b: &Rival<'_>) -> bool {
    let exclusive = a.rate.attributes.iter().any(|(name, value)| {
        b.rate
            .attributes
            .get(name)
            .is_some_and(|other| other != value)
    });
    if exclusive || !share_origin(&a.rate.origin_prefixes, &b.rate.origin_prefixes) {
        return false;
    }
    match (&a.window, &b.window) {
        (Some(a), Some(b)) => a.may_overlap(b),
        _ => true,
    }
}

/// No origin prefixes: the empty one.
fn share_origin(a: &[String], b: &[String]) -> bool {
    match (a, b) {
        ([], []) => true,
        ([], some) | (some, []) => some.iter().any(String::is_empty),
        (a, b) => {
            let known: HashSet<&str> = a.iter().map(String::as_str).collect();
            b.iter().any(|prefix| known.contains(prefix.as_str()))
        }
    }
}
