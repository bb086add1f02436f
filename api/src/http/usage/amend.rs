//! Taking usage back, correcting it, and rating what was kept. By a seller above the customer.

use crate::http::usage::price::usage_at;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use catalog::Change;
use journal::{Of, Seq};
use ledger::AccountKey;
use metering::requests::{Posted, SellerCover, VoidRequest};
use problem::Code;
use reports::names::{Names, Split};
use reports::summaries::EventSummary;
use reports::unrated;
use schema::usage::UsageEvent;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;
use tenants::Tenant;
use web::auth::{self, Access, MayRead, MayUse, MayWrite, tenant_named};
use web::page::{List, PageQuery};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::write::{Done, Write};

const REASON_CHARS_MAX: usize = 500;
/// Kept events tried by one request unless it says otherwise.
const AGAIN_EVENTS_DEFAULT: usize = 10_000;

/// Reason for voiding an event.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "call was never connected"}))]
pub struct VoidBody {
    pub reason: String,
    /// The event's customer, if several roots use the same source and id.
    pub customer: Option<String>,
}

/// The usage as it should have been reported, under an id of its own.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "wrong duration", "event": {"id": "0192f1-b", "customer": "acme-42", "meter": "call", "quantity": "60", "at": "2026-11-20T09:00:00Z", "destination": "+4930123456"}}))]
pub struct CorrectBody {
    pub reason: String,
    #[schema(value_type = UsageEvent)]
    pub event: Box<RawValue>,
    pub customer: Option<String>,
}

/// Result of a movement of money.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Moved)]
pub struct MovedBody<'a> {
    #[schema(example = "EUR")]
    pub currency: &'static str,
    /// Negative: credited back to the customer.
    #[schema(example = -400)]
    pub debit_cents: i64,
    pub splits: Vec<Split<'a>>,
    #[schema(example = 5000)]
    pub balance_cents: i64,
}

/// Amounts moved by a void and by the event that replaces it. Absent: the event had never been
/// priced.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Amended)]
pub struct AmendedBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<MovedBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<MovedBody<'a>>,
}

fn moved<'a>(names: &'a Names, posted: &Posted) -> MovedBody<'a> {
    MovedBody {
        currency: posted.currency.code(),
        debit_cents: posted.debit.0,
        splits: names.splits(&posted.splits),
        balance_cents: posted.balance.0,
    }
}

async fn request(
    app: &App,
    access: &Access,
    write: &Write,
    (source, id): (String, String),
    reason: String,
    customer: Option<String>,
) -> Result<(VoidRequest, Arc<Tenant>), ApiProblem> {
    if reason.trim().is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(ApiProblem::field(
            Code::InvalidField,
            "reason",
            format!("expected 1 to {REASON_CHARS_MAX} characters"),
        ));
    }
    let record = app
        .engine
        .locate(&access.caller(), &source, &id, customer.as_deref())
        .await?;
    let tenant = auth::tenant_by_id(app, record.tenant).await?;
    access.administers(&tenant)?;
    let cover = own_cover(app, access).await?;
    Ok((
        VoidRequest {
            source,
            id,
            customer,
            key: write.required_key()?,
            reason,
            cover,
        },
        tenant,
    ))
}

/// What a seller below the platform can pay with: not with commission that it withholds.
async fn own_cover(app: &App, access: &Access) -> Result<Option<SellerCover>, ApiProblem> {
    let terms = app
        .sources
        .agreement_in_force(access.key.tenant, app.clock.now())
        .await?;
    let Some(terms) = terms.filter(|terms| terms.credit_limit.is_some()) else {
        return Ok(None);
    };
    let account = AccountKey::balance(terms.buyer, terms.currency);
    Ok(Some(
        app.payouts
            .seller_cover(account, false, app.clock.now())
            .await?,
    ))
}

/// Who took it back, and why.
async fn log(
    app: &App,
    access: &Access,
    write: &Write,
    (request, tenant): (&VoidRequest, &Tenant),
    action: &'static str,
    amended: &metering::command::Amended,
) -> Result<(), ApiProblem> {
    let cents = |posted: &Option<Posted>| posted.as_ref().map(|posted| posted.debit);
    let after = json!({"source": request.source, "id": request.id, "void_cents": cents(&amended.void), "event_cents": cents(&amended.event)});
    let (resource, id) = ("usage_event", format!("{}/{}", request.source, request.id));
    let change = Change {
        tenant: tenant.id,
        root: tenant.root,
        resource,
        id,
        action,
        before: None,
        after: Some(after),
    };
    Ok(app
        .catalog
        .append_audit(&write.actor(app, access, Some(&request.reason)), change)
        .await?)
}

async fn answer(
    app: &App,
    access: &Access,
    amended: metering::command::Amended,
) -> Result<Response, ApiProblem> {
    let parts = [&amended.void, &amended.event]
        .into_iter()
        .flatten()
        .flat_map(|posted| posted.splits.iter().map(|(tenant, _)| *tenant));
    let names = Names::of(
        &app.sources,
        &access.reader(),
        parts.collect::<Vec<_>>().into_iter(),
    )
    .await?;
    let [void, event] = [&amended.void, &amended.event]
        .map(|posted| posted.as_ref().map(|posted| moved(&names, posted)));
    Ok(Json(AmendedBody { void, event }).into_response())
}

