//! `/v1/webhook-endpoints/{endpoint}/deliveries`: what was sent to an endpoint, what became of it,
//! and again.

use crate::http::notices::webhook_endpoints::visible_endpoint;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use notices::rows::{Delivery, DeliveryState, NoticeKind, NoticeRows, Target};
use rating::ids::DeliveryId;
use schema::words;
use serde::Serialize;
use web::auth::{MayRead, MayWrite};
use web::page::{List, PageQuery, PeriodQuery, period};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::write::{Done, Write};

/// Delivery of one notice to one endpoint.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryBody {
    #[schema(example = "dlv_0dks8xn2a4m1c")]
    pub id: String,
    /// Value of the header `webhook-id`: the same in every attempt.
    #[schema(example = "ntc_0dks8xn2a4m1c")]
    pub notice: String,
    #[schema(value_type = words::NoticeKind, example = "balance.low")]
    pub kind: NoticeKind,
    /// `waiting`, `delivered` or `failed` (given up).
    #[schema(value_type = words::DeliveryState, example = "delivered")]
    pub state: DeliveryState,
    /// Number of attempts started.
    #[schema(example = 1)]
    pub attempts: u32,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub tried_at: Option<String>,
    /// Time of the next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub next_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub done_at: Option<String>,
    /// HTTP status of the response to the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 204)]
    pub status: Option<u16>,
    /// Reason why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it answered 500")]
    pub error: Option<String>,
    /// Body of the request, byte for byte.
    #[schema(
        example = r#"{"type":"balance.low","timestamp":"2026-11-20T09:00:00Z","data":{"tenant":"acme-42"}}"#
    )]
    pub payload: String,
}

fn shown(delivery: &Delivery) -> DeliveryBody {
    DeliveryBody {
        id: delivery.id.to_string(),
        notice: delivery.notice.to_string(),
        kind: delivery.kind,
        state: delivery.state,
        attempts: delivery.attempts,
        created_at: delivery.created_at.to_string(),
        tried_at: delivery.tried_at.map(|at| at.to_string()),
        next_at: delivery.next_at.map(|at| at.to_string()),
        done_at: delivery.done_at.map(|at| at.to_string()),
        status: delivery.last_status,
        error: delivery.last_error.clone(),
        payload: delivery.payload.clone(),
    }
}

/// List the deliveries to an endpoint, newest first; they are kept for 30 days
#[utoipa::path(get, path = "/v1/webhook-endpoints/{endpoint}/deliveries", tag = "webhook-endpoints",
    params(("endpoint" = String, Path, description = "`whe_…`"), PeriodQuery), responses((status = 200, body = List<DeliveryBody>)))]
pub async fn list_deliveries(
    State(app): State<App>,
    key: MayRead,
    Path(id): Path<String>,
    Query(query): Query<PeriodQuery>,
) -> Result<Json<List<DeliveryBody>>, ApiProblem> {
    let endpoint = visible_endpoint(&app, &key, &id).await?;
    let period = period(query.from, query.until)?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (before, limit) = (page.after()?.map(DeliveryId), page.limit()?);
    let found = NoticeRows::of(&app.catalog_of(&key))
        .deliveries_of(Target::Endpoint(endpoint.id), period, before, limit)
        .await?;
    let last = found.data.last().map(|delivery| delivery.id.0);
    Ok(Json(List::new(
        found.data.iter().map(shown).collect(),
        found.has_more,
        last,
    )))
}

/// Send a delivery again immediately, under the same `webhook-id`
#[utoipa::path(post, path = "/v1/webhook-endpoints/{endpoint}/deliveries/{delivery}/replay", tag = "webhook-endpoints",
    params(("endpoint" = String, Path, description = "`whe_…`"), ("delivery" = String, Path, description = "`dlv_…`")),
    responses((status = 202, body = DeliveryBody)))]
pub async fn replay_delivery(
    State(app): State<App>,
    key: MayWrite,
    Path((endpoint, id)): Path<(String, String)>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let endpoint = visible_endpoint(app, key, &endpoint).await?;
    let missing = || ApiProblem::not_found("delivery");
    let id: DeliveryId = id.parse().map_err(|_| missing())?;
    let found = NoticeRows::of(&app.catalog_of(key))
        .delivery(id)
        .await?
        .filter(|found| found.target == Target::Endpoint(endpoint.id));
    found.ok_or_else(missing)?;
    let work = |actor| async move {
        Ok(Done::accepted(shown(
            &NoticeRows::of(&app.catalog)
                .replay_delivery(&actor, id)
                .await?,
        )))
    };
    let again = |_| async move {
        Ok(Done::accepted(shown(
            &NoticeRows::of(&app.catalog)
                .delivery(id)
                .await?
                .ok_or_else(missing)?,
        )))
    };
    write.once(app, key, work, again).await
}
