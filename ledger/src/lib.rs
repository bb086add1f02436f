//! What moves? Accounts, postings, balances, holds: (state, command) → postings or a refusal. Pure.
//!
//! A posting has a from, a to and positive cents, so that it always balances. Limits are checked on
//! an account's net of the whole event, never on an intermediate posting.
//!
//! Invariants of [`Books`]: whatever is validated is validated before the first change, so a
//! refusal leaves everything as it was; Σ over all accounts is zero; a balance is the sum of its
//! entries; `held` is the sum of the open holds and never negative; each hold ends once.

pub mod account;
pub mod books;
pub mod hold;
pub mod money;
pub mod posting;
pub mod refusal;
mod room;
#[cfg(test)]
mod tests;

pub use account::{AccountKey, AccountKind, Balance};
pub use books::{Books, Entry, Event, Limit, Posted};
pub use hold::{Hold, HoldState};
pub use money::{adjustment, reclassification, top_up};
pub use posting::{
    Amounts, LinkCharge, Nets, Posting, Postings, Settlement, check_chain, hold_amounts, nets,
    platform_in, postings_of, reversed, splits_of,
};
pub use refusal::Refusal;
/// Characters of a reason for an adjustment.
pub const REASON_CHARS_MAX: usize = 500;
