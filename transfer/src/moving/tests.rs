use super::*;
use db::PostgresOptions;
use std::collections::BTreeSet;

/// A table that is in the schema and in no list would be left behind.
#[tokio::test]
async fn every_table_is_moved() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let target = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let Db::Postgres(postgres) = &target else {
        unreachable!()
    };
    let sql = "select relname::text from pg_class where relkind in ('r', 'p') and not \
        relispartition \
               and relnamespace = current_schema()::regnamespace and relname <> '_sqlx_migrations'";
    let there: Vec<String> = sqlx::query_scalar(sql)
        .fetch_all(&postgres.pool)
        .await
        .unwrap();
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    let (moved, listed) = (
        every_table().into_iter().collect::<BTreeSet<_>>(),
        every_table().len(),
    );
    assert_eq!(there, moved);
    assert_eq!(listed, moved.len(), "each once");
}

/// Every column of every table that is copied is there in the source, and of a type that is sent.
#[tokio::test]
async fn every_column_is_moved() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let target = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("centwise.db");
    let Db::Sqlite(source) = Db::open_sqlite(&file).await.unwrap() else {
        unreachable!()
    };
    let import = Import::claim(&target, TenantId(1), &every_table())
        .await
        .unwrap()
        .unwrap();
    for table in TABLES {
        tables::copy(
            &Export::of(&source),
            &import,
            table,
            &Seqs::beside(&file).unwrap(),
            &mut |_| {},
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn one_move_claims_a_database_and_nobody_opens_it_meanwhile() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let open = || async { Db::open_postgres(database.url(), &PostgresOptions::default()).await };
    let (first, second) = (open().await.unwrap(), open().await.unwrap());
    let claimed = Import::claim(&first, TenantId(1), &every_table())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        Import::claim(&second, TenantId(1), &every_table())
            .await
            .unwrap()
            .unwrap_err(),
        "meta"
    );
    let refused = open().await.unwrap_err().to_string();
    assert!(
        refused.contains("dropdb") && refused.contains("migrate-store"),
        "{refused}"
    );
    claimed.release().await.unwrap();
    open().await.unwrap();
}
