//! `/v1/meters`: what is measured. One list for the whole platform.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use catalog::Meter;
use journal::{EntryQuery, JournalEntry, Of};
use problem::Code;
use rating::card::{Aggregation, MeterTerms};
use rating::ids::MeterId;
use schema::words;
use serde::{Deserialize, Serialize};
use web::auth::{MayOperate, MayRead};
use web::page::{List, NamedQuery, PageQuery};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::write::{Done, Made, Write};

/// A kind of usage that is measured.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Meter)]
pub struct MeterBody {
    #[schema(example = "mtr_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "call")]
    pub name: String,
    /// Usage on a meter in `second` is a call.
    #[schema(example = "second")]
    pub unit: String,
    #[schema(value_type = words::Aggregation, example = "sum")]
    pub aggregation: Aggregation,
    /// For `unique`: the attribute whose distinct values are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_by: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMeter, example = json!({"name": "call", "unit": "second"}))]
pub struct NewMeterBody {
    pub name: String,
    /// Unit of the meter: `second`, `message`, `gib` … Usage in `second` is a call: it has a
    /// duration and is priced by the time of day as it progresses. No other spelling of it is
    /// accepted, and a meter named `call`, which switch records are imported into, must have this
    /// unit.
    pub unit: String,
    /// `sum` (default), `count`, `max`, `unique` or `latest`.
    #[serde(default)]
    #[schema(value_type = Option<words::Aggregation>, default = "sum", example = "sum")]
    pub aggregation: Aggregation,
    pub unique_by: Option<String>,
}

fn shown(meter: Meter) -> MeterBody {
    let MeterTerms {
        unit,
        aggregation,
        unique_by,
    } = meter.terms;
    MeterBody {
        id: meter.id.to_string(),
        name: meter.name,
        unit,
        aggregation,
        unique_by,
        created_at: meter.created_at.to_string(),
    }
}

/// Create a meter
#[utoipa::path(post, path = "/v1/meters", tag = "meters", request_body = NewMeterBody, responses((status = 201, body = MeterBody)))]
pub async fn create_meter(
    State(app): State<App>,
    key: MayOperate,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let new: NewMeterBody = write.read()?;
    check_unit(&new.name, &new.unit)?;
    let terms = MeterTerms {
        unit: new.unit,
        aggregation: new.aggregation,
        unique_by: new.unique_by,
    };
    let meter = Meter {
        id: MeterId(app.clock.id()),
        name: new.name,
        terms,
        created_at: app.clock.now(),
    };
    let work = |actor| async move {
        app.catalog.create_meter(&actor, &meter).await?;
        app.invalidate();
        Ok(Done::created(shown(meter)))
    };
    let again = |made| async move { Ok(Done::created(shown(meter_made(app, &made).await?))) };
    write.once(app, key, work, again).await
}

async fn meter_made(app: &App, made: &Made) -> Result<Meter, ApiProblem> {
    app.catalog
        .meter(made.id()?)
        .await?
        .ok_or_else(|| ApiProblem::not_found("meter"))
}

/// Changes to a meter that has no reported usage yet.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"unit": "second"}))]
pub struct MeterChange {
    pub unit: Option<String>,
    /// For `unique`, include the attribute to count by in `unique_by`.
    #[schema(value_type = Option<words::Aggregation>, example = "sum")]
    pub aggregation: Option<Aggregation>,
    pub unique_by: Option<String>,
}

/// What its name and its unit say of a meter, where they do not go together.
fn check_unit(name: &str, unit: &str) -> Result<(), ApiProblem> {
    match rating::card::unit_mistake(name, unit) {
        Some(mistake) => Err(ApiProblem::field(Code::InvalidField, "unit", mistake)),
        None => Ok(()),
    }
}

/// Newest records looked through for usage of a meter.
const LOOKED_THROUGH_MAX: usize = 20_000;
const LOOKED_AT_ONCE: usize = 1_000;

/// Nothing was reported of it, also not what was kept: its unit may be another.
async fn check_unused(app: &App, meter: &Meter) -> Result<(), ApiProblem> {
    let in_use = |detail: String| Err(ApiProblem::new(Code::MeterInUse, detail));
    let (mut after, mut looked_at) = (None, 0);
    while looked_at < LOOKED_THROUGH_MAX {
        let found = app
            .journal
            .read(&EntryQuery {
                of: Of::All,
                after,
                newest_first: true,
                limit: LOOKED_AT_ONCE,
            })
            .await?;
        let since = |record: &&JournalEntry| record.received_at >= meter.created_at;
        if let Some(used) = found
            .iter()
            .take_while(since)
            .find(|record| *record.body.meter == *meter.name)
        {
            return in_use(format!(
                "the meter received usage at {}, and its charges do not change: create another \
                    meter",
                used.received_at
            ));
        }
        if found.len() < LOOKED_AT_ONCE
            || found
                .last()
                .is_some_and(|record| record.received_at < meter.created_at)
        {
            return Ok(());
        }
        looked_at += found.len();
        after = found.last().map(|record| record.seq);
    }
    in_use(format!(
        "more than {LOOKED_THROUGH_MAX} records came in since the meter was created: create \
            another meter"
    ))
}

/// Change a meter that has no usage yet
#[utoipa::path(patch, path = "/v1/meters/{meter}", tag = "meters", params(("meter" = String, Path, description = "Name or `mtr_…`")),
    request_body = MeterChange, responses((status = 200, body = MeterBody)))]
