//! Commission paid out: one row per reseller, currency and period.
//!
//! A row says what is to be done before anything is done. Every change is guarded by the row's
//! `version`: of several processes one goes on, the others see that they were late. What is moved
//! is in the journal, under keys that follow from the row; the row is how far it got.

mod changes;
mod row;

pub(super) use changes::replace_logged;
pub use row::{Payout, PayoutState, PayoutSums};

use super::PayoutRows;
use super::payout_settings::PayoutMethod;
use catalog::paths::below;
use catalog::{CatalogError, Page, Period, Result, one_more};
use db::sql::{corrupt, read, statements, word};
use rating::ids::{PayoutFileId, PayoutId};
use rating::{Cents, Currency, Instant, TenantId};
use row::{PayoutRow, SumsRow};
use tenants::Tenant;

macro_rules! columns {
    () => {
        "p.id, p.root_id, p.tenant_id, p.currency, p.period, p.state, p.cents, p.method, \
            p.generation, p.attempts, p.next_at, p.payee, p.holder, \
         p.iban, p.bic, p.file_id, p.transfer, p.reference, p.error, p.created_at, p.begun_at, \
         p.paid_at, p.version"
    };
}

statements! {
    OPEN = "select count(*) from payouts where state in ('due', 'paying', 'reversing')";
    INSERT = concat!(
        "insert into payouts (id, root_id, tenant_id, currency, period, state, cents, method, \
            generation, attempts, created_at, version)",
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing"
    );
    UPDATE = concat!(
        "update payouts set state = $4, method = $5, generation = $6, attempts = $7, next_at = \
            $8, payee = $9, holder = $10, iban = $11, bic = $12,",
        " file_id = $13, transfer = $14, reference = $15, error = $16, begun_at = $17, paid_at = \
            $18, cents = $19, version = version + 1",
        " where root_id = $1 and id = $2 and version = $3"
    );
    BY_ID = concat!("select ", columns!(), " from payouts p where p.id = $1");
    BY_PERIOD = concat!("select ", columns!(), " from payouts p where p.root_id = $1 and \
        p.tenant_id = $2 and p.currency = $3 and p.period = $4");
    BY_TRANSFER = concat!("select ", columns!(), " from payouts p where p.transfer = $1");
    /// The money that is on its way or gone; `state` in a list of its own, as
    /// [`PayoutState::counts`] has it.
    COUNTING = concat!(
        "select cast(coalesce(sum(p.cents), 0) as bigint) from payouts p where p.root_id = $1 and \
            p.tenant_id = $2 and p.currency = $3",
        " and p.id <> $4 and p.state in ('due', 'paying', 'paid', 'reversing')"
    );
    /// The same in parts; of those that are due, what is of a period before $5.
    COUNTING_PARTS = concat!(
        "select cast(coalesce(sum(case when p.state = 'due' then 0 else p.cents end), 0) as \
            bigint) as gone,",
        " cast(coalesce(sum(case when p.state = 'due' and p.period < $5 then p.cents else 0 end), \
            0) as bigint) as due,",
        " cast(coalesce(sum(case when p.state = 'due' or (p.state = 'paying' and p.next_at is not \
            null) then 0 else p.cents end), 0) as bigint) as debited",
        " from payouts p where p.root_id = $1 and p.tenant_id = $2 and p.currency = $3 and p.id \
            <> $4",
        " and p.state in ('due', 'paying', 'paid', 'reversing')"
    );
    BELOW = concat!(
        "select ", columns!(), " from payouts p join tenants t on t.root_id = p.root_id and t.id \
            = p.tenant_id",
        " where t.path >= $1 and t.path < $2 and p.id < $3 and ($4 = '' or p.state = $4)",
        " and p.created_at >= $5 and p.created_at < $6 order by p.id desc limit $7"
    );
    WAITING = concat!("select ", columns!(), " from payouts p where p.next_at <= $1 order by \
        p.next_at limit $2");
    BY_STATE = concat!(
        "select ", columns!(), " from payouts p where p.state = $1 and p.method = $2 and p.id > \
            $3 and ($4 = '' or p.currency = $4) order by p.id limit $5"
    );
    OF_FILE = concat!("select ", columns!(), " from payouts p where p.file_id = $1 order by p.id");
}

