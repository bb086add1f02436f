//! The queue before the committer: bounded; full, it refuses.

use crate::command::{Command, CommandResult};
use crate::watch::{Post, Ticket};
use problem::{Code, Problem};
use rating::Instant;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Commands that may wait for their turn.
pub const QUEUE_COMMANDS_MAX: usize = 200_000;
/// Commands of one commit.
pub const COMMIT_COMMANDS_MAX: usize = 6_000;

/// The engine's clock: an argument, so that tests can move it.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Commands of one caller, in order, with the way back.
#[derive(Debug)]
pub struct Job {
    pub work: Vec<Command>,
    pub reply: Reply,
    pub place: OwnedSemaphorePermit,
    /// At the queue's post.
    pub waits: Ticket,
}

pub type Reply = oneshot::Sender<Result<Vec<CommandResult>, Problem>>;

/// The bounded way in.
#[derive(Debug, Clone)]
pub struct Queue {
    pub(crate) jobs: mpsc::UnboundedSender<Job>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) post: Post,
}

impl Queue {
    /// Whether somebody works it off.
    pub fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Waits until the commands are durable; refuses at once when too much is waiting.
    pub async fn submit(&self, work: Vec<Command>) -> Result<Vec<CommandResult>, Problem> {
        if work.is_empty() {
            return Ok(Vec::new());
        }
        let count = u32::try_from(work.len()).map_err(|_| overloaded())?;
        let place = Arc::clone(&self.places)
            .try_acquire_many_owned(count)
            .map_err(|_| overloaded())?;
        let (reply, answer) = oneshot::channel();
        self.jobs
            .send(Job {
                work,
                reply,
                place,
                waits: self.post.enter(),
            })
            .map_err(|_| stopped())?;
        // Dropped without an answer: by whoever was ended, or panicked, in the middle of it.
        answer.await.map_err(|_| unconfirmed())?
    }
}

pub(crate) fn overloaded() -> Problem {
    Problem::new(
        Code::Overloaded,
        "too many commands are waiting; try again in a second",
    )
}

pub(crate) fn stopped() -> Problem {
    Problem::new(
        Code::Unavailable,
        "the engine is shutting down; requests without a response may be sent again",
    )
}

/// What callers of a batch hear that was not committed.
pub fn unconfirmed() -> Problem {
    Problem::new(
        Code::Unavailable,
        "the database did not confirm the batch; send it again: nothing is posted twice",
    )
}
