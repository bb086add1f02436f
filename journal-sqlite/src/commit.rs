//! One batch, one transaction: rows, states, chain. Durable when it returns; nothing when it fails.

use super::index::Keys;
use super::pending::Pending;
use super::sql::{self, Binder};
use super::states::{self, sorted};
use super::{Position, Shared, maintain};
use db::acknowledged::hash_of;
use db::{Result, SqlError, Unwritable};
use journal::codec::reporter_code;
use journal::hash::{BatchHasher, GENESIS, Row};
use journal::packed::Packed;
use journal::reporters::Reported;
use journal::{Batch, BatchHead, JournalEntry, Kind, Placed, Seq, State};
use rating::{Instant, TenantId};
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A batch made ready for the database: everything computed, nothing written.
struct Ready {
    first: i64,
    number: i64,
    records: Vec<JournalEntry>,
    packed: Packed,
    chain_heads: Vec<BatchHead>,
    state: State,
    /// (amended, kind, by)
    amendments: Vec<(i64, Kind, i64)>,
    /// (root, seq)
    unrated: Vec<(i64, i64)>,
    /// Who has never reported before.
    reporters: Vec<Reported>,
    settled: Vec<i64>,
    /// Everything pending with this batch, if it is time to write it.
    due: Option<Pending>,
}

/// What of a commit needs no seq: done beside the commit before it.
#[derive(Debug)]
pub struct Packing {
    packed: Packed,
    keys: Vec<Keys>,
}

impl Packing {
    pub(super) fn of(shared: &Shared, batch: &Batch) -> Result<Self> {
        Ok(Self {
            packed: Packed::of(&batch.records)?,
            keys: index_keys(shared, batch),
        })
    }
}

pub async fn commit(shared: &Arc<Shared>, mut batch: Batch) -> Result<Placed> {
    maintain::wait_if_behind(shared).await?;
    let packing = match std::mem::take(&mut batch.packed)
        .0
        .and_then(|packing| packing.downcast::<Packing>().ok())
        .and_then(Arc::into_inner)
    {
        Some(packing) => packing,
        None => Packing::of(shared, &batch)?,
    };
    let Packing { packed, keys } = packing;
    let mut position = shared.position.lock().await;
    let reporters = shared.index()?.reporters.new_ones(&batch.records);
    let mut ready = prepare(&position, batch, packed, reporters)?;
    let (first, number, chain_heads, reporters) = (
        ready.first,
        ready.number,
        chain_heads(&ready),
        ready.reporters.clone(),
    );
    ready.due = due(shared, &ready)?;
    let written = ready.due.is_some();
    let acknowledged = Arc::clone(&shared.db.acknowledged);
    let commit = move |connection: &mut Connection, ready: &mut Ready| {
        write(connection, ready)?;
        acknowledged.batch(
            ready.number,
            hash_of(
                ready
                    .chain_heads
                    .iter()
                    .map(|head| (head.root.0, head.hash.as_slice())),
            ),
        );
        Ok(std::mem::take(&mut ready.state))
    };
    let removed = |error: Unwritable| SqlError::unavailable(error.to_string());
    let state = shared
        .db
        .write(ready, commit)
        .await
        .and_then(|state| shared.db.check_linked().map(|()| state).map_err(removed));
    let state = match state {
        Ok(state) => state,
        Err(error) => {
            // Most failures have left nothing; for one at the very end nobody knows until it is
            // read.
            shared.doubtful.store(true, Ordering::Release);
            return Err(error);
        }
    };
    position.last_seq += keys.len() as i64;
    position.last_batch = number;
    shared.hot()?.committed(state, keys.len(), written);
    {
        let mut index = shared.index_mut()?;
        index
            .roots
            .extend(chain_heads.iter().map(|(root, _)| *root));
        reporters
            .into_iter()
            .for_each(|(root, namespace, reporter)| index.reporters.add(root, namespace, reporter));
        (first..)
            .zip(keys)
            .for_each(|(seq, keys)| index.recent.add(seq, keys));
    }
    position.chain_heads.extend(chain_heads);
    drop(position);
    maintain::start_if_due(shared)?;
    Ok(Placed::From(Seq(first)))
}

