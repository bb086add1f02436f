//! One writer's turn after another: takes all that is waiting, finds what is new, loads the states,
//! lets every command take its turn, commits once, answers everybody. While one batch is on its way
//! into the journal, the next may take its turns.
//!
//! Invariants: an answer goes out only after its commit is durable; a batch that fails leaves
//! nothing behind and every caller hears of it; the queue is bounded in events.

use crate::balance_monitor::BalanceMonitor;
use crate::batch_executor::Known;
use crate::command::{Command, CommandResult};
use crate::execution::{Executed, Execution, SWEEP_HOLDS_MAX, expire_page, names_of};
use crate::in_flight::{Ahead, InFlightBatch, InFlightBatches, Landed};
use crate::lanes;
use crate::queue::{
    COMMIT_COMMANDS_MAX, Clock, Job, QUEUE_COMMANDS_MAX, Queue, Reply, unconfirmed,
};
use crate::watch::{Outcomes, Post, Stage, Ticket, Watch};
use journal::{Journal, JournalError, Placed};
use ledger::{Hold, HoldState};
use prepare::failures;
use prepare::reporters::Reporters;
use rating::Instant;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use supervisor::caught;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
/// Commands that are worth a batch of their own while the one before is not yet durable.
const AHEAD_COMMANDS_MIN: usize = 1_000;
/// Batches that may be under way at once: one is written while the next is made ready.
const IN_FLIGHT_MAX: usize = 2;

/// What [`start`] has started.
#[derive(Debug)]
pub struct Started {
    pub queue: Queue,
    /// Ends when every [`Queue`] is gone and what was waiting is done.
    pub worker: JoinHandle<()>,
    pub watch: Watch,
    pub outcomes: Outcomes,
}

/// Starts the one committer, or the lanes, as the journal wants it.
pub fn start(journal: Arc<dyn Journal>, clock: Clock, balance_monitor: BalanceMonitor) -> Started {
    let (jobs, waiting) = mpsc::unbounded_channel();
    let places = Arc::new(Semaphore::new(QUEUE_COMMANDS_MAX));
    let outcomes = Outcomes::default();
    let (worker, posts) = match journal.locking().map(|locking| locking.lanes()) {
        Some(lanes) => {
            let post = Post::new("hand-out");
            let (workers, ways) =
                lanes::start(&journal, &clock, &balance_monitor, &outcomes, lanes);
            let posts: Vec<Post> = std::iter::once(post.clone())
                .chain(ways.iter().map(|way| way.post.clone()))
                .collect();
            let staffed = post.staff();
            let run = async move {
                let _staffed = staffed;
                lanes::run(workers, ways, waiting).await;
            };
            (tokio::spawn(run), posts)
        }
        None => {
            let (post, commits) = (Post::new("committer"), Post::new("journal"));
            let posts = vec![post.clone(), commits.clone()];
            let last_at = AtomicI64::new(Instant::MIN.micros());
            let outcomes = outcomes.clone();
            (
                tokio::spawn(
                    Committer {
                        journal,
                        clock,
                        balance_monitor,
                        outcomes,
                        waiting,
                        post,
                        commits,
                        last_at,
                    }
                    .run(),
                ),
                posts,
            )
        }
    };
    let queue = Queue {
        jobs,
        places,
        post: posts[0].clone(),
    };
    Started {
        queue,
        worker,
        watch: Watch::over(posts),
        outcomes,
    }
}

struct Committer {
    journal: Arc<dyn Journal>,
    clock: Clock,
    balance_monitor: BalanceMonitor,
    outcomes: Outcomes,
    waiting: mpsc::UnboundedReceiver<Job>,
    post: Post,
    /// Batches on their way into the journal, in tasks of their own.
    commits: Post,
    /// Of the last batch; `Instant::MIN`: not yet known.
    last_at: AtomicI64,
}

/// Who waits for how many of a batch's answers, in order.
struct Callers {
    waiters: Vec<Waiter>,
    outcomes: Outcomes,
}

struct Waiter {
    commands: usize,
    reply: Reply,
    place: OwnedSemaphorePermit,
    _waits: Ticket,
}

impl Committer {
    async fn run(mut self) {
        let _staffed = self.post.staff();
        let mut in_flight = InFlightBatches::default();
        while let Some(jobs) = self.next(&mut in_flight).await {
            // The callers of a batch that panicked hear of it as its answers are dropped.
            if caught("committer", self.serve(jobs, &mut in_flight))
                .await
                .is_err()
            {
                in_flight.land_all().await;
            }
            self.post.at(Stage::Idle);
        }
        in_flight.land_all().await;
    }

