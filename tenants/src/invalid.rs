//! What is wrong with a tenant, an agreement or a key, as its writer is told.

/// The first field that does not hold, and what was expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {expected}")]
pub struct Invalid {
    pub field: &'static str,
    pub expected: &'static str,
}

/// One rung of a ladder of checks.
pub(crate) fn check(
    holds: bool,
    field: &'static str,
    expected: &'static str,
) -> Result<(), Invalid> {
    if holds {
        Ok(())
    } else {
        Err(Invalid { field, expected })
    }
}
