//! A platform with everything under it, in the words of the domain: tests create tenants,
//! agreements and cards from short JSON, send usage, and read answers as one line of text.
//!
//! Time stands still unless a test moves it; ids are counted up. Every world has a temporary
//! database of its own for the records; the journal is in memory or in that database.

use crate::audit::{self, Audited};
use catalog::{Actor, Catalog, Meter, NewTenant, RateCard, TenantPatch};
use db::{Db, PostgresOptions};
use journal::Journal;
use journal::memory::MemoryJournal;
use journal_postgres::{PostgresJournal, PostgresJournalOptions};
use journal_sqlite::{JournalOptions, SqliteJournal};
use metering::requests::{Caller, MoneyKind, MoveMoney};
use metering::{Directory, Engine};
use rating::card::{CardDoc, MeterTerms};
use rating::ids::{ApiKeyId, MeterId};
use rating::{AgreementId, CardVersionId, Cents, Currency, Instant, RateCardId, TenantId};
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tenants::{Agreement, ApiKey, Collect, OnExhausted, Pricing, Scope, Tenant, TenantKind};
use transfer::health::{Health, look_at_file};

pub use centwise_tests::{NOW, instant, prices};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Memory,
    Sqlite,
    Postgres,
    /// A transaction for each root.
    PostgresByRoot,
}

/// The database of the next world.
static NEXT: Mutex<Vec<test_postgres::Database>> = Mutex::new(Vec::new());

/// False (having said so) where there is no PostgreSQL.
pub async fn postgres_is_here() -> bool {
    let made = test_postgres::database().await;
    let is_here = made.is_some();
    NEXT.lock().unwrap().extend(made);
    is_here
}

async fn database() -> Option<test_postgres::Database> {
    let next = NEXT.lock().unwrap().pop();
    if next.is_some() {
        next
    } else {
        test_postgres::database().await
    }
}

/// Stamps every test on every journal.
macro_rules! on_every_journal {
    ($($test:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test($crate::world::Backend::Memory).await })+
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$test($crate::world::Backend::Sqlite).await })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if $crate::world::postgres_is_here().await {
                    super::$test($crate::world::Backend::Postgres).await
                }
            })+
        }
        mod postgres_by_root {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if $crate::world::postgres_is_here().await {
                    super::$test($crate::world::Backend::PostgresByRoot).await
                }
            })+
        }
    };
}
pub(crate) use on_every_journal;

pub struct World {
    pub engine: Engine,
    pub catalog: Catalog,
    pub journal: Arc<dyn Journal>,
    /// To make its commits fail; `None` on a database.
    pub memory: Option<MemoryJournal>,
    /// To wait until everything that is due is written; `None` in memory.
    pub sqlite: Option<SqliteJournal>,
    pub postgres: Option<PostgresJournal>,
    pub db: Db,
    database: Option<test_postgres::Database>,
    pub file: std::path::PathBuf,
    pub platform: Tenant,
    clock: Arc<AtomicI64>,
    ids: AtomicI64,
    pub tenants: Mutex<BTreeMap<String, Tenant>>,
    cards: Mutex<HashMap<String, RateCardId>>,
    _dir: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        if let (Some(journal), false) = (&self.postgres, std::thread::panicking()) {
            let locking = journal.locking().unwrap().lanes();
            assert!(
                !locking.one_root || journal.roots_held_max() <= 1,
                "a transaction held several roots"
            );
        }
    }
}

impl World {
    /// A platform that measures calls, SMS, API calls and bookings, and sells to nobody yet.
    pub async fn new(backend: Backend) -> Self {
        Self::with(
            backend,
            JournalOptions {
                recent_records_max: 64,
                fan_out: 2,
                pending_records_max: 100,
            },
        )
        .await
    }

