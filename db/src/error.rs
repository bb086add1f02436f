//! What a statement of a journal fails with.

use journal::JournalError;

/// A failure of the database, as the journal names it. The drivers' errors become one, and it
/// becomes a [`JournalError`]; neither side knows the other.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SqlError(pub JournalError);

pub type Result<T, E = SqlError> = std::result::Result<T, E>;

impl SqlError {
    /// Nothing was written; the same may be tried again.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self(JournalError::Unavailable(why.into()))
    }

    /// What is stored does not read back.
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self(JournalError::Corrupt(what.into()))
    }
}

impl From<JournalError> for SqlError {
    fn from(error: JournalError) -> Self {
        Self(error)
    }
}

impl From<SqlError> for JournalError {
    fn from(error: SqlError) -> Self {
        error.0
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        Self(match error {
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_) => JournalError::Corrupt(error.to_string()),
            sqlx::Error::Configuration(why) => JournalError::Unfit(why.to_string()),
            error if crate::retry::may_be_done_again(&error) => {
                JournalError::Conflict(error.to_string())
            }
            error => JournalError::Unavailable(error.to_string()),
        })
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        Self(JournalError::Unavailable(error.to_string()))
    }
}
