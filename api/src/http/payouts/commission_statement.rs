//! `/v1/commissions/statement`: everything that moved a reseller's balance in one month, to the
//! cent; `/v1/commissions/payable`: what of it can be paid out.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use journal::Seq;
use payouts::rows::PayoutRows;
use payouts::{CommissionAccount, MonthView};
use problem::Code;
use reports::commission_statement::{CommissionStatement, Part, next_rows, statement};
use reports::commissions::account_of;
use reports::payable::{PayableBody, payable};
use schema::words;
use serde::Deserialize;
use web::auth::{MayRead, tenant_named};
use web::page::PageQuery;
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    Csv,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatementOfMonthQuery {
    /// External id or `ten_…`.
    pub reseller: String,
    /// In the platform's time zone.
    #[param(example = "2026-11")]
    pub month: String,
    /// Default: the currency of the reseller's agreement.
    pub currency: Option<String>,
    /// `json` (default) or `csv`: the whole month in one file, with the closing balance in the last
    /// row.
    #[serde(default)]
    #[param(value_type = Option<words::ReportFormat>, inline, example = "json")]
    pub format: Format,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// Read a reseller's monthly statement: every charge, top-up, refund, dispute and payout
#[utoipa::path(get, path = "/v1/commissions/statement", tag = "money", params(StatementOfMonthQuery),
    responses((status = 200, description = "JSON in pages, or a single CSV file",
        content((CommissionStatement = "application/json"), (String = "text/csv")))))]
pub async fn get_commission_statement(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<StatementOfMonthQuery>,
) -> Result<Response, ApiProblem> {
    let reseller = tenant_named(&app, &key, &query.reseller).await?;
    let (currency, now) = (query.currency.as_deref(), app.clock.now());
    let commission_account = account_of(&app.sources, &reseller, currency, now).await?;
    let month = query.month.parse().map_err(|error: payouts::BadMonth| {
        ApiProblem::field(Code::InvalidField, "month", error.to_string())
    })?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let (after, limit) = (page.after()?.map(Seq), page.limit()?);
    let view = app.payouts.month(commission_account, month, now).await?;
    if query.format == Format::Csv {
        return Ok(csv(app, commission_account, view, &reseller.external_id));
    }
    let sources = &app.sources;
    let page = statement(sources, &reseller, commission_account, &view, after, limit);
    Ok(Json(page.await?).into_response())
}

/// One file, as it is read.
fn csv(
    app: App,
    commission_account: CommissionAccount,
    view: MonthView,
    reseller: &str,
) -> Response {
    let name = format!(
        "attachment; filename=\"commission-{reseller}-{}.csv\"",
        view.month
    );
    let rows = stream::try_unfold(
        (app, view, Part::Opening),
        move |(app, view, part)| async move {
            let rows = next_rows(&app.sources, commission_account, &view, part).await?;
            Ok::<_, std::io::Error>(rows.map(|(rows, part)| (rows, (app, view, part))))
        },
    );
    let mut response = Body::from_stream(rows).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8"),
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PayableQuery {
    /// External id or `ten_…`.
    pub reseller: String,
    /// Default: the currency of the reseller's payout settings, or else of its agreement.
    pub currency: Option<String>,
}

/// Read how much of a reseller's commission can be paid out
#[utoipa::path(get, path = "/v1/commissions/payable", tag = "money", params(PayableQuery), responses((status = 200, body = PayableBody)))]
pub async fn get_payable(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<PayableQuery>,
) -> Result<Json<PayableBody>, ApiProblem> {
    let reseller = tenant_named(&app, &key, &query.reseller).await?;
    let stored = PayoutRows::of(&app.catalog_of(&key))
        .payout_settings(reseller.id)
        .await?;
    let currency = query
        .currency
        .as_deref()
        .or(stored.as_ref().map(|settings| settings.currency.code()));
    let now = app.clock.now();
    let commission_account = account_of(&app.sources, &reseller, currency, now).await?;
    Ok(Json(
        payable(&app.sources, &reseller, commission_account, stored, now).await?,
    ))
}
