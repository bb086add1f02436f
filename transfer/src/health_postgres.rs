//! A quick look at a database: what `health-check` reports. Costs nothing that grows with the
//! journal.

use crate::health::{
    Health, NAMED_MAX, Overdrawn, carried, clock_step, overdrawn, restoration, unbalanced,
};
use catalog::CLOCK_STEP;
use catalog::credit_look::OVER_CAP;
use db::restoration::RESTORATION;
use db::{Db, Result, SNAPSHOT, SqlError};
use journal_postgres::{
    Books, COUNT_FREE_RETAIL, COUNT_UNRATED, EXTERNAL_ID, LAST_ARRIVAL, LIMITS, current_books,
};
use ledger::HoldState;
use notices::rows::{late_and_lately, undelivered};
use payments::rows::look::{LATE_SECS, LOOK, Row, STUCK_SECS};
use rating::Instant;
use std::collections::HashMap;

/// Looks at a database, also beside running servers. `now` decides which holds are over.
pub async fn look_at_database(db: &Db, now: Instant) -> Result<Health> {
    let Db::Postgres(db) = db else {
        return Err(SqlError::unavailable("this is not a PostgreSQL database"));
    };
    let mut snapshot = db.pool.begin_with(SNAPSHOT).await?;
    let Books { state, records } = current_books(&mut snapshot).await?;
    let limits: HashMap<i64, i64> = sqlx::query_as(LIMITS)
        .bind(now.micros())
        .fetch_all(&mut *snapshot)
        .await?
        .into_iter()
        .collect();
    let last: Option<i64> = sqlx::query_scalar(LAST_ARRIVAL)
        .fetch_one(&mut *snapshot)
        .await?;
    let (late, stuck) = (
        now.plus_secs(-LATE_SECS).micros(),
        now.plus_secs(-STUCK_SECS).micros(),
    );
    let payments: Row = sqlx::query_as(LOOK)
        .bind(late)
        .bind(stuck)
        .fetch_one(&mut *snapshot)
        .await?;
    let below = overdrawn(&state.accounts, &limits);
    let mut most_overdrawn = Vec::new();
    for (key, cents_below) in below.iter().take(NAMED_MAX) {
        let tenant = sqlx::query_scalar(EXTERNAL_ID)
            .bind(key.tenant.0)
            .fetch_one(&mut *snapshot)
            .await?;
        most_overdrawn.push(Overdrawn {
            tenant,
            cents_below: *cents_below,
            currency: key.currency,
        });
    }
    let open = || {
        state
            .holds
            .values()
            .filter(|hold| hold.state == HoldState::Open)
    };
    let (due, since) = late_and_lately(now);
    Ok(Health {
        undelivered: sqlx::query_as(undelivered())
            .bind(due)
            .bind(since)
            .fetch_one(&mut *snapshot)
            .await?,
        records,
        last_record_at: last.map(Instant),
        unrated: sqlx::query_scalar(COUNT_UNRATED)
            .fetch_one(&mut *snapshot)
            .await?,
        free_retail: sqlx::query_scalar(COUNT_FREE_RETAIL)
            .bind(now.micros())
            .fetch_one(&mut *snapshot)
            .await?,
        open_holds: open().count() as i64,
        overdue_holds: open().filter(|hold| hold.expires_at < now).count() as i64,
        unbalanced: unbalanced(&state.accounts),
        overdrawn: below.len() as i64,
        most_overdrawn,
        carried: carried(&state.carries),
        payments: payments.into(),
        over_cap: sqlx::query_scalar(OVER_CAP)
            .bind(now.micros())
            .fetch_all(&mut *snapshot)
            .await?,
        clock_step: clock_step(
            sqlx::query_scalar(CLOCK_STEP)
                .fetch_optional(&mut *snapshot)
                .await?,
        ),
        restoration: restoration(
            sqlx::query_scalar(RESTORATION)
                .fetch_optional(&mut *snapshot)
                .await?,
        ),
    })
}
