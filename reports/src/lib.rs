//! What is read of the books and told to people: accounts, entries and statements, a month of
//! commission and what of it can be paid out, why every cent of an event moved, what usage lacks,
//! the provider's balance against ours.
//!
//! Nothing here changes anything, and nothing here knows HTTP: who asks is a [`sources::Reader`],
//! what is read lies in [`sources::Sources`], and what comes out is typed, in the form that the
//! OpenAPI document describes.

pub mod accounts;
pub mod commission_statement;
pub mod commissions;
pub mod entries;
pub mod error;
pub mod explain;
pub mod explanation;
pub mod lacking;
pub mod names;
pub mod payable;
pub mod reconciliation;
pub mod sources;
pub mod summaries;
pub mod unrated;
