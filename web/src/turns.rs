//! What is large takes turns, so that memory stays bounded and nobody else waits: price lists that
//! are sent, and price lists and statements that are read.

use crate::access::Access;
use crate::problem::ApiProblem;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use rating::TenantId;
use serde::Serialize;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// From here on a document is large.
pub const LARGE_BYTES: u64 = 256 * 1024;
/// Of an answer on its way at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Who may have something large now: the platform one at a time, and one at a time of all others,
/// so that nobody below it keeps the platform waiting. Of each tenant one waits or is dealt with:
/// whoever reads slowly keeps out nobody but itself in a second try. What is sent waits for its
/// turn when all of it is there.
#[derive(Debug, Clone)]
pub struct Turns {
    platform: Arc<Semaphore>,
    others: Arc<Semaphore>,
    under_way: Arc<Mutex<HashSet<TenantId>>>,
}

impl Default for Turns {
    fn default() -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self {
            platform: one(),
            others: one(),
            under_way: Arc::default(),
        }
    }
}

/// Held until what is large is dealt with.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// The one place of a tenant.
#[derive(Debug)]
struct Place {
    tenant: TenantId,
    under_way: Arc<Mutex<HashSet<TenantId>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(mut under_way) = self.under_way.lock() {
            under_way.remove(&self.tenant);
        }
    }
}

impl Turns {
    /// Before a tenant sends what could not have its turn.
    ///
    /// # Errors
    /// `rate_limited`: another of this tenant is under way.
    pub fn check(&self, access: &Access) -> Result<(), ApiProblem> {
        let under_way = self
            .under_way
            .lock()
            .map_err(|error| ApiProblem::internal(&error))?;
        if under_way.contains(&access.tenant.id) {
            Err(ApiProblem::rate_limited(WAIT_SECS))
        } else {
            Ok(())
        }
    }

    /// # Errors
    /// `rate_limited`: another of this tenant is under way.
    pub async fn next(&self, access: &Access) -> Result<Turn, ApiProblem> {
        self.next_of(access.tenant.id, access.is_platform_admin())
            .await
    }

    /// The next turn of a tenant: the platform has one of its own.
    ///
    /// # Errors
    /// `rate_limited`: another of this tenant is under way.
    pub async fn next_of(&self, tenant: TenantId, is_platform: bool) -> Result<Turn, ApiProblem> {
        let is_first = self
            .under_way
            .lock()
            .map_err(|error| ApiProblem::internal(&error))?
            .insert(tenant);
        if !is_first {
            return Err(ApiProblem::rate_limited(WAIT_SECS));
        }
        let place = Place {
            tenant,
            under_way: Arc::clone(&self.under_way),
        };
        let turns = if is_platform {
            &self.platform
        } else {
            &self.others
        };
        let permit = Arc::clone(turns)
            .acquire_owned()
            .await
            .map_err(|error| ApiProblem::internal(&error))?;
        Ok(Turn {
            _permit: permit,
            _place: place,
        })
    }
}

/// After which another try may find the first list read.
pub(crate) const WAIT_SECS: u64 = 5;

/// The answer to a question that may be large: worked out off the executor, and sent piece by piece
/// while its turn lasts.
///
/// # Errors
/// Those of `work`.
pub async fn json<T: Serialize>(
    turn: Option<Turn>,
    work: impl FnOnce() -> Result<T, ApiProblem> + Send + 'static,
) -> Result<Response, ApiProblem> {
    let work = move || {
        work().and_then(|answer| {
            serde_json::to_vec(&answer).map_err(|error| ApiProblem::internal(&error))
        })
    };
    let bytes = Bytes::from(
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| ApiProblem::internal(&error))??,
    );
    let length = HeaderValue::from(bytes.len());
    let chunks = stream::unfold((bytes, turn), |(mut bytes, turn)| async move {
        let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
        (!chunk.is_empty()).then(|| (Ok::<_, Infallible>(chunk), (bytes, turn)))
    });
    let mut response = Response::new(Body::from_stream(chunks.fuse()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_below_keeps_the_platform_waiting() {
        let turns = Turns::default();
        let first = turns.next_of(TenantId(2), false).await.unwrap();
        assert_eq!(
            turns
                .next_of(TenantId(2), false)
                .await
                .unwrap_err()
                .problem
                .code
                .as_str(),
            "rate_limited"
        );
        let platform = turns.next_of(TenantId(1), true).await.unwrap();
        let (waits, other) = (turns.clone(), turns.clone());
        let waiting =
            tokio::spawn(async move { waits.next_of(TenantId(3), false).await.map(drop) });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap().unwrap();
        drop(platform);
        // One that gave up leaves its place.
        let held = other.next_of(TenantId(2), false).await.unwrap();
        assert!(futures_util::poll!(Box::pin(other.next_of(TenantId(4), false))).is_pending());
        drop(held);
        other.next_of(TenantId(4), false).await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_keeps_its_turn_until_it_is_sent() {
        let turns = Turns::default();
        let turn = turns.next_of(TenantId(2), false).await.unwrap();
        let text = "x".repeat(3 * CHUNK_BYTES);
        let mut body = json(Some(turn), move || Ok(text))
            .await
            .unwrap()
            .into_body()
            .into_data_stream();
        let mut bytes = body.next().await.unwrap().unwrap().len();
        assert!(
            turns.next_of(TenantId(2), false).await.is_err(),
            "half of it is on the way"
        );
        while let Some(chunk) = body.next().await {
            bytes += chunk.unwrap().len();
        }
        assert_eq!(bytes, 3 * CHUNK_BYTES + 2);
        turns.next_of(TenantId(2), false).await.unwrap();
    }
}
