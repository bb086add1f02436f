//! Throughput as it goes, one line of CSV per so many events: a cost that grows with what is stored
//! shows itself in the lines, not in an average.

use super::report::{current_rss_mb, new_histogram};
use anyhow::Context;
use hdrhistogram::Histogram;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const HEADER: &str = "events,seconds,events_per_s,p99_ms,rss_mb";

#[derive(Debug)]
pub struct Series<W> {
    out: W,
    /// Events per line.
    step: u64,
    /// Of the server.
    pid: Option<u32>,
    events: u64,
    /// Where the line under way began: events, time.
    from: (u64, Duration),
    latency: Histogram<u64>,
}

impl Series<std::fs::File> {
    pub fn create(path: &Path, step: u64, pid: Option<u32>) -> anyhow::Result<Self> {
        let file = std::fs::File::create(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Self::new(file, step, pid)
    }
}

impl<W: Write> Series<W> {
    fn new(mut out: W, step: u64, pid: Option<u32>) -> anyhow::Result<Self> {
        writeln!(out, "{HEADER}")?;
        Ok(Self {
            out,
            step: step.max(1),
            pid,
            events: 0,
            from: (0, Duration::ZERO),
            latency: new_histogram()?,
        })
    }

    /// One request: so many events, answered `elapsed` after the start.
    pub fn add(&mut self, events: u64, elapsed: Duration, latency_us: u64) -> anyhow::Result<()> {
        self.events += events;
        self.latency.saturating_record(latency_us);
        if self.events - self.from.0 < self.step {
            return Ok(());
        }
        let (count, micros) = (
            self.events - self.from.0,
            (elapsed.saturating_sub(self.from.1)).as_micros().max(1),
        );
        let per_s = u128::from(count) * 1_000_000 / micros;
        let (ms, p99_us) = (elapsed.as_millis(), self.latency.value_at_quantile(0.99));
        let rss_mb = self.pid.map_or(0, |pid| current_rss_mb(&pid.to_string()));
        writeln!(
            self.out,
            "{},{}.{:03},{per_s},{}.{:03},{rss_mb}",
            self.events,
            ms / 1000,
            ms % 1000,
            p99_us / 1000,
            p99_us % 1000
        )?;
        self.from = (self.events, elapsed);
        self.latency.reset();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_every_so_many_events() {
        let mut series = Series::new(Vec::new(), 1_000, None).unwrap();
        for request in 1..=25 {
            // 100 events in 10 ms, and in 20 ms from 1000 events on.
            let ms = if request <= 10 {
                request * 10
            } else {
                100 + (request - 10) * 20
            };
            series.add(100, Duration::from_millis(ms), ms).unwrap();
        }
        let text = String::from_utf8(series.out).unwrap();
        assert_eq!(
            text,
            format!("{HEADER}\n1000,0.100,10000,0.100,0\n2000,0.300,5000,0.300,0\n")
        );
    }
}
