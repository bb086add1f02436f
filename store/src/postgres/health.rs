//! A quick look at a database: what `health-check` reports. Costs nothing that grows with the
//! journal.

use super::{audit, chain_heads, sql};
use crate::catalog::{CLOCK_STEP, RESTORATION, late_and_lately, undelivered};
use crate::credit_look::OVER_CAP;
use crate::db::Db;
use crate::journal::{JournalError, Result, Seq, State};
use crate::payments_look::{LATE_SECS, LOOK, Row, STUCK_SECS};
use crate::sqlite::health::{
    Health, NAMED_MAX, Overdrawn, carried, clock_step, overdrawn, restoration, unbalanced,
};
use ledger::HoldState;
use rating::Instant;
use std::collections::HashMap;

/// Looks at a database, also beside running servers. `now` decides which holds are over.
pub async fn look_at_database(db: &Db, now: Instant) -> Result<Health> {
    let Db::Postgres(db) = db else {
        return Err(JournalError::Unavailable(
            "this is not a PostgreSQL database".into(),
        ));
    };
    let mut snapshot = db.pool.begin_with(sql::SNAPSHOT).await?;
    let chain_heads = chain_heads::every(&mut snapshot).await?;
    let mut state = State::default();
    for head in &chain_heads {
        let of_root = audit::stored(&mut snapshot, head, Seq(i64::MAX))
            .await?
            .state;
        state.accounts.extend(of_root.accounts);
        state.holds.extend(of_root.holds);
        state.carries.extend(of_root.carries);
    }
    let limits: HashMap<i64, i64> = sqlx::query_as(sql::LIMITS)
        .bind(now.micros())
        .fetch_all(&mut *snapshot)
        .await?
        .into_iter()
        .collect();
    let last: Option<i64> = sqlx::query_scalar(sql::LAST_ARRIVAL)
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
        let tenant = sqlx::query_scalar(sql::EXTERNAL_ID)
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
        records: chain_heads
            .iter()
            .map(|head| head.last_seq - chain_heads::first_seq(head.number) + 1)
            .sum(),
        last_record_at: last.map(Instant),
        unrated: sqlx::query_scalar(sql::COUNT_UNRATED)
            .fetch_one(&mut *snapshot)
            .await?,
        free_retail: sqlx::query_scalar(sql::COUNT_FREE_RETAIL)
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
