//! What a benchmark prints: the JSON keys are a contract that scripts rely on.

use hdrhistogram::Histogram;
use serde::Serializer;
use serde_json::{Number, Value};
use std::io::Write;
use std::time::Duration;

/// Latencies in microseconds, up to ten minutes, three significant digits.
pub fn new_histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

#[derive(Debug)]
pub struct Report {
    pub events: u64,
    pub elapsed: Duration,
    pub latency: Histogram<u64>,
    /// The server's peak (`rate`: this process's).
    pub rss_mb: u64,
    /// Afterwards the books were compared with the sum of charges.
    pub checked: bool,
    /// What was run: batch size, connections, deck.
    pub more: Vec<(&'static str, Value)>,
}

impl Report {
    pub fn events_per_s(&self) -> u64 {
        let micros = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(self.events) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let quantile = |q: f64| thousandths(u128::from(self.latency.value_at_quantile(q)));
        let mut fields = vec![
            ("events", self.events.into()),
            ("seconds", thousandths(self.elapsed.as_millis())),
            ("events_per_s", self.events_per_s().into()),
            ("p50_ms", quantile(0.5)),
            ("p99_ms", quantile(0.99)),
            ("p999_ms", quantile(0.999)),
            ("rss_mb", self.rss_mb.into()),
            ("checked", self.checked.into()),
        ];
        fields.extend(self.more.iter().cloned());
        fields
    }

    pub fn write(&self, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
        if json {
            // In this order, which a map of serde_json would not keep.
            let mut line = serde_json::Serializer::new(Vec::new());
            line.collect_map(self.fields())?;
            writeln!(out, "{}", String::from_utf8(line.into_inner())?)?;
            return Ok(());
        }
        for (name, value) in self.fields() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(out, "{name:<14} {text:>14}")?;
        }
        Ok(())
    }
}

/// `value` / 1000 as a JSON number.
fn thousandths(value: u128) -> Value {
    let text = format!("{}.{:03}", value / 1000, value % 1000);
    text.parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}

/// Peak resident memory of a process, in MiB; 0 where the system does not tell.
pub fn peak_rss_mb(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<u64>().ok()).map_or(0, |kb| kb / 1024)
}
