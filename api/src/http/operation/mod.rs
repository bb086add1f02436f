//! Running the installation: health, measures, the clock, a restore, the documentation.

mod clock;
pub(super) mod docs;
mod health;
pub mod restoration;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

/// Asked without a key.
pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::metrics))
        .routes(routes!(restoration::get_restoration))
        .routes(routes!(restoration::resume))
        .routes(routes!(clock::get_clock))
        .routes(routes!(clock::accept_clock))
}
