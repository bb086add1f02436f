//! `/v1/payments/reconciliation`: the payment provider's balance against what is posted.

use axum::Json;
use axum::extract::State;
use problem::Code;
use reports::reconciliation::{ReconciliationBody, reconciliation};
use serde::Deserialize;
use web::auth::MayOperate;
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;

const DAYS_MAX: u16 = 366;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReconciliationQuery {
    /// Number of days to look back: 1 to 366.
    #[param(minimum = 1, maximum = 366, example = 7)]
    pub days: u16,
}

/// Compare the payment provider's balance with the posted amounts
#[utoipa::path(get, path = "/v1/payments/reconciliation", tag = "money", params(ReconciliationQuery),
    responses((status = 200, body = ReconciliationBody)))]
pub async fn reconcile(
    State(app): State<App>,
    _key: MayOperate,
    Query(query): Query<ReconciliationQuery>,
) -> Result<Json<ReconciliationBody>, ApiProblem> {
    if !(1..=DAYS_MAX).contains(&query.days) {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "days",
            format!("expected 1 to {DAYS_MAX}"),
        ));
    }
    let until = app.clock.now();
    let from = until.plus_secs(-86_400 * i64::from(query.days));
    Ok(Json(reconciliation(&app.payments, from, until).await?))
}
