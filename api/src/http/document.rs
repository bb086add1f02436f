//! The OpenAPI document: what the code does not say operation by operation.

use problem::Code;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    Required, Type,
};
use utoipa::{PartialSchema, ToSchema};
use web::problem::ProblemBody;

const ABOUT: &str = "Centwise rates metered usage along a chain of sellers and moves the money, \
    exactly once.\n\n\
    Money is integer minor units with a currency; rates are decimal text; instants are RFC 3339. \
    Your own ids (`external_id`) work wherever a tenant is named. Errors are RFC 9457 problems \
    with a stable `code`.";
const JSON: &str = "application/json";
const CLOUD_EVENTS_JSON: &str = "application/cloudevents-batch+json";
const PROBLEM_JSON: &str = "application/problem+json";
const KEY: &str = "api_key";

/// Refusals that any guarded operation may answer: status, code, when.
const REFUSALS: &[(u16, Code, &str)] = &[
    (400, Code::InvalidRequest, "The request is malformed"),
    (
        401,
        Code::Unauthorized,
        "The API key is missing, unknown, expired or revoked",
    ),
    (403, Code::Forbidden, "The key's scope does not allow this"),
    (404, Code::NotFound, "Not found within the key's subtree"),
    (422, Code::InvalidField, "A field is not valid"),
    (
        429,
        Code::RateLimited,
        "A rate limit is reached; `Retry-After` says how long to wait",
    ),
    (
        500,
        Code::Internal,
        "Internal error, logged under the request's id",
    ),
    (
        503,
        Code::Unavailable,
        "Nothing was written; send the same request again",
    ),
];
const WRITE_REFUSALS: &[(u16, Code, &str)] = &[
    (
        402,
        Code::InsufficientBalance,
        "The balances do not cover this",
    ),
    (
        409,
        Code::IdempotencyConflict,
        "The key or id was used for something else",
    ),
    (413, Code::BodyTooLarge, "The body is too large"),
    (
        415,
        Code::UnsupportedMediaType,
        "The content type is not supported",
    ),
];
/// What else is answered, where the operation does not say it better.
const SUCCESSES: &[(&str, &str)] = &[
    ("200", "Success"),
    ("201", "Created"),
    ("202", "Accepted: it continues in the background"),
];
const OPEN_REFUSALS: &[(u16, Code, &str)] = &[
    (500, Code::Internal, "Internal error"),
    (503, Code::Unavailable, "The database does not respond"),
];

pub fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Centwise")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds security, every refusal, and the headers that all operations share.
pub fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key: `Authorization: Bearer cw_…`"))
        .build();
    components.add_security_scheme(KEY, SecurityScheme::Http(scheme));
    components
        .schemas
        .insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let mut nested = Vec::new();
    ProblemBody::schemas(&mut nested);
    components.schemas.extend(nested);
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (HttpMethod::Get, &mut item.get),
            (HttpMethod::Post, &mut item.post),
            (HttpMethod::Patch, &mut item.patch),
            (HttpMethod::Put, &mut item.put),
            (HttpMethod::Delete, &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                complete_operation(path, &method, operation);
            }
        }
    }
}

fn complete_operation(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let open = path.starts_with("/health/");
    let writes = !matches!(method, HttpMethod::Get);
    if !open {
        operation.security = Some(vec![SecurityRequirement::new::<_, _, &str>(KEY, [])]);
    }
    describe(operation);
    if operation.operation_id.as_deref() == Some("send_usage") {
        tell_batches_apart(operation);
    }
    let refusals = if open { OPEN_REFUSALS } else { REFUSALS };
    for &(status, code, when) in refusals
        .iter()
        .chain(if writes { WRITE_REFUSALS } else { &[] })
    {
        operation
            .responses
            .responses
            .entry(status.to_string())
            .or_insert_with(|| refusal(status, code, when));
    }
    let parameters = operation.parameters.get_or_insert_default();
    let sends_usage = path == "/v1/usage-events" || path.starts_with("/v1/ingest/");
    if writes && !sends_usage && path != "/v1/price" {
        parameters.push(RefOr::T(idempotency_key(needs_key(path))));
    }
}

fn describe(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
            && let Some((_, text)) = SUCCESSES.iter().find(|(known, _)| known == status)
        {
            (*text).clone_into(&mut response.description);
        }
    }
}

