//! What is read and has no sense: a card that says it was half understood by whoever wrote it, or
//! would be by us. Asked of a card that is drafted, priced by or published; never of one that is
//! stored, which goes on as it was.

use super::{MISTAKES_MAX, Mistake};
use crate::card::{CardDoc, Model, PriceModel, Rate};
use crate::window::Window;

/// What is wrong with a card's sense: at most [`MISTAKES_MAX`] mistakes. `asks`: whether a rate is
/// looked at.
pub fn check(doc: &CardDoc, asks: impl Fn(&Rate) -> bool) -> Vec<Mistake> {
    let mut bad = Vec::new();
    for (index, rate) in doc.rates.iter().enumerate().filter(|(_, rate)| asks(rate)) {
        if bad.len() >= MISTAKES_MAX {
            break;
        }
        let found = window(rate).into_iter().chain(
            rate.price
                .as_deref()
                .into_iter()
                .flat_map(|price| of_price(rate, price)),
        );
        bad.extend(found.map(|(path, code, message)| {
            Mistake::new(format!("rates[{index}].{path}"), code, message)
        }));
    }
    bad
}

type Found = (String, &'static str, String);

fn found(path: impl Into<String>, code: &'static str, message: impl Into<String>) -> Found {
    (path.into(), code, message.into())
}

/// From eight to eight: the whole day, or none of it.
fn window(rate: &Rate) -> Option<Found> {
    let window = rate.window.as_deref()?;
    let is_empty = Window::compile(window).is_ok_and(|compiled| compiled.ends_as_it_begins());
    let until = window.until.as_deref().unwrap_or_default();
    let message = || {
        format!(
            "it ends at {until:?}, as it begins: expected another time (`24:00` ends a day), or \
                neither `from` nor `until` for whole days"
        )
    };
    is_empty.then(|| found("window.until", "empty_window", message()))
}

fn of_price(rate: &Rate, price: &PriceModel) -> Vec<Found> {
    let mut bad = Vec::new();
    if rate.blocked {
        bad.push(found(
            "price",
            "blocked_with_price",
            "the rate is blocked, so that nothing is priced: expected one of them",
        ));
    }
    match &price.model {
        Model::Flat { .. } => {
            let idle = "`flat` is due once a month, whatever the quantity: expected none";
            bad.extend(
                price
                    .allowance
                    .map(|_| found("price.allowance", "not_with_this_model", idle)),
            );
            bad.extend(
                price
                    .convert
                    .map(|_| found("price.convert", "not_with_this_model", idle)),
            );
        }
        Model::Matrix {
            dimensions,
            cells,
            default_price,
        } => {
            if cells.is_empty() && default_price.is_none() {
                bad.push(found(
                    "price.cells",
                    "no_price",
                    "nothing has a price: expected a cell, or `default_price`",
                ));
            }
            let twice = dimensions
                .iter()
                .enumerate()
                .filter(|(at, name)| dimensions.iter().take(*at).any(|before| before == *name));
            bad.extend(twice.map(|(at, name)| {
                found(
                    format!("price.dimensions[{at}]"),
                    "duplicate",
                    format!("{name:?} is a dimension already: expected each once"),
                )
            }));
        }
        Model::Graduated { tiers } | Model::Volume { tiers } => {
            bad.extend(bound(
                tiers.len(),
                tiers.last().is_some_and(|tier| tier.up_to.is_some()),
                "up_to",
            ));
        }
        Model::GraduatedPercentage { tiers, .. } => {
            bad.extend(bound(
                tiers.len(),
                tiers.last().is_some_and(|tier| tier.up_to.is_some()),
                "up_to",
            ));
        }
        Model::BlockTiers { tiers, .. } => {
            bad.extend(bound(
                tiers.len(),
                tiers.last().is_some_and(|tier| tier.max_blocks.is_some()),
                "max_blocks",
            ));
        }
        _ => {}
    }
    bad
}

/// The bound of a last tier: beyond it nothing has a price, and it would go on for ever.
fn bound(tiers: usize, is_bounded: bool, field: &str) -> Option<Found> {
    let message = "the last tier is for all that is above the others: expected none, or another \
        tier behind it";
    is_bounded.then(|| {
        found(
            format!("price.tiers[{}].{field}", tiers.saturating_sub(1)),
            "last_tier_ends",
            message,
        )
    })
}
