//! One batch, one transaction: rows, states, chain. Durable when it returns; nothing when it fails.

use super::index::Keys;
use super::rows::{hold_state_code, pack};
use super::sql::{self, Values};
use super::{Position, Shared, maintain, open};
use crate::hash::{BatchHasher, GENESIS, Row};
use crate::journal::{Batch, BatchHead, JournalError, Kind, Record, Result, Seq, State};
use rating::{Instant, TenantId};
use sqlx::{Connection, SqliteConnection};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A batch made ready for the database: everything computed, nothing written.
struct Ready {
    first: i64,
    number: i64,
    rows: Vec<RecordRow>,
    heads: Vec<BatchHead>,
    state: State,
    /// (amended, kind, by)
    amendments: Vec<(i64, Kind, i64)>,
    /// (root, seq)
    unrated: Vec<(i64, i64)>,
    settled: Vec<i64>,
}

struct RecordRow {
    record: Record,
    body: Vec<u8>,
    personal: Option<Vec<u8>>,
}

pub async fn commit(shared: &Arc<Shared>, batch: Batch) -> Result<Seq> {
    maintain::wait_if_behind(shared).await?;
    let mut position = shared.position.lock().await;
    let (ready, keys) = prepare(shared, &position, batch)?;
    let (first, number, heads) = (ready.first, ready.number, heads(&ready));
    let count = keys.len() as i64;
    let state = match write(shared, ready).await {
        Ok(state) => state,
        Err(error) => {
            // Most failures have left nothing; for one at the very end nobody knows until it is read.
            shared.doubtful.store(true, Ordering::Release);
            return Err(error);
        }
    };
    position.last_seq += count;
    position.last_batch = number;
    position.heads.extend(heads);
    shared.hot()?.committed(state);
    {
        let mut index = shared.index_mut()?;
        keys.into_iter().for_each(|keys| index.recent.add(keys));
    }
    drop(position);
    maintain::start_if_due(shared)?;
    Ok(Seq(first))
}

fn heads(ready: &Ready) -> Vec<(TenantId, [u8; 32])> {
    ready.heads.iter().map(|head| (head.root, head.hash)).collect()
}

/// Gives out seqs, packs, hashes, and derives the index's keys.
fn prepare(shared: &Shared, position: &Position, batch: Batch) -> Result<(Ready, Vec<Keys>)> {
    let first = position.last_seq + 1;
    let number = position.last_batch + 1;
    let mut rows = Vec::with_capacity(batch.records.len());
    let mut keys = Vec::with_capacity(batch.records.len());
    for (seq, mut record) in (first..).zip(batch.records) {
        record.seq = Seq(seq);
        keys.push(open::keys(&shared.secret, &record));
        let personal = record.personal.take().map(|personal| pack(&personal)).transpose()?;
        rows.push(RecordRow { body: pack(&record.body)?, personal, record });
    }
    let root_of = |index: usize| rows.get(index).map(|row: &RecordRow| row.record.identity.root.0);
    let seq_of = |index: usize| first + index as i64;
    let outside = || JournalError::Corrupt("a batch names a record that it does not have".into());
    let unrated = batch.unrated.iter().map(|&index| Ok((root_of(index).ok_or_else(outside)?, seq_of(index)))).collect::<Result<_>>()?;
    let amendments = batch.amendments.iter().map(|&(amended, kind, by)| (amended.0, kind, seq_of(by))).collect();
    let heads = chain(position, number, batch.committed_at, &rows);
    let settled = batch.settled.iter().map(|seq| seq.0).collect();
    Ok((Ready { first, number, rows, heads, state: batch.state, amendments, unrated, settled }, keys))
}

/// The new head of every root in the batch.
fn chain(position: &Position, number: i64, committed_at: Instant, rows: &[RecordRow]) -> Vec<BatchHead> {
    let mut open: BTreeMap<TenantId, (BatchHasher, BatchHead)> = BTreeMap::new();
    for row in rows {
        let (root, seq) = (row.record.identity.root, row.record.seq);
        let (hasher, head) = open.entry(root).or_insert_with(|| {
            let previous = position.heads.get(&root).unwrap_or(&GENESIS);
            let head = BatchHead { batch: number, root, first: seq, last: seq, records: 0, hash: GENESIS, committed_at };
            (BatchHasher::new(previous, root, number, committed_at), head)
        });
        hasher.row(&Row::of(&row.record, &row.body));
        head.last = seq;
        head.records += 1;
    }
    open.into_values().map(|(hasher, head)| BatchHead { hash: hasher.finish(), ..head }).collect()
}

