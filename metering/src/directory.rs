//! Who is the customer, what does the chain look like, which card prices each link: the cold
//! records, cached. Nothing here changes money.
//!
//! Invariants: what is cached carries the generation it was read under, so that a change made before
//! a request arrived is never missed; compiled versions are immutable and never invalidated.

use crate::cache::{Cache, Generation};
use crate::command::{Caller, Problem};
use crate::plan::{ChainPlan, Timeline, VersionSlot, plans};
use rating::card::MeterTerms;
use rating::compile::CompiledCard;
use rating::{CardVersionId, Instant, RateCardId, TenantId};
use std::collections::HashMap;
use std::sync::Arc;
use store::records::{CardVersion, RecordError, Records};
use tenants::{Agreement, Pricing, Tenant};

/// Customers kept in memory with their chains.
const CUSTOMERS_MAX: usize = 131_072;
/// Rate cards, and compiled versions, kept in memory.
const CARDS_MAX: usize = 2_000;
const METERS_MAX: usize = 1_000;
/// Tenants whose keys look for things in several roots.
const CALLERS_MAX: usize = 1_000;

/// A buyer of usage with everything that prices it.
#[derive(Debug)]
pub struct Customer {
    pub tenant: Tenant,
    /// Keys the digests of this person's data.
    pub personal_key: [u8; 32],
    plans: Vec<ChainPlan>,
}

impl Customer {
    /// The chain in force at an instant.
    pub fn chain_at(&self, at: Instant) -> Option<&ChainPlan> {
        self.plans.iter().find(|plan| plan.covers(at))
    }
    pub fn platform(&self) -> TenantId {
        self.tenant.path.first().copied().unwrap_or(self.tenant.root)
    }
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    records: Records,
    generation: Generation,
    customers: Cache<(TenantId, String), Arc<Customer>>,
    timelines: Cache<RateCardId, Arc<Timeline>>,
    compiled: Cache<CardVersionId, Arc<CompiledCard>>,
    meters: Cache<String, Arc<MeterTerms>>,
    /// From the platform down; a tenant never moves.
    paths: Cache<TenantId, Arc<[TenantId]>>,
    roots: Cache<TenantId, Arc<[TenantId]>>,
    /// One card is compiled at a time: a large one takes memory that many at once would multiply.
    compiling: tokio::sync::Mutex<()>,
}

impl Directory {
    pub fn new(records: Records) -> Self {
        let (generation, unchanging) = (Generation::default(), Generation::default());
        Self {
            inner: Arc::new(Inner {
                records,
                customers: Cache::new(CUSTOMERS_MAX, &generation),
                timelines: Cache::new(CARDS_MAX, &generation),
                compiled: Cache::new(CARDS_MAX, &unchanging),
                meters: Cache::new(METERS_MAX, &generation),
                paths: Cache::new(CUSTOMERS_MAX, &unchanging),
                roots: Cache::new(CALLERS_MAX, &generation),
                generation,
                compiling: tokio::sync::Mutex::new(()),
            }),
        }
    }

    pub fn records(&self) -> &Records {
        &self.inner.records
    }

    /// After every cold write: what was cached before counts no longer.
    pub fn invalidate(&self) {
        self.inner.generation.next();
    }

    /// For caches of what is read of the same records.
    pub fn generation(&self) -> &Generation {
        &self.inner.generation
    }

    /// The tenant a caller names, by external id or `ten_…`; `None` when its subtree has none.
    pub async fn customer(&self, caller: &Caller, name: &str) -> Result<Option<Arc<Customer>>, Problem> {
        let read = async {
            let Some(tenant) = self.tenant_below(caller.tenant, name).await? else { return Ok(None) };
            self.load_customer(tenant).await.map(|customer| Some(Arc::new(customer))).map_err(record_problem)
        };
        self.inner.customers.get_or_read((caller.tenant, name.to_owned()), read).await
    }

    /// A tenant of the subtree below `top`, by external id or `ten_…`.
    pub async fn tenant_below(&self, top: TenantId, name: &str) -> Result<Option<Tenant>, Problem> {
        let records = &self.inner.records;
        let found = match name.parse::<TenantId>() {
            Ok(id) => records.tenant(id).await.map_err(record_problem)?,
            Err(_) => match records.tenant(top).await.map_err(record_problem)? {
                Some(top) => records.tenant_by_external_id(&top, name).await.map_err(record_problem)?,
                None => None,
            },
        };
        Ok(found.filter(|tenant| tenants::visible(top, &tenant.path)))
    }

    /// The roots a caller sees: its own, or (the platform) every one and the platform itself.
    pub async fn roots_seen(&self, caller: &Caller) -> Result<Arc<[TenantId]>, Problem> {
        let read = async {
            let is_platform = self.path(caller.tenant).await?.is_some_and(|path| path.len() == 1);
            Ok(Some(if is_platform { self.all_roots(caller.tenant).await?.into() } else { Arc::from([caller.root]) }))
        };
        Ok(self.inner.roots.get_or_read(caller.tenant, read).await?.unwrap_or_default())
    }

    async fn all_roots(&self, platform: TenantId) -> Result<Vec<TenantId>, Problem> {
        let mut roots = vec![platform];
        loop {
            let after = roots.last().copied().filter(|last| *last != platform);
            let page = self.inner.records.children(platform, after, store::records::LIST_ROWS_MAX).await.map_err(record_problem)?;
            roots.extend(page.data.iter().map(|tenant| tenant.id));
            if !page.has_more {
                return Ok(roots);
            }
        }
    }

    /// Whether a tenant is in the caller's subtree.
    pub async fn sees(&self, caller: &Caller, tenant: TenantId) -> Result<bool, Problem> {
        if tenant == caller.tenant {
            return Ok(true);
        }
        Ok(self.path(tenant).await?.is_some_and(|path| tenants::visible(caller.tenant, &path)))
    }

