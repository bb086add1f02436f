//! The states of one batch, by key: as they were loaded, and as its commands changed them.

use journal::{
    Amendment, Carries, Counted, CounterKey, DistinctValue, DistinctValueKey, Seq, State,
};
use ledger::{AccountKey, Balance, Hold};
use rating::fast::{FastBuild, FastMap};
use rating::usage::Counter;
use rating::{Carry, TenantId, ids::HoldId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, RandomState};

/// States by key: as loaded, and as this batch changed them.
#[derive(Debug, Clone)]
pub struct Layer<K, V, S = FastBuild> {
    loaded: HashMap<K, V, S>,
    changed: HashMap<K, V, S>,
}

impl<K: Hash + Eq, V, S: BuildHasher + Default> Layer<K, V, S> {
    fn new(loaded: HashMap<K, V, S>) -> Self {
        let changed = HashMap::with_capacity_and_hasher(loaded.len(), S::default());
        Self { loaded, changed }
    }
    pub fn get(&self, key: &K) -> Option<&V> {
        self.changed.get(key).or_else(|| self.loaded.get(key))
    }
    /// The value to change in place.
    pub fn change(&mut self, key: K) -> &mut V
    where
        V: Clone + Default,
    {
        let Self { loaded, changed } = self;
        match changed.entry(key) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => {
                let value = loaded.get(slot.key()).cloned().unwrap_or_default();
                slot.insert(value)
            }
        }
    }
    pub fn set(&mut self, key: K, value: V) {
        self.changed.insert(key, value);
    }
    /// What this batch leaves behind.
    pub fn into_changed(self) -> HashMap<K, V, S> {
        self.changed
    }
    /// Every key, as it is now.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.changed.iter().chain(
            self.loaded
                .iter()
                .filter(|(key, _)| !self.changed.contains_key(*key)),
        )
    }
}

/// Everything but the balances.
#[derive(Debug, Clone)]
pub struct States {
    pub carries: Layer<TenantId, Carries>,
    pub counters: Layer<CounterKey, Counted>,
    pub distinct_values: Layer<DistinctValueKey, DistinctValue, RandomState>,
    pub holds: Layer<HoldId, Hold>,
    pub amended: FastMap<Seq, Amendment>,
}

impl States {
    pub fn new(state: State) -> (Self, FastMap<AccountKey, Balance>) {
        let states = Self {
            carries: Layer::new(state.carries),
            counters: Layer::new(state.counters),
            distinct_values: Layer::new(state.distinct_values),
            holds: Layer::new(state.holds),
            amended: state.amendments,
        };
        (states, state.accounts)
    }
    /// Of one leaf customer, on every link that has one.
    pub fn carries_of(&self, customer: TenantId) -> &[(TenantId, Carry)] {
        self.carries.get(&customer).map_or(&[], |list| list)
    }
    pub fn counter(&self, key: &CounterKey) -> Counter {
        self.counters
            .get(key)
            .map(|counted| counted.counter)
            .unwrap_or_default()
    }
    pub fn counted(&self, key: &CounterKey) -> Counted {
        self.counters.get(key).copied().unwrap_or_default()
    }
    pub fn distinct_value(&self, key: &DistinctValueKey) -> DistinctValue {
        self.distinct_values.get(key).copied().unwrap_or_default()
    }
    pub fn set_carries(
        &mut self,
        customer: TenantId,
        new: impl Iterator<Item = (TenantId, Carry)>,
    ) {
        let list = self.carries.change(customer);
        for (buyer, carry) in new {
            match list.iter_mut().find(|(of, _)| *of == buyer) {
                Some((_, old)) => *old = carry,
                None => list.push((buyer, carry)),
            }
        }
    }
}

/// The carry of one link.
pub fn carry_of(carries: &[(TenantId, Carry)], buyer: TenantId) -> Carry {
    carries
        .iter()
        .find(|(of, _)| *of == buyer)
        .map_or(Carry::ZERO, |&(_, carry)| carry)
}
