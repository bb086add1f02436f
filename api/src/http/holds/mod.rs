//! Money set aside for usage to come.

mod hold;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

/// Asked while a call is up.
pub fn live() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(hold::place_hold))
        .routes(routes!(hold::get_hold))
        .routes(routes!(hold::extend_hold))
        .routes(routes!(hold::release_hold))
}
