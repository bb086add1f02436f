//! What a counter comes to when its prices change under way, and what is left of that without one of its events.
//!
//! A counter is a row of *segments*, in order of arrival: a stretch under one rate of one version, or, where events depend
//! on their order of arrival, one event. A segment keeps what the counter grew by in it; what it costs follows from where
//! it begins. An event that is taken back makes its segment shorter, and those behind it begin earlier: each is priced anew,
//! in its own version, and the month comes to what it would have without the event.
//!
//! Over a change of prices a counter gives back no more than it was charged so far: its own prices may say that it was
//! charged more, but nobody was. What was charged before the first change is not bounded (it began at nothing), nor are prices
//! below zero, whose seller gives money away. Segments without an event are none: those beside one are one stretch if they
//! have the same prices. What goes by order of arrival is an event's own, and neither bounded nor counted as charged.
//!
//! Within one version this is P(total) − P(rest): the segments in between cancel out.

use crate::compile::CompiledCard;
use crate::usage::{Counter, Priced};
use crate::{CardVersionId, Exact, Overflow};
use serde::{Deserialize, Serialize};

/// What prices a segment: a rate of a version, and which price of a matrix (0: there are not several).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    pub version: CardVersionId,
    pub rate: u32,
    pub cell: u32,
}

/// What a counter was charged so far by its prices, what goes by order of arrival left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Charged {
    /// What prices it since the last change; `None`: nothing was counted.
    pub by: Option<By>,
    /// What was charged before the change, and what these prices add.
    pub sum: Exact,
    /// It was charged no less, whatever they add; `None`: there is no bound.
    pub least: Option<Exact>,
}

impl Charged {
    pub fn total(&self) -> Exact {
        self.least.map_or(self.sum, |least| self.sum.max(least))
    }

    /// Once these prices add so much. `gives`: some of them are below zero.
    pub fn grown(&self, by: By, gives: bool, more: Exact) -> Result<Self, Overflow> {
        if self.by == Some(by) {
            return Ok(Self { sum: self.sum.checked_add(more)?, ..*self });
        }
        let before = self.total();
        let least = (self.by.is_some() && !gives).then(|| before.min(Exact::ZERO));
        Ok(Self { by: Some(by), sum: before.checked_add(more)?, least })
    }

    /// An event's price, which gives back no more than was charged; and what is charged with it.
    pub fn price(&self, by: By, gives: bool, priced: Priced) -> Result<(Priced, Self), Overflow> {
        let is = self.grown(by, gives, priced.exact.checked_sub(priced.local)?)?;
        let exact = priced.local.checked_add(is.total().checked_sub(self.total())?)?;
        Ok((Priced { exact, ..priced }, is))
    }

    /// The same as [`Self::grown`], where it is known what was charged for it.
    pub fn charged(&self, by: By, exact: Exact) -> Result<Self, Overflow> {
        Self { sum: self.total(), ..*self }.grown(by, false, exact)
    }
}

/// What prices a stretch of a counter.
#[derive(Debug, Clone, Copy)]
pub struct Pricer<'a> {
    pub card: &'a CompiledCard,
    pub by: By,
}

impl Pricer<'_> {
    /// What an event costs that moves the counter so, by its order of arrival; of other prices nothing.
    pub fn by_arrival(&self, before: &Counter, after: &Counter) -> Result<Exact, Overflow> {
        if self.card.goes_by_arrival(self.by.rate) { self.between(before, after) } else { Ok(Exact::ZERO) }
    }

    /// P(after) − P(before); of prices that go by order of arrival nothing.
    pub fn counted(&self, before: &Counter, after: &Counter) -> Result<Exact, Overflow> {
        if self.card.goes_by_arrival(self.by.rate) { Ok(Exact::ZERO) } else { self.between(before, after) }
    }

    fn between(&self, before: &Counter, after: &Counter) -> Result<Exact, Overflow> {
        self.card.between(self.by.rate, self.by.cell, before, after)
    }

    /// Behind a segment from here to there.
    pub fn charged(&self, so_far: &Charged, start: &Counter, end: &Counter) -> Result<Charged, Overflow> {
        if start.events == end.events {
            return Ok(*so_far);
        }
        so_far.grown(self.by, self.card.gives_money(self.by.rate), self.counted(start, end)?)
    }
}

