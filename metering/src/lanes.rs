//! Batches on a journal that several processes write. Each begins by locking its roots, so that
//! nothing of them changes from look-up to commit; lanes work side by side, each on roots of its
//! own.
//!
//! Invariants: a root's commands take their turns in the order in which they came; a caller is
//! answered when all of its commands are durable, and hears at once when some are not. A lane goes
//! on whatever becomes of a batch: every step of one has its time, and a panic costs that batch
//! alone.

mod gather;
#[cfg(test)]
mod tests;

use crate::balance_monitor::BalanceMonitor;
use crate::batch_executor::BatchExecutor;
use crate::command::{Command, CommandResult};
use crate::execution::{Execution, SWEEP_HOLDS_MAX, execute, expire_page, names_of};
use crate::in_flight::InFlightBatches;
use crate::queue::{COMMIT_COMMANDS_MAX, Clock, Job};
use crate::watch::{Outcomes, Post, Stage};
use backon::{BackoffBuilder, ExponentialBuilder};
use gather::{Caller, Piece, Way, hand_out};
use journal::{Journal, JournalError, Lanes};
use ledger::Hold;
use prepare::event::RatedEvent;
use prepare::failures;
use problem::{Code, Problem};
use rating::TenantId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use supervisor::caught;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Attempts at one batch of which nothing was written.
const ATTEMPTS_MAX: usize = 8;
/// Doubles with every attempt.
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(PAUSE_FIRST)
    .with_max_times(ATTEMPTS_MAX - 1);
/// Time for all that comes before the turns of a batch, and again for its commit: more than the
/// database itself allows for a lock or a statement, so that this ends only what nobody there will
/// ever answer.
const STEP_TIME_MAX: Duration = Duration::from_secs(60);

/// Hands every job's commands to the lanes of their roots; ends when no more come and all are done.
pub async fn run(
    lanes: Vec<JoinHandle<()>>,
    ways: Vec<Way>,
    mut waiting: mpsc::UnboundedReceiver<Job>,
) {
    while let Some(job) = waiting.recv().await {
        hand_out(job, &ways);
    }
    drop(ways);
    for lane in lanes {
        // One that was ended has failed its callers by dropping them.
        let _ended = lane.await;
    }
}

/// The lanes, each at its post and waiting for work.
pub fn start(
    journal: &Arc<dyn Journal>,
    clock: &Clock,
    balance_monitor: &BalanceMonitor,
    outcomes: &Outcomes,
    lanes: Lanes,
) -> (Vec<JoinHandle<()>>, Vec<Way>) {
    let start = |number| {
        let (pieces, waiting) = mpsc::unbounded_channel();
        let post = Post::new(format!("lane-{number}"));
        let (journal, clock, balance_monitor, outcomes) = (
            Arc::clone(journal),
            Arc::clone(clock),
            balance_monitor.clone(),
            outcomes.clone(),
        );
        let lane = Lane {
            journal,
            clock,
            balance_monitor,
            outcomes,
            lanes,
            waiting,
            aside: None,
            post: post.clone(),
            step_time_max: STEP_TIME_MAX,
        };
        (tokio::spawn(lane.run()), Way { pieces, post })
    };
    (0..lanes.count.max(1)).map(start).unzip()
}

struct Lane {
    journal: Arc<dyn Journal>,
    clock: Clock,
    balance_monitor: BalanceMonitor,
    outcomes: Outcomes,
    lanes: Lanes,
    waiting: mpsc::UnboundedReceiver<Piece>,
    /// The next piece, which did not go with the batch before.
    aside: Option<Piece>,
    post: Post,
    step_time_max: Duration,
}

/// Where an answer goes: the piece, by its number, and the command's place in its job.
type Place = (usize, usize);

/// Commands of one batch, and where each one's answer goes.
#[derive(Default)]
struct Part {
    work: Vec<Command>,
    places: Vec<Place>,
}

impl Part {
    fn push(&mut self, work: Command, place: Place) {
        self.work.push(work);
        self.places.push(place);
    }
}

/// Whose commands a batch has, by the numbers of their pieces.
type Callers = Vec<Caller>;

/// The commands of one more piece, each with its way back.
fn enter(piece: Piece, callers: &mut Callers) -> impl Iterator<Item = (Command, Place)> + use<> {
    let number = callers.len();
    callers.push(piece.caller);
    piece
        .work
        .into_iter()
        .zip(piece.places)
        .map(move |(work, place)| (work, (number, place)))
}

