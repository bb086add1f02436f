//! The tree of sellers and buyers.

use super::paths::{below, path_bytes};
use super::{
    Actor, Catalog, CatalogError, Change, Page, Result, audit, check_name, conflict, invalid,
    one_more,
};
use db::sql::{
    Tx, change, corrupt, fetch_any, fetch_names, from_word, look, read, statements, write,
};
use journal::retention::late_window_days_max;
use rating::{Instant, TenantId};
use serde_json::{Value, json};
use std::collections::HashMap;
use tenants::{Tenant, TenantKind};

macro_rules! columns {
    () => {
        "id, root_id, parent_id, path, external_id, kind, name, country, late_window_days, \
            created_at, closed_at"
    };
}

statements! {
    BY_ID = concat!("select ", columns!(), " from tenants where id = $1");
    BY_IDS = concat!("select ", columns!(), " from tenants where id in ($1)");
    PLATFORM = concat!("select ", columns!(), " from tenants where kind = 'platform'");
    BY_EXTERNAL_ID = concat!("select ", columns!(), " from tenants where external_id = $1 limit $2");
    BY_EXTERNAL_ID_IN_ROOT = concat!("select ", columns!(), " from tenants where external_id = $1 \
        and root_id = $2");
    BY_NAMES = concat!("select ", columns!(), " from tenants where external_id in ($1) limit $2");
    BY_NAMES_IN_ROOT = concat!("select ", columns!(), " from tenants where external_id in ($1) \
        and root_id = $2");
    CHILDREN = concat!("select ", columns!(), " from tenants where parent_id = $1 and id > $2 \
        order by id limit $3");
    BELOW = concat!("select ", columns!(), " from tenants where path >= $1 and path < $2 order by \
        path limit $3");
    /// What is null asks for nothing, here and in the next.
    NAMED = concat!(
        "select ", columns!(), " from tenants where name = $1 and path >= $2 and path < $3 and \
            (cast($4 as bigint) is null or parent_id = $4)",
        " order by path limit $5"
    );
    /// Of one root there is one; of several roots a few.
    CALLED = concat!(
        "select ", columns!(), " from tenants where external_id = $1 and path >= $2 and path < $3",
        " and (cast($4 as bigint) is null or parent_id = $4) and (cast($5 as text) is null or \
            name = $5) order by path limit $6"
    );
    FROM = concat!("select ", columns!(), " from tenants where id > $1 order by id limit $2");
    PERSONAL_KEYS = "select id, personal_key from tenants where id in ($1) order by id";
    RECORDS_FROM = "select from_us from openings where root = $1";
    UPDATE = "update tenants set name = $2, country = $3, late_window_days = $4 where id = $1";
    OPEN_CHILD = "select id from tenants where parent_id = $1 and closed_at is null limit 1";
    CLOSE = "update tenants set closed_at = $2 where id = $1 and closed_at is null";
}

/// Tenants of one name that a refusal lists.
const CANDIDATES_MAX: i64 = 10;
/// On average, of names that are looked for together.
const NAMESAKES_MAX: usize = 10;

/// What to change; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantPatch {
    pub name: Option<String>,
    /// `Some(None)` removes the country.
    pub country: Option<Option<String>>,
    pub late_window_days: Option<u16>,
}

/// By which names tenants are looked for; at least one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantsNamed<'a> {
    pub name: Option<&'a str>,
    pub external_id: Option<&'a str>,
    /// Direct buyers only.
    pub direct: bool,
}

#[derive(sqlx::FromRow)]
struct TenantRow {
    id: i64,
    root_id: i64,
    parent_id: Option<i64>,
    path: Vec<u8>,
    external_id: String,
    kind: String,
    name: String,
    country: Option<String>,
    late_window_days: i64,
    created_at: i64,
    closed_at: Option<i64>,
}

impl TenantRow {
    pub fn tenant(self) -> Result<Tenant> {
        let ids = self.path.chunks_exact(8).map(|id| {
            <[u8; 8]>::try_from(id)
                .map(i64::from_be_bytes)
                .map(TenantId)
        });
        Ok(Tenant {
            id: TenantId(self.id),
            external_id: self.external_id,
            kind: from_word(&self.kind)?,
            name: self.name,
            parent: self.parent_id.map(TenantId),
            root: TenantId(self.root_id),
            path: ids.collect::<Result<_, _>>().map_err(corrupt)?,
            country: self.country,
            late_window_days: u16::try_from(self.late_window_days).map_err(corrupt)?,
            created_at: Instant(self.created_at),
            closed_at: self.closed_at.map(Instant),
        })
    }
}

