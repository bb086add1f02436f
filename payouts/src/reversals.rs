//! What ends a payout otherwise: reversed at the provider, sent back by the bank, confirmed by
//! hand, canceled.

use super::steps::{Way, key_is_good, key_of, wrong_state};
use super::{Payouts, Result, refused};
use crate::rows::{Payout, PayoutMethod, PayoutRows, PayoutState};
use catalog::Actor;
use notices::rows::{Notice, NoticeKind, NoticeRows};
use problem::Code;
use provider::{ProviderError, Transfer};
use rating::ids::{NoticeId, PayoutId};
use rating::{Cents, Instant};
use serde_json::json;

impl Payouts {
    /// Asks the provider for the money back. It gives back what the payee's account has: if it
    /// refuses, the payout stays paid, with the reason, and what the balance lacks is set off
    /// against later commission.
    ///
    /// # Errors
    /// `payout_state`, `payments_not_configured`, `reversal_refused`; the records cannot be
    /// written.
    pub async fn reverse(&self, actor: &Actor, payout: &Payout, now: Instant) -> Result<Payout> {
        self.provider()?;
        if payout.state != PayoutState::Paid || payout.transfer.is_none() {
            return Err(wrong_state(payout, "reverse at a provider"));
        }
        // A idempotency epoch of its own: the call before was another one.
        let (state, idempotency_epoch) = (PayoutState::Reversing, payout.idempotency_epoch + 1);
        let asked = Payout {
            state,
            idempotency_epoch,
            attempts: 0,
            next_at: Some(now),
            begun_at: Some(now),
            error: None,
            ..payout.clone()
        };
        let asked = self.begin(actor, payout, asked, now).await?;
        let done = self.settle(&asked, now).await?;
        match (&done.state, &done.error) {
            (PayoutState::Paid, Some(error)) => Err(refused(
                Code::ReversalRefused,
                format!(
                    "{error}; the payout stays paid, and the missing amount is set off against \
                        later commission"
                ),
            )),
            _ => Ok(done),
        }
    }

    pub(super) async fn carry_out_reversal(&self, payout: Payout, now: Instant) -> Result<Payout> {
        let Some(transfer) = payout.transfer.clone() else {
            return self
                .reversal_refused(&payout, "there is no transfer".to_owned(), now)
                .await;
        };
        let provider = self.provider()?;
        let came_back = if key_is_good(&payout, now) {
            provider
                .reverse_transfer(&key_of(&payout), &transfer, payout.cents, payout.currency)
                .await
                .map(|_| true)
        } else {
            // The key is forgotten; what was reversed is not.
            provider
                .transfer_by_id(&transfer)
                .await
                .map(|transfer| transfer.reversed >= payout.cents)
        };
        // Refused, because it is back already: by hand on the provider's own pages.
        let came_back = match came_back {
            Err(error) if error.is_definitive() => match provider.transfer_by_id(&transfer).await {
                Ok(found) if found.reversed >= payout.cents => Ok(true),
                _ => Err(error),
            },
            other => other,
        };
        match came_back {
            Ok(true) => {
                self.post(&payout, Way::Reversal).await?;
                let reversed = Payout {
                    state: PayoutState::Reversed,
                    next_at: None,
                    error: None,
                    ..payout.clone()
                };
                self.store(Some((&self.worker(now), "reversed")), &payout, reversed)
                    .await
            }
            Ok(false) => {
                self.reversal_refused(&payout, "the provider reversed nothing".to_owned(), now)
                    .await
            }
            Err(error) if error.is_definitive() => {
                self.reversal_refused(&payout, error.to_string(), now).await
            }
            Err(error) => self.later(&payout, error.to_string(), now).await,
        }
    }

