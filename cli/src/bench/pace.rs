//! When requests are sent.
//!
//! Closed loop: every connection sends its next request when the last one is answered. A server
//! that stalls is then asked less often, and the requests that would have met the stall are missing
//! from the latencies ("coordinated omission").
//!
//! Open loop: requests are due at fixed instants, whatever the server does, and latency counts from
//! the due instant. A request that waits for a free connection has been waiting since it was due.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Shortest pause of the thread that releases due requests: a latency is overstated by this much at
/// most.
const PAUSE_MIN: Duration = Duration::from_micros(100);
/// Longest: it looks whether the measurement was given up.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The instants at which requests are due, counted from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub events_per_s: u64,
    pub events_per_request: u64,
}

impl Schedule {
    /// When request `index` is due.
    pub fn due(self, index: u64) -> Duration {
        let nanos = u128::from(index) * u128::from(self.events_per_request) * 1_000_000_000;
        Duration::from_nanos(
            u64::try_from(nanos.div_ceil(u128::from(self.events_per_s.max(1)))).unwrap_or(u64::MAX),
        )
    }

    /// How many requests are due by then: the first at once.
    pub fn due_by(self, elapsed: Duration) -> u64 {
        let per = u128::from(self.events_per_request.max(1)) * 1_000_000_000;
        u64::try_from(elapsed.as_nanos() * u128::from(self.events_per_s) / per)
            .unwrap_or(u64::MAX)
            .saturating_add(1)
    }

    /// Requests of a measurement that ends after so many events or so much time, whichever comes
    /// first.
    pub fn requests(self, events: Option<u64>, duration: Option<Duration>) -> u64 {
        let by_events = events.map_or(u64::MAX, |events| events / self.events_per_request.max(1));
        // What is due at the very end is not part of it.
        let by_time = duration.map_or(u64::MAX, |duration| {
            self.due_by(duration.saturating_sub(Duration::from_nanos(1)))
        });
        by_events.min(by_time)
    }
}

/// Due requests, taken one by one by the connections.
#[derive(Debug)]
pub struct OpenLoop {
    schedule: Schedule,
    started: Instant,
    end: Option<Instant>,
    requests: u64,
    taken: Cell<u64>,
    released: Arc<Semaphore>,
    given_up: Arc<AtomicBool>,
}

impl OpenLoop {
    /// Starts the thread that releases requests when they are due: a timer of the runtime is only
    /// good to a millisecond.
    pub fn start(
        schedule: Schedule,
        started: Instant,
        end: Option<Instant>,
        requests: u64,
        connections: usize,
    ) -> Self {
        let released = Arc::new(Semaphore::new(0));
        let given_up = Arc::new(AtomicBool::new(false));
        let (permits, stop) = (Arc::clone(&released), Arc::clone(&given_up));
        std::thread::spawn(move || {
            release(schedule, started, requests, &permits, &stop);
            // One each, to see that there is nothing left.
            permits.add_permits(connections);
        });
        Self {
            schedule,
            started,
            end,
            requests,
            taken: Cell::new(0),
            released,
            given_up,
        }
    }

    /// Waits for the next request that is due, and says since when it is; None when all were taken,
    /// or it is too late for more.
    pub async fn next(&self) -> Option<Instant> {
        self.released.acquire().await.ok()?.forget();
        let index = self.taken.get();
        if index >= self.requests || self.end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        self.taken.set(index + 1);
        Some(self.started + self.schedule.due(index))
    }

    /// How long each request has waited that is due and that no connection had time for.
    pub fn unsent(&self, end: Instant) -> impl Iterator<Item = Duration> {
        let elapsed = end.saturating_duration_since(self.started);
        let due = self.schedule.due_by(elapsed).min(self.requests);
        (self.taken.get()..due).map(move |index| elapsed.saturating_sub(self.schedule.due(index)))
    }
}

impl Drop for OpenLoop {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

fn release(
    schedule: Schedule,
    started: Instant,
    requests: u64,
    permits: &Semaphore,
    stop: &AtomicBool,
) {
    let mut released = 0;
    while released < requests && !stop.load(Ordering::Relaxed) {
        let elapsed = started.elapsed();
        let due = schedule.due_by(elapsed).min(requests);
        permits.add_permits(usize::try_from(due - released).unwrap_or(0));
        released = due;
        std::thread::sleep(
            schedule
                .due(due)
                .saturating_sub(elapsed)
                .clamp(PAUSE_MIN, PAUSE_MAX),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_20_MS: Schedule = Schedule {
        events_per_s: 50_000,
        events_per_request: 1_000,
    };

    #[test]
    fn requests_are_due_at_fixed_instants() {
        assert_eq!(
            (0..4)
                .map(|index| EVERY_20_MS.due(index).as_millis())
                .collect::<Vec<_>>(),
            [0, 20, 40, 60]
        );
        let thirds = Schedule {
            events_per_s: 3,
            events_per_request: 1,
        };
        assert_eq!(
            thirds.due(3_000_000),
            Duration::from_secs(1_000_000),
            "nothing adds up over a long run"
        );
        for schedule in [
            EVERY_20_MS,
            thirds,
            Schedule {
                events_per_s: 1_000_000,
                events_per_request: 7,
            },
        ] {
            for index in [0, 1, 2, 17, 1_000_003] {
                let due = schedule.due(index);
                assert_eq!(
                    schedule.due_by(due),
                    index + 1,
                    "{schedule:?}: request {index} is due at its instant"
                );
                assert!(
                    index == 0 || schedule.due_by(due - Duration::from_nanos(1)) == index,
                    "{schedule:?}: and not before"
                );
            }
        }
    }

    #[test]
    fn a_measurement_ends_by_events_or_by_time() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(EVERY_20_MS.requests(None, second), 50);
        assert_eq!(EVERY_20_MS.requests(Some(10_000), second), 10);
        assert_eq!(EVERY_20_MS.requests(Some(10_000_000), second), 50);
        assert_eq!(EVERY_20_MS.requests(Some(10_999), None), 10);
    }

    #[tokio::test]
    async fn each_request_is_taken_once_and_what_was_not_sent_has_waited() {
        // All due in the past: nothing here waits for a clock.
        let started = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let due = OpenLoop::start(EVERY_20_MS, started, None, 5, 2);
        assert_eq!(due.next().await, Some(started));
        assert_eq!(due.next().await, Some(started + Duration::from_millis(20)));
        let waited: Vec<_> = due
            .unsent(started + Duration::from_millis(65))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waited, [25, 5], "the fifth is not due yet");
        for _ in 0..3 {
            assert!(due.next().await.is_some());
        }
        assert_eq!(
            (due.next().await, due.next().await),
            (None, None),
            "one for each connection"
        );
        assert_eq!(due.unsent(started + Duration::from_secs(1)).count(), 0);

        let over = OpenLoop::start(EVERY_20_MS, started, Some(started), 5, 2);
        assert_eq!(over.next().await, None, "too late");
        assert_eq!(over.unsent(started + Duration::from_secs(1)).count(), 5);
    }
}
