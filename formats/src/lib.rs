//! What does this line mean? Usage formats, rate decks, numbers: bytes in, values out.
//!
//! PURE: no database, no clock, no network. What is half understood is refused by name.

pub mod input;
pub mod numbers;
pub mod sheet;
mod usage_event;

pub use usage_event::{BATCH_EVENTS_MAX, UsageEvent};
