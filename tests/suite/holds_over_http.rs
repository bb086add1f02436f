//! What a request for a hold leaves out: it means the same whenever it is sent.

use crate::http_world::{Market, on_every_database};
use serde_json::{Value, json};

on_every_database!(
    a_hold_without_a_time_is_the_same_when_it_is_sent_again,
    a_hold_lasts_as_long_as_the_call_that_it_pays_for,
    a_record_of_asterisk_captures_the_hold_of_its_channel,
);

/// Of the balance of acme-42, 50.00 at 0.40 a minute.
fn an_hour() -> Value {
    json!({ "usage": { "id": "call-77", "customer": "acme-42", "meter": "call", "quantity": "3600", "destination": "+4930123456" } })
}

async fn a_hold_without_a_time_is_the_same_when_it_is_sent_again(market: Market) {
    market.served.set_clock("2026-11-20T12:00:00Z");
    let placed = market.by("muster usage").post("/v1/holds", an_hour()).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    market.served.set_clock("2026-11-20T12:00:07Z");
    let again = market.by("muster usage").post("/v1/holds", an_hour()).await;
    assert_eq!(
        (again.status, &again.body["id"]),
        (200, &placed.body["id"]),
        "{again:?}"
    );
    assert_eq!(again.body["expires_at"], placed.body["expires_at"]);

    let mut other = an_hour();
    other["usage"]["quantity"] = json!("3601");
    assert_eq!(
        market
            .by("muster usage")
            .post("/v1/holds", other)
            .await
            .code(),
        "409 idempotency_conflict"
    );
    let mut later = an_hour();
    later["usage"]["at"] = json!("2026-11-20T12:00:00Z");
    let later = market.by("muster usage").post("/v1/holds", later).await;
    assert_eq!(
        later.code(),
        "409 idempotency_conflict",
        "a time that is said is part of the request"
    );
}

async fn a_hold_lasts_as_long_as_the_call_that_it_pays_for(market: Market) {
    market.served.set_clock("2026-11-20T12:00:00Z");
    let placed = market
        .by("muster usage")
        .post("/v1/holds", an_hour())
        .await
        .ok();
    assert_eq!(
        placed["expires_at"], "2026-11-20T13:05:00Z",
        "an hour and five minutes"
    );
    let balance = async || {
        market
            .admin()
            .get("/v1/accounts/acme-42?currency=EUR")
            .await
            .ok()
    };
    market.served.set_clock("2026-11-20T12:59:00Z");
    assert_eq!(
        balance().await["held_cents"],
        2400,
        "while the call may last nobody else spends it"
    );
    let extended = json!({ "quantity": "7200" });
    let path = format!("/v1/holds/{}/extend", placed["id"].as_str().unwrap());
    let extended = market
        .by("muster usage")
        .once("longer")
        .post(&path, extended)
        .await
        .ok();
    assert_eq!(extended["expires_at"], "2026-11-20T15:04:00Z");

    let message =
        json!({ "usage": { "id": "m-1", "customer": "acme-42", "meter": "sms", "quantity": "2" } });
    let message = market
        .by("muster usage")
        .post("/v1/holds", message)
        .await
        .ok();
    assert_eq!(
        message["expires_at"], "2026-11-20T13:04:00Z",
        "what does not last: five minutes"
    );
    let stated = json!({ "usage": { "id": "c-1", "customer": "acme-42", "meter": "call", "quantity": "60", "destination": "+4930123456" }, "ttl_secs": 30 });
    let stated = market
        .by("muster usage")
        .post("/v1/holds", stated)
        .await
        .ok();
    assert_eq!(stated["expires_at"], "2026-11-20T12:59:30Z");
}

/// A line of a `Master.csv` with `newcdrcolumns=yes`; the dialplan placed its hold under
/// `${UNIQUEID}:${CDR(sequence)}`.
const RECORD: &str = "\"acme-42\",\"1\",\"+4930123456\",\"c\",\"x\",\"SIP/a-1\",\"SIP/b-2\",\"Dial\",\"\",\"2026-11-20 12:00:01\",\
    \"2026-11-20 12:00:05\",\"2026-11-20 \
    12:10:05\",604,600,\"ANSWERED\",\"DOCUMENTATION\",\"1795176000.7\",\"\",\"\",\"1795176000.7\",12\n";

async fn a_record_of_asterisk_captures_the_hold_of_its_channel(market: Market) {
    let balance = async || {
        let account = market
            .admin()
            .get("/v1/accounts/acme-42?currency=EUR")
            .await
            .ok();
        ["posted_cents", "held_cents"].map(|name| account[name].as_i64().unwrap())
    };
    market.served.set_clock("2026-11-20T12:00:00Z");
    let mut asked = an_hour();
    asked["usage"]["id"] = json!("1795176000.7:12");
    let switch = market.by("muster usage");
    let placed = switch.post("/v1/holds", asked).await.ok();
    assert_eq!(balance().await, [5000, 2400]);
    market.served.set_clock("2026-11-20T12:10:06Z");
    let path = "/v1/ingest/asterisk?zone=UTC";
    let taken = switch
        .sending("text/csv")
        .ask(hyper::Method::POST, path, RECORD.into())
        .await
        .unwrap()
        .ok();
    assert_eq!(
        (&taken["data"][0]["id"], &taken["data"][0]["status"]),
        (&json!("1795176000.7:12"), &json!("rated")),
        "{taken}"
    );
    assert_eq!(balance().await, [4600, 0], "the rest is free again");
    let hold = market
        .admin()
        .get(&format!("/v1/holds/{}", placed["id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(hold["state"], "captured", "{hold}");
}