/// Generators tell the bodies of an operation apart by their types, and some do it while the
/// program runs, where a list of these cannot be told from a list of those: the batch of
/// CloudEvents is shown, and has no type.
fn tell_batches_apart(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else {
        return;
    };
    if let Some(RefOr::T(batch)) = body.content.get_mut(CLOUD_EVENTS_JSON) {
        batch.schema = None;
    }
}

/// The document as it is served: of several bodies JSON comes first, because most generators take
/// the first.
///
/// # Errors
/// None that is known: everything in it can be written as JSON.
pub fn text(document: &OpenApi) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(document)?;
    let posts = document
        .paths
        .paths
        .values()
        .filter_map(|item| item.post.as_ref());
    for body in posts.filter_map(|operation| operation.request_body.as_ref()) {
        let RefOr::T(body) = body else { continue };
        if body.content.len() > 1 {
            text = text.replacen(
                &serde_json::to_string(&body.content)?,
                &json_first(body)?,
                1,
            );
        }
    }
    Ok(text)
}

fn json_first(body: &RequestBody) -> serde_json::Result<String> {
    let mut kinds: Vec<_> = body.content.iter().collect();
    kinds.sort_by_key(|(kind, _)| (*kind != JSON, kind.contains("cloudevents")));
    let written = |(kind, content)| {
        Ok(format!(
            "{}:{}",
            serde_json::to_string(kind)?,
            serde_json::to_string(content)?
        ))
    };
    let written: serde_json::Result<Vec<String>> = kinds.into_iter().map(written).collect();
    Ok(format!("{{{}}}", written?.join(",")))
}

/// Money and amendments: a retry must not move money twice.
fn needs_key(path: &str) -> bool {
    path == "/v1/top-ups"
        || path == "/v1/adjustments"
        || path.ends_with("/refunds")
        || path.ends_with("/void")
        || path.ends_with("/correct")
        || path.ends_with("/extend")
        || path == "/v1/payouts/sepa-file"
}

fn idempotency_key(required: bool) -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(if required {
            Required::True
        } else {
            Required::False
        })
        .description(Some(
            "Your own key: the same key and body get the same response, another body gets 409",
        ))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(255))
                .build(),
        ))
        .build()
}

fn refusal(status: u16, code: Code, when: &str) -> RefOr<utoipa::openapi::Response> {
    let problem = web::problem::ApiProblem::new(code, when);
    let mut example =
        serde_json::to_value(problem.body(Some("req_0dks8xn2a4m1c"))).unwrap_or_default();
    example["status"] = status.into();
    let mut content = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
    content.example = Some(example);
    ResponseBuilder::new()
        .description(when)
        .content(PROBLEM_JSON, content)
        .build()
        .into()
}

#[cfg(test)]
mod reviewable;
#[cfg(test)]
mod tests {
    use super::*;

    fn json() -> serde_json::Value {
        serde_json::to_value(crate::http::document()).unwrap()
    }

    #[test]
    fn the_document_is_what_was_agreed() {
        let document = json();
        let parts = reviewable::parts(&document);
        assert_eq!(reviewable::together(&parts), document);
        insta::with_settings!({snapshot_path => "../../tests/snapshots", prepend_module_to_snapshot => false}, {
            for (name, part) in parts {
                let part = serde_json::to_string_pretty(&part).unwrap();
                insta::assert_snapshot!(format!("openapi_{name}"), part);
            }
        });
    }

    /// A part that is no more would stay for ever.
    #[test]
    fn every_part_is_of_the_document() {
        let parts = reviewable::parts(&json());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        let of_document = std::fs::read_dir(folder).unwrap().filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            let part = name.strip_prefix("openapi_")?.strip_suffix(".snap")?;
            Some(part.to_owned())
        });
        let mut found: Vec<String> = of_document.collect();
        found.sort();
        assert_eq!(found, parts.into_keys().collect::<Vec<_>>());
    }

    #[test]
    fn every_operation_has_an_id_a_tag_a_summary_and_its_refusals() {
        let document = json();
        let mut ids = std::collections::HashSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                assert!(
                    ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                    "{at}"
                );
                assert!(
                    operation["summary"].is_string() && operation["tags"][0].is_string(),
                    "{at}"
                );
                assert!(operation["responses"].get("503").is_some(), "{at}");
                assert!(
                    path.starts_with("/health/") || operation["security"][0].get(KEY).is_some(),
                    "{at}"
                );
            }
        }
    }
}
