//! Calls, and events counted in increments: closed form, O(pieces), never O(seconds).
//!
//! A call is billed from its start (after what is `included`) in increments: the first block once,
//! then the following steps. It is cut where another entry of its prefix comes into force, a window
//! opens or closes, or a step begins. An increment that runs past a cut eats into the next piece:
//! the next piece begins where the increment ends, so no second is billed twice and the whole is at
//! least the call and less than the call plus one increment.
//!
//! What is priced by steps or by the unit prices its own stretch of a call. An entry that is
//! blocked, or whose price depends on the month's quantity, prices (or refuses) the calls that
//! begin under it: a call under way runs on under the entry before. A stretch without any entry is
//! [`Unrated::Gap`]. A step's fixed fee is due once per call, when a piece begins in that step.

mod quick;

pub(crate) use quick::QuickPlan;

use crate::card::{CallTerms, Step, ZeroDuration};
use crate::money::{Rate as Amount, pico_cents};
use crate::ratio::{gcd, product};
use crate::usage::Piece;
use crate::{Currency, Exact, Instant, Overflow, Quantity, Ratio, Unrated, rounding};
use smallvec::{SmallVec, smallvec};

/// Pieces of one call: 27 years of daily windows. More is refused as too large a number.
pub const PIECES_MAX: usize = 10_000;

/// One increment and its price: `num / den` of 10⁻¹² cents. The blocks of a plan share their
/// denominator wherever it can be held, so that a call adds up in whole numbers.
#[derive(Debug, Clone, Copy)]
struct Block {
    size: i128,
    num: i128,
    den: i128,
}

/// Largest common denominator of a plan.
const COMMON_DEN_MAX: i128 = 1_000_000_000_000;

#[derive(Debug, Clone)]
struct StepPlan {
    from: i128,
    /// The block with which a call begins, and those that follow.
    first: Block,
    next: Block,
    fixed_fee: Option<Ratio>,
}

/// Call terms in scaled integers: quantities in billionths, money in 10⁻¹² cents.
#[derive(Debug, Clone)]
pub struct CallPlan {
    /// Empty: the billed quantity is priced by P(q).
    steps: SmallVec<[StepPlan; 1]>,
    initial: i128,
    next: i128,
    connect_fee: Ratio,
    minimum_duration: i128,
    free_if_shorter_than: i128,
    included: i128,
    zero_is_free: bool,
    minimum_charge: Option<i128>,
    maximum_charge: Option<i128>,
}

/// What the increments make of an event, before its one rounding.
#[derive(Debug)]
pub struct Billed {
    pub quantity: Quantity,
    pub amount: Ratio,
    pub pieces: SmallVec<[Piece; 1]>,
    /// It costs nothing at all, and counts for nothing.
    pub free: bool,
}

/// The entry in force at some offset, and the offset at which another may be (`None`: never).
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    pub rate: u32,
    pub plan: &'a CallPlan,
    pub until: Option<i128>,
}

impl Block {
    /// `price`: of a billionth.
    fn new(size: Quantity, price: Ratio) -> Result<Self, Overflow> {
        let unit = price.checked_mul(Ratio::whole(size.0))?.reduced();
        Ok(Self {
            size: size.0,
            num: unit.num(),
            den: unit.den(),
        })
    }
    #[inline]
    fn cost(&self, count: i128) -> Result<Ratio, Overflow> {
        Ratio::new(product(self.num, count)?, self.den)
    }
    fn over(self, den: i128) -> Result<Self, Overflow> {
        Ok(Self {
            num: self.num.checked_mul(den / self.den).ok_or(Overflow)?,
            den,
            ..self
        })
    }
}

impl CallPlan {
    /// Fails only on numbers that leave the range (and on increments or units that are not
    /// positive, which validation names).
    pub fn compile(terms: &CallTerms, currency: Currency) -> Result<Self, Overflow> {
        let next = terms.next.unwrap_or(Quantity::whole(1));
        let initial = terms.initial.unwrap_or(next);
        let fee = |amount: Option<Amount>| amount.map(|a| pico_cents(a, currency)).transpose();
        let units = |quantity: Option<Quantity>| quantity.map_or(0, |q| q.0);
        if next.0 <= 0 || initial.0 <= 0 {
            return Err(Overflow);
        }
        let plan = Self {
            steps: terms
                .steps
                .iter()
                .map(|step| StepPlan::compile(step, initial, next, currency))
                .collect::<Result<_, _>>()?,
            initial: initial.0,
            next: next.0,
            connect_fee: Ratio::whole(fee(terms.connect_fee)?.unwrap_or(0)),
            minimum_duration: units(terms.minimum_duration),
            free_if_shorter_than: units(terms.free_if_shorter_than),
            included: units(terms.included),
            zero_is_free: terms.zero_duration == ZeroDuration::Free,
            minimum_charge: fee(terms.minimum_charge)?,
            maximum_charge: fee(terms.maximum_charge)?,
        };
        Ok(plan.over_common_den().unwrap_or(plan))
    }

