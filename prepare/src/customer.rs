//! A buyer of usage with everything that prices it.

use crate::plan::ChainPlan;
use rating::{Instant, TenantId};
use tenants::{Agreement, Tenant};

/// A buyer of usage with everything that prices it.
#[derive(Debug)]
pub struct Customer {
    pub tenant: Tenant,
    /// Keys the digests of this person's data.
    pub personal_key: [u8; 32],
    pub(crate) plans: Vec<ChainPlan>,
    /// Of every buyer of its chain, of any time.
    pub(crate) agreements: Vec<Agreement>,
    pub(crate) generation: u64,
}

impl Customer {
    /// The chain in force at an instant.
    #[inline]
    pub fn chain_at(&self, at: Instant) -> Option<&ChainPlan> {
        // Mostly the last one.
        self.plans.iter().rev().find(|plan| plan.covers(at))
    }
    /// Of one buyer of its chain, of any time.
    #[inline]
    pub fn agreements_of(&self, buyer: TenantId) -> impl Iterator<Item = &Agreement> {
        self.agreements
            .iter()
            .filter(move |agreement| agreement.buyer == buyer)
    }
    #[inline]
    pub fn platform(&self) -> TenantId {
        self.tenant
            .path
            .first()
            .copied()
            .unwrap_or(self.tenant.root)
    }
}
