//! What stops an automatic top-up until its payer does something: money given back, a payment
//! contested, a method that is gone, a tenant that may pay no longer. Each is told once.

use super::{TRIES_MAX, changing, rules};
use crate::rows::{AutoState, AutoTopUp, Origin, Payment, PaymentRows};
use crate::service::{PaymentService, unread};
use notices::rows::NoticeKind;
use problem::Problem;
use provider::Object;
use rating::{Cents, TenantId};
use serde_json::json;

impl PaymentService {
    /// Of an automatic top-up (a part of) the money was given back: whoever did that does not want
    /// the card charged again.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn refunded(&self, payment: &Payment, refunded: Cents) -> Result<(), Problem> {
        let Some(top_up) = PaymentRows::of(&self.catalog)
            .top_up(payment.top_up)
            .await
            .map_err(unread)?
        else {
            return Ok(());
        };
        if top_up.origin != Origin::Auto {
            return Ok(());
        }
        for _ in 0..TRIES_MAX {
            let Some(auto) = PaymentRows::of(&self.catalog)
                .auto_top_up(top_up.tenant, top_up.currency)
                .await
                .map_err(unread)?
            else {
                return Ok(());
            };
            if auto.state != AutoState::On {
                return Ok(());
            }
            let after = rules::paused(&auto, "refunded", self.now());
            self.tell_stopped(&auto, "refunded", &format!("{}:{refunded}", top_up.id))
                .await?;
            if PaymentRows::of(&self.catalog)
                .end_auto_top_up(&self.actor("refunded"), None, (&auto, &after))
                .await
                .map_err(unread)?
            {
                return Ok(());
            }
        }
        Err(changing())
    }

    /// A payment of this tenant, by this method, was said not to be right: nothing is charged until
    /// a method is set up anew.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn contested(
        &self,
        tenant: TenantId,
        method: Option<&str>,
        why: &str,
    ) -> Result<(), Problem> {
        let mut rows = PaymentRows::of(&self.catalog)
            .auto_top_ups_of(tenant)
            .await
            .map_err(unread)?;
        if let Some(method) = method {
            let kept_by_others = PaymentRows::of(&self.catalog)
                .auto_top_ups_by_method(method)
                .await
                .map_err(unread)?;
            rows.extend(
                kept_by_others
                    .into_iter()
                    .filter(|row| row.tenant != tenant),
            );
        }
        for row in rows.iter().filter(|row| row.method.is_some()) {
            self.take_method(row, why).await?;
        }
        Ok(())
    }

    /// A method, or its customer, can be charged no longer: its automatic top-ups are paused.
    /// Whether there were any.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn forget(&self, gone: &Object) -> Result<bool, Problem> {
        let (rows, why) = match gone {
            Object::MethodGone(method) => (
                PaymentRows::of(&self.catalog)
                    .auto_top_ups_by_method(method)
                    .await,
                "method_gone",
            ),
            Object::MandateGone {
                method: Some(method),
                ..
            } => (
                PaymentRows::of(&self.catalog)
                    .auto_top_ups_by_method(method)
                    .await,
                "mandate_gone",
            ),
            Object::CustomerGone(customer) => (
                PaymentRows::of(&self.catalog)
                    .auto_top_ups_by_customer(customer)
                    .await,
                "customer_gone",
            ),
            _ => return Ok(false),
        };
        let rows = rows.map_err(unread)?;
        for row in &rows {
            self.take_method(row, why).await?;
        }
        Ok(!rows.is_empty())
    }

    /// As it was when it was looked at: if it changed since, whoever tells of it must tell again.
    async fn take_method(&self, row: &AutoTopUp, why: &str) -> Result<(), Problem> {
        let mut after = rules::without_method(row, why, self.now());
        if why == "customer_gone" {
            after.customer = None;
        }
        if after.state != row.state {
            self.tell_stopped(row, why, row.method.as_deref().unwrap_or_default())
                .await?;
        }
        if !PaymentRows::of(&self.catalog)
            .end_auto_top_up(&self.actor(why), None, (row, &after))
            .await
            .map_err(unread)?
        {
            return Err(changing());
        }
        Ok(())
    }

    /// Its tenant may pay here no longer.
    pub(super) async fn switch_off(
        &self,
        auto: &AutoTopUp,
        why: &'static str,
    ) -> Result<(), Problem> {
        let after = rules::switched_off(auto, why, self.now());
        self.tell_stopped(auto, why, &rules::day_of(self.now()).to_string())
            .await?;
        PaymentRows::of(&self.catalog)
            .end_auto_top_up(&self.actor(why), None, (auto, &after))
            .await
            .map_err(unread)?;
        Ok(())
    }

    /// It is on, and low by something else than usage: told once for what was taken.
    pub(super) async fn tell_not_by_usage(&self, auto: &AutoTopUp) -> Result<(), Problem> {
        self.tell_stopped(auto, "not_by_usage", &auto.other.to_string())
            .await
    }

    /// Once for `what`.
    async fn tell_stopped(&self, auto: &AutoTopUp, why: &str, what: &str) -> Result<(), Problem> {
        let cause = format!("auto_top_up:{}:{}:{why}:{what}", auto.tenant, auto.currency);
        let data = json!({ "currency": auto.currency, "cents": auto.amount, "reason": why });
        self.tell_payer(
            (auto.root, auto.tenant),
            NoticeKind::AutoTopUpPaused,
            cause,
            data,
        )
        .await
    }
}
