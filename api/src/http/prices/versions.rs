//! `/v1/rate-cards/{card}/versions`: drafts are written and compared, published ones never change.

use crate::http::prices::diff::{self, DiffBody};
use crate::http::prices::in_force::{VersionBody, Versions};
use crate::http::prices::publication;
use crate::http::prices::rate_cards::{OwnerQuery, card_at};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use catalog::{Actor, CardVersion, RateCard};
use prepare::prefixes;
use rating::card::CardDoc;
use rating::compile::CompiledCard;
use rating::validate::parse_card;
use rating::{CardVersionId, Instant};
use schema::card::RateCardDocument;
use serde::Deserialize;
use web::auth::{self, Access, MayRead, MayWrite};
use web::page::{List, PageQuery};
use web::price_lists::PriceList;
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::turns::{self, LARGE_BYTES, Turn};
use web::write::{Done, Made, Write};

/// When a version takes effect.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"effective_from": "2026-12-01T00:00:00Z"}))]
pub struct Publication {
    /// Default: the beginning of the current minute (now, if another version began within it).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_from: Option<Instant>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    pub owner: Option<String>,
    /// The version to compare with, by number or `ver_…`. Default: the version in force now.
    pub against: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VersionsQuery {
    pub owner: Option<String>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// A document without mistakes, checked by compiling it too.
///
/// # Errors
/// `invalid_card` with every mistake.
pub async fn checked(json: axum::body::Bytes) -> Result<CardDoc, ApiProblem> {
    let check = move || {
        let doc = parse_card(&json)?;
        let mistakes = prefixes::mistakes(&doc);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        CompiledCard::compile(&doc).map(|_compiled| doc)
    };
    // Large decks take longer than a request's turn on the executor should.
    let checked = tokio::task::spawn_blocking(check)
        .await
        .map_err(|error| ApiProblem::internal(&error))?;
    checked.map_err(ApiProblem::from)
}

/// A version of a card by number or `ver_…`.
pub async fn version_named(
    app: &App,
    card: &RateCard,
    name: &str,
) -> Result<CardVersion, ApiProblem> {
    let missing = || ApiProblem::not_found("version");
    let found = match (name.parse::<CardVersionId>(), name.parse::<i64>()) {
        (Ok(id), _) => app.catalog.version(id).await?,
        (_, Ok(number)) if number > 0 => app
            .catalog
            .versions(card.id, Some(number - 1), 1)
            .await?
            .data
            .into_iter()
            .find(|v| v.number == number),
        _ => None,
    };
    found
        .filter(|version| version.card == card.id)
        .ok_or_else(missing)
}

/// The document of a version.
pub async fn doc_of(app: &App, version: CardVersionId) -> Result<CardDoc, ApiProblem> {
    app.catalog
        .version_doc(version)
        .await?
        .ok_or_else(|| ApiProblem::not_found("version"))
}

/// A turn, if these versions are large.
///
/// # Errors
/// `rate_limited`: another of this tenant's is under way.
pub async fn turn_for(
    app: &App,
    access: &Access,
    versions: &[&CardVersion],
) -> Result<Option<Turn>, ApiProblem> {
    let mut bytes = 0;
    for version in versions {
        bytes += app.catalog.version_bytes(version.id).await?;
    }
    if bytes < LARGE_BYTES {
        return Ok(None);
    }
    app.reading_turns.next(access).await.map(Some)
}

/// The published version in force at an instant.
pub async fn in_force(
    app: &App,
    card: &RateCard,
    at: Instant,
) -> Result<Option<CardVersion>, ApiProblem> {
    let published = app.catalog.published_versions(card.id).await?;
    Ok(published
        .into_iter()
        .rfind(|version| version.effective_from.is_some_and(|from| from <= at)))
}

/// When a version takes effect that names no beginning: with the present minute, so that the first
/// event after it is priced by it; now where another version began within that minute.
pub async fn beginning(app: &App, card: &RateCard) -> Result<Instant, ApiProblem> {
    let now = app.clock.now();
    let published = app.catalog.published_versions(card.id).await?;
    let began = published
        .iter()
        .filter_map(|version| version.effective_from)
        .any(|from| (now.minute()..=now).contains(&from));
    Ok(if began { now } else { now.minute() })
}

/// Create a draft version
///
/// The body is the rate card document: currency, zone and rates, with decimals as text. At most 256
/// MiB.
#[utoipa::path(post, path = "/v1/rate-cards/{card}/versions", tag = "rate-cards", params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), OwnerQuery),
    request_body(content = RateCardDocument, description = "The rate card document", example = json!({"currency": "EUR", "zone": "Europe/Berlin", "rates": [
        {"key": "de-mobile", "meter": "call", "prefixes": ["4915", "4916", "4917"], "call": {"initial": "60", "next": "60", "steps": [{"from": "0", "price": "0.40", "per": "60"}]}}]})),
    responses((status = 201, body = VersionBody)))]
