//! One batch under the lock of its roots: from look-up to commit nothing of them changes but by it.
//!
//! Before the turn anything that fails is simply begun again by the caller. After it the batch is
//! what it is: it is written again, in a transaction of its own, as long as its roots' heads are as
//! they were. Once others have moved them, it must be worked out anew, by the caller.

use super::find::{self, Wanted};
use super::head::Head;
use super::load::{self, TenantRoots};
use super::ready::Ready;
use super::root_cache::RootSnapshot;
use super::{PostgresJournal, Shared, chain_heads, months, write};
use async_trait::async_trait;
use db::retry::Tries;
use db::{Result, SqlError};
use journal::{
    Batch, Beginning, Check, EntryQuery, Journal, JournalEntry, JournalError, Keyed, Name,
    Namespace, Placed, Reporter, Seq, State, StateKeys,
};
use ledger::Hold;
use rating::fast::FastMap;
use rating::{Instant, TenantId};
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Locked roots. Dropped without a commit it leaves nothing behind.
#[derive(Debug)]
pub struct Session {
    journal: PostgresJournal,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    tx: Transaction<'static, Postgres>,
    known: FastMap<TenantId, RootSnapshot>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(open) = self.open.get_mut().take() {
            // What was known is still right: nothing was written.
            let _forgotten = self.journal.shared.shelve(open.known);
        }
    }
}

/// Locks these roots, waiting for whoever has them.
pub async fn enter(journal: &PostgresJournal, roots: &[TenantId]) -> Result<Session> {
    let shared = &journal.shared;
    let mut tries = Tries::default();
    let (mut tx, chain_heads) = loop {
        match lock(shared, roots).await {
            Ok((_, chain_heads)) if chain_heads.len() < roots.len() => {
                let made: BTreeSet<TenantId> = chain_heads.iter().map(|head| head.root).collect();
                chain_heads::make(
                    shared,
                    roots.iter().copied().filter(|root| !made.contains(root)),
                )
                .await?;
            }
            Ok(locked) => break locked,
            Err(error) if tries.again(&error).await => {}
            Err(error) => return Err(error.into()),
        }
    };
    shared.held(roots.len());
    let known = chain_heads::known_as_locked(shared, &mut tx, chain_heads).await?;
    Ok(Session {
        journal: journal.clone(),
        open: Mutex::new(Some(Open { tx, known })),
    })
}

async fn lock(
    shared: &Shared,
    roots: &[TenantId],
) -> Result<(Transaction<'static, Postgres>, Vec<Head>), sqlx::Error> {
    let mut tx = shared.pool.begin().await?;
    let chain_heads = chain_heads::lock(&mut tx, roots).await?;
    Ok((tx, chain_heads))
}

fn over() -> SqlError {
    SqlError::corrupt("a batch went on after its commit")
}

#[async_trait]
impl Journal for Session {
    fn identity_key(&self, name: Name<'_>) -> u64 {
        self.journal.identity_key(name)
    }

