//! An old backup is restored: what happened since is not in it, and is neither paid twice nor lost
//! for ever.

use crate::backup::{run, text, well};
use crate::http_world::{Market, call, on_every_database};
use crate::receiver::Receiver;
use crate::served::{Asking, Served};
use notices::rows::NoticeRows;
use serde_json::{Value, json};

on_every_database!(
    what_was_paid_since_is_not_paid_again,
    what_was_paid_since_is_entered_as_it_was,
    a_backup_of_a_held_database_lacks_what_the_first_one_lacks,
    nobody_is_told_before_it_was_looked_through,
);

const DECEMBER: &str = "2026-12-20T12:00:00Z";
const EVENTS: usize = 1000;

/// Of the bank, for a payout.
async fn settle(admin: &Asking, tenant: &str) {
    let bank = json!({ "holder": "A bank", "iban": "DE89370400440532013000" });
    let settings = json!({ "method": "bank", "minimum_cents": 100, "bank": bank });
    let path = format!("/v1/tenants/{tenant}/payout-settings");
    admin
        .ask(hyper::Method::PATCH, &path, settings.to_string().into())
        .await
        .unwrap()
        .ok();
}

async fn top_up(admin: &Asking) {
    let cash = json!({ "tenant": "acme-42", "cents": 90_000, "currency": "EUR", "reason": "cash" });
    admin
        .once("cash-since")
        .post("/v1/top-ups", cash)
        .await
        .ok();
}

async fn calls(switch: &Asking) -> Vec<Value> {
    let events: Vec<Value> = (0..EVENTS)
        .map(|n| call(&format!("since-{n}"), "acme-42", "60"))
        .collect();
    let answer = switch.post("/v1/usage-events", json!(events)).await.ok();
    answer["data"].as_array().unwrap().clone()
}

async fn balances(admin: &Asking) -> Vec<Value> {
    let mut found = Vec::new();
    for account in [
        "acme-42?currency=EUR",
        "acme-43?currency=EUR",
        "muster?currency=EUR",
        "muster?account=revenue&currency=EUR",
    ] {
        found
            .push(admin.get(&format!("/v1/accounts/{account}")).await.ok()["posted_cents"].clone());
    }
    found
}

/// Muster's month as it was told.
async fn november(admin: &Asking) -> Value {
    admin
        .get("/v1/commissions/statement?reseller=muster&month=2026-11")
        .await
        .ok()
}

/// Muster's month, as a payout that the bank has paid.
async fn paid_by_bank(admin: &Asking, cents: i64, statement: &str) {
    let payout = admin
        .post("/v1/payouts", json!({ "reseller": "muster" }))
        .await
        .ok();
    assert_eq!(payout["cents"], cents);
    let file = admin
        .once("file-1")
        .post("/v1/payouts/sepa-file", json!({}))
        .await
        .ok();
    let path = format!(
        "/v1/payouts/sepa-file/{}/paid",
        file["id"].as_str().unwrap()
    );
    admin
        .post(&path, json!({ "reference": statement }))
        .await
        .ok();
}

