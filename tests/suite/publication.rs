//! What a card and an agreement name must be there; what has no effect yet is said.

use crate::http_world::{Market, on_every_database};
use crate::served::{Answer, Asking};
use catalog::Actor;
use rating::{CardVersionId, TenantId};
use serde_json::{Value, json};

on_every_database!(
    a_card_names_what_is_there,
    a_customer_buys_at_a_rate_card,
    fallback_cards_come_to_an_end,
    fallback_cards_without_an_end_are_not_approved,
    what_charges_nothing_yet_is_said_when_it_is_published,
    a_card_without_sense_is_not_drafted,
    what_can_never_be_is_not_published,
    a_draft_of_before_is_asked_when_it_is_published,
    bodies_are_objects_by_name,
    a_percentage_without_an_amount_has_no_price,
    a_version_says_that_it_awaits_an_approval,
    versions_say_from_when_until_when_they_count,
    a_meter_counts_in_a_unit_that_is_understood,
    a_meter_without_usage_is_mended,
);

/// Drafts and publishes prices of a new card of muster's.
async fn publish(market: &Market, name: &str, mut doc: Value) -> Answer {
    let muster = market.by("muster admin");
    muster
        .post("/v1/rate-cards", json!({ "name": name, "currency": "EUR" }))
        .await
        .ok();
    doc["currency"] = json!("EUR");
    muster
        .post(&format!("/v1/rate-cards/{name}/versions"), doc)
        .await
        .ok();
    muster
        .post(
            &format!("/v1/rate-cards/{name}/versions/1/publish"),
            json!({}),
        )
        .await
}

fn mistakes(answer: &Answer) -> Vec<String> {
    let errors = answer.body["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:?}"));
    errors
        .iter()
        .map(|error| {
            format!(
                "{} {}",
                error["field"].as_str().unwrap(),
                error["code"].as_str().unwrap()
            )
        })
        .collect()
}

fn per_unit(key: &str, meter: &str) -> Value {
    json!({ "key": key, "meter": meter, "price": { "model": "per_unit", "unit_price": "1" } })
}

async fn a_card_names_what_is_there(market: Market) {
    market
        .admin()
        .post(
            "/v1/meters",
            json!({ "name": "peak", "unit": "kW", "aggregation": "max" }),
        )
        .await
        .ok();
    let matrix = json!({ "model": "matrix", "dimensions": ["region"], "cells": [{ "values": ["eu"], "unit_price": "1" }] });
    for (name, doc, want) in [
        (
            "a",
            json!({ "rates": [per_unit("a", "sms"), per_unit("b", "smss")] }),
            "rates[1].meter unknown_meter",
        ),
        (
            "b",
            json!({ "rates": [per_unit("a", "sms")], "meters": { "sms": { "unit": "message", "aggregation": "count" } } }),
            "meters.sms meter_differs",
        ),
        (
            "c",
            json!({ "rates": [per_unit("a", "sms")], "fallback": "standard" }),
            "fallback unknown_fallback",
        ),
        (
            "d",
            json!({ "rates": [per_unit("a", "sms")], "fallback": "d" }),
            "fallback fallback_to_itself",
        ),
        (
            "e",
            json!({ "rates": [{ "key": "a", "meter": "peak", "price": matrix }] }),
            "rates[0].price.model not_with_this_model",
        ),
        (
            "f",
            json!({ "rates": [{ "key": "a", "meter": "peak", "call": { "steps": [{ "from": "0", "price": "1" }] } }] }),
            "rates[0].call.steps not_with_this_model",
        ),
    ] {
        let refused = publish(&market, name, doc).await;
        assert_eq!(
            (refused.code().as_str(), mistakes(&refused)),
            ("422 invalid_card", vec![want.to_owned()]),
            "{name}"
        );
        let read = market
            .by("muster admin")
            .get(&format!("/v1/rate-cards/{name}/versions/1"))
            .await
            .ok();
        assert_eq!(read["status"], "draft", "nothing is in force");
    }
    let fits = json!({ "rates": [per_unit("a", "sms"), per_unit("p", "peak")], "fallback": "retail", "meters": { "sms": { "unit": "message" } } });
    publish(&market, "g", fits).await.ok();
}

