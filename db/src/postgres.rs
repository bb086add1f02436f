//! Connections to PostgreSQL 15 and later: a pool with limits, and a schema that is brought up to
//! date at opening.
//!
//! Any number of processes open the same database. Waiting is bounded everywhere: for a connection,
//! for a lock, for a statement, and a transaction whose process stalls is ended by the server.

use super::restoring::{self, Restoring};
use super::{Db, row_security};
use crate::schema_version;
use backon::{BackoffBuilder, ConstantBuilder};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};
use std::time::Duration;

/// Reads of one moment. The locks are taken before that moment: months are dropped only after
/// everybody has gone who might still miss them.
pub const SNAPSHOT: &str = "begin isolation level repeatable read read only; lock table only \
    records, only batches, only touched in access share mode";

/// An audit takes as long as the journal is.
pub const NO_TIMEOUT: &str =
    "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0";

/// The oldest release that is supported, as `server_version_num` tells it.
const VERSION_MIN: u32 = 150_000;
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 512;
/// Unused connections are closed after this, and all of them are replaced now and then, so that a
/// failover or a changed name is noticed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(10 * 60);
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 60);
/// Attempts at bringing the schema up to date while other processes do the same.
const MIGRATE_ATTEMPTS_MAX: usize = 10;
const MIGRATE_PAUSE: Duration = Duration::from_millis(200);

/// The schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

/// In `meta` while an installation is being moved here (`transfer::moving`): what is here is not all
/// of it.
pub const MOVING: &str = "moving";
const IS_MIGRATED: &str = "select to_regclass('_sqlx_migrations') is not null";
/// It takes the connection and says nothing.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);
const IS_MOVING: &str = "select exists (select 1 from meta where name = $1)";

/// How a process uses its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    pub connections_max: u32,
    /// Waiting for a free connection of the pool, or for a new one.
    pub acquire_timeout: Duration,
    pub statement_timeout: Duration,
    pub lock_timeout: Duration,
    /// A transaction that does nothing for this long is ended by the server.
    pub idle_in_transaction_timeout: Duration,
    /// Whether the tables are made in a database that has none.
    pub creates: bool,
}

impl PostgresOptions {
    /// Of whoever needs an installation that is there: a mistyped name is no new one.
    pub fn existing() -> Self {
        Self {
            creates: false,
            ..Self::default()
        }
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections_max: 16,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(30),
            creates: true,
        }
    }
}

/// A database that several processes share.
#[derive(Debug, Clone)]
pub struct Postgres {
    pub pool: PgPool,
    /// There is a role that sees one root only.
    pub(super) has_row_security: bool,
}

/// Why a PostgreSQL database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database URL is not understood: {0}")]
    Url(sqlx::Error),
    #[error("cannot connect to {server}: {error}")]
    Connect { server: String, error: sqlx::Error },
    #[error("{server} has not answered within {secs} s")]
    Silent { server: String, secs: u64 },
    #[error(
        "{server} has no installation of Centwise: is it the right database? `centwise serve` \
            makes a new one"
    )]
    Empty { server: String },
    #[error("{server} is PostgreSQL {}; 15 or later is needed", .version / 10_000)]
    Version { server: String, version: u32 },
    #[error("{server} keeps text as {encoding}; a database with the encoding UTF8 is needed")]
    Encoding { server: String, encoding: String },
    #[error("{server}: {why}")]
    Newer { server: String, why: String },
    #[error("cannot bring the tables of {server} up to date: {error}")]
    Migrate { server: String, error: MigrateError },
    #[error(
        "an installation is being moved into {server}, or that was broken off: what is there is \
            not all of it. If nothing moves it \
         now, make that database anew (dropdb, createdb) and run `centwise migrate-store` again"
    )]
    Moving { server: String },
    #[error(
        "a restore into {server} is not done, or was broken off: nothing of the backup is there. \
            If none is under way, restore it again"
    )]
    Restoring { server: String },
}

impl Db {
    /// Opens a PostgreSQL database by its URL
    /// (`postgres://user:password@host:port/database?sslmode=…`) and brings its tables up to date.
    pub async fn open_postgres(url: &str, options: &PostgresOptions) -> Result<Self, OpenError> {
        let connect: PgConnectOptions = url.parse().map_err(OpenError::Url)?;
        // What the URL says of these counts, too.
        let connect = connect
            .application_name("centwise")
            .statement_cache_capacity(STATEMENTS_MAX)
            .disable_statement_logging();
        let server = name_of(&connect);
        let has_row_security = prepare(&connect, &server, options.creates).await?;
        let pool = pool(connect, options)
            .await
            .map_err(|error| OpenError::Connect { server, error })?;
        Ok(Self::Postgres(Postgres {
            pool,
            has_row_security,
        }))
    }
}

