//! A server that dies between a write and its answer: the same request again is answered with what
//! was made, and makes nothing twice.

use crate::http_world::{Market, call, on_every_database};
use crate::process::Process;
use crate::served::{Answer, Asking};
use crate::world::prices;
use hyper::Method;
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

on_every_database!(
    prices_whose_answers_were_lost_are_there_once,
    buyers_whose_answers_were_lost_are_there_once,
    settings_whose_answers_were_lost_are_as_they_were_set,
    addresses_whose_answers_were_lost_are_there_once,
    a_payout_and_its_file_whose_answers_were_lost_are_there_once,
    what_was_made_is_answered_as_it_is_now,
);

const SQLITE: &str =
    "create trigger dies before update of status on idempotency when new.status is not null
    begin select raise(abort, 'gone'); end";
const POSTGRES: &str = "create function dies() returns trigger language plpgsql as $$ begin raise \
    exception 'gone'; end $$;
    create trigger dies before update of status on idempotency for each row when (new.status is \
    not null) execute function dies()";
const SQLITE_LIVES: &str = "drop trigger dies";
const POSTGRES_LIVES: &str = "drop trigger dies on idempotency; drop function dies()";

/// Whether answers are stored from now on: if not, the server is as good as dead once the work is
/// committed.
async fn answers_are_stored(market: &Market, are: bool) {
    match market.served.option() {
        ["--database-url", url] => {
            let mut database = sqlx::PgConnection::connect(url).await.unwrap();
            sqlx::raw_sql(if are { POSTGRES_LIVES } else { POSTGRES })
                .execute(&mut database)
                .await
                .unwrap();
        }
        [_, dir] => {
            let file = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(Path::new(dir).join("centwise.db"));
            let mut database = file.connect().await.unwrap();
            sqlx::raw_sql(if are { SQLITE_LIVES } else { SQLITE })
                .execute(&mut database)
                .await
                .unwrap();
        }
    }
}

/// Entries of the audit log: every change of a record is one.
async fn changes(market: &Market) -> usize {
    market.admin().get("/v1/audit-log?limit=1000").await.ok()["data"]
        .as_array()
        .unwrap()
        .len()
}

impl Market {
    /// A write whose answer is lost; the answer to the same request, sent again.
    async fn lost(&self, by: &Asking, write: &str, body: Value) -> Answer {
        let (method, path) = write.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let text = if let Value::String(text) = &body {
            text.clone()
        } else {
            body.to_string()
        };
        let asking = by.once(&format!("lost {write}"));
        let before = changes(self).await;
        answers_are_stored(self, false).await;
        let gone = asking
            .ask(method.clone(), path, text.clone().into())
            .await
            .unwrap();
        assert!(gone.status >= 500, "{write}: {gone:?}");
        let made = changes(self).await;
        assert!(made > before, "{write} was committed");
        let unstored = asking
            .ask(method.clone(), path, text.clone().into())
            .await
            .unwrap();
        assert!(unstored.status >= 500, "{write}: {unstored:?}");
        answers_are_stored(self, true).await;
        let other = asking
            .ask(method.clone(), path, format!("{text} ").into())
            .await
            .unwrap();
        assert_eq!(other.code(), "409 idempotency_conflict", "{write}");
        let again = asking
            .ask(method.clone(), path, text.clone().into())
            .await
            .unwrap();
        assert!((200..300).contains(&again.status), "{write}: {again:?}");
        let stored = asking.ask(method, path, text.into()).await.unwrap();
        assert_eq!(
            (stored.status, &stored.text),
            (again.status, &again.text),
            "{write}: kept from then on"
        );
        assert_eq!(changes(self).await, made, "{write} was done once");
        again
    }

    async fn lost_by_admin(&self, write: &str, body: Value) -> Answer {
        self.lost(self.admin(), write, body).await
    }

    /// What a list has under a name.
    async fn listed(&self, path: &str, name: &str, value: &str) -> usize {
        let data = self.admin().get(path).await.ok()["data"]
            .as_array()
            .unwrap()
            .clone();
        data.iter().filter(|one| one[name] == value).count()
    }
}

fn id(answer: &Answer) -> &str {
    answer.body["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer:?}"))
}

