//! Who is the customer, what does the chain look like, which card prices each link: the cold
//! records, cached. Nothing here changes money.
//!
//! Invariants: what is cached carries the generation it was read under, so that a change made
//! before a request arrived is never missed (one that another process made: a second before);
//! compiled versions are immutable and never invalidated.

mod ahead;
mod watch;

use crate::cache::Generation;
use crate::caller::Caller;
use crate::customer::Customer;
use crate::customers::Customers;
use crate::failures::record_problem;
use crate::plan::{Timeline, VersionSlot, plans};
use catalog::{CardVersion, Catalog, CatalogError, RateCard};
use journal::Reporter;
use moka::sync::Cache;
use problem::{Code, Problem};
use rating::card::MeterTerms;
use rating::compile::CompiledCard;
use rating::{CardVersionId, RateCardId, TenantId};
use std::collections::HashMap;
use std::sync::Arc;
use supervisor::CancellationToken;
use tenants::{Agreement, Pricing, Tenant};

/// Customers kept in memory with their chains.
const CUSTOMERS_MAX: usize = 200_000;
/// Rate cards, and compiled versions, kept in memory.
const CARDS_MAX: u64 = 2_000;
const METERS_MAX: u64 = 1_000;
/// Tenants whose keys look for things in several roots.
const CALLERS_MAX: u64 = 1_000;

/// The generation it was read under, and the card, if there is one.
type Fallback = (u64, Option<Arc<Timeline>>);

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    generation: Generation,
    customers: Customers,
    timelines: Cache<RateCardId, (u64, Arc<Timeline>)>,
    compiled: Cache<CardVersionId, Arc<CompiledCard>>,
    /// By owner and name; `None`: there is no such card.
    fallbacks: Cache<(TenantId, String), Fallback>,
    meters: Cache<String, (u64, Arc<MeterTerms>)>,
    /// From the platform down; a tenant never moves.
    paths: Cache<TenantId, Arc<[TenantId]>>,
    roots: Cache<TenantId, (u64, Arc<[TenantId]>)>,
    callers: Cache<TenantId, (u64, Arc<Tenant>)>,
    /// One card is compiled at a time: a large one takes memory that many at once would multiply.
    compiling: tokio::sync::Mutex<()>,
}

impl Directory {
    pub fn new(catalog: Catalog) -> Self {
        Self {
            inner: Arc::new(Inner {
                catalog,
                generation: Generation::default(),
                customers: Customers::new(CUSTOMERS_MAX / 2),
                fallbacks: Cache::new(CARDS_MAX),
                timelines: Cache::new(CARDS_MAX),
                compiled: Cache::new(CARDS_MAX),
                meters: Cache::new(METERS_MAX),
                paths: Cache::new(CUSTOMERS_MAX as u64),
                roots: Cache::new(CALLERS_MAX),
                callers: Cache::new(CALLERS_MAX),
                compiling: tokio::sync::Mutex::new(()),
            }),
        }
    }

    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// After every cold write: what was cached before counts no longer.
    pub fn invalidate(&self) {
        self.inner.generation.next();
    }

    /// Asks the database again and again whether another process has changed the records; if so,
    /// what was cached counts no longer, at most a second after its commit. Returns at once where
    /// no other process can.
    pub async fn watch(&self, token: CancellationToken) {
        watch::go_on(&self.inner, token).await;
    }

    /// For caches of what is read of the same records.
    pub fn shared_generation(&self) -> &Generation {
        &self.inner.generation
    }

    fn generation(&self) -> u64 {
        self.inner.generation.now()
    }

    /// A customer that is in memory.
    pub fn customer_at_hand(&self, caller: &Caller, name: &str) -> Option<Arc<Customer>> {
        let generation = self.generation();
        self.inner
            .customers
            .get(caller.tenant, name)
            .filter(|hit| hit.generation == generation)
    }

