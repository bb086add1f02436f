//! `/v1/webhook-endpoints`: where a tenant's own programs hear of what happens. Secrets are shown
//! once, when they are made.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use notices::address::BadUrl;
use notices::rows::{Endpoint, EndpointPatch, Notice, NoticeKind, NoticeRows, Wanted};
use problem::Code;
use rating::ids::{DeliveryId, EndpointId, NoticeId};
use schema::words;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::auth::{self, Access, MayRead, MayWrite};
use web::page::{List, PageQuery};
use web::problem::{ApiProblem, at_field};
use web::query::Query;
use web::state::App;
use web::write::{Done, Made, Write, knowing};

/// A webhook endpoint, without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointBody {
    #[schema(example = "whe_0dks8xn2a4m1c")]
    pub id: String,
    /// External id of the tenant it belongs to.
    #[schema(example = "muster-telecom")]
    pub tenant: String,
    #[schema(example = "https://muster.example/centwise")]
    pub url: String,
    /// Kinds of notices. Empty: every kind.
    #[schema(value_type = Vec<words::NoticeKind>, example = json!(["balance.low", "top_up.succeeded"]))]
    pub kinds: Vec<NoticeKind>,
    /// Whether it also receives notices about tenants below.
    pub subtree: bool,
    pub active: bool,
    /// Reason why it is not active, unless someone switched it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_why: Option<String>,
    /// Until this time, the previous secret signs as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub former_secret_until: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Only in the response that creates it. Store it: it cannot be shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_…")]
    pub secret: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint, example = json!({"url": "https://muster.example/centwise", "kinds": ["balance.low"], "subtree": true}))]
pub struct NewEndpointBody {
    /// `https://…`, with a public address.
    pub url: String,
    /// Default: the key's own tenant.
    pub tenant: Option<String>,
    /// Default: every kind.
    #[serde(default)]
    #[schema(value_type = Vec<words::NoticeKind>)]
    pub kinds: Vec<NoticeKind>,
    /// Whether it also receives notices about tenants below. Default: no.
    #[serde(default)]
    pub subtree: bool,
}

/// Fields to change. Omitted fields stay as they are.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointChange, example = json!({"active": false}))]
pub struct EndpointChange {
    pub url: Option<String>,
    /// Kinds of notices. Empty: every kind.
    #[schema(value_type = Option<Vec<words::NoticeKind>>)]
    pub kinds: Option<Vec<NoticeKind>>,
    pub subtree: Option<bool>,
    /// An endpoint that is switched off receives nothing. Switching it on again also clears
    /// `disabled_why`.
    pub active: Option<bool>,
}

/// Kinds as asked; none is every kind.
///
/// # Errors
/// `invalid_field` for what is only sent on request.
pub fn wanted_kinds(kinds: Vec<NoticeKind>) -> Result<Option<Vec<NoticeKind>>, ApiProblem> {
    if kinds.contains(&NoticeKind::Test) {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "kinds",
            "test notices are sent only on request",
        ));
    }
    Ok(Some(kinds).filter(|kinds| !kinds.is_empty()))
}

fn check_url(app: &App, url: &str) -> Result<(), ApiProblem> {
    app.reach.check(url).map(drop).map_err(|error| {
        let hint = match error {
            BadUrl::NotHttps | BadUrl::NotPublic => {
                "; the operator may allow private addresses, and those without TLS, with \
                    CENTWISE_WEBHOOKS_TO_PRIVATE=true"
            }
            BadUrl::Malformed | BadUrl::Credentials => "",
        };
        ApiProblem::field(Code::InvalidField, "url", format!("{error}{hint}"))
    })
}

fn new_secret() -> Result<String, ApiProblem> {
    Ok(notices::signature::secret(
        clock::random_secret().map_err(|error| ApiProblem::internal(&error))?,
    ))
}

async fn shown(
    app: &App,
    endpoint: &Endpoint,
    secret: Option<String>,
) -> Result<EndpointBody, ApiProblem> {
    let now = app.clock.now();
    Ok(EndpointBody {
        id: endpoint.id.to_string(),
        tenant: auth::tenant_by_id(app, endpoint.tenant)
            .await?
            .external_id
            .clone(),
        url: endpoint.url.clone(),
        kinds: endpoint.wanted.kinds.clone().unwrap_or_default(),
        subtree: endpoint.wanted.subtree,
        active: endpoint.active,
        disabled_why: endpoint.disabled_why.clone(),
        former_secret_until: endpoint
            .former
            .as_ref()
            .filter(|(_, until)| now < *until)
            .map(|(_, until)| until.to_string()),
        created_at: endpoint.created_at.to_string(),
        secret,
    })
}

