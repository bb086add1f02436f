//! `/v1/payouts/sepa-file`: payouts by bank, as a file that a bank takes (`pain.001.001.09`).

use crate::http::payouts::payout::{PayoutBody, short, shown};
use crate::http::payouts::steps::PaidBody;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use catalog::Actor;
use jiff::civil::Date;
use payouts::rows::{PayoutFile, PayoutRows};
use rating::ids::PayoutFileId;
use serde::{Deserialize, Serialize};
use web::auth::MayOperate;
use web::problem::ApiProblem;
use web::state::App;
use web::write::{Done, Made, Write};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"execution_on": "2026-11-23"}))]
pub struct NewSepaFile {
    /// Day on which the bank should execute the file. It must be a business day of TARGET, the
    /// payment system of the euro's central banks. Default: today in the platform's time zone, or
    /// the next such day.
    #[schema(value_type = Option<String>, example = "2026-11-23", format = Date)]
    pub execution_on: Option<Date>,
}

/// A due payout that is not in the file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PayoutSkipped {
    #[schema(example = "pyt_0dks8xn2a4m1c")]
    pub payout: String,
    pub why: String,
}

/// A file for the bank. Download it from `/v1/payouts/sepa-file/{file}`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SepaFile {
    #[schema(example = "ptf_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "2026-11-23", format = Date)]
    pub execution_on: String,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(example = 6000)]
    pub cents: i64,
    pub payouts: Vec<PayoutBody>,
    /// These payouts stay due.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<PayoutSkipped>,
}

async fn file_named(app: &App, name: &str) -> Result<PayoutFile, ApiProblem> {
    let missing = || ApiProblem::not_found("file");
    let id: PayoutFileId = name.parse().map_err(|_| missing())?;
    PayoutRows::of(&app.catalog)
        .payout_file(id)
        .await?
        .ok_or_else(missing)
}

/// Create a bank file with all due payouts by bank transfer
///
/// The payouts become `paying` and are debited. `Idempotency-Key` is required: a file is created
/// only once.
#[utoipa::path(post, path = "/v1/payouts/sepa-file", tag = "payouts", request_body = NewSepaFile, responses((status = 201, body = SepaFile)))]
pub async fn make_sepa_file(
    State(app): State<App>,
    key: MayOperate,
    write: Write,
) -> Result<Response, ApiProblem> {
    let asked: NewSepaFile = write.read()?;
    write.required_key()?;
    app.held.may_pay_out()?;
    let app = &app;
    let work = |actor: Actor| async move {
        let made = app
            .payouts
            .make_file(&actor, asked.execution_on, actor.at)
            .await?;
        let skipped = made
            .skipped
            .into_iter()
            .map(|one| PayoutSkipped {
                payout: one.payout.to_string(),
                why: one.why,
            })
            .collect();
        Ok(Done::created(
            body(app, &made.file, &made.payouts, skipped).await?,
        ))
    };
    let again = |made: Made| async move {
        let file = PayoutRows::of(&app.catalog)
            .payout_file(made.id()?)
            .await?
            .ok_or_else(|| ApiProblem::not_found("file"))?;
        let payouts = PayoutRows::of(&app.catalog)
            .payouts_of_file(file.id)
            .await?;
        Ok(Done::created(body(app, &file, &payouts, Vec::new()).await?))
    };
    write.once(app, &key, work, again).await
}

async fn body(
    app: &App,
    file: &PayoutFile,
    payouts: &[payouts::rows::Payout],
    skipped: Vec<PayoutSkipped>,
) -> Result<SepaFile, ApiProblem> {
    let mut shown_payouts = Vec::with_capacity(payouts.len());
    for payout in payouts {
        shown_payouts.push(shown(app, payout).await?);
    }
    Ok(SepaFile {
        id: file.id.to_string(),
        execution_on: file.execution_on.clone(),
        currency: file.currency.code(),
        cents: file.cents.0,
        payouts: shown_payouts,
        skipped,
    })
}

/// Download a bank file
#[utoipa::path(get, path = "/v1/payouts/sepa-file/{file}", tag = "payouts", params(("file" = String, Path, description = "`ptf_…`")),
    responses((status = 200, body = String, content_type = "application/xml")))]
pub async fn get_sepa_file(
    State(app): State<App>,
    _key: MayOperate,
    Path(name): Path<String>,
) -> Result<Response, ApiProblem> {
    let file = file_named(&app, &name).await?;
    let mut response = file.xml.into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    );
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{}.xml\"", file.id)) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Mark all payouts in a file as paid
#[utoipa::path(post, path = "/v1/payouts/sepa-file/{file}/paid", tag = "payouts", params(("file" = String, Path, description = "`ptf_…`")),
    request_body = PaidBody, responses((status = 200, body = SepaFile)))]
pub async fn mark_sepa_file_paid(
    State(app): State<App>,
    key: MayOperate,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let reference = short("reference", &write.read::<PaidBody>()?.reference)?;
    let file = file_named(&app, &name).await?;
    let actor = write.actor(&app, &key, None);
    let work = async {
        let payouts = app
            .payouts
            .mark_file_paid(&actor, file.id, &reference, actor.at)
            .await?;
        Ok(Done::ok(body(&app, &file, &payouts, Vec::new()).await?))
    };
    write.repeatable(&app, &key, work).await
}
