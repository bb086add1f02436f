//! The load generator: N connections, each with one request under way, in a closed or an open loop
//! (see `pace`). It runs on one thread, so that it leaves the rest of a small machine to the
//! server.

use super::Limit;
use super::pace::{OpenLoop, Schedule};
use super::report::new_histogram;
use super::series::Series;
use super::wire::Wire;
use crate::client::Endpoint;
use crate::progress::Progress;
use hdrhistogram::Histogram;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::time::{Duration, Instant};

/// What one connection does over and over; keeps its own sums.
pub trait Work {
    /// Events that one round stands for.
    fn events_per_round(&self) -> u64;
    /// Prepares the next round's request: not timed.
    fn prepare(&mut self);
    /// One timed round.
    async fn round(&mut self, wire: &mut Wire) -> anyhow::Result<()>;
}

#[derive(Debug)]
pub struct Measured {
    pub events: u64,
    pub elapsed: Duration,
    pub latency: Histogram<u64>,
    /// Requests sent again: the server was too busy.
    pub retries: u64,
    /// Open loop: events that were due and that no connection had time for. Their wait is in
    /// `latency`.
    pub unsent: u64,
}

/// What to do, and until when.
#[derive(Debug)]
pub struct Job {
    pub what: &'static str,
    pub limit: Limit,
    /// Events per second; None: closed loop.
    pub rate: Option<u64>,
    pub series: Option<Series<File>>,
}

struct Run<'a> {
    endpoint: &'a Endpoint,
    started: Instant,
    end: Option<Instant>,
    left: Cell<u64>,
    done: Cell<u64>,
    retries: Cell<u64>,
    open: Option<OpenLoop>,
    series: RefCell<Option<Series<File>>>,
    progress: Progress,
    /// Events that the progress bar knows of.
    shown: Cell<u64>,
}

const PROGRESS_EVENTS: u64 = 1_000;

/// Every worker over a connection of its own, until the limit; the workers keep what they counted.
pub async fn drive<W: Work>(
    job: Job,
    endpoint: &Endpoint,
    workers: &mut [W],
) -> anyhow::Result<Measured> {
    let Job {
        what,
        limit,
        rate,
        series,
    } = job;
    let size = workers.first().map_or(1, Work::events_per_round);
    let started = Instant::now();
    let end = limit.duration.map(|duration| started + duration);
    let open = rate.map(|events_per_s| {
        let schedule = Schedule {
            events_per_s,
            events_per_request: size,
        };
        OpenLoop::start(
            schedule,
            started,
            end,
            schedule.requests(limit.events, limit.duration),
            workers.len(),
        )
    });
    let run = Run {
        endpoint,
        started,
        end,
        left: Cell::new(limit.events.unwrap_or(u64::MAX)),
        done: Cell::new(0),
        retries: Cell::new(0),
        open,
        series: RefCell::new(series),
        progress: Progress::new(what, limit.events.unwrap_or(0)),
        shown: Cell::new(0),
    };
    let loops = workers
        .iter_mut()
        .map(|worker| one_connection(&run, worker));
    let histograms = futures_util::future::try_join_all(loops).await?;
    let ended = Instant::now();
    let mut latency = new_histogram()?;
    for histogram in &histograms {
        latency.add(histogram)?;
    }
    let mut unsent = 0;
    for waited in run
        .open
        .iter()
        .flat_map(|open| open.unsent(run.end.unwrap_or(ended)))
    {
        latency.saturating_record(micros(waited));
        unsent += size;
    }
    Ok(Measured {
        events: run.done.get(),
        elapsed: ended - started,
        latency,
        retries: run.retries.get(),
        unsent,
    })
}

async fn one_connection<W: Work>(run: &Run<'_>, worker: &mut W) -> anyhow::Result<Histogram<u64>> {
    let mut histogram = new_histogram()?;
    let mut wire = Wire::connect(run.endpoint).await?;
    let size = worker.events_per_round();
    while run.left.get() >= size && run.end.is_none_or(|end| Instant::now() < end) {
        run.left.set(run.left.get() - size);
        worker.prepare();
        let Some(since) = run.next().await else { break };
        worker.round(&mut wire).await?;
        let latency_us = micros(since.elapsed());
        histogram.saturating_record(latency_us);
        run.count(size, latency_us)?;
    }
    run.retries.set(run.retries.get() + wire.retries);
    Ok(histogram)
}

impl Run<'_> {
    /// When the next request may be sent; its latency counts from the instant returned.
    async fn next(&self) -> Option<Instant> {
        match &self.open {
            None => Some(Instant::now()),
            Some(open) => open.next().await,
        }
    }

    fn count(&self, events: u64, latency_us: u64) -> anyhow::Result<()> {
        let (before, now) = (self.done.get(), self.done.get() + events);
        self.done.set(now);
        // The bar costs as much as a small request.
        if before / PROGRESS_EVENTS != now / PROGRESS_EVENTS {
            self.progress.add(now - self.shown.replace(now));
        }
        match self.series.borrow_mut().as_mut() {
            None => Ok(()),
            Some(series) => series.add(events, self.started.elapsed(), latency_us),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