    /// With the journal's own limits: small ones, so that few records already move it through all
    /// its steps.
    pub async fn with(backend: Backend, options: JournalOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("centwise.db");
        let on_postgres = matches!(backend, Backend::Postgres | Backend::PostgresByRoot);
        let database = if on_postgres { database().await } else { None };
        let db = match &database {
            Some(database) => Db::open_postgres(database.url(), &PostgresOptions::default())
                .await
                .unwrap(),
            None => Db::open_sqlite(&file).await.unwrap(),
        };
        let (mut memory, mut sqlite, mut postgres) = (None, None, None);
        let journal: Arc<dyn Journal> = match backend {
            Backend::Memory => Arc::new(memory.insert(MemoryJournal::new()).clone()),
            Backend::Sqlite => Arc::new(
                sqlite
                    .insert(SqliteJournal::open_with(&db, options).await.unwrap())
                    .clone(),
            ),
            Backend::Postgres | Backend::PostgresByRoot => {
                let split_by_root = backend == Backend::PostgresByRoot;
                let options = PostgresJournalOptions {
                    lanes: 2,
                    split_by_root,
                    fold_bytes: 1000,
                };
                Arc::new(
                    postgres
                        .insert(PostgresJournal::open_with(&db, options).await.unwrap())
                        .clone(),
                )
            }
        };
        let catalog = Catalog::new(&db);
        let clock = Arc::new(AtomicI64::new(instant(NOW).micros()));
        let read = Arc::clone(&clock);
        let directory = Directory::new(catalog.clone());
        let engine = Engine::start(
            Arc::clone(&journal),
            directory,
            Arc::new(move || Instant(read.load(Ordering::SeqCst))),
        );
        let platform = tenant(TenantId(1), "platform", TenantKind::Platform, None);
        let world = Self {
            engine,
            catalog,
            journal,
            memory,
            sqlite,
            postgres,
            db: db.clone(),
            database,
            file,
            platform: platform.clone(),
            clock,
            ids: AtomicI64::new(100),
            tenants: Mutex::new(BTreeMap::from([("platform".to_owned(), platform)])),
            cards: Mutex::default(),
            _dir: dir,
        };
        world.begin().await;
        world
    }

    /// Over a journal of the test's own, with records of its own.
    pub async fn over(journal: Arc<dyn Journal>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("centwise.db");
        let db = Db::open_sqlite(&file).await.unwrap();
        let catalog = Catalog::new(&db);
        let clock = Arc::new(AtomicI64::new(instant(NOW).micros()));
        let read = Arc::clone(&clock);
        let directory = Directory::new(catalog.clone());
        let engine = Engine::start(
            Arc::clone(&journal),
            directory,
            Arc::new(move || Instant(read.load(Ordering::SeqCst))),
        );
        let platform = tenant(TenantId(1), "platform", TenantKind::Platform, None);
        let world = Self {
            engine,
            catalog,
            journal,
            memory: None,
            sqlite: None,
            postgres: None,
            db,
            database: None,
            file,
            platform: platform.clone(),
            clock,
            ids: AtomicI64::new(100),
            tenants: Mutex::new(BTreeMap::from([("platform".to_owned(), platform)])),
            cards: Mutex::default(),
            _dir: dir,
        };
        world.begin().await;
        world
    }

    /// Another process on the same database: a journal, caches and an engine of its own.
    pub async fn beside(&self) -> Self {
        self.beside_on(self.db.clone()).await
    }

    /// The same with connections of its own, whose transactions are serializable.
    pub async fn beside_serializable(&self) -> Self {
        let (_, name) = self.url().rsplit_once('/').unwrap();
        let from_now_on =
            format!("alter database {name} set default_transaction_isolation = 'serializable'");
        let mut connection = PgConnection::connect(self.url()).await.unwrap();
        connection
            .execute(AssertSqlSafe(from_now_on))
            .await
            .unwrap();
        self.beside_on(
            Db::open_postgres(self.url(), &PostgresOptions::default())
                .await
                .unwrap(),
        )
        .await
    }

