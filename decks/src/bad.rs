//! Cells that cannot be read.

/// Prefixes that one cell may stand for.
pub const CELL_PREFIXES_MAX: usize = 1_000;

/// A cell that cannot be read: a stable code and what was expected.
pub type Bad = (&'static str, String);

pub(crate) const BAD_PREFIX: &str = "invalid_prefix";

pub(crate) fn bad_prefix(detail: &str) -> Bad {
    (BAD_PREFIX, detail.to_owned())
}

pub const AMBIGUOUS_PREFIX: &str = "ambiguous_prefix";
