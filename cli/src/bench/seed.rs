//! What a benchmark runs on: a platform, resellers, customers, and two cards made of one deck
//! (retail for customers, 75 % of it for resellers). Planted in this process before the server
//! starts.

use super::deck::Deck;
use super::events::People;
use anyhow::Context;
use api::config::Config;
use api::opening;
use api::seed::Seeder;
use catalog::NewTenant;
use clock::Clock;
use rating::Cents;
use rating::card::{Aggregation, MeterTerms};
use tenants::{Pricing, Scope, Tenant, TenantKind};

/// Percent of the deck's prices that a reseller pays.
const WHOLESALE_PERCENT: u32 = 75;
/// A limit that is checked on every hold and never reached.
const CREDIT_LIMIT: Cents = Cents(1_000_000_000_000);

/// Plants what is missing; the secret of a new admin key. The database is closed again afterwards.
pub async fn seed(config: &Config, deck: &Deck, people: People) -> anyhow::Result<String> {
    let clock = Clock::system();
    let opened = opening::open(config, clock.clone())
        .await
        .map_err(crate::database::explained)?;
    let records = &opened.app.catalog;
    let platform = records
        .platform()
        .await?
        .context("the database has no platform")?;
    let seeder = Seeder::new(records, &clock, platform.id, "benchmark");
    let last = People::customer_name(people.customers - 1);
    if records
        .tenant_by_external_id(&platform, &last)
        .await?
        .is_none()
    {
        seed_people(&seeder, &platform, deck, people).await?;
    }
    let (_, secret) = seeder
        .key(&platform, Scope::PlatformAdmin, "benchmark", None)
        .await?;
    opened
        .app
        .engine
        .drain(std::time::Duration::from_secs(60))
        .await?;
    Ok(secret)
}

async fn seed_people(
    seeder: &Seeder<'_>,
    platform: &Tenant,
    deck: &Deck,
    people: People,
) -> anyhow::Result<()> {
    let call = MeterTerms {
        unit: "second".to_owned(),
        aggregation: Aggregation::Sum,
        unique_by: None,
    };
    seeder.meters(&[("call", call)]).await?;
    let retail = seeder
        .card(platform, "bench retail", &deck.card(100))
        .await?;
    let wholesale = seeder
        .card(platform, "bench wholesale", &deck.card(WHOLESALE_PERCENT))
        .await?;
    let (mut tenants, mut terms): (Vec<NewTenant>, Vec<_>) = (Vec::new(), Vec::new());
    let mut roots = Vec::with_capacity(people.roots);
    for root in 0..people.roots {
        let name = People::root_name(root);
        let reseller = seeder.tenant(platform, TenantKind::Reseller, &name, &name)?;
        terms.push(seeder.terms(
            &reseller.tenant,
            Pricing::Wholesale {
                rate_card: wholesale,
            },
            None,
        )?);
        roots.push(reseller.tenant.clone());
        tenants.push(reseller);
    }
    for customer in 0..people.customers {
        let name = People::customer_name(customer);
        let seller = roots
            .get(People::root_of(customer))
            .context("a customer without a reseller")?;
        let new = seeder.tenant(seller, TenantKind::Customer, &name, &name)?;
        terms.push(seeder.terms(
            &new.tenant,
            Pricing::Wholesale { rate_card: retail },
            Some(CREDIT_LIMIT),
        )?);
        tenants.push(new);
    }
    seeder.store(&tenants, &terms).await
}
