//! Prices usage outside an installation: one link, one card and its fallbacks, by the functions
//! that charge.
//!
//! What an event is matched by, measured as and counted as is decided where the engine decides it
//! (`measure`, `distinct`). Here are only the states that a journal would keep: per customer the
//! counters and the carry, and the identities of what was reported. Events are taken in their
//! order, whatever their age: nothing is late, nothing too early.

use crate::measure::{self, Asked};
use crate::{content, dialled, distinct};
use formats::UsageEvent;
use formats::input::fields;
use problem::Code;
use rating::aggregate::{self, DistinctValueChange, Known, Newest};
use rating::card::{Aggregation, CALL_UNIT, CardDoc, MeterTerms};
use rating::compile::CompiledCard;
use rating::link::{self, LinkPosting};
use rating::segments::{By, Charged, FlatsDue};
use rating::usage::{Counter, CounterId, Measured, Number, Usage};
use rating::validate::Mistake;
use rating::{
    CardVersionId, Carry, Cents, Currency, Exact, Instant, Overflow, RateCardId, Unrated,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A card under the name by which others call it their fallback.
#[derive(Debug)]
struct Card {
    name: Option<String>,
    compiled: CompiledCard,
}

/// What one event comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    pub exact: Exact,
    pub cents: Cents,
    pub carry: Carry,
    /// The same event came before: this one moves nothing.
    pub duplicate: bool,
}

/// Why an event has no price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: &'static str,
    pub detail: String,
}

impl From<Unrated> for Refused {
    fn from(unrated: Unrated) -> Self {
        Self {
            code: unrated.code(),
            detail: unrated.to_string(),
        }
    }
}

impl From<Overflow> for Refused {
    fn from(overflow: Overflow) -> Self {
        Unrated::from(overflow).into()
    }
}

/// What one customer has reached.
#[derive(Debug, Default)]
struct Book {
    carry: Carry,
    /// Where each stands, and what it was charged so far.
    counters: HashMap<CounterId, (Counter, Charged)>,
    /// What each card has charged of what is due once.
    flats: HashMap<(CounterId, RateCardId), Exact>,
    /// How often each distinct value of a counter was reported.
    distinct_values: HashMap<(CounterId, String), i64>,
    /// When the value of a counter that stands was reported (`latest`).
    newest: HashMap<CounterId, Newest>,
}

impl Book {
    /// Where the event's counter stands before and after it, and what it was charged before.
    /// Changes nothing yet.
    fn grown(
        &self,
        usage: &Usage<'_>,
        measured: &Measured,
        aggregation: Aggregation,
        distinct_value: Option<&str>,
    ) -> Result<(Counter, Counter, Charged), Overflow> {
        let Some(id) = measured.counter else {
            return Ok(Default::default());
        };
        let (before, charged) = self.counters.get(&id).copied().unwrap_or_default();
        let standing = distinct_value
            .and_then(|value| self.distinct_values.get(&(id, value.to_owned())))
            .copied()
            .unwrap_or_default();
        let known = Known {
            standing,
            level: 0,
            at: usage.at,
            newest: self.newest.get(&id).copied(),
        };
        let after = aggregate::grow(
            aggregation,
            &before,
            measured.billed,
            DistinctValueChange::Report(known),
        )?;
        Ok((before, after, charged))
    }

    fn grow_flats(
        &self,
        id: CounterId,
        card: &CompiledCard,
        rate: u32,
        before: &Counter,
        after: &Counter,
    ) -> Result<FlatsDue, Overflow> {
        let charged = self
            .flats
            .get(&(id, card.card()))
            .copied()
            .unwrap_or_default();
        FlatsDue::between(card, rate, charged, before, after)
    }

    fn keep(
        &mut self,
        id: CounterId,
        after: (Counter, Charged),
        at: Instant,
        distinct_value: Option<String>,
    ) {
        self.counters.insert(id, after);
        if let Some(value) = distinct_value {
            *self.distinct_values.entry((id, value)).or_default() += 1;
        }
        let own = Newest {
            level: Reverse(0),
            at,
        };
        let newest = self.newest.entry(id).or_insert(own);
        *newest = own.max(*newest);
    }
}

