//! What a counter comes to when its prices change under way, and what is left of that without one
//! of its events.
//!
//! A counter is a row of *segments*, in order of arrival: a stretch under one rate of one version,
//! or, where events depend on their order of arrival, one event. A segment keeps what the counter
//! grew by in it; what it costs follows from where it begins. An event that is taken back makes its
//! segment shorter, and those behind it begin earlier: each is priced anew, in its own version, and
//! the month comes to what it would have without the event.
//!
//! Over a change of prices a counter gives back no more than it was charged so far: its own prices
//! may say that it was charged more, but nobody was. What was charged before the first change is
//! not bounded (it began at nothing), nor are prices below zero, whose seller gives money away.
//! Segments without an event are none: those beside one are one stretch if they have the same
//! prices. What goes by order of arrival is an event's own, and neither bounded nor counted as
//! charged.
//!
//! What is due once in a month ([`Flats`]) is due once for each card: P(after) − P(before) has it
//! only where the counter begins, or enters a tier. Where other prices begin, what they say is due
//! once up to there is added, less what was charged under the same card.
//!
//! Within one version this is P(total) − P(rest): the segments in between cancel out.

use crate::compile::CompiledCard;
use crate::usage::{Counter, Priced};
use crate::{CardVersionId, Exact, Overflow, RateCardId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What prices a segment: a rate of a version, and which price of a matrix (0: there are not
/// several).
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
            return Ok(Self {
                sum: self.sum.checked_add(more)?,
                ..*self
            });
        }
        let before = self.total();
        let least = (self.by.is_some() && !gives).then(|| before.min(Exact::ZERO));
        Ok(Self {
            by: Some(by),
            sum: before.checked_add(more)?,
            least,
        })
    }

    /// An event's price, which gives back no more than was charged; and what is charged with it.
    pub fn price(&self, by: By, gives: bool, priced: Priced) -> Result<(Priced, Self), Overflow> {
        let is = self.grown(by, gives, priced.exact.checked_sub(priced.local)?)?;
        let exact = priced
            .local
            .checked_add(is.total().checked_sub(self.total())?)?;
        Ok((Priced { exact, ..priced }, is))
    }

    /// The same as [`Self::grown`], where it is known what was charged for it.
    pub fn charged(&self, by: By, exact: Exact) -> Result<Self, Overflow> {
        Self {
            sum: self.total(),
            ..*self
        }
        .grown(by, false, exact)
    }
}

/// What a counter was charged of what is due once, by card.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flats(pub BTreeMap<RateCardId, Exact>);

/// On the counter's way between two points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlatsDue {
    /// Beyond P(after) − P(before).
    pub due: Exact,
    /// What its card has charged of it by then.
    pub charged: Exact,
}

impl FlatsDue {
    /// `charged`: before, under the same card.
    pub fn between(
        card: &CompiledCard,
        rate: u32,
        charged: Exact,
        before: &Counter,
        after: &Counter,
    ) -> Result<Self, Overflow> {
        let (was, is) = (card.flats(rate, before)?, card.flats(rate, after)?);
        let due = was.checked_sub(charged)?.max(Exact::ZERO);
        Ok(Self {
            due,
            charged: charged
                .checked_add(due)?
                .checked_add(is)?
                .checked_sub(was)?,
        })
    }
}

impl Flats {
    /// Over a stretch under these prices: what is due beyond P(end) − P(start).
    pub fn grow(
        &mut self,
        pricer: &Pricer<'_>,
        start: &Counter,
        end: &Counter,
    ) -> Result<Exact, Overflow> {
        let Pricer { card, by } = pricer;
        if !card.has_flats(by.rate) {
            return Ok(Exact::ZERO);
        }
        let charged = self.0.entry(card.card()).or_default();
        if start.events == end.events {
            return Ok(Exact::ZERO);
        }
        let flats = FlatsDue::between(card, by.rate, *charged, start, end)?;
        *charged = flats.charged;
        Ok(flats.due)
    }
}

