//! How many connections are served at once. Whoever holds them all open keeps nobody from asking whether the server is well: some
//! are kept for that.

use crate::problem::ApiProblem;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use metering::command::Problem;
use metrics::counter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wording::Locale;

/// Beyond the limit, for `/health` and `/metrics` alone.
const SPARE: usize = 32;

#[derive(Debug)]
pub struct Slots {
    ordinary: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    /// It was said.
    is_full: AtomicBool,
}

/// Given back with the connection.
#[derive(Debug)]
pub enum Slot {
    Ordinary(OwnedSemaphorePermit),
    Spare(OwnedSemaphorePermit),
}

impl Slots {
    pub fn new(connections_max: usize) -> Self {
        counter!("centwise_connections_refused_total").increment(0);
        Self {
            ordinary: Arc::new(Semaphore::new(connections_max.max(1))),
            spare: Arc::new(Semaphore::new(SPARE)),
            is_full: AtomicBool::new(false),
        }
    }

    /// `None`: the connection is closed; there are more than even the spare ones.
    pub fn take(&self) -> Option<Slot> {
        if let Ok(slot) = Arc::clone(&self.ordinary).try_acquire_owned() {
            self.is_full.store(false, Ordering::Relaxed);
            return Some(Slot::Ordinary(slot));
        }
        counter!("centwise_connections_refused_total").increment(1);
        if !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!("all connections are in use (--connections-max): further ones are answered for health and measures alone");
        }
        Arc::clone(&self.spare).try_acquire_owned().ok().map(Slot::Spare)
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
        let full = "all connections of the server are in use: keep fewer open, and send several events in one request";
        ApiProblem::from(Problem::new("overloaded", full)).answer(None, Locale::En)
    };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
