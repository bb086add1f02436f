//! What a key leaves behind: who made it, when it was used, and a key for monitoring that opens
//! nothing else.

use crate::http_world::{Market, call, on_every_database};
use crate::process::Process;
use crate::served::Asking;
use serde_json::{Value, json};

on_every_database!(
    a_key_for_monitoring_reads_measures_and_nothing_else,
    a_key_says_who_made_it_and_when_it_was_used,
    usage_says_by_whose_key_it_came,
    the_audit_log_tells_nothing_of_those_above
);

async fn made(market: &Market, by: &str, body: Value) -> Value {
    let by = if by == "platform" {
        market.admin().clone()
    } else {
        market.by(by)
    };
    by.post("/v1/api-keys", body).await.ok()
}

async fn a_key_for_monitoring_reads_measures_and_nothing_else(market: Market) {
    let key = made(
        &market,
        "platform",
        json!({ "name": "prometheus", "scope": "metrics_read" }),
    )
    .await;
    let monitoring = market.admin().with_key(key["secret"].as_str());
    let measures = monitoring.get("/metrics").await;
    assert_eq!(measures.status, 200, "{measures:?}");
    for path in [
        "/v1/tenants",
        "/v1/accounts/acme-42",
        "/v1/audit-log",
        "/v1/api-keys",
        "/v1/meters",
        "/v1/usage-events/unrated",
    ] {
        assert_eq!(monitoring.get(path).await.code(), "403 forbidden", "{path}");
    }
    assert_eq!(
        monitoring
            .post("/v1/usage-events", call("c", "acme-42", "60"))
            .await
            .code(),
        "403 forbidden"
    );
    assert_eq!(
        market.by("muster admin").get("/metrics").await.code(),
        "403 forbidden"
    );
    // A reseller's has nothing to measure.
    let refused = market
        .by("muster admin")
        .post(
            "/v1/api-keys",
            json!({ "name": "p", "scope": "metrics_read" }),
        )
        .await;
    assert_eq!(
        (refused.status, &refused.body["field"]),
        (422, &json!("scope")),
        "{refused:?}"
    );
}

