//! The form of a card: unknown, missing and malformed fields, each with its path.
//!
//! A card that reads as its type is checked only where the type is lenient (the fields of a price
//! model). One that does not is walked once more against the table of fields (`fields`), to find
//! them all.

mod empty_lists;
mod fields;
mod given_twice;
mod walk;

use super::{MISTAKES_MAX, Mistake, located};
use crate::card::CardDoc;
use crate::json;
use empty_lists::{empty_lists, has_empty_list};
use fields::{CARD, Kind};
use given_twice::given_twice;
use serde::Deserialize;
use serde_json::Value;
use walk::Walk;

pub fn parse(json: &[u8]) -> Result<CardDoc, Vec<Mistake>> {
    match json::from_slice::<CardDoc>(json) {
        Ok(mut doc) => {
            let mut mistakes = if doc.rates.iter().any(|rate| rate.price.is_some()) {
                price_mistakes(json)
            } else {
                Vec::new()
            };
            if mistakes.is_empty() && has_empty_list(json) {
                mistakes = empty_lists(json);
            }
            if mistakes.is_empty()
                && (!doc.meters.is_empty()
                    || doc.rates.iter().any(|rate| !rate.attributes.is_empty()))
            {
                mistakes.extend(given_twice(json));
            }
            doc.rates
                .iter_mut()
                .filter_map(|rate| rate.price.as_mut())
                .for_each(|price| price.model.say_amount_from());
            if mistakes.is_empty() {
                Ok(doc)
            } else {
                Err(mistakes)
            }
        }
        Err(error) => Err(all_mistakes(json, &error)),
    }
}

fn price_mistakes(json: &[u8]) -> Vec<Mistake> {
    #[derive(Deserialize)]
    struct Prices {
        rates: Vec<Price>,
    }
    #[derive(Deserialize)]
    struct Price {
        #[serde(default)]
        price: Option<Value>,
    }
    let mut walk = Walk {
        path: String::new(),
        bad: Vec::new(),
    };
    let Ok(prices) = serde_json::from_slice::<Prices>(json) else {
        return walk.bad;
    };
    for (index, price) in prices.rates.iter().enumerate() {
        if let Some(price) = &price.price {
            walk.path = format!("rates[{index}].price");
            walk.check(price, &Kind::Price);
        }
    }
    walk.bad
}

fn all_mistakes(json: &[u8], error: &serde_json::Error) -> Vec<Mistake> {
    let Ok(value) = serde_json::from_slice::<Value>(json) else {
        return vec![Mistake::new(
            "",
            "bad_json",
            format!("expected JSON: {}", located(json, error)),
        )];
    };
    let mut walk = Walk {
        path: String::new(),
        bad: Vec::new(),
    };
    walk.check(&value, &Kind::Object(CARD));
    if walk.bad.is_empty() {
        walk.report("bad_value", located(json, error));
    }
    walk.bad.truncate(MISTAKES_MAX);
    walk.bad
}
