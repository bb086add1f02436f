//! A circuit breaker: a provider that fails again and again is left alone for a while, then asked
//! once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row after which nothing is sent.
const FAILURES_MAX: u32 = 5;
/// How long nothing is sent at first; doubled whenever the probe fails as well.
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A probe that has not come back by then (its caller is gone) makes room for another.
const PROBE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, pause: Duration },
    Probing { until: Instant, pause: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether a request may be sent now; what became of it must be told.
    ///
    /// # Errors
    /// For how long nothing is to be sent.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Ok(()),
            State::Open { until, .. } | State::Probing { until, .. } if now < until => {
                Err(until - now)
            }
            State::Open { pause, .. } | State::Probing { pause, .. } => {
                *state = State::Probing {
                    until: now + PROBE_MAX,
                    pause,
                };
                Ok(())
            }
        }
    }

    /// The provider answered, with whatever.
    pub fn answered(&self) {
        *self.state() = State::default();
    }

    /// The provider did not answer, or said that it cannot.
    pub fn failed(&self, now: Instant) {
        let mut state = self.state();
        *state = match *state {
            State::Closed { failures } if failures + 1 < FAILURES_MAX => State::Closed {
                failures: failures + 1,
            },
            State::Closed { .. } => State::Open {
                until: now + PAUSE_MIN,
                pause: PAUSE_MIN,
            },
            State::Probing { pause, .. } => {
                let pause = (pause * 2).min(PAUSE_MAX);
                State::Open {
                    until: now + pause,
                    pause,
                }
            }
            // One that was sent before it opened.
            open @ State::Open { .. } => open,
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn opened(at: Instant) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(breaker.admit(at), Ok(()));
            breaker.failed(at);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            (1..FAILURES_MAX).for_each(|_| breaker.failed(now));
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.answered();
        }
        assert_eq!(opened(now).admit(now), Err(PAUSE_MIN));
    }

    #[test]
    fn one_probe_decides() {
        let start = Instant::now();
        let breaker = opened(start);
        assert_eq!(breaker.admit(start + secs(4)), Err(secs(1)));
        assert_eq!(breaker.admit(start + secs(5)), Ok(()), "the probe");
        assert!(breaker.admit(start + secs(6)).is_err(), "nothing beside it");
        breaker.answered();
        assert_eq!(breaker.admit(start + secs(6)), Ok(()));
    }

    #[test]
    fn the_pause_doubles_to_a_minute() {
        let mut now = Instant::now();
        let breaker = opened(now);
        for pause in [5, 10, 20, 40, 60, 60] {
            assert_eq!(breaker.admit(now), Err(secs(pause)));
            now += secs(pause);
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
            breaker.failed(now);
        }
    }

    #[test]
    fn a_lost_probe_makes_room() {
        let start = Instant::now();
        let breaker = opened(start);
        assert_eq!(breaker.admit(start + secs(5)), Ok(()));
        assert!(breaker.admit(start + secs(64)).is_err());
        assert_eq!(breaker.admit(start + secs(65)), Ok(()));
    }
}
