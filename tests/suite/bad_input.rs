//! What is wrong with a request is said with a stable code, and costs nobody else anything.

use crate::http_world::{Market, call, on_every_database, outcomes};
use hyper::Method;
use serde_json::{Value, json};

on_every_database!(
    the_rest_of_a_batch_is_posted,
    a_request_that_cannot_be_read_has_its_code
);

fn with(mut event: Value, field: &str, value: Value) -> Value {
    event[field] = value;
    event
}

async fn the_rest_of_a_batch_is_posted(market: Market) {
    let switch = market.by("muster usage");
    let good = |id: &str| call(id, "acme-42", "60");
    switch.post("/v1/usage-events", good("known")).await.ok();
    let batch = [
        (good("1"), "rated"),
        (
            with(good("2"), "meter", json!("fax")),
            "unrated unknown_meter",
        ),
        (
            with(good("3"), "quantity", json!("-60")),
            "rejected negative_quantity",
        ),
        (
            with(good("4"), "quantity", json!("9".repeat(40))),
            "rejected invalid_field",
        ),
        (
            with(good("5"), "at", json!("2026-11-20T12:05:00.000001Z")),
            "rejected future_event",
        ),
        (
            with(good("known"), "quantity", json!("61")),
            "rejected id_conflict",
        ),
        (good("known"), "duplicate"),
        (
            with(good("6"), "customer", json!("beta")),
            "unrated unknown_customer",
        ),
        (
            with(good("7"), "customer", json!("nobody")),
            "unrated unknown_customer",
        ),
        (
            with(good("8"), "quantity", Value::Null),
            "rejected missing_field",
        ),
        (
            with(good("9"), "colour", json!("blue")),
            "rejected unknown_field",
        ),
        (
            with(good("10"), "at", json!("yesterday")),
            "rejected invalid_field",
        ),
        (
            with(good("11"), "quantity", json!(1e300)),
            "rejected invalid_field",
        ),
        (
            with(good("12"), "id", json!("x".repeat(256))),
            "rejected invalid_field",
        ),
        (json!(7), "rejected invalid_event"),
        // From 09:00 on, at 12:00: it would end more than five minutes from now.
        (
            with(good("14"), "quantity", json!("11100.000001")),
            "rejected impossible_duration",
        ),
        (
            with(good("15"), "destination", json!("9#4930123456")),
            "rejected technical_prefix",
        ),
        (with(good("16"), "quantity", json!(6e1)), "rated"),
        (good("13"), "rated"),
    ];
    let (events, want): (Vec<Value>, Vec<&str>) = batch.into_iter().unzip();
    let answer = switch
        .post("/v1/usage-events", json!({ "events": events }))
        .await;
    assert_eq!(
        (answer.status, outcomes(&answer)),
        (200, want.iter().map(|&text| text.to_owned()).collect())
    );
    assert_eq!(
        answer.body["counts"],
        json!({ "rated": 3, "duplicate": 1, "unrated": 3, "rejected": 12 })
    );
    assert_eq!(
        (
            market.balance("acme-42").await,
            market.balance("beta").await
        ),
        (5000 - 4 * 40, 5000)
    );
}

async fn a_request_that_cannot_be_read_has_its_code(market: Market) {
    let (switch, admin) = (market.by("muster usage"), market.admin().clone());
    let good = call("1", "acme-42", "60");
    let post = |asking: &crate::served::Asking, path: &str, body: String| {
        let (asking, path) = (asking.clone(), path.to_owned());
        async move {
            asking
                .ask(Method::POST, &path, body.into())
                .await
                .unwrap()
                .code()
        }
    };
    let usage = "/v1/usage-events";
    let table = [
        ("{\"id\":", "400 invalid_json"),
        ("", "400 invalid_json"),
        ("[1, 2", "400 invalid_json"),
        ("{\"id\": \"\u{0}\"}", "400 invalid_json"),
        ("{}", "422 missing_field"),
    ];
    for (body, want) in table {
        assert_eq!(post(&switch, usage, body.to_owned()).await, want, "{body}");
    }
    for (field, value, want) in [
        ("meter", json!("f\u{0}x"), "422 invalid_field"),
        ("quantity", json!("-1"), "422 negative_quantity"),
        ("quantity", json!("9".repeat(40)), "422 invalid_field"),
        ("at", json!("2026-11-20T13:00:00Z"), "422 future_event"),
    ] {
        assert_eq!(
            post(&switch, usage, with(good.clone(), field, value).to_string()).await,
            want
        );
    }
    assert_eq!(post(&switch, usage, good.to_string()).await, "201");
    assert_eq!(
        post(
            &switch,
            usage,
            with(good.clone(), "quantity", json!("61")).to_string()
        )
        .await,
        "409 id_conflict"
    );
    assert_eq!(post(&switch, usage, good.to_string()).await, "200");
    assert_eq!(
        post(&switch.sending("text/plain"), usage, good.to_string()).await,
        "415 unsupported_media_type"
    );
    let many: Vec<Value> = (0..10_001)
        .map(|n| json!({ "id": n.to_string() }))
        .collect();
    assert_eq!(
        post(&switch, usage, json!(many).to_string()).await,
        "413 batch_too_large"
    );
    // Refused by its announced length: whether the answer can still be read depends on how fast it
    // came.
    let body = " ".repeat(17 * 1024 * 1024);
    if let Ok(answer) = switch.ask(Method::POST, usage, body.into()).await {
        assert_eq!(answer.code(), "413 body_too_large");
    }
    let tie = json!({ "currency": "EUR", "rates": [
        { "key": "a", "meter": "sms", "price": { "model": "per_unit", "unit_price": "1" } },
        { "key": "b", "meter": "sms", "price": { "model": "per_unit", "unit_price": "2" } }]});
    let refused = admin
        .post(
            &format!("/v1/rate-cards/{}/versions", market.id("retail")),
            tie,
        )
        .await;
    assert_eq!(
        (
            refused.code().as_str(),
            refused.body["errors"][0]["code"].as_str()
        ),
        ("422 invalid_card", Some("tie")),
        "{refused:?}"
    );
    // Somebody else's customer is nobody.
    let foreign = json!({ "usage": call("h", "beta", "60"), "ttl_secs": 60 });
    assert_eq!(
        post(&switch.once("h"), "/v1/holds", foreign.to_string()).await,
        "404 not_found"
    );
    assert_eq!(
        switch.get("/v1/accounts/beta").await.code(),
        "404 not_found"
    );
    assert_eq!(
        (
            market.balance("acme-42").await,
            market.balance("beta").await
        ),
        (4960, 5000)
    );
}
