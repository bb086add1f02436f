//! The journal in memory with faults: at one stage of a batch, of one root, once or again and
//! again. With lanes it is locked by root, as a database is.

use async_trait::async_trait;
use journal::memory::MemoryJournal;
use journal::{
    Batch, Check, EntryQuery, Journal, JournalEntry, JournalError, Keyed, Lanes, Locking, Name,
    Namespace, Placed, Reporter, Result, State, StateKeys,
};
use ledger::Hold;
use rating::{Instant, TenantId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedMutexGuard, Semaphore};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Lock,
    Holds,
    Find,
    Load,
    Commit,
}

impl Stage {
    pub const ALL: [Self; 5] = [
        Self::Lock,
        Self::Holds,
        Self::Find,
        Self::Load,
        Self::Commit,
    ];

    /// As the engine names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Holds => "expired_holds",
            Self::Find => "find",
            Self::Load => "load",
            Self::Commit => "commit",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Unavailable,
    Conflict,
    Corrupt,
    Panic,
    /// No answer until [`Faulty::release`], and then as if nothing had been.
    Hang,
    /// It is committed, and nobody hears of it.
    Unheard,
}

#[derive(Debug)]
struct Armed {
    stage: Stage,
    fault: Fault,
    root: TenantId,
    times: usize,
}

#[derive(Debug, Clone)]
pub struct Faulty {
    books: MemoryJournal,
    lanes: Option<Lanes>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    armed: Mutex<Vec<Armed>>,
    /// One for each that hangs.
    hanging: Semaphore,
    released: Semaphore,
    locks: Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Faulty {
    pub fn new(lanes: Option<Lanes>) -> Self {
        let shared = Shared {
            armed: Mutex::default(),
            hanging: Semaphore::new(0),
            released: Semaphore::new(0),
            locks: Mutex::default(),
        };
        Self {
            books: MemoryJournal::new(),
            lanes,
            shared: Arc::new(shared),
        }
    }

    /// The next `times` that a batch of this root comes to this stage.
    pub fn arm(&self, root: TenantId, stage: Stage, fault: Fault, times: usize) {
        self.shared.armed.lock().unwrap().push(Armed {
            stage,
            fault,
            root,
            times,
        });
    }

    /// What did not happen will not happen any more.
    pub fn disarm(&self) {
        self.shared.armed.lock().unwrap().clear();
    }

    /// Until one hangs.
    pub async fn hangs(&self) {
        self.shared.hanging.acquire().await.unwrap().forget();
    }

    /// One that hangs, or will, goes on.
    pub fn release(&self) {
        self.shared.released.add_permits(1);
    }

    /// True: it is to be unheard of.
    async fn meet(&self, stage: Stage, roots: Option<&[TenantId]>) -> Result<bool> {
        let fault = {
            let mut armed = self.shared.armed.lock().unwrap();
            let here = |one: &&mut Armed| {
                one.times > 0
                    && one.stage == stage
                    && roots.is_none_or(|roots| roots.contains(&one.root))
            };
            armed.iter_mut().find(here).map(|one| {
                one.times -= 1;
                one.fault
            })
        };
        match fault {
            None => Ok(false),
            Some(Fault::Unheard) => Ok(true),
            Some(Fault::Unavailable) => Err(JournalError::Unavailable("told to".to_owned())),
            Some(Fault::Conflict) => Err(JournalError::Conflict("told to".to_owned())),
            Some(Fault::Corrupt) => Err(JournalError::Corrupt("told to".to_owned())),
            Some(Fault::Panic) => panic!("told to"),
            Some(Fault::Hang) => {
                self.shared.hanging.add_permits(1);
                self.shared.released.acquire().await.unwrap().forget();
                Ok(false)
            }
        }
    }

    async fn commit_as(&self, batch: Batch, roots: Option<&[TenantId]>) -> Result<Placed> {
        let unheard = self.meet(Stage::Commit, roots).await?;
        let placed = self.books.commit(batch).await?;
        if unheard {
            Err(JournalError::Unavailable("nobody heard".to_owned()))
        } else {
            Ok(placed)
        }
    }
}

#[async_trait]
impl Journal for Faulty {
    fn identity_key(&self, name: Name<'_>) -> u64 {
        self.books.identity_key(name)
    }
    async fn find(&self, identities: &[Keyed<'_>]) -> Result<Vec<Option<Arc<JournalEntry>>>> {
        self.meet(Stage::Find, None).await?;
        self.books.find(identities).await
    }
    async fn reporters(
        &self,
        roots: &[TenantId],
        namespace: Namespace,
    ) -> Result<Vec<(TenantId, Reporter)>> {
        self.books.reporters(roots, namespace).await
    }
    async fn load(&self, keys: &StateKeys) -> Result<State> {
        self.meet(Stage::Load, None).await?;
        self.books.load(keys).await
    }
    async fn commit(&self, batch: Batch) -> Result<Placed> {
        self.commit_as(batch, None).await
    }
    async fn read(&self, query: &EntryQuery) -> Result<Vec<JournalEntry>> {
        self.books.read(query).await
    }
    async fn expired_holds(&self, now: Instant, limit: usize) -> Result<Vec<Hold>> {
        self.meet(Stage::Holds, None).await?;
        self.books.expired_holds(now, limit).await
    }
    async fn verify(&self) -> Result<Vec<Check>> {
        self.books.verify().await
    }
    fn locking(&self) -> Option<&dyn Locking> {
        self.lanes.is_some().then_some(self as &dyn Locking)
    }
}

#[async_trait]
impl Locking for Faulty {
    fn lanes(&self) -> Lanes {
        self.lanes.unwrap()
    }

