//! First answers to requests that carry an Idempotency-Key, kept for a day.
//!
//! The answer is stored after the work itself is committed. A request that was begun and never
//! finished (the process died between the two) may be begun again after [`IN_FLIGHT_SECS_MAX`]; work
//! that must not happen twice derives its ids from the key, so that the second attempt meets the first.

use super::sql::{change, corrupt, look, statements, write};
use super::{Records, Result, check_name};
use rating::{Instant, TenantId, ids::ApiKeyId};

/// How long an answer is remembered.
pub const REMEMBERED_SECS: i64 = 24 * 3600;
/// How long a request may be under way before another attempt takes its place.
pub const IN_FLIGHT_SECS_MAX: i64 = 60;
/// Rows removed by one purge.
const PURGED_ROWS_MAX: i64 = 10_000;

statements! {
    FIND = "select digest, begun_at, status, body from idempotency where root_id = $1 and caller_id = $2 and key = $3";
    BEGIN = "insert into idempotency (root_id, caller_id, key, digest, begun_at) values ($1, $2, $3, $4, $5) on conflict do nothing";
    BEGIN_AGAIN = concat!(
        "update idempotency set digest = $4, begun_at = $5, status = null, body = null",
        " where root_id = $1 and caller_id = $2 and key = $3 and begun_at = $6"
    );
    FINISH = concat!(
        "update idempotency set status = $5, body = $6",
        " where root_id = $1 and caller_id = $2 and key = $3 and begun_at = $4 and status is null"
    );
    ABANDON = "delete from idempotency where root_id = $1 and caller_id = $2 and key = $3 and begun_at = $4 and status is null";
    PURGE = concat!(
        "delete from idempotency where (root_id, caller_id, key) in",
        " (select root_id, caller_id, key from idempotency where begun_at < $1 order by begun_at limit $2)"
    );
}

/// One attempt at a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// Root of the caller.
    pub root: TenantId,
    pub caller: ApiKeyId,
    /// The Idempotency-Key; unique per caller.
    pub key: &'a str,
    /// Digest of method, path and body.
    pub digest: [u8; 32],
    /// When this attempt began: tells it from a later one.
    pub at: Instant,
}

/// What to do with an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Do the work, then `finish` or `abandon`.
    Fresh,
    /// It was answered: answer the same again.
    Replay { status: u16, body: Vec<u8> },
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
}

impl Kept {
    /// What is kept says about the attempt; `None`: it no longer counts.
    fn answer(self, attempt: &Attempt<'_>) -> Result<Option<Begun>> {
        let begun_at = Instant(self.begun_at);
        let secs = if self.status.is_some() { REMEMBERED_SECS } else { IN_FLIGHT_SECS_MAX };
        if begun_at.plus_secs(secs) <= attempt.at {
            return Ok(None);
        }
        if self.digest != attempt.digest {
            return Ok(Some(Begun::Mismatch));
        }
        let Some(status) = self.status else { return Ok(Some(Begun::InFlight)) };
        let status = u16::try_from(status).map_err(corrupt)?;
        Ok(Some(Begun::Replay { status, body: self.body.unwrap_or_default() }))
    }
}

impl Records {
    pub async fn begin_idempotent(&self, attempt: &Attempt<'_>) -> Result<Begun> {
        check_name("Idempotency-Key", attempt.key)?;
        write!(self, |tx| {
            let Attempt { root, caller, key, digest, at } = attempt;
            // Whoever inserts or replaces the row is the one that begins; nobody else is kept waiting.
            if change!(&mut *tx, BEGIN, root.0, caller.0, *key, digest.as_slice(), at.micros())? == 1 {
                return Ok(Begun::Fresh);
            }
            let Some(kept) = look!(&mut *tx, fetch_optional as Kept, FIND, root.0, caller.0, *key)? else {
                // Abandoned or purged this very moment.
                return Ok(Begun::InFlight);
            };
            let begun_at = kept.begun_at;
            if let Some(answer) = kept.answer(attempt)? {
                return Ok(answer);
            }
            let began = change!(tx, BEGIN_AGAIN, root.0, caller.0, *key, digest.as_slice(), at.micros(), begun_at)?;
            Ok(if began == 1 { Begun::Fresh } else { Begun::InFlight })
        })
    }

    /// Keeps the answer of an attempt that was `Fresh`. An attempt that another has replaced keeps nothing.
    pub async fn finish_idempotent(&self, attempt: &Attempt<'_>, status: u16, body: &[u8]) -> Result<()> {
        write!(self, |tx| {
            change!(tx, FINISH, attempt.root.0, attempt.caller.0, attempt.key, attempt.at.micros(), i64::from(status), body)?;
            Ok(())
        })
    }

    /// Forgets an attempt that changed nothing (it failed, or was refused for the moment).
    pub async fn abandon_idempotent(&self, attempt: &Attempt<'_>) -> Result<()> {
        write!(self, |tx| {
            change!(tx, ABANDON, attempt.root.0, attempt.caller.0, attempt.key, attempt.at.micros())?;
            Ok(())
        })
    }

    /// Removes what is older than a day, oldest first, a bounded number; how many.
    pub async fn purge_idempotent(&self, now: Instant) -> Result<u64> {
        write!(self, |tx| {
            let purged = change!(tx, PURGE, now.plus_secs(-REMEMBERED_SECS).micros(), PURGED_ROWS_MAX)?;
            Ok(purged)
        })
    }
}
