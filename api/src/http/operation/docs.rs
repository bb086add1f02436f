//! `/v1/openapi.json`, and `/docs`: one page of our own that shows it. Everything of it is served
//! here: it works without the internet.

use crate::http::document;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use web::state::App;

const PAGE: &str = include_str!("docs.html");
const STYLE: &str = include_str!("docs.css");
const SCRIPT: &str = include_str!("docs.js");
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src \
    'self'; frame-ancestors 'none'";

pub fn router(document: &OpenApi) -> Router<App> {
    let json = Bytes::from(document::text(document).unwrap_or_default());
    Router::new()
        .route(
            "/v1/openapi.json",
            get(move || async move { file("application/json", json) }),
        )
        .route(
            "/docs",
            get(|| async { file("text/html; charset=utf-8", PAGE) }),
        )
        .route(
            "/docs/style.css",
            get(|| async { file("text/css; charset=utf-8", STYLE) }),
        )
        .route(
            "/docs/page.js",
            get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }),
        )
}

fn file(kind: &'static str, text: impl IntoResponse) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
    ];
    (headers, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        for text in [PAGE, STYLE, SCRIPT] {
            assert!(
                !text.contains("http://") && !text.contains("https://") && !text.contains("url(")
            );
        }
        // Its policy lets nothing run, or look, that is written into it.
        assert!(
            !PAGE.contains("<style")
                && !PAGE.contains("style=")
                && !PAGE.contains("<script>")
                && !SCRIPT.contains("style")
        );
        assert!(!POLICY.contains("unsafe"));
    }
}
