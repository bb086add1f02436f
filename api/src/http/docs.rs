//! `/v1/openapi.json`, and `/docs`: one page of our own that shows it. Everything is in the page: it
//! works without the internet.

use crate::http::document;
use crate::state::App;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::openapi::OpenApi;

const PAGE: &str = include_str!("docs.html");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

pub fn router(document: &OpenApi) -> Router<App> {
    let json = Bytes::from(document::text(document).unwrap_or_default());
    let answer = move || async move { ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json.clone()) };
    Router::new().route("/v1/openapi.json", get(answer)).route("/docs", get(page))
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("src="));
    }
}
