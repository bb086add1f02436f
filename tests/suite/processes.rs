//! Two servers over one database, which share nothing else: what one of them changes counts in the
//! other within a second.

use crate::http_world::{Market, call};
use serde_json::json;
use std::time::Duration;

const CACHED_MAX: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_changes_the_other_knows_within_a_second() {
    let Some(market) = Market::postgres().await else {
        return;
    };
    let other = market.served.beside().await;
    let (here, there) = (
        market.by("muster admin"),
        market.by("muster admin").at(&other),
    );
    // Kept in memory there, before it changes here.
    assert_eq!(
        there.get("/v1/tenants/acme-42").await.ok()["name"],
        "acme-42"
    );
    there
        .post("/v1/usage-events", call("1", "acme-42", "60"))
        .await
        .ok();

    here.ask(
        hyper::Method::PATCH,
        "/v1/tenants/acme-42",
        json!({ "name": "Acme" }).to_string().into(),
    )
    .await
    .unwrap()
    .ok();
    let half = json!({ "currency": "EUR", "rates": [{ "key": "call", "meter": "call", "prefixes": [""],
        "call": { "initial": "60", "next": "60", "steps": [{ "from": "0", "price": "0.20", "per": "60" }] } }] });
    let card = market.id("retail");
    let draft = here
        .post(&format!("/v1/rate-cards/{card}/versions"), half)
        .await
        .ok();
    let publish = format!("/v1/rate-cards/{card}/versions/{}/publish", draft["number"]);
    here.post(
        &publish,
        json!({ "effective_from": "2026-06-01T00:00:00Z" }),
    )
    .await
    .ok();
    tokio::time::sleep(CACHED_MAX).await;

    assert_eq!(there.get("/v1/tenants/acme-42").await.ok()["name"], "Acme");
    let sold = there
        .post("/v1/usage-events", call("2", "acme-42", "60"))
        .await
        .ok();
    assert_eq!(sold["debit_cents"], 20, "{sold}");
    assert_eq!(market.balance("acme-42").await, 5000 - 40 - 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_revoked_by_one_is_refused_by_the_other_within_a_second() {
    let Some(market) = Market::postgres().await else {
        return;
    };
    let other = market.served.beside().await;
    let there = market.by("muster read").at(&other);
    there.get("/v1/tenants").await.ok();
    market
        .admin()
        .post(
            &format!("/v1/api-keys/{}/revoke", market.id("muster key")),
            json!({}),
        )
        .await
        .ok();
    tokio::time::sleep(CACHED_MAX).await;
    assert_eq!(there.get("/v1/tenants").await.code(), "401 unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_sent_to_both_is_carried_out_once() {
    let Some(market) = Market::postgres().await else {
        return;
    };
    let other = market.served.beside().await;
    let top_up = json!({ "tenant": "acme-42", "cents": 100, "currency": "EUR", "reason": "cash" });
    let (here, there) = (
        market.admin().once("both"),
        market.admin().once("both").at(&other),
    );
    for round in 0..3 {
        let answers = tokio::join!(
            here.post("/v1/top-ups", top_up.clone()),
            there.post("/v1/top-ups", top_up.clone())
        );
        // One at a time under the same key: who comes second meanwhile is told to wait.
        for answer in [answers.0, answers.1] {
            assert!(
                answer.status < 300 || answer.status == 409,
                "{round}: {answer:?}"
            );
        }
    }
    assert_eq!(market.balance("acme-42").await, 5000 + 100);
    let made = market.admin().get("/v1/audit-log?limit=1000").await.ok();
    let entries = made["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["resource"] == "top_up" && entry["reason"] == "cash");
    assert_eq!(
        entries.count(),
        4,
        "one for each of three customers, and this one"
    );
}
