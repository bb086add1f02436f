//! `/v1/audit-log`: who changed what, when and why.

use axum::Json;
use axum::extract::State;
use catalog::{AUDITED, AuditEntry, AuditFilter};
use problem::Code;
use rating::Instant;
use rating::ids::ApiKeyId;
use serde::{Deserialize, Serialize};
use web::auth::{self, Access, MayRead};
use web::page::{List, PageQuery, period};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;

/// One change in the audit log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditBody {
    #[schema(format = DateTime)]
    pub at: String,
    /// `key_…`. Absent: the server made the change, or a tenant above did; in the latter case the
    /// reason is not shown either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// External id of the tenant whose record was changed.
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(example = "agreement")]
    pub resource: String,
    pub resource_id: String,
    #[schema(example = "create")]
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub request_id: String,
}

async fn shown(app: &App, access: &Access, entry: AuditEntry) -> Result<AuditBody, ApiProblem> {
    // Who did it above, and why, is theirs to know.
    let is_own = entry.actor_tenant == entry.tenant
        || access.sees(&*auth::tenant_by_id(app, entry.actor_tenant).await?);
    Ok(AuditBody {
        at: entry.at.to_string(),
        api_key: entry
            .actor_key
            .filter(|_| is_own)
            .map(|key| key.to_string()),
        tenant: auth::tenant_by_id(app, entry.tenant)
            .await?
            .external_id
            .clone(),
        resource: entry.resource,
        resource_id: entry.resource_id,
        action: entry.action,
        before: entry.before,
        after: entry.after,
        reason: entry.reason.filter(|_| is_own),
        request_id: entry.request_id,
    })
}

/// Which entries, and which page of them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Changes made with this key: `key_…`.
    pub key: Option<String>,
    /// Changes to this tenant's own records; external id or `ten_…`.
    pub tenant: Option<String>,
    /// Such as `agreement` or `api_key`. The refusal of an unknown one lists those that exist.
    pub resource: Option<String>,
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Instant>,
    /// Exclusive.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
    /// Rows per page: 1 to 1000. Default: 50.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// List changes in the key's subtree, newest first
#[utoipa::path(get, path = "/v1/audit-log", tag = "audit-log", params(AuditQuery), responses((status = 200, body = List<AuditBody>)))]
pub async fn list_audit_log(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<AuditQuery>,
) -> Result<Json<List<AuditBody>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let tenant = match &query.tenant {
        Some(name) => Some(auth::tenant_named(&app, &key, name).await?.id),
        None => None,
    };
    let not_a_key = |_| {
        ApiProblem::field(
            Code::InvalidField,
            "key",
            "expected the id of a key, `key_…`",
        )
    };
    let of = query
        .key
        .map(|id| id.parse::<ApiKeyId>())
        .transpose()
        .map_err(not_a_key)?;
    if let Some(unknown) = query
        .resource
        .as_deref()
        .filter(|resource| !AUDITED.contains(resource))
    {
        let detail = format!(
            "{unknown:?} is not a resource of the audit log; expected one of {}",
            AUDITED.join(", ")
        );
        return Err(ApiProblem::field(Code::InvalidField, "resource", detail));
    }
    let filter = AuditFilter {
        key: of,
        tenant,
        resource: query.resource,
        period: period(query.from, query.until)?,
    };
    let found = app
        .catalog_of(&key)
        .audit_log(&key.tenant, &filter, page.after()?, page.limit()?)
        .await?;
    let (app, access): (&App, &Access) = (&app, &key);
    let page = List::shown(
        found,
        |entry| entry.id,
        |entry| async move { shown(app, access, entry).await },
    );
    Ok(Json(page.await?))
}
