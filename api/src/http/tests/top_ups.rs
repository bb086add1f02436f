//! Top-ups through the payment provider, from a payer's page to the balance, over a stand-in for
//! Stripe.

use super::Service;
use crate::config::Config;
use crate::payment_settings::PaymentSettings;
use payments::rows::PaymentRows;
use serde_json::{Value, json};
use test_stripe::{Behaviour, Delivery, FakeStripe, Message, Order};

/// A service that speaks to a stand-in, in the reference chain.
struct Paid {
    service: Service,
    stripe: FakeStripe,
}

impl Paid {
    async fn start() -> Self {
        let now: rating::Instant = super::NOW.parse().unwrap();
        let stripe = FakeStripe::start(now.micros() / 1_000_000).await.unwrap();
        let payments = PaymentSettings {
            public_url: Some("https://billing.example".to_owned()),
            stripe_secret_key: Some("sk_test_key".parse().unwrap()),
            stripe_webhook_secrets: vec![
                "whsec_old".parse().unwrap(),
                "whsec_new".parse().unwrap(),
            ],
            stripe_api_url: stripe.url(),
            ..PaymentSettings::default()
        };
        let service = Service::with(Config {
            payments,
            ..Config::default()
        })
        .await;
        service.seed().await;
        Self { service, stripe }
    }

    async fn page(&self, key: &str, cents: i64) -> Value {
        let asked =
            json!({"tenant": "acme-42", "cents": cents, "method": "checkout", "locale": "de"});
        self.service.post(key, "/v1/top-ups", asked).await.ok()
    }