    /// A transfer changed at the provider, perhaps by somebody's hand there. What was taken back
    /// altogether is unpaid again; a part of it the operator is told of (once, as `notice`).
    /// `None`: it is no payout of ours.
    ///
    /// # Errors
    /// The provider, the journal, the records: to be tried again.
    pub async fn transfer_changed(
        &self,
        id: &str,
        notice: NoticeId,
        now: Instant,
    ) -> Result<Option<Payout>> {
        let found = match self.provider()?.transfer_by_id(id).await {
            Ok(found) => found,
            Err(ProviderError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(payout) = self.payout_behind(&found).await? else {
            return Ok(None);
        };
        if payout.state != PayoutState::Paid || found.reversed == Cents::ZERO {
            return Ok(Some(payout));
        }
        if found.reversed < payout.cents {
            self.tell_part(&payout, &found, notice, now).await?;
            return Ok(Some(payout));
        }
        let (state, idempotency_epoch) = (PayoutState::Reversing, payout.idempotency_epoch + 1);
        let seen = Payout {
            state,
            idempotency_epoch,
            attempts: 0,
            next_at: Some(now),
            begun_at: Some(now),
            error: None,
            ..payout.clone()
        };
        let seen = self.begin(&self.worker(now), &payout, seen, now).await?;
        self.settle(&seen, now).await.map(Some)
    }

    /// By the transfer that we know of, or (its answer was lost) by what we told the provider.
    pub async fn payout_behind(&self, transfer: &Transfer) -> Result<Option<Payout>> {
        if let Some(payout) = PayoutRows::of(&self.catalog)
            .payout_by_transfer(&transfer.id)
            .await?
        {
            return Ok(Some(payout));
        }
        let Some(id) = transfer
            .reference
            .as_ref()
            .and_then(|reference| reference.parse::<PayoutId>().ok())
        else {
            return Ok(None);
        };
        let known = PayoutRows::of(&self.catalog).payout(id).await?;
        Ok(known.filter(|payout| {
            payout
                .transfer
                .as_deref()
                .is_none_or(|known| known == transfer.id)
        }))
    }

    async fn tell_part(
        &self,
        payout: &Payout,
        transfer: &Transfer,
        id: NoticeId,
        now: Instant,
    ) -> Result<()> {
        tracing::warn!(payout = %payout.id, reversed = %transfer.reversed, "payout partly reversed \
            at the provider");
        let (kind, cause) = (
            NoticeKind::PaymentAttention,
            format!("transfer:{}:{}", transfer.id, transfer.reversed),
        );
        let what = "part of a payout taken back";
        let data = json!({ "what": what, "payout": payout.id, "currency": payout.currency, "cents": transfer.reversed });
        let notice = Notice {
            id,
            root: payout.root,
            tenant: payout.tenant,
            kind,
            cause,
            data,
            created_at: now,
        };
        NoticeRows::of(&self.catalog).append_notice(&notice).await?;
        Ok(())
    }

    async fn reversal_refused(&self, payout: &Payout, why: String, now: Instant) -> Result<Payout> {
        let paid = Payout {
            state: PayoutState::Paid,
            next_at: None,
            error: Some(why),
            ..payout.clone()
        };
        self.store(Some((&self.worker(now), "reversal refused")), payout, paid)
            .await
    }

    /// Somebody paid it by bank transfer, or saw at the provider that it went out. Debits the
    /// balance unless that is done.
    ///
    /// # Errors
    /// `payout_state`, `payee_not_ready`, `not_payable`; the records cannot be written.
    pub async fn mark_paid(
        &self,
        actor: &Actor,
        payout: &Payout,
        reference: &str,
        now: Instant,
    ) -> Result<Payout> {
        let (state, paid_at) = (PayoutState::Paid, Some(now));
        let by_hand = Some(reference.to_owned());
        match (payout.state, payout.method) {
            (PayoutState::Paid, _) if payout.reference == by_hand || payout.transfer == by_hand => {
                Ok(payout.clone())
            }
            (PayoutState::Due, PayoutMethod::Bank) => {
                let settings = PayoutRows::of(&self.catalog)
                    .payout_settings(payout.tenant)
                    .await?;
                let bank = settings.and_then(|settings| settings.bank);
                self.check_payable(payout, now).await?;
                // The reference keeps it out of files, should this be all that comes of it.
                let (begun_at, next_at, reference) = (Some(now), Some(now), by_hand.clone());
                let begun = Payout {
                    state: PayoutState::Paying,
                    bank,
                    begun_at,
                    next_at,
                    reference,
                    ..payout.clone()
                };
                let begun = self.begin(actor, payout, begun, now).await?;
                let begun = self.settle(&begun, now).await?;
                if begun.state != PayoutState::Paying {
                    return Ok(begun);
                }
                let paid = Payout {
                    state,
                    paid_at,
                    reference: by_hand,
                    error: None,
                    ..begun.clone()
                };
                self.store(Some((actor, "paid")), &begun, paid).await
            }
            (PayoutState::Paying, PayoutMethod::Bank) => {
                self.post(payout, Way::Out).await?;
                let paid = Payout {
                    state,
                    paid_at,
                    next_at: None,
                    reference: by_hand,
                    error: None,
                    ..payout.clone()
                };
                self.store(Some((actor, "paid")), payout, paid).await
            }
            (PayoutState::Paying, PayoutMethod::Stripe) if !key_is_good(payout, now) => {
                let paid = Payout {
                    state,
                    paid_at,
                    next_at: None,
                    transfer: by_hand,
                    error: None,
                    ..payout.clone()
                };
                self.store(Some((actor, "paid")), payout, paid).await
            }
            _ => Err(wrong_state(payout, "mark as paid")),
        }
    }

    /// The bank did not carry it out, or the money came back; or somebody saw at the provider that
    /// it never went out. What was debited is given back; it may be paid again.
    ///
    /// # Errors
    /// `payout_state`; the records cannot be written.
    pub async fn mark_failed(
        &self,
        actor: &Actor,
        payout: &Payout,
        reason: &str,
        now: Instant,
    ) -> Result<Payout> {
        let may_fail = match (payout.state, payout.method) {
            (PayoutState::Paying | PayoutState::Paid, PayoutMethod::Bank) => true,
            (PayoutState::Paying, PayoutMethod::Stripe) => !key_is_good(payout, now),
            _ => false,
        };
        if !may_fail {
            return Err(wrong_state(payout, "mark as failed"));
        }
        let (state, next_at, error) = (PayoutState::Failed, Some(now), Some(reason.to_owned()));
        let failed = Payout {
            state,
            next_at,
            error,
            paid_at: None,
            ..payout.clone()
        };
        let failed = self.store(Some((actor, "fail")), payout, failed).await?;
        if failed.state == PayoutState::Failed && failed.next_at.is_some() {
            self.settle(&failed, now).await
        } else {
            Ok(failed)
        }
    }

    /// Nothing of it was paid, nothing will be: the commission is in the next period's figure.
    ///
    /// # Errors
    /// `payout_state`; the records cannot be written.
    pub async fn cancel(&self, actor: &Actor, payout: &Payout) -> Result<Payout> {
        match payout.state {
            PayoutState::Canceled => Ok(payout.clone()),
            PayoutState::Due | PayoutState::Failed if payout.next_at.is_none() => {
                self.store(
                    Some((actor, "cancel")),
                    payout,
                    Payout {
                        state: PayoutState::Canceled,
                        ..payout.clone()
                    },
                )
                .await
            }
            _ => Err(wrong_state(payout, "cancel")),
        }
    }
}
