//! Whether the card that a deck makes can be refused at all. To know what is wrong with a card it
//! has to be made and compiled, which takes several times the memory of the deck; a preview makes
//! it only where something is not surely right.
//!
//! A card without mistakes is changed prefix by prefix, so what can become wrong is little: terms,
//! more prefixes than fit, rates by the calling number, and ties with rates that the deck does not
//! touch. Keys and names are made short, and no key twice.

use super::deck::Deck;
use super::entry::{Entry, Numbered, TermsId};
use super::merge;
use super::preview::Import;
use super::rate::{blank, with_terms};
use rating::Currency;
use rating::card::{CardDoc, Rate};
use rating::compile::CompiledCard;
use rating::prefix::Packed;
use rating::validate::{PREFIXES_MAX, TEXT_BYTES_MAX, validate};
use std::collections::{BTreeMap, HashSet};

/// Looks at what a merge makes of each prefix.
pub(super) struct Screen<'a> {
    currency: Currency,
    meter: &'a str,
    /// Prefixes of rates that the deck does not touch.
    taken: HashSet<&'a str>,
    /// Of the card that would be made.
    prefixes: usize,
    /// Terms that were looked at, by number.
    seen: Vec<bool>,
    /// A rate of each that is not compiled yet.
    rates: Vec<Rate>,
    is_sure: bool,
}

/// Rates that are compiled at a time.
const RATES_AT_A_TIME: usize = 1_000;

impl<'a> Screen<'a> {
    pub fn new(base: &'a CardDoc, deck: &Deck, import: &Import<'a>) -> Self {
        let mut screen = Self {
            currency: base.currency,
            meter: import.meter,
            taken: HashSet::new(),
            prefixes: 0,
            seen: Vec::new(),
            rates: Vec::new(),
            is_sure: validate(base)
                .iter()
                .all(|mistake| base.rates.is_empty() && mistake.code == "no_rates"),
        };
        for rate in base
            .rates
            .iter()
            .filter(|rate| merge::is_of_deck(rate, import.meter, deck.has_origins()).is_none())
        {
            screen.prefixes += rate.prefixes.len().max(1);
            if rate.meter == import.meter {
                screen
                    .taken
                    .extend(rate.prefixes.iter().map(String::as_str));
                screen.taken.extend(rate.prefixes.is_empty().then_some(""));
            }
        }
        screen
    }

    /// What becomes of one prefix, in order.
    pub fn look_at(&mut self, laid: &[Entry<'_>], terms: &Numbered<'_>) {
        if !self.is_sure {
            return;
        }
        self.prefixes += laid.len();
        let is_one_by_one = laid
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.from < b.from));
        self.is_sure = is_one_by_one && laid.iter().all(|entry| self.is_right(entry, terms));
    }

    fn is_right(&mut self, entry: &Entry<'_>, terms: &Numbered<'_>) -> bool {
        let may_tie = !entry.origin.is_empty() || self.taken.contains(entry.prefix);
        let fits = Packed::new(entry.prefix).is_some()
            && entry.name.len() <= TEXT_BYTES_MAX
            && entry.begins() < entry.ends();
        fits && !may_tie && self.are_right(entry.terms, terms)
    }

    /// Those of a rate of the card are; others are looked at once, many at a time.
    fn are_right(&mut self, id: TermsId, terms: &Numbered<'_>) -> bool {
        let TermsId::Deck(number) = id else {
            return true;
        };
        let index = number as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, false);
        }
        match (self.seen.get_mut(index), terms.get(number)) {
            (Some(true), _) => return true,
            (Some(seen), Some(terms)) => {
                *seen = true;
                let rate = with_terms(&terms, terms.to_call().into(), blank(self.meter));
                let own = self.rates.len().to_string();
                self.rates.push(Rate {
                    key: own.clone(),
                    prefixes: vec![own],
                    ..rate
                });
            }
            _ => return false,
        }
        self.rates.len() < RATES_AT_A_TIME || self.compile()
    }

    fn compile(&mut self) -> bool {
        let (zone, meters, rates) = (
            "UTC".to_owned(),
            BTreeMap::new(),
            std::mem::take(&mut self.rates),
        );
        rates.is_empty()
            || CompiledCard::compile(&CardDoc {
                currency: self.currency,
                zone,
                fallback: None,
                meters,
                rates,
            })
            .is_ok()
    }

    /// Whether everything is surely right.
    pub fn finish(mut self) -> bool {
        self.is_sure && (1..=PREFIXES_MAX).contains(&self.prefixes) && self.compile()
    }
}

