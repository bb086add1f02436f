//! A rate card version made ready: matching and measuring without allocation.
//!
//! Rates that differ only in key, name and prefixes share one entry of terms (a deck of 300,000
//! prefixes has a few thousand prices), so a compiled deck is a prefix map, two words per rate and the
//! texts that explain it.
//!
//! Match, by DESIGN "Rating": the meter; the longest destination prefix with an entry in force at the
//! start; among its entries the longest origin prefix, the most attributes, the latest
//! `effective_from`, the highest `priority`. A rate without prefixes does not look at the destination
//! and stands with the empty prefix. "In force" is the effective period and the window.

use crate::call::{CallPlan, Stretch, instant_at, offset_of};
use crate::card::{CardDoc, Rate};
use crate::model::CompiledModel;
use crate::prefix::{Packed, PrefixMap};
use crate::shape::{Shape, Texts};
use crate::usage::{CounterId, Match, Usage};
use crate::validate::{self, Mistake};
use crate::window::{Window, Zone};
use crate::{Currency, Instant, Overflow, Unrated};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;

/// An immutable, compiled rate card version.
#[derive(Debug)]
pub struct CompiledCard {
    currency: Currency,
    zone_name: String,
    zone: Zone,
    fallback: Option<String>,
    meters: Vec<Meter>,
    /// By rate, as numbered in the document.
    terms_of_rate: Vec<u32>,
    key_digests: Vec<i64>,
    terms: Vec<Terms>,
    /// Rates of a prefix that has several.
    groups: Vec<Box<[u32]>>,
    texts: Texts,
}

/// Sorted by name.
#[derive(Debug)]
struct Meter {
    name: Box<str>,
    /// A rate, or [`GROUP`] and the index of a group.
    prefixes: PrefixMap,
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
    Model { call: Option<CallPlan>, model: Box<CompiledModel> },
}

/// A rate that matches the usage whatever the instant.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    rate: u32,
    origin_len: u8,
    terms: &'a Terms,
}

