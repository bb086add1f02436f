//! Every request is answered, whatever stage of its batch fails and however; later ones of the same
//! roots and of others are carried out as ever, nothing is posted twice or lost, and the books
//! verify.

use crate::faulty::{Fault, Faulty, Stage};
use crate::world::{World, prices};
use journal::Lanes;
use metering::requests::{EventAnswer, Outcome};
use problem::Problem;
use rating::TenantId;
use rating::fast::FastBuild;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Far more than anything here takes by itself.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// Conflicts that never end.
const ALWAYS: usize = 1000;
/// Commands of a batch that is committed while the next takes its turns.
const LARGE: usize = 1_100;

type Answers = Result<Vec<EventAnswer>, Problem>;

/// Two customers of the platform, each a root of its own, and in lanes of their own if there are
/// any.
struct Stand {
    world: Arc<World>,
    journal: Faulty,
    /// The one whose batches meet faults, and the other.
    roots: [(String, TenantId); 2],
    has_lanes: bool,
    sent: BTreeMap<&'static str, BTreeSet<String>>,
    /// Seconds, as the watch is told.
    clock: u64,
}

impl Stand {
    async fn new(lanes: Option<Lanes>) -> Self {
        let journal = Faulty::new(lanes);
        let world = World::over(Arc::new(journal.clone())).await;
        world
            .card(
                "platform",
                "wholesale",
                prices("0.30", "0.10", "1.00", "0.05"),
            )
            .await;
        let names: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
        for name in &names {
            world
                .customer(name, "platform", json!({ "card": "wholesale" }))
                .await;
        }
        let all: Vec<_> = names
            .iter()
            .map(|name| world.send(name, "sms", "1").id("first"))
            .collect();
        assert!(
            world
                .batch(&all)
                .await
                .iter()
                .all(|answer| answer.starts_with("rated"))
        );
        let id = |name: &String| world.tenant(name).id;
        let lane = |name: &&String| FastBuild::default().hash_one(id(name)) % 2;
        let other = names
            .iter()
            .find(|name| lane(name) != lane(&&names[0]))
            .unwrap();
        let roots = [&names[0], other].map(|name| (name.clone(), id(name)));
        Self {
            world: Arc::new(world),
            journal,
            roots,
            has_lanes: lanes.is_some(),
            sent: BTreeMap::new(),
            clock: 0,
        }
    }

    /// Messages of these customers under one id, as one request.
    fn send(&mut self, of: &[usize], id: &str) -> JoinHandle<Answers> {
        self.send_many(of, id, 1)
    }

    fn send_many(&mut self, of: &[usize], id: &str, each: usize) -> JoinHandle<Answers> {
        let mut events = Vec::new();
        for index in of {
            for number in 0..each {
                let id = format!("{id}-{number}");
                events.push(Ok(self
                    .world
                    .send(&self.roots[*index].0, "sms", "1")
                    .id(&id)
                    .event));
                self.sent
                    .entry(["failing", "other"][*index])
                    .or_default()
                    .insert(id);
            }
        }
        let (engine, caller) = (self.world.engine.clone(), self.world.caller("platform"));
        tokio::spawn(async move { engine.ingest(&caller, events).await })
    }

    /// The posts at which something has waited for a minute.
    fn stalled(&mut self) -> Vec<(String, &'static str)> {
        self.clock += 1;
        self.world.engine.waiting(Duration::from_secs(self.clock));
        self.clock += 60;
        let waiting = self.world.engine.waiting(Duration::from_secs(self.clock));
        waiting
            .into_iter()
            .filter(|one| one.oldest.as_secs() >= 60)
            .map(|one| (one.name, one.stage.name()))
            .collect()
    }

