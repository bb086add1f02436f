//! Opening: the position, the live runs, and the tail of the journal they do not cover.

use super::cache::HotStates;
use super::index::{Index, Keys, Secret, Segment};
use super::rows::{bytes, identity, int};
use super::{JournalOptions, Position, Shared, maintain, sql, states};
use crate::runs::Part;
use db::{Result, SqlError, Sqlite};
use journal::codec::unpack;
use journal::reporters::Reporters;
use journal::{EntryPayload, JournalEntry, Kind, Namespace, Seq};
use rating::fast::FastMap;
use rating::{Instant, TenantId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

/// Name of the indexes' secret in `meta`.
const SECRET: &str = "index_secret";
/// Records of the tail read at once.
const TAIL_ROWS: i64 = 16_384;

pub async fn open(db: &Sqlite, options: JournalOptions) -> Result<Shared> {
    maintain::sweep(db).await?;
    let segments = live_segments(db).await?;
    let mut conn = db.writer.lock().await;
    let secret = secret(&mut conn).await?;
    let next_run: i64 = sqlx::query_scalar(sql::LAST_RUN)
        .fetch_one(&mut *conn)
        .await?;
    let position = position(&mut conn).await?;
    let last_seq = position.last_seq;
    let mut index = Index::new(segments);
    index.roots.extend(position.chain_heads.keys());
    index.reporters = reporters(&mut conn).await?;
    let (pending, open_holds) = states::current(&mut conn).await?;
    drop(conn);
    let shared = Shared {
        db: db.clone(),
        options,
        secret,
        position: tokio::sync::Mutex::new(position),
        doubtful: AtomicBool::new(false),
        hot: Mutex::new(HotStates::new(
            open_holds,
            pending,
            Arc::clone(&db.open_holds),
        )),
        index: RwLock::new(index),
        next_run: AtomicI64::new(next_run + 1),
        flushing: tokio::sync::Mutex::default(),
        merging: tokio::sync::Mutex::default(),
    };
    replay(&shared, last_seq).await?;
    Ok(shared)
}

/// After a commit of unknown outcome: reads where the journal really ends, and indexes what is new.
pub async fn clear_doubt(shared: &Arc<Shared>) -> Result<()> {
    if !shared.doubtful.load(Ordering::Acquire) {
        return Ok(());
    }
    let mut known = shared.position.lock().await;
    if !shared.doubtful.load(Ordering::Acquire) {
        return Ok(());
    }
    let (truth, reporters, (pending, open_holds)) = {
        let mut conn = shared.db.writer.lock().await;
        (
            position(&mut conn).await?,
            reporters(&mut conn).await?,
            states::current(&mut conn).await?,
        )
    };
    replay(shared, truth.last_seq).await?;
    {
        let mut index = shared.index_mut()?;
        index.roots.extend(truth.chain_heads.keys());
        index.reporters = reporters;
    }
    shared.hot()?.start_again(open_holds, pending);
    *known = truth;
    shared.doubtful.store(false, Ordering::Release);
    Ok(())
}

async fn reporters(conn: &mut SqliteConnection) -> Result<Reporters> {
    let rows = sqlx::query(sql::REPORTERS).fetch_all(conn).await?;
    let mut reporters = Reporters::default();
    for row in &rows {
        let namespace = Namespace::from_code(int(row, 1)?)
            .ok_or_else(|| SqlError::corrupt("reporters: unknown namespace"))?;
        reporters.add(
            TenantId(int(row, 0)?),
            namespace,
            journal::codec::reporter(int(row, 2)?),
        );
    }
    Ok(reporters)
}

async fn position(conn: &mut SqliteConnection) -> Result<Position> {
    let last_seq = sqlx::query_scalar(sql::LAST_SEQ)
        .fetch_one(&mut *conn)
        .await?;
    let last_batch = sqlx::query_scalar(sql::LAST_BATCH)
        .fetch_one(&mut *conn)
        .await?;
    let mut chain_heads = FastMap::default();
    for row in sqlx::query(sql::HEADS).fetch_all(&mut *conn).await? {
        let hash = bytes(&row, 2)?
            .try_into()
            .map_err(|_| SqlError::corrupt("a chain head is not 32 bytes long"))?;
        chain_heads.insert(TenantId(int(&row, 0)?), hash);
    }
    Ok(Position {
        last_seq,
        last_batch,
        chain_heads,
    })
}

/// Made once per database. Random bytes from the system: it decides where entries lie, never what
/// is charged.
#[expect(
    clippy::disallowed_methods,
    reason = "a secret made once when the file is created; nothing replays it"
)]
async fn secret(conn: &mut SqliteConnection) -> Result<Secret> {
    let stored: Option<Vec<u8>> = sqlx::query_scalar(sql::GET_META)
        .bind(SECRET)
        .fetch_optional(&mut *conn)
        .await?;
    if let Some(stored) = stored {
        let key = stored
            .try_into()
            .map_err(|_| SqlError::corrupt("the index secret is not 16 bytes long"))?;
        return Ok(Secret::new(key));
    }
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|e| SqlError::unavailable(e.to_string()))?;
    sqlx::query(sql::PUT_META)
        .bind(SECRET)
        .bind(key.to_vec())
        .execute(conn)
        .await?;
    Ok(Secret::new(key))
}

