//! The frame around every request: its id, its time limit, its log line, its measure, and the last
//! place where anything that went wrong becomes a problem+json. Never logs bodies or secrets.

use crate::auth::{self, Access};
use crate::limits::{Allowance, Class};
use crate::problem::{ApiProblem, code_of_status};
use crate::slots::Guest;
use crate::state::App;
use crate::timekeeper;
use crate::unread::watched;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use i18n::Locale;
use problem::Code;
use rating::ids::ApiKeyId;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

const REQUEST_ID_CHARS_MAX: usize = 128;

/// The id of the request under way, for logs, the audit log and problems.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub Arc<str>);

/// From where the request came: the other end of the connection, which may be a proxy.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Whose request it was, once its key is known.
#[derive(Debug, Clone)]
struct Whose {
    key: ApiKeyId,
    tenant: String,
}

/// What the log says of a request.
struct Line<'a> {
    method: &'a Method,
    route: &'a str,
    status: StatusCode,
    code: Option<Code>,
    took: Duration,
    id: &'a RequestId,
    whose: Option<Whose>,
    peer: Option<Peer>,
}

/// Who reads a refusal.
struct Reader {
    id: RequestId,
    locale: Locale,
}

/// What the caller asks for, English unless it does.
fn locale(headers: &HeaderMap) -> Locale {
    let asked = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    asked.map_or(Locale::En, Locale::of_accept_language)
}

/// Of requests that no route took.
const UNMATCHED: &str = "unmatched";

pub async fn frame(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = RequestId(request_id(&app, request.headers()));
    let reader = Reader {
        id: id.clone(),
        locale: locale(request.headers()),
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, peer) = (
        request.method().clone(),
        request.extensions().get::<Peer>().copied(),
    );
    request.extensions_mut().insert(id.clone());
    let (request, body) = watched(request);
    let started = tokio::time::Instant::now();
    let inner = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(app.request_time_max, inner).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => ApiProblem::internal(&panic_text(panic.as_ref())).into_response(),
        Err(_elapsed) => ApiProblem::new(
            Code::Timeout,
            "it may or may not have been carried out; send the same request again",
        )
        .into_response(),
    };
    let whose = response.extensions_mut().remove::<Whose>();
    let (mut response, refused) = finish(response, &reader);
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert("x-request-id", value);
    }
    guard_browsers(response.headers_mut());
    if body.is_left(response.status()) {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let (route, took) = (
        route.as_ref().map_or(UNMATCHED, MatchedPath::as_str),
        started.elapsed(),
    );
    log(&Line {
        method: &method,
        route,
        status: response.status(),
        code: refused,
        took,
        id: &id,
        whose,
        peer,
    });
    app.measures
        .request(&method, route, response.status(), refused, took);
    response
}

/// Nothing that is answered is a page of somebody else's, or kept on the way; pages say more
/// themselves.
fn guard_browsers(headers: &mut HeaderMap) {
    let usual = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in usual {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// The caller's own id if it is printable and short, else a new one.
fn request_id(app: &App, headers: &HeaderMap) -> Arc<str> {
    let own = headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok());
    match own.filter(|id| {
        !id.is_empty()
            && id.len() <= REQUEST_ID_CHARS_MAX
            && id.bytes().all(|b| b.is_ascii_graphic())
    }) {
        Some(id) => Arc::from(id),
        None => Arc::from(clock::request_id(&app.clock)),
    }
}

/// Turns refusals, and whatever bare status a library answered with, into problem+json; and their
/// code.
fn finish(mut response: Response, reader: &Reader) -> (Response, Option<Code>) {
    if let Some(refused) = response.extensions_mut().remove::<ApiProblem>() {
        return (
            refusal(&refused, response.headers(), reader),
            Some(refused.problem.code),
        );
    }
    let status = response.status();
    let ours = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    if (status.is_client_error() || status.is_server_error()) && !ours {
        let (code, detail) = code_of_status(status);
        return (
            refusal(&ApiProblem::new(code, detail), response.headers(), reader),
            Some(code),
        );
    }
    (response, None)
}

fn refusal(refused: &ApiProblem, headers: &HeaderMap, reader: &Reader) -> Response {
    let mut answer = refused.answer(Some(&reader.id.0), reader.locale);
    carry_headers(headers, answer.headers_mut());
    answer
}

/// `Allow` and the limits stay; what described the old body goes.
fn carry_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        if name == header::ALLOW || name.as_str().starts_with("ratelimit-") {
            to.insert(name, value.clone());
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "panic: {}",
        text.unwrap_or_else(|| "without a message".to_owned())
    )
}

