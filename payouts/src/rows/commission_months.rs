//! What reseller balances did, month by month: added up from the journal in its order, each record
//! once.
//!
//! A month's records are those after `after` up to `through`. The latest row of a reseller and
//! currency is how far it has been added up; only that one grows, and only until it is closed. All
//! of it can be worked out again.

use super::PayoutRows;
use super::commission_customers::{self, CustomersGrown};
use catalog::Result;
use db::sql::{Tx, change, corrupt, look, read, statements, write};
use journal::Seq;
use rating::{Cents, Currency, Instant, Overflow, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! columns {
    () => {
        "root_id, tenant_id, currency, month, after_seq, through_seq, opening_cents, \
            accrued_cents, sums_json, closed_at"
    };
}

statements! {
    INSERT = concat!(
        "insert into commission_months (", columns!(), ") values ($1, $2, $3, $4, $5, $6, $7, $8, \
            $9, $10) on conflict do nothing"
    );
    UPDATE = concat!(
        "update commission_months set after_seq = $5, through_seq = $6, opening_cents = $7, \
            accrued_cents = $8, sums_json = $9, closed_at = $10",
        " where root_id = $1 and tenant_id = $2 and currency = $3 and month = $4 and closed_at is \
            null"
    );
    /// The latest one up to a month.
    UP_TO = concat!(
        "select ", columns!(), " from commission_months where root_id = $1 and tenant_id = $2 and \
            currency = $3 and month <= $4",
        " order by month desc limit 1"
    );
}

/// What moved a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    /// From its buyers, collected by the platform; voids taken off.
    ChargesReceived,
    /// To its seller; voids taken off (negative).
    ChargesPaid,
    TopUp,
    Adjustment,
    Refund,
    Dispute,
    Payout,
    /// What else a payment moved.
    Payment,
}

/// Signed cents, and in how many entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sum {
    pub cents: Cents,
    pub entries: u64,
}

pub type Sums = BTreeMap<MoveKind, Sum>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommissionMonth {
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    /// From January of the year 0.
    pub month: i64,
    /// Exclusive.
    pub after: Seq,
    /// Inclusive.
    pub through: Seq,
    pub opening: Cents,
    /// Commission of every earlier month: charges received − charges paid.
    pub accrued: Cents,
    pub sums: Sums,
    pub closed_at: Option<Instant>,
}

impl CommissionMonth {
    /// The balance behind its last record.
    ///
    /// # Errors
    /// The balance is too large.
    pub fn closing(&self) -> Result<Cents, Overflow> {
        self.sums
            .values()
            .try_fold(self.opening, |cents, sum| cents.checked_add(sum.cents))
    }

    /// Of this month alone.
    ///
    /// # Errors
    /// As [`Self::closing`].
    pub fn commission(&self) -> Result<Cents, Overflow> {
        let of = |kind| self.sums.get(&kind).copied().unwrap_or_default().cents;
        of(MoveKind::ChargesReceived).checked_add(of(MoveKind::ChargesPaid))
    }

    /// Of every month up to this one.
    ///
    /// # Errors
    /// As [`Self::closing`].
    pub fn accrued_through(&self) -> Result<Cents, Overflow> {
        self.accrued.checked_add(self.commission()?)
    }
}

#[derive(sqlx::FromRow)]
struct MonthRow {
    root_id: i64,
    tenant_id: i64,
    currency: String,
    month: i64,
    after_seq: i64,
    through_seq: i64,
    opening_cents: i64,
    accrued_cents: i64,
    sums_json: String,
    closed_at: Option<i64>,
}

impl MonthRow {
    fn month(self) -> Result<CommissionMonth> {
        Ok(CommissionMonth {
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            currency: self.currency.parse().map_err(corrupt)?,
            month: self.month,
            after: Seq(self.after_seq),
            through: Seq(self.through_seq),
            opening: Cents(self.opening_cents),
            accrued: Cents(self.accrued_cents),
            sums: serde_json::from_str(&self.sums_json).map_err(corrupt)?,
            closed_at: self.closed_at.map(Instant),
        })
    }
}

async fn put(tx: &mut Tx<'_>, sql: &'static str, row: &CommissionMonth) -> Result<bool> {
    let sums = serde_json::to_string(&row.sums).map_err(corrupt)?;
    let CommissionMonth {
        root,
        tenant,
        month,
        after,
        through,
        opening,
        accrued,
        ..
    } = row;
    let (currency, closed_at) = (row.currency.code(), row.closed_at.map(Instant::micros));
    let changed = change!(
        tx,
        sql,
        root.0,
        tenant.0,
        currency,
        *month,
        after.0,
        through.0,
        opening.0,
        accrued.0,
        sums.as_str(),
        closed_at
    )?;
    Ok(changed == 1)
}

/// False: the latest row is another one by now.
async fn put_all(
    tx: &mut Tx<'_>,
    latest: Option<&CommissionMonth>,
    rows: &[CommissionMonth],
) -> Result<bool> {
    let Some(first) = rows.first() else {
        return Ok(true);
    };
    let (tenant, currency) = (first.tenant.0, first.currency.code());
    let found = look!(
        &mut *tx,
        fetch_optional as MonthRow,
        UP_TO,
        first.root.0,
        tenant,
        currency,
        i64::MAX
    )?;
    if found.map(MonthRow::month).transpose()?.as_ref() != latest {
        return Ok(false);
    }
    for row in rows {
        let again = latest.is_some_and(|latest| latest.month == row.month);
        if !put(tx, if again { UPDATE } else { INSERT }, row).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl PayoutRows<'_> {
    /// The latest month with records up to `month`; `None`: nothing moved until then, as far as it
    /// was added up.
    pub async fn commission_month(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
        month: i64,
    ) -> Result<Option<CommissionMonth>> {
        let row = read!(
            self.0,
            fetch_optional as MonthRow,
            UP_TO,
            root.0,
            tenant.0,
            currency.code(),
            month
        )?;
        row.map(MonthRow::month).transpose()
    }

    /// Stores what became of the latest row (`None`: there was none), and the months after it, in
    /// order; and what the same records came to by customer. Nothing is stored if the latest row or
    /// the position is another one by now: `false`.
    pub async fn add_commission(
        self,
        latest: Option<&CommissionMonth>,
        rows: &[CommissionMonth],
        customers: Option<&CustomersGrown>,
    ) -> Result<bool> {
        let Some(root) = rows
            .first()
            .map(|row| row.root)
            .or(customers.map(|grown| grown.after.root))
        else {
            return Ok(true);
        };
        write!(self.0, |tx| {
            tx.lock_log(root).await?;
            if let Some(grown) = customers
                && !commission_customers::is_at(tx, grown).await?
            {
                return Ok(false);
            }
            if !put_all(tx, latest, rows).await? {
                return Ok(false);
            }
            if let Some(grown) = customers {
                commission_customers::grow(tx, grown).await?;
            }
            Ok(true)
        })
    }
}