    /// All that is waiting. While batches are under way only when it is much: small ones gather
    /// into one.
    async fn next(&mut self, in_flight: &mut InFlightBatches) -> Option<Vec<Job>> {
        let (mut jobs, mut commands) = (Vec::new(), 0);
        loop {
            while commands < COMMIT_COMMANDS_MAX {
                let Ok(job) = self.waiting.try_recv() else {
                    break;
                };
                commands += job.work.len();
                jobs.push(job);
            }
            if commands >= AHEAD_COMMANDS_MIN || (in_flight.is_empty() && !jobs.is_empty()) {
                return Some(jobs);
            }
            let next = tokio::select! {
                biased;
                _all = in_flight.land_all(), if !in_flight.is_empty() => None,
                job = self.waiting.recv() => match job {
                    Some(job) => Some(job),
                    None => return (!jobs.is_empty()).then_some(jobs),
                },
            };
            if let Some(job) = next {
                commands += job.work.len();
                jobs.push(job);
            }
        }
    }

    /// Takes the turns of these jobs, and starts to commit what they came to.
    async fn serve(&self, jobs: Vec<Job>, in_flight: &mut InFlightBatches) {
        let mut work = Vec::with_capacity(jobs.iter().map(|job| job.work.len()).sum());
        let mut callers = Callers {
            waiters: Vec::with_capacity(jobs.len()),
            outcomes: self.outcomes.clone(),
        };
        for mut job in jobs {
            callers.waiters.push(Waiter {
                commands: job.work.len(),
                reply: job.reply,
                place: job.place,
                _waits: job.waits,
            });
            work.append(&mut job.work);
        }
        let executed = match self.execute(work, in_flight).await {
            Ok(executed) => executed,
            Err(error) => return callers.fail(&error),
        };
        let nothing = executed.batch.records.is_empty() && executed.batch.settled.is_empty();
        // What is small is durable before a task of its own would have begun.
        let small = executed.batch.records.len() < AHEAD_COMMANDS_MIN;
        let room = if small { 0 } else { IN_FLIGHT_MAX - 1 };
        if !in_flight.land_down_to(room).await {
            return callers.fail(&before_failed());
        }
        if nothing {
            callers.answer(executed.done);
        } else if small {
            let observations = self
                .balance_monitor
                .look(&executed.batch, &executed.below_cost);
            self.post.at(Stage::Commit);
            let committed = self.journal.commit(executed.batch).await;
            if committed.is_ok() {
                self.balance_monitor.tell(observations);
            }
            callers.hear(committed, executed.done);
        } else {
            in_flight.push(self.depart(executed, callers, in_flight.last()));
        }
    }

    /// Commits in a task of its own, after the batch before, and answers there.
    fn depart(
        &self,
        executed: Executed,
        callers: Callers,
        before: Option<Landed>,
    ) -> InFlightBatch {
        let Executed {
            done,
            mut batch,
            fresh,
            reporters,
            below_cost,
        } = executed;
        let plain = batch.amendments.is_empty() && batch.settled.is_empty();
        let ahead = plain.then(|| Ahead {
            state: batch.state.clone(),
            fresh,
            reporters,
        });
        let (journal, balance_monitor) = (Arc::clone(&self.journal), self.balance_monitor.clone());
        let (tell, landed) = watch::channel(None);
        let (commits, waits) = (self.commits.clone(), self.commits.enter());
        tokio::spawn(async move {
            let _waits = waits;
            journal.pack(&mut batch);
            let observations = balance_monitor.look(&batch, &below_cost);
            let well = match before {
                Some(mut before) => before.wait().await,
                None => true,
            };
            commits.at(Stage::Commit);
            let committed = if well {
                journal.commit(batch).await
            } else {
                Err(before_failed())
            };
            if committed.is_ok() {
                // Before the batch behind it is committed: the last to tell of an account tells of
                // its last balance.
                balance_monitor.tell(observations);
            }
            // Before anybody hears of it: who sends again must not be worked out on what was lost.
            // Nobody asks after the committer has ended.
            let _told = tell.send(Some(committed.is_ok()));
            callers.hear(committed, done);
        });
        InFlightBatch {
            landed: Landed(landed),
            ahead,
        }
    }

