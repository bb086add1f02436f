//! Puts tenants, cards, agreements and keys straight into the records: the demo, the benchmark and
//! the command line's own key are made this way. Everything else goes through the API.

use anyhow::Context;
use catalog::{Actor, Catalog, Meter, NewTenant, RateCard};
use clock::Clock;
use rating::card::{CardDoc, MeterTerms};
use rating::{
    AgreementId, CardVersionId, Cents, Currency, Instant, RateCardId, TenantId, ids, ids::ApiKeyId,
    ids::MeterId,
};
use std::sync::atomic::{AtomicU32, Ordering};
use tenants::{
    Agreement, ApiKey, Collect, OnExhausted, Pricing, Scope, Tenant, TenantKind, tenant,
};

/// Cards and agreements count from here, so that usage of the last hours can be sent.
const IN_FORCE_BEFORE_SECS: i64 = 400 * 86_400;

#[derive(Debug)]
pub struct Seeder<'a> {
    records: &'a Catalog,
    clock: &'a Clock,
    actor: Actor,
    /// Low bits of ids: many are made within one millisecond.
    next: AtomicU32,
}

impl<'a> Seeder<'a> {
    /// `reason` stands in the audit log.
    pub fn new(records: &'a Catalog, clock: &'a Clock, platform: TenantId, reason: &str) -> Self {
        let (at, request_id) = (clock.now(), clock::request_id(clock));
        let actor = Actor {
            key: None,
            tenant: platform,
            at,
            request_id,
            reason: Some(reason.to_owned()),
            once: None,
        };
        Self {
            records,
            clock,
            actor,
            next: AtomicU32::new(clock::random_u32()),
        }
    }

    pub fn id(&self) -> i64 {
        ids::compose(
            self.clock.now().micros() / 1000,
            self.next.fetch_add(1, Ordering::Relaxed),
        )
    }

    fn in_force_from(&self) -> Instant {
        self.actor.at.plus_secs(-IN_FORCE_BEFORE_SECS)
    }

    /// A tenant below `seller`, not stored yet.
    pub fn tenant(
        &self,
        seller: &Tenant,
        kind: TenantKind,
        external_id: &str,
        name: &str,
    ) -> anyhow::Result<NewTenant> {
        let id = TenantId(self.id());
        let place = tenant::place(seller, id)?;
        let personal_key = clock::random_secret()
            .map_err(|error| anyhow::anyhow!("the system has no randomness to give: {error}"))?;
        let tenant = Tenant {
            id,
            external_id: external_id.to_owned(),
            kind,
            name: name.to_owned(),
            parent: Some(place.parent),
            root: place.root,
            path: place.path,
            country: Some("DE".to_owned()),
            late_window_days: tenant::LATE_WINDOW_DAYS_DEFAULT,
            created_at: self.actor.at,
            closed_at: None,
        };
        Ok(NewTenant {
            tenant,
            personal_key,
        })
    }

    /// Terms between a buyer and its seller, not stored yet.
    pub fn terms(
        &self,
        buyer: &Tenant,
        pricing: Pricing,
        credit_limit: Option<Cents>,
    ) -> anyhow::Result<Agreement> {
        let seller = buyer
            .parent
            .with_context(|| format!("{} has no seller", buyer.external_id))?;
        Ok(Agreement {
            id: AgreementId(self.id()),
            buyer: buyer.id,
            seller,
            currency: Currency::EUR,
            pricing,
            collect: Collect::Platform,
            credit_limit,
            on_exhausted: OnExhausted::Post,
            credit_cap: Cents::ZERO,
            refused_by: None,
            floor: None,
            free_retail: false,
            author: None,
            from: self.in_force_from(),
            until: None,
        })
    }

    /// Creates those meters that are not there yet.
    pub async fn meters(&self, meters: &[(&str, MeterTerms)]) -> anyhow::Result<()> {
        for (name, terms) in meters {
            if self.records.meter_by_name(name).await?.is_none() {
                let meter = Meter {
                    id: MeterId(self.id()),
                    name: (*name).to_owned(),
                    terms: terms.clone(),
                    created_at: self.actor.at,
                };
                self.records
                    .create_meter(&self.actor, &meter)
                    .await
                    .with_context(|| format!("cannot create the meter {name}"))?;
            }
        }
        Ok(())
    }

    pub async fn store(&self, tenants: &[NewTenant], terms: &[Agreement]) -> anyhow::Result<()> {
        self.records
            .create_tenants(&self.actor, tenants, terms)
            .await
            .context("cannot create the tenants")
    }

    /// The seller's buyer of this id; created with its terms if it is not there.
    pub async fn ensure(
        &self,
        seller: &Tenant,
        kind: TenantKind,
        (external_id, name): (&str, &str),
        pricing: Pricing,
        credit_limit: Option<Cents>,
    ) -> anyhow::Result<Tenant> {
        if let Some(tenant) = self
            .records
            .tenant_by_external_id(seller, external_id)
            .await?
        {
            return Ok(tenant);
        }
        let new = self.tenant(seller, kind, external_id, name)?;
        let terms = self.terms(&new.tenant, pricing, credit_limit)?;
        self.store(std::slice::from_ref(&new), &[terms]).await?;
        Ok(new.tenant)
    }

    /// The owner's card of this name; created with one version, in force for a year already, if it
    /// is not there.
    pub async fn card(
        &self,
        owner: &Tenant,
        name: &str,
        doc: &CardDoc,
    ) -> anyhow::Result<RateCardId> {
        let id = match self.records.card_by_name(owner.id, name).await? {
            Some(card) => card.id,
            None => self.new_card(owner, name, doc).await?,
        };
        if self.records.published_versions(id).await?.is_empty() {
            let version = CardVersionId(self.id());
            self.records
                .create_draft(&self.actor, id, version, doc)
                .await?;
            self.records
                .publish(&self.actor, version, self.in_force_from())
                .await?;
        }
        Ok(id)
    }

    async fn new_card(
        &self,
        owner: &Tenant,
        name: &str,
        doc: &CardDoc,
    ) -> anyhow::Result<RateCardId> {
        let id = RateCardId(self.id());
        let (owner, root) = (owner.id, owner.root);
        let card = RateCard {
            id,
            owner,
            root,
            name: name.to_owned(),
            currency: doc.currency,
            created_at: self.actor.at,
        };
        self.records
            .create_card(&self.actor, &card)
            .await
            .with_context(|| format!("cannot create the rate card {name}"))?;
        Ok(id)
    }

    /// A new key and its secret, which is not stored.
    pub async fn key(
        &self,
        tenant: &Tenant,
        scope: Scope,
        name: &str,
        expires_at: Option<Instant>,
    ) -> anyhow::Result<(ApiKeyId, String)> {
        let random = clock::random_secret()
            .map_err(|error| anyhow::anyhow!("the system has no randomness to give: {error}"))?;
        let secret = tenants::key::new_secret(random);
        let key = ApiKey {
            id: ApiKeyId(self.id()),
            tenant: tenant.id,
            root: tenant.root,
            scope,
            name: name.to_owned(),
            hash: tenants::key::hash(&secret),
            created_at: self.actor.at,
            expires_at,
            revoked_at: None,
            made_by: None,
            last_used_at: None,
        };
        self.records
            .create_key(&self.actor, &key)
            .await
            .with_context(|| format!("cannot create the key {name}"))?;
        Ok((key.id, secret))
    }

    pub async fn revoke(&self, key: ApiKeyId) -> anyhow::Result<()> {
        self.records
            .revoke_key(&self.actor, key)
            .await
            .context("cannot revoke the key")?;
        Ok(())
    }
}
