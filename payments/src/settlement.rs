//! One function for every event, page and poll: looks at a payment and posts what is missing,
//! exactly once.
//!
//! Steps of a payment are numbered; step n is posted under `<payment>:<n>`, where the first post
//! counts. The row is read before the provider is asked: who read an older row finds step n taken
//! by somebody else, learns what that was, and looks again. So an older look never undoes a newer
//! one, and a process that died between the post and the row is caught up with by whoever comes
//! next.

use crate::payment_outcome::{Owner, Seen, Standing, kind_of};
use crate::rows::{
    Origin, Payment, PaymentRows, Refund, RefundState, Settlement, TopUp, TopUpState,
};
use crate::service::{PaymentService, provider_problem, unread};
use ledger::{AccountKey, Limit};
use metering::requests::PostPayment;
use notices::rows::{Notice, NoticeKind};
use problem::{Code, Problem};
use provider::{
    Payment as Shown, PaymentStatus, Provider, ProviderError, RefundStatus, SessionStatus,
};
use rating::ids::NoticeId;
use rating::{Cents, Currency, Instant, Overflow, TenantId};
use serde_json::json;

/// Looks at one payment until nobody else interferes.
const LOOKS_MAX: usize = 10;
/// Names of steps in the journal.
pub(crate) const SOURCE: &str = "stripe";
/// A payment on its way is looked at this often, should nothing be heard of it.
const PROCESSING_LOOK_SECS: i64 = 6 * 3600;

/// What a look at a payment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    Done(Box<Payment>),
    /// Nothing to us, and why.
    NotOurs(&'static str),
}

pub(crate) fn overflow(_: Overflow) -> Problem {
    Problem::new(Code::Overflow, "the payment's amounts are too large")
}

impl PaymentService {
    /// Looks at a payment of the provider and posts what is missing. `with`: a refund to be debited
    /// now, if the balance covers it.
    ///
    /// # Errors
    /// `provider_unavailable`, `unavailable`: to be tried again. `insufficient_balance` for `with`.
    pub async fn settle(&self, payment: &str, with: Option<&Refund>) -> Result<Settled, Problem> {
        let provider = self.provider()?;
        for _ in 0..LOOKS_MAX {
            let row = PaymentRows::of(&self.catalog)
                .payment(payment)
                .await
                .map_err(unread)?;
            let shown = match provider.payment(payment).await {
                Ok(shown) => shown,
                Err(ProviderError::NotFound) => {
                    return Ok(Settled::NotOurs("the provider does not know it"));
                }
                Err(ProviderError::Uncountable(foreign)) => {
                    match self.keep_foreign(&**provider, row, &foreign).await? {
                        Some(settled) => return Ok(settled),
                        None => continue,
                    }
                }
                Err(error) => return Err(provider_problem(&error)),
            };
            if shown.live != provider.is_live() {
                return Ok(Settled::NotOurs("other mode"));
            }
            let row = match row {
                Some(row) => row,
                None => match self.attribute(&**provider, &shown).await? {
                    Some(row)
                        if PaymentRows::of(&self.catalog)
                            .create_payment(&row)
                            .await
                            .map_err(unread)? =>
                    {
                        row
                    }
                    Some(_) => continue,
                    None => return Ok(Settled::NotOurs("no top-up asked for it")),
                },
            };
            if let Some(after) = self.step(&row, &shown, with).await? {
                self.follow_refunds(&shown).await?;
                self.learn(after.top_up, &shown).await?;
                return Ok(Settled::Done(Box::new(after)));
            }
        }
        Err(Problem::new(
            Code::Unavailable,
            "the payment kept changing; try again",
        ))
    }

