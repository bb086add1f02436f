//! A bar on stderr for work that takes more than a second; nothing where stderr is not a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(200);
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// Counts up silently, and shows itself once the work has taken a second.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    shown: Cell<bool>,
}

impl Progress {
    /// `total` 0: it is not known.
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = if total == 0 {
            ProgressBar::no_length()
        } else {
            ProgressBar::new(total)
        };
        bar.set_draw_target(ProgressDrawTarget::hidden());
        bar.set_message(what);
        let template = if total == 0 {
            "{msg} {human_pos} ({per_sec}, {elapsed})"
        } else {
            "{msg} [{wide_bar}] {human_pos}/{human_len} ({per_sec}, {eta} left)"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            started: Instant::now(),
            shown: Cell::new(false),
        }
    }

    /// Of bytes. `total` 0: it is not known.
    pub fn bytes(what: &'static str, total: u64) -> Self {
        let progress = Self::new(what, total);
        let template = if total == 0 {
            "{msg} {bytes} ({bytes_per_sec}, {elapsed})"
        } else {
            "{msg} [{wide_bar}] {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left)"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            progress.bar.set_style(style);
        }
        progress
    }

    /// For work that says nothing until it is done.
    pub fn waiting(what: &'static str) -> Self {
        let progress = Self::new(what, 0);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            progress.bar.set_style(style);
        }
        progress
    }

    /// Awaits, and shows that it does.
    pub async fn over<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(TICK, work.as_mut()).await {
                Ok(done) => return done,
                Err(_elapsed) => self.add(1),
            }
        }
    }

    pub fn add(&self, count: u64) {
        self.bar.inc(count);
        if !self.shown.get() && self.started.elapsed() > SHOWN_AFTER {
            self.shown.set(true);
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
