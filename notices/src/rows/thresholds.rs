//! Thresholds of balances, and what was told of them: once when one is reached, and again only
//! after it rose above it.
//!
//! Invariant: that a balance is low, or used up, is marked by a guarded update in the transaction
//! that records the notice, so that of several processes that see it one tells.

use super::NoticeRows;
use super::notices::{self, Notice};
use catalog::tenants::tenant_held;
use catalog::{Actor, Change, Result, audit};
use db::sql::{Tx, change, corrupt, from_word, look, read, statements, write};
use rating::{Cents, Currency, Instant, TenantId};
use serde_json::json;
use tenants::Collect;

/// Thresholds read at once.
pub const THRESHOLD_ROWS_MAX: i64 = 5_000;

macro_rules! columns {
    () => {
        "root_id, tenant_id, currency, low_cents, low_at, exhausted_at"
    };
}

statements! {
    OF_TENANT = concat!("select ", columns!(), " from balance_thresholds where root_id = $1 and \
        tenant_id = $2 and currency = $3");
    /// By tenant and currency, so that a page goes on where the one before ended.
    ALL = concat!(
        "select ", columns!(), " from balance_thresholds where (low_cents is not null or \
            exhausted_at is not null)",
        " and (tenant_id > $1 or (tenant_id = $1 and currency > $2)) order by tenant_id, currency \
            limit $3"
    );
    /// Whether the balance is low by the new threshold is yet to be seen.
    SET = concat!(
        "insert into balance_thresholds (root_id, tenant_id, currency, low_cents, low_at, \
            exhausted_at, updated_at)",
        " values ($1, $2, $3, $4, null, null, $5) on conflict (root_id, tenant_id, currency)",
        " do update set low_cents = excluded.low_cents, low_at = null, updated_at = \
            excluded.updated_at"
    );
    LOW = concat!(
        "update balance_thresholds set low_at = $5 where root_id = $1 and tenant_id = $2 and \
            currency = $3",
        " and low_cents = $4 and low_at is null"
    );
    NOT_LOW = "update balance_thresholds set low_at = null where root_id = $1 and tenant_id = $2 \
        and currency = $3 and low_at is not null";
    EXHAUSTED = concat!(
        "insert into balance_thresholds (root_id, tenant_id, currency, low_cents, low_at, \
            exhausted_at, updated_at)",
        " values ($1, $2, $3, null, null, $4, $4) on conflict (root_id, tenant_id, currency)",
        " do update set exhausted_at = excluded.exhausted_at where \
            balance_thresholds.exhausted_at is null"
    );
    NOT_EXHAUSTED = concat!(
        "update balance_thresholds set exhausted_at = null where root_id = $1 and tenant_id = $2 \
            and currency = $3",
        " and exhausted_at is not null"
    );
    /// Buyers whose balance has a limit now.
    LIMITED = concat!(
        "select id, root_id, buyer_id, currency, credit_limit_cents, collect, seller_id from \
            agreements",
        " where credit_limit_cents is not null and from_at <= $1 and (until_at is null or \
            until_at > $1) and id > $2 order by id limit $3"
    );
}

/// What is known of one balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    /// At or below it the balance counts as low. `None`: never.
    pub low: Option<Cents>,
    /// Since when it was told to be low.
    pub low_at: Option<Instant>,
    /// Since when it was told to be used up.
    pub exhausted_at: Option<Instant>,
}

/// A balance that may not fall below −`limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// The agreement's: where the next page goes on.
    pub after: i64,
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    pub limit: Cents,
    pub collect: Collect,
    pub seller: TenantId,
}

/// Which of a balance's two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// At or below its threshold, which is still this.
    Low(Cents),
    Exhausted,
}

#[derive(sqlx::FromRow)]
struct ThresholdRow {
    root_id: i64,
    tenant_id: i64,
    currency: String,
    low_cents: Option<i64>,
    low_at: Option<i64>,
    exhausted_at: Option<i64>,
}

impl ThresholdRow {
    fn threshold(self) -> Result<Threshold> {
        Ok(Threshold {
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            currency: self.currency.parse().map_err(corrupt)?,
            low: self.low_cents.map(Cents),
            low_at: self.low_at.map(Instant),
            exhausted_at: self.exhausted_at.map(Instant),
        })
    }
}

async fn threshold_in(
    tx: &mut Tx<'_>,
    root: TenantId,
    tenant: TenantId,
    currency: Currency,
) -> Result<Option<Threshold>> {
    let row = look!(
        tx,
        fetch_optional as ThresholdRow,
        OF_TENANT,
        root.0,
        tenant.0,
        currency.code()
    )?;
    row.map(ThresholdRow::threshold).transpose()
}

