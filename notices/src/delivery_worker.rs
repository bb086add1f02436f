//! Tries deliveries until they arrive: each target by itself, a bounded number at once.
//!
//! Invariants: a delivery is claimed in the database before it is tried, until later than the
//! attempt can last; a target has at most [`ATTEMPTS_PER_TARGET_MAX`] attempts under way, and a
//! root [`ATTEMPTS_PER_ROOT_MAX`], so that slow ones leave room for others.

use crate::mail::{self, Mailer, NotSent};
use crate::post::{Poster, WebhookRequest};
use crate::rows::{Delivery, DeliveryState, Endpoint, NoticeRows, Target, Tried};
use crate::{Clock, outbox, signature};
use catalog::{Actor, Catalog, CatalogError};
use i18n::Locale;
use rating::ids::{ContactId, EndpointId};
use rating::{Instant, TenantId};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Attempts under way at once.
pub const ATTEMPTS_MAX: u32 = 64;
/// Of one endpoint or contact.
pub const ATTEMPTS_PER_TARGET_MAX: usize = 4;
/// Of all below one reseller of the platform, or of the platform itself.
pub const ATTEMPTS_PER_ROOT_MAX: usize = 16;
/// Later than any attempt lasts, and how long one that was cut off is left alone.
const CLAIM_SECS: i64 = 120;
/// Pauses after the first attempt, the second, …: what Standard Webhooks suggests, three days in
/// all. They are a list and not doubled as other rows' pauses are (`db::retry`), because receivers
/// rely on them.
pub const PAUSES_SECS: [i64; 9] = [
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
];
/// Said in the log of what was disabled.
const GONE: &str = "it answered 410: gone";

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeliveryWorker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    catalog: Catalog,
    clock: Clock,
    poster: Poster,
    /// `None`: no e-mail is sent.
    mailer: watch::Sender<Option<Mailer>>,
    places: Arc<Semaphore>,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    of_target: HashMap<Target, usize>,
    of_root: HashMap<TenantId, usize>,
}

/// How an attempt ended.
enum Outcome {
    Arrived(Option<u16>),
    /// It may succeed later.
    Failed(Option<u16>, String),
    /// It never will.
    Refused(Option<u16>, String),
}

impl DeliveryWorker {
    pub fn new(catalog: Catalog, clock: Clock, poster: Poster, mailer: Option<Mailer>) -> Self {
        let places = Arc::new(Semaphore::new(ATTEMPTS_MAX as usize));
        let (mailer, _) = watch::channel(mailer);
        Self(Arc::new(Shared {
            catalog,
            clock,
            poster,
            mailer,
            places,
            under_way: Mutex::default(),
        }))
    }

    /// E-mail goes this way from now on; what is under way goes on as it began.
    pub fn mail_through(&self, mailer: Option<Mailer>) {
        self.0.mailer.send_replace(mailer);
    }

    /// Makes deliveries of new notices and begins every attempt that is due and has room; how many.
    /// It does not wait for their ends.
    ///
    /// # Errors
    /// The database failed; what was not begun is begun next time.
    pub async fn step(&self) -> Result<usize, CatalogError> {
        let Shared {
            catalog,
            clock,
            mailer,
            ..
        } = &*self.0;
        let has_mail = mailer.borrow().is_some();
        outbox::send_all(catalog, clock, has_mail).await?;
        let (now, mut begun) = (clock.now(), 0);
        for (root, target) in NoticeRows::of(catalog).targets_due(now).await? {
            let room = self.0.room_for(root, target);
            if room == 0 || (target.channel() == crate::rows::Channel::Mail && !has_mail) {
                continue;
            }
            for due in NoticeRows::of(catalog)
                .deliveries_due(root, target, now, room)
                .await?
            {
                let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else {
                    return Ok(begun);
                };
                let Some(claimed) = NoticeRows::of(catalog)
                    .claim_delivery(&due, now, now.plus_secs(CLAIM_SECS))
                    .await?
                else {
                    continue;
                };
                self.begin(claimed, place);
                begun += 1;
            }
        }
        Ok(begun)
    }

    /// Waits until no attempt is under way.
    pub async fn idle(&self) {
        // The semaphore is never closed.
        let _all = self.0.places.acquire_many(ATTEMPTS_MAX).await;
    }

