//! The indexes' upkeep beside the commits: recent entries become a run, runs become larger runs.
//!
//! A run is written in transactions of moderate size while it is still invisible; one last
//! transaction makes it live (and what it replaces dead). A crash at any point leaves live runs
//! that tile the journal up to some record, and the rest is read again at opening. Sorting and
//! merging run on blocking threads. Commits wait only when memory would outgrow `BEHIND_MAX` runs'
//! worth of entries.

use super::index::{Recent, Segment, Which, block_id, block_ids};
use super::{Shared, lookup, sql};
use crate::runs::{Merger, Part, PartWriter};
use db::{Result, SqlError, Sqlite};
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Blocks written (or deleted) in one transaction: half a megabyte.
const WRITE_BLOCKS: usize = 64;
/// Blocks of one run read at once while merging.
const READ_BLOCKS: usize = 16;
/// Multiples of `recent_records_max` in memory before commits wait for the upkeep.
const BEHIND_MAX: usize = 4;

/// Starts the upkeep in the background if the recent entries are many enough.
pub fn start_if_due(shared: &Arc<Shared>) -> Result<()> {
    let due = shared.index()?.recent.records() >= shared.options.recent_records_max;
    if !due || shared.flushing.try_lock().is_err() {
        return Ok(());
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(error) = upkeep(&shared).await {
            tracing::warn!(%error, "writing the index failed; it stays in memory until the next \
                attempt");
        }
    });
    Ok(())
}

async fn upkeep(shared: &Shared) -> Result<()> {
    flush(shared).await?;
    match shared.merging.try_lock() {
        Ok(guard) => merge_all(shared, guard).await,
        // Whoever merges will see the new run.
        Err(_) => Ok(()),
    }
}

pub async fn wait_if_behind(shared: &Shared) -> Result<()> {
    let behind =
        shared.index()?.recent.records() >= BEHIND_MAX * shared.options.recent_records_max.max(1);
    if behind { flush(shared).await } else { Ok(()) }
}

/// Flushes and merges until nothing is due.
pub async fn settle(shared: &Shared) -> Result<()> {
    flush(shared).await?;
    let guard = shared.merging.lock().await;
    merge_all(shared, guard).await
}

/// Writes what was recent at this moment as a run.
pub async fn flush(shared: &Shared) -> Result<()> {
    let _one_at_a_time = shared.flushing.lock().await;
    let frozen = {
        let mut index = shared.index_mut()?;
        if index.frozen.is_none()
            && index.recent.records() < shared.options.recent_records_max.max(1)
        {
            return Ok(());
        }
        index.freeze()
    };
    let Some(frozen) = frozen else { return Ok(()) };
    let (first, last) = (frozen.first, frozen.last);
    let ((id_blocks, ids), (list_blocks, lists)) = blocking(move || sort(&frozen)).await?;
    let run = begin_run(shared, 0, first, last).await?;
    let mut id_writer = BlockWriter::new(run, Which::Ids);
    id_writer.write(shared, id_blocks).await?;
    let mut list_writer = BlockWriter::new(run, Which::Lists);
    list_writer.write(shared, list_blocks).await?;
    let segment = Segment {
        run,
        level: 0,
        first,
        last,
        ids,
        lists,
    };
    publish(shared, &segment, &[]).await?;
    shared.index_mut()?.flushed(segment);
    Ok(())
}

type Written = (Vec<Vec<u8>>, Part);

fn sort(recent: &Recent) -> (Written, Written) {
    let entries = recent.sorted_ids();
    let mut ids = PartWriter::new(recent.first, entries.len() as u64);
    entries.into_iter().for_each(|entry| ids.push(entry));
    let sorted = recent.sorted_lists();
    let mut lists = PartWriter::new(recent.first, sorted.len() as u64);
    for (key, seqs) in sorted {
        seqs.iter().for_each(|&seq| lists.push((key, seq)));
    }
    (ids.finish(), lists.finish())
}

async fn merge_all(shared: &Shared, _one_at_a_time: tokio::sync::MutexGuard<'_, ()>) -> Result<()> {
    loop {
        let due = shared.index()?.mergeable(shared.options.fan_out.max(2));
        let Some(old) = due else { return Ok(()) };
        let (Some(oldest), Some(newest)) = (old.first(), old.last()) else {
            return Ok(());
        };
        let (first, last, level) = (oldest.first, newest.last, newest.level + 1);
        let run = begin_run(shared, level, first, last).await?;
        let ids = merge_part(shared, run, Which::Ids, &old).await?;
        let lists = merge_part(shared, run, Which::Lists, &old).await?;
        let segment = Segment {
            run,
            level,
            first,
            last,
            ids,
            lists,
        };
        publish(shared, &segment, &old).await?;
        shared.index_mut()?.merged(&old, segment);
        for gone in &old {
            delete_run(&shared.db, gone.run).await?;
        }
    }
}

