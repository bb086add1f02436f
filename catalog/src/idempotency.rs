//! First answers to requests that carry an Idempotency-Key, kept for a day.
//!
//! The answer is stored after the work itself is committed; which record the work changed is stored
//! with it: whoever appends to the audit log in the name of an attempt
//! ([`Actor::once`](super::Actor)) marks the attempt in that same transaction. So a process that
//! dies between the two leaves either nothing, or work that says what it made, and a retry answers
//! with that ([`Begun::Made`]) instead of doing it again. The mark is a fence too: an attempt that
//! another has replaced, because nothing was heard of it for [`IN_FLIGHT_SECS_MAX`], can no longer
//! commit.
//!
//! Work of several transactions is not marked, and may be begun again after that time: it must come
//! to the same.

use super::{Catalog, CatalogError, Result, check_name};
use db::sql::{Tx, change, corrupt, look, statements, write};
use rating::{Instant, TenantId, ids::ApiKeyId};
use std::sync::Arc;

/// How long an answer is remembered.
pub const REMEMBERED_SECS: i64 = 24 * 3600;
/// How long a request may be under way before another attempt takes its place.
pub const IN_FLIGHT_SECS_MAX: i64 = 60;
/// Rows removed by one purge.
const PURGED_ROWS_MAX: i64 = 10_000;

statements! {
    FIND = "select digest, begun_at, status, body, resource, resource_id from idempotency where \
        root_id = $1 and caller_id = $2 and key = $3";
    BEGIN = "insert into idempotency (root_id, caller_id, key, digest, begun_at) values ($1, $2, \
        $3, $4, $5) on conflict do nothing";
    /// Not if its work was committed meanwhile.
    BEGIN_AGAIN = concat!(
        "update idempotency set digest = $4, begun_at = $5, status = null, body = null, resource \
            = null, resource_id = null",
        " where root_id = $1 and caller_id = $2 and key = $3 and begun_at = $6",
        " and ((status is null and resource is null) or begun_at <= $7)"
    );
    MARK = concat!(
        "update idempotency set resource = $5, resource_id = $6, body = $7",
        " where root_id = $1 and caller_id = $2 and key = $3 and begun_at = $4 and status is null"
    );
    FINISH = concat!(
        "update idempotency set status = $5, body = $6",
        " where root_id = $1 and caller_id = $2 and key = $3 and begun_at = $4 and status is null"
    );
    ABANDON = concat!(
        "delete from idempotency",
        " where root_id = $1 and caller_id = $2 and key = $3 and begun_at = $4 and status is null \
            and resource is null"
    );
    PURGE = concat!(
        "delete from idempotency where (root_id, caller_id, key) in",
        " (select root_id, caller_id, key from idempotency where begun_at < $1 order by begun_at \
            limit $2)"
    );
}

/// One attempt at a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Root of the caller.
    pub root: TenantId,
    pub caller: ApiKeyId,
    /// The Idempotency-Key; unique per caller.
    pub key: Arc<str>,
    /// Digest of method, path and body.
    pub digest: [u8; 32],
    /// When this attempt began: tells it from a later one.
    pub at: Instant,
}

/// Work that is done at most once: in the name of an attempt, which its transaction marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    pub attempt: Attempt,
    /// What the answer needs and no record tells afterwards, such as what was deleted. No secrets.
    pub known: Option<Arc<[u8]>>,
}

/// What to do with an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Do the work, then `finish` or `abandon`.
    Fresh,
    /// It was answered: answer the same again.
    Replay { status: u16, body: Vec<u8> },
    /// Its work is committed, its answer was lost: answer from the record that was changed last.
    Made {
        begun_at: Instant,
        resource: String,
        id: String,
        known: Option<Vec<u8>>,
    },
    /// The key was used for another request.
    Mismatch,
    /// The first attempt is still under way.
    InFlight,
}

#[derive(sqlx::FromRow)]
struct Kept {
    digest: Vec<u8>,
    begun_at: i64,
    status: Option<i64>,
    body: Option<Vec<u8>>,
    resource: Option<String>,
    resource_id: Option<String>,
}

