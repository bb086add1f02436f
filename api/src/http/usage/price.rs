//! `/v1/price`: what an event would cost now, by the same code as the charge. Nothing is written.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use formats::input::json::{self, Defaults};
use metering::requests::UsageEvent;
use problem::Code;
use rating::Instant;
use reports::explain::explained_quote;
use reports::explanation::ExplanationBody;
use reports::names::Names;
use schema::usage::PlannedUsage;
use serde::Serialize;
use web::auth::MayAsk;
use web::problem::ApiProblem;
use web::state::App;
use web::write::Write;

/// The price with its explanation; `balance_cents` is the balance that would remain.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Price)]
pub struct PriceBody<'a> {
    #[serde(flatten)]
    pub explanation: ExplanationBody<'a>,
    #[schema(example = 4600)]
    pub balance_cents: i64,
}

/// A usage event in a body of ours, with defaults for what a dry run or a hold need not say.
pub fn usage_at(text: &str, id: &str, at: Option<Instant>) -> Result<UsageEvent, ApiProblem> {
    let defaults = Defaults {
        id: Some(id),
        at,
        ..Defaults::default()
    };
    json::event(text, &defaults).map_err(|(_, problem)| problem.into())
}

/// Quote the price of usage
///
/// The body is a usage event; `id` and `at` may be omitted.
#[utoipa::path(post, path = "/v1/price", tag = "price",
    request_body = PlannedUsage,
    responses((status = 200, body = PriceBody)))]
pub async fn price(
    State(app): State<App>,
    key: MayAsk,
    write: Write,
) -> Result<Response, ApiProblem> {
    let text = std::str::from_utf8(&write.body)
        .map_err(|_| ApiProblem::new(Code::InvalidJson, "expected UTF-8"))?;
    let quote = app
        .engine
        .quote(
            &key.caller(),
            usage_at(text, "price", Some(app.clock.now()))?,
        )
        .await?;
    let (sources, reader) = (&app.sources, &key.reader());
    let names = Names::of(
        sources,
        reader,
        quote.posted.splits.iter().map(|(tenant, _)| *tenant),
    )
    .await?;
    let mut explanation = explained_quote(sources, reader, quote.record).await?;
    explanation.splits = names.splits(&quote.posted.splits);
    Ok(Json(PriceBody {
        explanation,
        balance_cents: quote.posted.balance.0,
    })
    .into_response())
}
