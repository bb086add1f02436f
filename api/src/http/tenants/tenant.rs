//! `/v1/tenants`: the tree of sellers and buyers.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use catalog::{NewTenant, TenantPatch, TenantsNamed};
use problem::Code;
use rating::TenantId;
use schema::words;
use serde::{Deserialize, Serialize};
use tenants::tenant::place;
use tenants::{Tenant, TenantKind};
use web::auth::{self, Access, MayRead, MayWrite, tenant_named};
use web::page::{List, PageQuery};
use web::problem::{ApiProblem, at_field};
use web::query::Query;
use web::state::App;
use web::write::{Done, Made, Write};

/// A node of the tree.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Tenant)]
pub struct TenantBody {
    #[schema(example = "ten_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "acme-42")]
    pub external_id: String,
    #[schema(value_type = words::TenantKind, example = "customer")]
    pub kind: TenantKind,
    #[schema(example = "Acme GmbH")]
    pub name: String,
    /// External id of the seller. Absent for the platform and for the key's own tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "muster-telecom")]
    pub parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "DE")]
    pub country: Option<String>,
    #[schema(example = 35)]
    pub late_window_days: u16,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub closed_at: Option<String>,
}

/// A new reseller or customer.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTenant, example = json!({"external_id": "acme-42", "kind": "customer", "name": "Acme GmbH", "parent": "muster-telecom", "country": "DE"}))]
pub struct NewTenantBody {
    /// Your own id: unique within a root.
    pub external_id: String,
    #[schema(value_type = words::TenantKind, example = "customer")]
    pub kind: TenantKind,
    pub name: String,
    /// The seller, by external id or `ten_…`. Default: the key's own tenant.
    pub parent: Option<String>,
    /// ISO 3166-1 alpha-2, for reading national numbers. Default: the seller's.
    pub country: Option<String>,
    /// Maximum age of usage that is still priced automatically. Only the platform can set it.
    /// Default: the seller's.
    pub late_window_days: Option<u16>,
}

/// Fields to change. Omitted fields stay as they are.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme AG"}))]
pub struct TenantChange {
    pub name: Option<String>,
    pub country: Option<String>,
    pub late_window_days: Option<u16>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TenantsQuery {
    /// Seller whose buyers are listed. Default: the key's own tenant.
    pub parent: Option<String>,
    /// Also list the buyers' buyers, and `parent` itself.
    #[serde(default)]
    pub subtree: bool,
    /// Exact name.
    pub name: Option<String>,
    /// Exact external id: at most one tenant per root.
    pub external_id: Option<String>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

pub async fn shown(app: &App, access: &Access, tenant: &Tenant) -> Result<TenantBody, ApiProblem> {
    let parent = match tenant.parent.filter(|_| tenant.id != access.key.tenant) {
        Some(parent) => Some(auth::tenant_by_id(app, parent).await?.external_id.clone()),
        None => None,
    };
    Ok(TenantBody {
        id: tenant.id.to_string(),
        external_id: tenant.external_id.clone(),
        kind: tenant.kind,
        name: tenant.name.clone(),
        parent,
        country: tenant.country.clone(),
        late_window_days: tenant.late_window_days,
        created_at: tenant.created_at.to_string(),
        closed_at: tenant.closed_at.map(|at| at.to_string()),
    })
}

/// Create a reseller or customer
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", request_body = NewTenantBody, responses((status = 201, body = TenantBody)))]
pub async fn create_tenant(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let new: NewTenantBody = write.read()?;
    let parent = auth::tenant_or_own(app, key, new.parent.as_deref())
        .await
        .map_err(|refused| at_field(refused, "parent"))?;
    sets_late_window(app, key, new.late_window_days)?;
    let tenant = new.tenant(app, &parent)?;
    let work = |actor| async move {
        let personal_key = clock::random_secret().map_err(|error| ApiProblem::internal(&error))?;
        app.catalog
            .create_tenant(
                &actor,
                &NewTenant {
                    tenant: tenant.clone(),
                    personal_key,
                },
            )
            .await?;
        app.invalidate();
        Ok(Done::created(shown(app, key, &tenant).await?))
    };
    let again = |made| async move {
        Ok(Done::created(
            shown(app, key, &tenant_made(app, &made).await?).await?,
        ))
    };
    write.once(app, key, work, again).await
}

async fn tenant_made(app: &App, made: &Made) -> Result<Tenant, ApiProblem> {
    app.catalog
        .tenant(made.id()?)
        .await?
        .ok_or_else(|| ApiProblem::not_found("tenant"))
}

/// A seller that shortened it would keep calls of its customers from being charged on the links
/// above; one that lengthened it would keep the operator from dropping old months.
fn sets_late_window(app: &App, access: &Access, days: Option<u16>) -> Result<(), ApiProblem> {
    match days {
        Some(_) if access.key.tenant != app.platform => Err(ApiProblem::field(
            Code::Forbidden,
            "late_window_days",
            "only the platform may set how late usage may arrive",
        )),
        _ => Ok(()),
    }
}

impl NewTenantBody {
    fn tenant(self, app: &App, parent: &Tenant) -> Result<Tenant, ApiProblem> {
        let id = TenantId(app.clock.id());
        let place = place(parent, id)?;
        let tenant = Tenant {
            id,
            external_id: self.external_id,
            kind: self.kind,
            name: self.name,
            parent: Some(place.parent),
            root: place.root,
            path: place.path,
            country: self.country.or_else(|| parent.country.clone()),
            late_window_days: self.late_window_days.unwrap_or(parent.late_window_days),
            created_at: app.clock.now(),
            closed_at: None,
        };
        tenant.validate()?;
        Ok(tenant)
    }
}

/// Read a tenant
#[utoipa::path(get, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path, description = "External id or `ten_…`")),
    responses((status = 200, body = TenantBody)))]
