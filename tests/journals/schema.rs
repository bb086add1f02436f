//! Both migrated schemas, read from the databases themselves: the same tables and columns, and on
//! PostgreSQL nothing that a database distributed by root could not keep.

use super::{Db, PostgresOptions};
use crate::test_ledger::TestLedger;
use crate::{ACME, CENT, ROOT};
use journal::Journal;
use journal_postgres::PostgresJournal;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};

/// What only one of them has, each with its reason.
const ONLY_SQLITE: &[(&str, &str)] = &[
    ("index_runs", "PostgreSQL keeps its own indexes"),
    ("index_blocks", "likewise"),
];
const ONLY_POSTGRES: &[(&str, &str)] = &[
    (
        "versions",
        "several writers lock a root and notice each other's changes",
    ),
    (
        "root_names",
        "a unique key holds within one root: names of roots are claimed here",
    ),
    ("key_hashes", "likewise for hashes of keys"),
    ("roots", "numbers of the roots, from which seqs are made"),
    (
        "touched",
        "lists of accounts, by batch; SQLite has sorted runs",
    ),
    (
        "records.key",
        "identities are found by it; SQLite has sorted runs",
    ),
    (
        "batches.states",
        "states that are not in their tables yet; SQLite works them out at opening",
    ),
    ("heads.number", "of the root, from which seqs are made"),
    (
        "heads.last_seq",
        "several processes have no memory in common",
    ),
    ("heads.folded", "likewise"),
    ("heads.reporters", "likewise"),
    ("heads.committed_us", "likewise"),
    (
        "accounts.root",
        "the placement key; one SQLite file has one place",
    ),
    ("carries.root", "likewise"),
    ("counters.root", "likewise"),
    ("members.root", "likewise"),
    ("amendments.root", "likewise"),
];
/// Tables that belong to no root: small, the same everywhere, looked up before the root is known.
const REFERENCE: &[(&str, &str)] = &[
    ("meta", "facts about the whole database"),
    ("root_names", "names of the roots share one space"),
    ("key_hashes", "a key names its root"),
    ("roots", "the roots' numbers share one space"),
];

/// `table.column` → may it be null? Without the table of the migrations.
type Columns = BTreeMap<(String, String), bool>;

async fn of_sqlite() -> Columns {
    let dir = tempfile::tempdir().unwrap();
    let Db::Sqlite(db) = Db::open_sqlite(&dir.path().join("centwise.db"))
        .await
        .unwrap()
    else {
        unreachable!()
    };
    let sql = "select m.name, c.name, c.\"notnull\" = 0 from sqlite_master m join \
        pragma_table_info(m.name) c \
               where m.type = 'table' and m.name not like 'sqlite_%' and m.name <> \
               '_sqlx_migrations'";
    let rows: Vec<(String, String, bool)> =
        sqlx::query_as(sql).fetch_all(&db.readers).await.unwrap();
    rows.into_iter()
        .map(|(table, column, null)| ((table, column), null))
        .collect()
}

async fn of_postgres(pool: &PgPool) -> Columns {
    let sql = "select table_name::text, column_name::text, is_nullable = 'YES' from \
        information_schema.columns \
               join pg_class on oid = (quote_ident(table_schema) || '.' || \
               quote_ident(table_name))::regclass \
               where table_schema = current_schema() and not relispartition and table_name <> \
               '_sqlx_migrations'";
    let rows: Vec<(String, String, bool)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
    rows.into_iter()
        .map(|(table, column, null)| ((table, column), null))
        .collect()
}

/// A database with every kind of table, also those that are made as months go by.
async fn migrated() -> Option<(PgPool, test_postgres::Database)> {
    let database = test_postgres::database().await?;
    let db = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let mut test_ledger = TestLedger::default();
    test_ledger.sale(ROOT, ACME, "a", CENT);
    PostgresJournal::open(&db)
        .await
        .unwrap()
        .commit(test_ledger.ring_up())
        .await
        .unwrap();
    let Db::Postgres(db) = db else { unreachable!() };
    Some((db.pool, database))
}

fn listed(list: &[(&str, &str)], (table, column): &(String, String)) -> bool {
    list.iter()
        .any(|(name, _)| name == table || *name == format!("{table}.{column}"))
}

