//! Giving money back: the debit comes first, the provider is asked then, and what it refuses is
//! given back to the balance.

use crate::rows::{Created, Payment, PaymentRows, Refund, RefundState, TopUp};
use crate::service::{PaymentService, again_secs, code_of, provider_problem, unread};
use crate::settlement::Settled;
use catalog::Actor;
use problem::{Code, Problem};
use provider::{CallKey, KEY_GOOD_SECS, ProviderError, RefundRequest};
use rating::Cents;
use rating::ids::RefundId;

/// What is to be given back.
#[derive(Debug, Clone)]
pub struct NewRefund<'a> {
    pub top_up: &'a TopUp,
    /// The provider's, where several name this top-up. `None`: its own; else the first that has
    /// something left.
    pub payment: Option<String>,
    /// `None`: all that is left.
    pub cents: Option<Cents>,
    pub reason: String,
    /// The caller's key with its Idempotency-Key.
    pub request_key: String,
}

impl NewRefund<'_> {
    /// Whether an earlier refund is what is asked for.
    fn is_again(&self, earlier: &Refund) -> bool {
        let same_payment = self
            .payment
            .as_ref()
            .is_none_or(|payment| *payment == earlier.payment);
        earlier.top_up == self.top_up.id
            && same_payment
            && self.cents.is_none_or(|cents| cents == earlier.cents)
    }
}

fn not_refundable(why: &str) -> Problem {
    Problem::new(Code::NotRefundable, why)
}

impl PaymentService {
    /// Gives back (part of) a top-up. If it is on the tenant's balance, that must cover it; money
    /// of nobody is at hand.
    ///
    /// # Errors
    /// `not_refundable`, `amount_out_of_range`, `insufficient_balance`, `idempotency_conflict`,
    /// `provider_refused`, `provider_unavailable` (it goes on by itself; the same request tells how
    /// far it is).
    pub async fn refund(&self, actor: &Actor, new: NewRefund<'_>) -> Result<Refund, Problem> {
        self.provider()?;
        let asked = self.new_refund(&new).await?;
        let refund = match PaymentRows::of(&self.catalog)
            .create_refund(actor, &asked)
            .await
            .map_err(unread)?
        {
            Created::Fresh(refund) => refund,
            Created::Earlier(refund) if !new.is_again(&refund) => {
                return Err(Problem::field(
                    Code::IdempotencyConflict,
                    "Idempotency-Key",
                    "use a new key for a new request",
                ));
            }
            Created::Earlier(refund) => refund,
        };
        self.give_back(refund).await
    }

    /// The payment to give back from, and what is left of it: the top-up's own money, or money that
    /// names it and fits no top-up.
    async fn refundable(&self, new: &NewRefund<'_>) -> Result<(Payment, Cents), Problem> {
        let rows = PaymentRows::of(&self.catalog)
            .payments_of(new.top_up.id)
            .await
            .map_err(unread)?;
        let mut ids: Vec<&String> = new.top_up.payment.iter().collect();
        ids.extend(
            rows.iter()
                .map(|row| &row.id)
                .filter(|id| Some(*id) != new.top_up.payment.as_ref()),
        );
        if let Some(named) = &new.payment {
            ids.retain(|id| *id == named);
            if ids.is_empty() {
                return Err(Problem::field(
                    Code::InvalidField,
                    "payment",
                    "expected a payment that names this top-up",
                ));
            }
        }
        let mut spent = None;
        for id in ids {
            let Settled::Done(row) = self.settle(id, None).await? else {
                continue;
            };
            let left = row
                .balance
                .checked_add(row.suspense)
                .map_err(|_| not_refundable("its amounts are too large"))?;
            if left > Cents::ZERO {
                return Ok((*row, left));
            }
            spent = Some(row);
        }
        Err(not_refundable(match spent.as_deref() {
            None => "this top-up was not paid",
            Some(row)
                if row
                    .foreign
                    .as_ref()
                    .is_some_and(|foreign| foreign.amount > 0) =>
            {
                "it was paid in a currency that is not accounted for here: refund it in the \
                    payment provider's dashboard"
            }
            Some(_) => "nothing of this top-up is left to refund",
        }))
    }

