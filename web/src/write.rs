//! Writes that may be sent again: the same `Idempotency-Key` and the same body give the same
//! answer, another body is refused. Three kinds: cold writes of one transaction mark their attempt
//! within it and keep their answer in the records ([`Write::once`]); those of several keep the
//! answer only ([`Write::repeatable`]); money and holds carry the key into the engine, where it is
//! part of the transaction.

use crate::access::Access;
use crate::problem::ApiProblem;
use crate::request::RequestId;
use crate::state::App;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use catalog::{Actor, Attempt, Begun, Once};
use http_body_util::LengthLimitError;
use problem::Code;
use rating::validate::{located, spoken};
use rating::{Instant, json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::str::FromStr;
use std::sync::Arc;

const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// One write as received.
#[derive(Debug)]
pub struct Write {
    pub body: Bytes,
    idempotency_key: Option<String>,
    reason: Option<String>,
    request_id: Arc<str>,
    /// The same key on another resource is another request.
    target: (Method, Uri),
}

impl FromRequest<App> for Write {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiProblem> {
        let bytes_max = app.body_bytes_max;
        Self::bounded(request, bytes_max).await
    }
}

impl Write {
    /// With a body of at most so many bytes.
    pub(crate) async fn bounded(request: Request, bytes_max: usize) -> Result<Self, ApiProblem> {
        let (write, request) = Self::begun(request)?;
        Ok(Self {
            body: body_of(request, bytes_max).await?,
            ..write
        })
    }

    /// As its headers say it; the body is still to come.
    pub(crate) fn begun(request: Request) -> Result<(Self, Request), ApiProblem> {
        let idempotency_key = short_header(
            request.headers(),
            "idempotency-key",
            IDEMPOTENCY_KEY_CHARS_MAX,
        )?;
        let reason = short_header(request.headers(), "x-reason", IDEMPOTENCY_KEY_CHARS_MAX)?;
        let request_id = request
            .extensions()
            .get::<RequestId>()
            .map_or_else(|| Arc::from(""), |id| Arc::clone(&id.0));
        let target = (request.method().clone(), request.uri().clone());
        Ok((
            Self {
                body: Bytes::new(),
                idempotency_key,
                reason,
                request_id,
                target,
            },
            request,
        ))
    }
}

/// A whole body, bounded.
///
/// # Errors
/// `body_too_large`; `invalid_request` when the caller broke off.
pub async fn body(request: Request, app: &App) -> Result<Bytes, ApiProblem> {
    body_of(request, app.body_bytes_max).await
}

async fn body_of(request: Request, bytes_max: usize) -> Result<Bytes, ApiProblem> {
    declared_len(&request, bytes_max)?;
    axum::body::to_bytes(request.into_body(), bytes_max)
        .await
        .map_err(|error| not_whole(&error, bytes_max))
}

/// What the body says of its length.
///
/// # Errors
/// It says itself that it is too large.
pub(crate) fn declared_len(
    request: &Request,
    bytes_max: usize,
) -> Result<Option<usize>, ApiProblem> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > bytes_max) {
        Err(too_large(bytes_max))
    } else {
        Ok(declared)
    }
}

pub(crate) fn too_large(bytes_max: usize) -> ApiProblem {
    ApiProblem::new(
        Code::BodyTooLarge,
        format!("at most {bytes_max} bytes are taken"),
    )
}

pub(crate) fn not_whole(error: &axum::Error, bytes_max: usize) -> ApiProblem {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
        error.source()
    });
    let is_too_large = causes.any(|cause| cause.is::<LengthLimitError>());
    if is_too_large {
        too_large(bytes_max)
    } else {
        ApiProblem::new(
            Code::InvalidRequest,
            "the body broke off, or its chunks are none",
        )
    }
}

fn short_header(
    headers: &HeaderMap,
    name: &'static str,
    chars_max: usize,
) -> Result<Option<String>, ApiProblem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|text| !text.is_empty() && text.len() <= chars_max);
    text.map(|text| Some(text.to_owned())).ok_or_else(|| {
        ApiProblem::field(
            Code::InvalidRequest,
            name,
            format!("expected 1 to {chars_max} printable ASCII characters"),
        )
    })
}