    /// One step from what is posted to what must be; `None`: look again.
    async fn step(
        &self,
        row: &Payment,
        shown: &Shown,
        with: Option<&Refund>,
    ) -> Result<Option<Payment>, Problem> {
        let contests = self.heed_contests(row, shown).await?;
        let owner = Owner {
            root: row.root,
            tenant: row.tenant,
            currency: row.currency,
        };
        let unsent = self.unsent(shown, with).await?;
        let seen = Seen::of(shown, unsent).map_err(overflow)?;
        let before = Standing {
            balance: row.balance,
            disputed: row.disputed,
            suspense: row.suspense,
            expense: row.expense,
        };
        let want = seen.standing(row.is_own).map_err(overflow)?;
        let postings = before.postings_to(&want, owner).map_err(overflow)?;
        let (mut now_at, mut generation, mut again) = (before, row.generation, false);
        if !postings.is_empty() {
            let kind = kind_of(row, &want, &seen);
            let account = AccountKey::balance(row.tenant, row.currency);
            let covered = |limit| Limit {
                account,
                credit_limit: Some(limit),
                refuse: true,
            };
            // Money of nobody is none of the tenant's: its balance need not cover it.
            let with = with.filter(|_| want.balance < before.balance);
            let command = PostPayment {
                source: SOURCE.into(),
                key: format!("{}:{generation}", row.id),
                root: row.root,
                tenant: row.tenant,
                currency: row.currency,
                kind,
                postings,
                limits: with.map(|_| covered(Cents::ZERO)).into_iter().collect(),
                reason: reason_of(row, &seen),
            };
            let posted = self.engine.post_payment(command).await?;
            now_at = before.after(&posted.postings, owner).map_err(overflow)?;
            generation += 1;
            again = now_at != want;
        }
        if row.is_own && seen.refunded > row.refunded {
            self.refunded(row, seen.refunded).await?;
        }
        let (fees, fees_again) = self.post_fees(row, shown).await?;
        again |= fees_again;
        let now = self.now();
        let after = Payment {
            status: word_of(shown.status).to_owned(),
            generation,
            balance: now_at.balance,
            disputed: now_at.disputed,
            suspense: now_at.suspense,
            expense: now_at.expense,
            received: seen.received,
            refunded: seen.refunded,
            withdrawn: seen.withdrawn,
            open_disputes: seen.open_disputes,
            contests,
            fees,
            updated_at: now,
            ..row.clone()
        };
        let written = self.write_down(row, &after, shown).await?;
        Ok((written && !again).then_some(after))
    }

    /// Whoever contests a payment is not charged again. Before its row says that this was done, so
    /// that it is done again if this process dies; how often it was contested so far.
    async fn heed_contests(&self, row: &Payment, shown: &Shown) -> Result<i64, Problem> {
        let contests = shown.contests();
        if contests > row.contests {
            let has_dispute = shown
                .charge
                .as_ref()
                .is_some_and(|charge| !charge.disputes.is_empty());
            self.contested(
                row.tenant,
                shown.method.as_deref(),
                if has_dispute {
                    "disputed"
                } else {
                    "fraud_reported"
                },
            )
            .await?;
        }
        Ok(contests.max(row.contests))
    }

    /// The row, the state of its top-up and what is told of it, in one transaction.
    async fn write_down(
        &self,
        before: &Payment,
        after: &Payment,
        shown: &Shown,
    ) -> Result<bool, Problem> {
        let top_up = PaymentRows::of(&self.catalog)
            .top_up(before.top_up)
            .await
            .map_err(unread)?;
        let changed = match &top_up {
            Some(top_up) if after.is_own => self.followed(top_up, shown).await?,
            _ => None,
        };
        if changed.is_none()
            && *before
                == (Payment {
                    updated_at: before.updated_at,
                    ..after.clone()
                })
        {
            return Ok(true);
        }
        let change = top_up
            .as_ref()
            .zip(changed.as_ref())
            .filter(|(before, after)| before.state != after.state);
        let settlement = Settlement {
            payment: (before, after),
            top_up: top_up.as_ref().zip(changed.as_ref()),
            change: change.map(|(before, after)| after.change("update", Some(before))),
            notices: self.told(before, after, change),
        };
        match PaymentRows::of(&self.catalog)
            .put_settlement(&self.actor("seen at the payment provider"), &settlement)
            .await
        {
            Ok(written) => Ok(written),
            // Its top-up changed meanwhile.
            Err(catalog::CatalogError::Conflict { .. }) => Ok(false),
            Err(error) => Err(unread(error)),
        }
    }