/// The live runs in order. They must read back and tile the journal from its first record; if they
/// do not, they are dropped and made again from the journal.
async fn live_segments(db: &Sqlite) -> Result<Vec<Arc<Segment>>> {
    let rows = sqlx::query(sql::LIVE_RUNS).fetch_all(&db.readers).await?;
    let segments: Result<Vec<Arc<Segment>>> =
        rows.iter().map(|row| segment(row).map(Arc::new)).collect();
    match segments {
        Ok(segments) if tiled(&segments) => Ok(segments),
        _ => {
            tracing::warn!("index does not cover the journal; rebuilding it");
            sqlx::query(sql::RETIRE_ALL)
                .execute(&mut *db.writer.lock().await)
                .await?;
            maintain::sweep(db).await?;
            Ok(Vec::new())
        }
    }
}

fn tiled(segments: &[Arc<Segment>]) -> bool {
    let mut next = 1;
    segments.iter().all(|segment| {
        let fits = segment.first == next && segment.last >= segment.first;
        next = segment.last + 1;
        fits
    })
}

fn segment(row: &SqliteRow) -> Result<Segment> {
    let count = |column: usize| int(row, column).map(|keys| keys.unsigned_abs());
    Ok(Segment {
        run: int(row, 0)?,
        level: int(row, 1)?,
        first: int(row, 2)?,
        last: int(row, 3)?,
        ids: Part::from_bytes(bytes(row, 4)?, bytes(row, 5)?, count(6)?)?,
        lists: Part::from_bytes(bytes(row, 7)?, bytes(row, 8)?, count(9)?)?,
    })
}

/// Indexes the records beyond what the index knows, up to `last_seq`.
async fn replay(shared: &Shared, last_seq: i64) -> Result<()> {
    let mut conn = shared.db.readers.acquire().await?;
    loop {
        let known = shared.index()?.recent.last;
        if known >= last_seq {
            return Ok(());
        }
        let rows = sqlx::query(sql::TAIL_KEYS)
            .bind(known)
            .bind(TAIL_ROWS)
            .fetch_all(&mut *conn)
            .await?;
        if rows.is_empty() {
            return Err(SqlError::corrupt(format!(
                "records after {known} are missing"
            )));
        }
        let keys: Vec<(i64, Keys)> = rows
            .iter()
            .map(|row| tail_keys(&shared.secret, row))
            .collect::<Result<_>>()?;
        {
            let mut index = shared.index_mut()?;
            keys.into_iter()
                .for_each(|(seq, keys)| index.recent.add(seq, keys));
        }
        if shared.index()?.recent.records() >= 2 * shared.options.recent_records_max.max(1) {
            maintain::flush(shared).await?;
        }
    }
}

/// The index's view of a stored record: the fields that the keys are made of.
fn tail_keys(secret: &Secret, row: &SqliteRow) -> Result<(i64, Keys)> {
    let seq = int(row, 0)?;
    let identity = identity(row, 1, 3, 4, 9)?;
    let body: EntryPayload = unpack(bytes(row, 6)?, &format!("record {seq}"))?;
    let record = JournalEntry {
        seq: Seq(seq),
        kind: Kind::Rated,
        tenant: TenantId(int(row, 2)?),
        identity,
        at: Instant::MIN,
        received_at: Instant::MIN,
        content: [0; 16],
        body,
        personal: None,
        personal_digest: [0; 16],
    };
    Ok((
        seq,
        Keys::of(secret, &record, || secret.identity(record.identity.name())),
    ))
}
