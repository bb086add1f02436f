//! Answers that are lost, late, unreadable, or no.

use crate::world::{World, charge, key, request};
use provider::{Provider as _, ProviderError};
use std::num::NonZeroU32;
use std::time::Duration;
use test_stripe::Fault;

const PASSING: [Fault; 7] = [
    Fault::Lost,
    Fault::Timeout,
    Fault::Garbage,
    Fault::Status(409),
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
];

#[tokio::test]
async fn one_object_whatever_happens_to_the_answer() {
    for fault in PASSING {
        let w = World::new().await;
        w.fake.fault("/checkout/sessions", fault, 2);
        w.checkout("top_1").await;
        let seen = w.fake.seen("POST", "/checkout/sessions");
        assert_eq!(seen.len(), 3, "{fault:?}");
        assert!(
            seen.iter()
                .all(|one| one.key.as_deref() == Some("top_1:0") && one.params == seen[0].params),
            "{fault:?}"
        );
        assert_eq!(w.fake.all("checkout.session").len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn one_charge_whatever_happens_to_the_answer() {
    for fault in PASSING {
        let w = World::with(|settings| settings.attempts_max = 2).await;
        let kept = w.kept("top_1").await;
        w.fake.fault("/payment_intents", fault, 2);
        let error = w
            .stripe
            .charge(&key("auto_1"), &charge("auto_1", &kept))
            .await
            .unwrap_err();
        assert!(
            matches!(error, ProviderError::Unknown(_)) && !error.is_definitive(),
            "{fault:?}: {error}"
        );
        // Later, after a restart perhaps: the same key.
        w.stripe
            .charge(&key("auto_1"), &charge("auto_1", &kept))
            .await
            .unwrap();
        assert_eq!(
            w.fake.all("charge").len(),
            2,
            "{fault:?}: the page's and this one"
        );
    }
}

#[tokio::test]
async fn reading_is_tried_again_too() {
    let w = World::new().await;
    let payment = w.paid("top_1").await;
    for path in ["/payment_intents", "/refunds", "/disputes"] {
        w.fake.fault(path, Fault::Status(500), 1);
    }
    assert_eq!(w.stripe.payment(&payment.id).await, Ok(payment));
}

#[tokio::test]
async fn a_no_is_not_asked_again() {
    let w = World::new().await;
    let statuses = [
        (
            400,
            ProviderError::Refused {
                code: "api_error".into(),
                detail: "injected".into(),
            },
        ),
        (401, ProviderError::Unauthorized),
        (403, ProviderError::Unauthorized),
        (404, ProviderError::NotFound),
    ];
    for (times, (status, expected)) in statuses.into_iter().enumerate() {
        w.fake.fault("/checkout/sessions", Fault::Status(status), 1);
        assert_eq!(
            w.stripe
                .create_checkout(&key("top_1"), &request("top_1"))
                .await,
            Err(expected)
        );
        assert_eq!(w.fake.seen("POST", "/checkout/sessions").len(), times + 1);
    }
    assert_eq!(
        w.stripe.session("cs_none").await,
        Err(ProviderError::NotFound)
    );
}

#[tokio::test]
async fn a_key_that_was_used_for_something_else_settles_nothing() {
    let w = World::new().await;
    w.checkout("top_1").await;
    let mut other = request("top_1");
    other.success_url = "https://elsewhere.example/".into();
    let error = w
        .stripe
        .create_checkout(&key("top_1"), &other)
        .await
        .unwrap_err();
    assert!(matches!(error, ProviderError::Unknown(_)), "{error}");
    assert_eq!(w.fake.all("checkout.session").len(), 1);
}

#[tokio::test]
async fn a_wrong_key_is_told() {
    let w = World::with(|settings| settings.secret_key = "rk_test_1".parse().unwrap()).await;
    assert_eq!(w.stripe.ping().await, Err(ProviderError::Unauthorized));
    assert_eq!(World::new().await.stripe.ping().await, Ok(()));
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone() {
    let w = World::with(|settings| settings.attempts_max = 3).await;
    w.fake.fault("/", Fault::Status(500), 1000);
    assert!(matches!(
        w.stripe.ping().await,
        Err(ProviderError::Unknown(_))
    ));
    assert!(
        matches!(w.stripe.ping().await, Err(ProviderError::Unknown(_))),
        "opened in the midst of it: something was sent"
    );
    let sent = w.fake.seen("GET", "/").len();
    for _ in 0..10 {
        assert!(matches!(
            w.stripe.ping().await,
            Err(ProviderError::NotSent(_))
        ));
    }
    assert_eq!(w.fake.seen("GET", "/").len(), sent);
}

#[tokio::test]
async fn refusals_and_crowds_are_no_outage() {
    let w = World::with(|settings| settings.attempts_max = 1).await;
    for status in [400, 404, 409, 429, 402, 400, 404, 409, 429, 402] {
        w.fake.fault("/balance", Fault::Status(status), 1);
        assert!(w.stripe.ping().await.is_err());
    }
    assert_eq!(w.stripe.ping().await, Ok(()));
}

#[tokio::test]
async fn it_stays_below_the_limit() {
    let w = World::with(|settings| settings.requests_per_sec = NonZeroU32::new(40)).await;
    let started = tokio::time::Instant::now();
    for _ in 0..30 {
        w.stripe.ping().await.unwrap();
    }
    // Ten at once, the others at 40 per second.
    assert!(
        started.elapsed() >= Duration::from_millis(480),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn nobody_there() {
    let w = World::with(|settings| settings.api_url = "http://127.0.0.1:1/".into()).await;
    assert!(matches!(
        w.stripe.ping().await,
        Err(ProviderError::Unknown(_))
    ));
}
