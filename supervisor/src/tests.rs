use super::*;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn supervisor(steady: Duration) -> Supervisor {
    let pace = Pace {
        pause_first: ms(1),
        pause_max: ms(8),
        steady,
    };
    Supervisor(Arc::new(Inner {
        pace,
        ..Inner::default()
    }))
}

/// A task that panics in its first `bad` runs and works from then on, and how often it was started.
fn faulty(supervisor: &Supervisor, bad: u32) -> Arc<AtomicU32> {
    let runs = Arc::new(AtomicU32::new(0));
    let theirs = Arc::clone(&runs);
    supervisor.run("faulty", Until::Shutdown, move |token| {
        let run = theirs.fetch_add(1, SeqCst) + 1;
        async move {
            assert!(run > bad, "run {run} on purpose");
            token.cancelled().await;
        }
    });
    runs
}

async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(ms(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("it came about in time");
}

#[tokio::test]
async fn a_task_that_panics_is_started_again() {
    let supervisor = supervisor(Duration::from_secs(600));
    let runs = faulty(&supervisor, 2);
    until(|| runs.load(SeqCst) == 3).await;
    assert_eq!(
        supervisor.down(),
        Vec::<String>::new(),
        "two panics are no end"
    );
    supervisor
        .stop(Until::Shutdown, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(runs.load(SeqCst), 3);
}

#[tokio::test]
async fn a_task_that_keeps_panicking_is_down_until_it_has_run_for_a_while() {
    let down = supervisor(Duration::from_secs(600));
    let runs = faulty(&down, 4);
    until(|| runs.load(SeqCst) == 5).await;
    assert_eq!(
        down.down(),
        ["faulty: run 4 on purpose"],
        "it works, and may panic again at any time"
    );
    let well = supervisor(ms(50));
    let runs = faulty(&well, 4);
    until(|| runs.load(SeqCst) == 5 && well.down().is_empty()).await;
}

#[test]
fn pauses_grow_to_their_bound_and_never_end() {
    let pauses: Vec<u64> = Pace::default()
        .pauses()
        .take(8)
        .map(|pause| pause.as_secs())
        .collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
}

/// It ran long enough in between.
#[tokio::test]
async fn panics_far_apart_are_not_in_a_row() {
    let supervisor = supervisor(Duration::ZERO);
    let runs = faulty(&supervisor, 10);
    until(|| runs.load(SeqCst) == 11).await;
    assert_eq!(supervisor.0.panicked.lock().unwrap()["faulty"].in_a_row, 1);
}

#[tokio::test]
async fn tasks_finish_their_round_and_those_that_hang_are_cut_off() {
    let (supervisor, begun, done) = (
        Supervisor::default(),
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicU32::new(0)),
    );
    let theirs = (Arc::clone(&begun), Arc::clone(&done));
    supervisor.run("rounds", Until::Shutdown, move |token| {
        let (begun, done) = theirs.clone();
        async move {
            let mut rounds = Rounds::new(Duration::from_secs(600), token);
            while rounds.next().await {
                begun.fetch_add(1, SeqCst);
                tokio::time::sleep(ms(20)).await;
                done.fetch_add(1, SeqCst);
            }
        }
    });
    supervisor.run("hangs", Until::Drained, |_| std::future::pending());
    until(|| begun.load(SeqCst) == 1).await;
    supervisor
        .stop(Until::Shutdown, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!((begun.load(SeqCst), done.load(SeqCst)), (1, 1));
    assert_eq!(supervisor.stop(Until::Drained, ms(1)).await, Err(CutOff(1)));
}

#[tokio::test]
async fn a_task_that_returns_is_not_started_again() {
    let (supervisor, runs) = (supervisor(Duration::ZERO), Arc::new(AtomicU32::new(0)));
    let theirs = Arc::clone(&runs);
    supervisor.run("short", Until::Shutdown, move |_| {
        theirs.fetch_add(1, SeqCst);
        async {}
    });
    until(|| runs.load(SeqCst) > 0).await;
    supervisor
        .stop(Until::Shutdown, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(runs.load(SeqCst), 1);
}
