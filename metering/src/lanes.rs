//! Batches on a journal that several processes write. Each begins by locking its roots, so that nothing of
//! them changes from look-up to commit; lanes work side by side, each on roots of its own.
//!
//! Invariants: a root's commands take their turns in the order in which they came; a caller is answered
//! when all of its commands are durable, and hears at once when some are not.

use crate::command::Problem;
use crate::committer::{COMMIT_COMMANDS_MAX, Clock, Job, Reply, unconfirmed};
use crate::execution::{Execution, SWEEP_HOLDS_MAX, expire_page, take_turns};
use crate::flights::Flights;
use crate::lookout::Lookout;
use crate::prepare::Prepared;
use crate::turn::Turn;
use crate::work::{Done, Work};
use ledger::Hold;
use rating::TenantId;
use rating::fast::FastBuild;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::journal::{Journal, JournalError, Lanes};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Attempts at one batch of which nothing was written.
const ATTEMPTS_MAX: u32 = 8;
/// Doubles with every attempt.
const PAUSE_FIRST: Duration = Duration::from_millis(2);

/// Hands every job's commands to the lanes of their roots; ends when no more come and all are done.
pub async fn run(journal: Arc<dyn Journal>, clock: Clock, lookout: Lookout, mut waiting: mpsc::UnboundedReceiver<Job>, lanes: Lanes) {
    let start = |_| {
        let (pieces, waiting) = mpsc::unbounded_channel();
        let (journal, clock, lookout) = (Arc::clone(&journal), Arc::clone(&clock), lookout.clone());
        let lane = Lane { journal, clock, lookout, lanes, waiting, aside: None };
        (pieces, tokio::spawn(lane.run()))
    };
    let (ways, workers): (Vec<_>, Vec<_>) = (0..lanes.count.max(1)).map(start).unzip();
    while let Some(job) = waiting.recv().await {
        hand_out(job, &ways);
    }
    drop(ways);
    for worker in workers {
        // A lane that panicked has failed its callers by dropping them.
        let _ended = worker.await;
    }
}

fn hand_out(job: Job, ways: &[mpsc::UnboundedSender<Piece>]) {
    let commands = job.work.len();
    let gather = Arc::new(Gather(Mutex::new(Some(Gathered {
        done: std::iter::repeat_with(|| None).take(commands).collect(),
        missing: commands,
        reply: job.reply,
        place: job.place,
    }))));
    let mut pieces: Vec<Piece> = ways.iter().map(|_| Piece { work: Vec::new(), places: Vec::new(), gather: Arc::clone(&gather) }).collect();
    for (place, work) in job.work.into_iter().enumerate() {
        let lane = lane_of(work.root(), ways.len());
        pieces[lane].work.push(work);
        pieces[lane].places.push(place);
    }
    for (way, piece) in ways.iter().zip(pieces).filter(|(_, piece)| !piece.work.is_empty()) {
        if way.send(piece).is_err() {
            gather.fail();
        }
    }
}

/// The same in every process: batches of one lane wait for each other, those of different lanes rarely do. Ids may
/// come in steps, as those of an import do, so every bit of them counts.
fn lane_of(root: TenantId, lanes: usize) -> usize {
    (FastBuild::default().hash_one(root) % lanes as u64) as usize
}

/// One job's commands of one lane.
struct Piece {
    work: Vec<Work>,
    /// Of each command within its job.
    places: Vec<usize>,
    gather: Arc<Gather>,
}

/// A job's answers as they come in; `None` once it was answered.
struct Gather(Mutex<Option<Gathered>>);

struct Gathered {
    done: Vec<Option<Done>>,
    missing: usize,
    reply: Reply,
    place: OwnedSemaphorePermit,
}

impl Gather {
    fn put(&self, answers: impl Iterator<Item = (usize, Done)>) {
        let Ok(mut slot) = self.0.lock() else { return };
        let Some(gathered) = slot.as_mut() else { return };
        for (place, done) in answers {
            gathered.missing -= usize::from(gathered.done[place].replace(done).is_none());
        }
        if gathered.missing == 0
            && let Some(Gathered { done, reply, place, .. }) = slot.take()
        {
            // Who has its answer finds its places free.
            drop(place);
            // A caller that went away misses its answer; the work is done all the same.
            let _gone = reply.send(Ok(done.into_iter().flatten().collect()));
        }
    }

