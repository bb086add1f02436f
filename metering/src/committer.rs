//! One writer's turn after another: takes all that is waiting, finds what is new, loads the states,
//! lets every command take its turn, commits once, answers everybody. While one batch is on its way into
//! the journal, the next may take its turns.
//!
//! Invariants: an answer goes out only after its commit is durable; a batch that fails leaves nothing
//! behind and every caller hears of it; the queue is bounded in events.

use crate::command::Problem;
use crate::flights::{Ahead, Flight, Flights, Landed};
use crate::turn::{Fresh, Known, Turn};
use crate::work::{Done, Work};
use ledger::{Hold, HoldState};
use rating::Instant;
use rating::fast::FastMap;
use std::collections::HashMap;
use std::sync::Arc;
use store::journal::{Batch, Journal, JournalError, Kind, Of, Record, RecordQuery, Seq, State, StateKeys};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Commands that may wait for their turn.
pub const QUEUE_COMMANDS_MAX: usize = 200_000;
/// Commands of one commit.
const COMMIT_COMMANDS_MAX: usize = 8_000;
/// Holds that are swept before the commands of one commit.
const SWEEP_HOLDS_MAX: usize = ledger::HOLDS_EXPIRED_PER_BATCH_MAX;
/// Commands that are worth a batch of their own while the one before is not yet durable.
const AHEAD_COMMANDS_MIN: usize = 1_000;
/// Batches that may be under way at once: one is written while the next is made ready.
const FLIGHTS_MAX: usize = 2;

/// The engine's clock: an argument, so that tests can move it.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Commands of one caller, in order, with the way back.
#[derive(Debug)]
pub struct Job {
    work: Vec<Work>,
    reply: Reply,
    place: OwnedSemaphorePermit,
}

type Reply = oneshot::Sender<Result<Vec<Done>, Problem>>;

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

fn overloaded() -> Problem {
    Problem::new("overloaded", "too many commands are waiting; try again in a second")
}

fn stopped() -> Problem {
    Problem::new("unavailable", "the engine is shutting down; what was not answered may be sent again")
}

