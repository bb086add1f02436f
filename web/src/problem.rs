//! Refusals as RFC 9457 `application/problem+json`: one table from a stable code to status and
//! title.
//!
//! A handler returns an [`ApiProblem`]; the request's frame writes the body, because only it knows
//! the request id. Errors of other crates become codes here and nowhere else. What a caller cannot
//! do anything about (a database that is gone) is logged once, here, and answered without its
//! details.

mod of_errors;
mod table;

use self::table::row;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use i18n::Locale;
use problem::{Code, Problem};
use rating::validate::Mistake;
use serde::Serialize;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ObjectBuilder, Schema, Type};

/// Somebody has to look at the clock first.
const CLOCK_RETRY_SECS: u64 = 60;

/// One refusal, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiProblem {
    pub problem: Problem,
    /// Every mistake, where several were found (rate cards, decks).
    pub errors: Vec<FieldError>,
    pub retry_after_secs: Option<u64>,
}

/// One of several errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    #[schema(example = "rates[3].prefixes[0]")]
    pub field: String,
    #[schema(example = "tie")]
    pub code: String,
    pub detail: String,
}

/// The codes of the table, and any other: what a card or an event is refused for has codes of its
/// own.
fn code_schema() -> Schema {
    let known = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Code::ALL.iter().map(|code| code.as_str())));
    let code =
        AnyOfBuilder::new().description(Some("Stable, for programs. More codes may be added."));
    code.item(known)
        .item(ObjectBuilder::new().schema_type(Type::String))
        .examples(["invalid_field"])
        .build()
        .into()
}

/// RFC 9457 problem details.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// Stable URI of the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid_field")]
    pub kind: String,
    #[schema(example = "A field is not valid")]
    pub title: &'a str,
    #[schema(example = 422)]
    pub status: u16,
    /// Stable, for programs. More codes may be added.
    #[schema(schema_with = code_schema)]
    pub code: &'a str,
    #[schema(example = "expected a decimal number, such as \"600\" or \"0.25\"")]
    pub detail: &'a str,
    /// The field at fault, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "quantity")]
    pub field: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "req_0dks8xn2a4m1c")]
    pub request_id: Option<&'a str>,
}

impl ApiProblem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }
    pub fn field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Problem::field(code, field, detail).into()
    }
    /// Also for what the caller may not see: the two must not be told apart.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            Code::NotFound,
            format!("there is no such {what} within this key's reach"),
        )
    }
    pub fn rate_limited(wait_secs: u64) -> Self {
        let mut refused = Self::new(
            Code::RateLimited,
            format!("wait {wait_secs} s before the next request"),
        );
        refused.retry_after_secs = Some(wait_secs);
        refused
    }
    /// A sum over many records or roots that no 64-bit number of cents holds: an honest answer
    /// rather than a failure of ours.
    fn sum_too_large() -> Self {
        Self::new(
            Code::AmountTooLarge,
            "the sum exceeds the largest amount in cents: request less at once",
        )
    }
    /// Logs what went wrong and answers without the details.
    pub fn internal(what: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %what, "internal error");
        Self::new(
            Code::Internal,
            "an internal error occurred; it has been logged under this request's id",
        )
    }
    pub fn unavailable(what: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %what, "database unavailable");
        let mut refused = Self::new(
            Code::Unavailable,
            "nothing was written; the same request may be sent again",
        );
        refused.retry_after_secs = Some(1);
        refused
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(row(self.problem.code).0).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// The body, with the id of the request that it answers.
    pub fn body<'a>(&'a self, request_id: Option<&'a str>) -> ProblemBody<'a> {
        problem_body(&self.problem, &self.errors, request_id)
    }

    /// The answer, body and all, in the reader's language where its code is one that customers
    /// meet; the code, the field and the list of mistakes stay as they are.
    pub fn answer(&self, request_id: Option<&str>, locale: Locale) -> Response {
        let translated = translated(self.problem.code.as_str(), locale);
        let mut body = self.body(request_id);
        let mut language = Locale::En;
        if let Some((title, detail)) = &translated {
            (body.title, body.detail, language) = (title, detail, locale);
        }
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(
            header::CONTENT_LANGUAGE,
            HeaderValue::from_static(language.code()),
        );
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.problem.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A name in a body that leads nowhere is the body's fault.
pub fn at_field(mut refused: ApiProblem, field: &str) -> ApiProblem {
    if refused.problem.code == Code::NotFound {
        refused.problem.field = Some(field.to_owned());
    }
    refused
}

/// A refusal inside an answer (one event of a batch).
pub fn problem_body<'a>(
    problem: &'a Problem,
    errors: &'a [FieldError],
    request_id: Option<&'a str>,
) -> ProblemBody<'a> {
    let (status, title) = row(problem.code);
    ProblemBody {
        kind: format!("/problems/{}", problem.code),
        title,
        status,
        code: problem.code.as_str(),
        detail: &problem.detail,
        field: problem.field.as_deref(),
        errors,
        request_id,
    }
}

/// Title and detail of a code in another language than English, whose details say more.
fn translated(code: &str, locale: Locale) -> Option<(String, String)> {
    let key = format!("problem-{}", code.replace('_', "-"));
    let is_written = locale != Locale::En && i18n::has(&key);
    is_written.then(|| {
        (
            i18n::say(locale, &key, &[]),
            i18n::say(locale, &format!("{key}.detail"), &[]),
        )
    })
}

