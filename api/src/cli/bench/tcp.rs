//! The benchmarks that go through a server: fill, warm up, measure, compare the books.

use super::books::{self, Sums};
use super::deck::Deck;
use super::events::{Events, People};
use super::load::{Measured, Work, closed_loop};
use super::report::Report;
use super::server::Server;
use super::work::{Authorize, Balance, Ingest};
use super::{Args, Kind, Limit, SEED};
use crate::clock::Clock;
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;

const DECK_DEFAULT: usize = 36_000;
const CONNECTIONS_BATCHES: usize = 16;
const CONNECTIONS_SINGLY: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const PRELOAD_BATCH: u64 = 10_000;
const PRELOAD_CONNECTIONS: usize = 4;

pub fn run(args: &Args) -> anyhow::Result<Report> {
    // One thread: the load generator must leave the cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(drive(args))
}

async fn drive(args: &Args) -> anyhow::Result<Report> {
    let people = People::new(args.tenants);
    let deck = Arc::new(Deck::generate(args.deck.unwrap_or(DECK_DEFAULT), SEED));
    let server = Server::start(args, &deck, people).await?;
    let mut bench = Bench { args, people, deck, server, answered: Sums::new(people), streams: 0 };
    if !bench.server.fresh {
        let read = books::read(&bench.server.endpoint, people).await;
        bench.answered = read.context("cannot read the benchmark's tenants (a server given by --url must run on a database that `centwise bench --database-url` has filled)")?;
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
        tracing::error!(answered = bench.answered.platform, standing = standing.platform, "the books differ from what was answered");
    }
    let report = bench.report(measured, rss_mb, checked);
    bench.server.stop().await?;
    Ok(report)
}

struct Bench<'a> {
    args: &'a Args,
    people: People,
    deck: Arc<Deck>,
    server: Server,
    /// What the books must say: before, and everything answered since.
    answered: Sums,
    /// Streams of events begun so far.
    streams: u64,
}

impl Bench<'_> {
    fn batch(&self) -> u64 {
        let largest = self.args.events.unwrap_or(u64::MAX).max(1);
        if self.args.kind == Kind::Single { 1 } else { self.args.batch.min(largest) }
    }

    fn connections(&self) -> usize {
        let default = if self.args.kind == Kind::Ingest { CONNECTIONS_BATCHES } else { CONNECTIONS_SINGLY };
        self.args.connections.unwrap_or(default).max(1)
    }

    fn events(&mut self) -> Events {
        self.streams += 1;
        Events::new(Arc::clone(&self.deck), self.people, self.args.ids, self.args.mix, Clock::system(), self.streams)
    }

    async fn preload(&mut self) -> anyhow::Result<()> {
        let rounded = self.args.preload.div_ceil(PRELOAD_BATCH) * PRELOAD_BATCH;
        if rounded == 0 {
            return Ok(());
        }
        let mut workers: Vec<Ingest> = (0..PRELOAD_CONNECTIONS).map(|_| Ingest::new(self.events(), PRELOAD_BATCH)).collect();
        let limit = Limit { events: Some(rounded), duration: None };
        let done = closed_loop("preloading", &self.server.endpoint, &mut workers, limit).await;
        self.keep(&workers);
        done.map(|_| ())
    }

    async fn ingest(&mut self) -> anyhow::Result<Measured> {
        let mut workers: Vec<Ingest> = (0..self.connections()).map(|_| Ingest::new(self.events(), self.batch())).collect();
        let measured = self.measured(&mut workers).await?;
        self.keep(&workers);
        Ok(measured)
    }

    async fn authorize(&mut self) -> anyhow::Result<Measured> {
        let mut workers: Vec<Authorize> = (0..self.connections()).map(|_| Authorize::new(self.events())).collect();
        self.measured(&mut workers).await
    }

    async fn balance(&mut self) -> anyhow::Result<Measured> {
        let expected = Arc::new(self.answered.clone());
        let mut workers: Vec<Balance> = (0..self.connections()).map(|_| Balance::new(self.events(), Arc::clone(&expected))).collect();
        self.measured(&mut workers).await
    }

    async fn measured<W: Work>(&self, workers: &mut [W]) -> anyhow::Result<Measured> {
        let warm_up = Limit { events: self.args.events.map(|events| events / 10), duration: Some(WARM_UP) };
        closed_loop("warming up", &self.server.endpoint, workers, warm_up).await?;
        closed_loop("measuring", &self.server.endpoint, workers, self.args.limit(0)).await
    }

    fn keep(&mut self, workers: &[Ingest]) {
        workers.iter().for_each(|worker| self.answered.merge(&worker.sums));
    }

    fn report(&self, measured: Measured, rss_mb: u64, checked: bool) -> Report {
        let Measured { events, elapsed, latency } = measured;
        let name = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase().into();
        let more = vec![
            ("bench", name(&self.args.kind)),
            ("batch", self.batch().into()),
            ("connections", self.connections().into()),
            ("customers", self.people.customers.into()),
            ("resellers", self.people.roots.into()),
            ("deck", self.deck.prefixes.len().into()),
            ("ids", name(&self.args.ids)),
            ("mix", name(&self.args.mix)),
            ("preload", self.args.preload.into()),
        ];
        Report { events, elapsed, latency, rss_mb, checked, more }
    }
}
