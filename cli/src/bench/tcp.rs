//! The benchmarks that go through a server: fill, warm up, measure, compare the books.

use super::books::{self, Sums};
use super::cost::Cost;
use super::deck::Deck;
use super::events::{Events, People, Spread};
use super::load::{Job, Measured, Work, drive};
use super::report::Report;
use super::series::Series;
use super::server::Server;
use super::work::{Authorize, Balance, Ingest};
use super::zipf::Zipf;
use super::{Args, Kind, Limit, Mix, SEED};
use anyhow::Context;
use clap::ValueEnum;
use clock::Clock;
use serde_json::Value;
use std::sync::Arc;

const DECK_DEFAULT: usize = 36_000;
const CONNECTIONS_BATCHES: usize = 16;
const CONNECTIONS_SINGLY: usize = 64;
const PRELOAD_BATCH: u64 = 10_000;
const PRELOAD_CONNECTIONS: usize = 4;

pub fn run(args: &Args) -> anyhow::Result<Report> {
    // One thread: the load generator must leave the cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(bench(args))
}

async fn bench(args: &Args) -> anyhow::Result<Report> {
    let people = People::new(args.tenants);
    let deck = Arc::new(Deck::generate(args.deck.unwrap_or(DECK_DEFAULT), SEED));
    let server = Server::start(args, &deck, people).await?;
    let zipf = args
        .zipf
        .map(|exponent| Zipf::new(people.drawn_from(mix(args)), exponent))
        .transpose()?
        .map(Arc::new);
    let mut bench = Bench {
        args,
        people,
        deck,
        zipf,
        server,
        answered: Sums::new(people),
        streams: 0,
    };
    if !bench.server.fresh {
        bench.answered = books::read(&bench.server.endpoint, people)
            .await
            .with_context(|| unfilled(args))?;
    }
    bench.preload().await?;
    let measured = match args.kind {
        Kind::Authorize => bench.authorize().await?,
        Kind::Balance => bench.balance().await?,
        Kind::Rate | Kind::Ingest | Kind::Single => bench.ingest().await?,
    };
    let rss_mb = bench.server.rss_mb();
    let standing = books::read(&bench.server.endpoint, people).await?;
    let checked = standing == bench.answered;
    if !checked {
        tracing::error!(
            answered = bench.answered.platform,
            standing = standing.platform,
            "books differ from the responses"
        );
    }
    let report = bench.report(measured, rss_mb, checked);
    bench.server.stop().await?;
    Ok(report)
}

/// A measurement and what it cost.
struct Costly {
    measured: Measured,
    cost: Cost,
}

struct Bench<'a> {
    args: &'a Args,
    people: People,
    deck: Arc<Deck>,
    zipf: Option<Arc<Zipf>>,
    server: Server,
    /// What the books must say: before, and everything answered since.
    answered: Sums,
    /// Streams of events begun so far.
    streams: u64,
}

