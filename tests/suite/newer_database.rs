//! A database that a newer program has changed: nobody touches it, and everybody says why.

use crate::world::{Backend, World};
use db::{Db, PostgresOptions};
use std::process::Command;

const LATER: &str = "insert into _sqlx_migrations (version, description, installed_on, success, \
    checksum, execution_time) \
    values (9000, 'later', '2027-01-01', {true}, {sum}, 1)";

const USAGE: &str =
    r#"{"id":"c-2","customer":"acme-42","meter":"sms","quantity":"1","at":"2026-11-20T09:00:00Z"}"#;

/// Of the program, and of the tables that it makes: what to compare.
#[tokio::test]
async fn versions_are_shown() {
    let schema = db::schema_version::known();
    let run = crate::moves::centwise(&["--version"]).await;
    let want = format!(
        "centwise {} (schema version {schema})\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(String::from_utf8(run.stdout).unwrap(), want);
    let live = crate::served::Served::new()
        .await
        .admin
        .get("/health/live")
        .await
        .ok();
    assert_eq!(
        live,
        serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "schema": schema })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_says_that_the_program_is_older() {
    let world = World::new(Backend::Sqlite).await.into_demo().await;
    world.batch(&[world.call("acme-42", "600").id("c-1")]).await;
    world
        .sql(&LATER.replace("{true}", "true").replace("{sum}", "x'00'"))
        .await;
    let dir = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("{}{suffix}", world.file.display());
        std::fs::copy(name, dir.path().join(format!("centwise.db{suffix}"))).unwrap();
    }
    std::fs::write(dir.path().join("usage.ndjson"), USAGE).unwrap();
    std::fs::write(dir.path().join("deck.csv"), "Prefix,Price\n49,0.02\n").unwrap();
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["verify"],
        &["health-check"],
        &["admin-key"],
        &["ingest", "usage.ndjson", "--format", "ndjson"],
        &["import-rates", "deck.csv", "--card", "Retail"],
        &["backup", "b.tar"],
        &["restore", "--mark", "2026-11-20T12:00:00Z"],
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"))
            .args(command)
            .args(["--data-dir", "."])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let said = [run.stdout, run.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat();
        assert_eq!(
            said.matches("older than the database").count(),
            1,
            "{command:?}: {said}"
        );
        assert!(
            said.contains("9000") && !run.status.success(),
            "{command:?}: {said}"
        );
    }
}

#[tokio::test]
async fn a_newer_database_on_a_server_is_left_alone() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let db = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(database.url())
        .await
        .unwrap();
    let later = LATER.replace("{true}", "true").replace("{sum}", "'\\x00'");
    sqlx::query(sqlx::AssertSqlSafe(later))
        .execute(&mut connection)
        .await
        .unwrap();
    db.close().await;
    let old = World::reference(Backend::Sqlite).await;
    old.batch(&[old.call("acme-42", "600").id("c-1")]).await;
    let dir = tempfile::tempdir().unwrap();
    let (usage, source) = (
        dir.path().join("usage.ndjson"),
        dir.path().join("centwise.db"),
    );
    std::fs::write(&usage, USAGE).unwrap();
    for suffix in ["", "-wal"] {
        std::fs::copy(
            format!("{}{suffix}", old.file.display()),
            format!("{}{suffix}", source.display()),
        )
        .unwrap();
    }
    let (from, here) = (
        format!("--from=sqlite:{}", source.display()),
        ["--database-url", database.url()],
    );
    for (command, place) in [
        (&["verify"][..], &here),
        (&["health-check"], &here),
        (&["admin-key"], &here),
        (&["retention", "--keep-months", "13"], &here),
        (
            &["ingest", usage.to_str().unwrap(), "--format", "ndjson"],
            &here,
        ),
        (&["restore", "--mark", "2026-11-20T12:00:00Z"], &here),
        (&["migrate-store", from.as_str()], &["--to", database.url()]),
    ] {
        let run = crate::moves::centwise(&[command, &place[..]].concat()).await;
        let said = [run.stdout, run.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat();
        assert_eq!(
            said.matches("older than the database").count(),
            1,
            "{command:?}: {said}"
        );
        assert!(!run.status.success(), "{command:?}: {said}");
    }
    let refused = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("older than the database") && refused.contains("9000"),
        "{refused}"
    );
}

/// A mistyped name of a database was a new installation, and everybody said that it was well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_server_makes_tables() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(database.url())
        .await
        .unwrap();
    // The tests' databases have them from the start.
    sqlx::raw_sql("drop schema public cascade; create schema public")
        .execute(&mut connection)
        .await
        .unwrap();
    for command in [
        &["verify"][..],
        &["health-check"],
        &["admin-key"],
        &["retention", "--keep-months", "13"],
    ] {
        let run =
            crate::moves::centwise(&[command, &["--database-url", database.url()]].concat()).await;
        let said = [run.stdout, run.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat();
        assert_eq!(run.status.code(), Some(2), "{command:?}: {said}");
        assert!(
            said.contains("has no installation of Centwise"),
            "{command:?}: {said}"
        );
    }
    let (tables,): (i64,) =
        sqlx::query_as("select count(*) from pg_tables where schemaname = 'public'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(tables, 0);
}
