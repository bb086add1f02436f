//! Commission paid out to resellers: worked out from the journal, held back, posted, sent, and
//! taken back if need be.
//!
//! Vocabulary: a *purse* is a reseller's balance of one currency; a *period* is a calendar month;
//! *accrued* is what it received for charges less what it paid for them. A payout is *due*, then
//! *paying* (its row says so before anything moves, then the balance is debited, then the money is
//! sent), then *paid* or *failed*.
//!
//! Invariants: what all payouts of a purse hold together never exceeds what had accrued at the end
//! of the latest of their periods, nor, when each is made and when it is sent, what of it came in
//! from customers (`withheld.rs`); every step may be done again, by any process, after a crash at
//! any instant: postings have keys that follow from the row, so does the call to the provider, and
//! the row's version lets one process go on.

mod bank;
mod calendar;
mod commission_account;
mod cover;
mod customers;
mod earnings;
mod entered;
mod files;
mod month;
mod payable;
mod payees;
mod reversals;
pub mod rows;
mod runs;
mod statements;
mod steps;
#[cfg(test)]
mod tests;
mod withheld;

pub use bank::{BadAccount, FILE_PAYOUTS_MAX, bank_account};
pub use calendar::Calendar;
pub use commission_account::CommissionAccount;
pub use cover::Cover;
pub use earnings::{STATEMENT_RECORDS_MAX, moves};
pub use files::{Made, Skipped};
pub use month::{BadMonth, Month};
pub use payable::{Payable, Standing};
pub use payees::{HOLD_BACK_DAYS_DEFAULT, MINIMUM_CENTS_DEFAULT, Onboarding, default_settings};
pub use runs::{Considered, Outcome, RUN_RESELLERS_MAX, Reason};
pub use statements::MonthView;
pub use withheld::{Because, Withheld};

pub use steps::steps;

use catalog::{Catalog, CatalogError};
use journal::{Journal, JournalError};
use ledger::{AccountKey, Refusal};
use metering::Engine;
use problem::{Code, Problem};
use provider::{Provider, ProviderError};
use rating::{Currency, Overflow, TenantId};
use std::sync::Arc;
use tenants::Tenant;

/// Ids come from the application.
pub type NewId = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Everything that is done with payouts. Cheap to clone.
#[derive(Clone)]
pub struct Payouts {
    engine: Engine,
    catalog: Catalog,
    /// `None`: payouts go by bank.
    provider: Option<Arc<dyn Provider>>,
    /// The platform's: its months are the periods.
    calendar: Calendar,
    platform: TenantId,
    new_id: NewId,
}

impl std::fmt::Debug for Payouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payouts")
            .field("provider", &self.provider)
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("a sum of cents is too large")]
    Overflow(#[from] Overflow),
    /// What is asked does not fit what is there; or the engine's refusal.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// It is still being added up: the same again goes on where this stopped.
    #[error("the reseller's records are still being added up; try again in a moment")]
    Unfinished,
    /// Others changed the same all the time.
    #[error("it kept changing; try again")]
    Busy,
}

impl From<Refusal> for Error {
    /// Of an entry that was written: only what cannot be added up is not damage.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Overflow => Overflow.into(),
            other => JournalError::Corrupt(other.to_string()).into(),
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Payouts {
    pub fn new(
        engine: Engine,
        catalog: Catalog,
        provider: Option<Arc<dyn Provider>>,
        calendar: Calendar,
        platform: TenantId,
        new_id: NewId,
    ) -> Self {
        Self {
            engine,
            catalog,
            provider,
            calendar,
            platform,
            new_id,
        }
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    pub fn commission_account(tenant: &Tenant, currency: Currency) -> CommissionAccount {
        CommissionAccount {
            root: tenant.root,
            account: AccountKey::balance(tenant.id, currency),
        }
    }

    fn journal(&self) -> &Arc<dyn Journal> {
        self.engine.journal()
    }

    fn provider(&self) -> Result<&Arc<dyn Provider>> {
        let refused = || {
            Problem::new(
                Code::PaymentsNotConfigured,
                "this server has no payment provider; pay by bank transfer",
            )
        };
        Ok(self.provider.as_ref().ok_or_else(refused)?)
    }
}

fn refused(code: Code, detail: impl Into<String>) -> Error {
    Error::Refused(Problem::new(code, detail))
}