/// Checks the server and migrates over a connection of its own, which may take longer than any
/// statement later on.
async fn prepare(
    connect: &PgConnectOptions,
    server: &str,
    creates: bool,
) -> Result<bool, OpenError> {
    let unreachable = |error| OpenError::Connect {
        server: server.to_owned(),
        error,
    };
    let silent = |_elapsed| OpenError::Silent {
        server: server.to_owned(),
        secs: CONNECT_TIME_MAX.as_secs(),
    };
    let mut connection = tokio::time::timeout(CONNECT_TIME_MAX, connect.connect())
        .await
        .map_err(silent)?
        .map_err(unreachable)?;
    let version = connection.server_version_num().unwrap_or(0);
    if version < VERSION_MIN {
        return Err(OpenError::Version {
            server: server.to_owned(),
            version,
        });
    }
    let encoding: (String,) = sqlx::query_as("select current_setting('server_encoding')")
        .fetch_one(&mut connection)
        .await
        .map_err(unreachable)?;
    if encoding.0 != "UTF8" {
        return Err(OpenError::Encoding {
            server: server.to_owned(),
            encoding: encoding.0,
        });
    }
    let (is_migrated,): (bool,) = sqlx::query_as(IS_MIGRATED)
        .fetch_one(&mut connection)
        .await
        .map_err(unreachable)?;
    if matches!(
        restoring::look(&mut connection)
            .await
            .map_err(unreachable)?,
        Restoring::BrokenOff
    ) {
        return Err(OpenError::Restoring {
            server: server.to_owned(),
        });
    }
    if !is_migrated && !creates {
        return Err(OpenError::Empty {
            server: server.to_owned(),
        });
    }
    if !is_migrated {
        tracing::warn!(database = %server, "database is empty: creating a new, empty installation");
    }
    if let Some(why) = newer(&mut connection).await.map_err(unreachable)? {
        return Err(OpenError::Newer {
            server: server.to_owned(),
            why,
        });
    }
    let has_row_security = migrate(&mut connection)
        .await
        .map_err(|error| OpenError::Migrate {
            server: server.to_owned(),
            error,
        })?;
    if !has_row_security {
        tracing::warn!(
            "user may not create the role centwise_reader: no second isolation layer between roots \
                (see docs/operations.md)"
        );
    }
    let (moving,): (bool,) = sqlx::query_as(IS_MOVING)
        .bind(MOVING)
        .fetch_one(&mut connection)
        .await
        .map_err(unreachable)?;
    if moving {
        return Err(OpenError::Moving {
            server: server.to_owned(),
        });
    }
    connection.close().await.map_err(unreachable)?;
    Ok(has_row_security)
}

/// What to say if a newer program has changed the tables.
pub async fn newer(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let (is_migrated,): (bool,) = sqlx::query_as(IS_MIGRATED)
        .fetch_one(&mut *connection)
        .await?;
    if !is_migrated {
        return Ok(None);
    }
    let (stored,): (i64,) = sqlx::query_as(schema_version::NEWEST)
        .fetch_one(connection)
        .await?;
    Ok(schema_version::newer(stored))
}

/// Several processes may start at once. They take turns by a lock that holds on a single server;
/// where it does not (behind a pooler, on a distributed database), the second to create a table
/// fails, and looks again. True: the wall stands.
async fn migrate(connection: &mut PgConnection) -> Result<bool, MigrateError> {
    let mut pauses = ConstantBuilder::new()
        .with_delay(MIGRATE_PAUSE)
        .with_max_times(MIGRATE_ATTEMPTS_MAX - 1)
        .build();
    loop {
        let done = migrate_once(connection).await;
        match &done {
            Err(error) if was_overtaken(error) => match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return done,
            },
            _ => return done,
        }
    }
}

async fn migrate_once(connection: &mut PgConnection) -> Result<bool, MigrateError> {
    MIGRATIONS.run_direct(None, connection, false).await?;
    if matches!(restoring::look(connection).await?, Restoring::Done) {
        restoring::mark(connection).await?;
    }
    Ok(row_security::raise(connection).await?)
}

/// Did another process create the same at the same time?
fn was_overtaken(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    // Unique violation (also in the catalogue), duplicate object and table, no such table any more,
    // serialization failure, deadlock, "tuple concurrently updated".
    let codes = [
        "23505", "42710", "42P07", "42P01", "40001", "40P01", "XX000",
    ];
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| codes.contains(&code.as_ref()))
}

