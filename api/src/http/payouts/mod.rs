//! Commission, and how it is paid out.

mod commission_statement;
mod commissions;
mod payout;
mod sepa_files;
mod settings;
mod steps;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use web::state::App;

/// What a reseller earned.
pub fn earnings() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(commissions::get_commission))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(commission_statement::get_commission_statement))
        .routes(routes!(commission_statement::get_payable))
        .routes(routes!(
            settings::get_payout_settings,
            settings::change_payout_settings
        ))
        .routes(routes!(settings::onboard_payee))
        .routes(routes!(payout::create_payout, payout::list_payouts))
        .routes(routes!(payout::run_payouts))
        .routes(routes!(payout::get_payout))
        .routes(routes!(steps::pay_payout))
        .routes(routes!(steps::mark_payout_paid))
        .routes(routes!(steps::mark_payout_failed))
        .routes(routes!(steps::reverse_payout))
        .routes(routes!(steps::cancel_payout))
        .routes(routes!(sepa_files::make_sepa_file))
        .routes(routes!(sepa_files::get_sepa_file))
        .routes(routes!(sepa_files::mark_sepa_file_paid))
}
