//! Balances from before a reseller's book was an account of its own, yet to be moved there: listed
//! once, when the database was upgraded.

use super::{Catalog, Result};
use db::sql::{change, corrupt, read, statements, write};
use rating::{Currency, TenantId};

/// Balances read at once.
pub const RECLASSIFIED_AT_ONCE: usize = 1_000;

statements! {
    WAITING = "select root_id, tenant_id, currency from reclassifications order by root_id, \
        tenant_id, currency limit $1";
    DONE = "delete from reclassifications where root_id = $1 and tenant_id = $2 and currency = $3";
}

/// A balance of a buyer that its seller collected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reclassification {
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
}

impl Catalog {
    /// Some that wait, at most [`RECLASSIFIED_AT_ONCE`].
    pub async fn reclassifications(&self) -> Result<Vec<Reclassification>> {
        let rows = read!(
            self,
            fetch_all as (i64, i64, String),
            WAITING,
            RECLASSIFIED_AT_ONCE as i64
        )?;
        let waiting = |(root, tenant, currency): (i64, i64, String)| {
            Ok(Reclassification {
                root: TenantId(root),
                tenant: TenantId(tenant),
                currency: currency.parse().map_err(corrupt)?,
            })
        };
        rows.into_iter().map(waiting).collect()
    }

    /// They are done, or need nothing.
    pub async fn reclassified(&self, done: &[Reclassification]) -> Result<()> {
        write!(self, |tx| {
            for one in done {
                change!(
                    &mut *tx,
                    DONE,
                    one.root.0,
                    one.tenant.0,
                    one.currency.code()
                )?;
            }
            Ok(())
        })
    }
}
