//! HTTP: one resource per file, the same noun in the route and the file. A handler extracts, calls
//! one function, returns a type.
//!
//! Invariants: every route but health and the documentation passes [`request::guard`]; every
//! refusal is a problem+json with the request's id; the OpenAPI document comes from the code.

pub mod accounts;
pub mod agreements;
pub mod amend;
pub mod answers;
pub mod api_keys;
pub mod audit_log;
pub mod auto_top_ups;
pub mod clock;
pub mod commission_statement;
pub mod commissions;
pub mod contacts;
pub mod decks;
pub mod deliveries;
pub mod diff;
pub mod docs;
pub mod document;
pub mod entries;
pub mod explain;
pub mod health;
pub mod holds;
pub mod in_force;
pub mod ingest;
pub mod lacking;
pub mod meters;
pub mod money;
pub mod pay_pages;
pub mod payout_files;
pub mod payout_settings;
pub mod payout_steps;
pub mod payouts;
pub mod price;
pub mod provider_hooks;
mod publication;
pub mod rate_cards;
pub mod reconciliation;
pub mod restoration;
pub mod summaries;
pub mod tenants;
#[cfg(test)]
mod tests;
pub mod thresholds;
pub mod top_ups;
pub mod usage_events;
pub mod versions;
pub mod webhook_endpoints;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::limits::Class;
use web::state::App;
use web::{parameters, request};

/// Usage in: limited by the events of a request.
fn usage() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(usage_events::send_usage))
        .routes(routes!(ingest::ingest_freeswitch))
        .routes(routes!(ingest::ingest_asterisk))
}

/// What runs while a call is up.
fn live() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(price::price))
        .routes(routes!(holds::place_hold))
        .routes(routes!(holds::get_hold))
        .routes(routes!(holds::extend_hold))
        .routes(routes!(holds::release_hold))
        .routes(routes!(accounts::get_account))
}

fn other() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(tenants::create_tenant, tenants::list_tenants))
        .routes(routes!(tenants::get_tenant, tenants::change_tenant))
        .routes(routes!(tenants::close_tenant))
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
        .routes(routes!(usage_events::list_usage))
        .routes(routes!(amend::list_unrated))
        .routes(routes!(amend::rate_again))
        .routes(routes!(explain::explain_usage))
        .routes(routes!(amend::void_usage))
        .routes(routes!(amend::correct_usage))
        .routes(routes!(accounts::list_accounts))
        .routes(routes!(accounts::list_entries))
        .routes(routes!(accounts::get_statement))
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
        .routes(routes!(money::create_adjustment))
        .routes(routes!(commissions::get_commission))
        .routes(routes!(api_keys::create_api_key, api_keys::list_api_keys))
        .routes(routes!(api_keys::revoke_api_key))
        .routes(routes!(audit_log::list_audit_log))
        .routes(routes!(health::metrics))
        .routes(routes!(restoration::get_restoration))
        .routes(routes!(restoration::resume))
        .routes(routes!(clock::get_clock))
        .routes(routes!(clock::accept_clock))
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
        .merge(payouts())
}

fn payouts() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(commission_statement::get_commission_statement))
        .routes(routes!(commission_statement::get_payable))
        .routes(routes!(
            payout_settings::get_payout_settings,
            payout_settings::change_payout_settings
        ))
        .routes(routes!(payout_settings::onboard_payee))
        .routes(routes!(payouts::create_payout, payouts::list_payouts))
        .routes(routes!(payouts::run_payouts))
        .routes(routes!(payouts::get_payout))
        .routes(routes!(payout_steps::pay_payout))
        .routes(routes!(payout_steps::mark_payout_paid))
        .routes(routes!(payout_steps::mark_payout_failed))
        .routes(routes!(payout_steps::reverse_payout))
        .routes(routes!(payout_steps::cancel_payout))
        .routes(routes!(payout_files::make_sepa_file))
        .routes(routes!(payout_files::get_sepa_file))
        .routes(routes!(payout_files::mark_sepa_file_paid))
}

fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// Every route, with its part of the document.
fn routes(guarded: impl Fn(OpenApiRouter<App>, Class) -> OpenApiRouter<App>) -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(document::base())
        .merge(open())
        .merge(guarded(usage(), Class::Usage))
        .merge(guarded(live(), Class::Live))
        .merge(guarded(other(), Class::Other))
}

/// The OpenAPI document.
pub fn document() -> OpenApi {
    let mut document = routes(|router, _| router).into_openapi();
    document::complete(&mut document);
    document
}

/// The service: routes, guards, and the frame around everything.
pub fn router(app: &App) -> Router {
    let document = document();
    let without = parameters::Without::of(&document);
    let guarded = |router: OpenApiRouter<App>, class| {
        let router = router.route_layer(from_fn_with_state(without.clone(), parameters::check));
        router.route_layer(from_fn_with_state((app.clone(), class), request::guard))
    };
    let (router, _) = routes(guarded).split_for_parts();
    router
        .merge(docs::router(&document))
        .merge(pay_pages::router())
        .with_state(app.clone())
        .layer(from_fn_with_state(app.clone(), request::frame))
}
