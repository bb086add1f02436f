//! Tenants and agreements for the tests of this crate.

use crate::{
    Agreement, Collect, OnExhausted, Pricing, Tenant, TenantKind, tenant::LATE_WINDOW_DAYS_DEFAULT,
};
use rating::{AgreementId, Cents, Currency, Instant, RateCardId, TenantId};

/// The last tenant of a path that begins with the platform.
pub fn tenant(path: &[i64]) -> Tenant {
    let (id, kind) = (
        path[path.len() - 1],
        if path.len() == 1 {
            TenantKind::Platform
        } else {
            TenantKind::Reseller
        },
    );
    Tenant {
        id: TenantId(id),
        external_id: format!("tenant-{id}"),
        kind,
        name: format!("Tenant {id}"),
        parent: path
            .len()
            .checked_sub(2)
            .map(|parent| TenantId(path[parent])),
        root: TenantId(*path.get(1).unwrap_or(&id)),
        path: path.iter().copied().map(TenantId).collect(),
        country: Some("DE".into()),
        late_window_days: LATE_WINDOW_DAYS_DEFAULT,
        created_at: Instant::MIN,
        closed_at: None,
    }
}

/// Wholesale, prepaid, since ever.
pub fn agreement(buyer: i64, seller: i64) -> Agreement {
    Agreement {
        id: AgreementId(buyer),
        buyer: TenantId(buyer),
        seller: TenantId(seller),
        currency: Currency::EUR,
        pricing: Pricing::Wholesale {
            rate_card: RateCardId(seller),
        },
        collect: Collect::Platform,
        credit_limit: Some(Cents::ZERO),
        on_exhausted: OnExhausted::Post,
        credit_cap: Cents::ZERO,
        refused_by: None,
        floor: None,
        free_retail: false,
        author: None,
        from: Instant::MIN,
        until: None,
    }
}
