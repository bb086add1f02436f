//! A platform, two roots and their keys, created over HTTP.

use crate::served::{Answer, Asking, Served};
use crate::world::prices;
use serde_json::{Value, json};

/// The platform; muster → acme-42 and acme-43; agent → beta.
pub struct Market {
    pub served: Served,
    /// By name: `muster admin`, `muster read`, `muster usage`, `revoked`, `agent admin`, `acme-42
    /// admin`.
    keys: Vec<(&'static str, String)>,
    /// Ids that paths need: `wholesale`, `retail` (cards), `muster agreement`, `muster key`.
    ids: Vec<(&'static str, String)>,
}

/// Stamps every `async fn test(market: Market)` on both databases.
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::http_world::Market::new().await).await
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(market) = $crate::http_world::Market::postgres().await {
                    super::$test(market).await
                }
            })+
        }
    };
}
pub(crate) use on_every_database;

impl Market {
    pub async fn new() -> Self {
        Self::over(Served::new().await).await
    }

    /// `None` where there is no PostgreSQL.
    pub async fn postgres() -> Option<Self> {
        Some(Self::over(Served::postgres().await?).await)
    }

    pub async fn over(served: Served) -> Self {
        let mut market = Self {
            served,
            keys: Vec::new(),
            ids: Vec::new(),
        };
        for (meter, unit) in [
            ("call", "second"),
            ("sms", "message"),
            ("api_call", "call"),
            ("booking", "booking"),
        ] {
            market
                .make("/v1/meters", json!({ "name": meter, "unit": unit }))
                .await;
        }
        market
            .card(
                "wholesale",
                "platform",
                prices("0.30", "0.10", "1.00", "0.05"),
            )
            .await;
        for (reseller, customers, card) in [
            ("muster", &["acme-42", "acme-43"][..], "retail"),
            ("agent", &["beta"][..], "retail-2"),
        ] {
            market
                .buyer(reseller, "reseller", "platform", "wholesale")
                .await;
            market
                .card(card, reseller, prices("0.40", "0.15", "1.50", "0.08"))
                .await;
            for customer in customers {
                market.buyer(customer, "customer", reseller, card).await;
                let top_up = json!({ "tenant": customer, "cents": 5000, "currency": "EUR", "reason": "cash" });
                market
                    .admin()
                    .once(&format!("top-{customer}"))
                    .post("/v1/top-ups", top_up)
                    .await
                    .ok();
            }
        }
        for (name, tenant, scope) in [
            ("muster admin", "muster", "tenant_admin"),
            ("muster read", "muster", "tenant_read"),
            ("muster usage", "muster", "usage_write"),
            ("revoked", "muster", "tenant_admin"),
            ("agent admin", "agent", "tenant_admin"),
            ("acme-42 admin", "acme-42", "tenant_admin"),
        ] {
            market.api_key(name, tenant, scope).await;
        }
        market
    }

    async fn make(&self, path: &str, body: Value) -> Value {
        self.admin().post(path, body).await.ok()
    }

    async fn card(&mut self, name: &'static str, owner: &str, doc: Value) {
        let mut doc = doc;
        doc["currency"] = json!("EUR");
        let card = self
            .make(
                "/v1/rate-cards",
                json!({ "name": name, "currency": "EUR", "owner": owner }),
            )
            .await;
        let id = card["id"].as_str().unwrap().to_owned();
        self.make(&format!("/v1/rate-cards/{id}/versions"), doc)
            .await;
        self.make(
            &format!("/v1/rate-cards/{id}/versions/1/publish"),
            json!({ "effective_from": "2026-01-01T00:00:00Z" }),
        )
        .await;
        self.ids.push((name, id));
    }

    async fn buyer(&mut self, name: &'static str, kind: &str, seller: &str, card: &str) {
        self.make(
            "/v1/tenants",
            json!({ "external_id": name, "kind": kind, "name": name, "parent": seller }),
        )
        .await;
        let limit = if kind == "customer" {
            json!(0)
        } else {
            Value::Null
        };
        let agreement = json!({ "buyer": name, "currency": "EUR", "rate_card": self.id(card), "credit_limit_cents": limit, "from": "2026-01-01T00:00:00Z" });
        let agreement = self.make("/v1/agreements", agreement).await;
        if name == "muster" {
            self.ids.push((
                "muster agreement",
                agreement["id"].as_str().unwrap().to_owned(),
            ));
        }
    }

    async fn api_key(&mut self, name: &'static str, tenant: &str, scope: &str) {
        let key = self
            .make(
                "/v1/api-keys",
                json!({ "name": name, "tenant": tenant, "scope": scope }),
            )
            .await;
        let id = key["id"].as_str().unwrap().to_owned();
        if name == "revoked" {
            self.make(&format!("/v1/api-keys/{id}/revoke"), json!({}))
                .await;
        }
        if name == "muster read" {
            self.ids.push(("muster key", id));
        }
        self.keys
            .push((name, key["secret"].as_str().unwrap().to_owned()));
    }

    pub fn admin(&self) -> &Asking {
        &self.served.admin
    }
    pub fn by(&self, name: &str) -> Asking {
        self.admin().with_key(Some(self.secret(name)))
    }
    pub fn secret(&self, name: &str) -> &str {
        &self
            .keys
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    }
    pub fn id(&self, name: &str) -> &str {
        &self.ids.iter().find(|(known, _)| *known == name).unwrap().1
    }
    /// What the platform earned from a root.
    pub async fn revenue(&self, root: &str) -> i64 {
        let path = format!("/v1/accounts/{root}?account=revenue&currency=EUR");
        self.admin().get(&path).await.ok()["posted_cents"]
            .as_i64()
            .unwrap()
    }
    pub async fn balance(&self, tenant: &str) -> i64 {
        self.admin()
            .get(&format!("/v1/accounts/{tenant}?currency=EUR"))
            .await
            .ok()["posted_cents"]
            .as_i64()
            .unwrap()
    }
}

pub fn call(id: &str, customer: &str, seconds: &str) -> Value {
    json!({ "id": id, "customer": customer, "meter": "call", "quantity": seconds, "at": "2026-11-20T09:00:00Z", "destination": "+4930123456" })
}

/// One event's answer of a batch: its status, and the problem's code or the reason.
pub fn outcomes(answer: &Answer) -> Vec<String> {
    let one = |event: &Value| {
        let why = event["problem"]["code"]
            .as_str()
            .or(event["reason"].as_str())
            .map(|why| format!(" {why}"))
            .unwrap_or_default();
        format!("{}{why}", event["status"].as_str().unwrap_or("?"))
    };
    answer.body["data"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:?}"))
        .iter()
        .map(one)
        .collect()
}
