//! Usage in: every format becomes a [`UsageEvent`](crate::UsageEvent) or a problem that names the
//! field and why.
//!
//! Vocabulary: a *body* is one request (JSON, NDJSON, CloudEvents, a switch's record), a *file* is
//! rows with line numbers. Nothing here looks at the directory or the clock.
//!
//! Invariants: a malformed event costs only itself; nothing is dropped silently (a record that is
//! not usage is a [`Row::Skipped`] with its reason); digits never pass through a float; no input
//! makes a parser panic.

mod answered;
pub mod asterisk;
mod called;
pub mod cdr;
pub mod cloudevents;
pub mod fields;
pub mod freeswitch;
pub mod freeswitch_csv;
mod freeswitch_legs;
mod freeswitch_post;
pub mod json;
mod legs;
pub mod ndjson;
pub mod own_fields;
mod rawjson;
mod row;
pub mod said;
pub mod table;
pub mod titles;
pub mod when;

pub use rawjson::given_twice;
pub use row::{Parsed, Row, whole_rows};
