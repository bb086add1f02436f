//! Payments, `kill -9`, restart: each request has one page and each refund is made once, and every
//! cent that was paid lands once, whatever the server was at. The payer's requests are repeated as
//! a caller would, messages as Stripe would.
//!
//! Two rounds, and one on PostgreSQL (a round waits for the limit of calls to Stripe);
//! `KILL_ROUNDS=20` for more.

use crate::kill_rounds::{assert_sound, rounds, some_time};
use crate::process::Process;
use crate::served::Asking;
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use test_stripe::{Behaviour, Delivery, FakeStripe, Message};

const HERE: &str = "https://billing.example";
const PAYERS: usize = 4;
const PREPAID: i64 = 5000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Stripe, and what was asked of the server so far, by `Idempotency-Key`.
struct Shop {
    stripe: FakeStripe,
    top_ups: Mutex<BTreeMap<String, i64>>,
    /// The top-up and cents of each.
    refunds: Mutex<BTreeMap<String, (String, i64)>>,
    /// Top-ups of which nothing was given back.
    credited: Mutex<Vec<String>>,
    /// Messages that were not answered with 200.
    unheard: Mutex<Vec<Message>>,
}

fn now_secs() -> i64 {
    clock::Clock::system().now().micros() / 1_000_000
}

fn session_of(top_up: &Value) -> Option<String> {
    Some(top_up["url"].as_str()?.rsplit('/').next()?.to_owned())
}

impl Shop {
    async fn open() -> Arc<Self> {
        let stripe = FakeStripe::start(now_secs()).await.unwrap();
        Arc::new(Self {
            stripe,
            top_ups: Mutex::default(),
            refunds: Mutex::default(),
            credited: Mutex::default(),
            unheard: Mutex::default(),
        })
    }

    async fn server(&self, data_dir: &Path, database_url: Option<&str>) -> Process {
        let url = self.stripe.url();
        let settings = [
            ("CENTWISE_PUBLIC_URL", HERE),
            ("CENTWISE_STRIPE_SECRET_KEY", "sk_test_1"),
            ("CENTWISE_STRIPE_WEBHOOK_SECRETS", "whsec_1"),
            ("CENTWISE_STRIPE_API_URL", url.as_str()),
        ];
        Process::start_with(data_dir, database_url, &settings).await
    }

    /// Everything so far.
    fn asked(&self) -> (BTreeMap<String, i64>, BTreeMap<String, (String, i64)>) {
        (
            self.top_ups.lock().unwrap().clone(),
            self.refunds.lock().unwrap().clone(),
        )
    }

    /// `None`: the server is gone, and nobody knows what it did.
    async fn top_up(&self, asking: &Asking, key: &str, cents: i64) -> Option<Value> {
        let body = json!({ "tenant": "acme-42", "cents": cents, "method": "checkout" });
        let answer = asking
            .once(key)
            .ask(Method::POST, "/v1/top-ups", body.to_string().into())
            .await
            .ok()?;
        Some(answer.ok())
    }

    async fn refund(
        &self,
        asking: &Asking,
        key: &str,
        (top_up, cents): &(String, i64),
    ) -> Option<Value> {
        let body = json!({ "cents": cents, "reason": "goodwill" }).to_string();
        let answer = asking
            .once(key)
            .ask(
                Method::POST,
                &format!("/v1/top-ups/{top_up}/refunds"),
                body.into(),
            )
            .await
            .ok()?;
        Some(answer.ok())
    }