async fn pool(connect: PgConnectOptions, options: &PostgresOptions) -> Result<PgPool, sqlx::Error> {
    let millis = |timeout: Duration| timeout.as_millis();
    // Set by a statement and not at the connection's start: poolers in between refuse what they do
    // not know there.
    let settings = format!(
        "set statement_timeout = {}; set lock_timeout = {}; set \
            idle_in_transaction_session_timeout = {}",
        millis(options.statement_timeout),
        millis(options.lock_timeout),
        millis(options.idle_in_transaction_timeout),
    );
    PgPoolOptions::new()
        .max_connections(options.connections_max)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(IDLE_TIME_MAX)
        .max_lifetime(LIFETIME_MAX)
        // Asking first would double the round trips of a read; who meets a dead connection tries
        // again.
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let settings = sqlx::AssertSqlSafe(settings.clone());
            Box::pin(async move { connection.execute(settings).await.map(|_| ()) })
        })
        .connect_with(connect)
        .await
}

/// The server and database as messages name them: never the password.
pub fn name_of(connect: &PgConnectOptions) -> String {
    let host = connect.get_socket().map_or_else(
        || connect.get_host().to_owned(),
        |socket| socket.display().to_string(),
    );
    let database = connect
        .get_database()
        .unwrap_or_else(|| connect.get_username());
    format!("the database {database} at {host}:{}", connect.get_port())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(url: &str) -> String {
        let options = PostgresOptions {
            acquire_timeout: Duration::from_secs(2),
            ..PostgresOptions::default()
        };
        Db::open_postgres(url, &options)
            .await
            .unwrap_err()
            .to_string()
    }

    #[tokio::test]
    async fn what_cannot_be_opened_says_why_and_no_password() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        assert!(refused("postgres://a b@:x/").await.contains("database URL"));
        let (server, name) = database.url().rsplit_once('/').unwrap();
        let nowhere = refused(&format!("{server}/nowhere")).await;
        assert!(
            nowhere.contains("nowhere at 127.0.0.1:") && nowhere.contains("does not exist"),
            "{nowhere}"
        );
        let wrong = refused(&format!(
            "postgres://centwise:wrong-secret@{}/{name}",
            server.split_once('@').unwrap().1
        ))
        .await;
        assert!(
            wrong.contains("password authentication failed") && !wrong.contains("wrong-secret"),
            "{wrong}"
        );
        let closed = refused("postgres://centwise:wrong-secret@127.0.0.1:1/x").await;
        assert!(
            closed.contains("x at 127.0.0.1:1") && !closed.contains("wrong-secret"),
            "{closed}"
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn several_processes_bring_an_empty_database_up_to_date_at_once() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        let empty = format!("{}_empty", database.url());
        let (_, name) = empty.rsplit_once('/').unwrap();
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        connection
            .execute(sqlx::AssertSqlSafe(format!(
                "create database {name} template template0"
            )))
            .await
            .unwrap();
        let opening = (0..6).map(|_| {
            let url = empty.clone();
            tokio::spawn(async move {
                Db::open_postgres(&url, &PostgresOptions::default())
                    .await
                    .map(|_| ())
            })
        });
        for opened in opening.collect::<Vec<_>>() {
            opened.await.unwrap().unwrap();
        }
        connection
            .execute(sqlx::AssertSqlSafe(format!(
                "drop database {name} with (force)"
            )))
            .await
            .unwrap();
    }

    /// Otherwise the suite that is run so shows nothing.
    #[tokio::test]
    async fn transactions_are_isolated_as_the_tests_ask() {
        let (Some(database), Ok(wanted)) = (
            test_postgres::database().await,
            std::env::var("TEST_DATABASE_ISOLATION"),
        ) else {
            return;
        };
        let Db::Postgres(db) = Db::open_postgres(database.url(), &PostgresOptions::default())
            .await
            .unwrap()
        else {
            unreachable!()
        };
        let mut transactions = Vec::new();
        // Each in a connection of its own.
        for _ in 0..3 {
            transactions.push(db.pool.begin().await.unwrap());
        }
        for transaction in &mut transactions {
            let found: String =
                sqlx::query_scalar("select current_setting('transaction_isolation')")
                    .fetch_one(&mut **transaction)
                    .await
                    .unwrap();
            assert_eq!(found, wanted);
        }
    }

    #[tokio::test]
    async fn waiting_is_bounded() {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        let Db::Postgres(db) = Db::open_postgres(database.url(), &PostgresOptions::default())
            .await
            .unwrap()
        else {
            unreachable!()
        };
        for (setting, expected) in [
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ] {
            let (found,): (String,) = sqlx::query_as("select current_setting($1)")
                .bind(setting)
                .fetch_one(&db.pool)
                .await
                .unwrap();
            assert_eq!(found, expected, "{setting}");
        }
    }
}
