//! The states of one batch, by key: as they were loaded, and as its commands changed them.

use ledger::{AccountKey, Balance, Hold};
use rating::fast::{FastBuild, FastMap};
use rating::usage::Counter;
use rating::{Carry, TenantId, ids::HoldId};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use store::journal::{Amendment, Carries, CounterKey, Member, MemberKey, Seq, State};

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
    pub fn set(&mut self, key: K, value: V) {
        self.changed.insert(key, value);
    }
    /// What this batch leaves behind.
    pub fn into_changed(self) -> HashMap<K, V, S> {
        self.changed
    }
    /// Every key, as it is now.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.changed.iter().chain(self.loaded.iter().filter(|(key, _)| !self.changed.contains_key(*key)))
    }
}

/// Everything but the balances.
#[derive(Debug, Clone)]
pub struct States {
    pub carries: Layer<TenantId, Carries>,
    pub counters: Layer<CounterKey, Counter>,
    pub members: Layer<MemberKey, Member, RandomState>,
    pub holds: Layer<HoldId, Hold>,
    pub amended: FastMap<Seq, Amendment>,
}

impl States {
    pub fn new(state: State) -> (Self, FastMap<AccountKey, Balance>) {
        let states = Self {
            carries: Layer::new(state.carries),
            counters: Layer::new(state.counters),
            members: Layer::new(state.members),
            holds: Layer::new(state.holds),
            amended: state.amendments,
        };
        (states, state.accounts)
    }
    pub fn carry(&self, customer: TenantId, buyer: TenantId) -> Carry {
        let carries = self.carries.get(&customer);
        carries.and_then(|list| list.iter().find(|(of, _)| *of == buyer)).map_or(Carry::ZERO, |&(_, carry)| carry)
    }
    pub fn counter(&self, key: &CounterKey) -> Counter {
        self.counters.get(key).copied().unwrap_or_default()
    }
    pub fn member(&self, key: &MemberKey) -> Member {
        self.members.get(key).copied().unwrap_or_default()
    }
    pub fn set_carry(&mut self, customer: TenantId, buyer: TenantId, carry: Carry) {
        let mut list = self.carries.get(&customer).cloned().unwrap_or_default();
        match list.iter_mut().find(|(of, _)| *of == buyer) {
            Some((_, old)) => *old = carry,
            None => list.push((buyer, carry)),
        }
        self.carries.set(customer, list);
    }
}
