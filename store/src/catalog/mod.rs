//! The cold, wide side: tenants, agreements, meters, rate cards, API keys, and who changed them.
//!
//! Invariants: every write is one transaction and writes its audit log row inside it; what is
//! published never changes; periods of a buyer's agreements never overlap; a subtree is a range of
//! stored paths, never a recursion. Authorisation is the caller's business: these functions give
//! the paths it needs, and lists of a subtree take the tenant at its top.

mod agreements;
mod audit;
mod audit_heads;
mod auto_top_ups;
mod bulk;
mod cards;
mod clock;
mod column_maps;
mod commission_customers;
mod commission_months;
mod contacts;
mod deliveries;
mod endpoints;
mod idempotency;
mod inbox;
mod keys;
mod meters;
mod notices;
mod payments;
mod payout_files;
mod payout_settings;
mod payouts;
mod platform;
mod reclassifications;
mod refunds;
mod restoration;
mod sql;
mod standing;
mod tenants;
#[cfg(test)]
mod tests;
mod thresholds;
mod top_ups;
mod versions;

pub(crate) use audit::append_within;
pub use audit::{AUDITED, AuditEntry, AuditFilter, Change};
pub(crate) use audit_heads::{OF_RECORDS, checks_of_postgres, checks_of_sqlite};
pub use auto_top_ups::{AUTO_ROWS_MAX, AutoState, AutoTopUp};
pub use bulk::NewTenant;
pub use cards::RateCard;
pub(crate) use clock::CLOCK_STEP;
pub use clock::ClockStep;
pub use column_maps::ColumnMap;
pub use commission_customers::{
    CommissionPosition, CustomerCommission, CustomerGrown, CustomersGrown, add_steps,
};
pub use commission_months::{CommissionMonth, MoveKind, Sum, Sums};
pub use contacts::{CONTACTS_MAX, Contact, ContactPatch};
pub use deliveries::{Channel, Delivery, DeliveryState, NewDelivery, Target, Tried};
pub use endpoints::{ENDPOINTS_MAX, Endpoint, EndpointPatch, FORMER_SECRET_SECS, Wanted};
pub use idempotency::{Attempt, Begun, IN_FLIGHT_SECS_MAX, Once, REMEMBERED_SECS};
pub use inbox::{EventState, InboxLook, ProviderEvent};
pub use meters::Meter;
pub use notices::{NOTICES_KEPT_SECS, Notice, NoticeKind, Undelivered};
pub(crate) use notices::{late_and_lately, undelivered};
pub use payments::{FeesElsewhere, Foreign, Payment, Settlement};
pub use payout_files::PayoutFile;
pub use payout_settings::{BankAccount, PayoutMethod, PayoutSettings};
pub use payouts::{Payout, PayoutState, PayoutSums};
pub use platform::{Counts, Platform};
pub use reclassifications::{RECLASSIFIED_AT_ONCE, Reclassification};
pub use refunds::{Refund, RefundState};
pub use restoration::Restoration;
pub(crate) use restoration::{MARK_RESTORED, RESTORATION};
pub use standing::Standing;
pub use tenants::{TenantPatch, TenantsNamed};
pub use thresholds::{Limited, Reached, Threshold};
pub use top_ups::{Created, Origin, TopUp, TopUpState};
pub use versions::{CardVersion, NewVersion, VersionStatus};

use crate::db::{Db, Unwritable};
use ::tenants::NotAllowed;
use rating::{Instant, TenantId, ids::ApiKeyId};

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
    fn micros(self) -> (i64, i64) {
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
    fn of<Row>(rows: Vec<Row>, limit: usize, read: impl Fn(Row) -> Result<T>) -> Result<Self> {
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
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, LIST_ROWS_MAX) + 1).unwrap_or(i64::MAX)
}

fn conflict(field: &'static str, detail: impl Into<String>) -> CatalogError {
    CatalogError::Conflict {
        field,
        detail: detail.into(),
    }
}

fn invalid(field: &'static str, detail: impl Into<String>) -> CatalogError {
    CatalogError::Invalid {
        field,
        detail: detail.into(),
    }
}

/// Names that people choose: not empty, at most `NAME_BYTES_MAX`, no control characters.
fn check_name(field: &'static str, name: &str) -> Result<()> {
    const NAME_BYTES_MAX: usize = 200;
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(invalid(
            field,
            format!("expected 1 to {NAME_BYTES_MAX} bytes without control characters"),
        ));
    }
    Ok(())
}
