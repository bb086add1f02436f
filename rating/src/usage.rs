//! What is rated: one usage, borrowed; and what comes out: a priced usage with its explanation.

use crate::card::Aggregation;
use crate::money::Rate as Amount;
use crate::{Cents, Exact, Instant, Overflow, Quantity};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// One usage as the engine sees it. Strings are already normalised (destination: digits only).
#[derive(Debug, Clone, Copy)]
pub struct Usage<'a> {
    pub meter: &'a str,
    /// The meter's unit is the second: the event is cut where windows, dates and steps change.
    pub is_call: bool,
    pub aggregation: Aggregation,
    /// The event's start.
    pub at: Instant,
    pub quantity: Quantity,
    /// In place of a quantity: cost-plus and dynamic models, percentages. Major units.
    pub amount: Option<Amount>,
    pub destination: Option<&'a str>,
    pub number: Number,
    pub origin: Option<&'a str>,
    pub attributes: &'a [(String, String)],
}

/// What the digits of a destination are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Number {
    /// Of a number with a country's code.
    #[default]
    International,
    /// Of a short number (112, an extension): rates of its own digits match, not those of a country
    /// that begins with the same digits.
    Short,
    /// Of no number with a country's code (`030123456` without a country): rates of its first
    /// digits match, those of every number do not.
    WithoutCountry,
    /// Nobody knows of which country: only a card that looks at no destination of the meter has a
    /// price for it.
    Unclear,
}

impl Number {
    /// Do rates of its first digits match?
    pub(crate) const fn has_prefixes(self) -> bool {
        matches!(self, Self::International | Self::WithoutCountry)
    }
}

/// Where a counter stands: cumulative quantity and number of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counter {
    pub quantity: Quantity,
    pub events: i64,
}

impl Counter {
    /// Grown by as much as another one.
    pub fn checked_add(self, by: Self) -> Result<Self, Overflow> {
        Ok(Self {
            quantity: self.quantity.checked_add(by.quantity)?,
            events: self.events.checked_add(by.events).ok_or(Overflow)?,
        })
    }
    /// What it grew by since it stood there.
    pub fn checked_sub(self, since: Self) -> Result<Self, Overflow> {
        Ok(Self {
            quantity: self.quantity.checked_sub(since.quantity)?,
            events: self.events.checked_sub(since.events).ok_or(Overflow)?,
        })
    }
}

/// The rate that applies. `rate` indexes the version's `rates`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    pub rate: u32,
    /// Digits of the destination that matched (0: by attributes or catch-all).
    pub prefix_len: u8,
}

/// One stretch of a call under one rate and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub rate: u32,
    pub step: u16,
    pub from: Quantity,
    pub billed: Quantity,
}

/// The half of pricing that needs no counter: can run before the event's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    pub found: Match,
    /// What the counter grows by (calls: billed seconds).
    pub billed: Quantity,
    /// Terms local to the event, rounded once.
    pub local: Exact,
    /// More than one only for calls that were cut.
    pub pieces: SmallVec<[Piece; 1]>,
    /// The price is `local` and nothing else.
    pub(crate) by_steps: bool,
    /// P(after) − P(before) is part of the price, so the counter must be known.
    pub cumulative: bool,
    /// Which counter to keep, if one is kept at all.
    pub counter: Option<CounterId>,
}

/// The part of a counter's key that the card decides: the rate's stable key and the calendar month
/// of the event in the card's zone (`year * 12 + month - 1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CounterId {
    /// 63-bit digest of the rate's stable key.
    pub rate_key: i64,
    pub month: i32,
}

/// A usage priced on one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    pub exact: Exact,
    /// The local part of `exact`: what a void gives back as it is.
    pub local: Exact,
    pub before: Counter,
    pub after: Counter,
}

/// Why a well-formed usage has no price. The usage is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrated {
    #[error("no rate of the card covers this usage")]
    NoRate,
    #[error("the rate has no cell for these values of its dimensions, and no `default_price`")]
    NoCell,
    #[error("the card has no rate for the part of the call from {from} s")]
    Gap { from: Quantity },
    #[error("this destination is blocked")]
    Blocked,
    #[error("the rate prices an amount, and the event has none")]
    NoAmount,
    #[error("the rate prices by the attribute {0}, and the event has none")]
    NoAttribute(String),
    #[error(
        "the price is above {} cents, the most that one event may come to",
        Cents::EVENT_MAX
    )]
    TooLarge,
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

impl Unrated {
    /// The stable code kept with the event.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRate | Self::NoCell | Self::Gap { .. } => "no_rate",
            Self::Blocked => "blocked",
            Self::NoAmount => "no_amount",
            Self::NoAttribute(_) => "no_attribute",
            Self::TooLarge => "amount_too_large",
            Self::Overflow(_) => "overflow",
        }
    }
}
