//! `/v1/usage-events/{source}/{id}`: why every cent moved. A read of what was recorded, not a
//! recomputation. A key sees the charges of links whose buyer is in its subtree.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use reports::explain;
use reports::explanation::ExplanationBody;
use serde::Deserialize;
use web::auth::MayRead;
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExplainQuery {
    /// The event's customer, if several roots use the same source and id.
    pub customer: Option<String>,
}

/// Explain a usage event
///
/// The response contains every charge's version, rate, increments, quantities, exact amount, cents
/// and carry.
#[utoipa::path(get, path = "/v1/usage-events/{source}/{id}", tag = "usage-events",
    params(("source" = String, Path, description = "The event's source; `default` if it had none"), ("id" = String, Path, description = "The event's id"), ExplainQuery),
    responses((status = 200, body = ExplanationBody)))]
pub async fn explain_usage(
    State(app): State<App>,
    key: MayRead,
    Path((source, id)): Path<(String, String)>,
    Query(query): Query<ExplainQuery>,
) -> Result<Response, ApiProblem> {
    let (event, customer) = ((source.as_str(), id.as_str()), query.customer.as_deref());
    let tell = |body: &ExplanationBody<'_>| Json(body).into_response();
    Ok(explain::explain(&app.sources, &key.reader(), event, customer, tell).await?)
}
