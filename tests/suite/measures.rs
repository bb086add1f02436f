//! What `/metrics` prints, of a server of its own: counters are of a process.

use crate::http_world::call;
use crate::process::Process;
use serde_json::json;
use std::collections::BTreeSet;

async fn measures(process: &Process) -> String {
    process.admin.get("/metrics").await.text
}

/// Of one line: `name value` or `name{labels} value`.
fn value(measures: &str, measure: &str) -> Option<String> {
    measures
        .lines()
        .find_map(|line| line.strip_prefix(measure)?.strip_prefix(' '))
        .map(str::to_owned)
}

/// Begun at 0, so that the first of each is a change.
const BEGUN: [&str; 15] = [
    r#"centwise_usage_events_total{outcome="rated"}"#,
    r#"centwise_usage_events_total{outcome="partly_rated"}"#,
    r#"centwise_usage_events_total{outcome="duplicate"}"#,
    r#"centwise_usage_events_total{outcome="unrated"}"#,
    r#"centwise_usage_events_total{outcome="rejected"}"#,
    r#"centwise_refusals_total{code="rate_limited"}"#,
    r#"centwise_refusals_total{code="overloaded"}"#,
    r#"centwise_refusals_total{code="unavailable"}"#,
    r#"centwise_refusals_total{code="timeout"}"#,
    r#"centwise_refusals_total{code="internal"}"#,
    r#"centwise_rate_limited_total{limit="usage"}"#,
    r#"centwise_rate_limited_total{limit="live"}"#,
    r#"centwise_rate_limited_total{limit="other"}"#,
    "centwise_connections_refused_total",
    "centwise_database_errors_total",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_measure_says_what_it_is_and_counters_begin_at_0() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start_with(
        dir.path(),
        None,
        &[("CENTWISE_BACKUP_DIR", dir.path().to_str().unwrap())],
    )
    .await;
    let text = measures(&process).await;
    for measure in BEGUN {
        assert_eq!(value(&text, measure).as_deref(), Some("0"), "{measure}");
    }
    // Of each kind that there is.
    process
        .admin
        .post("/v1/usage-events", call("c-1", "acme-42", "60"))
        .await;
    process.admin.get("/v1/tenants/nobody").await;
    let mut text = measures(&process).await;
    while !text.contains("centwise_unrated_events") {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        text = measures(&process).await;
    }
    let told = |word: &'static str| {
        text.lines()
            .filter_map(move |line| line.strip_prefix(word)?.split_once(' '))
    };
    let helped: BTreeSet<&str> = told("# HELP ")
        .filter(|(_, help)| !help.is_empty())
        .map(|(name, _)| name)
        .collect();
    let printed: BTreeSet<&str> = told("# TYPE ").map(|(name, _)| name).collect();
    assert!(printed.len() > 25, "{printed:?}");
    assert_eq!(
        printed.difference(&helped).collect::<Vec<_>>(),
        [&""; 0],
        "{text}"
    );
    assert!(process.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_fails_at_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let process = Process::start(&data).await;
    std::fs::remove_dir_all(&data).unwrap();
    let refused = process
        .admin
        .post("/v1/usage-events", call("c-1", "acme-42", "60"))
        .await;
    assert_eq!(refused.code(), "503 unavailable");
    let count = value(&measures(&process).await, "centwise_database_errors_total").unwrap();
    assert!(count.parse::<u64>().unwrap() >= 1, "{count}");
}

/// Of the records, too, and by every lane.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_database_on_a_server_fails_at_is_counted() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start_on(dir.path(), Some(database.url())).await;
    process
        .admin
        .post("/v1/usage-events", call("before", "acme-42", "60"))
        .await
        .ok();
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(database.url())
        .await
        .unwrap();
    for (broken, path, body) in [
        (
            "alter table batches rename to gone",
            "/v1/usage-events",
            call("after", "acme-42", "60"),
        ),
        (
            "alter table meters rename to gone_too",
            "/v1/meters",
            json!({ "name": "fax", "unit": "page" }),
        ),
    ] {
        let before = value(&measures(&process).await, "centwise_database_errors_total").unwrap();
        sqlx::query(sqlx::AssertSqlSafe(broken.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
        let refused = process.admin.post(path, body).await;
        assert_eq!(refused.code(), "503 unavailable", "{refused:?}");
        let after = value(&measures(&process).await, "centwise_database_errors_total").unwrap();
        assert!(
            after.parse::<u64>().unwrap() > before.parse::<u64>().unwrap(),
            "{broken}: {before} {after}"
        );
    }
}