    fn begin(&self, delivery: Delivery, place: OwnedSemaphorePermit) {
        let shared = Arc::clone(&self.0);
        shared.count(&delivery, true);
        tokio::spawn(async move {
            let outcome = shared.attempt(&delivery).await;
            let kept = match outcome {
                Ok(outcome) => shared.keep(&delivery, outcome).await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                // Its claim ends, and it is tried again.
                tracing::warn!(%error, delivery = %delivery.id, "recording a delivery attempt \
                    failed");
            }
            shared.count(&delivery, false);
            drop(place);
        });
    }
}

impl Shared {
    fn room_for(&self, root: TenantId, target: Target) -> usize {
        let Ok(under_way) = self.under_way.lock() else {
            return 0;
        };
        let of_target = under_way.of_target.get(&target).copied().unwrap_or(0);
        let of_root = under_way.of_root.get(&root).copied().unwrap_or(0);
        ATTEMPTS_PER_TARGET_MAX
            .saturating_sub(of_target)
            .min(ATTEMPTS_PER_ROOT_MAX.saturating_sub(of_root))
    }

    fn count(&self, delivery: &Delivery, begins: bool) {
        let Ok(mut under_way) = self.under_way.lock() else {
            return;
        };
        change(&mut under_way.of_target, delivery.target, begins);
        change(&mut under_way.of_root, delivery.root, begins);
    }

    async fn attempt(&self, delivery: &Delivery) -> Result<Outcome, CatalogError> {
        match delivery.target {
            Target::Endpoint(id) => self.post(delivery, id).await,
            Target::Contact(id) => self.mail(delivery, id).await,
        }
    }

    async fn post(&self, delivery: &Delivery, id: EndpointId) -> Result<Outcome, CatalogError> {
        // As it is now: its URL, its secrets, whether it is on.
        let endpoint = match NoticeRows::of(&self.catalog).endpoint(id).await? {
            Some(endpoint) if endpoint.active => endpoint,
            _ => {
                return Ok(Outcome::Refused(
                    None,
                    "the endpoint is switched off".to_owned(),
                ));
            }
        };
        let now = self.clock.now();
        let (notice, timestamp_secs) = (delivery.notice.to_string(), now.micros() / 1_000_000);
        let body = delivery.payload.clone();
        let Ok(signature) = signature::header(
            secrets(&endpoint, now),
            &notice,
            timestamp_secs,
            body.as_bytes(),
        ) else {
            return Ok(Outcome::Refused(
                None,
                "the endpoint has no usable secret".to_owned(),
            ));
        };
        let request = WebhookRequest {
            url: endpoint.url.clone(),
            id: notice,
            timestamp_secs,
            signature,
            body: body.into(),
        };
        Ok(match self.poster.post(&request).await {
            Ok(status) if status.is_success() => Outcome::Arrived(Some(status.as_u16())),
            Ok(status) if status.as_u16() == 410 => {
                self.disable(&endpoint, now).await?;
                Outcome::Refused(Some(410), GONE.to_owned())
            }
            Ok(status) => Outcome::Failed(
                Some(status.as_u16()),
                format!("it answered {}", status.as_u16()),
            ),
            Err(error) => Outcome::Failed(None, error.to_string()),
        })
    }

    async fn disable(&self, endpoint: &Endpoint, now: Instant) -> Result<(), CatalogError> {
        let actor = Actor {
            key: None,
            tenant: endpoint.tenant,
            at: now,
            request_id: endpoint.id.to_string(),
            reason: Some(GONE.to_owned()),
            once: None,
        };
        if NoticeRows::of(&self.catalog)
            .disable_endpoint(&actor, endpoint.id, GONE)
            .await?
        {
            tracing::warn!(endpoint = %endpoint.id, tenant = %endpoint.tenant, "webhook endpoint \
                is gone and was switched off");
        }
        Ok(())
    }

