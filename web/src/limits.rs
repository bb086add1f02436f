//! Three limits per API key: usage (events per second), live (holds, prices, balances per second)
//! and everything else. Answers carry `RateLimit-Limit`, `-Remaining`, `-Reset`; a refusal
//! `Retry-After`.
//!
//! The limits protect the server from one caller. What protects it from all of them together is the
//! engine's bounded queue (`overloaded`).

use crate::problem::ApiProblem;
use crate::setting_values::at_least_one;
use axum::http::{HeaderMap, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use metering::requests::BATCH_EVENTS_MAX;
use metrics::counter;
use rating::ids::ApiKeyId;
use std::num::NonZeroU32;
use std::time::Duration;
use tenants::Scope;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct LimitSettings {
    /// Usage events that a key may send per second. The same number is allowed at once, and at
    /// least a whole request of 10,000.
    #[arg(long, env = "CENTWISE_USAGE_PER_SEC", default_value_t = 1_000_000, value_parser = at_least_one::<u32>(), value_name = "N")]
    pub usage_per_sec: u32,
    /// Holds, prices and balances that a key may request per second. The same number is allowed at
    /// once.
    #[arg(long, env = "CENTWISE_LIVE_PER_SEC", default_value_t = 100_000, value_parser = at_least_one::<u32>(), value_name = "N")]
    pub live_per_sec: u32,
    /// All other requests of an ordinary key per minute. The same number is allowed at once.
    #[arg(long, env = "CENTWISE_OTHER_PER_MIN", default_value_t = 60, value_parser = at_least_one::<u32>(), value_name = "N")]
    pub other_per_min: u32,
    /// All other requests of an administrator's key per second. The same number is allowed at once.
    #[arg(long, env = "CENTWISE_ADMIN_PER_SEC", default_value_t = 60, value_parser = at_least_one::<u32>(), value_name = "N")]
    pub admin_per_sec: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            usage_per_sec: 1_000_000,
            live_per_sec: 100_000,
            other_per_min: 60,
            admin_per_sec: 60,
        }
    }
}

/// Which of a key's three limits a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Usage,
    Live,
    Other,
}

type Limiter = RateLimiter<
    ApiKeyId,
    DefaultKeyedStateStore<ApiKeyId>,
    DefaultClock,
    StateInformationMiddleware,
>;

#[derive(Debug)]
pub struct Limits {
    usage: Limiter,
    live: Limiter,
    other: Limiter,
    admin: Limiter,
}

/// What is left after a request, for its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub limit: u32,
    pub remaining: u32,
    /// Until the whole limit is available again.
    pub reset_secs: u64,
}

impl Limits {
    pub fn new(settings: &LimitSettings) -> Self {
        // A burst smaller than one batch would refuse that batch for ever.
        for class in [Class::Usage, Class::Live, Class::Other] {
            counter!("centwise_rate_limited_total", "limit" => class.name()).increment(0);
        }
        let batch = u32::try_from(BATCH_EVENTS_MAX).unwrap_or(u32::MAX);
        let usage = Quota::per_second(not_zero(settings.usage_per_sec))
            .allow_burst(not_zero(settings.usage_per_sec.max(batch)));
        Self {
            usage: limiter(usage),
            live: limiter(Quota::per_second(not_zero(settings.live_per_sec))),
            other: limiter(Quota::per_minute(not_zero(settings.other_per_min))),
            admin: limiter(Quota::per_second(not_zero(settings.admin_per_sec))),
        }
    }

