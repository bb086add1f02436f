//! The workspace's integration tests: one binary, one harness ([`world`]), every test on every journal.

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
