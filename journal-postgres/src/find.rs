//! Records by identity.

use super::chain_heads::ids;
use super::keys::has_time;
use super::root_cache::{Recent, RootSnapshot};
use super::rows::{int, record};
use super::{Shared, sql};
use db::{Result, SqlError};
use journal::{JournalEntry, Keyed, Namespace};
use rating::TenantId;
use rating::fast::FastMap;
use sqlx::types::Uuid;
use sqlx::{PgConnection, Row};
use std::sync::Arc;

/// Keys to look up in the database: root, key, place among those asked for.
#[derive(Debug, Default)]
pub struct Wanted(Vec<(i64, u128, usize)>);

impl Wanted {
    /// Nothing is known of their roots.
    pub fn all(shared: &Shared, identities: &[Keyed<'_>]) -> Self {
        Self::some(shared, identities, |_, _| true)
    }

    /// Without those that memory knows to be new: nearly all, if their ids have a time.
    pub fn unknown(
        shared: &Shared,
        identities: &[Keyed<'_>],
        known: &FastMap<TenantId, RootSnapshot>,
    ) -> Self {
        Self::some(shared, identities, |root, key| match known.get(&root) {
            Some(known) if known.head.batch == 0 => false,
            Some(RootSnapshot {
                recent: Some(recent),
                ..
            }) => recent.has(key) != Some(false),
            _ => true,
        })
    }

    fn some(
        shared: &Shared,
        identities: &[Keyed<'_>],
        wanted: impl Fn(TenantId, u128) -> bool,
    ) -> Self {
        let looked_up = identities
            .iter()
            .enumerate()
            .filter(|(_, keyed)| keyed.name.namespace != Namespace::Engine);
        let keyed = looked_up.map(|(place, keyed)| {
            (
                keyed.name.root,
                shared.secret.key(keyed.key, keyed.name),
                place,
            )
        });
        let mut keys: Vec<_> = keyed
            .filter(|(root, key, _)| wanted(*root, *key))
            .map(|(root, key, place)| (root.0, key, place))
            .collect();
        // In the order of the index.
        keys.sort_unstable();
        Self(keys)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those under roots that are (not) locked here.
    pub fn split(self, is_here: impl Fn(TenantId) -> bool) -> (Self, Self) {
        let (here, elsewhere) = self
            .0
            .into_iter()
            .partition(|(root, ..)| is_here(TenantId(*root)));
        (Self(here), Self(elsewhere))
    }

    /// Without those of roots that have no records: whoever sees every root asks for each event
    /// under its own as well.
    pub async fn of_roots_with_records(mut self, conn: &mut PgConnection) -> Result<Self> {
        let mut roots: Vec<TenantId> = self.0.iter().map(|(root, ..)| TenantId(*root)).collect();
        roots.dedup();
        if !roots.is_empty() {
            let chain_heads = super::chain_heads::read(conn, &roots).await?;
            self.0.retain(|(root, ..)| {
                chain_heads
                    .iter()
                    .any(|head| head.root.0 == *root && head.batch > 0)
            });
        }
        Ok(self)
    }
}

/// Puts the first record of each identity into its place.
pub async fn find(
    conn: &mut PgConnection,
    wanted: &Wanted,
    identities: &[Keyed<'_>],
    found: &mut [Option<Arc<JournalEntry>>],
) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let (roots, keys): (Vec<i64>, Vec<Uuid>) = wanted
        .0
        .iter()
        .map(|(root, key, _)| (*root, Uuid::from_u128(*key)))
        .unzip();
    for row in sqlx::query(sql::FIND)
        .bind(roots)
        .bind(keys)
        .fetch_all(conn)
        .await?
    {
        let at = usize::try_from(int(&row, 14)? - 1)
            .ok()
            .and_then(|at| wanted.0.get(at));
        let &(_, _, place) =
            at.ok_or_else(|| SqlError::corrupt("a look-up answered what was not asked"))?;
        if found[place].is_none() {
            let record = record(&row)?;
            if record.identity.name() == identities[place].name {
                found[place] = Some(Arc::new(record));
            }
        }
    }
    Ok(())
}

/// From where on the newest identities of these roots are known from now on.
pub async fn learn_recent(
    conn: &mut PgConnection,
    known: &mut FastMap<TenantId, RootSnapshot>,
) -> Result<()> {
    let new = known.values_mut().filter(|known| known.recent.is_none());
    let (mut empty, mut roots) = (Vec::new(), Vec::new());
    for known in new {
        if known.head.batch == 0 {
            empty.push(known.head.root)
        } else {
            roots.push(known.head.root)
        }
    }
    for root in empty {
        known
            .entry(root)
            .and_modify(|known| known.recent = Some(Recent::above(0)));
    }
    if roots.is_empty() {
        return Ok(());
    }
    for row in sqlx::query(sql::LAST_TIMED_KEY)
        .bind(ids(&roots))
        .fetch_all(conn)
        .await?
    {
        let last: Option<Uuid> = row.try_get_unchecked(1)?;
        let floor = last.map_or(0, |last| last.as_u128());
        debug_assert!(has_time(floor));
        known
            .entry(TenantId(int(&row, 0)?))
            .and_modify(|known| known.recent = Some(Recent::above(floor)));
    }
    Ok(())
}
