//! Webhook endpoints: where a tenant's own programs hear of things, and of which.

use super::deliveries::{self, Target};
use super::{NoticeKind, NoticeRows};
use catalog::paths::below;
use catalog::tenants::tenant_held;
use catalog::{Actor, CatalogError, Change, Page, Result, audit, conflict, invalid, one_more};
use db::sql::{Tx, change, corrupt, fetch_any, look, read, statements, write};
use rating::ids::EndpointId;
use rating::{Instant, TenantId};
use serde_json::{Value, json};
use tenants::Tenant;

/// Of one tenant.
pub const ENDPOINTS_MAX: usize = 20;
/// How long a former secret signs as well.
pub const FORMER_SECRET_SECS: i64 = 24 * 3600;
const URL_BYTES_MAX: usize = 2000;

macro_rules! columns {
    () => {
        "e.id, e.root_id, e.tenant_id, e.url, e.secret, e.former_secret, e.former_until, \
            e.kinds_json, e.subtree, e.active, e.disabled_why, e.created_at"
    };
}
statements! {
    INSERT = concat!(
        "insert into webhook_endpoints (id, root_id, tenant_id, url, secret, former_secret, \
            former_until, kinds_json, subtree, active, disabled_why, created_at)",
        " values ($1, $2, $3, $4, $5, null, null, $6, $7, 1, null, $8) on conflict do nothing"
    );
    BY_ID = concat!("select ", columns!(), " from webhook_endpoints e where e.id = $1");
    OF_TENANTS = concat!("select ", columns!(), " from webhook_endpoints e where e.tenant_id in \
        ($1) and e.active = 1 order by e.id");
    BELOW = concat!(
        "select ", columns!(), " from webhook_endpoints e join tenants t on t.id = e.tenant_id",
        " where t.path >= $1 and t.path < $2 and e.id > $3 order by e.id limit $4"
    );
    COUNT = "select count(*) from webhook_endpoints where root_id = $1 and tenant_id = $2";
    CHANGE = concat!(
        "update webhook_endpoints set url = $3, kinds_json = $4, subtree = $5, active = $6, \
            disabled_why = $7",
        " where root_id = $1 and id = $2"
    );
    ROTATE_SECRET = "update webhook_endpoints set secret = $3, former_secret = $4, former_until = \
        $5 where root_id = $1 and id = $2";
    DISABLE = "update webhook_endpoints set active = 0, disabled_why = $3 where root_id = $1 and \
        id = $2 and active = 1";
    DELETE = "delete from webhook_endpoints where root_id = $1 and id = $2";
}

/// Which notices somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `None`: every kind.
    pub kinds: Option<Vec<NoticeKind>>,
    /// Also what happens to tenants below.
    pub subtree: bool,
}

impl Wanted {
    pub(super) fn wants(&self, kind: NoticeKind, own: bool) -> bool {
        (own || self.subtree)
            && self
                .kinds
                .as_ref()
                .is_none_or(|kinds| kinds.contains(&kind))
    }
    pub(super) fn json(&self) -> Value {
        json!({ "kinds": self.kinds, "subtree": self.subtree })
    }
    pub(super) fn column(&self) -> Result<Option<String>> {
        let text = |kinds: &Vec<NoticeKind>| serde_json::to_string(kinds).map_err(corrupt);
        Ok(self.kinds.as_ref().map(text).transpose()?)
    }
    pub(super) fn of(kinds: Option<String>, subtree: i64) -> Result<Self> {
        let kinds = kinds
            .map(|text| serde_json::from_str(&text).map_err(corrupt))
            .transpose()?;
        Ok(Self {
            kinds,
            subtree: subtree != 0,
        })
    }
}

/// Where a tenant's own programs hear of things.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub root: TenantId,
    pub tenant: TenantId,
    pub url: String,
    /// `whsec_…`
    pub secret: String,
    /// Signs as well until then.
    pub former: Option<(String, Instant)>,
    pub wanted: Wanted,
    pub active: bool,
    /// Why it is not active, if nobody switched it off.
    pub disabled_why: Option<String>,
    pub created_at: Instant,
}

/// Without the secrets.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct EndpointRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    url: String,
    secret: String,
    former_secret: Option<String>,
    former_until: Option<i64>,
    kinds_json: Option<String>,
    subtree: i64,
    active: i64,
    disabled_why: Option<String>,
    created_at: i64,
}

