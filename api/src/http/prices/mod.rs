//! What things cost: agreements, meters, rate cards and their versions.

mod agreements;
mod decks;
mod diff;
mod in_force;
mod meters;
mod publication;
mod rate_cards;
mod versions;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            agreements::create_agreement,
            agreements::list_agreements
        ))
        .routes(routes!(agreements::end_agreement))
        .routes(routes!(meters::create_meter, meters::list_meters))
        .routes(routes!(meters::get_meter, meters::change_meter))
        .routes(routes!(
            rate_cards::create_rate_card,
            rate_cards::list_rate_cards
        ))
        .routes(routes!(rate_cards::get_rate_card))
        .routes(routes!(versions::create_version, versions::list_versions))
        .routes(routes!(versions::get_version))
        .routes(routes!(versions::diff_version))
        .routes(routes!(versions::publish_version))
        .routes(routes!(versions::approve_version))
        .routes(routes!(decks::import_deck))
}
