//! How a hold is named: by its own id, or by the caller's key, from which the id follows.

use crate::digest::Digest;
use rating::{TenantId, ids::HoldId};
use store::journal::Reporter;

/// Sets hold ids apart from other digests; not a secret.
const HOLD_ID_KEY: [u8; 32] = *b"centwise hold id from its key  1";

/// The id of a hold follows from the caller's key, so that a retry makes the same request.
/// Everybody names his own: nobody's key takes a hold's name away from another.
pub fn hold_id(root: TenantId, reporter: Reporter, source: &str, key: &str) -> HoldId {
    let mut digest = Digest::keyed(&HOLD_ID_KEY);
    digest.number(root.0.into()).text(source).text(key);
    if let Some(reporter) = reporter {
        digest.number(reporter.0.into());
    }
    let digest = digest.finish();
    let bytes: [u8; 8] = std::array::from_fn(|index| digest[index]);
    HoldId(i64::from_be_bytes(bytes) & i64::MAX)
}

/// A hold by its `hld_…` id or by the caller's key.
pub fn named_hold(root: TenantId, reporter: Reporter, source: &str, name: &str) -> HoldId {
    name.parse().unwrap_or_else(|_| hold_id(root, reporter, source, name))
}
