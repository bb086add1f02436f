//! Who sells to whom? Tenants, agreements, chains, API keys, visibility. Pure.
//!
//! The tree has the platform at its root; its direct children are *roots*, the unit of placement.
//! Every tenant but the platform has exactly one seller (its parent), so a link is named by its
//! buyer. Who holds a key sees the key's subtree and nothing else: [`visible`].

pub mod agreement;
pub mod authority;
pub mod chain;
pub mod invalid;
pub mod key;
pub mod tenant;
#[cfg(test)]
mod testing;

pub use agreement::{Agreement, Collect, OnExhausted, Pricing};
pub use authority::{Authority, NotAllowed};
pub use chain::{Chain, ChainError, Link};
pub use invalid::Invalid;
pub use key::{ApiKey, KeyError, Need, Scope};
pub use tenant::{Tenant, TenantKind};

use rating::TenantId;

/// Links from a customer up to the platform.
pub const CHAIN_LINKS_MAX: usize = 8;

/// Whether a key of tenant `caller` sees the tenant of this path: its own subtree and nothing else.
pub fn visible(caller: TenantId, path: &[TenantId]) -> bool {
    path.contains(&caller)
}
