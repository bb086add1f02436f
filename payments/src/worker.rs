//! What is due: events to work off, pages and payments to look at, refunds to send. Any number of
//! processes share it; a guarded change of the row says whose turn it is.

use crate::rows::{EventState, Origin, PaymentRows, ProviderEvent, TopUp, TopUpState};
use crate::service::{PaymentService, again_secs, unread};
use crate::settlement::Settled;
use futures_util::{StreamExt, stream};
use metering::balance_monitor::Purpose;
use problem::{Code, Problem};
use provider::{Event, Object, ProviderError};
use rating::Instant;
use rating::ids::NoticeId;
use serde_json::json;
use std::time::Duration;
use supervisor::{CancellationToken, Rounds};

/// Rows taken at once, and calls under way at once.
const TAKEN_MAX: usize = 100;
const AT_ONCE: usize = 8;
/// Whoever takes a row has this long; then it is taken for lost.
const TAKEN_SECS: i64 = 120;
/// Attempts at an event, about three days of them.
const ATTEMPTS_MAX: i64 = 80;
/// The provider is asked for what it told nobody this often, and for events from a little before
/// the last time.
const POLL_SECS: i64 = 600;
const POLL_OVERLAP_SECS: i64 = 3600;
const POLL_FIRST_SECS: i64 = 3 * 86_400;
/// Thresholds that other processes changed are read again after so many rounds, of a second at
/// most.
const MARK_EVERY_ROUNDS: u64 = 10;
const POLL_PAGES_MAX: usize = 200;

/// What one round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    pub events: usize,
    pub top_ups: usize,
    pub refunds: usize,
    /// Left for later: the provider or the database did not answer.
    pub failed: usize,
}

impl Round {
    pub fn is_idle(&self) -> bool {
        (self.events, self.top_ups, self.refunds) == (0, 0, 0)
    }
}

enum Verdict {
    Done,
    Ignored(&'static str),
}

impl PaymentService {
    /// A message of the provider: kept, then worked off behind.
    ///
    /// # Errors
    /// It was not kept; the provider tells it again.
    pub async fn hear(&self, event: &Event, body: &[u8]) -> Result<(), Problem> {
        self.inbox
            .put(self.letter(event, Some(body.to_vec())))
            .await?;
        self.wake.notify_one();
        Ok(())
    }

    fn letter(&self, event: &Event, body: Option<Vec<u8>>) -> ProviderEvent {
        let now = self.now();
        ProviderEvent {
            id: event.id.clone(),
            provider: "stripe".to_owned(),
            account: event.account.clone(),
            kind: event.kind.clone(),
            object: json!(event.object).to_string(),
            is_live: event.live,
            created_at: event.created_at,
            received_at: now,
            body,
            state: EventState::Waiting,
            attempts: 0,
            next_at: Some(now),
            note: None,
        }
    }

    /// Works until it is cancelled: at once when something comes in, otherwise every second.
    pub async fn work(&self, token: CancellationToken) {
        if self.provider.is_none() {
            return;
        }
        let mut rounds = Rounds::new(Duration::from_secs(1), token);
        for tick in 0_u64.. {
            if tick % MARK_EVERY_ROUNDS == 0
                && let Err(problem) = self.mark_auto().await
            {
                tracing::warn!(%problem, "reading automatic top-up thresholds failed");
            }
            tokio::select! {
                goes_on = rounds.next() => {
                    if !goes_on {
                        return;
                    }
                }
                () = self.wake.notified() => {}
                // The debit that reaches a threshold, not the next look.
                crossed = self.engine.balance_monitor().crossed(Purpose::TopUp), if self.engine.may_write().is_ok() && !self.holds_charges() => self.top_up_crossed(&crossed).await,
            }
            // Nothing is charged or sent while it could not be posted.
            if self.engine.may_write().is_err() {
                continue;
            }
            if let Err(problem) = self.poll_if_due().await {
                tracing::warn!(%problem, "polling payment provider events failed");
            }
            if let Err(problem) = self.auto_round().await {
                tracing::warn!(%problem, "automatic top-up round failed");
            }
            loop {
                match self.round().await {
                    Ok(round) if round.is_idle() || round.failed > 0 => break,
                    Ok(_) => {}
                    Err(problem) => {
                        tracing::warn!(%problem, "payment worker round failed");
                        break;
                    }
                }
            }
        }
    }