async fn fallback_cards_come_to_an_end(market: Market) {
    let muster = market.by("muster admin");
    let doc = |fallback: Option<&str>| {
        let mut doc = json!({ "currency": "EUR", "rates": [per_unit("a", "sms")] });
        if let Some(fallback) = fallback {
            doc["fallback"] = json!(fallback);
        }
        doc
    };
    let draft = async |name: &str, fallback: Option<&str>| {
        muster
            .post(&format!("/v1/rate-cards/{name}/versions"), doc(fallback))
            .await
            .ok()["number"]
            .as_i64()
            .unwrap()
    };
    let publish_version = async |name: &str, number: i64, from: Option<&str>| {
        muster
            .post(
                &format!("/v1/rate-cards/{name}/versions/{number}/publish"),
                json!({ "effective_from": from }),
            )
            .await
    };
    for name in ["a", "b", "c"] {
        muster
            .post("/v1/rate-cards", json!({ "name": name, "currency": "EUR" }))
            .await
            .ok();
    }
    // Drafts name one another while none is in force.
    let (a, b) = (draft("a", Some("b")).await, draft("b", Some("c")).await);
    let (plain, closing) = (draft("c", None).await, draft("c", Some("a")).await);
    publish_version("c", plain, None).await.ok();
    publish_version("b", b, None).await.ok();
    publish_version("a", a, None).await.ok();
    let refused = publish_version("c", closing, None).await;
    assert_eq!(
        (refused.code().as_str(), mistakes(&refused)),
        (
            "422 invalid_card",
            vec!["fallback fallback_cycle".to_owned()]
        )
    );
    let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("\"c\" -> \"a\" -> \"b\" -> \"c\""),
        "{detail}"
    );
    // From later on as well, and not once the cards between do not lead there any more.
    let later = "2099-01-01T00:00:00Z";
    assert_eq!(
        mistakes(&publish_version("c", closing, Some(later)).await),
        ["fallback fallback_cycle"]
    );
    let ends = draft("b", None).await;
    publish_version("b", ends, Some("2098-01-01T00:00:00Z"))
        .await
        .ok();
    publish_version("c", closing, Some(later)).await.ok();
}

/// Published before this was asked, or at the same moment.
async fn fallback_cards_without_an_end_are_not_approved(market: Market) {
    let (muster, app) = (market.by("muster admin"), &market.served.running.app);
    let tenant: TenantId = market.admin().get("/v1/tenants/muster").await.ok()["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let actor = Actor {
        key: None,
        tenant,
        at: app.clock.now(),
        request_id: "test".into(),
        reason: None,
        once: None,
    };
    for (name, fallback, from) in [
        ("a", "b", "2099-01-01T00:00:00Z"),
        ("b", "a", "2098-01-01T00:00:00Z"),
    ] {
        muster
            .post("/v1/rate-cards", json!({ "name": name, "currency": "EUR" }))
            .await
            .ok();
        let doc =
            json!({ "currency": "EUR", "rates": [per_unit("a", "sms")], "fallback": fallback });
        let draft = muster
            .post(&format!("/v1/rate-cards/{name}/versions"), doc)
            .await
            .ok();
        let id: CardVersionId = draft["id"].as_str().unwrap().parse().unwrap();
        app.catalog
            .publish(&actor, id, crate::world::instant(from))
            .await
            .unwrap();
    }
    app.invalidate();
    let approve = async || {
        market
            .admin()
            .post(
                "/v1/rate-cards/a/versions/1/approve?owner=muster",
                json!({}),
            )
            .await
    };
    let refused = approve().await;
    assert_eq!(
        (refused.code().as_str(), mistakes(&refused)),
        (
            "422 invalid_card",
            vec!["fallback fallback_cycle".to_owned()]
        )
    );
    // Once the other does not lead back any more.
    muster
        .post(
            "/v1/rate-cards/b/versions",
            json!({ "currency": "EUR", "rates": [per_unit("a", "sms")] }),
        )
        .await
        .ok();
    let from = json!({ "effective_from": "2099-01-01T00:00:00Z" });
    muster
        .post("/v1/rate-cards/b/versions/2/publish", from)
        .await
        .ok();
    assert_eq!(approve().await.ok()["number"], 1);
}

