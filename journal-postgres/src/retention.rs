//! Old months go as whole tables, and the books go on from openings.
//!
//! Three steps, each of which may be cut short and is finished by the next run:
//!
//! 1. The whole database is audited. What each root's records come to up to its last batch in the
//!    months that go is its *opening* ([`journal::verify::Opening`]). Anything wrong: nothing is
//!    dropped.
//! 2. Root by root, under its head's lock and in one transaction: rows of states follow the journal
//!    up to there, the opening is written, kept events that go are taken off their list, and the
//!    audit log says what goes.
//! 3. The tables of the months are taken out (waiting for who still reads, in nobody's way) and
//!    dropped.
//!
//! An opening lies between two batches of its root. A month is cut by the clock, and clocks of
//! several processes differ: a batch that committed just before midnight may follow one from just
//! after it. So the opening lies behind the last batch that has anything in the months that go, and
//! the few rows of batches up to it that lie in a month that stays are deleted one by one: up to an
//! opening everything is gone, behind it everything is there. Clocks that differ by more than
//! [`CLOCKS_DIFFER_MAX_SECS`] are an error: too much would go.

mod drop;
mod fold;

pub use drop::PATIENCE;

use super::audit::Edge;
use super::months::{self, Month, Place};
use super::rows::{batch, hold};
use super::{PostgresJournal, chain_heads, sql};
use catalog::CatalogError;
use db::Db;
use journal::retention::{MONTH_DAYS_MIN, late_window_days_max};
use journal::{BatchHead, Check, JournalError};
use rating::{Instant, TenantId};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use std::collections::BTreeMap;

/// Full months kept before the present one, at least: what is rated and voided now counts in months
/// that are over.
pub const KEEP_MONTHS_MIN: u32 = 2;
const CLOCKS_DIFFER_MAX_SECS: i64 = 3600;

/// Nothing is dropped.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    #[error("the embedded database keeps everything: months are dropped on PostgreSQL only")]
    Embedded,
    #[error(
        "usage of a tenant may come {late_days} days late: at least {least} months must be kept, \
            or its resends would be charged twice \
         (or shorten its late_window_days)"
    )]
    TooShort { late_days: i64, least: u32 },
    #[error(
        "{count} holds are open that were placed in these months: release them first, or let them \
            end"
    )]
    OpenHolds { count: usize },
    #[error(
        "{count} events without a price would go: rate them, or say --with-unrated (the audit log \
            then keeps their number)"
    )]
    Unrated { count: i64 },
    #[error(
        "{root}: batch {batch} was committed by a clock that was more than an hour behind: its \
            months cannot be told from those that stay"
    )]
    Clocks { root: TenantId, batch: i64 },
    #[error("the books are not right: nothing is dropped")]
    NotSound(Vec<Check>),
    #[error("{table} has records that no opening includes: it stays")]
    NotIncluded { table: String },
    #[error("{table} was in use for too long: run this again to finish")]
    InUse { table: String },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl From<sqlx::Error> for RetentionError {
    fn from(error: sqlx::Error) -> Self {
        db::SqlError::from(error).into()
    }
}

impl From<db::SqlError> for RetentionError {
    fn from(error: db::SqlError) -> Self {
        Self::Journal(error.0)
    }
}

pub type Result<T, E = RetentionError> = std::result::Result<T, E>;

/// What would go.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What arrived from here on stays.
    pub from: Instant,
    pub months: Vec<MonthPlan>,
    /// Events without a price.
    pub unrated: i64,
    /// Placed in these months.
    pub open_holds: usize,
    cuts: Vec<Cut>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthPlan {
    /// 2026-11
    pub month: String,
    pub records: i64,
    pub batches: i64,
}

/// The last batch of a root that goes.
#[derive(Debug, Clone)]
struct Cut {
    number: i64,
    last: BatchHead,
}

impl Cut {
    const fn edge(&self) -> Edge {
        Edge {
            batch: self.last.batch,
            seq: self.last.last.0,
        }
    }
}

/// The months of one database.
#[derive(Debug)]
pub struct Retention {
    journal: PostgresJournal,
}

impl Retention {
    pub async fn open(db: &Db) -> Result<Self> {
        match db {
            Db::Sqlite(_) => Err(RetentionError::Embedded),
            Db::Postgres(_) => Ok(Self {
                journal: PostgresJournal::open(db).await?,
            }),
        }
    }

    fn pool(&self) -> &PgPool {
        &self.journal.shared.pool
    }

    /// What goes if the present month and so many full months before it are kept.
    ///
    /// # Errors
    /// Fewer than what late events ask for, and a margin of a month.
    pub async fn plan(&self, now: Instant, keep_months: u32) -> Result<Plan> {
        self.check_months(keep_months).await?;
        let from = Month::of(now).plus(-i64::from(keep_months)).begins();
        let mut snapshot = self.pool().begin_with(sql::SNAPSHOT).await?;
        sqlx::raw_sql(sql::NO_TIMEOUT)
            .execute(&mut *snapshot)
            .await?;
        let months = months_before(&mut snapshot, from).await?;
        let mut plan = Plan {
            from,
            months,
            unrated: 0,
            open_holds: 0,
            cuts: Vec::new(),
        };
        if plan.months.is_empty() {
            return Ok(plan);
        }
        for head in chain_heads::every(&mut snapshot).await? {
            let Some(last) = last_before(&mut snapshot, head.root, from).await? else {
                continue;
            };
            let query = sqlx::query_scalar::<_, i64>(sql::COUNT_UNRATED_UNTIL)
                .bind(head.root.0)
                .bind(last.last.0);
            plan.unrated += query.fetch_one(&mut *snapshot).await?;
            plan.open_holds += open_holds_before(&mut snapshot, head.root, latest(from)).await?;
            plan.cuts.push(Cut {
                number: head.number,
                last,
            });
        }
        Ok(plan)
    }

