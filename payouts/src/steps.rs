//! The way of one payout: its row says what is to be done, then the balance is debited, then the
//! money is sent.
//!
//! [`Payouts::settle`] takes a row one step on, from wherever a process left it. Each step may be
//! repeated: postings are made once under their keys, the provider moves money once under its own,
//! and of several processes one stores the result.

mod posting;
mod transfer;

pub use posting::steps;
pub(super) use posting::{Unposted, Way, commission_account_of};
pub(super) use transfer::{key_is_good, key_of};

use super::month::Month;
use super::{Error, Payouts, Result, refused};
use crate::rows::{Payout, PayoutMethod, PayoutRows, PayoutState};
use catalog::Actor;
use db::retry::pause_secs;
use problem::Code;
use rating::Instant;

/// For how long one process alone takes a payout on; longer than any call of a provider.
const TURN_SECS: i64 = 180;
const PAUSE_SECS_MIN: i64 = 30;
const PAUSE_SECS_MAX: i64 = 3600;
/// Payouts taken on by one step of the worker.
const WORK_MAX: usize = 100;

pub(super) const FROZEN: &str =
    "a payment below this reseller is disputed: it is paid when that is over";

impl Payouts {
    /// Takes on everything that waits; how many.
    ///
    /// # Errors
    /// The records cannot be read.
    pub async fn work(&self, now: Instant) -> Result<usize> {
        let waiting = PayoutRows::of(&self.catalog)
            .payouts_waiting(now, WORK_MAX)
            .await?;
        for payout in &waiting {
            if let Err(error) = self.settle(payout, now).await {
                tracing::warn!(%error, payout = %payout.id, "processing a payout failed");
            }
        }
        Ok(waiting.len())
    }

    /// Begins, or begins again after a failure: a provider's transfer is sent at once, a bank
    /// transfer waits for the next file. The payout as it is then.
    ///
    /// # Errors
    /// `payout_state`, `payments_not_configured`, `payee_not_ready`, `payout_frozen`,
    /// `not_payable`; the records cannot be written.
    pub async fn pay(&self, actor: &Actor, payout: &Payout, now: Instant) -> Result<Payout> {
        let again = match payout.state {
            PayoutState::Due => false,
            PayoutState::Failed if payout.next_at.is_none() => true,
            _ => return Err(wrong_state(payout, "pay")),
        };
        let settings = PayoutRows::of(&self.catalog)
            .payout_settings(payout.tenant)
            .await?;
        let settings = settings
            .ok_or_else(|| refused(Code::PayeeNotReady, "the reseller has no payout settings"))?;
        let idempotency_epoch = payout.idempotency_epoch + i64::from(again);
        let mut begun = Payout {
            method: settings.method,
            idempotency_epoch,
            attempts: 0,
            error: None,
            file: None,
            reference: None,
            ..payout.clone()
        };
        match settings.method {
            PayoutMethod::Bank if !again && payout.method == PayoutMethod::Bank => {
                return Err(refused(
                    Code::PayoutState,
                    "it goes out with the next file for the bank",
                ));
            }
            PayoutMethod::Bank => {
                begun = Payout {
                    state: PayoutState::Due,
                    begun_at: None,
                    bank: None,
                    ..begun
                }
            }
            PayoutMethod::Stripe => {
                let payee = self.ready_payee(&settings, now).await?;
                let (payee, begun_at, next_at) = (Some(payee), Some(now), Some(now));
                begun = Payout {
                    state: PayoutState::Paying,
                    payee,
                    begun_at,
                    next_at,
                    bank: None,
                    ..begun
                };
            }
        }
        if self.is_frozen(payout.tenant).await? {
            return Err(refused(Code::PayoutFrozen, FROZEN));
        }
        self.check_payable(payout, now).await?;
        let begun = self.begin(actor, payout, begun, now).await?;
        if begun.state == PayoutState::Paying {
            self.settle(&begun, now).await
        } else {
            Ok(begun)
        }
    }

    /// From due, failed or paid on.
    pub(super) async fn begin(
        &self,
        actor: &Actor,
        before: &Payout,
        after: Payout,
        now: Instant,
    ) -> Result<Payout> {
        let stored = if before.state.counts() {
            let action = if after.state == PayoutState::Reversing {
                "reverse"
            } else {
                "pay"
            };
            PayoutRows::of(&self.catalog)
                .replace_payout(Some((actor, action)), before, &after)
                .await?
        } else {
            let others = PayoutRows::of(&self.catalog)
                .payouts_beside(before.root, before.tenant, before.currency, Some(before))
                .await?;
            let (standing, _) = self
                .standing_beside(
                    commission_account_of(before),
                    Month(before.period),
                    others,
                    now,
                )
                .await?;
            PayoutRows::of(&self.catalog)
                .revive_payout(actor, before, &after, standing.entitled()?)
                .await?
        };
        if stored {
            Ok(Payout {
                version: before.version + 1,
                ..after
            })
        } else {
            Err(Error::Busy)
        }
    }

