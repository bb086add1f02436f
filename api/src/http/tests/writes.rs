//! Writes that are sent again, and who may undo them.

use super::Service;
use serde_json::json;

#[tokio::test]
async fn the_same_key_gives_the_same_answer() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    let send = |key: &'static str, path: &'static str, body: serde_json::Value| {
        let (service, admin) = (&service, &admin);
        async move {
            service
                .with_headers(
                    admin,
                    "POST",
                    path,
                    &[
                        ("content-type", "application/json"),
                        ("idempotency-key", key),
                    ],
                    body.to_string(),
                )
                .await
        }
    };
    let tenant =
        json!({"external_id": "beta-7", "kind": "customer", "name": "Beta", "parent": "muster"});
    let first = send("k1", "/v1/tenants", tenant.clone()).await;
    let again = send("k1", "/v1/tenants", tenant.clone()).await;
    assert_eq!(
        (
            first.status,
            again.status,
            &again.headers["idempotency-replayed"]
        ),
        (first.status, first.status, &"true".parse().unwrap())
    );
    assert_eq!(first.body, again.body);
    assert_eq!(
        send(
            "k1",
            "/v1/tenants",
            json!({"external_id": "c", "kind": "customer", "name": "C", "parent": "muster"})
        )
        .await
        .code(),
        (409, "idempotency_conflict")
    );
    assert_eq!(
        send("k2", "/v1/tenants", tenant.clone()).await.code(),
        (409, "conflict"),
        "the id is taken"
    );
    assert_eq!(
        send("k2", "/v1/tenants", tenant).await.code(),
        (409, "conflict"),
        "a refusal is not kept"
    );

    let money = json!({"tenant": "acme-42", "cents": 100, "reason": "cash"});
    assert_eq!(send("m1", "/v1/top-ups", money.clone()).await.status, 201);
    let again = send("m1", "/v1/top-ups", money.clone()).await;
    assert_eq!(
        (
            again.status.as_u16(),
            &again.body["balance_cents"],
            &again.body["duplicate"]
        ),
        (200, &json!(5100), &json!(true))
    );
    assert_eq!(
        send(
            "m1",
            "/v1/top-ups",
            json!({"tenant": "acme-42", "cents": 200, "reason": "cash"})
        )
        .await
        .code(),
        (409, "idempotency_conflict")
    );
    let bare = service
        .with_headers(&admin, "POST", "/v1/top-ups", &[], money.to_string())
        .await;
    assert_eq!(bare.code(), (400, "missing_idempotency_key"));
    let without_reason = json!({"tenant": "acme-42", "cents": -100, "reason": ""});
    assert_eq!(
        send("a1", "/v1/adjustments", without_reason).await.code(),
        (422, "invalid_reason")
    );
}

#[tokio::test]
async fn a_revoked_or_expired_key_opens_nothing() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    let made = service
        .post(
            &admin,
            "/v1/api-keys",
            json!({"name": "t", "scope": "tenant_read", "tenant": "muster", "expires_at": "2026-11-20T13:00:00Z"}),
        )
        .await
        .ok();
    let (id, secret) = (
        made["id"].as_str().unwrap().to_owned(),
        made["secret"].as_str().unwrap().to_owned(),
    );
    assert_eq!(service.get(&secret, "/v1/tenants").await.status, 200);
    assert!(
        !service
            .get(&admin, "/v1/api-keys")
            .await
            .ok()
            .to_string()
            .contains("cw_"),
        "secrets are shown once"
    );
    service.clock.set("2026-11-20T13:00:00Z".parse().unwrap());
    assert_eq!(
        service.get(&secret, "/v1/tenants").await.code(),
        (401, "unauthorized")
    );
    service.clock.set("2026-11-20T12:30:00Z".parse().unwrap());
    service
        .post(&admin, &format!("/v1/api-keys/{id}/revoke"), json!({}))
        .await
        .ok();
    assert_eq!(
        service.get(&secret, "/v1/tenants").await.code(),
        (401, "unauthorized")
    );
}

#[tokio::test]
async fn every_write_is_in_the_audit_log() {
    let service = Service::reference().await;
    let log = service
        .get(&service.admin, "/v1/audit-log?limit=100")
        .await
        .ok();
    let resources: Vec<_> = log["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"].as_str().unwrap().to_owned())
        .collect();
    for resource in ["top_up", "agreement", "tenant", "rate_card", "meter"] {
        assert!(
            resources.iter().any(|found| found == resource),
            "{resource} in {resources:?}"
        );
    }
}