    /// Increments alone, to the billionth where there are none.
    pub fn unpriced(terms: Option<&CallTerms>) -> Result<Self, Overflow> {
        let exact = CallTerms {
            next: Some(Quantity(1)),
            ..CallTerms::default()
        };
        let terms = terms.map_or(exact, |terms| CallTerms {
            initial: terms.initial,
            next: terms.next,
            ..CallTerms::default()
        });
        // Without amounts no currency counts.
        Self::compile(&terms, Currency::EUR)
    }

    /// The same increments at this price of a billionth.
    pub fn by_unit(&self, price: Ratio) -> Result<Self, Overflow> {
        let (first, next) = (
            Block::new(Quantity(self.initial), price)?,
            Block::new(Quantity(self.next), price)?,
        );
        let plan = Self {
            steps: smallvec![StepPlan {
                from: 0,
                first,
                next,
                fixed_fee: None
            }],
            ..self.clone()
        };
        Ok(plan.over_common_den().unwrap_or(plan))
    }

    /// The same plan with one denominator throughout, unless a number grows too large for it.
    fn over_common_den(&self) -> Option<Self> {
        let mut den = 1_i128;
        for block in self.steps.iter().flat_map(|step| [step.first, step.next]) {
            den = (den / gcd(den, block.den))
                .checked_mul(block.den)
                .filter(|&den| den <= COMMON_DEN_MAX)?;
        }
        let over = |fee: Ratio| {
            fee.num()
                .checked_mul(den)
                .and_then(|num| Ratio::new(num, den).ok())
        };
        let mut plan = Self {
            connect_fee: over(self.connect_fee)?,
            ..self.clone()
        };
        for step in &mut plan.steps {
            (step.first, step.next) = (step.first.over(den).ok()?, step.next.over(den).ok()?);
            step.fixed_fee = match step.fixed_fee {
                Some(fee) => Some(over(fee)?),
                None => None,
            };
        }
        Some(plan)
    }

    pub fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Bills `quantity` by the entries that `at` names for an offset (and the rate that ran until
    /// there); `self` is the one at the start. `at` must name a stretch that ends after the offset
    /// asked for.
    #[inline]
    pub fn bill<'a>(
        &'a self,
        quantity: Quantity,
        mut at: impl FnMut(i128, Option<u32>) -> Result<Stretch<'a>, Unrated>,
    ) -> Result<Billed, Unrated> {
        let mut billed = Billed {
            quantity: Quantity::ZERO,
            amount: Ratio::ZERO,
            pieces: SmallVec::new(),
            free: true,
        };
        if quantity.is_negative() {
            return Err(Overflow.into());
        }
        if (quantity.0 == 0 && self.zero_is_free) || quantity.0 < self.free_if_shorter_than {
            return Ok(billed);
        }
        (billed.amount, billed.free) = (self.connect_fee, false);
        let end = quantity.0.max(self.minimum_duration);
        let mut position = self.included;
        let mut running = None;
        while position < end {
            let stretch = at(position, running)?;
            let end_here = stretch.until.map_or(end, |until| until.min(end));
            position = stretch.run(position, end_here, running.is_some(), &mut billed)?;
            running = Some(stretch.rate);
        }
        billed.quantity = Quantity(position.saturating_sub(self.included).max(0));
        Ok(billed)
    }

    /// What a call costs, given its rounded amount: limits are money, so they come last.
    pub fn within_limits(&self, amount: Exact) -> Exact {
        let amount = self
            .minimum_charge
            .map_or(amount, |minimum| amount.max(Exact(minimum)));
        self.maximum_charge
            .map_or(amount, |maximum| amount.min(Exact(maximum)))
    }

    /// The step at an offset, and where the next one begins.
    fn step_at(&self, offset: i128) -> (usize, Option<i128>) {
        if self.steps.len() == 1 {
            return (0, None);
        }
        let after = self
            .steps
            .partition_point(|step| step.from <= offset)
            .max(1);
        (after - 1, self.steps.get(after).map(|step| step.from))
    }
}

