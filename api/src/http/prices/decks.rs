//! `/v1/rate-cards/{card}/import`: a carrier's rate deck becomes the card's next version. With
//! `preview=true` it says what would change and changes nothing; otherwise the version is made and
//! published in one transaction, or nothing is.
//!
//! Refused rows: nothing is imported, unless `skip_refused=true`; then the prefixes of those rows
//! keep the rates they had, in a full deck too.

use crate::http::prices::in_force::{VersionBody, Versions};
use crate::http::prices::rate_cards::{OwnerQuery, card_at};
use crate::http::prices::versions::{beginning, doc_of, in_force, turn_for, version_made};
use crate::http::prices::{diff, publication};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use catalog::{Actor, CardVersion, NewVersion, RateCard};
use decks::{DeckOptions, Import, Mode, Preview};
use formats::input::when::DateForm;
use problem::Code;
use rating::card::{CALL_UNIT, CardDoc};
use rating::compile::CompiledCard;
use rating::{CardVersionId, Instant, Quantity};
use schema::words;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use web::auth::{Access, MayWrite};
use web::price_lists::PriceList;
use web::problem::{ApiProblem, FieldError};
use web::query::Query;
use web::state::App;
use web::turns::Turn;
use web::write::{Done, Made, json_of, knowing, read_map};

/// Whose prices a deck has unless it is said.
const CALL_METER: &str = "call";

/// How the deck is read and laid over the card.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeckQuery {
    pub owner: Option<String>,
    /// Only report what would change.
    #[serde(default)]
    pub preview: bool,
    /// Import even if some rows are refused: their prefixes keep their previous rates.
    #[serde(default)]
    pub skip_refused: bool,
    /// `full` (default) closes prefixes that are not in the deck; `partial` keeps them.
    #[serde(default)]
    #[param(value_type = Option<words::DeckMode>, inline)]
    pub mode: Mode,
    /// Default: `call`.
    pub meter: Option<String>,
    /// IANA zone for a card that has no prices yet. Default: UTC.
    pub zone: Option<String>,
    /// All options for reading a deck as one JSON object, such as
    /// `{"columns":{"prefix":"Code"},"ignore_columns":["Route"],"per":"60"}`. The parameters below
    /// override it.
    pub map: Option<String>,
    /// Time at which the version takes effect. Default: the beginning of the current minute (now,
    /// if another version began within it).
    #[param(value_type = Option<String>, format = DateTime)]
    pub effective_from: Option<Instant>,
    /// One character. Default: detected.
    pub delimiter: Option<char>,
    /// As in `0,0125`. Default: detected.
    pub decimal_comma: Option<bool>,
    /// `year_first` (default), `day_first` or `month_first`.
    #[param(value_type = Option<words::DeckDateForm>, inline)]
    pub date_form: Option<DateForm>,
    /// Number of units that a price covers. Default: as the column's title says, or 60 (per
    /// minute).
    #[param(value_type = Option<String>, format = "decimal")]
    pub per: Option<Quantity>,
    /// Increments for rows that have none. Default: 1; in a deck without an increment column, the
    /// prefix's previous increments.
    #[param(value_type = Option<String>, format = "decimal")]
    pub initial: Option<Quantity>,
    #[param(value_type = Option<String>, format = "decimal")]
    pub next: Option<Quantity>,
}

/// Result of an import or of its preview. Counts are numbers of prefixes; `refused` and
/// `duplicates` are numbers of rows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DeckImport)]
pub struct DeckBody {
    #[schema(value_type = Object, example = json!({"new": 120, "changed": 30, "increased": 20, "decreased": 10, "closed": 4, "spared": 0, "renamed": 0, "unchanged": 298000, "increments_changed": 12, "increments_kept": 0, "increments_unsaid": 0, "blocked": 0, "opened": 0, "terms_changed": 0, "terms_kept": 0, "blocked_kept": 0, "gaps": 0, "refused": 0, "duplicates": 2}))]
    pub preview: Box<RawValue>,
    /// The published version. Absent in a preview, and if the card already has these prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionBody>,
    /// Beginning of an already published version that does not contain these prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub effective_until: Option<String>,
}