/// Gives the states back: they are true from now on.
async fn write(shared: &Shared, ready: Ready) -> Result<State> {
    let mut conn = shared.db.writer.lock().await;
    let mut tx = conn.begin_with("begin immediate").await?;
    let number = ready.number;
    sql::write(&mut tx, &sql::INSERT_RECORDS, ready.rows, |values, row| bind_record(values, number, row)).await?;
    sql::write(&mut tx, &sql::UPSERT_HEADS, ready.heads.iter().collect(), |values, head: &BatchHead| {
        values.int(head.root.0).int(head.batch).blob(head.hash.to_vec());
    })
    .await?;
    sql::write(&mut tx, &sql::INSERT_BATCHES, ready.heads, bind_head).await?;
    write_states(&mut tx, &ready.state).await?;
    sql::write(&mut tx, &sql::UPSERT_AMENDMENTS, ready.amendments, |values, (seq, kind, by)| {
        values.int(seq).int(kind as i64).int(by);
    })
    .await?;
    sql::write(&mut tx, &sql::INSERT_UNRATED, ready.unrated, |values, (root, seq)| {
        values.int(root).int(seq);
    })
    .await?;
    sql::write(&mut tx, &sql::DELETE_UNRATED, ready.settled, |values, seq| {
        values.int(seq);
    })
    .await?;
    tx.commit().await?;
    Ok(ready.state)
}

fn bind_record(values: &mut Values, batch: i64, row: RecordRow) {
    let RecordRow { record, body, personal } = row;
    let identity = record.identity;
    values.int(record.seq.0).int(batch).int(identity.root.0).int(record.tenant.0).int(record.kind as i64).int(identity.namespace as i64);
    values.text(identity.source).text(identity.id).int(record.at.micros()).int(record.received_at.micros());
    values.blob(record.content.to_vec()).blob(body).blob_or_null(personal).blob(record.personal_digest.to_vec());
}

fn bind_head(values: &mut Values, head: BatchHead) {
    values.int(head.batch).int(head.root.0).int(head.first.0).int(head.last.0);
    values.int(head.records).blob(head.hash.to_vec()).int(head.committed_at.micros());
}

/// In key order, so that neighbours share their pages.
async fn write_states(tx: &mut SqliteConnection, state: &State) -> Result<()> {
    let accounts = sorted(state.accounts.iter());
    sql::write(tx, &sql::UPSERT_ACCOUNTS, accounts, |values, (key, balance)| {
        values.int(key.tenant.0).int(key.kind as i64).int(i64::from(key.currency.numeric()));
        values.int(balance.posted.0).int(balance.held.0);
    })
    .await?;
    let carries: Vec<(i64, Vec<u8>)> =
        sorted(state.carries.iter()).into_iter().map(|(customer, links)| Ok((customer.0, pack(links)?))).collect::<Result<_>>()?;
    sql::write(tx, &sql::UPSERT_CARRIES, carries, |values, (customer, links)| {
        values.int(customer).blob(links);
    })
    .await?;
    sql::write(tx, &sql::UPSERT_COUNTERS, sorted(state.counters.iter()), |values, (key, counter)| {
        values.int(key.buyer.0).int(key.id.rate_key).int(i64::from(key.id.month));
        values.text(counter.quantity.0.to_string()).int(counter.events);
    })
    .await?;
    sql::write(tx, &sql::UPSERT_MEMBERS, sorted(state.members.iter()), |values, (key, member)| {
        values.int(key.counter.buyer.0).int(key.counter.id.rate_key).int(i64::from(key.counter.id.month));
        values.text(key.value.clone()).int(member.count).int(member.at.micros());
    })
    .await?;
    let holds: Vec<_> = sorted(state.holds.iter()).into_iter().map(|(_, hold)| Ok((hold, pack(hold)?))).collect::<Result<Vec<_>>>()?;
    sql::write(tx, &sql::UPSERT_HOLDS, holds, |values, (hold, body)| {
        values.int(hold.id.0).int(hold.root.0).int(hold.customer.0);
        values.int(hold_state_code(hold.state)).int(hold.expires_at.micros()).blob(body);
    })
    .await?;
    Ok(())
}

fn sorted<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut all: Vec<(K, V)> = entries.collect();
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    all
}
