//! One text per statement, run on whichever database is open.
//!
//! Statements are constants listed by [`statements!`], so that a test prepares every one of them. A
//! constant may stand for many rows ([`rows_of`]) or many values ([`any_of`]): the text that runs
//! is derived from it and never contains data. A difference between databases is a visible `match`.

use crate::Db;
use crate::acknowledged::LAST_CHANGE;
use crate::retry::Tries;
use rating::TenantId;
use serde::de::{DeserializeOwned, IntoDeserializer};
use sqlx::{Connection, PgPool, SqliteConnection};
use tokio::sync::MutexGuard;

/// Rows of one multi-row insert. Times the widest row (15 columns) this stays far below SQLite's
/// 32,766 parameters.
pub const ROWS_PER_STATEMENT: usize = 500;
/// Values of one `in` list.
pub const VALUES_PER_STATEMENT: usize = 512;

/// Declares statements and lists them for the test that prepares each.
#[macro_export]
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* const $name: &str = $sql;)+
        pub const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

statements! {
    /// Moves a root's version, and by that locks its records for other writers. PostgreSQL only, as
    /// the next.
    LOCK = "update versions set version = version + 1 where root_id = $1";
    /// Locks a root's audit log likewise.
    LOCK_LOG = "update versions set entries = entries + 1 where root_id = $1";
}

/// A transaction under way; dropped without a commit it leaves nothing behind.
#[derive(Debug)]
pub enum Tx<'a> {
    Sqlite(sqlx::Transaction<'a, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'a, sqlx::Postgres>),
}

impl Tx<'_> {
    /// Keeps every other writer of these roots' records waiting until this transaction is over, and
    /// shows it what they did before. Nothing that must stay true is read before this. On SQLite
    /// there is one writer anyway.
    pub async fn lock(&mut self, roots: &[TenantId]) -> Result<(), sqlx::Error> {
        // In the order of ids, so that no two writers wait for each other.
        for root in distinct(roots) {
            self.move_row(LOCK, root).await?;
        }
        Ok(())
    }

    /// The same for who adds to a root's audit log and changes no record.
    pub async fn lock_log(&mut self, root: TenantId) -> Result<(), sqlx::Error> {
        self.move_row(LOCK_LOG, root).await
    }

    async fn move_row(&mut self, sql: &'static str, root: TenantId) -> Result<(), sqlx::Error> {
        let Self::Postgres(tx) = self else {
            return Ok(());
        };
        match sqlx::query(sql)
            .bind(root.0)
            .execute(&mut **tx)
            .await?
            .rows_affected()
        {
            1 => Ok(()),
            _ => Err(corrupt(format!("the root {root} has no version"))),
        }
    }
}

/// Whose turn it is to write, for one transaction.
#[derive(Debug)]
pub enum Writer<'a> {
    /// The one writing connection.
    Sqlite(MutexGuard<'a, SqliteConnection>),
    Postgres(&'a PgPool),
}

/// What the work of a transaction fails with.
pub trait WorkError: From<sqlx::Error> {
    /// The database's own error, if it is one.
    fn of_database(&self) -> Option<&sqlx::Error>;
}

impl WorkError for sqlx::Error {
    fn of_database(&self) -> Option<&Self> {
        Some(self)
    }
}

/// Where a transaction failed.
#[derive(Debug)]
pub enum Failed<E> {
    Work(E),
    Commit(sqlx::Error),
}

impl<'a> Writer<'a> {
    pub async fn of(db: &'a Db) -> Self {
        match db {
            Db::Sqlite(db) => Self::Sqlite(db.writer.lock().await),
            Db::Postgres(db) => Self::Postgres(&db.pool),
        }
    }

    pub async fn begin(&mut self) -> Result<Tx<'_>, sqlx::Error> {
        match self {
            // Immediate: a transaction that reads first must not find the database changed when it
            // writes.
            Self::Sqlite(connection) => connection
                .begin_with("begin immediate")
                .await
                .map(Tx::Sqlite),
            Self::Postgres(pool) => pool.begin().await.map(Tx::Postgres),
        }
    }
}

/// Tells the compiler what a block of work comes to.
pub fn working<T, E: WorkError, F: Future<Output = Result<T, E>>>(work: F) -> F {
    work
}

