//! The key behind a request: whose it is, and how far it reaches.

use crate::problem::ApiProblem;
use metering::requests::Caller;
use problem::Code;
use reports::sources::Reader;
use tenants::{ApiKey, Authority, Scope, Tenant, TenantKind};

/// A valid key and the tenant at the top of its subtree.
#[derive(Debug)]
pub struct Access {
    pub key: ApiKey,
    pub tenant: Tenant,
}

impl Access {
    pub fn caller(&self) -> Caller {
        Caller {
            tenant: self.key.tenant,
            root: self.key.root,
            scope: self.key.scope,
            key: Some(self.key.id),
        }
    }
    /// Of reports.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            caller: self.caller(),
            tenant: &self.tenant,
        }
    }
    pub fn is_platform_admin(&self) -> bool {
        self.key.scope == Scope::PlatformAdmin
    }
    /// Whose word it is that sets terms.
    pub fn authority(&self) -> Authority {
        match self.tenant.kind {
            TenantKind::Platform => Authority::Platform,
            TenantKind::Reseller | TenantKind::Customer => Authority::Seller,
        }
    }
    /// The tenant is in the key's subtree.
    pub fn sees(&self, tenant: &Tenant) -> bool {
        tenants::visible(self.key.tenant, &tenant.path)
    }
    /// The tenant is below the key's own: the key speaks for (one of) its sellers.
    ///
    /// # Errors
    /// `forbidden`: nobody grants themselves terms or money, save the platform's operator.
    pub fn administers(&self, tenant: &Tenant) -> Result<(), ApiProblem> {
        let sells = self.sees(tenant) && tenant.id != self.key.tenant;
        if sells || self.is_platform_admin() {
            Ok(())
        } else {
            Err(ApiProblem::new(
                Code::Forbidden,
                "only a seller above this tenant may do this",
            ))
        }
    }
}
