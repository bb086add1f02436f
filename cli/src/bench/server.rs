//! The server under measurement: a child process on a database of its own, spoken to over TCP.

use super::deck::Deck;
use super::events::People;
use super::report::peak_rss_mb;
use super::{Args, seed};
use crate::client::Endpoint;
use anyhow::{Context, bail};
use api::config::Config;
use std::io::Write;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Limits are on, and larger than any load: what is measured is the server, not its politeness.
const LIMITS: [(&str, &str); 4] = [
    ("CENTWISE_USAGE_PER_SEC", "100000000"),
    ("CENTWISE_LIVE_PER_SEC", "10000000"),
    ("CENTWISE_OTHER_PER_MIN", "1000000"),
    ("CENTWISE_ADMIN_PER_SEC", "1000000"),
];
const LISTENING: &str = "listening on ";

#[derive(Debug)]
pub struct Server {
    pub endpoint: Endpoint,
    /// The books were empty when the server started.
    pub fresh: bool,
    child: Option<Child>,
    /// Deleted with this value.
    _directory: Option<TempDir>,
}

impl Server {
    /// A running server as it is, or a child on a database that is filled first.
    pub async fn start(args: &Args, deck: &Deck, people: People) -> anyhow::Result<Self> {
        if let (Some(url), Some(key)) = (&args.url, &args.key) {
            return Ok(Self {
                endpoint: args.trust.endpoint(url, key)?,
                fresh: false,
                child: None,
                _directory: None,
            });
        }
        let directory = args.database_url.is_none().then(temporary).transpose()?;
        let url = directory
            .as_ref()
            .map(|directory| directory.path().display().to_string())
            .or_else(|| args.database_url.clone());
        let config = Config {
            database_url: url.clone(),
            ..Config::default()
        };
        let key = seed(config, deck, people).await?;
        if args.database_url.is_some() {
            writeln!(
                std::io::stderr(),
                "admin key of this database, for --url: {key}"
            )?;
        }
        let (child, url) = spawn(&url.unwrap_or_default()).await?;
        Ok(Self {
            endpoint: Endpoint::new(&url, &key)?,
            fresh: directory.is_some(),
            child: Some(child),
            _directory: directory,
        })
    }

    /// None: the server is not our child.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// The server's peak resident memory; 0 for a server that is not our child.
    pub fn rss_mb(&self) -> u64 {
        self.pid().map_or(0, |pid| peak_rss_mb(&pid.to_string()))
    }

    /// Its answers were durable: it need not be asked to stop.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(child) = &mut self.child {
            child.kill().await.context("the server did not stop")?;
        }
        Ok(())
    }
}

/// In the current directory, because the system's temporary one may be in memory.
fn temporary() -> anyhow::Result<TempDir> {
    let here = std::env::current_dir()?;
    tempfile::Builder::new()
        .prefix("centwise-bench-")
        .tempdir_in(&here)
        .with_context(|| format!("cannot create a directory in {}", here.display()))
}

/// On threads of its own, so that nothing keeps the database open afterwards.
async fn seed(config: Config, deck: &Deck, people: People) -> anyhow::Result<String> {
    std::thread::scope(|scope| {
        let seeding = scope.spawn(|| crate::runtime()?.block_on(seed::seed(&config, deck, people)));
        seeding
            .join()
            .unwrap_or_else(|_| bail!("the benchmark's tenants were not created"))
    })
}

async fn spawn(database_url: &str) -> anyhow::Result<(Child, String)> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let log = std::env::var("CENTWISE_LOG").unwrap_or_else(|_| "warn".to_owned());
    let mut child = Command::new(program)
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            database_url,
        ])
        .envs(LIMITS)
        .env("CENTWISE_LOG", log)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the server")?;
    let mut lines =
        BufReader::new(child.stdout.take().context("the server has no output")?).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.strip_prefix(LISTENING) {
            return Ok((child, url.to_owned()));
        }
    }
    bail!("the server ended before it was listening; its log is above")
}
