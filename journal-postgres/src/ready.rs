//! A batch made ready for the database: every row worked out, nothing written. Made under the lock
//! of its roots, and good for as many attempts as it takes, as long as their heads stay as they
//! were.

use super::columns::{Batches, Records, Touched};
use super::copy::Rows;
use super::head::Head;
use super::keys::{Secret, has_time};
use super::root_cache::{Delta, RootSnapshot};
use db::{Result, SqlError};
use journal::hash::{BatchHasher, GENESIS, Row};
use journal::packed::Packed;
use journal::reporters::{Reported, Reporters};
use journal::{Batch, DistinctValue, DistinctValueKey, JournalEntry, Keyed, Kind, Namespace, Seq};
use ledger::{AccountKey, Hold};
use rating::fast::FastMap;
use rating::{Instant, TenantId};
use sqlx::types::Uuid;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Records that are worth a `copy`.
const COPIED_RECORDS_MIN: usize = 400;
/// About this many bytes are a rated event over two links.
const RECORD_BYTES: usize = 512;

/// What a batch does to one root.
#[derive(Debug)]
pub struct Part {
    pub before: Head,
    pub after: Head,
    pub delta: Delta,
    pub delta_packed: Vec<u8>,
    /// Everything the rows do not include, if it is time to write it.
    pub fold: Option<Delta>,
    /// Places of its records in the batch.
    records: Vec<usize>,
}

impl Part {
    fn new(before: Head) -> Self {
        let after = Head {
            batch: before.batch + 1,
            ..before.clone()
        };
        Self {
            before,
            after,
            delta: Delta::default(),
            delta_packed: Vec::new(),
            fold: None,
            records: Vec::new(),
        }
    }
}

/// Rows of records, few or many.
#[derive(Debug)]
pub enum Written {
    Few(Box<Records>),
    Many(Rows),
}

#[derive(Debug)]
pub struct Ready {
    pub parts: Vec<Part>,
    pub records: Written,
    pub batches: Batches,
    pub touched: Touched,
    /// root, seq
    pub unrated: (Vec<i64>, Vec<i64>),
    pub holds: Vec<Hold>,
    pub distinct_values: Vec<(TenantId, DistinctValueKey, DistinctValue)>,
    /// root, amended, kind, by
    pub amendments: Vec<(i64, Seq, Kind, Seq)>,
    pub settled: Vec<Seq>,
    /// Who has never reported before.
    pub reporters: Vec<Reported>,
    /// Of every record.
    pub placed: Vec<Seq>,
    /// The months of arrival that occur.
    pub arrivals: Vec<Instant>,
}

/// Lists of a batch: places of the records that touched an account.
type Lists = BTreeMap<(TenantId, AccountKey), Vec<usize>>;

