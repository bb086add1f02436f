//! Refunds and disputes, as a payment shows them.

use crate::world::{World, key};
use provider::{
    Dispute, DisputeStatus, Payment, Provider as _, ProviderError, RefundRequest, RefundStatus,
};
use rating::{Cents, Currency};
use test_stripe::Fault;

fn part(reference: &str, payment: &Payment, cents: i64) -> RefundRequest {
    RefundRequest {
        reference: reference.into(),
        payment: payment.id.clone(),
        cents: Cents(cents),
        currency: Currency::EUR,
    }
}

impl World {
    async fn refunds(&self, payment: &Payment) -> Vec<(i64, RefundStatus)> {
        let charge = self
            .stripe
            .payment(&payment.id)
            .await
            .unwrap()
            .charge
            .unwrap();
        charge
            .refunds
            .iter()
            .map(|refund| (refund.cents.0, refund.status))
            .collect()
    }

    async fn dispute_of(&self, payment: &Payment) -> Dispute {
        self.stripe
            .payment(&payment.id)
            .await
            .unwrap()
            .charge
            .unwrap()
            .disputes
            .remove(0)
    }
}

#[tokio::test]
async fn refunds_in_parts_and_what_becomes_of_them() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    let first = w
        .stripe
        .refund(&key("ref_1"), &part("ref_1", &payment, 1000))
        .await
        .unwrap();
    assert_eq!(
        (first.cents, first.status, first.reference.as_deref()),
        (Cents(1000), RefundStatus::Succeeded, Some("ref_1"))
    );
    assert_eq!(
        w.stripe
            .refund(&key("ref_1"), &part("ref_1", &payment, 1000))
            .await,
        Ok(first.clone()),
        "once"
    );
    w.fake.refunds_wait(true);
    w.stripe
        .refund(&key("ref_2"), &part("ref_2", &payment, 1500))
        .await
        .unwrap();
    assert_eq!(
        w.refunds(&payment).await,
        [
            (1500, RefundStatus::Pending),
            (1000, RefundStatus::Succeeded)
        ]
    );

    let refused = w
        .stripe
        .refund(&key("ref_3"), &part("ref_3", &payment, 1))
        .await;
    assert!(
        matches!(refused, Err(ProviderError::Refused { code, .. }) if code == "charge_already_refunded")
    );

    w.fake.end_refund(&first.id, "failed").unwrap();
    assert_eq!(
        w.refunds(&payment).await,
        [(1500, RefundStatus::Pending), (1000, RefundStatus::Failed)]
    );
}

#[tokio::test]
async fn one_refund_whatever_happens_to_the_answer() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    w.fake.fault("/refunds", Fault::Lost, 1);
    w.stripe
        .refund(&key("ref_1"), &part("ref_1", &payment, 1000))
        .await
        .unwrap();
    assert_eq!(w.refunds(&payment).await.len(), 1);
}

#[tokio::test]
async fn all_refunds_of_a_payment_are_found() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    for _ in 0..230 {
        w.fake.refund(&payment.id, 1).unwrap();
    }
    let refunds = w.refunds(&payment).await;
    assert_eq!(
        (
            refunds.len(),
            refunds.iter().map(|(cents, _)| cents).sum::<i64>()
        ),
        (230, 230)
    );
    assert_eq!(
        w.fake
            .seen("GET", "/refunds")
            .iter()
            .filter(|seen| seen.params.get("starting_after").is_some())
            .count(),
        2
    );
}

#[tokio::test]
async fn a_dispute_that_is_won() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    let id = w.fake.dispute(&payment.id, None, "needs_response").unwrap();
    let dispute = w.dispute_of(&payment).await;
    assert_eq!(
        (dispute.status, dispute.cents, dispute.withdrawn),
        (DisputeStatus::Open, Cents(2500), Cents(2500))
    );
    assert_eq!(dispute.fee, Cents(2000));
    w.fake.close_dispute(&id, "won").unwrap();
    let dispute = w.dispute_of(&payment).await;
    assert_eq!(
        (dispute.status, dispute.withdrawn, dispute.fee),
        (DisputeStatus::Won, Cents::ZERO, Cents(2000))
    );
}

#[tokio::test]
async fn a_dispute_that_is_lost_and_appealed() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    let id = w
        .fake
        .dispute(&payment.id, Some(1000), "needs_response")
        .unwrap();
    w.fake.close_dispute(&id, "lost").unwrap();
    let dispute = w.dispute_of(&payment).await;
    assert_eq!(
        (dispute.status, dispute.withdrawn),
        (DisputeStatus::Lost, Cents(1000))
    );
    w.fake.close_dispute(&id, "appeal_under_review").unwrap();
    assert_eq!(
        w.dispute_of(&payment).await.status,
        DisputeStatus::Open,
        "closed is not the end"
    );
    w.fake.close_dispute(&id, "won").unwrap();
    assert_eq!(w.dispute_of(&payment).await.withdrawn, Cents::ZERO);
}

#[tokio::test]
async fn an_inquiry_takes_nothing() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    let id = w
        .fake
        .dispute(&payment.id, None, "warning_needs_response")
        .unwrap();
    let dispute = w.dispute_of(&payment).await;
    assert_eq!(
        (dispute.status, dispute.withdrawn, dispute.fee),
        (DisputeStatus::Inquiry, Cents::ZERO, Cents::ZERO)
    );
    w.fake.withdraw(&id).unwrap();
    assert_eq!(
        w.dispute_of(&payment).await.withdrawn,
        Cents(2500),
        "it became serious"
    );
}
