//! Holds: funds set aside for usage under way, on every account of the chain with a net debit.
//!
//! A hold ends exactly once: captured, released or expired. From `expires_at` on it is over,
//! swept or not.

use crate::{AccountKey, Amounts, Refusal, room};
use rating::{Cents, Instant, Quantity, TenantId, ids::HoldId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    Open,
    Captured,
    Released,
    Expired,
}

impl fmt::Display for HoldState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Captured => "captured",
            Self::Released => "released",
            Self::Expired => "expired",
        })
    }
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
    /// What the caller named it by; `id` follows from it and from the root.
    pub source: String,
    pub key: String,
    /// The usage it is for, as placed or last extended.
    pub quantity: Quantity,
}

impl Hold {
    /// A hold as it is asked for, at the engine's `now`; [`crate::Books::place_hold`] sets it
    /// aside.
    pub fn new(
        id: HoldId,
        root: TenantId,
        customer: TenantId,
        now: Instant,
        expires_at: Instant,
        amounts: Amounts,
    ) -> Self {
        Self {
            id,
            root,
            customer,
            state: HoldState::Open,
            placed_at: now,
            expires_at,
            amounts,
            source: String::new(),
            key: String::new(),
            quantity: Quantity::ZERO,
        }
    }
    /// The caller's own name for it.
    pub fn named(self, source: &str, key: &str) -> Self {
        Self {
            source: source.to_owned(),
            key: key.to_owned(),
            ..self
        }
    }
    /// The usage it is for.
    pub fn of(self, quantity: Quantity) -> Self {
        Self { quantity, ..self }
    }
    /// Cents set aside on this account.
    pub fn amount(&self, account: AccountKey) -> Cents {
        amount_in(&self.amounts, account)
    }
    /// Its end has come, whether or not that has been recorded.
    pub fn is_over(&self, now: Instant) -> bool {
        self.expires_at <= now
    }
    /// Open and not over. The answer does not depend on how far the sweep has come.
    pub fn check_open(&self, now: Instant) -> Result<(), Refusal> {
        match self.state {
            HoldState::Captured | HoldState::Released => {
                Err(Refusal::HoldEnded { state: self.state })
            }
            HoldState::Expired => Err(Refusal::HoldOver),
            HoldState::Open if self.is_over(now) => Err(Refusal::HoldOver),
            HoldState::Open => Ok(()),
        }
    }
}

pub(crate) fn amount_in(amounts: &[(AccountKey, Cents)], account: AccountKey) -> Cents {
    amounts
        .iter()
        .find(|(key, _)| *key == account)
        .map_or(Cents::ZERO, |&(_, cents)| cents)
}

/// Positive, each account once, none above the bound of one event. Order of checks: amounts, bound.
pub(crate) fn check_amounts(amounts: &[(AccountKey, Cents)]) -> Result<(), Refusal> {
    let fine = |(index, (account, cents)): (usize, &(AccountKey, Cents))| {
        *cents > Cents::ZERO
            && amounts[..index]
                .iter()
                .all(|(earlier, _)| earlier != account)
    };
    if !amounts.iter().enumerate().all(fine) {
        return Err(Refusal::BadAmount);
    }
    amounts
        .iter()
        .try_for_each(|&(_, cents)| room::check_move(cents))
}