#[tokio::test]
async fn both_have_the_same_tables_and_columns() {
    let Some((pool, _database)) = migrated().await else {
        return;
    };
    let (sqlite, postgres) = (of_sqlite().await, of_postgres(&pool).await);
    let names = |columns: &Columns| columns.keys().cloned().collect::<BTreeSet<_>>();
    let (in_sqlite, in_postgres) = (names(&sqlite), names(&postgres));
    let missing: Vec<_> = in_sqlite
        .difference(&in_postgres)
        .filter(|column| !listed(ONLY_SQLITE, column))
        .collect();
    assert!(missing.is_empty(), "not on PostgreSQL: {missing:?}");
    let missing: Vec<_> = in_postgres
        .difference(&in_sqlite)
        .filter(|column| !listed(ONLY_POSTGRES, column))
        .collect();
    assert!(missing.is_empty(), "not on SQLite: {missing:?}");
    for column in in_sqlite.intersection(&in_postgres) {
        assert_eq!(
            sqlite[column], postgres[column],
            "{column:?}: may it be null?"
        );
    }
}

/// Rows of one column of text.
async fn texts(pool: &PgPool, sql: &'static str) -> Vec<String> {
    let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(text,)| text).collect()
}

#[tokio::test]
async fn nothing_is_there_that_other_databases_lack() {
    let Some((pool, _database)) = migrated().await else {
        return;
    };
    let cases = [
        (
            "triggers",
            "select tgname::text from pg_trigger where not tgisinternal",
        ),
        (
            "rules",
            "select rulename::text from pg_rules where schemaname = current_schema()",
        ),
        (
            "sequences",
            "select relname::text from pg_class where relkind = 'S' and relnamespace = \
                current_schema()::regnamespace",
        ),
        (
            "functions",
            "select proname::text from pg_proc where pronamespace = current_schema()::regnamespace",
        ),
        (
            "types of its own",
            "select typname::text from pg_type where typtype in ('e', 'd', 'r') and typnamespace \
                = current_schema()::regnamespace",
        ),
        (
            "exclusions and what is deferred",
            "select conname::text from pg_constraint where contype = 'x' or condeferrable",
        ),
        (
            "defaults",
            "select adrelid::regclass::text || ': ' || pg_get_expr(adbin, adrelid) from \
                pg_attrdef where adrelid <> '_sqlx_migrations'::regclass",
        ),
        (
            "names in keys that do not sort by their bytes",
            "select i.indrelid::regclass::text || '.' || a.attname from pg_index i join \
                pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey) \
             join pg_class c on c.oid = i.indrelid where c.relnamespace = \
             current_schema()::regnamespace and a.atttypid = 'text'::regtype \
             and a.attcollation <> (select oid from pg_collation where collname = 'C' and \
             collencoding = -1)",
        ),
    ];
    for (what, sql) in cases {
        assert_eq!(texts(&pool, sql).await, Vec::<String>::new(), "{what}");
    }
}

#[tokio::test]
async fn the_root_comes_first_in_every_key() {
    let Some((pool, _database)) = migrated().await else {
        return;
    };
    // Primary and unique keys of tables and of their months; then both ends of foreign keys.
    let keys = "select i.indrelid::regclass::text, i.indexrelid::regclass::text, (select \
        attname::text from pg_attribute where attrelid = i.indrelid and attnum = i.indkey[0]) \
                from pg_index i join pg_class c on c.oid = i.indrelid \
                where i.indisunique and c.relnamespace = current_schema()::regnamespace and \
                c.relname <> '_sqlx_migrations' \
                union all select k.rel::regclass::text, conname::text, (select attname::text from \
                pg_attribute where attrelid = k.rel and attnum = k.first) \
                from pg_constraint, lateral (values (conrelid, conkey[1]), (confrelid, \
                confkey[1])) as k (rel, first) where contype = 'f'";
    let keys: Vec<(String, String, Option<String>)> =
        sqlx::query_as(keys).fetch_all(&pool).await.unwrap();
    assert!(keys.len() > 20, "{}", keys.len());
    for of_months in ["records_y", "batches_y", "touched_y"] {
        assert!(
            keys.iter().any(|(table, ..)| table.starts_with(of_months)),
            "no keys of months were seen: {of_months}…"
        );
    }
    for (table, key, first) in keys {
        let reference = REFERENCE.iter().any(|(name, _)| *name == table);
        assert!(
            reference || matches!(first.as_deref(), Some("root" | "root_id")),
            "{key} of {table} begins with {first:?}"
        );
    }
    let without = "select relname::text from pg_class c where relkind in ('r', 'p') and \
        relnamespace = current_schema()::regnamespace \
                   and relname <> '_sqlx_migrations' and not exists (select 1 from pg_attribute \
                   where attrelid = c.oid and attname in ('root', 'root_id'))";
    for table in texts(&pool, without).await {
        assert!(
            REFERENCE.iter().any(|(name, _)| *name == table),
            "{table} belongs to no root"
        );
    }
}
