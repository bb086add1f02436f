//! The cold, wide side: tenants, agreements, meters, rate cards, API keys, and who changed them.
//!
//! Invariants: every write is one transaction and writes its audit log row inside it; what is
//! published never changes; periods of a buyer's agreements never overlap; a subtree is a range of
//! stored paths, never a recursion. Authorisation is the caller's business: these functions give
//! the paths it needs, and lists of a subtree take the tenant at its top.

mod agreements;
pub mod audit;
mod audit_heads;
mod bulk;
mod cards;
mod clock;
mod column_maps;
pub mod credit_look;
mod idempotency;
mod keys;
mod meters;
pub mod paths;
mod platform;
mod reclassifications;
mod restoration;
mod standing;
pub mod tenants;
mod versions;

pub use audit::{AUDITED, AuditEntry, AuditFilter, Change, append_within};
pub use audit_heads::{OF_RECORDS, checks_of_postgres, checks_of_sqlite};
pub use bulk::NewTenant;
pub use cards::RateCard;
pub use clock::{CLOCK_STEP, ClockStep};
pub use column_maps::ColumnMap;
pub use idempotency::{Attempt, Begun, IN_FLIGHT_SECS_MAX, Once, REMEMBERED_SECS};
pub use meters::Meter;
pub use platform::{Counts, Platform};
pub use reclassifications::{RECLASSIFIED_AT_ONCE, Reclassification};
pub use standing::Standing;
pub use tenants::{TenantPatch, TenantsNamed};
pub use versions::{CardVersion, NewVersion, VersionStatus};

use ::tenants::NotAllowed;
use db::sql::WorkError;
use db::{Db, Unwritable};
use rating::{Instant, TenantId, ids::ApiKeyId};

/// Every statement, by file: for the tests that prepare each.
pub const STATEMENTS: &[(&str, &[(&str, &str)])] = &[
    ("agreements", agreements::STATEMENTS),
    ("audit", audit::STATEMENTS),
    ("audit_heads", audit_heads::STATEMENTS),
    ("bulk", bulk::STATEMENTS),
    ("cards", cards::STATEMENTS),
    ("clock", clock::STATEMENTS),
    ("column_maps", column_maps::STATEMENTS),
    ("idempotency", idempotency::STATEMENTS),
    ("keys", keys::STATEMENTS),
    ("meters", meters::STATEMENTS),
    ("platform", platform::STATEMENTS),
    ("reclassifications", reclassifications::STATEMENTS),
    ("restoration", restoration::STATEMENTS),
    ("standing", standing::STATEMENTS),
    ("tenants", tenants::STATEMENTS),
    ("versions", versions::STATEMENTS),
];

/// Rows of one page of a list.
pub const LIST_ROWS_MAX: usize = 1000;

/// Every record of one database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    db: Db,
    /// Reads show rows of this root only.
    root: Option<TenantId>,
}

/// Who changes something, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `None`: the server itself (first start, command line).
    pub key: Option<ApiKeyId>,
    pub tenant: TenantId,
    pub at: Instant,
    pub request_id: String,
    pub reason: Option<String>,
    /// The attempt at a request that this is the one transaction of; `None`: nothing is marked.
    pub once: Option<Once>,
}

impl Actor {
    /// For what an attempt does before the transaction that it is marked by.
    #[must_use]
    pub fn unmarked(&self) -> Self {
        Self {
            once: None,
            ..self.clone()
        }
    }
}

/// Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    /// The caller sees several roots that use this name: it must use the id.
    #[error(
        "several tenants are called {external_id:?}; use the id instead: {}",
        ids_of(candidates)
    )]
    Ambiguous {
        external_id: String,
        candidates: Vec<TenantId>,
    },
    /// What is asked contradicts what is stored.
    #[error("{field}: {detail}")]
    Conflict { field: &'static str, detail: String },
    /// What is asked makes no sense by itself.
    #[error("{field}: {detail}")]
    Invalid { field: &'static str, detail: String },
    /// Not for who asks to set.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// Another attempt at the same request took this one's place.
    #[error("another attempt at this request is under way")]
    Overtaken,
    #[error("the database failed: {0}")]
    Db(sqlx::Error),
}

impl From<sqlx::Error> for CatalogError {
    fn from(error: sqlx::Error) -> Self {
        // PostgreSQL keeps no text with a NUL in it; nor is anything called so.
        match error.as_database_error().and_then(|error| error.code()) {
            Some(code) if code == "22021" => {
                invalid("text", "expected text without the character U+0000")
            }
            _ => Self::Db(error),
        }
    }
}

impl WorkError for CatalogError {
    fn of_database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

fn ids_of(tenants: &[TenantId]) -> String {
    tenants
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

pub type Result<T, E = CatalogError> = std::result::Result<T, E>;

/// Of a list: what began in it, or what was in force then. `None`: no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    pub from: Option<Instant>,
    /// Exclusive.
    pub until: Option<Instant>,
}

impl Period {
    pub fn micros(self) -> (i64, i64) {
        (
            self.from.unwrap_or(Instant::MIN).micros(),
            self.until.unwrap_or(Instant::MAX).micros(),
        )
    }
}

/// One page of a list; the next one starts after the last of `data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub has_more: bool,
}

impl Catalog {
    /// Closes the database, for everybody who shares it.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Whether the database takes a write: see [`Db::probe`].
    ///
    /// # Errors
    /// What keeps it from being written.
    pub async fn probe(&self, now: Instant) -> Result<(), Unwritable> {
        self.db.probe(now.micros()).await
    }

    /// Where it is kept, for those who keep tables of their own there.
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// The root that reads show alone.
    pub const fn root(&self) -> Option<TenantId> {
        self.root
    }

    pub fn new(db: &Db) -> Self {
        Self {
            db: db.clone(),
            root: None,
        }
    }

    /// To read on behalf of one root: on PostgreSQL the database itself then shows nothing of
    /// another. The statements ask for a caller's own subtree anyway; this is the second wall, not
    /// the first.
    pub fn within(&self, root: TenantId) -> Self {
        Self {
            db: self.db.clone(),
            root: Some(root),
        }
    }
}

impl<T> Page<T> {
    /// From rows read with [`one_more`] than `limit`.
    pub fn of<Row>(rows: Vec<Row>, limit: usize, read: impl Fn(Row) -> Result<T>) -> Result<Self> {
        let limit = limit.clamp(1, LIST_ROWS_MAX);
        let has_more = rows.len() > limit;
        let data = rows
            .into_iter()
            .take(limit)
            .map(read)
            .collect::<Result<_>>()?;
        Ok(Self { data, has_more })
    }
}

/// Rows to ask for, so that the page knows whether there are more.
pub fn one_more(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, LIST_ROWS_MAX) + 1).unwrap_or(i64::MAX)
}

pub fn conflict(field: &'static str, detail: impl Into<String>) -> CatalogError {
    CatalogError::Conflict {
        field,
        detail: detail.into(),
    }
}

pub fn invalid(field: &'static str, detail: impl Into<String>) -> CatalogError {
    CatalogError::Invalid {
        field,
        detail: detail.into(),
    }
}

/// Names that people choose: not empty, at most `NAME_BYTES_MAX`, no control characters.
pub fn check_name(field: &'static str, name: &str) -> Result<()> {
    const NAME_BYTES_MAX: usize = 200;
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(invalid(
            field,
            format!("expected 1 to {NAME_BYTES_MAX} bytes without control characters"),
        ));
    }
    Ok(())
}