impl DeckQuery {
    /// # Errors
    /// `map` is no deck options.
    fn options(&self, base: &CardDoc) -> Result<DeckOptions, ApiProblem> {
        let map: DeckOptions = match &self.map {
            Some(map) => read_map(map)?,
            None => DeckOptions::default(),
        };
        Ok(DeckOptions {
            delimiter: self.delimiter.or(map.delimiter),
            decimal_comma: self.decimal_comma.or(map.decimal_comma),
            date_form: self.date_form.unwrap_or(map.date_form),
            zone: Some(base.zone.clone()),
            currency: Some(base.currency),
            per: self.per.or(map.per),
            initial: self.initial.or(map.initial),
            next: self.next.or(map.next),
            ..map
        })
    }
}

/// What a deck is laid over: the version in force, or an empty card.
struct Base {
    version: Option<CardVersion>,
    doc: Arc<CardDoc>,
    /// However small the deck is, what it is laid over may be large.
    _turn: Option<Turn>,
}

impl Base {
    async fn of(
        app: &App,
        access: &Access,
        card: &RateCard,
        at: Instant,
        zone: Option<&str>,
    ) -> Result<Self, ApiProblem> {
        let version = in_force(app, card, at).await?;
        let turn = turn_for(app, access, &version.iter().collect::<Vec<_>>()).await?;
        let doc = match &version {
            Some(version) => doc_of(app, version.id).await?,
            None => CardDoc {
                currency: card.currency,
                zone: zone.unwrap_or("UTC").to_owned(),
                fallback: None,
                meters: BTreeMap::new(),
                rates: Vec::new(),
            },
        };
        Ok(Self {
            version,
            doc: Arc::new(doc),
            _turn: turn,
        })
    }
}

/// Reads, lays over, and checks by compiling: long work, off the executor. The file is let go of as
/// soon as it is read, and a preview makes no card unless it takes one to know that it is valid.
async fn laid_over(
    base: &Base,
    query: &DeckQuery,
    file: Bytes,
    at: Instant,
) -> Result<(Option<CardDoc>, Preview), ApiProblem> {
    let (base, options, mode, is_preview) = (
        Arc::clone(&base.doc),
        query.options(&base.doc)?,
        query.mode,
        query.preview,
    );
    let meter = query.meter.clone().unwrap_or_else(|| CALL_METER.to_owned());
    let work = move || -> Result<(Option<CardDoc>, Preview), ApiProblem> {
        let deck = decks::parse(&file, &options)?;
        drop(file);
        let import = Import {
            mode,
            meter: &meter,
            at,
        };
        if is_preview && let (preview, true) = decks::preview_and_screen(&base, &deck, &import) {
            return Ok((None, preview));
        }
        let (doc, preview) = decks::lay_over(&base, &deck, &import);
        drop(deck);
        if doc != *base {
            CompiledCard::compile(&doc)?;
        }
        Ok((Some(doc), preview))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiProblem::internal(&error))?
}

fn refuse(preview: &Preview) -> ApiProblem {
    let errors = preview.refusals.iter().map(|row| FieldError {
        field: format!("line {} {}", row.line, row.column)
            .trim_end()
            .to_owned(),
        code: row.code.clone().into_owned(),
        detail: row.detail.clone(),
    });
    let rows = if preview.refused == 1 {
        "1 row".to_owned()
    } else {
        format!("{} rows", preview.refused)
    };
    let detail = format!(
        "{rows} cannot be read; nothing was imported (with skip_refused=true their prefixes keep \
            the rates they had)"
    );
    let mut refused = ApiProblem::new(Code::InvalidDeck, detail);
    refused.errors = errors.collect();
    refused
}

/// Import a rate deck (CSV), or preview it
///
/// At most 256 MiB. Either the whole new version is published, or nothing changes. A refused row
/// prevents publication unless `skip_refused` is set; in that case the prefixes of refused rows
/// keep their previous rates.
#[utoipa::path(post, path = "/v1/rate-cards/{card}/import", tag = "rate-cards",
    params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), DeckQuery),
    request_body(content = String, content_type = "text/csv", example = "Destination,Prefix,Rate,Increment\nGermany Mobile,4915,0.0125,1/1\n"),
    responses((status = 201, body = DeckBody, description = "Published"), (status = 200, body = DeckBody, description = "A preview, or no changes")))]
