//! What the benches share.

use criterion::Criterion;
use std::time::Duration;

/// Short enough that all benches together take under two minutes.
pub fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
}