/// The rate at the event's start, and the others of its prefix.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) rate: Match,
    pub(crate) terms: &'a Terms,
    candidates: SmallVec<[Candidate<'a>; 1]>,
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
            meters: Vec::new(),
            terms_of_rate: Vec::with_capacity(doc.rates.len()),
            key_digests: Vec::with_capacity(doc.rates.len()),
            terms: Vec::new(),
            groups: Vec::new(),
            texts: Texts::default(),
        };
        card.add_rates(&doc.rates)?;
        card.add_prefixes(&doc.rates)?;
        Ok(card)
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
        let prefixes: usize = self.meters.iter().map(|meter| meter.prefixes.size_bytes()).sum();
        let groups: usize = self.groups.iter().map(|group| size_of_val(&**group) + size_of::<Box<[u32]>>()).sum();
        let rates = self.terms_of_rate.capacity() * size_of::<u32>() + self.key_digests.capacity() * size_of::<i64>();
        prefixes + groups + rates + self.texts.size_bytes() + self.terms.capacity() * size_of::<Terms>()
    }
    /// A rate as written, without its prefixes (the match names the one that counted).
    pub fn doc_rate(&self, rate: u32) -> Option<Rate> {
        let (key, name) = self.texts.key_and_name(rate)?;
        let text = self.texts.terms.get(*self.terms_of_rate.get(rate as usize)? as usize)?;
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
                    self.terms.push(Terms::compile(rate, self.currency).map_err(|e| wrong(&e))?);
                    self.texts.terms.push(Shape(rate).text().map_err(|e| wrong(&e))?);
                    known.insert(Shape(rate), number);
                    number
                }
            };
            self.terms_of_rate.push(terms);
            self.key_digests.push(key_digest(&rate.meter, &rate.key));
            self.texts.add(&rate.key, rate.name.as_deref().unwrap_or("")).map_err(|e| wrong(&e))?;
        }
        Ok(())
    }

    fn add_prefixes(&mut self, rates: &[Rate]) -> Result<(), Vec<Mistake>> {
        let mut by_meter: BTreeMap<&str, Vec<(Packed, u32)>> = BTreeMap::new();
        for (rate, number) in rates.iter().zip(0_u32..) {
            let entries = by_meter.entry(&rate.meter).or_default();
            let none = rate.prefixes.is_empty().then_some("");
            let wrong = || vec![Mistake::rate(number as usize, &"expected digits")];
            for prefix in rate.prefixes.iter().map(String::as_str).chain(none) {
                entries.push((Packed::new(prefix).ok_or_else(wrong)?, number));
            }
        }
        for (name, mut entries) in by_meter {
            entries.sort_unstable();
            let merged = self.merge(&entries);
            let prefixes = PrefixMap::from_sorted(&merged).map_err(|e| vec![Mistake::card(&format!("{e:?}"))])?;
            self.meters.push(Meter { name: name.into(), prefixes });
        }
        Ok(())
    }

    /// One value per prefix: its rate, or the group of its rates. `entries` are sorted.
    fn merge(&mut self, entries: &[(Packed, u32)]) -> Vec<(Packed, u32)> {
        let groups = &mut self.groups;
        entries
            .chunk_by(|a, b| a.0 == b.0)
            .map(|same| match same {
                [one] => *one,
                several => {
                    groups.push(several.iter().map(|&(_, rate)| rate).collect());
                    (several[0].0, GROUP | (groups.len() - 1) as u32)
                }
            })
            .collect()
    }

    /// The rate in force at the usage's start.
    #[inline]
    pub(crate) fn find<'a>(&'a self, usage: &Usage<'_>) -> Result<Found<'a>, Unrated> {
        let meter = match self.meters.as_slice() {
            [only] if *only.name == *usage.meter => only,
            several => {
                let position = several.binary_search_by(|meter| (*meter.name).cmp(usage.meter)).map_err(|_| Unrated::NoRate)?;
                &several[position]
            }
        };
        let digits = usage.destination.unwrap_or("").as_bytes();
        let mut at_most = digits.len();
        while let Some((len, value)) = meter.prefixes.longest(digits, at_most) {
            let candidates = self.candidates(value, usage);
            if let Some(best) = self.best(&candidates, usage.at) {
                let prefix_len = u8::try_from(len).map_err(|_| Overflow)?;
                return Ok(Found { rate: Match { rate: best.rate, prefix_len }, terms: best.terms, candidates });
            }
            let Some(shorter) = len.checked_sub(1) else { break };
            at_most = shorter;
        }
        Err(Unrated::NoRate)
    }

    #[inline]
    fn candidates<'a>(&'a self, value: u32, usage: &Usage<'_>) -> SmallVec<[Candidate<'a>; 1]> {
        if value & GROUP == 0 {
            return self.candidate(value, usage).map_or_else(SmallVec::new, |one| SmallVec::from_buf([one]));
        }
        let group = self.groups.get((value ^ GROUP) as usize).map_or(&[][..], |group| group);
        group.iter().filter_map(|&rate| self.candidate(rate, usage)).collect()
    }

    #[inline]
    fn candidate<'a>(&'a self, rate: u32, usage: &Usage<'_>) -> Option<Candidate<'a>> {
        let terms = self.terms_of(rate)?;
        if !terms.attributes.is_empty() && !terms.has_attributes(usage.attributes) {
            return None;
        }
        let origin_len = match &terms.origins {
            None => 0,
            Some(origins) => u8::try_from(origins.longest(usage.origin.unwrap_or("").as_bytes(), usize::MAX)?.0).ok()?,
        };
        Some(Candidate { rate, origin_len, terms })
    }

    #[inline]
    fn best<'a>(&self, candidates: &[Candidate<'a>], at: Instant) -> Option<Candidate<'a>> {
        match candidates {
            [one] => self.in_force(one.terms, at).then_some(*one),
            several => several.iter().filter(|c| self.in_force(c.terms, at)).max_by_key(|c| c.rank()).copied(),
        }
    }

    #[inline]
    fn in_force(&self, terms: &Terms, at: Instant) -> bool {
        terms.effective_from <= at
            && at < terms.effective_until
            && terms.window.as_ref().is_none_or(|window| window.contains(self.zone.local(at)))
    }

    /// The next instant after `at` at which another entry may be in force.
    fn next_change(&self, candidates: &[Candidate<'_>], at: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut sooner = |instant: Instant| next = Some(next.map_or(instant, |known: Instant| known.min(instant)));
        for Candidate { terms, .. } in candidates {
            if at < terms.effective_from {
                sooner(terms.effective_from);
            } else if at < terms.effective_until {
                if terms.effective_until != FOREVER {
                    sooner(terms.effective_until);
                }
                if let Some(boundary) = terms.window.as_ref().and_then(|window| window.next_boundary(&self.zone, at, self.zone.local(at))) {
                    sooner(boundary);
                }
            }
        }
        next
    }

    /// The stretch of a call at `offset` after `start`, among the entries priced by steps.
    pub(crate) fn stretch<'a>(&self, found: &Found<'a>, start: Instant, offset: i128) -> Result<Stretch<'a>, Unrated> {
        let gap = Unrated::Gap { from: crate::Quantity(offset) };
        if let [Candidate { rate, terms: Terms { pricing: Pricing::Steps(plan), window: None, effective_until: FOREVER, .. }, .. }] =
            found.candidates.as_slice()
        {
            return Ok(Stretch { rate: *rate, plan, until: None });
        }
        let at = instant_at(start, offset).ok_or(Overflow)?;
        let priced: SmallVec<[Candidate<'a>; 1]> =
            found.candidates.iter().filter(|c| matches!(c.terms.pricing, Pricing::Steps(_))).copied().collect();
        let best = self.best(&priced, at).ok_or(gap)?;
        let Pricing::Steps(plan) = &best.terms.pricing else { return Err(Unrated::NoRate) };
        let until = self.next_change(&priced, at).map(|change| offset_of(start, change));
        Ok(Stretch { rate: best.rate, plan, until })
    }

    pub(crate) fn terms_of(&self, rate: u32) -> Option<&Terms> {
        self.terms.get(*self.terms_of_rate.get(rate as usize)? as usize)
    }
    pub(crate) fn counter_id(&self, rate: u32, at: Instant) -> Option<CounterId> {
        let rate_key = *self.key_digests.get(rate as usize)?;
        Some(CounterId { rate_key, month: self.zone.month(at) })
    }
}

