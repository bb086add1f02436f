//! Who changed what, when and why: written in the transaction of the change, never altered.

use super::{
    Actor, Catalog, Page, Period, Result, audit_heads, idempotency, one_more, paths::below,
};
use db::sql::{Tx, change, corrupt, look, read, statements, write};
use rating::{Instant, TenantId, ids, ids::ApiKeyId};
use serde_json::Value;
use tenants::{Tenant, TenantKind};

macro_rules! columns {
    () => {
        "id, root_id, tenant_id, at, actor_key_id, actor_tenant_id, resource, resource_id, \
            action, before_json, after_json, reason, request_id"
    };
}

/// What is null asks for nothing.
macro_rules! filtered {
    () => {
        " and (cast($2 as bigint) is null or actor_key_id = $2) and (cast($3 as bigint) is null \
            or tenant_id = $3) \
         and (cast($4 as text) is null or resource = $4) and at >= $5 and at < $6"
    };
}

statements! {
    LAST_ID = "select coalesce(max(id), 0) from audit_log";
    LAST_ID_OF_ROOT = "select coalesce(max(id), 0) from audit_log where root_id = $1";
    APPEND = concat!("insert into audit_log (", columns!(), ") values ($1, $2, $3, $4, $5, $6, \
        $7, $8, $9, $10, $11, $12, $13)");
    NEWEST_FIRST = concat!("select ", columns!(), " from audit_log where id < $1", filtered!(), " order by id desc limit $7");
    NEWEST_FIRST_BELOW = concat!(
        "select ", columns!(), " from audit_log where id < $1", filtered!(),
        " and root_id = $7 and tenant_id in (select t.id from tenants t where t.path >= $8 and \
            t.path < $9) order by id desc limit $10"
    );
}

/// What entries are about. A filter by any other would read as "nothing happened".
pub const AUDITED: [&str; 23] = [
    "adjustment",
    "agreement",
    "api_key",
    "auto_top_up",
    "balance_threshold",
    "clock",
    "column_map",
    "contact",
    "delivery",
    "journal",
    "meter",
    "payout",
    "payout_file",
    "payout_settings",
    "rate_card",
    "rate_card_version",
    "refund",
    "restoration",
    "setting",
    "tenant",
    "top_up",
    "usage_event",
    "webhook_endpoint",
];

/// One change of one record. Values are summaries: no secrets, no hashes of secrets, no whole
/// documents.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose record it is: the entry shows in the lists of this tenant's subtree and above.
    pub tenant: TenantId,
    pub root: TenantId,
    pub resource: &'static str,
    pub id: String,
    pub action: &'static str,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: i64,
    pub at: Instant,
    pub actor_key: Option<ApiKeyId>,
    pub actor_tenant: TenantId,
    pub tenant: TenantId,
    pub resource: String,
    pub resource_id: String,
    pub action: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub reason: Option<String>,
    pub request_id: String,
}

/// Which entries; `None`: whatever it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Whose holder did it.
    pub key: Option<ApiKeyId>,
    /// Whose record was changed.
    pub tenant: Option<TenantId>,
    pub resource: Option<String>,
    pub period: Period,
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    id: i64,
    tenant_id: i64,
    at: i64,
    actor_key_id: Option<i64>,
    actor_tenant_id: i64,
    resource: String,
    resource_id: String,
    action: String,
    before_json: Option<String>,
    after_json: Option<String>,
    reason: Option<String>,
    request_id: String,
}

