//! P(q): what a cumulative quantity costs, for every price model, compiled to scaled integers.
//!
//! A *cumulative* model (per unit, flat, graduated, volume, package, block tiers, graduated
//! percentage) is a curve: an event costs P(after) − P(before), so the sum over events is P(total)
//! in any order of arrival. A *local* model (percentage, cost-plus, dynamic, matrix) prices each
//! event on its own, rounded once. Exactly one of [`CompiledModel::p`] and [`CompiledModel::local`]
//! is not zero.
//!
//! Order: convert the unit → round to whole units → allowance → P → percent discount → the rate's
//! own rounding → 10⁻¹² cent → maximum spend. (The minimum comes at close: [`crate::spend`].)
//!
//! Decisions:
//! - Beyond a bounded last tier the last tier goes on; its flat is due once.
//! - Below zero (more taken back than was reported) a curve goes on at its first unit price; one
//!   that starts with a flat, counts blocks or has an allowance stands at P(0).
//! - Limits are money and are kept after rounding: a rate's rounding never lifts P above its
//!   maximum, nor an event beyond its own limits.
//!
//! Invariants: nothing is allocated while pricing; a result is exact or [`Overflow`].

mod compile;
mod curve;
mod input;
mod local;

use crate::card::{Aggregation, AmountFrom, PriceModel, Rounding};
use crate::rounding::{self, Mode};
use crate::usage::{Counter, Unrated, Usage};
use crate::{Currency, Exact, Overflow, Quantity};

pub use compile::{CELLS_MAX, TIERS_MAX};
use curve::Curve;
pub use input::Converter;
use input::Input;
use local::Local;

/// What is wrong with a model: path below it (`tiers[1].up_to`), stable code, sentence.
pub type ModelMistake = (String, &'static str, String);

/// A price model in scaled integers. Immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledModel {
    input: Input,
    shape: Shape,
    finish: Finish,
    minimum: Option<Exact>,
    /// Of what a percentage is.
    amount_from: Option<AmountFrom>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// The percent discount is folded in.
    Curve(Curve),
    Local(Box<Local>),
}

/// How an amount is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finish {
    /// A charge is a multiple of this many 10⁻¹² cents: the rate's own rounding, else 1.
    step: i128,
    mode: Mode,
    maximum: Option<Exact>,
}

impl CompiledModel {
    /// Every mistake it can find, or the model. Amounts of the model are major units of `currency`.
    pub fn compile(
        model: &PriceModel,
        currency: Currency,
        rounding: Option<Rounding>,
    ) -> Result<Self, Vec<ModelMistake>> {
        compile::compile(model, currency, rounding)
    }

    /// The price is P(after) − P(before): the counter must be kept.
    pub fn is_cumulative(&self) -> bool {
        matches!(self.shape, Shape::Curve(_))
    }

    /// The price of an event depends on what came before it: cumulative models, and local ones with
    /// free events, a free amount, an allowance or a conversion to whole units.
    pub fn needs_counter(&self) -> bool {
        match &self.shape {
            Shape::Curve(_) => true,
            Shape::Local(local) => local.needs_counter() || self.input.is_remembering(),
        }
    }

    /// The counter sums money (major units) instead of the quantity: the percentage models.
    pub fn counts_amounts(&self) -> bool {
        match &self.shape {
            Shape::Curve(curve) => curve.counts_amounts(),
            Shape::Local(local) => local.counts_amounts(),
        }
    }

    /// How the counter of this model moves on a meter of that aggregation: amounts are always
    /// summed.
    pub fn aggregation(&self, of_meter: Aggregation) -> Aggregation {
        if self.counts_amounts() {
            Aggregation::Sum
        } else {
            of_meter
        }
    }

    /// What an event brings to the counter (`grow`'s `billed`): its amount for the percentage
    /// models, 1 on a counting meter, else its quantity. `Overflow`: an amount of more than nine
    /// decimals.
    pub fn billed(&self, usage: &Usage<'_>) -> Result<Quantity, Unrated> {
        if self.counts_amounts() {
            return local::amount_of(usage, self.amount_from);
        }
        Ok(local::counted(usage))
    }

    /// P at this counter, in 10⁻¹² cent. Of no event at all: 0. Local models: 0.
    pub fn p(&self, counter: &Counter) -> Result<Exact, Overflow> {
        if counter.events == 0 && counter.quantity == Quantity::ZERO {
            Ok(Exact::ZERO)
        } else {
            self.at(counter.quantity)
        }
    }

