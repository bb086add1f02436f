//! `/v1/usage-events`: usage in, and its list.
//!
//! Formats: plain JSON (one event, an array, `{"events": […]}`), NDJSON, CloudEvents 1.0
//! (structured, batch, binary). One event alone is answered by itself, everything else as a batch.

use crate::http::usage::answers;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use formats::input::own_fields::OwnFields;
use formats::input::{self, Parsed};
use journal::{Of, Seq};
use metering::requests::{BATCH_EVENTS_MAX, EventAnswer, Outcome};
use problem::Code;
use rating::Instant;
use reports::names::Names;
use reports::summaries::EventSummary;
use reports::{entries, summaries};
use schema::usage::{CloudEvent, UsageReport};
use serde::Deserialize;
use web::auth::{Access, MayRead, MayUse, tenant_named};
use web::limits::{Allowance, Class};
use web::page::{List, PageQuery, period};
use web::problem::ApiProblem;
use web::query::Query;
use web::state::App;
use web::{request, write};

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Ndjson,
    CloudEvents,
    /// The envelope is in `ce-…` headers.
    CloudEventsBinary,
}

fn format_of(headers: &HeaderMap) -> Result<Format, ApiProblem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/json");
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "application/json" if headers.contains_key("ce-specversion") => {
            Ok(Format::CloudEventsBinary)
        }
        "application/json" => Ok(Format::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Format::Ndjson),
        "application/cloudevents+json" | "application/cloudevents-batch+json" => {
            Ok(Format::CloudEvents)
        }
        _ => Err(ApiProblem::field(
            Code::UnsupportedMediaType,
            "Content-Type",
            "expected application/json, application/x-ndjson, application/cloudevents+json or \
                application/cloudevents-batch+json",
        )),
    }
}

/// Events of a body, and whether it is one event alone.
fn parse(
    format: Format,
    headers: &HeaderMap,
    body: &[u8],
    own: Option<&OwnFields>,
) -> Result<(Vec<Parsed>, bool), ApiProblem> {
    let alone = body.trim_ascii_start().first() == Some(&b'{');
    let (events, single) = match format {
        Format::Json => (input::json::parse(body)?, alone && !is_wrapped(body)),
        Format::Ndjson => (input::ndjson::parse(body)?, false),
        Format::CloudEvents => (input::cloudevents::parse(body, own)?, alone),
        Format::CloudEventsBinary => {
            let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
            (vec![input::cloudevents::binary(header, body, own)], true)
        }
    };
    let single = single && events.len() == 1;
    Ok((events, single))
}

/// `{"events": […]}`: a batch, even of one.
fn is_wrapped(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Wrapped {
        events: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Wrapped>(body).is_ok_and(|wrapped| wrapped.events.is_some())
}

/// How events with fields of their own are read.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SendQuery {
    /// CloudEvents: where to find the fields of an event, as a JSON object such as
    /// `{"fields":{"customer":"tenantid","quantity":"data.seconds"},"attributes":{},"constants":{"meter":"call"},"ignore":["data.trace"]}`.
    pub map: Option<String>,
}

impl SendQuery {
    fn own_fields(&self, format: Format) -> Result<Option<OwnFields>, ApiProblem> {
        let Some(map) = &self.map else {
            return Ok(None);
        };
        if !matches!(format, Format::CloudEvents | Format::CloudEventsBinary) {
            return Err(ApiProblem::field(
                Code::InvalidField,
                "map",
                "a map applies only to CloudEvents",
            ));
        }
        if map.trim_start().starts_with('[') {
            return Err(ApiProblem::field(
                Code::InvalidField,
                "map",
                "map: expected an object, found a list",
            ));
        }
        let own: OwnFields = write::read_map(map)?;
        own.check()?;
        Ok(Some(own))
    }
}