/// Appends one entry. Its id follows the clock and is always above every earlier one: of all on
/// SQLite, of its root on PostgreSQL, where only the root is held. Ids of different roots are told
/// apart by the root's own bits. What is done at most once marks its attempt here.
pub async fn append(tx: &mut Tx<'_>, actor: &Actor, change: &Change) -> Result<()> {
    let (last,) = match tx {
        Tx::Sqlite(_) => look!(&mut *tx, fetch_one as (i64,), LAST_ID)?,
        Tx::Postgres(_) => look!(
            &mut *tx,
            fetch_one as (i64,),
            LAST_ID_OF_ROOT,
            change.root.0
        )?,
    };
    debug_assert!(
        AUDITED.contains(&change.resource),
        "{} is not among what can be asked for",
        change.resource
    );
    let of_root = u32::try_from(change.root.0 & i64::from(u32::MAX)).unwrap_or(0);
    let id = ids::compose(actor.at.micros() / 1000, of_root).max(last + 1);
    change!(
        tx,
        APPEND,
        id,
        change.root.0,
        change.tenant.0,
        actor.at.micros(),
        actor.key.map(|key| key.0),
        actor.tenant.0,
        change.resource,
        change.id.as_str(),
        change.action,
        change.before.as_ref().map(|value| value.to_string()),
        change.after.as_ref().map(|value| value.to_string()),
        // The change may have been made already, elsewhere: this must not fail, and PostgreSQL
        // keeps no NUL.
        actor
            .reason
            .as_ref()
            .map(|reason| reason.replace('\0', "\u{fffd}")),
        actor.request_id.as_str(),
    )?;
    audit_heads::lengthened(tx, change.root, id).await?;
    match &actor.once {
        Some(once) => idempotency::mark(tx, once, change.resource, &change.id).await,
        None => Ok(()),
    }
}

/// Appends one entry in a transaction on PostgreSQL that changes what is not a record. The root's
/// log is locked from here on, as its records are by who changes them.
pub async fn append_within<'a>(
    tx: sqlx::Transaction<'a, sqlx::Postgres>,
    actor: &Actor,
    change: &Change,
) -> Result<sqlx::Transaction<'a, sqlx::Postgres>> {
    let mut tx = Tx::Postgres(tx);
    tx.lock_log(change.root).await?;
    append(&mut tx, actor, change).await?;
    match tx {
        Tx::Postgres(tx) => Ok(tx),
        Tx::Sqlite(_) => Err(corrupt("another database").into()),
    }
}

impl Catalog {
    /// Records a change that is kept elsewhere (money moved by hand, an import).
    pub async fn append_audit(&self, actor: &Actor, change: Change) -> Result<()> {
        write!(self, |tx| {
            tx.lock_log(change.root).await?;
            append(tx, actor, &change).await
        })
    }

    /// Entries about the subtree of `top`, newest first, older than the entry `before`.
    pub async fn audit_log(
        &self,
        top: &Tenant,
        of: &AuditFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<AuditEntry>> {
        let (before, limit_rows) = (before.unwrap_or(i64::MAX), one_more(limit));
        let (key, tenant, resource) = (
            of.key.map(|key| key.0),
            of.tenant.map(|tenant| tenant.0),
            of.resource.clone(),
        );
        let (from, until) = of.period.micros();
        let rows = if top.kind == TenantKind::Platform {
            read!(
                self,
                fetch_all as AuditRow,
                NEWEST_FIRST,
                before,
                key,
                tenant,
                resource,
                from,
                until,
                limit_rows
            )?
        } else {
            let (first, end) = below(&top.path);
            let root = top.root.0;
            read!(
                self,
                fetch_all as AuditRow,
                NEWEST_FIRST_BELOW,
                before,
                key,
                tenant,
                resource,
                from,
                until,
                root,
                first,
                end,
                limit_rows
            )?
        };
        Page::of(rows, limit, AuditRow::entry)
    }
}

impl AuditRow {
    fn entry(self) -> Result<AuditEntry> {
        let json = |text: Option<String>| {
            text.map(|text| serde_json::from_str(&text).map_err(corrupt))
                .transpose()
        };
        Ok(AuditEntry {
            id: self.id,
            at: Instant(self.at),
            actor_key: self.actor_key_id.map(ApiKeyId),
            actor_tenant: TenantId(self.actor_tenant_id),
            tenant: TenantId(self.tenant_id),
            resource: self.resource,
            resource_id: self.resource_id,
            action: self.action,
            before: json(self.before_json)?,
            after: json(self.after_json)?,
            reason: self.reason,
            request_id: self.request_id,
        })
    }
}
