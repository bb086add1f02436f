//! The notices that a step of a payment sends.

use crate::rows::{Payment, TopUp, TopUpState};
use crate::service::PaymentService;
use notices::rows::{Notice, NoticeKind};
use rating::ids::NoticeId;
use rating::{Cents, TenantId};
use serde_json::json;

impl PaymentService {
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
            let cause = format!("payment:{}:{what}:{}", after.id, after.idempotency_epoch);
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
}