/// One segment, before and after an event was taken back.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub pricer: Pricer<'a>,
    /// What the counter grew by in it.
    pub was: Counter,
    pub is: Counter,
}

/// How a month changes: below zero is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The first segment's own part, where that goes by order of arrival.
    pub by_arrival: Exact,
    /// Everything else.
    pub rest: Exact,
    /// What is charged now in front of each segment, and behind the last; empty if that is not known.
    pub charged: Vec<Charged>,
}

/// `start`: of the first segment; `before`: what was charged before it. `None`: that was not kept, and nothing is bounded.
pub fn change(start: Counter, before: Option<Charged>, changes: &[Change<'_>]) -> Result<Changed, Overflow> {
    let (mut was_at, mut is_at) = (start, start);
    let (mut by_arrival, mut rest) = (Exact::ZERO, Exact::ZERO);
    let (mut was_charged, mut charged) = (before, Vec::from_iter(before));
    for (index, Change { pricer, was, is }) in changes.iter().enumerate() {
        let (was_end, is_end) = (was_at.checked_add(*was)?, is_at.checked_add(*is)?);
        let sum = if index == 0 { &mut by_arrival } else { &mut rest };
        *sum = sum.checked_add(pricer.by_arrival(&is_at, &is_end)?.checked_sub(pricer.by_arrival(&was_at, &was_end)?)?)?;
        match (&mut was_charged, charged.last()) {
            (Some(was), Some(is)) => {
                *was = pricer.charged(was, &was_at, &was_end)?;
                charged.push(pricer.charged(is, &is_at, &is_end)?);
            }
            _ => rest = rest.checked_add(pricer.counted(&is_at, &is_end)?.checked_sub(pricer.counted(&was_at, &was_end)?)?)?,
        }
        (was_at, is_at) = (was_end, is_end);
    }
    if let (Some(was), Some(is)) = (was_charged, charged.last()) {
        rest = rest.checked_add(is.total().checked_sub(was.total())?)?;
    }
    Ok(Changed { by_arrival, rest, charged })
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
        let changed = changed(stretches, Some(Charged::default()));
        assert_eq!(changed.by_arrival.checked_add(changed.rest).unwrap().in_cents(), want);
    }

    fn change_of(card: &CompiledCard, was: i64, is: i64) -> Change<'_> {
        // Cards are versions: the same one is the same version.
        let version = CardVersionId(i64::try_from(std::ptr::from_ref(card).addr()).unwrap());
        let counter = |left: i64| units(left, i64::from(left > 0));
        Change { pricer: Pricer { card, by: By { version, rate: 0, cell: 0 } }, was: counter(was), is: counter(is) }
    }

    fn changed(stretches: &[(&CompiledCard, i64, i64)], before: Option<Charged>) -> Changed {
        let changes: Vec<_> = stretches.iter().map(|&(card, was, is)| change_of(card, was, is)).collect();
        change(Counter::default(), before, &changes).unwrap()
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

    /// Ten at 1000.00 each, and more than ten for nothing.
    fn falling() -> CompiledCard {
        card(r#"{"model":"volume","tiers":[{"up_to":"10","unit_price":"1000"},{"unit_price":"0"}]}"#)
    }

    #[test]
    fn a_change_of_prices_gives_back_no_more_than_was_charged() {
        let (cent, falling) = (card(r#"{"model":"per_unit","unit_price":"0.01"}"#), falling());
        // What was charged was ten times 0.01, and that is what was given back.
        check(&[(&cent, 10, 10), (&falling, 1, 0)], "10");
        // Nine times 0.01, and the tenth for 1000.00.
        check(&[(&cent, 10, 9), (&falling, 1, 1)], "100009");
        check(&[(&cent, 10, 9), (&falling, 2, 2)], "0");
        check(&[(&cent, 10, 10), (&falling, 2, 1)], "0");
        check(&[(&cent, 10, 10), (&falling, 1, 0), (&cent, 5, 5)], "10");
        check(&[(&cent, 10, 10), (&falling, 1, 1), (&cent, 5, 0)], "-5");
    }

    #[test]
    fn what_is_charged_before_the_first_change_is_not_bounded_nor_is_it_by_the_same_prices() {
        let volume = r#"{"model":"volume","tiers":[{"up_to":"99","unit_price":"1"},{"unit_price":"0.8"}]}"#;
        let (first, same, falling) = (card(volume), card(volume), falling());
        check(&[(&first, 95, 95), (&same, 5, 0)], "1500");
        check(&[(&falling, 11, 10)], "1000000");
        check(&[(&falling, 11, 0)], "0");
    }

    #[test]
    fn prices_below_zero_give_money_over_a_change() {
        let (cent, gives) = (card(r#"{"model":"per_unit","unit_price":"0.01"}"#), card(r#"{"model":"per_unit","unit_price":"-1"}"#));
        check(&[(&cent, 10, 10), (&gives, 5, 0)], "500");
        // Others do not give more on top of it, nor take it back.
        let falling = falling();
        check(&[(&cent, 5, 5), (&gives, 5, 5), (&falling, 1, 0)], "0");
        check(&[(&cent, 5, 0), (&gives, 5, 5), (&falling, 1, 1)], "99995");
    }

    #[test]
    fn stretches_of_the_same_prices_are_one_where_nothing_stands_between_them() {
        let cent = card(r#"{"model":"per_unit","unit_price":"0.01"}"#);
        let dip = card(r#"{"model":"volume","tiers":[{"up_to":"10","unit_price":"1000"},{"unit_price":"1"}]}"#);
        // 10 + 2100 − 1000000 is far below zero; with the cent between them the second stretch adds 1000.
        check(&[(&cent, 10, 10), (&dip, 1, 1), (&cent, 1, 0), (&dip, 10, 10)], "-1001");
        let joined = changed(&[(&cent, 10, 10), (&dip, 1, 1), (&cent, 1, 0), (&dip, 10, 10)], Some(Charged::default()));
        let whole = changed(&[(&cent, 10, 10), (&dip, 11, 11)], Some(Charged::default()));
        assert_eq!(joined.charged.last(), whole.charged.last());
    }

    #[test]
    fn where_it_was_not_kept_what_was_charged_nothing_is_bounded() {
        let (cent, falling) = (card(r#"{"model":"per_unit","unit_price":"0.01"}"#), falling());
        let changed = changed(&[(&cent, 10, 10), (&falling, 1, 0)], None);
        assert_eq!((changed.rest.in_cents().as_str(), changed.charged.len()), ("1000000", 0));
    }

    #[test]
    fn what_was_charged_adds_up_as_prices_do_until_it_is_bounded() {
        let by = |version| By { version: CardVersionId(version), rate: 0, cell: 0 };
        let mut kept = Charged::default();
        let mut followed = Charged::default();
        for (version, more) in [(1, 500), (1, -200), (2, -100), (2, 40), (1, 0), (2, -240)] {
            kept = kept.grown(by(version), false, Exact(more)).unwrap();
            followed = followed.charged(by(version), Exact(more)).unwrap();
            assert_eq!(kept, followed);
        }
        assert_eq!(kept.grown(by(3), false, Exact(-1)).unwrap().total(), Exact::ZERO);
        assert_eq!(kept.grown(by(3), true, Exact(-1)).unwrap().total(), Exact(-1));
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