impl Candidate<'_> {
    fn rank(&self) -> (u8, usize, Instant, i32) {
        (self.origin_len, self.terms.attributes.len(), self.terms.effective_from, self.terms.priority)
    }
}

impl Terms {
    fn compile(rate: &Rate, currency: Currency) -> Result<Self, String> {
        let window = rate.window.as_ref().map(Window::compile).transpose().map_err(|e| format!("{e:?}"))?;
        let origins: Vec<(&str, u32)> = rate.origin_prefixes.iter().map(|prefix| (prefix.as_str(), 0)).collect();
        Ok(Self {
            effective_from: rate.effective_from.unwrap_or(Instant::MIN),
            effective_until: rate.effective_until.unwrap_or(FOREVER),
            window: window.map(Box::new),
            priority: rate.priority,
            attributes: rate.attributes.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect(),
            origins: (!origins.is_empty()).then(|| PrefixMap::build(&origins).map(Box::new)).transpose().map_err(|e| format!("{e:?}"))?,
            counted: rate.counted,
            rounding: rate.rounding.map(|rounding| Step::compile(rounding, currency)).transpose().map_err(|e| e.to_string())?.flatten(),
            pricing: Pricing::compile(rate, currency)?,
        })
    }

    fn has_attributes(&self, given: &[(String, String)]) -> bool {
        self.attributes.iter().all(|(name, value)| given.iter().any(|(n, v)| **n == **name && **v == **value))
    }
}

impl Step {
    /// `None`: finer than 10⁻¹² cent, which changes nothing.
    fn compile(rounding: crate::card::Rounding, currency: Currency) -> Result<Option<Self>, Overflow> {
        let decimals = crate::Exact::CENT_DECIMALS + currency.exponent();
        let Some(shift) = decimals.checked_sub(u32::from(rounding.decimals)) else { return Ok(None) };
        Ok(Some(Self { size: 10_i128.checked_pow(shift).ok_or(Overflow)?, mode: rounding.mode }))
    }
}

impl Pricing {
    fn compile(rate: &Rate, currency: Currency) -> Result<Self, String> {
        if rate.blocked {
            return Ok(Self::Blocked);
        }
        let call = rate.call.as_ref().map(|terms| CallPlan::compile(terms, currency)).transpose().map_err(|e| e.to_string())?;
        match (call, &rate.price) {
            (call, Some(price)) => {
                let model = CompiledModel::compile(price, currency, rate.rounding).map_err(|e| format!("{e:?}"))?;
                Ok(Self::Model { call, model: Box::new(model) })
            }
            (Some(call), None) if call.has_steps() => Ok(Self::Steps(call)),
            _ => Err("no price".to_owned()),
        }
    }
}

/// 63 bits of SipHash-2-4 under a fixed key: counters are stored under it, so it never changes. With the
/// meter, because another card of the link may use the same key for something else.
pub fn key_digest(meter: &str, key: &str) -> i64 {
    let mut hasher = siphasher::sip::SipHasher24::new_with_keys(0x6365_6e74_7769_7365, 0x7261_7465_206b_6579);
    hasher.write(&(meter.len() as u64).to_le_bytes());
    hasher.write(meter.as_bytes());
    hasher.write(key.as_bytes());
    (hasher.finish() >> 1).cast_signed()
}
