//! The audit over a SQLite file: one snapshot, read in order while the chunk before is worked on.

use super::rows::{bytes, int, optional_int};
use super::{sql, states};

use db::{Result, SqlError};
use journal::hash::Row;
use journal::verify::{Audit, Stored, StoredRow};
use journal::{Amendment, BatchHead, Check, Kind, Seq};
use rating::{Instant, TenantId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row as _, SqliteConnection};
use std::collections::HashMap;

/// Rows read at once.
const CHUNK_ROWS: i64 = 16_384;

/// The checks of the journal: one snapshot, nothing is written.
///
/// # Errors
/// It cannot be read.
pub async fn verify(conn: &mut SqliteConnection) -> Result<Vec<Check>> {
    let mut snapshot = conn.begin().await?;
    let last_seq: i64 = sqlx::query_scalar(sql::LAST_SEQ)
        .fetch_one(&mut *snapshot)
        .await?;
    let texts = Texts::of(&mut snapshot).await?;
    let keys = personal_keys(&mut snapshot).await?;
    let audit = Audit::new(keys, last_seq.unsigned_abs());
    let audit = stream_rows(&mut snapshot, texts, audit).await?;
    let audit = repeated_identities(&mut snapshot, texts, audit).await?;
    let stored = stored(&mut snapshot).await?;
    Ok(audit.finish(&stored))
}

/// How the rows of this file are read.
#[derive(Clone, Copy)]
struct Texts {
    rows: &'static str,
    identities: &'static str,
}

impl Texts {
    async fn of(conn: &mut SqliteConnection) -> Result<Self> {
        let has_reporters: bool = sqlx::query_scalar(sql::HAS_REPORTERS)
            .fetch_one(conn)
            .await?;
        Ok(if has_reporters {
            Self {
                rows: sql::AUDIT_ROWS,
                identities: sql::AUDIT_IDENTITIES,
            }
        } else {
            Self {
                rows: sql::AUDIT_ROWS_BEFORE,
                identities: sql::AUDIT_IDENTITIES_BEFORE,
            }
        })
    }
}

async fn stream_rows(conn: &mut SqliteConnection, texts: Texts, audit: Audit) -> Result<Audit> {
    let mut working = tokio::task::spawn_blocking(move || Ok(audit));
    let (mut seq, mut batch) = (0_i64, 0_i64);
    loop {
        let rows = sqlx::query(texts.rows)
            .bind(seq)
            .bind(CHUNK_ROWS)
            .fetch_all(&mut *conn)
            .await?;
        let Some(last) = rows.last() else { break };
        let last_batch = int(last, 1)?;
        let batches = batches(conn, batch, last_batch).await?;
        (seq, batch) = (int(last, 0)?, last_batch);
        let mut audit = joined(working).await?;
        working = tokio::task::spawn_blocking(move || {
            audit.expect_batches(batches);
            rows.iter()
                .try_for_each(|row| stored_row(row).map(|row| audit.row(&row)))?;
            Ok(audit)
        });
    }
    let mut audit = joined(working).await?;
    audit.expect_batches(batches(conn, batch, i64::MAX).await?);
    Ok(audit)
}

async fn joined(working: tokio::task::JoinHandle<Result<Audit>>) -> Result<Audit> {
    working
        .await
        .map_err(|e| SqlError::unavailable(e.to_string()))?
}

async fn repeated_identities(
    conn: &mut SqliteConnection,
    texts: Texts,
    mut audit: Audit,
) -> Result<Audit> {
    while audit.identities().next_pass() {
        audit =
            stream_identities(conn, texts, audit, |audit, row| audit.identities().add(row)).await?;
    }
    if audit.identities().has_suspects() {
        audit = stream_identities(conn, texts, audit, |audit, row| {
            audit.identities().confirm(row)
        })
        .await?;
    }
    Ok(audit)
}

