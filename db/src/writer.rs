//! The journal's writing thread: one connection, work in order of arrival, one way there and one
//! back.
//!
//! The async driver hops to its thread for every statement and copies every value on the way; here
//! a whole transaction is one piece of work, and its values are bound from where they lie.

use crate::checkpoint::Checkpoints;
use crate::error::Result;
use crate::limits::{BUSY_TIMEOUT, STATEMENTS_MAX, WRITER_CACHE_KIB};
use journal::JournalError;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// The way to the thread; it ends with the last clone, after what was handed to it.
#[derive(Debug, Clone)]
pub struct Writer {
    work: mpsc::Sender<Work>,
}

impl Writer {
    /// Opens the file, which must exist.
    pub fn start(file: &Path) -> Result<Self> {
        let mut connection = open(file)?;
        let unavailable = |error: std::io::Error| JournalError::Unavailable(error.to_string());
        let mut checkpoints = Checkpoints::start(file, &connection).map_err(unavailable)?;
        let (work, waiting) = mpsc::channel::<Work>();
        let serve = move || {
            for work in waiting {
                // A fault of ours in one piece of work must not end the thread; its transaction
                // rolls back.
                let _panicked = catch_unwind(AssertUnwindSafe(|| work(&mut connection)));
                checkpoints.after_work(&connection);
            }
        };
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(serve)
            .map_err(unavailable)?;
        Ok(Self { work })
    }

    /// Done even if the caller stops waiting. What is left of `input` is dropped after the answer.
    pub async fn run<I: Send + 'static, T: Send + 'static>(
        &self,
        mut input: I,
        work: impl FnOnce(&mut Connection, &mut I) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let gone = || JournalError::Unavailable("the writing thread gave up".to_owned());
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| drop(reply.send(work(connection, &mut input))));
        self.work.send(work).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn open(file: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE_KIB))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqlError;

    #[tokio::test]
    async fn a_panic_or_a_lost_caller_is_a_matter_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let writer = Writer::start(&dir.path().join("one.db")).unwrap();
        let durable = |connection: &mut Connection, (): &mut ()| {
            Ok(connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
        };
        assert_eq!(
            writer.run((), durable).await.unwrap(),
            2,
            "synchronous is full"
        );
        drop(writer.run((), |_, ()| Ok(())));
        let refused = writer
            .run((), |connection, ()| {
                Ok(connection.execute("no such statement", [])?)
            })
            .await;
        assert!(
            matches!(refused, Err(SqlError(JournalError::Unavailable(_)))),
            "{refused:?}"
        );
        let half = |connection: &mut Connection, (): &mut ()| -> Result<()> {
            let transaction = connection.transaction()?;
            transaction.execute("create table half (done integer)", [])?;
            panic!("in the middle");
        };
        assert!(writer.run((), half).await.is_err());
        let tables = |connection: &mut Connection, n: &mut i64| {
            Ok(*n
                + connection.query_row("select count(*) from sqlite_schema", [], |row| {
                    row.get::<_, i64>(0)
                })?)
        };
        assert_eq!(writer.run(7, tables).await.unwrap(), 7);
    }
}
