//! Who sells to whom? Tenants, agreements, chains, API keys, visibility. Pure.
//!
//! The tree has the platform at its root; its direct children are *roots*, the unit of placement.
//! Every tenant but the platform has exactly one seller (its parent), so a link is named by its buyer.

pub mod agreement;
pub mod chain;
pub mod key;
pub mod tenant;

pub use agreement::{Agreement, Collect, OnExhausted, Pricing};
pub use chain::{Chain, ChainError, Link};
pub use key::{ApiKey, Scope};
pub use tenant::{Tenant, TenantKind};

/// Links from a customer up to the platform.
pub const CHAIN_LINKS_MAX: usize = 8;
