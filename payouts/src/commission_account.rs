//! Where a reseller's money is.

use ledger::AccountKey;
use rating::TenantId;

/// Where a reseller's money is: its balance of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommissionAccount {
    pub root: TenantId,
    pub account: AccountKey,
}

impl CommissionAccount {
    /// Of another tenant of the root, in the same currency.
    pub fn of(self, tenant: TenantId) -> Self {
        Self {
            account: AccountKey {
                tenant,
                ..self.account
            },
            ..self
        }
    }
}