    /// One round of everything that is due.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn round(&self) -> Result<Round, Problem> {
        let mut round = Round::default();
        let events = PaymentRows::of(&self.catalog)
            .due_provider_events(self.now(), TAKEN_MAX)
            .await
            .map_err(unread)?;
        let worked: Vec<_> = stream::iter(events)
            .map(|event| self.work_off(event))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for done in worked {
            match done? {
                Some(true) => round.events += 1,
                Some(false) => round.failed += 1,
                None => {}
            }
        }
        for top_up in PaymentRows::of(&self.catalog)
            .due_top_ups(self.now(), TAKEN_MAX)
            .await
            .map_err(unread)?
        {
            let Some(top_up) = self.take_top_up(top_up).await? else {
                continue;
            };
            round.top_ups += 1;
            if let Err(problem) = self.look_at(top_up).await {
                tracing::warn!(%problem, "top-up is waiting for the payment provider");
                round.failed += 1;
            }
        }
        for refund in PaymentRows::of(&self.catalog)
            .due_refunds(self.now(), TAKEN_MAX)
            .await
            .map_err(unread)?
        {
            let taken = crate::rows::Refund {
                next_at: Some(self.now().plus_secs(TAKEN_SECS)),
                ..refund.clone()
            };
            if !PaymentRows::of(&self.catalog)
                .put_refund(&self.actor("refund"), &refund, &taken)
                .await
                .map_err(unread)?
            {
                continue;
            }
            round.refunds += 1;
            let Some(refund) = PaymentRows::of(&self.catalog)
                .refund(refund.id)
                .await
                .map_err(unread)?
            else {
                continue;
            };
            if let Err(problem) = self.give_back(refund).await {
                tracing::warn!(%problem, "refund attempt failed; retrying later");
                round.failed += 1;
            }
        }
        Ok(round)
    }

    async fn take_top_up(&self, top_up: TopUp) -> Result<Option<TopUp>, Problem> {
        let now = self.now();
        let taken = TopUp {
            next_at: Some(now.plus_secs(TAKEN_SECS)),
            updated_at: now,
            ..top_up.clone()
        };
        if !PaymentRows::of(&self.catalog)
            .put_top_up(&top_up, &taken)
            .await
            .map_err(unread)?
        {
            return Ok(None);
        }
        PaymentRows::of(&self.catalog)
            .top_up(top_up.id)
            .await
            .map_err(unread)
    }

    async fn look_at(&self, top_up: TopUp) -> Result<(), Problem> {
        match (&top_up.payment, &top_up.session, top_up.origin) {
            (Some(payment), ..) => self.settle(payment, None).await.map(drop),
            (None, Some(_), _) => self.look_at_page(&top_up).await,
            (None, None, Origin::Checkout) if top_up.state == TopUpState::Pending => {
                self.open_page(top_up).await.map(drop)
            }
            (None, None, Origin::Auto) if top_up.state == TopUpState::Pending => {
                self.charge_kept(top_up).await
            }
            _ => Ok(()),
        }
    }

    /// Some(whether it is done); `None`: somebody else has it.
    async fn work_off(&self, event: ProviderEvent) -> Result<Option<bool>, Problem> {
        let now = self.now();
        let taken = ProviderEvent {
            next_at: Some(now.plus_secs(TAKEN_SECS)),
            attempts: event.attempts + 1,
            ..event.clone()
        };
        if !PaymentRows::of(&self.catalog)
            .put_provider_event(&event, &taken)
            .await
            .map_err(unread)?
        {
            return Ok(None);
        }
        let (state, next_at, note) = match self.follow(&taken).await {
            Ok(Verdict::Done) => (EventState::Done, None, None),
            Ok(Verdict::Ignored(why)) => (EventState::Ignored, None, Some(why.to_owned())),
            Err(problem) if taken.attempts >= ATTEMPTS_MAX => {
                (EventState::Stuck, None, Some(problem.code.to_string()))
            }
            Err(problem) => {
                tracing::warn!(event = taken.id, kind = taken.kind, %problem, "payment provider \
                    event postponed");
                (
                    EventState::Waiting,
                    Some(now.plus_secs(again_secs(taken.attempts))),
                    Some(problem.code.to_string()),
                )
            }
        };
        let done = state != EventState::Waiting;
        PaymentRows::of(&self.catalog)
            .put_provider_event(
                &taken,
                &ProviderEvent {
                    state,
                    next_at,
                    note,
                    ..taken.clone()
                },
            )
            .await
            .map_err(unread)?;
        Ok(Some(done))
    }

