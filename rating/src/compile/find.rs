//! Which rate of a card applies. Match, by DESIGN "Rating": the meter; the longest destination
//! prefix with an entry in force at the start; among its entries the longest origin prefix, the
//! most attributes, the latest `effective_from`, the highest `priority`. A rate without prefixes
//! does not look at the destination and stands with the empty prefix, which is otherwise that of
//! every number with a country code: what holds no number, and a short one, has only the rates
//! without prefixes. A short number is matched as a whole, or not at all; one of an unclear country
//! has a price only where no rate of the meter has prefixes. "In force" is the effective period and
//! the window.

use super::{CompiledCard, FOREVER, GROUP, Meter, Pricing, Terms};
use crate::call::{CallPlan, Stretch, instant_at, offset_of};
use crate::usage::{Match, Number, Usage};
use crate::{Exact, Instant, Overflow, Quantity, Unrated};
use smallvec::SmallVec;

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

/// The digits of its destination. What holds anything else is no number, though it may begin like
/// one (`1-800-FLOWERS`).
#[inline]
pub(super) fn digits_of<'t>(usage: &Usage<'t>) -> &'t [u8] {
    let digits = usage.destination.unwrap_or("").as_bytes();
    if digits.iter().all(u8::is_ascii_digit) {
        digits
    } else {
        b""
    }
}

/// Has it the digits of a number with a country code?
pub(super) fn is_with_country(usage: &Usage<'_>, digits: &[u8]) -> bool {
    usage.number == Number::International && !digits.is_empty()
}

impl CompiledCard {
    /// The rate in force at the usage's start.
    #[inline]
    pub(crate) fn find<'a>(&'a self, usage: &Usage<'_>) -> Result<Found<'a>, Unrated> {
        let meter = self.meter(usage.meter).ok_or(Unrated::NoRate)?;
        if usage.number == Number::Unclear && meter.looks_at_destination {
            return Err(Unrated::NoRate);
        }
        let digits = digits_of(usage);
        let mut at_most = digits.len();
        while let Some((len, value)) = meter.prefixes.longest(digits, at_most) {
            let fits = usage.number.has_prefixes() || len == 0 || len == digits.len();
            let mut candidates = if fits {
                self.candidates(value, usage)
            } else {
                SmallVec::new()
            };
            if len == 0 && !is_with_country(usage, digits) {
                candidates.retain(|candidate| !self.is_of_every_number(candidate.rate));
            }
            if let Some(best) = self.best(&candidates, usage.at) {
                let prefix_len = u8::try_from(len).map_err(|_| Overflow)?;
                return Ok(Found {
                    rate: Match {
                        rate: best.rate,
                        prefix_len,
                    },
                    terms: best.terms,
                    candidates,
                });
            }
            let Some(shorter) = len.checked_sub(1) else {
                break;
            };
            at_most = shorter;
        }
        Err(Unrated::NoRate)
    }

    #[inline]
    pub(super) fn meter(&self, name: &str) -> Option<&Meter> {
        match self.meters.as_slice() {
            [only] => (*only.name == *name).then_some(only),
            several => several
                .binary_search_by(|meter| (*meter.name).cmp(name))
                .ok()
                .map(|position| &several[position]),
        }
    }

    /// The rate in a prefix's value that is no group.
    fn rate_of(&self, value: u32) -> u32 {
        value & ((1 << self.rate_bits) - 1)
    }

    /// A call under a rate that says nothing but a price. `None`: the long way decides.
    #[inline]
    pub(crate) fn quick(&self, usage: &Usage<'_>) -> Option<(Match, Quantity, Exact)> {
        if !usage.is_call || usage.number != Number::International {
            return None;
        }
        let meter = self.meter(usage.meter)?;
        let digits = Some(digits_of(usage)).filter(|digits| !digits.is_empty())?;
        let (len, value) = meter.prefixes.longest(digits, usize::MAX)?;
        // A group is no index of the list.
        let plan = self.quick.get((value >> self.rate_bits) as usize)?;
        let (billed, exact) = plan.bill(usage.at, usage.quantity)?;
        Some((
            Match {
                rate: self.rate_of(value),
                prefix_len: u8::try_from(len).ok()?,
            },
            billed,
            exact,
        ))
    }

    pub(super) fn is_of_every_number(&self, rate: u32) -> bool {
        self.of_every_number.binary_search(&rate).is_ok()
    }

    /// All that share a prefix's value.
    pub(super) fn rates_of(&self, value: u32) -> SmallVec<[u32; 1]> {
        if value & GROUP == 0 {
            return SmallVec::from_buf([self.rate_of(value)]);
        }
        self.groups
            .get((value ^ GROUP) as usize)
            .map_or(&[][..], |group| group)
            .iter()
            .copied()
            .collect()
    }

