//! The rate card document in the OpenAPI document. The document itself is `rating::card::CardDoc`.
//!
//! Invariant: every card that `docs/rate-card.md` shows, and what becomes of it when it is stored,
//! reads by these types too, which refuse unknown fields: a test keeps both in step.

use crate::words;
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::openapi::schema::{Discriminator, OneOfBuilder, Schema};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A decimal, as text: prices with up to 12 decimals, quantities with up to 9.
#[derive(Debug, Deserialize)]
pub struct Decimal(pub String);

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        let about = "A decimal, as text";
        let format = SchemaFormat::Custom("decimal".to_owned());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(format))
            .description(Some(about))
            .examples(["0.40"])
            .build()
            .into()
    }
}

impl ToSchema for Decimal {}

/// A rate card document: the prices of one version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateCardDocument {
    /// ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
    /// IANA zone of windows, midnight and calendar months. Default: UTC.
    #[schema(example = "Europe/Berlin")]
    pub zone: Option<String>,
    /// Name of another card of the same seller to use if no rate here matches.
    pub fallback: Option<String>,
    /// Terms of the meters for `centwise price`; a server uses its own meters.
    pub meters: Option<BTreeMap<String, MeterTerms>>,
    pub rates: Vec<Rate>,
}

/// How usage on a meter is rated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeterTerms {
    #[schema(example = "second")]
    pub unit: String,
    #[schema(value_type = Option<words::Aggregation>)]
    pub aggregation: Option<String>,
    /// For `unique`: the attribute whose distinct values are counted.
    pub unique_by: Option<String>,
}

/// One price. It has either `call.steps` or `price`; a `blocked` one needs neither.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Unique in the card. Counters are tied to it, also across versions.
    #[schema(example = "de-mobile")]
    pub key: String,
    #[schema(example = "call")]
    pub meter: String,
    /// For people, such as the name of the destination.
    pub name: Option<String>,
    /// Digits with a country code; `""` matches every number. Absent: the number is ignored.
    #[schema(example = json!(["4915", "4916", "4917"]))]
    pub prefixes: Option<Vec<String>>,
    /// The same for the calling number.
    pub origin_prefixes: Option<Vec<String>>,
    /// The event must match all of them.
    pub attributes: Option<BTreeMap<String, String>>,
    #[schema(format = DateTime)]
    pub effective_from: Option<String>,
    /// Exclusive.
    #[schema(format = DateTime)]
    pub effective_until: Option<String>,
    pub window: Option<Window>,
    /// Final tie-breaker between rates that match equally well. Default: 0.
    pub priority: Option<i32>,
    pub call: Option<CallTerms>,
    pub price: Option<PriceModel>,
    /// Matching usage is kept without a price.
    pub blocked: Option<bool>,
    /// Keep a counter although the price needs none, so that a later version can use it.
    pub counted: Option<bool>,
    pub rounding: Option<Rounding>,
}

/// The rate's own final rounding.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    #[schema(value_type = words::RoundingMode)]
    pub mode: String,
    pub decimals: u8,
}

/// When a rate is in force, in the card's zone. An omitted field does not restrict it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// 1 Monday … 7 Sunday.
    pub weekdays: Option<Vec<u8>>,
    pub months: Option<Vec<u8>>,
    pub month_days: Option<Vec<u8>>,
    pub years: Option<Vec<i16>>,
    /// `HH:MM` or `HH:MM:SS`. Default: 00:00.
    #[schema(example = "08:00")]
    pub from: Option<String>,
    /// Exclusive. Default: 24:00. If it is before `from`, the window runs past midnight.
    #[schema(example = "18:00")]
    pub until: Option<String>,
}

/// Increments and other terms of a call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallTerms {
    /// The first block. Default: same as `next`.
    pub initial: Option<Decimal>,
    /// The blocks after it. Default: 1.
    pub next: Option<Decimal>,
    /// Prices by elapsed time.
    pub steps: Option<Vec<CallStep>>,
    pub connect_fee: Option<Decimal>,
    /// A shorter call is billed as this long.
    pub minimum_duration: Option<Decimal>,
    pub minimum_charge: Option<Decimal>,
    pub maximum_charge: Option<Decimal>,
    pub free_if_shorter_than: Option<Decimal>,
    /// Units that are free at the beginning of every call.
    pub included: Option<Decimal>,
    /// How an answered call of 0 s is billed. Default: `free`.
    #[schema(value_type = Option<words::ZeroDuration>)]
    pub zero_duration: Option<String>,
}

/// Price that applies from an elapsed time on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallStep {
    /// Elapsed time at which the step begins; `"0"` for the first step.
    #[schema(format = "decimal")]
    pub from: String,
    /// Price of `per` units, in major units.
    pub price: Decimal,
    /// Default: 1.
    pub per: Option<Decimal>,
    /// Increment of this step; replaces `initial` and `next`.
    pub increment: Option<Decimal>,
    /// Charged once, when the call reaches this step.
    pub fixed_fee: Option<Decimal>,
}

