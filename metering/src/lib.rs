//! Usage in, money moved: validate, dedupe, chain, rate, batch, commit, reply.
//!
//! An event's way: `formats` (bytes → event) → `prepare` (customer, chain, cards, measuring, in
//! the caller's task) → [`committer`] (one turn after another, one transaction for all that waits)
//! → answer.
//!
//! Invariants: an answer goes out only after the commit is durable; what happened and cannot be
//! priced is kept; memory is bounded by the queue, never by the caller.

mod amend;
pub mod balance_monitor;
mod batch_executor;
mod behind;
mod beside;
mod carries;
pub mod charge;
pub mod command;
pub mod committer;
mod counters;
mod counting;
mod distinct_value;
pub mod engine;
mod execution;
mod flats;
mod holds;
mod in_flight;
mod kept;
mod keys;
mod lanes;
mod locate;
mod money;
mod named;
mod overrule;
pub mod queue;
mod reach;
mod reclassify;
mod record;
pub mod requests;
mod retention_start;
mod segments;
mod settling;
mod shares;
pub mod standing;
mod states;
mod taken;
mod void;
pub mod watch;

pub use engine::Engine;
pub use execution::SWEEP_HOLDS_MAX;
pub use prepare::directory::Directory;