/// The books of one link.
#[derive(Debug)]
pub struct Offline {
    /// The card of the link, and those it may fall back on.
    cards: Vec<Card>,
    meters: BTreeMap<String, MeterTerms>,
    /// Of those that no card names: usage of these is a call.
    calls: BTreeSet<String>,
    /// Meters whose prices change in the middle of usage that lasts, and where a card says so.
    changing: BTreeMap<String, String>,
    country: Option<String>,
    books: HashMap<String, Book>,
    /// Digest of source and id → digest of the content, and why it has no price, if it has none.
    known: HashMap<[u8; 16], ([u8; 16], Option<Refused>)>,
}

impl Offline {
    /// `country`: of the customers, for national numbers.
    ///
    /// # Errors
    /// The card does not compile.
    pub fn new(doc: &CardDoc, country: Option<String>) -> Result<Self, Vec<Mistake>> {
        let calls = BTreeSet::from([fields::METER.to_owned()]);
        let (meters, books, known) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        let mut offline = Self {
            cards: Vec::new(),
            meters,
            calls,
            changing: BTreeMap::new(),
            country,
            books,
            known,
        };
        offline.add(None, doc)?;
        Ok(offline)
    }

    /// # Errors
    /// The card does not compile.
    pub fn fall_back_on(&mut self, name: &str, doc: &CardDoc) -> Result<(), Vec<Mistake>> {
        if self.named(name).is_some() {
            let message = format!("the fallback card {name:?} is given twice: expected one");
            return Err(vec![Mistake {
                path: "fallback".to_owned(),
                code: "given_twice",
                message,
            }]);
        }
        self.add(Some(name.to_owned()), doc)
    }

    /// Of meters that several cards name the first counts; one that no card names sums, and is a
    /// call if a rate of it has call terms, or if it is the one that call records are read for.
    fn add(&mut self, name: Option<String>, doc: &CardDoc) -> Result<(), Vec<Mistake>> {
        let card = RateCardId(self.cards.len() as i64);
        self.cards.push(Card {
            name,
            compiled: CompiledCard::compile(doc)?.of_card(card),
        });
        for (meter, terms) in &doc.meters {
            self.meters
                .entry(meter.clone())
                .or_insert_with(|| terms.clone());
        }
        let calls = doc
            .rates
            .iter()
            .filter(|rate| rate.call.is_some())
            .map(|rate| rate.meter.clone());
        self.calls.extend(calls);
        for (meter, path) in changing(doc) {
            self.changing.entry(meter.to_owned()).or_insert(path);
        }
        Ok(())
    }