impl NoticeRows<'_> {
    pub async fn threshold(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
    ) -> Result<Option<Threshold>> {
        let row = read!(
            self.0,
            fetch_optional as ThresholdRow,
            OF_TENANT,
            root.0,
            tenant.0,
            currency.code()
        )?;
        row.map(ThresholdRow::threshold).transpose()
    }

    /// A page of everything that is set or was told, by tenant and currency; it goes on after the
    /// last of the page before.
    pub async fn thresholds(self, after: Option<&Threshold>) -> Result<Vec<Threshold>> {
        let (tenant, currency) =
            after.map_or((0, ""), |last| (last.tenant.0, last.currency.code()));
        let rows = read!(
            self.0,
            fetch_all as ThresholdRow,
            ALL,
            tenant,
            currency,
            THRESHOLD_ROWS_MAX
        )?;
        rows.into_iter().map(ThresholdRow::threshold).collect()
    }

    /// Sets, or removes, the threshold of a tenant's balance. Whatever was told before, it is told
    /// when it is reached.
    pub async fn set_threshold(
        self,
        actor: &Actor,
        tenant: TenantId,
        currency: Currency,
        low: Option<Cents>,
    ) -> Result<Threshold> {
        write!(self.0, |tx| {
            let root = tenant_held(tx, tenant).await?.root;
            let before = threshold_in(tx, root, tenant, currency).await?;
            change!(
                &mut *tx,
                SET,
                root.0,
                tenant.0,
                currency.code(),
                low.map(|cents| cents.0),
                actor.at.micros()
            )?;
            let shown =
                |low: Option<Cents>| Some(json!({ "currency": currency, "low_cents": low }));
            let (before, after) = (shown(before.and_then(|before| before.low)), shown(low));
            let (resource, id) = ("balance_threshold", tenant.to_string());
            audit::append(
                tx,
                actor,
                &Change {
                    tenant,
                    root,
                    resource,
                    id,
                    action: "set",
                    before,
                    after,
                },
            )
            .await?;
            let exhausted_at = threshold_in(tx, root, tenant, currency)
                .await?
                .and_then(|now| now.exhausted_at);
            Ok(Threshold {
                root,
                tenant,
                currency,
                low,
                low_at: None,
                exhausted_at,
            })
        })
    }

    /// Tells that a balance is low or used up. False: that was told, or the threshold is another.
    pub async fn tell_reached(
        self,
        currency: Currency,
        reached: Reached,
        notice: &Notice,
    ) -> Result<bool> {
        let (root, tenant, at) = (notice.root.0, notice.tenant.0, notice.created_at.micros());
        write!(self.0, |tx| {
            let marked = match reached {
                Reached::Low(threshold) => change!(
                    &mut *tx,
                    LOW,
                    root,
                    tenant,
                    currency.code(),
                    threshold.0,
                    at
                )?,
                Reached::Exhausted => {
                    change!(&mut *tx, EXHAUSTED, root, tenant, currency.code(), at)?
                }
            };
            Ok(marked == 1 && notices::append(tx, notice).await?)
        })
    }

    /// A balance rose again: the next time it is told anew. False: it was not told to be low or
    /// used up.
    pub async fn rearm(
        self,
        root: TenantId,
        tenant: TenantId,
        currency: Currency,
        reached: Reached,
    ) -> Result<bool> {
        let sql = match reached {
            Reached::Low(_) => NOT_LOW,
            Reached::Exhausted => NOT_EXHAUSTED,
        };
        write!(self.0, |tx| {
            Ok(change!(tx, sql, root.0, tenant.0, currency.code())? == 1)
        })
    }

    /// Balances with a limit that is in force, by the ids of their agreements.
    pub async fn limited_balances(self, now: Instant, after: i64) -> Result<Vec<Limited>> {
        let rows = read!(
            self.0,
            fetch_all as (i64, i64, i64, String, i64, String, i64),
            LIMITED,
            now.micros(),
            after,
            THRESHOLD_ROWS_MAX
        )?;
        let limited = |(after, root, buyer, currency, limit, collect, seller): (
            i64,
            i64,
            i64,
            String,
            i64,
            String,
            i64,
        )| {
            let currency = currency.parse().map_err(corrupt)?;
            let (root, tenant, limit, seller) = (
                TenantId(root),
                TenantId(buyer),
                Cents(limit),
                TenantId(seller),
            );
            Ok(Limited {
                after,
                root,
                tenant,
                currency,
                limit,
                collect: from_word(&collect)?,
                seller,
            })
        };
        rows.into_iter().map(limited).collect()
    }
}