async fn a_customer_buys_at_a_rate_card(market: Market) {
    let muster = market.by("muster admin");
    for (name, kind) in [("c-1", "customer"), ("r-1", "reseller")] {
        muster
            .post(
                "/v1/tenants",
                json!({ "external_id": name, "kind": kind, "name": name, "parent": "muster" }),
            )
            .await
            .ok();
    }
    let terms = |buyer: &str, share: Value| json!({ "buyer": buyer, "currency": "EUR", "credit_limit_cents": 0, "commission_bp": share });
    for share in [Value::Null, json!(1000)] {
        let refused = muster.post("/v1/agreements", terms("c-1", share)).await;
        assert_eq!(
            (refused.code().as_str(), &refused.body["field"]),
            ("422 missing_field", &json!("rate_card")),
            "{refused:?}"
        );
    }
    // A reseller that says nothing has a commission of 25 %.
    assert_eq!(
        muster
            .post("/v1/agreements", terms("r-1", Value::Null))
            .await
            .ok()["commission_bp"],
        2500
    );
}

async fn what_charges_nothing_yet_is_said_when_it_is_published(market: Market) {
    let mut rate = per_unit("a", "sms");
    rate["price"]["minimum_spend"] = json!("5");
    let published = publish(&market, "minimum", json!({ "rates": [rate] }))
        .await
        .ok();
    let warning = &published["warnings"][0];
    assert_eq!(
        (&warning["field"], &warning["code"]),
        (
            &json!("rates[0].price.minimum_spend"),
            &json!("not_yet_due")
        ),
        "{published}"
    );
    let silent = publish(&market, "plain", json!({ "rates": [per_unit("a", "sms")] }))
        .await
        .ok();
    assert_eq!(silent.get("warnings"), None, "{silent}");
}

async fn a_percentage_without_an_amount_has_no_price(market: Market) {
    let muster = market.by("muster admin");
    let percent =
        json!({ "key": "p", "meter": "booking", "price": { "model": "percentage", "rate": "10" } });
    publish(
        &market,
        "old",
        json!({ "rates": [percent, per_unit("a", "sms")] }),
    )
    .await
    .ok();
    let buyer =
        json!({ "external_id": "old-1", "kind": "customer", "name": "x", "parent": "muster" });
    muster.post("/v1/tenants", buyer).await.ok();
    let terms = json!({ "buyer": "old-1", "currency": "EUR", "rate_card": "old", "credit_limit_cents": 0, "from": "2026-01-01T00:00:00Z" });
    muster.post("/v1/agreements", terms).await.ok();
    let at = "2026-11-20T12:00:00Z";
    let without =
        json!({ "id": "o-1", "customer": "old-1", "meter": "booking", "quantity": "5", "at": at });
    let kept = muster.post("/v1/usage-events", without).await.ok();
    assert_eq!(
        (&kept["status"], &kept["open"][0]["reason"]),
        (&json!("partly_rated"), &json!("no_amount")),
        "{kept}"
    );
    let with = json!({ "id": "o-2", "customer": "old-1", "meter": "booking", "quantity": "5", "amount": "20", "at": at });
    assert_eq!(
        muster.post("/v1/usage-events", with).await.ok()["debit_cents"],
        200
    );
}

