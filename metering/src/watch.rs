//! Who waits, where, and since when: the engine's queues and lanes, as readiness and metrics ask
//! after them.
//!
//! A post counts what comes and what goes, one atomic each, and knows no time. Whoever looks brings
//! the time along and keeps, look by look, how many had come: what waits first came before the look
//! that first counted it. So an age is right to the time between two looks, and the hot path pays
//! for none of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Looks that are kept of one post.
const LOOKS_MAX: usize = 256;

/// What a post is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    Idle,
    Lock,
    Holds,
    Find,
    Load,
    Turns,
    Commit,
    Pause,
}

impl Stage {
    const ALL: [Self; 8] = [
        Self::Idle,
        Self::Lock,
        Self::Holds,
        Self::Find,
        Self::Load,
        Self::Turns,
        Self::Commit,
        Self::Pause,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Lock => "lock",
            Self::Holds => "expired_holds",
            Self::Find => "find",
            Self::Load => "load",
            Self::Turns => "turns",
            Self::Commit => "commit",
            Self::Pause => "pause",
        }
    }
}

/// One queue or lane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Post(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    came: AtomicU64,
    went: AtomicU64,
    stage: AtomicU8,
    has_ended: AtomicBool,
}

/// Something that waits at a post until this is dropped.
#[derive(Debug)]
pub struct Ticket(Post);

/// Whoever works at a post; when this is dropped, nobody does any more.
#[derive(Debug)]
pub struct Staffed(Post);

impl Post {
    pub fn new(name: impl Into<String>) -> Self {
        let (came, went) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner {
            name: name.into(),
            came,
            went,
            stage: AtomicU8::new(0),
            has_ended: AtomicBool::new(false),
        }))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn enter(&self) -> Ticket {
        self.0.came.fetch_add(1, Ordering::Relaxed);
        Ticket(self.clone())
    }

    pub fn staff(&self) -> Staffed {
        Staffed(self.clone())
    }

    pub fn at(&self, stage: Stage) {
        self.0.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub fn stage(&self) -> Stage {
        Stage::ALL
            .get(usize::from(self.0.stage.load(Ordering::Relaxed)))
            .copied()
            .unwrap_or(Stage::Idle)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.0.went.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Staffed {
    fn drop(&mut self) {
        self.0.0.has_ended.store(true, Ordering::Relaxed);
    }
}

/// How it stands at one post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// `committer`, `journal`; `hand-out`, `lane-0`, ….
    pub name: String,
    pub stage: Stage,
    /// Jobs, or a lane's parts of them.
    pub count: u64,
    /// Age of the oldest; zero where nothing waits.
    pub oldest: Duration,
    /// Nobody works here any more.
    pub has_ended: bool,
}

impl Waiting {
    /// Without the age.
    pub fn place(&self) -> String {
        format!(
            "{} ({} waiting, stage {})",
            self.name,
            self.count,
            self.stage.name()
        )
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            stage,
            count,
            oldest,
            has_ended,
        } = self;
        let ended = if *has_ended { ", it has ended" } else { "" };
        write!(
            f,
            "{name}: {count} waiting, the oldest for {} s (stage {}{ended})",
            oldest.as_secs(),
            stage.name()
        )
    }
}

/// All posts of an engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Vec<(Post, Mutex<Looks>)>>);

/// How many had come by when, as far as not all of them have gone.
type Looks = VecDeque<(u64, Duration)>;

impl Watch {
    pub fn over(posts: Vec<Post>) -> Self {
        Self(Arc::new(
            posts
                .into_iter()
                .map(|post| (post, Mutex::default()))
                .collect(),
        ))
    }

    /// `now`: on a clock that only goes forward. Look about once a second: what nobody has seen yet
    /// is new.
    pub fn look(&self, now: Duration) -> Vec<Waiting> {
        let look = |(post, looks): &(Post, Mutex<Looks>)| {
            let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
            let went = post.0.went.load(Ordering::Relaxed);
            let came = post.0.came.load(Ordering::Relaxed);
            while looks.front().is_some_and(|(counted, _)| *counted <= went) {
                looks.pop_front();
            }
            let is_new = came > went && looks.back().is_none_or(|(counted, _)| *counted < came);
            if is_new && looks.len() < LOOKS_MAX {
                looks.push_back((came, now));
            }
            let oldest = looks
                .front()
                .map_or(Duration::ZERO, |(_, at)| now.saturating_sub(*at));
            let has_ended = post.0.has_ended.load(Ordering::Relaxed);
            Waiting {
                name: post.0.name.clone(),
                stage: post.stage(),
                count: came.saturating_sub(went),
                oldest,
                has_ended,
            }
        };
        self.0.iter().map(look).collect()
    }
}