/// What prices a stretch of a counter.
#[derive(Debug, Clone, Copy)]
pub struct Pricer<'a> {
    pub card: &'a CompiledCard,
    pub by: By,
}

impl Pricer<'_> {
    /// What an event costs that moves the counter so, by its order of arrival; of other prices
    /// nothing.
    pub fn by_arrival(&self, before: &Counter, after: &Counter) -> Result<Exact, Overflow> {
        if self.card.goes_by_arrival(self.by.rate) {
            self.between(before, after)
        } else {
            Ok(Exact::ZERO)
        }
    }

    /// P(after) − P(before); of prices that go by order of arrival nothing.
    pub fn counted(&self, before: &Counter, after: &Counter) -> Result<Exact, Overflow> {
        if self.card.goes_by_arrival(self.by.rate) {
            Ok(Exact::ZERO)
        } else {
            self.between(before, after)
        }
    }

    fn between(&self, before: &Counter, after: &Counter) -> Result<Exact, Overflow> {
        self.card.between(self.by.rate, self.by.cell, before, after)
    }

    /// Behind a segment from here to there. `flats`: `None`: they are not kept, and none is due but
    /// by P.
    pub fn charged(
        &self,
        so_far: &Charged,
        flats: &mut Option<Flats>,
        start: &Counter,
        end: &Counter,
    ) -> Result<Charged, Overflow> {
        let due = flats
            .as_mut()
            .map_or(Ok(Exact::ZERO), |flats| flats.grow(self, start, end))?;
        if start.events == end.events {
            return Ok(*so_far);
        }
        so_far.grown(
            self.by,
            self.card.gives_money(self.by.rate),
            self.counted(start, end)?.checked_add(due)?,
        )
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
    /// What is charged now in front of each segment, and behind the last; empty if that is not
    /// known.
    pub charged: Vec<Charged>,
    /// Behind the last.
    pub flats: Option<Flats>,
}

/// In front of the first segment that changes.
#[derive(Debug, Clone, Default)]
pub struct Before {
    pub start: Counter,
    /// `None`: that was not kept, and nothing is bounded.
    pub charged: Option<Charged>,
    /// `None`: they were not kept, and none is due but by P.
    pub flats: Option<Flats>,
}

