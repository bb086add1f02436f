//! `/pay/{token}/done`, `/pay/{token}/cancelled`: where a payer comes back to. The page looks at the payment itself, so
//! that nobody waits for a message that is late.

use crate::http::provider_hooks;
use crate::problem::ApiProblem;
use crate::state::App;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use store::records::{TopUp, TopUpState};
use wording::{Arg, Locale, say};

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;color:#1a1a1a}\
    @media(prefers-color-scheme:dark){body{background:#161616;color:#eee}}";

pub fn router() -> Router<App> {
    Router::new().route("/pay/{token}/done", get(done)).route("/pay/{token}/cancelled", get(cancelled)).merge(provider_hooks::router())
}

async fn done(State(app): State<App>, Path(token): Path<String>, headers: HeaderMap) -> Result<Response, ApiProblem> {
    let top_up = named(&app, &token).await?;
    if matches!(top_up.state, TopUpState::Pending | TopUpState::Processing)
        && let Err(problem) = app.desk.look_at_page(&top_up).await
    {
        tracing::warn!(%problem, "a payer's page could not look at the payment");
    }
    let top_up = named(&app, &token).await?;
    let key = match top_up.state {
        TopUpState::Succeeded | TopUpState::Pending => "page-paid",
        TopUpState::Processing => "page-processing",
        TopUpState::Failed | TopUpState::Expired => "page-failed",
    };
    Ok(page(&top_up, key, &headers))
}

async fn cancelled(State(app): State<App>, Path(token): Path<String>, headers: HeaderMap) -> Result<Response, ApiProblem> {
    Ok(page(&named(&app, &token).await?, "page-cancelled", &headers))
}

async fn named(app: &App, token: &str) -> Result<TopUp, ApiProblem> {
    let missing = || ApiProblem::new("not_found", "there is no such page");
    let token = payments::desk::token_of(token).ok_or_else(missing)?;
    app.records.top_up_by_token(&token).await?.ok_or_else(missing)
}

/// In the language that the payer's page had, else the browser's.
fn page(top_up: &TopUp, key: &str, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = payments::desk::page_locale(top_up).and_then(|code| code.parse().ok());
    let locale = asked.unwrap_or_else(|| Locale::of_accept_language(accepted));
    let amount = wording::money(locale, top_up.cents, top_up.currency);
    let text = escaped(&say(locale, key, &[("amount", Arg::Text(&amount))]));
    let title = escaped(&say(locale, &format!("{key}.title"), &[]));
    let language = locale.code();
    let html = format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1><p>{text}</p></body></html>\n"
    );
    let value = HeaderValue::from_static;
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, value("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, value(POLICY)),
        (header::CACHE_CONTROL, value("no-store")),
        (header::REFERRER_POLICY, value("no-referrer")),
    ];
    (headers, html).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
