//! `/v1/api-keys`: secrets are shown once, when they are made.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use problem::Code;
use rating::Instant;
use rating::ids::ApiKeyId;
use schema::words;
use serde::{Deserialize, Serialize};
use tenants::{ApiKey, Scope};
use web::auth::{self, Access, MayRead, MayWrite};
use web::page::{List, NamedQuery, PageQuery};
use web::problem::{ApiProblem, at_field};
use web::query::Query;
use web::state::App;
use web::write::{Done, Write};

/// An API key, without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyBody {
    #[schema(example = "key_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "switch in Frankfurt")]
    pub name: String,
    /// External id of the tenant at the top of the subtree that the key can see.
    #[schema(example = "muster-telecom")]
    pub tenant: String,
    #[schema(value_type = words::Scope, example = "usage_write")]
    pub scope: Scope,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
    /// The key that was used to create this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "key_0dks8xn2a4m1b")]
    pub made_by: Option<String>,
    /// Time of the last use, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// Only in the response that revokes it: keys that were created with it and are still valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub made_valid: Vec<String>,
    /// Only in the response that creates the key. Store it: it cannot be shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "cw_…")]
    pub secret: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey, example = json!({"name": "switch in Frankfurt", "scope": "usage_write", "tenant": "muster-telecom"}))]
pub struct NewApiKeyBody {
    pub name: String,
    /// `platform_admin`, `tenant_admin`, `tenant_read`, `usage_write` or `metrics_read`.
    #[schema(value_type = words::Scope, example = "usage_write")]
    pub scope: Scope,
    /// Tenant at the top of the subtree that the new key can see. Default: the key's own tenant.
    pub tenant: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Instant>,
}

async fn shown(app: &App, key: &ApiKey, secret: Option<String>) -> Result<ApiKeyBody, ApiProblem> {
    Ok(ApiKeyBody {
        id: key.id.to_string(),
        name: key.name.clone(),
        tenant: auth::tenant_by_id(app, key.tenant)
            .await?
            .external_id
            .clone(),
        scope: key.scope,
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.map(|at| at.to_string()),
        revoked_at: key.revoked_at.map(|at| at.to_string()),
        made_by: key.made_by.map(|key| key.to_string()),
        last_used_at: app
            .key_uses
            .last(key.id)
            .max(key.last_used_at)
            .map(|at| at.to_string()),
        made_valid: Vec::new(),
        secret,
    })
}

/// Create a key; its secret is shown only in this response
///
/// `Idempotency-Key` is not used here: a response with a secret is never stored.
#[utoipa::path(post, path = "/v1/api-keys", tag = "api-keys", request_body = NewApiKeyBody, responses((status = 201, body = ApiKeyBody)))]
pub async fn create_api_key(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<Done<ApiKeyBody>, ApiProblem> {
    let new: NewApiKeyBody = write.read()?;
    let tenant = auth::tenant_or_own(&app, &key, new.tenant.as_deref())
        .await
        .map_err(|refused| at_field(refused, "tenant"))?;
    if new.scope == Scope::PlatformAdmin && !key.is_platform_admin() {
        return Err(ApiProblem::new(
            Code::Forbidden,
            "only a platform admin may create another",
        ));
    }
    let secret = tenants::key::new_secret(
        clock::random_secret().map_err(|error| ApiProblem::internal(&error))?,
    );
    let made = ApiKey {
        id: ApiKeyId(app.clock.id()),
        tenant: tenant.id,
        root: tenant.root,
        scope: new.scope,
        name: new.name,
        hash: tenants::key::hash(&secret),
        created_at: app.clock.now(),
        expires_at: new.expires_at,
        revoked_at: None,
        made_by: Some(key.key.id),
        last_used_at: None,
    };
    made.validate(&tenant)?;
    app.catalog
        .create_key(&write.actor(&app, &key, None), &made)
        .await?;
    Ok(Done::created(shown(&app, &made, Some(secret)).await?))
}

/// List the keys of the key's own subtree
#[utoipa::path(get, path = "/v1/api-keys", tag = "api-keys", params(NamedQuery), responses((status = 200, body = List<ApiKeyBody>)))]
pub async fn list_api_keys(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<NamedQuery>,
) -> Result<Json<List<ApiKeyBody>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let name = query.name.as_deref();
    let found = app
        .catalog_of(&key)
        .keys_below(
            &key.tenant,
            name,
            page.after()?.map(ApiKeyId),
            page.limit()?,
        )
        .await?;
    let app = &app;
    let page = List::shown(
        found,
        |key| key.id.0,
        |key| async move { shown(app, &key, None).await },
    );
    Ok(Json(page.await?))
}

/// Revoke a key immediately
///
/// The response names the keys that were created with it and are still valid: anyone who had it may
/// hold them.
#[utoipa::path(post, path = "/v1/api-keys/{key}/revoke", tag = "api-keys", params(("key" = String, Path, description = "`key_…`")),
    responses((status = 200, body = ApiKeyBody)))]
pub async fn revoke_api_key(
    State(app): State<App>,
    key: MayWrite,
    Path(id): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let found = visible_key(app, key, &id).await?;
    if found.scope == Scope::PlatformAdmin && !key.is_platform_admin() {
        return Err(ApiProblem::new(
            Code::Forbidden,
            "only a platform admin may revoke another",
        ));
    }
    let id = found.id;
    let work = |actor| async move {
        let revoked = app.catalog.revoke_key(&actor, id).await?;
        app.invalidate();
        Ok(Done::ok(shown_revoked(app, key, &revoked).await?))
    };
    let again = |_| async move {
        let revoked = app
            .catalog
            .key(id)
            .await?
            .ok_or_else(|| ApiProblem::not_found("API key"))?;
        Ok(Done::ok(shown_revoked(app, key, &revoked).await?))
    };
    write.once(app, key, work, again).await
}

/// With the keys that it made: whoever had it may have them.
async fn shown_revoked(
    app: &App,
    access: &Access,
    revoked: &ApiKey,
) -> Result<ApiKeyBody, ApiProblem> {
    let made = app
        .catalog_of(access)
        .keys_made_by(revoked.id, app.clock.now())
        .await?;
    let made_valid = made.iter().map(ToString::to_string).collect();
    Ok(ApiKeyBody {
        made_valid,
        ..shown(app, revoked, None).await?
    })
}

async fn visible_key(app: &App, access: &Access, id: &str) -> Result<ApiKey, ApiProblem> {
    let catalog = app.catalog_of(access);
    let find = |id: ApiKeyId| async move { catalog.key(id).await };
    auth::visible(app, access, "API key", id, find, |key| key.tenant).await
}