impl EndpointRow {
    fn endpoint(self) -> Result<Endpoint> {
        Ok(Endpoint {
            id: EndpointId(self.id),
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            url: self.url,
            secret: self.secret,
            former: self.former_secret.zip(self.former_until.map(Instant)),
            wanted: Wanted::of(self.kinds_json, self.subtree)?,
            active: self.active != 0,
            disabled_why: self.disabled_why,
            created_at: Instant(self.created_at),
        })
    }
}

/// What the audit log shows: never a secret.
fn summary(endpoint: &Endpoint) -> Value {
    json!({
        "url": endpoint.url, "wanted": endpoint.wanted.json(), "active": endpoint.active, "disabled_why": endpoint.disabled_why,
        "former_secret_until": endpoint.former.as_ref().map(|(_, until)| until),
    })
}

fn changed(endpoint: &Endpoint, action: &'static str, before: Option<Value>) -> Change {
    let (resource, id) = ("webhook_endpoint", endpoint.id.to_string());
    Change {
        tenant: endpoint.tenant,
        root: endpoint.root,
        resource,
        id,
        action,
        before,
        after: Some(summary(endpoint)),
    }
}

async fn endpoint_held(tx: &mut Tx<'_>, id: EndpointId) -> Result<Endpoint> {
    let missing = || CatalogError::NotFound {
        what: "webhook endpoint",
    };
    let found = look!(&mut *tx, fetch_optional as EndpointRow, BY_ID, id.0)?
        .ok_or_else(missing)?
        .endpoint()?;
    tx.lock(&[found.root]).await?;
    look!(&mut *tx, fetch_optional as EndpointRow, BY_ID, id.0)?
        .ok_or_else(missing)?
        .endpoint()
}

/// Room for one more.
pub(super) async fn check_room(
    tx: &mut Tx<'_>,
    count: &'static str,
    tenant: &Tenant,
    max: usize,
) -> Result<()> {
    let (count,) = look!(tx, fetch_one as (i64,), count, tenant.root.0, tenant.id.0)?;
    if usize::try_from(count).is_ok_and(|count| count < max) {
        return Ok(());
    }
    Err(conflict(
        "tenant",
        format!("it has {max} already, the most there may be"),
    ))
}

fn check_url(url: &str) -> Result<()> {
    if url.len() > URL_BYTES_MAX {
        Err(invalid(
            "url",
            format!("expected at most {URL_BYTES_MAX} bytes"),
        ))
    } else {
        Ok(())
    }
}

