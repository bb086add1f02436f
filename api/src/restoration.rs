//! Looks whether a restored database was resumed, here or by another process ([`web::held`]).

use catalog::CatalogError;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};
use web::state::App;

/// Another process may have been told.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads again what the database says, until it is cancelled.
pub async fn watch(app: App, token: CancellationToken) {
    let mut rounds = Rounds::new(LOOK_EVERY, token);
    while rounds.next().await {
        if let Err(error) = look(&app).await {
            tracing::warn!(%error, "reading the restore state failed");
        }
    }
}

/// # Errors
/// The database cannot be read.
pub async fn look(app: &App) -> Result<(), CatalogError> {
    let restoration = app.catalog.restoration().await?;
    if app.held.is_held() && restoration.is_none() {
        tracing::info!(
            "resumed after a restore: payouts, automatic top-ups and deliveries continue"
        );
    }
    app.held.set(restoration);
    app.payments.hold_charges(restoration.is_some());
    Ok(())
}