/// Everything pending, with this batch, if it is time to write it.
fn due(shared: &Shared, ready: &Ready) -> Result<Option<Pending>> {
    let hot = shared.hot()?;
    if hot.pending.records + ready.records.len() < shared.options.pending_records_max {
        return Ok(None);
    }
    let mut pending = hot.pending.clone();
    let State {
        accounts,
        carries,
        counters,
        holds,
        ..
    } = &ready.state;
    pending.add(
        accounts.clone(),
        carries.clone(),
        counters.clone(),
        holds.clone(),
        ready.records.len(),
    );
    Ok(Some(pending))
}

fn chain_heads(ready: &Ready) -> Vec<(TenantId, [u8; 32])> {
    ready
        .chain_heads
        .iter()
        .map(|head| (head.root, head.hash))
        .collect()
}

fn index_keys(shared: &Shared, batch: &Batch) -> Vec<Keys> {
    let secret = &shared.secret;
    let at_hand = batch.identity_keys.len() == batch.records.len();
    let identity = |index: usize, record: &JournalEntry| {
        if at_hand {
            batch.identity_keys[index]
        } else {
            secret.identity(record.identity.name())
        }
    };
    batch
        .records
        .iter()
        .enumerate()
        .map(|(index, record)| Keys::of(secret, record, || identity(index, record)))
        .collect()
}

/// Gives out seqs, and works the chain out.
fn prepare(
    position: &Position,
    batch: Batch,
    packed: Packed,
    reporters: Vec<Reported>,
) -> Result<Ready> {
    let first = position.last_seq + 1;
    let number = position.last_batch + 1;
    let mut records = batch.records;
    (first..)
        .zip(&mut records)
        .for_each(|(seq, record)| record.seq = Seq(seq));
    let outside = || SqlError::corrupt("a batch names a record that it does not have");
    let root_and_seq = |&index: &usize| {
        records
            .get(index)
            .map(|record| (record.identity.root.0, record.seq.0))
            .ok_or_else(outside)
    };
    let unrated = batch
        .unrated
        .iter()
        .map(root_and_seq)
        .collect::<Result<_>>()?;
    let amendments = batch
        .amendments
        .iter()
        .map(|&(amended, kind, by)| (amended.0, kind, first + by as i64))
        .collect();
    let chain_heads = chain(position, number, batch.committed_at, &records, &packed);
    let settled = batch.settled.iter().map(|seq| seq.0).collect();
    Ok(Ready {
        first,
        number,
        records,
        packed,
        chain_heads,
        state: batch.state,
        amendments,
        unrated,
        reporters,
        settled,
        due: None,
    })
}

/// The new head of every root in the batch, one root after the other.
fn chain(
    position: &Position,
    number: i64,
    committed_at: Instant,
    records: &[JournalEntry],
    packed: &Packed,
) -> Vec<BatchHead> {
    let mut order: Vec<(TenantId, usize)> = records
        .iter()
        .enumerate()
        .map(|(index, record)| (record.identity.root, index))
        .collect();
    order.sort_unstable();
    let mut hasher = BatchHasher::new(&GENESIS, TenantId(0), number, committed_at);
    let one_root = |part: &[(TenantId, usize)]| {
        let (&(root, first), &(_, last)) = (part.first()?, part.last()?);
        hasher.restart(
            position.chain_heads.get(&root).unwrap_or(&GENESIS),
            root,
            number,
            committed_at,
        );
        part.iter()
            .for_each(|&(_, index)| hasher.row(&Row::of(&records[index], packed.body(index))));
        let (first, last, hash) = (records[first].seq, records[last].seq, hasher.finish());
        Some(BatchHead {
            batch: number,
            root,
            first,
            last,
            records: part.len() as i64,
            hash,
            committed_at,
        })
    };
    order
        .chunk_by(|a, b| a.0 == b.0)
        .filter_map(one_root)
        .collect()
}