    #[inline]
    fn candidates<'a>(&'a self, value: u32, usage: &Usage<'_>) -> SmallVec<[Candidate<'a>; 1]> {
        if value & GROUP == 0 {
            return self
                .candidate(self.rate_of(value), usage)
                .map_or_else(SmallVec::new, |one| SmallVec::from_buf([one]));
        }
        let group = self
            .groups
            .get((value ^ GROUP) as usize)
            .map_or(&[][..], |group| group);
        group
            .iter()
            .filter_map(|&rate| self.candidate(rate, usage))
            .collect()
    }

    #[inline]
    fn candidate<'a>(&'a self, rate: u32, usage: &Usage<'_>) -> Option<Candidate<'a>> {
        let terms = self.terms_of(rate)?;
        if !terms.attributes.is_empty() && !terms.has_attributes(usage.attributes) {
            return None;
        }
        let origin_len = match &terms.origins {
            None => 0,
            Some(origins) => u8::try_from(
                origins
                    .longest(usage.origin.unwrap_or("").as_bytes(), usize::MAX)?
                    .0,
            )
            .ok()?,
        };
        Some(Candidate {
            rate,
            origin_len,
            terms,
        })
    }

    #[inline]
    fn best<'a>(&self, candidates: &[Candidate<'a>], at: Instant) -> Option<Candidate<'a>> {
        match candidates {
            [one] => self.in_force(one.terms, at).then_some(*one),
            several => several
                .iter()
                .filter(|c| self.in_force(c.terms, at))
                .max_by_key(|c| c.rank())
                .copied(),
        }
    }

    #[inline]
    fn in_force(&self, terms: &Terms, at: Instant) -> bool {
        terms.effective_from <= at
            && at < terms.effective_until
            && terms
                .window
                .as_ref()
                .is_none_or(|window| window.contains(self.zone.local(at)))
    }

    /// The next instant after `at` at which another entry may be in force.
    fn next_change(&self, candidates: &[Candidate<'_>], at: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut sooner = |instant: Instant| {
            next = Some(next.map_or(instant, |known: Instant| known.min(instant)))
        };
        for Candidate { terms, .. } in candidates {
            if at < terms.effective_from {
                sooner(terms.effective_from);
            } else if at < terms.effective_until {
                if terms.effective_until != FOREVER {
                    sooner(terms.effective_until);
                }
                if let Some(boundary) = terms
                    .window
                    .as_ref()
                    .and_then(|window| window.next_boundary(&self.zone, at, self.zone.local(at)))
                {
                    sooner(boundary);
                }
            }
        }
        next
    }

    /// The stretch of a call at `offset` after `start`: of the entry in force that prices
    /// stretches. `running`: the rate before it, which goes on where only such are in force that
    /// price no stretch of a call under way.
    pub(crate) fn stretch<'a>(
        &self,
        found: &Found<'a>,
        start: Instant,
        offset: i128,
        running: Option<u32>,
    ) -> Result<Stretch<'a>, Unrated> {
        if let [
            Candidate {
                rate,
                terms:
                    Terms {
                        pricing: Pricing::Steps(plan),
                        window: None,
                        effective_until: FOREVER,
                        ..
                    },
                ..
            },
        ] = found.candidates.as_slice()
        {
            return Ok(Stretch {
                rate: *rate,
                plan,
                until: None,
            });
        }
        let at = instant_at(start, offset).ok_or(Overflow)?;
        let running = running.unwrap_or(found.rate.rate);
        let priced: SmallVec<[Candidate<'a>; 1]> = found
            .candidates
            .iter()
            .filter(|candidate| candidate.plan(found).is_some())
            .copied()
            .collect();
        let (entry, among) = match self.best(&priced, at) {
            Some(best) => (Some(best), &priced),
            None if self.best(&found.candidates, at).is_some() => (
                found
                    .candidates
                    .iter()
                    .find(|candidate| candidate.rate == running)
                    .copied(),
                &found.candidates,
            ),
            None => (None, &priced),
        };
        let entry = entry.ok_or(Unrated::Gap {
            from: crate::Quantity(offset),
        })?;
        let plan = entry.plan(found).ok_or(Unrated::NoRate)?;
        let until = self
            .next_change(among, at)
            .map(|change| offset_of(start, change));
        Ok(Stretch {
            rate: entry.rate,
            plan,
            until,
        })
    }
}

impl Found<'_> {
    /// How many rates are looked at for each stretch of a call.
    pub(crate) fn beside(&self) -> usize {
        self.candidates.len()
    }
    /// Whether a call that begins here may be cut.
    pub(crate) fn may_change(&self) -> bool {
        self.candidates.len() > 1
            || self.terms.window.is_some()
            || self.terms.effective_until != FOREVER
    }
}

impl<'a> Candidate<'a> {
    /// How it bills a stretch of a call that began under the rate found. `None`: it prices whole
    /// calls only.
    fn plan(&self, found: &Found<'a>) -> Option<&'a CallPlan> {
        match &self.terms.pricing {
            Pricing::Blocked => None,
            Pricing::Steps(plan) => Some(plan),
            Pricing::Model { stretches, .. } if self.rate == found.rate.rate => {
                Some(&stretches.own)
            }
            Pricing::Model { stretches, .. } => stretches.of_others.as_ref(),
        }
    }
}

impl Candidate<'_> {
    fn rank(&self) -> (u8, usize, Instant, i32) {
        (
            self.origin_len,
            self.terms.attributes.len(),
            self.terms.effective_from,
            self.terms.priority,
        )
    }
}

impl Terms {
    fn has_attributes(&self, given: &[(String, String)]) -> bool {
        self.attributes
            .iter()
            .all(|(name, value)| given.iter().any(|(n, v)| **n == **name && **v == **value))
    }
}
