//! Money in through the payment provider.

mod auto_top_ups;
pub(super) mod pay_pages;
mod provider_hooks;
mod reconciliation;
mod top_ups;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(top_ups::create_top_up, top_ups::list_top_ups))
        .routes(routes!(top_ups::list_terms))
        .routes(routes!(top_ups::get_top_up))
        .routes(routes!(top_ups::create_refund))
        .routes(routes!(top_ups::list_suspense))
        .routes(routes!(
            auto_top_ups::get_auto_top_up,
            auto_top_ups::set_auto_top_up
        ))
        .routes(routes!(reconciliation::reconcile))
}
