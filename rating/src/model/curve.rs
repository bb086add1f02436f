//! A cumulative price as pieces of one form: `(base + slope · blocks(q − start)) / den`.
//!
//! A line is a piece whose block is one part, so that no division is needed; graduated tiers bring
//! what the tiers below cost in `base`, volume tiers start at zero again. `den` is common to all
//! pieces and positive; pieces ascend by `up_to` (inclusive), the last one has no end.

use crate::ratio::gcd;
use crate::rounding::{self, Mode};
use crate::{Exact, Overflow, Ratio};
use smallvec::SmallVec;

/// Quantities in parts (see `Input`), amounts in 10⁻¹² cents · `den`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Curve {
    pieces: SmallVec<[Piece; 1]>,
    den: i128,
    mode: Mode,
    floor_at_zero: bool,
    counts_amounts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    up_to: i128,
    start: i128,
    base: i128,
    /// Of `base`: what is due once, for the tiers entered so far.
    flat: i128,
    slope: i128,
    block: i128,
}

/// One tier before it is folded: 10⁻¹² cents per block, and once when it is entered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leg {
    /// End in parts, inclusive; of the last one it does not matter.
    pub up_to: i128,
    /// Parts. 1: pro rata.
    pub block: i128,
    pub price: i128,
    pub flat: i128,
}

/// What the pieces of a curve build on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Build {
    /// Each tier prices what lies in it.
    TierByTier,
    /// The tier that is reached prices everything.
    TopTier,
}

impl Curve {
    /// `legs` must not be empty and ascend; `den` is how many parts a leg's price is for.
    pub(super) fn build(
        legs: &[Leg],
        den: i128,
        mode: Mode,
        build: Build,
    ) -> Result<Self, Overflow> {
        let shared = legs.iter().fold(den, |shared, leg| gcd(shared, leg.price));
        let den = den / shared;
        let mut pieces: SmallVec<[Piece; 1]> = SmallVec::with_capacity(legs.len());
        let (mut start, mut below, mut flats) = (0_i128, 0_i128, 0_i128);
        for leg in legs {
            let (slope, flat) = (
                leg.price / shared,
                leg.flat.checked_mul(den).ok_or(Overflow)?,
            );
            let (from, base) = match build {
                Build::TierByTier => (start, below.checked_add(flat).ok_or(Overflow)?),
                Build::TopTier => (0, flat),
            };
            flats = if build == Build::TierByTier {
                flats.checked_add(flat).ok_or(Overflow)?
            } else {
                flat
            };
            let piece = Piece {
                up_to: leg.up_to,
                start: from,
                base,
                flat: flats,
                slope,
                block: leg.block,
            };
            if pieces.len() + 1 < legs.len() {
                (start, below) = (leg.up_to, piece.value(leg.up_to, mode)?);
            }
            pieces.push(piece);
        }
        if let Some(last) = pieces.last_mut() {
            last.up_to = i128::MAX;
        }
        let floor_at_zero = legs.first().is_some_and(|leg| leg.flat != 0);
        Ok(Self {
            pieces,
            den,
            mode,
            floor_at_zero,
            counts_amounts: false,
        }
        .reduced())
    }

    /// A package: started blocks after `free` parts.
    pub(super) fn after_free(mut self, free: i128) -> Self {
        for piece in &mut self.pieces {
            piece.start = free;
        }
        self
    }

    /// Blocks are not given back below zero.
    pub(super) fn counting_blocks(mut self) -> Self {
        self.floor_at_zero = true;
        self
    }

    pub(super) fn of_amounts(mut self) -> Self {
        self.counts_amounts = true;
        self
    }

    pub(super) fn counts_amounts(&self) -> bool {
        self.counts_amounts
    }

    /// A straight line through zero, without fractions that are rounded.
    pub(super) fn is_even(&self) -> bool {
        matches!(
            self.pieces.as_slice(),
            [Piece {
                start: 0,
                base: 0,
                block: 1,
                ..
            }]
        ) && self.den == 1
            && !self.floor_at_zero
    }

    /// The whole curve times a fraction (a percent discount).
    pub(super) fn times(mut self, keep: Ratio) -> Result<Self, Overflow> {
        for piece in &mut self.pieces {
            piece.base = piece.base.checked_mul(keep.num()).ok_or(Overflow)?;
            piece.flat = piece.flat.checked_mul(keep.num()).ok_or(Overflow)?;
            piece.slope = piece.slope.checked_mul(keep.num()).ok_or(Overflow)?;
        }
        self.den = self.den.checked_mul(keep.den()).ok_or(Overflow)?;
        Ok(self.reduced())
    }

    fn reduced(mut self) -> Self {
        let shared = self.pieces.iter().fold(self.den, |shared, piece| {
            gcd(gcd(gcd(shared, piece.base), piece.flat), piece.slope)
        });
        for piece in &mut self.pieces {
            piece.base /= shared;
            piece.flat /= shared;
            piece.slope /= shared;
        }
        self.den /= shared;
        self
    }

    /// The amount at a quantity in parts, as a multiple of `step` 10⁻¹² cents.
    pub(super) fn at(&self, parts: i128, step: i128, mode: Mode) -> Result<Exact, Overflow> {
        let piece = self.reached(parts)?;
        let blocks = piece.blocks(parts, self.mode, self.floor_at_zero)?;
        let den = if step == 1 {
            self.den
        } else {
            self.den.checked_mul(step).ok_or(Overflow)?
        };
        rounding::divide_sum(blocks, piece.slope, piece.base, den, mode)?
            .checked_mul(step)
            .map(Exact)
            .ok_or(Overflow)
    }

    fn reached(&self, parts: i128) -> Result<&Piece, Overflow> {
        let reached = match self.pieces.len() {
            1 => 0,
            _ => self.pieces.partition_point(|piece| piece.up_to < parts),
        };
        self.pieces.get(reached).ok_or(Overflow)
    }

    /// Some of it is due once, when a tier is entered.
    pub(super) fn has_flats(&self) -> bool {
        self.pieces.iter().any(|piece| piece.flat > 0)
    }

    /// What of the amount at a quantity is due once.
    pub(super) fn flats_at(&self, parts: i128, step: i128, mode: Mode) -> Result<Exact, Overflow> {
        let flat = self.reached(parts)?.flat.max(0);
        let den = if step == 1 {
            self.den
        } else {
            self.den.checked_mul(step).ok_or(Overflow)?
        };
        rounding::divide_sum(0, 0, flat, den, mode)?
            .checked_mul(step)
            .map(Exact)
            .ok_or(Overflow)
    }
}

impl Piece {
    fn blocks(&self, parts: i128, mode: Mode, floor_at_zero: bool) -> Result<i128, Overflow> {
        let inside = parts.checked_sub(self.start).ok_or(Overflow)?;
        let inside = if floor_at_zero { inside.max(0) } else { inside };
        if self.block == 1 {
            Ok(inside)
        } else {
            rounding::divide(inside, self.block, mode)
        }
    }

    /// What everything up to an end costs, times the curve's `den`.
    fn value(&self, parts: i128, mode: Mode) -> Result<i128, Overflow> {
        self.blocks(parts, mode, true)?
            .checked_mul(self.slope)
            .and_then(|amount| amount.checked_add(self.base))
            .ok_or(Overflow)
    }
}
