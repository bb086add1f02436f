//! What every route shares: the state behind a request, whose key it brings and how much that key
//! may ask, how a request is read and answered, what a refusal says. The routes themselves, the
//! settings and the server are `api`'s.

mod access;
pub mod arrivals;
pub mod auth;
pub mod held;
pub mod key_uses;
pub mod limits;
pub mod measures;
pub mod page;
pub mod parameters;
pub mod price_lists;
pub mod problem;
pub mod query;
pub mod readiness;
pub mod request;
pub mod setting_values;
pub mod slots;
pub mod state;
pub mod timekeeper;
pub mod turns;
mod unread;
pub mod write;
