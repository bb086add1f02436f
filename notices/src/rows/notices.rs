//! Notices: what a tenant is told of, recorded in the transaction of what it tells of. Deliveries
//! are made of them later.
//!
//! Invariants: told twice of the same cause it is one notice; a notice is marked as sent in the
//! transaction that makes its deliveries, so that whoever dies in between leaves it to the next.

use super::NoticeRows;
use super::deliveries::{self, NewDelivery};
use catalog::{Result, conflict};
use db::sql::{Tx, change, corrupt, from_word, look, read, statements, word, write};
use rating::{Instant, TenantId, ids::NoticeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Notices read at once to be sent.
pub const UNSENT_ROWS_MAX: i64 = 200;
/// How long notices and their deliveries are kept.
pub const NOTICES_KEPT_SECS: i64 = 30 * 86_400;
/// Rows removed by one purge, of each table.
const PURGED_ROWS_MAX: i64 = 10_000;
/// A server that runs has dealt with what is due within seconds.
const LATE_SECS: i64 = 300;
/// Failures of the last day are told of by `health-check`.
const LATELY_SECS: i64 = 86_400;
/// Ids tried when one is taken: ids of one millisecond are random in 22 bits.
const IDS_TRIED_MAX: i64 = 8;

statements! {
    APPEND = concat!(
        "insert into notices (id, root_id, tenant_id, kind, cause, data_json, created_at, sent_at)",
        " values ($1, $2, $3, $4, $5, $6, $7, null) on conflict do nothing"
    );
    OF_CAUSE = "select id from notices where root_id = $1 and cause = $2";
    UNSENT = "select id, root_id, tenant_id, kind, cause, data_json, created_at from notices \
        where sent_at is null order by id limit $1";
    SENT = "update notices set sent_at = $3 where root_id = $1 and id = $2 and sent_at is null";
    /// Those that were sent: what was not is still to be told.
    PURGE = concat!(
        "delete from notices where (root_id, id) in",
        " (select root_id, id from notices where created_at < $1 and sent_at is not null order by \
            created_at limit $2)"
    );
    /// What is late: `$1` is when it should have been dealt with, `$2` since when failures count.
    UNDELIVERED = concat!(
        "select (select count(*) from notices where sent_at is null and created_at < $1) as \
            unsent,",
        " (select count(*) from deliveries where next_at < $1) as overdue,",
        " (select count(*) from deliveries where state = 'failed' and created_at >= $2) as failed,",
        " (select count(*) from webhook_endpoints where active = 0 and disabled_why is not null) \
            as disabled"
    );
}

/// What happened. The words are those of webhooks' `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NoticeKind {
    /// A balance reached its threshold. Data: `currency`, `balance_cents`, `threshold_cents`.
    #[serde(rename = "balance.low")]
    BalanceLow,
    /// A balance with a limit is used up. Data: `currency`, `balance_cents`, `credit_limit_cents`.
    #[serde(rename = "balance.exhausted")]
    BalanceExhausted,
    /// Data of the four: `currency`, `cents`, and what names the top-up; an action also needs its
    /// `url`.
    #[serde(rename = "top_up.succeeded")]
    TopUpSucceeded,
    #[serde(rename = "top_up.failed")]
    TopUpFailed,
    #[serde(rename = "top_up.action_required")]
    TopUpActionRequired,
    /// A balance is topped up by itself no longer, or not until then. Data: `currency`, `cents`,
    /// `reason`, and `until` if it goes on by itself.
    #[serde(rename = "auto_top_up.paused")]
    AutoTopUpPaused,
    /// For the platform's operator: money in suspense, disputes. Data: `what`, and what is known of
    /// the payment.
    #[serde(rename = "payment.attention")]
    PaymentAttention,
    /// Data of both: `currency`, `cents`, and what names the payout.
    #[serde(rename = "payout.paid")]
    PayoutPaid,
    #[serde(rename = "payout.failed")]
    PayoutFailed,
    /// Usage was kept without a price. Data: `reason`, `count`.
    #[serde(rename = "usage.unrated")]
    UsageUnrated,
    /// A seller paid more than it received. Data: `currency`, `cents`, `exact_cents`.
    #[serde(rename = "margin.negative")]
    MarginNegative,
    /// Holds ended by themselves. Data: `count`.
    #[serde(rename = "hold.expired")]
    HoldExpired,
    /// Asked for, to try an endpoint or a contact.
    #[serde(rename = "test")]
    Test,
}

