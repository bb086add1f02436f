//! Tells tenants what happens, by signed webhooks and by e-mail.
//!
//! A notice's way: [`recorder`] (what durable batches changed → notices; payments record theirs
//! themselves) → [`outbox`] (a notice → a delivery for each endpoint and contact that wants it) →
//! [`deliveries`] (deliveries, tried until they arrive).
//!
//! Invariants: at least once, under the same id; nothing is kept in memory alone that must arrive:
//! whoever dies leaves its work to the next process, and several share it; one slow endpoint does
//! not hold up others; no body of an answer is read, and no address, secret or payload is logged.

pub mod address;
pub mod delivery_worker;
pub mod mail;
pub mod outbox;
pub mod post;
pub mod recorder;
pub mod rows;
pub mod signature;

use rating::Instant;
use std::sync::Arc;

/// Time and ids, made by whoever runs this.
#[derive(Clone)]
pub struct Clock {
    pub now: Arc<dyn Fn() -> Instant + Send + Sync>,
    /// A new id: time-ordered, then random.
    pub id: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Clock {
    pub fn now(&self) -> Instant {
        (self.now)()
    }
    pub fn id(&self) -> i64 {
        (self.id)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