    async fn enter(&self, roots: &[TenantId]) -> Result<Arc<dyn Journal>> {
        self.meet(Stage::Lock, Some(roots)).await?;
        let mut locks = Vec::new();
        for root in roots {
            let lock = Arc::clone(self.shared.locks.lock().unwrap().entry(*root).or_default());
            locks.push(lock.lock_owned().await);
        }
        Ok(Arc::new(Locked {
            journal: self.clone(),
            roots: roots.to_vec(),
            locks: Mutex::new(locks),
        }))
    }
}

/// Under the locks of its roots until it is committed or dropped.
#[derive(Debug)]
struct Locked {
    journal: Faulty,
    roots: Vec<TenantId>,
    locks: Mutex<Vec<OwnedMutexGuard<()>>>,
}

#[async_trait]
impl Journal for Locked {
    fn identity_key(&self, name: Name<'_>) -> u64 {
        self.journal.identity_key(name)
    }
    async fn find(&self, identities: &[Keyed<'_>]) -> Result<Vec<Option<Arc<JournalEntry>>>> {
        self.journal.meet(Stage::Find, Some(&self.roots)).await?;
        self.journal.books.find(identities).await
    }
    async fn reporters(
        &self,
        roots: &[TenantId],
        namespace: Namespace,
    ) -> Result<Vec<(TenantId, Reporter)>> {
        self.journal.reporters(roots, namespace).await
    }
    async fn load(&self, keys: &StateKeys) -> Result<State> {
        self.journal.meet(Stage::Load, Some(&self.roots)).await?;
        self.journal.books.load(keys).await
    }
    async fn commit(&self, batch: Batch) -> Result<Placed> {
        let committed = self.journal.commit_as(batch, Some(&self.roots)).await;
        self.locks.lock().unwrap().clear();
        committed
    }
    async fn read(&self, query: &EntryQuery) -> Result<Vec<JournalEntry>> {
        self.journal.read(query).await
    }
    async fn expired_holds(&self, now: Instant, limit: usize) -> Result<Vec<Hold>> {
        self.journal.meet(Stage::Holds, Some(&self.roots)).await?;
        let over = self.journal.books.expired_holds(now, limit).await?;
        Ok(over
            .into_iter()
            .filter(|hold| self.roots.contains(&hold.root))
            .collect())
    }
    async fn verify(&self) -> Result<Vec<Check>> {
        self.journal.verify().await
    }
}
