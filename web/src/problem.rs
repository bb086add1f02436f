//! Refusals as RFC 9457 `application/problem+json`: one table from a stable code to status and
//! title.
//!
//! A handler returns an [`ApiProblem`]; the request's frame writes the body, because only it knows
//! the request id. Errors of other crates become codes here and nowhere else. What a caller cannot
//! do anything about (a database that is gone) is logged once, here, and answered without its
//! details.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use catalog::CatalogError;
use i18n::Locale;
use journal::JournalError;
use metering::requests::Problem;
use payouts;
use prepare::failures;
use provider::ProviderError;
use rating::validate::Mistake;
use serde::Serialize;
use tenants::{Invalid, NotAllowed};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ObjectBuilder, Schema, Type};

/// Status and title of every code. Codes that are not listed are refusals of the content: 422.
const TABLE: &[(&str, u16, &str)] = &[
    ("invalid_json", 400, "The body is not valid JSON"),
    ("invalid_request", 400, "The request is not well formed"),
    (
        "invalid_signature",
        400,
        "The message's signature is not valid",
    ),
    (
        "missing_idempotency_key",
        400,
        "The Idempotency-Key header is required",
    ),
    ("unauthorized", 401, "A valid API key is required"),
    (
        "insufficient_balance",
        402,
        "The balance does not cover this",
    ),
    ("payment_declined", 402, "The payment was declined"),
    ("exhausted", 402, "The balance is used up"),
    ("forbidden", 403, "The key's scope does not allow this"),
    (
        "credit_above_cap",
        403,
        "The platform does not allow this seller so much credit",
    ),
    (
        "platform_sets_collect",
        403,
        "Only the platform sets who collects",
    ),
    ("placed_above", 403, "A seller above placed this hold"),
    (
        "only_tighter",
        403,
        "A seller may only tighten what the platform set",
    ),
    (
        "terms_of_the_past",
        403,
        "Only the platform changes terms of the past",
    ),
    (
        "terms_from_above",
        403,
        "These terms were agreed on from above",
    ),
    ("beyond_reach", 403, "The event was reported from above"),
    ("not_found", 404, "Not found"),
    ("method_not_allowed", 405, "The method is not allowed here"),
    (
        "id_conflict",
        409,
        "The same id was used for something else",
    ),
    (
        "idempotency_conflict",
        409,
        "The Idempotency-Key was used for another request",
    ),
    (
        "idempotency_in_progress",
        409,
        "The first request with this Idempotency-Key is still running",
    ),
    ("balance_too_large", 409, "The balance would be too large"),
    ("conflict", 409, "This conflicts with what exists"),
    (
        "last_admin_key",
        409,
        "Nobody could administer the platform any more",
    ),
    (
        "ambiguous_id",
        409,
        "More than one root uses this external id",
    ),
    ("no_agreement_in_force", 409, "No agreement is in force"),
    (
        "accounts_not_empty",
        409,
        "The accounts must be empty first",
    ),
    ("meter_in_use", 409, "The meter has usage"),
    (
        "payments_not_configured",
        409,
        "This server has no payment provider",
    ),
    ("not_refundable", 409, "This cannot be given back"),
    ("already_voided", 409, "The event has been voided already"),
    ("upper_links_open", 409, "Links above are not yet priced"),
    (
        "void_not_exact",
        409,
        "What other events would cost without this one is not known",
    ),
    (
        "too_much_behind",
        409,
        "Too much of the month lies behind the event",
    ),
    ("hold_over", 409, "The hold has ended"),
    ("hold_ended", 409, "The hold has ended"),
    (
        "other_root",
        409,
        "The event belongs to the books of another reseller",
    ),
    (
        "hold_of_another",
        409,
        "The hold belongs to another customer",
    ),
    (
        "payout_state",
        409,
        "The payout's state does not allow this",
    ),
    (
        "held_back",
        409,
        "The period's commission is still held back",
    ),
    (
        "payout_frozen",
        409,
        "Payouts of this reseller wait for a dispute",
    ),
    ("not_payable", 409, "There is not enough to be paid out"),
    (
        "payee_not_ready",
        409,
        "The account to be paid is not ready",
    ),
    ("nothing_due", 409, "No payout is due"),
    ("payout_exists", 409, "The period has a payout already"),
    (
        "not_restored",
        409,
        "The database does not wait after a restore",
    ),
    (
        "restored",
        409,
        "Restored from a backup: nothing is paid out",
    ),
    ("reversal_refused", 409, "The payout cannot be taken back"),
    ("provider_refused", 409, "The payment provider refused this"),
    (
        "counter_not_kept",
        409,
        "The version needs counters that were not kept this month",
    ),
    ("body_too_large", 413, "The body is too large"),
    ("batch_too_large", 413, "The batch has too many events"),
    ("deck_too_large", 413, "The rate deck has too many rows"),
    (
        "unsupported_media_type",
        415,
        "The content type is not supported",
    ),
    ("amount_too_large", 422, "The amount is too large"),
    ("missing_field", 422, "A field is missing"),
    ("invalid_field", 422, "A field is not valid"),
    ("unknown_field", 422, "A field is not known"),
    ("invalid_card", 422, "The rate card is not valid"),
    ("invalid_deck", 422, "The rate deck is not valid"),
    ("future_event", 422, "The event is in the future"),
    ("before_records", 422, "The records of that time are gone"),
    ("period_too_long", 422, "The period holds too many entries"),
    ("rate_limited", 429, "The key's request limit is reached"),
    ("overloaded", 429, "The engine is at its limit"),
    ("internal", 500, "An unexpected error"),
    ("broken_chain", 500, "The books do not fit the command"),
    (
        "account_not_loaded",
        500,
        "The books do not fit the command",
    ),
    ("held_mismatch", 500, "The books do not fit the command"),
    ("corrupt_card", 500, "A stored rate card cannot be read"),
    (
        "provider_unavailable",
        503,
        "The payment provider does not answer",
    ),
    ("unavailable", 503, "The database is not available"),
    (
        "clock_stepped",
        503,
        "The clock has stepped: no money is written",
    ),
    ("stalled", 503, "Commands wait too long in the engine"),
    ("task_down", 503, "A background task keeps failing"),
    ("not_writable", 503, "The database takes no writes"),
    ("unfinished", 503, "It is still being worked out"),
    ("timeout", 503, "The request took too long"),
];

