//! Limits, health, the document.

use super::Service;
use crate::config::Config;
use serde_json::json;
use web::limits::LimitSettings;

#[tokio::test]
async fn limits_are_shown_and_enforced() {
    let limits = LimitSettings {
        other_per_min: 2,
        ..LimitSettings::default()
    };
    let service = Service::with(Config {
        limits,
        ..Config::default()
    })
    .await;
    let reader = service.key("platform", "tenant_read").await;
    let first = service.get(&reader, "/v1/tenants").await;
    assert_eq!(
        (
            &first.headers["ratelimit-limit"],
            &first.headers["ratelimit-remaining"]
        ),
        (&"2".parse().unwrap(), &"1".parse().unwrap())
    );
    service.get(&reader, "/v1/tenants").await.ok();
    let third = service.get(&reader, "/v1/tenants").await;
    assert_eq!(third.code(), (429, "rate_limited"));
    assert!(third.headers.contains_key("retry-after"));
    let usage = service.usage(&service.admin, json!([])).await;
    assert!(
        usage.headers.contains_key("ratelimit-limit"),
        "{} {}",
        usage.status,
        usage.body
    );
}

#[tokio::test]
async fn health_and_documents_need_no_key_and_metrics_do() {
    let service = Service::start().await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(service.get("", path).await.ok()["status"], "ok", "{path}");
    }
    assert_eq!(
        service.get("", "/v1/openapi.json").await.ok()["openapi"],
        "3.1.0"
    );
    assert_eq!(service.get("", "/docs").await.status, 200);
    assert_eq!(
        service.get("", "/metrics").await.code(),
        (401, "unauthorized")
    );
    let text = service.get(&service.admin, "/metrics").await;
    assert!(
        text.body
            .as_str()
            .is_some_and(|text| text.contains("centwise_http_requests_total")),
        "{}",
        text.body
    );
    assert!(service.app.platform.0 > 0);
}

/// What is left of a body would be taken for the next request.
#[tokio::test]
async fn a_connection_with_a_body_that_nobody_read_is_closed() {
    let service = Service::reference().await;
    let json = [("content-type", "application/json")];
    let closes = async |key: &str, path: &str, body: String| {
        let answer = service.with_headers(key, "POST", path, &json, body).await;
        (
            answer.status.as_u16(),
            answer
                .headers
                .get("connection")
                .is_some_and(|value| value == "close"),
        )
    };
    let long = || format!("[{}]", " ".repeat(100_000));
    let admin = service.admin.clone();
    assert_eq!(closes("", "/v1/usage-events", long()).await, (401, true));
    assert_eq!(closes(&admin, "/v1/nothing", long()).await, (404, true));
    assert_eq!(
        closes(&admin, "/v1/tenants/platform", long()).await,
        (405, true)
    );
    // It was read, or is small, or was taken.
    assert!(!closes(&admin, "/v1/tenants", long()).await.1);
    assert_eq!(
        closes("", "/v1/usage-events", "[]".to_owned()).await,
        (401, false)
    );
    let events = json!(
        (0..200)
            .map(|n| Service::call(&format!("e{n}")))
            .collect::<Vec<_>>()
    )
    .to_string();
    assert_eq!(
        closes(&admin, "/v1/usage-events", events).await,
        (200, false)
    );
}

#[tokio::test]
async fn no_answer_is_somebody_elses_page() {
    let service = Service::reference().await;
    let admin = service.admin.clone();
    for (path, policy) in [
        ("/v1/tenants", "default-src 'none'; frame-ancestors 'none'"),
        ("/v1/nothing", "default-src 'none'; frame-ancestors 'none'"),
        (
            "/docs",
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                frame-ancestors 'none'",
        ),
    ] {
        let headers = service.get(&admin, path).await.headers;
        let found = [
            "x-content-type-options",
            "cache-control",
            "content-security-policy",
        ]
        .map(|name| headers[name].to_str().unwrap());
        assert_eq!(found, ["nosniff", "no-store", policy], "{path}");
    }
    for file in ["/docs/style.css", "/docs/page.js"] {
        assert_eq!(service.get("", file).await.status, 200, "{file}");
        assert!(
            service
                .get("", "/docs")
                .await
                .body
                .as_str()
                .unwrap()
                .contains(file),
            "{file}"
        );
    }
}
