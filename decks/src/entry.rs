//! The price of one prefix over a time, of a card or of a deck.

use super::intern::AllTerms;
use super::terms::{Jurisdiction, Terms};
use rating::Instant;

/// What a rate costs: as a deck says it, or as the card's rate of that number says it in its own
/// way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TermsId {
    Deck(u32),
    Own(u32),
}

/// The price of one prefix over `[from, until)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub prefix: &'a str,
    pub jurisdiction: Jurisdiction,
    /// Prefixes of the calling number; none: any.
    pub origin: &'a [String],
    pub name: &'a str,
    pub terms: TermsId,
    /// The card's rate that it comes from, if it is not new.
    pub rate: Option<u32>,
    pub from: Option<Instant>,
    pub until: Option<Instant>,
}

/// What one price is for.
pub(crate) type Key<'a> = (&'a str, Jurisdiction, &'a [String]);

impl<'a> Entry<'a> {
    pub(super) fn key(&self) -> Key<'a> {
        (self.prefix, self.jurisdiction, self.origin)
    }
    /// Nothing but an end of what was before.
    pub(super) fn is_closing(&self) -> bool {
        self.until.is_some_and(|until| until <= self.begins())
    }
    pub(super) fn begins(&self) -> Instant {
        self.from.unwrap_or(Instant::MIN)
    }
    pub(super) fn ends(&self) -> Instant {
        self.until.unwrap_or(Instant::MAX)
    }
}

/// Terms by number: those of the deck first, then those that only the card has, and those of both.
pub(crate) struct Numbered<'d> {
    deck: &'d AllTerms,
    others: AllTerms,
}

impl<'d> Numbered<'d> {
    pub(crate) fn new(deck: &'d AllTerms) -> Self {
        Self {
            deck,
            others: AllTerms::default(),
        }
    }
    fn of_deck(&self) -> u32 {
        u32::try_from(self.deck.len()).unwrap_or(u32::MAX)
    }
    pub(super) fn of(&mut self, terms: Terms) -> u32 {
        self.deck
            .find(&terms)
            .unwrap_or_else(|| self.of_deck().saturating_add(self.others.of(terms)))
    }
    pub(super) fn get(&self, number: u32) -> Option<Terms> {
        match number.checked_sub(self.of_deck()) {
            Some(other) => self.others.get(other),
            None => self.deck.get(number),
        }
    }
}
