//! A fault of ours in one piece of work must not end whoever works.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// The work panicked; what it borrowed is as it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}