pub async fn create_version(
    State(app): State<App>,
    key: MayWrite,
    Path(card): Path<String>,
    Query(owner): Query<OwnerQuery>,
    list: PriceList,
) -> Result<Response, ApiProblem> {
    let (app, key, write) = (&app, &key, &list.write);
    let card = &card_at(app, key, &card, &owner).await?;
    let doc = checked(write.body.clone()).await?;
    let work = |actor| async move {
        let id = CardVersionId(app.clock.id());
        let version = app.catalog.create_draft(&actor, card.id, id, &doc).await?;
        Ok(Done::created(
            Versions::of(app, card).await?.shown(version, None),
        ))
    };
    let again = |made| async move { Ok(Done::created(version_made(app, card, &made).await?)) };
    write.once(app, key, work, again).await
}

/// The version of a request whose answer was lost.
pub async fn version_made(
    app: &App,
    card: &RateCard,
    made: &Made,
) -> Result<VersionBody, ApiProblem> {
    let version = app
        .catalog
        .version(made.id()?)
        .await?
        .ok_or_else(|| ApiProblem::not_found("version"))?;
    Ok(Versions::of(app, card).await?.shown(version, None))
}

/// List the versions of a card
#[utoipa::path(get, path = "/v1/rate-cards/{card}/versions", tag = "rate-cards",
    params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), VersionsQuery), responses((status = 200, body = List<VersionBody>)))]
pub async fn list_versions(
    State(app): State<App>,
    key: MayRead,
    Path(card): Path<String>,
    Query(query): Query<VersionsQuery>,
) -> Result<Json<List<VersionBody>>, ApiProblem> {
    let card = card_at(&app, &key, &card, &OwnerQuery { owner: query.owner }).await?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let found = app
        .catalog
        .versions(card.id, page.after()?, page.limit()?)
        .await?;
    let last = found.data.last().map(|version| version.number);
    let versions = Versions::of(&app, &card).await?;
    Ok(Json(List::new(
        found
            .data
            .into_iter()
            .map(|version| versions.shown(version, None))
            .collect(),
        found.has_more,
        last,
    )))
}

async fn at(
    app: &App,
    access: &Access,
    card: &str,
    owner: Option<String>,
    version: &str,
) -> Result<(RateCard, CardVersion), ApiProblem> {
    let card = card_at(app, access, card, &OwnerQuery { owner }).await?;
    let version = version_named(app, &card, version).await?;
    Ok((card, version))
}

/// Read a version with its prices
#[utoipa::path(get, path = "/v1/rate-cards/{card}/versions/{version}", tag = "rate-cards",
    params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), ("version" = String, Path, description = "Number or `ver_…`"), OwnerQuery), responses((status = 200, body = VersionBody)))]
pub async fn get_version(
    State(app): State<App>,
    key: MayRead,
    Path((card, version)): Path<(String, String)>,
    Query(query): Query<OwnerQuery>,
) -> Result<Response, ApiProblem> {
    let (card, version) = at(&app, &key, &card, query.owner, &version).await?;
    let turn = turn_for(&app, &key, &[&version]).await?;
    let (versions, doc) = (
        Versions::of(&app, &card).await?,
        doc_of(&app, version.id).await?,
    );
    turns::json(turn, move || Ok(versions.shown(version, Some(doc)))).await
}

/// Compare two versions, rate by rate
#[utoipa::path(get, path = "/v1/rate-cards/{card}/versions/{version}/diff", tag = "rate-cards",
    params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), ("version" = String, Path, description = "Number or `ver_…`"), DiffQuery), responses((status = 200, body = DiffBody)))]