/// What the audit log shows of a tenant.
pub fn summary(tenant: &Tenant) -> Value {
    json!({
        "external_id": tenant.external_id, "kind": tenant.kind, "name": tenant.name, "parent": tenant.parent,
        "country": tenant.country, "late_window_days": tenant.late_window_days, "closed_at": tenant.closed_at,
    })
}

fn changed(tenant: &Tenant, action: &'static str, before: Option<Value>) -> Change {
    let after = Some(summary(tenant));
    Change {
        tenant: tenant.id,
        root: tenant.root,
        resource: "tenant",
        id: tenant.id.to_string(),
        action,
        before,
        after,
    }
}

pub async fn tenant_in(tx: &mut Tx<'_>, id: TenantId) -> Result<Tenant> {
    let row = look!(tx, fetch_optional as TenantRow, BY_ID, id.0)?;
    row.ok_or(CatalogError::NotFound { what: "tenant" })?
        .tenant()
}

/// The tenant as it is now, and stays until this transaction is over.
pub async fn tenant_held(tx: &mut Tx<'_>, id: TenantId) -> Result<Tenant> {
    // A tenant never changes its root.
    let root = tenant_in(tx, id).await?.root;
    tx.lock(&[root]).await?;
    tenant_in(tx, id).await
}

pub async fn tenants_in(tx: &mut Tx<'_>, ids: &[TenantId]) -> Result<Vec<Tenant>> {
    let rows = fetch_any!(tx tx, TenantRow, BY_IDS, ids);
    rows.into_iter().map(TenantRow::tenant).collect()
}

/// The platform, held likewise: for what is the whole platform's.
pub async fn platform_held(tx: &mut Tx<'_>) -> Result<TenantId> {
    let platform = platform_in(tx)
        .await?
        .ok_or(CatalogError::NotFound { what: "platform" })?
        .id;
    tx.lock(&[platform]).await?;
    Ok(platform)
}

pub async fn platform_in(tx: &mut Tx<'_>) -> Result<Option<Tenant>> {
    look!(tx, fetch_optional as TenantRow, PLATFORM)?
        .map(TenantRow::tenant)
        .transpose()
}

