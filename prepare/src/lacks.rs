//! What usage without a price lacks, link by link, in words: said in the answer, kept nowhere.
//!
//! Looks once more at what the plan was made of, so that it costs nothing where there is a price.

use crate::customer::Customer;
use crate::directory::Directory;
use crate::lack::Lack;
use crate::measure::{self, Asked};
use crate::plan::{PlanLink, Timeline};
use rating::card::MeterTerms;
use rating::usage::Usage;
use rating::{Currency, Instant, TenantId, Unrated};
use std::sync::Arc;
use tenants::Pricing;

/// In words, and from when on there is what is lacking.
type Why = (String, Option<Instant>);

/// Links of the customer's chain that have no price for a usage, from its own up. `reasons`: of
/// those that are known to have none.
pub(crate) fn of_chain(
    directory: &Directory,
    customer: &Customer,
    (usage, meter): (&Usage<'_>, &MeterTerms),
    reasons: &[(TenantId, &'static str)],
) -> Vec<Lack> {
    let chain = customer
        .chain_at(usage.at)
        .and_then(|at| at.links.as_ref().ok())
        .map_or(&[][..], |chain| chain);
    let lack = |&(buyer, reason): &(TenantId, &'static str)| {
        let link = chain.iter().find(|link| link.agreement.buyer == buyer);
        let (detail, begins_at) = link
            .and_then(|link| of_card(directory, link, usage, meter))
            .or_else(|| of_agreement(customer, buyer, reason, usage.at))
            .unwrap_or_else(|| (sentence(reason), None));
        Lack {
            buyer: Some(buyer),
            reason,
            detail,
            begins_at,
        }
    };
    reasons.iter().map(lack).collect()
}

/// Terms of the buyer before or after the instant.
fn of_agreement(customer: &Customer, buyer: TenantId, reason: &str, at: Instant) -> Option<Why> {
    if reason != "no_agreement" {
        return None;
    }
    let (mut before, mut after) = (None, None);
    for terms in customer.agreements_of(buyer) {
        if terms.from > at {
            after = after.or(Some(terms.from)).min(Some(terms.from));
        } else {
            before = before.max(terms.until);
        }
    }
    Some(match (before, after) {
        (_, Some(from)) => (format!("the agreement begins at {from}"), Some(from)),
        (Some(until), None) => (format!("the agreement ended at {until}"), None),
        (None, None) => ("there is no agreement".to_owned(), None),
    })
}

/// What the cards of a link miss; `None`: nothing that could be found again.
fn of_card(
    directory: &Directory,
    link: &PlanLink,
    usage: &Usage<'_>,
    meter: &MeterTerms,
) -> Option<Why> {
    let currency = link.agreement.currency;
    let approval = match link.agreement.pricing {
        Pricing::Wholesale { .. } => link.approval.as_deref(),
        Pricing::Commission { .. } => None,
    };
    let mut said: Vec<String> = Vec::new();
    let mut begins_at = None;
    let first = Arc::clone(link.timeline.as_ref()?);
    let found: Result<_, ()> = measure::through_fallbacks(first, |timeline: Arc<Timeline>| {
        let (why, next) = of_timeline(directory, &timeline, (currency, approval), usage, meter);
        let Some((why, from)) = why else {
            return Ok(Asked::Found(()));
        };
        said.push(format!("the rate card {:?}: {why}", timeline.name));
        begins_at = begins_at.or(from);
        Ok(next.map_or(Asked::Found(()), Asked::Next))
    });
    if found == Ok(None) {
        said.push("too many cards fall back on one another".to_owned());
    }
    (!said.is_empty()).then(|| (said.join("; "), begins_at))
}

/// What one card misses, and its fallback, if there is one.
fn of_timeline(
    directory: &Directory,
    timeline: &Timeline,
    (currency, approval): (Currency, Option<&[TenantId]>),
    usage: &Usage<'_>,
    meter: &MeterTerms,
) -> (Option<Why>, Option<Arc<Timeline>>) {
    let Some(slot) = timeline.in_force(usage.at, approval) else {
        return (Some(no_version(timeline, approval, usage.at)), None);
    };
    let Some(card) = slot.compiled.get() else {
        return (None, None);
    };
    if card.currency() != currency {
        return (
            Some((
                format!(
                    "it is in {}, but the agreement is in {currency}",
                    card.currency()
                ),
                None,
            )),
            None,
        );
    }
    let priced = card
        .measure(usage)
        .and_then(|measured| measure::check(card, &measured, usage, meter));
    let unrated = match priced {
        Ok(()) => return (None, None),
        Err(unrated) => unrated,
    };
    if unrated != Unrated::NoRate {
        return (Some((unrated.to_string(), None)), None);
    }
    let missed = card.missed(usage);
    let begins_at = missed.begins_at();
    let Some(name) = card.fallback() else {
        return (Some((missed.to_string(), begins_at)), None);
    };
    match directory.fallback_at_hand(timeline, name) {
        Some(Some(next)) => (Some((missed.to_string(), begins_at)), Some(next)),
        Some(None) => (
            Some((
                format!("{missed}, and its fallback card {name:?} does not exist"),
                begins_at,
            )),
            None,
        ),
        None => (Some((missed.to_string(), begins_at)), None),
    }
}

fn no_version(timeline: &Timeline, approval: Option<&[TenantId]>, at: Instant) -> Why {
    if timeline.in_force(at, None).is_some() {
        return (
            "no version in force is published or approved by the seller above".to_owned(),
            None,
        );
    }
    let approved = |by: TenantId| approval.is_none_or(|approval| approval.contains(&by));
    match timeline
        .versions
        .iter()
        .find(|slot| slot.effective_from > at && approved(slot.approved_by))
    {
        Some(slot) => (
            format!("its first version begins at {}", slot.effective_from),
            Some(slot.effective_from),
        ),
        None => ("no version of it is published".to_owned(), None),
    }
}

fn sentence(reason: &str) -> String {
    match reason {
        tenants::chain::ABOVE_OPEN => "a link above it is open".to_owned(),
        crate::open::BELOW_UNKNOWN => {
            "it is a share of the link below, whose price is not known".to_owned()
        }
        "tenant_closed" => "the customer was closed".to_owned(),
        "several_agreements" => "several agreements are in force at once".to_owned(),
        "mixed_currencies" => "its agreement is in another currency than those above".to_owned(),
        "mixed_collection" => {
            "the platform collects here, while a seller above collects itself".to_owned()
        }
        "no_rate_card" => {
            "a customer's agreement needs a rate card, and this one is a commission".to_owned()
        }
        other => other.replace('_', " "),
    }
}
