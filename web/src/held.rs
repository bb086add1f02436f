//! A database that came from a backup does not know what happened after it. Until somebody has
//! looked through that and says so (`centwise resume`), nothing goes out by itself: no payout, no
//! automatic top-up, no delivery. Usage, holds and payments that come in go on.

use crate::problem::ApiProblem;
use catalog::{Catalog, CatalogError};
use db::restoration::Restoration;
use problem::Code;
use std::sync::RwLock;

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
                "database was restored from a backup: payouts, automatic top-ups and deliveries \
                    are held until `centwise resume`"
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
                Code::Restored,
                format!(
                    "this database was restored from a backup of {} and has no record of later \
                        payouts: enter them, then resume (centwise resume, or POST \
                        /v1/restoration/resume)",
                    restoration.backup_at()
                ),
            )),
        }
    }

    /// As the database says by now.
    pub fn set(&self, restoration: Option<Restoration>) {
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = restoration;
    }
}
