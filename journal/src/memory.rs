//! The journal in memory: the plain model that random histories compare the databases with.
//!
//! Maps behind one mutex, no index, no cache: every answer is the obvious one. Nothing survives it.

use crate::hash::{BatchHasher, GENESIS, Row};
use crate::reporters::Reporters;
use crate::verify::{Audit, Stored, StoredRow};
use crate::{
    Amendment, Batch, BatchHead, Check, DistinctValue, DistinctValueKey, EntryPayload, EntryQuery,
    Identity, Journal, JournalEntry, JournalError, Keyed, Name, Namespace, Of, Placed, Reporter,
    Result, Seq, State, StateKeys,
};
use async_trait::async_trait;
use ledger::{Hold, HoldState};
use rating::fast::FastMap;
use rating::{Instant, TenantId, ids::HoldId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};

/// Cheap to clone; clones share the same books.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    books: Arc<Mutex<Books>>,
    hashes: RandomState,
}

#[derive(Debug, Default)]
struct Books {
    /// `records[i]` has seq i + 1.
    records: Vec<Arc<JournalEntry>>,
    first: HashMap<Identity, usize>,
    reporters: Reporters,
    state: State,
    distinct_values: BTreeMap<DistinctValueKey, DistinctValue>,
    unrated: BTreeSet<(TenantId, Seq)>,
    chain_heads: HashMap<TenantId, BatchHead>,
    /// Heads of every batch, in order.
    committed: Vec<BatchHead>,
    /// Last seq of every batch.
    batch_ends: Vec<i64>,
    fail_commits: u32,
}

impl MemoryJournal {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next `count` commits fail as if the database were gone: for tests of what a caller does
    /// then.
    pub fn fail_next_commits(&self, count: u32) -> Result<()> {
        self.lock()?.fail_commits = count;
        Ok(())
    }

    /// Heads of the hash chains, by root.
    pub fn chain_heads(&self) -> Result<Vec<BatchHead>> {
        let mut chain_heads: Vec<_> = self.lock()?.chain_heads.values().cloned().collect();
        chain_heads.sort_by_key(|head| head.root);
        Ok(chain_heads)
    }

    fn lock(&self) -> Result<MutexGuard<'_, Books>> {
        self.books
            .lock()
            .map_err(|_| JournalError::Corrupt("a commit was cut short by a panic".into()))
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    fn identity_key(&self, name: Name<'_>) -> u64 {
        self.hashes.hash_one(name)
    }

    async fn find(&self, identities: &[Keyed<'_>]) -> Result<Vec<Option<Arc<JournalEntry>>>> {
        let books = self.lock()?;
        Ok(identities
            .iter()
            .map(|keyed| books.find(&keyed.name))
            .collect())
    }

    async fn reporters(
        &self,
        roots: &[TenantId],
        namespace: Namespace,
    ) -> Result<Vec<(TenantId, Reporter)>> {
        Ok(self.lock()?.reporters.of(roots, namespace))
    }

    async fn load(&self, keys: &StateKeys) -> Result<State> {
        Ok(self.lock()?.load(keys))
    }

    async fn commit(&self, batch: Batch) -> Result<Placed> {
        let mut books = self.lock()?;
        if books.fail_commits > 0 {
            books.fail_commits -= 1;
            return Err(JournalError::Unavailable("told to fail".into()));
        }
        books.commit(batch).map(Placed::From)
    }

    async fn read(&self, query: &EntryQuery) -> Result<Vec<JournalEntry>> {
        Ok(self.lock()?.read(query))
    }

    async fn expired_holds(&self, now: Instant, limit: usize) -> Result<Vec<Hold>> {
        let books = self.lock()?;
        let over = |hold: &&Hold| hold.state == HoldState::Open && hold.expires_at <= now;
        let mut holds: Vec<Hold> = books.state.holds.values().filter(over).cloned().collect();
        holds.sort_by_key(|hold| (hold.expires_at, hold.id));
        holds.truncate(limit);
        Ok(holds)
    }

    async fn verify(&self) -> Result<Vec<Check>> {
        self.lock()?.verify()
    }

    async fn last_committed_at(&self) -> Result<Instant> {
        Ok(self
            .lock()?
            .committed
            .last()
            .map_or(Instant::MIN, |head| head.committed_at))
    }
}

impl Books {
    fn find(&self, name: &Name<'_>) -> Option<Arc<JournalEntry>> {
        let identity = Identity {
            root: name.root,
            reporter: name.reporter,
            namespace: name.namespace,
            source: name.source.into(),
            id: name.id.into(),
        };
        self.first
            .get(&identity)
            .map(|&index| Arc::clone(&self.records[index]))
    }

