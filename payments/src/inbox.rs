//! What a provider tells us is kept before it is answered. All that comes in at once is kept in one
//! transaction, so that many messages beside heavy traffic cost few commits.

use crate::rows::{PaymentRows, ProviderEvent};
use catalog::Catalog;
use problem::{Code, Problem};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

/// Messages that may wait to be kept; further ones are refused, and told again by the provider.
const WAITING_MAX: usize = 2_000;
/// Messages of one transaction.
const TOGETHER_MAX: usize = 500;

type Message = (ProviderEvent, oneshot::Sender<bool>);

#[derive(Debug, Clone)]
pub struct Inbox {
    catalog: Catalog,
    messages: mpsc::Sender<Message>,
    waiting: Arc<Mutex<mpsc::Receiver<Message>>>,
}

impl Inbox {
    pub fn new(catalog: Catalog) -> Self {
        let (messages, waiting) = mpsc::channel(WAITING_MAX);
        Self {
            catalog,
            messages,
            waiting: Arc::new(Mutex::new(waiting)),
        }
    }

    /// Durable on return; known events are kept once.
    ///
    /// # Errors
    /// `overloaded`, `unavailable`: it was not kept, and must be told again.
    pub async fn put(&self, event: ProviderEvent) -> Result<(), Problem> {
        let (reply, mut kept) = oneshot::channel();
        self.messages.try_send((event, reply)).map_err(|_| {
            Problem::new(
                Code::Overloaded,
                "too many messages are waiting; send this one again later",
            )
        })?;
        // The caller whose turn it is keeps what waits, its own and others'.
        loop {
            tokio::select! {
                biased;
                kept = &mut kept => {
                    let not_kept = || {
                        let detail = "the message was not stored; send it again";
                        Problem::new(Code::Unavailable, detail)
                    };
                    return kept.ok().filter(|is_kept| *is_kept).map(drop).ok_or_else(not_kept);
                }
                // In a task of its own: a caller that goes away loses nobody else's.
                waiting = Arc::clone(&self.waiting).lock_owned() => drop(tokio::spawn(keep(self.catalog.clone(), waiting)).await),
            }
        }
    }
}

async fn keep(catalog: Catalog, mut waiting: OwnedMutexGuard<mpsc::Receiver<Message>>) {
    let messages = std::iter::from_fn(|| waiting.try_recv().ok()).take(TOGETHER_MAX);
    let (events, replies): (Vec<_>, Vec<_>) = messages.unzip();
    let kept = PaymentRows::of(&catalog)
        .keep_provider_events(&events)
        .await;
    if let Err(error) = &kept {
        tracing::error!(%error, messages = events.len(), "storing payment provider messages \
            failed");
    }
    for reply in replies {
        // A caller that went away is told again by itself.
        let _gone = reply.send(kept.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::EventState;
    use catalog::{Actor, NewTenant};
    use db::Db;
    use rating::ids::ApiKeyId;
    use rating::{Instant, TenantId};
    use tenants::{ApiKey, Scope, Tenant, TenantKind};

    fn event(id: &str) -> ProviderEvent {
        ProviderEvent {
            id: id.to_owned(),
            provider: "stripe".to_owned(),
            account: None,
            kind: "charge.updated".to_owned(),
            object: "null".to_owned(),
            is_live: false,
            created_at: Instant(1),
            received_at: Instant(1),
            body: None,
            state: EventState::Waiting,
            attempts: 0,
            next_at: Some(Instant(1)),
            note: None,
        }
    }

    async fn platform(catalog: &Catalog) {
        let (id, at) = (TenantId(1), Instant(1));
        let tenant = Tenant {
            id,
            external_id: "platform".to_owned(),
            kind: TenantKind::Platform,
            name: "Platform".to_owned(),
            parent: None,
            root: id,
            path: [id].as_slice().into(),
            country: None,
            late_window_days: 35,
            created_at: at,
            closed_at: None,
        };
        let key = ApiKey {
            id: ApiKeyId(1),
            tenant: id,
            root: id,
            scope: Scope::PlatformAdmin,
            name: "admin".to_owned(),
            hash: [1; 32],
            created_at: at,
            expires_at: None,
            revoked_at: None,
            made_by: None,
            last_used_at: None,
        };
        let actor = Actor {
            key: None,
            tenant: id,
            at,
            request_id: "r".to_owned(),
            reason: None,
            once: None,
        };
        catalog
            .ensure_platform(
                &actor,
                &NewTenant {
                    tenant,
                    personal_key: [1; 32],
                },
                &key,
            )
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_comes_at_once_is_kept_also_when_a_caller_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(&Db::open_sqlite(&dir.path().join("one.db")).await.unwrap());
        platform(&catalog).await;
        let inbox = Inbox::new(catalog.clone());
        let many = (0..900).map(|n| {
            let inbox = inbox.clone();
            tokio::spawn(async move { inbox.put(event(&format!("evt_{n}"))).await })
        });
        let many: Vec<_> = many.collect();
        many[0].abort();
        for put in many.into_iter().skip(1) {
            put.await.unwrap().unwrap();
        }
        let kept = PaymentRows::of(&catalog)
            .due_provider_events(Instant(2), 1_000)
            .await
            .unwrap()
            .len();
        assert!(kept >= 899, "{kept}");
    }
}
