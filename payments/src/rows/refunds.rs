//! Refunds that we ask for. What others refund (the provider's own pages) is seen with its payment.

use super::{Created, PaymentRows};
use catalog::{Actor, Change, Result, audit, conflict, one_more};
use db::sql::{change, corrupt, from_word, look, read, statements, word, write};
use rating::{Cents, Currency, Instant, TenantId, ids::RefundId, ids::TopUpId};
use serde::{Deserialize, Serialize};
use serde_json::json;

macro_rules! columns {
    () => {
        "id, root_id, tenant_id, top_up_id, payment_id, cents, currency, state, request_key, \
            reason, provider_id, failure, generation, \
         attempts, next_at, created_at, updated_at"
    };
}

statements! {
    INSERT = concat!(
        "insert into refunds (", columns!(), ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
            $11, $12, $13, $14, $15, $16, $17)",
        " on conflict do nothing"
    );
    BY_REQUEST = concat!("select ", columns!(), " from refunds where root_id = $1 and request_key \
        = $2");
    BY_ID = concat!("select ", columns!(), " from refunds where id = $1");
    OF_PAYMENT = concat!("select ", columns!(), " from refunds where payment_id = $1 order by id");
    OF_TOP_UP = concat!("select ", columns!(), " from refunds where top_up_id = $1 order by id");
    DUE = concat!("select ", columns!(), " from refunds where next_at <= $1 order by next_at \
        limit $2");
    /// Whoever saw the row as it is changes it.
    PUT = concat!(
        "update refunds set state = $4, provider_id = $5, failure = $6, generation = $7, attempts \
            = $8, next_at = $9, updated_at = $10",
        " where root_id = $1 and id = $2 and updated_at = $3"
    );
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Debited, and not yet known to the provider.
    Pending,
    /// The provider has it: what it comes to is seen with the payment.
    Sent,
    Succeeded,
    /// Given back to the balance.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub root: TenantId,
    pub tenant: TenantId,
    pub top_up: TopUpId,
    pub payment: String,
    pub cents: Cents,
    pub currency: Currency,
    pub state: RefundState,
    pub request_key: String,
    pub reason: String,
    /// The provider's.
    pub provider_id: Option<String>,
    /// A stable code.
    pub failure: Option<String>,
    pub idempotency_epoch: i64,
    pub attempts: i64,
    pub next_at: Option<Instant>,
    pub created_at: Instant,
    /// Differs after every change.
    pub updated_at: Instant,
}

#[derive(sqlx::FromRow)]
struct RefundRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    top_up_id: i64,
    payment_id: String,
    cents: i64,
    currency: String,
    state: String,
    request_key: String,
    reason: String,
    provider_id: Option<String>,
    failure: Option<String>,
    #[sqlx(rename = "generation")]
    idempotency_epoch: i64,
    attempts: i64,
    next_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl RefundRow {
    fn refund(self) -> Result<Refund> {
        Ok(Refund {
            id: RefundId(self.id),
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            top_up: TopUpId(self.top_up_id),
            payment: self.payment_id,
            cents: Cents(self.cents),
            currency: self.currency.parse().map_err(corrupt)?,
            state: from_word(&self.state)?,
            request_key: self.request_key,
            reason: self.reason,
            provider_id: self.provider_id,
            failure: self.failure,
            idempotency_epoch: self.idempotency_epoch,
            attempts: self.attempts,
            next_at: self.next_at.map(Instant),
            created_at: Instant(self.created_at),
            updated_at: Instant(self.updated_at),
        })
    }
}

impl Refund {
    pub fn change(&self, action: &'static str) -> Change {
        let after = json!({ "top_up": self.top_up, "cents": self.cents, "currency": self.currency, "state": self.state, "failure": self.failure });
        let id = self.id.to_string();
        Change {
            tenant: self.tenant,
            root: self.root,
            resource: "refund",
            id,
            action,
            before: None,
            after: Some(after),
        }
    }
}

impl PaymentRows<'_> {
    /// Keeps what is to be given back. The same request again finds the first.
    pub async fn create_refund(self, actor: &Actor, new: &Refund) -> Result<Created<Refund>> {
        write!(self.0, |tx| {
            tx.lock_log(new.root).await?;
            let inserted = change!(
                &mut *tx,
                INSERT,
                new.id.0,
                new.root.0,
                new.tenant.0,
                new.top_up.0,
                new.payment.as_str(),
                new.cents.0,
                new.currency.code(),
                word(&new.state)?,
                new.request_key.as_str(),
                new.reason.as_str(),
                new.provider_id.as_deref(),
                new.failure.as_deref(),
                new.idempotency_epoch,
                new.attempts,
                new.next_at.map(Instant::micros),
                new.created_at.micros(),
                new.updated_at.micros(),
            )?;
            if inserted == 1 {
                audit::append(tx, actor, &new.change("create")).await?;
                return Ok(Created::Fresh(new.clone()));
            }
            let earlier = look!(
                tx,
                fetch_optional as RefundRow,
                BY_REQUEST,
                new.root.0,
                new.request_key.as_str()
            )?;
            Ok(Created::Earlier(
                earlier
                    .ok_or_else(|| conflict("id", "it is taken"))?
                    .refund()?,
            ))
        })
    }

    /// False: somebody else changed it since `before` was read.
    pub async fn put_refund(self, actor: &Actor, before: &Refund, after: &Refund) -> Result<bool> {
        write!(self.0, |tx| {
            let moved = before.state != after.state;
            if moved {
                tx.lock_log(after.root).await?;
            }
            let changed = change!(
                &mut *tx,
                PUT,
                before.root.0,
                before.id.0,
                before.updated_at.micros(),
                word(&after.state)?,
                after.provider_id.as_deref(),
                after.failure.as_deref(),
                after.idempotency_epoch,
                after.attempts,
                after.next_at.map(Instant::micros),
                after
                    .updated_at
                    .micros()
                    .max(before.updated_at.micros() + 1),
            )?;
            if changed == 1 && moved {
                audit::append(tx, actor, &after.change("update")).await?;
            }
            Ok(changed == 1)
        })
    }

    pub async fn refund(self, id: RefundId) -> Result<Option<Refund>> {
        read!(self.0, fetch_optional as RefundRow, BY_ID, id.0)?
            .map(RefundRow::refund)
            .transpose()
    }

    /// What the same request asked for before.
    pub async fn refund_by_request(
        self,
        root: TenantId,
        request_key: &str,
    ) -> Result<Option<Refund>> {
        read!(
            self.0,
            fetch_optional as RefundRow,
            BY_REQUEST,
            root.0,
            request_key
        )?
        .map(RefundRow::refund)
        .transpose()
    }

    pub async fn refunds_of_payment(self, payment: &str) -> Result<Vec<Refund>> {
        read!(self.0, fetch_all as RefundRow, OF_PAYMENT, payment)?
            .into_iter()
            .map(RefundRow::refund)
            .collect()
    }

    pub async fn refunds_of(self, top_up: TopUpId) -> Result<Vec<Refund>> {
        read!(self.0, fetch_all as RefundRow, OF_TOP_UP, top_up.0)?
            .into_iter()
            .map(RefundRow::refund)
            .collect()
    }

    /// Those to look at again by now, the longest due first.
    pub async fn due_refunds(self, now: Instant, limit: usize) -> Result<Vec<Refund>> {
        let rows = read!(
            self.0,
            fetch_all as RefundRow,
            DUE,
            now.micros(),
            one_more(limit) - 1
        )?;
        rows.into_iter().map(RefundRow::refund).collect()
    }
}
