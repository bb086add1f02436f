//! Heads of roots: the lock and the version of everything in a root's journal.

use super::head::Head;
use super::root_cache::{Delta, RootSnapshot, poisoned};
use super::rows::{bytes, hash, hold, int, small};
use super::{Shared, sql};
use db::retry::Tries;
use db::{Result, SqlError};
use journal::codec::reporter;
use journal::hash::GENESIS;
use journal::open_holds::OpenHolds;
use journal::reporters::{Reported, Reporters};
use journal::{Namespace, Seq};
use ledger::Hold;
use rating::fast::FastMap;
use rating::{Instant, TenantId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::HashMap;

/// Bits of a seq that are the position in its root; the number of the root is above them.
const POSITION_BITS: u32 = 40;
const NUMBER_MAX: i64 = (1 << (63 - POSITION_BITS)) - 1;
/// Tries at a number that others want too.
const NUMBER_TRIES_MAX: usize = 1000;

pub const fn number_of(seq: Seq) -> i64 {
    seq.0 >> POSITION_BITS
}

/// The first seq of a root's journal.
pub const fn first_seq(number: i64) -> i64 {
    (number << POSITION_BITS) + 1
}

pub fn head(row: &PgRow) -> Result<Head> {
    Ok(Head {
        root: TenantId(int(row, 0)?),
        number: int(row, 1)?,
        batch: int(row, 2)?,
        last_seq: int(row, 3)?,
        hash: hash(row, 4)?,
        materialized_through: int(row, 5)?,
        reporters: int(row, 6)?,
        committed_at: Instant(int(row, 7)?),
    })
}

pub fn ids(roots: &[TenantId]) -> Vec<i64> {
    roots.iter().map(|root| root.0).collect()
}

/// Waits for whoever has one of them, in the order of their ids: two batches never wait for each
/// other.
pub async fn lock(conn: &mut PgConnection, roots: &[TenantId]) -> Result<Vec<Head>, sqlx::Error> {
    let rows = sqlx::query(sql::LOCK_HEADS)
        .bind(ids(roots))
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(head)
        .collect::<Result<_>>()
        .map_err(|error| sqlx::Error::Protocol(error.to_string()))
}

pub async fn read(conn: &mut PgConnection, roots: &[TenantId]) -> Result<Vec<Head>> {
    sqlx::query(sql::HEADS)
        .bind(ids(roots))
        .fetch_all(conn)
        .await?
        .iter()
        .map(head)
        .collect()
}

pub async fn every(conn: &mut PgConnection) -> Result<Vec<Head>> {
    sqlx::query(sql::EVERY_HEAD)
        .fetch_all(conn)
        .await?
        .iter()
        .map(head)
        .collect()
}

/// Gives these roots a number and a head.
pub async fn make(shared: &Shared, roots: impl Iterator<Item = TenantId>) -> Result<()> {
    let mut tries = Tries::default();
    for root in roots {
        loop {
            match make_one(shared, root).await {
                Ok(()) => break,
                Err(error) if tries.again(&error).await => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

async fn make_one(shared: &Shared, root: TenantId) -> Result<(), sqlx::Error> {
    let mut conn = shared.pool.acquire().await?;
    for _ in 0..NUMBER_TRIES_MAX {
        let number: Option<i64> = sqlx::query_scalar(sql::NUMBER_OF)
            .bind(root.0)
            .fetch_optional(&mut *conn)
            .await?;
        let Some(number) = number else {
            sqlx::query(sql::PUT_NUMBER)
                .bind(root.0)
                .execute(&mut *conn)
                .await?;
            continue;
        };
        if number > NUMBER_MAX {
            return Err(sqlx::Error::Protocol(format!(
                "there are {number} roots; at most {NUMBER_MAX} have room"
            )));
        }
        sqlx::query(sql::PUT_HEAD)
            .bind(root.0)
            .bind(number)
            .bind(GENESIS.to_vec())
            .execute(&mut *conn)
            .await?;
        return Ok(());
    }
    Err(sqlx::Error::Protocol(
        "no number was free for a new root".to_owned(),
    ))
}

/// Of roots that are locked. What this process remembers beyond their heads is gone from the
/// database.
pub async fn known_as_locked(
    shared: &Shared,
    conn: &mut PgConnection,
    chain_heads: Vec<Head>,
) -> Result<FastMap<TenantId, RootSnapshot>> {
    let lost = shared
        .root_cache
        .lock()
        .map_err(poisoned)?
        .forget_lost(&chain_heads);
    shared.lost(lost)?;
    known_as_of(shared, conn, chain_heads).await
}

/// What is known of these roots as of these heads: from the shelf where it is as new, else with
/// what was committed since.
pub async fn known_as_of(
    shared: &Shared,
    conn: &mut PgConnection,
    chain_heads: Vec<Head>,
) -> Result<FastMap<TenantId, RootSnapshot>> {
    let mut known: FastMap<TenantId, RootSnapshot> = FastMap::default();
    {
        let mut root_cache = shared.root_cache.lock().map_err(poisoned)?;
        known.extend(
            chain_heads
                .iter()
                .filter_map(|head| root_cache.take_for(head))
                .map(|known| (known.head.root, known)),
        );
    }
    let lost = catch_up(conn, &chain_heads, &mut known).await?;
    shared.lost(lost)?;
    // Nothing known, or of a time whose batches are gone, one way or the other.
    let behind: Vec<&Head> = chain_heads
        .iter()
        .filter(|head| {
            known
                .get(&head.root)
                .is_none_or(|known| known.head.batch < head.batch)
        })
        .collect();
    if !behind.is_empty() {
        let roots: Vec<TenantId> = behind.iter().map(|head| head.root).collect();
        let mut open = open_holds(conn, &roots).await?;
        for head in behind {
            let open_holds: OpenHolds = open
                .remove(&head.root)
                .unwrap_or_default()
                .into_iter()
                .collect();
            known.insert(head.root, RootSnapshot::new(head, open_holds));
        }
        catch_up(conn, &chain_heads, &mut known).await?;
    }
    for head in chain_heads {
        if let Some(known) = known.get_mut(&head.root) {
            known.reached(head)?;
        }
    }
    learn_reporters(conn, &mut known).await?;
    Ok(known)
}

/// Where another process added one, or nothing was known: all of them.
async fn learn_reporters(
    conn: &mut PgConnection,
    known: &mut FastMap<TenantId, RootSnapshot>,
) -> Result<()> {
    let is_behind = |known: &&RootSnapshot| {
        known.reporters.of_root(known.head.root) != known.head.reporters.unsigned_abs() as usize
    };
    let behind: Vec<TenantId> = known
        .values()
        .filter(is_behind)
        .map(|known| known.head.root)
        .collect();
    if !behind.is_empty() {
        // What was known may be of commits that are lost.
        for root in &behind {
            known
                .entry(*root)
                .and_modify(|known| known.reporters = Reporters::default());
        }
        for (root, namespace, reporter) in reporters(conn, &behind).await? {
            known
                .entry(root)
                .and_modify(|known| known.reporters.add(root, namespace, reporter));
        }
    }
    Ok(())
}

pub async fn reporters(conn: &mut PgConnection, roots: &[TenantId]) -> Result<Vec<Reported>> {
    let rows = sqlx::query(sql::REPORTERS)
        .bind(ids(roots))
        .fetch_all(conn)
        .await?;
    let unknown = || SqlError::corrupt("reporters: unknown namespace");
    let row = |row: &PgRow| {
        let namespace = Namespace::from_code(small(row, 1)?).ok_or_else(unknown)?;
        Ok((TenantId(int(row, 0)?), namespace, reporter(int(row, 2)?)))
    };
    rows.iter().map(row).collect()
}

async fn open_holds(
    conn: &mut PgConnection,
    roots: &[TenantId],
) -> Result<HashMap<TenantId, Vec<Hold>>> {
    let mut open: HashMap<TenantId, Vec<Hold>> = HashMap::new();
    if !roots.is_empty() {
        for row in sqlx::query(sql::OPEN_HOLDS)
            .bind(ids(roots))
            .fetch_all(conn)
            .await?
        {
            let hold = hold(&row)?;
            open.entry(hold.root).or_default().push(hold);
        }
    }
    Ok(open)
}

/// Applies the batches that others have committed since, as far as they follow without a gap, and
/// drops what they do not follow. Answers how many roots went on from another batch than the one
/// known.
async fn catch_up(
    conn: &mut PgConnection,
    chain_heads: &[Head],
    known: &mut FastMap<TenantId, RootSnapshot>,
) -> Result<usize> {
    let behind = chain_heads.iter().filter(|head| {
        known
            .get(&head.root)
            .is_some_and(|known| known.head.batch < head.batch)
    });
    let materialized_through: HashMap<i64, i64> = behind
        .map(|head| (head.root.0, head.materialized_through))
        .collect();
    if materialized_through.is_empty() {
        return Ok(0);
    }
    let mut lost = 0;
    let (roots, from): (Vec<i64>, Vec<i64>) = materialized_through
        .keys()
        .map(|root| (*root, known[&TenantId(*root)].head.batch))
        .unzip();
    for row in sqlx::query(sql::STATES_FROM)
        .bind(roots)
        .bind(from)
        .fetch_all(conn)
        .await?
    {
        let (root, batch) = (int(&row, 0)?, int(&row, 1)?);
        let Some(known) = known.get_mut(&TenantId(root)) else {
            continue;
        };
        if !known.is_sure && batch == known.head.batch {
            known.is_sure = hash(&row, 2)? == known.head.hash;
            lost += usize::from(!known.is_sure);
        } else if known.is_sure && batch == known.head.batch + 1 {
            let packed = bytes(&row, 3)?;
            known.next(Delta::unpacked(packed)?, packed.len());
            if materialized_through.get(&root) == Some(&batch) {
                known.fold();
            }
        }
    }
    known.retain(|root, known| known.is_sure || !materialized_through.contains_key(&root.0));
    Ok(lost)
}

/// Roots by number, of those that occur in these seqs. A number never changes its root.
pub async fn roots_of(
    shared: &Shared,
    seqs: impl Iterator<Item = Seq>,
) -> Result<HashMap<i64, TenantId>> {
    let numbers: std::collections::BTreeSet<i64> = seqs.map(number_of).collect();
    let known = |numbers: &std::collections::BTreeSet<i64>| -> Result<HashMap<i64, TenantId>> {
        let roots = shared.numbers.lock().map_err(poisoned)?;
        Ok(numbers
            .iter()
            .filter_map(|number| Some((*number, *roots.get(number)?)))
            .collect())
    };
    let found = known(&numbers)?;
    if found.len() == numbers.len() {
        return Ok(found);
    }
    let mut conn = shared.pool.acquire().await?;
    let chain_heads = every(&mut conn).await?;
    shared
        .numbers
        .lock()
        .map_err(poisoned)?
        .extend(chain_heads.iter().map(|head| (head.number, head.root)));
    known(&numbers)
}

/// Of a batch of this root, if it was committed.
pub async fn batch_hash(conn: &mut PgConnection, head: &Head) -> Result<Option<[u8; 32]>> {
    let row = sqlx::query(sql::BATCH_HASH)
        .bind(head.root.0)
        .bind(head.batch)
        .fetch_optional(conn)
        .await?;
    row.map(|row| hash(&row, 0)).transpose()
}