/// Send usage
///
/// As JSON: one event, or several as `{"events": […]}` (a bare list is accepted as well). As
/// NDJSON: one event per line. As CloudEvents 1.0: one event, or a batch as a list.
///
/// A single event gets its own response (201 rated, 200 duplicate, 202 kept without a price, 409
/// the id was used for something else, 422 invalid). Several events get their results in order,
/// with counts. With `Prefer: return=minimal`, the response contains only the counts and the
/// failures. The response is sent once the money has moved durably; sending the same event again
/// moves nothing.
#[utoipa::path(post, path = "/v1/usage-events", tag = "usage-events",
    params(SendQuery, ("Prefer" = Option<String>, Header, description = "`return=minimal`: counts \
        and failures only")),
    request_body(content(
        (UsageReport = "application/json", example = json!({"id": "0192f1", "source": "pbx-1", "customer": "acme-42", "meter": "call", "quantity": "600",
            "at": "2026-11-20T09:00:00Z", "destination": "+4930123456", "attributes": {"direction": "outbound"}})),
        (String = "application/x-ndjson", example = "{\"id\":\"0192f1\",\"customer\":\"acme-42\",\"meter\":\"call\",\"quantity\":\"600\",\"at\":\"2026-11-20T09:00:00Z\"}\n"),
        (CloudEvent = "application/cloudevents+json"), (Vec<CloudEvent> = "application/cloudevents-batch+json", example = json!([{"specversion": "1.0", "id": "0192f1", "source": "pbx-1",
            "type": "call", "subject": "acme-42", "time": "2026-11-20T09:00:00Z", "data": {"quantity": "600", "destination": "+4930123456"}}])))),
    responses((status = 201, body = answers::EventBody, description = "Rated: money has moved"), (status = 200, body = answers::UsageAnswer, description = "A batch, or a duplicate"),
        (status = 202, body = answers::EventBody, description = "Kept without a price")))]
pub async fn send_usage(
    State(app): State<App>,
    key: MayUse,
    Query(query): Query<SendQuery>,
    request: Request,
) -> Result<Response, ApiProblem> {
    let headers = request.headers().clone();
    let format = format_of(&headers)?;
    let own = query.own_fields(format)?;
    let body = write::body(request, &app).await?;
    let (events, single) = parse(format, &headers, &body, own.as_ref())?;
    ingest(&app, &key, events, single, prefers_minimal(&headers)).await
}

/// Hands events to the engine and answers them.
async fn ingest(
    app: &App,
    access: &Access,
    events: Vec<Parsed>,
    single: bool,
    minimal: bool,
) -> Result<Response, ApiProblem> {
    let allowance = request::take(app, Class::Usage, access, events.len())?;
    let answers = app.engine.ingest(&access.caller(), events).await?;
    count(app, &answers);
    let names = Names::of(&app.sources, &access.reader(), answers::sellers(&answers)).await?;
    let response = match answers.as_slice() {
        [only] if single && !minimal => one(&names, only)?,
        answers => json(StatusCode::OK, &answers::batch(&names, answers, minimal))?,
    };
    Ok(marked(response, allowance, minimal))
}

/// Records of a switch: always a batch, but one alone that is refused is answered with its problem.
pub async fn ingest_records(
    app: &App,
    access: &Access,
    events: Vec<Parsed>,
    skipped: usize,
    minimal: bool,
) -> Result<Response, ApiProblem> {
    if events.len() > BATCH_EVENTS_MAX {
        return Err(ApiProblem::new(
            Code::BatchTooLarge,
            format!("a batch has at most {BATCH_EVENTS_MAX} records: send several batches"),
        ));
    }
    let allowance = request::take(app, Class::Usage, access, events.len())?;
    let answers = app.engine.ingest(&access.caller(), events).await?;
    count(app, &answers);
    if let (
        [
            EventAnswer {
                outcome: Outcome::Rejected(problem),
                ..
            },
        ],
        0,
    ) = (answers.as_slice(), skipped)
    {
        return Err(problem.clone().into());
    }
    let names = Names::of(&app.sources, &access.reader(), answers::sellers(&answers)).await?;
    let mut body = answers::batch(&names, &answers, minimal);
    body.counts.skipped = skipped;
    Ok(marked(json(StatusCode::OK, &body)?, allowance, minimal))
}

fn marked(mut response: Response, allowance: Allowance, minimal: bool) -> Response {
    if minimal {
        response.headers_mut().insert(
            "preference-applied",
            HeaderValue::from_static("return=minimal"),
        );
    }
    response.extensions_mut().insert(allowance);
    response
}

fn one(names: &Names, answer: &EventAnswer) -> Result<Response, ApiProblem> {
    let status = match &answer.outcome {
        Outcome::Rated(_) => StatusCode::CREATED,
        Outcome::Duplicate(_) => StatusCode::OK,
        Outcome::PartlyRated { .. } | Outcome::Unrated { .. } => StatusCode::ACCEPTED,
        Outcome::Rejected(problem) => return Err(problem.clone().into()),
    };
    json(status, &answers::event(names, answer))
}

