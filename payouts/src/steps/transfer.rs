//! The transfer of a payout by the provider: sent under a key, and looked for once the provider no
//! longer knows that key.

use crate::rows::{Payout, PayoutState};
use crate::{Error, Payouts, Result};
use provider::{CallKey, KEY_GOOD_SECS, MoveKind, ProviderError, TransferRequest};
use rating::Instant;

/// Pages of the provider's moves looked through for one transfer.
const MOVE_PAGES_MAX: usize = 200;

impl Payouts {
    pub(super) async fn send(&self, payout: Payout, now: Instant) -> Result<Payout> {
        if !key_is_good(&payout, now) {
            return self.look_for(payout, now).await;
        }
        let sent = match (&self.provider, &payout.payee) {
            (Some(provider), Some(payee)) => {
                let request = TransferRequest {
                    reference: payout.id.to_string(),
                    payee: payee.clone(),
                    cents: payout.cents,
                    currency: payout.currency,
                };
                provider.transfer(&key_of(&payout), &request).await
            }
            _ => Err(ProviderError::NotSent("there is no provider".to_owned())),
        };
        match sent {
            Ok(transfer) => self.sent(&payout, transfer.id, now).await,
            Err(error) if error.is_definitive() => {
                self.failed(payout, error.to_string(), now).await
            }
            Err(error) => self.later(&payout, error.to_string(), now).await,
        }
    }

    async fn sent(&self, payout: &Payout, transfer: String, now: Instant) -> Result<Payout> {
        let (transfer, paid_at) = (Some(transfer), Some(now));
        let paid = Payout {
            state: PayoutState::Paid,
            transfer,
            paid_at,
            next_at: None,
            error: None,
            ..payout.clone()
        };
        let stored = self
            .store(Some((&self.worker(now), "paid")), payout, paid)
            .await?;
        if stored.state != PayoutState::Paid {
            // It took longer than its turn, and another process came to another end.
            tracing::error!(payout = %payout.id, state = ?stored.state, "money was sent, but the \
                payout is not marked as paid");
        }
        Ok(stored)
    }

    /// The provider no longer knows the key: whether the money went out, its moves tell. If they do
    /// not, a human must.
    async fn look_for(&self, payout: Payout, now: Instant) -> Result<Payout> {
        match self.transfer_of(&payout, now).await {
            Ok(Some(transfer)) => self.sent(&payout, transfer, now).await,
            Ok(None) => {
                self.later(
                    &payout,
                    "nobody knows whether it went out: look at the provider, then \
                    say paid or failed"
                        .into(),
                    now,
                )
                .await
            }
            Err(Error::Provider(error)) => self.later(&payout, error.to_string(), now).await,
            Err(error) => Err(error),
        }
    }

    /// The transfer that carries this payout's id.
    async fn transfer_of(&self, payout: &Payout, now: Instant) -> Result<Option<String>> {
        let (provider, reference) = (self.provider()?, payout.id.to_string());
        let from = payout
            .begun_at
            .unwrap_or(payout.created_at)
            .plus_secs(-3600);
        let mut after: Option<String> = None;
        for _ in 0..MOVE_PAGES_MAX {
            let page = provider.moves(from, now, after.as_deref()).await?;
            for id in page
                .data
                .iter()
                .filter(|one| one.kind == MoveKind::Transfer)
                .filter_map(|one| one.source.as_deref())
            {
                match provider.transfer_by_id(id).await {
                    Ok(transfer) if transfer.reference.as_deref() == Some(&reference) => {
                        return Ok(Some(id.to_owned()));
                    }
                    // A reversal is a move of this kind, too.
                    Ok(_) | Err(ProviderError::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        Ok(None)
    }
}

pub(crate) fn key_of(payout: &Payout) -> CallKey {
    CallKey(format!("{}:{}", payout.id, payout.idempotency_epoch))
}

/// Whether the provider still knows the key of this idempotency epoch, if it was ever used.
pub(crate) fn key_is_good(payout: &Payout, now: Instant) -> bool {
    payout
        .begun_at
        .is_none_or(|begun| now < begun.plus_secs(KEY_GOOD_SECS))
}
