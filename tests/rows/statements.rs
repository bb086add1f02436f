//! Every statement against the migrated schema.

use super::*;
use db::sql::any_of_array;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

/// By file.
fn every() -> impl Iterator<Item = (&'static str, &'static [(&'static str, &'static str)])> {
    [
        catalog::STATEMENTS,
        ::payments::rows::STATEMENTS,
        ::payouts::rows::STATEMENTS,
        ::notices::rows::STATEMENTS,
        &[("sql", db::sql::STATEMENTS)],
    ]
    .into_iter()
    .flatten()
    .copied()
}

fn statement(file: &str, name: &str) -> &'static str {
    every()
        .filter(|(of, _)| *of == file)
        .flat_map(|(_, statements)| statements)
        .find_map(|(other, sql)| (*other == name).then_some(*sql))
        .unwrap()
}

/// On tables that PostgreSQL alone has.
const ONLY_POSTGRES: &[&str] = &[
    "CLAIM_HASH",
    "CLAIM_NAME",
    "FIRST_VERSION",
    "LOCK",
    "LOCK_LOG",
    "VERSION",
];

/// On PostgreSQL also as it runs for many ids.
#[tokio::test]
async fn every_statement_prepares() {
    let mut databases = vec![World::sqlite().await];
    databases.extend(World::postgres().await);
    for world in &databases {
        for (name, sql) in every().flat_map(|(_, statements)| statements) {
            let prepared = match &world.db {
                Db::Sqlite(_) if ONLY_POSTGRES.contains(name) => Ok(()),
                Db::Sqlite(db) => db
                    .writer
                    .lock()
                    .await
                    .prepare((*sql).into_sql_str())
                    .await
                    .map(|_| ()),
                Db::Postgres(db) => {
                    let many = AssertSqlSafe(any_of_array(sql)).into_sql_str();
                    let one = db.pool.prepare((*sql).into_sql_str()).await;
                    one.and(db.pool.prepare(many).await).map(|_| ())
                }
            };
            assert!(prepared.is_ok(), "{name} on {:?}: {prepared:?}", world.db);
        }
    }
}

#[tokio::test]
async fn look_ups_use_their_index_and_never_sort() {
    let world = World::sqlite().await;
    let Db::Sqlite(sqlite) = &world.db else {
        unreachable!()
    };
    let cases = [
        ("tenants", "BELOW", "tenants_by_path"),
        ("tenants", "CHILDREN", "tenants_by_parent"),
        ("tenants", "NAMED", "tenants_by_name"),
        ("tenants", "BY_EXTERNAL_ID", "tenants_by_external_id"),
        (
            "tenants",
            "BY_EXTERNAL_ID_IN_ROOT",
            "tenants_by_external_id",
        ),
        ("agreements", "BY_BUYERS", "agreements_by_buyer"),
        ("audit", "NEWEST_FIRST_BELOW", "audit_log_by_root"),
        ("cards", "BY_NAME", "rate_cards_by_name"),
        ("deliveries", "DUE_OF_TARGET", "deliveries_due"),
        ("deliveries", "OF_TARGET", "deliveries_by_target"),
        ("idempotency", "PURGE", "idempotency_by_age"),
        ("keys", "BY_HASH", "api_keys_by_hash"),
        ("notices", "UNSENT", "notices_unsent"),
        ("payout_settings", "BY_PAYEE", "payout_settings_by_payee"),
        ("payouts", "COUNTING", "payouts_by_period"),
        ("payouts", "WAITING", "payouts_by_next"),
        ("payouts", "BY_STATE", "payouts_by_state"),
        ("payouts", "OF_FILE", "payouts_by_file"),
        ("versions", "PUBLISHED", "card_versions_by_effective_from"),
    ];
    for (file, name, index) in cases {
        let sql = statement(file, name);
        let plan = sqlx::AssertSqlSafe(format!("explain query plan {sql}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(plan)
            .fetch_all(&sqlite.readers)
            .await
            .unwrap();
        let plan: Vec<String> = plan.into_iter().map(|line| line.3).collect();
        assert!(
            plan.iter().any(|line| line.contains(index)),
            "{name}: {plan:?}"
        );
        assert!(
            !plan.iter().any(|line| line.contains("TEMP B-TREE")),
            "{name} sorts: {plan:?}"
        );
    }
}
