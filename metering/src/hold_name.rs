//! How a hold is named: by its own id, or by the caller's key, from which the id follows.

use crate::digest::Digest;
use rating::{TenantId, ids::HoldId};

/// Sets hold ids apart from other digests; not a secret.
const HOLD_ID_KEY: [u8; 32] = *b"centwise hold id from its key  1";

/// The id of a hold follows from the caller's key, so that a retry makes the same request.
pub fn hold_id(root: TenantId, source: &str, key: &str) -> HoldId {
    let digest = Digest::keyed(&HOLD_ID_KEY).number(root.0.into()).text(source).text(key).finish();
    let bytes: [u8; 8] = std::array::from_fn(|index| digest[index]);
    HoldId(i64::from_be_bytes(bytes) & i64::MAX)
}

/// A hold by its `hld_…` id or by the caller's key.
pub fn named_hold(root: TenantId, source: &str, name: &str) -> HoldId {
    name.parse().unwrap_or_else(|_| hold_id(root, source, name))
}