    /// What the tenant, and the platform's operator, hear of it.
    pub(crate) fn told(
        &self,
        before: &Payment,
        after: &Payment,
        top_up: Option<(&TopUp, &TopUp)>,
    ) -> Vec<Notice> {
        let notice =
            |tenant: TenantId, kind: NoticeKind, cause: String, data: serde_json::Value| {
                let (id, root, created_at) =
                    (NoticeId((self.sources.id)()), after.root, after.updated_at);
                Notice {
                    id,
                    root,
                    tenant,
                    kind,
                    cause,
                    data,
                    created_at,
                }
            };
        let mut told = Vec::new();
        if let Some((_, now)) = top_up {
            let kind = match now.state {
                TopUpState::Succeeded => Some(NoticeKind::TopUpSucceeded),
                TopUpState::Failed => Some(NoticeKind::TopUpFailed),
                _ => None,
            };
            let state = if now.state == TopUpState::Succeeded {
                "succeeded"
            } else {
                "failed"
            };
            let data = json!({ "top_up": now.id, "currency": now.currency, "cents": now.cents, "failure": now.failure });
            told.extend(
                kind.map(|kind| {
                    notice(now.tenant, kind, format!("top_up:{}:{state}", now.id), data)
                }),
            );
        }
        let mut attention = |what: &str, currency: &str, cents: i64| {
            let data = json!({ "what": what, "payment": after.id, "top_up": after.top_up, "currency": currency, "cents": cents });
            let cause = format!("payment:{}:{what}:{}", after.id, after.generation);
            told.push(notice(
                after.tenant,
                NoticeKind::PaymentAttention,
                cause,
                data,
            ));
        };
        if after.suspense > Cents::ZERO && before.suspense == Cents::ZERO {
            attention(
                "money that no top-up fits",
                after.currency.code(),
                after.suspense.0,
            );
        }
        if let Some(foreign) = after.foreign.as_ref().filter(|foreign| foreign.amount > 0)
            && before
                .foreign
                .as_ref()
                .is_none_or(|before| before.amount == 0)
        {
            attention(
                "money in a currency that is not counted here",
                &foreign.currency,
                foreign.amount,
            );
        }
        if after.open_disputes > before.open_disputes {
            attention("dispute", after.currency.code(), after.received.0);
        }
        told
    }

    /// The top-up as its payment says it is, if that is news.
    async fn followed(&self, top_up: &TopUp, shown: &Shown) -> Result<Option<TopUp>, Problem> {
        let now = self.now();
        let failed = |why: Option<String>| {
            (
                TopUpState::Failed,
                None,
                why.or_else(|| Some("canceled".to_owned())),
            )
        };
        let why = shown.failure.as_ref().map(|decline| decline.code.clone());
        let (state, next_at, failure) = match shown.status {
            PaymentStatus::Succeeded => (TopUpState::Succeeded, None, None),
            PaymentStatus::Processing => (
                TopUpState::Processing,
                Some(now.plus_secs(PROCESSING_LOOK_SECS)),
                None,
            ),
            PaymentStatus::Canceled => failed(why),
            // A page lets its payer try again; once it is over, or where nobody is there to try,
            // that was it.
            PaymentStatus::Open | PaymentStatus::RequiresAction
                if self.is_over(top_up, why.is_some()).await? =>
            {
                failed(why)
            }
            PaymentStatus::Open | PaymentStatus::RequiresAction => return Ok(None),
        };
        let same = (top_up.state, &top_up.failure, &top_up.payment)
            == (state, &failure, &Some(shown.id.clone()));
        let waits = state == TopUpState::Processing && top_up.next_at.is_some_and(|at| at > now);
        if same && (waits || state != TopUpState::Processing) {
            return Ok(None);
        }
        Ok(Some(TopUp {
            state,
            next_at,
            failure,
            payment: Some(shown.id.clone()),
            updated_at: now,
            ..top_up.clone()
        }))
    }

    async fn is_over(&self, top_up: &TopUp, has_failed: bool) -> Result<bool, Problem> {
        match (&top_up.session, top_up.origin) {
            (Some(session), Origin::Checkout) => {
                let session = self
                    .provider()?
                    .session(session)
                    .await
                    .map_err(|error| provider_problem(&error))?;
                Ok(session.status != SessionStatus::Open)
            }
            (None, Origin::Checkout) => Ok(false),
            (_, Origin::Auto) => Ok(has_failed),
        }
    }

