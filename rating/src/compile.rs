//! A rate card version made ready: matching and measuring without allocation.
//!
//! Rates that differ only in key, name and prefixes share one entry of terms (a deck of 300,000
//! prefixes has a few thousand prices), so a compiled deck is a prefix map, two words per rate and
//! the texts that explain it.

mod find;
mod missed;

pub(crate) use find::Found;
pub use missed::Missed;

use crate::call::{CallPlan, QuickPlan};
use crate::card::{Aggregation, CardDoc, Rate};
use crate::model::CompiledModel;
use crate::prefix::{Packed, PrefixMap};
use crate::shape::{Shape, Texts};
use crate::usage::{CounterId, Usage};
use crate::validate::{self, Mistake};
use crate::window::{Window, Zone};
use crate::{Currency, Instant, Overflow, RateCardId};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;

/// An immutable, compiled rate card version.
#[derive(Debug)]
pub struct CompiledCard {
    currency: Currency,
    zone_name: String,
    zone: Zone,
    fallback: Option<String>,
    /// Whose version it is.
    card: RateCardId,
    meters: Vec<Meter>,
    /// By rate, as numbered in the document.
    terms_of_rate: Vec<u32>,
    key_digests: Vec<i64>,
    terms: Vec<Terms>,
    /// Terms for the short way; the first are for every rate that has none.
    quick: Vec<QuickPlan>,
    /// Bits of a prefix's value that name the rate.
    rate_bits: u32,
    /// Rates whose prefix is the empty one, in order: they are of every number, and of nothing that
    /// is none.
    of_every_number: Vec<u32>,
    /// Rates of a prefix that has several.
    groups: Vec<Box<[u32]>>,
    texts: Texts,
}

/// Sorted by name.
#[derive(Debug)]
struct Meter {
    name: Box<str>,
    /// A rate and, above it, the index of its quick plan; or [`GROUP`] and the index of a group.
    prefixes: PrefixMap,
    /// Has one of its rates prefixes?
    looks_at_destination: bool,
}

const GROUP: u32 = 1 << 31;
/// Later than every instant of the calendar.
const FOREVER: Instant = Instant(i64::MAX);

/// What rates with the same terms share.
#[derive(Debug)]
pub(crate) struct Terms {
    effective_from: Instant,
    effective_until: Instant,
    window: Option<Box<Window>>,
    priority: i32,
    attributes: Box<[(Box<str>, Box<str>)]>,
    origins: Option<Box<PrefixMap>>,
    pub(crate) counted: bool,
    /// Some of its prices are below zero.
    pub(crate) gives_money: bool,
    /// Some of its price is due once in a month.
    pub(crate) has_flats: bool,
    pub(crate) rounding: Option<Step>,
    pub(crate) pricing: Pricing,
}

/// A rate's own rounding: to multiples of `size` 10⁻¹² cents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) size: i128,
    pub(crate) mode: crate::rounding::Mode,
}

#[derive(Debug)]
pub(crate) enum Pricing {
    Blocked,
    Steps(CallPlan),
    Model {
        call: Option<CallPlan>,
        model: Box<CompiledModel>,
        stretches: Box<Stretches>,
    },
}

/// How a rate with a price model takes part in a call that is cut.
#[derive(Debug)]
pub(crate) struct Stretches {
    /// Of a call that began under it: its increments; what they come to is counted and priced by P.
    pub(crate) own: CallPlan,
    /// Of any other: by the unit, if its price is one.
    pub(crate) of_others: Option<CallPlan>,
}

impl CompiledCard {
    pub fn compile(doc: &CardDoc) -> Result<Self, Vec<Mistake>> {
        let mistakes = validate::validate(doc);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let zone = Zone::named(&doc.zone).ok_or_else(|| vec![Mistake::zone()])?;
        let mut card = Self {
            currency: doc.currency,
            zone_name: doc.zone.clone(),
            zone,
            fallback: doc.fallback.clone(),
            card: RateCardId(0),
            meters: Vec::new(),
            terms_of_rate: Vec::with_capacity(doc.rates.len()),
            key_digests: Vec::with_capacity(doc.rates.len()),
            terms: Vec::new(),
            quick: vec![QuickPlan::NEVER],
            rate_bits: doc.rates.len().next_power_of_two().ilog2(),
            of_every_number: Vec::new(),
            groups: Vec::new(),
            texts: Texts::default(),
        };
        card.add_rates(&doc.rates)?;
        let quick_of_terms = card.add_quick();
        card.add_prefixes(&doc.rates, &quick_of_terms)?;
        Ok(card)
    }

    /// A version of this card.
    #[must_use]
    pub fn of_card(self, card: RateCardId) -> Self {
        Self { card, ..self }
    }

