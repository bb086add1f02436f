//! Background tasks under one supervisor. A task that panics is logged once, counted, and started
//! again after a pause; one that keeps panicking is named, so that readiness can tell. At shutdown
//! tasks finish the round they are in.

mod panics;
mod rounds;

pub use panics::{Panicked, caught};
pub use rounds::Rounds;
pub use tokio_util::sync::CancellationToken;

use backon::{BackoffBuilder, ExponentialBuilder};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// So many panics in a row, and a task counts as down.
const PANICS_MAX: u32 = 3;

/// When a task is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Before the last requests are answered: what it does, another process or the next start does
    /// as well.
    Shutdown,
    /// After them: they need it.
    Drained,
}

/// When a task that panicked starts again.
#[derive(Debug, Clone, Copy)]
struct Pace {
    pause_first: Duration,
    pause_max: Duration,
    /// A task that has run this long after a panic is well again.
    steady: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            pause_first: Duration::from_secs(1),
            pause_max: Duration::from_secs(30),
            steady: Duration::from_secs(60),
        }
    }
}

impl Pace {
    fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::new()
            .with_min_delay(self.pause_first)
            .with_max_delay(self.pause_max)
            .without_max_times()
            .build()
    }
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Supervisor(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    pace: Pace,
    shutdown: Stage,
    drained: Stage,
    panicked: Mutex<BTreeMap<&'static str, Panics>>,
}

#[derive(Debug, Default)]
struct Stage {
    tasks: TaskTracker,
    token: CancellationToken,
}

/// Of one task, since it last ran long enough.
#[derive(Debug, Clone)]
struct Panics {
    in_a_row: u32,
    /// By then it has run long enough, unless it panics again.
    well_at: Instant,
    message: String,
}

impl Panics {
    fn is_down(&self, now: Instant) -> bool {
        self.in_a_row >= PANICS_MAX && now < self.well_at
    }
}

/// Tasks that did not end in their time and were cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOff(pub usize);

impl Supervisor {
    /// Runs what `task` makes, on the present runtime, until it returns. When it panics, it is made
    /// anew. It should end soon after its token is cancelled, see [`Rounds`].
    pub fn run<F>(
        &self,
        name: &'static str,
        until: Until,
        task: impl FnMut(CancellationToken) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let stage = self.stage(until);
        let (inner, token) = (Arc::clone(&self.0), stage.token.clone());
        stage
            .tasks
            .spawn(async move { inner.supervise(name, &token, task).await });
    }

    /// The tasks that panic again and again, each with what it last said.
    pub fn down(&self) -> Vec<String> {
        let now = Instant::now();
        let panicked = self
            .0
            .panicked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        panicked
            .iter()
            .filter(|(_, panics)| panics.is_down(now))
            .map(|(name, panics)| format!("{name}: {}", panics.message))
            .collect()
    }

    /// Asks the tasks to end, and waits.
    ///
    /// # Errors
    /// Some did not, and go on until the runtime ends.
    pub async fn stop(&self, until: Until, within: Duration) -> Result<(), CutOff> {
        let Stage { tasks, token } = self.stage(until);
        token.cancel();
        tasks.close();
        tokio::time::timeout(within, tasks.wait())
            .await
            .map_err(|_| CutOff(tasks.len()))
    }

    fn stage(&self, until: Until) -> &Stage {
        match until {
            Until::Shutdown => &self.0.shutdown,
            Until::Drained => &self.0.drained,
        }
    }
}

impl Inner {
    async fn supervise<F: Future<Output = ()>>(
        &self,
        name: &'static str,
        token: &CancellationToken,
        mut task: impl FnMut(CancellationToken) -> F,
    ) {
        let mut pauses = self.pace.pauses();
        while !token.is_cancelled() {
            let began = Instant::now();
            let Err(Panicked(message)) = caught(name, async { task(token.clone()).await }).await
            else {
                return;
            };
            let was_steady = began.elapsed() >= self.pace.steady;
            if was_steady {
                pauses = self.pace.pauses();
            }
            let pause = pauses.next().unwrap_or(self.pace.pause_max);
            self.note(
                name,
                message,
                was_steady,
                Instant::now() + pause + self.pace.steady,
            );
            token.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    fn note(&self, name: &'static str, message: String, was_steady: bool, well_at: Instant) {
        let mut panicked = self.panicked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = panicked
            .get(name)
            .filter(|_| !was_steady)
            .map_or(0, |before| before.in_a_row);
        panicked.insert(
            name,
            Panics {
                in_a_row: before.saturating_add(1),
                well_at,
                message,
            },
        );
    }
}

#[cfg(test)]
mod tests;