/// Conversion to another unit before pricing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    #[schema(value_type = words::ConversionOp)]
    pub op: String,
    pub factor: Decimal,
    /// How to round to whole units. Absent: exact.
    #[schema(value_type = Option<words::RoundingMode>)]
    pub round: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Inclusive. Absent: unbounded, in the last tier only.
    pub up_to: Option<Decimal>,
    /// Default: 0.
    pub unit_price: Option<Decimal>,
    /// Due when the tier is entered.
    pub flat: Option<Decimal>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PercentTier {
    /// Inclusive. Absent: unbounded, in the last tier only.
    pub up_to: Option<Decimal>,
    /// Percent.
    pub rate: Decimal,
    pub flat: Option<Decimal>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixCell {
    /// One value per dimension.
    pub values: Vec<String>,
    pub unit_price: Decimal,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockTier {
    pub block: Decimal,
    pub max_blocks: Option<u64>,
    pub price: Decimal,
}

/// The models, told apart by `model`, each with the modifiers that all share.
macro_rules! models {
    ($($(#[$about:meta])* $name:ident is $word:ident $model:literal { $($(#[$with:meta])* $field:ident: $type:ty),* })+) => {
        words! { $($word { $model })+ }

        $(
            $(#[$about])*
            #[derive(Debug, Deserialize, ToSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                #[schema(value_type = $word, inline)]
                pub model: String,
                $($(#[$with])* pub $field: $type,)*
                /// Free units per month, applied before everything else.
                pub allowance: Option<Decimal>,
                /// Discount in percent.
                pub percent_discount: Option<Decimal>,
                /// Maximum charge per month.
                pub maximum_spend: Option<Decimal>,
                /// Minimum charge per month, due when the month is closed.
                pub minimum_spend: Option<Decimal>,
                pub convert: Option<Conversion>,
            }
        )+

        /// A price model over the month's quantity.
        #[derive(Debug, Deserialize)]
        #[serde(untagged)]
        pub enum PriceModel {
            $($name(Box<$name>)),+
        }

        impl PartialSchema for PriceModel {
            fn schema() -> RefOr<Schema> {
                let place = |name: &str| format!("#/components/schemas/{name}");
                let mapping = [$(($model, place(stringify!($name)))),+];
                let model = OneOfBuilder::new().description(Some("A price model over the month's \
                    quantity"));
                let model = model.discriminator(Some(Discriminator::with_mapping("model", mapping)));
                let model = model$(.item(Ref::from_schema_name(stringify!($name))))+;
                RefOr::T(Schema::OneOf(model.build()))
            }
        }

        impl ToSchema for PriceModel {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(
                    schemas.push((stringify!($name).to_owned(), $name::schema()));
                    $name::schemas(schemas);
                )+
            }
        }
    };
}

models! {
    /// `unit_price` for `per` units, pro rata.
    PerUnitPrice is PerUnit "per_unit" { unit_price: Decimal, per: Option<Decimal> }
    /// Charged once in a month with usage.
    FlatPrice is Flat "flat" { amount: Decimal }
    /// Each tier's units at its own price.
    GraduatedPrice is Graduated "graduated" { tiers: Vec<Tier> }
    /// All units at the price of the tier that is reached.
    VolumePrice is Volume "volume" { tiers: Vec<Tier> }
    /// Price per block. A started block counts as a whole one, unless `round` says otherwise.
    PackagePrice is Package "package" {
        size: Decimal, amount: Decimal, free: Option<Decimal>, #[schema(value_type = Option<words::RoundingMode>)] round: Option<String>
    }
    /// Percentage of the event's amount.
    PercentagePrice is Percentage "percentage" {
        rate: Decimal, #[schema(value_type = Option<words::AmountFrom>)] amount_from: Option<String>, fixed: Option<Decimal>,
        free_events: Option<u32>, free_amount: Option<Decimal>, minimum_per_event: Option<Decimal>, maximum_per_event: Option<Decimal>
    }
    /// Percentage of the month's amount, tier by tier.
    GraduatedPercentagePrice is GraduatedPercentage "graduated_percentage" {
        tiers: Vec<PercentTier>, #[schema(value_type = Option<words::AmountFrom>)] amount_from: Option<String>
    }
    /// The event's own `amount`, multiplied by a factor.
    CostPlusPrice is CostPlus "cost_plus" { factor: Decimal }
    /// The event's own `amount` is the price.
    DynamicPrice is Dynamic "dynamic" {}
    /// One price per combination of attribute values. The first matching row applies.
    MatrixPrice is Matrix "matrix" { dimensions: Vec<String>, cells: Vec<MatrixCell>, default_price: Option<Decimal> }
    /// Tiered prices per started block.
    BlockTiersPrice is BlockTiers "block_tiers" { #[schema(value_type = words::BlockPolicy)] policy: String, tiers: Vec<BlockTier> }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/rate-card.md");

    /// The cards of the page: blocks of JSON with rates.
    fn cards() -> impl Iterator<Item = serde_json::Value> {
        let blocks = PAGE
            .split("```json\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next());
        blocks
            .filter_map(|block| serde_json::from_str(block).ok())
            .filter(|card: &serde_json::Value| card.get("rates").is_some())
    }

    #[test]
    fn every_card_of_the_documents_reads_by_the_schema() {
        assert!(cards().count() > 15, "{}", cards().count());
        let mut models = std::collections::BTreeSet::new();
        for card in cards() {
            let read = serde_json::from_value::<RateCardDocument>(card.clone());
            assert!(read.is_ok(), "{card}: {read:?}");
            let stored: rating::card::CardDoc = serde_json::from_value(card.clone()).unwrap();
            let stored = serde_json::to_value(&stored).unwrap();
            let read = serde_json::from_value::<RateCardDocument>(stored.clone());
            assert!(read.is_ok(), "{stored}: {read:?}");
            let rates = card["rates"].as_array().unwrap().clone();
            models.extend(
                rates
                    .iter()
                    .filter_map(|rate| Some(rate["price"]["model"].as_str()?.to_owned())),
            );
        }
        let schema = serde_json::to_value(PriceModel::schema()).unwrap();
        let listed: Vec<&String> = schema["discriminator"]["mapping"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(listed, models.iter().collect::<Vec<_>>());
    }
}
