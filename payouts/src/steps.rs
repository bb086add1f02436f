//! The way of one payout: its row says what is to be done, then the balance is debited, then the
//! money is sent.
//!
//! [`Payouts::settle`] takes a row one step on, from wherever a process left it. Each step may be
//! repeated: postings are made once under their keys, the provider moves money once under its own,
//! and of several processes one stores the result.

use super::commission_account::CommissionAccount;
use super::month::Month;
use super::{Error, Payouts, Result, refused};
use crate::rows::{Payout, PayoutMethod, PayoutRows, PayoutState};
use catalog::Actor;
use db::retry::pause_secs;
use journal::{Identity, Kind, Namespace};
use ledger::{AccountKey, Limit, Posting};
use metering::requests::PostPayment;
use problem::Code;
use provider::{CallKey, KEY_GOOD_SECS, MoveKind, ProviderError, TransferRequest};
use rating::{Cents, Instant};

/// For how long one process alone takes a payout on; longer than any call of a provider.
const TURN_SECS: i64 = 180;
const PAUSE_SECS_MIN: i64 = 30;
const PAUSE_SECS_MAX: i64 = 3600;
/// Payouts taken on by one step of the worker.
const WORK_MAX: usize = 100;
/// Pages of the provider's moves looked through for one transfer.
const MOVE_PAGES_MAX: usize = 200;
/// Source of every posting here: with the key its identity.
const SOURCE: &str = "payout";

pub(super) const FROZEN: &str =
    "a payment below this reseller is disputed: it is paid when that is over";

/// Which way the money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To the reseller.
    Out,
    /// The other way: what was debited and never went out.
    Back,
    /// What the provider sent back.
    Reversal,
}

/// Why nothing was posted.
#[derive(Debug)]
pub(super) enum Unposted {
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
        let generation = payout.generation + i64::from(again);
        let mut begun = Payout {
            method: settings.method,
            generation,
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

    /// Takes it off the balance, unless that is done: from then on it counts as gone. Customers may
    /// owe it by now, and not only because its process died since it was begun.
    async fn debit(&self, payout: &Payout, now: Instant) -> Result<(), Unposted> {
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
        let (source, id) = (SOURCE.into(), step_key(payout, Way::Out, payout.generation));
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

    async fn send(&self, payout: Payout, now: Instant) -> Result<Payout> {
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

    /// Of what failed: the debit, if it was made, is taken back.
    pub(super) async fn give_back(&self, payout: Payout) -> Result<Payout> {
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

    /// One move between the balance and the outside world, once per generation and way. What goes
    /// out must be there.
    pub(super) async fn post(&self, payout: &Payout, way: Way) -> Result<(), Unposted> {
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
        let key = step_key(payout, way, payout.generation);
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

fn step_key(payout: &Payout, way: Way, generation: i64) -> String {
    let suffix = match way {
        Way::Out => "",
        Way::Back => ":back",
        Way::Reversal => ":reversal",
    };
    format!(
        "payout:{}:{}:{generation}{suffix}",
        Month(payout.period),
        payout.tenant
    )
}

/// Names of everything that may be posted of a payout.
pub fn steps(payout: &Payout) -> impl Iterator<Item = Identity> {
    let of = |generation| {
        [Way::Out, Way::Back, Way::Reversal].map(|way| step_key(payout, way, generation))
    };
    let identity = |id| Identity {
        root: payout.root,
        reporter: None,
        namespace: Namespace::Payment,
        source: SOURCE.into(),
        id,
    };
    (0..=payout.generation).flat_map(of).map(identity)
}

pub(super) fn commission_account_of(payout: &Payout) -> CommissionAccount {
    CommissionAccount {
        root: payout.root,
        account: AccountKey::balance(payout.tenant, payout.currency),
    }
}

pub(super) fn key_of(payout: &Payout) -> CallKey {
    CallKey(format!("{}:{}", payout.id, payout.generation))
}

/// Whether the provider still knows the key of this generation, if it was ever used.
pub(super) fn key_is_good(payout: &Payout, now: Instant) -> bool {
    payout
        .begun_at
        .is_none_or(|begun| now < begun.plus_secs(KEY_GOOD_SECS))
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
