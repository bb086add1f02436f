//! Connections. To PostgreSQL: `postgres`. To SQLite: one write at a time (SQLite has one writer
//! anyway), readers beside it.
//!
//! What is written one by one goes through `writer`; the journal, whose batches have thousands of
//! rows, through a thread of its own, which binds row by row without a hop in between. Whoever
//! writes holds `writer` meanwhile.
//!
//! One process opens a SQLite file for writing at a time, because the journal keeps positions,
//! chain heads and hot states in memory: a lock file beside it says so, and a lock on the file
//! itself. Reading beside it is always allowed.

pub mod acknowledged;
mod checkpoint;
mod error;
mod limits;
pub mod moved;
mod postgres;
mod probe;
pub mod restoration;
pub mod restoring;
pub mod retry;
mod row_security;
pub mod schema_version;
pub mod sql;
mod writer;

pub use error::{Result, SqlError};
pub use limits::BUSY_TIMEOUT;
use limits::STATEMENTS_MAX;
pub use moved::take_back;
pub use postgres::{
    MIGRATIONS as POSTGRES_MIGRATIONS, MOVING, NO_TIMEOUT, OpenError, Postgres, PostgresOptions,
    SNAPSHOT, name_of,
};
pub use probe::{FREE_BYTES_MIN, Unwritable};

use crate::acknowledged::Acknowledged;
use crate::checkpoint::{COPY_PAGES, empty_log};
use crate::writer::Writer;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::Mutex;

/// Its schema.
pub static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// An open database. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Db {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// The embedded database.
#[derive(Clone)]
pub struct Sqlite {
    pub writer: Arc<Mutex<SqliteConnection>>,
    thread: Writer,
    pub readers: SqlitePool,
    pub acknowledged: Arc<Acknowledged>,
    /// As the journal last counted them: their rows are written later.
    pub open_holds: Arc<AtomicUsize>,
    file: PathBuf,
    /// Held for as long as any clone lives, and closed after every connection.
    locks: Arc<[File; 2]>,
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sqlite")
    }
}

/// Open from the start: they read long lists together.
const READERS_MIN: u32 = 4;
const READERS_MAX: u32 = 8;
/// Of a new file: records come in order, so large pages are filled at once, and each costs one
/// write.
const PAGE_BYTES: u32 = 16 * 1024;
/// Rows on their way from the driver's thread: large reads must not hand over one by one.
const ROWS_AHEAD: usize = 1024;
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl Db {
    /// Opens (creating it if need be), locks and migrates the database file.
    pub async fn open_sqlite(file: &Path) -> Result<Self, sqlx::Error> {
        check_new(file).map_err(|why| sqlx::Error::Configuration(why.into()))?;
        let beside = lock_beside(file).await?;
        // Whoever removes the one beside it locks out nobody.
        let itself = locked(
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(file)?,
            file,
        )
        .await?;
        let had_content = itself.metadata()?.len() > 0;
        let options = options(file)
            .create_if_missing(true)
            .page_size(PAGE_BYTES)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let writer_options = options
            .clone()
            .pragma("wal_autocheckpoint", COPY_PAGES.to_string());
        let mut writer = SqliteConnection::connect_with(&writer_options).await?;
        refuse_newer(&mut writer).await?;
        if let Some(lost) = lost_in(file, &mut writer).await? {
            return Err(sqlx::Error::Configuration(lost.into()));
        }
        if had_content && !has_tables(&mut writer).await? {
            return Err(sqlx::Error::Configuration(without_tables(file).into()));
        }
        let acknowledged = Arc::new(Acknowledged::beside(file)?);
        SQLITE_MIGRATIONS.run(&mut writer).await?;
        if let Some(moved) = moved::look(&mut writer, file).await? {
            return Err(sqlx::Error::Configuration(moved.into()));
        }
        // A file does not hang up: asking first would cost every read a second hop to the driver's
        // thread.
        let readers = SqlitePoolOptions::new()
            .min_connections(READERS_MIN)
            .max_connections(READERS_MAX)
            .test_before_acquire(false);
        let readers = readers.connect_with(options.read_only(true)).await?;
        let thread =
            Writer::start(file).map_err(|error| sqlx::Error::Configuration(error.into()))?;
        Ok(Self::Sqlite(Sqlite {
            writer: Arc::new(Mutex::new(writer)),
            thread,
            readers,
            acknowledged,
            open_holds: Arc::default(),
            file: file.to_owned(),
            locks: Arc::new([beside, itself]),
        }))
    }
}

impl Db {
    /// Connections that are open, and of them idle.
    pub fn connections(&self) -> (u32, usize) {
        match self {
            Self::Sqlite(db) => (db.readers.size(), db.readers.num_idle()),
            Self::Postgres(db) => (db.pool.size(), db.pool.num_idle()),
        }
    }

