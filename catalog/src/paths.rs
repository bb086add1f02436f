//! Paths of tenants as they are stored: a subtree is a range of them.

use rating::TenantId;

/// The stored form of a path: eight big-endian bytes for each id (positive, so it sorts like the
/// ids).
pub fn path_bytes(path: &[TenantId]) -> Vec<u8> {
    path.iter().flat_map(|id| id.0.to_be_bytes()).collect()
}

/// The range `[first, end)` of paths of a tenant and everything under it.
pub fn below(path: &[TenantId]) -> (Vec<u8>, Vec<u8>) {
    let first = path_bytes(path);
    // No id begins with this byte: ids are positive.
    let end = first.iter().copied().chain([0xff]).collect();
    (first, end)
}
