//! What a write answers, and its answer as the bytes that are kept.

use crate::problem::ApiProblem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An answer as bytes.
pub(super) struct Stored {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) is_kept: bool,
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
    pub(super) fn store(self) -> Result<Stored, ApiProblem> {
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

pub(super) fn answer(stored: Stored) -> Response {
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

pub(super) fn replayed(stored: Stored) -> Response {
    let mut response = answer(stored);
    response
        .headers_mut()
        .insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}