/// Commits what was done, if all of it was; else nothing of it stays.
pub async fn finish<T, E>(tx: Tx<'_>, worked: Result<T, E>) -> Result<T, Failed<E>> {
    let value = worked.map_err(Failed::Work)?;
    match tx {
        Tx::Sqlite(tx) => tx.commit().await,
        Tx::Postgres(tx) => tx.commit().await,
    }
    .map_err(Failed::Commit)?;
    Ok(value)
}

/// What is committed to a file is remembered beside it.
pub async fn remembered<T, E>(
    outcome: Result<T, Failed<E>>,
    db: &Db,
    writer: &mut Writer<'_>,
) -> Result<T, Failed<E>> {
    if let (Ok(_), Db::Sqlite(db), Writer::Sqlite(connection)) = (&outcome, db, writer) {
        // It is committed: that it is not remembered changes nothing about it.
        if let Ok(last) = sqlx::query_scalar(LAST_CHANGE)
            .fetch_one(&mut **connection)
            .await
        {
            db.acknowledged.change(last);
        }
    }
    outcome
}

/// The answer, or none if the whole transaction shall be tried again.
pub async fn answer<T, E: WorkError>(
    outcome: Result<T, Failed<E>>,
    tries: &mut Tries,
) -> Option<Result<T, E>> {
    match outcome {
        Ok(value) => Some(Ok(value)),
        Err(Failed::Work(error)) => {
            if let Some(of_database) = error.of_database()
                && tries.again(of_database).await
            {
                return None;
            }
            Some(Err(error))
        }
        Err(Failed::Commit(error)) => match tries.again_after_commit(&error).await {
            true => None,
            false => Some(Err(error.into())),
        },
    }
}

/// Does a block in one transaction and commits it: `write!(records, |tx| { … })`. On PostgreSQL it
/// is done again as long as another transaction is in its way, so it must change nothing else. A
/// macro because the future of an asynchronous closure is not known to be `Send`.
#[macro_export]
macro_rules! write {
    ($records:expr, |$tx:ident| $work:block) => {{
        let mut tries = $crate::retry::Tries::default();
        loop {
            let mut writer = $crate::sql::Writer::of($records.db()).await;
            let outcome = match writer.begin().await {
                Ok(mut tx) => {
                    let $tx = &mut tx;
                    let worked = $crate::sql::working(async { $work }).await;
                    $crate::sql::finish(tx, worked).await
                }
                Err(error) => Err($crate::sql::Failed::Work(error.into())),
            };
            let outcome = $crate::sql::remembered(outcome, $records.db(), &mut writer).await;
            // Nobody waits for this one while it waits.
            drop(writer);
            if let Some(answer) = $crate::sql::answer(outcome, &mut tries).await {
                break answer;
            }
        }
    }};
}

/// Reads outside a transaction: `read!(records, fetch_all as Row, SQL, arguments…)`.
#[macro_export]
macro_rules! read {
    ($records:expr, $fetch:ident as $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $records.db() {
            $crate::Db::Sqlite(db) => sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.$fetch(&db.readers).await,
            $crate::Db::Postgres(db) => $crate::patiently!(db, $records.root(), |reader| {
                sqlx::query_as::<_, $row>($sql)$(.bind(&$arg))*.$fetch(reader).await
            }),
        }
    };
}

/// Reads over a connection that sees one root or all, again as long as the database asks for it.
#[macro_export]
macro_rules! patiently {
    ($db:expr, $root:expr, |$reader:ident| $read:expr) => {{
        let mut tries = $crate::retry::Tries::default();
        loop {
            let found = match $db.reader($root).await {
                Ok(mut reader) => {
                    let $reader = reader.connection();
                    $read
                }
                Err(error) => Err(error),
            };
            match found {
                Err(error) if tries.again(&error).await => {}
                done => break done,
            }
        }
    }};
}

/// Reads inside a transaction.
#[macro_export]
macro_rules! look {
    ($tx:expr, $fetch:ident as $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $tx {
            $crate::sql::Tx::Sqlite(tx) => sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.$fetch(&mut **tx).await,
            $crate::sql::Tx::Postgres(tx) => sqlx::query_as::<_, $row>($sql)$(.bind($arg))*.$fetch(&mut **tx).await,
        }
    };
}

