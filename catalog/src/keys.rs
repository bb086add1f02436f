//! API keys: the hash of a secret, its scope, and the subtree it sees.

use super::audit_heads::{self, Sums, Table};
use super::paths::below;
use super::tenants::tenant_held;
use super::{
    Actor, Catalog, CatalogError, Change, Page, Result, audit, check_name, conflict, invalid,
    one_more,
};
use db::sql::{Tx, change, corrupt, from_word, look, read, statements, word, write};
use problem::Code;
use rating::{Instant, TenantId, ids::ApiKeyId};
use serde_json::{Value, json};
use std::borrow::Cow;
use tenants::{ApiKey, NotAllowed, Scope, Tenant};

macro_rules! columns {
    () => {
        "k.id, k.root_id, k.tenant_id, k.scope, k.name, k.hash, k.created_at, k.expires_at, \
            k.revoked_at, k.made_by, k.last_used_at"
    };
}

statements! {
    INSERT = "insert into api_keys (id, root_id, tenant_id, scope, name, hash, created_at, \
        expires_at, revoked_at, made_by) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on \
        conflict do nothing";
    /// PostgreSQL only: there a unique key holds within one root.
    CLAIM_HASH = "insert into key_hashes (hash, root_id) values ($1, $2) on conflict do nothing";
    BY_ID = concat!("select ", columns!(), " from api_keys k where k.id = $1");
    BY_HASH = concat!("select ", columns!(), " from api_keys k where k.hash = $1");
    BELOW = concat!(
        "select ", columns!(), " from api_keys k join tenants t on t.id = k.tenant_id",
        " where t.path >= $1 and t.path < $2 and k.id > $3 and (cast($4 as text) is null or \
            k.name = $4) order by k.id limit $5"
    );
    /// Whoever revokes the last of them locks everybody out of the platform.
    LASTING_ADMINS = "select count(*) from api_keys where scope = $1 and root_id = $2 and id <> \
        $3 and revoked_at is null and expires_at is null";
    MADE_BY = "select id from api_keys where made_by = $1 and revoked_at is null and (expires_at \
        is null or expires_at > $2) order by id";
    USED = "update api_keys set last_used_at = $2 where id = $1 and (last_used_at is null or \
        last_used_at < $2)";
    REVOKE = "update api_keys set revoked_at = $2 where id = $1 and revoked_at is null";
}

const LAST_ADMIN_KEY: NotAllowed = NotAllowed {
    code: Code::LastAdminKey,
    field: "key",
    detail: Cow::Borrowed(
        "it is the platform's last admin key that does not expire; create another first",
    ),
};

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    scope: String,
    name: String,
    hash: Vec<u8>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    made_by: Option<i64>,
    last_used_at: Option<i64>,
}

impl KeyRow {
    fn key(self) -> Result<ApiKey> {
        Ok(ApiKey {
            id: ApiKeyId(self.id),
            tenant: TenantId(self.tenant_id),
            root: TenantId(self.root_id),
            scope: from_word(&self.scope)?,
            name: self.name,
            hash: self
                .hash
                .try_into()
                .map_err(|hash: Vec<u8>| corrupt(format!("a hash of {} bytes", hash.len())))?,
            created_at: Instant(self.created_at),
            expires_at: self.expires_at.map(Instant),
            revoked_at: self.revoked_at.map(Instant),
            made_by: self.made_by.map(ApiKeyId),
            last_used_at: self.last_used_at.map(Instant),
        })
    }
}

/// What the audit log shows of a key: never its hash.
fn summary(key: &ApiKey) -> Value {
    json!({ "name": key.name, "tenant": key.tenant, "scope": key.scope, "expires_at": key.expires_at, "revoked_at": key.revoked_at })
}

fn changed(key: &ApiKey, action: &'static str, before: Option<Value>) -> Change {
    let after = Some(summary(key));
    Change {
        tenant: key.tenant,
        root: key.root,
        resource: "api_key",
        id: key.id.to_string(),
        action,
        before,
        after,
    }
}