impl Write {
    /// The body as JSON of this shape; an empty body reads as `{}`.
    ///
    /// # Errors
    /// `invalid_json`, or `missing_field`, `unknown_field`, `invalid_field` naming the field.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiProblem> {
        let bytes: &[u8] = if self.body.iter().all(u8::is_ascii_whitespace) {
            b"{}"
        } else {
            &self.body
        };
        read_json(bytes)
    }

    /// Who changes something here, when, and why (`X-Reason`, or the body's own reason).
    pub fn actor(&self, app: &App, access: &Access, reason: Option<&str>) -> Actor {
        Actor {
            key: Some(access.key.id),
            tenant: access.key.tenant,
            at: app.clock.now(),
            request_id: self.request_id.to_string(),
            reason: reason.map(str::to_owned).or_else(|| self.reason.clone()),
            once: None,
        }
    }

    pub fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// The key of a money move or hold.
    ///
    /// # Errors
    /// `missing_idempotency_key`.
    pub fn required_key(&self) -> Result<String, ApiProblem> {
        self.idempotency_key.clone().ok_or_else(|| {
            ApiProblem::field(
                Code::MissingIdempotencyKey,
                "Idempotency-Key",
                "send a key of your own, so that a retry cannot move money twice",
            )
        })
    }

    /// Does a cold write at most once per `Idempotency-Key` (without one: now). `work` changes the
    /// records in one transaction, by the actor that it is given: that one marks the attempt.
    /// `again` answers a retry whose first answer was lost, from the record as it is then.
    ///
    /// # Errors
    /// `idempotency_conflict`, `idempotency_in_progress`, and the write's own refusals (which are
    /// not kept: nothing was changed).
    pub async fn once<T: Serialize, W, U: Serialize, A>(
        &self,
        app: &App,
        access: &Access,
        work: impl FnOnce(Actor) -> W,
        again: impl FnOnce(Made) -> A,
    ) -> Result<Response, ApiProblem>
    where
        W: Future<Output = Result<Done<T>, ApiProblem>>,
        A: Future<Output = Result<Done<U>, ApiProblem>>,
    {
        let actor = self.actor(app, access, None);
        let Some(attempt) = self.attempt(access, actor.at) else {
            return work(actor).await?.store().map(answer);
        };
        match self.begin(app, &attempt).await? {
            Begin::Fresh => {}
            Begin::Answered(response) => return Ok(response),
            Begin::Made(begun_at, made) => {
                // Whoever made it may not have come to say so.
                app.invalidate();
                let stored = again(made).await?.store()?;
                keep(
                    app,
                    &Attempt {
                        at: begun_at,
                        ..attempt
                    },
                    &stored,
                )
                .await?;
                return Ok(replayed(stored));
            }
        }
        let actor = Actor {
            once: Some(Once {
                attempt: attempt.clone(),
                known: None,
            }),
            ..actor
        };
        finish(app, &attempt, work(actor).await).await
    }

    /// Does a write of several transactions, and answers the same again per `Idempotency-Key`. If
    /// the server dies on the way, or before it has kept the answer, a retry does it again: it must
    /// come to the same, or be refused.
    ///
    /// # Errors
    /// As [`Self::once`].
    pub async fn repeatable<T: Serialize>(
        &self,
        app: &App,
        access: &Access,
        work: impl Future<Output = Result<Done<T>, ApiProblem>>,
    ) -> Result<Response, ApiProblem> {
        let Some(attempt) = self.attempt(access, app.clock.now()) else {
            return work.await?.store().map(answer);
        };
        match self.begin(app, &attempt).await? {
            Begin::Fresh => finish(app, &attempt, work.await).await,
            Begin::Answered(response) => Ok(response),
            Begin::Made(..) => Err(in_progress()),
        }
    }

    fn attempt(&self, access: &Access, at: Instant) -> Option<Attempt> {
        let key = self.idempotency_key.as_deref()?;
        let target = format!("{} {}", self.target.0, self.target.1);
        let digest = *blake3::Hasher::new()
            .update(target.as_bytes())
            .update(b"\n")
            .update(&self.body)
            .finalize()
            .as_bytes();
        Some(Attempt {
            root: access.key.root,
            caller: access.key.id,
            key: key.into(),
            digest,
            at,
        })
    }

    async fn begin(&self, app: &App, attempt: &Attempt) -> Result<Begin, ApiProblem> {
        match app.catalog.begin_idempotent(attempt).await? {
            Begun::Fresh => Ok(Begin::Fresh),
            Begun::Replay { status, body } => Ok(Begin::Answered(replayed(Stored {
                status,
                body,
                is_kept: true,
            }))),
            Begun::Made {
                begun_at,
                id,
                known,
                ..
            } => Ok(Begin::Made(begun_at, Made { id, known })),
            Begun::Mismatch => Err(ApiProblem::field(
                Code::IdempotencyConflict,
                "Idempotency-Key",
                "use a new key for a new request",
            )),
            Begun::InFlight => Err(in_progress()),
        }
    }
}

