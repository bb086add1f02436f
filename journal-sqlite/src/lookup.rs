//! Records by identity, by list, by seq. The index only proposes: what it names is read and
//! compared.

use super::index::{Index, Recent, Segment, Which, block_id};
use super::rows::{bytes, int, record};
use super::{Shared, sql};
use crate::runs::walk;
use db::{Result, SqlError};
use journal::{EntryQuery, JournalEntry, Keyed, Namespace, Of};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A merge may take a run away while it is being read; then the index is asked anew.
const ATTEMPTS_MAX: usize = 8;
/// Seqs taken from a list at once when a filter follows.
const LIST_STEP_MAX: usize = 4096;

/// Connections that read one page of a list at once, and the fewest records that are worth one
/// more.
const READERS_AT_ONCE: usize = 4;
const SEQS_PER_READER: usize = 64;

/// Seqs that may have the key of the identity at this place of those asked for.
type Candidates = Vec<(usize, i64)>;

pub async fn find(
    shared: &Shared,
    identities: &[Keyed<'_>],
) -> Result<Vec<Option<Arc<JournalEntry>>>> {
    let mut found: Vec<Option<Arc<JournalEntry>>> = vec![None; identities.len()];
    let candidates = candidates(shared, identities).await?;
    if candidates.is_empty() {
        return Ok(found);
    }
    let mut seqs: Vec<i64> = candidates.iter().map(|&(_, seq)| seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let mut conn = shared.db.readers.acquire().await?;
    let records: HashMap<i64, Arc<JournalEntry>> = by_seq(&mut conn, seqs)
        .await?
        .into_iter()
        .map(|r| (r.seq.0, Arc::new(r)))
        .collect();
    for (place, seq) in candidates {
        let Some(record) = records
            .get(&seq)
            .filter(|record| record.identity.name() == identities[place].name)
        else {
            continue;
        };
        if found[place]
            .as_ref()
            .is_none_or(|other| record.seq < other.seq)
        {
            found[place] = Some(Arc::clone(record));
        }
    }
    Ok(found)
}

async fn candidates(shared: &Shared, identities: &[Keyed<'_>]) -> Result<Candidates> {
    for _ in 0..ATTEMPTS_MAX {
        let (mut found, wanted) = in_memory(shared, identities)?;
        if wanted.is_empty() {
            return Ok(found);
        }
        let mut conn = shared.db.readers.acquire().await?;
        let blocks = blocks(&mut conn, wanted.keys().copied().collect()).await?;
        if blocks.len() < wanted.len() {
            continue;
        }
        for (id, keys) in &wanted {
            let block = blocks.get(id).map_or(&[][..], Vec::as_slice);
            let mut by_key: HashMap<u64, Vec<usize>> = HashMap::new();
            keys.iter()
                .for_each(|&(key, place)| by_key.entry(key).or_default().push(place));
            walk(block, |(key, seq)| {
                by_key
                    .get(&key)
                    .into_iter()
                    .flatten()
                    .for_each(|&place| found.push((place, seq)));
                true
            })?;
        }
        return Ok(found);
    }
    Err(SqlError::unavailable(
        "the index kept changing while it was read",
    ))
}

/// Blocks to read, by id, each with the keys (and their places) wanted of it.
type Wanted = BTreeMap<i64, Vec<(u64, usize)>>;

/// Nearly every key is new: one look each into the recent entries and into every run's filter, and
/// nothing is kept of it.
fn in_memory(shared: &Shared, identities: &[Keyed<'_>]) -> Result<(Candidates, Wanted)> {
    let (mut found, mut wanted) = (Candidates::new(), Wanted::new());
    let (segments, keys) = {
        let index = shared.index()?;
        let keys = looked_up(&index, identities);
        for recent in std::iter::once(&index.recent).chain(index.frozen.as_deref()) {
            keys.iter()
                .for_each(|&(key, place)| recent.identity(key, |seq| found.push((place, seq))));
        }
        (Arc::clone(&index.segments), keys)
    };
    for segment in segments.iter() {
        for &(key, place) in &keys {
            for number in segment.ids.blocks_of(key) {
                wanted
                    .entry(block_id(segment.run, Which::Ids, number))
                    .or_default()
                    .push((key, place));
            }
        }
    }
    Ok((found, wanted))
}

/// Keys, and their places among those asked for, that the journal may have: nothing is found under
/// a root without records (whoever sees every root asks for each event under its own as well).
fn looked_up(index: &Index, identities: &[Keyed<'_>]) -> Vec<(u64, usize)> {
    let may_have = |one: &Keyed<'_>| {
        one.name.namespace != Namespace::Engine && index.roots.contains(&one.name.root)
    };
    identities
        .iter()
        .enumerate()
        .filter(|(_, one)| may_have(one))
        .map(|(place, one)| (one.key, place))
        .collect()
}

pub async fn blocks(conn: &mut SqliteConnection, ids: Vec<i64>) -> Result<HashMap<i64, Vec<u8>>> {
    let mut blocks = HashMap::with_capacity(ids.len());
    let bind = |values: &mut sql::Values, id: i64| {
        values.int(id);
    };
    sql::select(conn, &sql::SELECT_BLOCKS, ids, bind, |row| {
        blocks.insert(int(row, 0)?, bytes(row, 1)?.to_vec());
        Ok::<_, SqlError>(())
    })
    .await?;
    Ok(blocks)
}

async fn by_seq(conn: &mut SqliteConnection, seqs: Vec<i64>) -> Result<Vec<JournalEntry>> {
    let mut records = Vec::with_capacity(seqs.len());
    let bind = |values: &mut sql::Values, seq: i64| {
        values.int(seq);
    };
    sql::select(conn, &sql::SELECT_RECORDS, seqs, bind, |row| {
        records.push(record(row)?);
        Ok::<_, SqlError>(())
    })
    .await?;
    Ok(records)
}

pub async fn read(shared: &Shared, query: &EntryQuery) -> Result<Vec<JournalEntry>> {
    let start = query
        .after
        .map_or(if query.newest_first { i64::MAX } else { 0 }, |after| {
            after.0
        });
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let mut conn = shared.db.readers.acquire().await?;
    match &query.of {
        Of::All => {
            let text = if query.newest_first {
                sql::RECORDS_DOWN
            } else {
                sql::RECORDS_UP
            };
            sqlx::query(text)
                .bind(start)
                .bind(limit)
                .fetch_all(&mut *conn)
                .await?
                .iter()
                .map(record)
                .collect()
        }
        Of::Unrated(root) => {
            let text = if query.newest_first {
                sql::UNRATED_DOWN
            } else {
                sql::UNRATED_UP
            };
            let seqs = sqlx::query_scalar(text)
                .bind(root.0)
                .bind(start)
                .bind(limit)
                .fetch_all(&mut *conn)
                .await?;
            in_order(shared, &mut conn, seqs, query).await
        }
        Of::EveryUnrated => {
            let text = if query.newest_first {
                sql::EVERY_UNRATED_DOWN
            } else {
                sql::EVERY_UNRATED_UP
            };
            let seqs = sqlx::query_scalar(text)
                .bind(start)
                .bind(limit)
                .fetch_all(&mut *conn)
                .await?;
            in_order(shared, &mut conn, seqs, query).await
        }
        Of::Seqs(seqs) => {
            let beyond = |seq: &i64| {
                if query.newest_first {
                    *seq < start
                } else {
                    *seq > start
                }
            };
            let mut seqs: Vec<i64> = seqs.iter().map(|seq| seq.0).filter(beyond).collect();
            seqs.sort_unstable();
            seqs.dedup();
            let mut records = in_order(shared, &mut conn, seqs, query).await?;
            records.truncate(query.limit);
            Ok(records)
        }
        Of::Account(account) => {
            let mut lists = vec![shared.secret.account(*account)];
            if account.kind.is_of_buyer() {
                lists.push(shared.secret.customer(account.tenant));
            }
            listed(shared, &mut conn, &lists, query, |record| {
                record.accounts().contains(account)
            })
            .await
        }
        Of::Customer(tenant) => {
            let lists = [shared.secret.customer(*tenant)];
            listed(shared, &mut conn, &lists, query, |record| {
                record.tenant == *tenant
            })
            .await
        }
    }
}

/// Many records lie on as many pages: several connections wait for the disk at once, as far as they
/// are idle.
async fn by_seq_at_once(
    shared: &Shared,
    conn: &mut SqliteConnection,
    seqs: Vec<i64>,
) -> Result<Vec<JournalEntry>> {
    let helpers = (seqs.len() / SEQS_PER_READER).min(READERS_AT_ONCE - 1);
    let mut helpers: Vec<_> = std::iter::from_fn(|| shared.db.readers.try_acquire())
        .take(helpers)
        .collect();
    let each = seqs.len().div_ceil(helpers.len() + 1).max(1);
    let readers = std::iter::once(conn).chain(helpers.iter_mut().map(|helper| &mut **helper));
    let parts = readers
        .zip(seqs.chunks(each))
        .map(|(conn, part)| by_seq(conn, part.to_vec()));
    Ok(futures_util::future::try_join_all(parts)
        .await?
        .into_iter()
        .flatten()
        .collect())
}

async fn in_order(
    shared: &Shared,
    conn: &mut SqliteConnection,
    seqs: Vec<i64>,
    query: &EntryQuery,
) -> Result<Vec<JournalEntry>> {
    let mut records = by_seq_at_once(shared, conn, seqs).await?;
    records.sort_unstable_by_key(|record| record.seq);
    if query.newest_first {
        records.reverse();
    }
    Ok(records)
}

/// Pages through the union of some lists; `keep` decides what belongs (a hash may collide).
async fn listed(
    shared: &Shared,
    conn: &mut SqliteConnection,
    lists: &[u64],
    query: &EntryQuery,
    keep: impl Fn(&JournalEntry) -> bool,
) -> Result<Vec<JournalEntry>> {
    let mut page: Vec<JournalEntry> = Vec::new();
    let mut after = query.after.map(|after| after.0);
    while page.len() < query.limit {
        let step = (query.limit - page.len()).min(LIST_STEP_MAX);
        let mut seqs = Vec::new();
        for &key in lists {
            seqs.extend(list(shared, conn, key, after, query.newest_first, step).await?);
        }
        seqs.sort_unstable();
        seqs.dedup();
        if query.newest_first {
            seqs.reverse();
        }
        seqs.truncate(step);
        let Some(&last) = seqs.last() else { break };
        let ended = seqs.len() < step;
        after = Some(last);
        page.extend(
            in_order(shared, conn, seqs, query)
                .await?
                .into_iter()
                .filter(&keep),
        );
        if ended {
            break;
        }
    }
    Ok(page)
}

/// The next `limit` seqs of one list beyond `after`, in the direction asked for.
async fn list(
    shared: &Shared,
    conn: &mut SqliteConnection,
    key: u64,
    after: Option<i64>,
    newest_first: bool,
    limit: usize,
) -> Result<Vec<i64>> {
    for _ in 0..ATTEMPTS_MAX {
        let (segments, memory) = sources(shared, key, after, newest_first, limit)?;
        let from_runs = from_segments(conn, &segments, key, after, newest_first, limit).await?;
        let Some(from_runs) = from_runs else { continue };
        let (near, far) = if newest_first {
            (memory, from_runs)
        } else {
            (from_runs, memory)
        };
        return Ok(near.into_iter().chain(far).take(limit).collect());
    }
    Err(SqlError::unavailable(
        "the index kept changing while it was read",
    ))
}

type Segments = Arc<Vec<Arc<Segment>>>;

/// The runs at one moment, and what memory knows beyond them, in the direction asked for.
fn sources(
    shared: &Shared,
    key: u64,
    after: Option<i64>,
    newest_first: bool,
    limit: usize,
) -> Result<(Segments, Vec<i64>)> {
    let index = shared.index()?;
    let frozen = index
        .frozen
        .as_deref()
        .map_or(&[][..], |frozen: &Recent| frozen.list(key));
    let all = frozen.iter().chain(index.recent.list(key)).copied();
    let memory = if newest_first {
        all.rev()
            .filter(|&seq| after.is_none_or(|after| seq < after))
            .take(limit)
            .collect()
    } else {
        all.filter(|&seq| after.is_none_or(|after| seq > after))
            .take(limit)
            .collect()
    };
    Ok((Arc::clone(&index.segments), memory))
}

/// None: a run was replaced meanwhile.
async fn from_segments(
    conn: &mut SqliteConnection,
    segments: &[Arc<Segment>],
    key: u64,
    after: Option<i64>,
    newest_first: bool,
    limit: usize,
) -> Result<Option<Vec<i64>>> {
    let (low, high) = match (after, newest_first) {
        (None, _) => (i64::MIN, i64::MAX),
        (Some(after), true) => (i64::MIN, after - 1),
        (Some(after), false) => (after + 1, i64::MAX),
    };
    let mut seqs: Vec<i64> = Vec::new();
    let mut places: Vec<i64> = Vec::new();
    for segment in segments
        .iter()
        .filter(|segment| segment.first <= high && segment.last >= low)
    {
        if segment.lists.filter.may_contain(key) {
            let numbers = segment.lists.blocks_between((key, low), (key, high));
            places.extend(numbers.map(|number| block_id(segment.run, Which::Lists, number)));
        }
    }
    if newest_first {
        places.reverse();
    }
    for place in places {
        let Some(block) = blocks(conn, vec![place]).await?.remove(&place) else {
            return Ok(None);
        };
        let from = seqs.len();
        walk(&block, |(found, seq)| {
            if found == key && (low..=high).contains(&seq) {
                seqs.push(seq);
            }
            found <= key
        })?;
        if newest_first {
            seqs[from..].reverse();
        }
        if seqs.len() >= limit {
            break;
        }
    }
    Ok(Some(seqs))
}
