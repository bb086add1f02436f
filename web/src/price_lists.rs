//! Writes whose body is a price list: larger than others, and few at a time, so that memory stays
//! bounded.

use crate::access::Access;
use crate::arrivals::{Arrival, PRICE_LIST_BYTES_MAX};
use crate::problem::ApiProblem;
use crate::state::App;
use crate::turns::Turn;
use crate::write::{Write, declared_len, not_whole, too_large};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt as _;
use std::sync::Arc;

/// Memory of what comes in is taken in pieces of this size.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// A write whose body is a price list.
#[derive(Debug)]
pub struct PriceList {
    pub write: Write,
    _turn: Option<(Turn, Arrival)>,
}

impl FromRequest<App> for PriceList {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiProblem> {
        let declared = declared_len(&request, usize::MAX)?;
        // As small as any other body: it waits for nobody.
        if declared.is_some_and(|bytes| bytes <= app.body_bytes_max) {
            return Ok(Self {
                write: Write::bounded(request, app.body_bytes_max).await?,
                _turn: None,
            });
        }
        match request.extensions().get::<Arc<Access>>().cloned() {
            Some(access) => large(request, app, &access).await,
            // Who asks without a key has been refused by then.
            None => Ok(Self {
                write: Write::bounded(request, app.body_bytes_max).await?,
                _turn: None,
            }),
        }
    }
}

/// Its turn comes when all of it is there: whoever sends slowly keeps nobody waiting.
async fn large(request: Request, app: &App, access: &Access) -> Result<PriceList, ApiProblem> {
    app.price_list_turns.check(access)?;
    let (mut write, request) = Write::begun(request)?;
    let mut arrival = app.price_list_arrivals.begin(access);
    let bytes_max = PRICE_LIST_BYTES_MAX.max(app.body_bytes_max);
    let segments = segments_of(request, bytes_max, &mut arrival).await?;
    let turn = app.price_list_turns.next(access).await?;
    write.body = whole(segments);
    Ok(PriceList {
        write,
        _turn: Some((turn, arrival)),
    })
}

/// One segment, where the length is known beforehand and nothing else of the sender comes in: the
/// system gives memory for what has come.
async fn segments_of(
    request: Request,
    bytes_max: usize,
    arrival: &mut Arrival,
) -> Result<Vec<Vec<u8>>, ApiProblem> {
    let declared = declared_len(&request, bytes_max)?;
    let segment_bytes = declared
        .filter(|_| arrival.is_alone)
        .unwrap_or(SEGMENT_BYTES);
    let (mut segments, mut length, mut body) = (Vec::<Vec<u8>>::new(), 0, request.into_body());
    while let Some(frame) = body.frame().await {
        let mut piece = frame
            .map_err(|error| not_whole(&error, bytes_max))?
            .into_data()
            .unwrap_or_default();
        length += piece.len();
        if length > bytes_max {
            return Err(too_large(bytes_max));
        }
        arrival.take(piece.len())?;
        while !piece.is_empty() {
            let room = match segments.last_mut() {
                Some(last) if last.len() < segment_bytes => last,
                _ => {
                    segments.push(Vec::with_capacity(segment_bytes));
                    continue;
                }
            };
            room.extend_from_slice(&piece.split_to(piece.len().min(segment_bytes - room.len())));
        }
    }
    Ok(segments)
}

/// Each segment is let go of as soon as it is in its place: the body is never there twice.
fn whole(mut segments: Vec<Vec<u8>>) -> Bytes {
    if segments.len() == 1 {
        return segments.pop().unwrap_or_default().into();
    }
    let mut whole = Vec::with_capacity(segments.iter().map(Vec::len).sum());
    for segment in segments {
        whole.extend_from_slice(&segment);
    }
    whole.into()
}
