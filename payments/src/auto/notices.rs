//! The notices that the payer of automatic top-ups gets.

use super::rules::End;
use crate::rows::{AutoTopUp, TopUp};
use crate::service::{PaymentService, unread};
use notices::rows::{Notice, NoticeKind, NoticeRows};
use problem::Problem;
use rating::ids::NoticeId;
use rating::{Instant, TenantId};
use serde_json::json;

impl PaymentService {
    /// Once for each end, whoever comes again.
    pub(super) async fn tell_end(
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
    pub(super) async fn tell_month_spent(
        &self,
        auto: &AutoTopUp,
        until: Instant,
    ) -> Result<(), Problem> {
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

    pub(super) async fn tell_payer(
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
}
