//! Which payouts are due: the last period of every reseller whose hold-back is over. May run at any
//! time, as often as wanted, in several processes: a period has one payout.

use super::commission_account::CommissionAccount;
use super::cover::Cover;
use super::earnings::{Reached, STATEMENT_RECORDS_MAX};
use super::month::Month;
use super::payable::{Payable, Standing};
use super::steps::commission_account_of;
use super::{Error, Payouts, Result, refused};
use crate::rows::{Payout, PayoutMethod, PayoutRows, PayoutSettings, PayoutState, PayoutSums};
use catalog::Actor;
use ledger::AccountKey;
use problem::Code;
use rating::ids::PayoutId;
use rating::{Cents, Currency, Instant, TenantId};

const DAY_SECS: i64 = 86_400;
/// Resellers considered by one call.
pub const RUN_RESELLERS_MAX: usize = 200;
/// How often a payout is worked out again because another one of the reseller changed meanwhile.
const LOOKS_MAX: usize = 5;

/// Why there is no new payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The period has one.
    Exists,
    /// Nothing was earned, more was taken back, or it is spent.
    NothingPayable,
    /// It was earned from customers who owe it.
    Withheld,
    BelowMinimum,
    /// A payment of a tenant below is disputed: the money may have to be given back.
    Frozen,
    /// There are too many records to add up at once: the next run goes on.
    Unfinished,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Created(Box<Payout>),
    /// A dry run: this would be paid.
    Would(Cents),
    No(Reason),
    /// It could not be worked out, and why: the others of the run are.
    Failed(String),
}

/// What a run thought of one reseller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    pub tenant: TenantId,
    pub currency: Currency,
    pub period: Month,
    pub payable: Option<Payable>,
    pub withheld: Cents,
    pub outcome: Outcome,
}

impl Payouts {
    pub fn month_of(&self, at: Instant) -> Month {
        self.calendar.month_of(at)
    }

    /// The last period whose hold-back is over.
    pub fn period_due(&self, settings: &PayoutSettings, now: Instant) -> Month {
        self.calendar
            .month_of(now.plus_secs(-i64::from(settings.hold_back_days) * DAY_SECS))
            .before()
    }

