//! The workspace's integration tests: one binary, one harness ([`world`]), every test on every journal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "everything here is a test: what is not expected ends it")]

mod amendments;
mod audit;
mod chains;
mod histories;
mod holds;
mod models;
mod speak;
mod usage;
mod world;
mod writers;
