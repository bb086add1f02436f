//! Writes that may be sent again: the same `Idempotency-Key` and the same body give the same
//! answer, another body is refused. Three kinds: cold writes of one transaction mark their attempt
//! within it and keep their answer in the records ([`Write::once`]); those of several keep the
//! answer only ([`Write::repeatable`]); money and holds carry the key into the engine, where it is
//! part of the transaction.

mod answer;
mod body;
mod json;
mod repeat;

pub use answer::Done;
pub use body::body;
pub use json::{read_json, read_map};
pub use repeat::{Made, json_of, knowing};

pub(crate) use body::{declared_len, not_whole, too_large};

use crate::access::Access;
use crate::problem::ApiProblem;
use crate::request::RequestId;
use crate::state::App;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, Uri};
use body::body_of;
use catalog::Actor;
use problem::Code;
use serde::de::DeserializeOwned;
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
}
