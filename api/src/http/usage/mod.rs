//! Usage in, and what became of it.

mod amend;
mod answers;
mod explain;
mod ingest;
pub mod price;
mod usage_events;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

/// Limited by the events of a request.
pub fn intake() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(usage_events::send_usage))
        .routes(routes!(ingest::ingest_freeswitch))
        .routes(routes!(ingest::ingest_asterisk))
}

/// Asked while a call is up.
pub fn live() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(price::price))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(usage_events::list_usage))
        .routes(routes!(amend::list_unrated))
        .routes(routes!(amend::rate_again))
        .routes(routes!(explain::explain_usage))
        .routes(routes!(amend::void_usage))
        .routes(routes!(amend::correct_usage))
}