impl Ready {
    pub fn of(
        mut batch: Batch,
        known: &FastMap<TenantId, RootSnapshot>,
        secret: &Secret,
        fold_bytes: usize,
    ) -> Result<Self> {
        let packed = Packed::of(&batch.records)?;
        let (mut parts, placed) = parts(&mut batch.records, known)?;
        let (tenant_roots, lists) = tenant_roots_and_lists(&batch.records);
        deltas(&batch, &tenant_roots, &mut parts)?;
        let keys = keys(&batch, secret);
        let reporters = new_reporters(&batch.records, known, &mut parts);
        let mut hasher = BatchHasher::new(&GENESIS, TenantId(0), 0, batch.committed_at);
        let mut records = match batch.records.len() {
            count if count < COPIED_RECORDS_MIN => Written::Few(Box::default()),
            count => Written::Many(Rows::new(16, count * RECORD_BYTES)),
        };
        for part in parts.values_mut() {
            part.after.committed_at = batch.committed_at;
            chain(part, &mut hasher, &batch, &packed);
            part.delta.keys = part
                .records
                .iter()
                .filter_map(|&index| keys[index].filter(|key| has_time(*key)))
                .collect();
            part.delta_packed = part.delta.packed()?;
            let of_root = known
                .get(&part.before.root)
                .filter(|known| is_due(known, part.delta_packed.len(), fold_bytes));
            part.fold = of_root.map(|known| known.to_fold(&part.delta));
            part.after.materialized_through = if part.fold.is_some() {
                part.after.batch
            } else {
                part.before.materialized_through
            };
            for &index in &part.records {
                let row = RecordRow {
                    batch: part.after.batch,
                    record: &batch.records[index],
                    key: keys[index],
                    packed: &packed,
                    index,
                };
                match &mut records {
                    Written::Few(records) => row.add(records),
                    Written::Many(rows) => row.copy(rows),
                }
            }
        }
        if let Written::Many(rows) = &mut records {
            rows.end();
        }
        let parts: Vec<Part> = parts.into_values().collect();
        let outside = || SqlError::corrupt("a batch names a record that it does not have");
        let root_of = |index: usize| {
            batch
                .records
                .get(index)
                .map(|record| record.identity.root)
                .ok_or_else(outside)
        };
        let unrated = batch
            .unrated
            .iter()
            .map(|&index| Ok((root_of(index)?.0, placed[index].0)))
            .collect::<Result<Vec<_>>>()?;
        let amendments = batch
            .amendments
            .iter()
            .map(|&(amended, kind, by)| Ok((root_of(by)?.0, amended, kind, placed[by])));
        let distinct_values = batch
            .state
            .distinct_values
            .iter()
            .map(|(key, distinct_value)| {
                Ok((
                    home(&tenant_roots, key.counter.buyer)?,
                    key.clone(),
                    *distinct_value,
                ))
            });
        let mut distinct_values: Vec<_> = distinct_values.collect::<Result<_>>()?;
        distinct_values.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut holds: Vec<Hold> = batch.state.holds.values().cloned().collect();
        holds.sort_unstable_by_key(|hold| (hold.root, hold.id));
        let mut arrivals: Vec<Instant> = batch
            .records
            .iter()
            .map(|record| record.received_at)
            .collect();
        arrivals.push(batch.committed_at);
        arrivals.dedup();
        Ok(Self {
            batches: batches(&parts, batch.committed_at),
            touched: touched(&lists, &batch.records),
            amendments: amendments.collect::<Result<_>>()?,
            settled: batch.settled,
            reporters,
            records,
            unrated: unrated.into_iter().unzip(),
            parts,
            holds,
            distinct_values,
            placed,
            arrivals,
        })
    }
}

/// Gives out seqs, root by root.
fn parts(
    records: &mut [JournalEntry],
    known: &FastMap<TenantId, RootSnapshot>,
) -> Result<(BTreeMap<TenantId, Part>, Vec<Seq>)> {
    let mut parts: BTreeMap<TenantId, Part> = BTreeMap::new();
    let mut placed = Vec::with_capacity(records.len());
    for (index, record) in records.iter_mut().enumerate() {
        let root = record.identity.root;
        let part = match parts.entry(root) {
            Entry::Occupied(part) => part.into_mut(),
            Entry::Vacant(free) => {
                let before = known.get(&root).map(|known| known.head.clone());
                free.insert(Part::new(before.ok_or_else(|| {
                    SqlError::corrupt(format!("a batch records for {root}, which is not locked"))
                })?))
            }
        };
        part.after.last_seq += 1;
        record.seq = Seq(part.after.last_seq);
        part.records.push(index);
        placed.push(record.seq);
    }
    Ok((parts, placed))
}

/// Those that each root has not heard of before.
fn new_reporters(
    records: &[JournalEntry],
    known: &FastMap<TenantId, RootSnapshot>,
    parts: &mut BTreeMap<TenantId, Part>,
) -> Vec<Reported> {
    let mut new = Reporters::default().new_ones(records);
    new.retain(|reported| {
        known
            .get(&reported.0)
            .is_none_or(|known| !known.reporters.has(*reported))
    });
    for (root, ..) in &new {
        if let Some(part) = parts.get_mut(root) {
            part.after.reporters += 1;
        }
    }
    new
}

/// The root of every tenant whose states the records move, and the lists they enter.
fn tenant_roots_and_lists(records: &[JournalEntry]) -> (FastMap<TenantId, TenantId>, Lists) {
    let mut tenant_roots: FastMap<TenantId, TenantId> = FastMap::default();
    let mut lists = Lists::new();
    for (index, record) in records.iter().enumerate() {
        let root = record.identity.root;
        tenant_roots.insert(record.tenant, root);
        for account in record.accounts() {
            tenant_roots.insert(account.tenant, root);
            // A leaf customer's own list is an index of the records.
            if !(account.kind.is_of_buyer() && account.tenant == record.tenant) {
                lists.entry((root, account)).or_default().push(index);
            }
        }
    }
    (tenant_roots, lists)
}

