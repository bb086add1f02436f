//! What a payment says to automatic top-ups: how the one under way ended, or the method to keep.

use super::{TRIES_MAX, changing, rules};
use crate::rows::{AutoTopUp, Origin, PaymentRows, TopUp};
use crate::service::{PaymentService, unread};
use problem::Problem;
use provider::{CheckoutRequest, Payment as Shown, PaymentStatus};
use rating::ids::TopUpId;

impl PaymentService {
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
