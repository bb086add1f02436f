//! Automatic top-ups: a balance that falls to its threshold is topped up with a kept method.
//!
//! They are for usage: nothing else that lowers a balance starts a charge ([`usage`]).
//!
//! The debit that reaches a threshold tells ([`marks`]); what that misses, because a process died,
//! is found by looking at every row that is on every minute, by whichever process comes first. Who
//! begins marks the row as under way in the transaction that writes the top-up, and only then asks
//! the provider, under the key of that top-up.

mod marks;
pub mod rules;
mod stops;
mod usage;

use crate::rows::{AutoState, AutoTopUp, Origin, PaymentRows, TopUp, TopUpState};
use crate::service::{NewCheckout, PaymentService, again_secs, code_of, provider_problem, unread};
use catalog::Actor;
use notices::rows::{Notice, NoticeKind, NoticeRows};
use problem::{Code, Problem};
use provider::{
    CallKey, ChargeRequest, CheckoutRequest, Decline, KEY_GOOD_SECS, Payment as Shown,
    PaymentStatus, ProviderError,
};
use rating::ids::{NoticeId, TopUpId};
use rating::{Cents, Currency, Instant, Overflow, TenantId};
use rules::{End, Wait};
use serde_json::json;
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

    async fn begin(&self, auto: &AutoTopUp, tenant: &Tenant) -> Result<Option<TopUpId>, Problem> {
        let (now, id) = (self.now(), TopUpId((self.sources.id)()));
        let request = ChargeRequest {
            reference: id.to_string(),
            cents: auto.amount,
            currency: auto.currency,
            description: format!("Top-up {}", tenant.name),
            customer: auto.customer.clone().unwrap_or_default(),
            method: auto.method.clone().unwrap_or_default(),
        };
        let top_up = TopUp {
            id,
            root: auto.root,
            tenant: auto.tenant,
            currency: auto.currency,
            cents: auto.amount,
            origin: Origin::Auto,
            state: TopUpState::Pending,
            request_key: format!("auto:{id}"),
            token: (self.sources.token)()?,
            request: serde_json::to_string(&request)
                .map_err(|error| Problem::new(Code::Internal, error.to_string()))?,
            session: None,
            url: None,
            payment: None,
            failure: None,
            generation: 0,
            attempts: 0,
            next_at: Some(now.plus_secs(again_secs(1))),
            created_at: now,
            updated_at: now,
            expires_at: now.plus_secs(KEY_GOOD_SECS),
        };
        let after = rules::begun(auto, id, now).map_err(overflow)?;
        if !PaymentRows::of(&self.catalog)
            .begin_auto_top_up(&self.actor("automatic top-up"), auto, &after, &top_up)
            .await
            .map_err(unread)?
        {
            return Ok(None);
        }
        self.charge_kept(top_up).await?;
        Ok(Some(id))
    }

    /// Asks the provider for the charge of a row, or asks again: always under the same key.
    ///
    /// # Errors
    /// `provider_unavailable`: asked again later.
    pub(crate) async fn charge_kept(&self, top_up: TopUp) -> Result<(), Problem> {
        let request: ChargeRequest = serde_json::from_str(&top_up.request).map_err(|error| {
            Problem::new(Code::Internal, format!("top_ups.request_json: {error}"))
        })?;
        if self.now() >= top_up.expires_at {
            return self
                .fail(&top_up, &End::Refused("outcome_unknown".to_owned()))
                .await;
        }
        let key = CallKey(format!("{}:{}", top_up.id, top_up.generation));
        let error = match self.provider()?.charge(&key, &request).await {
            Ok(payment) => return self.settle(&payment.id, None).await.map(drop),
            Err(ProviderError::Declined(decline)) => {
                return self.fail(&top_up, &End::Declined(decline)).await;
            }
            Err(error) if error.is_definitive() => {
                return self.fail(&top_up, &End::Refused(code_of(&error))).await;
            }
            Err(error) => error,
        };
        let now = self.now();
        let attempts = top_up.attempts + 1;
        let later = TopUp {
            attempts,
            next_at: Some(now.plus_secs(again_secs(attempts))),
            updated_at: now,
            ..top_up.clone()
        };
        // Who changed it meanwhile knows more.
        PaymentRows::of(&self.catalog)
            .put_top_up(&top_up, &later)
            .await
            .map_err(unread)?;
        Err(provider_problem(&error))
    }

    /// A top-up of ours that the provider refused.
    async fn fail(&self, top_up: &TopUp, end: &End) -> Result<(), Problem> {
        let now = self.now();
        let failed = TopUp {
            state: TopUpState::Failed,
            failure: Some(end.code().to_owned()),
            generation: top_up.generation + 1,
            attempts: top_up.attempts + 1,
            next_at: None,
            updated_at: now,
            ..top_up.clone()
        };
        let auto = PaymentRows::of(&self.catalog)
            .auto_top_up(top_up.tenant, top_up.currency)
            .await
            .map_err(unread)?;
        match auto.filter(|auto| auto.open == Some(top_up.id)) {
            Some(auto) => self.end(&auto, Some((top_up, &failed)), &failed, end).await,
            None => PaymentRows::of(&self.catalog)
                .put_top_up(top_up, &failed)
                .await
                .map(drop)
                .map_err(unread),
        }
    }

    /// What the top-up under way came to, if it is over. `why`: of its payment.
    async fn follow_auto(
        &self,
        auto: &AutoTopUp,
        open: TopUpId,
        why: Option<&Decline>,
    ) -> Result<(), Problem> {
        let Some(top_up) = PaymentRows::of(&self.catalog)
            .top_up(open)
            .await
            .map_err(unread)?
        else {
            return Ok(());
        };
        match top_up.state {
            TopUpState::Pending | TopUpState::Processing => Ok(()),
            TopUpState::Succeeded => {
                let after = rules::succeeded(auto, self.now());
                PaymentRows::of(&self.catalog)
                    .end_auto_top_up(&self.actor("automatic top-up"), None, (auto, &after))
                    .await
                    .map_err(unread)?;
                self.wake.notify_one();
                Ok(())
            }
            TopUpState::Failed | TopUpState::Expired => {
                let decline = match (why, &top_up.payment) {
                    (Some(why), _) => Some(why.clone()),
                    (None, Some(payment)) => match self.provider()?.payment(payment).await {
                        Ok(shown) => shown.failure,
                        Err(ProviderError::NotFound) => None,
                        Err(error) => return Err(provider_problem(&error)),
                    },
                    (None, None) => None,
                };
                let code = top_up
                    .failure
                    .clone()
                    .unwrap_or_else(|| "unknown".to_owned());
                let end = decline.map_or(End::Refused(code), End::Declined);
                self.end(auto, None, &top_up, &end).await
            }
        }
    }

    /// Ends the top-up under way, and tells its payer; who must be there gets a page to pay on,
    /// made before.
    async fn end(
        &self,
        auto: &AutoTopUp,
        change: Option<(&TopUp, &TopUp)>,
        top_up: &TopUp,
        end: &End,
    ) -> Result<(), Problem> {
        let after = rules::failed(auto, end, top_up.cents, top_up.created_at, self.now())
            .map_err(overflow)?;
        let url = if end.needs_payer() {
            self.page_instead(top_up).await?
        } else {
            None
        };
        self.tell_end(top_up, end, url).await?;
        let actor = self.actor("automatic top-up");
        PaymentRows::of(&self.catalog)
            .end_auto_top_up(&actor, change, (auto, &after))
            .await
            .map_err(unread)?;
        Ok(())
    }

    /// Once for each end, whoever comes again.
    async fn tell_end(
        &self,
        top_up: &TopUp,
        end: &End,
        url: Option<String>,
    ) -> Result<(), Problem> {
        let (kind, state) = match &url {
            Some(_) => (NoticeKind::TopUpActionRequired, "action_required"),
            None => (NoticeKind::TopUpFailed, "failed"),
        };
        let data = json!({ "top_up": top_up.id, "currency": top_up.currency, "cents": top_up.cents, "failure": end.code(), "url": url });
        self.tell_payer(
            (top_up.root, top_up.tenant),
            kind,
            format!("top_up:{}:{state}", top_up.id),
            data,
        )
        .await
    }

    /// Once in a month for the same cap.
    async fn tell_month_spent(&self, auto: &AutoTopUp, until: Instant) -> Result<(), Problem> {
        let cause = format!(
            "auto_top_up:{}:{}:{until}:{}",
            auto.tenant, auto.currency, auto.month_max
        );
        let data = json!({ "currency": auto.currency, "cents": auto.month_max, "reason": "month_max_reached", "until": until });
        self.tell_payer(
            (auto.root, auto.tenant),
            NoticeKind::AutoTopUpPaused,
            cause,
            data,
        )
        .await
    }

    async fn tell_payer(
        &self,
        (root, tenant): (TenantId, TenantId),
        kind: NoticeKind,
        cause: String,
        data: serde_json::Value,
    ) -> Result<(), Problem> {
        let notice = Notice {
            id: NoticeId((self.sources.id)()),
            root,
            tenant,
            kind,
            cause,
            data,
            created_at: self.now(),
        };
        NoticeRows::of(&self.catalog)
            .append_notice(&notice)
            .await
            .map(drop)
            .map_err(unread)
    }

    /// A page on which the payer pays what could not be charged, and by which the method is kept
    /// anew. `None`: this server has no address for it.
    async fn page_instead(&self, top_up: &TopUp) -> Result<Option<String>, Problem> {
        let Some(tenant) = self.catalog.tenant(top_up.tenant).await.map_err(unread)? else {
            return Ok(None);
        };
        let new = NewCheckout {
            tenant: &tenant,
            cents: top_up.cents,
            currency: top_up.currency,
            locale: None,
            success_url: None,
            cancel_url: None,
            save_method: true,
            request_key: format!("auto:{}:page", top_up.id),
        };
        match self.checkout(&self.actor("automatic top-up"), new).await {
            Ok(page) => Ok(page.url),
            Err(problem)
                if matches!(problem.code, Code::ProviderUnavailable | Code::Unavailable) =>
            {
                Err(problem)
            }
            Err(problem) => {
                tracing::warn!(%problem, "creating a payment page for a failed automatic top-up \
                    failed");
                Ok(None)
            }
        }
    }

    /// What a payment that was just looked at means for automatic top-ups: the end of the one under
    /// way, or a method that was kept.
    pub(crate) async fn learn(&self, top_up: TopUpId, shown: &Shown) -> Result<(), Problem> {
        let Some(top_up) = PaymentRows::of(&self.catalog)
            .top_up(top_up)
            .await
            .map_err(unread)?
        else {
            return Ok(());
        };
        let Some(auto) = PaymentRows::of(&self.catalog)
            .auto_top_up(top_up.tenant, top_up.currency)
            .await
            .map_err(unread)?
        else {
            return Ok(());
        };
        match top_up.origin {
            Origin::Auto if auto.open == Some(top_up.id) => {
                self.follow_auto(&auto, top_up.id, shown.failure.as_ref())
                    .await
            }
            // Who says of it that it was not right is not charged by the same method.
            Origin::Checkout
                if shown.status == PaymentStatus::Succeeded
                    && shown.contests() == 0
                    && keeps_method(&top_up) =>
            {
                self.keep_method(auto, top_up.id, shown).await
            }
            Origin::Auto | Origin::Checkout => Ok(()),
        }
    }

    /// Each top-up's once, and never an older one's: a payment is looked at again long after its
    /// method was replaced or is gone.
    async fn keep_method(
        &self,
        mut auto: AutoTopUp,
        top_up: TopUpId,
        shown: &Shown,
    ) -> Result<(), Problem> {
        let (Some(customer), Some(method)) = (&shown.customer, &shown.method) else {
            return Ok(());
        };
        for _ in 0..TRIES_MAX {
            if auto.kept.is_some_and(|kept| kept >= top_up) {
                return Ok(());
            }
            let (seen, other) = self.count_anew(auto.tenant, auto.currency).await?;
            let after = AutoTopUp {
                seen,
                other,
                ..rules::with_method(&auto, top_up, customer, method, self.now())
            };
            if PaymentRows::of(&self.catalog)
                .save_auto_top_up(&self.actor("kept a payer's method"), Some(&auto), &after)
                .await
                .map_err(unread)?
            {
                return self.mark_auto().await;
            }
            let Some(changed) = PaymentRows::of(&self.catalog)
                .auto_top_up(auto.tenant, auto.currency)
                .await
                .map_err(unread)?
            else {
                return Ok(());
            };
            auto = changed;
        }
        Err(changing())
    }
}

/// Whether the page of a top-up keeps the method it is paid with.
fn keeps_method(top_up: &TopUp) -> bool {
    serde_json::from_str::<CheckoutRequest>(&top_up.request)
        .is_ok_and(|request| request.save_method)
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
