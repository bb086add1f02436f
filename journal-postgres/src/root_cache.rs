//! What a process knows of a root: right as of one head, and of no use once the head has moved
//! without it, or once that head is gone: after a failover the database may be of an earlier
//! moment, and go on from there otherwise.
//!
//! Rows of accounts, carries and counters follow the journal from afar (`chain_heads.materialized_through`); every
//! batch says in one packed value what it changed. Whoever comes later reads those values instead
//! of thousands of rows.

use super::head::Head;
use db::{Result, SqlError};
use journal::codec::{pack, pack_into};
use journal::open_holds::OpenHolds;
use journal::reporters::Reporters;
use journal::{Carries, Counted, CounterKey, State};
use ledger::{AccountKey, Balance, Hold};
use rating::TenantId;
use rating::fast::FastMap;
use rating::usage::Counter;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::Hash;

/// Keys of the newest identities kept per root; the older half goes when there are more.
const RECENT_KEYS_MAX: usize = 65_536;
/// Somebody else's batches that are read rather than rows, once the rows include them.
const MISSED_BATCHES_MAX: i64 = 64;
/// As many keys of a root stay when memory is short.
const KEYS_KEPT_MIN: usize = 4096;
/// States and keys of all roots together; roots that were not used for longest go first.
const KNOWN_MAX: usize = 4_000_000;

/// What one batch changed, as `batches.states` has it.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    pub accounts: Vec<(AccountKey, Balance)>,
    pub carries: Vec<(TenantId, Carries)>,
    pub counters: Vec<(CounterKey, Counted)>,
    pub holds: Vec<Hold>,
    /// Of the identities it recorded, those with a time.
    pub keys: Vec<u128>,
}

/// As it is packed. Behind it the segments of the counters, one each, and behind those what each
/// was charged so far; batches from before either end there.
#[derive(Serialize, Deserialize)]
struct Packed {
    accounts: Vec<(AccountKey, Balance)>,
    carries: Vec<(TenantId, Carries)>,
    counters: Vec<(CounterKey, Counter)>,
    holds: Vec<Hold>,
    keys: Vec<u128>,
}

/// The same, borrowed.
#[derive(Serialize)]
struct ToPack<'a> {
    accounts: &'a [(AccountKey, Balance)],
    carries: &'a [(TenantId, Carries)],
    counters: Vec<(CounterKey, Counter)>,
    holds: &'a [Hold],
    keys: &'a [u128],
}

impl Delta {
    pub fn packed(&self) -> Result<Vec<u8>> {
        let Self {
            accounts,
            carries,
            holds,
            keys,
            ..
        } = self;
        let counters = self
            .counters
            .iter()
            .map(|(key, tally)| (*key, tally.counter))
            .collect();
        let mut bytes = pack(&ToPack {
            accounts,
            carries,
            counters,
            holds,
            keys,
        })?;
        self.counters
            .iter()
            .try_for_each(|(_, tally)| pack_into(&tally.segment, &mut bytes))?;
        self.counters
            .iter()
            .try_for_each(|(_, tally)| pack_into(&tally.so_far, &mut bytes))?;
        Ok(bytes)
    }
    pub fn unpacked(bytes: &[u8]) -> Result<Self> {
        let corrupt = |e: postcard::Error| SqlError::corrupt(format!("the states of a batch: {e}"));
        let (
            Packed {
                accounts,
                carries,
                counters,
                holds,
                keys,
            },
            mut rest,
        ) = postcard::take_from_bytes::<Packed>(bytes).map_err(corrupt)?;
        let mut tallies = Vec::with_capacity(counters.len());
        for (key, counter) in counters {
            let mut tally = Counted::before_segments(counter);
            if !rest.is_empty() {
                (tally.segment, rest) = postcard::take_from_bytes(rest).map_err(corrupt)?;
            }
            tallies.push((key, tally));
        }
        for (_, tally) in &mut tallies {
            if !rest.is_empty() {
                (tally.so_far, rest) = postcard::take_from_bytes(rest).map_err(corrupt)?;
            }
        }
        Ok(Self {
            accounts,
            carries,
            counters: tallies,
            holds,
            keys,
        })
    }
}

/// Newer than their rows; `None` among those read: there is no row.
#[derive(Debug)]
struct Layer<K, V> {
    pending: FastMap<K, V>,
    read: FastMap<K, Option<V>>,
}

