//! `centwise serve`: the server, in the foreground, until SIGTERM or SIGINT; SIGHUP reads secrets
//! in files again.

use super::{Ended, database, environment, runtime};
use crate::demo;
use api::config::{Config, LogFormat};
use api::database_url::Place;
use api::server;
use clock::Clock;
use std::io::Write;
use std::time::Duration;

/// What still runs when the server has stopped is not waited for: it may be what did not stop.
const ABANDON_TIME_MAX: Duration = Duration::from_secs(1);

/// Run the server
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    /// Create a demo chain of tenants, and print commands to paste
    #[arg(long)]
    demo: bool,
}

impl Args {
    pub fn logs_json(&self) -> bool {
        self.config.log_format == LogFormat::Json
    }
}

pub fn run(args: Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let config = args.config;
    config.check()?;
    if let Some(warning) = config.payments.warning() {
        tracing::warn!("{warning}");
    }
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        // A reload that comes too early waits.
        let hangups = server::hangups()?;
        let running = server::serve(&config, Clock::system())
            .await
            .map_err(database::explained)?;
        print_admin_key(running.admin_key.as_deref(), out)?;
        if args.demo {
            let place = config.database()?;
            let directory = match &place {
                Place::File(file) => file.parent(),
                Place::Postgres(_) => None,
            };
            demo::start(&running, directory.unwrap_or(&config.data_dir), out).await?;
        }
        // Whoever reads the next line may stop the server at once.
        let signals = server::Signals::expect()?;
        writeln!(out, "listening on {}", running.url())?;
        out.flush()?;
        running
            .until(signals, hangups, || environment::reread(&config))
            .await
    });
    runtime.shutdown_timeout(ABANDON_TIME_MAX);
    served.map(|()| Ended::Well)
}

/// The first start makes a key; nobody can show it again.
fn print_admin_key(key: Option<&str>, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(key) = key {
        writeln!(
            out,
            "created the platform; its admin key (shown once, keep it): {key}"
        )?;
        out.flush()?;
    }
    Ok(())
}
