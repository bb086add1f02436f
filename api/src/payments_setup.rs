//! Payments put together: the provider, the service, payouts and the months they count in.

use crate::config::Config;
use anyhow::Context as _;
use catalog::{Actor, Catalog};
use clock::Clock;
use jiff::tz::TimeZone;
use metering::Engine;
use payments::service::{PaymentService, Settings, Sources};
use payouts::{Calendar, Payouts};
use problem::{Code, Problem};
use provider::Provider;
use provider::stripe::Stripe;
use rating::TenantId;
use std::sync::Arc;

/// # Errors
/// The settings make no sense: a reason not to start.
pub async fn put_together(
    config: &Config,
    catalog: &Catalog,
    engine: &Engine,
    clock: &Clock,
    platform: TenantId,
) -> anyhow::Result<(PaymentService, Payouts, Option<Arc<Stripe>>)> {
    let settings = &config.payments;
    let stripe = settings.provider()?;
    let provider = stripe.clone().map(|stripe| stripe as Arc<dyn Provider>);
    let (now, id) = (clock.clone(), clock.clone());
    let sources = Sources {
        now: Arc::new(move || now.now()),
        id: Arc::new(move || id.id()),
        token: Arc::new(|| {
            let secret = clock::random_secret().map_err(|error| {
                Problem::new(
                    Code::Internal,
                    format!("the system gives no randomness: {error}"),
                )
            })?;
            Ok(std::array::from_fn(|at| secret[at]))
        }),
    };
    let calendar = calendar(config, catalog, clock, platform).await?;
    let payouts = Payouts::new(
        engine.clone(),
        catalog.clone(),
        provider.clone(),
        calendar,
        platform,
        Arc::clone(&sources.id),
    );
    let settings = Settings {
        public_url: settings.public_url.clone(),
        terms: settings.terms(),
    };
    let payments = PaymentService::new(
        catalog.clone(),
        engine.clone(),
        provider,
        settings,
        sources,
        platform,
        Some(payouts.clone()),
    );
    Ok((payments, payouts, stripe))
}

/// Name of the setting that keeps the zones of the platform's months.
const MONTHS: &str = "months";

/// As it is kept in the database; another zone counts from the next month on.
async fn calendar(
    config: &Config,
    catalog: &Catalog,
    clock: &Clock,
    platform: TenantId,
) -> anyhow::Result<Calendar> {
    let zone = TimeZone::get(&config.time_zone)
        .with_context(|| format!("{} is not a time zone", config.time_zone))?;
    let stored = catalog
        .setting(MONTHS)
        .await
        .context("cannot read the zone of the months")?;
    let before = stored
        .as_ref()
        .map(|stored| Calendar::read(&stored.to_string()))
        .transpose()?;
    let calendar = before.map_or_else(
        || Calendar::of(zone.clone()),
        |before| before.with(zone.clone(), clock.now()),
    );
    let text = serde_json::from_str(&calendar.stored())?;
    if stored.as_ref() != Some(&text) {
        if stored.is_some() {
            tracing::warn!(zone = %config.time_zone, "statement and payout months change to a \
                different time zone next month");
        }
        let actor = Actor {
            key: None,
            tenant: platform,
            at: clock.now(),
            request_id: "start".to_owned(),
            reason: Some(ZONE_SET.to_owned()),
            once: None,
        };
        catalog
            .set_setting(&actor, MONTHS, &text)
            .await
            .context("cannot keep the zone of the months")?;
    }
    Ok(calendar)
}

const ZONE_SET: &str = "CENTWISE_TIME_ZONE";
