//! Kinds of records, and what keeps their ids apart.

use serde::{Deserialize, Serialize};

/// Keeps the ids of usage apart from those of other commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Namespace {
    Usage = 1,
    /// Void and correct: id = the command's own key.
    Amend = 2,
    Hold = 3,
    /// Extend, release (their own idempotency keys).
    HoldStep = 4,
    Money = 5,
    /// Steps of the engine itself (expiry, rating of a kept event): never looked up.
    Engine = 6,
    /// Steps of payments and payouts, named by us and never by a caller.
    Payment = 7,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// Usage that was priced and posted.
    Rated = 1,
    /// Usage that happened and could not be priced (`EntryPayload::reason`).
    Unrated = 2,
    /// A kept event priced later (`refers_to`: the unrated record).
    RatedLater = 3,
    /// −q of an earlier event (`refers_to`).
    Void = 4,
    /// An event that somebody below had reported (`refers_to`), reported from above with the same
    /// content: moves nothing.
    Confirmed = 5,
    HoldPlaced = 10,
    HoldExtended = 11,
    HoldReleased = 12,
    HoldExpired = 13,
    TopUp = 20,
    Adjustment = 21,
    /// Money that came in, given back (or a refund that failed, taken back).
    Refund = 22,
    /// A payment disputed at the payer's bank: set aside, withdrawn, given back.
    Dispute = 23,
    /// Commission paid out.
    Payout = 24,
    /// What else a payment moves: fees, money of nobody.
    Payment = 25,
    /// What was carried of a customer whose tenant is closed or whose agreement ended, settled half
    /// up: a charge per link, whose `exact` is what the rounding adds or takes, and which carries
    /// nothing on.
    CarrySettled = 26,
    /// A balance with a seller that collects itself, moved to the book of that seller, once.
    Reclassification = 27,
}

impl Namespace {
    /// Whether it is kept who has ever named something of it.
    pub const fn has_reporters(self) -> bool {
        matches!(self, Self::Usage | Self::Hold)
    }
    pub const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Usage,
            2 => Self::Amend,
            3 => Self::Hold,
            4 => Self::HoldStep,
            5 => Self::Money,
            6 => Self::Engine,
            7 => Self::Payment,
            _ => return None,
        })
    }
}

impl Kind {
    pub const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Rated,
            2 => Self::Unrated,
            3 => Self::RatedLater,
            4 => Self::Void,
            5 => Self::Confirmed,
            10 => Self::HoldPlaced,
            11 => Self::HoldExtended,
            12 => Self::HoldReleased,
            13 => Self::HoldExpired,
            20 => Self::TopUp,
            21 => Self::Adjustment,
            22 => Self::Refund,
            23 => Self::Dispute,
            24 => Self::Payout,
            25 => Self::Payment,
            26 => Self::CarrySettled,
            27 => Self::Reclassification,
            _ => return None,
        })
    }
}
