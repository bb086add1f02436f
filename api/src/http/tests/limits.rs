//! Limits, health, the document.

use super::Service;
use crate::config::Config;
use crate::limits::LimitSettings;
use serde_json::json;

#[tokio::test]
async fn limits_are_shown_and_enforced() {
    let limits = LimitSettings { other_per_min: 2, ..LimitSettings::default() };
    let service = Service::with(Config { limits, ..Config::default() }).await;
    let reader = service.key("platform", "tenant_read").await;
    let first = service.get(&reader, "/v1/tenants").await;
    assert_eq!((&first.headers["ratelimit-limit"], &first.headers["ratelimit-remaining"]), (&"2".parse().unwrap(), &"1".parse().unwrap()));
    service.get(&reader, "/v1/tenants").await.ok();
    let third = service.get(&reader, "/v1/tenants").await;
    assert_eq!(third.code(), (429, "rate_limited"));
    assert!(third.headers.contains_key("retry-after"));
    let usage = service.usage(&service.admin, json!([])).await;
    assert!(usage.headers.contains_key("ratelimit-limit"), "{} {}", usage.status, usage.body);
}

#[tokio::test]
async fn health_and_documents_need_no_key_and_metrics_do() {
    let service = Service::start().await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(service.get("", path).await.ok()["status"], "ok", "{path}");
    }
    assert_eq!(service.get("", "/v1/openapi.json").await.ok()["openapi"], "3.1.0");
    assert_eq!(service.get("", "/docs").await.status, 200);
    assert_eq!(service.get("", "/metrics").await.code(), (401, "unauthorized"));
    let text = service.get(&service.admin, "/metrics").await;
    assert!(text.body.as_str().is_some_and(|text| text.contains("centwise_http_requests_total")), "{}", text.body);
    assert!(service.app.platform.0 > 0);
}
