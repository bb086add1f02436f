//! A deck without a word of increments, of a connect fee or of what is blocked says nothing of
//! them: a prefix that had a rate keeps what it had, and what a deck changes of it is named. Prices
//! and terms are agreed on apart: a list of new prices that turned 60/60 into 1/1 unasked would
//! lower every bill, and one that opened what was blocked would sell what nobody may call.

use super::deck::Says;
use super::entry::{Entry, Numbered, TermsId};
use super::preview::Preview;
use super::terms::{Beside, Terms};
use rating::card::CardDoc;
use rating::{Instant, Quantity};

/// First and following, in seconds.
pub(super) type Increments = (Quantity, Quantity);

/// Puts what a deck does not speak of into its rows of one prefix, as the rates before had it.
pub(super) fn keep(
    before: &[Entry<'_>],
    new: &mut [Entry<'_>],
    (says, at): (Says, Instant),
    base: &CardDoc,
    terms: &mut Numbered<'_>,
    preview: &mut Preview,
) {
    let mut counted = false;
    for entry in new.iter_mut().filter(|entry| !entry.is_closing()) {
        let since = entry.begins().max(at);
        let in_force = before
            .iter()
            .rfind(|other| other.begins() <= since)
            .or(before.first());
        let (Some(before), TermsId::Deck(number)) = (in_force, entry.terms) else {
            continue;
        };
        let Some(mut had) = of(base, terms, before.terms) else {
            continue;
        };
        let Some(said) = terms.get(number) else {
            continue;
        };
        // What has ended is not blocked any more.
        had.blocked &= before.ends() > since;
        let kept = said.or(&had, says);
        entry.terms = TermsId::Deck(terms.of(kept));
        if !std::mem::replace(&mut counted, true) {
            preview.increments_kept +=
                usize::from((kept.initial, kept.next) != (said.initial, said.next));
            preview.terms_kept += usize::from(kept.others() != said.others());
            preview.blocked_kept += usize::from(kept.blocked != said.blocked);
        }
    }
}

impl Terms {
    /// With what had been, where a deck does not say.
    fn or(self, had: &Self, says: Says) -> Self {
        let of = |is_said: bool, own: Quantity, had: Quantity| if is_said { own } else { had };
        Self {
            initial: of(says.increments, self.initial, had.initial),
            next: of(says.increments, self.next, had.next),
            connect_fee: if says.connect_fee {
                self.connect_fee
            } else {
                had.connect_fee
            },
            minimum_duration: of(
                says.minimum_duration,
                self.minimum_duration,
                had.minimum_duration,
            ),
            free_if_shorter_than: of(
                says.free_if_shorter_than,
                self.free_if_shorter_than,
                had.free_if_shorter_than,
            ),
            included: of(says.included, self.included, had.included),
            blocked: if says.blocked {
                self.blocked
            } else {
                had.blocked
            },
            beside: had.beside,
            ..self
        }
    }

    /// Everything but price, increments and whether it is blocked.
    pub(super) fn others(&self) -> Self {
        Self {
            price: Default::default(),
            per: Quantity::ZERO,
            initial: Quantity::ZERO,
            next: Quantity::ZERO,
            blocked: false,
            ..*self
        }
    }

    /// For people: `connect fee 0.1, at least 30 s`; empty: none.
    fn written(&self) -> Vec<String> {
        let Beside {
            minimum_charge,
            maximum_charge,
            zero_duration,
            rounding,
            counted,
        } = self.beside;
        let seconds = |what: &str, quantity: Quantity| {
            (quantity != Quantity::ZERO).then(|| format!("{what} {quantity} s"))
        };
        let fee = (self.connect_fee != Default::default())
            .then(|| format!("connect fee {}", self.connect_fee));
        let said = [
            fee,
            seconds("at least", self.minimum_duration),
            seconds("free below", self.free_if_shorter_than),
            seconds("included", self.included),
            minimum_charge.map(|least| format!("minimum charge {least}")),
            maximum_charge.map(|most| format!("maximum charge {most}")),
            (zero_duration != Default::default()).then(|| "calls of 0 s charged".to_owned()),
            rounding.map(|rounding| format!("rounded to {} decimals", rounding.decimals)),
            counted.then(|| "counted".to_owned()),
        ];
        said.into_iter().flatten().collect()
    }
}

/// What a rate says, as far as a deck could say it: `None`: there is no such rate.
pub(super) fn of(base: &CardDoc, terms: &Numbered<'_>, id: TermsId) -> Option<Terms> {
    match id {
        TermsId::Deck(number) => terms.get(number),
        TermsId::Own(rate) => base.rates.get(rate as usize).map(Terms::nearest),
    }
}

/// `None`: a rate that has no calls.
pub(super) fn increments(base: &CardDoc, terms: &Numbered<'_>, id: TermsId) -> Option<Increments> {
    if let TermsId::Own(rate) = id {
        base.rates.get(rate as usize)?.call.as_ref()?;
    }
    of(base, terms, id).map(|terms| (terms.initial, terms.next))
}

/// What else a rate says, for people.
pub(super) fn others(base: &CardDoc, terms: &Numbered<'_>, id: TermsId) -> String {
    let mut said = of(base, terms, id)
        .map(|terms| terms.written())
        .unwrap_or_default();
    if let TermsId::Own(rate) = id
        && let Some(rate) = base.rates.get(rate as usize)
    {
        said.extend(rate.price.as_ref().map(|_| "a price model".to_owned()));
        let steps = rate.call.as_ref().map_or(&[][..], |call| &call.steps);
        said.extend((steps.len() > 1).then(|| format!("{} prices by elapsed time", steps.len())));
        let of_its_own =
            |step: &rating::card::Step| step.increment.is_some() || step.fixed_fee.is_some();
        said.extend(
            steps
                .iter()
                .any(of_its_own)
                .then(|| "increments or fees of a step".to_owned()),
        );
    }
    if said.is_empty() {
        "no fee, minimum or free time".to_owned()
    } else {
        said.join(", ")
    }
}

/// `60/1`.
pub(super) fn written((initial, next): Increments) -> String {
    format!("{initial}/{next}")
}