#[cfg(test)]
mod tests {
    use super::super::card::{lay_over, preview_and_screen};
    use super::super::{Mode, parse};
    use super::*;
    use crate::options::DeckOptions;

    fn card(rates: &str) -> CardDoc {
        serde_json::from_str(&format!(
            r#"{{"currency":"EUR","zone":"UTC","rates":[{rates}]}}"#
        ))
        .unwrap()
    }

    /// Whether the preview knows that the card is right, and whether it is.
    fn told(base: &CardDoc, deck: &str, meter: &str) -> (bool, bool) {
        let options = DeckOptions {
            zone: Some("UTC".into()),
            ..DeckOptions::default()
        };
        let deck = parse(deck.as_bytes(), &options).unwrap();
        let import = Import {
            mode: Mode::Full,
            meter,
            at: "2026-11-20T00:00:00Z".parse().unwrap(),
        };
        let (preview, is_sure) = preview_and_screen(base, &deck, &import);
        let (made, same) = lay_over(base, &deck, &import);
        assert_eq!(preview, same);
        (is_sure, CompiledCard::compile(&made).is_ok())
    }

    #[test]
    fn a_card_that_may_be_wrong_is_made() {
        const DECK: &str = "prefix,rate\n4930,0.02\n4931,0.03\n";
        let rate = |more: &str| {
            card(&format!(
                r#"{{"key":"a","meter":"call",{more},"call":{{"steps":[{{"from":"0","price":"0.1","per":"60"}}]}}}}"#
            ))
        };
        // An attribute that excludes no jurisdiction ties with one.
        let route = rate(r#""prefixes":["1212"],"attributes":{"route":"cli"}"#);
        assert_eq!(
            told(
                &route,
                "prefix,interstate,intrastate\n1212,0.02,0.03\n",
                "call"
            ),
            (false, false)
        );
        assert_eq!(
            told(
                &route,
                "prefix,interstate,intrastate\n1213,0.02,0.03\n",
                "call"
            ),
            (true, true)
        );
        assert_eq!(told(&route, DECK, "call"), (true, true));
        // The same prefix in a window: right, as it turns out.
        let nights =
            rate(r#""prefixes":["4930"],"priority":1,"window":{"from":"22:00","until":"06:00"}"#);
        assert_eq!(told(&nights, DECK, "call"), (false, true));
        assert_eq!(
            told(&nights, &DECK.replace("4930", "4932"), "call"),
            (true, true)
        );
        assert_eq!(told(&nights, DECK, "fax"), (true, true), "another meter's");
        for meter in [String::new(), "x".repeat(201)] {
            assert_eq!(told(&card(""), DECK, &meter), (false, false), "{meter:?}");
        }
        assert_eq!(
            told(
                &rate(r#""prefixes":["49"],"priority":1,"effective_until":"1970-01-01T00:00:00Z""#),
                DECK,
                "call"
            ),
            (false, false)
        );
        assert_eq!(
            told(
                &card(""),
                "prefix,origin,rate\n49,43,0.02\n49,\"43,44\",0.03\n",
                "call"
            ),
            (false, false)
        );
        assert_eq!(
            told(
                &card(""),
                "prefix,rate,increment\n49,100000000000000,999999999999999\n",
                "call"
            ),
            (false, false)
        );
        assert_eq!(told(&card(""), DECK, "call"), (true, true));
    }
}
