//! What tenants have and owe, entry by entry, and what is moved by hand.

pub mod accounts;
pub mod adjustments;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

/// Asked while a call is up.
pub fn live() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(accounts::get_account))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(accounts::list_accounts))
        .routes(routes!(accounts::list_entries))
        .routes(routes!(accounts::get_statement))
}

/// What is moved by hand.
pub fn by_hand() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(adjustments::create_adjustment))
}
