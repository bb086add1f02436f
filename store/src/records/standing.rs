//! How much waits, for measures: counts that are cheap enough to be asked for now and then.

use super::sql::{read, statements};
use super::{Records, Result};

statements! {
    LOOK = concat!(
        "select (select count(*) from unrated) as unrated,",
        " (select count(*) from holds where state = 1) as holds,",
        " (select count(*) from deliveries where state = 'waiting') as deliveries_waiting,",
        " (select count(*) from deliveries where state = 'failed') as deliveries_failed,",
        " (select count(*) from payouts where state in ('due', 'paying', 'reversing')) as payouts,",
        " (select count(*) from top_ups where state = 'failed'",
        // The newest, found from the end: mostly the first that is looked at.
        " and id > coalesce((select id from top_ups where state = 'succeeded' order by id desc limit 1), 0)) as failed_payments"
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

impl Records {
    pub async fn standing(&self) -> Result<Standing> {
        Ok(read!(self, fetch_one as Standing, LOOK)?)
    }

    /// Connections to the database: open, and of them idle.
    pub fn connections(&self) -> (u32, usize) {
        self.db.connections()
    }
}
