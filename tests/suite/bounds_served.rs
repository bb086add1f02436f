//! The bounds as the API tells of them; and an installation that went beyond them, before there
//! were any, opens again.

use crate::backup::{run, text, well};
use crate::http_world::{Market, on_every_database, outcomes};
use crate::served::Asking;
use crate::world::instant;
use api::config::Config;
use clock::Clock;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

on_every_database!(
    an_adjustment_beyond_the_bounds_names_its_field,
    closing_a_tenant_settles_what_it_carries
);

/// 0.05 EUR at wholesale and 0.08 at retail a message; a tenth of one is half a cent.
async fn closing_a_tenant_settles_what_it_carries(market: Market) {
    let event = json!({ "id": "tenth", "customer": "acme-42", "meter": "sms", "quantity": "0.1", "at": "2026-11-20T09:00:00Z" });
    assert_eq!(
        market.admin().post("/v1/usage-events", event).await.ok()["debit_cents"],
        0
    );
    market
        .by("muster admin")
        .post("/v1/tenants/acme-42/close", json!({}))
        .await
        .ok();
    assert_eq!(
        (
            market.balance("acme-42").await,
            market.balance("muster").await
        ),
        (4999, 0)
    );
    let statement = "/v1/accounts/acme-42/statement?currency=EUR&from=2026-11-01T00:00:00Z";
    let entries = market.admin().get(statement).await.ok()["entries"].clone();
    let last = entries.as_array().unwrap().last().unwrap();
    assert_eq!(
        (
            last["kind"].as_str(),
            last["cents"].as_i64(),
            last["reason"].as_str()
        ),
        (Some("carry_settled"), Some(-1), Some("closed"))
    );
    let commission = market
        .admin()
        .get("/v1/commissions?reseller=muster&from=2026-01-01T00:00:00Z")
        .await
        .ok();
    assert_eq!(
        (
            commission["received_cents"].as_i64(),
            commission["paid_cents"].as_i64()
        ),
        (Some(1), Some(1))
    );
}

async fn an_adjustment_beyond_the_bounds_names_its_field(market: Market) {
    for (path, cents) in [
        ("/v1/adjustments", -i64::MAX),
        ("/v1/adjustments", i64::MIN),
        ("/v1/top-ups", i64::MAX),
    ] {
        let body =
            json!({ "tenant": "acme-42", "cents": cents, "currency": "EUR", "reason": "typo" });
        let answer = market
            .admin()
            .once(&format!("{path}{cents}"))
            .post(path, body)
            .await;
        assert_eq!(
            (answer.code().as_str(), answer.body["field"].as_str()),
            ("422 amount_too_large", Some("cents")),
            "{answer:?}"
        );
    }
    assert_eq!(market.balance("acme-42").await, 5000);
}

