//! Usage in, money moved: validate, dedupe, chain, rate, batch, commit, reply.
//!
//! An event's way: `formats` (bytes → event) → [`prepare`] (customer, chain, cards, measuring, in
//! the caller's task) → [`committer`] (one turn after another, one transaction for all that waits)
//! → answer.
//!
//! Invariants: an answer goes out only after the commit is durable; what happened and cannot be
//! priced is kept; memory is bounded by the queue, never by the caller.

pub mod amend;
pub mod balance_monitor;
pub mod batch_executor;
mod behind;
mod beside;
pub mod cache;
pub mod caller;
pub mod carries;
pub mod charge;
pub mod command;
pub mod committer;
mod content;
mod counters;
mod counting;
pub mod customer;
pub mod customers;
mod dialled;
pub mod digest;
pub mod directory;
mod distinct;
pub mod distinct_value;
pub mod engine;
pub mod event;
mod execution;
pub mod failures;
mod flats;
pub mod hold_name;
pub mod holds;
mod in_flight;
mod kept;
pub mod keys;
pub mod lack;
pub mod lacks;
mod lanes;
mod locate;
pub mod measure;
pub mod measured;
pub mod money;
pub mod named;
pub mod offline;
pub mod open;
mod overrule;
pub mod plan;
pub mod prefixes;
pub mod prepare;
pub mod queue;
pub mod reach;
mod reclassify;
mod record;
mod reporters;
pub mod requests;
mod retention_start;
pub mod segments;
mod settling;
mod shares;
pub mod standing;
pub mod states;
mod taken;
pub mod void;
pub mod watch;

pub use directory::Directory;
pub use engine::Engine;