    /// Which card's version it is; 0: that was not said.
    pub fn card(&self) -> RateCardId {
        self.card
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }
    /// The card that is asked when this one answers [`Unrated::NoRate`].
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }
    /// IANA zone of windows and calendar months.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }
    /// The stable key of a rate.
    pub fn rate_key(&self, rate: u32) -> Option<&str> {
        self.texts.key_and_name(rate).map(|(key, _)| key)
    }
    /// Bytes on the heap, about: prefixes, rates and texts (the terms themselves are few).
    pub fn size_bytes(&self) -> usize {
        let prefixes: usize = self
            .meters
            .iter()
            .map(|meter| meter.prefixes.size_bytes())
            .sum();
        let groups: usize = self
            .groups
            .iter()
            .map(|group| size_of_val(&**group) + size_of::<Box<[u32]>>())
            .sum();
        let rates = self.terms_of_rate.capacity() * size_of::<u32>()
            + self.key_digests.capacity() * size_of::<i64>();
        let terms = self.terms.capacity() * size_of::<Terms>()
            + self.quick.capacity() * size_of::<QuickPlan>();
        prefixes + groups + rates + self.texts.size_bytes() + terms
    }
    /// A rate as written, without its prefixes (the match names the one that counted).
    pub fn doc_rate(&self, rate: u32) -> Option<Rate> {
        let (key, name) = self.texts.key_and_name(rate)?;
        let text = self
            .texts
            .terms
            .get(*self.terms_of_rate.get(rate as usize)? as usize)?;
        let mut found: Rate = serde_json::from_str(text).ok()?;
        found.key = key.to_owned();
        found.name = (!name.is_empty()).then(|| name.to_owned());
        Some(found)
    }

    fn add_rates(&mut self, rates: &[Rate]) -> Result<(), Vec<Mistake>> {
        let mut known: HashMap<Shape<'_>, u32> = HashMap::new();
        for (index, rate) in rates.iter().enumerate() {
            let wrong = |e: &dyn std::fmt::Display| vec![Mistake::rate(index, e)];
            let terms = match known.get(&Shape(rate)) {
                Some(&terms) => terms,
                None => {
                    let number = u32::try_from(self.terms.len()).map_err(|e| wrong(&e))?;
                    self.terms
                        .push(Terms::compile(rate, self.currency).map_err(|e| wrong(&e))?);
                    self.texts
                        .terms
                        .push(Shape(rate).text().map_err(|e| wrong(&e))?);
                    known.insert(Shape(rate), number);
                    number
                }
            };
            self.terms_of_rate.push(terms);
            self.key_digests.push(key_digest(&rate.meter, &rate.key));
            self.texts
                .add(&rate.key, rate.name.as_deref().unwrap_or(""))
                .map_err(|e| wrong(&e))?;
        }
        Ok(())
    }

    /// Index into `quick` by terms: 0 for those that have no quick plan, and when the indexes are
    /// used up.
    fn add_quick(&mut self) -> Vec<u32> {
        let room = (GROUP >> self.rate_bits) as usize;
        let mut index_of = Vec::with_capacity(self.terms.len());
        for terms in &self.terms {
            let quick = terms.quick().filter(|_| self.quick.len() < room);
            index_of.push(quick.map_or(0, |_| self.quick.len() as u32));
            self.quick.extend(quick);
        }
        index_of
    }

    fn add_prefixes(&mut self, rates: &[Rate], quick_of_terms: &[u32]) -> Result<(), Vec<Mistake>> {
        let mut by_meter: BTreeMap<&str, Vec<(Packed, u32)>> = BTreeMap::new();
        for (rate, number) in rates.iter().zip(0_u32..) {
            let entries = by_meter.entry(&rate.meter).or_default();
            let none = rate.prefixes.is_empty().then_some("");
            let wrong = || vec![Mistake::rate(number as usize, &"expected digits")];
            if rate.prefixes.iter().any(String::is_empty) {
                self.of_every_number.push(number);
            }
            for prefix in rate.prefixes.iter().map(String::as_str).chain(none) {
                entries.push((Packed::new(prefix).ok_or_else(wrong)?, number));
            }
        }
        for (name, mut entries) in by_meter {
            entries.sort_unstable();
            let merged = self.merge(&entries, quick_of_terms);
            let prefixes = PrefixMap::from_sorted(&merged)
                .map_err(|e| vec![Mistake::card(&format!("{e:?}"))])?;
            let looks_at_destination = rates
                .iter()
                .any(|rate| rate.meter == name && !rate.prefixes.is_empty());
            self.meters.push(Meter {
                name: name.into(),
                prefixes,
                looks_at_destination,
            });
        }
        Ok(())
    }

    /// One value per prefix: its rate, or the group of its rates. `entries` are sorted.
    fn merge(&mut self, entries: &[(Packed, u32)], quick_of_terms: &[u32]) -> Vec<(Packed, u32)> {
        let (groups, terms_of_rate, rate_bits) =
            (&mut self.groups, &self.terms_of_rate, self.rate_bits);
        let quick = |rate: u32| quick_of_terms[terms_of_rate[rate as usize] as usize];
        entries
            .chunk_by(|a, b| a.0 == b.0)
            .map(|same| match same {
                [(prefix, rate)] => (*prefix, rate | quick(*rate) << rate_bits),
                several => {
                    groups.push(several.iter().map(|&(_, rate)| rate).collect());
                    (several[0].0, GROUP | (groups.len() - 1) as u32)
                }
            })
            .collect()
    }

    pub(crate) fn terms_of(&self, rate: u32) -> Option<&Terms> {
        self.terms
            .get(*self.terms_of_rate.get(rate as usize)? as usize)
    }
    /// When the calendar month of an instant began, in the card's zone.
    pub fn month_began(&self, at: Instant) -> Instant {
        self.zone.month_began(at)
    }

    pub(crate) fn counter_id(&self, rate: u32, usage: &Usage<'_>) -> Option<CounterId> {
        let key = *self.key_digests.get(rate as usize)?;
        // A sum of amounts, and the highest or the last of quantities, are two things, also under
        // one key.
        let is_highest_or_last =
            matches!(usage.aggregation, Aggregation::Max | Aggregation::Latest);
        let is_other =
            is_highest_or_last && self.aggregation(rate, usage.aggregation) != usage.aggregation;
        let rate_key = if is_other { key ^ OF_AMOUNTS } else { key };
        Some(CounterId {
            rate_key,
            month: self.zone.month(usage.at),
        })
    }
}