    async fn beside_on(&self, db: Db) -> Self {
        let journal = PostgresJournal::open(&db).await.unwrap();
        let catalog = Catalog::new(&db);
        let directory = Directory::new(catalog.clone());
        let read = Arc::clone(&self.clock);
        let shared: Arc<dyn Journal> = Arc::new(journal.clone());
        Self {
            engine: Engine::start(
                Arc::clone(&shared),
                directory,
                Arc::new(move || Instant(read.load(Ordering::SeqCst))),
            ),
            catalog,
            journal: shared,
            memory: None,
            sqlite: None,
            postgres: Some(journal),
            db,
            database: None,
            file: self.file.clone(),
            platform: self.platform.clone(),
            clock: Arc::clone(&self.clock),
            ids: AtomicI64::new(1_000_000),
            tenants: Mutex::new(self.tenants.lock().unwrap().clone()),
            cards: Mutex::new(self.cards.lock().unwrap().clone()),
            _dir: tempfile::tempdir().unwrap(),
        }
    }

    /// What a crash at this moment leaves of an embedded database, opened again: a journal, caches
    /// and an engine of its own.
    pub async fn opened_again(&self, options: JournalOptions) -> Self {
        self.sqlite.as_ref().unwrap().settle().await.unwrap();
        let dir = crate::histories::image(&self.file);
        let file = dir.path().join("centwise.db");
        let db = Db::open_sqlite(&file).await.unwrap();
        let journal = SqliteJournal::open_with(&db, options).await.unwrap();
        let clock = Arc::new(AtomicI64::new(self.clock.load(Ordering::SeqCst)));
        let read = Arc::clone(&clock);
        let (catalog, shared): (_, Arc<dyn Journal>) =
            (Catalog::new(&db), Arc::new(journal.clone()));
        let directory = Directory::new(catalog.clone());
        Self {
            engine: Engine::start(
                Arc::clone(&shared),
                directory,
                Arc::new(move || Instant(read.load(Ordering::SeqCst))),
            ),
            catalog,
            journal: shared,
            memory: None,
            sqlite: Some(journal),
            postgres: None,
            db,
            database: None,
            file,
            platform: self.platform.clone(),
            clock,
            ids: AtomicI64::new(self.ids.load(Ordering::SeqCst)),
            tenants: Mutex::new(self.tenants.lock().unwrap().clone()),
            cards: Mutex::new(self.cards.lock().unwrap().clone()),
            _dir: dir,
        }
    }

    /// The same installation, at the same moment, where it was moved to: it knows what this one
    /// knows.
    pub async fn moved(&self, database: test_postgres::Database) -> Self {
        let db = Db::open_postgres(database.url(), &PostgresOptions::default())
            .await
            .unwrap();
        let options = PostgresJournalOptions {
            fold_bytes: 1000,
            ..PostgresJournalOptions::default()
        };
        let journal = PostgresJournal::open_with(&db, options).await.unwrap();
        let clock = Arc::new(AtomicI64::new(self.clock.load(Ordering::SeqCst)));
        let read = Arc::clone(&clock);
        let (catalog, shared): (_, Arc<dyn Journal>) =
            (Catalog::new(&db), Arc::new(journal.clone()));
        let directory = Directory::new(catalog.clone());
        Self {
            engine: Engine::start(
                Arc::clone(&shared),
                directory,
                Arc::new(move || Instant(read.load(Ordering::SeqCst))),
            ),
            catalog,
            journal: shared,
            memory: None,
            sqlite: None,
            postgres: Some(journal),
            db,
            database: Some(database),
            file: self.file.clone(),
            platform: self.platform.clone(),
            clock,
            ids: AtomicI64::new(self.ids.load(Ordering::SeqCst)),
            tenants: Mutex::new(self.tenants.lock().unwrap().clone()),
            cards: Mutex::new(self.cards.lock().unwrap().clone()),
            _dir: tempfile::tempdir().unwrap(),
        }
    }

