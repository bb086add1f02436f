//! What an automatic top-up came to: the row afterwards, and a page for a payer who must be there.

use super::overflow;
use super::rules::{self, End};
use crate::rows::{AutoTopUp, PaymentRows, TopUp, TopUpState};
use crate::service::{NewCheckout, PaymentService, provider_problem, unread};
use problem::{Code, Problem};
use provider::{Decline, ProviderError};
use rating::ids::TopUpId;

impl PaymentService {
    /// What the top-up under way came to, if it is over. `why`: of its payment.
    pub(super) async fn follow_auto(
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
    pub(super) async fn end(
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
}
