//! The half of a usage event's way that needs no turn: who is the customer, what does its chain
//! look like, which card prices each link, what was measured by it.
//!
//! Layers: [`plan`] and [`customer`] are what is known of a buyer, [`directory`] reads it and keeps
//! it in memory; [`measure`] asks a card, [`measured`] is what it said, `lacks` what it misses, in
//! words; [`event`] is the event with all of that, and [`preparer`] makes it. [`offline`] rates
//! files by the same functions, without a server.
//!
//! Invariants: nothing here changes money; nothing depends on counters and balances.

pub mod cache;
pub mod caller;
mod content;
pub mod customer;
mod customers;
mod dialled;
pub mod digest;
pub mod directory;
pub mod distinct;
pub mod event;
pub mod failures;
pub mod hold_name;
pub mod lack;
mod lacks;
pub mod measure;
pub mod measured;
pub mod offline;
pub mod open;
pub mod plan;
pub mod prefixes;
pub mod preparer;
pub mod reporters;
