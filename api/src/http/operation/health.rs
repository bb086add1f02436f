//! `/health/live`, `/health/ready`: for load balancers, without a key. `/metrics`: for Prometheus,
//! with one.

use crate::{gauges, watchdog};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use db::schema_version;
use schema::words;
use serde::Serialize;
use web::auth::MayMeasure;
use web::problem::ApiProblem;
use web::state::App;
use web::timekeeper;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    #[schema(value_type = words::HealthStatus, example = "ok")]
    pub status: &'static str,
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// Version of the database schema.
    #[schema(example = 25)]
    pub schema: i64,
}

fn ok() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: VERSION,
        schema: schema_version::known(),
    })
}

/// Check that the process is running
#[utoipa::path(get, path = "/health/live", tag = "health", security(()), responses((status = 200, body = Health)))]
pub async fn live() -> Json<Health> {
    ok()
}

/// Check that the server accepts usage
///
/// Ready means that the database accepts writes, the last batches were committed, nothing waits too
/// long in the engine, no background task keeps failing, and the clock is trusted.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()), responses((status = 200, body = Health)))]
pub async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiProblem> {
    watchdog::ready(&app)?;
    app.readiness.ready(&app.catalog, &app.clock).await?;
    timekeeper::may_write(&app.clock)?;
    Ok(ok())
}

/// Read metrics in Prometheus text format
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>, _key: MayMeasure) -> Response {
    gauges::of_process(&app).await;
    (
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4"),
        )],
        app.metrics.render(),
    )
        .into_response()
}
