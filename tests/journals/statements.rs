//! Every statement of the journal on PostgreSQL: it is understood, and reads through an index.

use crate::test_ledger::TestLedger;
use db::{Db, PostgresOptions};
use journal::Journal;
use journal_postgres::{PostgresJournal, STATEMENTS};
use rating::{Exact, TenantId};
use sqlx::{AssertSqlSafe, Executor, Row, SqlSafeStr};

#[tokio::test]
async fn every_statement_is_understood() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let Db::Postgres(db) = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap()
    else {
        unreachable!()
    };
    let mut conn = db.pool.acquire().await.unwrap();
    for (name, text) in STATEMENTS {
        // What is copied is parsed where it runs.
        if !name.starts_with("COPY_") {
            conn.prepare(text.into_sql_str())
                .await
                .unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

/// Planned on tables that are empty, as each month's are when it begins.
#[tokio::test]
async fn look_ups_of_many_rows_never_read_a_whole_table() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let db = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let mut test_ledger = TestLedger::default();
    test_ledger.sale(
        TenantId(100),
        TenantId(1000),
        "makes the month's tables",
        Exact::ZERO,
    );
    PostgresJournal::open(&db)
        .await
        .unwrap()
        .commit(test_ledger.ring_up())
        .await
        .unwrap();
    let Db::Postgres(db) = db else { unreachable!() };
    let mut conn = db.pool.acquire().await.unwrap();
    conn.execute("set plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    let many = STATEMENTS
        .iter()
        .filter(|(_, text)| text.starts_with("select") && text.contains("unnest("));
    for (name, text) in many {
        let values = vec![
            "null";
            (1..)
                .take_while(|n| text.contains(&format!("${n}")))
                .count()
        ]
        .join(", ");
        conn.execute(AssertSqlSafe(format!("prepare {name} as {text}")))
            .await
            .unwrap();
        let plan = conn
            .fetch_all(AssertSqlSafe(format!("explain execute {name} ({values})")))
            .await
            .unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(
            !plan.iter().any(|line| line.contains("Seq Scan")),
            "{name}: {plan:#?}"
        );
        assert!(
            plan.iter().any(|line| line.contains("Index")),
            "{name}: {plan:#?}"
        );
    }
}
