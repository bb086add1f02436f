//! What a benchmark prints: the JSON keys are a contract that scripts rely on.

use super::cost::Cost;
use hdrhistogram::Histogram;
use serde::Serializer;
use serde_json::{Number, Value};
use std::io::{self, Write};
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
    /// None: load and server are one (`rate`).
    pub cost: Option<Cost>,
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
        fields.extend(self.cost_fields());
        fields.extend(self.more.iter().cloned());
        fields
    }

    /// Processor time in seconds, and of this process in percent of one core.
    fn cost_fields(&self) -> Vec<(&'static str, Value)> {
        let Some(Cost { client, server }) = self.cost else {
            return Vec::new();
        };
        let seconds =
            |time: Option<Duration>| time.map_or(Value::Null, |time| thousandths(time.as_millis()));
        let percent = client.map_or(Value::Null, |time| self.percent_of_core(time).into());
        vec![
            ("client_cpu_s", seconds(client)),
            ("client_cpu_percent", percent),
            ("server_cpu_s", seconds(server)),
        ]
    }

    fn percent_of_core(&self, time: Duration) -> u64 {
        let percent = time.as_micros() * 100 / self.elapsed.as_micros().max(1);
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    pub fn write(&self, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
        if json {
            // In this order, which a map of serde_json would not keep.
            let mut line = serde_json::Serializer::new(Vec::new());
            line.collect_map(self.fields())?;
            writeln!(out, "{}", String::from_utf8(line.into_inner())?)?;
            return Ok(());
        }
        Ok(self.write_table(out)?)
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        const SETTINGS_PER_LINE: usize = 4;
        let given: Vec<_> = self
            .more
            .iter()
            .filter(|(_, value)| !value.is_null())
            .collect();
        for line in given.chunks(SETTINGS_PER_LINE) {
            let cells: String = line
                .iter()
                .map(|(name, value)| format!("{:<12}{:<12}", format!("{name} "), shown(value)))
                .collect();
            writeln!(out, "{}", cells.trim_end())?;
        }
        let ms = |q: f64| in_thousandths(u128::from(self.latency.value_at_quantile(q)));
        writeln!(
            out,
            "\n{:>14}{:>10}{:>12}{:>11}{:>11}{:>11}{:>9}",
            "events", "seconds", "events/s", "p50 ms", "p99 ms", "p99.9 ms", "peak MB"
        )?;
        writeln!(
            out,
            "{:>14}{:>10}{:>12}{:>11}{:>11}{:>11}{:>9}",
            grouped(self.events),
            in_thousandths(self.elapsed.as_millis()),
            grouped(self.events_per_s()),
            ms(0.5),
            ms(0.99),
            ms(0.999),
            grouped(self.rss_mb)
        )?;
        if let Some(cost) = self.cost {
            writeln!(out, "\n{:<16}{:>8}{:>15}", "", "CPU s", "% of a core")?;
            for (whose, time) in [("load generator", cost.client), ("server", cost.server)] {
                let seconds =
                    time.map_or_else(|| "?".to_owned(), |time| in_thousandths(time.as_millis()));
                let percent = time.map_or_else(
                    || "?".to_owned(),
                    |time| grouped(self.percent_of_core(time)),
                );
                writeln!(out, "{whose:<16}{seconds:>8}{percent:>15}")?;
            }
        }
        let checked = if self.checked {
            "the books match the responses"
        } else {
            "WRONG: the books differ from the responses"
        };
        writeln!(out, "\nchecked: {checked}")
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), grouped),
        other => other.to_string(),
    }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let commas = |(index, digit): (usize, char)| {
        let comma = (index > 0 && (digits.len() - index).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(commas).collect()
}

fn in_thousandths(value: u128) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}

/// `value` / 1000 as a JSON number.
fn thousandths(value: u128) -> Value {
    in_thousandths(value)
        .parse()
        .ok()
        .and_then(Number::from_f64)
        .map_or(Value::Null, Value::Number)
}

/// Peak resident memory of a process, in MiB; 0 where the system does not tell.
pub fn peak_rss_mb(pid: &str) -> u64 {
    memory_mb(pid, "VmHWM:")
}

/// As [`peak_rss_mb`], but now.
pub fn current_rss_mb(pid: &str) -> u64 {
    memory_mb(pid, "VmRSS:")
}

fn memory_mb(pid: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|kb| kb.parse::<u64>().ok())
        .map_or(0, |kb| kb / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checked: bool) -> Report {
        let mut latency = new_histogram().unwrap();
        (1..=1000).for_each(|ms| latency.record(ms * 1000).unwrap());
        let cost = Some(Cost {
            client: Some(Duration::from_millis(1_500)),
            server: None,
        });
        let more = vec![
            ("bench", "ingest".into()),
            ("batch", 1000.into()),
            ("rate", Value::Null),
            ("deck", 36_000.into()),
        ];
        Report {
            events: 1_234_567,
            elapsed: Duration::from_millis(10_005),
            latency,
            rss_mb: 42,
            checked,
            cost,
            more,
        }
    }

    fn written(json: bool, checked: bool) -> String {
        let mut out = Vec::new();
        report(checked).write(json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_keys_are_a_contract() {
        insta::assert_snapshot!(written(true, true), @r#"{"events":1234567,"seconds":10.005,"events_per_s":123395,"p50_ms":500.223,"p99_ms":990.207,"p999_ms":999.423,"rss_mb":42,"checked":true,"client_cpu_s":1.5,"client_cpu_percent":14,"server_cpu_s":null,"bench":"ingest","batch":1000,"rate":null,"deck":36000}"#);
    }

    #[test]
    fn a_table_for_people() {
        insta::assert_snapshot!(written(false, false), @r"
        bench       ingest      batch       1,000       deck        36,000

                events   seconds    events/s     p50 ms     p99 ms   p99.9 ms  peak MB
             1,234,567    10.005     123,395    500.223    990.207    999.423       42

                           CPU s    % of a core
        load generator     1.500             14
        server                 ?              ?

        checked: WRONG: the books differ from the responses
        ");
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
