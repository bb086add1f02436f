//! Automatic top-ups: which balances, by which kept method, and the one top-up that may be under
//! way for each.
//!
//! Invariant: a top-up is written in the transaction that marks it as the one under way, and
//! whoever saw the row as it was changes it: of all that see a balance fall, one begins.

use super::{Created, PaymentRows, TopUp, top_ups};
use catalog::{Actor, CatalogError, Change, Result, audit, conflict, one_more};
use db::sql::{Tx, change, corrupt, from_word, read, statements, word, write};
use journal::Seq;
use rating::{Cents, Currency, Instant, TenantId, ids::TopUpId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Rows read at once where all are read.
pub const AUTO_ROWS_MAX: usize = 5_000;

macro_rules! columns {
    () => {
        "root_id, tenant_id, currency, state, threshold_cents, amount_cents, month_max_cents, \
            customer, method, kept_id, pause, open_id, \
         month, month_cents, day, day_failures, failures, not_before, next_at, created_at, \
         updated_at, seen_seq, other_cents"
    };
}

statements! {
    INSERT = concat!(
        "insert into auto_top_ups (", columns!(), ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
            $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)",
        " on conflict do nothing"
    );
    OF_BALANCE = concat!("select ", columns!(), " from auto_top_ups where tenant_id = $1 and \
        currency = $2");
    OF_TENANT = concat!("select ", columns!(), " from auto_top_ups where tenant_id = $1 order by \
        currency");
    BY_METHOD = concat!("select ", columns!(), " from auto_top_ups where method = $1");
    BY_CUSTOMER = concat!("select ", columns!(), " from auto_top_ups where customer = $1");
    DUE = concat!("select ", columns!(), " from auto_top_ups where next_at <= $1 order by next_at \
        limit $2");
    /// By tenant and currency, so that a page goes on where the one before ended.
    ON = concat!(
        "select ", columns!(), " from auto_top_ups where state = 'on' and method is not null",
        " and (tenant_id > $1 or (tenant_id = $1 and currency > $2)) order by tenant_id, currency \
            limit $3"
    );
    /// Whoever saw the row as it is changes it.
    PUT = concat!(
        "update auto_top_ups set state = $5, threshold_cents = $6, amount_cents = $7, \
            month_max_cents = $8, customer = $9, method = $10,",
        " pause = $11, open_id = $12, month = $13, month_cents = $14, day = $15, day_failures = \
            $16, failures = $17, not_before = $18,",
        " next_at = $19, updated_at = $20, kept_id = $21, seen_seq = $22, other_cents = $23 where \
            root_id = $1 and tenant_id = $2 and currency = $3 and updated_at = $4"
    );
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoState {
    On,
    /// Until its payer does something.
    Paused,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoTopUp {
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    pub state: AutoState,
    /// Topped up once its posted balance is at or below.
    pub threshold: Cents,
    pub amount: Cents,
    /// Of a calendar month in UTC.
    pub month_max: Cents,
    /// The provider's, for whom it keeps …
    pub customer: Option<String>,
    /// … the method; `None`: none yet, or it is gone.
    pub method: Option<String>,
    /// The top-up with which that was kept, the latest there was.
    pub kept: Option<TopUpId>,
    /// Why it is paused, or was switched off by itself: a stable code.
    pub pause: Option<String>,
    /// The top-up under way.
    pub open: Option<TopUpId>,
    /// The month (months since year 0) that `month_spent` counts.
    pub month: i64,
    pub month_spent: Cents,
    /// The day (days since 1970) that `day_failures` counts.
    pub day: i64,
    pub day_failures: i64,
    /// In a row.
    pub failures: i64,
    pub not_before: Instant,
    /// When to look again; `None`: there is nothing to look for.
    pub next_at: Option<Instant>,
    /// Records of the balance up to here are in `other`; `None`: counting begins with the next
    /// look.
    pub seen: Option<Seq>,
    /// Debits of the balance by anything but usage that were not made up for since.
    pub other: Cents,
    pub created_at: Instant,
    /// Differs after every change.
    pub updated_at: Instant,
}

#[derive(sqlx::FromRow)]
struct AutoRow {
    root_id: i64,
    tenant_id: i64,
    currency: String,
    state: String,
    threshold_cents: i64,
    amount_cents: i64,
    month_max_cents: i64,
    customer: Option<String>,
    method: Option<String>,
    kept_id: Option<i64>,
    pause: Option<String>,
    open_id: Option<i64>,
    month: i64,
    month_cents: i64,
    day: i64,
    day_failures: i64,
    failures: i64,
    not_before: i64,
    next_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    seen_seq: Option<i64>,
    other_cents: i64,
}

impl AutoRow {
    fn auto(self) -> Result<AutoTopUp> {
        Ok(AutoTopUp {
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            currency: self.currency.parse().map_err(corrupt)?,
            state: from_word(&self.state)?,
            threshold: Cents(self.threshold_cents),
            amount: Cents(self.amount_cents),
            month_max: Cents(self.month_max_cents),
            customer: self.customer,
            method: self.method,
            kept: self.kept_id.map(TopUpId),
            pause: self.pause,
            open: self.open_id.map(TopUpId),
            month: self.month,
            month_spent: Cents(self.month_cents),
            day: self.day,
            day_failures: self.day_failures,
            failures: self.failures,
            not_before: Instant(self.not_before),
            next_at: self.next_at.map(Instant),
            seen: self.seen_seq.map(Seq),
            other: Cents(self.other_cents),
            created_at: Instant(self.created_at),
            updated_at: Instant(self.updated_at),
        })
    }
}

impl AutoTopUp {
    /// How the audit log shows it: what somebody decided, and whether it is paused.
    fn summary(&self) -> Value {
        json!({
            "currency": self.currency, "state": self.state, "pause": self.pause, "threshold_cents": self.threshold,
            "amount_cents": self.amount, "month_max_cents": self.month_max, "has_method": self.method.is_some(),
        })
    }

    fn change(&self, action: &'static str, before: Option<&Self>) -> Change {
        let (before, after) = (before.map(Self::summary), Some(self.summary()));
        Change {
            tenant: self.tenant,
            root: self.root,
            resource: "auto_top_up",
            id: self.tenant.to_string(),
            action,
            before,
            after,
        }
    }
}

async fn insert(tx: &mut Tx<'_>, new: &AutoTopUp) -> Result<bool> {
    let inserted = change!(
        tx,
        INSERT,
        new.root.0,
        new.tenant.0,
        new.currency.code(),
        word(&new.state)?,
        new.threshold.0,
        new.amount.0,
        new.month_max.0,
        new.customer.as_deref(),
        new.method.as_deref(),
        new.kept.map(|id| id.0),
        new.pause.as_deref(),
        new.open.map(|id| id.0),
        new.month,
        new.month_spent.0,
        new.day,
        new.day_failures,
        new.failures,
        new.not_before.micros(),
        new.next_at.map(Instant::micros),
        new.created_at.micros(),
        new.updated_at.micros(),
        new.seen.map(|seq| seq.0),
        new.other.0,
    )?;
    Ok(inserted == 1)
}

async fn put(tx: &mut Tx<'_>, before: &AutoTopUp, after: &AutoTopUp) -> Result<bool> {
    let changed = change!(
        tx,
        PUT,
        before.root.0,
        before.tenant.0,
        before.currency.code(),
        before.updated_at.micros(),
        word(&after.state)?,
        after.threshold.0,
        after.amount.0,
        after.month_max.0,
        after.customer.as_deref(),
        after.method.as_deref(),
        after.pause.as_deref(),
        after.open.map(|id| id.0),
        after.month,
        after.month_spent.0,
        after.day,
        after.day_failures,
        after.failures,
        after.not_before.micros(),
        after.next_at.map(Instant::micros),
        after
            .updated_at
            .micros()
            .max(before.updated_at.micros() + 1),
        after.kept.map(|id| id.0),
        after.seen.map(|seq| seq.0),
        after.other.0,
    )?;
    Ok(changed == 1)
}

impl PaymentRows<'_> {
    pub async fn auto_top_up(
        self,
        tenant: TenantId,
        currency: Currency,
    ) -> Result<Option<AutoTopUp>> {
        read!(
            self.0,
            fetch_optional as AutoRow,
            OF_BALANCE,
            tenant.0,
            currency.code()
        )?
        .map(AutoRow::auto)
        .transpose()
    }

    /// Of a tenant, by currency.
    pub async fn auto_top_ups_of(self, tenant: TenantId) -> Result<Vec<AutoTopUp>> {
        read!(self.0, fetch_all as AutoRow, OF_TENANT, tenant.0)?
            .into_iter()
            .map(AutoRow::auto)
            .collect()
    }

    pub async fn auto_top_ups_by_method(self, method: &str) -> Result<Vec<AutoTopUp>> {
        read!(self.0, fetch_all as AutoRow, BY_METHOD, method)?
            .into_iter()
            .map(AutoRow::auto)
            .collect()
    }

    pub async fn auto_top_ups_by_customer(self, customer: &str) -> Result<Vec<AutoTopUp>> {
        read!(self.0, fetch_all as AutoRow, BY_CUSTOMER, customer)?
            .into_iter()
            .map(AutoRow::auto)
            .collect()
    }

    /// Those to look at again by now, the longest due first.
    pub async fn due_auto_top_ups(self, now: Instant, limit: usize) -> Result<Vec<AutoTopUp>> {
        let rows = read!(
            self.0,
            fetch_all as AutoRow,
            DUE,
            now.micros(),
            one_more(limit) - 1
        )?;
        rows.into_iter().map(AutoRow::auto).collect()
    }

    /// A page of all that are on and have a method; it goes on after the last of the page before.
    pub async fn auto_top_ups_on(self, after: Option<&AutoTopUp>) -> Result<Vec<AutoTopUp>> {
        let (tenant, currency) =
            after.map_or((0, ""), |last| (last.tenant.0, last.currency.code()));
        let rows = read!(
            self.0,
            fetch_all as AutoRow,
            ON,
            tenant,
            currency,
            one_more(AUTO_ROWS_MAX) - 1
        )?;
        rows.into_iter().map(AutoRow::auto).collect()
    }

    /// What somebody decided, or a payer did. False: the row is not as `before` says (`None`: there
    /// was none).
    pub async fn save_auto_top_up(
        self,
        actor: &Actor,
        before: Option<&AutoTopUp>,
        after: &AutoTopUp,
    ) -> Result<bool> {
        write!(self.0, |tx| {
            tx.lock_log(after.root).await?;
            let done = match before {
                None => insert(tx, after).await?,
                Some(before) => put(tx, before, after).await?,
            };
            if done {
                let action = if before.is_some() { "update" } else { "create" };
                audit::append(tx, actor, &after.change(action, before)).await?;
            }
            Ok(done)
        })
    }

    /// When it is looked at again. False: somebody else changed it.
    pub async fn put_auto_top_up(self, before: &AutoTopUp, after: &AutoTopUp) -> Result<bool> {
        write!(self.0, |tx| { put(tx, before, after).await })
    }

    /// Begins a top-up. False: somebody else changed the row, so perhaps began one.
    pub async fn begin_auto_top_up(
        self,
        actor: &Actor,
        before: &AutoTopUp,
        after: &AutoTopUp,
        top_up: &TopUp,
    ) -> Result<bool> {
        write!(self.0, |tx| {
            tx.lock_log(after.root).await?;
            if !put(tx, before, after).await? {
                return Ok(false);
            }
            match top_ups::create(tx, actor, top_up).await? {
                Created::Fresh(_) => Ok(true),
                Created::Earlier(_) => Err(conflict("id", "it is taken")),
            }
        })
    }

    /// Ends the top-up under way: what it came to. False: somebody else was faster.
    pub async fn end_auto_top_up(
        self,
        actor: &Actor,
        top_up: Option<(&TopUp, &TopUp)>,
        auto: (&AutoTopUp, &AutoTopUp),
    ) -> Result<bool> {
        let (before, after) = auto;
        let ended = write!(self.0, |tx| {
            tx.lock_log(after.root).await?;
            if !put(tx, before, after).await? {
                return Ok(false);
            }
            if let Some((was, is)) = top_up {
                if !top_ups::put(tx, was, is).await? {
                    return Err(conflict("top_up", "it changed"));
                }
                audit::append(tx, actor, &is.change("update", Some(was))).await?;
            }
            if before.state != after.state {
                audit::append(tx, actor, &after.change("update", Some(before))).await?;
            }
            Ok(true)
        });
        match ended {
            Err(CatalogError::Conflict { .. }) => Ok(false),
            ended => ended,
        }
    }
}
