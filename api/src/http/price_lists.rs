//! Writes whose body is a price list: larger than others, and few at a time, so that memory stays bounded.

use crate::auth::Access;
use crate::http::write::Write;
use crate::problem::ApiProblem;
use crate::state::App;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use rating::TenantId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A rate deck or a rate card document of a million prefixes fits.
pub const PRICE_LIST_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Who may have a large list read now: the platform one at a time, and one at a time of all others, so that nobody below it keeps
/// the platform waiting. Of each tenant one waits or is read: whoever sends slowly keeps out nobody but itself in a second try.
#[derive(Debug, Clone)]
pub struct PriceListTurns {
    platform: Arc<Semaphore>,
    others: Arc<Semaphore>,
    under_way: Arc<Mutex<HashSet<TenantId>>>,
}

impl Default for PriceListTurns {
    fn default() -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self { platform: one(), others: one(), under_way: Arc::default() }
    }
}

/// Held until a list is dealt with.
#[derive(Debug)]
struct Turn {
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

impl PriceListTurns {
    /// # Errors
    /// `rate_limited`: another list of this tenant is being read.
    async fn next(&self, tenant: TenantId, is_platform: bool) -> Result<Turn, ApiProblem> {
        let is_first = self.under_way.lock().map_err(|error| ApiProblem::internal(&error))?.insert(tenant);
        if !is_first {
            return Err(ApiProblem::rate_limited(WAIT_SECS));
        }
        let place = Place { tenant, under_way: Arc::clone(&self.under_way) };
        let turns = if is_platform { &self.platform } else { &self.others };
        let permit = Arc::clone(turns).acquire_owned().await.map_err(|error| ApiProblem::internal(&error))?;
        Ok(Turn { _permit: permit, _place: place })
    }
}

/// After which another try may find the first list read.
const WAIT_SECS: u64 = 5;

/// A write whose body is a price list.
#[derive(Debug)]
pub struct PriceList {
    pub write: Write,
    _turn: Option<Turn>,
}

impl FromRequest<App> for PriceList {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiProblem> {
        let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        // As small as any other body: it waits for nobody.
        if declared.is_some_and(|bytes| bytes <= app.body_bytes_max) {
            return Ok(Self { write: Write::bounded(request, app.body_bytes_max).await?, _turn: None });
        }
        let turn = match request.extensions().get::<Arc<Access>>().cloned() {
            Some(access) => Some(app.price_list_turns.next(access.tenant.id, access.is_platform_admin()).await?),
            // Who asks without a key has been refused by then.
            None => None,
        };
        let bytes_max = if turn.is_some() { PRICE_LIST_BYTES_MAX } else { 0 };
        Ok(Self { write: Write::bounded(request, app.body_bytes_max.max(bytes_max)).await?, _turn: turn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_below_keeps_the_platform_waiting() {
        let turns = PriceListTurns::default();
        let first = turns.next(TenantId(2), false).await.unwrap();
        assert_eq!(turns.next(TenantId(2), false).await.unwrap_err().problem.code, "rate_limited");
        let platform = turns.next(TenantId(1), true).await.unwrap();
        let (waits, other) = (turns.clone(), turns.clone());
        let waiting = tokio::spawn(async move { waits.next(TenantId(3), false).await.map(drop) });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap().unwrap();
        drop(platform);
        // One that gave up leaves its place.
        let held = other.next(TenantId(2), false).await.unwrap();
        assert!(futures_util::poll!(Box::pin(other.next(TenantId(4), false))).is_pending());
        drop(held);
        other.next(TenantId(4), false).await.unwrap();
    }
}
