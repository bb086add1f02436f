//! Old months are dropped: what a server then answers, and the command itself.

use crate::http_world::{Market, call};
use crate::retention::{KEEP, sound};
use crate::world::{Backend, World, instant, postgres_is_here};
use catalog::{Actor, Catalog};
use db::{Db, PostgresOptions};
use journal_postgres::retention::{PATIENCE, Retention};
use serde_json::{Value, json};
use std::process::{Command, Output};

/// A server in November and one in March, on one database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_statements_begin_where_the_records_do() {
    let Some(market) = Market::postgres().await else {
        return;
    };
    let path = "/v1/usage-events";
    market
        .admin()
        .post(path, call("old", "acme-42", "600"))
        .await
        .ok();
    let later = market.served.beside_at("2027-03-20T12:00:00Z").await;
    let mut new = call("new", "acme-42", "60");
    new["at"] = json!("2027-03-20T11:00:00Z");
    later.admin.post(path, new).await.ok();

    let db = Db::open_postgres(market.served.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let (retention, platform, at) = (
        Retention::open(&db).await.unwrap(),
        Catalog::new(&db).platform().await.unwrap().unwrap(),
        instant("2027-03-20T12:00:00Z"),
    );
    let actor = Actor {
        key: None,
        tenant: platform.id,
        at,
        request_id: "test".into(),
        reason: None,
        once: None,
    };
    let plan = retention.plan(at, KEEP).await.unwrap();
    retention.fold(&plan, false, &actor).await.unwrap();
    assert_eq!(
        retention.drop_months(at, PATIENCE).await.unwrap(),
        ["2026-11"]
    );

    let statement = async |from: &str| {
        later
            .admin
            .get(&format!(
                "/v1/accounts/acme-42/statement?from={from}T00:00:00Z&currency=EUR"
            ))
            .await
    };
    let refused = statement("2026-11-01").await;
    assert_eq!(refused.code(), "422 before_records");
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("2026-12-01T00:00:00Z"),
        "{refused:?}"
    );
    let body: Value = statement("2026-12-01").await.ok();
    assert_eq!(
        (&body["opening_cents"], &body["closing_cents"]),
        (&json!(4600), &json!(4560))
    );
    assert_eq!(body["entries"].as_array().unwrap().len(), 1);
    assert_eq!(
        later.admin.get("/v1/usage-events/default/old").await.code(),
        "404 not_found"
    );
    assert_eq!(
        later.admin.get("/v1/usage-events/default/new").await.status,
        200
    );
}

fn centwise(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"));
    command
        .args(args)
        .env_remove("CENTWISE_DATABASE_URL")
        .env_remove("CENTWISE_DATA_DIR")
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_database_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    drop(
        Db::open_sqlite(&dir.path().join("centwise.db"))
            .await
            .unwrap(),
    );
    let output = centwise(&[
        "retention",
        "--keep-months",
        "3",
        "--data-dir",
        dir.path().to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && said.contains("keeps everything"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_retention_by_the_command_line() {
    if !postgres_is_here().await {
        return;
    }
    let world = World::new(Backend::Postgres).await;
    // The command goes by the machine's clock.
    world.pass(
        instant("2018-09-10T00:00:00Z").micros() / 1_000_000 - world.now().micros() / 1_000_000,
    );
    let world = world.into_demo().await;
    let run = |more: &[&str]| {
        let output = centwise(
            &[
                &["retention", "--json", "--database-url", world.url()],
                more,
            ]
            .concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let plan = run(&["--keep-months", "12", "--dry-run"]);
    assert_eq!(
        (
            &plan["months"][0]["month"],
            &plan["months"][0]["records"],
            &plan["dropped"]
        ),
        (&json!("2018-09"), &json!(2), &json!([]))
    );
    // The next month's tables are there from the start.
    assert_eq!(
        run(&["--keep-months", "12"])["dropped"],
        json!(["2018-09", "2018-10"])
    );
    assert_eq!(run(&["--keep-months", "12"])["dropped"], json!([]));
    let short = centwise(&[
        "retention",
        "--keep-months",
        "2",
        "--database-url",
        world.url(),
    ]);
    assert!(
        short.status.code() == Some(2)
            && String::from_utf8_lossy(&short.stderr).contains("at least 3 months"),
        "{short:?}"
    );
    sound(&world).await;
}