    /// The tenant a caller names, by external id or `ten_…`; `None` when its subtree has none.
    pub async fn customer(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Option<Arc<Customer>>, Problem> {
        // Read before the records: a change made meanwhile then makes this entry stale.
        let generation = self.generation();
        if let Some(hit) = self.customer_at_hand(caller, name) {
            return Ok(Some(hit));
        }
        let Some(tenant) = self.tenant_below(caller.tenant, name).await? else {
            return Ok(None);
        };
        let loaded = self
            .load_customers(vec![tenant], generation)
            .await
            .map_err(record_problem)?
            .pop();
        let customer = Arc::new(
            loaded.ok_or_else(|| Problem::new(Code::NotFound, "there is no such personal key"))?,
        );
        self.inner
            .customers
            .put(caller.tenant, name, Arc::clone(&customer));
        Ok(Some(customer))
    }

    /// A tenant of the subtree below `top`, by external id or `ten_…`.
    pub async fn tenant_below(&self, top: TenantId, name: &str) -> Result<Option<Tenant>, Problem> {
        let records = &self.inner.catalog;
        let found = match name.parse::<TenantId>() {
            Ok(id) => records.tenant(id).await.map_err(record_problem)?,
            Err(_) => match self.caller(top).await? {
                Some(top) => records
                    .tenant_by_external_id(&top, name)
                    .await
                    .map_err(record_problem)?,
                None => None,
            },
        };
        Ok(found.filter(|tenant| tenants::visible(top, &tenant.path)))
    }

    /// Whoever looks for names.
    async fn caller(&self, id: TenantId) -> Result<Option<Arc<Tenant>>, Problem> {
        let generation = self.generation();
        if let Some((_, tenant)) = self
            .inner
            .callers
            .get(&id)
            .filter(|(read_under, _)| *read_under == generation)
        {
            return Ok(Some(tenant));
        }
        let Some(tenant) = self
            .inner
            .catalog
            .tenant(id)
            .await
            .map_err(record_problem)?
            .map(Arc::new)
        else {
            return Ok(None);
        };
        self.inner
            .callers
            .insert(id, (generation, Arc::clone(&tenant)));
        Ok(Some(tenant))
    }

    /// The roots a caller sees: its own, or (the platform) every one and the platform itself.
    pub async fn roots_seen(&self, caller: &Caller) -> Result<Arc<[TenantId]>, Problem> {
        let generation = self.generation();
        if let Some((_, roots)) = self
            .inner
            .roots
            .get(&caller.tenant)
            .filter(|(read_under, _)| *read_under == generation)
        {
            return Ok(roots);
        }
        let roots: Arc<[TenantId]> = if self
            .path(caller.tenant)
            .await?
            .is_some_and(|path| path.len() == 1)
        {
            self.all_roots(caller.tenant).await?.into()
        } else {
            [caller.root].into()
        };
        self.inner
            .roots
            .insert(caller.tenant, (generation, Arc::clone(&roots)));
        Ok(roots)
    }

    async fn all_roots(&self, platform: TenantId) -> Result<Vec<TenantId>, Problem> {
        let mut roots = vec![platform];
        loop {
            let after = roots.last().copied().filter(|last| *last != platform);
            let page = self
                .inner
                .catalog
                .children(platform, after, catalog::LIST_ROWS_MAX)
                .await
                .map_err(record_problem)?;
            roots.extend(page.data.iter().map(|tenant| tenant.id));
            if !page.has_more {
                return Ok(roots);
            }
        }
    }

    /// Whose name the caller's commands bear.
    pub async fn reporter(&self, caller: &Caller) -> Result<Reporter, Problem> {
        let is_platform = self
            .path(caller.tenant)
            .await?
            .is_some_and(|path| path.len() == 1);
        Ok((!is_platform).then_some(caller.tenant))
    }

    /// Whether a tenant is in the caller's subtree.
    pub async fn sees(&self, caller: &Caller, tenant: TenantId) -> Result<bool, Problem> {
        if tenant == caller.tenant {
            return Ok(true);
        }
        Ok(self
            .path(tenant)
            .await?
            .is_some_and(|path| tenants::visible(caller.tenant, &path)))
    }

    /// From the platform down to the tenant.
    pub async fn path(&self, tenant: TenantId) -> Result<Option<Arc<[TenantId]>>, Problem> {
        if let Some(path) = self.inner.paths.get(&tenant) {
            return Ok(Some(path));
        }
        let Some(found) = self
            .inner
            .catalog
            .tenant(tenant)
            .await
            .map_err(record_problem)?
        else {
            return Ok(None);
        };
        let path: Arc<[TenantId]> = found.path.as_slice().into();
        self.inner.paths.insert(tenant, Arc::clone(&path));
        Ok(Some(path))
    }

    /// Of a buyer, of any time.
    pub async fn agreements_of(&self, buyer: TenantId) -> Result<Vec<Agreement>, Problem> {
        self.inner
            .catalog
            .agreements_of(&[buyer])
            .await
            .map_err(record_problem)
    }

    pub async fn personal_key(&self, tenant: TenantId) -> Result<[u8; 32], Problem> {
        let keys = self
            .inner
            .catalog
            .personal_keys(&[tenant])
            .await
            .map_err(record_problem)?;
        keys.first()
            .map(|(_, key)| *key)
            .ok_or_else(|| Problem::new(Code::NotFound, "there is no such tenant"))
    }

    /// Each with everything that prices it. One whose person was erased is left out.
    async fn load_customers(
        &self,
        tenants: Vec<Tenant>,
        generation: u64,
    ) -> Result<Vec<Customer>, CatalogError> {
        let buyers: Vec<TenantId> = tenants
            .iter()
            .flat_map(|tenant| tenant.path.iter().copied())
            .collect();
        let ids: Vec<TenantId> = tenants.iter().map(|tenant| tenant.id).collect();
        let agreements = self.inner.catalog.agreements_of(&buyers).await?;
        let timelines = self.timelines_of(&agreements, generation).await?;
        let keys: HashMap<TenantId, [u8; 32]> = self
            .inner
            .catalog
            .personal_keys(&ids)
            .await?
            .into_iter()
            .collect();
        let mut by_buyer: HashMap<TenantId, Vec<Agreement>> = HashMap::new();
        agreements
            .into_iter()
            .for_each(|agreement| by_buyer.entry(agreement.buyer).or_default().push(agreement));
        let with_chain = |tenant: Tenant| {
            let agreements: Vec<Agreement> = tenant
                .path
                .iter()
                .filter_map(|buyer| by_buyer.get(buyer))
                .flatten()
                .cloned()
                .collect();
            let personal_key = *keys.get(&tenant.id)?;
            Some(Customer {
                plans: plans(&tenant, &agreements, &timelines),
                tenant,
                personal_key,
                agreements,
                generation,
            })
        };
        Ok(tenants.into_iter().filter_map(with_chain).collect())
    }

    async fn timelines_of(
        &self,
        agreements: &[Agreement],
        generation: u64,
    ) -> Result<HashMap<RateCardId, Arc<Timeline>>, CatalogError> {
        let mut timelines = HashMap::new();
        for agreement in agreements {
            let card = match agreement.pricing {
                Pricing::Wholesale { rate_card } => Some(rate_card),
                Pricing::Commission { .. } => agreement.floor,
            };
            if let Some(card) = card {
                timelines.insert(card, self.timeline(card, generation).await?);
            }
        }
        Ok(timelines)
    }

    async fn timeline(
        &self,
        card: RateCardId,
        generation: u64,
    ) -> Result<Arc<Timeline>, CatalogError> {
        if let Some((_, hit)) = self
            .inner
            .timelines
            .get(&card)
            .filter(|(read_under, _)| *read_under == generation)
        {
            return Ok(hit);
        }
        let RateCard { owner, name, .. } = self
            .inner
            .catalog
            .card(card)
            .await?
            .ok_or(CatalogError::NotFound { what: "rate card" })?;
        let published = self.inner.catalog.published_versions(card).await?;
        let slot = |version: CardVersion| {
            let compiled = tokio::sync::OnceCell::new();
            version.effective_from.map(|effective_from| VersionSlot {
                id: version.id,
                effective_from,
                approved_by: version.approved_by.unwrap_or(owner),
                compiled,
            })
        };
        let mut versions: Vec<VersionSlot> = published.into_iter().filter_map(slot).collect();
        versions.sort_by_key(|slot| slot.effective_from);
        let timeline = Arc::new(Timeline {
            card,
            name,
            owner,
            versions,
        });
        self.inner
            .timelines
            .insert(card, (generation, Arc::clone(&timeline)));
        Ok(timeline)
    }

    /// The card that is asked when `timeline`'s has no rate: by name, under the same owner. `None`:
    /// not in memory; `Some(None)`: there is none.
    pub fn fallback_at_hand(
        &self,
        timeline: &Timeline,
        name: &str,
    ) -> Option<Option<Arc<Timeline>>> {
        let generation = self.generation();
        let hit = self.inner.fallbacks.get(&(timeline.owner, name.to_owned()));
        hit.filter(|(read_under, _)| *read_under == generation)
            .map(|(_, found)| found)
    }

    /// Reads it into memory.
    pub async fn load_fallback(&self, timeline: &Timeline, name: &str) -> Result<(), Problem> {
        let generation = self.generation();
        let found = match self
            .inner
            .catalog
            .card_by_name(timeline.owner, name)
            .await
            .map_err(record_problem)?
        {
            Some(card) => Some(
                self.timeline(card.id, generation)
                    .await
                    .map_err(record_problem)?,
            ),
            None => None,
        };
        self.inner
            .fallbacks
            .insert((timeline.owner, name.to_owned()), (generation, found));
        Ok(())
    }

    pub async fn compiled(&self, slot: &VersionSlot) -> Result<Arc<CompiledCard>, Problem> {
        if let Some(card) = slot.compiled.get() {
            return Ok(Arc::clone(card));
        }
        slot.compiled
            .get_or_try_init(|| self.version(slot.id))
            .await
            .cloned()
    }

    /// A published version by id, compiled once per process.
    pub async fn version(&self, id: CardVersionId) -> Result<Arc<CompiledCard>, Problem> {
        if let Some(card) = self.inner.compiled.get(&id) {
            return Ok(card);
        }
        let _one_at_a_time = self.inner.compiling.lock().await;
        if let Some(card) = self.inner.compiled.get(&id) {
            return Ok(card);
        }
        let found = self
            .inner
            .catalog
            .version_of(id)
            .await
            .map_err(record_problem)?;
        let (of_card, doc) = found.ok_or_else(|| {
            Problem::new(Code::CorruptCard, format!("the version {id} is not stored"))
        })?;
        let broken = |why: String| {
            Problem::new(
                Code::CorruptCard,
                format!("the stored version {id} does not compile: {why}"),
            )
        };
        let compiled = tokio::task::spawn_blocking(move || CompiledCard::compile(&doc))
            .await
            .map_err(|e| broken(e.to_string()))?;
        let card = compiled.map_err(|mistakes| broken(format!("{mistakes:?}")))?;
        let card = Arc::new(card.of_card(of_card));
        self.inner.compiled.insert(id, Arc::clone(&card));
        Ok(card)
    }

    /// A meter that is in memory.
    pub fn meter_at_hand(&self, name: &str) -> Option<Arc<MeterTerms>> {
        let generation = self.generation();
        self.inner
            .meters
            .get(name)
            .filter(|(read_under, _)| *read_under == generation)
            .map(|(_, hit)| hit)
    }

    pub async fn meter(&self, name: &str) -> Result<Option<Arc<MeterTerms>>, Problem> {
        let generation = self.generation();
        if let Some(hit) = self.meter_at_hand(name) {
            return Ok(Some(hit));
        }
        let Some(meter) = self
            .inner
            .catalog
            .meter_by_name(name)
            .await
            .map_err(record_problem)?
        else {
            return Ok(None);
        };
        let terms = Arc::new(meter.terms);
        self.inner
            .meters
            .insert(name.to_owned(), (generation, Arc::clone(&terms)));
        Ok(Some(terms))
    }
}