    async fn begin(&self) {
        let (id, root) = (self.platform.id, self.platform.root);
        let name = "first".to_owned();
        let (hash, created_at) = ([7; 32], Instant(1));
        let key = ApiKey {
            id: ApiKeyId(1),
            tenant: id,
            root,
            scope: Scope::PlatformAdmin,
            name,
            hash,
            created_at,
            expires_at: None,
            revoked_at: None,
            made_by: None,
            last_used_at: None,
        };
        self.catalog
            .ensure_platform(&self.actor(), &keyed(&self.platform), &key)
            .await
            .unwrap();
        for (meter, unit) in [
            ("call", "second"),
            ("sms", "message"),
            ("api_call", "call"),
            ("booking", "booking"),
        ] {
            self.meter(meter, json!({ "unit": unit })).await;
        }
    }

    /// The demo's chain: the platform sells calls at 0.30/min, Muster Telecom at 0.40/min to two
    /// customers with 50.00 EUR; the commission of a second reseller is 25 %, and so is its own
    /// reseller's.
    pub async fn reference(backend: Backend) -> Self {
        Self::new(backend).await.into_demo().await
    }

    pub async fn into_demo(self) -> Self {
        let world = self;
        world
            .card(
                "platform",
                "wholesale",
                prices("0.30", "0.10", "1.00", "0.05"),
            )
            .await;
        world
            .reseller("muster", "platform", json!({ "card": "wholesale" }))
            .await;
        world
            .card("muster", "retail", prices("0.40", "0.15", "1.50", "0.08"))
            .await;
        for customer in ["acme-42", "acme-43"] {
            world
                .customer(
                    customer,
                    "muster",
                    json!({ "card": "retail", "credit_limit": 0 }),
                )
                .await;
            world.top_up(customer, 5000).await;
        }
        world
            .reseller("agent", "platform", json!({ "commission_bp": 2500 }))
            .await;
        world
            .reseller("sub-agent", "agent", json!({ "commission_bp": 2500 }))
            .await;
        world
            .card(
                "sub-agent",
                "retail-2",
                prices("0.40", "0.15", "1.50", "0.08"),
            )
            .await;
        world
            .customer("beta", "sub-agent", json!({ "card": "retail-2" }))
            .await;
        world
    }