async fn stream_identities(
    conn: &mut SqliteConnection,
    texts: Texts,
    mut audit: Audit,
    each: fn(&mut Audit, &Row<'_>),
) -> Result<Audit> {
    let mut seq = 0_i64;
    loop {
        let rows = sqlx::query(texts.identities)
            .bind(seq)
            .bind(CHUNK_ROWS)
            .fetch_all(&mut *conn)
            .await?;
        let Some(last) = rows.last() else {
            return Ok(audit);
        };
        seq = int(last, 0)?;
        for row in &rows {
            each(&mut audit, &identity_row(row)?);
        }
    }
}

fn stored_row(row: &SqliteRow) -> Result<StoredRow<'_>> {
    Ok(StoredRow {
        batch: int(row, 1)?,
        row: Row {
            seq: int(row, 0)?,
            root: int(row, 2)?,
            reporter: optional_int(row, 14)?,
            tenant: int(row, 3)?,
            kind: small(row, 4)?,
            namespace: small(row, 5)?,
            source: row.try_get_unchecked(6)?,
            id: row.try_get_unchecked(7)?,
            at_us: int(row, 8)?,
            received_us: int(row, 9)?,
            content: bytes(row, 10)?,
            body: bytes(row, 11)?,
            personal_digest: bytes(row, 13)?,
        },
        personal: row.try_get_unchecked(12)?,
    })
}

/// A code that is no code any more stays different from every one that is.
fn small(row: &SqliteRow, column: usize) -> Result<u8> {
    Ok(u8::try_from(int(row, column)?).unwrap_or(u8::MAX))
}

/// The columns of `AUDIT_IDENTITIES`; the others are empty.
fn identity_row(row: &SqliteRow) -> Result<Row<'_>> {
    Ok(Row::of_identity(
        int(row, 0)?,
        int(row, 1)?,
        optional_int(row, 5)?,
        small(row, 2)?,
        row.try_get_unchecked(3)?,
        row.try_get_unchecked(4)?,
    ))
}

/// Batches after one and up to another.
async fn batches(conn: &mut SqliteConnection, after: i64, until: i64) -> Result<Vec<BatchHead>> {
    let rows = sqlx::query(sql::AUDIT_BATCHES)
        .bind(after)
        .bind(until)
        .fetch_all(conn)
        .await?;
    let head = |row: &SqliteRow| {
        Ok(BatchHead {
            batch: int(row, 0)?,
            root: TenantId(int(row, 1)?),
            first: Seq(int(row, 2)?),
            last: Seq(int(row, 3)?),
            records: int(row, 4)?,
            hash: hash(row, 5)?,
            committed_at: Instant(int(row, 6)?),
        })
    };
    rows.iter().map(head).collect()
}

/// A hash of another length is as wrong as one of other bytes.
fn hash(row: &SqliteRow, column: usize) -> Result<[u8; 32]> {
    Ok(bytes(row, column)?.try_into().unwrap_or_default())
}

async fn personal_keys(conn: &mut SqliteConnection) -> Result<HashMap<TenantId, [u8; 32]>> {
    let rows = sqlx::query(sql::AUDIT_KEYS).fetch_all(conn).await?;
    rows.iter()
        .map(|row| Ok((TenantId(int(row, 0)?), hash(row, 1)?)))
        .collect()
}

async fn stored(conn: &mut SqliteConnection) -> Result<Stored> {
    // The rows may be older than the records: the audit is of both together, as opening takes them.
    let (state, _) = states::every(&mut *conn).await?;
    let mut stored = Stored {
        state,
        ..Stored::default()
    };
    for row in sqlx::query(sql::AUDIT_AMENDMENTS)
        .fetch_all(&mut *conn)
        .await?
    {
        let kind = Kind::from_code(int(&row, 1)?)
            .ok_or_else(|| SqlError::corrupt("amendments: unknown kind"))?;
        stored.state.amendments.insert(
            Seq(int(&row, 0)?),
            Amendment {
                kind,
                by: Seq(int(&row, 2)?),
            },
        );
    }
    for row in sqlx::query(sql::HEADS).fetch_all(&mut *conn).await? {
        stored
            .chain_heads
            .insert(TenantId(int(&row, 0)?), hash(&row, 2)?);
    }
    Ok(stored)
}