/// Void usage
///
/// Posts −q to the original's counter and version. `Idempotency-Key` is required.
#[utoipa::path(post, path = "/v1/usage-events/{source}/{id}/void", tag = "usage-events",
    params(("source" = String, Path, description = "The event's source; `default` if it had none"), ("id" = String, Path, description = "The event's id")), request_body = VoidBody, responses((status = 200, body = AmendedBody)))]
pub async fn void_usage(
    State(app): State<App>,
    key: MayUse,
    Path(event): Path<(String, String)>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let body: VoidBody = write.read()?;
    let (request, tenant) = request(&app, &key, &write, event, body.reason, body.customer).await?;
    let amended = app.engine.void(&key.caller(), &request).await?;
    log(&app, &key, &write, (&request, &tenant), "void", &amended).await?;
    answer(&app, &key, amended).await
}

/// Correct usage: a void and a new event, both or neither
#[utoipa::path(post, path = "/v1/usage-events/{source}/{id}/correct", tag = "usage-events",
    params(("source" = String, Path, description = "The event's source; `default` if it had none"), ("id" = String, Path, description = "The event's id")), request_body = CorrectBody, responses((status = 200, body = AmendedBody)))]
pub async fn correct_usage(
    State(app): State<App>,
    key: MayUse,
    Path(event): Path<(String, String)>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let body: CorrectBody = write.read()?;
    let (request, tenant) = request(&app, &key, &write, event, body.reason, body.customer).await?;
    let new = usage_at(body.event.get(), "", None).map_err(|mut refused| {
        refused.problem.field = refused.problem.field.map(|field| format!("event.{field}"));
        refused
    })?;
    let amended = app.engine.correct(&key.caller(), &request, new).await?;
    log(&app, &key, &write, (&request, &tenant), "correct", &amended).await?;
    answer(&app, &key, amended).await
}

/// Which root's kept events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UnratedQuery {
    /// A direct child of the platform, by external id or `ten_…`. Default: the key's whole subtree.
    pub root: Option<String>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// List usage kept without a price, and what it lacks now
///
/// All of the key's subtree, oldest first. A page may be short although there are more rows;
/// `has_more` tells.
#[utoipa::path(get, path = "/v1/usage-events/unrated", tag = "usage-events", params(UnratedQuery), responses((status = 200, body = List<EventSummary>)))]
pub async fn list_unrated(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<UnratedQuery>,
) -> Result<Json<List<EventSummary>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let limit = page.limit()?;
    let of = match &query.root {
        Some(name) => Of::Unrated(tenant_named(&app, &key, name).await?.root),
        None if key.key.tenant == app.platform => Of::EveryUnrated,
        None => Of::Unrated(key.key.root),
    };
    let after = page.after()?.map(Seq);
    Ok(Json(
        unrated::unrated(&app.sources, &key.reader(), of, after, limit).await?,
    ))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"root": "muster-telecom"}))]
pub struct AgainBody {
    /// A direct child of the platform. Default: the key's whole subtree.
    pub root: Option<String>,
    /// `next_cursor` of the previous response.
    pub cursor: Option<String>,
    /// Maximum number of kept events to try: at most 10 000.
    pub limit: Option<usize>,
}

/// Result of rating kept usage again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RatedAgain)]
pub struct AgainAnswer {
    #[schema(example = 3)]
    pub rated: u64,
    /// Number of those still unrated that are charged on their upper links.
    #[schema(example = 0)]
    pub partly_rated: u64,
    /// Events still without a price on at least some links, by reason.
    pub unrated: Vec<ReasonCount>,
    pub has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReasonCount {
    #[schema(example = "no_rate")]
    pub reason: String,
    pub count: u64,
}

/// Rate kept usage again
///
/// Repeating the request is harmless: rated usage stays rated.
#[utoipa::path(post, path = "/v1/usage-events/rate-again", tag = "usage-events", request_body = AgainBody, responses((status = 200, body = AgainAnswer)))]
pub async fn rate_again(
    State(app): State<App>,
    key: MayWrite,
    write: Write,
) -> Result<Response, ApiProblem> {
    let body: AgainBody = write.read()?;
    let root = match &body.root {
        Some(name) => Some(tenant_named(&app, &key, name).await?.root),
        None if key.is_platform_admin() => None,
        None => Some(key.key.root),
    };
    if root != Some(key.key.tenant) && !key.is_platform_admin() {
        return Err(ApiProblem::new(
            Code::Forbidden,
            "kept events are rated by root: this needs a key of the root or of the platform",
        ));
    }
    let after = PageQuery {
        cursor: body.cursor,
        limit: None,
    }
    .after()?
    .map(Seq);
    let work = async {
        let summary = app
            .engine
            .rate_again(
                &key.caller(),
                root,
                after,
                body.limit.unwrap_or(AGAIN_EVENTS_DEFAULT),
            )
            .await?;
        let page = List::<()>::new(
            Vec::new(),
            summary.next.is_some(),
            summary.next.map(|seq| seq.0),
        );
        let unrated = summary
            .unrated
            .into_iter()
            .map(|(reason, count)| ReasonCount { reason, count })
            .collect();
        Ok(Done::ok(AgainAnswer {
            rated: summary.rated,
            partly_rated: summary.partly_rated,
            unrated,
            has_more: page.has_more,
            next_cursor: page.next_cursor,
        }))
    };
    write.repeatable(&app, &key, work).await
}
