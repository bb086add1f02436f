//! Charges of kept methods while nobody is there.

use crate::world::{World, charge, key};
use provider::{CallKey, PaymentStatus, Provider as _, ProviderError};
use rating::Cents;
use test_stripe::Behaviour;

#[tokio::test]
async fn a_kept_method_is_charged_once_per_key() {
    let w = World::new().await;
    let kept = w.kept("top_1").await;
    let payment = w
        .stripe
        .charge(&key("auto_1"), &charge("auto_1", &kept))
        .await
        .unwrap();
    assert_eq!(
        (payment.status, payment.received),
        (PaymentStatus::Succeeded, Cents(5000))
    );
    assert_eq!(
        (payment.reference.as_deref(), payment.method.as_ref()),
        (Some("auto_1"), Some(&kept.1))
    );
    assert_eq!(
        w.stripe
            .charge(&key("auto_1"), &charge("auto_1", &kept))
            .await
            .unwrap()
            .id,
        payment.id
    );
    assert_eq!(w.fake.all("charge").len(), 2, "the page's and this one");
    let seen = &w.fake.seen("POST", "/payment_intents")[0].params;
    assert_eq!(
        (&seen["off_session"], &seen["confirm"]),
        (&"true".into(), &"true".into())
    );
}

#[tokio::test]
async fn what_a_refusal_means() {
    let w = World::new().await;
    let kept = w.kept("top_1").await;
    // Behaviour, is_hard, needs_payer
    let cases = [
        (
            Behaviour::Declines("card_declined", "insufficient_funds"),
            false,
            false,
        ),
        (
            Behaviour::Declines("card_declined", "do_not_honor"),
            false,
            false,
        ),
        (
            Behaviour::Declines("card_declined", "lost_card"),
            true,
            false,
        ),
        (
            Behaviour::Declines("expired_card", "expired_card"),
            true,
            false,
        ),
        (Behaviour::NeedsPayer, false, true),
    ];
    for (idempotency_epoch, (behaviour, is_hard, needs_payer)) in cases.into_iter().enumerate() {
        w.fake.behave(&kept.1, behaviour.clone());
        let key = CallKey(format!("auto_1:{idempotency_epoch}"));
        for _ in 0..2 {
            let error = w
                .stripe
                .charge(&key, &charge("auto_1", &kept))
                .await
                .unwrap_err();
            let ProviderError::Declined(decline) = &error else {
                panic!("{error}")
            };
            assert_eq!(
                (decline.is_hard, decline.needs_payer),
                (is_hard, needs_payer),
                "{behaviour:?}"
            );
            assert!(error.is_definitive());
        }
    }
    assert_eq!(
        w.fake.all("payment_intent").len(),
        1 + 5,
        "asked again under the same key, it is the same refusal"
    );
    w.fake.behave(&kept.1, Behaviour::Succeeds);
    assert!(
        w.stripe
            .charge(&CallKey("auto_1:5".into()), &charge("auto_1", &kept))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_kept_direct_debit() {
    let w = World::new().await;
    let (customer, _) = w.kept("top_1").await;
    let kept = (
        customer.clone(),
        w.fake.saved_method(&customer, Behaviour::Sepa),
    );
    let payment = w
        .stripe
        .charge(&key("auto_1"), &charge("auto_1", &kept))
        .await
        .unwrap();
    assert_eq!(payment.status, PaymentStatus::Processing);
    w.fake.settle(&payment.id, true);
    assert_eq!(
        w.stripe.payment(&payment.id).await.unwrap().received,
        Cents(5000)
    );
}

#[tokio::test]
async fn a_method_or_customer_that_is_gone_is_refused() {
    let w = World::new().await;
    let (first, second) = (w.kept("top_1").await, w.kept("top_2").await);
    w.fake.detach(&first.1).unwrap();
    w.fake.delete_customer(&second.0).unwrap();
    for (reference, kept) in [("auto_1", first), ("auto_2", second)] {
        let error = w
            .stripe
            .charge(&key(reference), &charge(reference, &kept))
            .await
            .unwrap_err();
        assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_after_a_charge_is_no_refusal() {
    let w = World::new().await;
    let kept = w.kept("top_1").await;
    w.fake
        .fault("/payment_intents/", test_stripe::Fault::Status(404), 1);
    let error = w
        .stripe
        .charge(&key("auto_1"), &charge("auto_1", &kept))
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Unknown(_)), "{error}");
    assert_eq!(
        w.stripe
            .charge(&key("auto_1"), &charge("auto_1", &kept))
            .await
            .unwrap()
            .received,
        Cents(5000)
    );
    assert_eq!(w.fake.all("charge").len(), 2);
}
