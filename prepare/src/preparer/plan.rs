//! Every link of a chain measured by its card, or why it has no price; or what has to be read
//! first.

use super::{About, Lateness, Missing, Planned, UsagePreparer};
use crate::measure::{Asked, check, through_fallbacks, usage_of};
use crate::measured::{ByCard, Method, Plan, UnratedReason};
use crate::open::{self, BELOW_UNKNOWN};
use crate::plan::{ChainPlan, PlanLink, Timeline};
use formats::UsageEvent;
use rating::card::MeterTerms;
use rating::usage::{Number, Unrated, Usage};
use rating::{Currency, TenantId};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use tenants::Pricing;

impl UsagePreparer<'_> {
    pub(super) fn plan(&self, about: &About, event: &UsageEvent, number: Number) -> Planned {
        let Some(customer) = &about.customer else {
            return Ok(Err(UnratedReason(about.nobody)));
        };
        let window_secs = i64::from(customer.tenant.late_window_days) * 86_400;
        if self.late == Lateness::Kept && event.at < self.now.plus_secs(-window_secs) {
            return Ok(Err(UnratedReason("late")));
        }
        let Some(at) = customer.chain_at(event.at) else {
            return Ok(Err(UnratedReason("no_agreement")));
        };
        let chain = match &at.links {
            Ok(chain) => chain,
            Err(error) => return Ok(Err(UnratedReason(error.code()))),
        };
        let usage = usage_of(event, &about.meter, number);
        let mut methods = SmallVec::new();
        if at.open.is_empty() {
            for link in chain.iter() {
                match self.measure_link(link, &usage, &about.meter)? {
                    Ok(method) => methods.push(method),
                    Err(_kept) => break,
                }
            }
        }
        if methods.len() < chain.len() {
            return self.plan_upper(at, chain, about, &usage);
        }
        let Some(currency) = chain.first().map(|link| link.agreement.currency) else {
            return Ok(Err(UnratedReason("no_agreement")));
        };
        let (meter, chain) = (Arc::clone(&about.meter), Arc::clone(chain));
        Ok(Ok(Box::new(Plan {
            currency,
            meter,
            quantity: event.quantity,
            chain,
            skipped: 0,
            methods,
            open: Vec::new(),
        })))
    }

    /// Where not every link can be charged: those above.
    pub(super) fn plan_upper(
        &self,
        at: &ChainPlan,
        chain: &Arc<[PlanLink]>,
        about: &About,
        usage: &Usage<'_>,
    ) -> Planned {
        let mut links: SmallVec<[(TenantId, Option<&'static str>); 4]> = at
            .open
            .iter()
            .map(|open| (open.buyer, Some(open.reason)))
            .collect();
        let below = links.len();
        let mut measured = Vec::with_capacity(chain.len());
        for link in chain.iter() {
            let method = self.measure_link(link, usage, &about.meter)?;
            let reason = match &method {
                Ok(Method::Card(_) | Method::Commission { floor: Some(_), .. }) => None,
                Ok(Method::Commission { floor: None, .. }) => links
                    .last()
                    .is_none_or(|(_, reason)| reason.is_some())
                    .then_some(BELOW_UNKNOWN),
                Err(kept) => Some(kept.0),
            };
            links.push((link.agreement.buyer, reason));
            measured.push(method);
        }
        let (first, open) = open::cut(&links);
        let skipped = first.saturating_sub(below);
        let methods: SmallVec<[Method; 2]> = measured.into_iter().skip(skipped).flatten().collect();
        let Some(top) = chain.last().filter(|_| !methods.is_empty()) else {
            return Ok(Err(UnratedReason(open::reason(&open))));
        };
        let (meter, chain) = (Arc::clone(&about.meter), Arc::clone(chain));
        Ok(Ok(Box::new(Plan {
            currency: top.agreement.currency,
            meter,
            quantity: usage.quantity,
            chain,
            skipped,
            methods,
            open,
        })))
    }

    #[inline]
    pub(super) fn measure_link(
        &self,
        link: &PlanLink,
        usage: &Usage<'_>,
        meter: &MeterTerms,
    ) -> Result<Result<Method, UnratedReason>, Missing> {
        let (timeline, commission_bp) = match (&link.agreement.pricing, &link.timeline) {
            (Pricing::Wholesale { .. }, Some(timeline)) => (timeline, None),
            (Pricing::Wholesale { .. }, None) => return Ok(Err(UnratedReason("no_rate"))),
            (Pricing::Commission { commission_bp }, Some(floor)) => (floor, Some(*commission_bp)),
            (Pricing::Commission { commission_bp }, None) => {
                return Ok(Ok(Method::Commission {
                    commission_bp: *commission_bp,
                    floor: None,
                }));
            }
        };
        // A floor needs nobody's approval.
        let approval = link.approval.as_deref().filter(|_| commission_bp.is_none());
        let by =
            match self.measure_card(timeline, (link.agreement.currency, approval), usage, meter)? {
                Ok(by) => by,
                Err(kept) => return Ok(Err(kept)),
            };
        Ok(Ok(match commission_bp {
            None => Method::Card(by),
            Some(commission_bp) => Method::Commission {
                commission_bp,
                floor: Some(Box::new(by)),
            },
        }))
    }

    /// The card's version in force at the start, then its fallback cards. `approval`: only versions
    /// that one of these tenants published or approved are in force.
    #[inline]
    pub(super) fn measure_card(
        &self,
        timeline: &Arc<Timeline>,
        (currency, approval): (Currency, Option<&[TenantId]>),
        usage: &Usage<'_>,
        meter: &MeterTerms,
    ) -> Result<Result<ByCard, UnratedReason>, Missing> {
        let found = through_fallbacks(
            Cow::Borrowed(timeline),
            |timeline: Cow<'_, Arc<Timeline>>| {
                let Some(slot) = timeline.in_force(usage.at, approval) else {
                    let unapproved = timeline.in_force(usage.at, None).is_some();
                    return Ok(Asked::Found(Err(UnratedReason(if unapproved {
                        "card_not_approved"
                    } else {
                        "no_rate"
                    }))));
                };
                let Some(card) = slot.compiled.get() else {
                    let id = slot.id;
                    return Err(Missing::Version {
                        timeline: timeline.into_owned(),
                        id,
                    });
                };
                if card.currency() != currency {
                    return Ok(Asked::Found(Err(UnratedReason("currency_mismatch"))));
                }
                match card.measure(usage) {
                    Ok(measured) => {
                        let has_flats =
                            measured.counter.is_some() && card.has_flats(measured.found.rate);
                        if has_flats
                            && let Some(id) =
                                timeline.not_compiled_since(card.month_began(usage.at))
                        {
                            return Err(Missing::Version {
                                timeline: timeline.into_owned(),
                                id,
                            });
                        }
                        let of_card = has_flats.then(|| Arc::clone(&timeline));
                        let by = ByCard {
                            version: slot.id,
                            card: Arc::clone(card),
                            measured,
                            timeline: of_card,
                        };
                        let checked = check(card, &by.measured, usage, meter);
                        return Ok(Asked::Found(
                            checked
                                .map(|()| by)
                                .map_err(|unrated| UnratedReason(unrated.code())),
                        ));
                    }
                    Err(Unrated::NoRate) => {}
                    Err(unrated) => return Ok(Asked::Found(Err(UnratedReason(unrated.code())))),
                }
                let Some(name) = card.fallback() else {
                    return Ok(Asked::Found(Err(UnratedReason("no_rate"))));
                };
                match self.directory.fallback_at_hand(&timeline, name) {
                    Some(Some(next)) => Ok(Asked::Next(Cow::Owned(next))),
                    Some(None) => Ok(Asked::Found(Err(UnratedReason("no_rate")))),
                    None => Err(Missing::Fallback {
                        name: name.to_owned(),
                        timeline: timeline.into_owned(),
                    }),
                }
            },
        )?;
        Ok(found.unwrap_or(Err(UnratedReason("no_rate"))))
    }
}