    /// Whatever an event says, its object is looked at as it is now.
    async fn follow(&self, event: &ProviderEvent) -> Result<Verdict, Problem> {
        let provider = self.provider()?;
        let object: Object = serde_json::from_str(&event.object)
            .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        if object == Object::SecondForm {
            return Ok(Verdict::Ignored("an event of the second form"));
        }
        // Also those that were kept before they were looked at when they came.
        if !object.is_named() {
            return Ok(Verdict::Ignored("an id that is none of the provider's"));
        }
        if event.is_live != provider.is_live() {
            return Ok(Verdict::Ignored("other mode"));
        }
        let payment = match object {
            Object::Session(session) => return self.follow_session(&session).await,
            Object::Payee(payee) => return self.follow_payee(&payee).await,
            Object::Transfer(transfer) => return self.follow_transfer(&transfer).await,
            Object::FraudOf(payment) => return self.follow_fraud(&payment).await,
            Object::FraudOfCharge(charge) => match self.payment_behind_charge(&charge).await? {
                Some(payment) => return self.follow_fraud(&payment).await,
                None => return Ok(Verdict::Ignored("a charge without a payment")),
            },
            Object::Payment(payment) | Object::OfPayment(payment) => payment,
            Object::OfCharge(charge) => match self.payment_behind_charge(&charge).await? {
                Some(payment) => payment,
                None => return Ok(Verdict::Ignored("a charge without a payment")),
            },
            gone => {
                let known = self.forget(&gone).await?;
                return Ok(if known {
                    Verdict::Done
                } else {
                    Verdict::Ignored("of no concern")
                });
            }
        };
        Ok(match self.settle(&payment, None).await? {
            Settled::Done(_) => Verdict::Done,
            Settled::NotOurs(why) => Verdict::Ignored(why),
        })
    }

    pub(crate) async fn payment_behind_charge(
        &self,
        charge: &str,
    ) -> Result<Option<String>, Problem> {
        match self.provider()?.payment_of(charge).await {
            Ok(payment) => Ok(payment),
            Err(ProviderError::NotFound) => Ok(None),
            Err(error) => Err(crate::service::provider_problem(&error)),
        }
    }

    /// Its holder told the bank that it was fraud: nothing has moved, and the method is charged no
    /// longer.
    async fn follow_fraud(&self, payment: &str) -> Result<Verdict, Problem> {
        let row = match self.settle(payment, None).await? {
            Settled::Done(row) => row,
            Settled::NotOurs(why) => return Ok(Verdict::Ignored(why)),
        };
        let method = match self.provider()?.payment(payment).await {
            Ok(shown) => shown.method,
            Err(ProviderError::NotFound | ProviderError::Uncountable(_)) => None,
            Err(error) => return Err(crate::service::provider_problem(&error)),
        };
        self.contested(row.tenant, method.as_deref(), "fraud_reported")
            .await?;
        Ok(Verdict::Done)
    }

    async fn follow_transfer(&self, id: &str) -> Result<Verdict, Problem> {
        let Some(payouts) = &self.payouts else {
            return Ok(Verdict::Ignored("of no concern"));
        };
        match payouts
            .transfer_changed(id, NoticeId((self.sources.id)()), self.now())
            .await
        {
            Ok(Some(_)) => Ok(Verdict::Done),
            Ok(None) => Ok(Verdict::Ignored("no payout of ours")),
            Err(error) => Err(Problem::new(Code::Unavailable, error.to_string())),
        }
    }

