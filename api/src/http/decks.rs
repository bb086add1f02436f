//! `/v1/rate-cards/{card}/import`: a carrier's rate deck becomes the card's next version. With
//! `preview=true` it says what would change and changes nothing; otherwise the version is published in one step.

use crate::auth::{Access, MayWrite};
use crate::http::rate_cards::{OwnerQuery, card_at};
use crate::http::versions::{VersionBody, doc_of, in_force, publish, shown};
use crate::http::write::{Done, Write};
use crate::problem::{ApiProblem, FieldError};
use crate::state::App;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use metering::deck::{self, DeckOptions, Import, Mode, Preview, Refusal};
use metering::input::when::DateForm;
use rating::card::CardDoc;
use rating::compile::CompiledCard;
use rating::{CardVersionId, Instant, Quantity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::records::RateCard;

/// Refused rows that a problem lists.
const ERRORS_LISTED_MAX: usize = 100;

/// How the deck is read and laid over the card.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeckQuery {
    pub owner: Option<String>,
    /// Only say what would change.
    #[serde(default)]
    pub preview: bool,
    /// Import although some rows are refused.
    #[serde(default)]
    pub skip_refused: bool,
    /// `full` (default): prefixes that the deck does not name are closed. `partial`: they stay.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub mode: Mode,
    /// Default: `call`.
    pub meter: Option<String>,
    /// When the version takes effect. Default: now.
    #[param(value_type = Option<String>)]
    pub effective_from: Option<Instant>,
    /// One character. Default: found.
    pub delimiter: Option<char>,
    /// `0,0125`. Default: found.
    pub decimal_comma: Option<bool>,
    /// `year_first` (default), `day_first` or `month_first`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub date_form: DateForm,
    /// Units that a price is for. Default: 60 (per minute).
    #[param(value_type = Option<String>)]
    pub per: Option<Quantity>,
    /// Increments of rows that have none. Default: 1.
    #[param(value_type = Option<String>)]
    pub initial: Option<Quantity>,
    #[param(value_type = Option<String>)]
    pub next: Option<Quantity>,
}

/// What an import does, or would do. Counts are of prefixes, `refused` and `duplicates` of rows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DeckImport)]
pub struct DeckBody {
    #[schema(value_type = Object, example = json!({"new": 120, "changed": 30, "increased": 20, "decreased": 10, "closed": 4, "renamed": 0, "unchanged": 298000, "refused": 0, "duplicates": 2}))]
    pub preview: Preview,
    /// The published version; absent in a preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionBody>,
}

impl DeckQuery {
    fn options(&self, base: &CardDoc) -> DeckOptions {
        let default = DeckOptions::default();
        DeckOptions {
            delimiter: self.delimiter,
            decimal_comma: self.decimal_comma,
            date_form: self.date_form,
            zone: Some(base.zone.clone()),
            currency: Some(base.currency),
            per: self.per.unwrap_or(default.per),
            initial: self.initial.unwrap_or(default.initial),
            next: self.next.unwrap_or(default.next),
            ..default
        }
    }
}

/// The card that the deck is laid over: the version in force, or an empty one.
async fn base_of(app: &App, card: &RateCard, at: Instant) -> Result<CardDoc, ApiProblem> {
    match in_force(app, card, at).await? {
        Some(version) => doc_of(app, version.id).await,
        None => Ok(CardDoc { currency: card.currency, zone: "UTC".to_owned(), fallback: None, meters: BTreeMap::new(), rates: Vec::new() }),
    }
}

/// Reads, lays over, and checks by compiling: long work, off the executor.
async fn merged(
    file: Bytes,
    base: CardDoc,
    options: DeckOptions,
    mode: Mode,
    meter: String,
    at: Instant,
) -> Result<(CardDoc, Preview), ApiProblem> {
    let work = move || -> Result<(CardDoc, Preview), ApiProblem> {
        let deck = deck::parse(&file, &options)?;
        let import = Import { mode, meter: &meter, at };
        let doc = deck::to_card(&base, &deck, &import);
        CompiledCard::compile(&doc)?;
        Ok((doc, deck::preview(&base, &deck, &import)))
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| ApiProblem::internal(&error))?
}

fn refuse(refusals: &[Refusal]) -> ApiProblem {
    let error = |row: &Refusal| FieldError {
        field: format!("line {} {}", row.line, row.column).trim_end().to_owned(),
        code: row.code.to_owned(),
        detail: row.detail.clone(),
    };
    let mut refused = ApiProblem::new("invalid_deck", format!("{} rows cannot be read; nothing was imported", refusals.len()));
    refused.errors = refusals.iter().take(ERRORS_LISTED_MAX).map(error).collect();
    refused
}

/// Import a rate deck (CSV), or preview it
#[utoipa::path(post, path = "/v1/rate-cards/{card}/import", tag = "rate-cards",
    params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), DeckQuery),
    request_body(content = String, content_type = "text/csv", example = "Destination,Prefix,Rate,Increment\nGermany Mobile,4915,0.0125,1/1\n"),
    responses((status = 201, body = DeckBody, description = "Published"), (status = 200, body = DeckBody, description = "Preview")))]
pub async fn import_deck(
    State(app): State<App>,
    key: MayWrite,
    Path(card): Path<String>,
    Query(query): Query<DeckQuery>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let card = card_at(&app, &key, &card, &OwnerQuery { owner: query.owner.clone() }).await?;
    let at = query.effective_from.unwrap_or_else(|| app.clock.now());
    let base = base_of(&app, &card, at).await?;
    let (options, meter) = (query.options(&base), query.meter.clone().unwrap_or_else(|| "call".to_owned()));
    if query.preview {
        let (_, preview) = merged(write.body.clone(), base, options, query.mode, meter, at).await?;
        return Ok(Done::ok(DeckBody { preview, version: None }).into_response());
    }
    let work = async {
        let (doc, preview) = merged(write.body.clone(), base, options, query.mode, meter, at).await?;
        if !preview.refusals.is_empty() && !query.skip_refused {
            return Err(refuse(&preview.refusals));
        }
        let version = switch(&app, &write, &key, &card, &doc, at).await?;
        Ok(Done::created(DeckBody { preview, version: Some(version) }))
    };
    write.once(&app, &key, work).await
}

async fn switch(app: &App, write: &Write, access: &Access, card: &RateCard, doc: &CardDoc, at: Instant) -> Result<VersionBody, ApiProblem> {
    let id = CardVersionId(app.clock.id());
    app.records.create_draft(&write.actor(app, access, None), card.id, id, doc).await?;
    Ok(shown(publish(app, write, access, card, id, at).await?, None))
}
