//! A card against the meters that it will meet. Asked when a version is published, or a file is
//! priced; never of one that is stored, because a stricter rule must not keep what was published
//! before from being read.

use super::{MISTAKES_MAX, Mistake};
use crate::card::{Aggregation, AmountFrom, CALL_UNIT, CardDoc, MeterTerms, Model, Rate};
use std::collections::BTreeMap;

/// Whether the meters are all there are, or those that the card happens to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    All,
    Some,
}

/// What is wrong with a card beside these meters: at most [`MISTAKES_MAX`] mistakes. `asks`:
/// whether a rate is looked at.
pub fn check(
    doc: &CardDoc,
    meters: &BTreeMap<String, MeterTerms>,
    known: Known,
    asks: impl Fn(&Rate) -> bool,
) -> Vec<Mistake> {
    let mut bad = Vec::new();
    for (name, terms) in &doc.meters {
        match meters.get(name) {
            None if known == Known::All => {
                bad.push(unknown(format!("meters.{name}"), name, meters))
            }
            Some(own) if own != terms => bad.push(Mistake::new(
                format!("meters.{name}"),
                "meter_differs",
                differs(own),
            )),
            _ => {}
        }
    }
    for (index, rate) in doc.rates.iter().enumerate().filter(|(_, rate)| asks(rate)) {
        if bad.len() >= MISTAKES_MAX {
            break;
        }
        if known == Known::All {
            let meter = meters
                .get(&rate.meter)
                .filter(|meter| rate.call.is_some() && ignores(rate, meter).is_none());
            bad.extend(meter.and_then(|meter| not_seconds(index, rate, meter)));
        }
        match meters.get(&rate.meter) {
            None if known == Known::All => bad.push(unknown(
                format!("rates[{index}].meter"),
                &rate.meter,
                meters,
            )),
            None => {}
            Some(meter) => bad.extend(ignores(rate, meter).map(|(path, what)| {
                let counts = word(meter.aggregation);
                let message = format!(
                    "{what}, and the meter {:?} counts by `{counts}`: expected a price \
                        model over its counter",
                    rate.meter
                );
                Mistake::new(
                    format!("rates[{index}].{path}"),
                    "not_with_this_model",
                    message,
                )
            })),
        }
    }
    bad
}

/// The terms of a call count seconds: of messages, a price for 60 would be a sixtieth of what is
/// meant.
fn not_seconds(index: usize, rate: &Rate, meter: &MeterTerms) -> Option<Mistake> {
    let message = || {
        format!(
            "`call` counts seconds, and the meter {:?} is in {:?}: expected a `price`",
            rate.meter, meter.unit
        )
    };
    (meter.unit != CALL_UNIT).then(|| {
        Mistake::new(
            format!("rates[{index}].call"),
            "not_with_this_meter",
            message(),
        )
    })
}

/// What of a rate does not look at how its meter counts.
fn ignores(rate: &Rate, meter: &MeterTerms) -> Option<(&'static str, &'static str)> {
    let counts = meter.aggregation;
    if rate
        .call
        .as_ref()
        .is_some_and(|call| !call.steps.is_empty())
        && counts != Aggregation::Sum
    {
        return Some(("call.steps", "steps price the quantity of each event"));
    }
    match rate.price.as_ref().map(|price| &price.model) {
        Some(Model::Matrix { .. }) if !matches!(counts, Aggregation::Sum | Aggregation::Count) => {
            Some(("price.model", "a matrix prices the quantity of each event"))
        }
        Some(model)
            if model.amount_from() == Some(Some(AmountFrom::Quantity))
                && counts != Aggregation::Sum =>
        {
            Some(("price.amount_from", "a percentage adds the quantities up"))
        }
        _ => None,
    }
}

fn unknown(path: String, name: &str, meters: &BTreeMap<String, MeterTerms>) -> Mistake {
    const NAMED_MAX: usize = 20;
    let mut known: Vec<&str> = meters.keys().take(NAMED_MAX).map(String::as_str).collect();
    if meters.len() > NAMED_MAX {
        known.push("…");
    }
    let there_are = if known.is_empty() {
        "there is none yet".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    Mistake::new(
        path,
        "unknown_meter",
        format!("there is no meter {name:?}; {there_are}"),
    )
}

fn differs(own: &MeterTerms) -> String {
    let by = own
        .unique_by
        .as_ref()
        .map(|by| format!(" by {by:?}"))
        .unwrap_or_default();
    format!(
        "the server's meter is in {:?} and counts by `{}`{by}: expected the same, or no entry",
        own.unit,
        word(own.aggregation)
    )
}

fn word(aggregation: Aggregation) -> &'static str {
    match aggregation {
        Aggregation::Count => "count",
        Aggregation::Sum => "sum",
        Aggregation::Max => "max",
        Aggregation::Unique => "unique",
        Aggregation::Latest => "latest",
    }
}

/// What a card says that has no effect yet: to be told when it is published.
pub fn without_effect(doc: &CardDoc) -> Vec<Mistake> {
    let minimum = |rate: &Rate| {
        rate.price
            .as_ref()
            .is_some_and(|price| price.minimum_spend.is_some())
    };
    let message = "a minimum spend is due when a month is closed, which does not happen yet: \
        until then it charges nothing";
    let said = doc
        .rates
        .iter()
        .enumerate()
        .filter(|(_, rate)| minimum(rate));
    let said = said.map(|(index, _)| {
        Mistake::new(
            format!("rates[{index}].price.minimum_spend"),
            "not_yet_due",
            message,
        )
    });
    said.take(MISTAKES_MAX).collect()
}