    /// `after` in place of `before`; the row as it is, which another process may have made.
    pub(super) async fn store(
        &self,
        by: Option<(&Actor, &'static str)>,
        before: &Payout,
        after: Payout,
    ) -> Result<Payout> {
        if PayoutRows::of(&self.catalog)
            .replace_payout(by, before, &after)
            .await?
        {
            return Ok(Payout {
                version: before.version + 1,
                ..after
            });
        }
        Ok(PayoutRows::of(&self.catalog)
            .payout_known(before.id)
            .await?)
    }

    /// Takes a payout on, unless another process is at it.
    ///
    /// # Errors
    /// The journal, the records: it waits for its next turn.
    pub async fn settle(&self, payout: &Payout, now: Instant) -> Result<Payout> {
        let next_at = Some(now.plus_secs(TURN_SECS));
        let ours = Payout {
            next_at,
            attempts: payout.attempts + 1,
            ..payout.clone()
        };
        if !PayoutRows::of(&self.catalog)
            .replace_payout(None, payout, &ours)
            .await?
        {
            return Ok(PayoutRows::of(&self.catalog)
                .payout_known(payout.id)
                .await?);
        }
        let ours = Payout {
            version: payout.version + 1,
            ..ours
        };
        match ours.state {
            PayoutState::Paying => self.carry_out(ours, now).await,
            PayoutState::Failed => self.give_back(ours).await,
            PayoutState::Reversing => self.carry_out_reversal(ours, now).await,
            PayoutState::Due
            | PayoutState::Paid
            | PayoutState::Reversed
            | PayoutState::Canceled => {
                self.store(
                    None,
                    &ours,
                    Payout {
                        next_at: None,
                        ..ours.clone()
                    },
                )
                .await
            }
        }
    }

    async fn carry_out(&self, payout: Payout, now: Instant) -> Result<Payout> {
        match self.debit(&payout, now).await {
            Ok(()) => {}
            Err(Unposted::Uncovered(detail)) => {
                // Nothing was debited: there is nothing to give back.
                let (state, error) = (PayoutState::Failed, Some(detail));
                let failed = Payout {
                    state,
                    error,
                    next_at: None,
                    ..payout.clone()
                };
                return self
                    .store(Some((&self.worker(now), "fail")), &payout, failed)
                    .await;
            }
            // Another process that took it on before may debit it at this moment.
            Err(Unposted::Withheld(detail)) => return self.failed(payout, detail, now).await,
            Err(Unposted::Error(error)) => return Err(error),
        }
        match payout.method {
            // The bank has the rest; somebody says when it is done.
            PayoutMethod::Bank => {
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
            PayoutMethod::Stripe => self.send(payout, now).await,
        }
    }

    /// Nothing went out: what was debited is given back.
    async fn failed(&self, payout: Payout, error: String, now: Instant) -> Result<Payout> {
        let (state, next_at) = (PayoutState::Failed, Some(now));
        let failed = Payout {
            state,
            next_at,
            error: Some(error),
            ..payout.clone()
        };
        let failed = self
            .store(Some((&self.worker(now), "fail")), &payout, failed)
            .await?;
        if failed.state == PayoutState::Failed {
            self.give_back(failed).await
        } else {
            Ok(failed)
        }
    }

    /// The same again, later.
    pub(super) async fn later(
        &self,
        payout: &Payout,
        error: String,
        now: Instant,
    ) -> Result<Payout> {
        // Begins with a minute: an attempt counts from its beginning.
        let doubled = pause_secs(PAUSE_SECS_MIN, PAUSE_SECS_MAX, payout.attempts + 1);
        // Payouts that failed together do not come back together.
        let secs = doubled + payout.id.0.rem_euclid(PAUSE_SECS_MIN);
        let next_at = Some(now.plus_secs(secs));
        self.store(
            None,
            payout,
            Payout {
                next_at,
                error: Some(error),
                ..payout.clone()
            },
        )
        .await
    }

    /// Who does what nobody asked for.
    pub(super) fn worker(&self, now: Instant) -> Actor {
        Actor {
            key: None,
            tenant: self.platform,
            at: now,
            request_id: "payouts".to_owned(),
            reason: None,
            once: None,
        }
    }
}

pub(super) fn wrong_state(payout: &Payout, asked: &str) -> Error {
    let state = serde_word(payout.state);
    refused(
        Code::PayoutState,
        format!("it is {state}: there is nothing to {asked}"),
    )
}

fn serde_word(state: PayoutState) -> &'static str {
    match state {
        PayoutState::Due => "due",
        PayoutState::Paying => "on its way",
        PayoutState::Paid => "paid",
        PayoutState::Failed => "failed",
        PayoutState::Reversing => "being reversed",
        PayoutState::Reversed => "reversed",
        PayoutState::Canceled => "canceled",
    }
}
