//! `/v1/accounts/{tenant}/threshold`: at which balance its contacts and endpoints are told.

use crate::http::balances::accounts::AccountQuery;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use notices::rows::{NoticeRows, Threshold};
use rating::{Cents, Currency};
use serde::{Deserialize, Serialize};
use tenants::Tenant;
use web::auth::{MayRead, MayWrite, tenant_named};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::write::{Done, Write};

/// Low-balance threshold, and the state of its notices.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BalanceThreshold)]
pub struct ThresholdBody {
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// A `balance.low` notice is sent at or below this, once until the balance rises above it
    /// again. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 500)]
    pub low_cents: Option<i64>,
    /// Time since which the balance has been reported as low.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub low_at: Option<String>,
    /// Time since which the balance has been reported as used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub exhausted_at: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBalanceThreshold, example = json!({"low_cents": 500}))]
pub struct NewThresholdBody {
    /// Posted cents. Absent: no notice is sent.
    pub low_cents: Option<i64>,
    /// ISO 4217. Default: the currency of the tenant's agreement.
    pub currency: Option<String>,
}

fn shown(tenant: &Tenant, currency: Currency, threshold: Option<&Threshold>) -> ThresholdBody {
    ThresholdBody {
        tenant: tenant.external_id.clone(),
        currency: currency.code(),
        low_cents: threshold
            .and_then(|threshold| threshold.low)
            .map(|cents| cents.0),
        low_at: threshold
            .and_then(|threshold| threshold.low_at)
            .map(|at| at.to_string()),
        exhausted_at: threshold
            .and_then(|threshold| threshold.exhausted_at)
            .map(|at| at.to_string()),
    }
}

/// Read the low-balance threshold
#[utoipa::path(get, path = "/v1/accounts/{tenant}/threshold", tag = "accounts",
    params(("tenant" = String, Path, description = "External id or `ten_…`"), ("currency" = Option<String>, Query, description = "ISO 4217. Default: the currency of the tenant's agreement.")),
    responses((status = 200, body = ThresholdBody)))]
pub async fn get_threshold(
    State(app): State<App>,
    key: MayRead,
    Path(name): Path<String>,
    Query(query): Query<AccountQuery>,
) -> Result<Json<ThresholdBody>, ApiProblem> {
    let tenant = tenant_named(&app, &key, &name).await?;
    let currency = app
        .sources
        .currency_of(&tenant, query.currency.as_deref(), app.clock.now())
        .await?;
    let threshold = NoticeRows::of(&app.catalog_of(&key))
        .threshold(tenant.root, tenant.id, currency)
        .await?;
    Ok(Json(shown(&tenant, currency, threshold.as_ref())))
}

/// Set or remove the low-balance threshold
#[utoipa::path(put, path = "/v1/accounts/{tenant}/threshold", tag = "accounts", params(("tenant" = String, Path, description = "External id or `ten_…`")),
    request_body = NewThresholdBody, responses((status = 200, body = ThresholdBody)))]
pub async fn set_threshold(
    State(app): State<App>,
    key: MayWrite,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let tenant = &*tenant_named(app, key, &name).await?;
    let new: NewThresholdBody = write.read()?;
    let currency = app
        .sources
        .currency_of(tenant, new.currency.as_deref(), app.clock.now())
        .await?;
    let work = |actor| async move {
        let threshold = NoticeRows::of(&app.catalog)
            .set_threshold(&actor, tenant.id, currency, new.low_cents.map(Cents))
            .await?;
        app.invalidate();
        Ok(Done::ok(shown(tenant, currency, Some(&threshold))))
    };
    let again = |_| async move {
        let threshold = NoticeRows::of(&app.catalog)
            .threshold(tenant.root, tenant.id, currency)
            .await?;
        Ok(Done::ok(shown(tenant, currency, threshold.as_ref())))
    };
    write.once(app, key, work, again).await
}