/// Drafts a version of the card `draft`: the refusal's mistakes, or none.
async fn drafted(market: &Market, rates: Value) -> Vec<String> {
    let muster = market.by("muster admin");
    muster
        .post(
            "/v1/rate-cards",
            json!({ "name": "draft", "currency": "EUR" }),
        )
        .await;
    let answer = muster
        .post(
            "/v1/rate-cards/draft/versions",
            json!({ "currency": "EUR", "rates": rates }),
        )
        .await;
    if answer.code() == "422 invalid_card" {
        return mistakes(&answer);
    }
    answer.ok();
    Vec::new()
}

async fn a_card_without_sense_is_not_drafted(market: Market) {
    let with = |field: &str, value: Value| {
        let mut rate = per_unit("a", "sms");
        rate[field] = value;
        json!([rate])
    };
    let flat = json!({ "model": "flat", "amount": "5", "allowance": "5" });
    for (rates, want) in [
        (
            with("prefixes", json!([])),
            vec!["rates[0].prefixes empty_list"],
        ),
        (
            with("prefixes", json!(["0049"])),
            vec!["rates[0].prefixes[0] no_such_number"],
        ),
        (
            with("window", json!({ "from": "08:00", "until": "08:00" })),
            vec!["rates[0].window.until empty_window"],
        ),
        (
            with("window", json!({ "weekdays": [] })),
            vec!["rates[0].window.weekdays empty_list"],
        ),
        (
            with("blocked", json!(true)),
            vec!["rates[0].price blocked_with_price"],
        ),
        (
            with("price", flat),
            vec!["rates[0].price.allowance not_with_this_model"],
        ),
        (
            with("price", json!({ "model": "volume", "tiers": [{}] })),
            vec!["rates[0].price.tiers[0].unit_price missing_field"],
        ),
        (json!([["a", "sms"]]), vec!["rates[0] bad_value"]),
        (with("prefixes", json!(["49"])), vec![]),
    ] {
        assert_eq!(drafted(&market, rates.clone()).await, want, "{rates}");
    }
}

async fn what_can_never_be_is_not_published(market: Market) {
    let with = |years: Value| {
        let mut rate = per_unit("a", "sms");
        (rate["window"], rate["priority"]) = (json!({ "years": years }), json!(1));
        json!({ "rates": [rate, per_unit("b", "sms")] })
    };
    let refused = publish(&market, "past", with(json!([1999, 2001]))).await;
    assert_eq!(
        (refused.code().as_str(), mistakes(&refused)),
        (
            "422 invalid_card",
            vec!["rates[0].window.years window_over".to_owned()]
        )
    );
    let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("1999, 2001 is over when the version begins"),
        "{detail}"
    );
    publish(&market, "to-come", with(json!([1999, 2098])))
        .await
        .ok();
    // From a time on at which it was not over yet; and as it stands in the version in force.
    let muster = market.by("muster admin");
    muster
        .post(
            "/v1/rate-cards/past/versions/1/publish",
            json!({ "effective_from": "2001-12-31T00:00:00Z" }),
        )
        .await
        .ok();
    let mut dearer = with(json!([1999, 2001]));
    dearer["currency"] = json!("EUR");
    dearer["rates"][1]["price"]["unit_price"] = json!("2");
    muster
        .post("/v1/rate-cards/past/versions", dearer)
        .await
        .ok();
    muster
        .post("/v1/rate-cards/past/versions/2/publish", json!({}))
        .await
        .ok();
    // A prefix that only a short number has is said.
    let mut short = per_unit("a", "sms");
    short["prefixes"] = json!(["490", "49"]);
    let published = publish(&market, "short", json!({ "rates": [short] }))
        .await
        .ok();
    assert_eq!(
        (
            &published["warnings"][0]["field"],
            &published["warnings"][0]["code"]
        ),
        (&json!("rates[0].prefixes[0]"), &json!("short_number_only"))
    );
}

