//! Draws what `centwise bench --series FILE.csv` wrote: throughput, and below it the 99th
//! percentile of the latencies, by million events.
//!
//! `cargo run -p centwise-benches --example plot -- FILE.csv FILE.svg [TITLE]`

#![expect(clippy::float_arithmetic, reason = "a drawing; no money near it")]

use anyhow::{Context, ensure};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (960, 620);
/// Of the height, for throughput.
const UPPER_PERCENT: u32 = 62;
const FONT: &str = "sans-serif";
const TITLE_DEFAULT: &str = "centwise bench ingest: throughput by million events";
const THROUGHPUT: RGBColor = RGBColor(0x1b, 0x66, 0xa8);
const LATENCY: RGBColor = RGBColor(0xb0, 0x4a, 0x2f);

/// Millions of events so far, thousands of events per second, milliseconds.
struct Step {
    events: f64,
    per_s: f64,
    p99: f64,
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, rest @ ..] = args.as_slice() else {
        anyhow::bail!("usage: plot FILE.csv FILE.svg [TITLE]")
    };
    let steps = read(Path::new(from))?;
    ensure!(
        steps.len() > 1,
        "{from} has fewer than two steps: a shorter --series-step draws a short run"
    );
    draw(
        &steps,
        Path::new(to),
        rest.first().map_or(TITLE_DEFAULT, String::as_str),
    )
}

fn read(path: &Path) -> anyhow::Result<Vec<Step>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name| {
        names
            .iter()
            .position(|other| *other == name)
            .with_context(|| format!("no column {name}"))
    };
    let (events, per_s, p99) = (
        column("events")?,
        column("events_per_s")?,
        column("p99_ms")?,
    );
    let step = |line: &str| -> anyhow::Result<Step> {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| -> anyhow::Result<f64> {
            Ok(cells.get(at).copied().unwrap_or_default().parse::<f64>()?)
        };
        Ok(Step {
            events: number(events)? / 1e6,
            per_s: number(per_s)? / 1e3,
            p99: number(p99)?,
        })
    };
    lines
        .map(|line| step(line).with_context(|| format!("{line:?} is no step")))
        .collect()
}

fn draw(steps: &[Step], path: &Path, title: &str) -> anyhow::Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.margin(10, 0, 0, 0).titled(title, (FONT, 22))?;
    let (upper, lower) = root.split_vertically(SIZE.1 * UPPER_PERCENT / 100);
    let of = |value: fn(&Step) -> f64| {
        steps
            .iter()
            .map(|step| (step.events, value(step)))
            .collect::<Vec<_>>()
    };
    panel(
        &upper,
        &of(|step| step.per_s),
        "thousand events/s",
        "",
        THROUGHPUT,
    )?;
    panel(
        &lower,
        &of(|step| step.p99),
        "p99, ms",
        "million events",
        LATENCY,
    )?;
    root.present()?;
    Ok(())
}

/// One line over the events, from 0 up.
fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    points: &[(f64, f64)],
    y_label: &str,
    x_label: &str,
    colour: RGBColor,
) -> anyhow::Result<()> {
    let right = points.iter().map(|point| point.0).fold(0.0, f64::max);
    let top = points.iter().map(|point| point.1).fold(0.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(28)
        .x_label_area_size(if x_label.is_empty() { 24 } else { 46 })
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..right, 0.0..top.max(1e-6))?;
    chart
        .configure_mesh()
        .bold_line_style(RGBColor(0xd8, 0xd8, 0xd8))
        .light_line_style(TRANSPARENT)
        .axis_style(RGBColor(0x60, 0x60, 0x60))
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 15))
        .y_desc(y_label)
        .x_desc(x_label)
        .y_labels(7)
        .x_labels(11)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    chart.draw_series(LineSeries::new(
        points.iter().copied(),
        colour.stroke_width(2),
    ))?;
    Ok(())
}

/// Without decimals that say nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
