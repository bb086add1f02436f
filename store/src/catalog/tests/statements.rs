//! Every statement against the migrated schema.

use super::*;
use crate::catalog::sql::any_of_array;
use crate::catalog::{
    agreements, audit, audit_heads, bulk, cards, clock, column_maps, commission_customers,
    commission_months, contacts, deliveries, endpoints, idempotency, keys,
};
use crate::catalog::{
    inbox, meters, notices, payments, payout_files, payout_settings, payouts, platform,
    reclassifications, refunds, restoration, sql, standing, tenants,
};
use crate::catalog::{thresholds, top_ups, versions};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

const FILES: &[&[(&str, &str)]] = &[
    agreements::STATEMENTS,
    audit::STATEMENTS,
    audit_heads::STATEMENTS,
    auto_top_ups::STATEMENTS,
    bulk::STATEMENTS,
    cards::STATEMENTS,
    clock::STATEMENTS,
    column_maps::STATEMENTS,
    contacts::STATEMENTS,
    deliveries::STATEMENTS,
    endpoints::STATEMENTS,
    commission_customers::STATEMENTS,
    commission_months::STATEMENTS,
    idempotency::STATEMENTS,
    inbox::STATEMENTS,
    keys::STATEMENTS,
    meters::STATEMENTS,
    payments::STATEMENTS,
    notices::STATEMENTS,
    payout_files::STATEMENTS,
    payout_settings::STATEMENTS,
    payouts::STATEMENTS,
    platform::STATEMENTS,
    reclassifications::STATEMENTS,
    refunds::STATEMENTS,
    restoration::STATEMENTS,
    standing::STATEMENTS,
    sql::STATEMENTS,
    tenants::STATEMENTS,
    top_ups::STATEMENTS,
    thresholds::STATEMENTS,
    versions::STATEMENTS,
];

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
        for (name, sql) in FILES.iter().copied().flatten() {
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
        (tenants::STATEMENTS, "BELOW", "tenants_by_path"),
        (tenants::STATEMENTS, "CHILDREN", "tenants_by_parent"),
        (tenants::STATEMENTS, "NAMED", "tenants_by_name"),
        (
            tenants::STATEMENTS,
            "BY_EXTERNAL_ID",
            "tenants_by_external_id",
        ),
        (
            tenants::STATEMENTS,
            "BY_EXTERNAL_ID_IN_ROOT",
            "tenants_by_external_id",
        ),
        (agreements::STATEMENTS, "BY_BUYERS", "agreements_by_buyer"),
        (audit::STATEMENTS, "NEWEST_FIRST_BELOW", "audit_log_by_root"),
        (cards::STATEMENTS, "BY_NAME", "rate_cards_by_name"),
        (deliveries::STATEMENTS, "DUE_OF_TARGET", "deliveries_due"),
        (deliveries::STATEMENTS, "OF_TARGET", "deliveries_by_target"),
        (idempotency::STATEMENTS, "PURGE", "idempotency_by_age"),
        (keys::STATEMENTS, "BY_HASH", "api_keys_by_hash"),
        (notices::STATEMENTS, "UNSENT", "notices_unsent"),
        (
            payout_settings::STATEMENTS,
            "BY_PAYEE",
            "payout_settings_by_payee",
        ),
        (payouts::STATEMENTS, "COUNTING", "payouts_by_period"),
        (payouts::STATEMENTS, "WAITING", "payouts_by_next"),
        (payouts::STATEMENTS, "BY_STATE", "payouts_by_state"),
        (payouts::STATEMENTS, "OF_FILE", "payouts_by_file"),
        (
            versions::STATEMENTS,
            "PUBLISHED",
            "card_versions_by_effective_from",
        ),
    ];
    for (statements, name, index) in cases {
        let (_, sql) = statements.iter().find(|(other, _)| *other == name).unwrap();
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
