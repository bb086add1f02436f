//! For tests: a stateful stand-in for Stripe on 127.0.0.1, as far as Centwise uses it.
//!
//! It takes form-encoded requests (an unknown or missing parameter is a 400, as at Stripe), honours
//! `Idempotency-Key`, and answers with objects that have every field which Stripe's own types
//! require (`objects.json`, taken from the official library). What a payer, a bank or Stripe itself
//! would do is a method of [`FakeStripe`]; its events wait until a test delivers them: in any
//! order, more than once, signed or tampered with, or never.
//!
//! Time stands still until it is set.

mod acts;
mod hooks;
mod objects;
mod params;
mod refusal;
mod routes;
mod server;
mod state;

pub use hooks::{Delivery, Message, Order};
pub use server::FakeStripe;
pub use state::{Behaviour, Fault, Seen};
