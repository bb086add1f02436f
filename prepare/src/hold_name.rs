//! How a hold is named: by its own id, or by the caller's key, from which the id follows.

use crate::digest::Digest;
use crate::reporters::rank;
use journal::Reporter;
use ledger::Hold;
use rating::{TenantId, ids::HoldId};

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
    name.parse()
        .unwrap_or_else(|_| hold_id(root, reporter, source, name))
}

/// Whose key placed a hold: its id follows from that. What was placed before reporters were kept is
/// the platform's. `path`: of the hold's customer, from the platform down.
fn placed_by(path: &[TenantId], hold: &Hold) -> Reporter {
    let is_its =
        |reporter: &Reporter| hold_id(hold.root, *reporter, &hold.source, &hold.key) == hold.id;
    path.iter()
        .skip(1)
        .map(|tenant| Some(*tenant))
        .find(is_its)
        .flatten()
}

/// Whether a reporter may extend, release or capture a hold: it placed the hold, or sells to
/// whoever did.
pub fn may_end(path: &[TenantId], reporter: Reporter, hold: &Hold) -> bool {
    rank(path, reporter)
        .is_some_and(|own| rank(path, placed_by(path, hold)).is_some_and(|placer| own <= placer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Amounts;
    use rating::Instant;

    #[test]
    fn a_hold_is_its_placers_and_of_the_sellers_above() {
        let path = [1, 2, 3, 4].map(TenantId);
        let reporters = [None, Some(path[1]), Some(path[2]), Some(path[3])];
        for (below, placer) in reporters.iter().enumerate() {
            let id = hold_id(path[1], *placer, "pbx", "call-1");
            let hold = Hold::new(
                id,
                path[1],
                path[3],
                Instant::MIN,
                Instant::MAX,
                Amounts::new(),
            )
            .named("pbx", "call-1");
            assert_eq!(placed_by(&path, &hold), *placer);
            for (above, reporter) in reporters.iter().enumerate() {
                assert_eq!(
                    may_end(&path, *reporter, &hold),
                    above <= below,
                    "{reporter:?} {placer:?}"
                );
            }
            assert!(
                !may_end(&path, Some(TenantId(9)), &hold),
                "not of this chain"
            );
        }
    }
}