/// The code for a bare status that a library answered with.
pub(crate) fn code_of_status(status: StatusCode) -> (Code, &'static str) {
    match status.as_u16() {
        400 => (Code::InvalidRequest, "the request is not well formed"),
        404 => (Code::NotFound, "there is nothing at this path"),
        405 => (
            Code::MethodNotAllowed,
            "this path does not support this method",
        ),
        408 | 504 => (Code::Timeout, "the request took too long"),
        413 => (
            Code::BodyTooLarge,
            "the body is larger than this server accepts",
        ),
        415 => (Code::UnsupportedMediaType, "send application/json"),
        other if other < 500 => (Code::InvalidField, "the request is not valid"),
        _ => (
            Code::Internal,
            "an internal error occurred; it has been logged under this request's id",
        ),
    }
}

/// Leaves the body to the request's frame, which knows the request id.
impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Problem> for ApiProblem {
    fn from(problem: Problem) -> Self {
        let retry_after_secs = match problem.code {
            Code::Overloaded | Code::Unavailable => Some(1),
            Code::ClockStepped => Some(CLOCK_RETRY_SECS),
            _ => None,
        };
        Self {
            problem,
            errors: Vec::new(),
            retry_after_secs,
        }
    }
}

impl From<Vec<Mistake>> for ApiProblem {
    fn from(mistakes: Vec<Mistake>) -> Self {
        let detail = match mistakes.as_slice() {
            [only] => format!("{}: {}", only.path, only.message)
                .trim_start_matches(": ")
                .to_owned(),
            several => format!("{} errors were found; each is listed", several.len()),
        };
        let mut refused = Self::new(Code::InvalidCard, detail);
        refused.errors = mistakes
            .into_iter()
            .map(|m| FieldError {
                field: m.path,
                code: m.code.to_owned(),
                detail: m.message,
            })
            .collect();
        refused.problem.field = refused.errors.first().map(|error| error.field.clone());
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_their_status() {
        for (code, status) in [
            (Code::IdConflict, 409),
            (Code::Overloaded, 429),
            (Code::Unrated("no_rate"), 422),
            (Code::InsufficientBalance, 402),
            (Code::NotFound, 404),
        ] {
            assert_eq!(
                ApiProblem::new(code, "").status().as_u16(),
                status,
                "{code}"
            );
        }
        for &code in Code::ALL {
            let status = row(code).0;
            assert!((400..=599).contains(&status), "{code}: {status}");
        }
    }

    #[test]
    fn an_answer_is_problem_json_with_the_request_id() {
        let refused = ApiProblem::field(
            Code::InvalidField,
            "quantity",
            "at most 9 decimals are kept",
        );
        let body = serde_json::to_value(refused.body(Some("req_1"))).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"type": "/problems/invalid_field", "title": "A field is not valid", "status": 422, "code": "invalid_field",
                "detail": "at most 9 decimals are kept", "field": "quantity", "request_id": "req_1"})
        );
        assert_eq!(
            refused.answer(None, Locale::En).headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
    }

    #[test]
    fn the_catalogues_know_codes_by_the_same_titles() {
        let key = |code: Code| format!("problem-{}", code.as_str().replace('_', "-"));
        let known = Code::ALL.iter().filter(|code| i18n::has(&key(**code)));
        let known: Vec<Code> = known.copied().collect();
        assert!(known.len() > 20, "{known:?}");
        for code in known {
            assert_eq!(
                i18n::say(Locale::En, &key(code), &[]),
                row(code).1,
                "{code}"
            );
        }
    }

    #[tokio::test]
    async fn a_refusal_speaks_the_readers_language() {
        for (code, locale, language, title) in [
            (
                Code::InsufficientBalance,
                Locale::De,
                "de",
                "Das Guthaben reicht dafür nicht",
            ),
            (
                Code::InsufficientBalance,
                Locale::Fr,
                "fr",
                "Le solde ne suffit pas",
            ),
            (
                Code::InsufficientBalance,
                Locale::En,
                "en",
                "The balance does not cover this",
            ),
            (
                Code::InvalidCard,
                Locale::De,
                "en",
                "The rate card is not valid",
            ),
        ] {
            let answer =
                ApiProblem::field(code, "tenant", "the English detail").answer(None, locale);
            assert_eq!(
                answer.headers()[header::CONTENT_LANGUAGE],
                language,
                "{code} {locale}"
            );
            let body = axum::body::to_bytes(answer.into_body(), 10_000)
                .await
                .unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (&body["title"], &body["code"], &body["field"]),
                (&title.into(), &code.as_str().into(), &"tenant".into())
            );
            assert_eq!(body["detail"] == "the English detail", language == "en");
        }
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let refused = ApiProblem::from(Problem::new(Code::Overloaded, "full"));
        assert_eq!(
            (refused.status().as_u16(), refused.retry_after_secs),
            (429, Some(1))
        );
        assert_eq!(
            refused.answer(None, Locale::De).headers()[header::RETRY_AFTER],
            "1"
        );
    }

    #[test]
    fn every_mistake_of_a_card_is_listed() {
        let mistake = |path: &str| Mistake {
            path: path.to_owned(),
            code: "tie",
            message: "ties with rates[0]".to_owned(),
        };
        let refused = ApiProblem::from(vec![mistake("rates[1]"), mistake("rates[2]")]);
        assert_eq!(
            (refused.errors.len(), refused.problem.field.as_deref()),
            (2, Some("rates[1]"))
        );
    }
}