    /// The other lane may be at the same stage of its own part, for a moment.
    async fn stalls_only_at(&mut self, stage: Stage, cell: &str) {
        let until = Instant::now() + ANSWER_TIME_MAX;
        loop {
            let stalled = self.stalled();
            if stalled.iter().filter(|(_, at)| *at == stage.name()).count() == 1 {
                return;
            }
            assert!(Instant::now() < until, "{cell}: {stalled:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whatever was sent is sent again, until it is in the books: once, and nothing else is.
    async fn settle(&mut self, cell: &str) {
        self.journal.disarm();
        let sent = self.sent.clone();
        for (index, name) in ["failing", "other"].into_iter().enumerate() {
            let events: Vec<_> = sent.get(name).into_iter().flatten().collect();
            for chunk in events.chunks(5_000) {
                let again = chunk
                    .iter()
                    .map(|id| {
                        Ok(self
                            .world
                            .send(&self.roots[index].0, "sms", "1")
                            .id(id)
                            .event)
                    })
                    .collect();
                let answers = answered(
                    cell,
                    self.world
                        .engine
                        .ingest(&self.world.caller("platform"), again),
                )
                .await
                .expect(cell);
                let is_posted = |answer: &EventAnswer| {
                    matches!(answer.outcome, Outcome::Rated(_) | Outcome::Duplicate(_))
                };
                assert!(answers.iter().all(is_posted), "{cell}: {answers:?}");
            }
        }
        let audited = self.world.audit().await;
        for (index, name) in ["failing", "other"].into_iter().enumerate() {
            let account = ledger::AccountKey::balance(self.roots[index].1, rating::Currency::EUR);
            let count = 1 + sent.get(name).map_or(0, BTreeSet::len) as i64;
            assert_eq!(
                audited.accounts[&account].posted.0,
                -5 * count,
                "{cell}: {name}"
            );
        }
        // A lane is at its post for a moment longer than the answer takes.
        let empty = async {
            while self
                .world
                .engine
                .waiting(Duration::from_secs(self.clock))
                .iter()
                .any(|one| one.count > 0 || one.has_ended)
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        answered(cell, empty).await;
    }
}

async fn answered<T>(cell: &str, request: impl Future<Output = T>) -> T {
    tokio::time::timeout(ANSWER_TIME_MAX, request)
        .await
        .unwrap_or_else(|_| panic!("{cell}: a request was not answered"))
}

async fn joined(cell: &str, request: JoinHandle<Answers>) -> Answers {
    answered(cell, request).await.unwrap()
}

const BY_LANES: Lanes = Lanes {
    count: 2,
    one_root: false,
    may_be_undone: false,
};

fn kinds() -> [(&'static str, Option<Lanes>); 4] {
    [
        ("lanes", Some(BY_LANES)),
        (
            "lanes, undone",
            Some(Lanes {
                may_be_undone: true,
                ..BY_LANES
            }),
        ),
        (
            "lanes, one root",
            Some(Lanes {
                one_root: true,
                ..BY_LANES
            }),
        ),
        ("committer", None),
    ]
}

fn stages(lanes: Option<Lanes>) -> impl Iterator<Item = Stage> {
    Stage::ALL
        .into_iter()
        .filter(move |stage| lanes.is_some() || *stage != Stage::Lock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_fails_costs_its_own_requests_and_no_more() {
    for (kind, lanes) in kinds() {
        let mut stand = Stand::new(lanes).await;
        for stage in stages(lanes) {
            for (fault, times) in [
                (Fault::Unavailable, 1),
                (Fault::Conflict, 1),
                (Fault::Conflict, ALWAYS),
                (Fault::Corrupt, 1),
                (Fault::Panic, 1),
            ] {
                let cell = format!("{kind}: {stage:?} {fault:?} {times}");
                stand.journal.arm(stand.roots[0].1, stage, fault, times);
                let requests = [
                    stand.send(&[0, 1], &format!("{cell} both")),
                    stand.send(&[1], &format!("{cell} other")),
                ];
                for request in requests {
                    if let Err(problem) = joined(&cell, request).await {
                        assert_eq!(problem.code.as_str(), "unavailable", "{cell}");
                    }
                }
                stand.settle(&cell).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_does_not_answer_is_seen_and_keeps_nobody_elses_requests() {
    for (kind, lanes) in kinds() {
        let mut stand = Stand::new(lanes).await;
        for stage in stages(lanes) {
            let cell = format!("{kind}: {stage:?} hangs");
            stand.journal.arm(stand.roots[0].1, stage, Fault::Hang, 1);
            let both = stand.send(&[0, 1], &format!("{cell} both"));
            answered(&cell, stand.journal.hangs()).await;
            let behind = stand.send(&[0], &format!("{cell} behind"));
            stand.stalls_only_at(stage, &cell).await;
            // Another lane's roots go on; roots of one lane wait for each other.
            let other = stand.send(&[1], &format!("{cell} other"));
            if stand.has_lanes {
                joined(&cell, other).await.expect(&cell);
                stand.journal.release();
            } else {
                stand.journal.release();
                joined(&cell, other).await.expect(&cell);
            }
            joined(&cell, both).await.expect(&cell);
            joined(&cell, behind).await.expect(&cell);
            stand.settle(&cell).await;
        }
    }
}

/// One lane's part of a request fails while another lane's is slow, and ends well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_success_of_a_request_that_failed_elsewhere_keeps_no_lane() {
    for (kind, lanes) in kinds().into_iter().filter(|(_, lanes)| lanes.is_some()) {
        let mut stand = Stand::new(lanes).await;
        for stage in stages(lanes) {
            for slow in stages(lanes) {
                let cell = format!("{kind}: {stage:?} fails, {slow:?} is slow");
                stand
                    .journal
                    .arm(stand.roots[0].1, stage, Fault::Unavailable, 1);
                stand.journal.arm(stand.roots[1].1, slow, Fault::Hang, 1);
                let both = stand.send(&[0, 1], &format!("{cell} both"));
                answered(&cell, stand.journal.hangs()).await;
                assert_eq!(
                    joined(&cell, both).await.unwrap_err().code.as_str(),
                    "unavailable",
                    "{cell}: at once"
                );
                let behind = stand.send(&[1], &format!("{cell} behind"));
                stand.journal.release();
                joined(&cell, behind).await.expect(&cell);
                stand.settle(&cell).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_heard_of_is_found_by_a_resend() {
    let mut stand = Stand::new(Some(BY_LANES)).await;
    stand
        .journal
        .arm(stand.roots[0].1, Stage::Commit, Fault::Unheard, 1);
    let both = stand.send(&[0, 1], "unheard");
    assert_eq!(
        joined("unheard", both).await.unwrap_err().code.as_str(),
        "unavailable"
    );
    stand.settle("unheard").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batches_of_the_one_committer_fail_or_wait_as_small_ones_do() {
    let mut stand = Stand::new(None).await;
    for (fault, is_well) in [
        (Fault::Unavailable, false),
        (Fault::Panic, false),
        (Fault::Hang, true),
    ] {
        let cell = format!("large: {fault:?}");
        stand.journal.arm(stand.roots[0].1, Stage::Commit, fault, 1);
        let first = stand.send_many(&[0], &format!("{cell} first"), LARGE);
        if fault == Fault::Hang {
            answered(&cell, stand.journal.hangs()).await;
            let stalled = stand.stalled();
            assert!(
                stalled.contains(&("journal".to_owned(), "commit")),
                "{cell}: {stalled:?}"
            );
        }
        let behind = stand.send_many(&[0, 1], &format!("{cell} behind"), LARGE);
        if fault == Fault::Hang {
            stand.journal.release();
        }
        assert_eq!(joined(&cell, first).await.is_ok(), is_well, "{cell}");
        if let Err(problem) = joined(&cell, behind).await {
            assert_eq!(problem.code.as_str(), "unavailable", "{cell}");
        }
        stand.settle(&cell).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_nothing_behind() {
    for (kind, lanes) in kinds() {
        let mut stand = Stand::new(lanes).await;
        for stage in stages(lanes) {
            let cell = format!("{kind}: {stage:?}, and the caller is gone");
            stand.journal.arm(stand.roots[0].1, stage, Fault::Hang, 1);
            let both = stand.send(&[0, 1], &format!("{cell} both"));
            answered(&cell, stand.journal.hangs()).await;
            both.abort();
            stand.journal.release();
            let behind = stand.send(&[0, 1], &format!("{cell} behind"));
            joined(&cell, behind).await.expect(&cell);
            stand.settle(&cell).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_ends_in_its_time_and_says_what_is_stuck() {
    for (kind, lanes) in kinds() {
        let mut stand = Stand::new(lanes).await;
        stand
            .journal
            .arm(stand.roots[0].1, Stage::Commit, Fault::Hang, 1);
        let stuck = stand.send(&[0], "stuck");
        answered(kind, stand.journal.hangs()).await;
        let error = answered(kind, stand.world.engine.drain(Duration::from_millis(200)))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("1 waiting, stage commit"),
            "{kind}: {error}"
        );
        stand.journal.release();
        joined(kind, stuck).await.expect(kind);
    }
}
