//! The audit on PostgreSQL: one snapshot, root by root in order, read while the chunk before is
//! worked on. A root whose first months were dropped begins at its opening.

use super::head::Head;
use super::root_cache::Delta;
use super::rows::{
    account, batch, bytes, carries, counter, hash, hold, int, optional_int, small, text,
};
use super::{chain_heads, opening_balances, sql};

use db::{Result, SqlError};
use journal::hash::Row;
use journal::verify::{Audit, Stored, StoredRow};
use journal::{Amendment, BatchHead, Check, Kind, Seq, State};
use rating::TenantId;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row as _};
use std::collections::HashMap;

/// Rows read at once.
const CHUNK_ROWS: i64 = 16_384;

/// The checks of the journal, also beside running servers: one snapshot, nothing is written.
///
/// # Errors
/// It cannot be read.
pub async fn verify(pool: &PgPool) -> Result<Vec<Check>> {
    Ok(audit(pool, &HashMap::new()).await?.0)
}

/// A place between two batches of a root: the one before it, and that one's last seq.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub batch: i64,
    pub seq: i64,
}

impl Edge {
    const END: Self = Self {
        batch: i64::MAX,
        seq: i64::MAX,
    };
}

/// The checks, and what the records of roots come to up to these cuts, packed.
pub async fn audit(
    pool: &PgPool,
    cuts: &HashMap<TenantId, Edge>,
) -> Result<(Vec<Check>, HashMap<TenantId, Vec<u8>>)> {
    let mut snapshot = pool.begin_with(sql::SNAPSHOT).await?;
    sqlx::raw_sql(sql::NO_TIMEOUT)
        .execute(&mut *snapshot)
        .await?;
    let chain_heads = chain_heads::every(&mut snapshot).await?;
    let keys = personal_keys(&mut snapshot).await?;
    let records: i64 = chain_heads
        .iter()
        .map(|head| head.last_seq - chain_heads::first_seq(head.number) + 1)
        .sum();
    let mut audit = Audit::new(keys, records.unsigned_abs());
    let mut totals = HashMap::new();
    for head in &chain_heads {
        let mut edge = Edge {
            batch: 0,
            seq: chain_heads::first_seq(head.number) - 1,
        };
        match opening_balances::of(&mut snapshot, head.root).await? {
            Some(opening) => {
                edge = Edge {
                    batch: opening.batch,
                    seq: opening.last.0,
                };
                audit.begin_at(&opening);
            }
            None => audit.begin_root(Seq(edge.seq)),
        }
        let begun = edge;
        if let Some(cut) = cuts.get(&head.root).filter(|cut| cut.batch > edge.batch) {
            audit = stream_rows(&mut snapshot, head.root, edge, *cut, audit).await?;
            totals.insert(head.root, audit.totals().packed()?);
            edge = *cut;
        }
        audit = stream_rows(&mut snapshot, head.root, edge, Edge::END, audit).await?;
        let stored = stored(&mut snapshot, head, Seq(begun.seq)).await?;
        audit.end_root(&stored);
    }
    while audit.identities().next_pass() {
        audit = stream_identities(&mut snapshot, &chain_heads, audit, |audit, row| {
            audit.identities().add(row)
        })
        .await?;
    }
    if audit.identities().has_suspects() {
        audit = stream_identities(&mut snapshot, &chain_heads, audit, |audit, row| {
            audit.identities().confirm(row)
        })
        .await?;
    }
    Ok((audit.finish(&Stored::default()), totals))
}