impl<K, V> Default for Layer<K, V> {
    fn default() -> Self {
        Self {
            pending: FastMap::default(),
            read: FastMap::default(),
        }
    }
}

impl<K: Eq + Hash + Copy, V: Clone> Layer<K, V> {
    /// What is known goes into `found`, the rest into `missing`.
    fn look(&self, key: K, found: &mut FastMap<K, V>, missing: &mut Vec<K>) {
        match self.pending.get(&key) {
            Some(value) => drop(found.insert(key, value.clone())),
            None => match self.read.get(&key) {
                Some(Some(value)) => drop(found.insert(key, value.clone())),
                Some(None) => {}
                None => missing.push(key),
            },
        }
    }
    fn len(&self) -> usize {
        self.pending.len() + self.read.len()
    }
    /// The rows include everything pending.
    fn fold(&mut self) {
        self.read
            .extend(self.pending.drain().map(|(key, value)| (key, Some(value))));
    }
}

/// Every key with a time from `floor` on.
#[derive(Debug)]
pub struct Recent {
    floor: u128,
    keys: FastMap<u128, ()>,
}

impl Recent {
    pub fn above(floor: u128) -> Self {
        Self {
            floor,
            keys: FastMap::default(),
        }
    }
    /// Whether this key is recorded; `None`: it is older than what is known.
    pub fn has(&self, key: u128) -> Option<bool> {
        (key > self.floor && super::keys::has_time(key)).then(|| self.keys.contains_key(&key))
    }
    fn add(&mut self, keys: impl Iterator<Item = u128>) {
        self.keys.extend(
            keys.filter(|key| *key > self.floor && super::keys::has_time(*key))
                .map(|key| (key, ())),
        );
        if self.keys.len() > RECENT_KEYS_MAX {
            self.halve();
        }
    }
    /// Forgets the older half.
    fn halve(&mut self) {
        let mut all: Vec<u128> = self.keys.keys().copied().collect();
        if !all.is_empty() {
            let middle = all.len() / 2;
            let floor = *all.select_nth_unstable(middle).1;
            self.floor = floor;
            self.keys.retain(|key, ()| *key > floor);
            self.keys.shrink_to_fit();
        }
    }
}

/// One root as of `head`.
#[derive(Debug)]
pub struct RootSnapshot {
    pub head: Head,
    /// The database has this head's batch. Not known of what comes from the shelf, until its hash
    /// was compared.
    pub is_sure: bool,
    /// Of packed states that the rows do not include.
    pub pending_bytes: usize,
    accounts: Layer<AccountKey, Balance>,
    carries: Layer<TenantId, Carries>,
    counters: Layer<CounterKey, Counted>,
    pub open_holds: OpenHolds,
    /// `None`: nothing is known of the newest identities.
    pub recent: Option<Recent>,
    /// As of the head, but for what another process added since.
    pub reporters: Reporters,
    used: u64,
}

/// Keys of one root that must be read.
#[derive(Debug, Default)]
pub struct Missing {
    pub accounts: Vec<AccountKey>,
    pub carries: Vec<TenantId>,
    pub counters: Vec<CounterKey>,
}

impl Missing {
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.carries.is_empty() && self.counters.is_empty()
    }
    /// Many keys of a batch are the same few: read once, in the order of their index.
    pub fn without_repeats(&mut self) {
        self.accounts.sort_unstable();
        self.accounts.dedup();
        self.carries.sort_unstable();
        self.carries.dedup();
        self.counters.sort_unstable();
        self.counters.dedup();
    }
}

impl RootSnapshot {
    /// Before the batches after `head.materialized_through` have been applied.
    pub fn new(head: &Head, open_holds: OpenHolds) -> Self {
        Self {
            head: Head {
                batch: head.materialized_through,
                ..head.clone()
            },
            is_sure: true,
            pending_bytes: 0,
            accounts: Layer::default(),
            carries: Layer::default(),
            counters: Layer::default(),
            open_holds,
            recent: None,
            reporters: Reporters::default(),
            used: 0,
        }
    }

