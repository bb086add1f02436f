//! The latest batch of a root.

use rating::{Instant, TenantId};

/// Of one root: its latest batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub root: TenantId,
    pub number: i64,
    pub batch: i64,
    pub last_seq: i64,
    pub hash: [u8; 32],
    /// The last batch that the rows of states include.
    pub materialized_through: i64,
    /// How many have ever reported in it.
    pub reporters: i64,
    /// When that batch was committed: no later one is dated before.
    pub committed_at: Instant,
}

impl Head {
    /// The same batch. Rows may include more of it: that changes no books.
    pub fn is_at(&self, other: &Self) -> bool {
        (self.root, self.batch, self.last_seq, self.hash)
            == (other.root, other.batch, other.last_seq, other.hash)
    }
}