/// The rows of a root behind one edge and up to another.
async fn stream_rows(
    conn: &mut PgConnection,
    root: TenantId,
    after: Edge,
    until: Edge,
    audit: Audit,
) -> Result<Audit> {
    let mut working = tokio::task::spawn_blocking(move || Ok(audit));
    let Edge { mut seq, mut batch } = after;
    loop {
        let rows = sqlx::query(sql::AUDIT_ROWS)
            .bind(root.0)
            .bind(seq)
            .bind(CHUNK_ROWS)
            .bind(until.seq)
            .fetch_all(&mut *conn)
            .await?;
        let Some(last) = rows.last() else { break };
        let last_batch = int(last, 1)?;
        let batches = batches(conn, root, batch, last_batch).await?;
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
    audit.expect_batches(batches(conn, root, batch, until.batch).await?);
    Ok(audit)
}

async fn joined(working: tokio::task::JoinHandle<Result<Audit>>) -> Result<Audit> {
    working
        .await
        .map_err(|e| SqlError::unavailable(e.to_string()))?
}

async fn stream_identities(
    conn: &mut PgConnection,
    chain_heads: &[Head],
    mut audit: Audit,
    each: fn(&mut Audit, &Row<'_>),
) -> Result<Audit> {
    for head in chain_heads {
        let mut seq = 0_i64;
        loop {
            let rows = sqlx::query(sql::AUDIT_IDENTITIES)
                .bind(head.root.0)
                .bind(seq)
                .bind(CHUNK_ROWS)
                .fetch_all(&mut *conn)
                .await?;
            let Some(last) = rows.last() else { break };
            seq = int(last, 0)?;
            for row in &rows {
                each(&mut audit, &identity_row(row)?);
            }
        }
    }
    Ok(audit)
}

/// The columns of `AUDIT_ROWS`.
fn stored_row(row: &PgRow) -> Result<StoredRow<'_>> {
    Ok(StoredRow {
        batch: int(row, 1)?,
        row: Row {
            seq: int(row, 0)?,
            root: int(row, 2)?,
            reporter: optional_int(row, 14)?,
            tenant: int(row, 3)?,
            kind: code(row, 4)?,
            namespace: code(row, 5)?,
            source: text(row, 6)?,
            id: text(row, 7)?,
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
fn code(row: &PgRow, column: usize) -> Result<u8> {
    Ok(u8::try_from(small(row, column)?).unwrap_or(u8::MAX))
}

/// The columns of `AUDIT_IDENTITIES`; the others are empty.
fn identity_row(row: &PgRow) -> Result<Row<'_>> {
    Ok(Row::of_identity(
        int(row, 0)?,
        int(row, 1)?,
        optional_int(row, 5)?,
        code(row, 2)?,
        text(row, 3)?,
        text(row, 4)?,
    ))
}

/// Batches of a root after one and up to another.
async fn batches(
    conn: &mut PgConnection,
    root: TenantId,
    after: i64,
    until: i64,
) -> Result<Vec<BatchHead>> {
    let rows = sqlx::query(sql::AUDIT_BATCHES)
        .bind(root.0)
        .bind(after)
        .bind(until)
        .fetch_all(conn)
        .await?;
    rows.iter().map(batch).collect()
}

async fn personal_keys(conn: &mut PgConnection) -> Result<HashMap<TenantId, [u8; 32]>> {
    let rows = sqlx::query(sql::AUDIT_KEYS).fetch_all(conn).await?;
    rows.iter()
        .map(|row| Ok((TenantId(int(row, 0)?), hash(row, 1)?)))
        .collect()
}

/// Rows of the root, and what its batches since have changed; of amendments those by records behind
/// `begun`.
pub async fn stored(conn: &mut PgConnection, head: &Head, begun: Seq) -> Result<Stored> {
    let mut state = State::default();
    let root = head.root.0;
    for row in sqlx::query(sql::AUDIT_ACCOUNTS)
        .bind(root)
        .fetch_all(&mut *conn)
        .await?
    {
        state.accounts.extend([account(&row)?]);
    }
    for row in sqlx::query(sql::AUDIT_CARRIES)
        .bind(root)
        .fetch_all(&mut *conn)
        .await?
    {
        state.carries.extend([carries(&row)?]);
    }
    for row in sqlx::query(sql::AUDIT_COUNTERS)
        .bind(root)
        .fetch_all(&mut *conn)
        .await?
    {
        state.counters.extend([counter(&row)?]);
    }
    for row in sqlx::query(sql::STATES_SINCE)
        .bind(vec![root])
        .bind(vec![head.materialized_through])
        .fetch_all(&mut *conn)
        .await?
    {
        let delta = Delta::unpacked(bytes(&row, 2)?)?;
        state.accounts.extend(delta.accounts);
        state.carries.extend(delta.carries);
        state.counters.extend(delta.counters);
    }
    for row in sqlx::query(sql::OPEN_HOLDS)
        .bind(vec![root])
        .fetch_all(&mut *conn)
        .await?
    {
        let hold = hold(&row)?;
        state.holds.insert(hold.id, hold);
    }
    for row in sqlx::query(sql::AUDIT_AMENDMENTS)
        .bind(root)
        .bind(begun.0)
        .fetch_all(&mut *conn)
        .await?
    {
        let kind = Kind::from_code(small(&row, 1)?)
            .ok_or_else(|| SqlError::corrupt("amendments: unknown kind"))?;
        state.amendments.insert(
            Seq(int(&row, 0)?),
            Amendment {
                kind,
                by: Seq(int(&row, 2)?),
            },
        );
    }
    let begun = (head.batch > 0).then_some((head.root, head.hash));
    Ok(Stored {
        state,
        chain_heads: begun.into_iter().collect(),
    })
}
