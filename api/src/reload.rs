//! Secrets in files, read again while the server runs: all of them, or none.

use crate::config::Config;
use anyhow::Context as _;
use notices::delivery_worker::DeliveryWorker;
use web::state::App;

/// The settings with their secrets as the files have them now.
#[derive(Debug)]
pub struct Reread {
    pub config: Config,
    /// The variables whose secrets lie in files.
    pub from_files: Vec<&'static str>,
}

/// Takes them, or says why not.
pub fn reload(app: &App, deliveries: &DeliveryWorker, reread: anyhow::Result<Reread>) {
    match reread.and_then(|reread| take(app, deliveries, reread)) {
        Ok(taken) if taken.is_empty() => {
            tracing::warn!(
                "nothing reloaded: no secret of Stripe or of the mail server is in a file"
            );
        }
        Ok(taken) => tracing::info!(
            variables = taken.join(" "),
            "secrets reloaded from their files"
        ),
        Err(error) => tracing::error!(
            error = format!("{error:#}"),
            "secrets not reloaded: the previous ones stay in use"
        ),
    }
}

/// Whatever can fail comes first.
fn take(
    app: &App,
    deliveries: &DeliveryWorker,
    Reread { config, from_files }: Reread,
) -> anyhow::Result<Vec<&'static str>> {
    let mailer = config.mail.mailer()?;
    let stripe = match (&app.stripe, config.payments.stripe()) {
        (Some(stripe), Some(settings)) => Some((
            stripe,
            stripe
                .renewal(&settings)
                .context("CENTWISE_STRIPE_SECRET_KEY")?,
        )),
        _ => None,
    };
    if let Some((stripe, renewal)) = stripe {
        stripe.renew(renewal);
    }
    deliveries.mail_through(mailer);
    Ok(from_files)
}
