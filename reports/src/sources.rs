//! What reports read from, and for whom.

use crate::error::Error;
use catalog::Catalog;
use journal::Journal;
use metering::engine::Engine;
use metering::requests::Caller;
use payouts::Payouts;
use prepare::cache::{Cache, Generation};
use rating::{Currency, Instant, TenantId};
use std::sync::Arc;
use tenants::{Agreement, Tenant};

/// Kept in memory, per cache.
const TENANTS_CACHED_MAX: usize = 131_072;

/// The books, the catalog, and what of it is asked for again and again.
#[derive(Debug)]
pub struct Sources {
    pub(crate) engine: Engine,
    pub(crate) catalog: Catalog,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) payouts: Payouts,
    pub(crate) platform: TenantId,
    tenants: Cache<TenantId, Arc<Tenant>>,
    /// By buyer.
    agreements: Cache<TenantId, Arc<Vec<Agreement>>>,
}

/// Who reads: a key's rights, and the tenant at the top of its subtree.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    pub caller: Caller,
    pub tenant: &'a Tenant,
}

impl Reader<'_> {
    /// The tenant is in the reader's subtree.
    pub fn sees(&self, tenant: &Tenant) -> bool {
        tenants::visible(self.caller.tenant, &tenant.path)
    }
}

impl Sources {
    /// `generation`: of cold writes, after which nothing that is kept counts.
    pub fn new(
        engine: Engine,
        catalog: Catalog,
        payouts: Payouts,
        platform: TenantId,
        generation: &Generation,
    ) -> Self {
        Self {
            journal: Arc::clone(engine.journal()),
            engine,
            catalog,
            payouts,
            platform,
            tenants: Cache::new(TENANTS_CACHED_MAX, generation),
            agreements: Cache::new(TENANTS_CACHED_MAX, generation),
        }
    }

    /// A tenant by id, seen or not: for showing its external id.
    ///
    /// # Errors
    /// There is none; the catalog cannot be read.
    pub async fn tenant(&self, id: TenantId) -> Result<Arc<Tenant>, Error> {
        let read = async { Ok::<_, Error>(self.catalog.tenant(id).await?.map(Arc::new)) };
        let found = self.tenants.get_or_read(id, read).await?;
        found.ok_or(Error::NoTenant)
    }

    /// Whether a reader may see the link that a charge is of: it buys there, or somebody below
    /// does.
    ///
    /// # Errors
    /// As [`Self::tenant`].
    pub(crate) async fn sees_link(
        &self,
        reader: &Reader<'_>,
        buyer: TenantId,
    ) -> Result<bool, Error> {
        Ok(reader.sees(&*self.tenant(buyer).await?))
    }

    /// Every agreement of a buyer, past and future.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn agreements_of(&self, buyer: TenantId) -> Result<Arc<Vec<Agreement>>, Error> {
        let read = async {
            let found = self.catalog.agreements_of(&[buyer]).await?;
            Ok::<_, Error>(Some(Arc::new(found)))
        };
        let found = self.agreements.get_or_read(buyer, read).await?;
        Ok(found.unwrap_or_default())
    }

    /// The buyer's agreement in force now. There is no other that says whose money it is.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn agreement_in_force(
        &self,
        buyer: TenantId,
        now: Instant,
    ) -> Result<Option<Agreement>, Error> {
        let agreements = self.agreements_of(buyer).await?;
        Ok(agreements.iter().find(|terms| terms.in_force(now)).cloned())
    }

    /// The currency to show a buyer's accounts in: of its agreement in force, else of its latest.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn usual_currency(
        &self,
        buyer: TenantId,
        now: Instant,
    ) -> Result<Option<Currency>, Error> {
        let agreements = self.agreements_of(buyer).await?;
        let present = agreements.iter().find(|terms| terms.in_force(now));
        Ok(present
            .or_else(|| agreements.iter().max_by_key(|terms| terms.from))
            .map(|terms| terms.currency))
    }

    /// The currency of an account: as asked, or of the tenant's agreement.
    ///
    /// # Errors
    /// [`Error::NoCurrency`] where there is nothing to go by; what is asked for is none.
    pub async fn currency_of(
        &self,
        tenant: &Tenant,
        asked: Option<&str>,
        now: Instant,
    ) -> Result<Currency, Error> {
        if let Some(code) = asked {
            return Ok(code.parse()?);
        }
        let usual = self.usual_currency(tenant.id, now).await?;
        usual.ok_or(Error::NoCurrency)
    }
}
