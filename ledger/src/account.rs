//! Ledger accounts and their balances.

use crate::room;
use rating::{Cents, Currency, Overflow, TenantId};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum AccountKind {
    /// What a tenant pays its seller with where the platform collects; its income and commission
    /// too. The platform has this money.
    Balance = 1,
    /// A reseller's income from customers that it collects from itself.
    Income = 2,
    /// The platform's revenue from one root (`tenant` is the root): summed on read, never one hot
    /// row.
    Revenue = 3,
    /// The outside world, one per root: top-ups come from here, payouts go there.
    External = 4,
    /// Money that came in and belongs to nobody we know, one per root.
    Suspense = 5,
    /// Of a tenant: set aside while a payment of its is disputed.
    Disputed = 6,
    /// What payments cost the platform (fees of a provider), one per root.
    Expense = 7,
    /// What a tenant has with a seller that collects itself: money that the seller has, and the
    /// platform never sees.
    Book = 8,
}

/// An account is named by what it is; it exists as soon as something is posted to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountKey {
    pub tenant: TenantId,
    pub kind: AccountKind,
    pub currency: Currency,
}

impl AccountKey {
    pub const fn balance(tenant: TenantId, currency: Currency) -> Self {
        Self {
            tenant,
            kind: AccountKind::Balance,
            currency,
        }
    }
    pub const fn book(tenant: TenantId, currency: Currency) -> Self {
        Self {
            tenant,
            kind: AccountKind::Book,
            currency,
        }
    }
    pub const fn income(tenant: TenantId, currency: Currency) -> Self {
        Self {
            tenant,
            kind: AccountKind::Income,
            currency,
        }
    }
    pub const fn revenue(root: TenantId, currency: Currency) -> Self {
        Self {
            tenant: root,
            kind: AccountKind::Revenue,
            currency,
        }
    }
    pub const fn external(root: TenantId, currency: Currency) -> Self {
        Self {
            tenant: root,
            kind: AccountKind::External,
            currency,
        }
    }
    pub const fn suspense(root: TenantId, currency: Currency) -> Self {
        Self {
            tenant: root,
            kind: AccountKind::Suspense,
            currency,
        }
    }
    pub const fn disputed(tenant: TenantId, currency: Currency) -> Self {
        Self {
            tenant,
            kind: AccountKind::Disputed,
            currency,
        }
    }
    pub const fn expense(root: TenantId, currency: Currency) -> Self {
        Self {
            tenant: root,
            kind: AccountKind::Expense,
            currency,
        }
    }
}

impl AccountKind {
    /// Stable: part of the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::Income => "income",
            Self::Revenue => "revenue",
            Self::External => "external",
            Self::Suspense => "suspense",
            Self::Disputed => "disputed",
            Self::Expense => "expense",
            Self::Book => "book",
        }
    }

    /// What a tenant pays its seller with: its own usage is listed with the tenant.
    pub const fn is_of_buyer(self) -> bool {
        matches!(self, Self::Balance | Self::Book)
    }

    /// The platform's own, kept once for each root so that none is hot.
    pub const fn is_per_root(self) -> bool {
        matches!(
            self,
            Self::Revenue | Self::External | Self::Suspense | Self::Expense
        )
    }
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} account of {} in {}",
            self.kind, self.tenant, self.currency
        )
    }
}

/// Posted and held cents of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    pub posted: Cents,
    /// Set aside by open holds; never negative.
    pub held: Cents,
}

impl Balance {
    /// posted − held + credit limit; `None`: without limit.
    pub fn available(self, credit_limit: Option<Cents>) -> Result<Option<Cents>, Overflow> {
        credit_limit
            .map(|limit| room::narrow(room::available(self, limit)))
            .transpose()
    }
}
