//! Tables of months are taken out and dropped, while others read and write.
//!
//! `detach … concurrently` waits until everybody has gone who might still see the table, and keeps
//! nobody waiting meanwhile; what was begun and not finished is finished first. Nothing here waits
//! long at once: a lock that does not come is given up, and asked for again later.

use super::{Result, Retention, RetentionError, latest};
use crate::months::{self, MonthTable, Place};
use crate::{opening_balances, sql};
use backon::{BackoffBuilder, ConstantBuilder};
use db::retry::Tries;
use rating::Instant;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use std::time::Duration;

/// How often one table is asked for: with the lock's own time and the pause about ten minutes.
pub const PATIENCE: u32 = 240;
const SETTINGS: &str = "set lock_timeout = '2s'; set statement_timeout = 0";
const PAUSE: Duration = Duration::from_millis(500);
/// A lock did not come in time, or a deadlock; another run has done it or does it just now.
const LATER: [&str; 6] = ["55P03", "40P01", "55000", "55006", "42P01", "40001"];

impl Retention {
    /// Drops the months that openings include, also those that an earlier run had begun with; their
    /// names. `patience`: how often a table in use is asked for.
    ///
    /// # Errors
    /// A tenant's window has become longer than what would be left.
    pub async fn drop_months(&self, now: Instant, patience: u32) -> Result<Vec<String>> {
        let Some(from) = opening_balances::latest(&mut *self.pool().acquire().await?).await? else {
            return Ok(Vec::new());
        };
        // Settings of its own, and gone afterwards.
        let mut conn = self.pool().connect_options().connect().await?;
        sqlx::raw_sql(SETTINGS).execute(&mut conn).await?;
        let mut dropped: Vec<String> = Vec::new();
        let patient = ConstantBuilder::new()
            .with_delay(PAUSE)
            .with_max_times(patience as usize);
        let mut pauses = patient.build();
        while let Some(table) = next(&mut conn, from).await? {
            self.check_windows(now, from).await?;
            match step(&mut conn, &table).await {
                Ok(()) => pauses = patient.build(),
                Err(Step::Later) => {
                    let Some(pause) = pauses.next() else {
                        return Err(RetentionError::InUse { table: table.name });
                    };
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(Step::Never(error)) => return Err(error),
            }
            let month = table.month.to_string();
            if table.place == Place::Out && dropped.last() != Some(&month) {
                dropped.push(month);
            }
        }
        self.clear(from).await?;
        Ok(dropped)
    }

    /// Rows up to openings that lie in months that stay: of the moment in which the last month
    /// ended.
    async fn clear(&self, from: Instant) -> Result<()> {
        for text in [
            sql::DELETE_TOUCHED_UNTIL,
            sql::DELETE_RECORDS_UNTIL,
            sql::DELETE_BATCHES_UNTIL,
        ] {
            let mut tries = Tries::default();
            while let Err(error) = sqlx::query(text)
                .bind(latest(from).micros())
                .execute(self.pool())
                .await
            {
                if !tries.again(&error).await {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}

enum Step {
    Later,
    Never(RetentionError),
}

impl From<sqlx::Error> for Step {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        if code.is_some_and(|code| LATER.contains(&code.as_ref())) {
            Self::Later
        } else {
            Self::Never(error.into())
        }
    }
}

/// What is on its way out comes first: nothing else of its kind can be taken out before. Lists go
/// before what they list.
async fn next(conn: &mut PgConnection, from: Instant) -> Result<Option<MonthTable>> {
    let mut tables = months::tables(conn).await?;
    tables.retain(|table| table.month.plus(1).begins() <= from);
    let order = |table: &MonthTable| match table.of() {
        "touched" => 0,
        "records" => 1,
        _ => 2,
    };
    Ok(tables
        .into_iter()
        .min_by_key(|table| (table.place != Place::Leaving, table.month, order(table))))
}

async fn step(conn: &mut PgConnection, table: &MonthTable) -> Result<(), Step> {
    let MonthTable { name, place, .. } = table;
    let of = table.of();
    let text = match place {
        Place::Attached => format!("alter table {of} detach partition {name} concurrently"),
        Place::Leaving => format!("alter table {of} detach partition {name} finalize"),
        Place::Out => format!("drop table {name}"),
    };
    if *place != Place::Leaving {
        check_included(conn, table).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await?;
    Ok(())
}

/// Nothing behind an opening goes: not of a root that has none, nor of a process whose clock is a
/// month behind.
async fn check_included(conn: &mut PgConnection, table: &MonthTable) -> Result<(), Step> {
    let (name, of) = (&table.name, table.of());
    let (column, opening) = match of {
        "batches" => ("batch", "batch"),
        "records" => ("seq", "last_seq"),
        _ => ("last_seq", "last_seq"),
    };
    let text = format!(
        "select exists (select 1 from heads h left join openings o on o.root = h.root where exists \
         (select 1 from {name} t where t.root = h.root and t.{column} > coalesce(o.{opening}, 0)))"
    );
    let is_more: bool = sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_one(conn)
        .await?;
    if is_more {
        Err(Step::Never(RetentionError::NotIncluded {
            table: name.clone(),
        }))
    } else {
        Ok(())
    }
}
