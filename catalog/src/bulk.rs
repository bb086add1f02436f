//! Tenants and agreements, one or a hundred thousand, in one transaction.

use super::paths::path_bytes;
use super::tenants::{check_country, summary, tenant_in, tenants_in};
use super::{
    Actor, Catalog, CatalogError, Change, Result, agreements, audit, audit_heads, check_name,
    conflict, invalid,
};
use db::sql::{Tx, change, insert_many, look, statements, word, write};
use rating::TenantId;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use tenants::tenant::check_reserved;
use tenants::{Agreement, CHAIN_LINKS_MAX, Tenant, TenantKind};

statements! {
    META_ONCE = "insert into meta (name, value) values ($1, $2) on conflict do nothing";
    INSERT = concat!(
        "insert into tenants (id, root_id, parent_id, path, external_id, kind, name, country, \
            late_window_days, personal_key, created_at, closed_at)",
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing"
    );
    /// PostgreSQL only, as the next: there a unique key holds within one root.
    CLAIM_NAME = "insert into root_names (external_id, root_id) values ($1, $2) on conflict do \
        nothing";
    FIRST_VERSION = "insert into versions (root_id, version, entries) values ($1, $2, $3) on \
        conflict do nothing";
    CLASH = "select id from tenants where external_id = $1 and (root_id = $2 or (id = root_id and \
        $2 = $3)) and id <> $3";
    EXISTS = "select id from tenants where id = $1 and external_id <> $2";
}

/// A tenant and the key of its personal data's digests.
#[derive(Clone, PartialEq, Eq)]
pub struct NewTenant {
    pub tenant: Tenant,
    pub personal_key: [u8; 32],
}

// The key stays out of logs.
impl std::fmt::Debug for NewTenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewTenant").field(&self.tenant).finish()
    }
}

/// On PostgreSQL: true for one tenant only, however many processes start at once.
pub async fn claim_platform(tx: &mut Tx<'_>, platform: TenantId) -> Result<bool> {
    Ok(change!(
        tx,
        META_ONCE,
        "platform",
        platform.0.to_be_bytes().as_slice()
    )? == 1)
}

impl Catalog {
    /// `parent`, `root` and `path` must agree with the stored parent.
    pub async fn create_tenant(&self, actor: &Actor, new: &NewTenant) -> Result<()> {
        write!(self, |tx| {
            hold_roots(tx, std::slice::from_ref(new), &[]).await?;
            insert(tx, std::slice::from_ref(new)).await?;
            let tenant = &new.tenant;
            let change = Change {
                tenant: tenant.id,
                root: tenant.root,
                resource: "tenant",
                id: tenant.id.to_string(),
                action: "create",
                before: None,
                after: Some(summary(tenant)),
            };
            audit::append(tx, actor, &change).await
        })
    }

    /// All or none. Sellers stand before their buyers. One entry in the audit log for all of them.
    pub async fn create_tenants(
        &self,
        actor: &Actor,
        new: &[NewTenant],
        terms: &[Agreement],
    ) -> Result<()> {
        write!(self, |tx| {
            let by = tenant_in(tx, actor.tenant).await?;
            let buyers: Vec<TenantId> = terms.iter().map(|terms| terms.buyer).collect();
            let mut held: Vec<TenantId> = tenants_in(tx, &buyers)
                .await?
                .into_iter()
                .map(|buyer| buyer.root)
                .collect();
            held.push(by.root);
            hold_roots(tx, new, &held).await?;
            insert(tx, new).await?;
            let known = new
                .iter()
                .map(|new| (new.tenant.id, new.tenant.clone()))
                .collect();
            agreements::insert(tx, actor, terms, known).await?;
            let change = Change {
                tenant: by.id,
                root: by.root,
                resource: "tenant",
                id: new
                    .first()
                    .map_or_else(String::new, |new| new.tenant.id.to_string()),
                action: "create_many",
                before: None,
                after: Some(
                    json!({ "tenants": new.len(), "agreements": terms.len(), "last": new.last().map(|new| new.tenant.id) }),
                ),
            };
            audit::append(tx, actor, &change).await
        })
    }
}

/// Holds the roots under which tenants are new, and `others`. A new root is new to the platform.
async fn hold_roots(tx: &mut Tx<'_>, new: &[NewTenant], others: &[TenantId]) -> Result<()> {
    let mut held = others.to_vec();
    held.extend(
        stored_parents(tx, new)
            .await?
            .into_values()
            .map(|parent| parent.root),
    );
    Ok(tx.lock(&held).await?)
}

/// Checks and inserts tenants, sellers before their buyers. The roots they come under are held.
pub async fn insert(tx: &mut Tx<'_>, new: &[NewTenant]) -> Result<()> {
    let parents = stored_parents(tx, new).await?;
    let mut here: HashMap<TenantId, &Tenant> = HashMap::with_capacity(new.len());
    let mut words = Vec::with_capacity(new.len());
    for NewTenant {
        tenant,
        personal_key,
    } in new
    {
        let parent = tenant
            .parent
            .and_then(|id| here.get(&id).copied().or_else(|| parents.get(&id)));
        check(tenant, parent)?;
        here.insert(tenant.id, tenant);
        words.push((
            tenant,
            word(&tenant.kind)?,
            path_bytes(&tenant.path),
            personal_key,
        ));
    }
    if matches!(tx, Tx::Postgres(_)) && !claim_roots(tx, new).await? {
        return Err(clash(tx, new).await?);
    }
    let inserted = insert_many!(
        tx,
        INSERT,
        words,
        |row| row.0.id.0,
        row.0.root.0,
        row.0.parent.map(|id| id.0),
        row.2.as_slice(),
        row.0.external_id.as_str(),
        row.1.as_str(),
        row.0.name.as_str(),
        row.0.country.as_deref(),
        i64::from(row.0.late_window_days),
        row.3.as_slice(),
        row.0.created_at.micros(),
        row.0.closed_at.map(|at| at.micros()),
    );
    if usize::try_from(inserted).ok() != Some(new.len()) {
        return Err(clash(tx, new).await?);
    }
    let roots: Vec<TenantId> = new
        .iter()
        .map(|new| &new.tenant)
        .filter(|tenant| tenant.id == tenant.root)
        .map(|root| root.id)
        .collect();
    let with_platform = new
        .iter()
        .any(|new| new.tenant.kind == TenantKind::Platform);
    audit_heads::begin_new(tx, &roots, with_platform).await
}

