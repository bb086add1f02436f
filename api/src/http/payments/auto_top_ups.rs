//! `/v1/accounts/{tenant}/auto-top-up`: a balance that is topped up by itself when it falls to a
//! threshold.

use crate::http::balances::accounts::AccountQuery;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use payments::auto::AutoTerms;
use payments::rows::{AutoState, AutoTopUp, PaymentRows};
use problem::Code;
use rating::{Cents, Currency};
use schema::words;
use serde::{Deserialize, Serialize};
use tenants::{Tenant, TenantKind};
use web::auth::{MayRead, MayWrite, tenant_named};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::write::{Done, Write};

/// Settings and state of a balance's automatic top-up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AutoTopUp)]
pub struct AutoBody {
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// `on`, `paused` (until someone pays on a page that saves the method, or it is set again) or
    /// `off`.
    #[schema(value_type = words::AutoTopUpState, example = "on")]
    pub state: AutoState,
    /// Why it is paused, or was switched off automatically: the reason given by the payer's bank,
    /// `authentication_required`, `method_gone`, `refunded`, `disputed`, `fraud_reported`,
    /// `tenant_closed`, `no_agreement_in_force`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_because: Option<String>,
    /// Whether there is a payment method to charge. If not, pay a top-up with `save_method`.
    #[schema(example = true)]
    pub has_method: bool,
    #[schema(example = 1000)]
    pub threshold_cents: i64,
    #[schema(example = 5000)]
    pub amount_cents: i64,
    #[schema(example = 20000)]
    pub month_max_cents: i64,
    /// Amount topped up in the calendar month (UTC) of the last automatic top-up.
    #[schema(example = 5000)]
    pub month_spent_cents: i64,
    /// The top-up in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_up: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAutoTopUp, example = json!({"enabled": true, "threshold_cents": 1000, "amount_cents": 5000, "month_max_cents": 20000}))]
pub struct NewAutoBody {
    pub enabled: bool,
    /// Posted cents: a top-up begins once usage has brought the balance to this amount or below.
    /// Refunds, disputes, adjustments and payouts do not start one.
    pub threshold_cents: i64,
    /// Amount of each top-up, within the terms of top-ups.
    pub amount_cents: i64,
    /// Maximum amount per calendar month (UTC).
    pub month_max_cents: i64,
    /// ISO 4217. Default: the currency of the tenant's agreement.
    pub currency: Option<String>,
}

fn shown(tenant: &Tenant, currency: Currency, auto: Option<&AutoTopUp>) -> AutoBody {
    let cents = |of: fn(&AutoTopUp) -> Cents| auto.map_or(0, |auto| of(auto).0);
    AutoBody {
        tenant: tenant.external_id.clone(),
        currency: currency.code(),
        state: auto.map_or(AutoState::Off, |auto| auto.state),
        paused_because: auto.and_then(|auto| auto.pause.clone()),
        has_method: auto.is_some_and(|auto| auto.method.is_some()),
        threshold_cents: cents(|auto| auto.threshold),
        amount_cents: cents(|auto| auto.amount),
        month_max_cents: cents(|auto| auto.month_max),
        month_spent_cents: cents(|auto| auto.month_spent),
        top_up: auto.and_then(|auto| auto.open).map(|id| id.to_string()),
    }
}

/// Read a balance's automatic top-up
#[utoipa::path(get, path = "/v1/accounts/{tenant}/auto-top-up", tag = "accounts",
    params(("tenant" = String, Path, description = "External id or `ten_…`"), ("currency" = Option<String>, Query, description = "ISO 4217. Default: the currency of the tenant's agreement.")),
    responses((status = 200, body = AutoBody)))]
pub async fn get_auto_top_up(
    State(app): State<App>,
    key: MayRead,
    Path(name): Path<String>,
    Query(query): Query<AccountQuery>,
) -> Result<Json<AutoBody>, ApiProblem> {
    let tenant = tenant_named(&app, &key, &name).await?;
    let currency = app
        .sources
        .currency_of(&tenant, query.currency.as_deref(), app.clock.now())
        .await?;
    let found = PaymentRows::of(&app.catalog_of(&key))
        .auto_top_up(tenant.id, currency)
        .await?;
    Ok(Json(shown(&tenant, currency, found.as_ref())))
}

/// Set a balance's automatic top-up
///
/// It starts once there is a payment method to charge: pay a top-up with `save_method`. A paused
/// one resumes.
#[utoipa::path(put, path = "/v1/accounts/{tenant}/auto-top-up", tag = "accounts", params(("tenant" = String, Path, description = "External id or `ten_…`")),
    request_body = NewAutoBody, responses((status = 200, body = AutoBody)))]
pub async fn set_auto_top_up(
    State(app): State<App>,
    key: MayWrite,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let tenant = &*tenant_named(app, key, &name).await?;
    let new: NewAutoBody = write.read()?;
    if tenant.kind == TenantKind::Platform {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "tenant",
            "the platform has no balance of its own",
        ));
    }
    app.payments.provider()?;
    if new.enabled {
        app.payments.payer(tenant).await?;
    }
    let currency: Currency = app
        .sources
        .currency_of(tenant, new.currency.as_deref(), app.clock.now())
        .await?;
    let terms = AutoTerms {
        is_on: new.enabled,
        threshold: Cents(new.threshold_cents),
        amount: Cents(new.amount_cents),
        month_max: Cents(new.month_max_cents),
    };
    let work = |actor| async move {
        let auto = app
            .payments
            .set_auto(&actor, tenant, currency, terms)
            .await?;
        Ok(Done::ok(shown(tenant, currency, Some(&auto))))
    };
    let again = |_| async move {
        app.payments.mark_auto().await?;
        let auto = PaymentRows::of(&app.catalog)
            .auto_top_up(tenant.id, currency)
            .await?;
        Ok(Done::ok(shown(tenant, currency, auto.as_ref())))
    };
    write.once(app, key, work, again).await
}