impl NoticeRows<'_> {
    pub async fn create_endpoint(self, actor: &Actor, new: &Endpoint) -> Result<()> {
        check_url(&new.url)?;
        write!(self.0, |tx| {
            let tenant = tenant_held(tx, new.tenant).await?;
            check_room(tx, COUNT, &tenant, ENDPOINTS_MAX).await?;
            let (kinds, subtree) = (new.wanted.column()?, i64::from(new.wanted.subtree));
            let (id, root, of, at) = (
                new.id.0,
                tenant.root.0,
                tenant.id.0,
                new.created_at.micros(),
            );
            if change!(
                &mut *tx,
                INSERT,
                id,
                root,
                of,
                new.url.as_str(),
                new.secret.as_str(),
                kinds,
                subtree,
                at
            )? == 0
            {
                return Err(conflict("id", "it is taken"));
            }
            audit::append(tx, actor, &changed(new, "create", None)).await
        })
    }

    pub async fn endpoint(self, id: EndpointId) -> Result<Option<Endpoint>> {
        read!(self.0, fetch_optional as EndpointRow, BY_ID, id.0)?
            .map(EndpointRow::endpoint)
            .transpose()
    }

    /// Endpoints of `top` and of every tenant under it.
    pub async fn endpoints_below(
        self,
        top: &Tenant,
        after: Option<EndpointId>,
        limit: usize,
    ) -> Result<Page<Endpoint>> {
        let (first, end) = below(&top.path);
        let after = after.map_or(0, |id| id.0);
        let rows = read!(
            self.0,
            fetch_all as EndpointRow,
            BELOW,
            first,
            end,
            after,
            one_more(limit)
        )?;
        Page::of(rows, limit, EndpointRow::endpoint)
    }

    /// Active endpoints that want what happens to a tenant.
    pub async fn endpoints_wanting(
        self,
        tenant: &Tenant,
        kind: NoticeKind,
    ) -> Result<Vec<Endpoint>> {
        let rows = fetch_any!(pool self.0, EndpointRow, OF_TENANTS, &tenant.path);
        let all: Vec<Endpoint> = rows
            .into_iter()
            .map(EndpointRow::endpoint)
            .collect::<Result<_>>()?;
        Ok(all
            .into_iter()
            .filter(|endpoint| endpoint.wanted.wants(kind, endpoint.tenant == tenant.id))
            .collect())
    }

    /// As `change` makes it: URL, what is wanted, whether it is active. One that becomes active is
    /// no longer disabled.
    pub async fn change_endpoint(
        self,
        actor: &Actor,
        id: EndpointId,
        patch: EndpointPatch,
    ) -> Result<Endpoint> {
        write!(self.0, |tx| {
            let mut endpoint = endpoint_held(tx, id).await?;
            let before = summary(&endpoint);
            patch.apply(&mut endpoint);
            check_url(&endpoint.url)?;
            let (kinds, subtree) = (
                endpoint.wanted.column()?,
                i64::from(endpoint.wanted.subtree),
            );
            let (url, active, why) = (
                endpoint.url.as_str(),
                i64::from(endpoint.active),
                endpoint.disabled_why.as_deref(),
            );
            change!(
                &mut *tx,
                CHANGE,
                endpoint.root.0,
                id.0,
                url,
                kinds,
                subtree,
                active,
                why
            )?;
            audit::append(tx, actor, &changed(&endpoint, "change", Some(before))).await?;
            Ok(endpoint)
        })
    }

    /// Signs with a new secret from now on, and with the one before for [`FORMER_SECRET_SECS`] as
    /// well.
    pub async fn rotate_secret(
        self,
        actor: &Actor,
        id: EndpointId,
        secret: &str,
    ) -> Result<Endpoint> {
        write!(self.0, |tx| {
            let mut endpoint = endpoint_held(tx, id).await?;
            let (before, until) = (summary(&endpoint), actor.at.plus_secs(FORMER_SECRET_SECS));
            change!(
                &mut *tx,
                ROTATE_SECRET,
                endpoint.root.0,
                id.0,
                secret,
                endpoint.secret.as_str(),
                until.micros()
            )?;
            endpoint.former = Some((
                std::mem::replace(&mut endpoint.secret, secret.to_owned()),
                until,
            ));
            audit::append(
                tx,
                actor,
                &changed(&endpoint, "rotate_secret", Some(before)),
            )
            .await?;
            Ok(endpoint)
        })
    }

    /// Switches an endpoint off that asked for it; what waits for it is given up. False: it was
    /// off.
    pub async fn disable_endpoint(self, actor: &Actor, id: EndpointId, why: &str) -> Result<bool> {
        write!(self.0, |tx| {
            let mut endpoint = endpoint_held(tx, id).await?;
            let before = summary(&endpoint);
            if change!(&mut *tx, DISABLE, endpoint.root.0, id.0, why)? == 0 {
                return Ok(false);
            }
            deliveries::give_up(tx, endpoint.root, Target::Endpoint(id), why, actor.at).await?;
            (endpoint.active, endpoint.disabled_why) = (false, Some(why.to_owned()));
            audit::append(tx, actor, &changed(&endpoint, "disable", Some(before))).await?;
            Ok(true)
        })
    }

    /// What waits for it is given up.
    pub async fn delete_endpoint(self, actor: &Actor, id: EndpointId) -> Result<()> {
        write!(self.0, |tx| {
            let endpoint = endpoint_held(tx, id).await?;
            change!(&mut *tx, DELETE, endpoint.root.0, id.0)?;
            deliveries::give_up(
                tx,
                endpoint.root,
                Target::Endpoint(id),
                "the endpoint was deleted",
                actor.at,
            )
            .await?;
            let change = Change {
                after: None,
                ..changed(&endpoint, "delete", Some(summary(&endpoint)))
            };
            audit::append(tx, actor, &change).await
        })
    }
}

/// What to change; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointPatch {
    pub url: Option<String>,
    /// `Some(None)`: every kind.
    pub kinds: Option<Option<Vec<NoticeKind>>>,
    pub subtree: Option<bool>,
    pub active: Option<bool>,
}

impl EndpointPatch {
    fn apply(&self, endpoint: &mut Endpoint) {
        let patch = self.clone();
        endpoint.url = patch.url.unwrap_or_else(|| endpoint.url.clone());
        endpoint.wanted.kinds = patch.kinds.unwrap_or_else(|| endpoint.wanted.kinds.clone());
        endpoint.wanted.subtree = patch.subtree.unwrap_or(endpoint.wanted.subtree);
        if let Some(active) = patch.active {
            (endpoint.active, endpoint.disabled_why) = (active, None);
        }
    }
}
