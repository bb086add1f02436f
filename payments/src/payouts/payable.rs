//! What can be paid out of a commission: value in, value out.
//!
//! payable = what has accrued up to the period's end − what other payouts hold, and never more than the balance has now.
//! What is not paid stays: it is in the next period's figure, a negative one as well.

use rating::{Cents, Overflow};

/// A reseller's commission as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Charges received − charges paid, from the beginning up to the end of the period.
    pub accrued: Cents,
    /// Payouts that are due, on their way or paid, of every period.
    pub paid_out: Cents,
    /// Posted − held, now. What is set aside for open disputes is on another account.
    pub available: Cents,
    /// Below it nothing is paid.
    pub minimum: Cents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payable {
    /// 0: nothing is paid this time.
    pub cents: Cents,
    /// What the next period begins with: commission that is not paid out; negative: to be earned back first.
    pub carried: Cents,
}

impl Standing {
    /// # Errors
    /// A sum is too large.
    pub fn payable(&self) -> Result<Payable, Overflow> {
        let open = self.accrued.checked_sub(self.paid_out)?;
        let most = open.min(self.available);
        let cents = if most >= self.minimum.max(Cents(1)) { most } else { Cents::ZERO };
        Ok(Payable { cents, carried: open.checked_sub(cents)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(accrued: i64, paid_out: i64, available: i64) -> Standing {
        Standing { accrued: Cents(accrued), paid_out: Cents(paid_out), available: Cents(available), minimum: Cents(2500) }
    }

    #[test]
    fn cases() {
        for (case, standing, cents, carried) in [
            ("a first month", standing(10_000, 0, 10_000), 10_000, 0),
            ("below the minimum", standing(2499, 0, 2499), 0, 2499),
            ("at the minimum", standing(2500, 0, 2500), 2500, 0),
            ("paid before", standing(15_000, 10_000, 5000), 5000, 0),
            ("spent meanwhile: the rest stays open", standing(10_000, 0, 4000), 4000, 6000),
            ("a top-up is not commission", standing(3000, 0, 50_000), 3000, 0),
            ("voids took more than was earned", standing(-4000, 0, -4000), 0, -4000),
            ("paid out and then voided", standing(6000, 10_000, -4000), 0, -4000),
            ("earned back, and less than the minimum more", standing(11_000, 10_000, 1000), 0, 1000),
            ("overdrawn although earned", standing(10_000, 0, -1), 0, 10_000),
        ] {
            let want = Payable { cents: Cents(cents), carried: Cents(carried) };
            assert_eq!(standing.payable(), Ok(want), "{case}");
        }
        let huge = Standing { paid_out: Cents(-1), accrued: Cents(i64::MAX), ..standing(0, 0, 0) };
        assert_eq!(huge.payable(), Err(Overflow));
    }

    /// One month of a reseller: commission (voids may outweigh it), other moves of its balance, and whether its payout fails.
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
                    accrued: Cents(accrued), paid_out: Cents(paid_out), available: Cents(available), minimum: Cents(minimum),
                };
                let payable = standing.payable().unwrap();
                // Every cent earned is paid now or is in what is carried, and a negative month reduces the next.
                prop_assert_eq!(payable.cents.0 + payable.carried.0, before + commission);
                prop_assert!(payable.cents.0 == 0 || payable.cents.0 >= minimum);
                prop_assert!(payable.cents.0 <= available.max(0));
                paid_out += if fails { 0 } else { payable.cents.0 };
                carried = accrued - paid_out;
                prop_assert!(payable.cents.0 == 0 || paid_out <= accrued, "Σ payouts ≤ Σ commissions");
            }
        }
    }
}
