//! A way to the API: a running server, or one inside this process for as long as the command runs.
//! Both go over HTTP, so that a command does exactly what any other client can do.

use super::client::{Connection, Endpoint, Trust};
use super::database::{self, Database};
use anyhow::Context;
use api::seed::Seeder;
use api::server::{self, Running};
use clock::Clock;
use rating::ids::ApiKeyId;
use tenants::Scope;

/// Where the data is: a running server, or a database that no server has open.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// URL of a running server; without it, the command opens the database itself
    #[arg(
        long,
        env = "CENTWISE_URL",
        value_name = "http[s]://HOST:PORT",
        requires = "key"
    )]
    url: Option<String>,
    /// API key for --url
    #[arg(long, env = "CENTWISE_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    database: Database,
}

impl Target {
    /// Not of a database that the command opens itself.
    pub fn is_of_a_server(&self) -> bool {
        self.url.is_some() && self.key.is_some()
    }
}

const REQUEST_SECS_MAX: u64 = 3600;
/// A key of the command's own ends by itself, should the command be killed.
const OWN_KEY_SECS: i64 = 24 * 3600;

#[derive(Debug)]
pub struct Session {
    pub endpoint: Endpoint,
    own: Option<(Running, ApiKeyId)>,
}

impl Session {
    pub async fn open(target: &Target) -> anyhow::Result<Self> {
        match (&target.url, &target.key) {
            (Some(url), Some(key)) => Ok(Self {
                endpoint: target.trust.endpoint(url, key)?,
                own: None,
            }),
            _ => Self::open_own(&target.database).await,
        }
    }

    async fn open_own(database: &Database) -> anyhow::Result<Self> {
        database.existing()?;
        // The limits that protect a server from its callers are no use here: this is the only one.
        let mut config = database.config();
        config.limits.admin_per_sec = u32::MAX;
        config.request_secs_max = REQUEST_SECS_MAX;
        let running = server::serve(&config, Clock::system())
            .await
            .map_err(database::explained)?;
        let records = &running.app.catalog;
        let platform = records
            .platform()
            .await?
            .context("the database has no platform")?;
        let clock = &running.app.clock;
        let seeder = Seeder::new(records, clock, platform.id, "command line");
        let ends = clock.now().plus_secs(OWN_KEY_SECS);
        let (id, secret) = seeder
            .key(&platform, Scope::PlatformAdmin, "command line", Some(ends))
            .await?;
        Ok(Self {
            endpoint: Endpoint::new(&running.url(), &secret)?,
            own: Some((running, id)),
        })
    }

    pub async fn connect(&self) -> anyhow::Result<Connection> {
        self.endpoint.connect().await
    }

    /// Takes the key back and closes the database.
    pub async fn close(self) -> anyhow::Result<()> {
        if let Some((running, key)) = self.own {
            Seeder::new(
                &running.app.catalog,
                &running.app.clock,
                running.app.platform,
                "command line",
            )
            .revoke(key)
            .await?;
            running.stop().await?;
        }
        Ok(())
    }
}
