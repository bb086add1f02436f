//! Connections. One writer (SQLite has one anyway), readers beside it.

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// An open database. Cheap to clone. PostgreSQL becomes a second variant beside this one.
#[derive(Debug, Clone)]
pub enum Db {
    Sqlite(Sqlite),
}

/// The embedded database: every write goes through the one connection behind `writer`.
#[derive(Clone)]
pub struct Sqlite {
    pub(crate) writer: Arc<Mutex<SqliteConnection>>,
    pub(crate) readers: SqlitePool,
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sqlite")
    }
}

const READERS_MAX: u32 = 8;

impl Db {
    /// Opens (creating it if need be) and migrates the database file.
    pub async fn open_sqlite(file: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(std::time::Duration::from_secs(10));
        let mut writer = SqliteConnection::connect_with(&options).await?;
        sqlx::migrate!("../migrations/sqlite").run(&mut writer).await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_with(options.read_only(true)).await?;
        Ok(Self::Sqlite(Sqlite { writer: Arc::new(Mutex::new(writer)), readers }))
    }
}
