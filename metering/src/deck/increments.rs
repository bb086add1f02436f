//! A deck without a word of increments says nothing of them: a prefix that had a rate keeps the increments it had, and what a
//! deck changes of them is named. Prices and increments are agreed on apart: a list of new prices that turned 60/60 into 1/1
//! unasked would lower every bill.

use super::Terms;
use super::merge::{Entry, Numbered, TermsId};
use rating::card::CardDoc;
use rating::{Instant, Quantity};

/// First and following, in seconds.
pub(super) type Increments = (Quantity, Quantity);

/// Puts the increments of the rates before into a deck's rows, prefix by prefix; both are in the same order.
pub(super) fn keep(old: &[Entry<'_>], new: &mut [Entry<'_>], at: Instant, base: &CardDoc, terms: &mut Numbered) -> usize {
    let (mut old, mut kept) = (old, 0);
    for entry in new {
        while old.first().is_some_and(|first| first.key() < entry.key()) {
            old = old.get(1..).unwrap_or_default();
        }
        let before: Vec<&Entry<'_>> = old.iter().take_while(|other| other.key() == entry.key()).collect();
        let since = entry.begins().max(at);
        let in_force = before.iter().rfind(|other| other.begins() <= since).or(before.first());
        let (Some(before), TermsId::Deck(number)) = (in_force, entry.terms) else { continue };
        let Some((initial, next)) = of(base, &terms.all, before.terms) else { continue };
        let Some(said) = terms.all.get(number as usize).copied() else { continue };
        entry.terms = TermsId::Deck(terms.of(Terms { initial, next, ..said }));
        kept += usize::from((initial, next) != (said.initial, said.next));
    }
    kept
}

/// `None`: a rate that has no calls.
pub(super) fn of(base: &CardDoc, terms: &[Terms], id: TermsId) -> Option<Increments> {
    match id {
        TermsId::Deck(number) => terms.get(number as usize).map(|terms| (terms.initial, terms.next)),
        TermsId::Own(rate) => {
            let call = base.rates.get(rate as usize)?.call.as_ref()?;
            let next = call.next.unwrap_or(Quantity::whole(1));
            Some((call.initial.unwrap_or(next), next))
        }
    }
}

/// `60/1`.
pub(super) fn written((initial, next): Increments) -> String {
    format!("{initial}/{next}")
}
