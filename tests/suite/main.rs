//! The workspace's integration tests: one binary, one harness ([`world`]), every test on every
//! journal. What is also played optimised has a small binary of its own (`tests/greedy/`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "everything here is a test: what is not expected ends it"
)]

mod amendments;
mod audit;
mod auto_top_ups;
mod backup;
mod bad_input;
mod bench;
mod bounds;
mod bounds_served;
mod carries;
mod cashier;
mod chains;
mod clock_steps;
mod collection;
mod commission_floors;
mod daily;
mod demo;
mod deployed;
mod edges;
mod environment;
mod faults;
mod faulty;
mod field_cases;
mod filters;
mod flat_parts;
mod follow_kills;
mod health_mail;
mod histories;
mod holds;
mod holds_of_others;
mod holds_over_http;
mod house;
mod http_world;
mod isolation;
mod key_traces;
mod kill_rounds;
mod lost_answers;
mod lost_commits;
mod measures;
mod models;
mod months;
mod moves;
mod names;
mod newer_database;
mod notices;
mod old_backup;
mod pages;
mod paid_over_http;
mod payee;
mod payment_kills;
mod payment_steps;
mod payments_in;
mod payouts;
mod payouts_by_bank;
mod payouts_through_stripe;
mod price_changes;
mod price_list_memory;
mod process;
mod processes;
mod provider_double;
mod publication;
mod readiness;
mod receiver;
mod reclassified;
mod reload;
mod reporters;
mod retention;
mod retention_served;
mod speak;
mod stalled;
mod stripe_peer;
mod tampering;
mod threats;
mod unpaid_usage;
mod unpriced;
mod upgrade;
mod uploads;
mod upper_links;
mod usage;
mod void_reach;
mod voids;
mod webhooks;
mod world;
mod writers;

use centwise_tests::served;
