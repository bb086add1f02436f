//! The charge of an automatic top-up: written down first, then asked for, always under one key.

use super::overflow;
use super::rules::{self, End};
use crate::rows::{AutoTopUp, Origin, PaymentRows, TopUp, TopUpState};
use crate::service::{PaymentService, again_secs, code_of, provider_problem, unread};
use problem::{Code, Problem};
use provider::{CallKey, ChargeRequest, KEY_GOOD_SECS, ProviderError};
use rating::ids::TopUpId;
use tenants::Tenant;

impl PaymentService {
    pub(super) async fn begin(
        &self,
        auto: &AutoTopUp,
        tenant: &Tenant,
    ) -> Result<Option<TopUpId>, Problem> {
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
            idempotency_epoch: 0,
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
        let key = CallKey(format!("{}:{}", top_up.id, top_up.idempotency_epoch));
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
            idempotency_epoch: top_up.idempotency_epoch + 1,
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
}
