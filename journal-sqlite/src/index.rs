//! The identity and account indexes in memory: recent entries as maps, older ones as sorted runs.
//!
//! Two kinds of key, both hashed under the database's secret, so that nobody can choose colliding
//! ids: an identity, and a list (of a leaf customer, or of an account). A record enters the list of
//! its tenant, and of every account it touches except that tenant's own balance: that list would be
//! the same one. Live segments tile the journal from its first record; what follows them is in
//! `frozen` (being written as the next segment) and `recent`.

use crate::runs::{Entry, Part};
use journal::reporters::Reporters;
use journal::{JournalEntry, Name, Namespace};
use ledger::AccountKey;
use rating::TenantId;
use rating::fast::FastBuild;
use siphasher::sip::SipHasher24;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Seqs of one key, mostly one.
pub type Seqs = SmallVec<[i64; 2]>;

/// Keys of the index, under a secret of this database.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub fn identity(&self, name: Name<'_>) -> u64 {
        let mut packed = [0; NAME_BYTES_USUAL];
        let mut length = 0;
        each_part(name, |part| {
            if let Some(room) = packed.get_mut(length..length + part.len()) {
                room.copy_from_slice(part);
            }
            length += part.len();
        });
        let mut hasher = SipHasher24::new_with_key(&self.0);
        match packed.get(..length) {
            Some(whole) => hasher.hash(whole),
            None => {
                each_part(name, |part| hasher.write(part));
                hasher.finish()
            }
        }
    }

    pub fn customer(&self, tenant: TenantId) -> u64 {
        self.list(tenant, 0, 0)
    }

    pub fn account(&self, account: AccountKey) -> u64 {
        self.list(
            account.tenant,
            account.kind as u8,
            account.currency.numeric(),
        )
    }

    fn list(&self, tenant: TenantId, kind: u8, currency: u16) -> u64 {
        let mut packed = [0; 11];
        packed[..8].copy_from_slice(&tenant.0.to_le_bytes());
        packed[8] = kind;
        packed[9..].copy_from_slice(&currency.to_le_bytes());
        SipHasher24::new_with_key(&self.0).hash(&packed)
    }

    /// Every list a record enters.
    pub fn lists(&self, record: &JournalEntry) -> SmallVec<[u64; 6]> {
        let own =
            |account: &AccountKey| account.kind.is_of_buyer() && account.tenant == record.tenant;
        let mut keys: SmallVec<[u64; 6]> = SmallVec::new();
        keys.push(self.customer(record.tenant));
        keys.extend(
            record
                .accounts()
                .iter()
                .filter(|account| !own(account))
                .map(|&account| self.account(account)),
        );
        keys
    }
}

/// Names up to this length are hashed in one piece, which is several times as fast; nearly all are.
const NAME_BYTES_USUAL: usize = 128;

/// The bytes that a name's key is made of, in their order.
fn each_part(name: Name<'_>, mut take: impl FnMut(&[u8])) {
    take(&name.root.0.to_le_bytes());
    match name.reporter {
        None => take(&[name.namespace as u8]),
        Some(reporter) => {
            take(&[name.namespace as u8 | journal::hash::REPORTED]);
            take(&reporter.0.to_le_bytes());
        }
    }
    take(&(name.source.len() as u64).to_le_bytes());
    take(name.source.as_bytes());
    take(name.id.as_bytes());
}

/// The keys are hashes already.
#[derive(Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}

type ByKey<V> = HashMap<u64, V, BuildHasherDefault<KeyHasher>>;

/// Entries of one record.
#[derive(Debug, Clone)]
pub struct Keys {
    /// None for steps of the engine: they are never looked up.
    pub identity: Option<u64>,
    pub lists: SmallVec<[u64; 6]>,
}

impl Keys {
    /// `identity`: the record's key, asked for only if it is looked up by it.
    pub fn of(secret: &Secret, record: &JournalEntry, identity: impl FnOnce() -> u64) -> Self {
        let looked_up = record.identity.namespace != Namespace::Engine;
        Self {
            identity: looked_up.then(identity),
            lists: secret.lists(record),
        }
    }
}

/// Entries of the records `[first, last]`, all in memory.
#[derive(Debug, Default)]
pub struct Recent {
    pub first: i64,
    pub last: i64,
    ids: ByKey<i64>,
    /// Further seqs under a key that `ids` has: collisions, next to never.
    more_ids: Vec<Entry>,
    lists: ByKey<Seqs>,
}

impl Recent {
    pub fn from(first: i64) -> Self {
        Self {
            first,
            last: first - 1,
            ..Self::default()
        }
    }

    /// What follows, with room for as much: it need not grow step by step.
    fn next(&self) -> Self {
        let ids = ByKey::with_capacity_and_hasher(self.ids.len(), BuildHasherDefault::default());
        let lists =
            ByKey::with_capacity_and_hasher(self.lists.len(), BuildHasherDefault::default());
        Self {
            ids,
            lists,
            ..Self::from(self.last + 1)
        }
    }

    pub fn records(&self) -> usize {
        usize::try_from(self.last - self.first + 1).unwrap_or(0)
    }

    pub fn add(&mut self, seq: i64, keys: Keys) {
        self.last = seq;
        if let Some(key) = keys.identity {
            match self.ids.entry(key) {
                std::collections::hash_map::Entry::Vacant(free) => drop(free.insert(seq)),
                std::collections::hash_map::Entry::Occupied(_) => self.more_ids.push((key, seq)),
            }
        }
        for key in keys.lists {
            self.lists.entry(key).or_default().push(seq);
        }
    }

