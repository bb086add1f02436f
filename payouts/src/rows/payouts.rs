//! Commission paid out: one row per reseller, currency and period.
//!
//! A row says what is to be done before anything is done. Every change is guarded by the row's
//! `version`: of several processes one goes on, the others see that they were late. What is moved
//! is in the journal, under keys that follow from the row; the row is how far it got.

use super::PayoutRows;
use super::payout_settings::{BankAccount, PayoutMethod, bank_of};
use ::notices::rows::{self as notices, Notice, NoticeKind};
use catalog::paths::below;
use catalog::{Actor, CatalogError, Change, Page, Period, Result, audit, conflict, one_more};
use db::sql::{Tx, change, corrupt, from_word, look, read, statements, word, write};
use rating::ids::{NoticeId, PayoutFileId, PayoutId};
use rating::{Cents, Currency, Instant, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutState {
    /// Nothing has moved.
    Due,
    /// The balance is debited, or about to be; the money is on its way, or nobody knows.
    Paying,
    Paid,
    /// Nothing went out; what was debited is given back, or about to be (`next_at`).
    Failed,
    /// The provider is asked to send it back.
    Reversing,
    /// It came back, and was given back.
    Reversed,
    /// Nothing ever moved.
    Canceled,
}

impl PayoutState {
    /// Whether its money is promised or gone.
    pub fn counts(self) -> bool {
        matches!(
            self,
            Self::Due | Self::Paying | Self::Paid | Self::Reversing
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    pub id: PayoutId,
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    /// A month, from January of the year 0.
    pub period: i64,
    pub state: PayoutState,
    pub cents: Cents,
    pub method: PayoutMethod,
    /// Of the keys under which it is posted and sent. A new one only once the one before is known
    /// to have sent nothing.
    pub generation: i64,
    /// Of this generation.
    pub attempts: i64,
    /// When the worker has something to do; `None`: nothing.
    pub next_at: Option<Instant>,
    /// Where it goes, as it was when it was begun.
    pub payee: Option<String>,
    pub bank: Option<BankAccount>,
    pub file: Option<PayoutFileId>,
    /// The provider's.
    pub transfer: Option<String>,
    /// The bank's.
    pub reference: Option<String>,
    pub error: Option<String>,
    pub created_at: Instant,
    /// This generation.
    pub begun_at: Option<Instant>,
    pub paid_at: Option<Instant>,
    pub version: i64,
}

/// Cents of a reseller's payouts that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayoutSums {
    /// On their way or paid.
    pub gone: Cents,
    /// Nothing of it has moved.
    pub due: Cents,
    /// Of what is gone: off the balance for certain.
    pub debited: Cents,
}

#[derive(sqlx::FromRow)]
struct SumsRow {
    gone: i64,
    due: i64,
    debited: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct PayoutRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    currency: String,
    period: i64,
    state: String,
    cents: i64,
    method: String,
    generation: i64,
    attempts: i64,
    next_at: Option<i64>,
    payee: Option<String>,
    holder: Option<String>,
    iban: Option<String>,
    bic: Option<String>,
    file_id: Option<i64>,
    transfer: Option<String>,
    reference: Option<String>,
    error: Option<String>,
    created_at: i64,
    begun_at: Option<i64>,
    paid_at: Option<i64>,
    version: i64,
}

impl PayoutRow {
    pub(super) fn payout(self) -> Result<Payout> {
        Ok(Payout {
            id: PayoutId(self.id),
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            currency: self.currency.parse().map_err(corrupt)?,
            period: self.period,
            state: from_word(&self.state)?,
            cents: Cents(self.cents),
            method: from_word(&self.method)?,
            generation: self.generation,
            attempts: self.attempts,
            next_at: self.next_at.map(Instant),
            payee: self.payee,
            bank: bank_of(self.holder, self.iban, self.bic),
            file: self.file_id.map(PayoutFileId),
            transfer: self.transfer,
            reference: self.reference,
            error: self.error,
            created_at: Instant(self.created_at),
            begun_at: self.begun_at.map(Instant),
            paid_at: self.paid_at.map(Instant),
            version: self.version,
        })
    }
}

/// What the audit log shows.
fn summary(payout: &Payout) -> Value {
    json!({
        "state": payout.state, "cents": payout.cents, "currency": payout.currency, "method": payout.method, "generation": payout.generation,
        "payee": payout.payee, "bank": payout.bank.as_ref().map(BankAccount::masked), "transfer": payout.transfer,
        "reference": payout.reference, "error": payout.error,
    })
}

async fn log(
    tx: &mut Tx<'_>,
    actor: &Actor,
    before: Option<&Payout>,
    after: &Payout,
    action: &'static str,
) -> Result<()> {
    let (tenant, root, id) = (after.tenant, after.root, after.id.to_string());
    let change = Change {
        tenant,
        root,
        resource: "payout",
        id,
        action,
        before: before.map(summary),
        after: Some(summary(after)),
    };
    audit::append(tx, actor, &change).await
}

async fn counting_in(tx: &mut Tx<'_>, payout: &Payout) -> Result<Cents> {
    let Payout {
        root,
        tenant,
        currency,
        id,
        ..
    } = payout;
    let (cents,) = look!(
        tx,
        fetch_one as (i64,),
        COUNTING,
        root.0,
        tenant.0,
        currency.code(),
        id.0
    )?;
    Ok(Cents(cents))
}

/// Writes what may change of a row, if it still is as `before`. The log of its root is held.
pub(super) async fn replace(tx: &mut Tx<'_>, before: &Payout, after: &Payout) -> Result<bool> {
    let bank = after.bank.as_ref();
    let changed = change!(
        tx,
        UPDATE,
        before.root.0,
        before.id.0,
        before.version,
        word(&after.state)?,
        word(&after.method)?,
        after.generation,
        after.attempts,
        after.next_at.map(Instant::micros),
        after.payee.as_deref(),
        bank.map(|bank| bank.holder.as_str()),
        bank.map(|bank| bank.iban.as_str()),
        bank.and_then(|bank| bank.bic.as_deref()),
        after.file.map(|file| file.0),
        after.transfer.as_deref(),
        after.reference.as_deref(),
        after.error.as_deref(),
        after.begun_at.map(Instant::micros),
        after.paid_at.map(Instant::micros),
        after.cents.0,
    )?;
    if changed == 1 {
        tell(tx, before, after).await?;
    }
    Ok(changed == 1)
}

/// The reseller hears of it, in the transaction that says so.
async fn tell(tx: &mut Tx<'_>, before: &Payout, after: &Payout) -> Result<()> {
    let kind = match after.state {
        // Not again where taking it back was refused.
        PayoutState::Paid
            if !matches!(before.state, PayoutState::Paid | PayoutState::Reversing) =>
        {
            NoticeKind::PayoutPaid
        }
        PayoutState::Failed if before.state != PayoutState::Failed => NoticeKind::PayoutFailed,
        _ => return Ok(()),
    };
    let data = json!({ "payout": after.id, "currency": after.currency, "cents": after.cents, "error": after.error });
    let notice = Notice {
        id: NoticeId(after.id.0),
        root: after.root,
        tenant: after.tenant,
        kind,
        cause: format!(
            "payout:{}:{}:{}",
            after.id,
            after.generation,
            word(&after.state)?
        ),
        data,
        created_at: after.paid_at.or(after.begun_at).unwrap_or(after.created_at),
    };
    notices::append(tx, &notice).await.map(drop)
}

/// The same with its entry in the log.
pub(super) async fn replace_logged(
    tx: &mut Tx<'_>,
    actor: &Actor,
    before: &Payout,
    after: &Payout,
    action: &'static str,
) -> Result<bool> {
    Ok(replace(tx, before, after).await?
        && log(tx, actor, Some(before), after, action)
            .await
            .map(|()| true)?)
}

impl PayoutRows<'_> {
    /// A new payout, if other payouts of the reseller still come to `others`, as they were when its
    /// cents were worked out, and the period has none yet. False: worked out from what is no longer
    /// so.
    pub async fn create_payout(self, actor: &Actor, new: &Payout, others: Cents) -> Result<bool> {
        write!(self.0, |tx| {
            tx.lock_log(new.root).await?;
            if counting_in(tx, new).await? != others {
                return Ok(false);
            }
            let Payout {
                id,
                root,
                tenant,
                period,
                cents,
                generation,
                attempts,
                created_at,
                version,
                ..
            } = new;
            let (currency, state, method) =
                (new.currency.code(), word(&new.state)?, word(&new.method)?);
            let (id, created_at) = (id.0, created_at.micros());
            let inserted = change!(
                &mut *tx,
                INSERT,
                id,
                root.0,
                tenant.0,
                currency,
                *period,
                state,
                cents.0,
                method,
                *generation,
                *attempts,
                created_at,
                *version
            )?;
            if inserted == 0 {
                return Ok(false);
            }
            log(tx, actor, None, new, "create").await?;
            Ok(true)
        })
    }

    /// `after` in place of `before`, and an entry in the log if somebody asked for it. False: it
    /// has changed since.
    pub async fn replace_payout(
        self,
        by: Option<(&Actor, &'static str)>,
        before: &Payout,
        after: &Payout,
    ) -> Result<bool> {
        write!(self.0, |tx| {
            tx.lock_log(before.root).await?;
            match by {
                Some((actor, action)) => replace_logged(tx, actor, before, after, action).await,
                None => replace(tx, before, after).await,
            }
        })
    }

    /// The same for a payout that counted for nothing and shall count again: its cents and those of
    /// all others come to no more than `most`.
    ///
    /// # Errors
    /// `Conflict`: another period has paid the money meanwhile.
    pub async fn revive_payout(
        self,
        actor: &Actor,
        before: &Payout,
        after: &Payout,
        most: Cents,
    ) -> Result<bool> {
        write!(self.0, |tx| {
            tx.lock_log(before.root).await?;
            let others = counting_in(tx, before).await?;
            if others.checked_add(after.cents).map_err(corrupt)? > most {
                return Err(conflict(
                    "state",
                    "later payouts hold this commission: cancel it, the rest is carried forward",
                ));
            }
            replace_logged(tx, actor, before, after, "retry").await
        })
    }

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
