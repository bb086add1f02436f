//! The terms of one link.

use rating::{AgreementId, Cents, Currency, Instant, RateCardId, TenantId};
use serde::{Deserialize, Serialize};

/// Commission when an agreement names none: 25 %.
pub const COMMISSION_BP_DEFAULT: u16 = 2500;

/// How the link's price is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "pricing", rename_all = "snake_case")]
pub enum Pricing {
    /// A rate card of its own (a leaf customer's link always has one).
    Wholesale { rate_card: RateCardId },
    /// The exact amount of the link below minus the buyer's commission.
    Commission { commission_bp: u16 },
}

/// Where the buyer's money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collect {
    /// The seller's income and what it pays with are one account; the commission accrues there.
    #[default]
    Platform,
    /// Income goes to the seller's own book and never pays upwards.
    Reseller,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// Usage that has happened is posted even if it overdraws.
    #[default]
    Post,
    /// No link posts; the event is kept as `unrated: exhausted`.
    Refuse,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    pub id: AgreementId,
    pub buyer: TenantId,
    pub seller: TenantId,
    pub currency: Currency,
    pub pricing: Pricing,
    pub collect: Collect,
    /// Available = posted − held + this. `None`: no limit (postpaid). `Some(0)`: prepaid.
    pub credit_limit: Option<Cents>,
    pub on_exhausted: OnExhausted,
    pub from: Instant,
    pub until: Option<Instant>,
}

impl Agreement {
    pub fn in_force(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}
