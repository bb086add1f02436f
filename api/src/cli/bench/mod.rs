//! `centwise bench`: the published benchmark. It prints throughput and latency, and checks the
//! books afterwards: a fast wrong answer is a failure.

mod answers;
mod books;
mod deck;
mod events;
mod load;
mod random;
mod rate;
mod report;
mod seed;
mod server;
mod tcp;
mod work;

use super::Ended;
use std::io::Write;
use std::time::Duration;

/// Measure throughput and latency, and check the books afterwards
#[derive(Debug, Clone, clap::Args)]
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
    /// Events per request
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Connections, each with one request under way [default: 16; single, authorize, balance: 64]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Prefixes of the generated deck [default: 36000; rate: 300000]
    #[arg(long, value_name = "N")]
    deck: Option<usize>,
    /// Customers, under a hundredth as many resellers
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    tenants: usize,
    /// Ids of events: ordered by time, or random
    #[arg(long, value_enum, default_value_t = Ids::V7)]
    ids: Ids,
    /// Whether a batch holds the customers of one reseller or of all
    #[arg(long, value_enum, default_value_t = Mix::Mixed)]
    mix: Mix,
    /// Events stored before the measured ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    preload: u64,
    /// Database to fill and use [default: a temporary one in the current directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Use a running server instead of starting one (with --key)
    #[arg(long, value_name = "URL", requires = "key")]
    url: Option<String>,
    /// Admin key for --url
    #[arg(long, value_name = "KEY", env = "CENTWISE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// One JSON object instead of a table
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
        let events = self.events.or((none && events_default > 0).then_some(events_default));
        let duration = self.duration.or((none && events_default == 0).then_some(DURATION_SECS_DEFAULT));
        Limit { events, duration: duration.map(Duration::from_secs) }
    }
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<Ended> {
    let report = match args.kind {
        Kind::Rate => rate::run(args)?,
        _ => tcp::run(args)?,
    };
    report.write(args.json, out)?;
    Ok(if report.checked { Ended::Well } else { Ended::Findings })
}