    /// What keeps the cards from being priced by, once all are there: fallback cards without an
    /// end, or that nobody asks, and meters of which nobody says whether their usage lasts, where
    /// prices depend on it. A server refuses the first, and knows the last.
    pub fn check(&self) -> Vec<Mistake> {
        let mistake = |path: String, code: &'static str, message: String| Mistake {
            path,
            code,
            message,
        };
        let mut bad: Vec<Mistake> = self.endless().into_iter().collect();
        if bad.is_empty() {
            let asked = self.chain();
            let idle = self
                .cards
                .iter()
                .filter_map(|card| card.name.as_deref())
                .filter(|name| !asked.contains(name));
            bad.extend(idle.map(|name| {
                let message = format!(
                    "no card names {name:?} as its fallback; the named ones are {}",
                    quoted(&asked, ", ")
                );
                mistake("fallback".to_owned(), "unused_fallback", message)
            }));
        }
        let unsaid = self
            .changing
            .iter()
            .filter(|(meter, _)| !self.meters.contains_key(*meter) && !self.calls.contains(*meter));
        bad.extend(unsaid.map(|(meter, path)| {
            let message = format!(
                "{path} makes the price change with time, and whether usage of {meter:?} has a \
                    duration (and is split there) depends on its unit: expected \
                    \"meters\":{{{meter:?}:{{\"unit\":\"{CALL_UNIT}\"}}}} in the card, or the \
                    unit that it has on the server"
            );
            mistake(format!("meters.{meter}"), "unit_required", message)
        }));
        bad
    }

    /// The fallback cards that are asked one after the other, up to one that is among them already.
    fn chain(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut next = self.cards[0].compiled.fallback();
        while let Some(name) = next.filter(|name| !names.contains(name)) {
            names.push(name);
            next = self.named(name).and_then(CompiledCard::fallback);
        }
        names
    }

    fn endless(&self) -> Option<Mistake> {
        let names = self.chain();
        let last = names.last()?;
        let mistake = |code, message| {
            Some(Mistake {
                path: "fallback".to_owned(),
                code,
                message,
            })
        };
        if let Some(again) = self.named(last).and_then(CompiledCard::fallback) {
            let chain = quoted(&names, " -> ");
            return mistake(
                "fallback_cycle",
                format!("{chain} -> {again:?}: the fallback cards form a cycle"),
            );
        }
        if names.len() >= measure::FALLBACKS_MAX {
            let most = measure::FALLBACKS_MAX;
            return mistake(
                "too_many_fallbacks",
                format!(
                    "{}: expected at most {most} cards one after another",
                    quoted(&names, " -> ")
                ),
            );
        }
        None
    }

    fn named(&self, name: &str) -> Option<&CompiledCard> {
        self.cards
            .iter()
            .find(|card| card.name.as_deref() == Some(name))
            .map(|card| &card.compiled)
    }

    pub fn currency(&self) -> Currency {
        self.cards[0].compiled.currency()
    }

    /// Prices an event and counts it. Nothing moves without a price, and nothing twice.
    ///
    /// # Errors
    /// Why it has no price: by the code under which a server would keep it, or `id_conflict`.
    pub fn post(&mut self, mut event: UsageEvent) -> Result<Priced, Refused> {
        let content = content::content_of(&event);
        let identity = content::identity_digest(&event.source, &event.id);
        match self.known.get(&identity) {
            Some((known, Some(refused))) if *known == content => return Err(refused.clone()),
            Some((known, None)) if *known == content => {
                let carry = self
                    .books
                    .get(event.customer.as_str())
                    .map_or(Carry::default(), |book| book.carry);
                return Ok(Priced {
                    exact: Exact::ZERO,
                    cents: Cents::ZERO,
                    carry,
                    duplicate: true,
                });
            }
            Some(_) => {
                let detail = "the id was used before for something else".to_owned();
                return Err(Refused {
                    code: Code::IdConflict.as_str(),
                    detail,
                });
            }
            None => {}
        }
        let dialled = dialled::dial(&mut event, self.country.as_deref());
        let mut priced = self.charge(&event, dialled.number);
        if let (Err(refused), Some(doubt)) = (&mut priced, dialled.doubt)
            && refused.code == Unrated::NoRate.code()
        {
            refused.detail = format!("{}; {doubt}", refused.detail);
        }
        // What has no price is kept by a server too, under its id.
        self.known
            .insert(identity, (content, priced.as_ref().err().cloned()));
        priced
    }

    fn charge(&mut self, event: &UsageEvent, number: Number) -> Result<Priced, Refused> {
        let unit = if self.calls.contains(event.meter.as_str()) {
            CALL_UNIT
        } else {
            ""
        };
        let unnamed = MeterTerms {
            unit: unit.to_owned(),
            aggregation: Aggregation::Sum,
            unique_by: None,
        };
        let meter = self.meters.get(event.meter.as_str()).unwrap_or(&unnamed);
        let usage = measure::usage_of(event, meter, number);
        let (card, measured) = measure(&self.cards, &usage)?;
        measure::check(card, &measured, &usage, meter)?;
        let aggregation = card.aggregation(measured.found.rate, meter.aggregation);
        let distinct_value =
            distinct::value(aggregation, &measured, meter, (event, 0), str::to_owned)?;
        let book = self.books.entry(event.customer.to_string()).or_default();
        let (before, after, charged) =
            book.grown(&usage, &measured, aggregation, distinct_value.as_deref())?;
        let mut priced = card.price(&measured, &usage, &before, &after)?;
        let rate = measured.found.rate;
        let flats = measured
            .counter
            .map(|id| book.grow_flats(id, card, rate, &before, &after))
            .transpose()?;
        if let Some(FlatsDue { due, .. }) = flats {
            priced.exact = priced.exact.checked_add(due)?;
        }
        let version = CardVersionId(
            self.cards
                .iter()
                .take_while(|one| !std::ptr::eq(&one.compiled, card))
                .count() as i64,
        );
        let (priced, charged) = charged.price(
            By {
                version,
                rate,
                cell: 0,
            },
            card.gives_money(rate),
            priced,
        )?;
        let LinkPosting { cents, carry } = link::post(book.carry, priced.exact)?;
        if let Some(id) = measured.counter {
            book.keep(id, (priced.after, charged), usage.at, distinct_value);
            if let Some(flats) = flats.filter(|_| card.has_flats(rate)) {
                book.flats.insert((id, card.card()), flats.charged);
            }
        }
        book.carry = carry;
        Ok(Priced {
            exact: priced.exact,
            cents,
            carry,
            duplicate: false,
        })
    }
}

