//! A quick look at a database file: what `health-check` reports. Costs nothing that grows with the
//! journal; the whole audit is `verify`.

use crate::journal::Result;
use rating::Instant;
use sqlx::SqliteConnection;
use std::path::Path;

const RECORDS: &str = "select coalesce(max(seq), 0) from records";
const LAST: &str = "select received_us from records order by seq desc limit 1";
const UNRATED: &str = "select count(*) from unrated";
const OVERDUE: &str = "select count(*) from holds where state = 1 and expires_us < ?";
const OPEN: &str = "select count(*) from holds where state = 1";
/// Currencies whose accounts do not sum to zero, and accounts that hold less than nothing.
const UNBALANCED: &str = "select (select count(*) from (select 1 from accounts group by currency having sum(posted) <> 0)) \
     + (select count(*) from accounts where held < 0)";
/// Balances below their limit: usage that happened was posted although it overdrew.
const OVERDRAWN: &str = "select count(*) from accounts a join agreements g on g.buyer_id = a.tenant \
     where a.kind = 1 and g.credit_limit_cents is not null and a.posted - a.held + g.credit_limit_cents < 0 \
     and g.from_at <= ? and (g.until_at is null or g.until_at > ?)";

/// What a look at the database found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    pub records: i64,
    pub last_record_at: Option<Instant>,
    /// Events kept without a price.
    pub unrated: i64,
    pub open_holds: i64,
    /// Open holds whose end has passed: swept within a second by a running server.
    pub overdue_holds: i64,
    /// Currencies that do not sum to zero, accounts that hold less than nothing: always 0.
    pub unbalanced: i64,
    /// Prepaid balances below their limit.
    pub overdrawn: i64,
}

/// Looks at a database file, also beside a running server. `now` decides which holds are over.
pub async fn look_at_file(file: &Path, now: Instant) -> Result<Health> {
    let mut conn = crate::db::open_sqlite_read_only(file).await?;
    let last: Option<i64> = sqlx::query_scalar(LAST).fetch_optional(&mut conn).await?;
    Ok(Health {
        records: count(&mut conn, RECORDS, &[]).await?,
        last_record_at: last.map(Instant),
        unrated: count(&mut conn, UNRATED, &[]).await?,
        open_holds: count(&mut conn, OPEN, &[]).await?,
        overdue_holds: count(&mut conn, OVERDUE, &[now]).await?,
        unbalanced: count(&mut conn, UNBALANCED, &[]).await?,
        overdrawn: count(&mut conn, OVERDRAWN, &[now, now]).await?,
    })
}

async fn count(conn: &mut SqliteConnection, statement: &'static str, instants: &[Instant]) -> Result<i64> {
    let mut query = sqlx::query_scalar(statement);
    for instant in instants {
        query = query.bind(instant.micros());
    }
    Ok(query.fetch_one(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_empty_database_is_healthy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("centwise.db");
        let _open = crate::db::Db::open_sqlite(&file).await.unwrap();
        assert_eq!(look_at_file(&file, Instant::from_secs(1)).await.unwrap(), Health::default());
    }
}