    /// Takes `cells` (events, requests) off the key's limit.
    ///
    /// # Errors
    /// `rate_limited` with the seconds to wait; nothing was taken.
    pub fn take(
        &self,
        class: Class,
        key: ApiKeyId,
        scope: Scope,
        cells: usize,
    ) -> Result<Allowance, ApiProblem> {
        let limiter = self.limiter(class, scope);
        let cells =
            NonZeroU32::new(u32::try_from(cells).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        match limiter.check_key_n(&key, cells) {
            Ok(Ok(state)) => Ok(allowance(&state)),
            Ok(Err(until)) => Err(refused(class, wait_secs(&until))),
            Err(_larger_than_burst) => Err(refused(class, 1)),
        }
    }

    /// Forgets keys that have not asked for anything lately.
    pub fn sweep(&self) {
        for limiter in [&self.usage, &self.live, &self.other, &self.admin] {
            limiter.retain_recent();
        }
    }

    fn limiter(&self, class: Class, scope: Scope) -> &Limiter {
        match class {
            Class::Usage => &self.usage,
            Class::Live => &self.live,
            Class::Other if matches!(scope, Scope::PlatformAdmin | Scope::TenantAdmin) => {
                &self.admin
            }
            Class::Other => &self.other,
        }
    }
}

fn refused(class: Class, wait_secs: u64) -> ApiProblem {
    counter!("centwise_rate_limited_total", "limit" => class.name()).increment(1);
    ApiProblem::rate_limited(wait_secs)
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Live => "live",
            Self::Other => "other",
        }
    }
}

impl Allowance {
    pub fn write(self, headers: &mut HeaderMap) {
        headers.insert("ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(self.reset_secs));
    }
}

fn limiter(quota: Quota) -> Limiter {
    RateLimiter::keyed(quota).with_middleware()
}

fn not_zero(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN)
}

fn allowance(state: &StateSnapshot) -> Allowance {
    let quota = state.quota();
    let (limit, remaining) = (quota.burst_size().get(), state.remaining_burst_capacity());
    let reset = quota
        .replenish_interval()
        .saturating_mul(limit.saturating_sub(remaining));
    Allowance {
        limit,
        remaining,
        reset_secs: whole_secs(reset),
    }
}

fn wait_secs(until: &NotUntil<<DefaultClock as governor::clock::Clock>::Instant>) -> u64 {
    whole_secs(until.wait_time_from(DefaultClock::default().now())).max(1)
}

fn whole_secs(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few() -> Limits {
        Limits::new(&LimitSettings {
            usage_per_sec: 5,
            live_per_sec: 2,
            other_per_min: 1,
            admin_per_sec: 3,
        })
    }

    #[test]
    fn each_class_has_its_own_limit() {
        let limits = few();
        let key = ApiKeyId(1);
        assert!(limits.take(Class::Other, key, Scope::TenantRead, 1).is_ok());
        assert!(
            limits
                .take(Class::Other, key, Scope::TenantRead, 1)
                .is_err()
        );
        assert!(limits.take(Class::Live, key, Scope::TenantRead, 2).is_ok());
        assert!(limits.take(Class::Live, key, Scope::TenantRead, 1).is_err());
        assert!(
            limits
                .take(Class::Other, ApiKeyId(2), Scope::TenantRead, 1)
                .is_ok(),
            "limits are per key"
        );
        assert_eq!(
            limits
                .take(Class::Other, key, Scope::TenantAdmin, 1)
                .map(|a| (a.limit, a.remaining))
                .ok(),
            Some((3, 2))
        );
    }

    #[test]
    fn a_whole_batch_fits_even_under_a_small_limit() {
        assert!(
            few()
                .take(
                    Class::Usage,
                    ApiKeyId(1),
                    Scope::UsageWrite,
                    BATCH_EVENTS_MAX
                )
                .is_ok()
        );
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let limits = few();
        let take = || limits.take(Class::Other, ApiKeyId(1), Scope::TenantRead, 1);
        assert!(take().is_ok());
        let refused = take().unwrap_err();
        assert_eq!(refused.problem.code.as_str(), "rate_limited");
        assert!(
            refused
                .retry_after_secs
                .is_some_and(|secs| (55..=60).contains(&secs)),
            "{refused:?}"
        );
    }
}