/// Drafted by a build that did not ask: it is asked when it is published, and what is published
/// goes on.
async fn a_draft_of_before_is_asked_when_it_is_published(market: Market) {
    let (muster, app) = (market.by("muster admin"), &market.served.running.app);
    let tenant: TenantId = market.admin().get("/v1/tenants/muster").await.ok()["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let actor = Actor {
        key: None,
        tenant,
        at: app.clock.now(),
        request_id: "test".into(),
        reason: None,
        once: None,
    };
    let made = muster
        .post(
            "/v1/rate-cards",
            json!({ "name": "old", "currency": "EUR" }),
        )
        .await
        .ok();
    let card = made["id"].as_str().unwrap().parse().unwrap();
    let tiers = json!({ "model": "graduated", "tiers": [{ "up_to": "10", "unit_price": "1" }] });
    let mut blocked = per_unit("b", "sms");
    (blocked["prefixes"], blocked["blocked"]) = (json!(["0049"]), json!(true));
    let doc = json!({ "currency": "EUR", "rates": [{ "key": "a", "meter": "sms", "price": tiers }, blocked] });
    let doc: rating::card::CardDoc = serde_json::from_value(doc).unwrap();
    let id = CardVersionId(app.clock.id());
    app.catalog
        .create_draft(&actor, card, id, &doc)
        .await
        .unwrap();
    let refused = muster
        .post("/v1/rate-cards/old/versions/1/publish", json!({}))
        .await;
    let want = [
        "rates[0].price.tiers[0].up_to last_tier_ends",
        "rates[1].price blocked_with_price",
    ];
    assert_eq!(
        (refused.code().as_str(), mistakes(&refused)),
        ("422 invalid_card", want.map(str::to_owned).to_vec())
    );
    // Published before anybody asked: read, and priced by, as it was.
    app.catalog
        .publish(&actor, id, crate::world::instant("2026-01-01T00:00:00Z"))
        .await
        .unwrap();
    app.invalidate();
    muster
        .post(
            "/v1/tenants",
            json!({ "external_id": "old-2", "kind": "customer", "name": "x", "parent": "muster" }),
        )
        .await
        .ok();
    let terms = json!({ "buyer": "old-2", "currency": "EUR", "rate_card": "old", "credit_limit_cents": 0, "from": "2026-01-01T00:00:00Z" });
    muster.post("/v1/agreements", terms).await.ok();
    let usage = json!({ "id": "o-1", "customer": "old-2", "meter": "sms", "quantity": "20", "at": "2026-11-20T12:00:00Z" });
    let rated = muster.post("/v1/usage-events", usage).await.ok();
    assert_eq!(rated["debit_cents"], 2000, "{rated}");
}

async fn bodies_are_objects_by_name(market: Market) {
    let muster = market.by("muster admin");
    for (path, body) in [
        ("/v1/tenants", json!(["x-1", "customer", "x", "muster"])),
        ("/v1/rate-cards", json!(["x", "EUR"])),
        ("/v1/agreements", json!(["acme-42", "EUR"])),
        ("/v1/meters", json!(["mz", "unit", "sum"])),
    ] {
        let key = if path == "/v1/meters" {
            market.admin().clone()
        } else {
            muster.clone()
        };
        let refused = key.post(path, body).await;
        assert_eq!(
            (refused.code().as_str(), &refused.body["detail"]),
            (
                "422 invalid_field",
                &json!("expected an object, found a list")
            ),
            "{path}"
        );
    }
}

/// A seller under a commission of the platform, with a card `prices` of its own.
async fn commissioned(market: &Market) -> String {
    let admin = market.admin();
    admin
        .post(
            "/v1/tenants",
            json!({ "external_id": "tied", "kind": "reseller", "name": "Tied" }),
        )
        .await
        .ok();
    let terms = json!({ "buyer": "tied", "currency": "EUR", "commission_bp": 2500, "from": "2026-01-01T00:00:00Z" });
    admin.post("/v1/agreements", terms).await.ok();
    let key = admin
        .post(
            "/v1/api-keys",
            json!({ "name": "k", "tenant": "tied", "scope": "tenant_admin" }),
        )
        .await
        .ok();
    admin
        .post(
            "/v1/rate-cards",
            json!({ "name": "prices", "currency": "EUR", "owner": "tied" }),
        )
        .await
        .ok();
    key["secret"].as_str().unwrap().to_owned()
}