    /// Never before the batch before, also when the clock was set back.
    async fn now(&self) -> Result<Instant, JournalError> {
        let before = match Instant(self.last_at.load(Ordering::Relaxed)) {
            Instant::MIN => self.journal.last_committed_at().await?,
            known => known,
        };
        let now = (self.clock)().max(before);
        self.last_at.store(now.micros(), Ordering::Relaxed);
        Ok(now)
    }

    async fn execute(
        &self,
        mut work: Vec<Command>,
        in_flight: &mut InFlightBatches,
    ) -> Result<Executed, JournalError> {
        self.post.at(Stage::Find);
        let (reporters, known) = self.meet(&mut work, in_flight).await?;
        let now = self.now().await?;
        self.post.at(Stage::Holds);
        let expired = self.sweep(now, in_flight).await?;
        self.post.at(Stage::Load);
        let execution = Execution {
            journal: &*self.journal,
            in_flight,
        };
        Ok(Executed {
            reporters,
            ..execution.run(now, &expired, work, known).await?
        })
    }

    /// Who else may have reported these events, and what is known under the names of these
    /// commands. Waits for the batches under way, if they need more of them than their states.
    /// Commands are many and far apart in memory: their names are gathered once for both.
    async fn meet(
        &self,
        work: &mut [Command],
        in_flight: &mut InFlightBatches,
    ) -> Result<(Reporters, Known), JournalError> {
        let execution = Execution {
            journal: &*self.journal,
            in_flight,
        };
        let reporters = execution.look_beside(work).await?;
        let names = names_of(work);
        if in_flight.may_run_ahead(work, &names) {
            return Ok((reporters, execution.known(&names).await?));
        }
        in_flight.land_all().await;
        // All that have reported are known to the journal now.
        let execution = Execution {
            journal: &*self.journal,
            in_flight,
        };
        let reporters = execution.look_beside(work).await?;
        Ok((reporters, execution.known(&names_of(work)).await?))
    }

    /// Holds that are over, to be expired at the head of the batch; a full page is a step of its
    /// own.
    async fn sweep(
        &self,
        now: Instant,
        in_flight: &mut InFlightBatches,
    ) -> Result<Vec<Hold>, JournalError> {
        loop {
            let mut expired = self.journal.expired_holds(now, SWEEP_HOLDS_MAX).await?;
            if expired.len() < SWEEP_HOLDS_MAX {
                let is_due = |hold: &Hold| hold.state == HoldState::Open && hold.is_over(now);
                let newest = |hold: &Hold| {
                    in_flight
                        .ahead()
                        .rev()
                        .find_map(|ahead| ahead.state.holds.get(&hold.id))
                };
                expired.retain(|hold| newest(hold).is_none_or(is_due));
                return Ok(expired);
            }
            if !in_flight.is_empty() {
                if !in_flight.land_all().await {
                    return Err(before_failed());
                }
                continue;
            }
            expire_page(&*self.journal, now, &expired).await?;
            self.balance_monitor.expired(&expired);
        }
    }
}

fn before_failed() -> JournalError {
    JournalError::Unavailable("the batch before was not committed".to_owned())
}

impl Callers {
    /// What became of their batch.
    fn hear(self, committed: Result<Placed, JournalError>, mut done: Vec<CommandResult>) {
        match committed {
            Ok(placed) => {
                self.outcomes.durable();
                done.iter_mut().for_each(|answer| answer.place(&placed));
                self.answer(done);
            }
            Err(error) => self.fail(&error),
        }
    }

    fn answer(self, done: Vec<CommandResult>) {
        let mut done = done.into_iter();
        for Waiter {
            commands,
            reply,
            place,
            ..
        } in self.waiters
        {
            let answers = done.by_ref().take(commands).collect();
            // Who has its answer finds its places free.
            drop(place);
            // A caller that went away misses its answer; the work is done all the same.
            let _gone = reply.send(Ok(answers));
        }
    }

    fn fail(self, error: &JournalError) {
        let commands: usize = self.waiters.iter().map(|waiter| waiter.commands).sum();
        tracing::error!(%error, commands, "batch not committed");
        self.outcomes.failed(error.to_string());
        failures::count();
        for Waiter { reply, place, .. } in self.waiters {
            drop(place);
            let _gone = reply.send(Err(unconfirmed()));
        }
    }
}
