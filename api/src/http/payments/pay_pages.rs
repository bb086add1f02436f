//! `/pay/{token}/done`, `/pay/{token}/cancelled`: where a payer comes back to. The page looks at
//! the payment itself, so that nobody waits for a message that is late, and says what the books
//! know; while that may change it comes again by itself. It names nobody: whoever has the link sees
//! an amount and a state.

use crate::http::payments::provider_hooks;
use axum::Router;
use axum::extract::{self, Path};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use i18n::{Arg, Locale, say};
use payments::abroad::DOES_NOT_FIT;
use payments::rows::{Payment, PaymentRows, TopUp, TopUpState};
use problem::Code;
use rating::Cents;
use web::problem::ApiProblem;
use web::state::App;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem \
    auto;padding:0 1rem;color:#1a1a1a}\
    @media(prefers-color-scheme:dark){body{background:#161616;color:#eee}}";

pub fn router() -> Router<App> {
    Router::new()
        .route("/pay/{token}/done", get(shown))
        .route("/pay/{token}/cancelled", get(shown))
        .merge(provider_hooks::router())
}

/// Both addresses show the same: what the payer did is for the books to say, not for the address.
async fn shown(
    extract::State(app): extract::State<App>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let mut top_up = named(&app, &token).await?;
    let is_open = matches!(top_up.state, TopUpState::Pending | TopUpState::Processing);
    if is_open {
        if let Err(problem) = app.payments.look_at_page(&top_up).await {
            tracing::warn!(%problem, "payment lookup for a payer's page failed");
        }
        top_up = named(&app, &token).await?;
    }
    let payments = PaymentRows::of(&app.catalog).payments_of(top_up.id).await?;
    let (state, refunded) = state_of(&top_up, &payments)?;
    Ok(page(&top_up, state, refunded, &headers))
}

/// What a payer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Received,
    Processing,
    Failed,
    /// Something was paid, and not what was asked for.
    Unclear,
    Refunded,
}

impl State {
    const fn key(self) -> &'static str {
        match self {
            Self::Open => "page-open",
            Self::Received => "page-paid",
            Self::Processing => "page-processing",
            Self::Failed => "page-failed",
            Self::Unclear => "page-unclear",
            Self::Refunded => "page-refunded",
        }
    }

    /// After how many seconds the page asks again.
    const fn refresh_secs(self) -> Option<u32> {
        match self {
            Self::Open => Some(5),
            Self::Processing => Some(60),
            Self::Received | Self::Failed | Self::Unclear | Self::Refunded => None,
        }
    }
}

/// As the books have it, with what was given back.
fn state_of(top_up: &TopUp, payments: &[Payment]) -> Result<(State, Cents), ApiProblem> {
    let own = payments.iter().filter(|payment| payment.is_own);
    let refunded = own
        .map(|payment| payment.refunded)
        .try_fold(Cents::ZERO, Cents::checked_add);
    let refunded = refunded.map_err(|error| ApiProblem::internal(&error))?;
    let state = match top_up.state {
        TopUpState::Succeeded if refunded > Cents::ZERO => State::Refunded,
        TopUpState::Succeeded => State::Received,
        TopUpState::Pending => State::Open,
        TopUpState::Processing => State::Processing,
        TopUpState::Failed if top_up.failure.as_deref() == Some(DOES_NOT_FIT) => State::Unclear,
        TopUpState::Failed | TopUpState::Expired => State::Failed,
    };
    Ok((state, refunded))
}

async fn named(app: &App, token: &str) -> Result<TopUp, ApiProblem> {
    let missing = || ApiProblem::new(Code::NotFound, "there is no such page");
    let token = payments::service::token_of(token).ok_or_else(missing)?;
    PaymentRows::of(&app.catalog)
        .top_up_by_token(&token)
        .await?
        .ok_or_else(missing)
}

/// In the language that the payer's page had, else the browser's.
fn page(top_up: &TopUp, state: State, refunded: Cents, headers: &HeaderMap) -> Response {
    let key = state.key();
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let asked = payments::service::page_locale(top_up).and_then(|code| code.parse().ok());
    let locale = asked.unwrap_or_else(|| Locale::of_accept_language(accepted));
    let [amount, refunded] =
        [top_up.cents, refunded].map(|cents| i18n::money(locale, cents, top_up.currency));
    let text = escaped(&say(
        locale,
        key,
        &[
            ("amount", Arg::Text(&amount)),
            ("refunded", Arg::Text(&refunded)),
        ],
    ));
    let title = escaped(&say(locale, &format!("{key}.title"), &[]));
    let language = locale.code();
    let refresh = state
        .refresh_secs()
        .map(|secs| format!("<meta http-equiv=\"refresh\" content=\"{secs}\">"))
        .unwrap_or_default();
    let html = format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><meta \
            name=\"viewport\" content=\"width=device-width\">{refresh}\
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
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