pub async fn diff_version(
    State(app): State<App>,
    key: MayRead,
    Path((card, version)): Path<(String, String)>,
    Query(query): Query<DiffQuery>,
) -> Result<Response, ApiProblem> {
    let (card, version) = at(&app, &key, &card, query.owner, &version).await?;
    let against = match &query.against {
        Some(name) => Some(version_named(&app, &card, name).await?),
        None => in_force(&app, &card, app.clock.now()).await?,
    };
    let turn = turn_for(
        &app,
        &key,
        &against.iter().chain([&version]).collect::<Vec<_>>(),
    )
    .await?;
    let old = match against {
        Some(against) => doc_of(&app, against.id).await?.rates,
        None => Vec::new(),
    };
    let new = doc_of(&app, version.id).await?.rates;
    turns::json(turn, move || Ok(diff::compare(&old, new))).await
}

/// Publish a draft, which can never be changed afterwards
#[utoipa::path(post, path = "/v1/rate-cards/{card}/versions/{version}/publish", tag = "rate-cards",
    params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), ("version" = String, Path, description = "Number or `ver_…`"), OwnerQuery), request_body = Publication,
    responses((status = 200, body = VersionBody)))]
pub async fn publish_version(
    State(app): State<App>,
    key: MayWrite,
    Path((card, version)): Path<(String, String)>,
    Query(query): Query<OwnerQuery>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let (card, version) = &at(app, key, &card, query.owner, &version).await?;
    let publication: Publication = write.read()?;
    let from = match publication.effective_from {
        Some(from) => from,
        None => beginning(app, card).await?,
    };
    let work = |actor| async move {
        Ok(Done::ok(
            publish(app, &actor, key, card, version, from).await?,
        ))
    };
    let again = |made| async move {
        let warnings = publication::warnings(&doc_of(app, version.id).await?);
        Ok(Done::ok(VersionBody {
            warnings,
            ..version_made(app, card, &made).await?
        }))
    };
    write.once(app, key, work, again).await
}

/// Approve a published version
///
/// Resellers below may then sell at this version under a commission from this key's tenant.
///
/// Approval is required under a commission without a floor that does not leave retail prices free.
/// An approval from farther above also covers everyone in between.
#[utoipa::path(post, path = "/v1/rate-cards/{card}/versions/{version}/approve", tag = "rate-cards",
    params(("card" = String, Path, description = "`crd_…`, or a name under `owner`"), ("version" = String, Path, description = "Number or `ver_…`"), OwnerQuery),
    responses((status = 200, body = VersionBody)))]
pub async fn approve_version(
    State(app): State<App>,
    key: MayWrite,
    Path((card, version)): Path<(String, String)>,
    Query(query): Query<OwnerQuery>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let (card, version) = &at(app, key, &card, query.owner, &version).await?;
    key.administers(&*auth::tenant_by_id(app, card.owner).await?)?;
    // Under a commission the version that was approved last is in force: the one that is approved
    // now may close a cycle.
    let _turn = turn_for(app, key, &[version]).await?;
    if let Some(from) = version.effective_from
        && let Some(mistake) =
            publication::endless(app, card, &doc_of(app, version.id).await?, from).await?
    {
        return Err(vec![mistake].into());
    }
    let work = |actor| async move {
        let version = app.catalog.approve(&actor, version.id).await?;
        app.invalidate();
        Ok(Done::ok(
            Versions::of(app, card).await?.shown(version, None),
        ))
    };
    let again = |made| async move { Ok(Done::ok(version_made(app, card, &made).await?)) };
    write.once(app, key, work, again).await
}

/// Puts a draft in force, unless it names what is not there, needs counters that this month's usage
/// did not keep, or gives away what is not its owner's.
pub async fn publish(
    app: &App,
    actor: &Actor,
    access: &Access,
    card: &RateCard,
    draft: &CardVersion,
    from: Instant,
) -> Result<VersionBody, ApiProblem> {
    let present = in_force(app, card, from).await?;
    let _turn = turn_for(
        app,
        access,
        &present.iter().chain([draft]).collect::<Vec<_>>(),
    )
    .await?;
    let new = doc_of(app, draft.id).await?;
    publication::check(app, card, &new, None, from).await?;
    let present = match present {
        Some(version) => Some((doc_of(app, version.id).await?, version.effective_from)),
        None => None,
    };
    let never = publication::never(&new, present.as_ref().map(|(doc, _)| doc), from);
    if !never.is_empty() {
        return Err(never.into());
    }
    if let Some((doc, began)) = &present {
        diff::check_counters(doc, &new, *began, from)?;
    }
    let version = app.catalog.publish(actor, draft.id, from).await?;
    app.invalidate();
    let versions = Versions::of(app, card).await?;
    Ok(VersionBody {
        warnings: publication::warnings(&new),
        ..versions.shown(version, None)
    })
}
