//! Which code answers an error of another crate.

use super::ApiProblem;
use catalog::CatalogError;
use journal::JournalError;
use prepare::failures;
use problem::Code;
use provider::ProviderError;
use tenants::{Invalid, NotAllowed};

impl From<CatalogError> for ApiProblem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::NotFound { what } => Self::not_found(what),
            CatalogError::Ambiguous { .. } => Self::new(Code::AmbiguousId, error.to_string()),
            CatalogError::Conflict { field, detail } => Self::field(Code::Conflict, field, detail),
            CatalogError::Invalid { field, detail } => {
                Self::field(Code::InvalidField, field, detail)
            }
            CatalogError::NotAllowed(NotAllowed {
                code,
                field,
                detail,
            }) => Self::field(code, field, detail),
            CatalogError::Overtaken => Self::new(Code::IdempotencyInProgress, error.to_string()),
            CatalogError::Db(error) => {
                failures::count();
                Self::unavailable(&error)
            }
        }
    }
}

impl From<Invalid> for ApiProblem {
    fn from(mistake: Invalid) -> Self {
        Self::field(Code::InvalidField, mistake.field, mistake.expected)
    }
}

impl From<ProviderError> for ApiProblem {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Declined(_)
            | ProviderError::Refused { .. }
            | ProviderError::NotFound
            | ProviderError::Uncountable(_) => Self::new(Code::ProviderRefused, error.to_string()),
            ProviderError::Unknown(_) | ProviderError::NotSent(_) | ProviderError::Unauthorized => {
                tracing::warn!(%error, "payment provider request failed");
                let mut refused = Self::new(
                    Code::ProviderUnavailable,
                    "the payment provider request failed; the same request may be sent again",
                );
                refused.retry_after_secs = Some(30);
                refused
            }
        }
    }
}

impl From<payouts::Error> for ApiProblem {
    fn from(error: payouts::Error) -> Self {
        match error {
            payouts::Error::Catalog(error) => error.into(),
            payouts::Error::Journal(error) => error.into(),
            payouts::Error::Provider(error) => error.into(),
            payouts::Error::Refused(problem) => problem.into(),
            payouts::Error::Overflow(_) => Self::sum_too_large(),
            payouts::Error::Busy => Self::unavailable(&error),
            payouts::Error::Unfinished => {
                let mut refused = Self::new(Code::Unfinished, error.to_string());
                refused.retry_after_secs = Some(1);
                refused
            }
        }
    }
}

impl From<reports::error::Error> for ApiProblem {
    fn from(error: reports::error::Error) -> Self {
        use reports::error::Error;
        let text = error.to_string();
        match error {
            Error::Catalog(error) => error.into(),
            Error::Journal(error) => error.into(),
            Error::Engine(problem) => problem.into(),
            Error::Payouts(error) => error.into(),
            Error::Chain(_) | Error::Overflow(_) => Self::internal(&text),
            Error::SumTooLarge => Self::sum_too_large(),
            Error::NoTenant => Self::not_found("tenant"),
            Error::Currency(_) => Self::field(Code::InvalidField, "currency", text),
            Error::NoCurrency => Self::field(Code::MissingField, "currency", text),
            Error::NoAccount => Self::field(Code::InvalidField, "account", text),
            Error::NoReseller => Self::field(Code::InvalidField, "reseller", text),
            Error::BeforeRecords(_) => Self::field(Code::BeforeRecords, "from", text),
            Error::PeriodTooLong { .. } => Self::new(Code::PeriodTooLong, text),
            Error::Restless => Self::unavailable(&text),
        }
    }
}

impl From<JournalError> for ApiProblem {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Corrupt(_) => Self::internal(&error),
            JournalError::Unavailable(_) | JournalError::Conflict(_) | JournalError::Unfit(_) => {
                Self::unavailable(&error)
            }
        }
    }
}
