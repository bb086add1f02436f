//! An empty database that another's books are moved into: what `transfer::moving` asks of PostgreSQL.
//!
//! From [`Import::claim`] to [`Import::release`] a mark in `meta` keeps everybody else from opening
//! it.

use super::root_cache::Delta;
use super::rows::{int, small, text};
use super::{PostgresJournal, Rows, chain_heads, sql, write};
use db::{Db, MOVING, Postgres, Result, SqlError};
use journal::codec::account_kind;
use journal::{Batch, DistinctValue, DistinctValueKey, Journal, Placed, Seq};
use ledger::{AccountKind, Hold};
use rating::{Currency, TenantId};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row};
use std::collections::HashMap;

/// Tables that are written as the journal is: batch by batch, and its states at the end.
pub const JOURNAL_TABLES: &[&str] = &[
    "roots",
    "heads",
    "reporters",
    "records",
    "batches",
    "touched",
    "unrated",
    "amendments",
    "accounts",
    "carries",
    "counters",
    "members",
    "holds",
    // Of dropped months: the embedded database keeps everything.
    "openings",
];

/// How the values of a column are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Big,
    Text,
    Bytes,
}

#[derive(Debug)]
pub struct Import {
    pool: PgPool,
    journal: PostgresJournal,
}

/// The first of these tables that has rows.
pub async fn occupied(db: &Postgres, tables: &[&str]) -> Result<Option<String>> {
    occupied_in(&mut *db.pool.acquire().await?, tables).await
}

async fn occupied_in(conn: &mut PgConnection, tables: &[&str]) -> Result<Option<String>> {
    let one = |table: &&str| format!("select '{table}' where exists (select 1 from {table})");
    let each: Vec<String> = tables.iter().map(one).collect();
    let text = AssertSqlSafe(format!("{} limit 1", each.join(" union all ")));
    Ok(sqlx::query_scalar(text).fetch_optional(conn).await?)
}

impl Import {
    /// Marks the database, if it is empty still; else the table that is not.
    pub async fn claim(
        db: &Db,
        platform: TenantId,
        tables: &[&str],
    ) -> Result<std::result::Result<Self, String>> {
        let Db::Postgres(Postgres { pool, .. }) = db else {
            return Err(SqlError::unavailable("this is not a PostgreSQL database"));
        };
        let mut tx = pool.begin().await?;
        if let Some(table) = occupied_in(&mut tx, tables).await? {
            return Ok(Err(table));
        }
        // A server that starts on the empty database claims its platform by the same name.
        let claimed = sqlx::query(sql::CLAIM)
            .bind(platform.0.to_be_bytes().to_vec())
            .bind(MOVING)
            .execute(&mut *tx)
            .await?;
        if claimed.rows_affected() != 2 {
            return Ok(Err("meta".to_owned()));
        }
        tx.commit().await?;
        Ok(Ok(Self {
            pool: pool.clone(),
            journal: PostgresJournal::open(db).await?,
        }))
    }

