//! A server whose lane is stuck: it says so, and a signal ends it all the same.

use crate::http_world::call;
use crate::process::Process;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};
use std::time::{Duration, Instant};

const SEEN_TIME_MAX: Duration = Duration::from_secs(9);
/// Less than the 10 s after which PostgreSQL itself gives up waiting for a lock.
const ENDED_TIME_MAX: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_lane_makes_the_server_not_ready_and_sigterm_ends_it() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("CENTWISE_STALLED_SECS_MAX", "1"),
        ("CENTWISE_DRAIN_SECS_MAX", "1"),
        ("CENTWISE_ENGINE_DRAIN_SECS_MAX", "1"),
    ];
    let process = Process::start_with(dir.path(), Some(database.url()), &settings).await;
    let admin = process.admin.clone();
    admin
        .post("/v1/usage-events", call("before", "acme-42", "60"))
        .await
        .ok();
    assert_eq!(admin.get("/health/ready").await.code(), "200");

    let mut other = PgConnection::connect(database.url()).await.unwrap();
    let mut holding = other.begin().await.unwrap();
    holding
        .execute("select root from heads for update")
        .await
        .unwrap();
    let sender = admin.clone();
    let stuck = tokio::spawn(async move {
        sender
            .post("/v1/usage-events", call("stuck", "acme-42", "60"))
            .await
            .code()
    });
    let since = Instant::now();
    let said = loop {
        let ready = admin.get("/health/ready").await;
        if ready.code() == "503 stalled" {
            break ready.body["detail"].as_str().unwrap().to_owned();
        }
        assert!(since.elapsed() < SEEN_TIME_MAX, "{ready:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(
        said.starts_with("lane-") && said.contains("stage lock"),
        "{said}"
    );
    let measures = admin.get("/metrics").await.text;
    assert!(
        measures.contains("centwise_oldest_waiting_seconds{queue=\"lane-0\"}"),
        "{measures}"
    );

    // It goes on by itself once the lock is gone.
    holding.rollback().await.unwrap();
    assert_eq!(stuck.await.unwrap(), "201");
    assert_eq!(admin.get("/health/ready").await.code(), "200");

    let mut holding = other.begin().await.unwrap();
    holding
        .execute("select root from heads for update")
        .await
        .unwrap();
    let sender = admin.clone();
    let lost = tokio::spawn(async move {
        sender
            .ask(
                hyper::Method::POST,
                "/v1/usage-events",
                call("lost", "acme-42", "60").to_string().into(),
            )
            .await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let since = Instant::now();
    assert_eq!(
        process.terminate().await,
        Some(2),
        "it did not finish, and says so"
    );
    assert!(since.elapsed() < ENDED_TIME_MAX, "{:?}", since.elapsed());
    assert!(
        lost.await.unwrap().is_err(),
        "nobody was told that it was done"
    );
    holding.rollback().await.unwrap();

    // What was not answered is sent again.
    let process = Process::start_with(dir.path(), Some(database.url()), &settings).await;
    assert_eq!(
        process
            .admin
            .post("/v1/usage-events", call("lost", "acme-42", "60"))
            .await
            .ok()["debit_cents"],
        40
    );
    assert!(process.stop().await);
}