/// Inserts a key and its audit log entry.
pub async fn insert(tx: &mut Tx<'_>, actor: &Actor, key: &ApiKey) -> Result<()> {
    check_name("name", &key.name)?;
    let tenant = tenant_held(tx, key.tenant).await?;
    if key.root != tenant.root {
        return Err(invalid("root", "expected the tenant's root"));
    }
    let (expires_at, revoked_at) = (
        key.expires_at.map(Instant::micros),
        key.revoked_at.map(Instant::micros),
    );
    let (scope, hash) = (word(&key.scope)?, key.hash.as_slice());
    let made_by = key.made_by.map(|key| key.0);
    let (name, created_at) = (key.name.as_str(), key.created_at.micros());
    if matches!(tx, Tx::Postgres(_)) && change!(&mut *tx, CLAIM_HASH, hash, key.root.0)? == 0 {
        return Err(conflict("id", "the id or the secret is taken"));
    }
    let inserted = change!(
        &mut *tx,
        INSERT,
        key.id.0,
        key.root.0,
        key.tenant.0,
        scope,
        name,
        hash,
        created_at,
        expires_at,
        revoked_at,
        made_by
    )?;
    if inserted == 0 {
        return Err(conflict("id", "the id or the secret is taken"));
    }
    audit_heads::changed(tx, Table::Keys, &Sums::new(), &[key.id.0]).await?;
    audit::append(tx, actor, &changed(key, "create", None)).await
}

async fn key_in(tx: &mut Tx<'_>, id: ApiKeyId) -> Result<ApiKey> {
    let row = look!(tx, fetch_optional as KeyRow, BY_ID, id.0)?;
    row.ok_or(CatalogError::NotFound { what: "API key" })?.key()
}

/// Among the keys that are not over and do not end by themselves. One that ends by itself may
/// always be revoked.
async fn is_last_admin(tx: &mut Tx<'_>, key: &ApiKey) -> Result<bool> {
    if key.scope != Scope::PlatformAdmin || key.expires_at.is_some() || key.revoked_at.is_some() {
        return Ok(false);
    }
    let others = look!(
        tx,
        fetch_optional as (i64,),
        LASTING_ADMINS,
        word(&key.scope)?,
        key.root.0,
        key.id.0
    )?;
    Ok(others.is_none_or(|(others,)| others == 0))
}

impl Catalog {
    pub async fn create_key(&self, actor: &Actor, key: &ApiKey) -> Result<()> {
        write!(self, |tx| { insert(tx, actor, key).await })
    }

    /// For authentication; expired and revoked keys are found too.
    pub async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        read!(self, fetch_optional as KeyRow, BY_HASH, hash.as_slice())?
            .map(KeyRow::key)
            .transpose()
    }

    pub async fn key(&self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        read!(self, fetch_optional as KeyRow, BY_ID, id.0)?
            .map(KeyRow::key)
            .transpose()
    }

    /// Keys of `top` and of every tenant under it.
    pub async fn keys_below(
        &self,
        top: &Tenant,
        name: Option<&str>,
        after: Option<ApiKeyId>,
        limit: usize,
    ) -> Result<Page<ApiKey>> {
        let (first, end) = below(&top.path);
        let after = after.map_or(0, |id| id.0);
        let rows = read!(
            self,
            fetch_all as KeyRow,
            BELOW,
            first,
            end,
            after,
            name,
            one_more(limit)
        )?;
        Page::of(rows, limit, KeyRow::key)
    }

    /// Keys that a key made and that still open something.
    pub async fn keys_made_by(&self, maker: ApiKeyId, now: Instant) -> Result<Vec<ApiKeyId>> {
        let rows = read!(self, fetch_all as (i64,), MADE_BY, maker.0, now.micros())?;
        Ok(rows.into_iter().map(|(id,)| ApiKeyId(id)).collect())
    }

    /// When keys were used last.
    pub async fn keys_used(&self, uses: &[(ApiKeyId, Instant)]) -> Result<()> {
        write!(self, |tx| {
            for (key, at) in uses {
                change!(&mut *tx, USED, key.0, at.micros())?;
            }
            Ok(())
        })
    }

    /// Ends a key at once. A key that is revoked stays as it was.
    ///
    /// # Errors
    /// `last_admin_key`: no other key of the platform's administrators would be left that lasts.
    pub async fn revoke_key(&self, actor: &Actor, id: ApiKeyId) -> Result<ApiKey> {
        write!(self, |tx| {
            let root = key_in(tx, id).await?.root;
            tx.lock(&[root]).await?;
            let mut key = key_in(tx, id).await?;
            if is_last_admin(tx, &key).await? {
                return Err(LAST_ADMIN_KEY.into());
            }
            let sums = audit_heads::sums_of(tx, Table::Keys, &[id.0]).await?;
            if change!(&mut *tx, REVOKE, id.0, actor.at.micros())? == 0 {
                return Ok(key);
            }
            audit_heads::changed(tx, Table::Keys, &sums, &[id.0]).await?;
            let before = summary(&key);
            key.revoked_at = Some(actor.at);
            audit::append(tx, actor, &changed(&key, "revoke", Some(before))).await?;
            Ok(key)
        })
    }
}