/// Gives every caller its own of a batch's answers. Each takes its run whole, whether somebody
/// still waits for it or not: a job that another lane has failed meanwhile must keep neither the
/// lane nor the callers behind it.
fn hand_back(places: &[Place], done: Vec<CommandResult>, callers: &Callers) {
    let mut done = VecDeque::from(done);
    for run in places.chunk_by(|a, b| a.0 == b.0) {
        let own = done.drain(..run.len().min(done.len()));
        callers[run[0].0].put(run.iter().map(|(_, place)| *place).zip(own));
    }
}

/// How far a batch came before its turns.
enum Before {
    Ready {
        locked: Arc<dyn Journal>,
        turn: Box<BatchExecutor>,
        expired: Vec<Hold>,
    },
    /// Something had to be done or locked first.
    Again,
}

impl Lane {
    async fn run(mut self) {
        let _staffed = self.post.staff();
        let name = self.post.name().to_owned();
        while let Some(first) = self.next().await {
            let mut callers = Callers::new();
            if caught(&name, self.round(first, &mut callers))
                .await
                .is_err()
            {
                callers.iter().for_each(Caller::fail);
            }
            self.post.at(Stage::Idle);
        }
    }

    /// All that waits, in one batch or in one for each root.
    async fn round(&mut self, first: Piece, callers: &mut Callers) {
        let (mut parts, mut commands) = (BTreeMap::<TenantId, Part>::new(), 0);
        let mut next = Some(first);
        while let Some(piece) = next {
            commands += piece.work.len();
            self.sort(piece, callers, &mut parts);
            next = if commands < COMMIT_COMMANDS_MAX {
                self.try_next()
            } else {
                None
            };
        }
        for part in parts.into_values() {
            self.serve(part, callers).await;
        }
    }

    async fn next(&mut self) -> Option<Piece> {
        match self.aside.take() {
            Some(piece) => Some(piece),
            None => self.waiting.recv().await,
        }
    }

    fn try_next(&mut self) -> Option<Piece> {
        self.aside.take().or_else(|| self.waiting.try_recv().ok())
    }

    /// All in one batch, or a batch for each root.
    fn sort(&self, piece: Piece, callers: &mut Callers, parts: &mut BTreeMap<TenantId, Part>) {
        for (work, place) in enter(piece, callers) {
            let batch = if self.lanes.one_root {
                work.root()
            } else {
                TenantId(0)
            };
            match work {
                Command::Correct { event, .. }
                    if self.lanes.one_root && event.name().name.root != batch =>
                {
                    callers[place.0].put(std::iter::once((
                        place.1,
                        CommandResult::Amended(Err(of_two_roots(&event))),
                    )));
                }
                work => parts.entry(batch).or_default().push(work, place),
            }
        }
    }

    /// While the batch waited for its locks more came in, which goes with it as far as it is of
    /// these roots: who waits long for others makes large batches. What is not goes next, and all
    /// behind it later, so that none overtakes.
    fn top_up(&mut self, roots: &BTreeSet<TenantId>, part: &mut Part, callers: &mut Callers) {
        while part.work.len() < COMMIT_COMMANDS_MAX {
            let Some(piece) = self.try_next() else { break };
            let is_locked = |work: &Command| {
                roots.contains(&work.root())
                    && work.other_root().is_none_or(|root| roots.contains(&root))
            };
            if !piece.work.iter().all(is_locked) {
                self.aside = Some(piece);
                break;
            }
            enter(piece, callers).for_each(|(work, place)| part.push(work, place));
        }
    }

    async fn serve(&mut self, mut part: Part, callers: &mut Callers) {
        match self.commit(&mut part, callers).await {
            Ok(done) => {
                self.outcomes.durable();
                hand_back(&part.places, done, callers);
            }
            Err(error) => {
                // Another transaction that holds a root says nothing of the database.
                if self.post.stage() != Stage::Lock {
                    self.outcomes.failed(error.to_string());
                }
                tracing::error!(%error, commands = part.places.len(), "batch not committed");
                failures::count();
                part.places
                    .chunk_by(|a, b| a.0 == b.0)
                    .for_each(|run| callers[run[0].0].fail());
            }
        }
    }