    async fn mail(&self, delivery: &Delivery, id: ContactId) -> Result<Outcome, CatalogError> {
        let mailer = self.mailer.borrow().clone();
        let (Some(mailer), Some(contact)) =
            (mailer, NoticeRows::of(&self.catalog).contact(id).await?)
        else {
            return Ok(Outcome::Refused(None, "the contact is gone".to_owned()));
        };
        let locale: Locale = contact.locale.parse().unwrap_or_default();
        let payload: Value = serde_json::from_str(&delivery.payload).unwrap_or_default();
        let data = &payload["data"];
        let reader = self
            .catalog
            .tenant(contact.tenant)
            .await?
            .map_or_else(String::new, |tenant| tenant.name);
        let about = match data["tenant_id"].as_str().and_then(|id| id.parse().ok()) {
            Some(id) => self
                .catalog
                .tenant(id)
                .await?
                .map_or_else(String::new, |tenant| tenant.name),
            None => reader.clone(),
        };
        let mail = mail::written(locale, delivery.kind, data, &about, &reader);
        Ok(
            match mailer
                .send(
                    &contact.address,
                    &delivery.notice.to_string(),
                    locale,
                    &mail,
                )
                .await
            {
                Ok(()) => Outcome::Arrived(None),
                Err(error @ NotSent::Temporary) => Outcome::Failed(None, error.to_string()),
                Err(error) => Outcome::Refused(None, error.to_string()),
            },
        )
    }

    async fn keep(&self, delivery: &Delivery, outcome: Outcome) -> Result<(), CatalogError> {
        let now = self.clock.now();
        let tried = match outcome {
            Outcome::Arrived(status) => Tried {
                state: DeliveryState::Delivered,
                next_at: None,
                status,
                error: None,
            },
            Outcome::Refused(status, error) => Tried {
                state: DeliveryState::Failed,
                next_at: None,
                status,
                error: Some(error),
            },
            Outcome::Failed(status, error) => {
                let next_at = next_at(delivery, now);
                let state = if next_at.is_some() {
                    DeliveryState::Waiting
                } else {
                    DeliveryState::Failed
                };
                Tried {
                    state,
                    next_at,
                    status,
                    error: Some(error),
                }
            }
        };
        if tried.state == DeliveryState::Failed {
            tracing::warn!(delivery = %delivery.id, kind = delivery.kind.name(), attempts = delivery.attempts, "delivery given up");
        }
        NoticeRows::of(&self.catalog)
            .delivery_tried(delivery, &tried, now)
            .await
    }
}

fn change<K: Eq + std::hash::Hash + Copy>(counts: &mut HashMap<K, usize>, key: K, begins: bool) {
    let count = counts.entry(key).or_default();
    *count = if begins {
        *count + 1
    } else {
        count.saturating_sub(1)
    };
    if *count == 0 {
        counts.remove(&key);
    }
}

/// The present secret, and the one before while its time lasts.
fn secrets(endpoint: &Endpoint, now: Instant) -> impl Iterator<Item = &str> {
    let former = endpoint
        .former
        .as_ref()
        .filter(|(_, until)| now < *until)
        .map(|(secret, _)| secret.as_str());
    std::iter::once(endpoint.secret.as_str()).chain(former)
}

/// When a delivery is tried again after an attempt failed; `None`: no more. Up to a tenth later
/// than the pauses say, each its own time, so that what failed together does not come back
/// together.
fn next_at(delivery: &Delivery, now: Instant) -> Option<Instant> {
    let tried = usize::try_from(delivery.attempts).ok()?;
    let pause = PAUSES_SECS.get(tried.checked_sub(1)?)?;
    let spread = delivery.id.0.rem_euclid(100);
    Some(now.plus_micros(pause * (1_000_000 + spread * 1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::NoticeKind;
    use rating::ids::{DeliveryId, NoticeId};

    fn delivery(id: i64, attempts: u32) -> Delivery {
        Delivery {
            id: DeliveryId(id),
            root: TenantId(1),
            tenant: TenantId(1),
            target: Target::Endpoint(EndpointId(1)),
            notice: NoticeId(1),
            kind: NoticeKind::Test,
            payload: "{}".into(),
            state: DeliveryState::Waiting,
            attempts,
            next_at: None,
            last_status: None,
            last_error: None,
            created_at: Instant(0),
            tried_at: None,
            done_at: None,
        }
    }

    #[test]
    fn it_is_tried_for_three_days() {
        let mut at = Instant::from_secs(0);
        let mut attempts = 1;
        while let Some(next) = next_at(&delivery(0, attempts), at) {
            (at, attempts) = (next, attempts + 1);
        }
        assert_eq!((attempts, at.micros() / 3_600_000_000), (10, 75));
    }

    #[test]
    fn what_failed_together_comes_back_apart() {
        let after = |id| next_at(&delivery(id, 3), Instant(0)).unwrap().micros() / 1_000_000;
        assert_eq!((after(0), after(50), after(99)), (1800, 1890, 1978));
    }
}