pub async fn change_meter(
    State(app): State<App>,
    key: MayOperate,
    Path(name): Path<String>,
    write: Write,
) -> Result<Response, ApiProblem> {
    let (app, key) = (&app, &key);
    let meter = meter_named(app, &name).await?;
    let change: MeterChange = write.read()?;
    let aggregation = change.aggregation.unwrap_or(meter.terms.aggregation);
    let unique_by = change
        .unique_by
        .or_else(|| meter.terms.unique_by.clone())
        .filter(|_| aggregation == Aggregation::Unique);
    let terms = MeterTerms {
        unit: change.unit.unwrap_or_else(|| meter.terms.unit.clone()),
        aggregation,
        unique_by,
    };
    check_unit(&meter.name, &terms.unit)?;
    let work = |actor| async move {
        if terms != meter.terms {
            check_unused(app, &meter).await?;
        }
        let meter = app.catalog.change_meter(&actor, meter.id, &terms).await?;
        app.invalidate();
        Ok(Done::ok(shown(meter)))
    };
    let again = |made| async move { Ok(Done::ok(shown(meter_made(app, &made).await?))) };
    write.once(app, key, work, again).await
}

async fn meter_named(app: &App, name: &str) -> Result<Meter, ApiProblem> {
    let found = match name.parse::<MeterId>() {
        Ok(id) => app.catalog.meter(id).await?,
        Err(_) => app.catalog.meter_by_name(name).await?,
    };
    found.ok_or_else(|| ApiProblem::not_found("meter"))
}

/// Read a meter
#[utoipa::path(get, path = "/v1/meters/{meter}", tag = "meters", params(("meter" = String, Path, description = "Name or `mtr_…`")),
    responses((status = 200, body = MeterBody)))]
pub async fn get_meter(
    State(app): State<App>,
    _key: MayRead,
    Path(name): Path<String>,
) -> Result<Json<MeterBody>, ApiProblem> {
    Ok(Json(shown(meter_named(&app, &name).await?)))
}

/// List meters
#[utoipa::path(get, path = "/v1/meters", tag = "meters", params(NamedQuery), responses((status = 200, body = List<MeterBody>)))]
pub async fn list_meters(
    State(app): State<App>,
    _key: MayRead,
    Query(query): Query<NamedQuery>,
) -> Result<Json<List<MeterBody>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let found = app
        .catalog
        .meters(
            query.name.as_deref(),
            page.after()?.map(MeterId),
            page.limit()?,
        )
        .await?;
    let last = found.data.last().map(|meter| meter.id.0);
    Ok(Json(List::new(
        found.data.into_iter().map(shown).collect(),
        found.has_more,
        last,
    )))
}
