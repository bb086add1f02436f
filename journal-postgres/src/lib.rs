//! The journal on PostgreSQL: any number of processes, each root's books under the lock of its
//! head.
//!
//! A batch is one transaction: it locks the heads of its roots in the order of their ids, looks up,
//! loads, lets its commands take their turns, writes records and what they changed, and moves the
//! heads. Between lock and commit nothing of these roots changes. What a process knows of a root is
//! right as long as the head is where it left it; if not, the batches in between tell what they
//! changed (`known`).
//!
//! A seq is the number of the root above the position in the root: dense per root, in order of
//! arrival there.

mod audit;
mod books;
mod chain_heads;
mod columns;
mod copy;
mod find;
mod head;
pub mod import;
mod keys;
mod load;
mod months;
mod opening_balances;
mod read;
mod ready;
pub mod retention;
mod root_cache;
mod rows;
mod session;
mod sql;
mod write;

pub use copy::Rows;
pub use months::Month;
pub use root_cache::Delta;

pub use audit::verify;
pub use books::{Books, current_books};
pub use sql::{COUNT_FREE_RETAIL, COUNT_UNRATED, EXTERNAL_ID, LAST_ARRIVAL, LIMITS, STATEMENTS};

use async_trait::async_trait;
use db::{Db, Result, SqlError};
use journal::{
    Batch, Beginning, Check, EntryQuery, Journal, JournalEntry, JournalError, Keyed, Lanes,
    Locking, Name, Namespace, Placed, Reporter, State, StateKeys,
};
use keys::{SECRET_BYTES, Secret};
use ledger::Hold;
use rating::fast::FastMap;
use rating::{Instant, TenantId};
use root_cache::{RootCache, RootSnapshot, poisoned};
use sqlx::PgPool;
use sqlx::pool::PoolConnection;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Name of the secret of identities in `meta`.
const SECRET: &str = "identity_secret";
/// Tenants whose roots are remembered.
const HOMES_MAX: usize = 1_000_000;

/// How batches are made. The defaults are for production; tests make them tiny.
#[derive(Debug, Clone, Copy)]
pub struct PostgresJournalOptions {
    /// Batches at once, each of other roots.
    pub lanes: usize,
    /// A batch, and so a transaction, is of one root: for a database that is distributed by root.
    pub split_by_root: bool,
    /// Packed states of a root that are read instead of its rows before these are written.
    pub fold_bytes: usize,
}

impl Default for PostgresJournalOptions {
    fn default() -> Self {
        Self {
            lanes: 2,
            split_by_root: false,
            fold_bytes: 512 * 1024,
        }
    }
}

/// Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct PostgresJournal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    options: PostgresJournalOptions,
    /// See [`Lanes`].
    may_be_undone: bool,
    secret: Secret,
    root_cache: Mutex<RootCache>,
    /// Roots by number.
    numbers: Mutex<HashMap<i64, TenantId>>,
    /// Roots of tenants.
    tenant_roots: Mutex<HashMap<TenantId, TenantId>>,
    /// Months whose tables are there.
    months: Mutex<HashSet<Month>>,
    /// The most roots that one transaction held.
    roots_held_max: AtomicUsize,
}

impl PostgresJournal {
    pub async fn open(db: &Db) -> Result<Self, JournalError> {
        Self::open_with(db, PostgresJournalOptions::default()).await
    }

    pub async fn open_with(db: &Db, options: PostgresJournalOptions) -> Result<Self, JournalError> {
        let Db::Postgres(db) = db else {
            return Err(JournalError::Unavailable(
                "this is not a PostgreSQL database".into(),
            ));
        };
        let secret = secret(&db.pool).await?;
        let (isolation,): (String,) = sqlx::query_as(sql::ISOLATION)
            .fetch_one(&db.pool)
            .await
            .map_err(SqlError::from)?;
        let shared = Shared {
            pool: db.pool.clone(),
            options,
            may_be_undone: isolation != "read committed",
            secret,
            root_cache: Mutex::default(),
            numbers: Mutex::default(),
            tenant_roots: Mutex::default(),
            months: Mutex::default(),
            roots_held_max: AtomicUsize::new(0),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The most roots that one transaction has held since opening.
    pub fn roots_held_max(&self) -> usize {
        self.shared.roots_held_max.load(Ordering::Relaxed)
    }
}

/// Made once per database, by whichever process is first. Random bytes from the system: it decides
/// where identities lie, never what is charged.
#[expect(
    clippy::disallowed_methods,
    reason = "a secret made once when the database is created; nothing replays it"
)]
async fn secret(pool: &PgPool) -> Result<Secret> {
    loop {
        let stored: Option<Vec<u8>> = sqlx::query_scalar(sql::GET_META)
            .bind(SECRET)
            .fetch_optional(pool)
            .await?;
        if let Some(stored) = stored {
            let bytes: [u8; SECRET_BYTES] = stored.try_into().map_err(|_| {
                JournalError::Corrupt(format!(
                    "the secret of identities is not {SECRET_BYTES} bytes long"
                ))
            })?;
            return Ok(Secret::new(&bytes));
        }
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|e| JournalError::Unavailable(e.to_string()))?;
        sqlx::query(sql::PUT_META)
            .bind(SECRET)
            .bind(bytes.to_vec())
            .execute(pool)
            .await?;
    }
}

