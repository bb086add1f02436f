//! The two halves of pricing: `measure` (match, increments: no counter needed, may run before the
//! event's turn) and `price` (the part that depends on the counter: pure and cheap).

use crate::call::{Billed, CallPlan, Stretch};
use crate::card::Aggregation;
use crate::compile::{CompiledCard, Found, Pricing, Terms};
use crate::model::CompiledModel;
use crate::usage::{Counter, Measured, Piece, Priced, Usage};
use crate::{Exact, Overflow, Quantity, Ratio, Unrated, rounding};
use smallvec::{SmallVec, smallvec};

impl CompiledCard {
    /// Matches the usage and computes everything that needs no counter.
    #[inline]
    pub fn measure(&self, usage: &Usage<'_>) -> Result<Measured, Unrated> {
        let Some((found, billed, local)) = self.quick(usage) else {
            return self.measure_long(usage);
        };
        let piece = Piece {
            rate: found.rate,
            step: 0,
            from: Quantity::ZERO,
            billed,
        };
        Ok(Measured {
            found,
            billed,
            local,
            pieces: SmallVec::from_buf([piece]),
            by_steps: true,
            cumulative: false,
            counter: None,
        })
    }

    fn measure_long(&self, usage: &Usage<'_>) -> Result<Measured, Unrated> {
        let found = self.find(usage)?;
        let cumulative =
            matches!(&found.terms.pricing, Pricing::Model { model, .. } if model.is_cumulative());
        let billed = match &found.terms.pricing {
            Pricing::Blocked => return Err(Unrated::Blocked),
            Pricing::Steps(plan) if usage.is_call => self.cut(plan, &found, usage)?,
            Pricing::Steps(plan) => uncut(plan, &found, usage.quantity)?,
            Pricing::Model {
                call,
                model,
                stretches,
            } if is_cut(&found, model, usage) => {
                let billed = self.cut(call.as_ref().unwrap_or(&stretches.own), &found, usage)?;
                Billed {
                    quantity: of_rate(&billed, found.rate.rate)?,
                    ..billed
                }
            }
            Pricing::Model {
                call: Some(plan),
                model,
                ..
            } => {
                let billed = uncut(plan, &found, usage.quantity)?;
                if model.counts_amounts() {
                    Billed {
                        quantity: model.billed(usage)?,
                        ..billed
                    }
                } else {
                    billed
                }
            }
            Pricing::Model {
                call: None, model, ..
            } => whole(&found, model.billed(usage)?),
        };
        if billed.free {
            let (found, pieces) = (found.rate, billed.pieces);
            let nothing = Measured {
                found,
                billed: Quantity::ZERO,
                local: Exact::ZERO,
                pieces,
                by_steps: true,
                cumulative: false,
                counter: None,
            };
            return Ok(nothing);
        }
        let counted = found.terms.counted
            || !usage.is_call
            || matches!(found.terms.pricing, Pricing::Model { .. });
        let local = found.terms.round(billed.amount)?;
        Ok(Measured {
            found: found.rate,
            billed: billed.quantity,
            local: if let Pricing::Steps(plan) = &found.terms.pricing {
                plan.within_limits(local)
            } else {
                local
            },
            pieces: billed.pieces,
            by_steps: matches!(found.terms.pricing, Pricing::Steps(_)),
            cumulative,
            counter: if counted {
                self.counter_id(found.rate.rate, usage)
            } else {
                None
            },
        })
    }

