//! `/v1/webhooks/stripe`, `/v1/webhooks/stripe-connect`: what the payment provider tells us.
//! Believed for its signature over the raw bytes alone, kept, and only then answered. Bodies never
//! reach a log.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use problem::Code;
use provider::{Hook, HookError};
use web::problem::ApiProblem;
use web::state::App;
use web::write;

const SIGNATURE: &str = "stripe-signature";

pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/webhooks/stripe", post(own))
        .route("/v1/webhooks/stripe-connect", post(connected))
}

async fn own(State(app): State<App>, request: Request) -> Result<StatusCode, ApiProblem> {
    hear(&app, Hook::Own, request).await
}

async fn connected(State(app): State<App>, request: Request) -> Result<StatusCode, ApiProblem> {
    hear(&app, Hook::Connected, request).await
}

async fn hear(app: &App, hook: Hook, request: Request) -> Result<StatusCode, ApiProblem> {
    let provider = app.payments.provider()?;
    let signature = request
        .headers()
        .get(SIGNATURE)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body = write::body(request, app).await?;
    let event = match provider.receive(hook, signature.as_deref(), &body, app.clock.now()) {
        Ok(event) => event,
        // It is the provider's, and cannot be kept: told again it would be the same.
        Err(unnamed @ HookError::Unnamed) => {
            tracing::warn!(why = %unnamed, bytes = body.len(), "payment provider message ignored");
            return Ok(StatusCode::OK);
        }
        Err(refused) => {
            tracing::warn!(why = %refused, bytes = body.len(), "unverified payment provider \
                message refused");
            return Err(ApiProblem::new(Code::InvalidSignature, refused.to_string()));
        }
    };
    app.payments.hear(&event, &body).await?;
    Ok(StatusCode::OK)
}