    /// Refunds of ours that count and that the provider does not show yet.
    async fn unsent(&self, shown: &Shown, with: Option<&Refund>) -> Result<Cents, Problem> {
        let ours = PaymentRows::of(&self.catalog)
            .refunds_of_payment(&shown.id)
            .await
            .map_err(unread)?;
        let counts = |refund: &&Refund| {
            refund.state == RefundState::Sent || with.is_some_and(|with| with.id == refund.id)
        };
        let unsent = ours
            .iter()
            .filter(counts)
            .filter(|refund| shown_refund(shown, refund).is_none());
        unsent
            .map(|refund| refund.cents)
            .try_fold(Cents::ZERO, Cents::checked_add)
            .map_err(overflow)
    }

    /// What became of our own refunds.
    async fn follow_refunds(&self, shown: &Shown) -> Result<(), Problem> {
        for refund in PaymentRows::of(&self.catalog)
            .refunds_of_payment(&shown.id)
            .await
            .map_err(unread)?
        {
            let Some((id, status)) = shown_refund(shown, &refund) else {
                continue;
            };
            let state = match status {
                RefundStatus::Pending => RefundState::Sent,
                RefundStatus::Succeeded => RefundState::Succeeded,
                RefundStatus::Failed | RefundStatus::Canceled => RefundState::Failed,
            };
            let failure = (state == RefundState::Failed).then(|| "failed_at_the_bank".to_owned());
            if refund.state == state && refund.provider_id.as_deref() == Some(id) {
                continue;
            }
            let after = Refund {
                state,
                failure,
                provider_id: Some(id.to_owned()),
                next_at: None,
                updated_at: self.now(),
                ..refund.clone()
            };
            // Somebody else writing the same is as good.
            PaymentRows::of(&self.catalog)
                .put_refund(&self.actor("seen at the payment provider"), &refund, &after)
                .await
                .map_err(unread)?;
        }
        Ok(())
    }

    /// Whose payment this is, by our own rows: the page it came from, or the charge we asked for.
    /// What only says that it is ours, and does not fit, is kept as nobody's.
    async fn attribute(
        &self,
        provider: &dyn Provider,
        shown: &Shown,
    ) -> Result<Option<Payment>, Problem> {
        let found = match PaymentRows::of(&self.catalog)
            .top_up_by_payment(&shown.id)
            .await
            .map_err(unread)?
        {
            Some(top_up) => Some((top_up, true)),
            None => {
                self.top_up_behind(provider, &shown.id, shown.reference.as_ref())
                    .await?
            }
        };
        let Some((top_up, of_its_page)) = found else {
            return Ok(None);
        };
        let fits = of_its_page
            && top_up
                .payment
                .as_deref()
                .is_none_or(|payment| payment == shown.id);
        let is_own = fits && (shown.cents, shown.currency) == (top_up.cents, top_up.currency);
        if is_own && top_up.payment.is_none() {
            let bound = TopUp {
                payment: Some(shown.id.clone()),
                updated_at: self.now(),
                ..top_up.clone()
            };
            if !PaymentRows::of(&self.catalog)
                .put_top_up(&top_up, &bound)
                .await
                .map_err(unread)?
            {
                return Err(Problem::new(
                    Code::Unavailable,
                    "the top-up changed at the same time; try again",
                ));
            }
        }
        if !is_own {
            tracing::warn!(payment = shown.id, top_up = %top_up.id, "payment does not match its \
                top-up: its money is kept in suspense");
        }
        Ok(Some(self.new_payment(
            &shown.id,
            &top_up,
            shown.currency,
            is_own,
        )))
    }