    fn fail(&self) {
        let taken = self.0.lock().ok().and_then(|mut slot| slot.take());
        if let Some(Gathered { reply, place, .. }) = taken {
            drop(place);
            let _gone = reply.send(Err(unconfirmed()));
        }
    }
}

struct Lane {
    journal: Arc<dyn Journal>,
    clock: Clock,
    lookout: Lookout,
    lanes: Lanes,
    waiting: mpsc::UnboundedReceiver<Piece>,
    /// The next piece, which did not go with the batch before.
    aside: Option<Piece>,
}

/// Where an answer goes: the piece, by its number, and the command's place in its job.
type Way = (usize, usize);

/// Commands of one batch, and where each one's answer goes.
#[derive(Default)]
struct Part {
    work: Vec<Work>,
    ways: Vec<Way>,
}

impl Part {
    fn push(&mut self, work: Work, way: Way) {
        self.work.push(work);
        self.ways.push(way);
    }
}

/// Whose commands a batch has, by the numbers of their pieces.
type Gathers = Vec<Arc<Gather>>;

/// The commands of one more piece, each with its way back.
fn enter(piece: Piece, gathers: &mut Gathers) -> impl Iterator<Item = (Work, Way)> + use<> {
    let number = gathers.len();
    gathers.push(piece.gather);
    piece.work.into_iter().zip(piece.places).map(move |(work, place)| (work, (number, place)))
}

/// How far a batch came before its turns.
enum Before {
    Ready {
        locked: Arc<dyn Journal>,
        turn: Box<Turn>,
        expired: Vec<Hold>,
    },
    /// Something had to be done or locked first.
    Again,
}

impl Lane {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let (mut gathers, mut parts, mut commands) = (Gathers::new(), BTreeMap::<TenantId, Part>::new(), 0);
            let mut next = Some(first);
            while let Some(piece) = next {
                commands += piece.work.len();
                self.sort(piece, &mut gathers, &mut parts);
                next = if commands < COMMIT_COMMANDS_MAX { self.try_next() } else { None };
            }
            for part in parts.into_values() {
                self.serve(part, &mut gathers).await;
            }
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
    fn sort(&self, piece: Piece, gathers: &mut Gathers, parts: &mut BTreeMap<TenantId, Part>) {
        for (work, way) in enter(piece, gathers) {
            let batch = if self.lanes.one_root { work.root() } else { TenantId(0) };
            match work {
                Work::Correct { event, .. } if self.lanes.one_root && event.name().name.root != batch => {
                    gathers[way.0].put(std::iter::once((way.1, Done::Amended(Err(of_two_roots(&event))))));
                }
                work => parts.entry(batch).or_default().push(work, way),
            }
        }
    }

    /// While the batch waited for its locks more came in, which goes with it as far as it is of these roots: who waits
    /// long for others makes large batches. What is not goes next, and all behind it later, so that none overtakes.
    fn top_up(&mut self, roots: &BTreeSet<TenantId>, part: &mut Part, gathers: &mut Gathers) {
        while part.work.len() < COMMIT_COMMANDS_MAX {
            let Some(piece) = self.try_next() else { break };
            let is_locked = |work: &Work| roots.contains(&work.root()) && work.other_root().is_none_or(|root| roots.contains(&root));
            if !piece.work.iter().all(is_locked) {
                self.aside = Some(piece);
                break;
            }
            enter(piece, gathers).for_each(|(work, way)| part.push(work, way));
        }
    }

    async fn serve(&mut self, mut part: Part, gathers: &mut Gathers) {
        let committed = self.commit(&mut part, gathers).await;
        match committed {
            Ok(done) => {
                let mut answers = part.ways.iter().zip(done).peekable();
                while let Some(&(&(number, _), _)) = answers.peek() {
                    let own = std::iter::from_fn(|| answers.next_if(|((of, _), _)| *of == number));
                    gathers[number].put(own.map(|((_, place), done)| (*place, done)));
                }
            }
            Err(error) => {
                tracing::error!(%error, commands = part.ways.len(), "a batch was not committed");
                part.ways.chunk_by(|a, b| a.0 == b.0).for_each(|run| gathers[run[0].0].fail());
            }
        }
    }

