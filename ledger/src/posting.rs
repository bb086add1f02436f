//! Moves of positive cents, and how the charges of one event become moves.

use crate::AccountKey;
use rating::{Cents, TenantId};
use serde::{Deserialize, Serialize};

/// One move of positive cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub from: AccountKey,
    pub to: AccountKey,
    pub cents: Cents,
}

/// What the ledger needs to know of one link's charge. `cents` may be zero (no posting) or negative
/// (seller → buyer: voids, volume prices).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCharge {
    pub buyer: TenantId,
    pub seller: TenantId,
    /// The link is collected by the reseller: the seller's income goes to its own book.
    pub to_income: bool,
    pub cents: Cents,
}