async fn a_version_says_that_it_awaits_an_approval(market: Market) {
    let secret = commissioned(&market).await;
    let (admin, tied) = (market.admin(), market.admin().with_key(Some(&secret)));
    let at = |number: u32, step: &str| {
        format!("/v1/rate-cards/prices/versions/{number}{step}?owner=tied")
    };
    let publish = async |who: &Asking, number: u32, from: &str| {
        who.post(
            "/v1/rate-cards/prices/versions?owner=tied",
            json!({ "currency": "EUR", "rates": [per_unit("a", "sms")] }),
        )
        .await
        .ok();
        who.post(&at(number, "/publish"), json!({ "effective_from": from }))
            .await
            .ok()
    };
    let state = |version: &Value| {
        let number = version["in_force_instead"].as_i64();
        (
            version["status"].as_str().unwrap().to_owned(),
            version["in_force"].as_bool().unwrap(),
            number,
        )
    };
    let awaits = |instead| ("awaiting_approval".to_owned(), false, instead);
    let first = publish(&tied, 1, "2026-11-01T00:00:00Z").await;
    assert_eq!(state(&first), awaits(None), "nothing is in force yet");
    assert_eq!(
        state(&admin.post(&at(1, "/approve"), json!({})).await.ok()),
        ("published".to_owned(), true, None)
    );
    // The price that is charged is that of the first one, whatever the second one says.
    let second = publish(&tied, 2, "2026-11-02T00:00:00Z").await;
    assert_eq!(state(&second), awaits(Some(1)));
    assert_eq!(state(&tied.get(&at(2, "")).await.ok()), awaits(Some(1)));
    let list = tied.get("/v1/rate-cards/prices/versions").await.ok();
    let states: Vec<_> = list["data"].as_array().unwrap().iter().map(state).collect();
    assert_eq!(
        states,
        [("published".to_owned(), true, None), awaits(Some(1))]
    );
    assert!(
        list["data"][0].get("effective_until").is_none(),
        "nothing that counts follows it: {list}"
    );
    admin.post(&at(2, "/approve"), json!({})).await.ok();
    let list = tied.get("/v1/rate-cards/prices/versions").await.ok();
    assert_eq!(list["data"][0]["effective_until"], "2026-11-02T00:00:00Z");
    // What the seller above publishes itself counts at once, and so does everything where prices
    // are free.
    assert_eq!(
        state(&publish(admin, 3, "2026-11-03T00:00:00Z").await),
        ("published".to_owned(), true, None)
    );
}

async fn versions_say_from_when_until_when_they_count(market: Market) {
    let muster = market.by("muster admin");
    muster
        .post(
            "/v1/rate-cards",
            json!({ "name": "dated", "currency": "EUR" }),
        )
        .await
        .ok();
    for (number, from) in [
        (1, "2026-11-10T00:00:00Z"),
        (2, "2026-11-01T00:00:00Z"),
        (3, "2026-12-01T00:00:00Z"),
    ] {
        muster
            .post(
                "/v1/rate-cards/dated/versions",
                json!({ "currency": "EUR", "rates": [per_unit("a", "sms")] }),
            )
            .await
            .ok();
        let path = format!("/v1/rate-cards/dated/versions/{number}/publish");
        let shown = muster
            .post(&path, json!({ "effective_from": from }))
            .await
            .ok();
        // Published behind the present one: it counts for the past only, and says so at once.
        if number == 2 {
            assert_eq!(
                (&shown["effective_until"], &shown["in_force"]),
                (&json!("2026-11-10T00:00:00Z"), &json!(false)),
                "{shown}"
            );
        }
    }
    let list = muster.get("/v1/rate-cards/dated/versions").await.ok();
    let shown: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["effective_until"].as_str(), one["in_force"].as_bool()))
        .collect();
    let want = [
        (Some("2026-12-01T00:00:00Z"), Some(true)),
        (Some("2026-11-10T00:00:00Z"), Some(false)),
        (None, Some(false)),
    ];
    assert_eq!(shown, want, "{list}");
}

