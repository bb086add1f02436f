//! How many connections are served at once. Whoever holds them all open keeps nobody from asking
//! whether the server is well: some are kept for that. And whoever has shown no key yet makes room
//! for whoever comes next, the oldest first: silence takes no place from anybody.

use crate::problem::ApiProblem;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use i18n::Locale;
use metrics::counter;
use problem::{Code, Problem};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Beyond the limit, for `/health` and `/metrics` alone.
const SPARE: usize = 32;

/// Connections by the order in which they came, as long as no key was shown on them.
type Strangers = Mutex<BTreeMap<u64, Arc<Place>>>;

#[derive(Debug)]
pub struct Slots {
    ordinary: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    strangers: Arc<Strangers>,
    next: AtomicU64,
    /// It was said.
    is_full: AtomicBool,
}

/// Of one connection.
#[derive(Debug)]
struct Place {
    number: u64,
    /// Taken from it by who comes after.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    leave: Notify,
    is_known: AtomicBool,
}

/// Given back with the connection.
#[derive(Debug)]
pub enum Slot {
    Ordinary(Stay),
    Spare(OwnedSemaphorePermit),
}

/// The place of a connection, for as long as it is open.
#[derive(Debug)]
pub struct Stay(Guest);

/// Whose place it is, with each of its requests.
#[derive(Debug, Clone)]
pub struct Guest {
    place: Arc<Place>,
    strangers: Arc<Strangers>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slots {
    pub fn new(connections_max: usize) -> Self {
        counter!("centwise_connections_refused_total").increment(0);
        Self {
            ordinary: Arc::new(Semaphore::new(connections_max.max(1))),
            spare: Arc::new(Semaphore::new(SPARE)),
            strangers: Arc::default(),
            next: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
        }
    }

    /// `None`: the connection is closed; there are more than even the spare ones.
    pub fn take(&self) -> Option<Slot> {
        if let Ok(permit) = Arc::clone(&self.ordinary).try_acquire_owned() {
            self.is_full.store(false, Ordering::Relaxed);
            return Some(Slot::Ordinary(self.stay(permit)));
        }
        counter!("centwise_connections_refused_total").increment(1);
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "all connections are in use (--connections-max): connections without a key are \
                    closed to make room, further ones only get health and metrics"
            );
        }
        match self.oldest_stranger() {
            Some(permit) => Some(Slot::Ordinary(self.stay(permit))),
            None => Arc::clone(&self.spare)
                .try_acquire_owned()
                .ok()
                .map(Slot::Spare),
        }
    }

    fn stay(&self, permit: OwnedSemaphorePermit) -> Stay {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (permit, leave, is_known) = (
            Mutex::new(Some(permit)),
            Notify::new(),
            AtomicBool::new(false),
        );
        let place = Arc::new(Place {
            number,
            permit,
            leave,
            is_known,
        });
        locked(&self.strangers).insert(number, Arc::clone(&place));
        Stay(Guest {
            place,
            strangers: Arc::clone(&self.strangers),
        })
    }

    /// It has to leave, and its permit is another's.
    fn oldest_stranger(&self) -> Option<OwnedSemaphorePermit> {
        let (_, place) = locked(&self.strangers).pop_first()?;
        place.leave.notify_one();
        locked(&place.permit).take()
    }
}

impl Stay {
    pub fn guest(&self) -> Guest {
        self.0.clone()
    }

    /// Waits until the connection has to make room.
    pub async fn ends(&self) {
        self.0.place.leave.notified().await;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        locked(&self.0.strangers).remove(&self.0.place.number);
        locked(&self.0.place.permit).take();
    }
}

impl Guest {
    /// A key that is valid was shown: it stays.
    pub fn is_known(&self) {
        if !self.place.is_known.swap(true, Ordering::Relaxed) {
            locked(&self.strangers).remove(&self.place.number);
        }
    }
}

/// What a connection beyond the limit is good for; it ends with its first answer.
pub fn for_health_alone(router: Router) -> Router {
    router.layer(from_fn(health_alone))
}

async fn health_alone(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let mut response = if path.starts_with("/health/") || path == "/metrics" {
        next.run(request).await
    } else {
        let full = "all connections of the server are in use: keep fewer open, and send several \
            events in one request";
        ApiProblem::from(Problem::new(Code::Overloaded, full)).answer(None, Locale::En)
    };
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordinary(slot: Option<Slot>) -> Stay {
        match slot {
            Some(Slot::Ordinary(stay)) => stay,
            other => panic!("{other:?}"),
        }
    }

    /// 82 silent connections kept a server out of its balancer for as long as somebody opened them
    /// again.
    #[tokio::test]
    async fn whoever_shows_no_key_makes_room() {
        let slots = Slots::new(2);
        let (first, second) = (ordinary(slots.take()), ordinary(slots.take()));
        let third = ordinary(slots.take());
        first.ends().await;
        drop(first);
        // Known ones stay, in whatever order they came.
        second.guest().is_known();
        let fourth = ordinary(slots.take());
        third.ends().await;
        drop(third);
        fourth.guest().is_known();
        let spare = slots.take();
        assert!(matches!(spare, Some(Slot::Spare(_))), "{spare:?}");
        drop(second);
        let fifth = ordinary(slots.take());
        drop((fourth, fifth));
        assert_eq!(
            (
                slots.ordinary.available_permits(),
                locked(&slots.strangers).len()
            ),
            (2, 0)
        );
    }
}