impl StepPlan {
    fn compile(
        step: &Step,
        initial: Quantity,
        next: Quantity,
        currency: Currency,
    ) -> Result<Self, Overflow> {
        let (first, next) = step.increment.map_or((initial, next), |own| (own, own));
        if first.0 <= 0 || next.0 <= 0 || step.per.0 <= 0 {
            return Err(Overflow);
        }
        let price = Ratio::new(pico_cents(step.price, currency)?, step.per.0)?;
        Ok(Self {
            from: step.from.0,
            first: Block::new(first, price)?,
            next: Block::new(next, price)?,
            fixed_fee: step
                .fixed_fee
                .map(|fee| pico_cents(fee, currency).map(Ratio::whole))
                .transpose()?,
        })
    }
}

impl Stretch<'_> {
    /// Bills from `position` until at least `end` under this entry: where the last increment ends.
    fn run(
        &self,
        mut position: i128,
        end: i128,
        mut begun: bool,
        billed: &mut Billed,
    ) -> Result<i128, Overflow> {
        while position < end {
            let (step, next_step) = self.plan.step_at(position);
            let end_here = next_step.map_or(end, |from| from.min(end));
            let from = position;
            if self.plan.steps.is_empty() {
                position = advance(position, end_here, self.plan.initial, self.plan.next, begun)?;
            } else {
                position = self.plan.steps[step].price(position, end_here, begun, billed)?;
                self.fee_once(step, billed)?;
            }
            begun = true;
            self.note(step, from, position, billed)?;
        }
        Ok(position)
    }

    /// The step's fixed fee, unless a piece of the call has begun in it before.
    fn fee_once(&self, step: usize, billed: &mut Billed) -> Result<(), Overflow> {
        let Some(fee) = self.plan.steps[step].fixed_fee else {
            return Ok(());
        };
        if !billed
            .pieces
            .iter()
            .any(|piece| piece.rate == self.rate && usize::from(piece.step) == step)
        {
            billed.amount = billed.amount.checked_add(fee)?;
        }
        Ok(())
    }

    /// Notes the piece, joined to the one before if nothing changed between them.
    fn note(
        &self,
        step: usize,
        from: i128,
        until: i128,
        billed: &mut Billed,
    ) -> Result<(), Overflow> {
        let step = u16::try_from(step).map_err(|_| Overflow)?;
        let length = until - from;
        if let Some(last) = billed
            .pieces
            .last_mut()
            .filter(|last| last.rate == self.rate && last.step == step)
        {
            last.billed = last.billed.checked_add(Quantity(length))?;
            return Ok(());
        }
        if billed.pieces.len() >= PIECES_MAX {
            return Err(Overflow);
        }
        billed.pieces.push(Piece {
            rate: self.rate,
            step,
            from: Quantity(from),
            billed: Quantity(length),
        });
        Ok(())
    }
}

impl StepPlan {
    /// Adds the blocks that cover `position..end`: where the last of them ends.
    #[inline]
    fn price(
        &self,
        mut position: i128,
        end: i128,
        begun: bool,
        billed: &mut Billed,
    ) -> Result<i128, Overflow> {
        if !begun {
            billed.amount = billed.amount.checked_add(self.first.cost(1)?)?;
            position = position.checked_add(self.first.size).ok_or(Overflow)?;
        }
        if position < end {
            let count = rounding::blocks(
                Quantity(end - position),
                Quantity(self.next.size),
                rounding::Mode::Ceil,
            )?;
            billed.amount = billed.amount.checked_add(self.next.cost(count)?)?;
            position = position
                .checked_add(product(count, self.next.size)?)
                .ok_or(Overflow)?;
        }
        Ok(position)
    }
}

/// As [`StepPlan::price`], without a price.
fn advance(
    position: i128,
    end: i128,
    initial: i128,
    next: i128,
    begun: bool,
) -> Result<i128, Overflow> {
    let position = if begun {
        position
    } else {
        position.checked_add(initial).ok_or(Overflow)?
    };
    if position >= end {
        return Ok(position);
    }
    let count = rounding::blocks(
        Quantity(end - position),
        Quantity(next),
        rounding::Mode::Ceil,
    )?;
    position.checked_add(product(count, next)?).ok_or(Overflow)
}

/// Billionths of a second from `start` to a later instant.
pub fn offset_of(start: Instant, later: Instant) -> i128 {
    i128::from(later.micros() - start.micros()) * 1_000
}

/// The instant at an offset (whole microseconds), if the calendar has it.
pub fn instant_at(start: Instant, offset: i128) -> Option<Instant> {
    let micros = i64::try_from(offset / 1_000).ok()?;
    start
        .micros()
        .checked_add(micros)
        .and_then(Instant::from_micros)
}