    async fn find(
        &self,
        identities: &[Keyed<'_>],
    ) -> Result<Vec<Option<Arc<JournalEntry>>>, JournalError> {
        let mut found: Vec<Option<Arc<JournalEntry>>> = vec![None; identities.len()];
        let mut open = self.open.lock().await;
        let Open { tx, known } = open.as_mut().ok_or_else(over)?;
        find::learn_recent(tx, known).await?;
        let wanted = Wanted::unknown(&self.journal.shared, identities, known);
        // What lies under roots that are not locked is read outside: this transaction is of its own
        // roots.
        let (here, elsewhere) = wanted.split(|root| known.contains_key(&root));
        find::find(tx, &here, identities, &mut found).await?;
        if !elsewhere.is_empty() {
            let mut conn = self.journal.shared.connection().await?;
            let elsewhere = elsewhere.of_roots_with_records(&mut conn).await?;
            find::find(&mut conn, &elsewhere, identities, &mut found).await?;
        }
        Ok(found)
    }

    async fn reporters(
        &self,
        roots: &[TenantId],
        namespace: Namespace,
    ) -> Result<Vec<(TenantId, Reporter)>, JournalError> {
        let open = self.open.lock().await;
        let Open { known, .. } = open.as_ref().ok_or_else(over)?;
        let here = roots
            .iter()
            .filter_map(|root| known.get(root))
            .flat_map(|known| known.reporters.of(&[known.head.root], namespace));
        let mut reporters: Vec<(TenantId, Reporter)> = here.collect();
        let elsewhere: Vec<TenantId> = roots
            .iter()
            .copied()
            .filter(|root| !known.contains_key(root))
            .collect();
        if !elsewhere.is_empty() {
            reporters.extend(self.journal.reporters(&elsewhere, namespace).await?);
        }
        Ok(reporters)
    }

    async fn load(&self, keys: &StateKeys) -> Result<State, JournalError> {
        let shared = &self.journal.shared;
        let tenant_roots = TenantRoots::find(shared, keys).await?;
        let mut open = self.open.lock().await;
        let Open { tx, known } = open.as_mut().ok_or_else(over)?;
        let mut state = load::load_locked(tx, keys, known, &tenant_roots).await?;
        let numbers: Vec<i64> = known.values().map(|known| known.head.number).collect();
        let (here, elsewhere): (Vec<Seq>, Vec<Seq>) =
            keys.amendments.iter().copied().partition(|seq| {
                !shared.options.split_by_root || numbers.contains(&chain_heads::number_of(*seq))
            });
        load::amendments(tx, &here, &mut state).await?;
        if !elsewhere.is_empty() {
            load::amendments(&mut *shared.connection().await?, &elsewhere, &mut state).await?;
        }
        Ok(state)
    }

    /// Goes on to its end even if the caller stops waiting.
    async fn commit(&self, batch: Batch) -> Result<Placed, JournalError> {
        let open = self.open.lock().await.take().ok_or_else(over)?;
        let shared = Arc::clone(&self.journal.shared);
        let committed = tokio::spawn(async move { commit(&shared, open, batch).await });
        Ok(committed
            .await
            .map_err(|e| SqlError::unavailable(e.to_string()))??)
    }

    async fn read(&self, query: &EntryQuery) -> Result<Vec<JournalEntry>, JournalError> {
        self.journal.read(query).await
    }

    async fn expired_holds(&self, now: Instant, limit: usize) -> Result<Vec<Hold>, JournalError> {
        let open = self.open.lock().await;
        let Open { known, .. } = open.as_ref().ok_or_else(over)?;
        let mut over: Vec<Hold> = known
            .values()
            .flat_map(|known| known.open_holds.over(now).take(limit))
            .cloned()
            .collect();
        over.sort_unstable_by_key(|hold| (hold.expires_at, hold.id));
        over.truncate(limit);
        Ok(over)
    }

    async fn last_committed_at(&self) -> Result<Instant, JournalError> {
        let open = self.open.lock().await;
        let Open { known, .. } = open.as_ref().ok_or_else(over)?;
        Ok(known
            .values()
            .map(|known| known.head.committed_at)
            .max()
            .unwrap_or(Instant::MIN))
    }

    async fn verify(&self) -> Result<Vec<Check>, JournalError> {
        self.journal.verify().await
    }

    async fn beginning(&self, root: TenantId) -> Result<Option<Beginning>, JournalError> {
        self.journal.beginning(root).await
    }
}

async fn commit(shared: &Shared, open: Open, batch: Batch) -> Result<Placed> {
    let Open { mut tx, mut known } = open;
    let ready = Ready::of(batch, &known, &shared.secret, shared.options.fold_bytes)?;
    months::ensure(shared, &ready.arrivals).await?;
    let numbers = chain_heads::roots_of(shared, ready.settled.iter().copied()).await?;
    let is_here = |seq: &Seq| {
        numbers
            .get(&chain_heads::number_of(*seq))
            .is_some_and(|root| known.contains_key(root))
    };
    let (here, elsewhere): (Vec<Seq>, Vec<Seq>) = ready.settled.iter().copied().partition(is_here);
    let mut tries = Tries::default();
    loop {
        let written = match write::write(&mut tx, &ready, &here, &numbers).await {
            Ok(()) => tx.commit().await.map_err(SqlError::from),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => break,
            Err(SqlError(JournalError::Conflict(reason))) => {
                match again(shared, &ready, &known, &mut tries, reason).await? {
                    Some(next) => tx = next,
                    None => break,
                }
            }
            Err(error) => return Err(error),
        }
    }
    let Ready {
        parts,
        placed,
        reporters,
        ..
    } = ready;
    for (root, namespace, reporter) in reporters {
        if let Some(known) = known.get_mut(&root) {
            known.reporters.add(root, namespace, reporter);
        }
    }
    for part in parts {
        if let Some(known) = known.get_mut(&part.after.root) {
            known.moved(part.after, part.delta, part.delta_packed.len());
        }
    }
    shared.shelve(known)?;
    if !elsewhere.is_empty() {
        // A list of another root: kept events that stay on it are found rated, and settled, by the
        // next try.
        write::settle(&mut *shared.pool.acquire().await?, &elsewhere, &numbers).await?;
    }
    Ok(Placed::Each(placed))
}

/// After an attempt that failed, or whose end nobody heard of: a new transaction under the same
/// lock; `None`: the batch was committed after all.
async fn again(
    shared: &Shared,
    ready: &Ready,
    known: &FastMap<TenantId, RootSnapshot>,
    tries: &mut Tries,
    reason: String,
) -> Result<Option<Transaction<'static, Postgres>>> {
    let roots: Vec<TenantId> = {
        let mut roots: Vec<TenantId> = known.keys().copied().collect();
        roots.sort_unstable();
        roots
    };
    let (mut tx, chain_heads) = loop {
        if !tries.pause().await {
            return Err(SqlError::unavailable(reason));
        }
        match lock(shared, &roots).await {
            Ok(locked) => break locked,
            Err(error) if tries.again(&error).await => {}
            Err(error) => return Err(error.into()),
        }
    };
    let chain_heads: HashMap<TenantId, Head> = chain_heads
        .into_iter()
        .map(|head| (head.root, head))
        .collect();
    if known.iter().all(|(root, known)| {
        chain_heads
            .get(root)
            .is_some_and(|head| head.is_at(&known.head))
    }) {
        return Ok(Some(tx));
    }
    let Some(part) = ready.parts.first() else {
        return Err(SqlError::unavailable(reason));
    };
    let was_at = known.get(&part.after.root).map(|known| &known.head);
    let is_untouched = chain_heads
        .get(&part.after.root)
        .zip(was_at)
        .is_some_and(|(head, was_at)| head.is_at(was_at));
    match chain_heads::batch_hash(&mut tx, &part.after).await? {
        Some(is) if is == part.after.hash => Ok(None),
        // Dropped since, perhaps, with its month.
        None if !is_untouched => Err(SqlError::unavailable(reason)),
        // Others have these roots by now, and nothing of it was written: it may be worked out anew.
        _ => Err(JournalError::Conflict(reason).into()),
    }
}
