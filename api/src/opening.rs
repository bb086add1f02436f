//! Opens the database and puts together what the server is made of.

use crate::config::{Config, PayoutsMode};
use crate::database_url::Place;
use crate::{data_dir, payments_setup};
use anyhow::{Context as _, bail};
use catalog::{Actor, Catalog, NewTenant, Platform};
use clock::Clock;
use db::{Db, PostgresOptions};
use journal::Journal;
use journal_postgres::{PostgresJournal, PostgresJournalOptions};
use journal_sqlite::SqliteJournal;
use metering::engine::Engine;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use prepare::cache::Cache;
use prepare::directory::Directory;
use rating::TenantId;
use rating::ids::ApiKeyId;
use reports::sources::Sources;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use supervisor::Supervisor;
use tenants::{ApiKey, Scope, Tenant, TenantKind};
use web::arrivals::Arrivals;
use web::held::Held;
use web::key_uses::KeyUses;
use web::limits::Limits;
use web::measures::{self, Measures};
use web::readiness::Readiness;
use web::state::{App, Shared};
use web::timekeeper;
use web::turns::Turns;

/// Kept in memory, per cache.
const TENANTS_CACHED_MAX: usize = 131_072;
const KEYS_CACHED_MAX: usize = 65_536;
/// External id of the platform's own tenant.
pub const PLATFORM: &str = "platform";

/// An opened database and, on its first start, the secret of the platform's first key.
#[derive(Debug)]
pub struct Opened {
    pub app: App,
    /// Shown once: it is stored as a hash only.
    pub admin_key: Option<String>,
}

/// Opens the database (creating it, and the platform with its admin key, on the first start).
///
/// # Errors
/// The database cannot be opened or read.
pub async fn open(config: &Config, clock: Clock) -> anyhow::Result<Opened> {
    let (db, journal) = database(config).await?;
    let catalog = Catalog::new(&db);
    let (platform, admin_key) = platform_of(&catalog, &clock, config.creates).await?;
    let begun = catalog
        .begin_audit_heads()
        .await
        .context("cannot add up what the audit log and the catalog come to")?;
    if begun > 0 {
        tracing::info!(
            roots = begun,
            "`centwise verify` now detects changes to agreements, published prices, keys and the \
                audit log"
        );
    }
    timekeeper::begin(&catalog, &*journal, &clock, platform, config.accept_clock)
        .await
        .context("cannot compare the clock with the books")?;
    let engine_clock = clock.clone();
    let directory = Directory::new(catalog.clone());
    let generation = directory.shared_generation().clone();
    let gate_clock = clock.clone();
    let engine = Engine::start(
        Arc::clone(&journal),
        directory,
        Arc::new(move || engine_clock.now()),
    );
    let engine = engine.guarded(Arc::new(move || timekeeper::may_write(&gate_clock)));
    let held = Held::read(&catalog)
        .await
        .context("cannot read whether the database was restored")?;
    let (payments, payouts, stripe) =
        payments_setup::put_together(config, &catalog, &engine, &clock, platform).await?;
    payments.hold_charges(held.is_held());
    let sources = Sources::new(
        engine.clone(),
        catalog.clone(),
        payouts.clone(),
        platform,
        &generation,
    );
    // What begins at 0 needs the recorder.
    let metrics = metrics_handle()?;
    let data_dir = match config.database()? {
        Place::File(file) => file.parent().map(std::path::Path::to_owned),
        Place::Postgres(_) => None,
    };
    let app = App::new(Shared {
        payments,
        stripe,
        engine,
        catalog,
        journal,
        limits: Limits::new(&config.limits),
        keys: Cache::new(KEYS_CACHED_MAX, &generation),
        tenants_by_name: Cache::new(TENANTS_CACHED_MAX, &generation),
        sources,
        platform,
        reach: config.reach(),
        clock,
        request_time_max: config.request_time_max(),
        stalled_time_max: Duration::from_secs(config.stalled_secs_max),
        body_bytes_max: config.body_bytes_max,
        price_list_turns: Turns::default(),
        price_list_arrivals: Arrivals::default(),
        reading_turns: Turns::default(),
        readiness: Readiness::default(),
        supervisor: Supervisor::default(),
        held,
        key_uses: KeyUses::default(),
        metrics,
        measures: Measures::begun(),
        data_dir,
        backup_dir: config.backup_dir.clone(),
        payouts,
        payouts_auto: config.payouts == PayoutsMode::Auto,
    });
    Ok(Opened { app, admin_key })
}

