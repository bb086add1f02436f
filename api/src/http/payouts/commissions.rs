//! `/v1/commissions`: what a reseller earned: charges received − charges paid, and what has
//! accrued.

use axum::Json;
use axum::extract::State;
use rating::Instant;
use reports::commissions::{self, CommissionBody};
use serde::Deserialize;
use web::auth::{MayRead, tenant_named};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CommissionsQuery {
    /// External id or `ten_…`.
    pub reseller: String,
    /// Default: the currency of the reseller's agreement.
    pub currency: Option<String>,
    /// By time of posting, inclusive.
    #[param(value_type = String, example = "2026-11-01T00:00:00Z", format = DateTime)]
    pub from: Instant,
    /// Exclusive. Default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
}

/// Read a reseller's commission for a period
#[utoipa::path(get, path = "/v1/commissions", tag = "money", params(CommissionsQuery), responses((status = 200, body = CommissionBody)))]
pub async fn get_commission(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<CommissionsQuery>,
) -> Result<Json<CommissionBody>, ApiProblem> {
    let reseller = tenant_named(&app, &key, &query.reseller).await?;
    let (sources, now) = (&app.sources, app.clock.now());
    let account =
        commissions::account_of(sources, &reseller, query.currency.as_deref(), now).await?;
    let until = query
        .until
        .unwrap_or_else(|| app.clock.now().plus_micros(1));
    let (period, currency) = ((query.from, until), account.account.currency);
    let next = || app.reading_turns.next(&key);
    let body = commissions::commission(sources, &reseller, currency, period, now, next);
    Ok(Json(body.await?))
}