    /// What Stripe has to tell, and what it could not tell before.
    async fn tell(&self, asking: &Asking, copies: usize) {
        self.stripe.set_now(now_secs());
        let mut messages = std::mem::take(&mut *self.unheard.lock().unwrap());
        messages.extend(self.stripe.messages(&Delivery {
            copies,
            ..Delivery::signed(&["whsec_1"])
        }));
        for message in messages {
            let told = asking.with_key(None).signed(&message.signature);
            let answer = told
                .ask(
                    Method::POST,
                    "/v1/webhooks/stripe",
                    message.body.clone().into(),
                )
                .await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                continue;
            }
            self.unheard.lock().unwrap().push(message);
        }
    }

    /// Asks for pages and pays them, wants some of an earlier one back, until the server is gone.
    async fn pay_on(self: Arc<Self>, asking: Asking, name: String) -> Option<()> {
        for turn in 0.. {
            let (key, cents) = (format!("{name}-{turn}"), 1000 + 7 * turn);
            self.top_ups.lock().unwrap().insert(key.clone(), cents);
            let page = self.top_up(&asking, &key, cents).await?;
            self.stripe
                .pay(&session_of(&page).unwrap(), &Behaviour::Succeeds)
                .unwrap();
            self.tell(&asking, 1).await;
            let unwanted = self.credited.lock().unwrap().pop();
            if let Some(id) = unwanted {
                let (key, back) = (format!("{id}-back"), (id, 300));
                self.refunds
                    .lock()
                    .unwrap()
                    .insert(key.clone(), back.clone());
                self.refund(&asking, &key, &back).await?;
            }
        }
        Some(())
    }

    /// After a restart everything is asked for again under its key, and paid where that was still
    /// to be done.
    async fn again(&self, asking: &Asking) -> Vec<String> {
        let (top_ups, refunds) = self.asked();
        let mut ids = Vec::new();
        for (key, cents) in top_ups {
            let page = self.top_up(asking, &key, cents).await.unwrap();
            assert_eq!(page["cents"], cents);
            if let Some(session) = session_of(&page) {
                // Refused where it was paid before.
                let _paid = self.stripe.pay(&session, &Behaviour::Succeeds);
                // What the process that died had taken is not taken by others at once, unless the
                // payer comes back.
                let page = self.stripe.object(&session).unwrap()["success_url"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                assert_eq!(
                    asking
                        .with_key(None)
                        .get(page.strip_prefix(HERE).unwrap())
                        .await
                        .status,
                    200
                );
            }
            ids.push(page["id"].as_str().unwrap().to_owned());
        }
        for (key, back) in refunds {
            let refund = self.refund(asking, &key, &back).await.unwrap();
            assert_eq!(refund["cents"], back.1);
        }
        self.tell(asking, 2).await;
        ids
    }

    async fn check(&self, asking: &Asking, ids: &[String]) {
        let begun = Instant::now();
        for id in ids {
            while asking.get(&format!("/v1/top-ups/{id}")).await.ok()["state"] != "succeeded" {
                assert!(begun.elapsed() < PATIENCE, "{id} was never credited");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let untouched = |id: &&String| {
            !self
                .refunds
                .lock()
                .unwrap()
                .contains_key(&format!("{id}-back"))
        };
        *self.credited.lock().unwrap() = ids.iter().filter(untouched).cloned().collect();
        let (top_ups, refunds) = self.asked();
        assert_eq!(
            self.stripe.all("checkout.session").len(),
            top_ups.len(),
            "a page for each request"
        );
        assert_eq!(
            self.stripe.all("refund").len(),
            refunds.len(),
            "each refund once"
        );
        let paid: i64 = top_ups.values().sum();
        let back: i64 = refunds.values().map(|(_, cents)| cents).sum();
        let balance = asking.get("/v1/accounts/acme-42").await.ok()["posted_cents"]
            .as_i64()
            .unwrap();
        assert_eq!(balance, PREPAID + paid - back);
        let found = asking.get("/v1/payments/reconciliation?days=2").await.ok();
        assert_eq!(found["ok"], true, "{found}");
    }

    fn payers(
        self: &Arc<Self>,
        asking: &Asking,
        round: u64,
    ) -> Vec<tokio::task::JoinHandle<Option<()>>> {
        let one = |payer| {
            tokio::spawn(Arc::clone(self).pay_on(asking.clone(), format!("r{round}-p{payer}")))
        };
        (0..PAYERS).map(one).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cent_paid_lands_once_whenever_the_server_dies() {
    let data_dir = tempfile::tempdir().unwrap();
    let shop = Shop::open().await;
    let mut process = shop.server(data_dir.path(), None).await;
    for round in 0..rounds(2) {
        let payers = shop.payers(&process.admin, round);
        some_time(round).await;
        process.kill().await;
        for payer in payers {
            payer.await.unwrap();
        }
        process = shop.server(data_dir.path(), None).await;
        let ids = shop.again(&process.admin).await;
        shop.check(&process.admin, &ids).await;
        assert_sound(
            transfer::audit::verify_file(&data_dir.path().join("centwise.db"))
                .await
                .unwrap(),
        );
        println!(
            "round {}: {} top-ups and {} refunds so far",
            round + 1,
            ids.len(),
            shop.refunds.lock().unwrap().len()
        );
    }
    assert!(process.stop().await, "SIGTERM ends it well");
}

/// One of two servers dies; the other goes on with what it had begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cent_paid_lands_once_when_one_of_two_servers_on_postgres_dies() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let data_dir = tempfile::tempdir().unwrap();
    let shop = Shop::open().await;
    let url = Some(database.url());
    let mut processes = vec![
        shop.server(data_dir.path(), url).await,
        shop.server(data_dir.path(), url).await,
    ];
    for round in 0..rounds(1) {
        let payers = shop.payers(&processes[0].admin, round);
        some_time(round).await;
        processes.remove(0).kill().await;
        for payer in payers {
            payer.await.unwrap();
        }
        let ids = shop.again(&processes[0].admin).await;
        shop.check(&processes[0].admin, &ids).await;
        processes.push(shop.server(data_dir.path(), url).await);
    }
    let db = db::Db::open_postgres(database.url(), &db::PostgresOptions::default())
        .await
        .unwrap();
    assert_sound(transfer::audit::verify_database(&db).await.unwrap());
}