async fn a_meter_counts_in_a_unit_that_is_understood(market: Market) {
    let admin = market.admin();
    for (name, unit) in [
        ("talk", "seconds"),
        ("talk", "Second"),
        ("talk", "s"),
        ("parking", "sec"),
    ] {
        let refused = admin
            .post("/v1/meters", json!({ "name": name, "unit": unit }))
            .await;
        assert_eq!(
            (refused.code().as_str(), &refused.body["field"]),
            ("422 invalid_field", &json!("unit")),
            "{refused:?}"
        );
        assert!(
            refused.body["detail"]
                .as_str()
                .unwrap()
                .contains("expected `second`"),
            "{refused:?}"
        );
    }
    for unit in ["page", "gib", "minute", "second"] {
        admin
            .post(
                "/v1/meters",
                json!({ "name": format!("by-{unit}"), "unit": unit }),
            )
            .await
            .ok();
    }
    let change = json!({ "unit": "minute" });
    let refused = admin
        .ask(
            hyper::Method::PATCH,
            "/v1/meters/call",
            change.to_string().into(),
        )
        .await
        .unwrap();
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("calls are reported in seconds"),
        "{refused:?}"
    );
}

async fn a_meter_without_usage_is_mended(market: Market) {
    let admin = market.admin();
    let change = async |name: &str, body: Value| {
        admin
            .ask(
                hyper::Method::PATCH,
                &format!("/v1/meters/{name}"),
                body.to_string().into(),
            )
            .await
            .unwrap()
    };
    admin
        .post("/v1/meters", json!({ "name": "fax", "unit": "paeg" }))
        .await
        .ok();
    assert_eq!(
        change("fax", json!({ "unit": "page" })).await.ok()["unit"],
        "page"
    );
    let unique = change(
        "fax",
        json!({ "aggregation": "unique", "unique_by": "line" }),
    )
    .await
    .ok();
    assert_eq!(
        (
            &unique["aggregation"],
            &unique["unique_by"],
            &unique["unit"]
        ),
        (&json!("unique"), &json!("line"), &json!("page"))
    );
    assert_eq!(
        change("fax", json!({ "aggregation": "sum" }))
            .await
            .ok()
            .get("unique_by"),
        None
    );
    let log = admin.get("/v1/audit-log?limit=1000").await.ok();
    let is_ours = |entry: &&Value| entry["resource"] == "meter" && entry["action"] == "change";
    let changes: Vec<_> = log["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(is_ours)
        .collect();
    let from_unique = changes
        .iter()
        .find(|entry| entry["before"]["aggregation"] == "unique")
        .unwrap();
    assert_eq!(
        (changes.len(), &from_unique["after"]["aggregation"]),
        (3, &json!("sum")),
        "{changes:?}"
    );
    // What was reported is counted as it was, also where it has no price.
    let event = json!({ "id": "f-1", "customer": "acme-42", "meter": "fax", "quantity": "1", "at": "2026-11-20T09:00:00Z" });
    admin.post("/v1/usage-events", event).await.ok();
    let refused = change("fax", json!({ "unit": "sheet" })).await;
    assert_eq!(refused.code(), "409 meter_in_use", "{refused:?}");
    assert_eq!(
        change("fax", json!({ "unit": "page" })).await.ok()["unit"],
        "page",
        "nothing to change"
    );
    assert_eq!(
        change("fux", json!({ "unit": "page" })).await.code(),
        "404 not_found"
    );
}