    /// Creates what is due of one page of resellers, by id; and where to go on. One that fails
    /// keeps nobody else's.
    ///
    /// # Errors
    /// The records cannot be read, or all of them failed: the first one's.
    pub async fn run(
        &self,
        actor: &Actor,
        after: Option<TenantId>,
        limit: usize,
        dry_run: bool,
        now: Instant,
    ) -> Result<(Vec<Considered>, Option<TenantId>)> {
        let page = PayoutRows::of(&self.catalog)
            .all_payout_settings(after, limit.clamp(1, RUN_RESELLERS_MAX))
            .await?;
        let (mut considered, mut first_failure) = (Vec::with_capacity(page.data.len()), None);
        for settings in page
            .data
            .iter()
            .filter(|settings| settings.tenant != self.platform)
        {
            let PayoutSettings {
                tenant, currency, ..
            } = *settings;
            let period = self.period_due(settings, now);
            let outcome = match self.consider(actor, settings, period, dry_run, now).await {
                Ok(one) => {
                    considered.push(one);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, reseller = %tenant, "payout calculation failed");
                    let told = error.to_string();
                    first_failure.get_or_insert(error);
                    Outcome::Failed(told)
                }
            };
            considered.push(Considered {
                tenant,
                currency,
                period,
                payable: None,
                withheld: Cents::ZERO,
                outcome,
            });
        }
        if let Some(failure) = first_failure
            && considered
                .iter()
                .all(|one| matches!(one.outcome, Outcome::Failed(_)))
        {
            return Err(failure);
        }
        let next = page
            .data
            .last()
            .map(|settings| settings.tenant)
            .filter(|_| page.has_more);
        Ok((considered, next))
    }

    /// The payout of one reseller and period, if it has to get one.
    ///
    /// # Errors
    /// `held_back`: the period's hold-back is not over. The journal or the records cannot be read
    /// or written.
    pub async fn consider(
        &self,
        actor: &Actor,
        settings: &PayoutSettings,
        period: Month,
        dry_run: bool,
        now: Instant,
    ) -> Result<Considered> {
        if period > self.period_due(settings, now) {
            return Err(refused(
                Code::HeldBack,
                format!(
                    "commission of {period} is held back for {} days",
                    settings.hold_back_days
                ),
            ));
        }
        let PayoutSettings {
            tenant,
            currency,
            root,
            ..
        } = *settings;
        let said = |payable, withheld, outcome| Considered {
            tenant,
            currency,
            period,
            payable,
            withheld,
            outcome,
        };
        for _ in 0..LOOKS_MAX {
            if PayoutRows::of(&self.catalog)
                .payout_of_period(root, tenant, currency, period.0)
                .await?
                .is_some()
            {
                return Ok(said(None, Cents::ZERO, Outcome::No(Reason::Exists)));
            }
            let (standing, _) = match self.standing(settings, period, now).await {
                Err(Error::Unfinished) => {
                    return Ok(said(None, Cents::ZERO, Outcome::No(Reason::Unfinished)));
                }
                other => other?,
            };
            let payable = standing.payable()?;
            let outcome = match payable.cents {
                Cents::ZERO if standing.most()? > Cents::ZERO => Outcome::No(Reason::BelowMinimum),
                Cents::ZERO if standing.is_withheld()? => Outcome::No(Reason::Withheld),
                Cents::ZERO => Outcome::No(Reason::NothingPayable),
                _ if self.is_frozen(tenant).await? => Outcome::No(Reason::Frozen),
                cents if dry_run => Outcome::Would(cents),
                cents => {
                    let new = self.new_payout(settings, period, cents, now);
                    if !PayoutRows::of(&self.catalog)
                        .create_payout(actor, &new, standing.paid_out)
                        .await?
                    {
                        continue;
                    }
                    Outcome::Created(Box::new(new))
                }
            };
            return Ok(said(Some(payable), standing.withheld, outcome));
        }
        Err(Error::Busy)
    }

    /// A reseller's commission at the end of a period, and what can be paid of it now.
    ///
    /// # Errors
    /// `Unfinished`; the journal or the records cannot be read.
    pub async fn standing(
        &self,
        settings: &PayoutSettings,
        period: Month,
        now: Instant,
    ) -> Result<(Standing, Cover)> {
        let PayoutSettings {
            root,
            tenant,
            currency,
            minimum,
            ..
        } = *settings;
        let commission_account = CommissionAccount {
            root,
            account: AccountKey::balance(tenant, currency),
        };
        let payouts = PayoutRows::of(&self.catalog)
            .payouts_counting(root, tenant, currency)
            .await?;
        let (standing, cover) = self
            .standing_beside(commission_account, period, payouts, now)
            .await?;
        Ok((
            Standing {
                minimum,
                ..standing
            },
            cover,
        ))
    }

    /// The same beside other payouts.
    pub(super) async fn standing_beside(
        &self,
        commission_account: CommissionAccount,
        period: Month,
        payouts: PayoutSums,
        now: Instant,
    ) -> Result<(Standing, Cover)> {
        // Added up before and after the balances are read, and the lower counts: a sale may be made
        // or voided meanwhile.
        let before = self.accrued_now(commission_account, now).await?;
        let cover = self.cover(commission_account, now).await?;
        let accrued = self.accrued(commission_account, period, now).await?;
        let so_far = self.accrued_so_far(commission_account).await?.min(before);
        let available = self.available(commission_account).await?;
        let standing = Standing {
            accrued,
            later: so_far.checked_sub(accrued)?,
            withheld: cover.cents,
            own: cover.own,
            paid_out: payouts.gone.checked_add(payouts.due)?,
            gone: payouts.gone,
            available,
            minimum: Cents::ZERO,
        };
        Ok((standing, cover))
    }

    /// The same of one that is off the balance and not sent.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub(super) async fn is_covered(&self, payout: &Payout, now: Instant) -> Result<bool> {
        let others = PayoutRows::of(&self.catalog)
            .payouts_beside(payout.root, payout.tenant, payout.currency, Some(payout))
            .await?;
        let (standing, _) = self
            .standing_beside(
                commission_account_of(payout),
                Month(payout.period),
                others,
                now,
            )
            .await?;
        Ok(standing.entitled()?.checked_sub(standing.paid_out)? >= payout.cents)
    }

    async fn accrued_now(
        &self,
        commission_account: CommissionAccount,
        now: Instant,
    ) -> Result<Cents> {
        if self
            .add_up(commission_account, now, STATEMENT_RECORDS_MAX)
            .await?
            == Reached::More
        {
            return Err(Error::Unfinished);
        }
        self.accrued_so_far(commission_account).await
    }

    /// As far as it is added up.
    async fn accrued_so_far(&self, commission_account: CommissionAccount) -> Result<Cents> {
        Ok(self
            .latest(commission_account)
            .await?
            .map_or(Ok(Cents::ZERO), |row| row.accrued_through())?)
    }

    /// Whether a payout may be sent: commission that money came in for covers it and all that went
    /// before, and the balance has it.
    ///
    /// # Errors
    /// `not_payable`; as [`Self::standing`].
    pub(super) async fn check_payable(&self, payout: &Payout, now: Instant) -> Result<Standing> {
        let commission_account = commission_account_of(payout);
        let available = self.available(commission_account).await?;
        if available < payout.cents {
            let detail = format!(
                "the balance has only {available} of the {} cents that were payable: cancel the \
                    payout",
                payout.cents
            );
            return Err(refused(Code::NotPayable, detail));
        }
        let others = PayoutRows::of(&self.catalog)
            .payouts_beside(payout.root, payout.tenant, payout.currency, Some(payout))
            .await?;
        let (standing, _) = self
            .standing_beside(commission_account, Month(payout.period), others, now)
            .await?;
        let most = standing.most()?;
        if most < payout.cents {
            let (withheld, cents) = (standing.withheld, payout.cents);
            let most = most.max(Cents::ZERO);
            let detail = format!(
                "only {most} of the {cents} cents are payable now, {withheld} are withheld for \
                    lack of customer payments: wait for them or cancel the payout"
            );
            return Err(refused(Code::NotPayable, detail));
        }
        Ok(standing)
    }

    /// Commission of every month up to a period that is over.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub(super) async fn accrued(
        &self,
        commission_account: CommissionAccount,
        period: Month,
        now: Instant,
    ) -> Result<Cents> {
        if self
            .add_up(commission_account, now, STATEMENT_RECORDS_MAX)
            .await?
            == Reached::More
        {
            return Err(Error::Unfinished);
        }
        let Some(row) = self.up_to(commission_account, period).await? else {
            return Ok(Cents::ZERO);
        };
        if row.closed_at.is_none() {
            return Err(Error::Unfinished);
        }
        Ok(row.accrued_through()?)
    }

    /// Posted − held, now. A credit limit pays for usage, never for payouts.
    pub(super) async fn available(&self, commission_account: CommissionAccount) -> Result<Cents> {
        let balance = self.engine.balance(commission_account.account).await?;
        Ok(balance.posted.checked_sub(balance.held)?)
    }

    /// Whether a payment of the reseller, or of anybody below, is disputed.
    pub(super) async fn is_frozen(&self, reseller: TenantId) -> Result<bool> {
        match self.catalog.tenant(reseller).await? {
            Some(tenant) => Ok(PayoutRows::of(&self.catalog)
                .open_disputes_below(&tenant)
                .await?
                > 0),
            None => Ok(false),
        }
    }

    pub(super) fn new_payout(
        &self,
        settings: &PayoutSettings,
        period: Month,
        cents: Cents,
        now: Instant,
    ) -> Payout {
        Payout {
            id: PayoutId((self.new_id)()),
            root: settings.root,
            tenant: settings.tenant,
            currency: settings.currency,
            period: period.0,
            state: PayoutState::Due,
            cents,
            method: settings.method,
            idempotency_epoch: 1,
            attempts: 0,
            next_at: None,
            payee: None,
            bank: None,
            file: None,
            transfer: None,
            reference: None,
            error: None,
            created_at: now,
            begun_at: None,
            paid_at: None,
            version: 1,
        }
    }

    /// Creates what is due of every reseller and sends everything that is due by the provider; how
    /// many were created. What fails is logged and waits for the next run.
    ///
    /// # Errors
    /// The records cannot be read.
    pub async fn run_all(&self, actor: &Actor, now: Instant) -> Result<usize> {
        let (mut after, mut created) = (None, 0);
        loop {
            let page = PayoutRows::of(&self.catalog)
                .all_payout_settings(after, RUN_RESELLERS_MAX)
                .await?;
            for settings in page
                .data
                .iter()
                .filter(|settings| settings.tenant != self.platform)
            {
                match self
                    .consider(actor, settings, self.period_due(settings, now), false, now)
                    .await
                {
                    Ok(considered) => {
                        created += usize::from(matches!(considered.outcome, Outcome::Created(_)))
                    }
                    Err(error) => {
                        tracing::warn!(%error, reseller = %settings.tenant, "payout calculation \
                            failed")
                    }
                }
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => after = Some(last.tenant),
                None => break,
            }
        }
        self.send_due(actor, now).await?;
        Ok(created)
    }

    async fn send_due(&self, actor: &Actor, now: Instant) -> Result<()> {
        let mut after = None;
        while self.provider.is_some() {
            let page = PayoutRows::of(&self.catalog)
                .payouts_in_state(
                    PayoutState::Due,
                    PayoutMethod::Stripe,
                    None,
                    after,
                    RUN_RESELLERS_MAX,
                )
                .await?;
            for payout in &page.data {
                if let Err(error) = self.pay(actor, payout, now).await {
                    tracing::warn!(%error, payout = %payout.id, "sending a payout failed; it stays \
                        due");
                }
            }
            after = page.data.last().map(|payout| payout.id);
            if !page.has_more {
                break;
            }
        }
        Ok(())
    }
}