    async fn new_refund(&self, new: &NewRefund<'_>) -> Result<Refund, Problem> {
        let (row, left) = match PaymentRows::of(&self.catalog)
            .refund_by_request(new.top_up.root, &new.request_key)
            .await
            .map_err(unread)?
        {
            // Carried out before: what is left now is another question.
            Some(earlier) => return Ok(earlier),
            None => self.refundable(new).await?,
        };
        let cents = new.cents.unwrap_or(left);
        if cents <= Cents::ZERO || cents > left {
            return Err(Problem::field(
                Code::AmountOutOfRange,
                "cents",
                format!("expected 1 to {left}, the amount left of this top-up"),
            ));
        }
        let now = self.now();
        Ok(Refund {
            id: RefundId((self.sources.id)()),
            root: row.root,
            tenant: row.tenant,
            top_up: row.top_up,
            payment: row.id.clone(),
            cents,
            currency: row.currency,
            state: RefundState::Pending,
            request_key: new.request_key.clone(),
            reason: new.reason.clone(),
            provider_id: None,
            failure: None,
            idempotency_epoch: 0,
            attempts: 0,
            next_at: Some(now.plus_secs(again_secs(1))),
            created_at: now,
            updated_at: now,
        })
    }

    /// Takes a refund as far as it goes now.
    pub(crate) async fn give_back(&self, mut refund: Refund) -> Result<Refund, Problem> {
        if refund.state == RefundState::Pending {
            refund = self.debit(refund).await?;
        }
        if refund.state == RefundState::Sent && refund.provider_id.is_none() {
            refund = self.send(refund).await?;
        }
        Ok(refund)
    }

    async fn debit(&self, refund: Refund) -> Result<Refund, Problem> {
        match self.settle(&refund.payment, Some(&refund)).await {
            Ok(_) => {
                self.change(&refund, |after| after.state = RefundState::Sent)
                    .await
            }
            Err(problem) if problem.code == Code::InsufficientBalance => {
                self.change(&refund, |after| {
                    (after.state, after.next_at) = (RefundState::Failed, None);
                    after.failure = Some(problem.code.to_string());
                })
                .await?;
                Err(problem)
            }
            Err(problem) => Err(problem),
        }
    }

    async fn send(&self, refund: Refund) -> Result<Refund, Problem> {
        let request = RefundRequest {
            reference: refund.id.to_string(),
            payment: refund.payment.clone(),
            cents: refund.cents,
            currency: refund.currency,
        };
        let key = CallKey(format!("{}:{}", refund.id, refund.idempotency_epoch));
        let now = self.now();
        let sent = if now < refund.created_at.plus_secs(KEY_GOOD_SECS) {
            self.provider()?.refund(&key, &request).await
        } else {
            // The key may be forgotten there, and asking again could pay twice. The provider shows
            // every refund.
            self.settle(&refund.payment, None).await?;
            let seen = PaymentRows::of(&self.catalog)
                .refund(refund.id)
                .await
                .map_err(unread)?
                .unwrap_or(refund.clone());
            if seen.provider_id.is_some() {
                return Ok(seen);
            }
            Err(ProviderError::Refused {
                code: "not_sent".to_owned(),
                detail: "the payment provider never received the request".to_owned(),
            })
        };
        match sent {
            Ok(shown) => {
                let sent = self
                    .change(&refund, |after| {
                        (after.provider_id, after.next_at) = (Some(shown.id.clone()), None)
                    })
                    .await?;
                self.settle(&refund.payment, None).await?;
                Ok(PaymentRows::of(&self.catalog)
                    .refund(sent.id)
                    .await
                    .map_err(unread)?
                    .unwrap_or(sent))
            }
            Err(error) if error.is_definitive() => {
                let failed = self
                    .change(&refund, |after| {
                        (after.state, after.next_at) = (RefundState::Failed, None);
                        after.idempotency_epoch += 1;
                        after.failure = Some(code_of(&error));
                    })
                    .await?;
                // Back to the balance.
                self.settle(&refund.payment, None).await?;
                tracing::warn!(refund = %failed.id, "refund refused");
                Err(provider_problem(&error))
            }
            Err(error) => {
                self.change(&refund, |after| {
                    after.attempts += 1;
                    after.next_at = Some(now.plus_secs(again_secs(after.attempts)));
                })
                .await?;
                Err(provider_problem(&error))
            }
        }
    }

    /// The refund after a change, or as somebody else changed it meanwhile.
    async fn change(
        &self,
        before: &Refund,
        change: impl FnOnce(&mut Refund),
    ) -> Result<Refund, Problem> {
        let mut after = Refund {
            updated_at: self.now(),
            ..before.clone()
        };
        change(&mut after);
        PaymentRows::of(&self.catalog)
            .put_refund(&self.actor("refund"), before, &after)
            .await
            .map_err(unread)?;
        let now = PaymentRows::of(&self.catalog)
            .refund(before.id)
            .await
            .map_err(unread)?;
        now.ok_or_else(|| Problem::new(Code::NotFound, "the refund no longer exists"))
    }
}
