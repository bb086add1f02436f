use super::gather::lane_of;
use super::*;
use async_trait::async_trait;
use journal::memory::MemoryJournal;
use journal::{
    Batch, Check, EntryQuery, JournalEntry, Keyed, Locking, Name, Namespace, Placed, Reporter,
    State, StateKeys,
};
use rating::Instant;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, oneshot};

type Answer = oneshot::Receiver<Result<Vec<CommandResult>, Problem>>;

const A: TenantId = TenantId(1);
const B: TenantId = TenantId(2);
const C: TenantId = TenantId(3);

/// A job of one command for each of these roots.
fn submit(roots: &[TenantId], ways: &[Way]) -> Answer {
    let (reply, answer) = oneshot::channel();
    let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let work = roots
        .iter()
        .map(|root| Command::Sweep { root: *root })
        .collect();
    hand_out(
        Job {
            work,
            reply,
            place,
            waits: Post::new("queue").enter(),
        },
        ways,
    );
    answer
}

fn lane_over(journal: Arc<dyn Journal>, one_root: bool) -> (Lane, Way) {
    let (pieces, waiting) = mpsc::unbounded_channel();
    let post = Post::new("lane");
    let lane = Lane {
        journal,
        clock: Arc::new(|| Instant(0)),
        lanes: Lanes {
            count: 1,
            one_root,
            may_be_undone: true,
        },
        balance_monitor: BalanceMonitor::default(),
        outcomes: Outcomes::default(),
        waiting,
        aside: None,
        post: post.clone(),
        step_time_max: Duration::from_millis(100),
    };
    (lane, Way { pieces, post })
}

fn lane(one_root: bool) -> (Lane, [Way; 1]) {
    let (lane, way) = lane_over(Arc::new(MemoryJournal::new()), one_root);
    (lane, [way])
}

fn roots(work: &[Command]) -> Vec<TenantId> {
    work.iter().map(Command::root).collect()
}

/// The first piece as a batch that waits for its locks.
fn begun(lane: &mut Lane) -> (Part, Callers) {
    let (mut callers, mut parts) = (Callers::new(), BTreeMap::new());
    let piece = lane.try_next().unwrap();
    lane.sort(piece, &mut callers, &mut parts);
    (parts.into_values().next().unwrap(), callers)
}

#[test]
fn a_batch_that_waited_takes_along_what_is_of_its_roots_and_nothing_overtakes() {
    let (mut lane, way) = lane(false);
    let mut answers: Vec<Answer> = [&[A, B][..], &[A], &[B, A], &[A, C], &[A]]
        .map(|roots| submit(roots, &way))
        .into();
    let (mut part, mut callers) = begun(&mut lane);
    lane.top_up(&BTreeSet::from([A, B]), &mut part, &mut callers);
    assert_eq!(roots(&part.work), [A, B, A, B, A]);
    assert_eq!(part.places, [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]);

    // C is not locked: that piece is next as a whole, and what came after it comes after it.
    lane.top_up(&BTreeSet::from([A, B]), &mut part, &mut callers);
    assert_eq!(part.work.len(), 5);
    let left: Vec<_> = std::iter::from_fn(|| lane.try_next())
        .map(|piece| roots(&piece.work))
        .collect();
    assert_eq!(left, [vec![A, C], vec![A]]);

    // Each caller hears of its own commands, once all of them are done.
    callers[0].put([(0, CommandResult::Swept), (1, CommandResult::Swept)].into_iter());
    callers[2].put(std::iter::once((0, CommandResult::Swept)));
    callers[1].fail();
    assert_eq!(answers[0].try_recv().unwrap().unwrap().len(), 2);
    assert!(answers[1].try_recv().unwrap().is_err());
    assert!(answers[2].try_recv().is_err(), "one of two is missing");
    callers[2].put(std::iter::once((1, CommandResult::Swept)));
    assert_eq!(answers[2].try_recv().unwrap().unwrap().len(), 2);
}

#[test]
fn a_batch_takes_along_only_so_much() {
    let (mut lane, way) = lane(false);
    let _answers: Vec<Answer> = (0..4)
        .map(|_| submit(&vec![A; COMMIT_COMMANDS_MAX / 3], &way))
        .collect();
    let (mut part, mut callers) = begun(&mut lane);
    lane.top_up(&BTreeSet::from([A]), &mut part, &mut callers);
    assert_eq!(part.work.len(), COMMIT_COMMANDS_MAX);
    assert!(lane.try_next().is_some());
}

#[test]
fn roots_spread_over_the_lanes_however_they_were_numbered() {
    for (lanes, step) in [(2, 1), (2, 2), (3, 3), (4, 2), (4, 1 << 22), (5, 89)] {
        let mut roots = vec![0; lanes];
        (0..1000)
            .for_each(|n| roots[lane_of(TenantId(911_760_596_722_511_537 + n * step), lanes)] += 1);
        assert!(
            roots.iter().all(|count| count * lanes > 800),
            "{lanes} lanes, steps of {step}: {roots:?}"
        );
    }
}