    pub fn identity(&self, key: u64, mut each: impl FnMut(i64)) {
        if let Some(&seq) = self.ids.get(&key) {
            each(seq);
            self.more_ids
                .iter()
                .filter(|entry| entry.0 == key)
                .for_each(|entry| each(entry.1));
        }
    }

    /// Ascending.
    pub fn list(&self, key: u64) -> &[i64] {
        self.lists.get(&key).map_or(&[], |seqs| seqs.as_slice())
    }

    /// All identities in ascending order.
    pub fn sorted_ids(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.ids.iter().map(|(&key, &seq)| (key, seq)).collect();
        entries.extend(&self.more_ids);
        entries.sort_unstable();
        entries
    }

    /// All lists in ascending order of their keys.
    pub fn sorted_lists(&self) -> Vec<(u64, &[i64])> {
        let mut lists: Vec<(u64, &[i64])> = self
            .lists
            .iter()
            .map(|(&key, seqs)| (key, seqs.as_slice()))
            .collect();
        lists.sort_unstable_by_key(|(key, _)| *key);
        lists
    }
}

/// Which of a run's two parts a block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Ids = 0,
    Lists = 1,
}

const RUN_SHIFT: u32 = 24;
const WHICH_SHIFT: u32 = 23;

/// A block's id: run, part and number.
pub fn block_id(run: i64, which: Which, number: usize) -> i64 {
    (run << RUN_SHIFT) | ((which as i64) << WHICH_SHIFT) | number as i64
}

/// All block ids of a run.
pub fn block_ids(run: i64) -> Range<i64> {
    run << RUN_SHIFT..(run + 1) << RUN_SHIFT
}

/// A sorted run in the database, with what stays of it in memory.
#[derive(Debug)]
pub struct Segment {
    pub run: i64,
    pub level: i64,
    pub first: i64,
    pub last: i64,
    pub ids: Part,
    pub lists: Part,
}

impl Segment {
    pub fn part(&self, which: Which) -> &Part {
        match which {
            Which::Ids => &self.ids,
            Which::Lists => &self.lists,
        }
    }
}

/// The whole index at one moment: cheap to copy but for `recent`.
#[derive(Debug)]
pub struct Index {
    /// In order of their records.
    pub segments: Arc<Vec<Arc<Segment>>>,
    pub frozen: Option<Arc<Recent>>,
    pub recent: Recent,
    /// Roots that have records.
    pub roots: HashSet<TenantId, FastBuild>,
    pub reporters: Reporters,
}

impl Index {
    pub fn new(segments: Vec<Arc<Segment>>) -> Self {
        let first = segments.last().map_or(1, |segment| segment.last + 1);
        Self {
            segments: Arc::new(segments),
            frozen: None,
            recent: Recent::from(first),
            roots: HashSet::default(),
            reporters: Reporters::default(),
        }
    }

    /// Sets the recent entries aside, to be written as a segment; `None` while others still are.
    pub fn freeze(&mut self) -> Option<Arc<Recent>> {
        if self.frozen.is_none() {
            let next = self.recent.next();
            self.frozen = Some(Arc::new(std::mem::replace(&mut self.recent, next)));
        }
        self.frozen.clone()
    }

    /// The frozen entries are now this segment.
    pub fn flushed(&mut self, segment: Segment) {
        let mut segments = Vec::clone(&self.segments);
        segments.push(Arc::new(segment));
        self.segments = Arc::new(segments);
        self.frozen = None;
    }

    /// `old` (neighbours) are now this segment.
    pub fn merged(&mut self, old: &[Arc<Segment>], segment: Segment) {
        let mut segments = Vec::clone(&self.segments);
        let replaced = |one: &Arc<Segment>| old.iter().any(|gone| gone.run == one.run);
        let at = segments.iter().position(replaced).unwrap_or(segments.len());
        segments.retain(|one| !replaced(one));
        segments.insert(at, Arc::new(segment));
        self.segments = Arc::new(segments);
    }

    /// The oldest neighbours of one level that are `fan_out` or more: what to merge next.
    pub fn mergeable(&self, fan_out: usize) -> Option<Vec<Arc<Segment>>> {
        let levels = self.segments.chunk_by(|a, b| a.level == b.level);
        levels
            .rev()
            .find(|level| level.len() >= fan_out)
            .map(|level| level[..fan_out].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys are kept in files: however a name is hashed, its key stays the same.
    #[test]
    fn a_key_is_that_of_the_names_parts_one_after_the_other() {
        let secret = Secret::new(*b"0123456789abcdef");
        for id in [
            String::new(),
            "0192".to_owned(),
            "x".repeat(NAME_BYTES_USUAL - 20),
            "x".repeat(1_000),
        ] {
            for reporter in [None, Some(TenantId(7))] {
                let name = Name {
                    root: TenantId(3),
                    reporter,
                    namespace: Namespace::Usage,
                    source: "pbx",
                    id: &id,
                };
                let mut hasher = SipHasher24::new_with_key(b"0123456789abcdef");
                hasher.write(&3_i64.to_le_bytes());
                match reporter {
                    None => hasher.write(&[1]),
                    Some(_) => {
                        hasher.write(&[0x81]);
                        hasher.write(&7_i64.to_le_bytes());
                    }
                }
                hasher.write(&3_u64.to_le_bytes());
                hasher.write(b"pbx");
                hasher.write(id.as_bytes());
                assert_eq!(
                    secret.identity(name),
                    hasher.finish(),
                    "{} bytes, {reporter:?}",
                    id.len()
                );
            }
        }
        let mut hasher = SipHasher24::new_with_key(b"0123456789abcdef");
        hasher.write(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(secret.customer(TenantId(3)), hasher.finish());
    }
}