    /// Waits until its pool is closed, and leaves nothing in a file's write-ahead log: whoever
    /// copies the file alone then has all of it. The writing connections of a file go with the last
    /// clone.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(db) => {
                db.readers.close().await;
                if let Err(error) = db.write((), |writer, ()| Ok(empty_log(writer)?)).await {
                    tracing::warn!(%error, "write-ahead log not emptied: keep it with the \
                        database");
                }
            }
            Self::Postgres(db) => db.pool.close().await,
        }
    }
}

impl Sqlite {
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Does `work` on the writing thread when no one else writes. What is left of `input` is
    /// dropped later.
    pub async fn write<I: Send + 'static, T: Send + 'static>(
        &self,
        input: I,
        work: impl FnOnce(&mut rusqlite::Connection, &mut I) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _turn = self.writer.lock().await;
        self.thread.run(input, work).await
    }
}

/// One connection that only reads, also beside a running server.
pub async fn open_sqlite_read_only(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = SqliteConnection::connect_with(&options(file).read_only(true)).await?;
    refuse_newer(&mut connection).await?;
    Ok(connection)
}

/// A database that is not there may be made, unless something of one lies beside it: its
/// write-ahead log would be taken for another one's and emptied, and with it what was committed
/// last.
///
/// # Errors
/// What lies there, and what to do.
pub fn check_new(file: &Path) -> Result<(), String> {
    if file.exists() {
        return Ok(());
    }
    let beside = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        Some(PathBuf::from(name)).filter(|path| path.exists())
    };
    if let Some(draft) = beside(".restoring") {
        return Err(format!(
            "{} is not there, and {} is: a restore is under way, or was broken off. Restore it \
                again; or remove that file",
            file.display(),
            draft.display()
        ));
    }
    match ["-wal", "-last", "-journal"].into_iter().find_map(beside) {
        Some(left) => Err(format!(
            "{} is not there, and {} is: what was committed last may be in it, so no new database \
                is made. Put the database back beside it; \
             or move what was left out of the way",
            file.display(),
            left.display()
        )),
        None => Ok(()),
    }
}

async fn has_tables(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select 1 from sqlite_master where name = '_sqlx_migrations')",
    )
    .fetch_one(connection)
    .await
}

fn without_tables(file: &Path) -> String {
    let file = file.display();
    format!(
        "{file} has no tables: its write-ahead log {file}-wal is missing, or its first start was \
            cut off. Put the log back beside it, or \
         restore a backup; to begin anew, move {file} out of the way"
    )
}

/// Why a file must not be served, nor kept in place of a better backup: it has lost commits, or was
/// moved to another database.
///
/// # Errors
/// It cannot be read.
pub async fn unfit(file: &Path) -> Result<Option<String>, sqlx::Error> {
    let mut connection = open_sqlite_read_only(file).await?;
    match lost_in(file, &mut connection).await? {
        Some(lost) => Ok(Some(lost)),
        None => moved::look(&mut connection, file).await,
    }
}

async fn lost_in(
    file: &Path,
    connection: &mut SqliteConnection,
) -> Result<Option<String>, sqlx::Error> {
    Ok(acknowledged::missing(file, connection)
        .await?
        .map(|lost| acknowledged::way_out(file, &lost)))
}

async fn refuse_newer(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    const IS_MIGRATED: &str =
        "select count(*) from sqlite_master where type = 'table' and name = '_sqlx_migrations'";
    let is_migrated: i64 = sqlx::query_scalar(IS_MIGRATED)
        .fetch_one(&mut *connection)
        .await?;
    if is_migrated == 0 {
        return Ok(());
    }
    let stored = sqlx::query_scalar(schema_version::NEWEST)
        .fetch_one(connection)
        .await?;
    schema_version::newer(stored).map_or(Ok(()), |newer| {
        Err(sqlx::Error::Configuration(newer.into()))
    })
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .statement_cache_capacity(STATEMENTS_MAX)
        .row_buffer_size(ROWS_AHEAD)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

/// Waits a little: whoever is started again finds the process before still ending.
pub async fn lock_beside(file: &Path) -> Result<File, sqlx::Error> {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    locked(
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&name)?,
        file,
    )
    .await
}

async fn locked(lock: File, file: &Path) -> Result<File, sqlx::Error> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(sqlx::Error::Configuration(
        format!("{} is in use by another process", file.display()).into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_process_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("centwise.db");
        let first = Db::open_sqlite(&file).await.unwrap();
        let second = Db::open_sqlite(&file).await.unwrap_err();
        assert!(
            second.to_string().contains("in use by another process"),
            "{second}"
        );
        // A lock file can be removed.
        std::fs::remove_file(dir.path().join("centwise.db.lock")).unwrap();
        let second = Db::open_sqlite(&file).await.unwrap_err();
        assert!(
            second.to_string().contains("in use by another process"),
            "{second}"
        );
        drop(first);
        Db::open_sqlite(&file).await.unwrap();
    }
}
