//! The wall clock of a server jumps: nothing is misdated, no money is written until somebody
//! accepts the new time, and time in the books never runs backwards.

use crate::http_world::{Market, call, on_every_database};
use crate::served::{Asking, Served};
use crate::world::{Backend, NOW, World, instant, on_every_journal};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

on_every_database!(
    no_money_is_written_after_a_step_until_it_is_accepted,
    a_clock_that_is_set_right_needs_nobody
);

const DAY: i64 = 86_400;
/// One process tells the others within a second or two.
const HEARD_TIME_MAX: Duration = Duration::from_secs(10);

fn step(served: &Served, secs: i64) {
    served.running.app.clock.step(instant(NOW).plus_secs(secs));
}

/// What moves money, each with what it answers while the clock is not believed.
async fn refused(asking: &Asking, round: &str) {
    let money = json!({ "tenant": "acme-42", "cents": 100, "currency": "EUR", "reason": "a test" });
    let writes = [
        ("/v1/usage-events", call(round, "acme-42", "60")),
        (
            "/v1/holds",
            json!({ "usage": call(&format!("{round}-held"), "acme-42", "60"), "ttl_secs": 600 }),
        ),
        ("/v1/holds/held/release", json!({})),
        (
            "/v1/usage-events/default/posted/void",
            json!({ "reason": "a test" }),
        ),
        ("/v1/top-ups", money.clone()),
        ("/v1/adjustments", money),
        ("/v1/payouts", json!({ "reseller": "muster" })),
        ("/v1/payouts/run", json!({})),
        ("/v1/usage-events/rate-again", json!({ "root": "muster" })),
    ];
    for (path, body) in writes {
        let answer = asking
            .once(&format!("{round}-{path}"))
            .post(path, body)
            .await;
        assert_eq!(
            answer.code(),
            "503 clock_stepped",
            "{round}: {path}: {answer:?}"
        );
    }
}