/// Starts the one committer; it ends when every [`Queue`] is gone and what was waiting is done.
pub fn start(journal: Arc<dyn Journal>, clock: Clock) -> (Queue, JoinHandle<()>) {
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

/// Who waits for how many of a batch's answers, in order.
struct Callers(Vec<Waiter>);

struct Waiter {
    commands: usize,
    reply: Reply,
    place: OwnedSemaphorePermit,
}

/// What the turns of a batch came to: nothing of it is durable yet.
struct Executed {
    done: Vec<Done>,
    batch: Batch,
    fresh: Fresh,
}

impl Committer {
    async fn run(mut self) {
        let mut flights = Flights::default();
        while let Some(jobs) = self.next(&mut flights).await {
            self.serve(jobs, &mut flights).await;
        }
        flights.land_all().await;
    }

    /// All that is waiting. While batches are under way only when it is much: small ones gather into one.
    async fn next(&mut self, flights: &mut Flights) -> Option<Vec<Job>> {
        let (mut jobs, mut commands) = (Vec::new(), 0);
        loop {
            while commands < COMMIT_COMMANDS_MAX {
                let Ok(job) = self.waiting.try_recv() else { break };
                commands += job.work.len();
                jobs.push(job);
            }
            if commands >= AHEAD_COMMANDS_MIN || (flights.is_empty() && !jobs.is_empty()) {
                return Some(jobs);
            }
            let next = tokio::select! {
                biased;
                _all = flights.land_all(), if !flights.is_empty() => None,
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
    async fn serve(&self, jobs: Vec<Job>, flights: &mut Flights) {
        let mut work = Vec::with_capacity(jobs.iter().map(|job| job.work.len()).sum());
        let mut callers = Callers(Vec::with_capacity(jobs.len()));
        for mut job in jobs {
            callers.0.push(Waiter { commands: job.work.len(), reply: job.reply, place: job.place });
            work.append(&mut job.work);
        }
        if !flights.let_pass(&work) {
            flights.land_all().await;
        }
        let executed = match self.execute(work, flights).await {
            Ok(executed) => executed,
            Err(error) => return callers.fail(&error),
        };
        let nothing = executed.batch.records.is_empty() && executed.batch.settled.is_empty();
        // What is small is durable before a task of its own would have begun.
        let small = executed.batch.records.len() < AHEAD_COMMANDS_MIN;
        let room = if small { 0 } else { FLIGHTS_MAX - 1 };
        if !flights.land_down_to(room).await {
            return callers.fail(&before_failed());
        }
        if nothing {
            callers.answer(executed.done);
        } else if small {
            commit(&*self.journal, executed.batch, executed.done, callers).await;
        } else {
            flights.push(self.depart(executed, callers, flights.last()));
        }
    }

    /// Commits in a task of its own, after the batch before, and answers there.
    fn depart(&self, executed: Executed, callers: Callers, before: Option<Landed>) -> Flight {
        let Executed { done, mut batch, fresh } = executed;
        let plain = batch.amendments.is_empty() && batch.settled.is_empty();
        let ahead = plain.then(|| Ahead { state: batch.state.clone(), fresh });
        let journal = Arc::clone(&self.journal);
        let (tell, landed) = watch::channel(None);
        tokio::spawn(async move {
            journal.pack(&mut batch);
            let well = match before {
                Some(mut before) => before.wait().await,
                None => true,
            };
            let durable = if well {
                commit(&*journal, batch, done, callers).await
            } else {
                callers.fail(&before_failed());
                false
            };
            // Nobody asks for it after the committer has ended.
            let _told = tell.send(Some(durable));
        });
        Flight { landed: Landed(landed), ahead }
    }

    async fn execute(&self, work: Vec<Work>, flights: &mut Flights) -> Result<Executed, JournalError> {
        let now = (self.clock)();
        let expired = self.sweep(now, flights).await?;
        let known = self.known(&work).await?;
        let mut keys = StateKeys::default();
        expired.iter().for_each(|hold| crate::keys::expiry_keys(hold, &mut keys));
        work.iter().for_each(|command| command.keys(&mut keys));
        known.values().flatten().for_each(|record| crate::keys::record_keys(record, &mut keys));
        let mut state = self.load(&keys, flights).await?;
        let later = self.rated_later(&state.amendments).await?;
        // A resend of an event that was rated later answers with that record and its balance now; a hold may
        // have been placed on other accounts than its usage would take now.
        let mut more = StateKeys::default();
        later.values().for_each(|record| crate::keys::record_keys(record, &mut more));
        state.holds.values().for_each(|hold| more.accounts.extend(hold.amounts.iter().map(|(account, _)| *account)));
        more.accounts.retain(|account| !state.accounts.contains_key(account));
        if !more.accounts.is_empty() {
            state.accounts.extend(self.load(&more, flights).await?.accounts);
            keys.accounts.extend(more.accounts);
        }
        take_turns(Turn::new(now, keys, state, known, later), &expired, work)
    }

    /// The states as the batches under way leave them.
    async fn load(&self, keys: &StateKeys, flights: &Flights) -> Result<State, JournalError> {
        let mut state = self.journal.load(keys).await?;
        for Ahead { state: newer, .. } in flights.ahead() {
            state.accounts.extend(&newer.accounts);
            state.carries.extend(newer.carries.iter().map(|(key, value)| (*key, value.clone())));
            state.counters.extend(&newer.counters);
            state.members.extend(newer.members.iter().map(|(key, value)| (key.clone(), *value)));
            state.holds.extend(newer.holds.iter().map(|(key, value)| (*key, value.clone())));
        }
        Ok(state)
    }

    /// Holds that are over, to be expired at the head of the batch; a full page is a step of its own.
    async fn sweep(&self, now: Instant, flights: &mut Flights) -> Result<Vec<Hold>, JournalError> {
        loop {
            let mut expired = self.journal.expired_holds(now, SWEEP_HOLDS_MAX).await?;
            if expired.len() < SWEEP_HOLDS_MAX {
                let is_due = |hold: &Hold| hold.state == HoldState::Open && hold.is_over(now);
                let newest = |hold: &Hold| flights.ahead().rev().find_map(|ahead| ahead.state.holds.get(&hold.id));
                expired.retain(|hold| newest(hold).is_none_or(is_due));
                return Ok(expired);
            }
            if !flights.is_empty() {
                if !flights.land_all().await {
                    return Err(before_failed());
                }
                continue;
            }
            let mut keys = StateKeys::default();
            expired.iter().for_each(|hold| crate::keys::expiry_keys(hold, &mut keys));
            let state = self.journal.load(&keys).await?;
            let mut turn = Turn::new(now, keys, state, Known::default(), HashMap::new());
            expired.iter().for_each(|hold| turn.expire(hold));
            let (batch, _) = turn.into_batch();
            if batch.records.is_empty() {
                return Err(JournalError::Corrupt("holds that are over cannot be expired; see verify".to_owned()));
            }
            self.journal.commit(batch).await?;
        }
    }

    /// What the journal already holds under the names of these commands.
    async fn known(&self, work: &[Work]) -> Result<Known, JournalError> {
        let mut names = Vec::with_capacity(2 * work.len());
        work.iter().for_each(|command| command.names(&mut names));
        let mut known = Known::default();
        for (keyed, record) in names.iter().zip(self.journal.find(&names).await?) {
            if let Some(record) = record {
                known.entry(keyed.key).or_default().push(record);
            }
        }
        Ok(known)
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

/// A fault of ours in one command must not end the committer, and with it all later commands.
fn take_turns(mut turn: Turn, expired: &[Hold], work: Vec<Work>) -> Result<Executed, JournalError> {
    let turns = std::panic::AssertUnwindSafe(|| {
        turn.reserve(expired.len() + work.len());
        expired.iter().for_each(|hold| turn.expire(hold));
        let done = work.into_iter().map(|command| turn.take(command)).collect();
        let (batch, fresh) = turn.into_batch();
        Executed { done, batch, fresh }
    });
    std::panic::catch_unwind(turns).map_err(|_| JournalError::Corrupt("a command panicked; its batch was given up".to_owned()))
}

/// Answers when the batch is durable; false: it is not.
async fn commit(journal: &dyn Journal, batch: Batch, mut done: Vec<Done>, callers: Callers) -> bool {
    match journal.commit(batch).await {
        Ok(first) => {
            done.iter_mut().for_each(|answer| answer.place(first));
            callers.answer(done);
            true
        }
        Err(error) => {
            callers.fail(&error);
            false
        }
    }
}

fn before_failed() -> JournalError {
    JournalError::Unavailable("the batch before was not committed".to_owned())
}

impl Callers {
    fn answer(self, done: Vec<Done>) {
        let mut done = done.into_iter();
        for Waiter { commands, reply, place } in self.0 {
            let answers = done.by_ref().take(commands).collect();
            // Who has its answer finds its places free.
            drop(place);
            // A caller that went away misses its answer; the work is done all the same.
            let _gone = reply.send(Ok(answers));
        }
    }

    fn fail(self, error: &JournalError) {
        let commands: usize = self.0.iter().map(|waiter| waiter.commands).sum();
        tracing::error!(%error, commands, "a batch was not committed");
        for Waiter { reply, place, .. } in self.0 {
            drop(place);
            let problem = Problem::new("unavailable", "the database did not confirm the batch; send it again: nothing is posted twice");
            let _gone = reply.send(Err(problem));
        }
    }
}
