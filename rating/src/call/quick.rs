//! What nearly every call costs, in a few machine words: one price all day long, in increments.
//!
//! A rate of a deck has one step, and nothing that depends on the hour, so its calls are never cut
//! and the closed form of [`CallPlan::bill`] is one division of numbers that fit 64 bits. Anything
//! else, and any number that does not fit, is `None`: the long way decides, and names the error.
//!
//! Invariant: what is answered here is what the long way answers.

use super::CallPlan;
use crate::rounding::{self, Mode};
use crate::{Exact, Instant, Quantity, Ratio};

/// Quantities in billionths, money in `1 / den` of 10⁻¹² cents. One line of the processor's cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct QuickPlan {
    from: Instant,
    free_if_shorter_than: i64,
    minimum_duration: i64,
    first: i64,
    next: i64,
    /// Fees and the first increment.
    first_price: i64,
    next_price: i64,
    den: i64,
}

impl QuickPlan {
    /// In force at no instant.
    pub(crate) const NEVER: Self = Self {
        from: Instant(i64::MAX),
        free_if_shorter_than: 0,
        minimum_duration: 0,
        first: 0,
        next: 1,
        first_price: 0,
        next_price: 0,
        den: 1,
    };

    /// `plan`, in force from an instant on for ever. `None`: it wants the long way.
    pub(crate) fn new(plan: &CallPlan, from: Instant) -> Option<Self> {
        let [step] = plan.steps.as_slice() else {
            return None;
        };
        if plan.included != 0
            || plan.minimum_charge.is_some()
            || plan.maximum_charge.is_some()
            || step.first.den != step.next.den
        {
            return None;
        }
        let fees = plan
            .connect_fee
            .checked_add(step.fixed_fee.unwrap_or(Ratio::ZERO))
            .ok()?;
        let first = fees.checked_add(step.first.cost(1).ok()?).ok()?;
        let word = |number: i128| i64::try_from(number).ok();
        Some(Self {
            from,
            free_if_shorter_than: word(plan.free_if_shorter_than)?,
            minimum_duration: word(plan.minimum_duration)?,
            first: word(step.first.size)?,
            next: word(step.next.size)?,
            first_price: word(first.num())?,
            next_price: word(step.next.num)?,
            den: word(step.next.den).filter(|&den| i128::from(den) == first.den())?,
        })
    }

    /// What a call that lasts `quantity` is billed as, and costs. `None`: the long way decides.
    #[inline]
    pub(crate) fn bill(&self, at: Instant, quantity: Quantity) -> Option<(Quantity, Exact)> {
        let quantity = i64::try_from(quantity.0).ok()?;
        if at < self.from || quantity <= 0 || quantity < self.free_if_shorter_than {
            return None;
        }
        let rest = Quantity(
            (quantity.max(self.minimum_duration) - self.first)
                .max(0)
                .into(),
        );
        let count =
            i64::try_from(rounding::blocks(rest, Quantity(self.next.into()), Mode::Ceil).ok()?)
                .ok()?;
        let billed = count.checked_mul(self.next)?.checked_add(self.first)?;
        let price = count
            .checked_mul(self.next_price)?
            .checked_add(self.first_price)?;
        let exact = rounding::divide(price.into(), self.den.into(), Mode::HalfEven).ok()?;
        Some((Quantity(billed.into()), Exact(exact)))
    }
}
