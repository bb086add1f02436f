//! The engine as everybody uses it: HTTP, command line, tests. Prepares in the caller's task, hands
//! over to the one committer, waits until the answer is durable.

mod amend;
mod holds;
mod money;
mod overruling;
mod records;
mod usage;

use crate::balance_monitor::BalanceMonitor;
use crate::behind::LongVoids;
use crate::command::{Command, CommandResult, out_of_step};
use crate::committer::{self, Started};
use crate::queue::{Clock, Queue};
use crate::watch::{Outcomes, Waiting, Watch};
use journal::{Journal, Reporter};
use prepare::caller::Caller;
use prepare::directory::Directory;
use prepare::preparer::{Lateness, UsagePreparer};
use problem::{Code, Problem};
use rating::Instant;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    directory: Directory,
    journal: Arc<dyn Journal>,
    clock: Clock,
    balance_monitor: BalanceMonitor,
    queue: Arc<Mutex<Option<Queue>>>,
    worker: Arc<tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>>,
    watch: Watch,
    outcomes: Outcomes,
    gate: Gate,
    long_voids: Arc<LongVoids>,
}

/// Whether money may be written now; asked once for each submission.
pub type Gate = Arc<dyn Fn() -> Result<(), Problem> + Send + Sync>;

/// Commands were still under way when the time to finish them was over.
#[derive(Debug, thiserror::Error)]
#[error("after {} s these had not finished: {}", .within.as_secs(), .waiting.iter().map(Waiting::place).collect::<Vec<_>>().join(", "))]
pub struct NotDrained {
    pub within: Duration,
    pub waiting: Vec<Waiting>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// Starts the committer on the present runtime.
    pub fn start(journal: Arc<dyn Journal>, directory: Directory, clock: Clock) -> Self {
        let balance_monitor = BalanceMonitor::default();
        let Started {
            queue,
            worker,
            watch,
            outcomes,
        } = committer::start(
            Arc::clone(&journal),
            Arc::clone(&clock),
            balance_monitor.clone(),
        );
        let (queue, worker) = (
            Arc::new(Mutex::new(Some(queue))),
            Arc::new(tokio::sync::Mutex::new(Some(worker))),
        );
        Self {
            directory,
            journal,
            clock,
            balance_monitor,
            queue,
            worker,
            watch,
            outcomes,
            gate: Arc::new(|| Ok(())),
            long_voids: Arc::default(),
        }
    }

    /// The same engine behind a gate.
    #[must_use]
    pub fn guarded(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// # Errors
    /// Why no money may be written now.
    pub fn may_write(&self) -> Result<(), Problem> {
        (self.gate)()
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }
    /// Where to hear of what durable batches changed.
    pub fn balance_monitor(&self) -> &BalanceMonitor {
        &self.balance_monitor
    }
    pub fn now(&self) -> Instant {
        (self.clock)()
    }
    /// After every cold write.
    pub fn invalidate(&self) {
        self.directory.invalidate();
    }

    /// Whether commands are taken.
    pub fn is_running(&self) -> bool {
        self.queue
            .lock()
            .is_ok_and(|queue| queue.as_ref().is_some_and(Queue::is_open))
    }

    /// How it stands at every queue and lane; `now` on a clock that only goes forward. To be asked
    /// about once a second.
    pub fn waiting(&self, now: Duration) -> Vec<Waiting> {
        self.watch.look(now)
    }

    /// Why batches do not become durable, if several in a row failed of late; `now` as of
    /// [`Self::waiting`].
    pub fn failing(&self, now: Duration) -> Option<String> {
        self.outcomes.failing(now)
    }

    /// Finishes what is waiting; everything later is refused.
    ///
    /// # Errors
    /// It was not finished in time. What waits still goes on as long as the process does, and may
    /// be durable or not: whoever sent it hears nothing, and sends it again.
    pub async fn drain(&self, within: Duration) -> Result<(), NotDrained> {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        let Some(mut worker) = self.worker.lock().await.take() else {
            return Ok(());
        };
        match tokio::time::timeout(within, &mut worker).await {
            Ok(_stopped) => Ok(()),
            Err(_) => {
                let waits = |waiting: &Waiting| waiting.count > 0;
                Err(NotDrained {
                    within,
                    waiting: self
                        .waiting(Duration::ZERO)
                        .into_iter()
                        .filter(waits)
                        .collect(),
                })
            }
        }
    }

    pub(crate) async fn submit(&self, work: Vec<Command>) -> Result<Vec<CommandResult>, Problem> {
        self.may_write()?;
        let queue = self.queue.lock().ok().and_then(|queue| queue.clone());
        queue
            .ok_or_else(|| Problem::new(Code::Unavailable, "the engine is shutting down"))?
            .submit(work)
            .await
    }

    async fn submit_one(&self, work: Command) -> Result<CommandResult, Problem> {
        self.submit(vec![work]).await?.pop().ok_or_else(out_of_step)
    }

    async fn preparer<'a>(
        &'a self,
        caller: &'a Caller,
        late: Lateness,
    ) -> Result<UsagePreparer<'a>, Problem> {
        let reporter = self.directory.reporter(caller).await?;
        Ok(self.preparer_of(caller, reporter, late))
    }

    pub(crate) fn preparer_of<'a>(
        &'a self,
        caller: &'a Caller,
        reporter: Reporter,
        late: Lateness,
    ) -> UsagePreparer<'a> {
        UsagePreparer::new(
            &self.directory,
            &*self.journal,
            (caller, reporter),
            self.now(),
            late,
        )
    }
}