/// Of the counter of amounts, where the meter's own counts something else.
const OF_AMOUNTS: i64 = 0x5bd1_e995_7f4a_7c15;

impl Terms {
    fn compile(rate: &Rate, currency: Currency) -> Result<Self, String> {
        let window = rate
            .window
            .as_deref()
            .map(Window::compile)
            .transpose()
            .map_err(|e| format!("{e:?}"))?;
        let origins: Vec<(&str, u32)> = rate
            .origin_prefixes
            .iter()
            .map(|prefix| (prefix.as_str(), 0))
            .collect();
        let pricing = Pricing::compile(rate, currency)?;
        Ok(Self {
            effective_from: rate.effective_from.unwrap_or(Instant::MIN),
            effective_until: rate.effective_until.unwrap_or(FOREVER),
            window: window.map(Box::new),
            priority: rate.priority,
            attributes: rate
                .attributes
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
            origins: (!origins.is_empty())
                .then(|| PrefixMap::build(&origins).map(Box::new))
                .transpose()
                .map_err(|e| format!("{e:?}"))?,
            counted: rate.counted,
            gives_money: crate::below_zero::gives_money(rate),
            has_flats: matches!(&pricing, Pricing::Model { model, .. } if model.has_flats()),
            rounding: rate
                .rounding
                .map(|rounding| Step::compile(rounding, currency))
                .transpose()
                .map_err(|e| e.to_string())?
                .flatten(),
            pricing,
        })
    }

    fn quick(&self) -> Option<QuickPlan> {
        let for_every_call = self.attributes.is_empty()
            && self.origins.is_none()
            && self.window.is_none()
            && self.effective_until == FOREVER;
        match &self.pricing {
            Pricing::Steps(plan) if for_every_call && !self.counted && self.rounding.is_none() => {
                QuickPlan::new(plan, self.effective_from)
            }
            _ => None,
        }
    }
}

impl Step {
    /// `None`: finer than 10⁻¹² cent, which changes nothing.
    fn compile(
        rounding: crate::card::Rounding,
        currency: Currency,
    ) -> Result<Option<Self>, Overflow> {
        let decimals = crate::Exact::CENT_DECIMALS + currency.exponent();
        let Some(shift) = decimals.checked_sub(u32::from(rounding.decimals)) else {
            return Ok(None);
        };
        Ok(Some(Self {
            size: 10_i128.checked_pow(shift).ok_or(Overflow)?,
            mode: rounding.mode,
        }))
    }
}

impl Pricing {
    fn compile(rate: &Rate, currency: Currency) -> Result<Self, String> {
        if rate.blocked {
            return Ok(Self::Blocked);
        }
        let call = rate
            .call
            .as_ref()
            .map(|terms| CallPlan::compile(terms, currency))
            .transpose()
            .map_err(|e| e.to_string())?;
        match (call, &rate.price) {
            (call, Some(price)) => {
                let model = CompiledModel::compile(price, currency, rate.rounding)
                    .map_err(|e| format!("{e:?}"))?;
                let own = CallPlan::unpriced(rate.call.as_deref()).map_err(|e| e.to_string())?;
                let unit_price = price.unit_price_alone(currency);
                let of_others = unit_price.and_then(|price| own.by_unit(price).ok());
                Ok(Self::Model {
                    call,
                    model: Box::new(model),
                    stretches: Box::new(Stretches { own, of_others }),
                })
            }
            (Some(call), None) if call.has_steps() => Ok(Self::Steps(call)),
            _ => Err("no price".to_owned()),
        }
    }
}

/// 63 bits of SipHash-2-4 under a fixed key: counters are stored under it, so it never changes.
/// With the meter, because another card of the link may use the same key for something else.
pub fn key_digest(meter: &str, key: &str) -> i64 {
    let mut hasher =
        siphasher::sip::SipHasher24::new_with_keys(0x6365_6e74_7769_7365, 0x7261_7465_206b_6579);
    hasher.write(&(meter.len() as u64).to_le_bytes());
    hasher.write(meter.as_bytes());
    hasher.write(key.as_bytes());
    (hasher.finish() >> 1).cast_signed()
}
