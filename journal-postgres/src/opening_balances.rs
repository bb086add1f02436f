//! Rows of `opening_balances`: where each root's journal begins once months were dropped.

use super::rows::{bytes, hash, int};
use super::sql;
use db::Result;
use journal::verify::Opening;
use journal::{Beginning, Seq};
use rating::{Instant, TenantId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

fn opening(row: &PgRow) -> Result<Opening> {
    Ok(Opening {
        root: TenantId(int(row, 0)?),
        batch: int(row, 1)?,
        last: Seq(int(row, 2)?),
        hash: hash(row, 3)?,
        committed_at: Instant(int(row, 4)?),
        from: Instant(int(row, 5)?),
        since: Instant(int(row, 6)?),
        totals: bytes(row, 7)?.to_vec(),
        digest: hash(row, 8)?,
    })
}

/// `None`: everything of the root is there.
pub async fn of(conn: &mut PgConnection, root: TenantId) -> Result<Option<Opening>> {
    sqlx::query(sql::OPENING_OF)
        .bind(root.0)
        .fetch_optional(conn)
        .await?
        .as_ref()
        .map(opening)
        .transpose()
}

/// In the place of an earlier one of the root.
pub async fn put(conn: &mut PgConnection, opening: &Opening) -> Result<()> {
    sqlx::query(sql::PUT_OPENING)
        .bind(opening.root.0)
        .bind(opening.batch)
        .bind(opening.last.0)
        .bind(opening.hash.to_vec())
        .bind(opening.committed_at.micros())
        .bind(opening.from.micros())
        .bind(opening.since.micros())
        .bind(&opening.totals)
        .bind(opening.digest.to_vec())
        .execute(conn)
        .await?;
    Ok(())
}

/// Of one root, without its totals.
pub async fn beginning(conn: &mut PgConnection, root: TenantId) -> Result<Option<Beginning>> {
    let row = sqlx::query(sql::BEGINNING_OF)
        .bind(root.0)
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        Ok(Beginning {
            from: Instant(int(&row, 0)?),
            since: Instant(int(&row, 1)?),
        })
    })
    .transpose()
}

/// The latest instant from which some root's records are there: months before it are on their way
/// out.
pub async fn latest(conn: &mut PgConnection) -> Result<Option<Instant>> {
    let from: Option<i64> = sqlx::query_scalar(sql::LATEST_BEGINNING)
        .fetch_one(conn)
        .await?;
    Ok(from.map(Instant))
}
