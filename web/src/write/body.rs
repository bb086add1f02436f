//! The body of a request, bounded.

use crate::problem::ApiProblem;
use crate::state::App;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header;
use http_body_util::LengthLimitError;
use problem::Code;

/// A whole body, bounded.
///
/// # Errors
/// `body_too_large`; `invalid_request` when the caller broke off.
pub async fn body(request: Request, app: &App) -> Result<Bytes, ApiProblem> {
    body_of(request, app.body_bytes_max).await
}

pub(super) async fn body_of(request: Request, bytes_max: usize) -> Result<Bytes, ApiProblem> {
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
