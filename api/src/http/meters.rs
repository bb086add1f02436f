//! `/v1/meters`: what is measured. One list for the whole platform.

use crate::auth::{MayOperate, MayRead};
use crate::http::page::{List, PageQuery};
use crate::http::query::Query;
use crate::http::write::{Done, Write};
use crate::problem::ApiProblem;
use crate::state::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use rating::card::{Aggregation, MeterTerms};
use rating::ids::MeterId;
use serde::{Deserialize, Serialize};
use store::records::Meter;

/// What is measured.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Meter)]
pub struct MeterBody {
    #[schema(example = "mtr_0dks8xn2a4m1c")]
    pub id: String,
    #[schema(example = "call")]
    pub name: String,
    /// Usage of a meter in `second` is a call.
    #[schema(example = "second")]
    pub unit: String,
    #[schema(value_type = String, example = "sum")]
    pub aggregation: Aggregation,
    /// `unique`: the attribute whose distinct values are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_by: Option<String>,
    pub created_at: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMeter, example = json!({"name": "call", "unit": "second"}))]
pub struct NewMeterBody {
    pub name: String,
    pub unit: String,
    /// `sum` (default), `count`, `max`, `unique` or `latest`.
    #[serde(default)]
    #[schema(value_type = String, example = "sum")]
    pub aggregation: Aggregation,
    pub unique_by: Option<String>,
}

fn shown(meter: Meter) -> MeterBody {
    let MeterTerms { unit, aggregation, unique_by } = meter.terms;
    MeterBody { id: meter.id.to_string(), name: meter.name, unit, aggregation, unique_by, created_at: meter.created_at.to_string() }
}

/// Create a meter
#[utoipa::path(post, path = "/v1/meters", tag = "meters", request_body = NewMeterBody, responses((status = 201, body = MeterBody)))]
pub async fn create_meter(State(app): State<App>, key: MayOperate, write: Write) -> Result<Response, ApiProblem> {
    let new: NewMeterBody = write.read()?;
    let terms = MeterTerms { unit: new.unit, aggregation: new.aggregation, unique_by: new.unique_by };
    let meter = Meter { id: MeterId(app.clock.id()), name: new.name, terms, created_at: app.clock.now() };
    let work = async {
        app.records.create_meter(&write.actor(&app, &key, None), &meter).await?;
        app.invalidate();
        Ok(Done::created(shown(meter)))
    };
    write.once(&app, &key, work).await
}

/// Read a meter
#[utoipa::path(get, path = "/v1/meters/{meter}", tag = "meters", params(("meter" = String, Path, description = "Name or `mtr_…`")),
    responses((status = 200, body = MeterBody)))]
pub async fn get_meter(State(app): State<App>, _key: MayRead, Path(name): Path<String>) -> Result<Json<MeterBody>, ApiProblem> {
    let found = match name.parse::<MeterId>() {
        Ok(id) => app.records.meter(id).await?,
        Err(_) => app.records.meter_by_name(&name).await?,
    };
    found.map(|meter| Json(shown(meter))).ok_or_else(|| ApiProblem::not_found("meter"))
}

/// List meters
#[utoipa::path(get, path = "/v1/meters", tag = "meters", params(PageQuery), responses((status = 200, body = List<MeterBody>)))]
pub async fn list_meters(
    State(app): State<App>,
    _key: MayRead,
    Query(page): Query<PageQuery>,
) -> Result<Json<List<MeterBody>>, ApiProblem> {
    let found = app.records.meters(page.after()?.map(MeterId), page.limit()?).await?;
    let last = found.data.last().map(|meter| meter.id.0);
    Ok(Json(List::new(found.data.into_iter().map(shown).collect(), found.has_more, last)))
}
