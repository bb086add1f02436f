//! A check under way: how much it examined, and the differences that it found.

use crate::Check;
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::BuildHasher;

/// Differences listed per check; the rest is only counted as failure.
pub const DIFFERENCES_MAX: usize = 10;

/// A check under way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) examined: u64,
    pub(super) failed: bool,
    pub(super) differences: Vec<String>,
}

impl Tally {
    pub(super) fn differs(&mut self, what: impl Display) {
        self.failed = true;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(what.to_string());
        }
    }
    pub(super) fn into_check(self, name: &str) -> Check {
        Check {
            name: name.to_owned(),
            ok: !self.failed,
            examined: self.examined,
            differences: self.differences,
        }
    }
}

pub(super) fn compare<
    K: Eq + std::hash::Hash + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
    S: BuildHasher,
    T: BuildHasher,
>(
    what: &str,
    worked_out: &HashMap<K, V, S>,
    stored: &HashMap<K, V, T>,
    is_same: fn(&V, &V) -> bool,
    tally: &mut Tally,
) {
    for (key, value) in worked_out {
        if stored.get(key).is_none_or(|stored| !is_same(stored, value)) {
            tally.differs(format_args!(
                "{what} {key:?}: {:?} is stored, {value:?} follows from the records",
                stored.get(key)
            ));
        }
    }
    for key in stored.keys().filter(|key| !worked_out.contains_key(key)) {
        tally.differs(format_args!("{what} {key:?}: stored without a record"));
    }
}