/// An endpoint within the key's subtree.
///
/// # Errors
/// `not_found`.
pub async fn visible_endpoint(
    app: &App,
    access: &Access,
    id: &str,
) -> Result<Endpoint, ApiProblem> {
    let catalog = app.catalog_of(access);
    let find = |id: EndpointId| async move { NoticeRows::of(&catalog).endpoint(id).await };
    auth::visible(app, access, "webhook endpoint", id, find, |endpoint| {
        endpoint.tenant
    })
    .await
}

/// Create a webhook endpoint; its secret is shown only in this response
///
/// A response with a secret is never stored. If the request is repeated with the same
/// `Idempotency-Key`, the response contains the endpoint without its secret. If the secret was
/// lost, create a new one (`rotate-secret`).
#[utoipa::path(post, path = "/v1/webhook-endpoints", tag = "webhook-endpoints", request_body = NewEndpointBody, responses((status = 201, body = EndpointBody)))]
pub async fn create_webhook_endpoint(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let new: NewEndpointBody = write.read()?;
    let tenant = auth::tenant_or_own(app, key, new.tenant.as_deref())
        .await
        .map_err(|refused| at_field(refused, "tenant"))?;
    check_url(app, &new.url)?;
    let endpoint = Endpoint {
        id: EndpointId(app.clock.id()),
        root: tenant.root,
        tenant: tenant.id,
        url: new.url,
        secret: new_secret()?,
        former: None,
        wanted: Wanted {
            kinds: wanted_kinds(new.kinds)?,
            subtree: new.subtree,
        },
        active: true,
        disabled_why: None,
        created_at: app.clock.now(),
    };
    let work = |actor| async move {
        NoticeRows::of(&app.catalog)
            .create_endpoint(&actor, &endpoint)
            .await?;
        let secret = endpoint.secret.clone();
        Ok(Done::created(shown(app, &endpoint, Some(secret)).await?).never_kept())
    };
    let again = |made| async move {
        Ok(Done::created(
            shown(app, &endpoint_made(app, &made).await?, None).await?,
        ))
    };
    write.once(app, key, work, again).await
}

async fn endpoint_made(app: &App, made: &Made) -> Result<Endpoint, ApiProblem> {
    NoticeRows::of(&app.catalog)
        .endpoint(made.id()?)
        .await?
        .ok_or_else(|| ApiProblem::not_found("webhook endpoint"))
}

/// List the webhook endpoints of the key's own subtree
#[utoipa::path(get, path = "/v1/webhook-endpoints", tag = "webhook-endpoints", params(PageQuery), responses((status = 200, body = List<EndpointBody>)))]
pub async fn list_webhook_endpoints(
    State(app): State<App>,
    key: MayRead,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<EndpointBody>>, ApiProblem> {
    let found = NoticeRows::of(&app.catalog_of(&key))
        .endpoints_below(&key.tenant, page.after()?.map(EndpointId), page.limit()?)
        .await?;
    let app = &app;
    let page = List::shown(
        found,
        |endpoint| endpoint.id.0,
        |endpoint| async move { shown(app, &endpoint, None).await },
    );
    Ok(Json(page.await?))
}

/// Read a webhook endpoint
#[utoipa::path(get, path = "/v1/webhook-endpoints/{endpoint}", tag = "webhook-endpoints", params(("endpoint" = String, Path, description = "`whe_…`")),
    responses((status = 200, body = EndpointBody)))]
pub async fn get_webhook_endpoint(
    State(app): State<App>,
    key: MayRead,
    Path(id): Path<String>,
) -> Result<Json<EndpointBody>, ApiProblem> {
    let endpoint = visible_endpoint(&app, &key, &id).await?;
    Ok(Json(shown(&app, &endpoint, None).await?))
}

/// Change a webhook endpoint's URL or kinds, or switch it off or on
#[utoipa::path(patch, path = "/v1/webhook-endpoints/{endpoint}", tag = "webhook-endpoints", params(("endpoint" = String, Path, description = "`whe_…`")),
    request_body = EndpointChange, responses((status = 200, body = EndpointBody)))]