async fn database(config: &Config) -> anyhow::Result<(Db, Arc<dyn Journal>)> {
    const UNREADABLE: &str = "cannot read the journal";
    match config.database()? {
        Place::File(file) => {
            if config.creates {
                data_dir::create(&file)?;
            }
            let db = Db::open_sqlite(&file)
                .await
                .with_context(|| format!("cannot open the database {}", file.display()))?;
            let journal = SqliteJournal::open(&db).await.context(UNREADABLE)?;
            Ok((db, Arc::new(journal)))
        }
        Place::Postgres(url) => {
            let db = Db::open_postgres(
                &url,
                &PostgresOptions {
                    creates: config.creates,
                    ..PostgresOptions::default()
                },
            )
            .await?;
            let options = PostgresJournalOptions {
                split_by_root: config.split_by_root,
                ..PostgresJournalOptions::default()
            };
            let journal = PostgresJournal::open_with(&db, options)
                .await
                .context(UNREADABLE)?;
            Ok((db, Arc::new(journal)))
        }
    }
}

/// The platform's tenant; made with its first admin key when there is none.
async fn platform_of(
    catalog: &Catalog,
    clock: &Clock,
    creates: bool,
) -> anyhow::Result<(TenantId, Option<String>)> {
    if let Some(platform) = catalog
        .platform()
        .await
        .context("cannot read the platform")?
    {
        return Ok((platform.id, None));
    }
    if !creates {
        bail!("the database has no platform: create it with `centwise serve`");
    }
    let id = TenantId(clock.id());
    let now = clock.now();
    let actor = Actor {
        key: None,
        tenant: id,
        at: now,
        request_id: clock::request_id(clock),
        reason: Some("first start".to_owned()),
        once: None,
    };
    let platform = Tenant {
        id,
        external_id: PLATFORM.to_owned(),
        kind: TenantKind::Platform,
        name: "Platform".to_owned(),
        parent: None,
        root: id,
        path: smallvec::smallvec![id],
        country: None,
        late_window_days: tenants::tenant::LATE_WINDOW_DAYS_DEFAULT,
        created_at: now,
        closed_at: None,
    };
    let secret = tenants::key::new_secret(random_secret()?);
    let key = ApiKey {
        id: ApiKeyId(clock.id()),
        tenant: id,
        root: id,
        scope: Scope::PlatformAdmin,
        name: "first admin key".to_owned(),
        hash: tenants::key::hash(&secret),
        created_at: now,
        expires_at: None,
        revoked_at: None,
        made_by: None,
        last_used_at: None,
    };
    let new = NewTenant {
        tenant: platform,
        personal_key: random_secret()?,
    };
    match catalog
        .ensure_platform(&actor, &new, &key)
        .await
        .context("cannot create the platform")?
    {
        Platform::Created(platform) => Ok((platform.id, Some(secret))),
        Platform::Existing(platform) => Ok((platform.id, None)),
    }
}

fn random_secret() -> anyhow::Result<[u8; 32]> {
    clock::random_secret()
        .map_err(|error| anyhow::anyhow!("the system gives no randomness for keys: {error}"))
}

/// One recorder per process, however many servers a test starts.
fn metrics_handle() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    const SECONDS: &[f64] = &[
        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    ];
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    // Another server of this process may have been faster: then its recorder counts for both.
    if metrics::set_global_recorder(recorder).is_ok() {
        measures::describe();
        return Ok(HANDLE.get_or_init(|| handle).clone());
    }
    Ok(HANDLE.get().cloned().unwrap_or(handle))
}
