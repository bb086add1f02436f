//! A customer whose carries end: what its turn reads, and the record of it.

use compact_str::CompactString;
use journal::{Charge, EntryPayload, Identity, JournalEntry, Kind, Namespace, Seq, StateKeys};
use ledger::{LinkCharge, Settlement};
use prepare::plan::settlement_of;
use rating::{AgreementId, Cents, Currency, Instant, TenantId};
use smallvec::SmallVec;
use std::collections::HashMap;
use tenants::{Agreement, Tenant};

/// Whose steps these records are.
pub(crate) const SOURCE: &str = "carries";

/// One customer whose carries end, with the links of its chain from its own up.
#[derive(Debug, Clone)]
pub struct Settling {
    pub root: TenantId,
    pub(crate) customer: TenantId,
    pub(crate) platform: TenantId,
    pub(crate) currency: Currency,
    /// Without cents yet.
    pub(crate) links: SmallVec<[(LinkCharge, AgreementId); 4]>,
    /// Why they end: a stable code.
    reason: &'static str,
}

impl Settling {
    /// `None`: the tenant goes on, or never bought anything.
    pub(crate) fn of(
        tenant: &Tenant,
        agreements: &HashMap<TenantId, Vec<Agreement>>,
        now: Instant,
    ) -> Option<Self> {
        let terms = |buyer: &TenantId| agreements.get(buyer).map_or(&[][..], Vec::as_slice);
        let is_over = |terms: &[Agreement]| {
            !terms.is_empty()
                && terms
                    .iter()
                    .all(|one| one.until.is_some_and(|until| until <= now))
        };
        let buyers = tenant.path.get(1..)?;
        let reason = match () {
            () if tenant.closed_at.is_some_and(|closed| closed <= now) => "closed",
            () if buyers.iter().any(|buyer| is_over(terms(buyer))) => "agreement_ended",
            () => return None,
        };
        let platform = *tenant.path.first()?;
        let link = |pair: &[TenantId]| {
            let (seller, buyer) = (pair[0], pair[1]);
            let latest = latest(terms(&buyer), now);
            let settlement =
                latest.map_or(Settlement::Platform, |terms| settlement_of(terms, platform));
            (
                LinkCharge {
                    buyer,
                    seller,
                    settlement,
                    cents: Cents::ZERO,
                },
                latest.map_or(AgreementId(0), |terms| terms.id),
            )
        };
        let currency = buyers
            .iter()
            .rev()
            .find_map(|buyer| latest(terms(buyer), now))?
            .currency;
        let links = tenant.path.windows(2).rev().map(link).collect();
        Some(Self {
            root: tenant.root,
            customer: tenant.id,
            platform,
            currency,
            links,
            reason,
        })
    }

    /// What its turn reads and changes.
    pub fn keys(&self, keys: &mut StateKeys) {
        keys.under(self.root);
        keys.carries.push(self.customer);
        let one_cent: SmallVec<[LinkCharge; 4]> = self
            .links
            .iter()
            .map(|(link, _)| LinkCharge {
                cents: Cents(1),
                ..*link
            })
            .collect();
        if let Ok(postings) =
            ledger::postings_of(self.root, self.platform, self.currency, &one_cent)
        {
            keys.accounts.extend(
                postings
                    .iter()
                    .flat_map(|posting| [posting.from, posting.to]),
            );
        }
    }

    pub(crate) fn record(&self, charges: Vec<Charge>, now: Instant) -> JournalEntry {
        let identity = Identity {
            root: self.root,
            reporter: None,
            namespace: Namespace::Engine,
            source: CompactString::const_new(SOURCE),
            id: self.customer.to_string(),
        };
        let body = EntryPayload {
            currency: Some(self.currency),
            charges,
            reason: self.reason.to_owned(),
            ..EntryPayload::default()
        };
        let (seq, kind, tenant, none) = (Seq(0), Kind::CarrySettled, self.customer, [0; 16]);
        JournalEntry {
            seq,
            kind,
            tenant,
            identity,
            at: now,
            received_at: now,
            content: none,
            body,
            personal: None,
            personal_digest: none,
        }
    }
}

/// The terms a link had last, or will have first.
pub(crate) fn latest(terms: &[Agreement], now: Instant) -> Option<&Agreement> {
    terms
        .iter()
        .filter(|one| one.from <= now)
        .max_by_key(|one| one.from)
        .or(terms.first())
}
