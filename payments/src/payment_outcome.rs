//! What a payment must have come to in the books, and what is still to post. Pure.
//!
//! Everything follows from the payment as the provider shows it, so that events may come in any
//! order, twice, or not at all: what is posted is the difference between what it must come to and
//! what is posted already.

use journal::Kind;
use ledger::{AccountKey, AccountKind, Posting};
use provider::{DisputeStatus, Payment, PaymentStatus};
use rating::{Cents, Currency, Overflow, TenantId};

/// What a payment has come to, or shall come to, on each account. The root's external account has
/// the opposite of the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The tenant's balance.
    pub balance: Cents,
    /// Set aside while disputed.
    pub disputed: Cents,
    /// Money of nobody we know.
    pub suspense: Cents,
    /// What it costs (negative).
    pub expense: Cents,
}

/// Whose accounts a payment moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
}

/// What the provider shows, in sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    pub received: Cents,
    /// Given back or on its way back, with what we have asked for and the provider does not show
    /// yet.
    pub refunded: Cents,
    /// Taken by disputes, net.
    pub withdrawn: Cents,
    /// Disputed and not taken yet.
    pub contested: Cents,
    /// The provider's own, of the charge, its refunds and disputes, in the payment's currency.
    pub fees: Cents,
    pub open_disputes: i64,
}

fn sum(cents: impl IntoIterator<Item = Cents>) -> Result<Cents, Overflow> {
    cents.into_iter().try_fold(Cents::ZERO, Cents::checked_add)
}

impl Seen {
    /// `unsent`: refunds of ours that the provider does not show yet.
    pub fn of(payment: &Payment, unsent: Cents) -> Result<Self, Overflow> {
        let Some(charge) = payment
            .charge
            .as_ref()
            .filter(|_| payment.status == PaymentStatus::Succeeded)
        else {
            return Ok(Self::default());
        };
        let refunds = sum(charge
            .refunds
            .iter()
            .filter(|refund| refund.status.counts())
            .map(|refund| refund.cents))?;
        let is_open = |status| status == DisputeStatus::Open;
        let mut contested = Cents::ZERO;
        for dispute in charge
            .disputes
            .iter()
            .filter(|dispute| is_open(dispute.status))
        {
            contested = contested.checked_add(
                dispute
                    .cents
                    .checked_sub(dispute.withdrawn)?
                    .max(Cents::ZERO),
            )?;
        }
        let open = charge
            .disputes
            .iter()
            .filter(|dispute| is_open(dispute.status))
            .count();
        Ok(Self {
            received: payment.received,
            refunded: refunds.checked_add(unsent)?,
            withdrawn: sum(charge.disputes.iter().map(|dispute| dispute.withdrawn))?,
            contested,
            fees: sum(charge
                .fees
                .iter()
                .filter(|fee| fee.currency == payment.currency)
                .map(|fee| fee.cents))?
            .checked_add(sum(charge.disputes.iter().map(|dispute| dispute.fee))?)?,
            open_disputes: i64::try_from(open).map_err(|_| Overflow)?,
        })
    }

    /// Fees in another currency than the payment's, which it was converted to, if there are any.
    /// Several such currencies at once there are not: what is not in the first is left to the
    /// comparison with the provider.
    pub fn fees_elsewhere(payment: &Payment) -> Result<Option<(Currency, Cents)>, Overflow> {
        let Some(charge) = payment
            .charge
            .as_ref()
            .filter(|_| payment.status == PaymentStatus::Succeeded)
        else {
            return Ok(None);
        };
        let elsewhere = || {
            charge
                .fees
                .iter()
                .filter(|fee| fee.currency != payment.currency)
        };
        let Some(currency) = elsewhere().map(|fee| fee.currency).next() else {
            return Ok(None);
        };
        let cents = sum(elsewhere()
            .filter(|fee| fee.currency == currency)
            .map(|fee| fee.cents))?;
        Ok(Some((currency, cents)))
    }

