//! The load generator: N connections in a closed loop, each with one request under way. It runs on
//! one thread, so that it leaves the rest of a small machine to the server.

use super::Limit;
use super::report::new_histogram;
use crate::cli::client::{Connection, Endpoint};
use crate::cli::progress::Progress;
use hdrhistogram::Histogram;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// What one connection does over and over; keeps its own sums.
pub trait Work {
    /// Events that one round stands for.
    fn events_per_round(&self) -> u64;
    /// Prepares the next round's request: not timed.
    fn prepare(&mut self);
    /// One timed round.
    async fn round(&mut self, connection: &mut Connection) -> anyhow::Result<()>;
}

#[derive(Debug)]
pub struct Measured {
    pub events: u64,
    pub elapsed: Duration,
    pub latency: Histogram<u64>,
}

struct Run<'a> {
    endpoint: &'a Endpoint,
    left: Cell<u64>,
    done: Cell<u64>,
    end: Option<Instant>,
    progress: Progress,
}

/// Every worker over a connection of its own, until the limit; the workers keep what they counted.
pub async fn closed_loop<W: Work>(what: &'static str, endpoint: &Endpoint, workers: &mut [W], limit: Limit) -> anyhow::Result<Measured> {
    let started = Instant::now();
    let run = Run {
        endpoint,
        left: Cell::new(limit.events.unwrap_or(u64::MAX)),
        done: Cell::new(0),
        end: limit.duration.map(|duration| started + duration),
        progress: Progress::new(what, limit.events.unwrap_or(0)),
    };
    let loops = workers.iter_mut().map(|worker| one_connection(&run, worker));
    let histograms = futures_util::future::try_join_all(loops).await?;
    let elapsed = started.elapsed();
    let mut latency = new_histogram()?;
    for histogram in &histograms {
        latency.add(histogram)?;
    }
    Ok(Measured { events: run.done.get(), elapsed, latency })
}

async fn one_connection<W: Work>(run: &Run<'_>, worker: &mut W) -> anyhow::Result<Histogram<u64>> {
    let mut histogram = new_histogram()?;
    let mut connection = run.endpoint.connect().await?;
    let size = worker.events_per_round();
    while run.left.get() >= size && run.end.is_none_or(|end| Instant::now() < end) {
        run.left.set(run.left.get() - size);
        worker.prepare();
        let sent = Instant::now();
        worker.round(&mut connection).await?;
        histogram.saturating_record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
        run.done.set(run.done.get() + size);
        run.progress.add(size);
    }
    Ok(histogram)
}