#[tokio::test]
async fn tenants_are_listed_changed_and_closed() {
    let service = Service::reference().await;
    let muster = service.key("muster", "tenant_admin").await;
    let all = service
        .get(&service.admin, "/v1/tenants?subtree=true")
        .await
        .ok();
    let names: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["external_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["platform", "muster", "acme-42"]);
    let changed = service
        .with_headers(
            &muster,
            "PATCH",
            "/v1/tenants/acme-42",
            &[],
            json!({"name": "Acme AG"}).to_string(),
        )
        .await
        .ok();
    assert_eq!(
        (&changed["name"], &changed["parent"]),
        (&json!("Acme AG"), &json!("muster"))
    );
    let closed = service
        .post(&muster, "/v1/tenants/acme-42/close", json!({}))
        .await
        .ok();
    assert!(closed["closed_at"].is_string());
    assert_eq!(
        service
            .with_headers(
                &muster,
                "PATCH",
                "/v1/tenants/muster",
                &[],
                json!({"late_window_days": 3000}).to_string()
            )
            .await
            .code(),
        (403, "forbidden")
    );
}

/// T3: a window of no days would leave every call of the customer uncharged on the links above.
#[tokio::test]
async fn the_late_window_is_the_platforms_to_set() {
    let service = Service::reference().await;
    let muster = service.key("muster", "tenant_admin").await;
    let change = json!({"late_window_days": 0}).to_string();
    let refused = service
        .with_headers(&muster, "PATCH", "/v1/tenants/acme-42", &[], change.clone())
        .await;
    assert_eq!(
        (refused.code(), &refused.body["field"]),
        ((403, "forbidden"), &json!("late_window_days"))
    );
    let new = json!({"external_id": "acme-44", "kind": "customer", "name": "Acme", "late_window_days": 0});
    assert_eq!(
        service.post(&muster, "/v1/tenants", new).await.code(),
        (403, "forbidden")
    );
    let changed = service
        .with_headers(
            &service.admin,
            "PATCH",
            "/v1/tenants/muster",
            &[],
            json!({"late_window_days": 60}).to_string(),
        )
        .await;
    assert_eq!(changed.ok()["late_window_days"], 60);
    let new = json!({"external_id": "acme-44", "kind": "customer", "name": "Acme"});
    assert_eq!(
        service.post(&muster, "/v1/tenants", new).await.ok()["late_window_days"],
        60,
        "its seller's"
    );
    assert_eq!(
        service
            .with_headers(&service.admin, "PATCH", "/v1/tenants/acme-44", &[], change)
            .await
            .ok()["late_window_days"],
        0
    );
}

/// Otherwise nobody would administer the installation ever again.
#[tokio::test]
async fn the_last_admin_key_is_not_revoked() {
    let api = Service::start().await;
    let keys = api.get(&api.admin, "/v1/api-keys").await.ok();
    let first = keys["data"][0]["id"].as_str().unwrap().to_owned();
    let revoke = |id: String| {
        let api = &api;
        async move {
            api.post(&api.admin, &format!("/v1/api-keys/{id}/revoke"), json!({}))
                .await
        }
    };
    assert_eq!(revoke(first.clone()).await.code(), (409, "last_admin_key"));
    // One that ends by itself is none to rely on, and may always go.
    let new = |ends: serde_json::Value| json!({ "name": "second", "scope": "platform_admin", "expires_at": ends });
    let ending = api
        .post(
            &api.admin,
            "/v1/api-keys",
            new(json!("2099-01-01T00:00:00Z")),
        )
        .await
        .ok();
    assert_eq!(revoke(first.clone()).await.code(), (409, "last_admin_key"));
    revoke(ending["id"].as_str().unwrap().to_owned()).await.ok();
    let lasting = api
        .post(&api.admin, "/v1/api-keys", new(serde_json::Value::Null))
        .await
        .ok();
    revoke(first).await.ok();
    let secret = lasting["secret"].as_str().unwrap();
    let last = api
        .post(
            secret,
            &format!("/v1/api-keys/{}/revoke", lasting["id"].as_str().unwrap()),
            json!({}),
        )
        .await;
    assert_eq!(last.code(), (409, "last_admin_key"));
}

#[tokio::test]
async fn a_key_with_another_scope_is_told_which_would_do() {
    let service = Service::reference().await;
    let detail = async |scope: &str, path: &str| {
        let key = service.key("muster", scope).await;
        let refused = service.post(&key, path, json!({})).await;
        assert_eq!(refused.code(), (403, "forbidden"));
        refused.body["detail"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        detail("usage_write", "/v1/tenants").await,
        "this request needs a key with the scope `platform_admin` or `tenant_admin`; this key \
            has the scope `usage_write`"
    );
    assert_eq!(
        detail("tenant_admin", "/v1/meters").await,
        "this request needs a key with the scope `platform_admin`; this key has the scope \
            `tenant_admin`"
    );
}

#[tokio::test]
async fn where_webhooks_may_not_go_the_setting_is_named() {
    let service = Service::reference().await;
    for (url, expected) in [
        ("http://hooks.example.com/in", "begins with https://"),
        ("https://10.0.0.1/", "a public address"),
    ] {
        let refused = service
            .post(
                &service.admin,
                "/v1/webhook-endpoints",
                json!({ "url": url, "tenant": "muster" }),
            )
            .await;
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(
            detail.contains(expected) && detail.contains("CENTWISE_WEBHOOKS_TO_PRIVATE=true"),
            "{detail}"
        );
    }
}
