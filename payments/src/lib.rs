//! Money in and out through payment providers.
//!
//! Invariants: a row of ours is committed before a provider is called; what a provider's payment
//! comes to is posted by one function, as the difference to what is posted already; no provider's
//! type leaves this crate.

pub mod abroad;
pub mod auto;
mod inbox;
pub mod payer;
pub mod payment_outcome;
pub mod reconcile;
pub mod refund;
pub mod rows;
pub mod service;
pub mod settlement;
pub mod worker;
