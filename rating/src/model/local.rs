//! Models that price each event on its own: percentage, pass-through (cost-plus, dynamic), matrix.

use super::input::Input;
use crate::card::{Aggregation, AmountFrom};
use crate::money::Rate as Amount;
use crate::usage::{Counter, Unrated, Usage};
use crate::{Exact, Overflow, Quantity, Ratio, rounding};
use smallvec::SmallVec;

/// A local model; `keep` is what the percent discount leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) kind: Kind,
    pub(super) keep: Ratio,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Percentage(Percentage),
    /// The event's amount × factor: 10⁻¹² cents per 10⁻¹² of the major unit.
    PassThrough(Ratio),
    Matrix(Matrix),
}

/// Percent of an amount. An event is free while it is among the first `free_events` (if set) and
/// the cumulative amount is within `free_amount` (if set); what exceeds the free amount alone is
/// charged. Money in 10⁻¹² cents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Percentage {
    /// 10⁻¹² cents per billionth of the amount.
    pub(super) percent: Ratio,
    pub(super) fixed: i128,
    pub(super) free_events: Option<i64>,
    /// Billionths of the major unit.
    pub(super) free_amount: Option<i128>,
    pub(super) minimum: Option<i128>,
    pub(super) maximum: Option<i128>,
}

/// One text per dimension.
pub(super) type Values = Box<[Box<str>]>;

/// A price per combination of attribute values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matrix {
    pub(super) dimensions: Values,
    /// Sorted by their values; 10⁻¹² cents per part.
    pub(super) cells: Box<[(Values, Ratio)]>,
    pub(super) default_price: Option<Ratio>,
}

impl Local {
    pub(super) fn needs_counter(&self) -> bool {
        matches!(&self.kind, Kind::Percentage(p) if p.free_events.is_some() || p.free_amount.is_some())
    }

    pub(super) fn counts_amounts(&self) -> bool {
        matches!(self.kind, Kind::Percentage(_))
    }

    pub(super) fn check(&self, usage: &Usage<'_>) -> Result<(), Unrated> {
        match &self.kind {
            Kind::Percentage(_) => Ok(()),
            Kind::PassThrough(_) => usage.amount.map(drop).ok_or(Unrated::NoAmount),
            Kind::Matrix(matrix) => matrix.cell(usage.attributes).map(drop),
        }
    }

    /// Unrounded.
    pub(super) fn charge(
        &self,
        usage: &Usage<'_>,
        amount_from: Option<AmountFrom>,
        before: &Counter,
        input: &Input,
    ) -> Result<Unlimited, Unrated> {
        let charge = match &self.kind {
            Kind::Percentage(percentage) => {
                percentage.charge(amount_of(usage, amount_from)?.0, before)?
            }
            Kind::PassThrough(factor) => {
                let amount = usage.amount.ok_or(Unrated::NoAmount)?;
                Unlimited::new(
                    Ratio::whole(in_parts(amount, Amount::DECIMALS)?).checked_mul(*factor)?,
                )
            }
            Kind::Matrix(matrix) => {
                let price = matrix
                    .price_of(matrix.cell(usage.attributes)?)
                    .ok_or(Unrated::NoCell)?;
                let after = before.quantity.checked_add(counted(usage))?;
                let parts = input
                    .parts(after.0)?
                    .checked_sub(input.parts(before.quantity.0)?)
                    .ok_or(Overflow)?;
                Unlimited::new(Ratio::whole(parts).checked_mul(price)?)
            }
        };
        Ok(charge.times(self.keep)?)
    }

    /// Which price of a matrix an event has; 0: none, or the default one.
    pub(super) fn cell(&self, usage: &Usage<'_>) -> u32 {
        match &self.kind {
            Kind::Matrix(matrix) => matrix.cell(usage.attributes).unwrap_or_default(),
            Kind::Percentage(_) | Kind::PassThrough(_) => 0,
        }
    }

    /// What an event costs that moves the counter so. Unrounded.
    pub(super) fn between(
        &self,
        cell: u32,
        before: &Counter,
        after: &Counter,
        input: &Input,
    ) -> Result<Unlimited, Overflow> {
        let charge = match &self.kind {
            Kind::Percentage(percentage) => {
                percentage.charge(after.quantity.checked_sub(before.quantity)?.0, before)?
            }
            Kind::Matrix(matrix) => {
                let parts = input
                    .parts(after.quantity.0)?
                    .checked_sub(input.parts(before.quantity.0)?)
                    .ok_or(Overflow)?;
                Unlimited::new(
                    Ratio::whole(parts).checked_mul(matrix.price_of(cell).ok_or(Overflow)?)?,
                )
            }
            Kind::PassThrough(_) => Unlimited::new(Ratio::ZERO),
        };
        charge.times(self.keep)
    }
}

/// What an event costs before rounding, and between what it must lie afterwards. 10⁻¹² cents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unlimited {
    pub(super) amount: Ratio,
    minimum: Option<Ratio>,
    maximum: Option<Ratio>,
}

