//! What can be paid out of a commission: value in, value out.
//!
//! payable = accrued − withheld − what other payouts hold, and never more than the balance has now
//! without what is withheld. Withheld is what customers owe (`withheld.rs`); what was earned since
//! the period's end bears it first. What is not paid stays: it is in the next period's figure, a
//! negative one as well.

use rating::{Cents, Overflow};

/// A reseller's commission as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Charges received − charges paid, from the beginning up to the end of the period.
    pub accrued: Cents,
    /// The same since then: later voids take back what had accrued, later charges bear what is
    /// withheld.
    pub later: Cents,
    /// For want of money from customers, of all of it.
    pub withheld: Cents,
    /// Of the charges paid: what it bought with its own money.
    pub own: Cents,
    /// Payouts that are due, on their way or paid, of every period.
    pub paid_out: Cents,
    /// Those that are on their way or paid.
    pub gone: Cents,
    /// Posted − held, now. What is set aside for open disputes is on another account.
    pub available: Cents,
    /// Below it nothing is paid.
    pub minimum: Cents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payable {
    /// 0: nothing is paid this time.
    pub cents: Cents,
    /// What the next period begins with: commission that is not paid out; negative: to be earned
    /// back first.
    pub carried: Cents,
    /// What went out and is commission no more: later commission is set off against it.
    pub debt: Cents,
}

impl Standing {
    /// # Errors
    /// A sum is too large.
    pub fn payable(&self) -> Result<Payable, Overflow> {
        let (open, most) = (self.entitled()?.checked_sub(self.paid_out)?, self.most()?);
        let cents = if most >= self.minimum.max(Cents(1)) {
            most
        } else {
            Cents::ZERO
        };
        let kept = self.entitled()?.checked_add(self.own)?;
        Ok(Payable {
            cents,
            carried: open.checked_sub(cents)?,
            debt: self.gone.checked_sub(kept)?.max(Cents::ZERO),
        })
    }

    /// Commission that money came in for, up to the period's end: what all payouts together may
    /// come to.
    ///
    /// # Errors
    /// A sum is too large.
    pub fn entitled(&self) -> Result<Cents, Overflow> {
        Ok(self.accrued.min(
            self.accrued
                .checked_add(self.later)?
                .checked_sub(self.withheld)?,
        ))
    }

    /// Whether there would be something to pay if every customer paid.
    ///
    /// # Errors
    /// A sum is too large.
    pub fn is_withheld(&self) -> Result<bool, Overflow> {
        let all = Self {
            withheld: Cents::ZERO,
            ..*self
        };
        Ok(self.most()? <= Cents::ZERO && all.most()? > Cents::ZERO)
    }