async fn merge_part(shared: &Shared, run: i64, which: Which, old: &[Arc<Segment>]) -> Result<Part> {
    let base = old.first().map_or(0, |segment| segment.first);
    let keys = old.iter().map(|segment| segment.part(which).keys).sum();
    let mut merger = Merger::new(old.len(), base, keys);
    let mut next = vec![0; old.len()];
    let mut writer = BlockWriter::new(run, which);
    while !merger.ended() {
        for index in merger.hungry() {
            let segment = &old[index];
            let end = (next[index] + READ_BLOCKS).min(segment.part(which).fences.len());
            let blocks = read_blocks(shared, segment.run, which, next[index]..end).await?;
            merger.feed(index, &blocks)?;
            next[index] = end;
        }
        let (back, blocks) = blocking(move || {
            let blocks = merger.step();
            (merger, blocks)
        })
        .await?;
        merger = back;
        writer.write(shared, blocks).await?;
    }
    let (blocks, part) = merger.finish();
    writer.write(shared, blocks).await?;
    Ok(part)
}

async fn read_blocks(
    shared: &Shared,
    run: i64,
    which: Which,
    numbers: std::ops::Range<usize>,
) -> Result<Vec<Vec<u8>>> {
    let ids: Vec<i64> = numbers.map(|number| block_id(run, which, number)).collect();
    let mut conn = shared.db.readers.acquire().await?;
    let mut found = lookup::blocks(&mut conn, ids.clone()).await?;
    let missing = || SqlError::corrupt(format!("a block of index run {run} is missing"));
    ids.iter()
        .map(|id| found.remove(id).ok_or_else(missing))
        .collect()
}

/// Writes a part's blocks in order, some per transaction.
struct BlockWriter {
    run: i64,
    which: Which,
    next: usize,
}

impl BlockWriter {
    const fn new(run: i64, which: Which) -> Self {
        Self {
            run,
            which,
            next: 0,
        }
    }

    async fn write(&mut self, shared: &Shared, blocks: Vec<Vec<u8>>) -> Result<()> {
        let mut blocks = blocks.into_iter();
        while blocks.len() > 0 {
            let rows: Vec<(i64, Vec<u8>)> = (self.next..)
                .map(|number| block_id(self.run, self.which, number))
                .zip(blocks.by_ref().take(WRITE_BLOCKS))
                .collect();
            self.next += rows.len();
            shared
                .db
                .write(rows, |connection, rows| insert_blocks(connection, rows))
                .await?;
        }
        Ok(())
    }
}

async fn begin_run(shared: &Shared, level: i64, first: i64, last: i64) -> Result<i64> {
    let run = shared.next_run.fetch_add(1, Ordering::Relaxed);
    let row = (run, level, first, last);
    shared
        .db
        .write(row, |connection, row| {
            Ok(connection.prepare_cached(sql::BEGIN_RUN)?.execute(*row)?)
        })
        .await?;
    Ok(run)
}

fn insert_blocks(connection: &mut Connection, rows: &[(i64, Vec<u8>)]) -> Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    sql::write(&tx, &sql::INSERT_BLOCKS, rows, |row, (id, data)| {
        row.int(*id)?.blob(data)?;
        Ok(())
    })?;
    Ok(tx.commit()?)
}

/// Makes a run live and what it replaces dead, in one transaction.
async fn publish(shared: &Shared, segment: &Segment, replaced: &[Arc<Segment>]) -> Result<()> {
    let (run, ids, lists) = (
        segment.run,
        part_columns(&segment.ids),
        part_columns(&segment.lists),
    );
    let replaced: Vec<i64> = replaced.iter().map(|old| old.run).collect();
    let row = (ids.0, ids.1, ids.2, lists.0, lists.1, lists.2, run);
    let publish = move |connection: &mut Connection, (): &mut ()| {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if tx.execute(sql::PUBLISH_RUN, row)? != 1 {
            return Err(SqlError::corrupt(format!("index run {run} is gone")));
        }
        for old in replaced {
            tx.execute(sql::RETIRE_RUN, [old])?;
        }
        Ok(tx.commit()?)
    };
    shared.db.write((), publish).await
}

/// Fences, filter, keys.
fn part_columns(part: &Part) -> (Vec<u8>, Vec<u8>, i64) {
    (
        part.fence_bytes(),
        part.filter.to_bytes(),
        part.keys.cast_signed(),
    )
}

/// Deletes what a crash left: runs half written or already replaced.
pub async fn sweep(db: &Sqlite) -> Result<()> {
    let other = |connection: &mut Connection, (): &mut ()| {
        let mut statement = connection.prepare(sql::OTHER_RUNS)?;
        let runs = statement
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        Ok(runs)
    };
    for run in db.write((), other).await? {
        delete_run(db, run).await?;
    }
    Ok(())
}

/// Some blocks in a transaction, so that commits come in between.
async fn delete_run(db: &Sqlite, run: i64) -> Result<()> {
    let ids = block_ids(run);
    let some = (ids.start, ids.end, WRITE_BLOCKS as i64);
    let delete = |connection: &mut Connection, some: &mut (i64, i64, i64)| {
        Ok(connection
            .prepare_cached(sql::DELETE_BLOCKS)?
            .execute(*some)?)
    };
    while db.write(some, delete).await? > 0 {}
    db.write(run, |connection, run| {
        Ok(connection.execute(sql::DELETE_RUN, [*run])?)
    })
    .await?;
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| SqlError::unavailable(e.to_string()))
}