pub async fn change_webhook_endpoint(
    State(app): State<App>,
    key: MayWrite,
    Path(id): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let endpoint = visible_endpoint(app, key, &id).await?;
    let change: EndpointChange = write.read()?;
    if let Some(url) = &change.url {
        check_url(app, url)?;
    }
    let kinds = change.kinds.map(wanted_kinds).transpose()?;
    let patch = EndpointPatch {
        url: change.url,
        kinds,
        subtree: change.subtree,
        active: change.active,
    };
    let work = |actor| async move {
        let changed = NoticeRows::of(&app.catalog)
            .change_endpoint(&actor, endpoint.id, patch)
            .await?;
        Ok(Done::ok(shown(app, &changed, None).await?))
    };
    let again = |made| async move {
        Ok(Done::ok(
            shown(app, &endpoint_made(app, &made).await?, None).await?,
        ))
    };
    write.once(app, key, work, again).await
}

/// Delete a webhook endpoint and give up its pending deliveries
#[utoipa::path(delete, path = "/v1/webhook-endpoints/{endpoint}", tag = "webhook-endpoints", params(("endpoint" = String, Path, description = "`whe_…`")),
    responses((status = 200, body = EndpointBody, description = "The record before its removal")))]
pub async fn delete_webhook_endpoint(
    State(app): State<App>,
    key: MayWrite,
    Path(id): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key, id) = (&app, &key, &id);
    let work = |actor| async move {
        let endpoint = visible_endpoint(app, key, id).await?;
        let was = shown(app, &endpoint, None).await?;
        NoticeRows::of(&app.catalog)
            .delete_endpoint(&knowing(actor, &was)?, endpoint.id)
            .await?;
        Ok(Done::ok(was))
    };
    let again = |made: Made| async move { Ok(Done::ok(made.known()?)) };
    write.once(app, key, work, again).await
}

/// Create a new secret; the current one keeps signing alongside it for 24 hours
///
/// `Idempotency-Key` is not used here: a response with a secret is never stored.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{endpoint}/rotate-secret", tag = "webhook-endpoints",
    params(("endpoint" = String, Path, description = "`whe_…`")), responses((status = 200, body = EndpointBody)))]
pub async fn rotate_webhook_secret(
    State(app): State<App>,
    key: MayWrite,
    Path(id): Path<String>,
    write: Write,
) -> Result<Done<EndpointBody>, ApiProblem> {
    let endpoint = visible_endpoint(&app, &key, &id).await?;
    let secret = new_secret()?;
    let rotated = NoticeRows::of(&app.catalog)
        .rotate_secret(&write.actor(&app, &key, None), endpoint.id, &secret)
        .await?;
    Ok(Done::ok(shown(&app, &rotated, Some(secret)).await?))
}

/// A test notice on its way.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TestDelivery)]
pub struct TestBody {
    /// Id of the delivery in the endpoint's list of deliveries.
    #[schema(example = "dlv_0dks8xn2a4m1c")]
    pub delivery: String,
}

/// Send a notice of type `test` to this endpoint alone
#[utoipa::path(post, path = "/v1/webhook-endpoints/{endpoint}/test", tag = "webhook-endpoints",
    params(("endpoint" = String, Path, description = "`whe_…`")), responses((status = 202, body = TestBody)))]
pub async fn test_webhook_endpoint(
    State(app): State<App>,
    key: MayWrite,
    Path(id): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let endpoint = visible_endpoint(app, key, &id).await?;
    let work = |actor| async move {
        let tenant = auth::tenant_by_id(app, endpoint.tenant).await?;
        let (id, delivery) = (NoticeId(app.clock.id()), DeliveryId(app.clock.id()));
        let (root, data, created_at) = (endpoint.root, json!({}), app.clock.now());
        let notice = Notice {
            id,
            root,
            tenant: tenant.id,
            kind: NoticeKind::Test,
            cause: format!("test:{id}"),
            data,
            created_at,
        };
        let new = notices::outbox::only_for(&endpoint, &notice, &tenant, delivery);
        let made = NoticeRows::of(&app.catalog)
            .create_delivery(&actor, &new)
            .await?;
        Ok(Done::accepted(TestBody {
            delivery: made.to_string(),
        }))
    };
    let again = |made: Made| async move {
        Ok(Done::accepted(TestBody {
            delivery: made.id::<DeliveryId>()?.to_string(),
        }))
    };
    write.once(app, key, work, again).await
}
