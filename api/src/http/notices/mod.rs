//! What tenants are told, and where.

mod contacts;
mod deliveries;
mod thresholds;
mod webhook_endpoints;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            thresholds::get_threshold,
            thresholds::set_threshold
        ))
        .routes(routes!(contacts::create_contact, contacts::list_contacts))
        .routes(routes!(contacts::change_contact, contacts::delete_contact))
        .routes(routes!(
            webhook_endpoints::create_webhook_endpoint,
            webhook_endpoints::list_webhook_endpoints
        ))
        .routes(routes!(
            webhook_endpoints::get_webhook_endpoint,
            webhook_endpoints::change_webhook_endpoint,
            webhook_endpoints::delete_webhook_endpoint
        ))
        .routes(routes!(webhook_endpoints::rotate_webhook_secret))
        .routes(routes!(webhook_endpoints::test_webhook_endpoint))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(deliveries::replay_delivery))
}
