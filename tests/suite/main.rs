//! The workspace's integration tests: one binary, one harness ([`world`]), every test on every journal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "everything here is a test: what is not expected ends it")]

mod amendments;
mod audit;
mod auto_top_ups;
mod backup;
mod bad_input;
mod bench;
mod cashier;
mod chains;
mod demo;
mod greedy;
mod histories;
mod holds;
mod http_world;
mod isolation;
mod kill_rounds;
mod models;
mod moves;
mod notices;
mod payee;
mod payment_kills;
mod payment_steps;
mod payments_in;
mod payouts;
mod payouts_by_bank;
mod payouts_through_stripe;
mod process;
mod processes;
mod provider_double;
mod receiver;
mod reclassified;
mod retention;
mod retention_served;
mod served;
mod speak;
mod stripe_peer;
mod tampering;
mod threats;
mod usage;
mod webhooks;
mod world;
mod writers;
