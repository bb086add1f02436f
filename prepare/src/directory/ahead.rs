//! The customers of a batch, read together: after a start, and after every change of the records,
//! nobody is in memory.

use super::Directory;
use crate::caller::Caller;
use crate::failures::record_problem;
use catalog::CatalogError;
use problem::Problem;
use rating::TenantId;
use std::collections::HashSet;
use std::sync::Arc;
use tenants::Tenant;

impl Directory {
    /// Reads those of these customers into memory that are not there, all with a few statements.
    /// Who is not found by it (unknown, ambiguous, erased) is looked for by
    /// [`Directory::customer`], which says why.
    pub async fn read_ahead(
        &self,
        caller: &Caller,
        names: impl Iterator<Item = &str>,
    ) -> Result<(), Problem> {
        // Before the records, as for one customer.
        let generation = self.generation();
        let mut seen = HashSet::new();
        let missing: Vec<&str> = names
            .filter(|name| seen.insert(*name) && self.customer_at_hand(caller, name).is_none())
            .collect();
        if missing.len() < 2 {
            return Ok(());
        }
        let Some(top) = self.caller(caller.tenant).await? else {
            return Ok(());
        };
        let (ids, names): (Vec<&str>, Vec<&str>) = missing
            .into_iter()
            .partition(|name| name.parse::<TenantId>().is_ok());
        let ids: Vec<TenantId> = ids.into_iter().filter_map(|id| id.parse().ok()).collect();
        let records = &self.inner.catalog;
        let by_id = records.tenants(&ids).await.map_err(record_problem)?;
        let by_name = records
            .tenants_by_external_ids(&top, &names)
            .await
            .map_err(record_problem)?;
        self.keep(caller, by_id, generation, |tenant| tenant.id.to_string())
            .await
            .map_err(record_problem)?;
        self.keep(caller, by_name, generation, |tenant| {
            tenant.external_id.clone()
        })
        .await
        .map_err(record_problem)
    }

    async fn keep(
        &self,
        caller: &Caller,
        mut found: Vec<Tenant>,
        generation: u64,
        name: impl Fn(&Tenant) -> String,
    ) -> Result<(), CatalogError> {
        found.retain(|tenant| tenants::visible(caller.tenant, &tenant.path));
        if found.is_empty() {
            return Ok(());
        }
        for customer in self.load_customers(found, generation).await? {
            self.inner
                .customers
                .put(caller.tenant, &name(&customer.tenant), Arc::new(customer));
        }
        Ok(())
    }
}
