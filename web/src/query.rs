//! What stands behind the `?` of a request.

use crate::problem::ApiProblem;
use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use problem::Code;
use rating::validate::spoken;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// As axum's own, but a refusal names the parameter, and one that means nothing here is refused: a
/// mistyped filter would list everything.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiProblem> {
        read(&parts.uri).map(Self)
    }
}

/// # Errors
/// `missing_field`, `unknown_field` or `invalid_request`, with the parameter's name.
pub fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiProblem> {
    let axum::extract::Query(read) =
        axum::extract::Query::try_from_uri(uri).map_err(|refused| refusal(&refused.body_text()))?;
    match unknown::<T>(uri.query().unwrap_or_default()) {
        Some(name) => Err(ApiProblem::field(
            Code::UnknownField,
            &name,
            format!("there is no parameter `{name}` here"),
        )),
        None => Ok(read),
    }
}

/// The first parameter of a query that `T` has no place for.
fn unknown<T: DeserializeOwned>(query: &str) -> Option<String> {
    let mut unknown = None;
    let parameters = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    // That it can be read is known by now.
    let _read = serde_ignored::deserialize::<_, _, T>(parameters, |name| {
        unknown = unknown.take().or_else(|| Some(name.to_string()))
    });
    unknown
}

/// Of axum's words: `…: missing field `from``, or `…: limit: invalid digit found in string`.
pub fn refusal(why: &dyn Display) -> ApiProblem {
    let why = why.to_string();
    let why = why
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(&why);
    let of_a_field = |beginning: &str| why.strip_prefix(beginning)?.split('`').next();
    if let Some(name) = of_a_field("missing field `") {
        return ApiProblem::field(
            Code::MissingField,
            name,
            format!("the parameter `{name}` is missing"),
        );
    }
    if let Some(name) = of_a_field("duplicate field `") {
        return ApiProblem::field(
            Code::InvalidRequest,
            name,
            format!("the parameter `{name}` is given twice"),
        );
    }
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match why.split_once(": ").filter(|(name, _)| is_name(name)) {
        Some((name, what)) => ApiProblem::field(Code::InvalidRequest, name, for_a_flag(what)),
        None => ApiProblem::new(
            Code::InvalidRequest,
            format!("the query string is not valid: {}", spoken::plainly(why)),
        ),
    }
}

/// Of what is not a text there are flags only.
fn for_a_flag(what: &str) -> String {
    if what.contains("`true` or `false`") {
        "expected true or false".to_owned()
    } else {
        spoken::plainly(what).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::Instant;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Asked {
        #[expect(dead_code, reason = "only whether it can be read counts")]
        from: Instant,
        #[expect(dead_code, reason = "only whether it can be read counts")]
        limit: Option<usize>,
    }

    async fn check(query: &str, want: Option<(&str, &str)>) {
        let (mut parts, ()) = axum::http::Request::get(format!("/x?{query}"))
            .body(())
            .unwrap()
            .into_parts();
        let read = Query::<Asked>::from_request_parts(&mut parts, &()).await;
        let refused = read
            .err()
            .map(|refused| (refused.problem.code, refused.problem.field.unwrap()));
        assert_eq!(
            refused
                .as_ref()
                .map(|(code, field)| (code.as_str(), field.as_str())),
            want,
            "{query}"
        );
    }

    #[tokio::test]
    async fn a_refusal_names_the_parameter() {
        check("from=2026-11-01T00:00:00Z&limit=5", None).await;
        check("limit=5", Some(("missing_field", "from"))).await;
        check(
            "from=2026-11-01T00:00:00Z&untill=2026-12-01T00:00:00Z",
            Some(("unknown_field", "untill")),
        )
        .await;
        check("from=2026-11-01", Some(("invalid_request", "from"))).await;
        check(
            "from=2026-11-01T00:00:00Z&limit=abc",
            Some(("invalid_request", "limit")),
        )
        .await;
        check(
            "from=2026-11-01T00:00:00Z&from=2026-11-01T00:00:00Z",
            Some(("invalid_request", "from")),
        )
        .await;
    }
}
