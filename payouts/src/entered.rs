//! Payouts that were made after the moment of the backup that a database is: entered as what they
//! were, paid whatever is payable of them by what is known here. None of them is ever sent: from
//! its first row on one is on its way by bank, and in no file.

use super::month::Month;
use super::steps::{Unposted, Way, commission_account_of, wrong_state};
use super::{Error, Payouts, Result, refused};
use crate::rows::{Payout, PayoutMethod, PayoutRows, PayoutSettings, PayoutState};
use catalog::Actor;
use problem::Code;
use rating::{Cents, Instant};

const FIRST: &str = "first have usage and top-ups since the backup sent again; for what cannot \
    be sent again, adjust the balance by hand";
/// How often it is looked again because the payout changed meanwhile.
const LOOKS_MAX: usize = 5;

impl Payouts {
    /// The period's payout, paid. Asked for again it is answered as it is.
    ///
    /// # Errors
    /// `payout_exists`: the period has another one; `not_payable`: the balance has too little; the
    /// catalog or the journal cannot be written.
    pub async fn enter_paid(
        &self,
        actor: &Actor,
        settings: &PayoutSettings,
        (period, cents): (Month, Cents),
        reference: &str,
        now: Instant,
    ) -> Result<Payout> {
        let PayoutSettings {
            root,
            tenant,
            currency,
            ..
        } = *settings;
        for _ in 0..LOOKS_MAX {
            let found = PayoutRows::of(&self.catalog)
                .payout_of_period(root, tenant, currency, period.0)
                .await?;
            let begun = match found {
                None => {
                    let state = PayoutState::Paying;
                    let method = PayoutMethod::Bank;
                    let new = Payout {
                        state,
                        method,
                        ..self.new_payout(settings, period, cents, now)
                    };
                    self.check_balance(&new).await?;
                    let payouts = PayoutRows::of(&self.catalog)
                        .payouts_counting(root, tenant, currency)
                        .await?;
                    let others = payouts.gone.checked_add(payouts.due)?;
                    if !PayoutRows::of(&self.catalog)
                        .create_payout(actor, &new, others)
                        .await?
                    {
                        continue;
                    }
                    new
                }
                Some(payout) => match self.as_entered(actor, payout, cents, reference).await? {
                    Entered::Done(payout) => return Ok(*payout),
                    Entered::Begun(payout) => *payout,
                    Entered::Changed => continue,
                },
            };
            return self.paid_since(actor, &begun, reference, now).await;
        }
        Err(Error::Busy)
    }

    /// A payout that is there already: the same, one that a broken attempt left, or one that was
    /// canceled and makes room.
    async fn as_entered(
        &self,
        actor: &Actor,
        payout: Payout,
        cents: Cents,
        reference: &str,
    ) -> Result<Entered> {
        let is_same = payout.cents == cents;
        let is_in_no_file = payout.file.is_none() && payout.reference.is_none();
        match payout.state {
            PayoutState::Paid if is_same && payout.reference.as_deref() == Some(reference) => {
                Ok(Entered::Done(Box::new(payout)))
            }
            PayoutState::Paying
                if is_same && is_in_no_file && payout.method == PayoutMethod::Bank =>
            {
                Ok(Entered::Begun(Box::new(payout)))
            }
            PayoutState::Canceled => {
                let begun = Payout {
                    state: PayoutState::Paying,
                    method: PayoutMethod::Bank,
                    cents,
                    idempotency_epoch: payout.idempotency_epoch + 1,
                    next_at: None,
                    error: None,
                    file: None,
                    reference: None,
                    transfer: None,
                    ..payout.clone()
                };
                self.check_balance(&begun).await?;
                let enters = Some((actor, "enter"));
                if !PayoutRows::of(&self.catalog)
                    .replace_payout(enters, &payout, &begun)
                    .await?
                {
                    return Ok(Entered::Changed);
                }
                let version = payout.version + 1;
                Ok(Entered::Begun(Box::new(Payout { version, ..begun })))
            }
            _ => {
                let detail = format!(
                    "{} already has a payout of {} cents: mark it as paid, or cancel it and \
                        enter this one",
                    Month(payout.period),
                    payout.cents
                );
                Err(refused(Code::PayoutExists, detail))
            }
        }
    }

    /// Before anything is written of it.
    async fn check_balance(&self, payout: &Payout) -> Result<()> {
        let available = self.available(commission_account_of(payout)).await?;
        if available >= payout.cents {
            return Ok(());
        }
        let detail = format!(
            "the balance has only {available} of the {} cents that were paid: {FIRST}",
            payout.cents
        );
        Err(refused(Code::NotPayable, detail))
    }

    /// Takes it off the balance and marks it as paid; what the balance does not have is canceled
    /// again.
    ///
    /// # Errors
    /// As [`Self::enter_paid`]; `payout_state`: it was sent, paid or canceled.
    pub async fn paid_since(
        &self,
        actor: &Actor,
        payout: &Payout,
        reference: &str,
        now: Instant,
    ) -> Result<Payout> {
        if !matches!(payout.state, PayoutState::Due | PayoutState::Paying) {
            return Err(wrong_state(payout, "mark as paid"));
        }
        match self.post(payout, Way::Out).await {
            Ok(()) => {}
            Err(Unposted::Uncovered(detail) | Unposted::Withheld(detail)) => {
                let canceled = Payout {
                    state: PayoutState::Canceled,
                    ..payout.clone()
                };
                if payout.state == PayoutState::Paying {
                    self.store(Some((actor, "cancel")), payout, canceled)
                        .await?;
                }
                return Err(refused(Code::NotPayable, format!("{detail}: {FIRST}")));
            }
            Err(Unposted::Error(error)) => return Err(error),
        }
        let paid = Payout {
            state: PayoutState::Paid,
            begun_at: Some(now),
            paid_at: Some(now),
            next_at: None,
            reference: Some(reference.to_owned()),
            ..payout.clone()
        };
        self.store(Some((actor, "paid")), payout, paid).await
    }
}

enum Entered {
    Done(Box<Payout>),
    Begun(Box<Payout>),
    Changed,
}
