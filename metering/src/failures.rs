//! What the database failed at for good, as measures count it: what was tried again and then
//! succeeded is none.

const ERRORS: &str = "centwise_database_errors_total";

/// From 0 on, so that the first one is a change.
pub fn begin() {
    metrics::counter!(ERRORS).increment(0);
}

pub fn count() {
    metrics::counter!(ERRORS).increment(1);
}