    pub fn account(&self, key: AccountKey, found: &mut State, missing: &mut Missing) {
        self.accounts
            .look(key, &mut found.accounts, &mut missing.accounts);
    }
    pub fn carries(&self, key: TenantId, found: &mut State, missing: &mut Missing) {
        self.carries
            .look(key, &mut found.carries, &mut missing.carries);
    }
    pub fn counter(&self, key: CounterKey, found: &mut State, missing: &mut Missing) {
        self.counters
            .look(key, &mut found.counters, &mut missing.counters);
    }

    /// Remembers what was read, also that nothing was there.
    pub fn learn(&mut self, missing: &Missing, found: &State) {
        self.accounts.read.extend(
            missing
                .accounts
                .iter()
                .map(|key| (*key, found.accounts.get(key).copied())),
        );
        self.carries.read.extend(
            missing
                .carries
                .iter()
                .map(|key| (*key, found.carries.get(key).cloned())),
        );
        self.counters.read.extend(
            missing
                .counters
                .iter()
                .map(|key| (*key, found.counters.get(key).copied())),
        );
    }

    /// After the next batch, somebody else's.
    pub fn next(&mut self, delta: Delta, packed_bytes: usize) {
        self.head.batch += 1;
        self.apply(delta, packed_bytes);
    }

    /// After the last of the batches before `head`.
    pub fn reached(&mut self, head: Head) -> Result<()> {
        if self.head.batch != head.batch {
            return Err(SqlError::corrupt(format!(
                "{}: batch {} is missing",
                head.root,
                self.head.batch + 1
            )));
        }
        self.head = head;
        Ok(())
    }

    /// After a batch of one's own.
    pub fn moved(&mut self, head: Head, delta: Delta, packed_bytes: usize) {
        self.apply(delta, packed_bytes);
        if head.materialized_through == head.batch {
            self.fold();
        }
        self.head = head;
    }

    fn apply(&mut self, delta: Delta, packed_bytes: usize) {
        self.pending_bytes += packed_bytes;
        self.accounts.pending.extend(delta.accounts);
        self.carries.pending.extend(delta.carries);
        self.counters.pending.extend(delta.counters);
        delta
            .holds
            .iter()
            .for_each(|hold| self.open_holds.set(hold));
        if let Some(recent) = &mut self.recent {
            recent.add(delta.keys.into_iter());
        }
    }

    /// The rows include all that is known.
    pub fn fold(&mut self) {
        self.accounts.fold();
        self.carries.fold();
        self.counters.fold();
        self.pending_bytes = 0;
    }

    /// Everything that the rows do not include, with what `delta` is about to change.
    pub fn to_fold(&self, delta: &Delta) -> Delta {
        fn all<K: Eq + Hash + Copy + Ord, V: Clone>(
            pending: &FastMap<K, V>,
            newer: &[(K, V)],
        ) -> Vec<(K, V)> {
            let mut all: FastMap<K, V> = pending.clone();
            all.extend(newer.iter().cloned());
            let mut all: Vec<(K, V)> = all.into_iter().collect();
            all.sort_unstable_by_key(|(key, _)| *key);
            all
        }
        Delta {
            accounts: all(&self.accounts.pending, &delta.accounts),
            carries: all(&self.carries.pending, &delta.carries),
            counters: all(&self.counters.pending, &delta.counters),
            ..Delta::default()
        }
    }

    pub fn pending_states(&self) -> usize {
        self.accounts.pending.len() + self.carries.pending.len() + self.counters.pending.len()
    }

    fn keys(&self) -> usize {
        self.recent.as_ref().map_or(0, |recent| recent.keys.len())
    }

    fn size(&self) -> usize {
        self.accounts.len() + self.carries.len() + self.counters.len() + self.keys()
    }
}

/// What is known of every root that nobody works on right now.
#[derive(Debug, Default)]
pub struct RootCache {
    roots: HashMap<TenantId, RootSnapshot>,
    size: usize,
    clock: u64,
}

impl RootCache {
    pub fn get(&self, root: TenantId) -> Option<&RootSnapshot> {
        self.roots.get(&root)
    }

    /// Unless it is newer than `head`, or what happened in between is no longer told. Whether that
    /// batch is still the database's must be asked if it is older (`RootSnapshot::is_sure`).
    pub fn take_for(&mut self, head: &Head) -> Option<RootSnapshot> {
        let known = self.roots.get(&head.root)?;
        let missed = head.batch - known.head.batch;
        let usable = match missed {
            0 => head.is_at(&known.head),
            missed => {
                missed > 0
                    && (known.head.batch >= head.materialized_through
                        || missed <= MISSED_BATCHES_MAX)
            }
        };
        if usable { self.take(head.root) } else { None }
    }

