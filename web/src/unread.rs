//! Bodies that nobody read to their end: what is left of one would be taken for the next request,
//! so the connection is closed after the answer, and the answer says so.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// What came with the head of the request, mostly; the server reads so much to its end by itself.
const SMALL_BYTES: u64 = 16 * 1024;

/// Whether a body was read to its end; `None`: it is small, or there is none.
#[derive(Debug, Default)]
pub struct Watch(Option<Arc<AtomicBool>>);

impl Watch {
    /// After a refusal. What was carried out has read its body.
    pub fn is_left(&self, status: StatusCode) -> bool {
        let is_refused = status.is_client_error() || status.is_server_error();
        is_refused
            && self
                .0
                .as_ref()
                .is_some_and(|is_read| !is_read.load(Ordering::Relaxed))
    }
}

struct Watched {
    body: Body,
    is_read: Arc<AtomicBool>,
}

pub fn watched(request: Request) -> (Request, Watch) {
    if request
        .body()
        .size_hint()
        .exact()
        .is_some_and(|bytes| bytes <= SMALL_BYTES)
    {
        return (request, Watch::default());
    }
    let is_read = Arc::new(AtomicBool::new(false));
    let watch = Watch(Some(Arc::clone(&is_read)));
    (
        request.map(|body| Body::new(Watched { body, is_read })),
        watch,
    )
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.is_read.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
