//! The only crate that knows SQL. Hot and narrow: [`journal::Journal`], on SQLite and in memory.
//! Cold and wide: the records (tenants, agreements, cards, keys, meters, audit log).
//!
//! The journal is append-only and the truth; balances, carries, counters and indexes are derived
//! from it inside the same transaction, or rebuilt from its tail.

mod acknowledged;
pub mod backup;
pub mod catalog;
mod checkpoint;
pub mod credit_look;
pub mod db;
pub mod hash;
pub mod journal;
pub mod memory;
pub mod payments_look;
pub mod postgres;
pub mod reporters;
mod retry;
pub mod runs;
pub mod schema_version;
pub mod sqlite;
pub mod transfer;
pub mod verify;
mod writer;

#[cfg(test)]
extern crate self as store;
#[cfg(test)]
mod suite;
