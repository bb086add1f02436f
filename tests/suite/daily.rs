//! What an operator, a reseller and a customer look up from day to day.

use crate::http_world::{Market, call, on_every_database};
use crate::world::prices;
use serde_json::{Value, json};

on_every_database!(
    statements_say_when_where_and_how_long,
    what_was_taken_back_and_comes_again_says_so,
    what_was_earned_and_what_is_owed_are_one_call_each,
    what_was_earned_is_told_in_every_currency,
);

async fn statements_say_when_where_and_how_long(market: Market) {
    let (admin, acme) = (market.admin(), market.by("acme-42 admin"));
    admin
        .post("/v1/usage-events", call("c-1", "acme-42", "60"))
        .await
        .ok();
    admin
        .once("void-1")
        .post(
            "/v1/usage-events/default/c-1/void",
            json!({ "reason": "disputed" }),
        )
        .await
        .ok();
    let statement = acme
        .get("/v1/accounts/acme-42/statement?from=2026-11-01T00:00:00Z")
        .await
        .ok();
    let entries = acme.get("/v1/accounts/acme-42/entries").await.ok();
    let of = |list: &Value, kind: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["kind"] == kind)
            .unwrap()
            .clone()
    };
    for list in [&statement["entries"], &entries["data"]] {
        let (usage, void, top_up) = (of(list, "usage"), of(list, "void"), of(list, "top_up"));
        let told = ["at", "destination", "quantity"].map(|name| usage[name].as_str().unwrap());
        assert_eq!(
            told,
            ["2026-11-20T09:00:00Z", "4930123456", "60"],
            "{usage}"
        );
        assert_eq!(
            void["voids"],
            json!({ "source": "default", "id": "c-1" }),
            "{void}"
        );
        assert!(
            top_up.get("at").is_none() && top_up.get("voids").is_none(),
            "{top_up}"
        );
    }
    let reseller = market
        .by("muster admin")
        .get("/v1/commissions/statement?reseller=muster&month=2026-11")
        .await
        .ok();
    assert_eq!(
        of(&reseller["data"], "void")["voids"]["id"],
        "c-1",
        "{reseller}"
    );
}

async fn what_was_taken_back_and_comes_again_says_so(market: Market) {
    let admin = market.admin();
    for id in ["c-1", "c-2"] {
        admin
            .post("/v1/usage-events", call(id, "acme-42", "60"))
            .await
            .ok();
    }
    admin
        .once("void-1")
        .post(
            "/v1/usage-events/default/c-1/void",
            json!({ "reason": "disputed" }),
        )
        .await
        .ok();
    let batch = json!([call("c-1", "acme-42", "60"), call("c-2", "acme-42", "60")]);
    let again = admin.post("/v1/usage-events", batch).await.ok();
    let (taken_back, stands) = (&again["data"][0], &again["data"][1]);
    assert_eq!(
        (&taken_back["status"], &taken_back["voided"]),
        (&json!("duplicate"), &json!(true)),
        "{again}"
    );
    assert!(
        taken_back.get("debit_cents").is_none() && taken_back["balance_cents"] == 4960,
        "{again}"
    );
    assert_eq!(
        (
            &stands["status"],
            &stands["debit_cents"],
            stands.get("voided")
        ),
        (&json!("duplicate"), &json!(40), None),
        "{again}"
    );
}

