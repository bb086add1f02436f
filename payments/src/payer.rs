//! Who may pay here now: a tenant that is open, under an agreement that is in force, whose money
//! the platform collects.
//!
//! Whoever asks for money asks this first. What is on its way already is credited all the same, and
//! can be given back.

use crate::service::{PaymentService, unread};
use problem::{Code, Problem};
use rating::Currency;
use tenants::{Agreement, Collect, Tenant};

impl PaymentService {
    /// The agreement under which a tenant pays here now.
    ///
    /// # Errors
    /// `tenant_closed`, `no_agreement_in_force` (also of a seller above), `not_collected_here`;
    /// `unavailable`.
    pub async fn payer(&self, tenant: &Tenant) -> Result<Agreement, Problem> {
        let refused = |code, detail: &str| Problem::field(code, "tenant", detail);
        let path = self.catalog.tenant_path(tenant.id).await.map_err(unread)?;
        if path.iter().any(|one| one.closed_at.is_some()) {
            return Err(refused(
                Code::TenantClosed,
                "this tenant, or a seller above it, is closed: it cannot be topped up",
            ));
        }
        let buyers: Vec<_> = path
            .iter()
            .filter(|one| one.parent.is_some())
            .map(|one| one.id)
            .collect();
        let agreements = self.catalog.agreements_of(&buyers).await.map_err(unread)?;
        let now = self.now();
        let in_force = |buyer| {
            agreements
                .iter()
                .find(|terms| terms.buyer == buyer && terms.in_force(now))
        };
        if buyers.iter().any(|buyer| in_force(*buyer).is_none()) {
            return Err(refused(
                Code::NoAgreementInForce,
                "this tenant, or a seller above it, has no agreement in force: it cannot be \
                    topped up",
            ));
        }
        let own = in_force(tenant.id).ok_or_else(|| {
            refused(
                Code::NoAgreementInForce,
                "this tenant has no agreement in force",
            )
        })?;
        // What is paid on the provider's page is at the platform: it tops up who pays the platform,
        // directly or along a chain that it collects.
        match own.collect {
            Collect::Platform => Ok(own.clone()),
            Collect::Reseller if own.seller == self.platform => Ok(own.clone()),
            Collect::Reseller => Err(refused(
                Code::NotCollectedHere,
                "this tenant pays its reseller, and the reseller books its payments",
            )),
        }
    }

    /// # Errors
    /// As [`Self::payer`]; `currency_not_agreed`.
    pub(crate) async fn payer_in(
        &self,
        tenant: &Tenant,
        currency: Currency,
    ) -> Result<(), Problem> {
        let terms = self.payer(tenant).await?;
        if terms.currency != currency {
            return Err(currency_not_agreed(terms.currency));
        }
        Ok(())
    }
}

fn currency_not_agreed(agreed: Currency) -> Problem {
    Problem::field(
        Code::CurrencyNotAgreed,
        "currency",
        format!("expected {agreed}, the currency of the tenant's agreement"),
    )
}