async fn what_was_paid_since_is_not_paid_again(market: Market) {
    let (dir, admin) = (tempfile::tempdir().unwrap(), market.admin());
    let backup = dir.path().join("one.tar");
    market
        .by("muster admin")
        .post("/v1/usage-events", call("one", "acme-43", "600"))
        .await
        .ok();
    market.served.set_clock(DECEMBER);
    settle(admin, "platform").await;
    settle(admin, "muster").await;
    let lost = admin
        .post(
            "/v1/api-keys",
            json!({ "name": "stolen", "tenant": "muster", "scope": "usage_write" }),
        )
        .await
        .ok();
    well(&run(&[&["backup", text(&backup)][..], &market.served.option()].concat()).await);

    paid_by_bank(admin, 100, "statement 47").await;
    let (stolen, secret) = (
        lost["id"].as_str().unwrap(),
        lost["secret"].as_str().unwrap(),
    );
    admin
        .post(&format!("/v1/api-keys/{stolen}/revoke"), json!({}))
        .await
        .ok();
    let new = admin
        .post(
            "/v1/api-keys",
            json!({ "name": "new", "tenant": "muster", "scope": "usage_write" }),
        )
        .await
        .ok();
    let switch = admin.with_key(new["secret"].as_str());
    top_up(admin).await;
    assert!(
        calls(&switch)
            .await
            .iter()
            .all(|event| event["status"] == "rated")
    );
    let (before, november) = (balances(admin).await, november(admin).await);

    let place = market.served.vacant().await;
    let said = well(&run(&[&["restore", text(&backup)][..], &place.option()].concat()).await);
    assert!(
        said.contains("are held until `centwise resume`") && said.contains("the books are right"),
        "{said}"
    );
    let restored = market.served.over_restored(place, DECEMBER).await;
    let (admin, switch) = (admin.at(&restored), switch.at(&restored));
    held(&restored, &admin, stolen).await;
    assert_eq!(
        switch
            .post("/v1/usage-events", call("x", "acme-42", "60"))
            .await
            .code(),
        "401 unauthorized",
        "it is not in the backup"
    );
    assert_eq!(
        admin.with_key(Some(secret)).get("/v1/meters").await.status,
        403,
        "and this one is valid again"
    );

    // As `centwise resume` says: keys, payouts, money by hand, usage.
    admin
        .post(&format!("/v1/api-keys/{stolen}/revoke"), json!({}))
        .await
        .ok();
    let payout = admin
        .post("/v1/payouts", json!({ "reseller": "muster" }))
        .await
        .ok();
    let path = format!("/v1/payouts/{}/paid", payout["id"].as_str().unwrap());
    assert_eq!(
        admin
            .post(&path, json!({ "reference": "statement 47" }))
            .await
            .ok()["state"],
        "paid"
    );
    top_up(&admin).await;
    assert!(
        calls(&admin)
            .await
            .iter()
            .all(|event| event["status"] == "rated")
    );
    assert_eq!(
        (balances(&admin).await, self::november(&admin).await),
        (before.clone(), november),
        "a month that is over stays as it is"
    );

    // A restart changes nothing of it.
    let restored = restored.restarted(DECEMBER).await;
    let admin = admin.at(&restored);
    assert!(restored.running.app.held.is_held());
    let resumed = admin
        .post(
            "/v1/restoration/resume",
            json!({ "reason": "looked through" }),
        )
        .await
        .ok();
    assert_eq!(resumed["is_held"], false);
    let run = admin
        .post("/v1/payouts/run", json!({ "send": true }))
        .await
        .ok();
    let outcomes: Vec<&Value> = run["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["outcome"])
        .collect();
    assert!(!outcomes.contains(&&json!("created")), "{run}");
    let none = admin
        .once("file-2")
        .post("/v1/payouts/sepa-file", json!({}))
        .await;
    assert!(
        none.status == 409 && none.text.contains("no payout by bank is due"),
        "{none:?}"
    );
    assert_eq!(balances(&admin).await, before);
    assert!(
        calls(&admin)
            .await
            .iter()
            .all(|event| event["status"] == "duplicate")
    );
    assert!(
        transfer::audit::verify(restored.running.app.catalog.db())
            .await
            .unwrap()
            .iter()
            .all(|check| check.ok),
        "the books are right"
    );
    let log = admin.get("/v1/audit-log?resource=restoration").await.ok();
    assert_eq!(log["data"][0]["reason"], "looked through");
}

/// Nothing goes out, and the list of what to look through names the key.
async fn held(restored: &Served, admin: &Asking, stolen: &str) {
    let restoration = admin.get("/v1/restoration").await.ok();
    assert_eq!(
        (&restoration["is_held"], &restoration["open_payouts"]),
        (&json!(true), &json!(0)),
        "{restoration}"
    );
    assert!(
        restoration["valid_keys"]
            .as_array()
            .unwrap()
            .iter()
            .any(|key| key["id"] == *stolen),
        "{restoration}"
    );
    let file = admin
        .once("file-1")
        .post("/v1/payouts/sepa-file", json!({}))
        .await;
    assert_eq!(file.code(), "409 restored");
    assert_eq!(
        admin
            .post("/v1/payouts/run", json!({ "send": true }))
            .await
            .code(),
        "409 restored"
    );
    assert_eq!(
        admin.post("/v1/payouts/pyt_1/pay", json!({})).await.code(),
        "409 restored"
    );
    assert!(restored.running.app.held.is_held());
}

/// Usage of a month that is over counts in the present one when it is sent again: what is worked
/// out then is less than what went out.
async fn what_was_paid_since_is_entered_as_it_was(market: Market) {
    let (dir, admin) = (tempfile::tempdir().unwrap(), market.admin());
    let backup = dir.path().join("one.tar");
    let paid =
        |cents: i64| json!({ "reseller": "muster", "cents": cents, "reference": "statement 47" });
    settle(admin, "platform").await;
    settle(admin, "muster").await;
    admin
        .post("/v1/usage-events", call("before", "acme-43", "600"))
        .await
        .ok();
    well(&run(&[&["backup", text(&backup)][..], &market.served.option()].concat()).await);
    admin
        .post("/v1/usage-events", call("since", "acme-43", "600"))
        .await
        .ok();
    market.served.set_clock(DECEMBER);
    assert_eq!(
        admin.post("/v1/payouts", paid(200)).await.code(),
        "409 not_restored",
        "nobody says what is payable"
    );
    paid_by_bank(admin, 200, "statement 47").await;

    let place = market.served.vacant().await;
    well(&run(&[&["restore", text(&backup)][..], &place.option()].concat()).await);
    let restored = market.served.over_restored(place, DECEMBER).await;
    let admin = admin.at(&restored);
    assert_eq!(
        admin.post("/v1/payouts", paid(200)).await.code(),
        "409 not_payable",
        "not yet"
    );
    admin
        .post("/v1/usage-events", call("since", "acme-43", "600"))
        .await
        .ok();
    let run = admin
        .post("/v1/payouts/run", json!({ "dry_run": true }))
        .await
        .ok();
    assert!(
        run["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["payable_cents"] == 100),
        "{run}"
    );
    // One that was due, and is not what went out.
    let due = admin
        .post("/v1/payouts", json!({ "reseller": "muster" }))
        .await
        .ok();
    assert_eq!((&due["cents"], &due["state"]), (&json!(100), &json!("due")));
    assert_eq!(
        admin.post("/v1/payouts", paid(200)).await.code(),
        "409 payout_exists"
    );
    let cancel = format!("/v1/payouts/{}/cancel", due["id"].as_str().unwrap());
    admin
        .post(&cancel, json!({ "reason": "200 went out" }))
        .await
        .ok();
    for _ in 0..2 {
        let payout = admin.post("/v1/payouts", paid(200)).await.ok();
        assert_eq!(
            (&payout["cents"], &payout["state"]),
            (&json!(200), &json!("paid"))
        );
    }
    assert_eq!(
        admin.post("/v1/payouts", paid(300)).await.code(),
        "409 payout_exists"
    );
    for bad in [
        json!({ "reseller": "muster", "cents": 200 }),
        json!({ "reseller": "muster", "reference": "statement 47" }),
        json!({ "reseller": "muster", "cents": 0, "reference": "x" }),
        json!({ "reseller": "muster", "cents": 1, "reference": "x", "period": "2027-01" }),
    ] {
        assert_eq!(
            admin.post("/v1/payouts", bad.clone()).await.status,
            422,
            "{bad}"
        );
    }
    admin
        .post(
            "/v1/restoration/resume",
            json!({ "reason": "looked through" }),
        )
        .await
        .ok();

    let file = admin
        .once("file-2")
        .post("/v1/payouts/sepa-file", json!({}))
        .await;
    assert_eq!(file.status, 409, "nothing of it goes out: {file:?}");
    let restored = restored.restarted("2027-01-20T12:00:00Z").await;
    let admin = admin.at(&restored);
    assert_eq!(
        admin
            .post("/v1/payouts", json!({ "reseller": "muster" }))
            .await
            .code(),
        "409 not_payable",
        "both calls are paid"
    );
    assert_eq!(
        admin.get("/v1/accounts/muster?currency=EUR").await.ok()["posted_cents"],
        0
    );
    assert!(
        transfer::audit::verify(restored.running.app.catalog.db())
            .await
            .unwrap()
            .iter()
            .all(|check| check.ok),
        "the books are right"
    );
}

async fn a_backup_of_a_held_database_lacks_what_the_first_one_lacks(market: Market) {
    let (dir, admin) = (tempfile::tempdir().unwrap(), market.admin());
    let (first, second) = (dir.path().join("first.tar"), dir.path().join("second.tar"));
    let said = well(&run(&[&["backup", text(&first)][..], &market.served.option()].concat()).await);
    assert!(said.contains("backed up"), "{said}");
    let place = market.served.vacant().await;
    well(&run(&[&["restore", text(&first)][..], &place.option()].concat()).await);
    let restored = market.served.over_restored(place, DECEMBER).await;
    let of = admin.at(&restored).get("/v1/restoration").await.ok()["backup_at"].clone();
    assert!(of.is_string());

    well(&run(&[&["backup", text(&second)][..], &restored.option()].concat()).await);
    let place = restored.vacant().await;
    well(&run(&[&["restore", text(&second)][..], &place.option()].concat()).await);
    let later = clock::Clock::system().now().to_string();
    well(&run(&[&["restore", "--mark", &later][..], &place.option()].concat()).await);
    let again = restored.over_restored(place, DECEMBER).await;
    assert_eq!(
        admin.at(&again).get("/v1/restoration").await.ok()["backup_at"],
        of
    );
}

/// What was delivered since the backup would be delivered again.
async fn nobody_is_told_before_it_was_looked_through(market: Market) {
    let receiver = Receiver::start().await;
    let hook = json!({ "url": receiver.url("/told"), "kinds": ["balance.low"], "subtree": true });
    market
        .admin()
        .post("/v1/webhook-endpoints", hook)
        .await
        .ok();
    for customer in ["acme-42", "acme-43"] {
        let path = format!("/v1/accounts/{customer}/threshold");
        market
            .admin()
            .ask(
                hyper::Method::PUT,
                &path,
                json!({ "low_cents": 4900 }).to_string().into(),
            )
            .await
            .unwrap()
            .ok();
    }
    let now = market.served.running.app.clock.now().micros();
    let restoration = db::restoration::Restoration {
        restored_us: now,
        backup_us: now,
    };
    market
        .served
        .running
        .app
        .catalog
        .mark_restored(&restoration)
        .await
        .unwrap();
    let served = market.served.restarted("2026-11-20T12:00:00Z").await;
    let (admin, records) = (served.admin.clone(), served.running.app.catalog.clone());
    // Each is written by a round of its own: whoever sends would have sent the first before the
    // second is there.
    for (written, customer) in [(1, "acme-42"), (2, "acme-43")] {
        admin
            .post("/v1/usage-events", call(customer, customer, "600"))
            .await
            .ok();
        while NoticeRows::of(&records)
            .unsent_notices()
            .await
            .unwrap()
            .len()
            < written
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    assert_eq!(
        (
            NoticeRows::of(&records)
                .unsent_notices()
                .await
                .unwrap()
                .len(),
            receiver.got().len()
        ),
        (2, 0)
    );
    admin
        .post(
            "/v1/restoration/resume",
            json!({ "reason": "looked through" }),
        )
        .await
        .ok();
    let told = receiver.gets(2).await;
    assert_eq!(
        told.iter()
            .map(|got| got.json()["type"].clone())
            .collect::<Vec<_>>(),
        [json!("balance.low"), json!("balance.low")]
    );
}