    async fn path(&self, tenant: TenantId) -> Result<Option<Arc<[TenantId]>>, Problem> {
        let read = async {
            let found = self.inner.records.tenant(tenant).await.map_err(record_problem)?;
            Ok(found.map(|tenant| Arc::from(tenant.path.as_slice())))
        };
        self.inner.paths.get_or_read(tenant, read).await
    }

    pub async fn personal_key(&self, tenant: TenantId) -> Result<[u8; 32], Problem> {
        let keys = self.inner.records.personal_keys(&[tenant]).await.map_err(record_problem)?;
        keys.first().map(|(_, key)| *key).ok_or_else(|| Problem::new("not_found", "there is no such tenant"))
    }

    async fn load_customer(&self, tenant: Tenant) -> Result<Customer, RecordError> {
        let agreements = self.inner.records.agreements_of(&tenant.path).await?;
        let timelines = self.timelines_of(&agreements).await?;
        let keys = self.inner.records.personal_keys(&[tenant.id]).await?;
        let personal_key = keys.first().map(|(_, key)| *key).ok_or(RecordError::NotFound { what: "personal key" })?;
        Ok(Customer { plans: plans(&tenant, &agreements, &timelines), tenant, personal_key })
    }

    async fn timelines_of(&self, agreements: &[Agreement]) -> Result<HashMap<RateCardId, Arc<Timeline>>, RecordError> {
        let mut timelines = HashMap::new();
        for agreement in agreements {
            if let Pricing::Wholesale { rate_card } = agreement.pricing {
                timelines.insert(rate_card, self.timeline(rate_card).await?);
            }
        }
        Ok(timelines)
    }

    async fn timeline(&self, card: RateCardId) -> Result<Arc<Timeline>, RecordError> {
        let read = async { self.read_timeline(card).await.map(|timeline| Some(Arc::new(timeline))) };
        self.inner.timelines.get_or_read(card, read).await?.ok_or(RecordError::NotFound { what: "rate card" })
    }

    async fn read_timeline(&self, card: RateCardId) -> Result<Timeline, RecordError> {
        let owner = self.inner.records.card(card).await?.ok_or(RecordError::NotFound { what: "rate card" })?.owner;
        let published = self.inner.records.published_versions(card).await?;
        let slot = |version: CardVersion| {
            let compiled = tokio::sync::OnceCell::new();
            version.effective_from.map(|effective_from| VersionSlot { id: version.id, effective_from, compiled })
        };
        let mut versions: Vec<VersionSlot> = published.into_iter().filter_map(slot).collect();
        versions.sort_by_key(|slot| slot.effective_from);
        Ok(Timeline { card, owner, versions })
    }

    /// The card that is asked when `timeline`'s has no rate: by name, under the same owner.
    pub async fn fallback(&self, timeline: &Timeline, name: &str) -> Result<Option<Arc<Timeline>>, Problem> {
        match self.inner.records.card_by_name(timeline.owner, name).await.map_err(record_problem)? {
            Some(card) => self.timeline(card.id).await.map(Some).map_err(record_problem),
            None => Ok(None),
        }
    }

    pub async fn compiled(&self, slot: &VersionSlot) -> Result<Arc<CompiledCard>, Problem> {
        if let Some(card) = slot.compiled.get() {
            return Ok(Arc::clone(card));
        }
        slot.compiled.get_or_try_init(|| self.version(slot.id)).await.cloned()
    }

    /// A published version by id, compiled once per process.
    pub async fn version(&self, id: CardVersionId) -> Result<Arc<CompiledCard>, Problem> {
        let alone = async {
            let _one_at_a_time = self.inner.compiling.lock().await;
            // Perhaps somebody compiled it meanwhile.
            self.inner.compiled.get_or_read(id, self.compile(id)).await
        };
        let found = self.inner.compiled.get_or_read(id, alone).await?;
        found.ok_or_else(|| Problem::new("corrupt_card", format!("the version {id} is not stored")))
    }

    async fn compile(&self, id: CardVersionId) -> Result<Option<Arc<CompiledCard>>, Problem> {
        let Some(doc) = self.inner.records.version_doc(id).await.map_err(record_problem)? else { return Ok(None) };
        let broken = |why: String| Problem::new("corrupt_card", format!("the stored version {id} does not compile: {why}"));
        let compiled = tokio::task::spawn_blocking(move || CompiledCard::compile(&doc)).await.map_err(|e| broken(e.to_string()))?;
        let card = compiled.map_err(|mistakes| broken(format!("{mistakes:?}")))?;
        Ok(Some(Arc::new(card)))
    }

    pub async fn meter(&self, name: &str) -> Result<Option<Arc<MeterTerms>>, Problem> {
        let read = async {
            let meter = self.inner.records.meter_by_name(name).await.map_err(record_problem)?;
            Ok(meter.map(|meter| Arc::new(meter.terms)))
        };
        self.inner.meters.get_or_read(name.to_owned(), read).await
    }
}

/// A failing look-up is the server's trouble, save an ambiguous name.
pub fn record_problem(error: RecordError) -> Problem {
    match error {
        RecordError::NotFound { what } => Problem::new("not_found", format!("there is no such {what}")),
        RecordError::Ambiguous { ref external_id } => {
            Problem::field("ambiguous_id", "customer", format!("several tenants are called {external_id:?}; use the id instead"))
        }
        RecordError::Conflict { field, detail } => Problem::field("conflict", field, detail),
        RecordError::Invalid { field, detail } => Problem::field("invalid_field", field, detail),
        RecordError::Db(error) => Problem::new("unavailable", format!("the database did not answer: {error}")),
    }
}
