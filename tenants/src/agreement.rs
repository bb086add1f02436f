//! The terms of one link.

use crate::{Invalid, invalid::check};
use rating::{AgreementId, Cents, Currency, Instant, RateCardId, TenantId, link::BASIS_POINTS};
use serde::{Deserialize, Serialize};

/// Commission when an agreement names none: 25 %.
pub const COMMISSION_BP_DEFAULT: u16 = 2500;

/// Keeps posted − held + credit limit far from the end of the number range.
pub const CREDIT_LIMIT_CENTS_MAX: Cents = Cents::BALANCE_MAX;

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
    /// This link and those below do not post, and those above up to the sales of whoever said so;
    /// they stay open as `exhausted`.
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
    /// How much credit this buyer, a reseller, may give to each of its own that the platform
    /// collects from. 0: none.
    pub credit_cap: Cents,
    /// Who said `refuse`: it reaches up only as far as they sell. `None`: the seller.
    pub refused_by: Option<TenantId>,
    /// Of a commission: the seller gets at least the price by this card.
    pub floor: Option<RateCardId>,
    /// Of a commission without a floor: the buyer may sell at cards that the seller has not
    /// approved.
    pub free_retail: bool,
    /// Who agreed on it. `None`: it is not recorded yet, or was before authors were kept (then it
    /// counts as the platform's).
    pub author: Option<TenantId>,
    pub from: Instant,
    pub until: Option<Instant>,
}

impl Agreement {
    /// Who said `on_exhausted: refuse`.
    pub fn refusing(&self) -> TenantId {
        self.refused_by.unwrap_or(self.seller)
    }

    /// Whether a seller of the buyer's, or one above it, agreed on it. `sellers`: that one and
    /// those above it.
    pub fn is_approved_by(&self, sellers: &[TenantId]) -> bool {
        self.author.is_none_or(|author| sellers.contains(&author))
    }

    pub fn in_force(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Everything that can be said of an agreement by itself.
    pub fn validate(&self) -> Result<(), Invalid> {
        check(
            self.buyer != self.seller,
            "seller",
            "a tenant cannot buy from itself",
        )?;
        let share = match self.pricing {
            Pricing::Commission { commission_bp } => commission_bp,
            Pricing::Wholesale { .. } => 0,
        };
        check(
            share <= BASIS_POINTS,
            "commission_bp",
            "expected 0 to 10000 basis points",
        )?;
        let is_commission = matches!(self.pricing, Pricing::Commission { .. });
        check(
            is_commission || self.floor.is_none(),
            "floor_rate_card",
            "only a commission has a floor",
        )?;
        check(
            is_commission || !self.free_retail,
            "free_retail",
            "prices need an approval only under a commission",
        )?;
        let limit = self.credit_limit.unwrap_or(Cents::ZERO);
        check(
            (Cents::ZERO..=CREDIT_LIMIT_CENTS_MAX).contains(&limit),
            "credit_limit_cents",
            "expected 0 to 10^15 cents, or none",
        )?;
        let cap = (Cents::ZERO..=CREDIT_LIMIT_CENTS_MAX).contains(&self.credit_cap);
        check(cap, "credit_cap_cents", "expected 0 to 10^15 cents")?;
        check(
            self.until.is_none_or(|until| self.from < until),
            "until",
            "expected an instant after from",
        )
    }

    /// Whether both are in force for the same buyer at some instant.
    pub fn overlaps(&self, other: &Self) -> bool {
        let begins_before_end = |a: &Self, b: &Self| b.until.is_none_or(|until| a.from < until);
        self.buyer == other.buyer
            && begins_before_end(self, other)
            && begins_before_end(other, self)
    }
}

/// The first agreement of the same buyer (other than `new` itself) that is in force at an instant
/// at which `new` is.
pub fn overlapping<'a>(new: &Agreement, existing: &'a [Agreement]) -> Option<&'a Agreement> {
    existing
        .iter()
        .find(|other| other.id != new.id && other.overlaps(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::agreement;
    use proptest::prelude::*;

    #[test]
    fn the_fields_are_checked_in_order() {
        type Step = (fn(&mut Agreement), &'static str);
        let steps: [Step; 5] = [
            (|a| a.seller = a.buyer, "seller"),
            (
                |a| {
                    a.pricing = Pricing::Commission {
                        commission_bp: 10_001,
                    }
                },
                "commission_bp",
            ),
            (|a| a.credit_limit = Some(Cents(-1)), "credit_limit_cents"),
            (|a| a.credit_cap = Cents(-1), "credit_cap_cents"),
            (|a| a.until = Some(a.from), "until"),
        ];
        for first in 0..steps.len() {
            let mut broken = agreement(2, 1);
            steps[first..]
                .iter()
                .rev()
                .for_each(|(step, _)| step(&mut broken));
            assert_eq!(
                broken.validate().map_err(|invalid| invalid.field),
                Err(steps[first].1)
            );
        }
    }

    #[test]
    fn the_edges_are_allowed() {
        for pricing in [
            Pricing::Commission { commission_bp: 0 },
            Pricing::Commission {
                commission_bp: 10_000,
            },
        ] {
            assert_eq!(
                Agreement {
                    pricing,
                    ..agreement(2, 1)
                }
                .validate(),
                Ok(())
            );
        }
        for credit_limit in [None, Some(Cents::ZERO), Some(CREDIT_LIMIT_CENTS_MAX)] {
            assert_eq!(
                Agreement {
                    credit_limit,
                    ..agreement(2, 1)
                }
                .validate(),
                Ok(())
            );
        }
        let endless = Agreement {
            credit_limit: Some(Cents(CREDIT_LIMIT_CENTS_MAX.0 + 1)),
            ..agreement(2, 1)
        };
        assert!(endless.validate().is_err());
    }

    fn period(id: i64, from: i64, until: Option<i64>) -> Agreement {
        Agreement {
            id: AgreementId(id),
            from: Instant(from),
            until: until.map(Instant),
            ..agreement(2, 1)
        }
    }

    #[test]
    fn a_successor_begins_where_its_predecessor_ends() {
        let first = [period(1, 0, Some(10))];
        for (from, until, overlap) in [
            (10, None, false),
            (9, None, true),
            (0, Some(1), true),
            (3, Some(4), true),
            (10, Some(11), false),
        ] {
            assert_eq!(
                overlapping(&period(2, from, until), &first).is_some(),
                overlap,
                "[{from}, {until:?})"
            );
        }
        assert_eq!(
            overlapping(&period(1, 5, None), &first),
            None,
            "an agreement does not overlap itself"
        );
        assert_eq!(
            overlapping(
                &Agreement {
                    buyer: TenantId(3),
                    ..period(2, 5, None)
                },
                &first
            ),
            None,
            "another buyer"
        );
    }

    proptest! {
        #[test]
        fn overlapping_means_both_in_force_at_some_instant(a in (0_i64..12, 1_i64..12), b in (0_i64..12, 1_i64..12)) {
            let (a, b) = (period(1, a.0, Some(a.0 + a.1)), period(2, b.0, Some(b.0 + b.1)));
            let both = (0..30).map(Instant).any(|at| a.in_force(at) && b.in_force(at));
            prop_assert_eq!(a.overlaps(&b), both);
            prop_assert_eq!(b.overlaps(&a), both);
        }
    }
}
