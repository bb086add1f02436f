//! A panic in one piece of work is that piece's end, and no other's.

use futures_util::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;

/// What the panic said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked(pub String);

/// Runs `work` of the task `name`; a panic is logged once and counted.
///
/// # Errors
/// It panicked. What it held is dropped.
pub async fn caught<T>(name: &str, work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|payload| {
            let message = message(&*payload);
            tracing::error!(task = name, %message, "background task panicked");
            metrics::counter!("centwise_task_panics_total", "task" => name.to_owned()).increment(1);
            Panicked(message)
        })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
