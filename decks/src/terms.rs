//! What a row says about a call, and which calls it is for.

use rating::Quantity;
use rating::card::{CallTerms, Rate, Rounding, Step, ZeroDuration};
use rating::money::Rate as Amount;
use serde::{Deserialize, Serialize};

/// Decks of the United States price a prefix by where the call came from. The rate asks for the
/// attribute `jurisdiction`; the indeterminate price is the one of calls without it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Jurisdiction {
    #[default]
    Any,
    Interstate,
    Intrastate,
}

impl Jurisdiction {
    pub const ATTRIBUTE: &'static str = "jurisdiction";

    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }

    pub fn value(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Interstate => Some("interstate"),
            Self::Intrastate => Some("intrastate"),
        }
    }

    /// Of a rate that a deck may replace: no attribute, or only this one.
    pub(crate) fn of(rate: &Rate) -> Option<Self> {
        match rate.attributes.len() {
            0 => Some(Self::Any),
            1 => {
                let value = rate.attributes.get(Self::ATTRIBUTE)?;
                [Self::Interstate, Self::Intrastate]
                    .into_iter()
                    .find(|j| j.value() == Some(value))
            }
            _ => None,
        }
    }
}

/// What a row says about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Terms {
    pub price: Amount,
    pub per: Quantity,
    pub initial: Quantity,
    pub next: Quantity,
    pub connect_fee: Amount,
    pub minimum_duration: Quantity,
    pub free_if_shorter_than: Quantity,
    pub included: Quantity,
    pub blocked: bool,
    pub beside: Beside,
}

/// What a rate may say of a call and no deck does: it stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Beside {
    pub minimum_charge: Option<Amount>,
    pub maximum_charge: Option<Amount>,
    pub zero_duration: ZeroDuration,
    pub rounding: Option<Rounding>,
    pub counted: bool,
}

impl Terms {
    /// As a rate card writes them.
    pub fn to_call(&self) -> CallTerms {
        let unless_zero = |quantity: Quantity| Some(quantity).filter(|q| *q != Quantity::ZERO);
        CallTerms {
            initial: Some(self.initial),
            next: Some(self.next),
            steps: vec![Step {
                from: Quantity::ZERO,
                price: self.price,
                per: self.per,
                increment: None,
                fixed_fee: None,
            }],
            connect_fee: Some(self.connect_fee).filter(|fee| *fee != Amount::ZERO),
            minimum_duration: unless_zero(self.minimum_duration),
            free_if_shorter_than: unless_zero(self.free_if_shorter_than),
            included: unless_zero(self.included),
            minimum_charge: self.beside.minimum_charge,
            maximum_charge: self.beside.maximum_charge,
            zero_duration: self.beside.zero_duration,
        }
    }

    /// Of a rate that says no more than a deck's row can, beside what no row does.
    pub fn of(rate: &Rate) -> Option<Self> {
        let call = rate.call.as_ref()?;
        let terms = Self::nearest(rate);
        let only_that = CallTerms {
            initial: Some(terms.initial),
            next: Some(terms.next),
            ..CallTerms::clone(call)
        } == terms.to_call();
        (only_that && rate.price.is_none()).then_some(terms)
    }

    /// What a row could say of it; of several prices by elapsed time the first.
    pub(crate) fn nearest(rate: &Rate) -> Self {
        let none = CallTerms::default();
        let call = rate.call.as_deref().unwrap_or(&none);
        let next = call.next.unwrap_or(Quantity::whole(1));
        let (price, per) = call
            .steps
            .first()
            .map_or((Amount::ZERO, Quantity::whole(60)), |step| {
                (step.price, step.per)
            });
        Self {
            price,
            per,
            initial: call.initial.unwrap_or(next),
            next,
            connect_fee: call.connect_fee.unwrap_or_default(),
            minimum_duration: call.minimum_duration.unwrap_or_default(),
            free_if_shorter_than: call.free_if_shorter_than.unwrap_or_default(),
            included: call.included.unwrap_or_default(),
            blocked: rate.blocked,
            beside: Beside {
                minimum_charge: call.minimum_charge,
                maximum_charge: call.maximum_charge,
                zero_duration: call.zero_duration,
                rounding: rate.rounding,
                counted: rate.counted,
            },
        }
    }
}