/// `"a" -> "b"`.
fn quoted(names: &[&str], between: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    if quoted.is_empty() {
        "none".to_owned()
    } else {
        quoted.join(between)
    }
}

/// Meters with prices by quantity that change in the middle of usage, if it lasts: where a rate's
/// window or period ends, or where another one's begins; and the first place that says so.
fn changing(doc: &CardDoc) -> BTreeMap<&str, String> {
    let mut places: BTreeMap<&str, String> = BTreeMap::new();
    let mut rates: BTreeMap<&str, usize> = BTreeMap::new();
    for rate in &doc.rates {
        *rates.entry(&rate.meter).or_default() += 1;
    }
    for (index, rate) in doc
        .rates
        .iter()
        .enumerate()
        .filter(|(_, rate)| rate.price.is_some())
    {
        let begins_among_others = rate.effective_from.is_some()
            && rates
                .get(rate.meter.as_str())
                .is_some_and(|count| *count > 1);
        let field = match (&rate.window, rate.effective_until) {
            (Some(_), _) => Some("window"),
            (None, Some(_)) => Some("effective_until"),
            (None, None) => begins_among_others.then_some("effective_from"),
        };
        if let Some(field) = field {
            places
                .entry(&rate.meter)
                .or_insert_with(|| format!("rates[{index}].{field}"));
        }
    }
    places
}

/// The card, or the fallback, that has a rate.
fn measure<'a>(
    cards: &'a [Card],
    usage: &Usage<'_>,
) -> Result<(&'a CompiledCard, Measured), Refused> {
    let currency = cards[0].compiled.currency();
    measure::through_fallbacks(&cards[0].compiled, |card: &CompiledCard| {
        if card.currency() != currency {
            let detail = format!(
                "a fallback card is in {}, but the card is in {currency}",
                card.currency()
            );
            return Err(Refused {
                code: "currency_mismatch",
                detail,
            });
        }
        match card.measure(usage) {
            Ok(measured) => Ok(Asked::Found((card, measured))),
            Err(Unrated::NoRate) => match card.fallback() {
                None => Err(Refused {
                    code: Unrated::NoRate.code(),
                    detail: card.missed(usage).to_string(),
                }),
                Some(name) => match cards.iter().find(|card| card.name.as_deref() == Some(name)) {
                    Some(next) => Ok(Asked::Next(&next.compiled)),
                    None => Err(not_given(card, usage, name)),
                },
            },
            Err(unrated) => Err(unrated.into()),
        }
    })
    .and_then(|found| found.ok_or_else(|| Unrated::NoRate.into()))
}

fn not_given(card: &CompiledCard, usage: &Usage<'_>, name: &str) -> Refused {
    let detail = format!(
        "{}, and its fallback card {name:?} is not given: --fallback {name}=FILE.json",
        card.missed(usage)
    );
    Refused {
        code: Unrated::NoRate.code(),
        detail,
    }
}