fn home(tenant_roots: &FastMap<TenantId, TenantId>, tenant: TenantId) -> Result<TenantId> {
    tenant_roots
        .get(&tenant)
        .copied()
        .ok_or_else(|| SqlError::corrupt(format!("{tenant} changes without a record")))
}

fn deltas(
    batch: &Batch,
    tenant_roots: &FastMap<TenantId, TenantId>,
    parts: &mut BTreeMap<TenantId, Part>,
) -> Result<()> {
    for (key, balance) in &batch.state.accounts {
        delta_of(parts, home(tenant_roots, key.tenant)?)?
            .accounts
            .push((*key, *balance));
    }
    for (customer, links) in &batch.state.carries {
        delta_of(parts, home(tenant_roots, *customer)?)?
            .carries
            .push((*customer, links.clone()));
    }
    for (key, counter) in &batch.state.counters {
        delta_of(parts, home(tenant_roots, key.buyer)?)?
            .counters
            .push((*key, *counter));
    }
    for hold in batch.state.holds.values() {
        delta_of(parts, hold.root)?.holds.push(hold.clone());
    }
    Ok(())
}

fn delta_of(parts: &mut BTreeMap<TenantId, Part>, root: TenantId) -> Result<&mut Delta> {
    let part = parts.get_mut(&root).map(|part| &mut part.delta);
    part.ok_or_else(|| SqlError::corrupt(format!("states of {root} change without a record")))
}

/// Steps of the engine itself are never looked up.
fn keys(batch: &Batch, secret: &Secret) -> Vec<Option<u128>> {
    let at_hand = batch.identity_keys.len() == batch.records.len();
    let key = |(index, record): (usize, &JournalEntry)| {
        let name = record.identity.name();
        let keyed = Keyed {
            key: if at_hand {
                batch.identity_keys[index]
            } else {
                secret.identity(name)
            },
            name,
        };
        (name.namespace != Namespace::Engine).then(|| secret.key(keyed.key, name))
    };
    batch.records.iter().enumerate().map(key).collect()
}

fn chain(part: &mut Part, hasher: &mut BatchHasher, batch: &Batch, packed: &Packed) {
    hasher.restart(
        &part.before.hash,
        part.before.root,
        part.after.batch,
        batch.committed_at,
    );
    part.records
        .iter()
        .for_each(|&index| hasher.row(&Row::of(&batch.records[index], packed.body(index))));
    part.after.hash = hasher.finish();
}

/// Rows are written when what must be read instead of them has grown: to several times what they
/// are.
fn is_due(known: &RootSnapshot, more: usize, fold_bytes: usize) -> bool {
    const STATE_BYTES: usize = 32;
    known.pending_bytes + more >= fold_bytes + 4 * STATE_BYTES * known.pending_states()
}

/// A record on its way into a row.
struct RecordRow<'a> {
    batch: i64,
    record: &'a JournalEntry,
    key: Option<u128>,
    packed: &'a Packed,
    index: usize,
}

