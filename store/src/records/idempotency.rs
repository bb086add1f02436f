//! First answers to requests that carry an Idempotency-Key, kept for a day.
//!
//! The answer is stored after the work itself is committed. A request that was begun and never
//! finished (the process died between the two) may be begun again after [`IN_FLIGHT_SECS_MAX`]; work
//! that must not happen twice derives its ids from the key, so that the second attempt meets the first.

use super::sql::{change, corrupt, look, statements};
use super::{Records, Result, check_name};
use rating::{Instant, TenantId, ids::ApiKeyId};

/// How long an answer is remembered.
pub const REMEMBERED_SECS: i64 = 24 * 3600;
/// How long a request may be under way before another attempt takes its place.
pub const IN_FLIGHT_SECS_MAX: i64 = 60;
/// Rows removed by one purge.
const PURGED_ROWS_MAX: i64 = 10_000;

statements! {
    FIND = "select digest, begun_at, status, body from idempotency where caller_id = $1 and key = $2";
    BEGIN = concat!(
        "insert into idempotency (root_id, caller_id, key, digest, begun_at) values ($1, $2, $3, $4, $5)",
        " on conflict (caller_id, key) do update set digest = excluded.digest, begun_at = excluded.begun_at, status = null, body = null"
    );
    FINISH = "update idempotency set status = $4, body = $5 where caller_id = $1 and key = $2 and begun_at = $3 and status is null";
    ABANDON = "delete from idempotency where caller_id = $1 and key = $2 and begun_at = $3 and status is null";
    PURGE = concat!(
        "delete from idempotency where (caller_id, key) in",
        " (select caller_id, key from idempotency where begun_at < $1 order by begun_at limit $2)"
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
        let mut writer = self.writer().await;
        let mut tx = writer.begin().await?;
        let kept = look!(&mut tx, fetch_optional as Kept, FIND, attempt.caller.0, attempt.key)?;
        if let Some(answer) = kept.map(|kept| kept.answer(attempt)).transpose()?.flatten() {
            return Ok(answer);
        }
        let Attempt { root, caller, key, digest, at } = attempt;
        change!(&mut tx, BEGIN, root.0, caller.0, *key, digest.as_slice(), at.micros())?;
        tx.commit().await?;
        Ok(Begun::Fresh)
    }

    /// Keeps the answer of an attempt that was `Fresh`. An attempt that another has replaced keeps nothing.
    pub async fn finish_idempotent(&self, attempt: &Attempt<'_>, status: u16, body: &[u8]) -> Result<()> {
        let mut writer = self.writer().await;
        let mut tx = writer.begin().await?;
        change!(&mut tx, FINISH, attempt.caller.0, attempt.key, attempt.at.micros(), i64::from(status), body)?;
        Ok(tx.commit().await?)
    }

    /// Forgets an attempt that changed nothing (it failed, or was refused for the moment).
    pub async fn abandon_idempotent(&self, attempt: &Attempt<'_>) -> Result<()> {
        let mut writer = self.writer().await;
        let mut tx = writer.begin().await?;
        change!(&mut tx, ABANDON, attempt.caller.0, attempt.key, attempt.at.micros())?;
        Ok(tx.commit().await?)
    }

    /// Removes what is older than a day, oldest first, a bounded number; how many.
    pub async fn purge_idempotent(&self, now: Instant) -> Result<u64> {
        let mut writer = self.writer().await;
        let mut tx = writer.begin().await?;
        let purged = change!(&mut tx, PURGE, now.plus_secs(-REMEMBERED_SECS).micros(), PURGED_ROWS_MAX)?;
        tx.commit().await?;
        Ok(purged)
    }
}
