//! The service without sockets: requests as a client sends them, over a temporary database.

mod contract;
mod decks;
mod limits;
mod money;
mod postman;
mod reference;
mod top_ups;
mod writes;

use crate::config::Config;
use crate::{http, opening};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use clock::Clock;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::ServiceExt;
use web::state::App;

const NOW: &str = "2026-11-20T12:00:00Z";

struct Service {
    app: App,
    router: Router,
    clock: Clock,
    admin: String,
    keys: AtomicUsize,
    _directory: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (
            self.status.as_u16(),
            self.body["code"].as_str().unwrap_or_default(),
        )
    }
    #[track_caller]
    fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.body
    }
}

impl Service {
    async fn start() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::at(NOW.parse().unwrap());
        let opened = opening::open(
            &Config {
                data_dir: directory.path().to_owned(),
                ..config
            },
            clock.clone(),
        )
        .await
        .unwrap();
        let router = http::router(&opened.app);
        Self {
            app: opened.app,
            router,
            clock,
            admin: opened.admin_key.unwrap(),
            keys: AtomicUsize::new(0),
            _directory: directory,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    async fn with_headers(
        &self,
        key: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn get(&self, key: &str, path: &str) -> Answer {
        self.with_headers(key, "GET", path, &[], String::new())
            .await
    }

    /// With an idempotency key of its own.
    async fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        let number = self.keys.fetch_add(1, Ordering::Relaxed);
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", &*format!("test-{number}")),
        ];
        self.with_headers(key, "POST", path, &headers, body.to_string())
            .await
    }

    async fn usage(&self, key: &str, body: Value) -> Answer {
        self.with_headers(
            key,
            "POST",
            "/v1/usage-events",
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
    }

    /// The reference chain: platform 0.30 → Muster Telecom 0.40 → acme-42, prepaid 50.00.
    async fn reference() -> Self {
        let service = Self::start().await;
        service.seed().await;
        service
    }

    async fn seed(&self) {
        let admin = self.admin.clone();
        self.post(
            &admin,
            "/v1/meters",
            json!({"name": "call", "unit": "second"}),
        )
        .await
        .ok();
        self.seller(&admin, "platform", "wholesale", "0.30").await;
        let muster = json!({"external_id": "muster", "kind": "reseller", "name": "Muster Telecom", "country": "DE"});
        self.post(&admin, "/v1/tenants", muster).await.ok();
        self.agree(&admin, json!({"buyer": "muster", "currency": "EUR", "rate_card": "wholesale", "from": "2026-01-01T00:00:00Z"})).await;
        self.seller(&admin, "muster", "retail", "0.40").await;
        let acme = json!({"external_id": "acme-42", "kind": "customer", "name": "Acme GmbH", "parent": "muster"});
        self.post(&admin, "/v1/tenants", acme).await.ok();
        let terms = json!({"buyer": "acme-42", "currency": "EUR", "rate_card": "retail", "credit_limit_cents": 0, "from": "2026-01-01T00:00:00Z"});
        self.agree(&admin, terms).await;
        self.post(
            &admin,
            "/v1/top-ups",
            json!({"tenant": "acme-42", "cents": 5000, "reason": "bank transfer"}),
        )
        .await
        .ok();
    }

    async fn agree(&self, key: &str, terms: Value) {
        self.post(key, "/v1/agreements", terms).await.ok();
    }

    /// A card of one rate per minute, published.
    async fn seller(&self, key: &str, owner: &str, card: &str, price: &str) {
        self.post(
            key,
            "/v1/rate-cards",
            json!({"name": card, "currency": "EUR", "owner": owner}),
        )
        .await
        .ok();
        let rate = json!({"key": "all", "meter": "call", "prefixes": ["49"], "call": {"initial": "60", "next": "60", "steps": [{"from": "0", "price": price, "per": "60"}]}});
        let doc = json!({"currency": "EUR", "rates": [rate]});
        self.post(
            key,
            &format!("/v1/rate-cards/{card}/versions?owner={owner}"),
            doc,
        )
        .await
        .ok();
        let publish = json!({"effective_from": "2026-01-01T00:00:00Z"});
        self.post(
            key,
            &format!("/v1/rate-cards/{card}/versions/1/publish?owner={owner}"),
            publish,
        )
        .await
        .ok();
    }

    async fn key(&self, tenant: &str, scope: &str) -> String {
        let made = self
            .post(
                &self.admin,
                "/v1/api-keys",
                json!({"name": "test", "scope": scope, "tenant": tenant}),
            )
            .await
            .ok();
        made["secret"].as_str().unwrap().to_owned()
    }

    fn call(id: &str) -> Value {
        json!({"id": id, "source": "pbx-1", "customer": "acme-42", "meter": "call", "quantity": "600", "at": "2026-11-20T09:00:00Z", "destination": "+4930123456"})
    }
}
