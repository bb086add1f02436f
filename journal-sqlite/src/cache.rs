//! Hot states in memory, bounded, and never ahead of what is committed.
//!
//! Two generations: what is used moves to the young one; when that is full the old one is
//! forgotten. "Absent in the database" is remembered too.

use super::pending::Pending;
use journal::open_holds::OpenHolds;
use journal::{Carries, Counted, CounterKey, State};
use ledger::{AccountKey, Balance, Hold};
use rating::fast::FastMap;
use rating::{TenantId, ids::HoldId};
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// States per kind in one generation (there are two).
const HOT_MAX: usize = 131_072;

#[derive(Debug)]
pub struct Hot<K, V> {
    young: FastMap<K, Option<V>>,
    old: FastMap<K, Option<V>>,
    max: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Hot<K, V> {
    pub fn new(max: usize) -> Self {
        Self {
            young: FastMap::default(),
            old: FastMap::default(),
            max,
        }
    }

    /// `None`: unknown. `Some(None)`: known to be absent.
    pub fn get(&mut self, key: &K) -> Option<Option<V>> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(key.clone(), value.clone());
        Some(value)
    }

    pub fn put(&mut self, key: K, value: Option<V>) {
        if self.young.len() >= self.max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Splits `keys` into what is known (put into `found`) and what must be read (returned, without
    /// repeats). What is pending comes first: it is newer.
    pub fn lookup(
        &mut self,
        keys: &[K],
        pending: &FastMap<K, V>,
        found: &mut FastMap<K, V>,
    ) -> Vec<K> {
        let mut missing: FastMap<&K, ()> = FastMap::default();
        // About as many as a batch of many customers has.
        found.reserve(keys.len() / 2);
        for key in keys {
            // Many keys of a batch are the same few: asked for once.
            let Entry::Vacant(free) = found.entry(key.clone()) else {
                continue;
            };
            if let Some(value) = pending.get(key) {
                free.insert(value.clone());
                continue;
            }
            match self.get(key) {
                Some(Some(value)) => drop(free.insert(value)),
                Some(None) => {}
                None => drop(missing.insert(key, ())),
            }
        }
        missing.into_keys().cloned().collect()
    }

    /// Remembers what was read for `keys`, also that nothing was there.
    pub fn learn(&mut self, keys: &[K], found: &FastMap<K, V>) {
        for key in keys {
            self.put(key.clone(), found.get(key).cloned());
        }
    }
}

/// All hot states. `commits` counts changes: what was read before a change is not learnt after it.
#[derive(Debug)]
pub struct HotStates {
    pub commits: u64,
    pub accounts: Hot<AccountKey, Balance>,
    pub carries: Hot<TenantId, Carries>,
    pub counters: Hot<CounterKey, Counted>,
    pub holds: Hot<HoldId, Hold>,
    /// Newer than their rows; never in the hot maps as well, or older there.
    pub pending: Pending,
    pub open_holds: OpenHolds,
    /// How many these are, for whoever measures.
    count: Arc<AtomicUsize>,
}

impl HotStates {
    pub fn new(open_holds: Vec<Hold>, pending: Pending, count: Arc<AtomicUsize>) -> Self {
        count.store(open_holds.len(), Ordering::Relaxed);
        Self {
            commits: 0,
            accounts: Hot::new(HOT_MAX),
            carries: Hot::new(HOT_MAX),
            counters: Hot::new(HOT_MAX),
            holds: Hot::new(HOT_MAX),
            pending,
            open_holds: open_holds.into_iter().collect(),
            count,
        }
    }

    /// Takes over the states of a batch that has been committed; `written`: with everything
    /// pending.
    pub fn committed(&mut self, state: State, records: usize, written: bool) {
        self.commits += 1;
        let State {
            accounts,
            carries,
            counters,
            holds,
            ..
        } = state;
        holds.values().for_each(|hold| self.open_holds.set(hold));
        self.count.store(self.open_holds.len(), Ordering::Relaxed);
        self.pending
            .add(accounts, carries, counters, holds, records);
        if written {
            self.written();
        }
    }

    /// After a commit whose outcome was unknown: only what has been read again is known.
    pub fn start_again(&mut self, open_holds: Vec<Hold>, pending: Pending) {
        *self = Self {
            commits: self.commits + 1,
            ..Self::new(open_holds, pending, Arc::clone(&self.count))
        };
    }
}

impl HotStates {
    /// The rows include everything pending.
    pub fn written(&mut self) {
        let Pending {
            accounts,
            carries,
            counters,
            holds,
            ..
        } = std::mem::take(&mut self.pending);
        accounts
            .into_iter()
            .for_each(|(key, value)| self.accounts.put(key, Some(value)));
        carries
            .into_iter()
            .for_each(|(key, value)| self.carries.put(key, Some(value)));
        counters
            .into_iter()
            .for_each(|(key, value)| self.counters.put(key, Some(value)));
        holds
            .into_iter()
            .for_each(|(key, value)| self.holds.put(key, Some(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_and_what_is_used_stays() {
        let mut hot: Hot<u32, u32> = Hot::new(4);
        for key in 0..100 {
            hot.put(key, Some(key));
            assert_eq!(hot.get(&0), Some(Some(0)), "after {key}");
        }
        assert!(hot.young.len() + hot.old.len() <= 8);
        assert_eq!(hot.get(&50), None);
        hot.put(7, None);
        assert_eq!(hot.get(&7), Some(None));
    }

    #[test]
    fn a_newer_value_hides_an_older_one() {
        let mut hot: Hot<u32, u32> = Hot::new(1);
        hot.put(1, Some(1));
        hot.put(2, Some(2));
        hot.put(1, Some(3));
        assert_eq!(hot.get(&1), Some(Some(3)));
    }
}
