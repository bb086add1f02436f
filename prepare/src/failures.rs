//! What the database failed at for good, as callers are told and as measures count it: what was
//! tried again and then succeeded is none.

use catalog::CatalogError;
use journal::JournalError;
use problem::{Code, Problem};
use tenants::NotAllowed;

const ERRORS: &str = "centwise_database_errors_total";

/// From 0 on, so that the first one is a change.
pub fn begin() {
    metrics::counter!(ERRORS).increment(0);
}

/// Counts one.
pub fn count() {
    metrics::counter!(ERRORS).increment(1);
}

/// A failing look-up is the server's trouble, save an ambiguous name.
pub fn record_problem(error: CatalogError) -> Problem {
    match error {
        CatalogError::NotFound { what } => {
            Problem::new(Code::NotFound, format!("there is no such {what}"))
        }
        CatalogError::Ambiguous { .. } => {
            Problem::field(Code::AmbiguousId, "customer", error.to_string())
        }
        CatalogError::NotAllowed(NotAllowed {
            code,
            field,
            detail,
        }) => Problem::field(code, field, detail),
        CatalogError::Conflict { field, detail } => Problem::field(Code::Conflict, field, detail),
        CatalogError::Invalid { field, detail } => {
            Problem::field(Code::InvalidField, field, detail)
        }
        CatalogError::Overtaken => Problem::new(Code::IdempotencyInProgress, error.to_string()),
        CatalogError::Db(error) => {
            count();
            Problem::new(
                Code::Unavailable,
                format!("the database did not answer: {error}"),
            )
        }
    }
}

/// A failing journal is the server's trouble: nothing was changed.
pub fn journal_problem(error: JournalError) -> Problem {
    tracing::error!(%error, "journal access failed");
    count();
    Problem::new(
        Code::Unavailable,
        "the database did not answer; nothing was changed, try again",
    )
}