fn json<T: serde::Serialize>(status: StatusCode, body: &T) -> Result<Response, ApiProblem> {
    const BYTES_LIKELY: usize = 512;
    let mut bytes = Vec::with_capacity(BYTES_LIKELY);
    serde_json::to_writer(&mut bytes, body).map_err(|error| ApiProblem::internal(&error))?;
    Ok((
        status,
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        Bytes::from(bytes),
    )
        .into_response())
}

/// `Prefer: return=minimal` (RFC 7240).
pub fn prefers_minimal(headers: &HeaderMap) -> bool {
    let wishes = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    wishes
        .flat_map(|value| value.split([',', ';']))
        .any(|wish| wish.trim().eq_ignore_ascii_case("return=minimal"))
}

fn count(app: &App, answers: &[EventAnswer]) {
    let counts = answers::count(answers);
    app.measures.usage(
        answers,
        [
            counts.rated,
            counts.partly_rated,
            counts.duplicate,
            counts.unrated,
            counts.rejected,
        ],
    );
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// External id or `ten_…`. Default: the key's own tenant.
    pub customer: Option<String>,
    /// By time of arrival, `received_at`, inclusive.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Instant>,
    /// Exclusive.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Instant>,
    pub cursor: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// List a customer's usage, newest first
#[utoipa::path(get, path = "/v1/usage-events", tag = "usage-events", params(UsageQuery), responses((status = 200, body = List<EventSummary>)))]
pub async fn list_usage(
    State(app): State<App>,
    key: MayRead,
    Query(query): Query<UsageQuery>,
) -> Result<Json<List<EventSummary>>, ApiProblem> {
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
    };
    let customer = match &query.customer {
        Some(name) => tenant_named(&app, &key, name).await?.id,
        None => key.key.tenant,
    };
    let (period, after, limit) = (
        period(query.from, query.until)?,
        page.after()?.map(Seq),
        page.limit()?,
    );
    let records = entries::within(
        &app.sources,
        Of::Customer(customer),
        period,
        after,
        limit + 1,
    )
    .await?;
    Ok(Json(
        summaries::page(&app.sources, &key.reader(), records, limit).await?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn content_types_choose_the_format() {
        let cases = [
            (&[][..], Some(Format::Json)),
            (
                &[("content-type", "application/json; charset=utf-8")],
                Some(Format::Json),
            ),
            (&[("content-type", "Application/JSON")], Some(Format::Json)),
            (
                &[("content-type", "application/x-ndjson")],
                Some(Format::Ndjson),
            ),
            (
                &[(
                    "content-type",
                    "application/cloudevents+json; charset=UTF-8",
                )],
                Some(Format::CloudEvents),
            ),
            (
                &[("content-type", "application/cloudevents-batch+json")],
                Some(Format::CloudEvents),
            ),
            (
                &[
                    ("content-type", "application/json"),
                    ("ce-specversion", "1.0"),
                ],
                Some(Format::CloudEventsBinary),
            ),
            (&[("content-type", "text/csv")], None),
            (&[("content-type", "application/xml")], None),
        ];
        for (pairs, want) in cases {
            let found = format_of(&headers(pairs));
            assert_eq!(found.as_ref().ok(), want.as_ref(), "{pairs:?}");
            if let Err(refused) = found {
                assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
        }
    }

    #[test]
    fn one_event_alone_is_told_from_a_batch_of_one() {
        let event = r#"{"id":"a","customer":"c","meter":"call","quantity":"1","at":"2026-11-20T09:00:00Z"}"#;
        for (body, single) in [
            (event.to_owned(), true),
            (format!("[{event}]"), false),
            (format!("{{\"events\":[{event}]}}"), false),
        ] {
            let (events, alone) =
                parse(Format::Json, &HeaderMap::new(), body.as_bytes(), None).unwrap();
            assert_eq!((events.len(), alone), (1, single), "{body}");
        }
    }

    #[test]
    fn preferences_are_read_as_rfc_7240_writes_them() {
        for (value, minimal) in [
            ("return=minimal", true),
            ("respond-async, return=minimal", true),
            ("return=representation", false),
        ] {
            assert_eq!(
                prefers_minimal(&headers(&[("prefer", value)])),
                minimal,
                "{value}"
            );
        }
    }
}