/// Somebody has to look at the clock first.
const CLOCK_RETRY_SECS: u64 = 60;

/// Title of codes outside the table.
const TITLE_OF_REFUSALS: &str = "The request cannot be carried out";

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
        .enum_values(Some(TABLE.iter().map(|(code, _, _)| *code)));
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
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }
    pub fn field(code: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Problem::field(code, field, detail).into()
    }
    /// Also for what the caller may not see: the two must not be told apart.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            "not_found",
            format!("there is no such {what} within this key's reach"),
        )
    }
    pub fn rate_limited(wait_secs: u64) -> Self {
        let mut refused = Self::new(
            "rate_limited",
            format!("wait {wait_secs} s before the next request"),
        );
        refused.retry_after_secs = Some(wait_secs);
        refused
    }
    /// A sum over many records or roots that no 64-bit number of cents holds: an honest answer
    /// rather than a failure of ours.
    fn sum_too_large() -> Self {
        Self::new(
            "amount_too_large",
            "the sum is larger than a number of cents can be: ask for less at once",
        )
    }
    /// Logs what went wrong and answers without the details.
    pub fn internal(what: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %what, "internal error");
        Self::new(
            "internal",
            "something failed on our side; it has been logged under this request's id",
        )
    }
    pub fn unavailable(what: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %what, "database unavailable");
        let mut refused = Self::new(
            "unavailable",
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
        let translated = translated(self.problem.code, locale);
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
        if self.problem.code == "unauthorized" {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A name in a body that leads nowhere is the body's fault.
pub fn at_field(mut refused: ApiProblem, field: &str) -> ApiProblem {
    if refused.problem.code == "not_found" {
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
        code: problem.code,
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

fn row(code: &str) -> (u16, &'static str) {
    TABLE
        .iter()
        .find(|(known, ..)| *known == code)
        .map_or((422, TITLE_OF_REFUSALS), |&(_, status, title)| {
            (status, title)
        })
}

/// The code for a bare status that a library answered with.
pub(crate) fn code_of_status(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("invalid_request", "the request is not well formed"),
        404 => ("not_found", "there is nothing at this path"),
        405 => ("method_not_allowed", "this path does not take this method"),
        408 | 504 => ("timeout", "the request took too long"),
        413 => (
            "body_too_large",
            "the body is larger than this server takes",
        ),
        415 => ("unsupported_media_type", "send application/json"),
        other if other < 500 => ("invalid_field", "the request is not valid"),
        _ => (
            "internal",
            "something failed on our side; it has been logged under this request's id",
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
            "overloaded" | "unavailable" => Some(1),
            "clock_stepped" => Some(CLOCK_RETRY_SECS),
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
            several => format!("{} mistakes were found; each is listed", several.len()),
        };
        let mut refused = Self::new("invalid_card", detail);
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

impl From<CatalogError> for ApiProblem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::NotFound { what } => Self::not_found(what),
            CatalogError::Ambiguous { .. } => Self::new("ambiguous_id", error.to_string()),
            CatalogError::Conflict { field, detail } => Self::field("conflict", field, detail),
            CatalogError::Invalid { field, detail } => Self::field("invalid_field", field, detail),
            CatalogError::NotAllowed(NotAllowed {
                code,
                field,
                detail,
            }) => Self::field(code, field, detail),
            CatalogError::Overtaken => Self::new("idempotency_in_progress", error.to_string()),
            CatalogError::Db(error) => {
                failures::count();
                Self::unavailable(&error)
            }
        }
    }
}

impl From<Invalid> for ApiProblem {
    fn from(mistake: Invalid) -> Self {
        Self::field("invalid_field", mistake.field, mistake.expected)
    }
}

impl From<ProviderError> for ApiProblem {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Declined(_)
            | ProviderError::Refused { .. }
            | ProviderError::NotFound
            | ProviderError::Uncountable(_) => Self::new("provider_refused", error.to_string()),
            ProviderError::Unknown(_) | ProviderError::NotSent(_) | ProviderError::Unauthorized => {
                tracing::warn!(%error, "payment provider request failed");
                let mut refused =
                    Self::new("provider_unavailable", "the same request may be sent again");
                refused.retry_after_secs = Some(30);
                refused
            }
        }
    }
}

