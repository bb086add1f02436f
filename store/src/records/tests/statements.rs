//! Every statement against the migrated schema.

use super::*;
use crate::records::{agreements, audit, bulk, cards, keys, meters, platform, tenants, versions};
use sqlx::{Executor, SqlSafeStr};

const FILES: &[&[(&str, &str)]] = &[
    agreements::STATEMENTS,
    audit::STATEMENTS,
    bulk::STATEMENTS,
    cards::STATEMENTS,
    keys::STATEMENTS,
    meters::STATEMENTS,
    platform::STATEMENTS,
    tenants::STATEMENTS,
    versions::STATEMENTS,
];

#[tokio::test]
async fn every_statement_prepares() {
    let world = World::new().await;
    let Db::Sqlite(sqlite) = &world.db;
    let mut connection = sqlite.writer.lock().await;
    for (name, sql) in FILES.iter().copied().flatten() {
        let prepared = connection.prepare((*sql).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {prepared:?}");
    }
}

#[tokio::test]
async fn subtree_and_path_queries_use_their_index() {
    let world = World::new().await;
    let Db::Sqlite(sqlite) = &world.db;
    for (name, index) in
        [("BELOW", "tenants_by_path"), ("CHILDREN", "tenants_by_parent"), ("BY_EXTERNAL_ID_IN_ROOT", "tenants_by_external_id")]
    {
        let (_, sql) = tenants::STATEMENTS.iter().find(|(other, _)| *other == name).unwrap();
        let plan = sqlx::AssertSqlSafe(format!("explain query plan {sql}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(plan).bind(1).bind(1).bind(1).fetch_all(&sqlite.readers).await.unwrap();
        assert!(plan.iter().any(|line| line.3.contains(index)), "{name}: {plan:?}");
    }
}
