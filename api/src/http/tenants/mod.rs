//! Who sells to whom.

mod tenant;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(tenant::create_tenant, tenant::list_tenants))
        .routes(routes!(tenant::get_tenant, tenant::change_tenant))
        .routes(routes!(tenant::close_tenant))
}
