//! `/v1/audit-log`: who changed what, when and why.

use crate::auth::{self, MayRead};
use crate::http::page::{List, PageQuery};
use crate::http::query::Query;
use crate::problem::ApiProblem;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::records::AuditEntry;

/// One change.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditBody {
    pub at: String,
    /// `key_…`; absent: the server itself.
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

async fn shown(app: &App, entry: AuditEntry) -> Result<AuditBody, ApiProblem> {
    Ok(AuditBody {
        at: entry.at.to_string(),
        api_key: entry.actor_key.map(|key| key.to_string()),
        tenant: auth::tenant_by_id(app, entry.tenant).await?.external_id.clone(),
        resource: entry.resource,
        resource_id: entry.resource_id,
        action: entry.action,
        before: entry.before,
        after: entry.after,
        reason: entry.reason,
        request_id: entry.request_id,
    })
}

/// List changes in the key's subtree, newest first
#[utoipa::path(get, path = "/v1/audit-log", tag = "audit-log", params(PageQuery), responses((status = 200, body = List<AuditBody>)))]
pub async fn list_audit_log(
    State(app): State<App>,
    key: MayRead,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<AuditBody>>, ApiProblem> {
    let found = app.records_of(&key).audit_log(&key.tenant, page.after()?, page.limit()?).await?;
    let app = &app;
    let page = List::shown(found, |entry| entry.id, |entry| async move { shown(app, entry).await });
    Ok(Json(page.await?))
}
