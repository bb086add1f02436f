//! What a column of a deck may mean.

use serde::{Deserialize, Serialize};

/// What a column of a deck may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Prefix,
    CountryCode,
    /// Behind the country's code.
    AreaCode,
    /// Of the North American plan, with or without the 1 before it.
    Npanxx,
    /// Three digits behind an area of the North American plan.
    Nxx,
    /// Prefixes of the calling number that the price is for.
    Origin,
    Destination,
    /// Per minute, unless its title or the options say otherwise.
    Price,
    PriceInterstate,
    PriceIntrastate,
    ConnectFee,
    /// Due once as well: added to the connect fee.
    DisconnectFee,
    /// Also of the form `60/1`.
    Initial,
    Next,
    /// Both: `60/1`, or `6` for `6/6`.
    Increments,
    FreeIfShorterThan,
    MinimumDuration,
    /// The first seconds are free.
    Included,
    EffectiveFrom,
    EffectiveUntil,
    Direction,
    Blocked,
    /// In force, blocked, or deleted.
    Status,
    /// Of the row's prices: the card's, or the row is refused.
    Currency,
    /// What the row's price is for: a minute, a second.
    Unit,
    /// Known, and without a bearing on the price.
    Label,
    /// Terms that a row cannot say here; any but 0 is refused.
    Unsupported,
}

impl Field {
    /// Prefixes are read from one of them.
    pub fn is_prefix(self) -> bool {
        matches!(self, Self::Prefix | Self::AreaCode | Self::Npanxx)
    }
    pub fn is_money(self) -> bool {
        matches!(
            self,
            Self::Price
                | Self::PriceInterstate
                | Self::PriceIntrastate
                | Self::ConnectFee
                | Self::DisconnectFee
        )
    }
    pub fn is_price(self) -> bool {
        matches!(
            self,
            Self::Price | Self::PriceInterstate | Self::PriceIntrastate
        )
    }
    pub fn is_duration(self) -> bool {
        matches!(
            self,
            Self::Initial
                | Self::Next
                | Self::Increments
                | Self::FreeIfShorterThan
                | Self::MinimumDuration
                | Self::Included
        )
    }
    /// Prefixes and names: a sign in their title says nothing of the price.
    pub fn is_of_words(self) -> bool {
        self.is_prefix()
            || matches!(
                self,
                Self::CountryCode | Self::Nxx | Self::Origin | Self::Destination | Self::Label
            )
    }
    /// Do both say the same thing of a row?
    pub(crate) fn is_like(self, other: Self) -> bool {
        self == other || (self.is_prefix() && other.is_prefix())
    }
    /// Several columns of it do no harm.
    pub(crate) fn may_repeat(self) -> bool {
        matches!(self, Self::Label | Self::Unsupported)
    }
    pub fn name(self) -> String {
        serde_json::to_string(&self)
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned()
    }
}