    /// What it must come to. `is_own`: it is what a top-up asked for; otherwise its money is
    /// nobody's.
    ///
    /// Nobody is debited more than was paid: what a bank takes beyond that (a refund and a dispute
    /// of the same money) is the platform's loss.
    pub fn standing(&self, is_own: bool) -> Result<Standing, Overflow> {
        let left = self.received.checked_sub(self.refunded)?;
        let borne = self.withdrawn.min(left.max(Cents::ZERO));
        let loss = self.withdrawn.checked_sub(borne)?;
        let left = left.checked_sub(borne)?;
        let expense = self.fees.checked_add(loss)?.checked_neg()?;
        if !is_own {
            return Ok(Standing {
                suspense: left,
                expense,
                ..Standing::default()
            });
        }
        let disputed = self.contested.min(left.max(Cents::ZERO));
        Ok(Standing {
            balance: left.checked_sub(disputed)?,
            disputed,
            expense,
            ..Standing::default()
        })
    }
}

impl Standing {
    fn of(&self, kind: AccountKind) -> Cents {
        match kind {
            AccountKind::Balance => self.balance,
            AccountKind::Disputed => self.disputed,
            AccountKind::Suspense => self.suspense,
            AccountKind::Expense => self.expense,
            _ => Cents::ZERO,
        }
    }

    /// The provider's side of it.
    pub fn net(&self) -> Result<Cents, Overflow> {
        sum([self.balance, self.disputed, self.suspense, self.expense])
    }

    /// What must be posted to come from here to there.
    pub fn postings_to(&self, there: &Self, owner: Owner) -> Result<Vec<Posting>, Overflow> {
        let external = AccountKey::external(owner.root, owner.currency);
        let mut postings = Vec::new();
        for account in owner.accounts() {
            let delta = there.of(account.kind).checked_sub(self.of(account.kind))?;
            match delta.0 {
                0 => {}
                1.. => postings.push(Posting {
                    from: external,
                    to: account,
                    cents: delta,
                }),
                _ => postings.push(Posting {
                    from: account,
                    to: external,
                    cents: delta.checked_neg()?,
                }),
            }
        }
        Ok(postings)
    }

    /// Where these postings lead from here.
    pub fn after(&self, postings: &[Posting], owner: Owner) -> Result<Self, Overflow> {
        let mut after = *self;
        for (account, net) in ledger::nets(postings)? {
            let of = match account.kind {
                AccountKind::Balance if account.tenant == owner.tenant => &mut after.balance,
                AccountKind::Disputed => &mut after.disputed,
                AccountKind::Suspense => &mut after.suspense,
                AccountKind::Expense => &mut after.expense,
                _ => continue,
            };
            *of = of.checked_add(net)?;
        }
        Ok(after)
    }
}

impl Owner {
    fn accounts(&self) -> [AccountKey; 4] {
        let Self {
            root,
            tenant,
            currency,
        } = *self;
        [
            AccountKey::balance(tenant, currency),
            AccountKey::disputed(tenant, currency),
            AccountKey::suspense(root, currency),
            AccountKey::expense(root, currency),
        ]
    }
}

