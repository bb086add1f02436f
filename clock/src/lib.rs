//! The only reader of the wall clock and of the system's randomness. Everything else takes
//! instants, ids and secrets as arguments, so that tests can set the time and replays give the same
//! result.
//!
//! The wall clock is believed as long as it goes along with the monotonic one. Once it has stepped
//! by more than a day, forward or back, time goes on as the monotonic clock counts it, so that
//! nothing is misdated, and [`Clock::stepped`] says so until somebody accepts the new time
//! ([`Clock::accept`]) or the wall clock comes back.

use rating::{Instant, ids};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The wall clock may be set by as much as this while the server runs, all in all.
pub const STEP_SECS_MAX: i64 = 24 * 3600;
const STEP_MICROS_MAX: i64 = STEP_SECS_MAX * 1_000_000;
/// A step that is worth being remembered: less is the drift between two readings.
const DRIFT_MICROS: i64 = 1_000_000;

/// Cheap to clone. A set clock stands still until it is set again.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Clocks>);

#[derive(Debug)]
struct Clocks {
    /// Of tests: what the wall clock shows and the monotonic one counts.
    set: Option<Mutex<(i64, i64)>>,
    /// Wall clock less monotonic clock, at the start or as somebody has accepted it.
    accepted: AtomicI64,
    /// The same as it was last within bounds of that.
    good: AtomicI64,
}

/// The wall clock has stepped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What it shows.
    pub wall: Instant,
    /// What time it is as the monotonic clock counts on.
    pub time: Instant,
}

impl Step {
    /// How far it is ahead; negative: behind.
    pub fn secs(&self) -> i64 {
        self.wall.micros().saturating_sub(self.time.micros()) / 1_000_000
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    pub fn system() -> Self {
        Self::over(None)
    }

    /// A clock for tests: shows `at` until [`Clock::set`].
    pub fn at(at: Instant) -> Self {
        Self::over(Some(Mutex::new((at.micros(), 0))))
    }

    fn over(set: Option<Mutex<(i64, i64)>>) -> Self {
        let clock = Self(Arc::new(Clocks {
            set,
            accepted: AtomicI64::new(0),
            good: AtomicI64::new(0),
        }));
        clock.accept();
        clock
    }

    /// Time passes until `at`. Without effect on the system's clock.
    pub fn set(&self, at: Instant) {
        if let Some(mut set) = self.set_clock() {
            let passed = at.micros().saturating_sub(set.0);
            *set = (at.micros(), set.1.saturating_add(passed));
        }
    }

    /// Somebody sets the wall clock, and no time passes. Without effect on the system's clock.
    pub fn step(&self, at: Instant) {
        if let Some(mut set) = self.set_clock() {
            set.0 = at.micros();
        }
    }

    fn set_clock(&self) -> Option<MutexGuard<'_, (i64, i64)>> {
        self.0
            .set
            .as_ref()
            .map(|set| set.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the wall clock shows and the monotonic one counts, in microseconds.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn read(&self) -> (i64, i64) {
        match self.set_clock() {
            Some(set) => *set,
            None => {
                let counted = i64::try_from(monotonic().as_micros()).unwrap_or(i64::MAX);
                (
                    jiff::Timestamp::now()
                        .as_microsecond()
                        .clamp(Instant::MIN.0, Instant::MAX.0),
                    counted,
                )
            }
        }
    }

    pub fn now(&self) -> Instant {
        let (wall, counted) = self.read();
        let (offset, good) = (
            wall.saturating_sub(counted),
            self.0.good.load(Ordering::Relaxed),
        );
        if !self.is_within(offset) {
            return Instant(
                counted
                    .saturating_add(good)
                    .clamp(Instant::MIN.0, Instant::MAX.0),
            );
        }
        if offset.abs_diff(good) > DRIFT_MICROS as u64 {
            self.0.good.store(offset, Ordering::Relaxed);
        }
        Instant(wall)
    }

    fn is_within(&self, offset: i64) -> bool {
        offset.abs_diff(self.0.accepted.load(Ordering::Relaxed)) <= STEP_MICROS_MAX as u64
    }

    /// `None`: the wall clock goes along with the monotonic one.
    pub fn stepped(&self) -> Option<Step> {
        let (wall, counted) = self.read();
        let time = counted
            .saturating_add(self.0.good.load(Ordering::Relaxed))
            .clamp(Instant::MIN.0, Instant::MAX.0);
        (!self.is_within(wall.saturating_sub(counted))).then_some(Step {
            wall: Instant(wall),
            time: Instant(time),
        })
    }

    /// What the wall clock shows now counts from now on.
    pub fn accept(&self) {
        let (wall, counted) = self.read();
        let offset = wall.saturating_sub(counted);
        self.0.accepted.store(offset, Ordering::Relaxed);
        self.0.good.store(offset, Ordering::Relaxed);
    }

    /// It is this time, whatever the wall clock shows: if that is more than a day off, it has
    /// stepped.
    pub fn expect_time(&self, time: Instant) {
        let (_, counted) = self.read();
        let offset = time.micros().saturating_sub(counted);
        self.0.accepted.store(offset, Ordering::Relaxed);
        self.0.good.store(offset, Ordering::Relaxed);
        if self.stepped().is_none() {
            self.accept();
        }
    }

    /// A new id: time-ordered, then counted on from where this process begins. Of its own ids none
    /// is taken twice, however many it makes in a millisecond.
    pub fn id(&self) -> i64 {
        static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(random_u32()));
        ids::compose(
            self.now().micros() / 1000,
            NEXT.fetch_add(1, Ordering::Relaxed),
        )
    }
}

/// Since the first time that it was asked for: only forward.
pub fn monotonic() -> Duration {
    static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// 256 bits for a new API key.
///
/// # Errors
/// The system has no randomness to give: no key may be made.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes secrets"
)]
pub fn random_secret() -> Result<[u8; 32], getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// Random bits for ids and request ids: unique, not secret. Falls back on the time alone when the
/// system has no randomness, because an id collision is refused by the database.
#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
pub fn random_u32() -> u32 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(_) => 0,
    }
}