    /// What can be paid whatever the minimum; not above zero: nothing.
    ///
    /// # Errors
    /// A sum is too large.
    pub fn most(&self) -> Result<Cents, Overflow> {
        let open = self.entitled()?.checked_sub(self.paid_out)?;
        Ok(open.min(self.available.checked_sub(self.withheld)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTHING: Standing = Standing {
        accrued: Cents(0),
        later: Cents(0),
        withheld: Cents(0),
        own: Cents(0),
        paid_out: Cents(0),
        gone: Cents(0),
        available: Cents(0),
        minimum: Cents(2500),
    };

    fn standing(accrued: i64, paid_out: i64, available: i64) -> Standing {
        Standing {
            accrued: Cents(accrued),
            paid_out: Cents(paid_out),
            gone: Cents(paid_out),
            available: Cents(available),
            ..NOTHING
        }
    }

    #[test]
    fn cases() {
        for (case, standing, cents, carried, debt) in [
            ("a first month", standing(10_000, 0, 10_000), 10_000, 0, 0),
            ("below the minimum", standing(2499, 0, 2499), 0, 2499, 0),
            ("at the minimum", standing(2500, 0, 2500), 2500, 0, 0),
            ("paid before", standing(15_000, 10_000, 5000), 5000, 0, 0),
            (
                "spent meanwhile: the rest stays open",
                standing(10_000, 0, 4000),
                4000,
                6000,
                0,
            ),
            (
                "a top-up is not commission",
                standing(3000, 0, 50_000),
                3000,
                0,
                0,
            ),
            (
                "voids took more than was earned",
                standing(-4000, 0, -4000),
                0,
                -4000,
                4000,
            ),
            (
                "paid out and then voided",
                standing(6000, 10_000, -4000),
                0,
                -4000,
                4000,
            ),
            (
                "earned back, and less than the minimum more",
                standing(11_000, 10_000, 1000),
                0,
                1000,
                0,
            ),
            (
                "overdrawn although earned",
                standing(10_000, 0, -1),
                0,
                10_000,
                0,
            ),
        ] {
            let want = Payable {
                cents: Cents(cents),
                carried: Cents(carried),
                debt: Cents(debt),
            };
            assert_eq!(standing.payable(), Ok(want), "{case}");
        }
        let huge = Standing {
            paid_out: Cents(-1),
            accrued: Cents(i64::MAX),
            ..standing(0, 0, 0)
        };
        assert_eq!(huge.payable(), Err(Overflow));
    }

    #[test]
    fn what_customers_owe_is_withheld() {
        let (withheld, later, own) = (
            |cents, standing| Standing {
                withheld: Cents(cents),
                ..standing
            },
            |cents, standing| Standing {
                later: Cents(cents),
                ..standing
            },
            |cents, standing| Standing {
                own: Cents(cents),
                ..standing
            },
        );
        for (case, standing, cents, carried, debt) in [
            (
                "nobody paid",
                withheld(10_000, standing(10_000, 0, 10_000)),
                0,
                0,
                0,
            ),
            (
                "a part came in",
                withheld(4000, standing(10_000, 0, 10_000)),
                6000,
                0,
                0,
            ),
            (
                "given back after the payout",
                withheld(10_000, standing(10_000, 10_000, 0)),
                0,
                -10_000,
                10_000,
            ),
            (
                "earned again, half of the debt",
                withheld(10_000, standing(15_000, 10_000, 5000)),
                0,
                -5000,
                5000,
            ),
            (
                "the debt is set off",
                withheld(10_000, standing(23_000, 10_000, 13_000)),
                3000,
                0,
                0,
            ),
            (
                "due is not gone",
                Standing {
                    gone: Cents(0),
                    ..withheld(10_000, standing(10_000, 10_000, 10_000))
                },
                0,
                -10_000,
                0,
            ),
            (
                "this month's customers owe, the last one's paid",
                later(5000, withheld(5000, standing(10_000, 0, 15_000))),
                10_000,
                0,
                0,
            ),
            (
                "they owe more than this month brought",
                later(5000, withheld(8000, standing(10_000, 0, 15_000))),
                7000,
                0,
                0,
            ),
            (
                "voided since the month's end",
                later(-6000, standing(10_000, 0, 50_000)),
                4000,
                0,
                0,
            ),
            (
                "spent: what is left on the balance is what nobody paid",
                withheld(6000, standing(10_000, 0, 7000)),
                0,
                4000,
                0,
            ),
            (
                "it collects itself and buys from its own money",
                own(30_000, standing(-30_000, 0, 20_000)),
                0,
                -30_000,
                0,
            ),
        ] {
            let want = Payable {
                cents: Cents(cents),
                carried: Cents(carried),
                debt: Cents(debt),
            };
            assert_eq!(standing.payable(), Ok(want), "{case}");
        }
    }

    /// One month of a reseller: commission (voids may outweigh it), other moves of its balance, and
    /// whether its payout fails.
    fn month() -> impl Strategy<Value = (i64, i64, bool)> {
        (-20_000..30_000_i64, -5000..5000_i64, any::<bool>())
    }

    proptest! {
        #[test]
        fn no_more_is_paid_than_was_earned_and_no_cent_is_lost(months in prop::collection::vec(month(), 1..40), minimum in 1..6000_i64) {
            let (mut accrued, mut other, mut paid_out, mut carried) = (0, 0, 0, 0);
            for (commission, moved, fails) in months {
                let before = carried;
                accrued += commission;
                other += moved;
                let available = accrued + other - paid_out;
                let standing = Standing {
                    available: Cents(available), minimum: Cents(minimum), ..standing(accrued, paid_out, 0)
                };
                let payable = standing.payable().unwrap();
                // Every cent earned is paid now or is in what is carried, and a negative month
                // reduces the next.
                prop_assert_eq!(payable.cents.0 + payable.carried.0, before + commission);
                prop_assert!(payable.cents.0 == 0 || payable.cents.0 >= minimum);
                prop_assert!(payable.cents.0 <= available.max(0));
                paid_out += if fails { 0 } else { payable.cents.0 };
                carried = accrued - paid_out;
                prop_assert!(payable.cents.0 == 0 || paid_out <= accrued, "Σ payouts ≤ Σ \
                    commissions");
            }
        }
    }
}