/// How a statement names a step from what was seen before to what is seen now.
pub fn kind_of(before: &crate::rows::Payment, after: &Standing, seen: &Seen) -> Kind {
    if before.received != seen.received {
        Kind::TopUp
    } else if before.refunded != seen.refunded {
        Kind::Refund
    } else if before.withdrawn != seen.withdrawn || before.disputed != after.disputed {
        Kind::Dispute
    } else {
        Kind::Payment
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider::{Charge, Dispute, Fee, Refund, RefundStatus};

    fn paid(
        cents: i64,
        refunds: &[(i64, RefundStatus)],
        disputes: &[(i64, i64, DisputeStatus)],
    ) -> Payment {
        let refunds = refunds
            .iter()
            .enumerate()
            .map(|(index, &(cents, status))| Refund {
                id: format!("re_{index}"),
                reference: None,
                cents: Cents(cents),
                status,
            });
        let disputes = disputes
            .iter()
            .enumerate()
            .map(|(index, &(cents, withdrawn, status))| Dispute {
                id: format!("dp_{index}"),
                cents: Cents(cents),
                status,
                withdrawn: Cents(withdrawn),
                fee: Cents(if withdrawn > 0 { 2000 } else { 0 }),
            });
        Payment {
            id: "pi_1".to_owned(),
            reference: None,
            cents: Cents(cents),
            received: Cents(cents),
            currency: Currency::EUR,
            status: PaymentStatus::Succeeded,
            customer: None,
            method: None,
            failure: None,
            charge: Some(Charge {
                id: "ch_1".to_owned(),
                cents: Cents(cents),
                fees: vec![
                    Fee {
                        cents: Cents(60),
                        currency: Currency::EUR,
                    },
                    Fee {
                        cents: Cents(40),
                        currency: Currency::EUR,
                    },
                ],
                is_fraud: false,
                refunds: refunds.collect(),
                disputes: disputes.collect(),
            }),
            live: false,
        }
    }

    #[track_caller]
    fn check(payment: &Payment, is_own: bool, want: [i64; 4]) {
        let seen = Seen::of(payment, Cents::ZERO).unwrap();
        let standing = seen.standing(is_own).unwrap();
        let got = [
            standing.balance.0,
            standing.disputed.0,
            standing.suspense.0,
            standing.expense.0,
        ];
        assert_eq!(
            got, want,
            "balance, disputed, suspense, expense of {payment:#?}"
        );
    }

    #[test]
    fn every_row_of_the_table() {
        use DisputeStatus::{Inquiry, Lost, Open, Won};
        use RefundStatus::{Canceled, Failed, Pending, Succeeded};
        check(&paid(2500, &[], &[]), true, [2500, 0, 0, -100]);
        check(&paid(2500, &[], &[]), false, [0, 0, 2500, -100]);
        check(
            &Payment {
                status: PaymentStatus::Processing,
                ..paid(2500, &[], &[])
            },
            true,
            [0; 4],
        );
        check(
            &paid(2500, &[(1000, Succeeded), (1500, Pending)], &[]),
            true,
            [0, 0, 0, -100],
        );
        check(
            &paid(2500, &[(1000, Failed), (1500, Canceled)], &[]),
            true,
            [2500, 0, 0, -100],
        );
        check(
            &paid(2500, &[], &[(2500, 0, Inquiry)]),
            true,
            [2500, 0, 0, -100],
        );
        check(
            &paid(2500, &[], &[(2000, 0, Open)]),
            true,
            [500, 2000, 0, -100],
        );
        check(
            &paid(2500, &[], &[(2500, 2500, Open)]),
            true,
            [0, 0, 0, -2100],
        );
        check(
            &paid(2500, &[], &[(2500, 2500, Lost)]),
            true,
            [0, 0, 0, -2100],
        );
        check(
            &paid(2500, &[], &[(2500, 0, Won)]),
            true,
            [2500, 0, 0, -100],
        );
        // Refunded, and then disputed all the same: the payer's bank took more than was left.
        check(
            &paid(2500, &[(1000, Succeeded)], &[(2500, 2500, Lost)]),
            true,
            [0, 0, 0, -3100],
        );
        check(
            &paid(2500, &[(1000, Succeeded)], &[(2500, 2500, Lost)]),
            false,
            [0, 0, 0, -3100],
        );
    }

    #[test]
    fn fees_are_counted_where_they_were_taken() {
        let mut payment = paid(2500, &[], &[]);
        assert_eq!(Seen::fees_elsewhere(&payment), Ok(None));
        let dollars: Currency = "USD".parse().unwrap();
        let taken = [70, -20].map(|cents| Fee {
            cents: Cents(cents),
            currency: dollars,
        });
        payment.charge.as_mut().unwrap().fees.extend(taken);
        check(&payment, true, [2500, 0, 0, -100]);
        assert_eq!(
            Seen::fees_elsewhere(&payment),
            Ok(Some((dollars, Cents(50))))
        );
    }

    #[test]
    fn postings_lead_from_anywhere_to_anywhere() {
        let owner = Owner {
            root: TenantId(2),
            tenant: TenantId(3),
            currency: Currency::EUR,
        };
        let standing = |b, d, s, e| Standing {
            balance: Cents(b),
            disputed: Cents(d),
            suspense: Cents(s),
            expense: Cents(e),
        };
        let all = [
            standing(0, 0, 0, 0),
            standing(2500, 0, 0, -100),
            standing(500, 2000, 0, -100),
            standing(0, 0, 0, -3100),
            standing(0, 0, 7, 0),
        ];
        for from in all {
            for to in all {
                let postings = from.postings_to(&to, owner).unwrap();
                assert_eq!(from.after(&postings, owner).unwrap(), to);
                assert_eq!(postings.is_empty(), from == to);
            }
        }
    }
}
