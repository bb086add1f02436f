//! Prices below zero: with them a seller gives money away. A platform may; for whoever sells below
//! it they are no prices, because what they give a customer nobody has paid in.

use crate::card::{CardDoc, Model};
use crate::money::Rate as Amount;
use crate::validate::Mistake;

/// Every price of a card that is below zero, at most `most`.
pub fn prices_below_zero(doc: &CardDoc, most: usize) -> Vec<Mistake> {
    let of_rate = |(index, rate): (usize, &crate::card::Rate)| {
        let model = rate
            .price
            .as_ref()
            .map(|price| below_zero(&price.model))
            .unwrap_or_default();
        model.into_iter().map(move |field| {
            Mistake::new(
                format!("rates[{index}].price.{field}"),
                "negative",
                "expected 0 or more: only the platform's cards give money away",
            )
        })
    };
    doc.rates
        .iter()
        .enumerate()
        .flat_map(of_rate)
        .take(most)
        .collect()
}

/// Whether a rate's price gives money away.
pub(crate) fn gives_money(rate: &crate::card::Rate) -> bool {
    rate.price
        .as_ref()
        .is_some_and(|price| !below_zero(&price.model).is_empty())
}

/// Where a model has an amount below zero; limits and factors never have one.
fn below_zero(model: &Model) -> Vec<String> {
    let field = |name: &str, amount: Amount| amount.is_negative().then(|| name.to_owned());
    let listed = |list: &str, index: usize, name: &str, amount: Amount| {
        amount
            .is_negative()
            .then(|| format!("{list}[{index}].{name}"))
    };
    match model {
        Model::PerUnit { unit_price, .. } => field("unit_price", *unit_price).into_iter().collect(),
        Model::Flat { amount } | Model::Package { amount, .. } => {
            field("amount", *amount).into_iter().collect()
        }
        Model::Graduated { tiers } | Model::Volume { tiers } => {
            let of = |(index, tier): (usize, &crate::card::Tier)| {
                [
                    listed("tiers", index, "unit_price", tier.unit_price),
                    listed("tiers", index, "flat", tier.flat.unwrap_or_default()),
                ]
            };
            tiers.iter().enumerate().flat_map(of).flatten().collect()
        }
        Model::GraduatedPercentage { tiers, .. } => {
            let of = |(index, tier): (usize, &crate::card::PercentTier)| {
                [
                    listed("tiers", index, "rate", tier.rate),
                    listed("tiers", index, "flat", tier.flat.unwrap_or_default()),
                ]
            };
            tiers.iter().enumerate().flat_map(of).flatten().collect()
        }
        Model::BlockTiers { tiers, .. } => tiers
            .iter()
            .enumerate()
            .filter_map(|(index, tier)| listed("tiers", index, "price", tier.price))
            .collect(),
        Model::Matrix {
            cells,
            default_price,
            ..
        } => {
            let cells = cells
                .iter()
                .enumerate()
                .filter_map(|(index, cell)| listed("cells", index, "unit_price", cell.unit_price));
            cells
                .chain(field("default_price", default_price.unwrap_or_default()))
                .collect()
        }
        Model::Percentage {
            rate,
            fixed,
            minimum_per_event,
            maximum_per_event,
            ..
        } => {
            let bounds = [
                ("fixed", fixed),
                ("minimum_per_event", minimum_per_event),
                ("maximum_per_event", maximum_per_event),
            ];
            let bounds = bounds
                .into_iter()
                .filter_map(|(name, amount)| field(name, amount.unwrap_or_default()));
            field("rate", *rate).into_iter().chain(bounds).collect()
        }
        Model::CostPlus { factor } => field("factor", *factor).into_iter().collect(),
        Model::Dynamic => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model: &str, want: &str) {
        let doc = format!(
            r#"{{"currency":"EUR","rates":[{{"key":"a","meter":"a","price":{{"model":{model}}}}}]}}"#
        );
        let doc: CardDoc =
            serde_json::from_str(&doc).unwrap_or_else(|error| panic!("{error}: {doc}"));
        let found = prices_below_zero(&doc, 3);
        assert_eq!(
            found
                .iter()
                .map(|mistake| mistake.path.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            want
        );
    }

    #[test]
    fn a_price_below_zero_is_found_wherever_it_is() {
        check(r#""per_unit","unit_price":"0.10""#, "");
        check(
            r#""per_unit","unit_price":"-0.000000000001""#,
            "rates[0].price.unit_price",
        );
        check(r#""flat","amount":"-1""#, "rates[0].price.amount");
        check(
            r#""package","size":"10","amount":"-1""#,
            "rates[0].price.amount",
        );
        let tiers = r#""tiers":[{"up_to":"5","unit_price":"1","flat":"-1"},{"unit_price":"-2"}]"#;
        for model in ["graduated", "volume"] {
            check(
                &format!(r#""{model}",{tiers}"#),
                "rates[0].price.tiers[0].flat rates[0].price.tiers[1].unit_price",
            );
        }
        check(
            r#""graduated_percentage","tiers":[{"rate":"-2","flat":"-1"}]"#,
            "rates[0].price.tiers[0].rate rates[0].price.tiers[0].flat",
        );
        check(
            r#""block_tiers","policy":"top_tier","tiers":[{"block":"1","price":"-1"}]"#,
            "rates[0].price.tiers[0].price",
        );
        check(
            r#""matrix","dimensions":["a"],"cells":[{"values":["x"],"unit_price":"-1"}],"default_price":"-1""#,
            "rates[0].price.cells[0].unit_price rates[0].price.default_price",
        );
        check(
            r#""percentage","rate":"-1","fixed":"-1","minimum_per_event":"-2","maximum_per_event":"-1""#,
            "rates[0].price.rate rates[0].price.fixed rates[0].price.minimum_per_event",
        );
    }
}
