//! Writes whose body is a price list: larger than others, and few at a time, so that memory stays
//! bounded.

use crate::auth::Access;
use crate::http::turns::Turn;
use crate::http::write::Write;
use crate::problem::ApiProblem;
use crate::state::App;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use std::sync::Arc;

/// A rate deck or a rate card document of a million prefixes fits.
pub const PRICE_LIST_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A write whose body is a price list.
#[derive(Debug)]
pub struct PriceList {
    pub write: Write,
    _turn: Option<Turn>,
}

impl FromRequest<App> for PriceList {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiProblem> {
        let declared = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        // As small as any other body: it waits for nobody.
        if declared.is_some_and(|bytes| bytes <= app.body_bytes_max) {
            return Ok(Self {
                write: Write::bounded(request, app.body_bytes_max).await?,
                _turn: None,
            });
        }
        let turn = match request.extensions().get::<Arc<Access>>().cloned() {
            Some(access) => Some(app.price_list_turns.next(&access).await?),
            // Who asks without a key has been refused by then.
            None => None,
        };
        let bytes_max = if turn.is_some() {
            PRICE_LIST_BYTES_MAX
        } else {
            0
        };
        Ok(Self {
            write: Write::large(request, app.body_bytes_max.max(bytes_max)).await?,
            _turn: turn,
        })
    }
}
