//! The state of a top-up: as its payment says, or as its payment page says.

use crate::rows::{Origin, PaymentRows, TopUp, TopUpState};
use crate::service::{PAGE_LOOK_SECS, PaymentService, provider_problem, unread};
use problem::Problem;
use provider::{Payment as Shown, PaymentStatus, SessionStatus};
use rating::Instant;

/// A payment on its way is looked at this often, should nothing be heard of it.
const PROCESSING_LOOK_SECS: i64 = 6 * 3600;

impl PaymentService {
    /// The top-up as its payment says it is, if that is news.
    pub(super) async fn followed(
        &self,
        top_up: &TopUp,
        shown: &Shown,
    ) -> Result<Option<TopUp>, Problem> {
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
    matches!(top_up.state, TopUpState::Pending | TopUpState::Processing)
        .then(|| now.plus_secs((age / 2).clamp(PAGE_LOOK_SECS, PROCESSING_LOOK_SECS)))
}