    fn load(&self, keys: &StateKeys) -> State {
        let mut state = State::default();
        pick(&keys.accounts, &self.state.accounts, &mut state.accounts);
        pick(&keys.carries, &self.state.carries, &mut state.carries);
        pick(&keys.counters, &self.state.counters, &mut state.counters);
        pick(&keys.holds, &self.state.holds, &mut state.holds);
        let open = |id: &&HoldId| {
            self.state
                .holds
                .get(id)
                .is_some_and(|hold| hold.state == HoldState::Open)
        };
        let open: Vec<HoldId> = keys.open_holds.iter().filter(open).copied().collect();
        pick(&open, &self.state.holds, &mut state.holds);
        pick(
            &keys.amendments,
            &self.state.amendments,
            &mut state.amendments,
        );
        for key in &keys.distinct_values {
            if let Some(&distinct_value) = self.distinct_values.get(key) {
                state.distinct_values.insert(key.clone(), distinct_value);
            }
        }
        for &counter in &keys.all_distinct_values {
            let from = DistinctValueKey {
                counter,
                value: String::new(),
            };
            let distinct_values = self
                .distinct_values
                .range(from..)
                .take_while(|(key, _)| key.counter == counter);
            state.distinct_values.extend(
                distinct_values.map(|(key, &distinct_value)| (key.clone(), distinct_value)),
            );
        }
        state
    }

    /// Every step that can fail comes before the first change.
    fn commit(&mut self, batch: Batch) -> Result<Seq> {
        let first = self.records.len() as i64 + 1;
        let chain_heads = self.chain(&batch, first)?;
        let seq_of = |index: usize| Seq(first + index as i64);
        let reporters = self.reporters.new_ones(&batch.records);
        reporters
            .into_iter()
            .for_each(|(root, namespace, reporter)| self.reporters.add(root, namespace, reporter));
        for (amended, kind, by) in batch.amendments {
            self.state.amendments.insert(
                amended,
                Amendment {
                    kind,
                    by: seq_of(by),
                },
            );
        }
        for index in batch.unrated {
            if let Some(record) = batch.records.get(index) {
                self.unrated.insert((record.identity.root, seq_of(index)));
            }
        }
        for seq in batch.settled {
            self.unrated.retain(|&(_, kept)| kept != seq);
        }
        self.state.accounts.extend(batch.state.accounts);
        self.state.carries.extend(batch.state.carries);
        self.state.counters.extend(batch.state.counters);
        self.state.holds.extend(batch.state.holds);
        self.distinct_values.extend(batch.state.distinct_values);
        self.committed
            .extend(chain_heads.iter().map(|(_, head)| head.clone()));
        self.chain_heads.extend(chain_heads);
        self.batch_ends.push(first + batch.records.len() as i64 - 1);
        for (index, mut record) in batch.records.into_iter().enumerate() {
            record.seq = seq_of(index);
            if record.identity.namespace != Namespace::Engine {
                self.first
                    .entry(record.identity.clone())
                    .or_insert(self.records.len());
            }
            self.records.push(Arc::new(record));
        }
        Ok(Seq(first))
    }

