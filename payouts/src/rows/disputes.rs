//! Payments that are disputed, as payments keep them: nobody above or among their payers is paid out
//! meanwhile.

use super::PayoutRows;
use catalog::Result;
use catalog::paths::below;
use db::sql::{read, statements};
use tenants::Tenant;

statements! {
    DISPUTED_BELOW = concat!(
        "select count(*) from payments where open_disputes > 0",
        " and tenant_id in (select t.id from tenants t where t.path >= $1 and t.path < $2)"
    );
}

impl PayoutRows<'_> {
    /// Payments under dispute of `top` and every tenant under it.
    pub async fn open_disputes_below(self, top: &Tenant) -> Result<i64> {
        let (first, end) = below(&top.path);
        Ok(read!(self.0, fetch_one as (i64,), DISPUTED_BELOW, first, end)?.0)
    }
}
