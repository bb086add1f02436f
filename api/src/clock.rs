//! The only reader of the wall clock and of the system's randomness. Everything else takes instants,
//! ids and secrets as arguments, so that tests can set the time and replays give the same result.

use rating::{Instant, ids};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

/// Cheap to clone. A set clock stands still until it is set again.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock for tests: shows `at` until [`Clock::set`].
    pub fn at(at: Instant) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.micros()))))
    }

    /// Without effect on the system's clock.
    pub fn set(&self, at: Instant) {
        if let Some(micros) = &self.0 {
            micros.store(at.micros(), Ordering::SeqCst);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Some(micros) => Instant(micros.load(Ordering::SeqCst)),
            None => Instant(jiff::Timestamp::now().as_microsecond().clamp(Instant::MIN.0, Instant::MAX.0)),
        }
    }

    /// A new id: time-ordered, then random.
    pub fn id(&self) -> i64 {
        ids::compose(self.now().micros() / 1000, random_u32())
    }
}

/// 256 bits for a new API key.
///
/// # Errors
/// The system has no randomness to give: no key may be made.
#[expect(clippy::disallowed_methods, reason = "the one place that makes secrets")]
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

/// The name a request is given when it brings none: 13 base-32 digits, time-ordered. The system is asked
/// for randomness once, where each process begins to count.
pub fn request_id(clock: &Clock) -> String {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(random_u32()));
    ids::encode("req", ids::compose(clock.now().micros() / 1000, NEXT.fetch_add(1, Ordering::Relaxed)))
}
