//! That the database came from a backup, until somebody has gone through what that takes: what
//! happened after the backup is not in it, so nothing goes out by itself before that.

use super::audit::{self, Change};
use super::{Actor, Catalog, Result};
use db::restoration::{MARK_RESTORED, RESTORATION, Restoration};
use db::sql::{change, corrupt, look, read, statements, write};
use rating::TenantId;
use serde_json::json;

statements! {
    UNMARK = "delete from meta where name = 'restored'";
}

impl Catalog {
    /// `None`: it was not, or somebody has resumed since.
    pub async fn restoration(&self) -> Result<Option<Restoration>> {
        let found = read!(self, fetch_optional as (Vec<u8>,), RESTORATION)?;
        Ok(found
            .map(|(bytes,)| serde_json::from_slice(&bytes).map_err(corrupt))
            .transpose()?)
    }

    /// Answers what counts from now on: see [`Restoration::beside`].
    pub async fn mark_restored(&self, restoration: &Restoration) -> Result<Restoration> {
        write!(self, |tx| {
            let before = look!(tx, fetch_optional as (Vec<u8>,), RESTORATION)?;
            let marked = restoration.beside(before.as_ref().map(|(bytes,)| bytes.as_slice()));
            change!(tx, MARK_RESTORED, marked.to_bytes())?;
            Ok(marked)
        })
    }

    /// Somebody has looked through it; whether it waited for that.
    pub async fn resume(&self, actor: &Actor, platform: TenantId) -> Result<bool> {
        write!(self, |tx| {
            tx.lock_log(platform).await?;
            let Some((bytes,)) = look!(tx, fetch_optional as (Vec<u8>,), RESTORATION)? else {
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
