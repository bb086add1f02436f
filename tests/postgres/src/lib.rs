//! PostgreSQL for tests: one throw-away cluster per test process, one database per test.
//!
//! ```ignore
//! let Some(database) = test_postgres::database().await else { return };
//! let db = Db::open_postgres(database.url(), &PostgresOptions::default()).await?;
//! ```
//!
//! The cluster is made from the server programs of this machine (`PATH`, then Debian's folders),
//! runs as a user without rights, listens on 127.0.0.1 and on a socket in its own folder, and ends
//! with the test process, however that ends. Nothing of it is meant to survive, so it does not wait
//! for the disk. Its databases stay until it goes: up to 4 GB.
//!
//! - `TEST_DATABASE_URL`: use this server instead; its user may create databases.
//! - `TEST_DATABASE_ISOLATION=serializable`: what transactions of the test databases begin with.
//! - `CI=true`: a machine without PostgreSQL is a failure. Otherwise those tests say that they were
//!   skipped.

mod cluster;
mod template;

use anyhow::Context as _;
use cluster::{Cluster, Programs};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;

/// A database of its own, migrated and empty.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    /// Whether it goes with this. Somebody else's server keeps nothing of ours; a cluster of this
    /// process goes as a whole, in much less time: dropping waits for a checkpoint, and files made
    /// soon after hundreds were removed are slow to make.
    dropped: bool,
}

/// Where databases are made.
#[derive(Debug)]
struct Server {
    url: String,
    template: String,
    /// Ends with the process.
    cluster: Option<Cluster>,
}

/// A fresh database; `None` (having said so) if there is no PostgreSQL here and none is demanded.
///
/// # Panics
/// The cluster or the database cannot be made, or there is no PostgreSQL where there must be.
#[expect(clippy::panic, reason = "there is nothing to test without it")]
pub async fn database() -> Option<Database> {
    match make().await {
        Ok(database) => database,
        Err(error) => panic!("no PostgreSQL to test with: {error:#}"),
    }
}

impl Database {
    /// `postgres://user:password@host:port/name`
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.dropped {
            return;
        }
        let (name, url) = (self.name.clone(), self.url.clone());
        // Dropping happens anywhere, so it has a thread of its own. What fails here is named after
        // its process.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                administer(
                    &url,
                    &format!("drop database if exists {name} with (force)"),
                )
                .await
            })
        });
        drop(dropping.join());
    }
}

async fn make() -> anyhow::Result<Option<Database>> {
    static SERVER: OnceCell<Option<Server>> = OnceCell::const_new();
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let Some(server) = SERVER.get_or_try_init(start).await? else {
        return Ok(None);
    };
    let name = format!(
        "centwise_test_{}_{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    administer(
        &server.url,
        &format!("create database {name} template {}", server.template),
    )
    .await?;
    if let Ok(isolation) = std::env::var("TEST_DATABASE_ISOLATION") {
        administer(
            &server.url,
            &format!("alter database {name} set default_transaction_isolation = '{isolation}'"),
        )
        .await?;
    }
    let url = template::url_of(&server.url, &name)?;
    Ok(Some(Database {
        name,
        url,
        dropped: server.cluster.is_none(),
    }))
}

async fn start() -> anyhow::Result<Option<Server>> {
    if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        let template = template::prepare(&url).await.context("TEST_DATABASE_URL")?;
        return Ok(Some(Server {
            url,
            template,
            cluster: None,
        }));
    }
    let Some(programs) = Programs::find() else {
        anyhow::ensure!(
            std::env::var("CI").as_deref() != Ok("true"),
            "initdb is neither in PATH nor in /usr/lib/postgresql"
        );
        skipped();
        return Ok(None);
    };
    let cluster = Cluster::start(&programs).await?;
    let url = cluster.url().to_owned();
    let template = template::prepare(&url).await?;
    Ok(Some(Server {
        url,
        template,
        cluster: Some(cluster),
    }))
}

#[expect(
    clippy::print_stderr,
    reason = "whoever reads the test's output must know"
)]
fn skipped() {
    eprintln!(
        "SKIPPED: tests on PostgreSQL, because initdb is neither in PATH nor in /usr/lib/postgresql"
    );
}

/// One statement outside any test database.
async fn administer(url: &str, statement: &str) -> anyhow::Result<()> {
    let options: PgConnectOptions = template::url_of(url, "postgres")?.parse()?;
    let mut connection = PgConnection::connect_with(&options).await?;
    connection
        .execute(AssertSqlSafe(statement.to_owned()))
        .await
        .with_context(|| statement.to_owned())?;
    Ok(connection.close().await?)
}
