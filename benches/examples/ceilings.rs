//! What the machine allows: an append-only file with `fdatasync`, and SQLite alone, both with the
//! rows that the journal writes for an event. No engine, no server.
//!
//! SQLite is asked through sqlx, several rows per statement. The journal writes row by row through
//! rusqlite, which may be faster: the figure is a yardstick, not a bound.
//!
//! `cargo run --release -p centwise-benches --example ceilings -- [RECORDS] [DIR]`
//! (a million, the current directory; a directory in memory would measure nothing)

#![expect(clippy::print_stdout, reason = "a measuring tool")]

use anyhow::{Context, ensure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const RECORDS_DEFAULT: u64 = 1_000_000;
/// Records made durable at once.
const BATCHES: [u64; 3] = [10_000, 1_000, 100];
/// Few and small batches wait for the disk alone: fewer records say the same.
const COMMITS_MAX: u64 = 2_000;
const ROWS_PER_STATEMENT: u64 = 500;
const COLUMNS: usize = 14;
/// As the journal's connection has it.
const CACHE_KIB: u32 = 32 * 1024;
const WAL_CHECKPOINT_PAGES: u32 = 8192;

/// The journal's table of records (`migrations/sqlite`), which is most of what an event writes.
const TABLE: &str = "create table records (seq integer not null primary key, batch integer not \
    null, root integer not null, \
    tenant integer not null, kind integer not null, namespace integer not null, source text not \
    null, id text not null, \
    at_us integer not null, received_us integer not null, content blob not null, body blob not \
    null, personal blob, \
    personal_digest blob not null) strict";

/// Sizes of a priced call over two links, as `bench ingest` stores it.
struct Row {
    seq: i64,
    batch: i64,
    root: i64,
    tenant: i64,
    id: String,
    at_us: i64,
    content: [u8; 16],
    body: [u8; 195],
    personal: [u8; 20],
}

impl Row {
    fn new(number: u64, batch: u64) -> Self {
        // An odd factor: every number another one.
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let byte = mixed.to_le_bytes()[7];
        let seq = number.cast_signed();
        Self {
            seq,
            batch: batch.cast_signed(),
            root: seq % 100,
            tenant: 1_000 + seq % 10_000,
            id: format!("01934b6e-{:04x}-7c31-8f00-{:012x}", mixed >> 48, number),
            at_us: 1_795_000_000_000_000 + seq,
            content: [byte; 16],
            body: [byte; 195],
            personal: [byte; 20],
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        for number in [
            self.seq,
            self.batch,
            self.root,
            self.tenant,
            1,
            1,
            self.at_us,
            self.at_us,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for bytes in [
            b"bench",
            self.id.as_bytes(),
            &self.content,
            &self.body,
            &self.personal,
            &self.content,
        ] {
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let records = args
        .next()
        .map_or(Ok(RECORDS_DEFAULT), |text| text.parse())
        .context("RECORDS is no number")?;
    let dir = tempfile::tempdir_in(args.next().as_deref().unwrap_or("."))?;
    println!(
        "{:<34}{:>10}{:>12}{:>9}{:>14}",
        "", "batch", "records/s", "MB/s", "us per batch"
    );
    for batch in BATCHES {
        let count = records.min(batch * COMMITS_MAX) / batch * batch;
        let (elapsed, bytes) = append(&dir.path().join("journal.log"), count, batch)?;
        line("append-only file, fdatasync", batch, count, elapsed, bytes);
    }
    for batch in BATCHES {
        let count = records.min(batch * COMMITS_MAX) / batch * batch;
        let file = dir.path().join(format!("{batch}.db"));
        let elapsed = sqlite(&file, count, batch).await?;
        line(
            "SQLite alone, WAL, synchronous=full",
            batch,
            count,
            elapsed,
            std::fs::metadata(&file)?.len(),
        );
        std::fs::remove_file(&file)?;
    }
    Ok(())
}

fn line(what: &str, batch: u64, records: u64, elapsed: Duration, bytes: u64) {
    let micros = elapsed.as_micros().max(1);
    let per_s = u128::from(records) * 1_000_000 / micros;
    let batches = u128::from((records / batch).max(1));
    println!(
        "{what:<34}{batch:>10}{per_s:>12}{:>9}{:>14}",
        u128::from(bytes) / micros,
        micros / batches
    );
}

/// Rows written one after the other, and forced to the disk after every batch; the file's size.
fn append(path: &Path, records: u64, batch: u64) -> anyhow::Result<(Duration, u64)> {
    let mut file = File::create(path)?;
    let (mut out, mut bytes, mut elapsed) = (Vec::new(), 0, Duration::ZERO);
    for number in 0..records / batch {
        out.clear();
        (number * batch..(number + 1) * batch)
            .for_each(|row| Row::new(row, number).write(&mut out));
        bytes += out.len() as u64;
        let started = Instant::now();
        file.write_all(&out)?;
        file.sync_data()?;
        elapsed += started.elapsed();
    }
    ensure!(
        file.metadata()?.len() == bytes,
        "the file is not as long as what was written"
    );
    Ok((elapsed, bytes))
}

/// The same rows in statements of several rows, one transaction per batch.
async fn sqlite(path: &Path, records: u64, batch: u64) -> anyhow::Result<Duration> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", format!("-{CACHE_KIB}"))
        .pragma("wal_autocheckpoint", WAL_CHECKPOINT_PAGES.to_string());
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query(TABLE).execute(&mut connection).await?;
    let per_statement = ROWS_PER_STATEMENT.min(batch);
    let row = format!("({})", ["?"; COLUMNS].join(","));
    let rows = vec![row; usize::try_from(per_statement)?].join(",");
    let insert = format!("insert into records values {rows}");
    let mut elapsed = Duration::ZERO;
    for number in 0..records / batch {
        let rows: Vec<Row> = (number * batch..(number + 1) * batch)
            .map(|row| Row::new(row, number))
            .collect();
        let started = Instant::now();
        commit(
            &mut connection,
            &insert,
            &rows,
            usize::try_from(per_statement)?,
        )
        .await?;
        elapsed += started.elapsed();
    }
    let (count, sum): (i64, i64) = sqlx::query_as("select count(*), sum(seq) from records")
        .fetch_one(&mut connection)
        .await?;
    let records = records.cast_signed();
    ensure!(
        (count, sum) == (records, records * (records - 1) / 2),
        "the table does not hold what was written"
    );
    connection.close().await?;
    Ok(elapsed)
}

async fn commit(
    connection: &mut SqliteConnection,
    insert: &str,
    rows: &[Row],
    per_statement: usize,
) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await?;
    for rows in rows.chunks(per_statement) {
        let mut query = sqlx::query(AssertSqlSafe(insert));
        for row in rows {
            query = query
                .bind(row.seq)
                .bind(row.batch)
                .bind(row.root)
                .bind(row.tenant)
                .bind(1_i64)
                .bind(1_i64);
            query = query
                .bind("bench")
                .bind(&row.id)
                .bind(row.at_us)
                .bind(row.at_us);
            query = query
                .bind(&row.content[..])
                .bind(&row.body[..])
                .bind(&row.personal[..])
                .bind(&row.content[..]);
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}
