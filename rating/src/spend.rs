//! Closing a period: the minimum spend, flats due without usage, capacity prices.
//!
//! Nothing here happens while usage arrives: the amounts are due once, when the period is closed.

use crate::model::CompiledModel;
use crate::money::Rate as Amount;
use crate::usage::Counter;
use crate::{Exact, Overflow, Quantity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether what a model costs at zero (a flat, a first tier's flat) is due in a period without
/// usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroUsage {
    #[default]
    Free,
    Charged,
}

/// What is still due when the period is closed, beyond what was `billed` for its usage: P(0) if
/// nothing was used and that is charged, then up to the minimum spend. Never negative: what an
/// earlier version billed stays billed.
pub fn due_at_close(
    model: &CompiledModel,
    counter: &Counter,
    billed: Exact,
    zero_usage: ZeroUsage,
) -> Result<Exact, Overflow> {
    let unused = *counter == Counter::default();
    let standing = match zero_usage {
        ZeroUsage::Charged if unused => model.at(Quantity::ZERO)?.max(Exact::ZERO),
        _ => Exact::ZERO,
    };
    let short = model
        .minimum_spend()
        .unwrap_or(Exact::ZERO)
        .checked_sub(billed)?;
    Ok(standing.max(short))
}

/// One step of a capacity price: what the period costs while no unit exceeds its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityTier {
    /// Inclusive, by unit. A unit that is not named is not limited.
    pub max: BTreeMap<String, Quantity>,
    pub price: Amount,
}

/// The first tier (they ascend) into which the usage of every unit fits; beyond all, the last one.
/// `None` only if there are no tiers.
pub fn capacity<'a>(
    tiers: &'a [CapacityTier],
    used: &BTreeMap<String, Quantity>,
) -> Option<&'a CapacityTier> {
    let fits = |tier: &CapacityTier| {
        used.iter()
            .all(|(unit, used)| tier.max.get(unit).is_none_or(|max| used <= max))
    };
    tiers
        .iter()
        .find(|tier| fits(tier))
        .or_else(|| tiers.last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    fn model(json: &str) -> CompiledModel {
        CompiledModel::compile(&serde_json::from_str(json).unwrap(), Currency::EUR, None).unwrap()
    }

    /// Usage in units (`None`: no event), the setting → what is due at close, in cents.
    #[track_caller]
    fn check(json: &str, used: Option<i64>, zero_usage: ZeroUsage, want: &str) {
        let model = model(json);
        let counter = used.map_or_else(Counter::default, |units| Counter {
            quantity: Quantity::whole(units),
            events: 1,
        });
        let due = due_at_close(&model, &counter, model.p(&counter).unwrap(), zero_usage).unwrap();
        assert_eq!(due.in_cents(), want);
    }

    #[test]
    fn a_minimum_is_filled_up_once() {
        let json = r#"{"model":"per_unit","unit_price":"10","minimum_spend":"100"}"#;
        check(json, None, ZeroUsage::Free, "10000");
        check(json, Some(3), ZeroUsage::Free, "7000");
        check(json, Some(10), ZeroUsage::Free, "0");
        check(json, Some(11), ZeroUsage::Charged, "0");
    }

    #[test]
    fn flats_without_usage_are_a_setting() {
        let json = r#"{"model":"graduated","tiers":[{"unit_price":"1","flat":"2"}]}"#;
        check(json, None, ZeroUsage::Free, "0");
        check(json, None, ZeroUsage::Charged, "200");
        check(json, Some(0), ZeroUsage::Charged, "0");
        let with_minimum = r#"{"model":"flat","amount":"2","minimum_spend":"3"}"#;
        check(with_minimum, None, ZeroUsage::Charged, "300");
        check(with_minimum, Some(1), ZeroUsage::Charged, "100");
    }

    #[test]
    fn what_was_billed_by_an_earlier_version_stays() {
        let model = model(r#"{"model":"per_unit","unit_price":"1","minimum_spend":"5"}"#);
        let counter = Counter {
            quantity: Quantity::whole(1),
            events: 1,
        };
        let billed = Exact::from_cents(crate::Cents(900));
        assert_eq!(
            due_at_close(&model, &counter, billed, ZeroUsage::Free),
            Ok(Exact::ZERO)
        );
    }

    #[test]
    fn capacity_takes_the_first_tier_that_holds_every_unit() {
        let tier = |seats: i64, price: &str| CapacityTier {
            max: BTreeMap::from([("seat".to_owned(), Quantity::whole(seats))]),
            price: price.parse().unwrap(),
        };
        let tiers = [tier(10, "1"), tier(20, "2")];
        for (seats, other, want) in [
            (0, 0, "1"),
            (10, 99, "1"),
            (11, 0, "2"),
            (20, 0, "2"),
            (21, 0, "2"),
        ] {
            let used = BTreeMap::from([
                ("seat".to_owned(), Quantity::whole(seats)),
                ("disk".to_owned(), Quantity::whole(other)),
            ]);
            assert_eq!(
                capacity(&tiers, &used)
                    .map(|tier| tier.price.to_string())
                    .as_deref(),
                Some(want),
                "{seats}"
            );
        }
        assert_eq!(capacity(&[], &BTreeMap::new()), None);
    }
}