    /// Changes records behind the server's back.
    pub async fn sql(&self, statement: &str) {
        use sqlx::ConnectOptions;
        let statement = AssertSqlSafe(statement.to_owned());
        match self.database {
            Some(_) => {
                let mut connection = PgConnection::connect(self.url()).await.unwrap();
                sqlx::raw_sql(statement)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            None => {
                let file = sqlx::sqlite::SqliteConnectOptions::new().filename(&self.file);
                sqlx::raw_sql(statement)
                    .execute(&mut file.connect().await.unwrap())
                    .await
                    .unwrap();
            }
        }
        self.engine.invalidate();
    }

    /// What `health-check` looks at.
    pub async fn health(&self) -> Health {
        match self.database {
            Some(_) => transfer::look_at_database(&self.db, self.now())
                .await
                .unwrap(),
            None => look_at_file(&self.file, self.now()).await.unwrap(),
        }
    }

    /// Of its PostgreSQL database.
    pub fn url(&self) -> &str {
        self.database.as_ref().unwrap().url()
    }

    // ---- time and ids ----

    pub fn now(&self) -> Instant {
        Instant(self.clock.load(Ordering::SeqCst))
    }
    pub fn pass(&self, secs: i64) {
        self.clock.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }
    pub fn next_id(&self) -> i64 {
        self.ids.fetch_add(1, Ordering::SeqCst)
    }
    /// Time and ids for notices: those of this world.
    pub fn notices_clock(&self) -> notices::Clock {
        static IDS: AtomicI64 = AtomicI64::new(10_000_000);
        let clock = Arc::clone(&self.clock);
        notices::Clock {
            now: Arc::new(move || Instant(clock.load(Ordering::SeqCst))),
            id: Arc::new(|| IDS.fetch_add(1, Ordering::SeqCst)),
        }
    }
    pub fn actor(&self) -> Actor {
        Actor {
            key: None,
            tenant: self.platform.id,
            at: self.now(),
            request_id: "test".into(),
            reason: None,
            once: None,
        }
    }

    // ---- the cold side ----

    pub async fn meter(&self, name: &str, terms: Value) {
        let terms: MeterTerms = serde_json::from_value(terms).unwrap();
        let meter = Meter {
            id: MeterId(self.next_id()),
            name: name.into(),
            terms,
            created_at: self.now(),
        };
        self.catalog
            .create_meter(&self.actor(), &meter)
            .await
            .unwrap();
        self.engine.invalidate();
    }

    /// A card with one version, in force since ever.
    pub async fn card(&self, owner: &str, name: &str, doc: Value) {
        self.card_by("platform", owner, name, doc).await;
    }

    /// The same, published by a tenant's own key.
    pub async fn card_by(&self, by: &str, owner: &str, name: &str, doc: Value) {
        let owner = self.tenant(owner);
        let id = RateCardId(self.next_id());
        let currency = doc["currency"].as_str().unwrap_or("EUR").parse().unwrap();
        let card = RateCard {
            id,
            owner: owner.id,
            root: owner.root,
            name: name.into(),
            currency,
            created_at: self.now(),
        };
        self.catalog
            .create_card(&self.actor(), &card)
            .await
            .unwrap();
        self.cards.lock().unwrap().insert(name.to_owned(), id);
        self.publish_by(by, name, "2020-01-01T00:00:00Z", doc).await;
    }

    /// Another version of a card, in force from an instant on.
    pub async fn publish(&self, card: &str, from: &str, doc: Value) {
        let doc = card_doc(doc);
        let (card, id) = (
            self.cards.lock().unwrap()[card],
            CardVersionId(self.next_id()),
        );
        self.catalog
            .create_draft(&self.actor(), card, id, &doc)
            .await
            .unwrap();
        self.catalog
            .publish(&self.actor(), id, instant(from))
            .await
            .unwrap();
        self.engine.invalidate();
    }

    /// The same by a tenant's own key.
    pub async fn publish_by(
        &self,
        tenant: &str,
        card: &str,
        from: &str,
        doc: Value,
    ) -> CardVersionId {
        let (card, id) = (
            self.cards.lock().unwrap()[card],
            CardVersionId(self.next_id()),
        );
        let actor = Actor {
            tenant: self.tenant(tenant).id,
            ..self.actor()
        };
        self.catalog
            .create_draft(&actor, card, id, &card_doc(doc))
            .await
            .unwrap();
        self.catalog
            .publish(&actor, id, instant(from))
            .await
            .unwrap();
        self.engine.invalidate();
        id
    }

    pub async fn reseller(&self, name: &str, seller: &str, terms: Value) {
        self.buyer(TenantKind::Reseller, name, seller).await;
        self.agree(name, terms).await;
    }
    pub async fn customer(&self, name: &str, seller: &str, terms: Value) {
        self.buyer(TenantKind::Customer, name, seller).await;
        self.agree(name, terms).await;
    }

    /// The same, with the agreement's id.
    pub async fn customer_of(&self, seller: &str, name: &str, terms: Value) -> AgreementId {
        self.buyer(TenantKind::Customer, name, seller).await;
        self.agree(name, terms).await
    }

    pub async fn buyer(&self, kind: TenantKind, name: &str, seller: &str) -> Tenant {
        let new = tenant(
            TenantId(self.next_id()),
            name,
            kind,
            Some(&self.tenant(seller)),
        );
        self.catalog
            .create_tenant(&self.actor(), &keyed(&new))
            .await
            .unwrap();
        self.tenants
            .lock()
            .unwrap()
            .insert(name.to_owned(), new.clone());
        self.engine.invalidate();
        new
    }

    /// As the API closes it.
    pub async fn close(&self, name: &str) {
        let closed = self
            .catalog
            .close_tenant(&self.actor(), self.tenant(name).id)
            .await
            .unwrap();
        self.engine.invalidate();
        self.engine.settle_carries(&[closed]).await.unwrap();
    }

    pub async fn set_country(&self, name: &str, country: &str) {
        let patch = TenantPatch {
            country: Some(Some(country.to_owned())),
            ..TenantPatch::default()
        };
        self.catalog
            .update_tenant(&self.actor(), self.tenant(name).id, patch)
            .await
            .unwrap();
        self.engine.invalidate();
    }

    /// `card` or `commission_bp`; `currency` (EUR), `collect` (platform), `credit_limit` (none),
    /// `on_exhausted` (post), `refused_by` (the seller), `floor` (a card), `free_retail` (false),
    /// `by` (the platform), `from`, `until`.
    pub async fn agree(&self, buyer: &str, terms: Value) -> AgreementId {
        let tenant = self.tenant(buyer);
        let pricing = match terms["card"].as_str() {
            Some(card) => Pricing::Wholesale {
                rate_card: self.cards.lock().unwrap()[card],
            },
            None => Pricing::Commission {
                commission_bp: u16::try_from(terms["commission_bp"].as_u64().unwrap()).unwrap(),
            },
        };
        let agreement = Agreement {
            id: AgreementId(self.next_id()),
            buyer: tenant.id,
            seller: tenant.parent.unwrap(),
            currency: terms["currency"].as_str().unwrap_or("EUR").parse().unwrap(),
            pricing,
            collect: if terms["collect"] == "reseller" {
                Collect::Reseller
            } else {
                Collect::Platform
            },
            credit_limit: terms["credit_limit"].as_i64().map(Cents),
            on_exhausted: if terms["on_exhausted"] == "refuse" {
                OnExhausted::Refuse
            } else {
                OnExhausted::Post
            },
            credit_cap: Cents(terms["credit_cap"].as_i64().unwrap_or(0)),
            refused_by: terms["refused_by"]
                .as_str()
                .map(|name| self.tenant(name).id),
            floor: terms["floor"]
                .as_str()
                .map(|card| self.cards.lock().unwrap()[card]),
            free_retail: terms["free_retail"] == true,
            author: None,
            from: instant(terms["from"].as_str().unwrap_or("2020-01-01T00:00:00Z")),
            until: terms["until"].as_str().map(instant),
        };
        let author = terms["by"]
            .as_str()
            .map_or(self.platform.id, |name| self.tenant(name).id);
        self.catalog
            .create_agreement(
                &Actor {
                    tenant: author,
                    ..self.actor()
                },
                &agreement,
            )
            .await
            .unwrap();
        self.engine.invalidate();
        agreement.id
    }

    // ---- who ----

    pub fn tenant(&self, name: &str) -> Tenant {
        self.tenants
            .lock()
            .unwrap()
            .get(name)
            .unwrap_or_else(|| panic!("there is no tenant {name:?}"))
            .clone()
    }
    pub fn knows(&self, name: &str) -> bool {
        self.tenants.lock().unwrap().contains_key(name)
    }
    pub fn name(&self, id: TenantId) -> String {
        let tenants = self.tenants.lock().unwrap();
        tenants
            .iter()
            .find(|(_, tenant)| tenant.id == id)
            .map_or_else(|| id.to_string(), |(name, _)| name.clone())
    }
    /// A key that may do everything in this tenant's subtree.
    pub fn caller(&self, name: &str) -> Caller {
        let tenant = self.tenant(name);
        let scope = if tenant.parent.is_none() {
            Scope::PlatformAdmin
        } else {
            Scope::TenantAdmin
        };
        Caller {
            tenant: tenant.id,
            root: tenant.root,
            scope,
            key: None,
        }
    }

    // ---- money ----

    pub async fn top_up(&self, name: &str, cents: i64) {
        self.move_money(
            MoneyKind::TopUp,
            name,
            cents,
            Currency::EUR,
            &format!("top-up-{}", self.next_id()),
        )
        .await
        .unwrap();
    }

    /// What a tenant pays with by its agreement in force; its balance without one.
    pub async fn paying(&self, name: &str, currency: Currency) -> ledger::AccountKey {
        let tenant = self.tenant(name).id;
        let terms = self.catalog.agreements_of(&[tenant]).await.unwrap();
        let in_force = terms
            .iter()
            .find(|terms| terms.currency == currency && terms.in_force(self.engine.now()));
        let balance = ledger::AccountKey::balance(tenant, currency);
        in_force.map_or(balance, |terms| {
            prepare::plan::paying_account(terms, self.platform.id)
        })
    }

    pub async fn move_money(
        &self,
        kind: MoneyKind,
        name: &str,
        cents: i64,
        currency: Currency,
        key: &str,
    ) -> Result<metering::requests::MoneyAnswer, problem::Problem> {
        let tenant = self.tenant(name);
        let account = self.paying(name, currency).await;
        let reason = "by hand".to_owned();
        self.engine
            .move_money(MoveMoney {
                kind,
                key: key.to_owned(),
                account,
                root: tenant.root,
                cents: Cents(cents),
                reason,
            })
            .await
    }

    // ---- checks ----

    /// The books worked out again from every record; every rule that must always hold is checked.
    pub async fn audit(&self) -> Audited {
        audit::audit(self.journal.as_ref(), self.platform.id).await
    }

    /// Every account that is not at zero, by name, after an audit: `acme-42 4600, muster 100,
    /// revenue of muster 300`.
    #[track_caller]
    pub fn accounts(&self, want: &str) -> impl Future<Output = ()> {
        let from = std::panic::Location::caller();
        async move {
            let audited = self.audit().await;
            let mut lines: Vec<String> = Vec::new();
            for (key, balance) in &audited.accounts {
                let name = self.name(key.tenant);
                let name = match key.kind {
                    ledger::AccountKind::Balance => name,
                    kind => format!("{kind} of {name}"),
                };
                let currency = if key.currency == Currency::EUR {
                    String::new()
                } else {
                    format!(" {}", key.currency)
                };
                let held = if balance.held == Cents::ZERO {
                    String::new()
                } else {
                    format!(" held {}", balance.held)
                };
                if balance.posted != Cents::ZERO || balance.held != Cents::ZERO {
                    lines.push(format!("{name} {}{currency}{held}", balance.posted));
                }
            }
            let mut wanted: Vec<&str> = want.split(", ").filter(|line| !line.is_empty()).collect();
            wanted.sort_unstable();
            lines.sort_unstable();
            assert_eq!(lines.join(", "), wanted.join(", "), "at {from}");
        }
    }
}

pub fn card_doc(mut doc: Value) -> CardDoc {
    if doc["currency"].is_null() {
        doc["currency"] = json!("EUR");
    }
    rating::validate::parse_card(doc.to_string().as_bytes())
        .unwrap_or_else(|mistakes| panic!("{mistakes:?} in {doc}"))
}

/// A card with one rate for one meter.
pub fn one_rate(meter: &str, price: Value) -> Value {
    json!({ "rates": [{ "key": meter, "meter": meter, "price": price }] })
}

pub fn per_unit(meter: &str, unit_price: &str) -> Value {
    one_rate(
        meter,
        json!({ "model": "per_unit", "unit_price": unit_price }),
    )
}

fn tenant(id: TenantId, name: &str, kind: TenantKind, seller: Option<&Tenant>) -> Tenant {
    let mut path = seller.map(|seller| seller.path.clone()).unwrap_or_default();
    path.push(id);
    Tenant {
        id,
        external_id: name.into(),
        kind,
        name: name.into(),
        parent: seller.map(|seller| seller.id),
        root: path.get(1).copied().unwrap_or(id),
        path,
        country: Some("DE".into()),
        late_window_days: 35,
        created_at: Instant(1),
        closed_at: None,
    }
}

fn keyed(tenant: &Tenant) -> NewTenant {
    let mut personal_key = [0; 32];
    personal_key[..8].copy_from_slice(&tenant.id.0.to_be_bytes());
    NewTenant {
        tenant: tenant.clone(),
        personal_key,
    }
}
