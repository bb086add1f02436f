//! Accounts that commissions are paid to.

use crate::world::{World, key};
use provider::{PayeeRequest, Provider as _, ProviderError, TransferRequest};
use rating::{Cents, Currency};
use serde_json::json;
use test_stripe::Fault;

impl World {
    async fn payee(&self) -> String {
        let request = PayeeRequest {
            reference: "tnt_1".into(),
            country: "DE".into(),
        };
        self.stripe
            .create_payee(&key("payee_1"), &request)
            .await
            .unwrap()
            .id
    }
}

fn pay(payee: &str, cents: i64) -> TransferRequest {
    TransferRequest {
        reference: "pay_1".into(),
        payee: payee.into(),
        cents: Cents(cents),
        currency: Currency::EUR,
    }
}

#[tokio::test]
async fn a_payee_tells_who_it_is() {
    let w = World::new().await;
    let id = w.payee().await;
    assert_eq!(w.payee().await, id, "once");
    let payee = w.stripe.payee(&id).await.unwrap();
    assert!(!payee.transfers_enabled && !payee.payouts_enabled);
    assert_eq!(
        payee.requirements,
        ["external_account", "tos_acceptance.date"]
    );
    let url = w
        .stripe
        .onboarding_url(
            &id,
            "https://centwise.example/back",
            "https://centwise.example/again",
        )
        .await
        .unwrap();
    assert!(url.starts_with("https://connect.stripe.com/setup/"));

    let done = json!({"capabilities": {"transfers": "active"}, "payouts_enabled": true, "requirements": {"currently_due": []}});
    w.fake.account(&id, done);
    let payee = w.stripe.payee(&id).await.unwrap();
    assert!(payee.transfers_enabled && payee.payouts_enabled && payee.requirements.is_empty());
}

#[tokio::test]
async fn one_transfer_whatever_happens_to_the_answer() {
    let w = World::new().await;
    let id = w.payee().await;
    w.paid("top_1").await;
    let refused = w.stripe.transfer(&key("pay_0"), &pay(&id, 1000)).await;
    assert!(
        matches!(refused, Err(ProviderError::Refused { code, .. }) if code == "insufficient_capabilities_for_transfer")
    );
    w.fake
        .account(&id, json!({"capabilities": {"transfers": "active"}}));
    let refused = w.stripe.transfer(&key("pay_0"), &pay(&id, 1_000_000)).await;
    assert!(
        matches!(refused, Err(ProviderError::Refused { code, .. }) if code == "balance_insufficient")
    );

    for fault in [Fault::Lost, Fault::Timeout, Fault::Garbage] {
        w.fake.fault("/transfers", fault, 1);
        let transfer = w
            .stripe
            .transfer(&key("pay_1"), &pay(&id, 1000))
            .await
            .unwrap();
        assert_eq!(
            (transfer.cents, transfer.reference.as_deref()),
            (Cents(1000), Some("pay_1"))
        );
    }
    assert_eq!(w.fake.all("transfer").len(), 1);
}

#[tokio::test]
async fn a_transfer_is_taken_back_in_parts() {
    let w = World::new().await;
    let id = w.payee().await;
    w.fake
        .account(&id, json!({"capabilities": {"transfers": "active"}}));
    w.paid("top_1").await;
    let transfer = w
        .stripe
        .transfer(&key("pay_1"), &pay(&id, 1000))
        .await
        .unwrap();
    for (attempt, reversed) in [("rev_1", 400), ("rev_1", 400), ("rev_2", 800)] {
        let after = w
            .stripe
            .reverse_transfer(&key(attempt), &transfer.id, Cents(400), Currency::EUR)
            .await
            .unwrap();
        assert_eq!(after.reversed, Cents(reversed));
    }
    let refused = w
        .stripe
        .reverse_transfer(&key("rev_3"), &transfer.id, Cents(400), Currency::EUR)
        .await;
    assert!(refused.is_err_and(|error| error.is_definitive()));
    assert_eq!(
        w.stripe
            .transfer_by_id(&transfer.id)
            .await
            .unwrap()
            .reversed,
        Cents(800)
    );
}