impl RecordRow<'_> {
    fn bigs(&self) -> [i64; 6] {
        let record = self.record;
        let (root, at, received_at) = (
            record.identity.root.0,
            record.at.micros(),
            record.received_at.micros(),
        );
        [
            root,
            record.seq.0,
            self.batch,
            record.tenant.0,
            at,
            received_at,
        ]
    }
    fn smalls(&self) -> [i16; 2] {
        [
            self.record.kind as i16,
            self.record.identity.namespace as i16,
        ]
    }
    fn texts(&self) -> [&str; 2] {
        [&self.record.identity.source, &self.record.identity.id]
    }
    fn bytes(&self) -> [&[u8]; 3] {
        [
            &self.record.content,
            &self.record.personal_digest,
            self.packed.body(self.index),
        ]
    }
    fn reporter(&self) -> Option<i64> {
        self.record.identity.reporter.map(|reporter| reporter.0)
    }
    fn personal(&self) -> Option<&[u8]> {
        self.record
            .personal
            .is_some()
            .then(|| self.packed.personal(self.index))
    }

    fn copy(&self, rows: &mut Rows) {
        rows.row();
        self.bigs().into_iter().for_each(|value| rows.big(value));
        rows.value(self.key.map(u128::to_be_bytes).as_ref().map(|key| &key[..]));
        self.smalls()
            .into_iter()
            .for_each(|value| rows.small(value));
        self.texts()
            .into_iter()
            .for_each(|value| rows.value(Some(value.as_bytes())));
        self.bytes()
            .into_iter()
            .for_each(|value| rows.value(Some(value)));
        rows.value(self.personal());
        rows.value(
            self.reporter()
                .map(i64::to_be_bytes)
                .as_ref()
                .map(|reporter| &reporter[..]),
        );
    }

    fn add(&self, to: &mut Records) {
        to.bigs
            .iter_mut()
            .zip(self.bigs())
            .for_each(|(column, value)| column.push(value));
        to.keys.push(self.key.map(Uuid::from_u128));
        to.smalls
            .iter_mut()
            .zip(self.smalls())
            .for_each(|(column, value)| column.push(value));
        to.texts
            .iter_mut()
            .zip(self.texts())
            .for_each(|(column, value)| column.push(value.to_owned()));
        to.bytes
            .iter_mut()
            .zip(self.bytes())
            .for_each(|(column, value)| column.push(value.to_vec()));
        to.personals.push(self.personal().map(<[u8]>::to_vec));
        to.reporters.push(self.reporter());
    }
}

fn batches(parts: &[Part], committed_at: Instant) -> Batches {
    let mut rows = Batches::default();
    for Part {
        before,
        after,
        delta_packed,
        records,
        ..
    } in parts
    {
        let bigs = [
            after.root.0,
            after.batch,
            before.last_seq + 1,
            after.last_seq,
            records.len() as i64,
        ];
        rows.bigs
            .iter_mut()
            .zip(bigs)
            .for_each(|(column, value)| column.push(value));
        rows.hashes.push(after.hash.to_vec());
        rows.committed.push(committed_at.micros());
        rows.states.push(delta_packed.clone());
    }
    rows
}

fn touched(lists: &Lists, records: &[JournalEntry]) -> Touched {
    let mut rows = Touched::default();
    for ((root, account), list) in lists {
        let seqs: Vec<i64> = list.iter().map(|&index| records[index].seq.0).collect();
        let (Some(first), Some(last), Some(&index)) = (seqs.first(), seqs.last(), list.first())
        else {
            continue;
        };
        rows.roots.push(root.0);
        rows.tenants.push(account.tenant.0);
        rows.kinds.push(account.kind as i16);
        rows.currencies.push(i32::from(account.currency.numeric()));
        let bigs = [*first, *last, records[index].received_at.micros()];
        rows.bigs
            .iter_mut()
            .zip(bigs)
            .for_each(|(column, value)| column.push(value));
        rows.seqs.push(packed_seqs(&seqs));
    }
    rows
}

/// Ascending; each as its distance from the one before, seven bits a byte.
fn packed_seqs(seqs: &[i64]) -> Vec<u8> {
    let (mut packed, mut before) = (
        Vec::with_capacity(seqs.len() + 8),
        seqs.first().copied().unwrap_or_default(),
    );
    for &seq in seqs {
        let mut distance = seq.abs_diff(before);
        while distance >= 0x80 {
            packed.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        packed.push(distance as u8);
        before = seq;
    }
    packed
}

/// `first`: the first of them.
pub fn unpacked_seqs(first: i64, packed: &[u8]) -> Vec<i64> {
    let (mut seqs, mut seq, mut distance, mut shift) =
        (Vec::with_capacity(packed.len()), first, 0_i64, 0);
    for byte in packed {
        distance |= i64::from(byte & 0x7f)
            .checked_shl(shift)
            .unwrap_or_default();
        shift += 7;
        if byte & 0x80 == 0 {
            seq += distance;
            seqs.push(seq);
            (distance, shift) = (0, 0);
        }
    }
    seqs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seqs_survive_packing() {
        for seqs in [
            vec![],
            vec![7],
            vec![7, 8, 9, 500, 100_000, 1 << 50],
            (1..4000).collect(),
        ] {
            assert_eq!(
                unpacked_seqs(
                    seqs.first().copied().unwrap_or_default(),
                    &packed_seqs(&seqs)
                ),
                seqs
            );
        }
    }
}
