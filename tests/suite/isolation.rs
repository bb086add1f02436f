//! No tenant sees another: every operation of the OpenAPI document, asked with no key, a revoked
//! key, a read-only key, a foreign tenant's key and a child's key, has one right answer, and none
//! moves anything.

use crate::http_world::{Market, call, on_every_database};
use crate::served::Answer;
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_every_database!(every_operation_knows_its_callers);

/// The answers to a read-only key of the seller, a foreign tenant's admin, and a child's admin.
/// Without a key, or with a revoked one, it is 401 unless the operation is open.
struct Row {
    operation: &'static str,
    path: String,
    body: Value,
    want: [&'static str; 3],
}

/// Everything here belongs to muster: the foreign tenant and its own customer must not reach it.
const READ: [&str; 3] = ["200", "404 not_found", "404 not_found"];
const WRITE: [&str; 3] = ["403 forbidden", "404 not_found", "404 not_found"];
/// The list of what the key itself sees.
const OWN: [&str; 3] = ["200", "200", "200"];
const OPERATOR: [&str; 3] = ["403 forbidden", "403 forbidden", "403 forbidden"];
/// Usage of a customer that the key does not know is kept, and moves nothing.
const KEPT: [&str; 3] = ["403 forbidden", "202", "202"];
const BATCH: [&str; 3] = ["403 forbidden", "200", "200"];

fn row(
    operation: &'static str,
    path: impl Into<String>,
    body: Value,
    want: [&'static str; 3],
) -> Row {
    Row {
        operation,
        path: path.into(),
        body,
        want,
    }
}

fn reading(market: &Market, filled: &Filled) -> Vec<Row> {
    let made = &filled.made;
    let (card, none) = (market.id("retail"), Value::Null);
    let get = |operation, path: &str, want| row(operation, path, none.clone(), want);
    vec![
        get("GET /health/live", "/health/live", OWN),
        get("GET /health/ready", "/health/ready", OWN),
        get("GET /metrics", "/metrics", OPERATOR),
        get("GET /v1/accounts", "/v1/accounts", OWN),
        get("GET /v1/accounts", "/v1/accounts?seller=muster", READ),
        get("GET /v1/accounts/{tenant}", "/v1/accounts/muster", READ),
        get(
            "GET /v1/accounts/{tenant}/auto-top-up",
            "/v1/accounts/muster/auto-top-up",
            READ,
        ),
        get(
            "GET /v1/accounts/{tenant}/entries",
            "/v1/accounts/muster/entries",
            READ,
        ),
        get(
            "GET /v1/accounts/{tenant}/statement",
            "/v1/accounts/muster/statement?from=2026-11-01T00:00:00Z",
            READ,
        ),
        get(
            "GET /v1/accounts/{tenant}/threshold",
            "/v1/accounts/muster/threshold",
            READ,
        ),
        get("GET /v1/agreements", "/v1/agreements", OWN),
        get("GET /v1/agreements", "/v1/agreements?buyer=muster", READ),
        get(
            "GET /v1/agreements",
            "/v1/agreements?buyer=muster&from=2026-11-01T00:00:00Z",
            READ,
        ),
        get(
            "GET /v1/agreements",
            "/v1/agreements?from=2026-11-01T00:00:00Z",
            OWN,
        ),
        get("GET /v1/api-keys", "/v1/api-keys", OWN),
        get("GET /v1/api-keys", "/v1/api-keys?name=muster%20read", OWN),
        get("GET /v1/audit-log", "/v1/audit-log", OWN),
        get(
            "GET /v1/audit-log",
            "/v1/audit-log?resource=rate_card&from=2026-11-01T00:00:00Z",
            OWN,
        ),
        get("GET /v1/clock", "/v1/clock", OPERATOR),
        get("GET /v1/restoration", "/v1/restoration", OPERATOR),
        get(
            "GET /v1/commissions",
            "/v1/commissions?reseller=muster&from=2026-11-01T00:00:00Z",
            READ,
        ),
        get("GET /v1/contacts", "/v1/contacts", OWN),
        get(
            "GET /v1/commissions/payable",
            "/v1/commissions/payable?reseller=muster",
            READ,
        ),
        get(
            "GET /v1/commissions/statement",
            "/v1/commissions/statement?reseller=muster&month=2026-11",
            READ,
        ),
        get("GET /v1/payouts", "/v1/payouts", OWN),
        get("GET /v1/payouts", "/v1/payouts?reseller=muster", READ),
        get(
            "GET /v1/payouts",
            "/v1/payouts?from=2026-11-01T00:00:00Z",
            OWN,
        ),
        get(
            "GET /v1/payouts/{payout}",
            &format!("/v1/payouts/{}", made.payout),
            READ,
        ),
        get(
            "GET /v1/payouts/sepa-file/{file}",
            &format!("/v1/payouts/sepa-file/{}", made.file),
            OPERATOR,
        ),
        get(
            "GET /v1/tenants/{tenant}/payout-settings",
            "/v1/tenants/muster/payout-settings",
            READ,
        ),
        get("GET /v1/holds/{hold}", "/v1/holds/held", READ),
        get("GET /v1/meters", "/v1/meters", OWN),
        get("GET /v1/meters/{meter}", "/v1/meters/call", OWN),
        get("GET /v1/rate-cards", "/v1/rate-cards", OWN),
        get("GET /v1/rate-cards", "/v1/rate-cards?owner=muster", READ),
        get(
            "GET /v1/rate-cards",
            "/v1/rate-cards?owner=muster&name=retail",
            READ,
        ),
        get("GET /v1/rate-cards", "/v1/rate-cards?name=retail", OWN),
        get(
            "GET /v1/rate-cards/{card}",
            &format!("/v1/rate-cards/{card}"),
            READ,
        ),
        get(
            "GET /v1/rate-cards/{card}/versions",
            &format!("/v1/rate-cards/{card}/versions"),
            READ,
        ),
        get(
            "GET /v1/rate-cards/{card}/versions/{version}",
            &format!("/v1/rate-cards/{card}/versions/1"),
            READ,
        ),
        get(
            "GET /v1/rate-cards/{card}/versions/{version}/diff",
            &format!("/v1/rate-cards/{card}/versions/2/diff?against=1"),
            READ,
        ),
        get("GET /v1/tenants", "/v1/tenants", OWN),
        get("GET /v1/tenants", "/v1/tenants?parent=muster", READ),
        get(
            "GET /v1/tenants",
            "/v1/tenants?parent=muster&external_id=acme-43",
            READ,
        ),
        get("GET /v1/tenants", "/v1/tenants?subtree=true&name=Acme", OWN),
        get(
            "GET /v1/tenants",
            "/v1/tenants?subtree=true&external_id=muster",
            OWN,
        ),
        get("GET /v1/tenants/{tenant}", "/v1/tenants/muster", READ),
        get(
            "GET /v1/payments/reconciliation",
            "/v1/payments/reconciliation?days=1",
            OPERATOR,
        ),
        get(
            "GET /v1/payments/suspense",
            "/v1/payments/suspense",
            OPERATOR,
        ),
        get("GET /v1/top-ups", "/v1/top-ups", OWN),
        get("GET /v1/top-ups", "/v1/top-ups?tenant=acme-43", READ),
        get(
            "GET /v1/top-ups",
            "/v1/top-ups?from=2026-11-01T00:00:00Z",
            OWN,
        ),
        get("GET /v1/top-ups/terms", "/v1/top-ups/terms", OWN),
        get(
            "GET /v1/top-ups/{top_up}",
            &format!("/v1/top-ups/{}", filled.top_up),
            READ,
        ),
        get(
            "GET /v1/usage-events",
            "/v1/usage-events?customer=acme-43",
            READ,
        ),
        get(
            "GET /v1/usage-events",
            "/v1/usage-events?customer=acme-43&until=2026-11-21T00:00:00Z",
            READ,
        ),
        get(
            "GET /v1/usage-events/unrated",
            "/v1/usage-events/unrated?root=muster",
            READ,
        ),
        get(
            "GET /v1/usage-events/{source}/{id}",
            "/v1/usage-events/default/posted",
            READ,
        ),
        get("GET /v1/webhook-endpoints", "/v1/webhook-endpoints", OWN),
        get(
            "GET /v1/webhook-endpoints/{endpoint}",
            &format!("/v1/webhook-endpoints/{}", filled.endpoint),
            READ,
        ),
        get(
            "GET /v1/webhook-endpoints/{endpoint}/deliveries",
            &format!("/v1/webhook-endpoints/{}/deliveries", filled.endpoint),
            READ,
        ),
        row(
            "POST /v1/price",
            "/v1/price",
            call("p", "acme-43", "60"),
            READ,
        ),
    ]
}

/// In an order in which each is possible.
fn paying_out(Made { payout, file }: &Made) -> Vec<Row> {
    let (why, paid) = (
        json!({ "reason": "a test" }),
        json!({ "reference": "a test" }),
    );
    let step = |operation, step: &str, body: &Value| {
        row(
            operation,
            format!("/v1/payouts/{payout}/{step}"),
            body.clone(),
            OPERATOR,
        )
    };
    let link = json!({ "return_url": "https://console.example/", "country": "DE" });
    let settings = json!({ "method": "bank", "minimum_cents": 100 });
    vec![
        row(
            "PATCH /v1/tenants/{tenant}/payout-settings",
            "/v1/tenants/muster/payout-settings",
            settings,
            OPERATOR,
        ),
        row(
            "POST /v1/tenants/{tenant}/payee",
            "/v1/tenants/muster/payee",
            link,
            WRITE,
        ),
        row(
            "POST /v1/payouts",
            "/v1/payouts",
            json!({ "reseller": "muster" }),
            OPERATOR,
        ),
        row(
            "POST /v1/payouts/run",
            "/v1/payouts/run",
            json!({}),
            OPERATOR,
        ),
        row(
            "POST /v1/payouts/sepa-file",
            "/v1/payouts/sepa-file",
            json!({}),
            OPERATOR,
        ),
        row(
            "POST /v1/payouts/sepa-file/{file}/paid",
            format!("/v1/payouts/sepa-file/{file}/paid"),
            paid.clone(),
            OPERATOR,
        ),
        step("POST /v1/payouts/{payout}/reverse", "reverse", &why),
        step("POST /v1/payouts/{payout}/paid", "paid", &paid),
        step("POST /v1/payouts/{payout}/failed", "failed", &why),
        step("POST /v1/payouts/{payout}/pay", "pay", &Value::Null),
        step("POST /v1/payouts/{payout}/cancel", "cancel", &why),
    ]
}

fn writing(market: &Market, filled: &Filled) -> Vec<Row> {
    let (endpoint, contact) = (&filled.endpoint, &filled.contact);
    let hook = json!({ "url": "https://hooks.example/in", "tenant": "muster" });
    let written_to = json!({ "address": "ops@example.com", "tenant": "muster" });
    let card = market.id("retail");
    let doc = json!({ "currency": "EUR", "rates": [{ "key": "sms", "meter": "sms", "price": { "model": "per_unit", "unit_price": "9" } }] });
    let why = json!({ "reason": "a test" });
    let money = json!({ "tenant": "muster", "cents": 100, "currency": "EUR", "reason": "a test" });
    let terms = json!({ "buyer": "muster", "currency": "EUR", "rate_card": market.id("wholesale"), "from": "2027-01-01T00:00:00Z" });
    let correction = json!({ "reason": "a test", "event": call("posted-2", "acme-43", "60") });
    vec![
        row(
            "POST /v1/adjustments",
            "/v1/adjustments",
            money.clone(),
            WRITE,
        ),
        row("POST /v1/top-ups", "/v1/top-ups", money, WRITE),
        row(
            "PUT /v1/accounts/{tenant}/auto-top-up",
            "/v1/accounts/muster/auto-top-up",
            json!({ "enabled": true, "threshold_cents": 1000, "amount_cents": 5000, "month_max_cents": 5000 }),
            WRITE,
        ),
        row(
            "POST /v1/top-ups/{top_up}/refunds",
            format!("/v1/top-ups/{}/refunds", filled.top_up),
            json!({ "cents": 100, "reason": "a test" }),
            OPERATOR,
        ),
        row(
            "POST /v1/restoration/resume",
            "/v1/restoration/resume",
            json!({}),
            OPERATOR,
        ),
        row(
            "POST /v1/clock/accept",
            "/v1/clock/accept",
            json!({}),
            OPERATOR,
        ),
        row(
            "POST /v1/meters",
            "/v1/meters",
            json!({ "name": "fax", "unit": "page" }),
            OPERATOR,
        ),
        row(
            "PATCH /v1/meters/{meter}",
            "/v1/meters/sms",
            json!({ "unit": "text" }),
            OPERATOR,
        ),
        row(
            "POST /v1/tenants",
            "/v1/tenants",
            json!({ "external_id": "intruder", "kind": "customer", "name": "x", "parent": "muster" }),
            WRITE,
        ),
        row(
            "PATCH /v1/tenants/{tenant}",
            "/v1/tenants/muster",
            json!({ "name": "Mine" }),
            WRITE,
        ),
        row(
            "POST /v1/api-keys",
            "/v1/api-keys",
            json!({ "name": "k", "scope": "tenant_read", "tenant": "muster" }),
            WRITE,
        ),
        row(
            "POST /v1/rate-cards",
            "/v1/rate-cards",
            json!({ "name": "mine", "currency": "EUR", "owner": "muster" }),
            WRITE,
        ),
        row(
            "POST /v1/rate-cards/{card}/versions",
            format!("/v1/rate-cards/{card}/versions"),
            doc,
            WRITE,
        ),
        row(
            "POST /v1/rate-cards/{card}/import",
            format!("/v1/rate-cards/{card}/import?preview=true"),
            json!("Prefix,Rate\n49,0.01\n"),
            WRITE,
        ),
        row(
            "POST /v1/usage-events",
            "/v1/usage-events",
            call("sent", "acme-43", "60"),
            KEPT,
        ),
        row(
            "POST /v1/ingest/freeswitch",
            "/v1/ingest/freeswitch",
            json!(FREESWITCH.replace("acme-42", "acme-43")),
            BATCH,
        ),
        row(
            "POST /v1/ingest/asterisk",
            "/v1/ingest/asterisk",
            json!(ASTERISK.replace("acme-42", "acme-43")),
            BATCH,
        ),
        row(
            "POST /v1/usage-events/rate-again",
            "/v1/usage-events/rate-again",
            json!({ "root": "muster" }),
            WRITE,
        ),
        row(
            "POST /v1/holds",
            "/v1/holds",
            json!({ "usage": call("new-hold", "acme-43", "60"), "ttl_secs": 60 }),
            WRITE,
        ),
        row(
            "POST /v1/holds/{hold}/extend",
            "/v1/holds/held/extend",
            json!({ "quantity": "120", "ttl_secs": 60 }),
            WRITE,
        ),
        row(
            "POST /v1/holds/{hold}/release",
            "/v1/holds/held/release",
            json!({}),
            WRITE,
        ),
        row(
            "POST /v1/usage-events/{source}/{id}/correct",
            "/v1/usage-events/default/posted/correct",
            correction,
            WRITE,
        ),
        row(
            "POST /v1/usage-events/{source}/{id}/void",
            "/v1/usage-events/default/posted-2/void",
            why,
            WRITE,
        ),
        row(
            "POST /v1/rate-cards/{card}/versions/{version}/approve",
            format!("/v1/rate-cards/{card}/versions/1/approve"),
            json!({}),
            WRITE,
        ),
        row(
            "POST /v1/rate-cards/{card}/versions/{version}/publish",
            format!("/v1/rate-cards/{card}/versions/2/publish"),
            json!({ "effective_from": "2027-01-01T00:00:00Z" }),
            WRITE,
        ),
        row(
            "POST /v1/agreements/{agreement}/end",
            format!("/v1/agreements/{}/end", market.id("muster agreement")),
            json!({ "until": "2027-01-01T00:00:00Z" }),
            WRITE,
        ),
        row("POST /v1/agreements", "/v1/agreements", terms, WRITE),
        row(
            "POST /v1/api-keys/{key}/revoke",
            format!("/v1/api-keys/{}/revoke", market.id("muster key")),
            json!({}),
            WRITE,
        ),
        row(
            "POST /v1/tenants/{tenant}/close",
            "/v1/tenants/acme-43/close",
            json!({}),
            WRITE,
        ),
        row(
            "PUT /v1/accounts/{tenant}/threshold",
            "/v1/accounts/muster/threshold",
            json!({ "low_cents": 5 }),
            WRITE,
        ),
        row("POST /v1/contacts", "/v1/contacts", written_to, WRITE),
        row(
            "PATCH /v1/contacts/{contact}",
            format!("/v1/contacts/{contact}"),
            json!({ "locale": "fr" }),
            WRITE,
        ),
        row(
            "DELETE /v1/contacts/{contact}",
            format!("/v1/contacts/{contact}"),
            Value::Null,
            WRITE,
        ),
        row(
            "POST /v1/webhook-endpoints",
            "/v1/webhook-endpoints",
            hook,
            WRITE,
        ),
        row(
            "PATCH /v1/webhook-endpoints/{endpoint}",
            format!("/v1/webhook-endpoints/{endpoint}"),
            json!({ "subtree": true }),
            WRITE,
        ),
        row(
            "POST /v1/webhook-endpoints/{endpoint}/rotate-secret",
            format!("/v1/webhook-endpoints/{endpoint}/rotate-secret"),
            json!({}),
            WRITE,
        ),
        row(
            "POST /v1/webhook-endpoints/{endpoint}/test",
            format!("/v1/webhook-endpoints/{endpoint}/test"),
            json!({}),
            WRITE,
        ),
        row(
            "POST /v1/webhook-endpoints/{endpoint}/deliveries/{delivery}/replay",
            format!(
                "/v1/webhook-endpoints/{endpoint}/deliveries/{}/replay",
                filled.delivery
            ),
            json!({}),
            WRITE,
        ),
        row(
            "DELETE /v1/webhook-endpoints/{endpoint}",
            format!("/v1/webhook-endpoints/{endpoint}"),
            Value::Null,
            WRITE,
        ),
    ]
}

const FREESWITCH: &str = include_str!("../fixtures/freeswitch_json_cdr.json");
const ASTERISK: &str = include_str!("../fixtures/asterisk_cdr.csv");

async fn ask(market: &Market, key: Option<&str>, row: &Row) -> Answer {
    let asking = key.map_or_else(
        || market.admin().with_key(None),
        |name| {
            if name == "admin" {
                market.admin().clone()
            } else {
                market.by(name)
            }
        },
    );
    let method: Method = row.operation.split(' ').next().unwrap().parse().unwrap();
    // Texts are sent as they are: rate decks and call records.
    let body = row
        .body
        .as_str()
        .map_or_else(|| row.body.to_string(), str::to_owned);
    let body = if row.body.is_null() {
        String::new()
    } else {
        body
    };
    let asking = match row.operation {
        "POST /v1/rate-cards/{card}/import" | "POST /v1/ingest/asterisk" => {
            asking.sending("text/csv")
        }
        _ => asking,
    };
    asking
        .once(&format!(
            "{}-{method}-{}",
            key.unwrap_or("nobody"),
            row.path
        ))
        .ask(method, &row.path, body.into())
        .await
        .unwrap()
}

pub fn documented() -> BTreeSet<String> {
    let document = serde_json::to_value(api::http::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, methods): (&String, &Value)| -> Vec<String> {
        let methods = methods
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| ["get", "post", "patch", "put", "delete"].contains(&name.as_str()));
        methods
            .map(|method| format!("{} {path}", method.to_uppercase()))
            .collect()
    };
    paths.iter().flat_map(of).collect()
}

/// What of muster's the paths name.
pub struct Filled {
    pub endpoint: String,
    contact: String,
    delivery: String,
    top_up: String,
    made: Made,
}

/// Payouts of muster, in a file for the bank.
struct Made {
    payout: String,
    file: String,
}

pub async fn fill(market: &Market) -> Filled {
    let muster = market.by("muster admin");
    muster
        .post("/v1/usage-events", call("posted", "acme-43", "600"))
        .await
        .ok();
    let made = fill_payouts(market).await;
    muster
        .post("/v1/usage-events", call("unknown", "nobody", "600"))
        .await
        .ok();
    let hold = json!({ "usage": call("held", "acme-43", "60"), "ttl_secs": 600 });
    muster.once("held").post("/v1/holds", hold).await.ok();
    let doc = json!({ "currency": "EUR", "rates": [{ "key": "sms", "meter": "sms", "price": { "model": "per_unit", "unit_price": "9" } }] });
    market
        .admin()
        .post(
            &format!("/v1/rate-cards/{}/versions", market.id("retail")),
            doc,
        )
        .await
        .ok();
    let page = json!({ "tenant": "acme-43", "cents": 1000, "method": "checkout" });
    let page = market
        .admin()
        .once("page")
        .post("/v1/top-ups", page)
        .await
        .ok();
    let session = page["url"].as_str().unwrap().rsplit('/').next().unwrap();
    market
        .served
        .stripe
        .pay(session, &test_stripe::Behaviour::Succeeds)
        .unwrap();
    market
        .served
        .running
        .app
        .payments
        .poll(rating::Instant(0))
        .await
        .unwrap();
    market.served.work_off_payments().await;
    let id = |made: Value, field: &str| made[field].as_str().unwrap().to_owned();
    // Of places that nobody finds.
    let endpoint = id(
        muster
            .post(
                "/v1/webhook-endpoints",
                json!({ "url": "https://muster.invalid/hook" }),
            )
            .await
            .ok(),
        "id",
    );
    let contact = id(
        muster
            .post("/v1/contacts", json!({ "address": "ops@muster.invalid" }))
            .await
            .ok(),
        "id",
    );
    let delivery = id(
        muster
            .post(&format!("/v1/webhook-endpoints/{endpoint}/test"), json!({}))
            .await
            .ok(),
        "delivery",
    );
    let top_up = page["id"].as_str().unwrap().to_owned();
    Filled {
        endpoint,
        contact,
        delivery,
        top_up,
        made,
    }
}

/// A month later muster's payout is in a file, and one of another reseller is due.
async fn fill_payouts(market: &Market) -> Made {
    let admin = market.admin();
    admin
        .post("/v1/usage-events", call("sold", "beta", "600"))
        .await
        .ok();
    market.served.set_clock("2026-12-20T12:00:00Z");
    let settle = async |tenant: &str| {
        let bank = json!({ "holder": "A bank", "iban": "DE89370400440532013000" });
        let settings = json!({ "method": "bank", "minimum_cents": 100, "bank": bank });
        let path = format!("/v1/tenants/{tenant}/payout-settings");
        admin
            .ask(Method::PATCH, &path, settings.to_string().into())
            .await
            .unwrap()
            .ok();
    };
    settle("platform").await;
    settle("muster").await;
    let payout = admin
        .post("/v1/payouts", json!({ "reseller": "muster" }))
        .await
        .ok();
    let file = admin
        .once("a-file")
        .post("/v1/payouts/sepa-file", json!({}))
        .await
        .ok();
    settle("agent").await;
    admin
        .post("/v1/payouts", json!({ "reseller": "agent" }))
        .await
        .ok();
    let text = |value: &Value| value["id"].as_str().unwrap().to_owned();
    Made {
        payout: text(&payout),
        file: text(&file),
    }
}

/// What belongs to muster and is named in no answer to others.
const SECRETS: [&str; 5] = [
    "acme-43",
    "\"retail\"",
    "muster read",
    "\"posted\"",
    "muster.invalid",
];

async fn every_operation_knows_its_callers(market: Market) {
    let filled = fill(&market).await;
    let (reading, others) = (reading(&market, &filled), writing(&market, &filled));
    // Paid out before usage is voided: that takes commission back.
    let writing: Vec<Row> = paying_out(&filled.made).into_iter().chain(others).collect();
    let listed: BTreeSet<String> = reading
        .iter()
        .chain(&writing)
        .map(|row| row.operation.to_owned())
        .collect();
    assert_eq!(
        listed,
        documented(),
        "every operation of the document is asked, and no other"
    );
    let before = (
        market.balance("acme-43").await,
        market.balance("muster").await,
    );
    let mut wrong = Vec::new();
    for row in reading.iter().chain(&writing) {
        let open = row.operation.starts_with("GET /health");
        let unauthorized = if open { "200" } else { "401 unauthorized" };
        let callers = [
            (None, unauthorized),
            (Some("revoked"), unauthorized),
            (Some("muster read"), row.want[0]),
            (Some("agent admin"), row.want[1]),
            (Some("acme-42 admin"), row.want[2]),
        ];
        for (caller, want) in callers {
            let answer = ask(&market, caller, row).await;
            if answer.code() != want {
                wrong.push(format!(
                    "{} by {caller:?}: {} and not {want} ({})",
                    row.operation,
                    answer.code(),
                    answer.text
                ));
            }
            let stranger = !matches!(caller, Some("muster read")) && !row.path.contains("ingest");
            let said = SECRETS.iter().find(|secret| {
                stranger
                    && !row.path.contains("acme-43")
                    && !row.body.to_string().contains(*secret)
                    && answer.text.contains(**secret)
            });
            if let Some(said) = said {
                wrong.push(format!(
                    "{} tells {caller:?} of {said}: {}",
                    row.operation, answer.text
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        (
            market.balance("acme-43").await,
            market.balance("muster").await
        ),
        before,
        "nothing moved"
    );
    // The same requests are good ones: whoever may make them, succeeds.
    for row in reading.iter().chain(&writing) {
        let answer = ask(&market, Some("admin"), row).await;
        // Only what went by a provider can be taken back there.
        let by_bank = row.operation.ends_with("/reverse") && answer.code() == "409 payout_state";
        if answer.status >= 300 && !by_bank {
            wrong.push(format!(
                "{} by the operator: {}",
                row.operation, answer.text
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