impl Catalog {
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        read!(self, fetch_optional as TenantRow, BY_ID, id.0)?
            .map(TenantRow::tenant)
            .transpose()
    }

    /// The tenants among `ids` that exist, in no particular order.
    pub async fn tenants(&self, ids: &[TenantId]) -> Result<Vec<Tenant>> {
        let rows = fetch_any!(pool self, TenantRow, BY_IDS, ids);
        rows.into_iter().map(TenantRow::tenant).collect()
    }

    pub async fn platform(&self) -> Result<Option<Tenant>> {
        read!(self, fetch_optional as TenantRow, PLATFORM)?
            .map(TenantRow::tenant)
            .transpose()
    }

    /// The tenant of this name in the subtree of `caller`: of its own root first, where names are
    /// unique. Only the platform sees others, and can find several there
    /// ([`CatalogError::Ambiguous`]).
    pub async fn tenant_by_external_id(
        &self,
        caller: &Tenant,
        external_id: &str,
    ) -> Result<Option<Tenant>> {
        // Nobody but the platform is in the platform's own root.
        let found = if caller.kind == TenantKind::Platform && external_id != caller.external_id {
            self.only_one(external_id).await?
        } else {
            read!(
                self,
                fetch_optional as TenantRow,
                BY_EXTERNAL_ID_IN_ROOT,
                external_id,
                caller.root.0
            )?
        };
        let found = found.map(TenantRow::tenant).transpose()?;
        Ok(found.filter(|tenant| tenant.path.starts_with(&caller.path)))
    }

    /// Of this name in any root.
    async fn only_one(&self, external_id: &str) -> Result<Option<TenantRow>> {
        let mut rows = read!(
            self,
            fetch_all as TenantRow,
            BY_EXTERNAL_ID,
            external_id,
            CANDIDATES_MAX
        )?;
        if rows.len() > 1 {
            rows.sort_by_key(|row| row.id);
            let candidates = rows.iter().map(|row| TenantId(row.id)).collect();
            return Err(CatalogError::Ambiguous {
                external_id: external_id.to_owned(),
                candidates,
            });
        }
        Ok(rows.pop())
    }

    /// The same for many names, in no particular order: those that are there once. A name may be
    /// missing although it is there (where many roots have the same names);
    /// [`Catalog::tenant_by_external_id`] finds it.
    pub async fn tenants_by_external_ids(
        &self,
        caller: &Tenant,
        names: &[&str],
    ) -> Result<Vec<Tenant>> {
        let in_every_root = caller.kind == TenantKind::Platform;
        let rows = if in_every_root {
            let limit = names.len() * NAMESAKES_MAX;
            let rows = fetch_names!(
                self,
                TenantRow,
                BY_NAMES,
                names,
                i64::try_from(limit).map_err(corrupt)?
            );
            // Of a list that may be cut it is not known which names are there once.
            if rows.len() < limit { rows } else { Vec::new() }
        } else {
            fetch_names!(self, TenantRow, BY_NAMES_IN_ROOT, names, caller.root.0)
        };
        let mut times: HashMap<String, u32> = HashMap::new();
        rows.iter()
            .for_each(|row| *times.entry(row.external_id.clone()).or_default() += 1);
        let once = rows.into_iter().filter(|row| {
            times.get(&row.external_id) == Some(&1)
                && !(in_every_root && row.external_id == caller.external_id)
        });
        let found: Result<Vec<Tenant>> = once.map(TenantRow::tenant).collect();
        Ok(found?
            .into_iter()
            .filter(|tenant| tenant.path.starts_with(&caller.path))
            .collect())
    }

    /// The tenant and its sellers, from the tenant itself up to the platform. Empty: no such
    /// tenant.
    pub async fn tenant_path(&self, id: TenantId) -> Result<Vec<Tenant>> {
        let Some(tenant) = self.tenant(id).await? else {
            return Ok(Vec::new());
        };
        let mut path = self.tenants(&tenant.path).await?;
        path.sort_by_key(|tenant| std::cmp::Reverse(tenant.path.len()));
        Ok(path)
    }

    /// Direct buyers, oldest first.
    pub async fn children(
        &self,
        parent: TenantId,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Page<Tenant>> {
        let after = after.map_or(0, |id| id.0);
        let rows = read!(
            self,
            fetch_all as TenantRow,
            CHILDREN,
            parent.0,
            after,
            one_more(limit)
        )?;
        Page::of(rows, limit, TenantRow::tenant)
    }

    /// The paths of `top` and everything under it, as far as they come behind that tenant's.
    async fn rest_below(
        &self,
        top: &Tenant,
        after: Option<TenantId>,
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let (first, end) = below(&top.path);
        let Some(id) = after else {
            return Ok((first, end));
        };
        let last = self
            .tenant(id)
            .await?
            .filter(|tenant| tenant.path.starts_with(&top.path));
        let last = last.ok_or_else(|| invalid("cursor", "it belongs to another list"))?;
        // The smallest bytes after that path: a path is followed by whole ids, the first byte may
        // be 0.
        Ok((path_bytes(&last.path).into_iter().chain([0]).collect(), end))
    }

    /// Of `top` and everything under it those of a name, sellers before their buyers.
    pub async fn tenants_named(
        &self,
        top: &Tenant,
        named: TenantsNamed<'_>,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Page<Tenant>> {
        let (start, end) = self.rest_below(top, after).await?;
        let (parent, name, limit_rows) = (
            named.direct.then_some(top.id.0),
            named.name,
            one_more(limit),
        );
        let rows = match named.external_id {
            Some(external_id) => read!(
                self,
                fetch_all as TenantRow,
                CALLED,
                external_id,
                start,
                end,
                parent,
                name,
                limit_rows
            )?,
            None => read!(
                self,
                fetch_all as TenantRow,
                NAMED,
                name,
                start,
                end,
                parent,
                limit_rows
            )?,
        };
        Page::of(rows, limit, TenantRow::tenant)
    }

    /// `top` and everything under it, sellers before their buyers (depth first).
    pub async fn tenants_below(
        &self,
        top: &Tenant,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Page<Tenant>> {
        let (start, end) = self.rest_below(top, after).await?;
        let rows = read!(
            self,
            fetch_all as TenantRow,
            BELOW,
            start,
            end,
            one_more(limit)
        )?;
        Page::of(rows, limit, TenantRow::tenant)
    }

    /// Every tenant in order of id, from behind `after` on: for what looks at all of them, a page
    /// at a time.
    pub async fn tenants_from(&self, after: TenantId, limit: usize) -> Result<Vec<Tenant>> {
        let limit = i64::try_from(limit).map_err(corrupt)?;
        read!(self, fetch_all as TenantRow, FROM, after.0, limit)?
            .into_iter()
            .map(TenantRow::tenant)
            .collect()
    }

    /// Keys of the digests of personal data; absent for erased and unknown tenants.
    pub async fn personal_keys(&self, ids: &[TenantId]) -> Result<Vec<(TenantId, [u8; 32])>> {
        let rows = fetch_any!(pool self, (i64, Option<Vec<u8>>), PERSONAL_KEYS, ids);
        let key = |(id, key): (i64, Option<Vec<u8>>)| {
            key.map(|key| Ok((TenantId(id), <[u8; 32]>::try_from(key)?)))
        };
        let keys: Result<Vec<_>, Vec<u8>> = rows.into_iter().filter_map(key).collect();
        Ok(keys.map_err(|key| corrupt(format!("a personal key of {} bytes", key.len())))?)
    }

    pub async fn update_tenant(
        &self,
        actor: &Actor,
        id: TenantId,
        patch: TenantPatch,
    ) -> Result<Tenant> {
        write!(self, |tx| {
            let mut tenant = tenant_held(tx, id).await?;
            let before = summary(&tenant);
            tenant.name = patch.name.clone().unwrap_or(tenant.name);
            tenant.country = patch.country.clone().unwrap_or(tenant.country);
            if let Some(days) = patch.late_window_days {
                if days > tenant.late_window_days {
                    check_window(tx, &tenant, days, actor.at).await?;
                }
                tenant.late_window_days = days;
            }
            check_name("name", &tenant.name)?;
            // One that is stored already, from before it was looked up, costs no other change.
            check_country(
                patch
                    .country
                    .as_ref()
                    .and_then(|country| country.as_deref()),
            )?;
            let days = i64::from(tenant.late_window_days);
            change!(
                tx,
                UPDATE,
                id.0,
                tenant.name.as_str(),
                tenant.country.as_deref(),
                days
            )?;
            audit::append(tx, actor, &changed(&tenant, "update", Some(before))).await?;
            Ok(tenant)
        })
    }

    /// Closes a tenant without open buyers: it takes no more usage. History stays.
    pub async fn close_tenant(&self, actor: &Actor, id: TenantId) -> Result<Tenant> {
        write!(self, |tx| {
            let mut tenant = tenant_held(tx, id).await?;
            if tenant.kind == TenantKind::Platform {
                return Err(invalid("id", "the platform cannot be closed"));
            }
            if let Some((child,)) = look!(tx, fetch_optional as (i64,), OPEN_CHILD, id.0)? {
                return Err(conflict(
                    "id",
                    format!("its buyer {} is still open", TenantId(child)),
                ));
            }
            if change!(tx, CLOSE, id.0, actor.at.micros())? == 0 {
                return Err(conflict("closed_at", "it is closed already"));
            }
            let before = summary(&tenant);
            tenant.closed_at = Some(actor.at);
            audit::append(tx, actor, &changed(&tenant, "close", Some(before))).await?;
            Ok(tenant)
        })
    }
}

/// What may come late must be told from what came before: the records of then must be there.
async fn check_window(tx: &mut Tx<'_>, tenant: &Tenant, days: u16, now: Instant) -> Result<()> {
    let Some((from,)) = look!(tx, fetch_optional as (i64,), RECORDS_FROM, tenant.root.0)? else {
        return Ok(());
    };
    let most = late_window_days_max(now, Instant(from));
    if i64::from(days) <= most {
        return Ok(());
    }
    Err(invalid(
        "late_window_days",
        format!(
            "expected at most {}: records from before {} are gone",
            most.max(0),
            Instant(from)
        ),
    ))
}

pub fn check_country(country: Option<&str>) -> Result<()> {
    country
        .map_or(Ok(()), tenants::tenant::check_country)
        .map_err(|wrong| invalid(wrong.field, wrong.expected))
}
