//! Why a report is not given.

use catalog::CatalogError;
use journal::JournalError;
use ledger::Refusal;
use payouts;
use problem::Problem;
use rating::money::BadCurrency;
use rating::{Instant, Overflow};

/// Why a report is not given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The engine says so.
    #[error("{0}")]
    Engine(#[from] Problem),
    #[error(transparent)]
    Payouts(#[from] payouts::Error),
    /// The books hold what cannot be: a record's charges are no chain.
    #[error(transparent)]
    Chain(#[from] Refusal),
    /// The books hold what cannot be: an entry or balance is no number of cents.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// A sum over many records or roots is no number of cents.
    #[error("the sum exceeds the largest amount in cents: request less at once")]
    SumTooLarge,
    #[error("there is no such tenant")]
    NoTenant,
    #[error(transparent)]
    Currency(#[from] BadCurrency),
    #[error("this tenant has no agreement to take the currency from")]
    NoCurrency,
    #[error("expected balance, book, income or disputed")]
    NoAccount,
    #[error("expected a reseller")]
    NoReseller,
    #[error("the records of this account begin at {0}")]
    BeforeRecords(Instant),
    #[error(
        "there are more than {max} entries since then: choose a later start, or page through the \
            entries"
    )]
    PeriodTooLong { max: usize },
    #[error("the account kept changing while its statement was read")]
    Restless,
}