/// What is to be done of a request with a key.
enum Begin {
    Fresh,
    Answered(Response),
    Made(Instant, Made),
}

fn in_progress() -> ApiProblem {
    ApiProblem::new(Code::IdempotencyInProgress, "try again in a moment")
}

async fn finish<T: Serialize>(
    app: &App,
    attempt: &Attempt,
    done: Result<Done<T>, ApiProblem>,
) -> Result<Response, ApiProblem> {
    let stored = match done.and_then(Done::store) {
        Ok(stored) => stored,
        Err(refused) => {
            app.catalog.abandon_idempotent(attempt).await?;
            return Err(refused);
        }
    };
    keep(app, attempt, &stored).await?;
    Ok(answer(stored))
}

async fn keep(app: &App, attempt: &Attempt, stored: &Stored) -> Result<(), ApiProblem> {
    if stored.is_kept {
        app.catalog
            .finish_idempotent(attempt, stored.status, &stored.body)
            .await?;
    }
    Ok(())
}

/// What a request made whose answer was lost.
#[derive(Debug)]
pub struct Made {
    id: String,
    known: Option<Vec<u8>>,
}

impl Made {
    /// Of the record that was made or changed.
    ///
    /// # Errors
    /// It is another kind's.
    pub fn id<I: FromStr<Err: std::fmt::Display>>(&self) -> Result<I, ApiProblem> {
        self.id
            .parse()
            .map_err(|error| ApiProblem::internal(&error))
    }

    /// What [`knowing`] kept.
    ///
    /// # Errors
    /// Nothing was.
    pub fn known(&self) -> Result<Box<RawValue>, ApiProblem> {
        serde_json::from_slice(self.known.as_deref().unwrap_or_default())
            .map_err(|error| ApiProblem::internal(&error))
    }
}

/// A value as it will be answered.
///
/// # Errors
/// It is no JSON.
pub fn json_of(value: &impl Serialize) -> Result<Box<RawValue>, ApiProblem> {
    serde_json::value::to_raw_value(value).map_err(|error| ApiProblem::internal(&error))
}

/// The actor, whose attempt keeps what the answer needs besides the record.
///
/// # Errors
/// It is no JSON.
pub fn knowing(actor: Actor, known: &impl Serialize) -> Result<Actor, ApiProblem> {
    let Some(once) = actor.once else {
        return Ok(actor);
    };
    let known = json_of(known)?;
    Ok(Actor {
        once: Some(Once {
            known: Some(known.get().as_bytes().into()),
            ..once
        }),
        ..actor
    })
}

/// An answer as bytes.
struct Stored {
    status: u16,
    body: Vec<u8>,
    is_kept: bool,
}

/// What a write answers.
#[derive(Debug)]
pub struct Done<T> {
    status: StatusCode,
    body: T,
    is_kept: bool,
}