/// Another lane's part of a job failed while this lane worked on its own, which ends well.
#[test]
fn a_job_that_failed_elsewhere_keeps_neither_the_lane_nor_who_is_behind_it() {
    let (mut lane, way) = lane(false);
    let mut answers: Vec<Answer> = [&[A, B][..], &[A], &[B]]
        .map(|roots| submit(roots, &way))
        .into();
    let (mut part, mut callers) = begun(&mut lane);
    lane.top_up(&BTreeSet::from([A, B]), &mut part, &mut callers);
    callers[0].fail();
    // On a thread of its own: it once never came back.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        hand_back(
            &part.places,
            vec![
                CommandResult::Swept,
                CommandResult::Swept,
                CommandResult::Swept,
                CommandResult::Swept,
            ],
            &callers,
        );
        let _nobody_waits = tell.send(());
    });
    told.recv_timeout(Duration::from_secs(5))
        .expect("the lane comes back");
    assert!(answers[0].try_recv().unwrap().is_err());
    assert_eq!(answers[1].try_recv().unwrap().unwrap().len(), 1);
    assert_eq!(answers[2].try_recv().unwrap().unwrap().len(), 1);
}

#[test]
fn fewer_answers_than_commands_leave_nobody_waiting() {
    let (mut lane, way) = lane(false);
    let mut answers: Vec<Answer> = [&[A][..], &[A, A]].map(|roots| submit(roots, &way)).into();
    let (mut part, mut callers) = begun(&mut lane);
    lane.top_up(&BTreeSet::from([A]), &mut part, &mut callers);
    hand_back(
        &part.places,
        vec![CommandResult::Swept, CommandResult::Swept],
        &callers,
    );
    drop(callers);
    assert!(answers[0].try_recv().unwrap().is_ok());
    assert!(
        matches!(
            answers[1].try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        ),
        "who is let down hears of it"
    );
}

/// Panics at the first lock, never answers the second, and then works.
#[derive(Debug, Default)]
struct Troubled {
    books: MemoryJournal,
    locks: AtomicUsize,
}

#[async_trait]
impl Locking for Troubled {
    fn lanes(&self) -> Lanes {
        Lanes {
            count: 1,
            one_root: false,
            may_be_undone: false,
        }
    }
    async fn enter(&self, _: &[TenantId]) -> Result<Arc<dyn Journal>, JournalError> {
        match self.locks.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("told to"),
            1 => std::future::pending().await,
            _ => Ok(Arc::new(self.books.clone())),
        }
    }
}

#[async_trait]
impl Journal for Troubled {
    fn identity_key(&self, name: Name<'_>) -> u64 {
        self.books.identity_key(name)
    }
    async fn find(
        &self,
        identities: &[Keyed<'_>],
    ) -> Result<Vec<Option<Arc<JournalEntry>>>, JournalError> {
        self.books.find(identities).await
    }
    async fn reporters(
        &self,
        roots: &[TenantId],
        namespace: Namespace,
    ) -> Result<Vec<(TenantId, Reporter)>, JournalError> {
        self.books.reporters(roots, namespace).await
    }
    async fn load(&self, keys: &StateKeys) -> Result<State, JournalError> {
        self.books.load(keys).await
    }
    async fn commit(&self, batch: Batch) -> Result<Placed, JournalError> {
        self.books.commit(batch).await
    }
    async fn read(&self, query: &EntryQuery) -> Result<Vec<JournalEntry>, JournalError> {
        self.books.read(query).await
    }
    async fn expired_holds(&self, now: Instant, limit: usize) -> Result<Vec<Hold>, JournalError> {
        self.books.expired_holds(now, limit).await
    }
    async fn verify(&self) -> Result<Vec<Check>, JournalError> {
        self.books.verify().await
    }
    fn locking(&self) -> Option<&dyn Locking> {
        Some(self)
    }
}

#[tokio::test]
async fn a_lane_comes_back_from_a_panic_and_from_a_database_that_does_not_answer() {
    let (lane, way) = lane_over(Arc::new(Troubled::default()), false);
    let watch = crate::watch::Watch::over(vec![way.post.clone()]);
    let ways = [way];
    let running = tokio::spawn(lane.run());
    for (round, well) in [("a panic", false), ("no answer", false), ("as usual", true)] {
        let answer = tokio::time::timeout(Duration::from_secs(5), submit(&[A, B], &ways))
            .await
            .expect(round)
            .expect(round);
        assert_eq!(answer.is_ok(), well, "{round}");
    }
    let [now] = watch.look(Duration::from_secs(1)).try_into().unwrap();
    assert_eq!((now.count, now.has_ended), (0, false));
    drop(ways);
    running.await.unwrap();
    assert!(watch.look(Duration::from_secs(1))[0].has_ended);
}