fn write(connection: &mut Connection, ready: &Ready) -> Result<()> {
    let last = ready.first + ready.records.len() as i64 - 1;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    sql::write_numbered(
        &tx,
        &sql::INSERT_RECORDS,
        &ready.records,
        |row, index, record| {
            bind_record(
                row,
                ready.number,
                record,
                ready.packed.body(index),
                ready.packed.personal(index),
            )
        },
    )?;
    sql::write(&tx, &sql::UPSERT_HEADS, &ready.chain_heads, |row, head| {
        row.int(head.root.0)?.int(head.batch)?.blob(&head.hash)?;
        Ok(())
    })?;
    sql::write(&tx, &sql::INSERT_BATCHES, &ready.chain_heads, bind_head)?;
    write_kept(&tx, &ready.state)?;
    if let Some(pending) = &ready.due {
        states::write(&tx, pending, last)?;
    }
    sql::write(
        &tx,
        &sql::UPSERT_AMENDMENTS,
        &ready.amendments,
        |row, &(seq, kind, by)| {
            row.int(seq)?.int(kind as i64)?.int(by)?;
            Ok(())
        },
    )?;
    sql::write(
        &tx,
        &sql::INSERT_REPORTERS,
        &ready.reporters,
        |row, &(root, namespace, reporter)| {
            row.int(root.0)?
                .int(namespace as i64)?
                .int(reporter_code(reporter))?;
            Ok(())
        },
    )?;
    sql::write(
        &tx,
        &sql::INSERT_UNRATED,
        &ready.unrated,
        |row, &(root, seq)| {
            row.int(root)?.int(seq)?;
            Ok(())
        },
    )?;
    sql::write(&tx, &sql::DELETE_UNRATED, &ready.settled, |row, &seq| {
        row.int(seq)?;
        Ok(())
    })?;
    Ok(tx.commit()?)
}

fn bind_record(
    row: &mut Binder<'_, '_>,
    batch: i64,
    record: &JournalEntry,
    body: &[u8],
    personal: &[u8],
) -> rusqlite::Result<()> {
    let identity = &record.identity;
    row.int(record.seq.0)?
        .int(batch)?
        .int(identity.root.0)?
        .int(record.tenant.0)?;
    row.int(record.kind as i64)?
        .int(identity.namespace as i64)?
        .text(&identity.source)?
        .text(&identity.id)?;
    row.int(record.at.micros())?
        .int(record.received_at.micros())?
        .blob(&record.content)?
        .blob(body)?;
    if record.personal.is_some() {
        row.blob(personal)?;
    } else {
        row.null()?;
    }
    row.blob(&record.personal_digest)?;
    match identity.reporter {
        Some(reporter) => row.int(reporter.0)?,
        None => row.null()?,
    };
    Ok(())
}

fn bind_head(row: &mut Binder<'_, '_>, head: &BatchHead) -> rusqlite::Result<()> {
    row.int(head.batch)?
        .int(head.root.0)?
        .int(head.first.0)?
        .int(head.last.0)?;
    row.int(head.records)?
        .blob(&head.hash)?
        .int(head.committed_at.micros())?;
    Ok(())
}

/// States that no record could give back: with every batch.
fn write_kept(tx: &Connection, state: &State) -> Result<()> {
    sql::write(
        tx,
        &sql::UPSERT_DISTINCT_VALUES,
        &sorted(state.distinct_values.iter()),
        |row, (key, distinct_value)| {
            row.int(key.counter.buyer.0)?
                .int(key.counter.id.rate_key)?
                .int(i64::from(key.counter.id.month))?;
            row.text(&key.value)?
                .int(distinct_value.count)?
                .int(distinct_value.at.micros())?;
            Ok(())
        },
    )?;
    Ok(())
}
