//! From the meter's quantity to what a model prices: unit conversion, whole units, allowance.
//!
//! Quantities inside a compiled model are *parts*: a billionth of the priced unit, or, under an
//! exact conversion `num / den`, a `den`-th of that, so that no conversion ever loses a digit.

use crate::card::{Conversion, ConversionOp};
use crate::ratio::gcd;
use crate::rounding::{self, Mode};
use crate::{Overflow, Quantity, Ratio};

/// A unit conversion by an exact factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converter {
    num: i128,
    den: i128,
    round: Option<Mode>,
}

impl Converter {
    const SAME: Self = Self {
        num: 1,
        den: 1,
        round: None,
    };

    /// `Overflow`: the factor is not positive or cannot be held.
    pub fn new(conversion: &Conversion) -> Result<Self, Overflow> {
        let factor = conversion.factor.0.normalize();
        let (num, den) = (
            factor.mantissa(),
            10_i128.checked_pow(factor.scale()).ok_or(Overflow)?,
        );
        if num <= 0 {
            return Err(Overflow);
        }
        let shared = gcd(num, den);
        let (num, den) = match conversion.op {
            ConversionOp::Multiply => (num / shared, den / shared),
            ConversionOp::Divide => (den / shared, num / shared),
        };
        Ok(Self {
            num,
            den,
            round: conversion.round,
        })
    }

    /// The converted quantity in billionths of the new unit, a fraction if it has more decimals.
    pub fn convert(&self, quantity: Quantity) -> Result<Ratio, Overflow> {
        Ratio::new(self.parts(quantity.0)?, self.scale()).map(Ratio::reduced)
    }

    /// Parts in one billionth of the priced unit.
    fn scale(&self) -> i128 {
        if self.round.is_some() { 1 } else { self.den }
    }

    fn parts(&self, billionths: i128) -> Result<i128, Overflow> {
        let scaled = billionths.checked_mul(self.num).ok_or(Overflow)?;
        let Some(mode) = self.round else {
            return Ok(scaled);
        };
        let den = self.den.checked_mul(Quantity::ONE).ok_or(Overflow)?;
        rounding::divide(scaled, den, mode)?
            .checked_mul(Quantity::ONE)
            .ok_or(Overflow)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    converter: Converter,
    /// Parts, free per period.
    allowance: i128,
}

impl Input {
    pub(super) fn new(converter: Option<Converter>) -> Self {
        Self {
            converter: converter.unwrap_or(Converter::SAME),
            allowance: 0,
        }
    }

    pub(super) fn with_allowance(self, parts: i128) -> Self {
        Self {
            allowance: parts,
            ..self
        }
    }

    /// Parts in one billionth of the priced unit.
    pub(super) fn scale(&self) -> i128 {
        self.converter.scale()
    }

    /// The parts of an event depend on what was reported before it.
    pub(super) fn is_remembering(&self) -> bool {
        self.allowance != 0 || self.converter.round.is_some()
    }

    /// The parts that a cumulative quantity (billionths of the meter's unit) is priced by.
    pub(super) fn parts(&self, billionths: i128) -> Result<i128, Overflow> {
        let parts = if self.converter == Converter::SAME {
            billionths
        } else {
            self.converter.parts(billionths)?
        };
        if self.allowance == 0 {
            return Ok(parts);
        }
        // A difference with what is positive cannot leave the range upwards; below zero all is
        // free.
        Ok(if parts <= self.allowance {
            0
        } else {
            parts - self.allowance
        })
    }
}
