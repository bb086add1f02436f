//! One function for every event, page and poll: looks at a payment and posts what is missing,
//! exactly once.
//!
//! Steps of a payment are numbered; step n is posted under `<payment>:<n>`, where the first post
//! counts. The row is read before the provider is asked: who read an older row finds step n taken
//! by somebody else, learns what that was, and looks again. So an older look never undoes a newer
//! one, and a process that died between the post and the row is caught up with by whoever comes
//! next.

mod attribution;
mod notices;
mod refunds;
mod top_up;

use crate::payment_outcome::{Owner, Seen, Standing, kind_of};
use crate::rows::{Payment, PaymentRows, Refund, Settlement};
use crate::service::{PaymentService, provider_problem, unread};
use ledger::{AccountKey, Limit};
use metering::requests::PostPayment;
use problem::{Code, Problem};
use provider::{Payment as Shown, PaymentStatus, ProviderError};
use rating::{Cents, Overflow};

/// Looks at one payment until nobody else interferes.
const LOOKS_MAX: usize = 10;
/// Names of steps in the journal.
pub(crate) const SOURCE: &str = "stripe";

/// What a look at a payment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    Done(Box<Payment>),
    /// Nothing to us, and why.
    NotOurs(&'static str),
}

pub(crate) fn overflow(_: Overflow) -> Problem {
    Problem::new(Code::Overflow, "the payment's amounts are too large")
}

impl PaymentService {
    /// Looks at a payment of the provider and posts what is missing. `with`: a refund to be debited
    /// now, if the balance covers it.
    ///
    /// # Errors
    /// `provider_unavailable`, `unavailable`: to be tried again. `insufficient_balance` for `with`.
    pub async fn settle(&self, payment: &str, with: Option<&Refund>) -> Result<Settled, Problem> {
        let provider = self.provider()?;
        for _ in 0..LOOKS_MAX {
            let row = PaymentRows::of(&self.catalog)
                .payment(payment)
                .await
                .map_err(unread)?;
            let shown = match provider.payment(payment).await {
                Ok(shown) => shown,
                Err(ProviderError::NotFound) => {
                    return Ok(Settled::NotOurs("the provider does not know it"));
                }
                Err(ProviderError::Uncountable(foreign)) => {
                    match self.keep_foreign(&**provider, row, &foreign).await? {
                        Some(settled) => return Ok(settled),
                        None => continue,
                    }
                }
                Err(error) => return Err(provider_problem(&error)),
            };
            if shown.live != provider.is_live() {
                return Ok(Settled::NotOurs("other mode"));
            }
            let row = match row {
                Some(row) => row,
                None => match self.attribute(&**provider, &shown).await? {
                    Some(row)
                        if PaymentRows::of(&self.catalog)
                            .create_payment(&row)
                            .await
                            .map_err(unread)? =>
                    {
                        row
                    }
                    Some(_) => continue,
                    None => return Ok(Settled::NotOurs("no top-up asked for it")),
                },
            };
            if let Some(after) = self.step(&row, &shown, with).await? {
                self.follow_refunds(&shown).await?;
                self.learn(after.top_up, &shown).await?;
                return Ok(Settled::Done(Box::new(after)));
            }
        }
        Err(Problem::new(
            Code::Unavailable,
            "the payment kept changing; try again",
        ))
    }

