//! What needs doing now and then: holds that are over, carries of tenants that ended, measures of
//! the database, answers and messages nobody asks for again, limits nobody uses.

use crate::gauges;
use payments::rows::PaymentRows;
use rating::TenantId;
use std::fmt::Display;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};
use web::state::App;

const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Kept answers are purged this often, a bounded number at a time.
const PURGE_EVERY_ROUNDS: u64 = 60;
/// A page of the tenants at a time: what is carried of those that ended is settled.
const CARRIES_EVERY_ROUNDS: u64 = 60;

/// Until it is cancelled.
pub async fn keep_up(app: App, token: CancellationToken) {
    let (mut rounds, mut round) = (Rounds::new(SWEEP_EVERY, token), 0_u64);
    let mut carries_after = TenantId(0);
    while rounds.next().await {
        let is_due = |every: u64| round.is_multiple_of(every);
        if is_due(CARRIES_EVERY_ROUNDS) {
            // Where it stopped it goes on, whether it failed or took too long.
            let swept = in_time(
                &app,
                app.engine.sweep_carries(carries_after),
                "carries of ended tenants not settled",
            )
            .await;
            if let Some(next) = swept {
                carries_after = next.unwrap_or(TenantId(0));
            }
        }
        if is_due(gauges::EVERY_SECS) {
            in_time(&app, gauges::of_database(&app), "database metrics not read").await;
        }
        if is_due(PURGE_EVERY_ROUNDS) {
            purge(&app).await;
        }
        // The rest of the upkeep does not wait for a lane that hangs.
        in_time(&app, app.engine.sweep_holds(), "holds not swept").await;
        app.limits.sweep();
        app.metrics.run_upkeep();
        round += 1;
    }
}

async fn purge(app: &App) {
    let now = app.clock.now();
    in_time(
        app,
        app.key_uses.write(&app.catalog),
        "last uses of keys not written",
    )
    .await;
    in_time(
        app,
        app.catalog.purge_idempotent(now),
        "stored responses not purged",
    )
    .await;
    in_time(
        app,
        PaymentRows::of(&app.catalog).purge_provider_events(now),
        "old payment provider messages not purged",
    )
    .await;
}

/// `None`: it failed, or took longer than a request may; the log says so.
async fn in_time<T, E: Display>(
    app: &App,
    work: impl Future<Output = Result<T, E>>,
    failed: &str,
) -> Option<T> {
    match tokio::time::timeout(app.request_time_max, work).await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::warn!(%error, "{failed}");
            None
        }
        Err(_elapsed) => {
            tracing::warn!("{failed} in time");
            None
        }
    }
}
