//! The one JSON form of a rate card version. Decimals are text; unknown fields are refused.
//!
//! ```json
//! {"currency":"EUR","zone":"Europe/Berlin","fallback":"standard",
//!  "rates":[
//!   {"key":"de-mobile","meter":"call","prefixes":["4915","4916","4917"],
//!    "call":{"initial":"60","next":"60","connect_fee":"0.05","steps":[{"from":"0","price":"0.40","per":"60"}]}},
//!   {"key":"api","meter":"api_call","price":{"model":"graduated","tiers":[
//!      {"up_to":"1000","unit_price":"0.15"},{"unit_price":"0.10"}]}}]}
//! ```

use crate::money::{self, Rate as Amount};
use crate::rounding::Mode;
use crate::{Currency, Instant, Quantity, Ratio};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// A rate card version as written, compared, published and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardDoc {
    pub currency: Currency,
    /// IANA zone of windows, midnight and calendar months.
    #[serde(default = "utc")]
    pub zone: String,
    /// Name of the card that is asked when no rate here matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Meters as the offline `price` command needs them; on a server the meters' own records count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meters: BTreeMap<String, MeterTerms>,
    #[serde(deserialize_with = "rates")]
    pub rates: Vec<Rate>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// The rates of a deck, of which there may be 300,000, have a few hundred different terms.
fn rates<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<Rate>, D::Error> {
    struct Rates;
    impl<'de> Visitor<'de> for Rates {
        type Value = Vec<Rate>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Rate>, A::Error> {
            let (mut rates, mut known) = (Vec::new(), HashSet::<Arc<CallTerms>>::new());
            while let Some(mut rate) = list.next_element::<Rate>()? {
                if let Some(call) = &mut rate.call {
                    match known.get(call) {
                        Some(equal) => *call = Arc::clone(equal),
                        None => _ = known.insert(Arc::clone(call)),
                    }
                }
                rates.push(rate);
            }
            Ok(rates)
        }
    }
    d.deserialize_seq(Rates)
}

/// The unit of meters that measure calls.
pub const CALL_UNIT: &str = "second";
/// What the records of switches are read for.
const CALL_METER: &str = "call";
/// Other spellings of it.
const SECONDS: [&str; 14] = [
    "s", "sec", "secs", "second", "seconds", "sek", "sekunde", "sekunden", "seconde", "secondes",
    "segundo", "segundos", "secondo", "secondi",
];

/// What is wrong with the unit of a meter, if anything is: usage lasts where it is in seconds, and
/// that is spelt in one way.
pub fn unit_mistake(meter: &str, unit: &str) -> Option<String> {
    let is_seconds = SECONDS.contains(&unit.trim().to_lowercase().as_str());
    let is_call = meter == CALL_METER;
    (unit != CALL_UNIT && (is_seconds || is_call)).then(|| {
        let why = if is_call {
            "calls are reported in seconds"
        } else {
            "seconds are spelt in one way"
        };
        format!("expected `{CALL_UNIT}` and not {unit:?}: {why}")
    })
}

/// What a meter means for rating.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterTerms {
    /// Base unit. Usage of a meter in `second` is a call: cut where windows, dates and steps
    /// change.
    pub unit: String,
    #[serde(default)]
    pub aggregation: Aggregation,
    /// `unique`: the attribute whose distinct values are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_by: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    Count,
    #[default]
    Sum,
    Max,
    Unique,
    Latest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Stable across versions: the counter runs on it.
    pub key: String,
    pub meter: String,
    /// Digits; `""` matches everything. No list: the rate does not look at the destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// Prefixes of the origin number, likewise (optional second dimension of a call).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origin_prefixes: Vec<String>,
    /// All must be equal in the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// For people: the destination's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<Instant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_until: Option<Instant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Box<Window>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Refuse usage of this prefix (`unrated: blocked`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// Price of an event with increments, priced on its own. Excludes `steps` with `price`. A card
    /// that was read holds equal terms once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Arc<CallTerms>>,
    /// P of the cumulative quantity (with `call`: of the billed seconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Box<PriceModel>>,
    /// Keep a counter although the price does not need one (so that a later version may).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
    /// The rate's own final rounding, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
}

fn is_zero(value: &i32) -> bool {
    *value == 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    pub mode: Mode,
    /// Decimals of the major unit.
    pub decimals: u8,
}

/// When a rate applies, in the card's zone. An empty list means every one. End exclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// ISO: 1 Monday … 7 Sunday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub month_days: Vec<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<i16>,
    /// `HH:MM[:SS]`, default 00:00.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `HH:MM[:SS]`, exclusive, default 24:00. Before `from`: the window runs over midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Terms local to one call (or one event counted in increments).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallTerms {
    /// The first block, once. Default: as `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<Quantity>,
    /// The following steps. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Quantity>,
    /// Prices by elapsed offset; the first starts at 0. A step may bring its own increment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_fee: Option<Amount>,
    /// Shorter answered calls are billed as this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_duration: Option<Quantity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_charge: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_charge: Option<Amount>,
    /// A call shorter than this costs nothing at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_if_shorter_than: Option<Quantity>,
    /// The first n units of every call are free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included: Option<Quantity>,
    /// An answered call of 0 s.
    #[serde(default, skip_serializing_if = "ZeroDuration::is_free")]
    pub zero_duration: ZeroDuration,
}

/// Whether a call of 0 s costs what a call costs beside its time: connect fee, minimum duration,
/// minimum charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroDuration {
    #[default]
    Free,
    Charged,
}