    /// One step from what is posted to what must be; `None`: look again.
    async fn step(
        &self,
        row: &Payment,
        shown: &Shown,
        with: Option<&Refund>,
    ) -> Result<Option<Payment>, Problem> {
        let contests = self.heed_contests(row, shown).await?;
        let owner = Owner {
            root: row.root,
            tenant: row.tenant,
            currency: row.currency,
        };
        let unsent = self.unsent(shown, with).await?;
        let seen = Seen::of(shown, unsent).map_err(overflow)?;
        let before = Standing {
            balance: row.balance,
            disputed: row.disputed,
            suspense: row.suspense,
            expense: row.expense,
        };
        let want = seen.standing(row.is_own).map_err(overflow)?;
        let postings = before.postings_to(&want, owner).map_err(overflow)?;
        let (mut now_at, mut idempotency_epoch, mut again) = (before, row.idempotency_epoch, false);
        if !postings.is_empty() {
            let kind = kind_of(row, &want, &seen);
            let account = AccountKey::balance(row.tenant, row.currency);
            let covered = |limit| Limit {
                account,
                credit_limit: Some(limit),
                refuse: true,
            };
            // Money of nobody is none of the tenant's: its balance need not cover it.
            let with = with.filter(|_| want.balance < before.balance);
            let command = PostPayment {
                source: SOURCE.into(),
                key: format!("{}:{idempotency_epoch}", row.id),
                root: row.root,
                tenant: row.tenant,
                currency: row.currency,
                kind,
                postings,
                limits: with.map(|_| covered(Cents::ZERO)).into_iter().collect(),
                reason: reason_of(row, &seen),
            };
            let posted = self.engine.post_payment(command).await?;
            now_at = before.after(&posted.postings, owner).map_err(overflow)?;
            idempotency_epoch += 1;
            again = now_at != want;
        }
        if row.is_own && seen.refunded > row.refunded {
            self.refunded(row, seen.refunded).await?;
        }
        let (fees, fees_again) = self.post_fees(row, shown).await?;
        again |= fees_again;
        let now = self.now();
        let after = Payment {
            status: word_of(shown.status).to_owned(),
            idempotency_epoch,
            balance: now_at.balance,
            disputed: now_at.disputed,
            suspense: now_at.suspense,
            expense: now_at.expense,
            received: seen.received,
            refunded: seen.refunded,
            withdrawn: seen.withdrawn,
            open_disputes: seen.open_disputes,
            contests,
            fees,
            updated_at: now,
            ..row.clone()
        };
        let written = self.write_down(row, &after, shown).await?;
        Ok((written && !again).then_some(after))
    }

    /// Whoever contests a payment is not charged again. Before its row says that this was done, so
    /// that it is done again if this process dies; how often it was contested so far.
    async fn heed_contests(&self, row: &Payment, shown: &Shown) -> Result<i64, Problem> {
        let contests = shown.contests();
        if contests > row.contests {
            let has_dispute = shown
                .charge
                .as_ref()
                .is_some_and(|charge| !charge.disputes.is_empty());
            self.contested(
                row.tenant,
                shown.method.as_deref(),
                if has_dispute {
                    "disputed"
                } else {
                    "fraud_reported"
                },
            )
            .await?;
        }
        Ok(contests.max(row.contests))
    }

    /// The row, the state of its top-up and what is told of it, in one transaction.
    async fn write_down(
        &self,
        before: &Payment,
        after: &Payment,
        shown: &Shown,
    ) -> Result<bool, Problem> {
        let top_up = PaymentRows::of(&self.catalog)
            .top_up(before.top_up)
            .await
            .map_err(unread)?;
        let changed = match &top_up {
            Some(top_up) if after.is_own => self.followed(top_up, shown).await?,
            _ => None,
        };
        if changed.is_none()
            && *before
                == (Payment {
                    updated_at: before.updated_at,
                    ..after.clone()
                })
        {
            return Ok(true);
        }
        let change = top_up
            .as_ref()
            .zip(changed.as_ref())
            .filter(|(before, after)| before.state != after.state);
        let settlement = Settlement {
            payment: (before, after),
            top_up: top_up.as_ref().zip(changed.as_ref()),
            change: change.map(|(before, after)| after.change("update", Some(before))),
            notices: self.told(before, after, change),
        };
        match PaymentRows::of(&self.catalog)
            .put_settlement(&self.actor("seen at the payment provider"), &settlement)
            .await
        {
            Ok(written) => Ok(written),
            // Its top-up changed meanwhile.
            Err(catalog::CatalogError::Conflict { .. }) => Ok(false),
            Err(error) => Err(unread(error)),
        }
    }
}

fn word_of(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Open => "open",
        PaymentStatus::RequiresAction => "requires_action",
        PaymentStatus::Processing => "processing",
        PaymentStatus::Succeeded => "succeeded",
        PaymentStatus::Canceled => "canceled",
    }
}

/// What a statement says of a step.
fn reason_of(row: &Payment, seen: &Seen) -> String {
    let what = if row.received != seen.received {
        if row.is_own {
            "payment received"
        } else {
            "payment received that no top-up fits"
        }
    } else if row.refunded != seen.refunded {
        if seen.refunded > row.refunded {
            "refund"
        } else {
            "refund failed"
        }
    } else if seen.open_disputes > row.open_disputes {
        "dispute opened"
    } else if seen.withdrawn > row.withdrawn {
        "dispute: funds withdrawn"
    } else if seen.withdrawn < row.withdrawn || seen.open_disputes < row.open_disputes {
        "dispute ended"
    } else {
        "costs of the payment"
    };
    format!("{what} ({})", row.top_up)
}
