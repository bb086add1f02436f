//! SEPA credit transfers: accounts that can be paid, and the file in which a bank takes them.

mod account;
mod pain;
pub(super) mod target;
mod text;

pub(super) use account::check_payable;
pub use account::{BadAccount, bank_account};
pub(super) use pain::{Document, Transfer, write};
pub(super) use text::{ENTRY_CHARS_MAX, id, sepa};

/// Transfers of one file.
pub const FILE_PAYOUTS_MAX: usize = 1_000;