pub async fn import_deck(
    State(app): State<App>,
    key: MayWrite,
    Path(card): Path<String>,
    Query(query): Query<DeckQuery>,
    mut list: PriceList,
) -> Result<Response, ApiProblem> {
    // What is kept under a key of idempotency is told by its body too.
    let file = if query.preview {
        std::mem::take(&mut list.write.body)
    } else {
        list.write.body.clone()
    };
    let (app, key, query, write) = (&app, &key, &query, &list.write);
    let card = &card_at(
        app,
        key,
        &card,
        &OwnerQuery {
            owner: query.owner.clone(),
        },
    )
    .await?;
    let at = match query.effective_from {
        Some(from) => from,
        None => beginning(app, card).await?,
    };
    check_meter(app, query.meter.as_deref().unwrap_or(CALL_METER)).await?;
    let effective_until = next_beginning(app, card, at).await?;
    let work = |actor| async move {
        let base = Base::of(app, key, card, at, query.zone.as_deref()).await?;
        let (doc, preview) = laid_over(&base, query, file, at).await?;
        if preview.refused > 0 && !query.skip_refused && !query.preview {
            return Err(refuse(&preview));
        }
        let preview = json_of(&preview)?;
        let Some(doc) = doc.filter(|doc| !query.preview && *doc != *base.doc) else {
            return Ok(Done::ok(DeckBody {
                preview,
                version: None,
                effective_until,
            }));
        };
        let version = switch(app, &knowing(actor, &preview)?, card, &base, &doc, at).await?;
        let version = Versions::of(app, card).await?.shown(version, None);
        Ok(Done::created(DeckBody {
            preview,
            version: Some(version),
            effective_until,
        }))
    };
    if query.preview {
        return work(write.actor(app, key, None))
            .await
            .map(IntoResponse::into_response);
    }
    let again = |made: Made| async move {
        let version = version_made(app, card, &made).await?;
        let effective_until = version.effective_until.clone();
        Ok(Done::created(DeckBody {
            preview: made.known()?,
            version: Some(version),
            effective_until,
        }))
    };
    write.once(app, key, work, again).await
}

/// Prices by the minute are of a meter that counts seconds; a preview promises nothing else.
async fn check_meter(app: &App, name: &str) -> Result<(), ApiProblem> {
    let refused = |code, detail: String| Err(ApiProblem::field(code, "meter", detail));
    match app.catalog.meter_by_name(name).await? {
        None => refused(
            Code::UnknownMeter,
            format!("there is no meter {name:?}: create it first"),
        ),
        Some(meter) if meter.terms.unit != CALL_UNIT => {
            let unit = meter.terms.unit;
            refused(
                Code::NotWithThisMeter,
                format!(
                    "a price list prices seconds, but the meter {name:?} counts in {unit:?}: \
                        write its prices as a rate card"
                ),
            )
        }
        Some(_) => Ok(()),
    }
}

/// Of the version that begins next after this instant.
async fn next_beginning(
    app: &App,
    card: &RateCard,
    at: Instant,
) -> Result<Option<String>, ApiProblem> {
    let published = app.catalog.published_versions(card.id).await?;
    let next = published
        .iter()
        .filter_map(|version| version.effective_from)
        .find(|begin| *begin > at);
    Ok(next.map(|begin| begin.to_string()))
}

/// Version and publication in one step.
async fn switch(
    app: &App,
    actor: &Actor,
    card: &RateCard,
    base: &Base,
    doc: &CardDoc,
    at: Instant,
) -> Result<CardVersion, ApiProblem> {
    publication::check(app, card, doc, Some(&base.doc), at).await?;
    if let Some(present) = &base.version {
        diff::check_counters(&base.doc, doc, present.effective_from, at)?;
    }
    let new = NewVersion {
        id: CardVersionId(app.clock.id()),
        base: base.version.as_ref().map(|version| version.id),
        doc,
    };
    let version = app
        .catalog
        .create_published(actor, card.id, &new, at)
        .await?;
    app.invalidate();
    Ok(version)
}
