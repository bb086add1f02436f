//! Nodes of the tree.

use rating::{Instant, TenantId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantKind {
    Platform,
    Reseller,
    Customer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    /// The caller's own id; unique under the root (the platform's and the roots' own: globally).
    pub external_id: String,
    pub kind: TenantKind,
    pub name: String,
    /// The seller; `None` for the platform only.
    pub parent: Option<TenantId>,
    /// The root this tenant belongs to; the platform's is itself.
    pub root: TenantId,
    /// From the platform down to this tenant, both included.
    pub path: SmallVec<[TenantId; 4]>,
    /// ISO 3166-1 alpha-2: how national numbers are read.
    pub country: Option<String>,
    pub late_window_days: u16,
    pub created_at: Instant,
    pub closed_at: Option<Instant>,
}

pub const LATE_WINDOW_DAYS_DEFAULT: u16 = 35;