impl Bench<'_> {
    fn batch(&self) -> u64 {
        let largest = self.args.events.unwrap_or(u64::MAX).max(1);
        if self.args.kind == Kind::Single {
            1
        } else {
            self.args.batch.min(largest)
        }
    }

    fn connections(&self) -> usize {
        let default = if self.args.kind == Kind::Ingest {
            CONNECTIONS_BATCHES
        } else {
            CONNECTIONS_SINGLY
        };
        self.args.connections.unwrap_or(default).max(1)
    }

    fn events(&mut self) -> Events {
        self.streams += 1;
        let spread = Spread {
            people: self.people,
            mix: mix(self.args),
            zipf: self.zipf.clone(),
        };
        Events::new(
            Arc::clone(&self.deck),
            spread,
            self.args.ids,
            Clock::system(),
            self.streams,
        )
    }

    async fn preload(&mut self) -> anyhow::Result<()> {
        let rounded = self.args.preload.div_ceil(PRELOAD_BATCH) * PRELOAD_BATCH;
        if rounded == 0 {
            return Ok(());
        }
        let mut workers: Vec<Ingest> = (0..PRELOAD_CONNECTIONS)
            .map(|_| Ingest::new(self.events(), PRELOAD_BATCH))
            .collect();
        let limit = Limit {
            events: Some(rounded),
            duration: None,
        };
        drive(
            Job {
                what: "preloading",
                limit,
                rate: None,
                series: None,
            },
            &self.server.endpoint,
            &mut workers,
        )
        .await?;
        self.keep(&workers);
        Ok(())
    }

    async fn ingest(&mut self) -> anyhow::Result<Costly> {
        let mut workers: Vec<Ingest> = (0..self.connections())
            .map(|_| Ingest::new(self.events(), self.batch()))
            .collect();
        let measured = self.measured(&mut workers).await?;
        self.keep(&workers);
        Ok(measured)
    }

    async fn authorize(&mut self) -> anyhow::Result<Costly> {
        let mut workers: Vec<Authorize> = (0..self.connections())
            .map(|_| Authorize::new(self.events()))
            .collect();
        self.measured(&mut workers).await
    }

    async fn balance(&mut self) -> anyhow::Result<Costly> {
        let expected = Arc::new(self.answered.clone());
        let mut workers: Vec<Balance> = (0..self.connections())
            .map(|_| Balance::new(self.events(), Arc::clone(&expected)))
            .collect();
        self.measured(&mut workers).await
    }

    async fn measured<W: Work>(&self, workers: &mut [W]) -> anyhow::Result<Costly> {
        let (endpoint, rate) = (&self.server.endpoint, self.args.rate);
        drive(
            Job {
                what: "warming up",
                limit: self.args.warm_up(),
                rate,
                series: None,
            },
            endpoint,
            workers,
        )
        .await?;
        let series = self
            .args
            .series
            .as_deref()
            .map(|path| Series::create(path, self.args.series_step, self.server.pid()));
        let job = Job {
            what: "measuring",
            limit: self.args.limit(0),
            rate,
            series: series.transpose()?,
        };
        let before = Cost::so_far(self.server.pid());
        let measured = drive(job, endpoint, workers).await?;
        Ok(Costly {
            measured,
            cost: Cost::so_far(self.server.pid()).since(before),
        })
    }

    fn keep(&mut self, workers: &[Ingest]) {
        workers
            .iter()
            .for_each(|worker| self.answered.merge(&worker.sums));
    }

    fn report(&self, costly: Costly, rss_mb: u64, checked: bool) -> Report {
        let Costly {
            measured:
                Measured {
                    events,
                    elapsed,
                    latency,
                    retries,
                    unsent,
                },
            cost,
        } = costly;
        let more = vec![
            ("bench", name(self.args.kind)),
            ("batch", self.batch().into()),
            ("connections", self.connections().into()),
            ("customers", self.people.customers.into()),
            ("resellers", self.people.roots.into()),
            ("deck", self.deck.prefixes.len().into()),
            ("ids", name(self.args.ids)),
            ("mix", name(mix(self.args))),
            ("zipf", self.args.zipf.into()),
            ("preload", self.args.preload.into()),
            (
                "warm_up_s",
                self.args
                    .warm_up()
                    .duration
                    .map(|duration| duration.as_secs())
                    .into(),
            ),
            (
                "loop",
                if self.args.rate.is_some() {
                    "open"
                } else {
                    "closed"
                }
                .into(),
            ),
            ("rate", self.args.rate.into()),
            ("unsent", unsent.into()),
            ("retries", retries.into()),
        ];
        Report {
            events,
            elapsed,
            latency,
            rss_mb,
            checked,
            cost: Some(cost),
            more,
        }
    }
}

/// As it is called on the command line.
fn name(value: impl ValueEnum) -> Value {
    value
        .to_possible_value()
        .map_or(Value::Null, |value| value.get_name().into())
}

/// Holds and balances come one by one: there is no batch to be of one reseller.
fn mix(args: &Args) -> Mix {
    if matches!(args.kind, Kind::Authorize | Kind::Balance) {
        Mix::Mixed
    } else {
        args.mix
    }
}

/// Why the tenants of the benchmark were not found, and how to come by them.
fn unfilled(args: &Args) -> String {
    let (tenants, deck) = (args.tenants, args.deck.unwrap_or(DECK_DEFAULT));
    let kept = "cannot read the benchmark's tenants";
    match &args.url {
        None => kept.to_owned(),
        Some(url) => format!(
            "{kept} at {url}; the server at --url must run on a database filled by this command: \
                `centwise bench single --events 1 --tenants {tenants} --deck {deck} --database-url \
                DIR` (it prints a key), then `centwise serve --database-url DIR` with limits above \
                the load (--usage-per-sec, --live-per-sec)"
        ),
    }
}