pub async fn get_tenant(
    State(app): State<App>,
    key: MayRead,
    Path(name): Path<String>,
) -> Result<Json<TenantBody>, ApiProblem> {
    let tenant = tenant_named(&app, &key, &name).await?;
    Ok(Json(shown(&app, &key, &tenant).await?))
}

/// List buyers: direct ones, or all tenants below
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", params(TenantsQuery), responses((status = 200, body = List<TenantBody>)))]
pub async fn list_tenants(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<TenantsQuery>,
) -> Result<Json<List<TenantBody>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (after, limit) = (page.after()?.map(TenantId), page.limit()?);
    let top = auth::tenant_or_own(&app, &key, query.parent.as_deref()).await?;
    let named = TenantsNamed {
        name: query.name.as_deref(),
        external_id: query.external_id.as_deref(),
        direct: !query.subtree,
    };
    let catalog = app.catalog_of(&key);
    let found = match named {
        TenantsNamed {
            name: None,
            external_id: None,
            direct: true,
        } => catalog.children(top.id, after, limit).await?,
        TenantsNamed {
            name: None,
            external_id: None,
            direct: false,
        } => catalog.tenants_below(&top, after, limit).await?,
        named => catalog.tenants_named(&top, named, after, limit).await?,
    };
    let (app, key) = (&app, &key);
    let page = List::shown(
        found,
        |tenant| tenant.id.0,
        |tenant| async move { shown(app, key, &tenant).await },
    );
    Ok(Json(page.await?))
}

/// Change a tenant's name, country or late window
#[utoipa::path(patch, path = "/v1/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path, description = "External id or `ten_…`")),
    request_body = TenantChange, responses((status = 200, body = TenantBody)))]
pub async fn change_tenant(
    State(app): State<App>,
    key: MayWrite,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let tenant = tenant_named(app, key, &name).await?;
    key.administers(&tenant)?;
    let change: TenantChange = write.read()?;
    sets_late_window(app, key, change.late_window_days)?;
    let work = |actor| async move {
        let patch = TenantPatch {
            name: change.name,
            country: change.country.map(Some),
            late_window_days: change.late_window_days,
        };
        let tenant = app.catalog.update_tenant(&actor, tenant.id, patch).await?;
        app.invalidate();
        Ok(Done::ok(shown(app, key, &tenant).await?))
    };
    let again = |made| async move {
        Ok(Done::ok(
            shown(app, key, &tenant_made(app, &made).await?).await?,
        ))
    };
    write.once(app, key, work, again).await
}

/// Close a tenant: it accepts no more usage, and its history remains
#[utoipa::path(post, path = "/v1/tenants/{tenant}/close", tag = "tenants", params(("tenant" = String, Path, description = "External id or `ten_…`")),
    responses((status = 200, body = TenantBody)))]
pub async fn close_tenant(
    State(app): State<App>,
    key: MayWrite,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let tenant = tenant_named(app, key, &name).await?;
    key.administers(&tenant)?;
    let work = |actor| async move {
        let tenant = app.catalog.close_tenant(&actor, tenant.id).await?;
        app.invalidate();
        if let Err(problem) = app
            .engine
            .settle_carries(std::slice::from_ref(&tenant))
            .await
        {
            tracing::warn!(%problem, tenant = %tenant.id, "carry of a closed tenant not settled; \
                retrying in the next sweep");
        }
        Ok(Done::ok(shown(app, key, &tenant).await?))
    };
    // What is carried waits for the next sweep.
    let again = |made| async move {
        Ok(Done::ok(
            shown(app, key, &tenant_made(app, &made).await?).await?,
        ))
    };
    write.once(app, key, work, again).await
}