async fn a_key_says_who_made_it_and_when_it_was_used(market: Market) {
    market.served.set_clock("2026-11-20T12:00:00Z");
    let maker = made(
        &market,
        "muster admin",
        json!({ "name": "leaked", "scope": "tenant_admin" }),
    )
    .await;
    let leaked = market.admin().with_key(maker["secret"].as_str());
    let child = |name: &str| json!({ "name": name, "scope": "tenant_read" });
    let one = leaked.post("/v1/api-keys", child("one")).await.ok();
    let other = leaked.post("/v1/api-keys", child("other")).await.ok();
    let path = |key: &Value| format!("/v1/api-keys/{}/revoke", key["id"].as_str().unwrap());
    leaked.post(&path(&one), json!({})).await.ok();
    assert_eq!(other["made_by"], maker["id"]);

    market.served.set_clock("2026-11-20T12:10:00Z");
    let shown = market.admin().get("/v1/api-keys?limit=100").await.ok();
    let shown = |id: &Value| {
        shown["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["id"] == *id)
            .unwrap()
            .clone()
    };
    assert_eq!(shown(&maker["id"])["last_used_at"], "2026-11-20T12:00:00Z");
    assert_eq!(shown(&other["id"]).get("last_used_at"), None, "never");
    let revoked = market
        .by("muster admin")
        .post(&path(&maker), json!({}))
        .await
        .ok();
    assert_eq!(
        revoked["made_valid"],
        json!([other["id"]]),
        "what else to revoke"
    );

    // What it did, in the log.
    let did = market
        .admin()
        .get(&format!(
            "/v1/audit-log?key={}&resource=api_key",
            maker["id"].as_str().unwrap()
        ))
        .await
        .ok();
    let did: Vec<_> = did["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["action"], &entry["resource_id"]))
        .collect();
    assert_eq!(
        did,
        [
            (&json!("revoke"), &one["id"]),
            (&json!("create"), &other["id"]),
            (&json!("create"), &one["id"])
        ]
    );
    let log = async |query: &str| {
        market
            .by("muster admin")
            .get(&format!("/v1/audit-log?limit=1000&{query}"))
            .await
    };
    let count = async |query: &str| log(query).await.ok()["data"].as_array().unwrap().len();
    let all = count("").await;
    assert_eq!(
        all,
        count("until=2026-11-20T12:10:00Z").await + count("from=2026-11-20T12:10:00Z").await
    );
    assert!(count("tenant=acme-42").await < all && count("tenant=acme-42").await > 0);
    assert_eq!(log("tenant=beta").await.code(), "404 not_found");
    assert_eq!(log("actor=me").await.code(), "422 unknown_field");
    assert_eq!(log("resource=tenants").await.code(), "422 invalid_field");

    // It is written beside the requests, and read by whoever starts next.
    market
        .served
        .running
        .app
        .key_uses
        .write(&market.served.running.app.catalog)
        .await
        .unwrap();
    let stored = market
        .served
        .running
        .app
        .catalog
        .key(maker["id"].as_str().unwrap().parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        stored.last_used_at.unwrap().to_string(),
        "2026-11-20T12:00:00Z"
    );
}

async fn usage_says_by_whose_key_it_came(market: Market) {
    let switch = made(
        &market,
        "platform",
        json!({ "name": "our switch", "scope": "usage_write" }),
    )
    .await;
    let own = made(
        &market,
        "muster admin",
        json!({ "name": "its switch", "scope": "usage_write" }),
    )
    .await;
    let by = |key: &Value| market.admin().with_key(key["secret"].as_str());
    by(&switch)
        .post("/v1/usage-events", call("above", "acme-42", "60"))
        .await
        .ok();
    by(&own)
        .post("/v1/usage-events", call("below", "acme-42", "60"))
        .await
        .ok();
    let shown = async |reader: &str, id: &str| {
        let reader = if reader == "platform" {
            market.admin().clone()
        } else {
            market.by(reader)
        };
        let explained = reader
            .get(&format!("/v1/usage-events/default/{id}"))
            .await
            .ok();
        let listed = reader.get("/v1/usage-events?customer=acme-42").await.ok();
        let listed = listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|event| event["id"] == id)
            .unwrap()
            .clone();
        assert_eq!(explained.get("api_key"), listed.get("api_key"));
        explained
    };
    assert_eq!(shown("platform", "above").await["api_key"], switch["id"]);
    assert_eq!(shown("platform", "below").await["api_key"], own["id"]);
    assert_eq!(shown("muster admin", "below").await["api_key"], own["id"]);
    assert_eq!(
        shown("muster admin", "above").await.get("api_key"),
        None,
        "the platform's keys are its own affair"
    );

    // Who takes it back, too; and a resend changes nothing.
    let void = json!({ "customer": "acme-42", "reason": "wrong" });
    let muster = market.by("muster admin");
    assert!(
        muster
            .once("v")
            .post("/v1/usage-events/default/below/void", void)
            .await
            .status
            < 300
    );
    by(&own)
        .post("/v1/usage-events", call("below", "acme-42", "60"))
        .await;
    let explained = shown("muster admin", "below").await;
    let later = &explained["later"][0];
    assert_eq!(
        (&explained["api_key"], &later["kind"]),
        (&own["id"], &json!("void")),
        "{explained}"
    );
    assert!(
        later["api_key"]
            .as_str()
            .is_some_and(|key| key.starts_with("key_") && key != own["id"]),
        "{later}"
    );
    let checks = transfer::audit::verify(market.served.running.app.catalog.db())
        .await
        .unwrap();
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
}

/// Who did it above, and why, is theirs to know.
async fn the_audit_log_tells_nothing_of_those_above(market: Market) {
    let (admin, muster, acme) = (
        market.admin(),
        market.by("muster admin"),
        market.by("acme-42 admin"),
    );
    let goodwill = json!({ "tenant": "acme-42", "cents": 100, "reason": "goodwill, do not tell" });
    admin
        .once("goodwill")
        .post("/v1/adjustments", goodwill)
        .await
        .ok();
    let key = muster
        .post(
            "/v1/api-keys",
            json!({ "name": "x", "tenant": "acme-42", "scope": "tenant_read" }),
        )
        .await
        .ok();
    let log = async |by: &Asking, resource: &str| {
        by.get(&format!("/v1/audit-log?tenant=acme-42&resource={resource}"))
            .await
            .ok()
    };
    let told = async |by: &Asking, resource: &str| {
        let entry = log(by, resource).await["data"][0].clone();
        ["api_key", "reason"].map(|name| entry.get(name).is_some())
    };
    assert_eq!(told(admin, "adjustment").await, [true, true]);
    for (by, of_keys) in [(&muster, [true, false]), (&acme, [false, false])] {
        assert_eq!(told(by, "adjustment").await, [false, false]);
        assert!(
            !log(by, "adjustment")
                .await
                .to_string()
                .contains("do not tell")
        );
        assert_eq!(told(by, "api_key").await, of_keys);
        assert_eq!(
            log(by, "api_key").await["data"][0]["resource_id"],
            key["id"]
        );
    }
}

/// Reads leave nothing in the books: what a leaked key saw is in the log.
#[tokio::test]
async fn the_log_says_whose_request_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("stderr");
    let settings = [("CENTWISE_LOG_FORMAT", "json"), ("CENTWISE_LOG", "debug")];
    let server = Process::start_saying(
        &dir.path().join("data"),
        None,
        &settings,
        std::fs::File::create(&said).unwrap().into(),
    )
    .await;
    let key = server
        .admin
        .post(
            "/v1/api-keys",
            json!({ "name": "reads", "scope": "tenant_read", "tenant": "nord-voice" }),
        )
        .await
        .ok();
    let reads = server.admin.with_key(key["secret"].as_str());
    reads.get("/v1/tenants").await.ok();
    assert_eq!(
        reads
            .post("/v1/usage-events", call("c", "gamma-1", "60"))
            .await
            .code(),
        "403 forbidden"
    );
    assert_eq!(
        server
            .admin
            .with_key(Some("cw_nobody"))
            .get("/v1/tenants")
            .await
            .status,
        401
    );
    assert!(server.stop().await);

    let text = std::fs::read_to_string(&said).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let found = |route: &str, status: u16| {
        let line = lines
            .iter()
            .map(|line| &line["fields"])
            .find(|line| line["route"] == route && line["status"] == status);
        let line = line.unwrap_or_else(|| panic!("{route} {status}: {text}"));
        assert!(
            line["address"].as_str().unwrap().starts_with("127.0.0.1:"),
            "{line}"
        );
        (
            line["key"].clone(),
            line["tenant"].clone(),
            line["code"].clone(),
        )
    };
    let read = found("/v1/tenants", 200);
    assert_eq!(read, (key["id"].clone(), json!("nord-voice"), Value::Null));
    assert_eq!(
        found("/v1/usage-events", 403),
        (key["id"].clone(), json!("nord-voice"), json!("forbidden"))
    );
    assert_eq!(
        found("/v1/tenants", 401),
        (Value::Null, Value::Null, json!("unauthorized"))
    );
    assert!(
        !text.contains(key["secret"].as_str().unwrap()),
        "no secret is said"
    );
}
