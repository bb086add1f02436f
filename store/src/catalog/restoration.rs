//! That the database came from a backup, until somebody has gone through what that takes: what
//! happened after the backup is not in it, so nothing goes out by itself before that.

use super::audit::{self, Change};
use super::sql::{change, corrupt, look, read, statements, write};
use super::{Actor, Catalog, Result};
use rating::{Instant, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

statements! {
    RESTORED = "select value from meta where name = 'restored'";
    MARK = "insert into meta (name, value) values ('restored', $1) on conflict (name) do update \
        set value = excluded.value";
    UNMARK = "delete from meta where name = 'restored'";
}

/// A database that was restored, and that nobody has looked through since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    pub restored_us: i64,
    /// The moment that the database is of.
    pub backup_us: i64,
}

impl Restoration {
    pub fn restored_at(&self) -> Instant {
        Instant(self.restored_us)
    }
    pub fn backup_at(&self) -> Instant {
        Instant(self.backup_us)
    }
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        json!(self).to_string().into_bytes()
    }
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
    /// As long as nobody has looked through the restore before, what it lacks is missing still: the
    /// earlier backup counts.
    pub(crate) fn beside(self, before: Option<&[u8]>) -> Self {
        let before = before.and_then(Self::read);
        Self {
            backup_us: before.map_or(self.backup_us, |before| {
                before.backup_us.min(self.backup_us)
            }),
            ..self
        }
    }
    fn told(&self) -> Value {
        json!({ "restored_at": self.restored_at().to_string(), "backup_at": self.backup_at().to_string() })
    }
}

pub(crate) const RESTORATION: &str = RESTORED;
pub(crate) const MARK_RESTORED: &str = MARK;

impl Catalog {
    /// `None`: it was not, or somebody has resumed since.
    pub async fn restoration(&self) -> Result<Option<Restoration>> {
        let found = read!(self, fetch_optional as (Vec<u8>,), RESTORED)?;
        Ok(found
            .map(|(bytes,)| serde_json::from_slice(&bytes).map_err(corrupt))
            .transpose()?)
    }

    /// Answers what counts from now on: see [`Restoration::beside`].
    pub async fn mark_restored(&self, restoration: &Restoration) -> Result<Restoration> {
        write!(self, |tx| {
            let before = look!(tx, fetch_optional as (Vec<u8>,), RESTORED)?;
            let marked = restoration.beside(before.as_ref().map(|(bytes,)| bytes.as_slice()));
            change!(tx, MARK, marked.to_bytes())?;
            Ok(marked)
        })
    }

    /// Somebody has looked through it; whether it waited for that.
    pub async fn resume(&self, actor: &Actor, platform: TenantId) -> Result<bool> {
        write!(self, |tx| {
            tx.lock_log(platform).await?;
            let Some((bytes,)) = look!(tx, fetch_optional as (Vec<u8>,), RESTORED)? else {
                return Ok(false);
            };
            change!(tx, UNMARK)?;
            let before = Restoration::read(&bytes).map(|restoration| restoration.told());
            let (id, after) = (
                "restoration".to_owned(),
                Some(json!({ "resumed_at": actor.at.to_string() })),
            );
            let change = Change {
                tenant: platform,
                root: platform,
                resource: "restoration",
                id,
                action: "resume",
                before,
                after,
            };
            audit::append(tx, actor, &change).await?;
            Ok(true)
        })
    }
}