    /// The new head of every root in the batch.
    fn chain(&self, batch: &Batch, first: i64) -> Result<Vec<(TenantId, BatchHead)>> {
        let number = self.batch_ends.len() as i64 + 1;
        let mut open: BTreeMap<TenantId, (BatchHasher, BatchHead)> = BTreeMap::new();
        for (index, record) in batch.records.iter().enumerate() {
            let root = record.identity.root;
            let seq = Seq(first + index as i64);
            let (hasher, head) = open.entry(root).or_insert_with(|| {
                let previous = self
                    .chain_heads
                    .get(&root)
                    .map_or(GENESIS, |head| head.hash);
                let hasher = BatchHasher::new(&previous, root, number, batch.committed_at);
                let committed_at = batch.committed_at;
                (
                    hasher,
                    BatchHead {
                        batch: number,
                        root,
                        first: seq,
                        last: seq,
                        records: 0,
                        hash: GENESIS,
                        committed_at,
                    },
                )
            });
            let body = packed(&record.body)?;
            hasher.row(&Row {
                seq: seq.0,
                ..Row::of(record, &body)
            });
            head.last = seq;
            head.records += 1;
        }
        Ok(open
            .into_iter()
            .map(|(root, (mut hasher, head))| {
                (
                    root,
                    BatchHead {
                        hash: hasher.finish(),
                        ..head
                    },
                )
            })
            .collect())
    }

    fn verify(&self) -> Result<Vec<Check>> {
        let mut audit = Audit::new(HashMap::new(), self.records.len() as u64);
        audit.expect_batches(self.committed.iter().cloned());
        for record in &self.records {
            let body = packed(&record.body)?;
            let batch = 1 + self.batch_ends.partition_point(|end| *end < record.seq.0) as i64;
            audit.row(&StoredRow {
                batch,
                row: Row::of(record, &body),
                personal: None,
            });
        }
        audit.identities().next_pass();
        if audit.identities().has_suspects() {
            self.records
                .iter()
                .for_each(|record| audit.identities().confirm(&Row::of(record, &[])));
        }
        let chain_heads = self
            .chain_heads
            .iter()
            .map(|(root, head)| (*root, head.hash))
            .collect();
        Ok(audit.finish(&Stored {
            state: self.state.clone(),
            chain_heads,
        }))
    }

    fn read(&self, query: &EntryQuery) -> Vec<JournalEntry> {
        let wanted: Option<BTreeSet<Seq>> = match &query.of {
            Of::Seqs(seqs) => Some(seqs.iter().copied().collect()),
            _ => None,
        };
        let of = |record: &&Arc<JournalEntry>| match &query.of {
            Of::All => true,
            Of::Seqs(_) => wanted
                .as_ref()
                .is_some_and(|seqs| seqs.contains(&record.seq)),
            Of::Account(account) => record.accounts().contains(account),
            Of::Customer(tenant) => record.tenant == *tenant,
            Of::Unrated(root) => self.unrated.contains(&(*root, record.seq)),
            Of::EveryUnrated => self.unrated.iter().any(|(_, seq)| *seq == record.seq),
        };
        let copy = |record: &Arc<JournalEntry>| JournalEntry::clone(record);
        if query.newest_first {
            let before =
                |record: &&Arc<JournalEntry>| query.after.is_none_or(|after| record.seq < after);
            self.records
                .iter()
                .rev()
                .filter(before)
                .filter(of)
                .take(query.limit)
                .map(copy)
                .collect()
        } else {
            let beyond =
                |record: &&Arc<JournalEntry>| query.after.is_none_or(|after| record.seq > after);
            self.records
                .iter()
                .filter(beyond)
                .filter(of)
                .take(query.limit)
                .map(copy)
                .collect()
        }
    }
}

fn packed(body: &EntryPayload) -> Result<Vec<u8>> {
    postcard::to_stdvec(body).map_err(|e| JournalError::Corrupt(e.to_string()))
}

fn pick<K: Clone + Eq + std::hash::Hash, V: Clone>(
    keys: &[K],
    from: &FastMap<K, V>,
    into: &mut FastMap<K, V>,
) {
    for key in keys {
        if let Some(value) = from.get(key) {
            into.insert(key.clone(), value.clone());
        }
    }
}