fn log(line: &Line<'_>) {
    let Line {
        method,
        route,
        status,
        code,
        took,
        id,
        whose,
        peer,
    } = line;
    let (method, status_code, micros) = (
        method.as_str(),
        status.as_u16(),
        u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    );
    macro_rules! line {
        ($level:ident, $what:literal) => {
            tracing::$level!(
                method,
                route,
                status = status_code,
                code = code.map(Code::as_str),
                micros,
                key = whose.as_ref().map(|whose| display(whose.key)),
                tenant = whose.as_ref().map(|whose| whose.tenant.as_str()),
                address = peer.map(|Peer(address)| display(address)),
                request_id = %id.0,
                $what
            )
        };
    }
    if status.is_server_error() {
        line!(warn, "request failed");
    } else if is_hot(route) {
        line!(debug, "request");
    } else {
        line!(info, "request");
    }
}

/// Routes of the hot path are measured, not logged line by line.
fn is_hot(route: &str) -> bool {
    route.starts_with("/v1/usage-events")
        || route.starts_with("/v1/holds")
        || route.starts_with("/v1/accounts")
        || route.starts_with("/health")
        || route == "/v1/price"
}

/// Authenticates, takes one request off the class's limit, and adds the limit's headers.
/// Usage is counted in events, by the handler that has parsed them.
pub async fn guard(
    State((app, class)): State<(App, Class)>,
    mut request: Request,
    next: Next,
) -> Response {
    let access = match auth::authenticate(&app, request.headers()).await {
        Ok(access) => access,
        Err(refused) => return axum::response::IntoResponse::into_response(refused),
    };
    if let Some(guest) = request.extensions().get::<Guest>() {
        guest.is_known();
    }
    let allowance = if class == Class::Usage {
        None
    } else {
        Some(take(&app, class, &access, 1))
    };
    let allowance = match allowance.transpose() {
        Ok(allowance) => allowance,
        Err(refused) => return axum::response::IntoResponse::into_response(refused),
    };
    if let Err(refused) = writes_at_a_believed_time(&app, &request) {
        return axum::response::IntoResponse::into_response(refused);
    }
    let whose = Whose {
        key: access.key.id,
        tenant: access.tenant.external_id.clone(),
    };
    request.extensions_mut().insert(access);
    let mut response = if class == Class::Other && *request.method() != Method::GET {
        to_its_end(request, next).await
    } else {
        next.run(request).await
    };
    if let Some(allowance) = response
        .extensions_mut()
        .remove::<Allowance>()
        .or(allowance)
    {
        allowance.write(response.headers_mut());
    }
    response.extensions_mut().insert(whose);
    response
}

/// What moves money, or will: refused before anything is written of it. The engine refuses again.
const MONEY: [&str; 8] = [
    "/v1/usage-events",
    "/v1/ingest",
    "/v1/holds",
    "/v1/top-ups",
    "/v1/adjustments",
    "/v1/payouts",
    "/v1/tenants/{tenant}/close",
    "/v1/agreements/{agreement}/end",
];

fn writes_at_a_believed_time(app: &App, request: &Request) -> Result<(), ApiProblem> {
    let is_money =
        |route: &MatchedPath| MONEY.iter().any(|money| route.as_str().starts_with(money));
    if *request.method() == Method::GET
        || !request
            .extensions()
            .get::<MatchedPath>()
            .is_some_and(is_money)
    {
        return Ok(());
    }
    Ok(timekeeper::may_write(&app.clock)?)
}

/// A write goes on when its caller hangs up or waits no longer: what is cached must not outlive
/// what it commits, nor money its audit log entry.
async fn to_its_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => axum::response::IntoResponse::into_response(ApiProblem::internal(&error)),
    }
}

pub fn take(
    app: &App,
    class: Class,
    access: &Access,
    cells: usize,
) -> Result<Allowance, ApiProblem> {
    app.limits
        .take(class, access.key.id, access.key.scope, cells)
}
