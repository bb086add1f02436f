//! The two halves of pricing: `measure` (match, increments: no counter needed, may run before the
//! event's turn) and `price` (the part that depends on the counter: pure and cheap).

use crate::call::{Billed, CallPlan, Stretch};
use crate::card::Aggregation;
use crate::compile::{CompiledCard, Found, Pricing, Terms};
use crate::usage::{Counter, Measured, Piece, Priced, Usage};
use crate::{Exact, Overflow, Quantity, Ratio, Unrated, rounding};
use smallvec::smallvec;

impl CompiledCard {
    /// Matches the usage and computes everything that needs no counter.
    pub fn measure(&self, usage: &Usage<'_>) -> Result<Measured, Unrated> {
        let found = self.find(usage)?;
        let cumulative = matches!(&found.terms.pricing, Pricing::Model { model, .. } if model.is_cumulative());
        let billed = match &found.terms.pricing {
            Pricing::Blocked => return Err(Unrated::Blocked),
            Pricing::Steps(plan) if usage.is_call => plan.bill(usage.quantity, |offset| self.stretch(&found, usage.at, offset))?,
            Pricing::Steps(plan) => uncut(plan, &found, usage.quantity)?,
            Pricing::Model { call: Some(plan), model } => {
                let billed = uncut(plan, &found, usage.quantity)?;
                if model.counts_amounts() { Billed { quantity: model.billed(usage)?, ..billed } } else { billed }
            }
            Pricing::Model { call: None, model } => whole(&found, model.billed(usage)?),
        };
        let counted = found.terms.counted || !usage.is_call || matches!(found.terms.pricing, Pricing::Model { .. });
        Ok(Measured {
            found: found.rate,
            billed: billed.quantity,
            local: found.terms.round(billed.amount)?,
            pieces: billed.pieces,
            cumulative,
            counter: if counted { self.counter_id(found.rate.rate, usage.at) } else { None },
        })
    }

    /// The price, given where the counter stood before and stands after the usage.
    pub fn price(&self, m: &Measured, usage: &Usage<'_>, before: &Counter, after: &Counter) -> Result<Priced, Unrated> {
        let (mut exact, mut local) = (m.local, m.local);
        if let Some(Terms { pricing: Pricing::Model { model, .. }, .. }) = self.terms_of(m.found.rate) {
            let of_event = model.local(&self.as_billed(m, usage), before)?;
            (exact, local) = (exact.checked_add(of_event)?, local.checked_add(of_event)?);
            if m.cumulative {
                let grown = model.p(after)?.checked_sub(model.p(before)?)?;
                exact = exact.checked_add(grown)?;
            }
        }
        Ok(Priced { exact, local, before: *before, after: *after })
    }

    /// How the counter of a rate moves on a meter of that aggregation.
    pub fn aggregation(&self, rate: u32, of_meter: Aggregation) -> Aggregation {
        match self.terms_of(rate) {
            Some(Terms { pricing: Pricing::Model { model, .. }, .. }) => model.aggregation(of_meter),
            _ => of_meter,
        }
    }

    /// A model beside call terms prices the billed quantity.
    fn as_billed<'a>(&self, m: &Measured, usage: &Usage<'a>) -> Usage<'a> {
        match self.terms_of(m.found.rate).map(|terms| &terms.pricing) {
            Some(Pricing::Model { call: Some(_), model }) if !model.counts_amounts() => Usage { quantity: m.billed, ..*usage },
            _ => *usage,
        }
    }

    /// Takes an earlier charge back in its own version: P(after) − P(before) now, with a counter that
    /// goes down, and the charge's own local part as it was.
    ///
    /// `billed` is what that charge had counted; the counters given already differ by it.
    pub fn give_back(&self, rate: u32, _billed: Quantity, local: Exact, before: &Counter, after: &Counter) -> Result<Priced, Overflow> {
        let local = local.checked_neg()?;
        let mut exact = local;
        if let Some(Terms { pricing: Pricing::Model { model, .. }, .. }) = self.terms_of(rate)
            && model.is_cumulative()
        {
            exact = exact.checked_add(model.p(after)?.checked_sub(model.p(before)?)?)?;
        }
        Ok(Priced { exact, local, before: *before, after: *after })
    }
}

impl Terms {
    /// The event's one rounding: the rate's own, if it has one, then to 10⁻¹² cent.
    fn round(&self, amount: Ratio) -> Result<Exact, Overflow> {
        match self.rounding {
            Some(step) => rounding::ratio_to_step(amount, step.size, step.mode),
            None => rounding::to_exact(amount),
        }
    }
}

/// Increments under the entry at the start alone: what is no call, and calls priced by P(q).
fn uncut(plan: &CallPlan, found: &Found<'_>, quantity: Quantity) -> Result<Billed, Unrated> {
    plan.bill(quantity, |_| Ok(Stretch { rate: found.rate.rate, plan, until: None }))
}

/// No increments: the quantity as it is.
fn whole(found: &Found<'_>, quantity: Quantity) -> Billed {
    let piece = Piece { rate: found.rate.rate, step: 0, from: Quantity::ZERO, billed: quantity };
    Billed { quantity, amount: Ratio::ZERO, pieces: smallvec![piece] }
}