    /// Takes the commands of the part, not their places.
    async fn commit(
        &mut self,
        part: &mut Part,
        callers: &mut Callers,
    ) -> Result<Vec<CommandResult>, JournalError> {
        let mut roots: BTreeSet<TenantId> = part.work.iter().map(Command::root).collect();
        if !self.lanes.one_root {
            roots.extend(part.work.iter().filter_map(Command::other_root));
        }
        let mut pauses = PAUSES.build();
        loop {
            match self.attempt(&mut roots, part, callers).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                // Without its commands there is nothing to begin again with.
                Err(JournalError::Conflict(reason)) if !part.work.is_empty() => {
                    let Some(pause) = pauses.next() else {
                        return Err(JournalError::Conflict(reason));
                    };
                    tracing::debug!(reason, ?pause, "retrying batch");
                    self.post.at(Stage::Pause);
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `None`: it needed more than was locked. What fails has its commands back if it may begin
    /// again.
    async fn attempt(
        &mut self,
        roots: &mut BTreeSet<TenantId>,
        part: &mut Part,
        callers: &mut Callers,
    ) -> Result<Option<Vec<CommandResult>>, JournalError> {
        let step_time_max = self.step_time_max;
        let before = within(step_time_max, self.before(roots, part, callers)).await?;
        let Before::Ready {
            locked,
            turn,
            expired,
        } = before
        else {
            return Ok(None);
        };
        self.post.at(Stage::Turns);
        let kept = self.lanes.may_be_undone.then(|| part.work.clone());
        let executed = execute(*turn, &expired, std::mem::take(&mut part.work))?;
        let (batch, mut done) = (executed.batch, executed.done);
        if !batch.records.is_empty() || !batch.settled.is_empty() {
            let observations = self.balance_monitor.look(&batch, &executed.below_cost);
            self.post.at(Stage::Commit);
            let placed = match within(step_time_max, locked.commit(batch)).await {
                Ok(placed) => placed,
                Err(error) => {
                    part.work = kept.unwrap_or_default();
                    return Err(error);
                }
            };
            self.balance_monitor.tell(observations);
            done.iter_mut().for_each(|answer| answer.place(&placed));
        }
        Ok(Some(done))
    }

    /// Locks, looks up and loads. Nothing is consumed yet: whatever fails here may be tried again.
    async fn before(
        &mut self,
        roots: &mut BTreeSet<TenantId>,
        part: &mut Part,
        callers: &mut Callers,
    ) -> Result<Before, JournalError> {
        let journal = Arc::clone(&self.journal);
        let Some(locking) = journal.locking() else {
            return Err(JournalError::Corrupt(
                "the journal cannot be locked".to_owned(),
            ));
        };
        self.post.at(Stage::Lock);
        let locked = locking
            .enter(&roots.iter().copied().collect::<Vec<_>>())
            .await?;
        // Not before: others had these roots meanwhile, and instants of a root's batches go up.
        let now = (self.clock)().max(locked.last_committed_at().await?);
        if !self.lanes.one_root {
            self.top_up(roots, part, callers);
        }
        self.post.at(Stage::Holds);
        let expired = locked.expired_holds(now, SWEEP_HOLDS_MAX).await?;
        if expired.len() >= SWEEP_HOLDS_MAX {
            expire_page(&*locked, now, &expired).await?;
            self.balance_monitor.expired(&expired);
            return Ok(Before::Again);
        }
        let in_flight = InFlightBatches::default();
        let execution = Execution {
            journal: &*locked,
            in_flight: &in_flight,
        };
        self.post.at(Stage::Find);
        execution.look_beside(&mut part.work).await?;
        let known = execution.known(&names_of(&part.work)).await?;
        if !self.lanes.one_root {
            // An event from before its customer was known lies under another root.
            let before = roots.len();
            roots.extend(known.values().flatten().map(|record| record.identity.root));
            if roots.len() > before {
                return Ok(Before::Again);
            }
        }
        self.post.at(Stage::Load);
        let turn = Box::new(execution.prepare(now, &expired, &part.work, known).await?);
        Ok(Before::Ready {
            locked,
            turn,
            expired,
        })
    }
}

/// What nobody answers is given up. A commit that is given up goes on in the database, under the
/// locks of its roots: whoever asks for these next waits for its end, and a resend finds what it
/// recorded.
async fn within<T>(
    time_max: Duration,
    step: impl Future<Output = Result<T, JournalError>>,
) -> Result<T, JournalError> {
    let given_up = || {
        JournalError::Unavailable(format!(
            "the database did not answer within {} ms",
            time_max.as_millis()
        ))
    };
    tokio::time::timeout(time_max, step)
        .await
        .unwrap_or_else(|_| Err(given_up()))
}

/// A void and its event are one step, and a step is of one root here.
fn of_two_roots(event: &RatedEvent) -> Problem {
    if event.customer.is_none() {
        return crate::amend::not_rated("unknown_customer", None);
    }
    Problem::new(
        Code::OtherRoot,
        "the corrected event belongs to another reseller's books: void the original and send the \
            corrected one",
    )
}
