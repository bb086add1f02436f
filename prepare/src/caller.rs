//! Who asks.

use rating::TenantId;
use rating::ids::ApiKeyId;
use tenants::Scope;

/// How far ahead of the engine's clock an event may be.
pub const FUTURE_SECS_MAX: i64 = 300;

/// Who asks: the subtree a key sees, and what it may do. Comes from the key, never from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub tenant: TenantId,
    /// The key's own root: unknown customers' events are kept here.
    pub root: TenantId,
    pub scope: Scope,
    /// Kept with what it does; `None`: the server's own.
    pub key: Option<ApiKeyId>,
}
