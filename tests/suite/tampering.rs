//! One byte of a stored row is changed behind the server's back: `verify` names the batch.

use crate::world::{Backend, World};
use journal::Check;
use journal_sqlite::JournalOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use transfer::audit::verify_file;

/// Some commits, among them one with a void and a hold.
async fn history() -> World {
    // Every state is written with its records.
    let options = JournalOptions {
        recent_records_max: 8,
        fan_out: 2,
        pending_records_max: 1,
    };
    let world = World::with(Backend::Sqlite, options)
        .await
        .into_demo()
        .await;
    for n in 0..4 {
        let events: Vec<_> = (0..3)
            .map(|m| {
                world
                    .call("acme-42", "600")
                    .id(&format!("c{n}-{m}"))
                    .with("queue", "a")
            })
            .collect();
        world.batch(&events).await;
    }
    world.send("acme-43", "sms", "0.3").text().await;
    world.void("c1-1").text().await;
    world.call("acme-43", "60").hold(600).await.unwrap();
    world.sqlite.as_ref().unwrap().settle().await.unwrap();
    world
}

async fn failed(world: &World) -> Vec<Check> {
    verify_file(&world.file)
        .await
        .unwrap()
        .into_iter()
        .filter(|check| !check.ok)
        .collect()
}

async fn run(conn: &mut SqliteConnection, statement: &str) {
    let changed = sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(conn)
        .await
        .unwrap();
    assert!(changed.rows_affected() > 0, "{statement}");
}

/// Flips the lowest bit of the middle byte of a blob.
async fn flip(conn: &mut SqliteConnection, table: &str, column: &str, place: &str) {
    let read = format!("select {column} from {table} where {place}");
    let mut bytes: Vec<u8> = sqlx::query_scalar(sqlx::AssertSqlSafe(read))
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let write = format!("update {table} set {column} = $1 where {place}");
    sqlx::query(sqlx::AssertSqlSafe(write))
        .bind(bytes)
        .execute(conn)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_changed_byte_of_a_record_names_its_batch() {
    let world = history().await;
    let mut conn = SqliteConnectOptions::new()
        .filename(&world.file)
        .connect()
        .await
        .unwrap();
    assert_eq!(failed(&world).await, []);
    let place = "seq = (select max(seq) from records where kind = 1 and personal is not null) - 2";
    let batch: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "select batch from records where {place}"
    )))
    .fetch_one(&mut conn)
    .await
    .unwrap();
    for column in ["body", "content", "personal_digest", "personal"] {
        flip(&mut conn, "records", column, place).await;
        check_names(&failed(&world).await, batch, column);
        flip(&mut conn, "records", column, place).await;
    }
    let changes = [
        ("tenant", "tenant + 1", "tenant - 1"),
        ("at_us", "at_us + 1", "at_us - 1"),
        ("received_us", "received_us + 1", "received_us - 1"),
        ("kind", "2", "1"),
        ("namespace", "2", "1"),
        ("source", "'defaulu'", "'default'"),
        ("id", "'x' || id", "substr(id, 2)"),
    ];
    for (column, change, back) in changes {
        run(
            &mut conn,
            &format!("update records set {column} = {change} where {place}"),
        )
        .await;
        check_names(&failed(&world).await, batch, column);
        run(
            &mut conn,
            &format!("update records set {column} = {back} where {place}"),
        )
        .await;
    }
    flip(&mut conn, "batches", "hash", &format!("batch = {batch}")).await;
    check_names(&failed(&world).await, batch, "hash");
    flip(&mut conn, "batches", "hash", &format!("batch = {batch}")).await;
    assert_eq!(failed(&world).await, [], "everything is as it was");
}

#[track_caller]
fn check_names(failed: &[Check], batch: i64, column: &str) {
    let named = failed
        .iter()
        .flat_map(|check| &check.differences)
        .any(|difference| difference.contains(&format!("batch {batch}")));
    assert!(named, "{column}: {failed:?}");
}

#[tokio::test]
async fn a_changed_state_is_found() {
    let world = history().await;
    let mut conn = SqliteConnectOptions::new()
        .filename(&world.file)
        .connect()
        .await
        .unwrap();
    for (table, column, check) in [
        ("accounts", "posted", "balances"),
        ("accounts", "held", "holds"),
        ("counters", "events", "counters"),
        ("amendments", "by", "amendments"),
    ] {
        run(
            &mut conn,
            &format!("update {table} set {column} = {column} + 1"),
        )
        .await;
        let failed = failed(&world).await;
        assert!(
            failed.iter().any(|failed| failed.name == check),
            "{table}.{column}: {failed:?}"
        );
        run(
            &mut conn,
            &format!("update {table} set {column} = {column} - 1"),
        )
        .await;
    }
    flip(
        &mut conn,
        "heads",
        "hash",
        &format!("root = {}", world.tenant("muster").id.0),
    )
    .await;
    assert!(
        failed(&world)
            .await
            .iter()
            .any(|check| check.name == "hash_chain")
    );
    flip(
        &mut conn,
        "heads",
        "hash",
        &format!("root = {}", world.tenant("muster").id.0),
    )
    .await;
    run(
        &mut conn,
        "delete from records where seq = (select max(seq) from records)",
    )
    .await;
    assert!(!failed(&world).await.is_empty(), "a record is missing");
}

/// Whoever may ask, at which prices and terms, and who changed it.
#[tokio::test]
async fn a_changed_record_is_found() {
    let world = history().await;
    let mut conn = SqliteConnectOptions::new()
        .filename(&world.file)
        .connect()
        .await
        .unwrap();
    assert_eq!(failed(&world).await, []);
    let root = world.tenant("muster").id;
    for (table, change, back) in [
        (
            "agreements",
            "free_retail = 1 - free_retail",
            "free_retail = 1 - free_retail",
        ),
        (
            "card_versions",
            "number = number + 100",
            "number = number - 100",
        ),
        (
            "audit_log",
            "action = action || 'd'",
            "action = substr(action, 1, length(action) - 1)",
        ),
    ] {
        let place = format!(
            "id = (select min(id) from {table} where root_id = {})",
            root.0
        );
        run(
            &mut conn,
            &format!("update {table} set {change} where {place}"),
        )
        .await;
        let failed_now = failed(&world).await;
        assert_eq!(
            failed_now
                .iter()
                .map(|check| check.name.as_str())
                .collect::<Vec<_>>(),
            [table]
        );
        assert!(
            failed_now[0].differences[0].contains(&root.to_string()),
            "{failed_now:?}"
        );
        run(
            &mut conn,
            &format!("update {table} set {back} where {place}"),
        )
        .await;
    }
    flip(
        &mut conn,
        "api_keys",
        "hash",
        "id = (select min(id) from api_keys)",
    )
    .await;
    assert_eq!(failed(&world).await[0].name, "api_keys");
    flip(
        &mut conn,
        "api_keys",
        "hash",
        "id = (select min(id) from api_keys)",
    )
    .await;
    assert_eq!(failed(&world).await, [], "everything is as it was");
}
