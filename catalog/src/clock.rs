//! That a server's clock has stepped, until somebody has accepted it: every process of the database
//! sees it, and so does one that starts anew.

use super::audit::{self, Change};
use super::{Actor, Catalog, Result};
use db::sql::{change, corrupt, look, read, statements, write};
use rating::{Instant, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;

statements! {
    STEP = "select value from meta where name = 'clock_step'";
    PUT_STEP = "insert into meta (name, value) values ('clock_step', $1) on conflict do nothing";
    DROP_STEP = "delete from meta where name = 'clock_step'";
    DROP_THIS_STEP = "delete from meta where name = 'clock_step' and value = $1";
}

/// One that nobody has accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStep {
    /// What time it was as the process had counted it, and what the wall clock showed.
    pub time_us: i64,
    pub wall_us: i64,
    /// Which process.
    pub process: i64,
}

impl ClockStep {
    pub fn time(&self) -> Instant {
        Instant(self.time_us)
    }
    pub fn wall(&self) -> Instant {
        Instant(self.wall_us)
    }
    fn stored(&self) -> Vec<u8> {
        json!(self).to_string().into_bytes()
    }
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

pub const CLOCK_STEP: &str = STEP;

impl Catalog {
    pub async fn clock_step(&self) -> Result<Option<ClockStep>> {
        let found = read!(self, fetch_optional as (Vec<u8>,), STEP)?;
        Ok(found
            .map(|(bytes,)| serde_json::from_slice(&bytes).map_err(corrupt))
            .transpose()?)
    }

    /// Keeps it unless there is one already; the one that counts.
    pub async fn put_clock_step(&self, step: &ClockStep) -> Result<ClockStep> {
        write!(self, |tx| {
            change!(tx, PUT_STEP, step.stored())?;
            let (bytes,) = look!(tx, fetch_one as (Vec<u8>,), STEP)?;
            Ok(serde_json::from_slice(&bytes).map_err(corrupt)?)
        })
    }

    /// The wall clock of the process that kept it came back by itself.
    pub async fn withdraw_clock_step(&self, step: &ClockStep) -> Result<()> {
        write!(self, |tx| {
            change!(tx, DROP_THIS_STEP, step.stored())?;
            Ok(())
        })
    }

    /// Somebody says that the wall clock is right.
    pub async fn accept_clock_step(
        &self,
        actor: &Actor,
        platform: TenantId,
        wall: Instant,
    ) -> Result<()> {
        write!(self, |tx| {
            tx.lock_log(platform).await?;
            change!(tx, DROP_STEP)?;
            let before = Some(json!({ "time": actor.at.to_string() }));
            let after = Some(json!({ "time": wall.to_string() }));
            let change = Change {
                tenant: platform,
                root: platform,
                resource: "clock",
                id: "clock".to_owned(),
                action: "accept",
                before,
                after,
            };
            audit::append(tx, actor, &change).await
        })
    }
}
