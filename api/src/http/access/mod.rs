//! Who may ask: API keys, and what was done with them.

mod api_keys;
mod audit_log;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(api_keys::create_api_key, api_keys::list_api_keys))
        .routes(routes!(api_keys::revoke_api_key))
        .routes(routes!(audit_log::list_audit_log))
}