    async fn late_days(&self) -> Result<i64> {
        Ok(sqlx::query_scalar(sql::LATE_WINDOW_MAX)
            .fetch_one(self.pool())
            .await?)
    }

    /// An event may come as late as its customer's window says, and again as often as its sender
    /// likes: as long as it is not late, its first record must be there.
    async fn check_months(&self, keep_months: u32) -> Result<()> {
        let late_days = self.late_days().await?;
        let least = months_kept_min(late_days);
        if keep_months < least {
            Err(RetentionError::TooShort { late_days, least })
        } else {
            Ok(())
        }
    }

    /// The same once it is known from when on records stay: windows may have become longer since.
    async fn check_windows(&self, now: Instant, from: Instant) -> Result<()> {
        let late_days = self.late_days().await?;
        if late_days <= late_window_days_max(now, from) {
            return Ok(());
        }
        Err(RetentionError::TooShort {
            late_days,
            least: months_kept_min(late_days),
        })
    }
}

fn months_kept_min(late_days: i64) -> u32 {
    u32::try_from((late_days + MONTH_DAYS_MIN - 1) / MONTH_DAYS_MIN + 1)
        .unwrap_or(u32::MAX)
        .max(KEEP_MONTHS_MIN)
}

/// Where what belongs to months before `from` may lie by another process's clock.
fn latest(from: Instant) -> Instant {
    from.plus_secs(CLOCKS_DIFFER_MAX_SECS)
}

async fn months_before(conn: &mut PgConnection, from: Instant) -> Result<Vec<MonthPlan>> {
    let mut months: BTreeMap<Month, MonthPlan> = BTreeMap::new();
    for table in months::tables(conn).await? {
        if table.month.begins() >= from || table.place != Place::Attached || table.of() == "touched"
        {
            continue;
        }
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "select count(*) from {}",
            table.name
        )))
        .fetch_one(&mut *conn)
        .await?;
        let month = months.entry(table.month).or_insert_with(|| MonthPlan {
            month: table.month.to_string(),
            records: 0,
            batches: 0,
        });
        match table.of() {
            "records" => month.records = count,
            _ => month.batches = count,
        }
    }
    Ok(months.into_values().collect())
}

/// The last batch of a root with anything that arrived before an instant.
async fn last_before(
    conn: &mut PgConnection,
    root: TenantId,
    from: Instant,
) -> Result<Option<BatchHead>> {
    let committed: Option<i64> = sqlx::query_scalar(sql::LAST_BATCH_BEFORE)
        .bind(root.0)
        .bind(from.micros())
        .fetch_one(&mut *conn)
        .await?;
    let arrived: Option<i64> = sqlx::query_scalar(sql::LAST_RECORD_BEFORE)
        .bind(root.0)
        .bind(from.micros())
        .fetch_optional(&mut *conn)
        .await?;
    let Some(number) = committed.max(arrived) else {
        return Ok(None);
    };
    let row = sqlx::query(sql::BATCH_OF)
        .bind(root.0)
        .bind(number)
        .fetch_optional(&mut *conn)
        .await?;
    let last = batch(&row.ok_or_else(|| {
        JournalError::Corrupt(format!("{root}: batch {number} has records and no row"))
    })?)?;
    let query = sqlx::query_scalar(sql::IS_LATER)
        .bind(root.0)
        .bind(number)
        .bind(last.last.0)
        .bind(latest(from).micros());
    if query.fetch_one(conn).await? {
        Err(RetentionError::Clocks {
            root,
            batch: number,
        })
    } else {
        Ok(Some(last))
    }
}

async fn open_holds_before(
    conn: &mut PgConnection,
    root: TenantId,
    before: Instant,
) -> Result<usize> {
    let rows = sqlx::query(sql::OPEN_HOLDS)
        .bind(vec![root.0])
        .fetch_all(conn)
        .await?;
    let holds = rows
        .iter()
        .map(hold)
        .collect::<Result<Vec<_>, db::SqlError>>()?;
    Ok(holds.iter().filter(|hold| hold.placed_at < before).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::retention::DAY_MICROS;

    #[test]
    fn months_that_are_kept_are_enough_for_their_windows() {
        assert_eq!(
            [0, 28, 29, 35, 56, 366].map(months_kept_min),
            [2, 2, 3, 3, 3, 15]
        );
        for (now, late_days) in (0..1461)
            .flat_map(|day| [0, 28, 29, 35, 366].map(|late| (Instant(day * DAY_MICROS), late)))
        {
            let from = Month::of(now)
                .plus(-i64::from(months_kept_min(late_days)))
                .begins();
            assert!(
                late_days <= late_window_days_max(now, from),
                "{now} {late_days}"
            );
        }
    }
}