impl Shared {
    async fn connection(&self) -> Result<PoolConnection<sqlx::Postgres>> {
        Ok(self.pool.acquire().await?)
    }

    fn shelve(&self, known: FastMap<TenantId, RootSnapshot>) -> Result<()> {
        let mut root_cache = self.root_cache.lock().map_err(poisoned)?;
        known.into_values().for_each(|known| root_cache.put(known));
        Ok(())
    }

    /// Commits that this process knew of are gone, and with them perhaps more that it took for
    /// settled.
    fn lost(&self, roots: usize) -> Result<()> {
        if roots > 0 {
            tracing::warn!(
                roots,
                "database has lost commits and is at an earlier state; continuing from there"
            );
            self.months.lock().map_err(poisoned)?.clear();
            self.numbers.lock().map_err(poisoned)?.clear();
        }
        Ok(())
    }

    fn learn_tenant_roots(&self, new: &HashMap<TenantId, TenantId>) -> Result<()> {
        let mut tenant_roots = self.tenant_roots.lock().map_err(poisoned)?;
        if tenant_roots.len() + new.len() > HOMES_MAX {
            tenant_roots.clear();
        }
        tenant_roots.extend(new);
        Ok(())
    }

    fn held(&self, roots: usize) {
        self.roots_held_max.fetch_max(roots, Ordering::Relaxed);
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    fn identity_key(&self, name: Name<'_>) -> u64 {
        self.shared.secret.identity(name)
    }

    async fn find(
        &self,
        identities: &[Keyed<'_>],
    ) -> Result<Vec<Option<Arc<JournalEntry>>>, JournalError> {
        let mut found = vec![None; identities.len()];
        let wanted = find::Wanted::all(&self.shared, identities);
        find::find(
            &mut *self.shared.connection().await?,
            &wanted,
            identities,
            &mut found,
        )
        .await?;
        Ok(found)
    }

    async fn reporters(
        &self,
        roots: &[TenantId],
        namespace: Namespace,
    ) -> Result<Vec<(TenantId, Reporter)>, JournalError> {
        let all = chain_heads::reporters(&mut *self.shared.connection().await?, roots).await?;
        let of_namespace = all.into_iter().filter(|(_, of, _)| *of == namespace);
        Ok(of_namespace
            .map(|(root, _, reporter)| (root, reporter))
            .collect())
    }

    async fn load(&self, keys: &StateKeys) -> Result<State, JournalError> {
        Ok(load::load(&self.shared, keys).await?)
    }

    /// A batch that nobody locked for: it counts on nobody else writing to its roots.
    async fn commit(&self, batch: Batch) -> Result<Placed, JournalError> {
        let roots: BTreeSet<TenantId> = batch
            .records
            .iter()
            .map(|record| record.identity.root)
            .collect();
        session::enter(self, &roots.into_iter().collect::<Vec<_>>())
            .await?
            .commit(batch)
            .await
    }

    async fn read(&self, query: &EntryQuery) -> Result<Vec<JournalEntry>, JournalError> {
        Ok(read::read(&self.shared, query).await?)
    }

    async fn expired_holds(&self, now: Instant, limit: usize) -> Result<Vec<Hold>, JournalError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(sql::EXPIRED_HOLDS)
            .bind(now.micros())
            .bind(limit)
            .fetch_all(&self.shared.pool)
            .await
            .map_err(SqlError::from)?;
        Ok(rows.iter().map(rows::hold).collect::<Result<_>>()?)
    }

    async fn last_committed_at(&self) -> Result<Instant, JournalError> {
        let last: Option<i64> = sqlx::query_scalar(sql::LAST_COMMITTED)
            .fetch_one(&self.shared.pool)
            .await
            .map_err(SqlError::from)?;
        Ok(last.map_or(Instant::MIN, Instant))
    }

    async fn verify(&self) -> Result<Vec<Check>, JournalError> {
        Ok(audit::verify(&self.shared.pool).await?)
    }

    async fn beginning(&self, root: TenantId) -> Result<Option<Beginning>, JournalError> {
        Ok(opening_balances::beginning(&mut *self.shared.connection().await?, root).await?)
    }

    fn locking(&self) -> Option<&dyn Locking> {
        Some(self)
    }
}

#[async_trait]
impl Locking for PostgresJournal {
    fn lanes(&self) -> Lanes {
        let PostgresJournalOptions {
            lanes,
            split_by_root,
            ..
        } = self.shared.options;
        Lanes {
            count: lanes,
            one_root: split_by_root,
            may_be_undone: self.shared.may_be_undone,
        }
    }

    async fn enter(&self, roots: &[TenantId]) -> Result<Arc<dyn Journal>, JournalError> {
        Ok(Arc::new(session::enter(self, roots).await?))
    }
}
