//! One writer's turn after another: takes all that is waiting, finds what is new, loads the states,
//! lets every command take its turn, commits once, answers everybody.
//!
//! Invariants: an answer goes out only after its commit is durable; a batch that fails leaves nothing
//! behind and every caller hears of it; the queue is bounded in events.

use crate::command::Problem;
use crate::turn::Turn;
use crate::work::{Done, Work};
use ledger::Hold;
use rating::Instant;
use rating::fast::FastMap;
use std::collections::HashMap;
use std::sync::Arc;
use store::journal::{Batch, Journal, JournalError, Kind, Of, Record, RecordQuery, Seq, StateKeys};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Commands that may wait for their turn.
pub const QUEUE_COMMANDS_MAX: usize = 200_000;
/// Commands of one commit.
const COMMIT_COMMANDS_MAX: usize = 20_000;
/// Holds that are swept before the commands of one commit.
const SWEEP_HOLDS_MAX: usize = ledger::HOLDS_EXPIRED_PER_BATCH_MAX;
/// How often a batch is redone that another writer overtook.
const OVERTAKEN_MAX: usize = 16;

/// The engine's clock: an argument, so that tests can move it.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Commands of one caller, in order, with the way back.
#[derive(Debug)]
pub struct Job {
    work: Vec<Work>,
    reply: oneshot::Sender<Result<Vec<Done>, Problem>>,
    place: OwnedSemaphorePermit,
}

/// The bounded way in.
#[derive(Debug, Clone)]
pub struct Queue {
    jobs: mpsc::UnboundedSender<Job>,
    places: Arc<Semaphore>,
}

impl Queue {
    /// Whether somebody works it off.
    pub fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Waits until the commands are durable; refuses at once when too much is waiting.
    pub async fn submit(&self, work: Vec<Work>) -> Result<Vec<Done>, Problem> {
        if work.is_empty() {
            return Ok(Vec::new());
        }
        let count = u32::try_from(work.len()).map_err(|_| overloaded())?;
        let place = Arc::clone(&self.places).try_acquire_many_owned(count).map_err(|_| overloaded())?;
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { work, reply, place }).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// A fault of ours in one command must not end the committer, and with it all later commands.
fn take_turns(mut turn: Turn, expired: &[Hold], work: &[&Work]) -> Result<(Vec<Done>, Batch), JournalError> {
    let turns = std::panic::AssertUnwindSafe(|| {
        expired.iter().for_each(|hold| turn.expire(hold));
        let done = work.iter().map(|command| turn.take(command)).collect();
        (done, turn.into_batch())
    });
    std::panic::catch_unwind(turns).map_err(|_| JournalError::Corrupt("a command panicked; its batch was given up".to_owned()))
}

fn overloaded() -> Problem {
    Problem::new("overloaded", "too many commands are waiting; try again in a second")
}

fn stopped() -> Problem {
    Problem::new("unavailable", "the engine is shutting down; what was not answered may be sent again")
}

/// Starts the one committer; it ends when every [`Queue`] is gone and what was waiting is done.
pub fn start(journal: Arc<dyn Journal>, clock: Clock) -> (Queue, tokio::task::JoinHandle<()>) {
    let (jobs, waiting) = mpsc::unbounded_channel();
    let places = Arc::new(Semaphore::new(QUEUE_COMMANDS_MAX));
    let worker = tokio::spawn(Committer { journal, clock, waiting }.run());
    (Queue { jobs, places }, worker)
}

struct Committer {
    journal: Arc<dyn Journal>,
    clock: Clock,
    waiting: mpsc::UnboundedReceiver<Job>,
}

impl Committer {
    async fn run(mut self) {
        while let Some(first) = self.waiting.recv().await {
            let mut jobs = vec![first];
            let mut commands = jobs[0].work.len();
            while commands < COMMIT_COMMANDS_MAX {
                let Ok(job) = self.waiting.try_recv() else { break };
                commands += job.work.len();
                jobs.push(job);
            }
            self.serve(jobs).await;
        }
    }

    async fn serve(&self, jobs: Vec<Job>) {
        let work: Vec<&Work> = jobs.iter().flat_map(|job| &job.work).collect();
        let outcome = self.commit(&work).await;
        match outcome {
            Ok(done) => {
                let mut done = done.into_iter();
                for Job { work, reply, place } in jobs {
                    let answers = done.by_ref().take(work.len()).collect();
                    // Who has its answer finds its places free.
                    drop(place);
                    // A caller that went away misses its answer; the work is done all the same.
                    let _gone = reply.send(Ok(answers));
                }
            }
            Err(error) => {
                tracing::error!(%error, commands = work.len(), "a batch was not committed");
                for Job { reply, place, .. } in jobs {
                    drop(place);
                    let problem =
                        Problem::new("unavailable", "the database did not confirm the batch; send it again: nothing is posted twice");
                    let _gone = reply.send(Err(problem));
                }
            }
        }
    }

