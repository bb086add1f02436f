//! Payouts while the server runs: what waits is taken on, payees are read again, and what is due is
//! created every day, if the settings say so. Every process may do it; what is done is done once.

use catalog::Actor;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};
use web::state::App;

const EVERY: Duration = Duration::from_secs(5);
const HOUR_MICROS: i64 = 3600 * 1_000_000;

pub async fn keep_up(app: App, token: CancellationToken) {
    let mut rounds = Rounds::new(EVERY, token);
    let (mut hour, mut day) = (None, None);
    while rounds.next().await {
        if app.clock.stepped().is_some() || app.held.is_held() {
            continue;
        }
        let now = app.clock.now();
        if let Err(error) = app.payouts.work(now).await {
            tracing::warn!(%error, "payout worker round failed");
        }
        let this_hour = Some(now.micros() / HOUR_MICROS);
        if hour != this_hour {
            hour = this_hour;
            if let Err(error) = app.payouts.poll_payees(now).await {
                tracing::warn!(%error, "payee refresh failed");
            }
        }
        let this_day = Some(now.micros() / (24 * HOUR_MICROS));
        if app.payouts_auto && day != this_day {
            day = this_day;
            run(&app).await;
        }
    }
}

async fn run(app: &App) {
    let (at, request_id) = (app.clock.now(), clock::request_id(&app.clock));
    let actor = Actor {
        key: None,
        tenant: app.platform,
        at,
        request_id,
        reason: Some("daily run".to_owned()),
        once: None,
    };
    match app.payouts.run_all(&actor, at).await {
        Ok(0) => {}
        Ok(created) => tracing::info!(created, "due payouts created"),
        Err(error) => tracing::warn!(%error, "payout run failed"),
    }
}
