//! A job's commands on their way to the lanes of their roots, and its answers on their way back.

use crate::command::{Command, CommandResult};
use crate::queue::{Job, Reply, unconfirmed};
use crate::watch::{Post, Ticket};
use rating::TenantId;
use rating::fast::FastBuild;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Where a lane takes its pieces from, and how it is watched.
pub struct Way {
    pub pieces: mpsc::UnboundedSender<Piece>,
    pub post: Post,
}

pub fn hand_out(job: Job, ways: &[Way]) {
    let commands = job.work.len();
    let gather = Arc::new(Gather(Mutex::new(Some(Gathered {
        done: std::iter::repeat_with(|| None).take(commands).collect(),
        missing: commands,
        reply: job.reply,
        place: job.place,
    }))));
    let mut parts: Vec<(Vec<Command>, Vec<usize>)> =
        ways.iter().map(|_| Default::default()).collect();
    for (place, work) in job.work.into_iter().enumerate() {
        let (of_lane, places) = &mut parts[lane_of(work.root(), ways.len())];
        of_lane.push(work);
        places.push(place);
    }
    for (way, (work, places)) in ways
        .iter()
        .zip(parts)
        .filter(|(_, (work, _))| !work.is_empty())
    {
        let caller = Caller {
            gather: Arc::clone(&gather),
            _waits: way.post.enter(),
        };
        if way
            .pieces
            .send(Piece {
                work,
                places,
                caller,
            })
            .is_err()
        {
            gather.fail();
        }
    }
}

/// The same in every process: batches of one lane wait for each other, those of different lanes
/// rarely do. Ids may come in steps, as those of an import do, so every bit of them counts.
pub fn lane_of(root: TenantId, lanes: usize) -> usize {
    (FastBuild::default().hash_one(root) % lanes as u64) as usize
}

/// One job's commands of one lane.
pub struct Piece {
    pub work: Vec<Command>,
    /// Of each command within its job.
    pub places: Vec<usize>,
    pub caller: Caller,
}

/// Who waits for a piece, until this is dropped.
pub struct Caller {
    gather: Arc<Gather>,
    _waits: Ticket,
}

impl Caller {
    /// Answers to some of the job's commands, by their places. What was answered before, because
    /// another lane's part of the job failed, takes no more.
    pub fn put(&self, answers: impl Iterator<Item = (usize, CommandResult)>) {
        self.gather.put(answers);
    }

    pub fn fail(&self) {
        self.gather.fail();
    }
}

/// A job's answers as they come in; `None` once it was answered.
struct Gather(Mutex<Option<Gathered>>);

struct Gathered {
    done: Vec<Option<CommandResult>>,
    missing: usize,
    reply: Reply,
    place: OwnedSemaphorePermit,
}

impl Gather {
    fn slot(&self) -> MutexGuard<'_, Option<Gathered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, answers: impl Iterator<Item = (usize, CommandResult)>) {
        let mut slot = self.slot();
        let Some(gathered) = slot.as_mut() else {
            return;
        };
        for (place, done) in answers {
            gathered.missing -= usize::from(gathered.done[place].replace(done).is_none());
        }
        if gathered.missing == 0
            && let Some(Gathered {
                done, reply, place, ..
            }) = slot.take()
        {
            // Who has its answer finds its places free.
            drop(place);
            // A caller that went away misses its answer; the work is done all the same.
            let _gone = reply.send(Ok(done.into_iter().flatten().collect()));
        }
    }

    fn fail(&self) {
        let taken = self.slot().take();
        if let Some(Gathered { reply, place, .. }) = taken {
            drop(place);
            let _gone = reply.send(Err(unconfirmed()));
        }
    }
}