/// Makes what a new root has but once: its name among the roots, its version; and there is one
/// platform.
async fn claim_roots(tx: &mut Tx<'_>, new: &[NewTenant]) -> Result<bool> {
    let roots: Vec<&Tenant> = new
        .iter()
        .map(|new| &new.tenant)
        .filter(|tenant| tenant.id == tenant.root)
        .collect();
    for platform in roots
        .iter()
        .filter(|tenant| tenant.kind == TenantKind::Platform)
    {
        if !claim_platform(tx, platform.id).await? {
            return Ok(false);
        }
    }
    let names = insert_many!(
        tx,
        CLAIM_NAME,
        roots,
        |root| root.external_id.as_str(),
        root.id.0
    );
    let versions = insert_many!(tx, FIRST_VERSION, roots, |root| root.id.0, 1_i64, 0_i64);
    Ok([names, versions]
        .iter()
        .all(|&rows| usize::try_from(rows).ok() == Some(roots.len())))
}

async fn stored_parents(tx: &mut Tx<'_>, new: &[NewTenant]) -> Result<HashMap<TenantId, Tenant>> {
    let here: HashSet<TenantId> = new.iter().map(|new| new.tenant.id).collect();
    let wanted: HashSet<TenantId> = new
        .iter()
        .filter_map(|new| new.tenant.parent)
        .filter(|id| !here.contains(id))
        .collect();
    let wanted: Vec<TenantId> = wanted.into_iter().collect();
    Ok(tenants_in(tx, &wanted)
        .await?
        .into_iter()
        .map(|tenant| (tenant.id, tenant))
        .collect())
}

/// Does the tenant stand where it says, under an open seller?
fn check(tenant: &Tenant, parent: Option<&Tenant>) -> Result<()> {
    check_name("name", &tenant.name)?;
    check_name("external_id", &tenant.external_id)?;
    check_country(tenant.country.as_deref())?;
    if tenant.id.0 <= 0 {
        return Err(invalid("id", "expected a positive number"));
    }
    if tenant.external_id.parse::<TenantId>().is_ok() {
        return Err(invalid(
            "external_id",
            "it reads like an id assigned by this server; choose another",
        ));
    }
    let (kind, parent) = match (tenant.kind, parent) {
        (TenantKind::Platform, None) if tenant.parent.is_none() => (tenant.kind, None),
        (TenantKind::Platform, _) => {
            return Err(invalid(
                "kind",
                "the platform has no seller, every other tenant has one",
            ));
        }
        (kind, Some(parent)) => (kind, Some(parent)),
        (_, None) => return Err(CatalogError::NotFound { what: "seller" }),
    };
    check_reserved(kind, &tenant.external_id)
        .map_err(|refused| invalid(refused.field, refused.expected))?;
    if let Some(parent) = parent {
        check_parent(parent)?;
    }
    let root = parent
        .filter(|_| kind != TenantKind::Platform)
        .map_or(tenant.id, |parent| match parent.kind {
            TenantKind::Platform => tenant.id,
            _ => parent.root,
        });
    let above = parent.map_or(&[][..], |parent| &parent.path[..]);
    if tenant.root != root || tenant.path.split_last() != Some((&tenant.id, above)) {
        return Err(invalid("path", "root and path do not match the seller's"));
    }
    Ok(())
}

fn check_parent(parent: &Tenant) -> Result<()> {
    if parent.kind == TenantKind::Customer {
        return Err(invalid("parent", "a customer has no buyers"));
    }
    if parent.closed_at.is_some() {
        return Err(conflict("parent", "the seller is closed"));
    }
    if parent.path.len() > CHAIN_LINKS_MAX {
        return Err(invalid(
            "parent",
            format!("a chain has at most {CHAIN_LINKS_MAX} links"),
        ));
    }
    Ok(())
}

/// Which of the tenants was not inserted, and why.
async fn clash(tx: &mut Tx<'_>, new: &[NewTenant]) -> Result<CatalogError> {
    for NewTenant { tenant, .. } in new {
        let name = tenant.external_id.as_str();
        if let Some((other,)) = look!(
            &mut *tx,
            fetch_optional as (i64,),
            CLASH,
            name,
            tenant.root.0,
            tenant.id.0
        )? {
            return Ok(conflict(
                "external_id",
                format!("{name} is taken by {}", TenantId(other)),
            ));
        }
        if look!(
            &mut *tx,
            fetch_optional as (i64,),
            EXISTS,
            tenant.id.0,
            name
        )?
        .is_some()
        {
            return Ok(conflict("id", format!("{} is taken", tenant.id)));
        }
    }
    Ok(conflict("id", "the same tenant exists already"))
}