impl<T: Serialize> Done<T> {
    pub fn created(body: T) -> Self {
        Self {
            status: StatusCode::CREATED,
            body,
            is_kept: true,
        }
    }
    pub fn ok(body: T) -> Self {
        Self {
            status: StatusCode::OK,
            body,
            is_kept: true,
        }
    }
    /// It will happen.
    pub fn accepted(body: T) -> Self {
        Self {
            status: StatusCode::ACCEPTED,
            body,
            is_kept: true,
        }
    }
    /// It has a secret: a retry is answered with the record as it is then.
    pub fn never_kept(self) -> Self {
        Self {
            is_kept: false,
            ..self
        }
    }
    fn store(self) -> Result<Stored, ApiProblem> {
        let body = serde_json::to_vec(&self.body).map_err(|error| ApiProblem::internal(&error))?;
        Ok(Stored {
            status: self.status.as_u16(),
            body,
            is_kept: self.is_kept,
        })
    }
}

impl<T: Serialize> IntoResponse for Done<T> {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body)).into_response()
    }
}

fn answer(stored: Stored) -> Response {
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    (
        status,
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )],
        stored.body,
    )
        .into_response()
}

fn replayed(stored: Stored) -> Response {
    let mut response = answer(stored);
    response
        .headers_mut()
        .insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

/// JSON of this shape; what is wrong is named by its path.
///
/// # Errors
/// As [`Write::read`].
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiProblem> {
    if let Ok(value) = json::from_slice(bytes) {
        return match std::str::from_utf8(bytes)
            .ok()
            .and_then(formats::input::given_twice)
        {
            Some(path) => Err(ApiProblem::field(Code::InvalidField, path, "given twice")),
            None => Ok(value),
        };
    }
    // What is broken is not looked at for its shape.
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
        && !error.is_data()
    {
        return Err(mistake(bytes, "", &error));
    }
    // Read again for the path to what is wrong, which most requests need not keep track of.
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(json::ByName(&mut reader)).map_err(|error| {
        let path = error.path().to_string();
        mistake(bytes, &path, error.inner())
    })?;
    reader.end().map_err(|error| mistake(bytes, "", &error))?;
    Ok(value)
}

/// The parameter `map` of a query; what is wrong is named by its path in it.
///
/// # Errors
/// `invalid_field`.
pub fn read_map<T: DeserializeOwned>(map: &str) -> Result<T, ApiProblem> {
    read_json(map.as_bytes()).map_err(|refused| {
        let inside = refused
            .problem
            .field
            .filter(|path| !path.is_empty() && path != ".");
        let field = inside.map_or_else(|| "map".to_owned(), |path| format!("map.{path}"));
        ApiProblem::field(Code::InvalidField, field, refused.problem.detail)
    })
}

fn mistake(json: &[u8], path: &str, error: &serde_json::Error) -> ApiProblem {
    if !error.is_data() {
        return ApiProblem::new(
            Code::InvalidJson,
            format!("not valid JSON: {}", located(json, error)),
        );
    }
    let text = error.to_string();
    let text = spoken::without_place(&text);
    let named = text.split('`').nth(1).unwrap_or_default();
    let at = |name: &str| {
        if path == "." || path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    if text.starts_with("missing field") {
        return ApiProblem::field(
            Code::MissingField,
            at(named),
            format!("{named} is required"),
        );
    }
    if text.starts_with("duplicate field") {
        let field = if path.ends_with(named) {
            path.to_owned()
        } else {
            at(named)
        };
        return ApiProblem::field(Code::InvalidField, field, "given twice");
    }
    if text.starts_with("unknown field") {
        let field = if path.ends_with(named) {
            path.to_owned()
        } else {
            at(named)
        };
        let known: Vec<&str> = text.split('`').skip(3).step_by(2).collect();
        return ApiProblem::field(
            Code::UnknownField,
            field,
            format!(
                "there is no such field; the fields here are {}",
                known.join(", ")
            ),
        );
    }
    ApiProblem::field(Code::InvalidField, path, spoken::plainly(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        name: String,
        inner: Vec<Inner>,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        cents: i64,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (json, code, field) in [
            ("{", "invalid_json", None),
            ("[", "invalid_json", None),
            ("[1", "invalid_json", None),
            ("{\"name\":\"a\",\"inner\":[]} x", "invalid_json", None),
            ("{\"inner\":[]}", "missing_field", Some("name")),
            (
                "{\"name\":\"a\",\"inner\":[],\"more\":1}",
                "unknown_field",
                Some("more"),
            ),
            (
                "{\"name\":\"a\",\"inner\":[{\"cents\":\"x\"}]}",
                "invalid_field",
                Some("inner[0].cents"),
            ),
            (
                "{\"name\":\"a\",\"inner\":[{}]}",
                "missing_field",
                Some("inner[0].cents"),
            ),
        ] {
            let refused = read_json::<Outer>(json.as_bytes()).unwrap_err().problem;
            assert_eq!(
                (refused.code.as_str(), refused.field.as_deref()),
                (code, field),
                "{json}: {}",
                refused.detail
            );
        }
    }

    #[test]
    fn an_object_is_no_list_of_its_values() {
        for (json, field) in [
            ("[\"a\",[]]", "."),
            ("{\"name\":\"a\",\"inner\":[{\"cents\":1},[1]]}", "inner[1]"),
        ] {
            let refused = read_json::<Outer>(json.as_bytes()).unwrap_err().problem;
            assert_eq!(
                (
                    refused.code.as_str(),
                    refused.field.as_deref(),
                    refused.detail.as_str()
                ),
                (
                    "invalid_field",
                    Some(field),
                    "expected an object, found a list"
                )
            );
        }
        assert_eq!(
            read_map::<Outer>("[]")
                .unwrap_err()
                .problem
                .field
                .as_deref(),
            Some("map")
        );
        let options = read_map::<decks::DeckOptions>("[]").unwrap_err().problem;
        assert_eq!(options.detail, "expected an object, found a list");
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        for (json, field) in [
            (
                "{\"name\":\"a\",\"inner\":[],\"map\":{\"x\":1,\"x\":2}}",
                "map.x",
            ),
            ("{\"name\":\"a\",\"name\":\"b\",\"map\":{}}", "name"),
        ] {
            let refused =
                read_json::<std::collections::BTreeMap<String, serde_json::Value>>(json.as_bytes())
                    .unwrap_err()
                    .problem;
            assert_eq!(
                (
                    refused.code.as_str(),
                    refused.field.as_deref(),
                    refused.detail.as_str()
                ),
                ("invalid_field", Some(field), "given twice")
            );
        }
        let refused = read_json::<Outer>(b"{\"name\":\"a\",\"name\":\"b\",\"inner\":[]}")
            .unwrap_err()
            .problem;
        assert_eq!(
            (refused.field.as_deref(), refused.detail.as_str()),
            (Some("name"), "given twice")
        );
    }

    #[test]
    fn a_map_is_named_with_its_path() {
        let refused = read_map::<Outer>("{\"name\":\"a\",\"inner\":[{\"cents\":\"x\"}]}")
            .unwrap_err()
            .problem;
        assert_eq!(
            (refused.code.as_str(), refused.field.as_deref()),
            ("invalid_field", Some("map.inner[0].cents"))
        );
        assert_eq!(
            read_map::<Outer>("{").unwrap_err().problem.field.as_deref(),
            Some("map")
        );
    }

    #[test]
    fn messages_name_fields_and_no_types_of_rust() {
        for (json, detail) in [
            (
                "{\"name\":\"a\",\"inner\":[],\"more\":1}",
                "there is no such field; the fields here are name, inner",
            ),
            (
                "{\"name\":\"a\",\"inner\":[{\"cents\":\"x\"}]}",
                "expected a whole number, found \"x\"",
            ),
            ("{\"name\":5,\"inner\":[]}", "expected a text, found 5"),
            ("{\"name\":\"a\",\"inner\":5}", "expected a list, found 5"),
            (
                "{\"name\":\"a\",",
                "not valid JSON: it ends in the middle, behind `{\"name\":\"a\",`",
            ),
        ] {
            assert_eq!(
                read_json::<Outer>(json.as_bytes())
                    .unwrap_err()
                    .problem
                    .detail,
                detail,
                "{json}"
            );
        }
    }
}