pub fn change(before: Before, changes: &[Change<'_>]) -> Result<Changed, Overflow> {
    let Before {
        start,
        charged: before,
        flats,
    } = before;
    let (mut was_flats, mut flats) = (flats.clone(), flats);
    let (mut was_at, mut is_at) = (start, start);
    let (mut by_arrival, mut rest) = (Exact::ZERO, Exact::ZERO);
    let (mut was_charged, mut charged) = (before, Vec::from_iter(before));
    for (index, Change { pricer, was, is }) in changes.iter().enumerate() {
        let (was_end, is_end) = (was_at.checked_add(*was)?, is_at.checked_add(*is)?);
        let sum = if index == 0 {
            &mut by_arrival
        } else {
            &mut rest
        };
        *sum = sum.checked_add(
            pricer
                .by_arrival(&is_at, &is_end)?
                .checked_sub(pricer.by_arrival(&was_at, &was_end)?)?,
        )?;
        match (&mut was_charged, charged.last()) {
            (Some(was), Some(is)) => {
                *was = pricer.charged(was, &mut was_flats, &was_at, &was_end)?;
                charged.push(pricer.charged(is, &mut flats, &is_at, &is_end)?);
            }
            _ => {
                rest = rest.checked_add(
                    pricer
                        .counted(&is_at, &is_end)?
                        .checked_sub(pricer.counted(&was_at, &was_end)?)?,
                )?
            }
        }
        (was_at, is_at) = (was_end, is_end);
    }
    if let (Some(was), Some(is)) = (was_charged, charged.last()) {
        rest = rest.checked_add(is.total().checked_sub(was.total())?)?;
    }
    Ok(Changed {
        by_arrival,
        rest,
        charged,
        flats,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantity;
    use crate::card::CardDoc;

    fn card(price: &str) -> CompiledCard {
        let doc =
            format!(r#"{{"currency":"EUR","rates":[{{"key":"k","meter":"m","price":{price}}}]}}"#);
        let doc: CardDoc = serde_json::from_str(&doc).unwrap();
        CompiledCard::compile(&doc).unwrap()
    }

    fn units(units: i64, events: i64) -> Counter {
        Counter {
            quantity: Quantity::whole(units),
            events,
        }
    }

    /// The stretches as (card, units, units left), from zero → what the total changes by, in cents.
    #[track_caller]
    fn check(stretches: &[(&CompiledCard, i64, i64)], want: &str) {
        let changed = changed(stretches, Some(Charged::default()));
        assert_eq!(
            changed
                .by_arrival
                .checked_add(changed.rest)
                .unwrap()
                .in_cents(),
            want
        );
    }

    fn change_of(card: &CompiledCard, was: i64, is: i64) -> Change<'_> {
        // Cards are versions: the same one is the same version.
        let version = CardVersionId(i64::try_from(std::ptr::from_ref(card).addr()).unwrap());
        let counter = |left: i64| units(left, i64::from(left > 0));
        Change {
            pricer: Pricer {
                card,
                by: By {
                    version,
                    rate: 0,
                    cell: 0,
                },
            },
            was: counter(was),
            is: counter(is),
        }
    }

    fn changed(stretches: &[(&CompiledCard, i64, i64)], before: Option<Charged>) -> Changed {
        let changes: Vec<_> = stretches
            .iter()
            .map(|&(card, was, is)| change_of(card, was, is))
            .collect();
        change(
            Before {
                charged: before,
                flats: Some(Flats::default()),
                ..Before::default()
            },
            &changes,
        )
        .unwrap()
    }

    #[test]
    fn later_stretches_are_priced_where_they_begin_now() {
        let dear = card(r#"{"model":"per_unit","unit_price":"1","allowance":"100"}"#);
        let cheap = card(r#"{"model":"per_unit","unit_price":"0.5","allowance":"100"}"#);
        check(&[(&dear, 100, 0), (&cheap, 100, 100)], "-5000");
        check(&[(&dear, 100, 100), (&cheap, 100, 0)], "-5000");
        check(&[(&dear, 100, 60), (&cheap, 100, 100)], "-2000");
        let graduated = card(
            r#"{"model":"graduated","tiers":[{"up_to":"100","unit_price":"1"},{"unit_price":"0"}]}"#,
        );
        let double = card(r#"{"model":"per_unit","unit_price":"2"}"#);
        check(&[(&graduated, 100, 0), (&double, 10, 10)], "-10000");
        check(
            &[
                (&graduated, 100, 0),
                (&double, 10, 10),
                (&graduated, 10, 10),
            ],
            "-9000",
        );
    }

    #[test]
    fn what_is_due_once_is_due_for_every_card_and_by_the_difference_for_every_version() {
        let price = |amount: &str| card(&format!(r#"{{"model":"flat","amount":"{amount}"}}"#));
        let (first, second, cheap, other) = (
            price("9.9"),
            price("19.9"),
            price("5"),
            price("7").of_card(RateCardId(2)),
        );
        // Without the first it is the second version that all of it is due by.
        check(&[(&first, 1, 0), (&second, 1, 1)], "0");
        check(&[(&first, 1, 1), (&second, 1, 0)], "-1000");
        check(&[(&first, 1, 1), (&second, 1, 0), (&cheap, 1, 1)], "-1000");
        check(&[(&first, 1, 0), (&cheap, 1, 1)], "-490");
        check(&[(&first, 1, 0), (&other, 1, 1)], "-990");
        check(&[(&first, 1, 1), (&other, 1, 0), (&first, 1, 1)], "-700");
        check(&[(&first, 1, 0), (&other, 1, 1), (&first, 1, 1)], "0");
        check(&[(&first, 1, 0), (&second, 1, 0)], "-1990");
        let charged = changed(
            &[(&first, 1, 1), (&other, 1, 0), (&second, 1, 1)],
            Some(Charged::default()),
        );
        let cents = |cents: i128| Exact(cents * Exact::PER_CENT);
        assert_eq!(
            charged.flats,
            Some(Flats(
                [(RateCardId(0), cents(1990)), (RateCardId(2), Exact::ZERO)].into()
            ))
        );
    }

    #[test]
    fn flats_of_tiers_are_those_that_are_entered() {
        let graduated = card(
            r#"{"model":"graduated","tiers":[{"up_to":"5","unit_price":"1","flat":"2"},{"unit_price":"1","flat":"3"}]}"#,
        );
        let volume = card(
            r#"{"model":"volume","tiers":[{"up_to":"5","unit_price":"1","flat":"2"},{"unit_price":"1","flat":"3"}]}"#,
        );
        let bounded =
            card(r#"{"model":"flat","amount":"9","maximum_spend":"4","percent_discount":"50"}"#);
        let percent = card(r#"{"model":"flat","amount":"9","percent_discount":"50"}"#);
        for (card, [at_first, further]) in [
            (graduated, ["200", "500"]),
            (volume, ["200", "300"]),
            (bounded, ["400", "400"]),
            (percent, ["450", "450"]),
        ] {
            assert!(card.has_flats(0));
            let flats = |quantity: i64, events: i64| {
                card.flats(0, &units(quantity, events)).unwrap().in_cents()
            };
            assert_eq!(
                [flats(0, 0), flats(0, 1), flats(5, 1), flats(6, 2)],
                ["0", at_first, at_first, further]
            );
        }
        for other in [
            r#"{"model":"per_unit","unit_price":"1"}"#,
            r#"{"model":"package","size":"3","amount":"1"}"#,
            r#"{"model":"flat","amount":"-1"}"#,
        ] {
            assert!(!card(other).has_flats(0), "{other}");
        }
    }

    #[test]
    fn what_depends_on_the_order_of_arrival_moves_up() {
        let percent = card(r#"{"model":"percentage","rate":"10","free_events":1}"#);
        assert!(percent.goes_by_arrival(0) && !percent.is_even(0));
        check(
            &[(&percent, 10, 0), (&percent, 20, 20), (&percent, 30, 30)],
            "-200",
        );
        check(
            &[(&percent, 10, 10), (&percent, 20, 0), (&percent, 30, 30)],
            "-200",
        );
        check(&[(&percent, 10, 0)], "0");
    }

    /// Ten at 1000.00 each, and more than ten for nothing.
    fn falling() -> CompiledCard {
        card(
            r#"{"model":"volume","tiers":[{"up_to":"10","unit_price":"1000"},{"unit_price":"0"}]}"#,
        )
    }

    #[test]
    fn a_change_of_prices_gives_back_no_more_than_was_charged() {
        let (cent, falling) = (
            card(r#"{"model":"per_unit","unit_price":"0.01"}"#),
            falling(),
        );
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
        let volume =
            r#"{"model":"volume","tiers":[{"up_to":"99","unit_price":"1"},{"unit_price":"0.8"}]}"#;
        let (first, same, falling) = (card(volume), card(volume), falling());
        check(&[(&first, 95, 95), (&same, 5, 0)], "1500");
        check(&[(&falling, 11, 10)], "1000000");
        check(&[(&falling, 11, 0)], "0");
    }

    #[test]
    fn prices_below_zero_give_money_over_a_change() {
        let (cent, gives) = (
            card(r#"{"model":"per_unit","unit_price":"0.01"}"#),
            card(r#"{"model":"per_unit","unit_price":"-1"}"#),
        );
        check(&[(&cent, 10, 10), (&gives, 5, 0)], "500");
        // Others do not give more on top of it, nor take it back.
        let falling = falling();
        check(&[(&cent, 5, 5), (&gives, 5, 5), (&falling, 1, 0)], "0");
        check(&[(&cent, 5, 0), (&gives, 5, 5), (&falling, 1, 1)], "99995");
    }

    #[test]
    fn stretches_of_the_same_prices_are_one_where_nothing_stands_between_them() {
        let cent = card(r#"{"model":"per_unit","unit_price":"0.01"}"#);
        let dip = card(
            r#"{"model":"volume","tiers":[{"up_to":"10","unit_price":"1000"},{"unit_price":"1"}]}"#,
        );
        // 10 + 2100 − 1000000 is far below zero; with the cent between them the second stretch adds
        // 1000.
        check(
            &[(&cent, 10, 10), (&dip, 1, 1), (&cent, 1, 0), (&dip, 10, 10)],
            "-1001",
        );
        let joined = changed(
            &[(&cent, 10, 10), (&dip, 1, 1), (&cent, 1, 0), (&dip, 10, 10)],
            Some(Charged::default()),
        );
        let whole = changed(&[(&cent, 10, 10), (&dip, 11, 11)], Some(Charged::default()));
        assert_eq!(joined.charged.last(), whole.charged.last());
    }

    #[test]
    fn where_it_was_not_kept_what_was_charged_nothing_is_bounded() {
        let (cent, falling) = (
            card(r#"{"model":"per_unit","unit_price":"0.01"}"#),
            falling(),
        );
        let changed = changed(&[(&cent, 10, 10), (&falling, 1, 0)], None);
        assert_eq!(
            (changed.rest.in_cents().as_str(), changed.charged.len()),
            ("1000000", 0)
        );
    }

    #[test]
    fn what_was_charged_adds_up_as_prices_do_until_it_is_bounded() {
        let by = |version| By {
            version: CardVersionId(version),
            rate: 0,
            cell: 0,
        };
        let mut kept = Charged::default();
        let mut followed = Charged::default();
        for (version, more) in [(1, 500), (1, -200), (2, -100), (2, 40), (1, 0), (2, -240)] {
            kept = kept.grown(by(version), false, Exact(more)).unwrap();
            followed = followed.charged(by(version), Exact(more)).unwrap();
            assert_eq!(kept, followed);
        }
        assert_eq!(
            kept.grown(by(3), false, Exact(-1)).unwrap().total(),
            Exact::ZERO
        );
        assert_eq!(
            kept.grown(by(3), true, Exact(-1)).unwrap().total(),
            Exact(-1)
        );
    }

    #[test]
    fn even_prices_are_told_from_others() {
        for (price, is_even) in [
            (r#"{"model":"per_unit","unit_price":"0.0123"}"#, true),
            (r#"{"model":"percentage","rate":"10"}"#, true),
            (r#"{"model":"per_unit","unit_price":"1","per":"3"}"#, false),
            (
                r#"{"model":"per_unit","unit_price":"1","allowance":"1"}"#,
                false,
            ),
            (
                r#"{"model":"per_unit","unit_price":"1","maximum_spend":"9"}"#,
                false,
            ),
            (r#"{"model":"flat","amount":"1"}"#, false),
            (r#"{"model":"package","size":"3","amount":"1"}"#, false),
            (
                r#"{"model":"percentage","rate":"10","free_amount":"5"}"#,
                false,
            ),
            (
                r#"{"model":"graduated","tiers":[{"up_to":"5","unit_price":"1"},{"unit_price":"2"}]}"#,
                false,
            ),
        ] {
            assert_eq!(card(price).is_even(0), is_even, "{price}");
        }
    }
}