/// Batches that failed in a row, and are no reason yet.
const FAILURES_MAX: u32 = 3;
/// How long a failure says something of now: then others may try again.
const FAILED_LATELY: Duration = Duration::from_secs(20);

/// Whether batches become durable. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Outcomes(Arc<OutcomesInner>);

#[derive(Debug, Default)]
struct OutcomesInner {
    failed_in_a_row: AtomicU32,
    failed: AtomicU64,
    last: Mutex<LastFailure>,
}

#[derive(Debug, Default)]
struct LastFailure {
    why: String,
    /// The number of failures at the look that first saw it, and when that was.
    seen: Option<(u64, Duration)>,
}

impl Outcomes {
    pub fn durable(&self) {
        if self.0.failed_in_a_row.load(Ordering::Relaxed) > 0 {
            self.0.failed_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    pub fn failed(&self, why: String) {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.why = why;
        self.0.failed.fetch_add(1, Ordering::Relaxed);
        self.0.failed_in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    /// Why nothing became durable of late, if several batches in a row failed. `now` as in
    /// [`Watch::look`].
    pub fn failing(&self, now: Duration) -> Option<String> {
        if self.0.failed_in_a_row.load(Ordering::Relaxed) < FAILURES_MAX {
            return None;
        }
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = self.0.failed.load(Ordering::Relaxed);
        let at = last
            .seen
            .filter(|(counted, _)| *counted == failed)
            .map_or(now, |(_, at)| at);
        last.seen = Some((failed, at));
        (now.saturating_sub(at) < FAILED_LATELY).then(|| last.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn oldest(watch: &Watch, at: u64) -> u64 {
        watch.look(secs(at))[0].oldest.as_secs()
    }

    #[test]
    fn the_oldest_that_waits_has_an_age() {
        let post = Post::new("lane-0");
        let watch = Watch::over(vec![post.clone()]);
        assert_eq!(oldest(&watch, 10), 0, "nothing waits");
        let first = post.enter();
        assert_eq!(oldest(&watch, 20), 0, "nobody has seen it before");
        let second = post.enter();
        assert_eq!(oldest(&watch, 25), 5);
        drop(first);
        assert_eq!(oldest(&watch, 31), 6, "the second was seen at 25");
        drop(second);
        assert_eq!(oldest(&watch, 40), 0);
        let _third = post.enter();
        assert_eq!((oldest(&watch, 50), oldest(&watch, 110)), (0, 60));
    }

    /// A queue that is long but moves: the age is that of what waits, not of the time without
    /// progress.
    #[test]
    fn a_long_queue_that_moves_shows_how_long_one_waits() {
        let post = Post::new("committer");
        let watch = Watch::over(vec![post.clone()]);
        let mut waiting = VecDeque::new();
        for second in 0..30 {
            waiting.extend([post.enter(), post.enter()]);
            assert_eq!(
                oldest(&watch, second),
                second.div_ceil(2),
                "two come a second, and one goes"
            );
            waiting.pop_front();
        }
    }

    #[test]
    fn batches_that_fail_in_a_row_say_why_until_one_is_durable_or_a_while_has_passed() {
        let outcomes = Outcomes::default();
        let fails = |times| (0..times).for_each(|_| outcomes.failed("no space left".to_owned()));
        fails(2);
        assert_eq!(outcomes.failing(secs(10)), None, "two are no reason");
        fails(1);
        let why = Some("no space left".to_owned());
        assert_eq!(
            (outcomes.failing(secs(11)), outcomes.failing(secs(30))),
            (why.clone(), why.clone())
        );
        assert_eq!(outcomes.failing(secs(31)), None, "somebody may try again");
        fails(1);
        assert_eq!(outcomes.failing(secs(40)), why, "and it has failed again");
        outcomes.durable();
        assert_eq!(outcomes.failing(secs(41)), None);
    }

    #[test]
    fn a_post_that_is_left_says_so() {
        let post = Post::new("lane-1");
        let watch = Watch::over(vec![post.clone()]);
        post.at(Stage::Commit);
        let staffed = post.staff();
        let _waiting = post.enter();
        watch.look(secs(1));
        assert_eq!(
            watch.look(secs(43))[0].to_string(),
            "lane-1: 1 waiting, the oldest for 42 s (stage commit)"
        );
        drop(staffed);
        assert!(watch.look(secs(43))[0].has_ended);
    }
}
