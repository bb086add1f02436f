//! The journal on SQLite: one writer, one transaction per batch, rows in order of arrival.
//!
//! In memory: the next seq and batch, every root's chain head, hot states, the recent part of the
//! indexes and the filters of the rest. All of it is rebuilt at opening, and none of it is ever
//! ahead of the database: it changes after the commit, or is forgotten when a commit's outcome is
//! unknown.

mod audit;
mod cache;
mod commit;
pub mod export;
mod index;
mod load;
mod lookup;
mod maintain;
mod open;
mod pending;
pub mod rows;
mod runs;
mod sql;
pub mod states;

pub use audit::verify;

use async_trait::async_trait;
use cache::HotStates;
use db::{Db, Result, SqlError, Sqlite};
use index::{Index, Secret};
use journal::{
    Batch, Check, EntryQuery, Journal, JournalEntry, JournalError, Keyed, Name, Namespace, Packing,
    Placed, Reporter, State, StateKeys,
};
use ledger::Hold;
use rating::fast::FastMap;
use rating::{Instant, TenantId};
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How much stays in memory before it is written. The defaults are for production; tests make them
/// tiny.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// Records whose entries stay in memory before they become a sorted run.
    pub recent_records_max: usize,
    /// Runs of one level that are merged into one of the next.
    pub fan_out: usize,
    /// Records whose changes of accounts, carries, counters and holds stay in memory.
    pub pending_records_max: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            recent_records_max: 131_072,
            fan_out: 8,
            pending_records_max: 196_608,
        }
    }
}

/// Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct SqliteJournal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    db: Sqlite,
    options: JournalOptions,
    secret: Secret,
    /// Held for the whole of a commit.
    position: tokio::sync::Mutex<Position>,
    /// A commit failed in an unknown way: read the position again before anything else.
    doubtful: AtomicBool,
    hot: Mutex<HotStates>,
    index: RwLock<Index>,
    next_run: AtomicI64,
    /// Held while recent entries are written as a run.
    flushing: tokio::sync::Mutex<()>,
    /// Held while runs are merged.
    merging: tokio::sync::Mutex<()>,
}

/// Where the next batch goes.
#[derive(Debug, Default)]
struct Position {
    last_seq: i64,
    last_batch: i64,
    chain_heads: FastMap<TenantId, [u8; 32]>,
}

impl SqliteJournal {
    pub async fn open(db: &Db) -> Result<Self, JournalError> {
        Self::open_with(db, JournalOptions::default()).await
    }

    pub async fn open_with(db: &Db, options: JournalOptions) -> Result<Self, JournalError> {
        let Db::Sqlite(db) = db else {
            return Err(JournalError::Unavailable(
                "this is not a SQLite database".into(),
            ));
        };
        let shared = Arc::new(open::open(db, options).await?);
        maintain::start_if_due(&shared)?;
        Ok(Self { shared })
    }

    /// Writes and merges what is due, and returns when that is done. Commits go on meanwhile.
    pub async fn settle(&self) -> Result<(), JournalError> {
        Ok(maintain::settle(&self.shared).await?)
    }
}

impl Shared {
    fn hot(&self) -> Result<MutexGuard<'_, HotStates>> {
        self.hot.lock().map_err(|_| poisoned())
    }
    fn index(&self) -> Result<RwLockReadGuard<'_, Index>> {
        self.index.read().map_err(|_| poisoned())
    }
    fn index_mut(&self) -> Result<RwLockWriteGuard<'_, Index>> {
        self.index.write().map_err(|_| poisoned())
    }
}

fn poisoned() -> SqlError {
    SqlError::corrupt("a change in memory was cut short by a panic; restart")
}

#[async_trait]
impl Journal for SqliteJournal {
    fn identity_key(&self, name: Name<'_>) -> u64 {
        self.shared.secret.identity(name)
    }

    async fn find(
        &self,
        identities: &[Keyed<'_>],
    ) -> Result<Vec<Option<Arc<JournalEntry>>>, JournalError> {
        open::clear_doubt(&self.shared).await?;
        Ok(lookup::find(&self.shared, identities).await?)
    }

    async fn reporters(
        &self,
        roots: &[TenantId],
        namespace: Namespace,
    ) -> Result<Vec<(TenantId, Reporter)>, JournalError> {
        open::clear_doubt(&self.shared).await?;
        Ok(self.shared.index()?.reporters.of(roots, namespace))
    }

    async fn load(&self, keys: &StateKeys) -> Result<State, JournalError> {
        open::clear_doubt(&self.shared).await?;
        Ok(load::load(&self.shared, keys).await?)
    }

    fn pack(&self, batch: &mut Batch) {
        // What cannot be packed is refused by the commit.
        batch.packed = Packing(
            commit::Packing::of(&self.shared, batch)
                .ok()
                .map(|packing| Arc::new(packing) as _),
        );
    }

    /// Goes on to its end even if the caller stops waiting.
    async fn commit(&self, batch: Batch) -> Result<Placed, JournalError> {
        let shared = Arc::clone(&self.shared);
        let committed = tokio::spawn(async move {
            open::clear_doubt(&shared).await?;
            commit::commit(&shared, batch).await
        });
        Ok(committed
            .await
            .map_err(|e| SqlError::unavailable(e.to_string()))??)
    }

    async fn read(&self, query: &EntryQuery) -> Result<Vec<JournalEntry>, JournalError> {
        open::clear_doubt(&self.shared).await?;
        Ok(lookup::read(&self.shared, query).await?)
    }

    async fn expired_holds(&self, now: Instant, limit: usize) -> Result<Vec<Hold>, JournalError> {
        open::clear_doubt(&self.shared).await?;
        Ok(load::expired_holds(&self.shared, now, limit)?)
    }

    async fn last_committed_at(&self) -> Result<Instant, JournalError> {
        let last: Option<i64> = sqlx::query_scalar(sql::LAST_COMMITTED)
            .fetch_optional(&self.shared.db.readers)
            .await
            .map_err(SqlError::from)?;
        Ok(last.map_or(Instant::MIN, Instant))
    }

    async fn verify(&self) -> Result<Vec<Check>, JournalError> {
        let readers = &self.shared.db.readers;
        let mut conn = readers.acquire().await.map_err(SqlError::from)?;
        Ok(audit::verify(&mut conn).await?)
    }
}