    /// Takes the commands of the part, not their ways.
    async fn commit(&mut self, part: &mut Part, gathers: &mut Gathers) -> Result<Vec<Done>, JournalError> {
        let mut roots: BTreeSet<TenantId> = part.work.iter().map(Work::root).collect();
        if !self.lanes.one_root {
            roots.extend(part.work.iter().filter_map(Work::other_root));
        }
        let (mut attempt, mut pause) = (1, PAUSE_FIRST);
        loop {
            match self.attempt(&mut roots, part, gathers).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                // Without its commands there is nothing to begin again with.
                Err(JournalError::Conflict(reason)) if attempt < ATTEMPTS_MAX && !part.work.is_empty() => {
                    tracing::debug!(reason, attempt, "a batch begins again");
                    tokio::time::sleep(pause).await;
                    (attempt, pause) = (attempt + 1, pause * 2);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `None`: it needed more than was locked. What fails has its commands back if it may begin again.
    async fn attempt(
        &mut self,
        roots: &mut BTreeSet<TenantId>,
        part: &mut Part,
        gathers: &mut Gathers,
    ) -> Result<Option<Vec<Done>>, JournalError> {
        let Before::Ready { locked, turn, expired } = self.before(roots, part, gathers).await? else { return Ok(None) };
        let kept = self.lanes.may_be_undone.then(|| part.work.clone());
        let executed = take_turns(*turn, &expired, std::mem::take(&mut part.work))?;
        let (batch, mut done) = (executed.batch, executed.done);
        if !batch.records.is_empty() || !batch.settled.is_empty() {
            let sighting = self.lookout.look(&batch, &executed.below_cost);
            let placed = match locked.commit(batch).await {
                Ok(placed) => placed,
                Err(error) => {
                    part.work = kept.unwrap_or_default();
                    return Err(error);
                }
            };
            self.lookout.tell(sighting);
            done.iter_mut().for_each(|answer| answer.place(&placed));
        }
        Ok(Some(done))
    }

    /// Locks, looks up and loads. Nothing is consumed yet: whatever fails here may be tried again.
    async fn before(&mut self, roots: &mut BTreeSet<TenantId>, part: &mut Part, gathers: &mut Gathers) -> Result<Before, JournalError> {
        let journal = Arc::clone(&self.journal);
        let Some(locking) = journal.locking() else {
            return Err(JournalError::Corrupt("the journal cannot be locked".to_owned()));
        };
        let locked = locking.enter(&roots.iter().copied().collect::<Vec<_>>()).await?;
        // Not before: others had these roots meanwhile, and instants of a root's batches go up.
        let now = (self.clock)();
        if !self.lanes.one_root {
            self.top_up(roots, part, gathers);
        }
        let expired = locked.expired_holds(now, SWEEP_HOLDS_MAX).await?;
        if expired.len() >= SWEEP_HOLDS_MAX {
            expire_page(&*locked, now, &expired).await?;
            self.lookout.expired(&expired);
            return Ok(Before::Again);
        }
        let flights = Flights::default();
        let execution = Execution { journal: &*locked, flights: &flights };
        execution.look_beside(&mut part.work).await?;
        let known = execution.known(&part.work).await?;
        if !self.lanes.one_root {
            // An event from before its customer was known lies under another root.
            let before = roots.len();
            roots.extend(known.values().flatten().map(|record| record.identity.root));
            if roots.len() > before {
                return Ok(Before::Again);
            }
        }
        let turn = Box::new(execution.prepare(now, &expired, &part.work, known).await?);
        Ok(Before::Ready { locked, turn, expired })
    }
}

/// A void and its event are one step, and a step is of one root here.
fn of_two_roots(event: &Prepared) -> Problem {
    if event.customer.is_none() {
        return crate::amend::not_rated("unknown_customer");
    }
    Problem::new("other_root", "the corrected event belongs to another reseller's books: void the first and send the second")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::Instant;
    use store::memory::MemoryJournal;
    use tokio::sync::{Semaphore, oneshot};

    type Answer = oneshot::Receiver<Result<Vec<Done>, Problem>>;

    const A: TenantId = TenantId(1);
    const B: TenantId = TenantId(2);
    const C: TenantId = TenantId(3);

    /// A job of one command for each of these roots.
    fn submit(roots: &[TenantId], way: &mpsc::UnboundedSender<Piece>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let work = roots.iter().map(|root| Work::Sweep { root: *root }).collect();
        hand_out(Job { work, reply, place }, std::slice::from_ref(way));
        answer
    }

    fn lane(one_root: bool) -> (Lane, mpsc::UnboundedSender<Piece>) {
        let (way, waiting) = mpsc::unbounded_channel();
        (
            Lane {
                journal: Arc::new(MemoryJournal::new()),
                clock: Arc::new(|| Instant(0)),
                lanes: Lanes { count: 1, one_root, may_be_undone: true },
                lookout: Lookout::default(),
                waiting,
                aside: None,
            },
            way,
        )
    }

    fn roots(work: &[Work]) -> Vec<TenantId> {
        work.iter().map(Work::root).collect()
    }

    /// The first piece as a batch that waits for its locks.
    fn begun(lane: &mut Lane) -> (Part, Gathers) {
        let (mut gathers, mut parts) = (Gathers::new(), BTreeMap::new());
        let piece = lane.try_next().unwrap();
        lane.sort(piece, &mut gathers, &mut parts);
        (parts.into_values().next().unwrap(), gathers)
    }

    #[test]
    fn a_batch_that_waited_takes_along_what_is_of_its_roots_and_nothing_overtakes() {
        let (mut lane, way) = lane(false);
        let mut answers: Vec<Answer> = [&[A, B][..], &[A], &[B, A], &[A, C], &[A]].map(|roots| submit(roots, &way)).into();
        let (mut part, mut gathers) = begun(&mut lane);
        lane.top_up(&BTreeSet::from([A, B]), &mut part, &mut gathers);
        assert_eq!(roots(&part.work), [A, B, A, B, A]);
        assert_eq!(part.ways, [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]);

        // C is not locked: that piece is next as a whole, and what came after it comes after it.
        lane.top_up(&BTreeSet::from([A, B]), &mut part, &mut gathers);
        assert_eq!(part.work.len(), 5);
        let left: Vec<_> = std::iter::from_fn(|| lane.try_next()).map(|piece| roots(&piece.work)).collect();
        assert_eq!(left, [vec![A, C], vec![A]]);

        // Each caller hears of its own commands, once all of them are done.
        gathers[0].put([(0, Done::Swept), (1, Done::Swept)].into_iter());
        gathers[2].put(std::iter::once((0, Done::Swept)));
        gathers[1].fail();
        assert_eq!(answers[0].try_recv().unwrap().unwrap().len(), 2);
        assert!(answers[1].try_recv().unwrap().is_err());
        assert!(answers[2].try_recv().is_err(), "one of two is missing");
        gathers[2].put(std::iter::once((1, Done::Swept)));
        assert_eq!(answers[2].try_recv().unwrap().unwrap().len(), 2);
    }

    #[test]
    fn a_batch_takes_along_only_so_much() {
        let (mut lane, way) = lane(false);
        let _answers: Vec<Answer> = (0..4).map(|_| submit(&vec![A; COMMIT_COMMANDS_MAX / 3], &way)).collect();
        let (mut part, mut gathers) = begun(&mut lane);
        lane.top_up(&BTreeSet::from([A]), &mut part, &mut gathers);
        assert_eq!(part.work.len(), COMMIT_COMMANDS_MAX);
        assert!(lane.try_next().is_some());
    }

    #[test]
    fn roots_spread_over_the_lanes_however_they_were_numbered() {
        for (lanes, step) in [(2, 1), (2, 2), (3, 3), (4, 2), (4, 1 << 22), (5, 89)] {
            let mut roots = vec![0; lanes];
            (0..1000).for_each(|n| roots[lane_of(TenantId(911_760_596_722_511_537 + n * step), lanes)] += 1);
            assert!(roots.iter().all(|count| count * lanes > 800), "{lanes} lanes, steps of {step}: {roots:?}");
        }
    }
}
