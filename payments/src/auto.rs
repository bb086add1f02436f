//! Automatic top-ups: a balance that falls to its threshold is topped up with a kept method.
//!
//! They are for usage: nothing else that lowers a balance starts a charge ([`usage`]).
//!
//! The debit that reaches a threshold tells ([`marks`]); what that misses, because a process died,
//! is found by looking at every row that is on every minute, by whichever process comes first. Who
//! begins marks the row as under way in the transaction that writes the top-up, and only then asks
//! the provider, under the key of that top-up.

mod charges;
mod marks;
mod methods;
mod notices;
mod outcomes;
pub mod rules;
mod stops;
mod usage;

use crate::rows::{AutoState, AutoTopUp, PaymentRows};
use crate::service::{PaymentService, unread};
use catalog::Actor;
use problem::{Code, Problem};
use rating::ids::TopUpId;
use rating::{Cents, Currency, Instant, Overflow, TenantId};
use rules::Wait;
use tenants::Tenant;

/// Rows looked at in one round.
const ROUND_ROWS_MAX: usize = 200;
/// Guarded changes that are tried again when somebody else was faster.
const TRIES_MAX: usize = 10;

/// What somebody decides about one balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoTerms {
    pub is_on: bool,
    pub threshold: Cents,
    pub amount: Cents,
    pub month_max: Cents,
}

fn overflow(_: Overflow) -> Problem {
    Problem::new(Code::Overflow, "the amounts are too large")
}

fn changing() -> Problem {
    Problem::new(
        Code::Unavailable,
        "the automatic top-up kept changing; try again",
    )
}

impl PaymentService {
    /// Sets a balance's automatic top-up. What was paused and has a method goes on.
    ///
    /// # Errors
    /// `currency_not_offered`, `amount_out_of_range`, `invalid_field`; to set it on, what
    /// [`Self::payer`] says, and `currency_not_agreed`.
    pub async fn set_auto(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        currency: Currency,
        terms: AutoTerms,
    ) -> Result<AutoTopUp, Problem> {
        self.check_terms(terms.amount, currency)?;
        if terms.month_max < terms.amount {
            return Err(Problem::field(
                Code::InvalidField,
                "month_max_cents",
                "expected at least amount_cents",
            ));
        }
        if terms.is_on {
            self.payer_in(tenant, currency).await?;
        }
        let state = if terms.is_on {
            AutoState::On
        } else {
            AutoState::Off
        };
        for _ in 0..TRIES_MAX {
            let now = self.now();
            let before = PaymentRows::of(&self.catalog)
                .auto_top_up(tenant.id, currency)
                .await
                .map_err(unread)?;
            let base = before
                .clone()
                .unwrap_or_else(|| fresh(tenant, currency, now));
            // Whoever sets it on accepts what is there now; while it is on, the same terms again
            // change nothing.
            let (seen, other) = match base.state {
                AutoState::On => (base.seen, base.other),
                AutoState::Paused | AutoState::Off => self.count_anew(tenant.id, currency).await?,
            };
            let after = AutoTopUp {
                state,
                seen,
                other,
                pause: None,
                threshold: terms.threshold,
                amount: terms.amount,
                month_max: terms.month_max,
                failures: 0,
                next_at: base.open.and(base.next_at).or(rules::look_at(state, now)),
                updated_at: now,
                ..base
            };
            if PaymentRows::of(&self.catalog)
                .save_auto_top_up(actor, before.as_ref(), &after)
                .await
                .map_err(unread)?
            {
                self.mark_auto().await?;
                self.wake.notify_one();
                return PaymentRows::of(&self.catalog)
                    .auto_top_up(tenant.id, currency)
                    .await
                    .map_err(unread)?
                    .ok_or_else(changing);
            }
        }
        Err(changing())
    }

    /// Looks at the balances that crossed their thresholds, and at all rows that are due; how many
    /// those were.
    ///
    /// # Errors
    /// `unavailable`. What the provider did not answer waits in its row.
    pub async fn auto_round(&self) -> Result<usize, Problem> {
        // What is due is due when they go on.
        if self.holds_charges() {
            return Ok(0);
        }
        let mut looked = self.crossed().await;
        let now = self.now();
        for due in PaymentRows::of(&self.catalog)
            .due_auto_top_ups(now, ROUND_ROWS_MAX)
            .await
            .map_err(unread)?
        {
            let taken = AutoTopUp {
                next_at: Some(now.plus_secs(rules::LOOK_SECS)),
                updated_at: now,
                ..due.clone()
            };
            if PaymentRows::of(&self.catalog)
                .put_auto_top_up(&due, &taken)
                .await
                .map_err(unread)?
            {
                looked += 1;
                self.log_failed(self.top_up_if_low(due.tenant, due.currency).await.map(drop));
            }
        }
        Ok(looked)
    }

    fn log_failed(&self, done: Result<(), Problem>) {
        if let Err(problem) = done {
            tracing::warn!(%problem, "automatic top-up failed; retrying later");
        }
    }

    /// Begins a top-up if the balance is at or below its threshold and nothing speaks against it;
    /// follows the one under way.
    ///
    /// # Errors
    /// `provider_unavailable`, `unavailable`: looked at again later.
    pub async fn top_up_if_low(
        &self,
        tenant: TenantId,
        currency: Currency,
    ) -> Result<Option<TopUpId>, Problem> {
        let Some(auto) = PaymentRows::of(&self.catalog)
            .auto_top_up(tenant, currency)
            .await
            .map_err(unread)?
        else {
            return Ok(None);
        };
        if let Some(open) = auto.open {
            self.follow_auto(&auto, open, None).await?;
            return Ok(None);
        }
        let Some(of) = self.catalog.tenant(tenant).await.map_err(unread)? else {
            return Ok(None);
        };
        if auto.state != AutoState::On || self.holds_charges() {
            return Ok(None);
        }
        if let Err(problem) = self.payer_in(&of, currency).await {
            if problem.code == Code::Unavailable {
                return Err(problem);
            }
            return self
                .switch_off(&auto, problem.code.as_str())
                .await
                .map(|()| None);
        }
        // The balance is read after the row: a top-up that ended in between has changed the row.
        let Some((counted, balance)) = self.counted(&auto).await? else {
            return Ok(None);
        };
        let disputes = payouts::rows::PayoutRows::of(&self.catalog)
            .open_disputes_below(&of)
            .await
            .map_err(unread)?;
        let wait = match rules::may_begin(&counted, balance, disputes, self.now()) {
            Ok(()) => return self.begin(&counted, &of).await,
            Err(wait) => wait,
        };
        match wait {
            Wait::MonthSpent(until) => self.tell_month_spent(&auto, until).await?,
            Wait::NotByUsage => self.tell_not_by_usage(&counted).await?,
            Wait::NotOn | Wait::UnderWay | Wait::Until(_) | Wait::Enough | Wait::Disputed => {}
        }
        self.keep_count(&auto, &counted).await.map(|()| None)
    }
}

fn fresh(tenant: &Tenant, currency: Currency, now: Instant) -> AutoTopUp {
    AutoTopUp {
        root: tenant.root,
        tenant: tenant.id,
        currency,
        state: AutoState::Off,
        threshold: Cents::ZERO,
        amount: Cents::ZERO,
        month_max: Cents::ZERO,
        customer: None,
        method: None,
        kept: None,
        pause: None,
        open: None,
        month: 0,
        month_spent: Cents::ZERO,
        day: 0,
        day_failures: 0,
        failures: 0,
        not_before: now,
        next_at: None,
        seen: None,
        other: Cents::ZERO,
        created_at: now,
        updated_at: now,
    }
}
