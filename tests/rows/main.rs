//! The records, each test once per database: round trips, constraints, and an audit log row for
//! every write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "everything here is a test: what is not expected ends it"
)]

/// Stamps `async fn name(world: World)` as a test on every database.
macro_rules! on_every_database {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(super::World::sqlite().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(world) = super::World::postgres().await {
                        super::$name(world).await;
                    }
                }
            )+
        }
    };
}

mod attempts;
mod heads;
mod notices;
mod payouts;
mod races;
mod row_security;
mod sales;
mod service;
mod statements;
mod tree;

use ::notices::rows::*;
use ::payouts::rows::*;
use ::tenants::{
    Agreement, ApiKey, Authority, Collect, NotAllowed, OnExhausted, Pricing, Scope, Tenant,
    TenantKind,
};
use catalog::*;
use db::{Db, PostgresOptions};
use rating::card::CardDoc;
use rating::{AgreementId, Cents, Currency, Instant, RateCardId, TenantId, ids::ApiKeyId};
use smallvec::SmallVec;

const DAY: i64 = 86_400;

/// A database with a platform; the calls below read as sentences about it.
struct World {
    catalog: Catalog,
    db: Db,
    platform: Tenant,
    kept: Kept,
}

/// Where the database is; it goes with this.
enum Kept {
    Sqlite(tempfile::TempDir),
    Postgres(test_postgres::Database),
}

impl Kept {
    async fn open(&self) -> Db {
        match self {
            Self::Sqlite(directory) => Db::open_sqlite(&directory.path().join("centwise.db"))
                .await
                .unwrap(),
            Self::Postgres(database) => {
                Db::open_postgres(database.url(), &PostgresOptions::default())
                    .await
                    .unwrap()
            }
        }
    }
}

fn at(secs: i64) -> Instant {
    Instant::from_secs(secs)
}

fn actor(tenant: TenantId) -> Actor {
    Actor {
        key: Some(ApiKeyId(900)),
        tenant,
        at: at(DAY),
        request_id: "req-1".into(),
        reason: Some("a test".into()),
        once: None,
    }
}

fn platform() -> Tenant {
    let id = TenantId(1);
    tenant(id, "platform", TenantKind::Platform, None)
}

fn tenant(id: TenantId, name: &str, kind: TenantKind, parent: Option<&Tenant>) -> Tenant {
    let mut path: SmallVec<[TenantId; 4]> =
        parent.map(|parent| parent.path.clone()).unwrap_or_default();
    path.push(id);
    let root = path.get(1).copied().unwrap_or(id);
    Tenant {
        id,
        external_id: name.into(),
        kind,
        name: format!("The {name}"),
        parent: parent.map(|parent| parent.id),
        root,
        path,
        country: Some("DE".into()),
        late_window_days: 35,
        created_at: at(1),
        closed_at: None,
    }
}

fn key(id: i64, tenant: &Tenant) -> ApiKey {
    ApiKey {
        id: ApiKeyId(id),
        tenant: tenant.id,
        root: tenant.root,
        scope: Scope::TenantAdmin,
        name: format!("key {id}"),
        hash: *blake3::hash(&id.to_be_bytes()).as_bytes(),
        created_at: at(2),
        expires_at: Some(at(DAY)),
        revoked_at: None,
        made_by: None,
        last_used_at: None,
    }
}

fn new(tenant: &Tenant) -> NewTenant {
    NewTenant {
        tenant: tenant.clone(),
        personal_key: *blake3::hash(&tenant.id.0.to_be_bytes()).as_bytes(),
    }
}

fn commission(id: i64, buyer: &Tenant, from: i64, until: Option<i64>) -> Agreement {
    Agreement {
        id: AgreementId(id),
        buyer: buyer.id,
        seller: buyer.parent.unwrap_or(TenantId(0)),
        currency: Currency::EUR,
        pricing: Pricing::Commission {
            commission_bp: 2500,
        },
        collect: Collect::Reseller,
        credit_limit: Some(Cents(5)),
        on_exhausted: OnExhausted::Refuse,
        credit_cap: Cents(9),
        refused_by: None,
        floor: None,
        free_retail: false,
        author: Some(buyer.path[0]),
        from: at(from),
        until: until.map(at),
    }
}

fn card(id: i64, owner: &Tenant, name: &str) -> RateCard {
    RateCard {
        id: RateCardId(id),
        owner: owner.id,
        root: owner.root,
        name: name.into(),
        currency: Currency::EUR,
        created_at: at(3),
    }
}

fn doc(prefix: &str) -> CardDoc {
    let text = format!(
        r#"{{"currency":"EUR","zone":"Europe/Berlin","rates":[{{"key":"a","meter":"call","prefixes":["{prefix}"],
        "call":{{"initial":"60","next":"60","steps":[{{"from":"0","price":"0.40","per":"60"}}]}}}}]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

impl World {
    async fn sqlite() -> Self {
        Self::on(Kept::Sqlite(tempfile::tempdir().unwrap())).await
    }

    async fn postgres() -> Option<Self> {
        Some(Self::on(Kept::Postgres(test_postgres::database().await?)).await)
    }

    async fn on(kept: Kept) -> Self {
        let db = kept.open().await;
        let catalog = Catalog::new(&db);
        let platform = platform();
        let admin = ApiKey {
            scope: Scope::PlatformAdmin,
            ..key(901, &platform)
        };
        let made = catalog
            .ensure_platform(&actor(platform.id), &new(&platform), &admin)
            .await
            .unwrap();
        assert_eq!(made, Platform::Created(platform.clone()));
        Self {
            catalog,
            db,
            platform,
            kept,
        }
    }

    fn by(&self) -> Actor {
        actor(self.platform.id)
    }

    async fn reseller(&self, id: i64, name: &str, parent: &Tenant) -> Tenant {
        self.make(tenant(
            TenantId(id),
            name,
            TenantKind::Reseller,
            Some(parent),
        ))
        .await
    }

    async fn customer(&self, id: i64, name: &str, parent: &Tenant) -> Tenant {
        self.make(tenant(
            TenantId(id),
            name,
            TenantKind::Customer,
            Some(parent),
        ))
        .await
    }

    async fn make(&self, tenant: Tenant) -> Tenant {
        self.catalog
            .create_tenant(&self.by(), &new(&tenant))
            .await
            .unwrap();
        tenant
    }

    /// Resource and action of every entry, oldest first.
    async fn log(&self) -> Vec<String> {
        let page = self
            .catalog
            .audit_log(&self.platform, &AuditFilter::default(), None, LIST_ROWS_MAX)
            .await
            .unwrap();
        page.data
            .iter()
            .rev()
            .map(|entry| format!("{} {}", entry.resource, entry.action))
            .collect()
    }
}

/// `conflict external_id`, `invalid path`, `not found tenant` …
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        CatalogError::NotFound { what } => format!("not found {what}"),
        CatalogError::Ambiguous { external_id, .. } => format!("ambiguous {external_id}"),
        CatalogError::NotAllowed(NotAllowed { code, field, .. }) => format!("{code} {field}"),
        CatalogError::Conflict { field, .. } => format!("conflict {field}"),
        CatalogError::Invalid { field, .. } => format!("invalid {field}"),
        CatalogError::Overtaken => "overtaken".to_owned(),
        CatalogError::Db(error) => panic!("{error}"),
    }
}
