//! Pages on which somebody pays.

use crate::world::{NOW, World, key, request};
use provider::{
    CheckoutRequest, CustomerRequest, Fee, Method, PaymentStatus, Provider as _, ProviderError,
    SessionStatus,
};
use rating::{Cents, Currency, Instant};
use test_stripe::Behaviour;

fn euros(cents: i64) -> Fee {
    Fee {
        cents: Cents(cents),
        currency: Currency::EUR,
    }
}

#[tokio::test]
async fn a_page_paid_by_card() {
    let w = World::new().await;
    let page = w.checkout("top_1").await;
    assert_eq!(
        (page.status, page.cents, page.currency),
        (SessionStatus::Open, Cents(2500), Some(Currency::EUR))
    );
    assert!(
        page.url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://checkout.stripe.com/"))
    );
    assert_eq!(
        (page.reference.as_deref(), page.payment, page.live),
        (Some("top_1"), None, false)
    );
    assert_eq!(page.expires_at, Instant::from_secs(NOW + 3600));

    let id = w.fake.pay(&page.id, &Behaviour::Succeeds).unwrap();
    let page = w.stripe.session(&page.id).await.unwrap();
    assert_eq!(
        (page.status, page.payment.as_deref(), page.url),
        (SessionStatus::Complete, Some(id.as_str()), None)
    );
    assert_eq!(
        w.stripe
            .session_of(&id)
            .await
            .unwrap()
            .map(|found| found.id),
        Some(page.id)
    );

    let payment = w.stripe.payment(&id).await.unwrap();
    assert_eq!(
        (payment.status, payment.cents, payment.received),
        (PaymentStatus::Succeeded, Cents(2500), Cents(2500))
    );
    assert_eq!(
        (payment.reference.as_deref(), payment.currency, payment.live),
        (Some("top_1"), Currency::EUR, false)
    );
    let charge = payment.charge.unwrap();
    assert_eq!((charge.cents, charge.fees), (Cents(2500), vec![euros(62)]));
    assert!(charge.refunds.is_empty() && charge.disputes.is_empty());
    assert_eq!(w.stripe.payment_of(&charge.id).await, Ok(Some(id)));
}

#[tokio::test]
async fn what_a_page_is_asked_with() {
    let w = World::new().await;
    w.checkout("top_1").await;
    let seen = &w.fake.seen("POST", "/checkout/sessions")[0];
    assert_eq!(
        (seen.key.as_deref(), seen.version.as_deref()),
        (Some("top_1:0"), Some("2026-09-30.endive"))
    );
    let params = &seen.params;
    assert_eq!(params["adaptive_pricing"]["enabled"], "false");
    assert_eq!(
        params["allowed_payment_method_types"],
        serde_json::json!({"0": "card", "1": "sepa_debit"})
    );
    assert_eq!(params["locale"], "de");
    for metadata in [
        &params["metadata"],
        &params["payment_intent_data"]["metadata"],
    ] {
        assert_eq!(
            *metadata,
            serde_json::json!({"reference": "top_1"}),
            "nothing but the name of our row"
        );
    }
    assert!(
        params["payment_intent_data"]
            .get("setup_future_usage")
            .is_none()
            && params.get("customer_creation").is_none()
    );
}

#[tokio::test]
async fn a_direct_debit_takes_its_time() {
    let w = World::new().await;
    for (reference, ok) in [("top_1", true), ("top_2", false)] {
        let page = w.checkout(reference).await;
        let id = w.fake.pay(&page.id, &Behaviour::Sepa).unwrap();
        let payment = w.stripe.payment(&id).await.unwrap();
        assert_eq!(
            (payment.status, payment.received),
            (PaymentStatus::Processing, Cents::ZERO)
        );
        assert_eq!(
            w.stripe.session(&page.id).await.unwrap().status,
            SessionStatus::Complete
        );

        w.fake.settle(&id, ok);
        let payment = w.stripe.payment(&id).await.unwrap();
        if ok {
            assert_eq!(
                (payment.status, payment.received),
                (PaymentStatus::Succeeded, Cents(2500))
            );
            assert_eq!(payment.charge.unwrap().fees, [euros(35)]);
        } else {
            assert_eq!(
                (payment.status, payment.received, payment.charge),
                (PaymentStatus::Open, Cents::ZERO, None)
            );
            assert_eq!(
                payment.failure.unwrap().reason.as_deref(),
                Some("insufficient_funds")
            );
        }
    }
}