impl PayoutRows<'_> {
    pub async fn payout(self, id: PayoutId) -> Result<Option<Payout>> {
        read!(self.0, fetch_optional as PayoutRow, BY_ID, id.0)?
            .map(PayoutRow::payout)
            .transpose()
    }

    pub async fn payout_of_period(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
        period: i64,
    ) -> Result<Option<Payout>> {
        let row = read!(
            self.0,
            fetch_optional as PayoutRow,
            BY_PERIOD,
            root.0,
            tenant.0,
            currency.code(),
            period
        )?;
        row.map(PayoutRow::payout).transpose()
    }

    /// Cents of every payout of a reseller that [`PayoutState::counts`].
    pub async fn payouts_counting(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
    ) -> Result<PayoutSums> {
        self.payouts_beside(root, tenant, currency, None).await
    }

    /// The same beside one payout: without it, and without those that are due for a later period.
    pub async fn payouts_beside(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
        one: Option<&Payout>,
    ) -> Result<PayoutSums> {
        let (id, period) = one.map_or((0, i64::MAX), |one| (one.id.0, one.period));
        let SumsRow { gone, due, debited } = read!(
            self.0,
            fetch_one as SumsRow,
            COUNTING_PARTS,
            root.0,
            tenant.0,
            currency.code(),
            id,
            period
        )?;
        Ok(PayoutSums {
            gone: Cents(gone),
            due: Cents(due),
            debited: Cents(debited),
        })
    }

    /// Payouts of `top` and of every reseller under it, newest first, older than `before`.
    pub async fn payouts_below(
        self,
        top: &Tenant,
        state: Option<PayoutState>,
        period: Period,
        before: Option<PayoutId>,
        limit: usize,
    ) -> Result<Page<Payout>> {
        let ((first, end), (from, until)) = (below(&top.path), period.micros());
        let state = state.as_ref().map(word).transpose()?.unwrap_or_default();
        let before = before.map_or(i64::MAX, |id| id.0);
        let rows = read!(
            self.0,
            fetch_all as PayoutRow,
            BELOW,
            first,
            end,
            before,
            state,
            from,
            until,
            one_more(limit)
        )?;
        Page::of(rows, limit, PayoutRow::payout)
    }

    /// How many have begun, or are due.
    pub async fn payouts_open(self) -> Result<i64> {
        Ok(read!(self.0, fetch_one as (i64,), OPEN)?.0)
    }

    /// Those that the worker has something to do for, the longest waiting first.
    pub async fn payouts_waiting(self, now: Instant, limit: usize) -> Result<Vec<Payout>> {
        let limit = i64::try_from(limit).map_err(corrupt)?;
        let rows = read!(self.0, fetch_all as PayoutRow, WAITING, now.micros(), limit)?;
        rows.into_iter().map(PayoutRow::payout).collect()
    }

    /// Of one method, and of one currency or all, oldest first.
    pub async fn payouts_in_state(
        self,
        state: PayoutState,
        method: PayoutMethod,
        currency: Option<Currency>,
        after: Option<PayoutId>,
        limit: usize,
    ) -> Result<Page<Payout>> {
        let (state, method, after) = (word(&state)?, word(&method)?, after.map_or(0, |id| id.0));
        let currency = currency.map_or("", Currency::code);
        let rows = read!(
            self.0,
            fetch_all as PayoutRow,
            BY_STATE,
            state,
            method,
            after,
            currency,
            one_more(limit)
        )?;
        Page::of(rows, limit, PayoutRow::payout)
    }

    /// Those that went into a file for the bank.
    pub async fn payouts_of_file(self, file: PayoutFileId) -> Result<Vec<Payout>> {
        let rows = read!(self.0, fetch_all as PayoutRow, OF_FILE, file.0)?;
        rows.into_iter().map(PayoutRow::payout).collect()
    }

    /// Whose money the provider's transfer carried.
    pub async fn payout_by_transfer(self, transfer: &str) -> Result<Option<Payout>> {
        read!(self.0, fetch_optional as PayoutRow, BY_TRANSFER, transfer)?
            .map(PayoutRow::payout)
            .transpose()
    }

    /// # Errors
    /// `NotFound`.
    pub async fn payout_known(self, id: PayoutId) -> Result<Payout> {
        self.payout(id)
            .await?
            .ok_or(CatalogError::NotFound { what: "payout" })
    }
}
