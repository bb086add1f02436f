//! Commission paid out by bank transfer: a file for the bank, and what people say became of it.

use crate::cashier::{Cashier, told};
use crate::http_world::{Market, on_every_database};
use crate::world::{Backend, on_every_journal};
use catalog::CatalogError;
use payouts::rows::{Payout, PayoutMethod, PayoutRows, PayoutSettings};
use payouts::{Error, bank_account};
use serde_json::{Value, json};
use std::sync::Arc;

on_every_journal!(
    a_file_is_made_once_and_paid_together,
    what_the_bank_sends_back_is_due_again,
    paid_is_said_many_times_and_posted_once
);

const IBAN: &str = "DE89370400440532013000";

impl Cashier {
    /// The platform's account, and muster's; one payout is due.
    async fn with_banks(backend: Backend) -> Self {
        let cashier = Self::in_december(backend, PayoutMethod::Bank).await;
        cashier.bank_of("muster", "Müller & Söhne", IBAN).await;
        cashier.run(false).await;
        cashier
    }

    async fn bank_of(&self, tenant: &str, holder: &str, iban: &str) {
        let tenant = self.world.tenant(tenant);
        let stored = PayoutRows::of(&self.world.catalog)
            .payout_settings(tenant.id)
            .await
            .unwrap();
        let fresh = payouts::default_settings(&tenant, rating::Currency::EUR, PayoutMethod::Bank);
        let bank = Some(bank_account(holder, iban, None).unwrap());
        let settings = PayoutSettings {
            bank,
            ..stored.unwrap_or(fresh)
        };
        PayoutRows::of(&self.world.catalog)
            .put_payout_settings(&self.world.actor(), &settings)
            .await
            .unwrap();
    }

    async fn file(&self) -> Result<String, Error> {
        let made = self
            .payouts
            .make_file(&self.world.actor(), None, self.world.now())
            .await?;
        let skipped: Vec<&str> = made.skipped.iter().map(|one| one.why.as_str()).collect();
        Ok(format!(
            "{} of {} cents, skipped: {}",
            made.payouts.len(),
            made.file.cents,
            skipped.join(", ")
        ))
    }

    async fn last(&self) -> Payout {
        self.all().await.pop().unwrap()
    }

    async fn say_paid(&self, payout: &Payout, reference: &str) -> String {
        told(
            self.payouts
                .mark_paid(&self.world.actor(), payout, reference, self.world.now())
                .await,
        )
    }

    async fn say_failed(&self, payout: &Payout) -> String {
        told(
            self.payouts
                .mark_failed(
                    &self.world.actor(),
                    payout,
                    "account closed",
                    self.world.now(),
                )
                .await,
        )
    }
}

async fn a_file_is_made_once_and_paid_together(backend: Backend) {
    let cashier = Cashier::with_banks(backend).await;
    assert!(
        cashier
            .file()
            .await
            .unwrap_err()
            .to_string()
            .contains("no bank account to pay from")
    );
    cashier
        .bank_of("platform", "Plattform GmbH", "FR1420041010050500013M02606")
        .await;
    assert_eq!(cashier.file().await.unwrap(), "1 of 300 cents, skipped: ");
    assert!(
        cashier
            .file()
            .await
            .unwrap_err()
            .to_string()
            .contains("no payout by bank is due")
    );
    let paying = cashier.last().await;
    assert_eq!(told(Ok(paying.clone())), "Paying 300 #1");
    // The balance is debited from the moment on at which the bank may act.
    cashier
        .world
        .accounts("acme-42 3800, acme-43 5000, revenue of muster 900, external of muster -9700")
        .await;
    let file = PayoutRows::of(&cashier.world.catalog)
        .payout_file(paying.file.unwrap())
        .await
        .unwrap()
        .unwrap();
    for part in [
        "<CtrlSum>3.00</CtrlSum>",
        "<NbOfTxs>1</NbOfTxs>",
        "<InstdAmt Ccy=\"EUR\">3.00</InstdAmt>",
        "<Nm>Mueller + Soehne</Nm>",
        "<Nm>Plattform GmbH</Nm>",
        "<Dt>2026-12-21</Dt>",
        "<CreDtTm>2026-12-20T12:00:00Z</CreDtTm>",
        "<Ustrd>Commission 2026-11 pyt-",
    ] {
        assert!(file.xml.contains(part), "{part} in {}", file.xml);
    }
    assert_eq!(file.xml.matches(IBAN).count(), 1);
    let mark = async || {
        cashier
            .payouts
            .mark_file_paid(
                &cashier.world.actor(),
                file.id,
                "statement 47",
                cashier.world.now(),
            )
            .await
            .unwrap()
    };
    assert_eq!(mark().await.len(), 1);
    assert_eq!(
        mark().await[0].reference.as_deref(),
        Some("statement 47"),
        "said again"
    );
    assert_eq!(cashier.state().await, "Paid 300 #1");
    assert_eq!(cashier.pay(&cashier.one().await).await, "payout_state");
    cashier
        .world
        .accounts("acme-42 3800, acme-43 5000, revenue of muster 900, external of muster -9700")
        .await;
    // Nothing that people read names an account in full.
    let log = cashier
        .world
        .catalog
        .audit_log(
            &cashier.world.platform,
            &catalog::AuditFilter::default(),
            None,
            1000,
        )
        .await
        .unwrap();
    assert!(!format!("{log:?} {paying:?} {file:?}").contains(IBAN));
    assert!(format!("{log:?}").contains("DE89…3000"));
    assert_eq!(cashier.payer.calls(), 0);
}

