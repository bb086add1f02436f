//! The whole server against a peer that is not ours: a stand-in for Stripe in Python that checks
//! every request by the types of Stripe's official library and signs with it.
//! `tests/stripe_contract.sh` says where its Python is; without it there is nothing to test.

use crate::http_world::Market;
use crate::served::{Asking, Served};
use api::config::Config;
use api::payment_settings::PaymentSettings;
use hyper::{Method, body::Bytes};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::process::{Child, Command};
use web::state::App;

struct Billed {
    market: Market,
    control: Asking,
    _python: Child,
}

async fn free() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

impl Billed {
    async fn start(python: &str) -> Self {
        let (here, there) = (free().await, free().await);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/contract/fake_stripe.py");
        let hook = format!("http://{here}/v1/webhooks/stripe");
        let mut command = Command::new(python);
        let python = command
            .args([script, &there.port().to_string(), &hook, "whsec_a,whsec_b"])
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let control = Asking::new(there, "sk_test_1");
        while control
            .ask(Method::GET, "/v1/balance", Bytes::new())
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let payments = PaymentSettings {
            public_url: Some("https://billing.example".to_owned()),
            stripe_secret_key: Some("sk_test_1".parse().unwrap()),
            stripe_webhook_secrets: vec!["whsec_a".parse().unwrap(), "whsec_b".parse().unwrap()],
            stripe_api_url: format!("http://{there}"),
            ..PaymentSettings::default()
        };
        let market = Market::over(
            Served::with(Config {
                listen: here,
                payments,
                ..Config::default()
            })
            .await,
        )
        .await;
        Self {
            market,
            control,
            _python: python,
        }
    }

    fn app(&self) -> &App {
        &self.market.served.running.app
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        self.control.post(&format!("/_ctl/{path}"), body).await.ok()
    }

    async fn page(&self, key: &str, cents: i64) -> (String, String) {
        let asked =
            json!({"tenant": "acme-42", "cents": cents, "method": "checkout", "locale": "fr"});
        let page = self
            .market
            .admin()
            .once(key)
            .post("/v1/top-ups", asked)
            .await
            .ok();
        let session = page["url"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        (page["id"].as_str().unwrap().to_owned(), session)
    }

    /// Everything that waits there, shuffled, three times each, signed with both secrets; then
    /// worked off.
    async fn deliver(&self, seed: u64) {
        let told = self
            .control(
                "deliver",
                json!({"order": "shuffle", "seed": seed, "dup": 3}),
            )
            .await;
        for one in told["delivered"].as_array().unwrap() {
            assert_eq!(one["status"], 200, "{one}");
        }
        self.market.served.work_off_payments().await;
    }

    async fn charge_of(&self, session: &str) -> (String, String) {
        let session = self
            .control
            .get(&format!("/v1/checkout/sessions/{session}"))
            .await
            .ok();
        let payment = session["payment_intent"].as_str().unwrap().to_owned();
        let intent = self
            .control
            .get(&format!("/v1/payment_intents/{payment}"))
            .await
            .ok();
        (
            payment,
            intent["latest_charge"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    async fn balance(&self) -> i64 {
        self.market.admin().get("/v1/accounts/acme-42").await.ok()["posted_cents"]
            .as_i64()
            .unwrap()
    }

    async fn state(&self, top_up: &str) -> String {
        self.market
            .admin()
            .get(&format!("/v1/top-ups/{top_up}"))
            .await
            .ok()["state"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn audited(&self) {
        for check in transfer::audit::verify(self.app().catalog.db())
            .await
            .unwrap()
        {
            assert!(check.ok, "{check:?}");
        }
        let found = self
            .market
            .admin()
            .get("/v1/payments/reconciliation?days=2")
            .await
            .ok();
        assert_eq!(found["ok"], true, "{found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_tells_everything_shuffled_three_times_with_two_secrets() {
    let Ok(python) = std::env::var("CENTWISE_TEST_STRIPE_PYTHON") else {
        return;
    };
    let billed = Billed::start(&python).await;
    let before = billed.balance().await;
    // By card, by direct debit that arrives, by one that does not, and a page that runs out.
    let (card, sepa) = (
        billed.page("card", 2500).await,
        billed.page("sepa", 3000).await,
    );
    let (bad, late) = (
        billed.page("bad", 4000).await,
        billed.page("late", 1000).await,
    );
    for (page, method) in [(&card, "card"), (&sepa, "sepa"), (&bad, "sepa")] {
        billed
            .control(
                &format!("session/{}/pay", page.1),
                json!({"method": method}),
            )
            .await;
    }
    billed
        .control(&format!("session/{}/expire", late.1), json!({}))
        .await;
    billed.deliver(1).await;
    assert_eq!(
        (
            billed.balance().await - before,
            billed.state(&sepa.0).await.as_str()
        ),
        (2500, "processing")
    );
    billed
        .control(&format!("session/{}/settle", sepa.1), json!({"ok": true}))
        .await;
    billed
        .control(&format!("session/{}/settle", bad.1), json!({"ok": false}))
        .await;
    billed.deliver(2).await;
    assert_eq!(billed.balance().await - before, 5500);
    for (page, state) in [
        (&card, "succeeded"),
        (&sepa, "succeeded"),
        (&bad, "failed"),
        (&late, "expired"),
    ] {
        assert_eq!(billed.state(&page.0).await, state);
    }
    // Given back by us with the answer lost, then failed at the bank; then disputed, taken, and
    // given back.
    billed
        .control(
            "fault",
            json!({"path": "/v1/refunds", "mode": "lost", "n": 1}),
        )
        .await;
    let refunds = format!("/v1/top-ups/{}/refunds", card.0);
    let refund = billed
        .market
        .admin()
        .once("refund")
        .post(&refunds, json!({"cents": 1000, "reason": "goodwill"}))
        .await
        .ok();
    assert_eq!(refund["state"], "succeeded");
    let (_, charge) = billed.charge_of(&card.1).await;
    let made = billed
        .control
        .get(&format!("/v1/refunds?charge={charge}"))
        .await
        .ok()["data"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(made.len(), 1, "one refund, whatever was lost");
    billed.deliver(3).await;
    assert_eq!(billed.balance().await - before, 4500);
    billed
        .control(
            &format!("refund/{}/fail", made[0]["id"].as_str().unwrap()),
            json!({}),
        )
        .await;
    billed.deliver(4).await;
    assert_eq!(billed.balance().await - before, 5500);
    let (_, debit) = billed.charge_of(&sepa.1).await;
    let dispute = billed
        .control(
            &format!("charge/{debit}/dispute"),
            json!({"reason": "debit_not_authorized"}),
        )
        .await;
    billed.deliver(5).await;
    assert_eq!(billed.balance().await - before, 2500);
    billed
        .control(
            &format!("dispute/{}/close", dispute["id"].as_str().unwrap()),
            json!({"status": "won"}),
        )
        .await;
    billed.deliver(6).await;
    assert_eq!(billed.balance().await - before, 5500);
    billed.audited().await;
    for (what, change) in [
        ("tamper", json!({"tamper": true})),
        ("skew", json!({"skew": -400})),
        ("secret", json!({"secret": "whsec_x"})),
    ] {
        let page = billed.page(what, 1000).await;
        billed
            .control(
                &format!("session/{}/pay", page.1),
                json!({"method": "card"}),
            )
            .await;
        let told = billed.control("deliver", change).await;
        assert!(
            told["delivered"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["status"] == 400),
            "{what}: {told}"
        );
    }
    assert_eq!(
        billed.balance().await - before,
        5500,
        "what is not signed is not heard"
    );
}