async fn no_money_is_written_after_a_step_until_it_is_accepted(market: Market) {
    let admin = market.admin();
    admin
        .post("/v1/usage-events", call("posted", "acme-42", "60"))
        .await
        .ok();
    admin
        .once("held")
        .post(
            "/v1/holds",
            json!({ "usage": call("held", "acme-42", "60"), "ttl_secs": 86_000 }),
        )
        .await
        .ok();
    let before = market.balance("acme-42").await;
    let mut time = instant(NOW);
    for (round, secs) in [
        ("4 days", 4 * DAY),
        ("back", 2 * DAY),
        ("80 years", 80 * 365 * DAY),
    ] {
        step(&market.served, secs);
        refused(admin, round).await;
        assert_eq!(
            market.balance("acme-42").await,
            before,
            "{round}: reads go on"
        );
        assert_eq!(admin.get("/health/ready").await.code(), "503 clock_stepped");
        let clock = admin.get("/v1/clock").await.ok();
        let wall = instant(NOW).plus_secs(secs).to_string();
        let want = json!({ "time": time.to_string(), "wall_clock": wall, "has_stepped": true, "is_unaccepted": true });
        assert_eq!(clock, want, "{round}");

        let accept = json!({ "reason": "it is right" });
        assert_eq!(
            market
                .by("muster admin")
                .post("/v1/clock/accept", accept.clone())
                .await
                .code(),
            "403 forbidden"
        );
        let accepted = admin
            .once(round)
            .post("/v1/clock/accept", accept.clone())
            .await
            .ok();
        assert_eq!(
            (&accepted["time"], &accepted["has_stepped"]),
            (&json!(wall), &json!(false)),
            "{round}"
        );
        assert_eq!(
            admin
                .once(round)
                .post("/v1/clock/accept", accept)
                .await
                .ok(),
            accepted,
            "a repeat is the same answer"
        );
        time = instant(NOW).plus_secs(secs);
        assert_eq!(admin.get("/health/ready").await.code(), "200");
        let adjusted =
            json!({ "tenant": "acme-43", "cents": 1, "currency": "EUR", "reason": round });
        admin
            .once(&format!("after {round}"))
            .post("/v1/adjustments", adjusted)
            .await
            .ok();
    }
    let log = admin.get("/v1/audit-log?limit=1000").await.ok();
    let accepts = log["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["resource"] == "clock" && entry["action"] == "accept");
    let accepts: Vec<&Value> = accepts.collect();
    assert_eq!(accepts.len(), 3);
    assert!(
        accepts
            .iter()
            .all(|entry| entry["reason"] == "it is right" && entry["api_key"].is_string()),
        "{accepts:?}"
    );
    // Two days back were accepted, and the books stayed where they were.
    let records = crate::audit::audit(
        market.served.running.app.journal.as_ref(),
        market.served.running.app.platform,
    )
    .await
    .records;
    let latest = instant(NOW).plus_secs(4 * DAY);
    let root = records
        .iter()
        .find(|record| record.received_at == latest)
        .unwrap()
        .identity
        .root;
    let times: Vec<_> = records
        .iter()
        .filter(|record| record.identity.root == root)
        .map(|record| record.received_at)
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
}

async fn a_clock_that_is_set_right_needs_nobody(market: Market) {
    let admin = market.admin();
    step(&market.served, -4 * DAY);
    refused(admin, "behind").await;
    step(&market.served, 60);
    admin
        .post("/v1/usage-events", call("right again", "acme-42", "60"))
        .await
        .ok();
    assert_eq!(admin.get("/health/ready").await.code(), "200");
    // An hour is nothing.
    step(&market.served, -3600);
    admin
        .post("/v1/usage-events", call("an hour back", "acme-42", "60"))
        .await
        .ok();
    crate::audit::audit(
        market.served.running.app.journal.as_ref(),
        market.served.running.app.platform,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_is_told_the_others_hear() {
    let Some(market) = Market::postgres().await else {
        return;
    };
    let other = market.served.beside().await;
    for served in [&market.served, &other] {
        step(served, 4 * DAY);
    }
    refused(&other.admin, "both").await;
    // Each has told the database.
    tokio::time::sleep(Duration::from_secs(3)).await;
    market
        .admin()
        .post("/v1/clock/accept", json!({}))
        .await
        .ok();
    let since = std::time::Instant::now();
    while other.admin.get("/health/ready").await.code() != "200" {
        assert!(
            since.elapsed() < HEARD_TIME_MAX,
            "the other server did not hear of it"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    other
        .admin
        .post("/v1/usage-events", call("1", "acme-42", "60"))
        .await
        .ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_long_before_the_last_batch_waits_for_somebody() {
    let Some(market) = Market::postgres().await else {
        return;
    };
    market
        .admin()
        .post("/v1/usage-events", call("1", "acme-42", "60"))
        .await
        .ok();
    let within = market.served.beside_at("2026-11-20T06:00:00Z").await;
    let adjustment =
        json!({ "tenant": "acme-42", "cents": 1, "currency": "EUR", "reason": "a test" });
    within
        .admin
        .once("within")
        .post("/v1/adjustments", adjustment.clone())
        .await
        .ok();
    let ahead = market.served.beside_at("2036-11-20T12:00:00Z").await;
    assert_eq!(
        ahead.admin.get("/health/ready").await.code(),
        "200",
        "long after the last batch is only a warning"
    );
    // What one process does not believe, every process of the database hears of: so this one comes
    // last.
    let behind = market.served.beside_at("2026-11-17T12:00:00Z").await;
    assert_eq!(
        behind.admin.get("/v1/clock").await.ok()["time"],
        NOW,
        "the books know better"
    );
    refused(&behind.admin, "behind").await;
    let accepted = market.served.beside_accepting("2026-11-17T12:00:00Z").await;
    accepted
        .admin
        .once("accepted")
        .post("/v1/adjustments", adjustment)
        .await
        .ok();
    let log = market.admin().get("/v1/audit-log?limit=1000").await.ok();
    let is_accept =
        |entry: &&Value| entry["action"] == "accept" && entry["reason"] == "serve --accept-clock";
    assert_eq!(
        log["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(is_accept)
            .count(),
        1
    );
    crate::audit::audit(
        market.served.running.app.journal.as_ref(),
        market.served.running.app.platform,
    )
    .await;
}

/// A restart does not accept what nobody has accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_outlives_the_process_that_saw_it() {
    let Some(market) = Market::postgres().await else {
        return;
    };
    step(&market.served, 4 * DAY);
    refused(market.admin(), "ahead").await;
    let since = std::time::Instant::now();
    while market
        .served
        .running
        .app
        .catalog
        .clock_step()
        .await
        .unwrap()
        .is_none()
    {
        assert!(
            since.elapsed() < HEARD_TIME_MAX,
            "the database was not told"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let next = market.served.beside_at("2026-11-24T12:05:00Z").await;
    refused(&next.admin, "next").await;
    let accepting = market.served.beside_accepting("2026-11-24T12:10:00Z").await;
    accepting
        .admin
        .post("/v1/usage-events", call("1", "acme-42", "60"))
        .await
        .ok();
}

mod order {
    use super::a_clock_that_is_set_back_does_not_turn_the_books_back;
    super::on_every_journal!(a_clock_that_is_set_back_does_not_turn_the_books_back);
}

async fn a_clock_that_is_set_back_does_not_turn_the_books_back(backend: Backend) {
    let world = World::reference(backend).await;
    for (number, secs) in [0, -3600, 1800, -80_000, 90_000].into_iter().enumerate() {
        world.pass(secs);
        for customer in ["acme-42", "beta"] {
            let sms = world.send(customer, "sms", "1").id(&number.to_string());
            assert!(world.batch(&[sms]).await[0].starts_with("rated"));
        }
    }
    let records = world.audit().await.by_root().records;
    for pair in records
        .windows(2)
        .filter(|pair| pair[0].identity.root == pair[1].identity.root)
    {
        assert!(pair[0].received_at <= pair[1].received_at, "{pair:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_operator_accepts_a_clock() {
    let market = Market::new().await;
    for key in ["muster admin", "muster read", "muster usage", "agent admin"] {
        assert_eq!(
            market
                .by(key)
                .ask(Method::POST, "/v1/clock/accept", "{}".into())
                .await
                .unwrap()
                .code(),
            "403 forbidden",
            "{key}"
        );
        assert_eq!(
            market.by(key).get("/v1/clock").await.code(),
            "403 forbidden",
            "{key}"
        );
    }
}