    /// Everything is here: servers may open it.
    pub async fn release(&self) -> Result<()> {
        sqlx::query(sql::RELEASE)
            .bind(MOVING)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Gives these roots their numbers, in this order.
    pub async fn number(&self, roots: &[TenantId]) -> Result<HashMap<TenantId, i64>> {
        chain_heads::make(&self.journal.shared, roots.iter().copied()).await?;
        let chain_heads = chain_heads::every(&mut *self.pool.acquire().await?).await?;
        Ok(chain_heads
            .into_iter()
            .map(|head| (head.root, head.number))
            .collect())
    }

    /// The first seq of a root with this number.
    pub const fn first_seq(number: i64) -> Seq {
        Seq(chain_heads::first_seq(number))
    }

    pub async fn commit(&self, batch: Batch) -> Result<Placed> {
        Ok(self.journal.commit(batch).await?)
    }

    /// Columns of a table, and how their values are sent.
    pub async fn columns(&self, table: &str) -> Result<Vec<(String, Form)>> {
        let rows = sqlx::query(sql::COLUMNS)
            .bind(table)
            .fetch_all(&self.pool)
            .await?;
        let column = |row: &PgRow| {
            let (name, kind) = (text(row, 0)?, text(row, 1)?);
            let form = match kind {
                "bigint" => Form::Big,
                "text" => Form::Text,
                "bytea" => Form::Bytes,
                _ => {
                    return Err(SqlError::corrupt(format!(
                        "{table}.{name} is of the type {kind}, which nothing moves"
                    )));
                }
            };
            Ok((name.to_owned(), form))
        };
        rows.iter().map(column).collect()
    }

    pub async fn copy(&self, table: &str, columns: &[&str], mut rows: Rows) -> Result<()> {
        rows.end();
        let statement = format!(
            "copy {table} ({}) from stdin (format binary)",
            columns.join(", ")
        );
        let mut conn = self.pool.acquire().await?;
        let mut copy = conn.copy_in_raw(&statement).await?;
        copy.send(rows.bytes()).await?;
        let copied = copy.finish().await?;
        write::expect(copied, rows.count, "copied")
    }

    /// States of one root, of which there are none here yet.
    pub async fn put_states(&self, root: TenantId, states: &Delta) -> Result<()> {
        write::fold(&mut *self.pool.acquire().await?, root, states).await
    }

    pub async fn put_holds(&self, holds: &[Hold]) -> Result<()> {
        write::holds(&mut *self.pool.acquire().await?, holds).await
    }

    pub async fn put_distinct_values(
        &self,
        distinct_values: &[(TenantId, DistinctValueKey, DistinctValue)],
    ) -> Result<()> {
        write::distinct_values(&mut *self.pool.acquire().await?, distinct_values).await
    }

    /// The rows of states include every batch; and the planner learns what is in these tables.
    pub async fn complete(&self, tables: &[&str]) -> Result<()> {
        let mut tx = self.pool.begin_with(sql::PATIENT).await?;
        sqlx::query(sql::FOLD_HEADS).execute(&mut *tx).await?;
        sqlx::query(AssertSqlSafe(format!("analyze {}", tables.join(", "))))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    // ---- what is here ----

    /// To count in, however long it takes.
    pub async fn counting(&self) -> Result<Counting> {
        Ok(Counting(self.pool.begin_with(sql::PATIENT).await?))
    }
}

/// One transaction in which rows are counted and added up.
#[derive(Debug)]
pub struct Counting(sqlx::Transaction<'static, sqlx::Postgres>);

impl Counting {
    /// Rows of a table, or of a list in parentheses.
    pub async fn count(&mut self, from: &str) -> Result<i64> {
        Ok(sqlx::query_scalar(AssertSqlSafe(format!(
            "select count(*) from {from} as counted"
        )))
        .fetch_one(&mut *self.0)
        .await?)
    }

    /// How many records of each kind.
    pub async fn records(&mut self) -> Result<Vec<(i64, i64)>> {
        self.by_code(sql::COUNT_RECORDS).await
    }

    /// How many holds in each state.
    pub async fn holds(&mut self) -> Result<Vec<(i64, i64)>> {
        self.by_code(sql::COUNT_HOLDS).await
    }

    async fn by_code(&mut self, text: &'static str) -> Result<Vec<(i64, i64)>> {
        let rows = sqlx::query(text).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| Ok((small(row, 0)?, int(row, 1)?)))
            .collect()
    }

    /// By kind and currency: how many, posted and held cents of all.
    pub async fn accounts(&mut self) -> Result<Vec<(AccountKind, Currency, [i128; 3])>> {
        let rows = sqlx::query(sql::SUM_ACCOUNTS)
            .fetch_all(&mut *self.0)
            .await?;
        let unknown = || SqlError::corrupt("accounts: unknown kind or currency");
        let sums = |row: &PgRow| {
            let kind = account_kind(small(row, 0)?).ok_or_else(unknown)?;
            let currency: i32 = row.try_get_unchecked(1)?;
            let currency = u16::try_from(currency)
                .ok()
                .and_then(Currency::from_numeric)
                .ok_or_else(unknown)?;
            Ok((
                kind,
                currency,
                [i128::from(int(row, 2)?), sum(row, 3)?, sum(row, 4)?],
            ))
        };
        rows.iter().map(sums).collect()
    }

    /// How many, events and quantities of all.
    pub async fn counters(&mut self) -> Result<[i128; 3]> {
        let row = sqlx::query(sql::SUM_COUNTERS)
            .fetch_one(&mut *self.0)
            .await?;
        Ok([i128::from(int(&row, 0)?), sum(&row, 1)?, sum(&row, 2)?])
    }

    /// How many, and how often they were reported.
    pub async fn distinct_values(&mut self) -> Result<[i128; 2]> {
        let row = sqlx::query(sql::SUM_DISTINCT_VALUES)
            .fetch_one(&mut *self.0)
            .await?;
        Ok([i128::from(int(&row, 0)?), sum(&row, 1)?])
    }
}

/// A sum may have more than 64 bits.
fn sum(row: &PgRow, column: usize) -> Result<i128> {
    text(row, column)?
        .parse()
        .map_err(|e| SqlError::corrupt(format!("a sum: {e}")))
}