impl From<payouts::Error> for ApiProblem {
    fn from(error: payouts::Error) -> Self {
        match error {
            payouts::Error::Catalog(error) => error.into(),
            payouts::Error::Journal(error) => error.into(),
            payouts::Error::Provider(error) => error.into(),
            payouts::Error::Refused(problem) => problem.into(),
            payouts::Error::Overflow(_) => Self::sum_too_large(),
            payouts::Error::Busy => Self::unavailable(&error),
            payouts::Error::Unfinished => {
                let mut refused = Self::new("unfinished", error.to_string());
                refused.retry_after_secs = Some(1);
                refused
            }
        }
    }
}

impl From<reports::error::Error> for ApiProblem {
    fn from(error: reports::error::Error) -> Self {
        use reports::error::Error;
        let text = error.to_string();
        match error {
            Error::Catalog(error) => error.into(),
            Error::Journal(error) => error.into(),
            Error::Engine(problem) => problem.into(),
            Error::Payouts(error) => error.into(),
            Error::Chain(_) | Error::Overflow(_) => Self::internal(&text),
            Error::SumTooLarge => Self::sum_too_large(),
            Error::NoTenant => Self::not_found("tenant"),
            Error::Currency(_) => Self::field("invalid_field", "currency", text),
            Error::NoCurrency => Self::field("missing_field", "currency", text),
            Error::NoAccount => Self::field("invalid_field", "account", text),
            Error::NoReseller => Self::field("invalid_field", "reseller", text),
            Error::BeforeRecords(_) => Self::field("before_records", "from", text),
            Error::PeriodTooLong { .. } => Self::new("period_too_long", text),
            Error::Restless => Self::unavailable(&text),
        }
    }
}

impl From<JournalError> for ApiProblem {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Corrupt(_) => Self::internal(&error),
            JournalError::Unavailable(_) | JournalError::Conflict(_) | JournalError::Unfit(_) => {
                Self::unavailable(&error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_and_in_order_of_status() {
        assert!(TABLE.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        for (code, status, _) in TABLE {
            assert_eq!(
                TABLE.iter().filter(|(other, ..)| other == code).count(),
                1,
                "{code}"
            );
            assert!(StatusCode::from_u16(*status).is_ok(), "{code}");
        }
    }

    #[test]
    fn refusals_have_their_status() {
        for (code, status) in [
            ("id_conflict", 409),
            ("overloaded", 429),
            ("no_rate", 422),
            ("insufficient_balance", 402),
            ("not_found", 404),
        ] {
            assert_eq!(
                ApiProblem::new(code, "").status().as_u16(),
                status,
                "{code}"
            );
        }
    }

    #[test]
    fn an_answer_is_problem_json_with_the_request_id() {
        let refused = ApiProblem::field("invalid_field", "quantity", "at most 9 decimals are kept");
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
        let titled = |(code, _, _): &&(&str, u16, &str)| {
            i18n::has(&format!("problem-{}", code.replace('_', "-")))
        };
        let known: Vec<_> = TABLE.iter().filter(titled).collect();
        assert!(known.len() > 20, "{known:?}");
        for (code, _, title) in known {
            assert_eq!(
                i18n::say(
                    Locale::En,
                    &format!("problem-{}", code.replace('_', "-")),
                    &[]
                ),
                *title,
                "{code}"
            );
        }
    }

    #[tokio::test]
    async fn a_refusal_speaks_the_readers_language() {
        for (code, locale, language, title) in [
            (
                "insufficient_balance",
                Locale::De,
                "de",
                "Das Guthaben reicht dafür nicht",
            ),
            (
                "insufficient_balance",
                Locale::Fr,
                "fr",
                "Le solde ne suffit pas",
            ),
            (
                "insufficient_balance",
                Locale::En,
                "en",
                "The balance does not cover this",
            ),
            (
                "invalid_card",
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
                (&title.into(), &code.into(), &"tenant".into())
            );
            assert_eq!(body["detail"] == "the English detail", language == "en");
        }
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let refused = ApiProblem::from(Problem::new("overloaded", "full"));
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