/// Changes rows inside a transaction; the number of rows changed.
#[macro_export]
macro_rules! change {
    ($tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $tx {
            $crate::sql::Tx::Sqlite(tx) => {
                sqlx::query($sql)$(.bind($arg))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            $crate::sql::Tx::Postgres(tx) => {
                sqlx::query($sql)$(.bind($arg))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
    };
}

/// Inserts many rows with few statements; the number of rows inserted.
#[macro_export]
macro_rules! insert_many {
    ($tx:expr, $sql:expr, $rows:expr, |$row:ident| $($arg:expr),+ $(,)?) => {{
        let mut inserted = 0;
        for chunk in $rows.chunks($crate::sql::ROWS_PER_STATEMENT) {
            inserted += match &mut *$tx {
                $crate::sql::Tx::Sqlite(tx) => {
                    let text = $crate::sql::rows_of($sql, chunk.len(), |_| "?".to_owned());
                    $crate::insert_many!(@ tx, text, chunk, |$row| $($arg),+)
                }
                $crate::sql::Tx::Postgres(tx) => {
                    let text = $crate::sql::rows_of($sql, chunk.len(), |number| format!("${number}"));
                    $crate::insert_many!(@ tx, text, chunk, |$row| $($arg),+)
                }
            };
        }
        inserted
    }};
    (@ $tx:expr, $text:expr, $chunk:expr, |$row:ident| $($arg:expr),+) => {{
        let whole = $chunk.len() == 1 || $chunk.len() == $crate::sql::ROWS_PER_STATEMENT;
        let mut query = sqlx::query(sqlx::AssertSqlSafe($text)).persistent(whole);
        for $row in $chunk {
            query = query$(.bind($arg))+;
        }
        query.execute(&mut **$tx).await?.rows_affected()
    }};
}

/// All rows for a set of ids, chunk by chunk in the ids' order. From the readers (`pool records`)
/// or inside a transaction (`tx tx`).
#[macro_export]
macro_rules! fetch_any {
    (pool $records:expr, $row:ty, $sql:expr, $ids:expr) => {
        match $records.db() {
            $crate::Db::Sqlite(db) => $crate::fetch_any!(@ &db.readers, $row, $sql, $ids),
            $crate::Db::Postgres(db) => {
                let text = $crate::sql::any_of_array($sql);
                let ids: Vec<i64> = $crate::sql::distinct(&$ids).into_iter().map(|id| id.0).collect();
                let text = || sqlx::AssertSqlSafe(text.clone());
                $crate::patiently!(db, $records.root(), |reader| {
                    sqlx::query_as::<_, $row>(text()).bind(&ids).fetch_all(reader).await
                })?
            }
        }
    };
    (tx $tx:expr, $row:ty, $sql:expr, $ids:expr) => {
        match $tx {
            $crate::sql::Tx::Sqlite(tx) => $crate::fetch_any!(@ &mut **tx, $row, $sql, $ids),
            $crate::sql::Tx::Postgres(tx) => {
                let text = sqlx::AssertSqlSafe($crate::sql::any_of_array($sql));
                let ids: Vec<i64> = $crate::sql::distinct(&$ids).into_iter().map(|id| id.0).collect();
                sqlx::query_as::<_, $row>(text).bind(ids).fetch_all(&mut **tx).await?
            }
        }
    };
    (@ $executor:expr, $row:ty, $sql:expr, $ids:expr) => {{
        let mut found: Vec<$row> = Vec::new();
        for chunk in $crate::sql::distinct(&$ids).chunks($crate::sql::VALUES_PER_STATEMENT) {
            let values = $crate::sql::padded(chunk);
            let mut query = sqlx::query_as::<_, $row>(sqlx::AssertSqlSafe($crate::sql::any_of($sql, values.len())));
            for value in &values {
                query = query.bind(value.0);
            }
            found.extend(query.fetch_all($executor).await?);
        }
        found
    }};
}

/// All rows for a list of names, from the readers; what else the statement asks for comes behind.
#[macro_export]
macro_rules! fetch_names {
    ($records:expr, $row:ty, $sql:expr, $names:expr, $arg:expr) => {
        match $records.db() {
            $crate::Db::Sqlite(db) => {
                let names = serde_json::to_string($names).map_err($crate::sql::corrupt)?;
                let text = sqlx::AssertSqlSafe($crate::sql::any_of_json($sql));
                sqlx::query_as::<_, $row>(text)
                    .bind(names)
                    .bind($arg)
                    .fetch_all(&db.readers)
                    .await?
            }
            $crate::Db::Postgres(db) => {
                let text = $crate::sql::any_of_array($sql);
                let text = || sqlx::AssertSqlSafe(text.clone());
                $crate::patiently!(db, $records.root(), |reader| {
                    sqlx::query_as::<_, $row>(text())
                        .bind($names)
                        .bind($arg)
                        .fetch_all(reader)
                        .await
                })?
            }
        }
    };
}

pub use crate::{
    change, fetch_any, fetch_names, insert_many, look, patiently, read, statements, write,
};

/// The text of a one-row `insert … values ($1, …, $c) …` for `rows` rows, with `parameter(n)` for
/// the n-th. On SQLite a bare question mark, because it finds a `$n` by a linear search, which
/// makes long lists quadratic.
pub fn rows_of(sql: &str, rows: usize, parameter: impl Fn(usize) -> String) -> String {
    let Some((head, tail)) = sql
        .split_once("values (")
        .and_then(|(head, rest)| Some((head, rest.split_once(')')?.1)))
    else {
        return sql.to_owned();
    };
    let columns = sql.matches('$').count();
    let row = |row: usize| {
        format!(
            "({})",
            (1..=columns)
                .map(|column| parameter(row * columns + column))
                .collect::<Vec<_>>()
                .join(", ")
        )
    };
    format!(
        "{head}values {}{tail}",
        (0..rows).map(row).collect::<Vec<_>>().join(", ")
    )
}

/// The text of a statement with `in ($1)` for `values` values, on SQLite.
pub fn any_of(sql: &str, values: usize) -> String {
    sql.replace("in ($1)", &format!("in ({})", vec!["?"; values].join(", ")))
}

/// The same with the values in one array of JSON, on SQLite.
pub fn any_of_json(sql: &str) -> String {
    sql.replace("in ($1)", "in (select value from json_each($1))")
}

/// The same with one array, on PostgreSQL.
pub fn any_of_array(sql: &str) -> String {
    sql.replace("in ($1)", "= any($1)")
}

pub fn distinct<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// The values, the last repeated up to a power of two: few texts, so that prepared ones are found
/// again.
pub fn padded<T: Copy>(values: &[T]) -> Vec<T> {
    let mut padded = values.to_vec();
    if let Some(&last) = values.last() {
        padded.resize(values.len().next_power_of_two(), last);
    }
    padded
}

/// A unit variant as its serde name: `Reseller` → `reseller`.
pub fn word<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(corrupt(format!("not a word: {other:?}"))),
    }
}

/// The unit variant of that serde name.
pub fn from_word<T: DeserializeOwned>(word: &str) -> Result<T, sqlx::Error> {
    T::deserialize(word.into_deserializer())
        .map_err(|error: serde::de::value::Error| corrupt(error))
}

/// A stored value that does not read back.
pub fn corrupt(error: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_stands_for_many_rows() {
        let sql = "insert into t (a, b) values ($1, $2) on conflict do nothing";
        let sqlite = rows_of(sql, 2, |_| "?".to_owned());
        assert_eq!(
            sqlite,
            "insert into t (a, b) values (?, ?), (?, ?) on conflict do nothing"
        );
        let postgres = rows_of(sql, 2, |number| format!("${number}"));
        assert_eq!(
            postgres,
            "insert into t (a, b) values ($1, $2), ($3, $4) on conflict do nothing"
        );
    }

    #[test]
    fn one_text_stands_for_many_values() {
        let sql = "select a from t where b in ($1) order by a";
        assert_eq!(
            any_of(sql, 3),
            "select a from t where b in (?, ?, ?) order by a"
        );
        assert_eq!(
            any_of_array(sql),
            "select a from t where b = any($1) order by a"
        );
        assert_eq!(padded(&[1, 2, 3]), [1, 2, 3, 3]);
        assert!(padded::<i64>(&[]).is_empty());
    }
}