    /// Under the entries of the prefix, one after the other.
    fn cut<'a>(
        &'a self,
        plan: &'a CallPlan,
        found: &Found<'a>,
        usage: &Usage<'_>,
    ) -> Result<Billed, Unrated> {
        let mut looks = 0;
        plan.bill(usage.quantity, |offset, running| {
            looks += found.beside();
            if looks > LOOKS_MAX {
                Err(Overflow.into())
            } else {
                self.stretch(found, usage.at, offset, running)
            }
        })
    }

    /// The price, given where the counter stood before and stands after the usage.
    #[inline]
    pub fn price(
        &self,
        m: &Measured,
        usage: &Usage<'_>,
        before: &Counter,
        after: &Counter,
    ) -> Result<Priced, Unrated> {
        let (mut exact, mut local) = (m.local, m.local);
        if m.by_steps {
            return Ok(Priced {
                exact,
                local,
                before: *before,
                after: *after,
            });
        }
        if let Some(Terms {
            pricing: Pricing::Model { model, .. },
            ..
        }) = self.terms_of(m.found.rate)
        {
            let of_event = model.local(&self.as_billed(m, usage), before)?;
            (exact, local) = (exact.checked_add(of_event)?, local.checked_add(of_event)?);
            if m.cumulative {
                let grown = model.p(after)?.checked_sub(model.p(before)?)?;
                exact = exact.checked_add(grown)?;
            }
        }
        Ok(Priced {
            exact,
            local,
            before: *before,
            after: *after,
        })
    }

    /// What a measured usage still lacks to be priced, found out before its turn.
    pub fn check(&self, m: &Measured, usage: &Usage<'_>) -> Result<(), Unrated> {
        if m.by_steps {
            return Ok(());
        }
        match self.terms_of(m.found.rate).map(|terms| &terms.pricing) {
            Some(Pricing::Model { model, .. }) => model.check(usage),
            _ => Ok(()),
        }
    }

    /// How the counter of a rate moves on a meter of that aggregation.
    pub fn aggregation(&self, rate: u32, of_meter: Aggregation) -> Aggregation {
        match self.terms_of(rate) {
            Some(Terms {
                pricing: Pricing::Model { model, .. },
                ..
            }) => model.aggregation(of_meter),
            _ => of_meter,
        }
    }

    /// A model beside call terms prices the billed quantity.
    fn as_billed<'a>(&self, m: &Measured, usage: &Usage<'a>) -> Usage<'a> {
        match self.terms_of(m.found.rate).map(|terms| &terms.pricing) {
            Some(Pricing::Model {
                call: Some(_),
                model,
                ..
            }) if !model.counts_amounts() => Usage {
                quantity: m.billed,
                ..*usage
            },
            _ => *usage,
        }
    }

    fn model_of(&self, rate: u32) -> Option<&CompiledModel> {
        match &self.terms_of(rate)?.pricing {
            Pricing::Model { model, .. } => Some(model),
            Pricing::Steps(_) | Pricing::Blocked => None,
        }
    }

    /// Events of this rate depend on their order of arrival: [`CompiledModel::goes_by_arrival`].
    pub fn goes_by_arrival(&self, rate: u32) -> bool {
        self.model_of(rate)
            .is_some_and(CompiledModel::goes_by_arrival)
    }

    /// No event's price depends on the others of the month: [`CompiledModel::is_even`].
    pub fn is_even(&self, rate: u32) -> bool {
        self.model_of(rate).is_none_or(CompiledModel::is_even)
    }

    /// Some of the rate's prices are below zero: what it gives was never charged.
    pub fn gives_money(&self, rate: u32) -> bool {
        self.terms_of(rate).is_some_and(|terms| terms.gives_money)
    }

    /// Some of the rate's price is due once in a month: [`CompiledModel::has_flats`].
    pub fn has_flats(&self, rate: u32) -> bool {
        self.terms_of(rate).is_some_and(|terms| terms.has_flats)
    }

    /// How much of the rate's price at this counter is due once: [`CompiledModel::flats`].
    pub fn flats(&self, rate: u32, counter: &Counter) -> Result<Exact, Overflow> {
        self.model_of(rate)
            .map_or(Ok(Exact::ZERO), |model| model.flats(counter))
    }

    /// Which price of a matrix a usage has: [`CompiledModel::cell`].
    pub fn cell(&self, rate: u32, usage: &Usage<'_>) -> u32 {
        self.model_of(rate)
            .filter(|model| model.goes_by_arrival())
            .map_or(0, |model| model.cell(usage))
    }

    /// What the counter's way between two points costs, local terms left out:
    /// [`CompiledModel::between`].
    pub fn between(
        &self,
        rate: u32,
        cell: u32,
        before: &Counter,
        after: &Counter,
    ) -> Result<Exact, Overflow> {
        self.model_of(rate)
            .map_or(Ok(Exact::ZERO), |model| model.between(cell, before, after))
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

/// How often a rate is looked at while one call is cut: a month under a dozen windows looks a few
/// thousand times. Beyond that a call is kept (`overflow`): whoever writes a thousand windows must
/// not keep everybody else waiting.
const LOOKS_MAX: usize = 100_000;

/// Increments under the entry at the start alone: what is no call, and calls priced by P(q).
fn uncut(plan: &CallPlan, found: &Found<'_>, quantity: Quantity) -> Result<Billed, Unrated> {
    plan.bill(quantity, |_, _| {
        Ok(Stretch {
            rate: found.rate.rate,
            plan,
            until: None,
        })
    })
}

/// Whether a call under a price model is priced stretch by stretch: what is counted is time, and
/// summed.
fn is_cut(found: &Found<'_>, model: &CompiledModel, usage: &Usage<'_>) -> bool {
    let is_time =
        model.is_cumulative() && !model.counts_amounts() && usage.aggregation == Aggregation::Sum;
    usage.is_call && usage.quantity > Quantity::ZERO && is_time && found.may_change()
}

/// What was billed under one rate.
fn of_rate(billed: &Billed, rate: u32) -> Result<Quantity, Overflow> {
    let mut own = billed.pieces.iter().filter(|piece| piece.rate == rate);
    own.try_fold(Quantity::ZERO, |sum, piece| sum.checked_add(piece.billed))
}

/// No increments: the quantity as it is.
fn whole(found: &Found<'_>, quantity: Quantity) -> Billed {
    let piece = Piece {
        rate: found.rate.rate,
        step: 0,
        from: Quantity::ZERO,
        billed: quantity,
    };
    Billed {
        quantity,
        amount: Ratio::ZERO,
        pieces: smallvec![piece],
        free: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::{CallTerms, CardDoc, Rate, Rounding, Step, ZeroDuration};
    use crate::money::Rate as Amount;
    use crate::{Currency, Instant};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn amount() -> impl Strategy<Value = Amount> {
        let decimal = |(number, scale)| Amount(rust_decimal::Decimal::new(number, scale));
        prop_oneof![4 => (-9_i64..100_000, 0_u32..7).prop_map(decimal), 1 => (-9_i64..1_000_000_000_000_000, 0_u32..13).prop_map(decimal)]
    }

    /// Seconds, billionths, and the ends of what a machine word or an event holds.
    fn quantity() -> impl Strategy<Value = Quantity> {
        let edge = i128::from(i64::MAX);
        prop_oneof![
            6 => (0_i64..200).prop_map(Quantity::whole),
            1 => (-9_i128..9).prop_map(Quantity),
            1 => (edge - 9..edge + 9).prop_map(Quantity),
            1 => Just(Quantity::EVENT_MAX),
        ]
    }

    fn positive() -> impl Strategy<Value = Quantity> {
        quantity().prop_map(|quantity| quantity.max(Quantity(1)))
    }

    fn rarely<T: std::fmt::Debug>(
        strategy: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Option<T>> {
        prop::option::weighted(0.04, strategy)
    }

    prop_compose! {
        fn call_terms()(
            prices in prop::collection::vec((amount(), 1_i64..70, rarely(quantity()), rarely(amount())), 1..=2),
            blocks in (prop::option::of(positive()), prop::option::of(positive())),
            fees in (prop::option::of(amount()), rarely(amount()), rarely(amount())),
            durations in (prop::option::weighted(0.2, quantity()), rarely(quantity()), rarely(quantity())),
            steps in 1_usize..=8,
        ) -> CallTerms {
            let step = |(n, (price, per, increment, fixed_fee))| {
                Step { from: Quantity::whole(n * 30), price, per: Quantity::whole(per), increment, fixed_fee }
            };
            CallTerms {
                initial: blocks.0,
                next: blocks.1,
                steps: (0_i64..).zip(prices).map(step).take(if steps == 8 { 2 } else { 1 }).collect(),
                connect_fee: fees.0,
                minimum_charge: fees.1,
                maximum_charge: fees.2,
                minimum_duration: durations.0,
                free_if_shorter_than: durations.1,
                included: durations.2,
                zero_duration: if steps % 2 == 0 { ZeroDuration::Charged } else { ZeroDuration::Free },
            }
        }
    }

    prop_compose! {
        fn a_rate()(
            call in call_terms(),
            prefixes in prop::collection::vec("[49]{0,2}", 1..4),
            period in (prop::option::weighted(0.3, 0_i64..20), rarely(0_i64..20)),
            origin in rarely("4{0,1}"),
            attribute in rarely("[ab]"),
            (counted, blocked) in (prop::bool::weighted(0.03), prop::bool::weighted(0.03)),
            rounding in rarely(0_u8..8),
        ) -> Rate {
            Rate {
                key: String::new(),
                meter: "call".to_owned(),
                prefixes,
                origin_prefixes: origin.into_iter().collect(),
                attributes: attribute.map(|value| ("colour".to_owned(), value)).into_iter().collect(),
                name: None,
                effective_from: period.0.map(Instant),
                effective_until: period.1.map(Instant),
                window: None,
                priority: 0,
                blocked,
                call: Some(call.into()),
                price: None,
                counted,
                rounding: rounding.map(|decimals| Rounding { mode: rounding::Mode::HalfUp, decimals }),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn the_short_way_answers_what_the_long_way_does(
            rates in prop::collection::vec(a_rate(), 1..4),
            calls in prop::collection::vec((quantity(), 0_i64..25, "[49]{0,4}", prop::bool::weighted(0.9)), 8),
        ) {
            let rates = (0_i32..).zip(rates).map(|(n, rate)| Rate { key: format!("r{n}"), priority: n, ..rate }).collect();
            let doc = CardDoc { currency: Currency::EUR, zone: "UTC".to_owned(), fallback: None, meters: BTreeMap::new(), rates };
            let Ok(card) = CompiledCard::compile(&doc) else { return Ok(()) };
            for (quantity, at, destination, is_call) in &calls {
                let usage = Usage {
                    meter: "call",
                    is_call: *is_call,
                    aggregation: Aggregation::Sum,
                    at: Instant(*at),
                    quantity: *quantity,
                    amount: None,
                    number: crate::usage::Number::International, destination: Some(destination),
                    origin: None,
                    attributes: &[],
                };
                prop_assert_eq!(card.measure(&usage), card.measure_long(&usage));
            }
        }
    }
}
