//! One text per statement, run on whichever database is open.
//!
//! Statements are constants listed by [`statements!`], so that a test prepares every one of them.
//! A constant may stand for many rows ([`rows_of`]) or many values ([`any_of`]): the text that runs is
//! derived from it and never contains data. A difference between databases is a visible `match`.

use crate::db::Db;
use serde::de::{DeserializeOwned, IntoDeserializer};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::MutexGuard;

/// Rows of one multi-row insert. Times the widest row (13 columns) this stays far below SQLite's 32,766 parameters.
pub(super) const ROWS_PER_STATEMENT: usize = 500;
/// Values of one `in` list.
pub(super) const VALUES_PER_STATEMENT: usize = 512;

/// The one writing connection, held for one transaction.
pub(super) enum Writer<'a> {
    Sqlite(MutexGuard<'a, SqliteConnection>),
}

/// A transaction under way; dropped without `commit` it leaves nothing behind.
pub(super) enum Tx<'a> {
    Sqlite(sqlx::Transaction<'a, sqlx::Sqlite>),
}

impl<'a> Writer<'a> {
    pub(super) async fn of(db: &'a Db) -> Self {
        match db {
            Db::Sqlite(db) => Self::Sqlite(db.writer.lock().await),
        }
    }
    pub(super) async fn begin(&mut self) -> Result<Tx<'_>, sqlx::Error> {
        match self {
            // Immediate: a transaction that reads first must not find the database changed when it writes.
            Self::Sqlite(connection) => Ok(Tx::Sqlite(connection.begin_with("begin immediate").await?)),
        }
    }
}

impl Tx<'_> {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
        }
    }
}

/// Declares statements and lists them for the test that prepares each.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* const $name: &str = $sql;)+
        #[cfg(test)]
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

/// Reads outside a transaction: `read!(db, fetch_all as Row, SQL, arguments…)`.
macro_rules! read {
    ($db:expr, $fetch:ident as $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match &$db {
            $crate::db::Db::Sqlite(db) => sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.$fetch(&db.readers).await,
        }
    };
}

/// Reads inside a transaction.
macro_rules! look {
    ($tx:expr, $fetch:ident as $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $tx {
            $crate::records::sql::Tx::Sqlite(tx) => sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.$fetch(&mut **tx).await,
        }
    };
}

/// Changes rows inside a transaction; the number of rows changed.
macro_rules! change {
    ($tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $tx {
            $crate::records::sql::Tx::Sqlite(tx) => {
                sqlx::query($sql)$(.bind($arg))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
    };
}

/// Inserts many rows with few statements; the number of rows inserted.
macro_rules! insert_many {
    ($tx:expr, $sql:expr, $rows:expr, |$row:ident| $($arg:expr),+ $(,)?) => {{
        let mut inserted = 0;
        for chunk in $rows.chunks($crate::records::sql::ROWS_PER_STATEMENT) {
            inserted += match $tx {
                $crate::records::sql::Tx::Sqlite(tx) => {
                    let whole = chunk.len() == 1 || chunk.len() == $crate::records::sql::ROWS_PER_STATEMENT;
                    let text = sqlx::AssertSqlSafe($crate::records::sql::rows_of($sql, chunk.len()));
                    let mut query = sqlx::query(text).persistent(whole);
                    for $row in chunk {
                        query = query$(.bind($arg))+;
                    }
                    query.execute(&mut **tx).await?.rows_affected()
                }
            };
        }
        inserted
    }};
}

/// All rows for a set of ids, chunk by chunk in the ids' order. From the readers (`pool db`) or inside a transaction (`tx tx`).
macro_rules! fetch_any {
    (pool $db:expr, $row:ty, $sql:expr, $ids:expr) => {
        match &$db {
            $crate::db::Db::Sqlite(db) => $crate::records::sql::fetch_any!(@ &db.readers, $row, $sql, $ids),
        }
    };
    (tx $tx:expr, $row:ty, $sql:expr, $ids:expr) => {
        match $tx {
            $crate::records::sql::Tx::Sqlite(tx) => $crate::records::sql::fetch_any!(@ &mut **tx, $row, $sql, $ids),
        }
    };
    (@ $executor:expr, $row:ty, $sql:expr, $ids:expr) => {{
        let mut found: Vec<$row> = Vec::new();
        for chunk in $crate::records::sql::distinct(&$ids).chunks($crate::records::sql::VALUES_PER_STATEMENT) {
            let values = $crate::records::sql::padded(chunk);
            let mut query = sqlx::query_as::<_, $row>(sqlx::AssertSqlSafe($crate::records::sql::any_of($sql, values.len())));
            for value in &values {
                query = query.bind(value.0);
            }
            found.extend(query.fetch_all($executor).await?);
        }
        found
    }};
}

pub(super) use {change, fetch_any, insert_many, look, read, statements};

/// The text of a one-row `insert … values ($1, …, $c) …` for `rows` rows, on SQLite: with bare question
/// marks, because SQLite finds a `$n` by a linear search, which makes long lists quadratic.
pub(super) fn rows_of(sql: &str, rows: usize) -> String {
    let Some((head, tail)) = sql.split_once("values (").and_then(|(head, rest)| Some((head, rest.split_once(')')?.1))) else {
        return sql.to_owned();
    };
    let row = format!("({})", vec!["?"; sql.matches('$').count()].join(", "));
    format!("{head}values {}{tail}", vec![row.as_str(); rows].join(", "))
}

/// The text of a statement with `in ($1)` for `values` values, likewise.
pub(super) fn any_of(sql: &str, values: usize) -> String {
    sql.replace("in ($1)", &format!("in ({})", vec!["?"; values].join(", ")))
}

pub(super) fn distinct<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// The values, the last repeated up to a power of two: few texts, so that prepared ones are found again.
pub(super) fn padded<T: Copy>(values: &[T]) -> Vec<T> {
    let mut padded = values.to_vec();
    if let Some(&last) = values.last() {
        padded.resize(values.len().next_power_of_two(), last);
    }
    padded
}

/// A unit variant as its serde name: `Reseller` → `reseller`.
pub(super) fn word<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(corrupt(format!("not a word: {other:?}"))),
    }
}

/// The unit variant of that serde name.
pub(super) fn from_word<T: DeserializeOwned>(word: &str) -> Result<T, sqlx::Error> {
    T::deserialize(word.into_deserializer()).map_err(|error: serde::de::value::Error| corrupt(error))
}

/// A stored value that does not read back.
pub(super) fn corrupt(error: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_stands_for_many_rows() {
        let sql = "insert into t (a, b) values ($1, $2) on conflict do nothing";
        assert_eq!(rows_of(sql, 2), "insert into t (a, b) values (?, ?), (?, ?) on conflict do nothing");
    }

    #[test]
    fn one_text_stands_for_many_values() {
        assert_eq!(any_of("select a from t where b in ($1) order by a", 3), "select a from t where b in (?, ?, ?) order by a");
        assert_eq!(padded(&[1, 2, 3]), [1, 2, 3, 3]);
        assert!(padded::<i64>(&[]).is_empty());
    }
}
