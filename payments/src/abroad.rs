//! What a payment's top-up and its currency do not say: fees in the currency that it was converted
//! to, payments in a currency that is not ours, and what was paid on a page instead of what was
//! asked for.

use crate::payment_outcome::Seen;
use crate::rows::{FeesElsewhere, Foreign, Payment, PaymentRows, Settlement, TopUp, TopUpState};
use crate::service::{PaymentService, unread};
use crate::settlement::{SOURCE, Settled, overflow};
use journal::Kind;
use ledger::{AccountKey, Posting};
use metering::requests::PostPayment;
use problem::Problem;
use provider::{ForeignPayment, Payment as Shown, Provider};
use rating::Cents;

/// Why a top-up failed that was paid with something else: its money is in suspense.
pub const DOES_NOT_FIT: &str = "does_not_fit";

/// How the fees of a payment in another currency are named.
pub(crate) fn fees_key(payment: &str, idempotency_epoch: i64) -> String {
    format!("{payment}:fees:{idempotency_epoch}")
}

impl PaymentService {
    /// Fees in the currency that a payment was converted to, as steps of their own; with whether to
    /// look again.
    pub(crate) async fn post_fees(
        &self,
        row: &Payment,
        shown: &Shown,
    ) -> Result<(Option<FeesElsewhere>, bool), Problem> {
        let Some((currency, want)) = Seen::fees_elsewhere(shown).map_err(overflow)? else {
            return Ok((row.fees.clone(), false));
        };
        let before = row.fees.clone().unwrap_or(FeesElsewhere {
            currency,
            cents: Cents::ZERO,
            idempotency_epoch: 0,
        });
        let more = want.checked_sub(before.cents).map_err(overflow)?;
        if before.currency != currency || more == Cents::ZERO {
            return Ok((row.fees.clone(), false));
        }
        let (expense, external) = (
            AccountKey::expense(row.root, currency),
            AccountKey::external(row.root, currency),
        );
        let posting = match more.0 {
            0.. => Posting {
                from: expense,
                to: external,
                cents: more,
            },
            _ => Posting {
                from: external,
                to: expense,
                cents: more.checked_neg().map_err(overflow)?,
            },
        };
        let command = PostPayment {
            source: SOURCE.into(),
            key: fees_key(&row.id, before.idempotency_epoch),
            root: row.root,
            tenant: row.tenant,
            currency,
            kind: Kind::Payment,
            postings: vec![posting],
            limits: Vec::new(),
            reason: format!("costs of the payment ({})", row.top_up),
        };
        let posted = self.engine.post_payment(command).await?;
        let mut cents = before.cents;
        for (_, net) in ledger::nets(&posted.postings)
            .map_err(overflow)?
            .into_iter()
            .filter(|(account, _)| *account == expense)
        {
            cents = cents.checked_sub(net).map_err(overflow)?;
        }
        Ok((
            Some(FeesElsewhere {
                currency,
                cents,
                idempotency_epoch: before.idempotency_epoch + 1,
            }),
            cents != want,
        ))
    }

    /// A payment that the books cannot count: nothing of it is posted, and the operator is told
    /// once. `None`: look again.
    pub(crate) async fn keep_foreign(
        &self,
        provider: &dyn Provider,
        row: Option<Payment>,
        seen: &ForeignPayment,
    ) -> Result<Option<Settled>, Problem> {
        if seen.live != provider.is_live() {
            return Ok(Some(Settled::NotOurs("other mode")));
        }
        let row = match row {
            Some(row) => row,
            None => {
                let found = match PaymentRows::of(&self.catalog)
                    .top_up_by_payment(&seen.id)
                    .await
                    .map_err(unread)?
                {
                    Some(top_up) => Some(top_up),
                    None => self
                        .top_up_behind(provider, &seen.id, seen.reference.as_ref())
                        .await?
                        .map(|(top_up, _)| top_up),
                };
                let Some(top_up) = found else {
                    return Ok(Some(Settled::NotOurs("no top-up asked for it")));
                };
                let row = self.new_payment(&seen.id, &top_up, top_up.currency, false);
                if !PaymentRows::of(&self.catalog)
                    .create_payment(&row)
                    .await
                    .map_err(unread)?
                {
                    return Ok(None);
                }
                row
            }
        };
        let foreign = Some(Foreign {
            currency: seen.currency.clone(),
            amount: seen.amount,
        });
        if row.foreign == foreign {
            return Ok(Some(Settled::Done(Box::new(row))));
        }
        let after = Payment {
            foreign,
            updated_at: self.now(),
            ..row.clone()
        };
        let settlement = Settlement {
            payment: (&row, &after),
            top_up: None,
            change: None,
            notices: self.told(&row, &after, None),
        };
        let written = PaymentRows::of(&self.catalog)
            .put_settlement(&self.actor("seen at the payment provider"), &settlement)
            .await
            .map_err(unread)?;
        Ok(written.then(|| Settled::Done(Box::new(after))))
    }

    /// The page of a top-up is over, and what was paid on it is not what was asked for: nothing
    /// more will come.
    pub(crate) async fn close_unfit(
        &self,
        top_up: &TopUp,
        settled: &Settled,
    ) -> Result<(), Problem> {
        let Settled::Done(payment) = settled else {
            return Ok(());
        };
        let found = PaymentRows::of(&self.catalog)
            .top_up(top_up.id)
            .await
            .map_err(unread)?;
        let Some(before) =
            found.filter(|found| found.state == TopUpState::Pending && !payment.is_own)
        else {
            return Ok(());
        };
        let (state, failure) = (TopUpState::Failed, Some(DOES_NOT_FIT.to_owned()));
        let after = TopUp {
            state,
            failure,
            next_at: None,
            url: None,
            updated_at: self.now(),
            ..before.clone()
        };
        // Who changed it meanwhile knows more.
        PaymentRows::of(&self.catalog)
            .put_top_up(&before, &after)
            .await
            .map_err(unread)?;
        Ok(())
    }
}
