//! Top-ups through a payment provider: asked for here before the provider is, and what became of
//! them.

use super::PaymentRows;
use catalog::paths::below;
use catalog::{Actor, Change, Page, Period, Result, audit, conflict, one_more};
use db::sql::{Tx, change, corrupt, from_word, look, read, statements, word, write};
use rating::{Cents, Currency, Instant, TenantId, ids::TopUpId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tenants::Tenant;

macro_rules! columns {
    () => {
        "id, root_id, tenant_id, currency, cents, origin, state, request_key, token, \
            request_json, session_id, url, payment_id, failure, \
         generation, attempts, next_at, created_at, updated_at, expires_at"
    };
}

statements! {
    INSERT = concat!(
        "insert into top_ups (", columns!(), ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
            $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        " on conflict do nothing"
    );
    BY_REQUEST = concat!("select ", columns!(), " from top_ups where root_id = $1 and request_key \
        = $2");
    BY_ID = concat!("select ", columns!(), " from top_ups where id = $1");
    BY_SESSION = concat!("select ", columns!(), " from top_ups where session_id = $1");
    BY_PAYMENT = concat!("select ", columns!(), " from top_ups where payment_id = $1");
    BY_TOKEN = concat!("select ", columns!(), " from top_ups where token = $1");
    NEWEST_FIRST_BELOW = concat!(
        "select ", columns!(), " from top_ups where id < $1",
        " and tenant_id in (select t.id from tenants t where t.path >= $2 and t.path < $3)",
        " and created_at >= $4 and created_at < $5 order by id desc limit $6"
    );
    DUE = concat!("select ", columns!(), " from top_ups where next_at <= $1 order by next_at \
        limit $2");
    /// Whoever saw the row as it is changes it.
    PUT = concat!(
        "update top_ups set state = $4, session_id = $5, url = $6, payment_id = $7, failure = $8, \
            generation = $9, attempts = $10,",
        " next_at = $11, updated_at = $12, request_json = $13, expires_at = $14 where root_id = \
            $1 and id = $2 and updated_at = $3"
    );
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Somebody pays on the provider's page.
    Checkout,
    /// A saved method is charged.
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopUpState {
    Pending,
    /// Paid, and not yet there (SEPA): shown, not spendable.
    Processing,
    Succeeded,
    Failed,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUp {
    pub id: TopUpId,
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    pub cents: Cents,
    pub origin: Origin,
    pub state: TopUpState,
    /// Names the request that asked for it; unique per root.
    pub request_key: String,
    /// Names its pages to whoever pays; nobody can guess it.
    pub token: [u8; 16],
    /// What the provider is asked, word for word, however often.
    pub request: String,
    pub session: Option<String>,
    pub url: Option<String>,
    pub payment: Option<String>,
    /// A stable code.
    pub failure: Option<String>,
    /// Definitive refusals of the provider so far.
    pub idempotency_epoch: i64,
    /// Calls of this idempotency epoch.
    pub attempts: i64,
    /// When to look again; `None`: it is over.
    pub next_at: Option<Instant>,
    pub created_at: Instant,
    /// Differs after every change.
    pub updated_at: Instant,
    pub expires_at: Instant,
}

/// What became of a request to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created<T> {
    Fresh(T),
    /// The same request came before.
    Earlier(T),
}

impl<T> Created<T> {
    pub fn into_inner(self) -> T {
        match self {
            Self::Fresh(it) | Self::Earlier(it) => it,
        }
    }
}

#[derive(sqlx::FromRow)]
struct TopUpRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    currency: String,
    cents: i64,
    origin: String,
    state: String,
    request_key: String,
    token: Vec<u8>,
    request_json: String,
    session_id: Option<String>,
    url: Option<String>,
    payment_id: Option<String>,
    failure: Option<String>,
    #[sqlx(rename = "generation")]
    idempotency_epoch: i64,
    attempts: i64,
    next_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    expires_at: i64,
}

impl TopUpRow {
    fn top_up(self) -> Result<TopUp> {
        Ok(TopUp {
            id: TopUpId(self.id),
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            currency: self.currency.parse().map_err(corrupt)?,
            cents: Cents(self.cents),
            origin: from_word(&self.origin)?,
            state: from_word(&self.state)?,
            request_key: self.request_key,
            token: self
                .token
                .try_into()
                .map_err(|_| corrupt("top_ups.token"))?,
            request: self.request_json,
            session: self.session_id,
            url: self.url,
            payment: self.payment_id,
            failure: self.failure,
            idempotency_epoch: self.idempotency_epoch,
            attempts: self.attempts,
            next_at: self.next_at.map(Instant),
            created_at: Instant(self.created_at),
            updated_at: Instant(self.updated_at),
            expires_at: Instant(self.expires_at),
        })
    }
}

impl TopUp {
    /// How the audit log shows it.
    fn summary(&self) -> serde_json::Value {
        json!({ "cents": self.cents, "currency": self.currency, "origin": self.origin, "state": self.state, "failure": self.failure })
    }

    pub fn change(&self, action: &'static str, before: Option<&Self>) -> Change {
        let (before, after) = (before.map(Self::summary), Some(self.summary()));
        Change {
            tenant: self.tenant,
            root: self.root,
            resource: "top_up",
            id: self.id.to_string(),
            action,
            before,
            after,
        }
    }
}

async fn insert(tx: &mut Tx<'_>, new: &TopUp) -> Result<bool> {
    let inserted = change!(
        tx,
        INSERT,
        new.id.0,
        new.root.0,
        new.tenant.0,
        new.currency.code(),
        new.cents.0,
        word(&new.origin)?,
        word(&new.state)?,
        new.request_key.as_str(),
        new.token.as_slice(),
        new.request.as_str(),
        new.session.as_deref(),
        new.url.as_deref(),
        new.payment.as_deref(),
        new.failure.as_deref(),
        new.idempotency_epoch,
        new.attempts,
        new.next_at.map(Instant::micros),
        new.created_at.micros(),
        new.updated_at.micros(),
        new.expires_at.micros(),
    )?;
    Ok(inserted == 1)
}

/// Inserts a top-up in somebody's own transaction, or finds the one that the same request made.
pub(super) async fn create(tx: &mut Tx<'_>, actor: &Actor, new: &TopUp) -> Result<Created<TopUp>> {
    tx.lock_log(new.root).await?;
    if insert(tx, new).await? {
        audit::append(tx, actor, &new.change("create", None)).await?;
        return Ok(Created::Fresh(new.clone()));
    }
    let earlier = look!(
        tx,
        fetch_optional as TopUpRow,
        BY_REQUEST,
        new.root.0,
        new.request_key.as_str()
    )?;
    Ok(Created::Earlier(
        earlier
            .ok_or_else(|| conflict("id", "it is taken"))?
            .top_up()?,
    ))
}

/// Writes `after` over `before` unless somebody else was faster.
pub(super) async fn put(tx: &mut Tx<'_>, before: &TopUp, after: &TopUp) -> Result<bool> {
    let changed = change!(
        tx,
        PUT,
        before.root.0,
        before.id.0,
        before.updated_at.micros(),
        word(&after.state)?,
        after.session.as_deref(),
        after.url.as_deref(),
        after.payment.as_deref(),
        after.failure.as_deref(),
        after.idempotency_epoch,
        after.attempts,
        after.next_at.map(Instant::micros),
        after
            .updated_at
            .micros()
            .max(before.updated_at.micros() + 1),
        after.request.as_str(),
        after.expires_at.micros(),
    )?;
    Ok(changed == 1)
}

impl PaymentRows<'_> {
    /// Keeps what is to be asked of the provider. The same request again finds the first.
    pub async fn create_top_up(self, actor: &Actor, new: &TopUp) -> Result<Created<TopUp>> {
        write!(self.0, |tx| { create(tx, actor, new).await })
    }

    /// False: somebody else changed it since `before` was read.
    pub async fn put_top_up(self, before: &TopUp, after: &TopUp) -> Result<bool> {
        write!(self.0, |tx| { put(tx, before, after).await })
    }

    pub async fn top_up(self, id: TopUpId) -> Result<Option<TopUp>> {
        read!(self.0, fetch_optional as TopUpRow, BY_ID, id.0)?
            .map(TopUpRow::top_up)
            .transpose()
    }

    pub async fn top_up_by_session(self, session: &str) -> Result<Option<TopUp>> {
        read!(self.0, fetch_optional as TopUpRow, BY_SESSION, session)?
            .map(TopUpRow::top_up)
            .transpose()
    }

    pub async fn top_up_by_payment(self, payment: &str) -> Result<Option<TopUp>> {
        read!(self.0, fetch_optional as TopUpRow, BY_PAYMENT, payment)?
            .map(TopUpRow::top_up)
            .transpose()
    }

    pub async fn top_up_by_token(self, token: &[u8; 16]) -> Result<Option<TopUp>> {
        read!(
            self.0,
            fetch_optional as TopUpRow,
            BY_TOKEN,
            token.as_slice()
        )?
        .map(TopUpRow::top_up)
        .transpose()
    }

    /// Of `top` and every tenant under it, asked for in the period, newest first, older than
    /// `before`.
    pub async fn top_ups_below(
        self,
        top: &Tenant,
        period: Period,
        before: Option<TopUpId>,
        limit: usize,
    ) -> Result<Page<TopUp>> {
        let ((first, end), (from, until)) = (below(&top.path), period.micros());
        let before = before.map_or(i64::MAX, |id| id.0);
        let rows = read!(
            self.0,
            fetch_all as TopUpRow,
            NEWEST_FIRST_BELOW,
            before,
            first,
            end,
            from,
            until,
            one_more(limit)
        )?;
        Page::of(rows, limit, TopUpRow::top_up)
    }

    /// Those to look at again by now, the longest due first.
    pub async fn due_top_ups(self, now: Instant, limit: usize) -> Result<Vec<TopUp>> {
        let rows = read!(
            self.0,
            fetch_all as TopUpRow,
            DUE,
            now.micros(),
            one_more(limit) - 1
        )?;
        rows.into_iter().map(TopUpRow::top_up).collect()
    }
}
