//! How Stripe is asked: at most so often, not while it fails, bounded in time, and more than once
//! under the same key.
//!
//! The library's own retries make a key for each send; a repeated charge would then be a second
//! one. So every request goes out exactly once per attempt, under the key of the caller's row.

use super::breaker::Breaker;
use super::failure::Failure;
use super::settings::{BadSettings, StripeSettings};
use crate::{CallKey, ProviderError, Result};
use backon::{BackoffBuilder, ExponentialBuilder};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use miniserde::Deserialize;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;
use stripe::{ClientBuilder, IdempotencyKey, RequestStrategy, StripeRequest};
use tokio::time::Instant;

const PAUSE_MAX: Duration = Duration::from_secs(4);
/// How long a request waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);

pub struct Client {
    inner: stripe::Client,
    limiter: DefaultDirectRateLimiter,
    breaker: Breaker,
    attempts_max: usize,
    first_pause: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// # Errors
    /// The settings are wrong.
    pub fn new(settings: &StripeSettings) -> Result<Self, BadSettings> {
        let rate = settings.rate(settings.is_live()?);
        let burst = NonZeroU32::new(rate.get() / 4).unwrap_or(NonZeroU32::MIN);
        let inner = ClientBuilder::new(settings.secret_key.reveal())
            .url(settings.base_url()?)
            .timeout(settings.timeout)
            .app_info("Centwise", Some(env!("CARGO_PKG_VERSION").into()), None)
            .build()
            .map_err(|_| BadSettings::Client)?;
        Ok(Self {
            inner,
            limiter: RateLimiter::direct(Quota::per_second(rate).allow_burst(burst)),
            breaker: Breaker::default(),
            attempts_max: settings.attempts_max.max(1),
            first_pause: settings.first_pause,
        })
    }

    /// Reads, or asks for what may be done twice.
    pub async fn read<R: StripeRequest<Output: Deserialize>>(
        &self,
        request: &R,
    ) -> Result<R::Output> {
        self.send(RequestStrategy::Once, request).await
    }

    /// Moves money or makes something, once per key.
    pub async fn write<R: StripeRequest<Output: Deserialize>>(
        &self,
        key: &CallKey,
        request: &R,
    ) -> Result<R::Output> {
        self.send(once(key)?, request).await
    }

    /// Reads no more of the answer than `T` asks for.
    pub async fn read_as<T: Deserialize>(&self, request: &impl StripeRequest) -> Result<T> {
        self.send(RequestStrategy::Once, request).await
    }

    pub async fn write_as<T: Deserialize>(
        &self,
        key: &CallKey,
        request: &impl StripeRequest,
    ) -> Result<T> {
        self.send(once(key)?, request).await
    }

    async fn send<T: Deserialize>(
        &self,
        how: RequestStrategy,
        request: &impl StripeRequest,
    ) -> Result<T> {
        let mut pauses = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(self.first_pause)
            .with_max_delay(PAUSE_MAX)
            .with_max_times(self.attempts_max - 1)
            .build();
        let mut last = None;
        loop {
            if let Err(not_sent) = self.turn().await {
                // What was sent before may have been done.
                return Err(last.map_or(not_sent, ProviderError::Unknown));
            }
            let failure = match request
                .build()
                .customize::<T>()
                .request_strategy(how.clone())
                .send(&self.inner)
                .await
            {
                Ok(answer) => {
                    self.breaker.answered();
                    return Ok(answer);
                }
                Err(error) => Failure::of(error),
            };
            if failure.is_outage() {
                self.breaker.failed(Instant::now());
            } else {
                self.breaker.answered();
            }
            let why = match failure {
                Failure::Final(error) => return Err(error),
                Failure::Again(why) | Failure::Outage(why) => why,
            };
            let Some(pause) = pauses.next() else {
                return Err(ProviderError::Unknown(why));
            };
            tracing::debug!(%why, "retrying Stripe request");
            last = Some(why);
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits for its turn below Stripe's limits.
    async fn turn(&self) -> Result<()> {
        let not_sent = |why: &str| ProviderError::NotSent(why.into());
        tokio::time::timeout(TURN_WAIT_MAX, self.limiter.until_ready())
            .await
            .map_err(|_| not_sent("too many requests"))?;
        self.breaker.admit(Instant::now()).map_err(|pause| {
            not_sent(&format!(
                "it has been failing; again in {} s",
                pause.as_secs() + 1
            ))
        })
    }
}

fn once(key: &CallKey) -> Result<RequestStrategy> {
    IdempotencyKey::new(&key.0)
        .map(RequestStrategy::Idempotent)
        .map_err(|error| super::refused("key", error))
}