impl NoticeKind {
    /// Those that an endpoint or a contact may want.
    pub const ALL: [Self; 12] = [
        Self::BalanceLow,
        Self::BalanceExhausted,
        Self::TopUpSucceeded,
        Self::TopUpFailed,
        Self::TopUpActionRequired,
        Self::AutoTopUpPaused,
        Self::PaymentAttention,
        Self::PayoutPaid,
        Self::PayoutFailed,
        Self::UsageUnrated,
        Self::MarginNegative,
        Self::HoldExpired,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::BalanceLow => "balance.low",
            Self::BalanceExhausted => "balance.exhausted",
            Self::TopUpSucceeded => "top_up.succeeded",
            Self::TopUpFailed => "top_up.failed",
            Self::TopUpActionRequired => "top_up.action_required",
            Self::AutoTopUpPaused => "auto_top_up.paused",
            Self::PaymentAttention => "payment.attention",
            Self::PayoutPaid => "payout.paid",
            Self::PayoutFailed => "payout.failed",
            Self::UsageUnrated => "usage.unrated",
            Self::MarginNegative => "margin.negative",
            Self::HoldExpired => "hold.expired",
            Self::Test => "test",
        }
    }
}

/// Something a tenant is told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Another is taken should this one be.
    pub id: NoticeId,
    pub root: TenantId,
    /// Whom it is about: its endpoints and contacts hear of it, and those above it that want to.
    pub tenant: TenantId,
    pub kind: NoticeKind,
    /// What it tells of, such as `top_up:top_…:succeeded`: unique within the root.
    pub cause: String,
    /// An object; whose it is (`tenant`) is added when it is sent.
    pub data: Value,
    pub created_at: Instant,
}

/// What has not arrived, for health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Undelivered {
    /// Notices that nobody has made deliveries of, for a while.
    pub unsent: i64,
    /// Deliveries that should have been tried by now.
    pub overdue: i64,
    /// Deliveries given up recently.
    pub failed: i64,
    /// Endpoints that are switched off because they said so or never answered.
    pub disabled: i64,
}

#[derive(sqlx::FromRow)]
struct NoticeRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    kind: String,
    cause: String,
    data_json: String,
    created_at: i64,
}

impl NoticeRow {
    fn notice(self) -> Result<Notice> {
        Ok(Notice {
            id: NoticeId(self.id),
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            kind: from_word(&self.kind)?,
            cause: self.cause,
            data: serde_json::from_str(&self.data_json).map_err(corrupt)?,
            created_at: Instant(self.created_at),
        })
    }
}

/// A look from outside, with one argument each: by when it should have been dealt with, and since
/// when failures count.
pub const fn undelivered() -> &'static str {
    UNDELIVERED
}

/// What counts as late at `now`, and as failed lately: the arguments of [`undelivered`].
pub fn late_and_lately(now: Instant) -> (i64, i64) {
    (
        now.plus_secs(-LATE_SECS).micros(),
        now.plus_secs(-LATELY_SECS).micros(),
    )
}

/// Records a notice in the transaction of what it tells of. False: it was told of before.
pub async fn append(tx: &mut Tx<'_>, notice: &Notice) -> Result<bool> {
    let (kind, data) = (word(&notice.kind)?, notice.data.to_string());
    for further in 0..IDS_TRIED_MAX {
        let id = notice.id.0.saturating_add(further);
        let (root, tenant, at) = (notice.root.0, notice.tenant.0, notice.created_at.micros());
        if change!(
            &mut *tx,
            APPEND,
            id,
            root,
            tenant,
            kind.as_str(),
            notice.cause.as_str(),
            data.as_str(),
            at
        )? == 1
        {
            return Ok(true);
        }
        if look!(
            &mut *tx,
            fetch_optional as (i64,),
            OF_CAUSE,
            root,
            notice.cause.as_str()
        )?
        .is_some()
        {
            return Ok(false);
        }
    }
    Err(conflict("id", "it is taken"))
}

impl NoticeRows<'_> {
    /// Records a notice by itself. False: it was told of before.
    pub async fn append_notice(self, notice: &Notice) -> Result<bool> {
        write!(self.0, |tx| { append(tx, notice).await })
    }

    /// Notices of which no deliveries were made yet, oldest first.
    pub async fn unsent_notices(self) -> Result<Vec<Notice>> {
        let rows = read!(self.0, fetch_all as NoticeRow, UNSENT, UNSENT_ROWS_MAX)?;
        rows.into_iter().map(NoticeRow::notice).collect()
    }

    /// Makes a notice's deliveries, unless another process has. False: it has.
    pub async fn send_notice(
        self,
        notice: &Notice,
        deliveries: &[NewDelivery],
        now: Instant,
    ) -> Result<bool> {
        write!(self.0, |tx| {
            if change!(&mut *tx, SENT, notice.root.0, notice.id.0, now.micros())? == 0 {
                return Ok(false);
            }
            for delivery in deliveries {
                deliveries::insert(tx, delivery, now).await?;
            }
            Ok(true)
        })
    }

    /// Removes what is older than it is kept, oldest first, a bounded number; how many rows.
    pub async fn purge_notices(self, now: Instant) -> Result<u64> {
        let before = now.plus_secs(-NOTICES_KEPT_SECS).micros();
        write!(self.0, |tx| {
            let notices = change!(&mut *tx, PURGE, before, PURGED_ROWS_MAX)?;
            Ok(notices + deliveries::purge(tx, before, PURGED_ROWS_MAX).await?)
        })
    }
}