    /// Forgets what goes beyond the heads of locked roots: there is nothing newer than these, so
    /// the database has lost it.
    pub fn forget_lost(&mut self, latest: &[Head]) -> usize {
        let is_lost = |known: &RootSnapshot, head: &Head| {
            known.head.batch >= head.batch && !head.is_at(&known.head)
        };
        let lost = latest.iter().filter(|head| {
            self.roots
                .get(&head.root)
                .is_some_and(|known| is_lost(known, head))
        });
        let lost: Vec<TenantId> = lost.map(|head| head.root).collect();
        lost.iter().filter_map(|root| self.take(*root)).count()
    }

    fn take(&mut self, root: TenantId) -> Option<RootSnapshot> {
        let known = self.roots.remove(&root)?;
        self.size -= known.size();
        Some(known)
    }

    /// The newer one stays.
    pub fn put(&mut self, mut known: RootSnapshot) {
        let root = known.head.root;
        if self
            .roots
            .get(&root)
            .is_some_and(|other| other.head.batch > known.head.batch)
        {
            return;
        }
        self.take(root);
        self.clock += 1;
        known.used = self.clock;
        known.is_sure = known.head.batch == 0;
        self.size += known.size();
        self.roots.insert(root, known);
        self.shrink(KNOWN_MAX);
    }

    /// Old keys go before anybody's states do: without those whole roots would be read anew, batch
    /// after batch.
    fn shrink(&mut self, size_max: usize) {
        while self.size > size_max {
            let most = self
                .roots
                .values_mut()
                .max_by_key(|known| known.keys())
                .filter(|known| known.keys() > KEYS_KEPT_MIN);
            if let Some(known) = most {
                let before = known.keys();
                known.recent.iter_mut().for_each(Recent::halve);
                self.size -= before - known.keys();
            } else if self.roots.len() > 1 {
                let oldest = self
                    .roots
                    .values()
                    .min_by_key(|known| known.used)
                    .map(|known| known.head.root);
                oldest.map(|root| self.take(root));
            } else {
                break;
            }
        }
    }
}

pub fn poisoned<T>(_: T) -> SqlError {
    SqlError::corrupt("a change in memory was cut short by a panic; restart")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_keys_are_known_and_bounded() {
        let mut recent = Recent::above(1_000);
        recent.add(1_000..1_010);
        assert_eq!(
            (recent.has(1_000), recent.has(1_001), recent.has(1_010)),
            (None, Some(true), Some(false))
        );
        recent.add(2_000..2_000 + 2 * RECENT_KEYS_MAX as u128);
        assert!(recent.keys.len() <= RECENT_KEYS_MAX + 10);
        assert_eq!(recent.has(1_005), None, "older than what is kept");
        assert_eq!(
            recent.has(2_000 + 2 * RECENT_KEYS_MAX as u128 - 1),
            Some(true)
        );
        assert_eq!(recent.has(u128::MAX), None, "without a time");
    }

    #[test]
    fn old_keys_go_before_states_do() {
        let head = |root| Head {
            root: TenantId(root),
            number: root,
            batch: 1,
            last_seq: 1,
            hash: [0; 32],
            materialized_through: 1,
            reporters: 0,
            committed_at: rating::Instant(0),
        };
        let mut root_cache = RootCache::default();
        for root in 1..=3 {
            let mut known = RootSnapshot::new(&head(root), OpenHolds::default());
            known.accounts.read.insert(
                AccountKey::balance(TenantId(root), rating::Currency::EUR),
                None,
            );
            let mut recent = Recent::above(0);
            recent.add(1..=10_000);
            known.recent = Some(recent);
            root_cache.put(known);
        }
        assert_eq!(root_cache.size, 30_003);
        root_cache.shrink(20_000);
        assert_eq!(
            (root_cache.size, root_cache.roots.len()),
            (15_000, 3),
            "each root keeps its newer half"
        );
        root_cache.shrink(10_000);
        assert_eq!((root_cache.size, root_cache.roots.len()), (10_000, 3));
    }
}