    /// Nothing of it was posted yet.
    pub(crate) fn new_payment(
        &self,
        id: &str,
        top_up: &TopUp,
        currency: Currency,
        is_own: bool,
    ) -> Payment {
        let now = self.now();
        Payment {
            id: id.to_owned(),
            root: top_up.root,
            tenant: top_up.tenant,
            top_up: top_up.id,
            currency,
            status: String::new(),
            is_own,
            generation: 0,
            balance: Cents::ZERO,
            disputed: Cents::ZERO,
            suspense: Cents::ZERO,
            expense: Cents::ZERO,
            received: Cents::ZERO,
            refunded: Cents::ZERO,
            withdrawn: Cents::ZERO,
            open_disputes: 0,
            contests: 0,
            foreign: None,
            fees: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// With whether it came from the page that we know of, if we know of one.
    pub(crate) async fn top_up_behind(
        &self,
        provider: &dyn Provider,
        payment: &str,
        reference: Option<&String>,
    ) -> Result<Option<(TopUp, bool)>, Problem> {
        let session = provider
            .session_of(payment)
            .await
            .map_err(|error| provider_problem(&error))?;
        if let Some(session) = &session
            && let Some(top_up) = PaymentRows::of(&self.catalog)
                .top_up_by_session(&session.id)
                .await
                .map_err(unread)?
        {
            return Ok(Some((top_up, true)));
        }
        // The answer that named the page, or the charge, was lost: what we told the provider leads
        // to the row.
        let reference = session
            .as_ref()
            .and_then(|session| session.reference.as_ref())
            .or(reference);
        let Some(id) = reference.and_then(|reference| reference.parse().ok()) else {
            return Ok(None);
        };
        let Some(top_up) = PaymentRows::of(&self.catalog)
            .top_up(id)
            .await
            .map_err(unread)?
        else {
            return Ok(None);
        };
        let origin = if session.is_some() {
            Origin::Checkout
        } else {
            Origin::Auto
        };
        // Since the look above somebody else may have heard which page it is: this one.
        let is_free = top_up.session.is_none()
            || top_up.session.as_ref() == session.as_ref().map(|session| &session.id);
        let of_its_page = is_free && top_up.origin == origin;
        Ok(Some((top_up, of_its_page)))
    }

    /// Looks at a payment page: what it came to, or that it is over.
    ///
    /// # Errors
    /// As [`Self::settle`].
    pub async fn look_at_page(&self, top_up: &TopUp) -> Result<(), Problem> {
        let Some(session) = &top_up.session else {
            return Ok(());
        };
        let session = self
            .provider()?
            .session(session)
            .await
            .map_err(|error| provider_problem(&error))?;
        if let Some(payment) = &session.payment
            && session.status == SessionStatus::Complete
        {
            let settled = self.settle(payment, None).await?;
            return self.close_unfit(top_up, &settled).await;
        }
        let now = self.now();
        let mut after = TopUp {
            updated_at: now,
            ..top_up.clone()
        };
        (after.state, after.next_at) = match session.status {
            SessionStatus::Expired if top_up.state == TopUpState::Pending => {
                (TopUpState::Expired, None)
            }
            _ => (top_up.state, next_look(top_up, now)),
        };
        if after.state == TopUpState::Expired {
            after.url = None;
        }
        // Who changed it meanwhile knows more.
        PaymentRows::of(&self.catalog)
            .put_top_up(top_up, &after)
            .await
            .map_err(unread)?;
        Ok(())
    }
}

/// Later and later, as long as something may still come.
fn next_look(top_up: &TopUp, now: Instant) -> Option<Instant> {
    let age = now.micros().saturating_sub(top_up.created_at.micros()) / 1_000_000;
    matches!(top_up.state, TopUpState::Pending | TopUpState::Processing).then(|| {
        now.plus_secs((age / 2).clamp(crate::service::PAGE_LOOK_SECS, PROCESSING_LOOK_SECS))
    })
}

fn shown_refund<'a>(shown: &'a Shown, refund: &Refund) -> Option<(&'a str, RefundStatus)> {
    let reference = refund.id.to_string();
    let refunds = &shown.charge.as_ref()?.refunds;
    let found = refunds.iter().find(|shown| {
        shown.reference.as_deref() == Some(reference.as_str())
            || refund.provider_id.as_deref() == Some(shown.id.as_str())
    })?;
    Some((&found.id, found.status))
}

fn word_of(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Open => "open",
        PaymentStatus::RequiresAction => "requires_action",
        PaymentStatus::Processing => "processing",
        PaymentStatus::Succeeded => "succeeded",
        PaymentStatus::Canceled => "canceled",
    }
}

/// What a statement says of a step.
fn reason_of(row: &Payment, seen: &Seen) -> String {
    let what = if row.received != seen.received {
        if row.is_own {
            "payment received"
        } else {
            "payment received that no top-up fits"
        }
    } else if row.refunded != seen.refunded {
        if seen.refunded > row.refunded {
            "refund"
        } else {
            "refund failed"
        }
    } else if seen.open_disputes > row.open_disputes {
        "dispute opened"
    } else if seen.withdrawn > row.withdrawn {
        "dispute: funds withdrawn"
    } else if seen.withdrawn < row.withdrawn || seen.open_disputes < row.open_disputes {
        "dispute ended"
    } else {
        "costs of the payment"
    };
    format!("{what} ({})", row.top_up)
}
