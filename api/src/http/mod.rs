//! HTTP: one folder per capability, in it one file per resource. A handler extracts, calls one
//! function, returns a type; each folder's `mod.rs` lists its routes, and this file puts them
//! together. What all of them share is the crate `web`, what reports say the crate `reports`.
//!
//! Invariants: every route but health, the documentation, pages of payers and the provider's
//! messages passes [`request::guard`]; every refusal is a problem+json with the request's id; the
//! OpenAPI document comes from the code, in the order of the routes.

mod access;
mod balances;
mod document;
mod holds;
mod notices;
pub mod operation;
mod payments;
mod payouts;
mod prices;
mod tenants;
#[cfg(test)]
mod tests;
mod usage;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use web::limits::Class;
use web::state::App;
use web::{parameters, request};

/// What runs while a call is up.
fn live() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(usage::live())
        .merge(holds::live())
        .merge(balances::live())
}

fn other() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(tenants::routes())
        .merge(prices::routes())
        .merge(usage::routes())
        .merge(balances::routes())
        .merge(payments::routes())
        .merge(balances::by_hand())
        .merge(payouts::earnings())
        .merge(access::routes())
        .merge(operation::routes())
        .merge(notices::routes())
        .merge(payouts::routes())
}

/// Every route, with its part of the document.
fn routes(guarded: impl Fn(OpenApiRouter<App>, Class) -> OpenApiRouter<App>) -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(document::base())
        .merge(operation::open())
        .merge(guarded(usage::intake(), Class::Usage))
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
        .merge(operation::docs::router(&document))
        .merge(payments::pay_pages::router())
        .with_state(app.clone())
        .layer(from_fn_with_state(app.clone(), request::frame))
}
