//! A database that came from a backup does not know what happened after it. Until somebody has
//! looked through that and says so (`centwise resume`), nothing goes out by itself: no payout, no
//! automatic top-up, no delivery. Usage, holds and payments that come in go on.

use crate::problem::ApiProblem;
use crate::state::App;
use catalog::{Catalog, CatalogError};
use db::restoration::Restoration;
use std::sync::RwLock;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};

/// Another process may have been told.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What this process knows of it.
#[derive(Debug)]
pub struct Held(RwLock<Option<Restoration>>);

impl Held {
    /// As the database has it at the start.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn read(catalog: &Catalog) -> Result<Self, CatalogError> {
        let restoration = catalog.restoration().await?;
        if let Some(restoration) = restoration {
            tracing::warn!(
                backup = %restoration.backup_at(),
                restored = %restoration.restored_at(),
                "this database was restored from a backup: payouts, automatic top-ups and \
                    deliveries are held until `centwise resume`"
            );
        }
        Ok(Self(RwLock::new(restoration)))
    }

    pub fn restoration(&self) -> Option<Restoration> {
        *self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn is_held(&self) -> bool {
        self.restoration().is_some()
    }

    /// # Errors
    /// `restored`: it would go out once more if it did after the backup.
    pub fn may_pay_out(&self) -> Result<(), ApiProblem> {
        match self.restoration() {
            None => Ok(()),
            Some(restoration) => Err(ApiProblem::new(
                "restored",
                format!(
                    "this database is a backup of {}, and does not know what was paid out since: \
                        enter that, then resume (centwise resume, or \
                     POST /v1/restoration/resume)",
                    restoration.backup_at()
                ),
            )),
        }
    }

    fn set(&self, restoration: Option<Restoration>) {
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = restoration;
    }
}

/// Reads again what the database says, until it is cancelled.
pub async fn watch(app: App, token: CancellationToken) {
    let mut rounds = Rounds::new(LOOK_EVERY, token);
    while rounds.next().await {
        if let Err(error) = look(&app).await {
            tracing::warn!(%error, "whether the database waits after a restore was not read");
        }
    }
}

/// # Errors
/// The database cannot be read.
pub async fn look(app: &App) -> Result<(), CatalogError> {
    let restoration = app.catalog.restoration().await?;
    if app.held.is_held() && restoration.is_none() {
        tracing::info!("resumed after a restore: payouts, automatic top-ups and deliveries go on");
    }
    app.held.set(restoration);
    app.payments.hold_charges(restoration.is_some());
    Ok(())
}