    async fn follow_payee(&self, id: &str) -> Result<Verdict, Problem> {
        let Some(payouts) = &self.payouts else {
            return Ok(Verdict::Ignored("of no concern"));
        };
        match payouts.refresh_payee(id, self.now()).await {
            Ok(Some(_)) => Ok(Verdict::Done),
            Ok(None) => Ok(Verdict::Ignored("nobody's account here")),
            Err(error) => Err(Problem::new(Code::Unavailable, error.to_string())),
        }
    }

    async fn follow_session(&self, id: &str) -> Result<Verdict, Problem> {
        let mut found = PaymentRows::of(&self.catalog)
            .top_up_by_session(id)
            .await
            .map_err(unread)?;
        if found.is_none() {
            let session = match self.provider()?.session(id).await {
                Ok(session) => session,
                Err(ProviderError::NotFound) => {
                    return Ok(Verdict::Ignored("the provider does not know it"));
                }
                Err(error) => return Err(crate::service::provider_problem(&error)),
            };
            // The answer that named the page was lost.
            let reference = session
                .reference
                .and_then(|reference| reference.parse().ok());
            if let Some(reference) = reference
                && let Some(top_up) = PaymentRows::of(&self.catalog)
                    .top_up(reference)
                    .await
                    .map_err(unread)?
                && top_up.session.is_none()
                && top_up.origin == Origin::Checkout
            {
                let named = TopUp {
                    session: Some(session.id.clone()),
                    url: session.url.clone(),
                    updated_at: self.now(),
                    ..top_up.clone()
                };
                if !PaymentRows::of(&self.catalog)
                    .put_top_up(&top_up, &named)
                    .await
                    .map_err(unread)?
                {
                    return Err(Problem::new(
                        Code::Unavailable,
                        "the top-up changed at the same time; try again",
                    ));
                }
                found = PaymentRows::of(&self.catalog)
                    .top_up(top_up.id)
                    .await
                    .map_err(unread)?;
            }
        }
        match found {
            Some(top_up) => self.look_at_page(&top_up).await.map(|()| Verdict::Done),
            None => Ok(Verdict::Ignored("no top-up asked for it")),
        }
    }

    /// Asks the provider for what it told nobody, every [`POLL_SECS`].
    ///
    /// # Errors
    /// As [`Self::poll`].
    pub async fn poll_if_due(&self) -> Result<(), Problem> {
        let now = self.now();
        let last = PaymentRows::of(&self.catalog)
            .provider_polled_at()
            .await
            .map_err(unread)?;
        if last.is_some_and(|last| last.plus_secs(POLL_SECS) > now) {
            return Ok(());
        }
        self.poll(last.map_or(now.plus_secs(-POLL_FIRST_SECS), |last| {
            last.plus_secs(-POLL_OVERLAP_SECS)
        }))
        .await?;
        PaymentRows::of(&self.catalog)
            .set_provider_polled_at(now)
            .await
            .map_err(unread)
    }

    /// Takes up what the provider has told nobody since; how many events that were.
    ///
    /// # Errors
    /// `provider_unavailable`, `unavailable`.
    pub async fn poll(&self, since: Instant) -> Result<usize, Problem> {
        let (mut found, mut after) = (0, None);
        for _ in 0..POLL_PAGES_MAX {
            let page = self
                .provider()?
                .events(since, after.as_deref())
                .await
                .map_err(|error| crate::service::provider_problem(&error))?;
            let mut missed = Vec::new();
            for event in &page.data {
                if !PaymentRows::of(&self.catalog)
                    .knows_provider_event(&event.id)
                    .await
                    .map_err(unread)?
                {
                    missed.push(self.letter(event, None));
                }
            }
            found += missed.len();
            PaymentRows::of(&self.catalog)
                .keep_provider_events(&missed)
                .await
                .map_err(unread)?;
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
        tracing::warn!(since = %since, "payment provider has more events than one poll reads");
        Ok(found)
    }
}