async fn prices_whose_answers_were_lost_are_there_once(market: Market) {
    let meter = market
        .lost_by_admin("POST /v1/meters", json!({ "name": "fax", "unit": "page" }))
        .await;
    assert_eq!(
        (
            meter.status,
            market.listed("/v1/meters", "name", "fax").await
        ),
        (201, 1)
    );
    let meter = market
        .lost_by_admin("PATCH /v1/meters/fax", json!({ "aggregation": "max" }))
        .await;
    assert_eq!(
        (meter.status, &meter.body["aggregation"]),
        (200, &json!("max"))
    );

    let muster = market.by("muster admin");
    let card = market
        .lost(
            &muster,
            "POST /v1/rate-cards",
            json!({ "name": "2027", "currency": "EUR" }),
        )
        .await;
    assert_eq!((card.status, &card.body["owner"]), (201, &json!("muster")));
    assert_eq!(
        market
            .listed("/v1/rate-cards?owner=muster", "name", "2027")
            .await,
        1
    );
    let versions = format!("/v1/rate-cards/{}/versions", id(&card));
    let mut doc = prices("0.40", "0.15", "1.50", "0.08");
    doc["currency"] = json!("EUR");
    let draft = market.lost(&muster, &format!("POST {versions}"), doc).await;
    assert_eq!(
        (draft.status, &draft.body["number"], &draft.body["status"]),
        (201, &json!(1), &json!("draft"))
    );
    let published = market
        .lost(&muster, &format!("POST {versions}/1/publish"), json!({}))
        .await;
    assert_eq!(
        (published.status, id(&published), &published.body["status"]),
        (200, id(&draft), &json!("published"))
    );
    let approved = market
        .lost_by_admin(&format!("POST {versions}/1/approve"), json!({}))
        .await;
    assert_eq!((approved.status, id(&approved)), (200, id(&draft)));

    let csv = muster.sending("text/csv");
    let import = format!(
        "POST /v1/rate-cards/{}/import?effective_from=2027-01-01T00:00:00Z",
        id(&card)
    );
    let imported = market
        .lost(
            &csv,
            &import,
            json!("Destination,Prefix,Rate,Increment\nAustria,43,0.5,1/1\n"),
        )
        .await;
    assert_eq!(
        (imported.status, &imported.body["version"]["number"]),
        (201, &json!(2)),
        "{imported:?}"
    );
    assert_eq!(imported.body["preview"]["new"], 1, "{imported:?}");
    assert_eq!(
        muster.get(&versions).await.ok()["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

async fn buyers_whose_answers_were_lost_are_there_once(market: Market) {
    let muster = market.by("muster admin");
    let new = json!({ "external_id": "gamma", "kind": "customer", "name": "Gamma" });
    let tenant = market.lost(&muster, "POST /v1/tenants", new).await;
    assert_eq!(
        (tenant.status, &tenant.body["external_id"]),
        (201, &json!("gamma"))
    );
    assert_eq!(
        market
            .listed("/v1/tenants?parent=muster", "external_id", "gamma")
            .await,
        1
    );
    let renamed = market
        .lost(
            &muster,
            "PATCH /v1/tenants/gamma",
            json!({ "name": "Gamma AG" }),
        )
        .await;
    assert_eq!(
        (renamed.status, &renamed.body["name"]),
        (200, &json!("Gamma AG"))
    );

    let terms = json!({ "buyer": "gamma", "currency": "EUR", "rate_card": market.id("retail"), "credit_limit_cents": 0 });
    let agreed = market.lost(&muster, "POST /v1/agreements", terms).await;
    assert_eq!(
        (agreed.status, &agreed.body["buyer"]),
        (201, &json!("gamma"))
    );
    assert_eq!(
        market
            .listed("/v1/agreements?buyer=gamma", "buyer", "gamma")
            .await,
        1
    );
    let ended = market
        .lost(
            &muster,
            &format!("POST /v1/agreements/{}/end", id(&agreed)),
            json!({ "until": "2027-01-01T00:00:00Z" }),
        )
        .await;
    assert_eq!(
        (ended.status, id(&ended), ended.body["until"].is_string()),
        (200, id(&agreed), true)
    );

    let closed = market
        .lost(&muster, "POST /v1/tenants/gamma/close", json!({}))
        .await;
    assert_eq!(
        (
            closed.status,
            id(&closed),
            closed.body["closed_at"].is_string()
        ),
        (200, id(&tenant), true)
    );
    let revoked = market
        .lost(
            &muster,
            &format!("POST /v1/api-keys/{}/revoke", market.id("muster key")),
            json!({}),
        )
        .await;
    assert_eq!(
        (revoked.status, revoked.body["revoked_at"].is_string()),
        (200, true)
    );
}

async fn settings_whose_answers_were_lost_are_as_they_were_set(market: Market) {
    let threshold = market
        .lost_by_admin(
            "PUT /v1/accounts/acme-42/threshold",
            json!({ "low_cents": 500 }),
        )
        .await;
    assert_eq!(
        (threshold.status, &threshold.body["low_cents"]),
        (200, &json!(500))
    );
    let auto = json!({ "enabled": true, "threshold_cents": 1000, "amount_cents": 5000, "month_max_cents": 9000 });
    let auto = market
        .lost_by_admin("PUT /v1/accounts/acme-42/auto-top-up", auto)
        .await;
    assert_eq!(
        (auto.status, &auto.body["amount_cents"]),
        (200, &json!(5000))
    );
    let settings = market
        .lost_by_admin(
            "PATCH /v1/tenants/muster/payout-settings",
            json!({ "hold_back_days": 21 }),
        )
        .await;
    assert_eq!(
        (settings.status, &settings.body["hold_back_days"]),
        (200, &json!(21))
    );
}

async fn addresses_whose_answers_were_lost_are_there_once(market: Market) {
    let contact = market
        .lost_by_admin(
            "POST /v1/contacts",
            json!({ "address": "ops@muster.invalid", "tenant": "muster" }),
        )
        .await;
    assert_eq!(
        (
            contact.status,
            market
                .listed("/v1/contacts", "address", "ops@muster.invalid")
                .await
        ),
        (201, 1)
    );
    let path = format!("/v1/contacts/{}", id(&contact));
    assert_eq!(
        market
            .lost_by_admin(&format!("PATCH {path}"), json!({ "locale": "fr" }))
            .await
            .body["locale"],
        "fr"
    );
    let deleted = market
        .lost_by_admin(&format!("DELETE {path}"), json!({}))
        .await;
    assert_eq!(
        (deleted.status, id(&deleted), &deleted.body["locale"]),
        (200, id(&contact), &json!("fr")),
        "as it was"
    );

    let url = "https://muster.invalid/hook";
    let asking = market.admin().once("hook");
    let ask = async |url: &str| {
        asking
            .post(
                "/v1/webhook-endpoints",
                json!({ "url": url, "tenant": "muster" }),
            )
            .await
    };
    let (first, hook, kept) = (ask(url).await, ask(url).await, ask(url).await);
    assert!(first.body["secret"].is_string(), "{first:?}");
    assert_eq!(
        (hook.status, id(&hook), hook.body.get("secret")),
        (201, id(&first), None),
        "a secret is not kept"
    );
    assert_eq!((kept.status, &kept.text), (201, &hook.text));
    assert_eq!(
        ask("https://muster.invalid/other").await.code(),
        "409 idempotency_conflict"
    );
    assert_eq!(market.listed("/v1/webhook-endpoints", "url", url).await, 1);
    let path = format!("/v1/webhook-endpoints/{}", id(&hook));
    assert!(
        market
            .admin()
            .post(&format!("{path}/rotate-secret"), json!({}))
            .await
            .ok()["secret"]
            .is_string(),
        "a new one"
    );
    assert_eq!(
        market
            .lost_by_admin(&format!("PATCH {path}"), json!({ "subtree": true }))
            .await
            .body["subtree"],
        true
    );
    let tested = market
        .lost_by_admin(&format!("POST {path}/test"), json!({}))
        .await;
    let delivery = tested.body["delivery"].as_str().unwrap().to_owned();
    assert_eq!(
        (
            tested.status,
            market
                .listed(&format!("{path}/deliveries"), "id", &delivery)
                .await
        ),
        (202, 1)
    );
    let replayed = market
        .lost_by_admin(
            &format!("POST {path}/deliveries/{delivery}/replay"),
            json!({}),
        )
        .await;
    assert_eq!((replayed.status, id(&replayed)), (202, delivery.as_str()));
    let deleted = market
        .lost_by_admin(&format!("DELETE {path}"), json!({}))
        .await;
    assert_eq!(
        (deleted.status, id(&deleted), &deleted.body["url"]),
        (200, id(&hook), &json!(url)),
        "as it was"
    );
}

async fn a_payout_and_its_file_whose_answers_were_lost_are_there_once(market: Market) {
    market
        .by("muster admin")
        .post("/v1/usage-events", call("one", "acme-43", "600"))
        .await
        .ok();
    market.served.set_clock("2026-12-20T12:00:00Z");
    for tenant in ["platform", "muster"] {
        let bank = json!({ "holder": tenant, "iban": "DE89 3704 0044 0532 0130 00" });
        let settings = json!({ "method": "bank", "minimum_cents": 1, "bank": bank });
        market
            .lost_by_admin(
                &format!("PATCH /v1/tenants/{tenant}/payout-settings"),
                settings,
            )
            .await;
    }
    let payout = market
        .lost_by_admin("POST /v1/payouts", json!({ "reseller": "muster" }))
        .await;
    assert_eq!(
        (payout.status, &payout.body["state"]),
        (201, &json!("due")),
        "not: it exists"
    );
    let file = market
        .lost_by_admin("POST /v1/payouts/sepa-file", json!({}))
        .await;
    assert_eq!(
        (file.status, &file.body["payouts"][0]["id"]),
        (201, &payout.body["id"])
    );
    assert_eq!(
        market
            .admin()
            .get(&format!("/v1/payouts/sepa-file/{}", id(&file)))
            .await
            .status,
        200
    );
    assert_eq!(
        market
            .admin()
            .post("/v1/payouts/sepa-file", json!({}))
            .await
            .code(),
        "400 missing_idempotency_key"
    );
    let another = market
        .admin()
        .once("another")
        .post("/v1/payouts/sepa-file", json!({}))
        .await;
    assert_eq!(another.code(), "409 nothing_due");
}

async fn what_was_made_is_answered_as_it_is_now(market: Market) {
    answers_are_stored(&market, false).await;
    let asking = market.admin().once("k");
    let ask = async || {
        asking
            .post(
                "/v1/contacts",
                json!({ "address": "a@muster.invalid", "tenant": "muster" }),
            )
            .await
    };
    assert!(ask().await.status >= 500);
    let made = market.admin().get("/v1/contacts").await.ok()["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/contacts/{made}");
    market
        .admin()
        .ask(
            Method::PATCH,
            &path,
            json!({ "locale": "fr" }).to_string().into(),
        )
        .await
        .unwrap()
        .ok();
    answers_are_stored(&market, true).await;
    market
        .admin()
        .ask(Method::DELETE, &path, "{}".into())
        .await
        .unwrap()
        .ok();
    assert_eq!(
        ask().await.code(),
        "404 not_found",
        "somebody removed it since: it is not made again"
    );
    assert_eq!(
        market
            .listed("/v1/contacts", "address", "a@muster.invalid")
            .await,
        0
    );
}

/// Tenants, one after another, each under its own key, until the server is gone; what was answered.
async fn writes(asking: Asking, name: String, sent: Arc<Mutex<BTreeMap<String, Option<u16>>>>) {
    for turn in 0.. {
        let name = format!("{name}-{turn}");
        sent.lock().unwrap().insert(name.clone(), None);
        let Some(status) = write(&asking, &name).await else {
            return;
        };
        sent.lock().unwrap().insert(name, Some(status));
    }
}

async fn write(asking: &Asking, name: &str) -> Option<u16> {
    let new = json!({ "external_id": name, "kind": "reseller", "name": name });
    let answer = asking
        .once(name)
        .ask(Method::POST, "/v1/tenants", new.to_string().into())
        .await
        .ok()?;
    assert!(
        answer.status == 201 || answer.code() == "409 idempotency_in_progress",
        "{answer:?}"
    );
    Some(answer.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_makes_nothing_twice() {
    killed(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_on_postgres_makes_nothing_twice() {
    if let Some(database) = test_postgres::database().await {
        killed(Some(database.url())).await;
    }
}

/// Killed at any moment: what is asked for again is there once, or has not been made.
async fn killed(database_url: Option<&str>) {
    const WRITERS: usize = 4;
    let data_dir = tempfile::tempdir().unwrap();
    let mut process = Process::start_on(data_dir.path(), database_url).await;
    for round in 0..crate::kill_rounds::rounds(3) {
        let sent = Arc::new(Mutex::new(BTreeMap::new()));
        let one = |writer| {
            tokio::spawn(writes(
                process.admin.clone(),
                format!("r{round}-w{writer}"),
                Arc::clone(&sent),
            ))
        };
        let writers: Vec<_> = (0..WRITERS).map(one).collect();
        crate::kill_rounds::some_time(round).await;
        process.kill().await;
        for writer in writers {
            writer.await.unwrap();
        }
        process = Process::start_on(data_dir.path(), database_url).await;
        let sent = sent.lock().unwrap().clone();
        assert_eq!(
            sent.values().filter(|status| status.is_none()).count(),
            WRITERS
        );
        for (name, status) in sent {
            let is_there = process
                .admin
                .get(&format!("/v1/tenants/{name}"))
                .await
                .status
                == 200;
            match status {
                Some(status) => assert!(status == 201 && is_there, "{name}: {status}"),
                None if is_there => assert_eq!(
                    write(&process.admin, &name).await,
                    Some(201),
                    "{name} is answered at once"
                ),
                // Begun at most: nothing is known of it for a minute.
                None => drop(write(&process.admin, &name).await.unwrap()),
            }
        }
    }
}
