//! The adapter for Stripe against the stand-in: every call, every way to fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "everything here is a test: what is not expected ends it"
)]

mod charges;
mod checkouts;
mod faults;
mod histories;
mod payouts;
mod peer;
mod taken_back;
mod world;
