//! What every request shares: the engine, the records, the journal, the clock, the limits, the
//! caches.

use crate::access::Access;
use crate::arrivals::Arrivals;
use crate::held::Held;
use crate::key_uses::KeyUses;
use crate::limits::Limits;
use crate::measures::Measures;
use crate::readiness::Readiness;
use crate::turns::Turns;
use catalog::Catalog;
use clock::Clock;
use journal::Journal;
use metering::engine::Engine;
use metrics_exporter_prometheus::PrometheusHandle;
use notices::address::Reach;
use payments::service::PaymentService;
use payouts::Payouts;
use prepare::cache::Cache;
use provider::stripe::Stripe;
use rating::TenantId;
use reports::sources::Sources;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use supervisor::Supervisor;
use tenants::{Tenant, TenantKind};

/// Cheap to clone; one per server.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub engine: Engine,
    pub catalog: Catalog,
    pub journal: Arc<dyn Journal>,
    pub clock: Clock,
    pub limits: Limits,
    /// By the hash of the secret.
    pub keys: Cache<[u8; 32], Arc<Access>>,
    /// By the tenant of the key that asks and the name it used.
    pub tenants_by_name: Cache<(TenantId, String), Arc<Tenant>>,
    /// Of reports, and of who has which terms.
    pub sources: Sources,
    pub platform: TenantId,
    /// Where webhooks may go.
    pub reach: Reach,
    pub request_time_max: Duration,
    /// How long a command may wait in the engine before the server is not ready.
    pub stalled_time_max: Duration,
    pub body_bytes_max: usize,
    pub price_list_turns: Turns,
    pub price_list_arrivals: Arrivals,
    /// Of reading price lists and statements.
    pub reading_turns: Turns,
    pub readiness: Readiness,
    /// Of every background task.
    pub supervisor: Supervisor,
    /// Nothing goes out by itself after a restore.
    pub held: Held,
    pub key_uses: KeyUses,
    pub metrics: PrometheusHandle,
    pub measures: Measures,
    /// Of the embedded database.
    pub data_dir: Option<PathBuf>,
    /// Where backups are written.
    pub backup_dir: Option<PathBuf>,
    /// Money in and out through the payment provider.
    pub payments: PaymentService,
    pub payouts: Payouts,
    /// The provider itself, where it is Stripe: its secrets are read again.
    pub stripe: Option<Arc<Stripe>>,
    /// Whether what is due is worked out and sent without anybody asking.
    pub payouts_auto: bool,
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// The records as a key reads them: those of its root only, save for the platform's own keys.
    pub fn catalog_of(&self, access: &Access) -> Catalog {
        match access.tenant.kind {
            TenantKind::Platform => self.catalog.clone(),
            _ => self.catalog.within(access.key.root),
        }
    }

    /// After every cold write: what is cached of tenants, agreements, cards and keys counts no
    /// longer.
    pub fn invalidate(&self) {
        // The caches here count the directory's generations.
        self.engine.invalidate();
    }
}
