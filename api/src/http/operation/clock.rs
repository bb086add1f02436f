//! `/v1/clock`: what time it is in the books, and whether the server believes its wall clock.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use web::auth::MayOperate;
use web::problem::ApiProblem;
use web::state::App;
use web::timekeeper;
use web::write::{Done, Write};

/// This server's clock.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Clock)]
pub struct ClockBody {
    /// Time that the engine uses.
    #[schema(example = "2026-11-20T12:00:00Z", format = DateTime)]
    pub time: String,
    #[schema(example = "2026-11-24T12:00:00Z", format = DateTime)]
    pub wall_clock: String,
    /// Whether the wall clock is more than a day off. If so, no money is written.
    pub has_stepped: bool,
    /// Whether a server of this database is waiting for its clock to be accepted.
    pub is_unaccepted: bool,
}

/// All fields are optional.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptClock {
    /// Reason recorded in the audit log.
    pub reason: Option<String>,
}

async fn shown(app: &App) -> Result<ClockBody, ApiProblem> {
    let (step, time) = (app.clock.stepped(), app.clock.now());
    let is_unaccepted = app.catalog.clock_step().await?.is_some() || step.is_some();
    let wall_clock = step.map_or(time, |step| step.wall).to_string();
    Ok(ClockBody {
        time: time.to_string(),
        wall_clock,
        has_stepped: step.is_some(),
        is_unaccepted,
    })
}

/// Read this server's clock
#[utoipa::path(get, path = "/v1/clock", tag = "health", responses((status = 200, body = ClockBody)))]
pub async fn get_clock(
    State(app): State<App>,
    _key: MayOperate,
) -> Result<Json<ClockBody>, ApiProblem> {
    Ok(Json(shown(&app).await?))
}

/// Accept the server's current clock
///
/// After its clock has stepped by more than a day, the server writes no money. If the clock is
/// right, confirm it here, once for all servers of a database; if it is wrong, set it. Existing
/// dates are not changed, and time in the books never runs backwards.
#[utoipa::path(post, path = "/v1/clock/accept", tag = "health", request_body = AcceptClock, responses((status = 200, body = ClockBody)))]
pub async fn accept_clock(
    State(app): State<App>,
    key: MayOperate,
    write: Write,
) -> Result<Response, ApiProblem> {
    let asked: AcceptClock = write.read()?;
    let actor = write.actor(&app, &key, asked.reason.as_deref());
    write
        .repeatable(&app, &key, async {
            if shown(&app).await?.is_unaccepted {
                timekeeper::accept_now(&app.catalog, &app.clock, &actor, app.platform).await?;
            }
            Ok(Done::ok(shown(&app).await?))
        })
        .await
}
