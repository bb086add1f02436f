//! The postings of a payout: the debit before its money goes out, the way back, and the reversal;
//! each once under its key.

use crate::commission_account::CommissionAccount;
use crate::month::Month;
use crate::rows::Payout;
use crate::{Error, Payouts, Result, refused};
use journal::{Identity, Kind, Namespace};
use ledger::{AccountKey, Limit, Posting};
use metering::requests::PostPayment;
use problem::Code;
use rating::{Cents, Instant};

/// Source of every posting here: with the key its identity.
const SOURCE: &str = "payout";

/// Which way the money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the reseller.
    Out,
    /// The other way: what was debited and never went out.
    Back,
    /// What the provider sent back.
    Reversal,
}

/// Why nothing was posted.
#[derive(Debug)]
pub(crate) enum Unposted {
    /// The balance does not have it any more.
    Uncovered(String),
    /// Customers owe it by now.
    Withheld(String),
    Error(Error),
}

impl From<Unposted> for Error {
    fn from(unposted: Unposted) -> Self {
        match unposted {
            Unposted::Uncovered(detail) | Unposted::Withheld(detail) => {
                refused(Code::NotPayable, detail)
            }
            Unposted::Error(error) => error,
        }
    }
}

impl Payouts {
    /// Takes it off the balance, unless that is done: from then on it counts as gone. Customers may
    /// owe it by now, and not only because its process died since it was begun.
    pub(super) async fn debit(&self, payout: &Payout, now: Instant) -> Result<(), Unposted> {
        if self.is_debited(payout).await.map_err(Unposted::Error)? {
            return Ok(());
        }
        match self.check_payable(payout, now).await {
            Ok(_) => self.post(payout, Way::Out).await,
            Err(Error::Refused(problem)) if problem.code == Code::NotPayable => {
                let by_another = self.is_debited(payout).await.map_err(Unposted::Error)?;
                if by_another {
                    Ok(())
                } else {
                    Err(Unposted::Withheld(problem.detail))
                }
            }
            Err(error) => Err(Unposted::Error(error)),
        }
    }

    async fn is_debited(&self, payout: &Payout) -> Result<bool> {
        let (source, id) = (
            SOURCE.into(),
            step_key(payout, Way::Out, payout.idempotency_epoch),
        );
        let posting = Identity {
            root: payout.root,
            reporter: None,
            namespace: Namespace::Payment,
            source,
            id,
        };
        Ok(self
            .journal()
            .find_each(&[posting])
            .await?
            .iter()
            .any(Option::is_some))
    }

    /// Of what failed: the debit, if it was made, is taken back.
    pub(crate) async fn give_back(&self, payout: Payout) -> Result<Payout> {
        // Made now if it never was, so that the two always stand together; or neither.
        match self.post(&payout, Way::Out).await {
            Ok(()) => self.post(&payout, Way::Back).await?,
            Err(Unposted::Uncovered(_) | Unposted::Withheld(_)) => {}
            Err(Unposted::Error(error)) => return Err(error),
        }
        self.store(
            None,
            &payout,
            Payout {
                next_at: None,
                ..payout.clone()
            },
        )
        .await
    }

    /// One move between the balance and the outside world, once per idempotency epoch and way. What
    /// goes out must be there.
    pub(crate) async fn post(&self, payout: &Payout, way: Way) -> Result<(), Unposted> {
        let (balance, external) = (
            commission_account_of(payout).account,
            AccountKey::external(payout.root, payout.currency),
        );
        let (from, to) = if way == Way::Out {
            (balance, external)
        } else {
            (external, balance)
        };
        let limit = Limit {
            account: balance,
            credit_limit: Some(Cents::ZERO),
            refuse: true,
        };
        let limits = if way == Way::Out {
            vec![limit]
        } else {
            Vec::new()
        };
        let period = Month(payout.period);
        let key = step_key(payout, way, payout.idempotency_epoch);
        let posted = PostPayment {
            key,
            source: SOURCE.into(),
            root: payout.root,
            tenant: payout.tenant,
            currency: payout.currency,
            kind: Kind::Payout,
            postings: vec![Posting {
                from,
                to,
                cents: payout.cents,
            }],
            limits,
            reason: format!("{} of {period}", payout.id),
        };
        self.engine
            .post_payment(posted)
            .await
            .map_err(|problem| match problem.code {
                Code::InsufficientBalance => Unposted::Uncovered(problem.detail),
                _ => Unposted::Error(problem.into()),
            })?;
        Ok(())
    }
}

fn step_key(payout: &Payout, way: Way, idempotency_epoch: i64) -> String {
    let suffix = match way {
        Way::Out => "",
        Way::Back => ":back",
        Way::Reversal => ":reversal",
    };
    format!(
        "payout:{}:{}:{idempotency_epoch}{suffix}",
        Month(payout.period),
        payout.tenant
    )
}

/// Names of everything that may be posted of a payout.
pub fn steps(payout: &Payout) -> impl Iterator<Item = Identity> {
    let of = |idempotency_epoch| {
        [Way::Out, Way::Back, Way::Reversal].map(|way| step_key(payout, way, idempotency_epoch))
    };
    let identity = |id| Identity {
        root: payout.root,
        reporter: None,
        namespace: Namespace::Payment,
        source: SOURCE.into(),
        id,
    };
    (0..=payout.idempotency_epoch).flat_map(of).map(identity)
}

pub(crate) fn commission_account_of(payout: &Payout) -> CommissionAccount {
    CommissionAccount {
        root: payout.root,
        account: AccountKey::balance(payout.tenant, payout.currency),
    }
}