/// `tests/fixtures/beyond_the_bounds.tar`: `centwise backup` of 2026-11-28 of an installation of
/// the same day, which nothing could open any more. The platform sells to muster at a commission of
/// 50 %, muster to acme-42 and acme-43 by a card with cost_plus × 92 (no limits); each reported an
/// amount of 10¹⁵, acme-42 one of 1 as well. Its admin key is [`ADMIN`].
const BEYOND: &str = "../tests/fixtures/beyond_the_bounds.tar";
const ADMIN: &str = "cw_6xpfsyvxr696t6d942zvwkaq6dj61zsvv67v967cx6anvzbp1ed0";
const HUGE: i64 = 9_200_000_000_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_beyond_the_bounds_opens_again() {
    let backup = Path::new(env!("CARGO_MANIFEST_DIR")).join(BEYOND);
    let dir = tempfile::tempdir().unwrap();
    let data_dir = ["--data-dir", text(dir.path())];
    let checked = well(&run(&["restore", "--check", text(&backup)]).await);
    assert!(checked.contains("the books are right"), "{checked}");
    well(&run(&[&["restore", text(&backup)], &data_dir[..]].concat()).await);
    let verified: Value = serde_json::from_str(&well(
        &run(&[&["verify", "--json"], &data_dir[..]].concat()).await,
    ))
    .unwrap();
    assert_eq!(verified["ok"], true, "{verified}");
    let health = run(&[&["health-check", "--json"], &data_dir[..]].concat()).await;
    let health: Value =
        serde_json::from_slice(&health.stdout).unwrap_or_else(|_| panic!("{health:?}"));
    assert_eq!(
        health["checks"]
            .as_array()
            .map(|checks| checks.iter().any(|check| check["status"] == "failure")),
        Some(false),
        "{health}"
    );

    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: dir.path().to_owned(),
        ..Config::default()
    };
    let running = api::server::serve(&config, Clock::at(instant("2026-11-29T12:00:00Z")))
        .await
        .unwrap();
    let admin = Asking::new(running.address, ADMIN);
    serves_again(&admin).await;
    // Its commission is from before retail prices needed an approval: it needs none, and that is
    // said.
    let terms = admin.get("/v1/agreements?buyer=muster").await.ok();
    assert_eq!(
        (
            &terms["data"][0]["commission_bp"],
            &terms["data"][0]["free_retail"]
        ),
        (&json!(5000), &json!(true)),
        "{terms}"
    );
    let health = run(&[&["health-check", "--json"], &data_dir[..]].concat()).await;
    let health: Value =
        serde_json::from_slice(&health.stdout).unwrap_or_else(|_| panic!("{health:?}"));
    let said = health["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "free_retail")
        .unwrap();
    let line = "1 commissions leave retail prices free (see free_retail and floor_rate_card of \
        agreements)";
    assert_eq!(
        (&said["detail"], &said["status"]),
        (&json!(line), &json!("ok"))
    );
}

async fn serves_again(admin: &Asking) {
    let balance = async |tenant: &str| {
        admin
            .get(&format!("/v1/accounts/{tenant}?currency=EUR"))
            .await
            .ok()["posted_cents"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(
        (
            balance("acme-42").await,
            balance("acme-43").await,
            balance("muster").await
        ),
        (-HUGE - 9200, -HUGE, HUGE + 4600)
    );
    // Its commission is no number of cents any more; that is said, and is no failure.
    let commission = "/v1/commissions?reseller=muster&from=2026-01-01T00:00:00Z";
    assert_eq!(admin.get(commission).await.code(), "422 amount_too_large");
    let event = |id: &str| {
        json!([{ "id": id, "customer": "acme-42", "meter": "cost", "amount": "1", "at": "2026-11-29T11:00:00Z" },
               { "id": format!("{id}-43"), "customer": "acme-43", "meter": "cost", "amount": "1000000000000000", "at": "2026-11-29T11:00:00Z" }])
    };
    let sent = admin.post("/v1/usage-events", event("one")).await;
    // muster owes its own link all the same.
    assert_eq!(
        outcomes(&sent),
        ["partly_rated balance_too_large", "unrated amount_too_large"]
    );
    let owed = sent.body["data"][0]["splits"][0]["cents"].as_i64().unwrap();
    // What brought it here is taken back, and then it is as any other.
    for id in ["big-acme-42", "big-acme-43"] {
        let path = format!("/v1/usage-events/default/{id}/void");
        admin
            .once(&format!("void-{id}"))
            .post(&path, json!({ "reason": "a mistake" }))
            .await
            .ok();
    }
    assert_eq!(
        (
            balance("acme-42").await,
            balance("acme-43").await,
            balance("muster").await
        ),
        (-9200, 0, 4600 - owed)
    );
    let sent = admin.post("/v1/usage-events", event("two")).await;
    assert_eq!(outcomes(&sent), ["rated", "unrated amount_too_large"]);
    let commission = admin.get(commission).await.ok();
    assert_eq!(commission["commission_cents"], 9200 - owed);
}
