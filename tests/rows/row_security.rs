//! Row-level security alone keeps the roots apart: every statement here asks for more than it may
//! see.

use super::*;
use db::Postgres;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

/// Two roots with a customer, terms, a card, a key and a saved map each.
async fn two_roots(world: &World) -> [Tenant; 2] {
    let mut roots = Vec::new();
    for (number, name) in [(10, "muster"), (20, "other")] {
        let root = world.reseller(number, name, &world.platform).await;
        let customer = world.customer(number + 1, "acme", &root).await;
        let (records, by) = (&world.catalog, world.by());
        records
            .create_agreement(&by, &commission(number, &customer, 0, None))
            .await
            .unwrap();
        records
            .create_card(&by, &card(number, &root, "retail"))
            .await
            .unwrap();
        records
            .create_draft(
                &by,
                RateCardId(number),
                rating::CardVersionId(number),
                &doc("49"),
            )
            .await
            .unwrap();
        records
            .create_key(&by, &key(number, &customer))
            .await
            .unwrap();
        records
            .put_column_map(&by, customer.id, "map", &serde_json::json!({}))
            .await
            .unwrap();
        roots.push(root);
    }
    roots.try_into().unwrap()
}

async fn count(connection: &mut PgConnection, sql: String) -> Result<i64, sqlx::Error> {
    Ok(sqlx::query(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await?
        .get(0))
}

/// Tables with rows of roots, and the column that says whose.
async fn tables(db: &Postgres) -> Vec<(String, String)> {
    let found = sqlx::query_as(
        "select table_name::text, column_name::text from information_schema.columns join pg_class \
            on relname = table_name \
         where table_schema = current_schema() and column_name in ('root', 'root_id') and not \
         relispartition order by 1",
    );
    found.fetch_all(&db.pool).await.unwrap()
}

#[tokio::test]
async fn a_reader_sees_the_rows_of_its_root_and_changes_none() {
    let Some(world) = World::postgres().await else {
        return;
    };
    let roots = two_roots(&world).await;
    let Db::Postgres(db) = &world.db else {
        unreachable!()
    };
    let mut seen_somewhere = 0;
    for (table, column) in tables(db).await {
        let mut reader = db.reader(Some(roots[0].id)).await.unwrap();
        let all = count(reader.connection(), format!("select count(*) from {table}")).await;
        let Ok(all) = all else {
            assert!(
                all.unwrap_err().to_string().contains("permission denied"),
                "{table}"
            );
            continue;
        };
        let own = count(
            reader.connection(),
            format!(
                "select count(*) from {table} where {column} = {}",
                roots[0].id.0
            ),
        )
        .await
        .unwrap();
        assert_eq!(all, own, "{table}");
        seen_somewhere += i32::from(own > 0);
        for change in ["delete from", "update", "insert into"] {
            let change = match change {
                "update" => format!("update {table} set {column} = 1"),
                "insert into" => format!("insert into {table} default values"),
                _ => format!("delete from {table}"),
            };
            let mut reader = db.reader(Some(roots[0].id)).await.unwrap();
            let refused = sqlx::query(AssertSqlSafe(change))
                .execute(reader.connection())
                .await
                .unwrap_err()
                .to_string();
            assert!(
                refused.contains("read-only transaction") || refused.contains("permission denied"),
                "{table}: {refused}"
            );
        }
    }
    assert!(seen_somewhere >= 7, "{seen_somewhere}");
    let mut reader = db.reader(Some(roots[0].id)).await.unwrap();
    let secret = count(reader.connection(), "select count(*) from meta".into())
        .await
        .unwrap_err();
    assert!(secret.to_string().contains("permission denied"));
}

#[tokio::test]
async fn without_a_root_there_is_nothing_to_see() {
    let Some(world) = World::postgres().await else {
        return;
    };
    two_roots(&world).await;
    let Db::Postgres(db) = &world.db else {
        unreachable!()
    };
    for roots in [None, Some(""), Some("0")] {
        let mut tx = db
            .pool
            .begin_with("begin; set local role centwise_reader")
            .await
            .unwrap();
        if let Some(roots) = roots {
            sqlx::query("select set_config('centwise.roots', $1, true)")
                .bind(roots)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        assert_eq!(
            count(&mut tx, "select count(*) from tenants".into())
                .await
                .unwrap(),
            0,
            "{roots:?}"
        );
    }
}

#[tokio::test]
async fn every_table_with_a_root_has_the_wall() {
    let Some(world) = World::postgres().await else {
        return;
    };
    let Db::Postgres(db) = &world.db else {
        unreachable!()
    };
    for (table, column) in tables(db).await {
        let found: Option<(bool, String)> = sqlx::query_as(
            "select relrowsecurity, pg_get_expr(polqual, polrelid) from pg_policy join pg_class \
                on pg_class.oid = polrelid where relname = $1",
        )
        .bind(&table)
        .fetch_optional(&db.pool)
        .await
        .unwrap();
        if ["key_hashes", "root_names", "roots"].contains(&table.as_str()) {
            // Only the server may read these.
            assert_eq!(found, None, "{table}");
            continue;
        }
        let (on, expression) = found.unwrap_or_else(|| panic!("{table} has no policy"));
        assert!(
            on && expression.contains(&format!("({column} = ANY"))
                && expression.contains("centwise.roots"),
            "{table}: {expression}"
        );
    }
}

/// None of these statements names a root.
#[tokio::test]
async fn records_of_another_root_are_not_there() {
    let Some(world) = World::postgres().await else {
        return;
    };
    let [muster, other] = two_roots(&world).await;
    let (ours, theirs) = (world.catalog.within(muster.id), other.id.0);
    assert_eq!(ours.tenant(muster.id).await.unwrap(), Some(muster.clone()));
    assert_eq!(ours.tenant(other.id).await.unwrap(), None);
    assert_eq!(
        ours.tenants(&[muster.id, other.id]).await.unwrap(),
        std::slice::from_ref(&muster)
    );
    assert_eq!(ours.agreement(AgreementId(theirs)).await.unwrap(), None);
    assert_eq!(ours.card(RateCardId(theirs)).await.unwrap(), None);
    assert_eq!(
        ours.version(rating::CardVersionId(theirs)).await.unwrap(),
        None
    );
    assert_eq!(ours.key(ApiKeyId(theirs)).await.unwrap(), None);
    assert_eq!(
        ours.column_map(TenantId(theirs + 1), "map").await.unwrap(),
        None
    );
    // As if somebody had taken the platform for the caller.
    let below = ours
        .tenants_below(&world.platform, None, 99)
        .await
        .unwrap()
        .data;
    assert!(
        below.len() == 2 && below.iter().all(|tenant| tenant.root == muster.id),
        "{below:?}"
    );
    let log = ours
        .audit_log(&world.platform, &AuditFilter::default(), None, 99)
        .await
        .unwrap()
        .data;
    assert!(
        log.len() > 3 && log.iter().all(|entry| [10, 11].contains(&entry.tenant.0)),
        "{log:?}"
    );
    // Nothing of it stays with the connection.
    assert!(world.catalog.tenant(other.id).await.unwrap().is_some());
}
