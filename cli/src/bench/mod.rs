//! `centwise bench`: the published benchmark. It prints throughput and latency, and checks the
//! books afterwards: a fast wrong answer is a failure.

mod answers;
mod books;
mod cost;
mod deck;
mod events;
mod load;
mod pace;
mod random;
mod rate;
mod report;
mod seed;
mod series;
mod server;
mod tcp;
mod wire;
mod work;
mod zipf;

use super::Ended;
use crate::client::Trust;
use anyhow::bail;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

const METHOD: &str = "\
Closed loop: each connection sends its next request when the previous one has been answered. A
server that stalls receives fewer requests, and its stall counts only once: fair for throughput,
flattering for latencies.
Open loop (--rate): requests are due at fixed times, whatever the server does, and latency counts
from the due time, also for requests that wait for a free connection or are never sent. Every stall
counts in full (coordinated omission would hide it). Measure latencies this way, at a rate below
that of the closed loop.

The load generator shares the cores with the server: its CPU time is printed next to the server's.
Afterwards every balance is compared with the sum of the responses; a difference gives exit code
1.";

/// Measure throughput and latency, and check the books afterwards
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = METHOD)]
pub struct Args {
    /// What to measure
    #[arg(value_enum)]
    kind: Kind,
    /// Stop after this many events [default: rate 10 million; else as many as the duration allows]
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Stop after this many seconds [default: 60, unless --events is given]
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// Warm-up before measuring [default: 2, but at most a tenth of --events]
    #[arg(long, value_name = "SECONDS")]
    warm_up: Option<u64>,
    /// Open loop: send this many events per second regardless of the server's responses [default:
    /// closed loop]
    #[arg(long, value_name = "EVENTS_PER_S", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Option<u64>,
    /// Events per request
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Connections, each with one request at a time [default: 16; single, authorize, balance: 64]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Prefixes in the generated deck [default: 36000; rate: 300000]
    #[arg(long, value_name = "N")]
    deck: Option<usize>,
    /// Customers; there are a hundredth as many resellers
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    tenants: usize,
    /// Draw customers by Zipf's law: usage of the k-th largest is proportional to 1/k^S [default:
    /// equal usage]
    #[arg(long, value_name = "S")]
    zipf: Option<f64>,
    /// Event ids: ordered by time, or random
    #[arg(long, value_enum, default_value_t = Ids::V7)]
    ids: Ids,
    /// Whether a batch contains customers of one reseller or of all resellers
    #[arg(long, value_enum, default_value_t = Mix::Mixed)]
    mix: Mix,
    /// Events stored before the measurement
    #[arg(long, value_name = "N", default_value_t = 0)]
    preload: u64,
    /// Write events, seconds, events/s, p99 and memory for each step of the measurement to a CSV
    /// file
    #[arg(long, value_name = "FILE")]
    series: Option<PathBuf>,
    /// Events per step of --series
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    series_step: u64,
    /// Database to fill and use; prints an admin key for --url [default: a temporary one in the
    /// current directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Use a running server instead of starting one (with --key). Its database must have been
    /// filled by `bench --database-url` with the same --tenants and --deck, which also printed the
    /// key
    #[arg(
        long,
        value_name = "URL",
        requires = "key",
        conflicts_with = "database_url"
    )]
    url: Option<String>,
    /// Admin key for --url
    #[arg(long, value_name = "KEY", env = "CENTWISE_KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    trust: Trust,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Pricing alone: in process, on one core, two links
    Rate,
    /// Batches of usage, over TCP, durable
    Ingest,
    /// One event per request
    Single,
    /// Place a hold and release it, counted as one
    Authorize,
    /// Read a balance
    Balance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ids {
    V7,
    V4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mix {
    OneRoot,
    Mixed,
}

const DURATION_SECS_DEFAULT: u64 = 60;
const WARM_UP_SECS_DEFAULT: u64 = 2;
/// Of the deck and of everything random.
const SEED: u64 = 20_261_120;

/// When a measurement ends: whichever comes first.
#[derive(Debug, Clone, Copy)]
struct Limit {
    events: Option<u64>,
    duration: Option<Duration>,
}

impl Args {
    /// `events_default` applies when neither a number nor a time is given; 0: a minute.
    fn limit(&self, events_default: u64) -> Limit {
        let none = self.events.is_none() && self.duration.is_none();
        let events = self
            .events
            .or((none && events_default > 0).then_some(events_default));
        let duration = self
            .duration
            .or((none && events_default == 0).then_some(DURATION_SECS_DEFAULT));
        Limit {
            events,
            duration: duration.map(Duration::from_secs),
        }
    }

    /// A short measurement is not preceded by a long warm-up, unless it was asked for.
    fn warm_up(&self) -> Limit {
        let events = self
            .events
            .map(|events| events / 10)
            .filter(|_| self.warm_up.is_none());
        Limit {
            events,
            duration: Some(Duration::from_secs(
                self.warm_up.unwrap_or(WARM_UP_SECS_DEFAULT),
            )),
        }
    }

    /// # Errors
    /// An option that has no meaning for what runs in this process.
    fn in_process(&self) -> anyhow::Result<()> {
        let given = [
            ("--rate", self.rate.is_some()),
            ("--zipf", self.zipf.is_some()),
            ("--series", self.series.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!(
                "{option} is only for benchmarks against a server: `bench rate` prices in this \
                    process"
            ),
            None => Ok(()),
        }
    }
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let report = match args.kind {
        Kind::Rate => args.in_process().and_then(|()| rate::run(args))?,
        _ => tcp::run(args)?,
    };
    report.write(args.json, out)?;
    Ok(if report.checked {
        Ended::Well
    } else {
        Ended::Findings
    })
}
