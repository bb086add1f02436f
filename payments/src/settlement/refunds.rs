//! Our own refunds of a payment: which of them the provider does not show yet, and what became of
//! the others.

use super::overflow;
use crate::rows::{PaymentRows, Refund, RefundState};
use crate::service::{PaymentService, unread};
use problem::Problem;
use provider::{Payment as Shown, RefundStatus};
use rating::Cents;

impl PaymentService {
    /// Refunds of ours that count and that the provider does not show yet.
    pub(super) async fn unsent(
        &self,
        shown: &Shown,
        with: Option<&Refund>,
    ) -> Result<Cents, Problem> {
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
    pub(super) async fn follow_refunds(&self, shown: &Shown) -> Result<(), Problem> {
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