    fn session(&self, page: &Value) -> String {
        page["url"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    }

    async fn tell(&self, message: &Message) -> u16 {
        let headers = [
            ("content-type", "application/json"),
            ("stripe-signature", message.signature.as_str()),
        ];
        self.service
            .with_headers(
                "",
                "POST",
                "/v1/webhooks/stripe",
                &headers,
                message.body.clone(),
            )
            .await
            .status
            .as_u16()
    }

    async fn tell_all(&self, delivery: &Delivery) {
        for message in self.stripe.messages(delivery) {
            assert_eq!(self.tell(&message).await, 200, "{}", message.kind);
        }
        self.work().await;
    }

    async fn work(&self) {
        while !self.service.app.payments.round().await.unwrap().is_idle() {}
    }

    async fn balance(&self) -> i64 {
        self.service
            .get(&self.service.admin, "/v1/accounts/acme-42")
            .await
            .ok()["posted_cents"]
            .as_i64()
            .unwrap()
    }

    async fn top_up(&self, page: &Value) -> Value {
        let path = format!("/v1/top-ups/{}", page["id"].as_str().unwrap());
        self.service.get(&self.service.admin, &path).await.ok()
    }

    async fn audited(&self) {
        for check in self.service.app.journal.verify().await.unwrap() {
            assert!(check.ok, "{check:?}");
        }
        let found = self
            .service
            .get(&self.service.admin, "/v1/payments/reconciliation?days=2")
            .await
            .ok();
        assert_eq!(found["ok"], true, "{found}");
    }
}

fn both() -> Delivery {
    Delivery::signed(&["whsec_new", "whsec_old"])
}

#[tokio::test]
async fn from_the_page_to_the_balance() {
    let paid = Paid::start().await;
    let own = paid.service.key("acme-42", "tenant_admin").await;
    let page = paid.page(&own, 2500).await;
    assert_eq!(
        (&page["state"], &page["cents"]),
        (&json!("pending"), &json!(2500))
    );
    let session = paid.session(&page);
    let sent = paid.stripe.object(&session).unwrap();
    assert_eq!(
        (&sent["locale"], &sent["client_reference_id"]),
        (&json!("de"), &page["id"])
    );
    paid.stripe.pay(&session, &Behaviour::Succeeds).unwrap();
    assert_eq!(paid.balance().await, 5000, "nothing was heard of it");
    // The payer comes back before any message.
    let path = sent["success_url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://billing.example")
        .unwrap()
        .to_owned();
    let shown = paid.service.get("", &path).await;
    assert!(
        shown.status.is_success() && shown.body.as_str().unwrap().contains("25,00"),
        "{}",
        shown.body
    );
    assert_eq!(paid.balance().await, 7500);
    let scrambled = Delivery {
        order: Order::Shuffled(7),
        copies: 3,
        ..both()
    };
    paid.tell_all(&scrambled).await;
    assert_eq!(paid.balance().await, 7500);
    let top_up = paid.top_up(&page).await;
    assert_eq!(
        (&top_up["state"], &top_up["credited_cents"], &top_up["url"]),
        (&json!("succeeded"), &json!(2500), &Value::Null)
    );
    let other = paid.service.key("muster", "tenant_read").await;
    let list = paid.service.get(&other, "/v1/top-ups").await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    paid.audited().await;
}

#[tokio::test]
async fn a_direct_debit_is_shown_and_not_spendable() {
    let paid = Paid::start().await;
    let admin = paid.service.admin.clone();
    for (ok, state, balance) in [(false, "failed", 5000), (true, "succeeded", 7500)] {
        let page = paid.page(&admin, 2500).await;
        let payment = paid
            .stripe
            .pay(&paid.session(&page), &Behaviour::Sepa)
            .unwrap();
        paid.tell_all(&both()).await;
        assert_eq!(
            (
                paid.top_up(&page).await["state"].as_str().unwrap(),
                paid.balance().await
            ),
            ("processing", 5000)
        );
        paid.stripe.settle(&payment, ok);
        paid.tell_all(&Delivery {
            order: Order::Backwards,
            ..both()
        })
        .await;
        assert_eq!(
            (
                paid.top_up(&page).await["state"].as_str().unwrap(),
                paid.balance().await
            ),
            (state, balance)
        );
    }
    paid.audited().await;
}

#[tokio::test]
async fn refunds_and_disputes_follow() {
    let paid = Paid::start().await;
    let admin = paid.service.admin.clone();
    let page = paid.page(&admin, 2500).await;
    let payment = paid
        .stripe
        .pay(&paid.session(&page), &Behaviour::Succeeds)
        .unwrap();
    paid.tell_all(&both()).await;
    let refunds = format!("/v1/top-ups/{}/refunds", page["id"].as_str().unwrap());
    let refund = paid
        .service
        .post(
            &admin,
            &refunds,
            json!({"cents": 1000, "reason": "cancelled"}),
        )
        .await
        .ok();
    assert_eq!(
        (&refund["state"], paid.balance().await),
        (&json!("succeeded"), 6500)
    );
    assert_eq!(
        paid.service
            .post(&admin, &refunds, json!({"cents": 1501, "reason": "more"}))
            .await
            .code(),
        (422, "amount_out_of_range")
    );
    assert_eq!(
        paid.service
            .post(&admin, &refunds, json!({"cents": 1, "reason": " "}))
            .await
            .code(),
        (422, "invalid_field")
    );
    let customer = paid.service.key("acme-42", "tenant_admin").await;
    assert_eq!(
        paid.service
            .post(&customer, &refunds, json!({"reason": "mine"}))
            .await
            .status,
        403,
        "nobody pays themselves back"
    );
    let there = paid.stripe.refund(&payment, 500).unwrap();
    paid.tell_all(&Delivery {
        order: Order::Backwards,
        copies: 2,
        ..both()
    })
    .await;
    assert_eq!(paid.balance().await, 6000);
    paid.stripe.end_refund(&there, "failed").unwrap();
    paid.tell_all(&both()).await;
    assert_eq!(paid.balance().await, 6500);
    let dispute = paid
        .stripe
        .dispute(&payment, Some(1500), "warning_needs_response")
        .unwrap();
    paid.tell_all(&both()).await;
    assert_eq!(paid.balance().await, 6500, "a question takes nothing");
    paid.stripe.withdraw(&dispute).unwrap();
    paid.stripe.close_dispute(&dispute, "lost").unwrap();
    paid.tell_all(&Delivery {
        order: Order::Shuffled(3),
        copies: 2,
        ..both()
    })
    .await;
    assert_eq!(paid.balance().await, 5000);
    paid.audited().await;
}

#[tokio::test]
async fn only_what_the_provider_signed_is_heard() {
    let paid = Paid::start().await;
    let page = paid.page(&paid.service.admin, 2500).await;
    paid.stripe
        .pay(&paid.session(&page), &Behaviour::Succeeds)
        .unwrap();
    let good = Delivery {
        keep: true,
        ..both()
    };
    let bad = [
        Delivery {
            tamper: true,
            ..good.clone()
        },
        Delivery {
            skew_secs: -301,
            ..good.clone()
        },
        Delivery {
            skew_secs: 301,
            ..good.clone()
        },
        Delivery {
            secrets: vec!["whsec_other".to_owned()],
            ..good.clone()
        },
        Delivery {
            secrets: vec![String::new()],
            ..good.clone()
        },
        Delivery {
            secrets: Vec::new(),
            ..good.clone()
        },
    ];
    for delivery in &bad {
        for message in paid.stripe.messages(delivery) {
            assert_eq!(paid.tell(&message).await, 400, "{delivery:?}");
        }
    }
    let message = paid.stripe.messages(&good).remove(0);
    let unsigned = paid
        .service
        .with_headers("", "POST", "/v1/webhooks/stripe", &[], message.body.clone())
        .await;
    assert_eq!(unsigned.code(), (400, "invalid_signature"));
    paid.work().await;
    assert_eq!(paid.balance().await, 5000);
    assert_eq!(
        PaymentRows::of(&paid.service.app.catalog)
            .inbox_look(rating::Instant(0))
            .await
            .unwrap()
            .last_heard_at,
        None,
        "nothing was kept"
    );
    // Either secret alone does, while one replaces the other.
    for secret in ["whsec_old", "whsec_new"] {
        paid.tell_all(&Delivery {
            keep: true,
            ..Delivery::signed(&[secret])
        })
        .await;
    }
    assert_eq!(paid.balance().await, 7500);
}

#[tokio::test]
async fn what_was_never_told_is_found() {
    let paid = Paid::start().await;
    let page = paid.page(&paid.service.admin, 2500).await;
    paid.stripe
        .pay(&paid.session(&page), &Behaviour::Succeeds)
        .unwrap();
    let dropped = paid.stripe.messages(&both());
    assert!(!dropped.is_empty());
    paid.service.app.payments.poll_if_due().await.unwrap();
    paid.work().await;
    assert_eq!(paid.balance().await, 7500);
    for message in &dropped {
        assert_eq!(paid.tell(message).await, 200, "late");
    }
    paid.work().await;
    assert_eq!(paid.balance().await, 7500);
    paid.audited().await;
}

#[tokio::test]
async fn what_cannot_be_asked_for() {
    let paid = Paid::start().await;
    let (service, admin) = (&paid.service, paid.service.admin.clone());
    let ask = |change: Value| {
        let mut asked = json!({"tenant": "acme-42", "cents": 2500, "method": "checkout"});
        asked
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let admin = admin.clone();
        async move { service.post(&admin, "/v1/top-ups", asked).await }
    };
    for (change, code) in [
        (json!({"cents": 999}), (422, "amount_out_of_range")),
        (json!({"cents": 100_001}), (422, "amount_out_of_range")),
        (json!({"currency": "CHF"}), (422, "currency_not_offered")),
        (json!({"locale": "it"}), (422, "invalid_field")),
        (
            json!({"success_url": "http://x.example"}),
            (422, "invalid_field"),
        ),
        (json!({"tenant": "platform"}), (422, "invalid_field")),
        (json!({"tenant": "nobody"}), (404, "not_found")),
        (json!({"method": "cash"}), (422, "invalid_field")),
    ] {
        assert_eq!(ask(change.clone()).await.code(), code, "{change}");
    }
    // Without a method it depends on who asks: the operator books by hand, the customer gets a
    // page.
    let plain = json!({"tenant": "acme-42", "cents": 2500});
    assert_eq!(
        service
            .post(&admin, "/v1/top-ups", plain.clone())
            .await
            .ok()["balance_cents"],
        7500
    );
    let own = service.key("acme-42", "tenant_admin").await;
    assert_eq!(
        service.post(&own, "/v1/top-ups", plain).await.ok()["state"],
        "pending"
    );
    assert_eq!(
        service
            .get("", "/pay/00000000000000000000000000000000/done")
            .await
            .status,
        404
    );
    assert_eq!(service.get("", "/pay/x/done").await.status, 404);
}

#[tokio::test]
async fn without_a_provider_money_is_booked_by_hand() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    let asked = json!({"tenant": "acme-42", "cents": 2500, "method": "checkout"});
    assert_eq!(
        service.post(&admin, "/v1/top-ups", asked).await.code(),
        (409, "payments_not_configured")
    );
    assert_eq!(
        service.get(&admin, "/v1/top-ups/terms").await.code(),
        (409, "payments_not_configured")
    );
    assert_eq!(
        service
            .with_headers("", "POST", "/v1/webhooks/stripe", &[], "{}".to_owned())
            .await
            .code(),
        (409, "payments_not_configured")
    );
    let by_hand = json!({"tenant": "acme-42", "cents": 2500, "method": "manual", "reason": "cash"});
    assert_eq!(
        service.post(&admin, "/v1/top-ups", by_hand).await.ok()["balance_cents"],
        7500
    );
    // Of a tenant without terms the provider is not what is missing.
    let new = json!({"external_id": "new", "kind": "customer", "name": "New", "parent": "muster"});
    service.post(&admin, "/v1/tenants", new).await.ok();
    let refused = service
        .post(
            &admin,
            "/v1/top-ups",
            json!({"tenant": "new", "cents": 2500, "reason": "cash"}),
        )
        .await;
    assert_eq!(
        refused.code(),
        (409, "no_agreement_in_force"),
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn a_balance_is_topped_up_by_itself() {
    let paid = Paid::start().await;
    let (service, admin, path) = (
        &paid.service,
        paid.service.admin.clone(),
        "/v1/accounts/acme-42/auto-top-up",
    );
    assert_eq!(service.get(&admin, path).await.ok()["state"], "off");
    let keeping =
        json!({"tenant": "acme-42", "cents": 1000, "method": "checkout", "save_method": true});
    assert_eq!(
        service
            .post(&admin, "/v1/top-ups", keeping.clone())
            .await
            .code(),
        (422, "auto_top_up_not_set")
    );
    let set = async |month_max: i64| {
        let terms = json!({"enabled": true, "threshold_cents": 1000, "amount_cents": 5000, "month_max_cents": month_max});
        service
            .with_headers(
                &admin,
                "PUT",
                path,
                &[("content-type", "application/json")],
                terms.to_string(),
            )
            .await
    };
    assert_eq!(set(4999).await.code(), (422, "invalid_field"));
    let shown = set(6000).await.ok();
    assert_eq!(
        (&shown["state"], &shown["has_method"]),
        (&json!("on"), &json!(false))
    );

    let page = service.post(&admin, "/v1/top-ups", keeping).await.ok();
    paid.stripe
        .pay(&paid.session(&page), &Behaviour::Succeeds)
        .unwrap();
    paid.tell_all(&both()).await;
    assert_eq!(service.get(&admin, path).await.ok()["has_method"], true);
    // By usage: nothing else starts a charge.
    let spent = json!({"id": "spent", "customer": "acme-42", "meter": "call", "quantity": "7500", "at": "2026-11-20T09:00:00Z", "destination": "+4930123456"});
    service.post(&admin, "/v1/usage-events", spent).await.ok();
    service.clock.set(service.clock.now().plus_secs(61));
    service.app.payments.auto_round().await.unwrap();
    assert_eq!(paid.balance().await, 6000);
    let shown = service.get(&admin, path).await.ok();
    assert_eq!(
        (&shown["month_spent_cents"], &shown["top_up"]),
        (&json!(5000), &Value::Null)
    );
    assert_eq!(
        service.get(&admin, "/v1/top-ups").await.ok()["data"][0]["origin"],
        "auto"
    );
    paid.audited().await;
}
