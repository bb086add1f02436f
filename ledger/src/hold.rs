//! Holds: funds set aside for usage under way, on every account of the chain with a net debit.

use crate::AccountKey;
use rating::{Cents, Instant, TenantId, ids::HoldId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    Open,
    Captured,
    Released,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub id: HoldId,
    pub root: TenantId,
    pub customer: TenantId,
    pub state: HoldState,
    pub placed_at: Instant,
    /// The engine's own time; from this instant on the hold is over, swept or not.
    pub expires_at: Instant,
    /// Positive cents per account; empty for free usage.
    pub amounts: SmallVec<[(AccountKey, Cents); 2]>,
}