impl Kept {
    /// What is kept says about the attempt; `None`: it no longer counts.
    fn answer(self, attempt: &Attempt) -> Result<Option<Begun>> {
        let begun_at = Instant(self.begun_at);
        let is_done = self.status.is_some() || self.resource.is_some();
        let secs = if is_done {
            REMEMBERED_SECS
        } else {
            IN_FLIGHT_SECS_MAX
        };
        if begun_at.plus_secs(secs) <= attempt.at {
            return Ok(None);
        }
        if self.digest != attempt.digest {
            return Ok(Some(Begun::Mismatch));
        }
        Ok(Some(match (self.status, self.resource, self.resource_id) {
            (Some(status), ..) => Begun::Replay {
                status: u16::try_from(status).map_err(corrupt)?,
                body: self.body.unwrap_or_default(),
            },
            (None, Some(resource), Some(id)) => Begun::Made {
                begun_at,
                resource,
                id,
                known: self.body,
            },
            (None, ..) => Begun::InFlight,
        }))
    }
}

/// Marks the attempt: what is changed in this transaction is its work.
///
/// # Errors
/// `Overtaken`: another attempt has its place, or was answered.
pub async fn mark(tx: &mut Tx<'_>, once: &Once, resource: &str, id: &str) -> Result<()> {
    let Attempt {
        root,
        caller,
        key,
        at,
        ..
    } = &once.attempt;
    match change!(
        tx,
        MARK,
        root.0,
        caller.0,
        &**key,
        at.micros(),
        resource,
        id,
        once.known.as_deref()
    )? {
        1 => Ok(()),
        _ => Err(CatalogError::Overtaken),
    }
}

impl Catalog {
    pub async fn begin_idempotent(&self, attempt: &Attempt) -> Result<Begun> {
        check_name("Idempotency-Key", &attempt.key)?;
        write!(self, |tx| {
            let Attempt {
                root,
                caller,
                key,
                digest,
                at,
            } = attempt;
            // Whoever inserts or replaces the row is the one that begins; nobody else is kept
            // waiting.
            if change!(
                &mut *tx,
                BEGIN,
                root.0,
                caller.0,
                &**key,
                digest.as_slice(),
                at.micros()
            )? == 1
            {
                return Ok(Begun::Fresh);
            }
            let Some(kept) = look!(
                &mut *tx,
                fetch_optional as Kept,
                FIND,
                root.0,
                caller.0,
                &**key
            )?
            else {
                // Abandoned or purged this very moment.
                return Ok(Begun::InFlight);
            };
            let begun_at = kept.begun_at;
            if let Some(answer) = kept.answer(attempt)? {
                return Ok(answer);
            }
            let forgotten = at.plus_secs(-REMEMBERED_SECS).micros();
            let began = change!(
                tx,
                BEGIN_AGAIN,
                root.0,
                caller.0,
                &**key,
                digest.as_slice(),
                at.micros(),
                begun_at,
                forgotten
            )?;
            Ok(if began == 1 {
                Begun::Fresh
            } else {
                Begun::InFlight
            })
        })
    }

    /// Keeps the answer of an attempt that was `Fresh`. An attempt that another has replaced keeps
    /// nothing.
    pub async fn finish_idempotent(
        &self,
        attempt: &Attempt,
        status: u16,
        body: &[u8],
    ) -> Result<()> {
        write!(self, |tx| {
            change!(
                tx,
                FINISH,
                attempt.root.0,
                attempt.caller.0,
                &*attempt.key,
                attempt.at.micros(),
                i64::from(status),
                body
            )?;
            Ok(())
        })
    }

    /// Forgets an attempt that changed nothing (it failed, or was refused for the moment). One
    /// whose work is committed stays.
    pub async fn abandon_idempotent(&self, attempt: &Attempt) -> Result<()> {
        write!(self, |tx| {
            change!(
                tx,
                ABANDON,
                attempt.root.0,
                attempt.caller.0,
                &*attempt.key,
                attempt.at.micros()
            )?;
            Ok(())
        })
    }

    /// Removes what is older than a day, oldest first, a bounded number; how many.
    pub async fn purge_idempotent(&self, now: Instant) -> Result<u64> {
        write!(self, |tx| {
            let purged = change!(
                tx,
                PURGE,
                now.plus_secs(-REMEMBERED_SECS).micros(),
                PURGED_ROWS_MAX
            )?;
            Ok(purged)
        })
    }
}