    /// P of a quantity that was reported, be it zero. Local models: 0.
    pub fn at(&self, quantity: Quantity) -> Result<Exact, Overflow> {
        match &self.shape {
            Shape::Curve(curve) => {
                let exact = curve.at(
                    self.input.parts(quantity.0)?,
                    self.finish.step,
                    self.finish.mode,
                )?;
                Ok(self
                    .finish
                    .maximum
                    .map_or(exact, |maximum| exact.min(maximum)))
            }
            Shape::Local(_) => Ok(Exact::ZERO),
        }
    }

    /// Some of P is due once in a month: a flat, or the flats of tiers.
    pub fn has_flats(&self) -> bool {
        matches!(&self.shape, Shape::Curve(curve) if curve.has_flats())
    }

    /// How much of P at this counter is due once; flats below zero are not.
    pub fn flats(&self, counter: &Counter) -> Result<Exact, Overflow> {
        match &self.shape {
            Shape::Curve(curve) if counter.events != 0 && curve.has_flats() => {
                let flats = curve.flats_at(
                    self.input.parts(counter.quantity.0)?,
                    self.finish.step,
                    self.finish.mode,
                )?;
                Ok(self
                    .finish
                    .maximum
                    .map_or(flats, |maximum| flats.min(maximum)))
            }
            _ => Ok(Exact::ZERO),
        }
    }

    /// What a local model charges for one event, rounded once. Cumulative models: 0. `before` is
    /// only looked at when [`Self::needs_counter`]. A negative amount (a refund) gives back its
    /// percent, no more than the maximum per event, and no fixed part.
    pub fn local(&self, usage: &Usage<'_>, before: &Counter) -> Result<Exact, Unrated> {
        match &self.shape {
            Shape::Curve(_) => Ok(Exact::ZERO),
            Shape::Local(local) => {
                let charge = local.charge(usage, self.amount_from, before, &self.input)?;
                let rounded =
                    rounding::ratio_to_step(charge.amount, self.finish.step, self.finish.mode)?;
                Ok(charge.within_limits(rounded)?)
            }
        }
    }

    /// What an event lacks to be priced on its own: an amount, an attribute, a cell for its values.
    pub fn check(&self, usage: &Usage<'_>) -> Result<(), Unrated> {
        match &self.shape {
            Shape::Curve(_) => Ok(()),
            Shape::Local(local) => local.check(usage),
        }
    }

    /// The price of an event depends on its own place among the others, and not on sums alone:
    /// local models that need the counter. What such events come to depends on their order of
    /// arrival.
    pub fn goes_by_arrival(&self) -> bool {
        matches!(self.shape, Shape::Local(_)) && self.needs_counter()
    }

    /// What the counter's way between two points costs wherever it begins: taking an event back
    /// changes no other one's price.
    pub fn is_even(&self) -> bool {
        match &self.shape {
            Shape::Curve(curve) => {
                curve.is_even()
                    && !self.input.is_remembering()
                    && self.finish.maximum.is_none()
                    && self.finish.step == 1
            }
            Shape::Local(_) => !self.needs_counter(),
        }
    }

    /// Which price of a matrix an event has; 0: none, or the default one.
    pub fn cell(&self, usage: &Usage<'_>) -> u32 {
        match &self.shape {
            Shape::Local(local) => local.cell(usage),
            Shape::Curve(_) => 0,
        }
    }

    /// What the counter costs on its way between two points: P(after) − P(before); of a model that
    /// goes by arrival, what one event costs that moves it so.
    pub fn between(&self, cell: u32, before: &Counter, after: &Counter) -> Result<Exact, Overflow> {
        match &self.shape {
            Shape::Curve(_) => self.p(after)?.checked_sub(self.p(before)?),
            Shape::Local(local) if self.goes_by_arrival() && before.events != after.events => {
                let charge = local.between(cell, before, after, &self.input)?;
                charge.within_limits(rounding::ratio_to_step(
                    charge.amount,
                    self.finish.step,
                    self.finish.mode,
                )?)
            }
            Shape::Local(_) => Ok(Exact::ZERO),
        }
    }

    /// Due at the least when the period is closed.
    pub fn minimum_spend(&self) -> Option<Exact> {
        self.minimum
    }
}

#[cfg(test)]
mod tests;