async fn what_was_earned_and_what_is_owed_are_one_call_each(market: Market) {
    let admin = market.admin();
    admin
        .post("/v1/usage-events", call("c-1", "acme-42", "600"))
        .await
        .ok();
    let earned = admin.get("/v1/accounts/platform").await.ok();
    let want = json!({ "tenant": "platform", "account": "revenue", "currencies": [{ "currency": "EUR", "posted_cents": 300 }] });
    assert_eq!(earned, want);
    let external = admin
        .get("/v1/accounts/platform?account=external")
        .await
        .ok();
    assert_eq!(
        external["currencies"][0]["posted_cents"], -15000,
        "what came in from outside: {external}"
    );
    let one = admin
        .get("/v1/accounts/platform?account=revenue&currency=EUR")
        .await
        .ok();
    assert_eq!(one["posted_cents"], 300);
    // A route without parameters carries nothing out under one that means nothing to it.
    for path in [
        "/v1/payouts/run?dry_run=true",
        "/v1/usage-events/rate-again?root=muster",
    ] {
        let answer = admin.once(path).post(path, json!({})).await;
        assert_eq!(answer.code(), "422 unknown_field", "{path}");
    }
    assert_eq!(
        admin.get("/v1/tenants/acme-42?nonsense=1").await.code(),
        "422 unknown_field"
    );
    // It has no balance: its revenue is meant here, too.
    let one = admin.get("/v1/accounts/platform?currency=EUR").await.ok();
    assert_eq!(
        (&one["account"], &one["posted_cents"]),
        (&json!("revenue"), &json!(300))
    );

    admin
        .once("down")
        .post(
            "/v1/adjustments",
            json!({ "tenant": "agent", "cents": -700, "reason": "invoice" }),
        )
        .await
        .ok();
    let owed = admin.get("/v1/accounts").await.ok();
    let shown = |list: &Value| -> Vec<(String, i64)> {
        let accounts = list["data"].as_array().unwrap().iter();
        accounts
            .map(|one| {
                (
                    one["tenant"].as_str().unwrap().to_owned(),
                    one["posted_cents"].as_i64().unwrap(),
                )
            })
            .collect()
    };
    assert_eq!(
        shown(&owed),
        [("muster".to_owned(), 100), ("agent".to_owned(), -700)],
        "{owed}"
    );
    // A seller sees its own buyers, and page by page.
    let muster = market.by("muster read");
    let first = muster.get("/v1/accounts?limit=1").await.ok();
    assert_eq!(shown(&first), [("acme-42".to_owned(), 4600)]);
    let next = muster
        .get(&format!(
            "/v1/accounts?limit=1&cursor={}",
            first["next_cursor"].as_str().unwrap()
        ))
        .await
        .ok();
    assert_eq!(
        (shown(&next), &next["has_more"]),
        (vec![("acme-43".to_owned(), 5000)], &json!(false))
    );
    assert_eq!(
        market
            .by("muster read")
            .get("/v1/accounts?seller=agent")
            .await
            .code(),
        "404 not_found"
    );
}

async fn what_was_earned_is_told_in_every_currency(market: Market) {
    let admin = market.admin();
    let make = async |path: &str, body: Value| admin.post(path, body).await.ok();
    let card = make(
        "/v1/rate-cards",
        json!({ "name": "overseas", "currency": "USD", "owner": "platform" }),
    )
    .await;
    let versions = format!("/v1/rate-cards/{}/versions", card["id"].as_str().unwrap());
    let mut doc = prices("0.70", "0.10", "1.00", "0.05");
    doc["currency"] = json!("USD");
    make(&versions, doc).await;
    make(
        &format!("{versions}/1/publish"),
        json!({ "effective_from": "2026-01-01T00:00:00Z" }),
    )
    .await;
    make(
        "/v1/tenants",
        json!({ "external_id": "us-1", "kind": "customer", "name": "US", "parent": "platform" }),
    )
    .await;
    let terms = json!({ "buyer": "us-1", "currency": "USD", "rate_card": card["id"], "credit_limit_cents": 0, "from": "2026-01-01T00:00:00Z" });
    make("/v1/agreements", terms).await;
    admin
        .once("us")
        .post(
            "/v1/top-ups",
            json!({ "tenant": "us-1", "cents": 5000, "currency": "USD", "reason": "wire" }),
        )
        .await
        .ok();
    make(
        "/v1/usage-events",
        json!([call("eur", "acme-42", "600"), call("usd", "us-1", "600")]),
    )
    .await;
    let earned = admin.get("/v1/accounts/platform").await.ok();
    let want = json!([{ "currency": "EUR", "posted_cents": 300 }, { "currency": "USD", "posted_cents": 700 }]);
    assert_eq!(earned["currencies"], want, "{earned}");
    let one = admin.get("/v1/accounts/platform?currency=USD").await.ok();
    assert_eq!(one["posted_cents"], 700);
}