    async fn commit(&self, work: &[&Work]) -> Result<Vec<Done>, JournalError> {
        for _ in 0..OVERTAKEN_MAX {
            match self.try_commit(work).await {
                Err(JournalError::Overtaken) => {}
                outcome => return outcome,
            }
        }
        Err(JournalError::Overtaken)
    }

    async fn try_commit(&self, work: &[&Work]) -> Result<Vec<Done>, JournalError> {
        let now = (self.clock)();
        let expired = self.sweep(now).await?;
        let known = self.known(work).await?;
        let mut keys = StateKeys::default();
        expired.iter().for_each(|hold| crate::keys::expiry_keys(hold, &mut keys));
        work.iter().for_each(|command| command.keys(&mut keys));
        known.values().for_each(|record| crate::keys::record_keys(record, &mut keys));
        let mut state = self.journal.load(&keys).await?;
        let later = self.rated_later(&state.amendments).await?;
        // A resend of an event that was rated later answers with that record and its balance now; a hold may
        // have been placed on other accounts than its usage would take now.
        let mut more = StateKeys::default();
        later.values().for_each(|record| crate::keys::record_keys(record, &mut more));
        state.holds.values().for_each(|hold| more.accounts.extend(hold.amounts.iter().map(|(account, _)| *account)));
        more.accounts.retain(|account| !state.accounts.contains_key(account));
        if !more.accounts.is_empty() {
            state.accounts.extend(self.journal.load(&more).await?.accounts);
            keys.accounts.extend(more.accounts);
        }
        let (mut done, batch) = take_turns(Turn::new(now, keys, state, known, later), &expired, work)?;
        if !batch.records.is_empty() || !batch.settled.is_empty() {
            let first = self.journal.commit(batch).await?;
            done.iter_mut().for_each(|answer| answer.place(first));
        }
        Ok(done)
    }

    /// Holds that are over, to be expired at the head of the batch; a full page is a step of its own.
    async fn sweep(&self, now: Instant) -> Result<Vec<Hold>, JournalError> {
        loop {
            let expired = self.journal.expired_holds(now, SWEEP_HOLDS_MAX).await?;
            if expired.len() < SWEEP_HOLDS_MAX {
                return Ok(expired);
            }
            let mut keys = StateKeys::default();
            expired.iter().for_each(|hold| crate::keys::expiry_keys(hold, &mut keys));
            let state = self.journal.load(&keys).await?;
            let mut turn = Turn::new(now, keys, state, HashMap::new(), HashMap::new());
            expired.iter().for_each(|hold| turn.expire(hold));
            let batch = turn.into_batch();
            if batch.records.is_empty() {
                return Err(JournalError::Corrupt("holds that are over cannot be expired; see verify".to_owned()));
            }
            self.journal.commit(batch).await?;
        }
    }

    /// What the journal already holds under the identities of these commands.
    async fn known(&self, work: &[&Work]) -> Result<HashMap<store::journal::Identity, Arc<Record>>, JournalError> {
        let mut identities = Vec::with_capacity(work.len());
        work.iter().for_each(|command| command.identities(&mut identities));
        let keyed: Vec<_> = identities.iter().map(|identity| (self.journal.identity_key(identity), identity)).collect();
        let found = self.journal.find(&keyed).await?;
        Ok(identities.into_iter().zip(found).filter_map(|(identity, record)| Some((identity, record?))).collect())
    }

    /// The records that priced kept events later: what a resend of such an event answers with.
    async fn rated_later(&self, amendments: &FastMap<Seq, store::journal::Amendment>) -> Result<HashMap<Seq, Arc<Record>>, JournalError> {
        let seqs: Vec<Seq> = amendments.values().filter(|a| a.kind == Kind::RatedLater).map(|a| a.by).collect();
        if seqs.is_empty() {
            return Ok(HashMap::new());
        }
        let limit = seqs.len();
        let records = self.journal.read(&RecordQuery { of: Of::Seqs(seqs), after: None, newest_first: false, limit }).await?;
        Ok(records.into_iter().map(|record| (record.seq, Arc::new(record))).collect())
    }
}
