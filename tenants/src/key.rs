//! API keys: 256 random bits, shown once, stored as a hash, scoped to a subtree.

use rating::{Instant, TenantId, ids::ApiKeyId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything, for the platform's operator.
    PlatformAdmin,
    /// Reads and writes in the key's subtree.
    TenantAdmin,
    /// Reads in the key's subtree.
    TenantRead,
    /// Sends usage, places holds, asks prices and balances in the key's subtree.
    UsageWrite,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    /// The subtree the key sees.
    pub tenant: TenantId,
    pub root: TenantId,
    pub scope: Scope,
    pub name: String,
    /// BLAKE3 of the secret.
    pub hash: [u8; 32],
    pub created_at: Instant,
    pub expires_at: Option<Instant>,
    pub revoked_at: Option<Instant>,
}
