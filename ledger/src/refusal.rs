//! Why nothing moved. Every refusal leaves the books as they were.

use crate::{AccountKey, HoldState};
use problem::Code;
use rating::{Cents, Overflow};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The charges are not one chain from a customer up to the platform.
    #[error("the charges do not form a chain from the customer up to the platform")]
    BrokenChain,
    #[error("the amount is too large to be booked")]
    Overflow,
    /// Zero, of the wrong sign, or the same account named twice.
    #[error("expected a positive amount of cents, once per account")]
    BadAmount,
    /// Above [`Cents::EVENT_MAX`]: a move by hand or of a payment, or what a hold sets aside on one
    /// account.
    #[error("expected at most {} cents in one move", Cents::EVENT_MAX)]
    AmountTooLarge,
    /// The account would go further from zero than it may.
    #[error(
        "{account} would be further from zero than {} cents, or has no room for so large a move",
        Cents::BALANCE_MAX
    )]
    BalanceTooLarge { account: AccountKey },
    /// The account is not one that this command moves.
    #[error("{account} is not an account that can be moved this way")]
    BadAccount { account: AccountKey },
    #[error("expected a reason of 1 to {} characters", crate::REASON_CHARS_MAX)]
    BadReason,
    /// A hold must end later than now.
    #[error("a hold must end in the future")]
    BadExpiry,
    /// Usage under `on_exhausted: refuse` that an account cannot pay: no link posts.
    #[error("{account} has {available} cents available, but {asked} are needed")]
    Exhausted {
        account: AccountKey,
        available: Cents,
        asked: Cents,
    },
    /// A hold that an account cannot cover: nothing is set aside.
    #[error("{account} has {available} cents available, but {asked} were to be held")]
    Insufficient {
        account: AccountKey,
        available: Cents,
        asked: Cents,
    },
    /// The hold's end has come, whether or not the engine has recorded it yet.
    #[error("the hold has ended")]
    HoldOver,
    /// A hold ends once.
    #[error("the hold has been {state} already")]
    HoldEnded { state: HoldState },
    /// The usage belongs to another customer than the hold.
    #[error("the hold was placed for another customer")]
    HoldOfAnother,
    /// Expiry was asked for before the hold's end.
    #[error("the hold has not ended yet")]
    HoldNotOver,
    /// The engine works on an account that it has not loaded: a fault of ours, never of the caller.
    #[error("{account} was not loaded")]
    NotLoaded { account: AccountKey },
    /// Less is held than the hold says: the books are damaged, `verify` will name it.
    #[error("{account} holds less than its holds")]
    NotHeld { account: AccountKey },
}

impl Refusal {
    /// Stable: part of the API.
    pub const fn code(&self) -> Code {
        match self {
            Self::BrokenChain => Code::BrokenChain,
            Self::Overflow => Code::Overflow,
            Self::BadAmount => Code::InvalidAmount,
            Self::AmountTooLarge => Code::AmountTooLarge,
            Self::BalanceTooLarge { .. } => Code::BalanceTooLarge,
            Self::BadAccount { .. } => Code::InvalidAccount,
            Self::BadReason => Code::InvalidReason,
            Self::BadExpiry => Code::InvalidExpiry,
            Self::Exhausted { .. } => Code::Exhausted,
            Self::Insufficient { .. } => Code::InsufficientBalance,
            Self::HoldOver => Code::HoldOver,
            Self::HoldEnded { .. } => Code::HoldEnded,
            Self::HoldOfAnother => Code::HoldOfAnother,
            Self::HoldNotOver => Code::HoldNotOver,
            Self::NotLoaded { .. } => Code::AccountNotLoaded,
            Self::NotHeld { .. } => Code::HeldMismatch,
        }
    }
}

impl From<Overflow> for Refusal {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}