/// The name a request is given when it brings none: 13 base-32 digits, time-ordered. The system is
/// asked for randomness once, where each process begins to count.
pub fn request_id(clock: &Clock) -> String {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(random_u32()));
    ids::encode(
        "req",
        ids::compose(
            clock.now().micros() / 1000,
            NEXT.fetch_add(1, Ordering::Relaxed),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn noon() -> Instant {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    /// Hours from noon that the wall clock is set to, one after another; what time it is then, in
    /// hours from noon, and whether it has stepped.
    #[track_caller]
    fn check(steps: &[i64], time: i64, has_stepped: bool) {
        let clock = Clock::at(noon());
        for hours in steps {
            clock.step(noon().plus_secs(hours * HOUR));
            clock.now();
        }
        assert_eq!(
            (clock.now(), clock.stepped().is_some()),
            (noon().plus_secs(time * HOUR), has_stepped),
            "{steps:?}"
        );
    }

    #[test]
    fn a_step_of_more_than_a_day_is_not_believed() {
        check(&[24], 24, false);
        check(&[-24], -24, false);
        check(&[25], 0, true);
        check(&[-25], 0, true);
        check(&[80 * 365 * 24], 0, true);
        // Several that come to more than a day: the last that was within it counts on.
        check(&[20, 25], 20, true);
        check(&[-20, -30], -20, true);
        // It came back by itself.
        check(&[96, 1], 1, false);
    }

    #[test]
    fn time_goes_on_while_the_wall_clock_is_not_believed() {
        let clock = Clock::at(noon());
        clock.step(noon().plus_secs(4 * DAY));
        clock.set(noon().plus_secs(4 * DAY + HOUR));
        assert_eq!(clock.now(), noon().plus_secs(HOUR));
        let step = clock.stepped().unwrap();
        assert_eq!((step.time, step.secs()), (noon().plus_secs(HOUR), 4 * DAY));
        clock.accept();
        assert_eq!(
            (clock.now(), clock.stepped()),
            (noon().plus_secs(4 * DAY + HOUR), None)
        );
        clock.step(noon());
        assert_eq!(
            clock.stepped().map(|step| step.secs()),
            Some(-4 * DAY - HOUR),
            "that is a step as well"
        );
    }

    #[test]
    fn days_that_pass_are_no_step() {
        let clock = Clock::at(noon());
        for day in 1..400 {
            clock.set(noon().plus_secs(day * DAY));
            assert_eq!(
                (clock.now(), clock.stepped()),
                (noon().plus_secs(day * DAY), None)
            );
        }
    }

    #[test]
    fn a_start_can_know_better_than_the_wall_clock() {
        let clock = Clock::at(noon());
        clock.expect_time(noon().plus_secs(HOUR));
        assert_eq!(
            (clock.now(), clock.stepped()),
            (noon(), None),
            "an hour is no step"
        );
        clock.expect_time(noon().plus_secs(2 * DAY));
        assert_eq!(clock.now(), noon().plus_secs(2 * DAY));
        assert_eq!(clock.stepped().map(|step| step.secs()), Some(-2 * DAY));
    }

    #[test]
    fn the_systems_clock_is_believed() {
        let clock = Clock::system();
        assert_eq!(clock.stepped(), None);
        assert!(clock.now() > noon().plus_secs(-365 * DAY));
    }

    #[test]
    fn no_id_is_taken_twice_within_a_millisecond() {
        let clock = Clock::at(noon());
        let ids: std::collections::HashSet<i64> = (0..100_000).map(|_| clock.id()).collect();
        assert_eq!(ids.len(), 100_000);
    }
}