async fn what_the_bank_sends_back_is_due_again(backend: Backend) {
    let cashier = Cashier::with_banks(backend).await;
    cashier.bank_of("platform", "Plattform GmbH", IBAN).await;
    assert_eq!(
        cashier.pay(&cashier.one().await).await,
        "payout_state",
        "it goes out with the next file"
    );
    cashier.file().await.unwrap();
    assert_eq!(
        cashier.say_failed(&cashier.last().await).await,
        "Failed 300 #1 (account closed)"
    );
    cashier
        .world
        .accounts(
            "acme-42 3800, acme-43 5000, revenue of muster 900, muster 300, \
        external of muster -10000",
        )
        .await;
    assert_eq!(
        cashier.say_failed(&cashier.last().await).await,
        "payout_state"
    );
    assert_eq!(cashier.pay(&cashier.one().await).await, "Due 300 #2");
    assert_eq!(cashier.file().await.unwrap(), "1 of 300 cents, skipped: ");
    assert_eq!(
        cashier
            .say_paid(&cashier.last().await, "statement 48")
            .await,
        "Paid 300 #2"
    );
    // The bank may send it back weeks later.
    cashier.world.pass(20 * 86_400);
    assert_eq!(
        cashier.say_failed(&cashier.last().await).await,
        "Failed 300 #2 (account closed)"
    );
    cashier
        .world
        .accounts(
            "acme-42 3800, acme-43 5000, revenue of muster 900, muster 300, \
        external of muster -10000",
        )
        .await;
    let actor = cashier.world.actor();
    assert!(
        told(cashier.payouts.cancel(&actor, &cashier.last().await).await).starts_with("Canceled")
    );
    // What is spent when the file is made is left out of it.
    cashier.earn(1).await;
    cashier.world.pass(20 * 86_400);
    assert_eq!(
        cashier.run(false).await,
        ["muster 2026-12 created 300, 0 carried"]
    );
    cashier
        .world
        .move_money(
            metering::requests::MoneyKind::Adjustment,
            "muster",
            -200,
            rating::Currency::EUR,
            "spent",
        )
        .await
        .unwrap();
    let none = cashier.file().await.unwrap_err().to_string();
    assert!(
        none.contains("the balance has only 200 of the 300 cents"),
        "{none}"
    );
    assert_eq!(told(Ok(cashier.last().await)), "Due 300 #1");
}

