//! What moves? Accounts, postings, balances, holds: (state, command) → postings or a refusal. Pure.
//!
//! A posting has a from, a to and positive cents, so that it always balances. Limits are checked on
//! an account's net of the whole event, never on an intermediate posting.

pub mod account;
pub mod hold;
pub mod posting;

pub use account::{AccountKey, AccountKind, Balance};
pub use hold::{Hold, HoldState};
pub use posting::{LinkCharge, Posting};