impl Unlimited {
    fn new(amount: Ratio) -> Self {
        Self {
            amount,
            minimum: None,
            maximum: None,
        }
    }

    fn times(self, keep: Ratio) -> Result<Self, Overflow> {
        let times = |limit: Option<Ratio>| limit.map(|limit| limit.checked_mul(keep)).transpose();
        Ok(Self {
            amount: self.amount.checked_mul(keep)?,
            minimum: times(self.minimum)?,
            maximum: times(self.maximum)?,
        })
    }

    pub(super) fn within_limits(self, rounded: Exact) -> Result<Exact, Overflow> {
        let exact = |limit: Option<Ratio>| limit.map(rounding::to_exact).transpose();
        let amount = exact(self.minimum)?.map_or(rounded, |minimum| rounded.max(minimum));
        Ok(exact(self.maximum)?.map_or(amount, |maximum| amount.min(maximum)))
    }
}

impl Percentage {
    fn charge(&self, amount: i128, before: &Counter) -> Result<Unlimited, Overflow> {
        let (charged, free) = self.charged(amount, before)?;
        if free {
            return Ok(Unlimited::new(Ratio::ZERO));
        }
        let percent = Ratio::whole(charged).checked_mul(self.percent)?;
        if amount < 0 {
            let least = self.maximum.map(|maximum| Ratio::whole(-maximum));
            return Ok(Unlimited {
                amount: percent,
                minimum: least,
                maximum: None,
            });
        }
        let amount = percent.checked_add(Ratio::whole(self.fixed))?;
        Ok(Unlimited {
            amount,
            minimum: self.minimum.map(Ratio::whole),
            maximum: self.maximum.map(Ratio::whole),
        })
    }

    /// The part of the amount that is charged, and whether the whole event is free.
    fn charged(&self, amount: i128, before: &Counter) -> Result<(i128, bool), Overflow> {
        let after = before.quantity.0.checked_add(amount).ok_or(Overflow)?;
        let number = before.events.checked_add(1).ok_or(Overflow)?;
        let among_free_events = self.free_events.is_none_or(|free| number <= free);
        match (among_free_events, self.free_amount) {
            (true, Some(free)) => Ok((
                beyond(after, free) - beyond(before.quantity.0, free),
                after <= free && amount >= 0,
            )),
            (true, None) => Ok((amount, self.free_events.is_some())),
            (false, _) => Ok((amount, false)),
        }
    }
}

/// What exceeds a limit that is not negative.
fn beyond(cumulative: i128, limit: i128) -> i128 {
    if cumulative <= limit {
        0
    } else {
        cumulative - limit
    }
}

impl Matrix {
    /// One more than the cell's index; 0: none of them, where there is a default price.
    fn cell(&self, attributes: &[(String, String)]) -> Result<u32, Unrated> {
        let default = self.default_price.map(|_| 0);
        let mut values: SmallVec<[&str; 8]> = SmallVec::new();
        for dimension in &self.dimensions {
            match attributes.iter().find(|(name, _)| **name == **dimension) {
                Some((_, value)) => values.push(value),
                None => return default.ok_or_else(|| Unrated::NoAttribute(dimension.to_string())),
            }
        }
        let cell = self.cells.binary_search_by(|(cell, _)| {
            cell.iter()
                .map(|value| &**value)
                .cmp(values.iter().copied())
        });
        match cell {
            Ok(index) => u32::try_from(index + 1).map_err(|_| Unrated::NoCell),
            Err(_) => default.ok_or(Unrated::NoCell),
        }
    }

    fn price_of(&self, cell: u32) -> Option<Ratio> {
        match cell.checked_sub(1) {
            Some(index) => self.cells.get(index as usize).map(|(_, price)| *price),
            None => self.default_price,
        }
    }
}

/// What an event brings to a meter: on a counting meter 1, else its quantity.
pub(super) fn counted(usage: &Usage<'_>) -> Quantity {
    if usage.aggregation == Aggregation::Count {
        Quantity::whole(1)
    } else {
        usage.quantity
    }
}

/// What a percentage is of, in billionths of the major unit.
pub(super) fn amount_of(usage: &Usage<'_>, from: Option<AmountFrom>) -> Result<Quantity, Unrated> {
    match (from, usage.amount) {
        (Some(AmountFrom::Amount), None) => Err(Unrated::NoAmount),
        (Some(AmountFrom::Quantity), _) | (None, None) => Ok(usage.quantity),
        (Some(AmountFrom::Amount) | None, Some(amount)) => {
            Ok(in_parts(amount, Quantity::DECIMALS).map(Quantity)?)
        }
    }
}

/// A decimal as whole parts of `decimals` decimals; losing a digit is an error.
pub(super) fn in_parts(amount: Amount, decimals: u32) -> Result<i128, Overflow> {
    let value = amount.0.normalize();
    let shift = decimals.checked_sub(value.scale()).ok_or(Overflow)?;
    10_i128
        .checked_pow(shift)
        .and_then(|factor| value.mantissa().checked_mul(factor))
        .ok_or(Overflow)
}
