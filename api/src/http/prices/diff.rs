//! What changed between two versions of a card, rate by rate; and what such a change may not do.

use problem::Code;
use rating::Instant;
use rating::card::{CardDoc, PriceModel, Rate};
use schema::card;
use serde::Serialize;
use std::collections::HashMap;
use web::problem::{ApiProblem, FieldError};

/// Rates listed under each heading; the counts are of all of them.
const LISTED_MAX: usize = 1000;

/// One rate before and after the change.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChangedRate {
    #[schema(example = "de-mobile")]
    pub key: String,
    #[schema(value_type = card::Rate)]
    pub before: Rate,
    #[schema(value_type = card::Rate)]
    pub after: Rate,
}

/// Rates by key: new, changed, closed (no longer present); unchanged rates are only counted. At
/// most 1000 of each are listed.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = VersionDiff)]
pub struct DiffBody {
    #[schema(value_type = Vec<card::Rate>)]
    pub new: Vec<Rate>,
    pub changed: Vec<ChangedRate>,
    #[schema(value_type = Vec<card::Rate>)]
    pub closed: Vec<Rate>,
    pub new_count: usize,
    pub changed_count: usize,
    pub closed_count: usize,
    pub unchanged_count: usize,
}

/// Rates of `new` against those of `old`, by key.
pub fn compare(old: &[Rate], new: Vec<Rate>) -> DiffBody {
    let mut before: HashMap<&str, &Rate> =
        old.iter().map(|rate| (rate.key.as_str(), rate)).collect();
    let mut diff = DiffBody::default();
    for rate in new {
        match before.remove(rate.key.as_str()) {
            None => push(&mut diff.new, &mut diff.new_count, rate),
            Some(same) if *same == rate => diff.unchanged_count += 1,
            Some(other) => push(
                &mut diff.changed,
                &mut diff.changed_count,
                ChangedRate {
                    key: rate.key.clone(),
                    before: other.clone(),
                    after: rate,
                },
            ),
        }
    }
    for rate in old
        .iter()
        .filter(|rate| before.contains_key(rate.key.as_str()))
    {
        push(&mut diff.closed, &mut diff.closed_count, rate.clone());
    }
    diff
}

fn push<T>(list: &mut Vec<T>, count: &mut usize, item: T) {
    *count += 1;
    if list.len() < LISTED_MAX {
        list.push(item);
    }
}

/// Whether usage under this rate leaves a counter behind: all but calls priced by their steps
/// alone.
fn keeps_counter(rate: &Rate) -> bool {
    rate.counted || rate.call.is_none() || rate.price.is_some()
}

fn needs_counter(price: &Option<Box<PriceModel>>) -> bool {
    price.is_some()
}

/// A rate that prices by the month's quantity needs that quantity: turning an uncounted rate into
/// such a one is refused, unless the version takes effect at the first instant of the old one.
///
/// # Errors
/// `counter_not_kept` naming every such rate.
pub fn check_counters(
    old: &CardDoc,
    new: &CardDoc,
    old_from: Option<Instant>,
    from: Instant,
) -> Result<(), ApiProblem> {
    if old_from == Some(from) || starts_a_month(new, from) {
        return Ok(());
    }
    let uncounted: HashMap<&str, &Rate> = old
        .rates
        .iter()
        .filter(|rate| !keeps_counter(rate))
        .map(|rate| (rate.key.as_str(), rate))
        .collect();
    let bad = |(index, rate): (usize, &Rate)| {
        let clash = needs_counter(&rate.price) && uncounted.contains_key(rate.key.as_str());
        clash.then(|| FieldError {
            field: format!("rates[{index}].price"),
            code: "counter_not_kept".to_owned(),
            detail: format!(
                "{} has kept no counter yet: publish it with `counted: true` first, or from the \
                    start of a month",
                rate.key
            ),
        })
    };
    let errors: Vec<FieldError> = new.rates.iter().enumerate().filter_map(bad).collect();
    if errors.is_empty() {
        return Ok(());
    }
    let mut refused = ApiProblem::new(
        Code::CounterNotKept,
        "some rates price by a quantity that was not counted this month",
    );
    refused.problem.field = errors.first().map(|error| error.field.clone());
    refused.errors = errors;
    Err(refused)
}

/// The first instant of a calendar month in the card's zone: counters begin there anyway.
fn starts_a_month(doc: &CardDoc, at: Instant) -> bool {
    let Ok(local) = at.timestamp().in_tz(&doc.zone) else {
        return false;
    };
    local
        .first_of_month()
        .and_then(|first| first.start_of_day())
        .is_ok_and(|first| first.timestamp() == at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(rates: serde_json::Value) -> CardDoc {
        serde_json::from_value(
            serde_json::json!({"currency": "EUR", "zone": "Europe/Berlin", "rates": rates}),
        )
        .unwrap()
    }
    fn call(key: &str, price: &str) -> serde_json::Value {
        serde_json::json!({"key": key, "meter": "call", "prefixes": ["49"], "call": {"steps": [{"from": "0", "price": price, "per": "60"}]}})
    }

    #[test]
    fn rates_are_compared_by_key() {
        let old = card(serde_json::json!([
            call("a", "0.1"),
            call("b", "0.1"),
            call("c", "0.1")
        ]));
        let new = card(serde_json::json!([
            call("a", "0.1"),
            call("b", "0.2"),
            call("d", "0.1")
        ]));
        let diff = compare(&old.rates, new.rates);
        assert_eq!(
            (
                diff.new_count,
                diff.changed_count,
                diff.closed_count,
                diff.unchanged_count
            ),
            (1, 1, 1, 1)
        );
        assert_eq!(
            (
                diff.new[0].key.as_str(),
                diff.changed[0].key.as_str(),
                diff.closed[0].key.as_str()
            ),
            ("d", "b", "c")
        );
    }

    #[test]
    fn an_uncounted_rate_becomes_cumulative_only_where_a_month_begins() {
        let counted = |key: &str| serde_json::json!({"key": key, "meter": "call", "prefixes": ["49"], "price": {"model": "per_unit", "unit_price": "0.1"}});
        let (old, new) = (
            card(serde_json::json!([call("a", "0.1")])),
            card(serde_json::json!([counted("a")])),
        );
        let check =
            |from: &str| check_counters(&old, &new, Some(Instant(0)), from.parse().unwrap());
        assert_eq!(
            check("2026-11-20T09:00:00Z").unwrap_err().problem.code,
            Code::CounterNotKept
        );
        assert!(
            check("2026-11-30T23:00:00Z").is_ok(),
            "midnight of 1 December in Berlin"
        );
        assert!(check_counters(&new, &new, Some(Instant(0)), Instant(1)).is_ok());
    }
}
