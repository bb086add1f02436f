//! What a counter comes to when its prices change under way, and what is left of that without one of its events.
//!
//! A counter is a row of *segments*, in order of arrival: a stretch under one rate of one version, or, where events depend
//! on their order of arrival, one event. A segment keeps what the counter grew by in it; what it costs follows from where
//! it begins. An event that is taken back makes its segment shorter, and those behind it begin earlier: each is priced anew,
//! in its own version, and the month comes to what it would have without the event.
//!
//! Within one version this is P(total) − P(rest): the segments in between cancel out.

use crate::compile::CompiledCard;
use crate::usage::Counter;
use crate::{Exact, Overflow};

/// What prices a stretch of a counter.
#[derive(Debug, Clone, Copy)]
pub struct Pricer<'a> {
    pub card: &'a CompiledCard,
    pub rate: u32,
    pub cell: u32,
}

impl Pricer<'_> {
    pub fn between(&self, before: &Counter, after: &Counter) -> Result<Exact, Overflow> {
        self.card.between(self.rate, self.cell, before, after)
    }
}

/// One stretch, before and after an event was taken back.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub pricer: Pricer<'a>,
    /// What the counter grew by in it.
    pub was: Counter,
    pub is: Counter,
}

/// How the total changes: below zero is given back.
pub fn change(start: Counter, changes: &[Change<'_>]) -> Result<Exact, Overflow> {
    let (mut was_at, mut is_at, mut sum) = (start, start, Exact::ZERO);
    for Change { pricer, was, is } in changes {
        let (was_end, is_end) = (was_at.checked_add(*was)?, is_at.checked_add(*is)?);
        let is_worth = pricer.between(&is_at, &is_end)?;
        sum = sum.checked_add(is_worth.checked_sub(pricer.between(&was_at, &was_end)?)?)?;
        (was_at, is_at) = (was_end, is_end);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantity;
    use crate::card::CardDoc;

    fn card(price: &str) -> CompiledCard {
        let doc = format!(r#"{{"currency":"EUR","rates":[{{"key":"k","meter":"m","price":{price}}}]}}"#);
        let doc: CardDoc = serde_json::from_str(&doc).unwrap();
        CompiledCard::compile(&doc).unwrap()
    }

    fn units(units: i64, events: i64) -> Counter {
        Counter { quantity: Quantity::whole(units), events }
    }

    /// The stretches as (card, units, units left), from zero → what the total changes by, in cents.
    #[track_caller]
    fn check(stretches: &[(&CompiledCard, i64, i64)], want: &str) {
        let change_of = |&(card, was, is): &(_, i64, i64)| {
            let events = i64::from(is > 0);
            Change { pricer: Pricer { card, rate: 0, cell: 0 }, was: units(was, 1), is: units(is, events) }
        };
        let changes: Vec<_> = stretches.iter().map(change_of).collect();
        assert_eq!(change(Counter::default(), &changes).unwrap().in_cents(), want);
    }

    #[test]
    fn later_stretches_are_priced_where_they_begin_now() {
        let dear = card(r#"{"model":"per_unit","unit_price":"1","allowance":"100"}"#);
        let cheap = card(r#"{"model":"per_unit","unit_price":"0.5","allowance":"100"}"#);
        check(&[(&dear, 100, 0), (&cheap, 100, 100)], "-5000");
        check(&[(&dear, 100, 100), (&cheap, 100, 0)], "-5000");
        check(&[(&dear, 100, 60), (&cheap, 100, 100)], "-2000");
        let graduated = card(r#"{"model":"graduated","tiers":[{"up_to":"100","unit_price":"1"},{"unit_price":"0"}]}"#);
        let double = card(r#"{"model":"per_unit","unit_price":"2"}"#);
        check(&[(&graduated, 100, 0), (&double, 10, 10)], "-10000");
        check(&[(&graduated, 100, 0), (&double, 10, 10), (&graduated, 10, 10)], "-9000");
        // Nobody has paid what a flat of the second version costs: it would have been due without the first.
        let flat = card(r#"{"model":"flat","amount":"9.9"}"#);
        let flatter = card(r#"{"model":"flat","amount":"19.9"}"#);
        check(&[(&flat, 1, 0), (&flatter, 1, 1)], "1000");
        check(&[(&flat, 1, 0), (&flatter, 1, 0)], "-990");
    }

    #[test]
    fn what_depends_on_the_order_of_arrival_moves_up() {
        let percent = card(r#"{"model":"percentage","rate":"10","free_events":1}"#);
        assert!(percent.goes_by_arrival(0) && !percent.is_even(0));
        check(&[(&percent, 10, 0), (&percent, 20, 20), (&percent, 30, 30)], "-200");
        check(&[(&percent, 10, 10), (&percent, 20, 0), (&percent, 30, 30)], "-200");
        check(&[(&percent, 10, 0)], "0");
    }

    #[test]
    fn even_prices_are_told_from_others() {
        for (price, is_even) in [
            (r#"{"model":"per_unit","unit_price":"0.0123"}"#, true),
            (r#"{"model":"percentage","rate":"10"}"#, true),
            (r#"{"model":"per_unit","unit_price":"1","per":"3"}"#, false),
            (r#"{"model":"per_unit","unit_price":"1","allowance":"1"}"#, false),
            (r#"{"model":"per_unit","unit_price":"1","maximum_spend":"9"}"#, false),
            (r#"{"model":"flat","amount":"1"}"#, false),
            (r#"{"model":"package","size":"3","amount":"1"}"#, false),
            (r#"{"model":"percentage","rate":"10","free_amount":"5"}"#, false),
            (r#"{"model":"graduated","tiers":[{"up_to":"5","unit_price":"1"},{"unit_price":"2"}]}"#, false),
        ] {
            assert_eq!(card(price).is_even(0), is_even, "{price}");
        }
    }
}