#[tokio::test]
async fn a_vain_attempt_is_not_the_end() {
    let w = World::new().await;
    let page = w.checkout("top_1").await;
    let id = w.fake.try_to_pay(&page.id).unwrap();
    let payment = w.stripe.payment(&id).await.unwrap();
    assert_eq!(
        (payment.status, payment.failure.unwrap().code.as_str()),
        (PaymentStatus::Open, "card_declined")
    );
    assert_eq!(
        w.stripe.session(&page.id).await.unwrap().status,
        SessionStatus::Open
    );

    assert_eq!(
        w.fake.pay(&page.id, &Behaviour::Succeeds).unwrap(),
        id,
        "the same payment"
    );
    let payment = w.stripe.payment(&id).await.unwrap();
    assert_eq!(
        (payment.status, payment.failure),
        (PaymentStatus::Succeeded, None)
    );
}

#[tokio::test]
async fn expired_or_paid_the_page_decides() {
    let w = World::new().await;
    let (open, paid) = (w.checkout("top_1").await, w.checkout("top_2").await);
    assert_eq!(
        w.stripe.expire_session(&open.id).await.unwrap().status,
        SessionStatus::Expired
    );
    assert_eq!(
        w.stripe.expire_session(&open.id).await.unwrap().status,
        SessionStatus::Expired,
        "again"
    );
    w.fake.pay(&paid.id, &Behaviour::Succeeds).unwrap();
    assert_eq!(
        w.stripe.expire_session(&paid.id).await.unwrap().status,
        SessionStatus::Complete
    );
}

#[tokio::test]
async fn other_currencies_and_what_cannot_be_paid() {
    let w = World::new().await;
    let in_currency = |reference: &str, cents: i64, code: &str| CheckoutRequest {
        cents: Cents(cents),
        currency: code.parse().unwrap(),
        ..request(reference)
    };
    let page = w
        .stripe
        .create_checkout(&key("isk"), &in_currency("isk", 1500, "ISK"))
        .await
        .unwrap();
    assert_eq!(
        (
            page.cents,
            w.fake.object(&page.id).unwrap()["amount_total"].as_i64()
        ),
        (Cents(1500), Some(150_000))
    );
    let seen = &w.fake.seen("POST", "/checkout/sessions")[0].params;
    assert_eq!(
        seen["allowed_payment_method_types"],
        serde_json::json!({"0": "card"}),
        "SEPA is for euros"
    );

    let sepa_only = CheckoutRequest {
        methods: vec![Method::SepaDebit],
        ..in_currency("chf", 1500, "CHF")
    };
    for wrong in [
        in_currency("iqd", 1000, "IQD"),
        in_currency("kwd", 1234, "KWD"),
        sepa_only,
    ] {
        let refused = w
            .stripe
            .create_checkout(&key(&wrong.reference), &wrong)
            .await
            .unwrap_err();
        assert!(refused.is_definitive(), "{refused}");
    }
    assert_eq!(
        w.fake.seen("POST", "/checkout/sessions").len(),
        1,
        "what cannot be said is not asked"
    );
}

#[tokio::test]
async fn a_page_of_a_customer_who_is_known() {
    let w = World::new().await;
    let wanted = CustomerRequest {
        reference: "acc_1".into(),
    };
    let customer = w
        .stripe
        .create_customer(&key("acc_1"), &wanted)
        .await
        .unwrap();
    assert_eq!(
        w.stripe.create_customer(&key("acc_1"), &wanted).await,
        Ok(customer.clone()),
        "once"
    );
    let page = CheckoutRequest {
        customer: Some(customer.clone()),
        save_method: true,
        locale: Some("it".into()),
        ..request("top_1")
    };
    let page = w
        .stripe
        .create_checkout(&key("top_1"), &page)
        .await
        .unwrap();
    assert_eq!(page.customer, Some(customer));
    let seen = &w.fake.seen("POST", "/checkout/sessions")[0].params;
    assert_eq!(
        (
            &seen["payment_intent_data"]["setup_future_usage"],
            &seen["locale"]
        ),
        (&"off_session".into(), &"auto".into())
    );

    let stranger = CheckoutRequest {
        customer: Some("cus_gone".into()),
        ..request("top_2")
    };
    let refused = w.stripe.create_checkout(&key("top_2"), &stranger).await;
    assert!(
        matches!(refused, Err(ProviderError::Refused { code, .. }) if code == "resource_missing")
    );
}