impl ZeroDuration {
    fn is_free(&self) -> bool {
        *self == Self::Free
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Elapsed offset at which this price begins.
    pub from: Quantity,
    pub price: Amount,
    /// Units that `price` is for (60: per minute). Default 1.
    #[serde(default = "one")]
    pub per: Quantity,
    /// Default: the call's `initial` for the first block, then `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub increment: Option<Quantity>,
    /// Due once when the call reaches this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_fee: Option<Amount>,
}

fn one() -> Quantity {
    Quantity::whole(1)
}

/// P(q), the price of a cumulative quantity, with its modifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceModel {
    #[serde(flatten)]
    pub model: Model,
    /// Free units per period, before everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<Quantity>,
    /// Percent off P.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_discount: Option<Amount>,
    /// Cap on P per period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_spend: Option<Amount>,
    /// Due when the period is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_spend: Option<Amount>,
    /// Into another unit before pricing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convert: Option<Conversion>,
}

impl PriceModel {
    /// What a billionth costs (10⁻¹² cents), if that is all there is to the price: nothing of it
    /// depends on the month.
    pub fn unit_price_alone(&self, currency: Currency) -> Option<Ratio> {
        let Model::PerUnit { unit_price, per } = &self.model else {
            return None;
        };
        if self.allowance.is_some_and(|free| free.0 > 0) || self.maximum_spend.is_some() {
            return None;
        }
        let price = Ratio::new(money::pico_cents(*unit_price, currency).ok()?, per.0).ok()?;
        let fraction = |amount: Amount| {
            Ratio::new(amount.0.mantissa(), 10_i128.checked_pow(amount.0.scale())?).ok()
        };
        let hundred = Ratio::whole(100);
        let kept = self.percent_discount.map_or(Some(hundred), |discount| {
            hundred.checked_sub(fraction(discount)?).ok()
        })?;
        let price = price
            .checked_mul(Ratio::new(kept.num(), kept.den().checked_mul(100)?).ok()?)
            .ok()?;
        let Some(convert) = self.convert else {
            return Some(price);
        };
        let factor = fraction(convert.factor)?;
        match (convert.round, convert.op) {
            (Some(_), _) => None,
            (None, ConversionOp::Multiply) => price.checked_mul(factor).ok(),
            (None, ConversionOp::Divide) => price
                .checked_mul(Ratio::new(factor.den(), factor.num()).ok()?)
                .ok(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    pub op: ConversionOp,
    pub factor: Amount,
    /// To whole units; absent: exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Mode>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversionOp {
    Multiply,
    Divide,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case")]
pub enum Model {
    /// unit_price per `per` units, pro rata.
    PerUnit {
        unit_price: Amount,
        #[serde(default = "one")]
        per: Quantity,
    },
    /// Once per period with usage.
    Flat {
        amount: Amount,
    },
    Graduated {
        tiers: Vec<Tier>,
    },
    Volume {
        tiers: Vec<Tier>,
    },
    /// A started block counts whole (unless `round` says otherwise).
    Package {
        size: Quantity,
        amount: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        free: Option<Quantity>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        round: Option<Mode>,
    },
    /// Percent of the event's amount, local to the event.
    Percentage {
        rate: Amount,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount_from: Option<AmountFrom>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fixed: Option<Amount>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        free_events: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        free_amount: Option<Amount>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum_per_event: Option<Amount>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum_per_event: Option<Amount>,
    },
    GraduatedPercentage {
        tiers: Vec<PercentTier>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount_from: Option<AmountFrom>,
    },
    /// The event's own `amount` × factor (pass-through of a cost).
    CostPlus {
        factor: Amount,
    },
    /// The event's own `amount` is the price.
    Dynamic,
    /// One price per combination of attribute values; the first row that matches.
    Matrix {
        dimensions: Vec<String>,
        cells: Vec<Cell>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default_price: Option<Amount>,
    },
    /// Tiers of started blocks: the whole bill by the last tier reached, or tier by tier.
    BlockTiers {
        policy: BlockPolicy,
        tiers: Vec<BlockTier>,
    },
}

/// What a percentage is of. A card that is read as new says it, if only by leaving it out
/// (`amount`); one that was stored before there was a choice says nothing, and goes on as it did:
/// of the quantity where an event has no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmountFrom {
    Amount,
    Quantity,
}

impl Model {
    /// Of models that price an amount: where it comes from.
    pub fn amount_from(&self) -> Option<Option<AmountFrom>> {
        match self {
            Self::Percentage { amount_from, .. }
            | Self::GraduatedPercentage { amount_from, .. } => Some(*amount_from),
            _ => None,
        }
    }

    /// Says what a new card means by saying nothing.
    pub(crate) fn say_amount_from(&mut self) {
        if let Self::Percentage { amount_from, .. }
        | Self::GraduatedPercentage { amount_from, .. } = self
        {
            amount_from.get_or_insert(AmountFrom::Amount);
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Inclusive; absent: unbounded (last tier only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Quantity>,
    #[serde(default)]
    pub unit_price: Amount,
    /// Due when the tier is entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<Amount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PercentTier {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Amount>,
    /// Percent.
    pub rate: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<Amount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub values: Vec<String>,
    pub unit_price: Amount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockPolicy {
    AllTiers,
    TopTier,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockTier {
    pub block: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_blocks: Option<u64>,
    pub price: Amount,
}
