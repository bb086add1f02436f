//! How much waits, for measures: counts that are cheap enough to be asked for now and then.

use super::{Catalog, Result};
use db::Db;
use db::sql::{read, statements};
use std::sync::atomic::Ordering;

statements! {
    LOOK = concat!(
        "select (select count(*) from unrated) as unrated,",
        " (select count(*) from holds where state = 1) as holds,",
        " (select count(*) from deliveries where state = 'waiting') as deliveries_waiting,",
        " (select count(*) from deliveries where state = 'failed') as deliveries_failed,",
        " (select count(*) from payouts where state in ('due', 'paying', 'reversing')) as payouts,",
        " (select count(*) from top_ups where state = 'failed'",
        // The newest, found from the end: mostly the first that is looked at.
        " and id > coalesce((select id from top_ups where state = 'succeeded' order by id desc \
            limit 1), 0)) as failed_payments"
    );
}

/// What waits, or went wrong, in the whole database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Standing {
    /// Usage kept without a price.
    pub unrated: i64,
    /// Open.
    pub holds: i64,
    pub deliveries_waiting: i64,
    /// Given up.
    pub deliveries_failed: i64,
    /// Due, or on their way.
    pub payouts: i64,
    /// Top-ups that failed since the last one that succeeded.
    pub failed_payments: i64,
}

impl Catalog {
    pub async fn standing(&self) -> Result<Standing> {
        let standing = read!(self, fetch_one as Standing, LOOK)?;
        Ok(match &self.db {
            Db::Sqlite(db) => Standing {
                holds: db.open_holds.load(Ordering::Relaxed) as i64,
                ..standing
            },
            Db::Postgres(_) => standing,
        })
    }

    /// Connections to the database: open, and of them idle.
    pub fn connections(&self) -> (u32, usize) {
        self.db.connections()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is asked for every few seconds, beside everything else.
    #[tokio::test]
    async fn what_grows_for_ever_is_not_read_through() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("centwise.db");
        Db::open_sqlite(&file).await.unwrap().close().await;
        let connection = rusqlite::Connection::open(&file).unwrap();
        let mut plan = connection
            .prepare(&format!("explain query plan {LOOK}"))
            .unwrap();
        let steps: Vec<String> = plan
            .query_map([], |row| row.get("detail"))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for table in ["deliveries", "holds", "payouts"] {
            let through: Vec<&String> = steps
                .iter()
                .filter(|step| **step == format!("SCAN {table}"))
                .collect();
            assert!(through.is_empty(), "{steps:?}");
        }
    }
}
