//! A database file read from its beginning to its end by who moves it elsewhere. It is locked:
//! nobody else writes to it.

use super::rows::{distinct_value, hold, int, record_by};
use super::{sql, states};
use db::{Result, Sqlite};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use journal::{DistinctValue, DistinctValueKey, JournalEntry, Seq, State};
use ledger::Hold;
use rating::fast::FastMap;
use rating::{Instant, TenantId, ids::HoldId};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteRow;

/// Holds read at once.
const HOLD_ROWS: i64 = 4096;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Export {
    db: Sqlite,
}

/// A record, with what only its batch and the list of kept events say of it.
#[derive(Debug)]
pub struct Line {
    pub record: JournalEntry,
    pub committed_at: Instant,
    /// Kept, and still to be rated.
    pub unrated: bool,
}

impl Export {
    pub fn of(db: &Sqlite) -> Self {
        Self { db: db.clone() }
    }

    /// `None`: no server ever began here.
    pub async fn platform(&self) -> Result<Option<TenantId>> {
        let id: Option<i64> = sqlx::query_scalar(sql::EXPORT_PLATFORM)
            .fetch_optional(&self.db.readers)
            .await?;
        Ok(id.map(TenantId))
    }

    pub async fn last_seq(&self) -> Result<Seq> {
        Ok(Seq(sqlx::query_scalar(sql::LAST_SEQ)
            .fetch_one(&self.db.readers)
            .await?))
    }

    /// Roots that have records.
    pub async fn roots(&self) -> Result<Vec<TenantId>> {
        let rows = sqlx::query(sql::HEADS).fetch_all(&self.db.readers).await?;
        let mut roots: Vec<TenantId> = rows
            .iter()
            .map(|row| int(row, 0).map(TenantId))
            .collect::<Result<_>>()?;
        roots.sort_unstable();
        Ok(roots)
    }

    /// The root of every tenant.
    pub async fn tenant_roots(&self) -> Result<FastMap<TenantId, TenantId>> {
        let rows = sqlx::query(sql::EXPORT_HOMES)
            .fetch_all(&self.db.readers)
            .await?;
        rows.iter()
            .map(|row| Ok((TenantId(int(row, 0)?), TenantId(int(row, 1)?))))
            .collect()
    }

    /// The next records in order of arrival; none: that was all.
    pub async fn lines(&self, after: Seq, limit: i64) -> Result<Vec<Line>> {
        let rows = sqlx::query(sql::EXPORT_RECORDS)
            .bind(after.0)
            .bind(limit)
            .fetch_all(&self.db.readers)
            .await?;
        let line = |row: &SqliteRow| {
            Ok(Line {
                record: record_by(row, 15)?,
                committed_at: Instant(int(row, 13)?),
                unrated: int(row, 14)? != 0,
            })
        };
        rows.iter().map(line).collect()
    }

    /// Accounts, carries, counters and open holds as opening takes them: rows, and what the records
    /// after them did.
    pub async fn states(&self) -> Result<State> {
        Ok(states::every(&mut *self.db.readers.acquire().await?)
            .await?
            .0)
    }

    /// Every hold, open or ended, as it is now.
    pub async fn holds(&self) -> Result<Holds<'_>> {
        let (_, newer) = states::every(&mut *self.db.readers.acquire().await?).await?;
        Ok(Holds {
            export: self,
            from: Some(i64::MIN),
            newer,
        })
    }

    pub fn distinct_values(&self) -> BoxStream<'_, Result<(DistinctValueKey, DistinctValue)>> {
        sqlx::query(sql::EXPORT_DISTINCT_VALUES)
            .fetch(&self.db.readers)
            .map(|row| distinct_value(&row?))
            .boxed()
    }

    /// How many rows by code: `select code, count(*) …`.
    pub async fn counts(&self, text: &'static str) -> Result<Vec<(i64, i64)>> {
        let rows = sqlx::query(text).fetch_all(&self.db.readers).await?;
        rows.iter()
            .map(|row| Ok((int(row, 0)?, int(row, 1)?)))
            .collect()
    }

    /// Rows of a table, or of a list in parentheses.
    pub async fn count(&self, from: &str) -> Result<i64> {
        let text = format!("select count(*) from {from}");
        Ok(sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&self.db.readers)
            .await?)
    }

    pub fn rows(
        &self,
        from: &str,
        columns: &[&str],
    ) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
        let text = format!("select {} from {from}", columns.join(", "));
        sqlx::query(AssertSqlSafe(text)).fetch(&self.db.readers)
    }
}

/// Piece by piece.
#[derive(Debug)]
pub struct Holds<'a> {
    export: &'a Export,
    /// The lowest id that may follow; `None`: no row does.
    from: Option<i64>,
    newer: FastMap<HoldId, Hold>,
}

impl Holds<'_> {
    /// Empty: that was all.
    pub async fn next(&mut self) -> Result<Vec<Hold>> {
        let Some(from) = self.from else {
            return Ok(self.newer.drain().map(|(_, hold)| hold).collect());
        };
        let rows = sqlx::query(sql::EXPORT_HOLDS)
            .bind(from)
            .bind(HOLD_ROWS)
            .fetch_all(&self.export.db.readers)
            .await?;
        let mut holds: Vec<Hold> = rows.iter().map(hold).collect::<Result<_>>()?;
        self.from = holds
            .last()
            .filter(|_| rows.len() as i64 == HOLD_ROWS)
            .and_then(|last| last.id.0.checked_add(1));
        for hold in &mut holds {
            if let Some(newer) = self.newer.remove(&hold.id) {
                *hold = newer;
            }
        }
        if holds.is_empty() {
            Ok(self.newer.drain().map(|(_, hold)| hold).collect())
        } else {
            Ok(holds)
        }
    }
}