async fn paid_is_said_many_times_and_posted_once(backend: Backend) {
    let cashier = Arc::new(Cashier::with_banks(backend).await);
    let due = cashier.one().await;
    let mut saying = Vec::new();
    for _ in 0..16 {
        let (cashier, due) = (Arc::clone(&cashier), due.clone());
        saying.push(tokio::spawn(async move {
            cashier
                .payouts
                .mark_paid(&cashier.world.actor(), &due, "by hand", cashier.world.now())
                .await
        }));
    }
    for said in saying {
        match said.await.unwrap() {
            Ok(_)
            | Err(
                Error::Busy | Error::Refused(_) | Error::Catalog(CatalogError::Conflict { .. }),
            ) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let now_so = cashier.one().await;
    assert_eq!(cashier.say_paid(&now_so, "by hand").await, "Paid 300 #1");
    cashier
        .world
        .accounts("acme-42 3800, acme-43 5000, revenue of muster 900, external of muster -9700")
        .await;
}

mod served {
    use super::*;

    on_every_database!(an_operator_pays_a_month_over_http);

    async fn by_bank(admin: &crate::served::Asking, tenant: &str, holder: &str) -> Value {
        let bank = json!({ "holder": holder, "iban": "DE89 3704 0044 0532 0130 00" });
        let change = json!({ "method": "bank", "minimum_cents": 100, "bank": bank });
        admin
            .ask(
                hyper::Method::PATCH,
                &format!("/v1/tenants/{tenant}/payout-settings"),
                change.to_string().into(),
            )
            .await
            .unwrap()
            .ok()
    }

    async fn an_operator_pays_a_month_over_http(market: Market) {
        let call = |id: &str| crate::http_world::call(id, "acme-43", "600");
        market
            .by("muster admin")
            .post("/v1/usage-events", call("one"))
            .await
            .ok();
        market
            .by("muster admin")
            .post("/v1/usage-events", call("two"))
            .await
            .ok();
        market.served.set_clock("2026-12-20T12:00:00Z");
        let (admin, muster, agent) = (
            market.admin(),
            market.by("muster read"),
            market.by("agent admin"),
        );
        assert_eq!(
            by_bank(admin, "platform", "Plattform GmbH").await["bank"]["iban"],
            "DE89…3000"
        );
        assert_eq!(
            by_bank(admin, "muster", "Muster Telecom").await["stored"],
            true
        );
        let payable = muster
            .get("/v1/commissions/payable?reseller=muster")
            .await
            .ok();
        let told = [
            "period",
            "accrued_cents",
            "paid_out_cents",
            "payable_cents",
            "carried_cents",
        ]
        .map(|name| payable[name].to_string());
        assert_eq!(told, ["\"2026-11\"", "200", "0", "200", "0"]);
        assert_eq!(
            admin
                .post("/v1/payouts/run", json!({ "dry_run": true }))
                .await
                .ok()["data"][0]["outcome"],
            "would_be_created"
        );
        let run = admin.post("/v1/payouts/run", json!({})).await.ok();
        assert_eq!(
            (
                &run["data"][0]["outcome"],
                &run["data"][0]["payout"]["cents"]
            ),
            (&json!("created"), &json!(200))
        );
        let payout = run["data"][0]["payout"]["id"].as_str().unwrap().to_owned();
        let again = admin
            .post("/v1/payouts", json!({ "reseller": "muster" }))
            .await;
        assert_eq!((again.status, &again.body["id"]), (200, &json!(payout)));
        let later = admin
            .post(
                "/v1/payouts",
                json!({ "reseller": "muster", "period": "2026-12" }),
            )
            .await;
        assert_eq!(later.code(), "409 held_back");
        let nameless = admin.post("/v1/payouts/sepa-file", json!({})).await;
        assert_eq!(
            nameless.code(),
            "400 missing_idempotency_key",
            "a retry would make another"
        );
        let holiday = admin
            .once("file-0")
            .post(
                "/v1/payouts/sepa-file",
                json!({ "execution_on": "2026-12-25" }),
            )
            .await;
        assert_eq!(
            (holiday.code().as_str(), &holiday.body["field"]),
            ("422 invalid_field", &json!("execution_on"))
        );
        assert!(
            holiday.body["detail"]
                .as_str()
                .unwrap()
                .contains("expected 2026-12-28"),
            "{holiday:?}"
        );
        let file = admin
            .once("file-1")
            .post(
                "/v1/payouts/sepa-file",
                json!({ "execution_on": "2026-12-22" }),
            )
            .await
            .ok();
        assert_eq!(
            (&file["cents"], &file["payouts"][0]["state"]),
            (&json!(200), &json!("paying"))
        );
        let replayed = admin
            .once("file-1")
            .post(
                "/v1/payouts/sepa-file",
                json!({ "execution_on": "2026-12-22" }),
            )
            .await
            .ok();
        assert_eq!(replayed["id"], file["id"]);
        let path = format!("/v1/payouts/sepa-file/{}", file["id"].as_str().unwrap());
        let xml = admin.get(&path).await;
        assert!(
            xml.status == 200
                && xml.text.contains("pain.001.001.09")
                && xml.text.contains("<Dt>2026-12-22</Dt>"),
            "{xml:?}"
        );
        assert_eq!(muster.get(&path).await.code(), "403 forbidden");
        let paid = admin
            .post(
                &format!("{path}/paid"),
                json!({ "reference": "statement 47" }),
            )
            .await
            .ok();
        assert_eq!(paid["payouts"][0]["state"], "paid");
        assert_eq!(
            muster.get(&format!("/v1/payouts/{payout}")).await.ok()["reference"],
            "statement 47"
        );
        assert_eq!(
            agent.get(&format!("/v1/payouts/{payout}")).await.code(),
            "404 not_found"
        );
        assert_eq!(
            muster.get("/v1/payouts?state=paid").await.ok()["data"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(agent.get("/v1/payouts").await.ok()["data"], json!([]));
        let statement = muster
            .get("/v1/commissions/statement?reseller=muster&month=2026-12")
            .await
            .ok();
        assert_eq!(
            (
                &statement["opening_cents"],
                &statement["closing_cents"],
                &statement["closed"]
            ),
            (&json!(200), &json!(0), &json!(false))
        );
        assert_eq!(statement["data"][0]["kind"], "payout");
        let csv = muster
            .get("/v1/commissions/statement?reseller=muster&month=2026-11&format=csv")
            .await
            .text;
        let kinds: Vec<&str> = csv
            .lines()
            .map(|line| line.split(',').nth(1).unwrap())
            .collect();
        assert_eq!(
            kinds,
            ["kind", "opening", "usage", "usage", "closing"],
            "{csv}"
        );
        assert!(
            csv.lines()
                .last()
                .unwrap()
                .starts_with("2026-12-01T00:00:00Z,closing,,200,"),
            "{csv}"
        );
        let link = json!({ "return_url": "https://console.example/", "country": "DE" });
        let link = admin.post("/v1/tenants/muster/payee", link).await.ok();
        assert!(
            link["url"]
                .as_str()
                .unwrap()
                .starts_with("https://connect.stripe.com/"),
            "{link}"
        );
        assert_eq!(link["payee"]["transfers_enabled"], false);
    }
}
