//! The form of a card: unknown, missing and malformed fields, each with its path.
//!
//! A card that reads as its type is checked only where the type is lenient (the fields of a price
//! model). One that does not is walked once more against the table of fields below, to find them all.

use super::{MISTAKES_MAX, Mistake, located};
use crate::card::{Aggregation, AmountFrom, BlockPolicy, CardDoc, ConversionOp, ZeroDuration};
use crate::money::Rate as Amount;
use crate::rounding::Mode;
use crate::{Currency, Instant, Quantity};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub fn parse(json: &[u8]) -> Result<CardDoc, Vec<Mistake>> {
    match serde_json::from_slice::<CardDoc>(json) {
        Ok(mut doc) => {
            let mistakes = if doc.rates.iter().any(|rate| rate.price.is_some()) { price_mistakes(json) } else { Vec::new() };
            doc.rates.iter_mut().filter_map(|rate| rate.price.as_mut()).for_each(|price| price.model.say_amount_from());
            if mistakes.is_empty() { Ok(doc) } else { Err(mistakes) }
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
    let mut walk = Walk { path: String::new(), bad: Vec::new() };
    let Ok(prices) = serde_json::from_slice::<Prices>(json) else { return walk.bad };
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
        return vec![Mistake::new("", "bad_json", format!("expected JSON: {}", located(json, error)))];
    };
    let mut walk = Walk { path: String::new(), bad: Vec::new() };
    walk.check(&value, &Kind::Object(CARD));
    if walk.bad.is_empty() {
        walk.report("bad_value", located(json, error));
    }
    walk.bad.truncate(MISTAKES_MAX);
    walk.bad
}

/// Characters of what was found that a message shows.
const FOUND_CHARS_MAX: usize = 40;

fn found(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What a field holds.
enum Kind {
    /// How it is read, and what is expected.
    Leaf(fn(&Value) -> Result<(), serde_json::Error>, &'static str),
    Object(&'static [Field]),
    List(&'static Kind),
    Map(&'static Kind),
    /// An object whose fields depend on its `model`.
    Price,
}

struct Field {
    name: &'static str,
    required: bool,
    kind: Kind,
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, required: true, kind }
}
const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, required: false, kind }
}
fn leaf<T: DeserializeOwned>(value: &Value) -> Result<(), serde_json::Error> {
    T::deserialize(value).map(drop)
}

const TEXT: Kind = Kind::Leaf(leaf::<String>, "a text");
const FLAG: Kind = Kind::Leaf(leaf::<bool>, "true or false");
const QUANTITY: Kind = Kind::Leaf(leaf::<Quantity>, "a decimal as text, such as \"60\" or \"0.5\"");
const AMOUNT: Kind = Kind::Leaf(leaf::<Amount>, "a decimal as text, such as \"0.0125\"");
const INSTANT: Kind = Kind::Leaf(leaf::<Instant>, "an instant, such as \"2026-11-20T09:00:00Z\"");
const MODE: Kind = Kind::Leaf(leaf::<Mode>, "one of up, down, half_up, half_even, ceil, floor");
const AMOUNT_FROM: Kind = Kind::Leaf(leaf::<AmountFrom>, "`amount` or `quantity`");
const NUMBERS: Kind = Kind::List(&Kind::Leaf(leaf::<u8>, "a small whole number"));
const TEXTS: Kind = Kind::List(&TEXT);

const CARD: &[Field] = &[
    must("currency", Kind::Leaf(leaf::<Currency>, "an ISO 4217 code, such as \"EUR\"")),
    may("zone", TEXT),
    may("fallback", TEXT),
    may("meters", Kind::Map(&Kind::Object(METER))),
    must("rates", Kind::List(&Kind::Object(RATE))),
];
const METER: &[Field] = &[
    must("unit", TEXT),
    may("aggregation", Kind::Leaf(leaf::<Aggregation>, "one of sum, count, max, unique, latest")),
    may("unique_by", TEXT),
];
const RATE: &[Field] = &[
    must("key", TEXT),
    must("meter", TEXT),
    may("prefixes", TEXTS),
    may("origin_prefixes", TEXTS),
    may("attributes", Kind::Map(&TEXT)),
    may("name", TEXT),
    may("effective_from", INSTANT),
    may("effective_until", INSTANT),
    may("window", Kind::Object(WINDOW)),
    may("priority", Kind::Leaf(leaf::<i32>, "a whole number")),
    may("blocked", FLAG),
    may("call", Kind::Object(CALL)),
    may("price", Kind::Price),
    may("counted", FLAG),
    may("rounding", Kind::Object(&[must("mode", MODE), must("decimals", Kind::Leaf(leaf::<u8>, "a whole number of decimals"))])),
];
const WINDOW: &[Field] = &[
    may("weekdays", NUMBERS),
    may("months", NUMBERS),
    may("month_days", NUMBERS),
    may("years", Kind::List(&Kind::Leaf(leaf::<i16>, "a year, such as 2026"))),
    may("from", TEXT),
    may("until", TEXT),
];
const CALL: &[Field] = &[
    may("initial", QUANTITY),
    may("next", QUANTITY),
    may("steps", Kind::List(&Kind::Object(STEP))),
    may("connect_fee", AMOUNT),
    may("minimum_duration", QUANTITY),
    may("minimum_charge", AMOUNT),
    may("maximum_charge", AMOUNT),
    may("free_if_shorter_than", QUANTITY),
    may("included", QUANTITY),
    may("zero_duration", Kind::Leaf(leaf::<ZeroDuration>, "`free` or `charged`")),
];
const STEP: &[Field] =
    &[must("from", QUANTITY), must("price", AMOUNT), may("per", QUANTITY), may("increment", QUANTITY), may("fixed_fee", AMOUNT)];

/// Fields of every price model.
const PRICE: &[Field] = &[
    must("model", TEXT),
    may("allowance", QUANTITY),
    may("percent_discount", AMOUNT),
    may("maximum_spend", AMOUNT),
    may("minimum_spend", AMOUNT),
    may(
        "convert",
        Kind::Object(&[must("op", Kind::Leaf(leaf::<ConversionOp>, "`multiply` or `divide`")), must("factor", AMOUNT), may("round", MODE)]),
    ),
];
const TIERS: Kind = Kind::List(&Kind::Object(&[may("up_to", QUANTITY), may("unit_price", AMOUNT), may("flat", AMOUNT)]));
/// Fields of each model.
const MODELS: &[(&str, &[Field])] = &[
    ("per_unit", &[must("unit_price", AMOUNT), may("per", QUANTITY)]),
    ("flat", &[must("amount", AMOUNT)]),
    ("graduated", &[must("tiers", TIERS)]),
    ("volume", &[must("tiers", TIERS)]),
    ("package", &[must("size", QUANTITY), must("amount", AMOUNT), may("free", QUANTITY), may("round", MODE)]),
    (
        "percentage",
        &[
            must("rate", AMOUNT),
            may("amount_from", AMOUNT_FROM),
            may("fixed", AMOUNT),
            may("free_events", Kind::Leaf(leaf::<u32>, "a whole number of events")),
            may("free_amount", AMOUNT),
            may("minimum_per_event", AMOUNT),
            may("maximum_per_event", AMOUNT),
        ],
    ),
    (
        "graduated_percentage",
        &[
            must("tiers", Kind::List(&Kind::Object(&[may("up_to", AMOUNT), must("rate", AMOUNT), may("flat", AMOUNT)]))),
            may("amount_from", AMOUNT_FROM),
        ],
    ),
    ("cost_plus", &[must("factor", AMOUNT)]),
    ("dynamic", &[]),
    (
        "matrix",
        &[
            must("dimensions", TEXTS),
            must("cells", Kind::List(&Kind::Object(&[must("values", TEXTS), must("unit_price", AMOUNT)]))),
            may("default_price", AMOUNT),
        ],
    ),
    (
        "block_tiers",
        &[
            must("policy", Kind::Leaf(leaf::<BlockPolicy>, "`all_tiers` or `top_tier`")),
            must(
                "tiers",
                Kind::List(&Kind::Object(&[
                    must("block", QUANTITY),
                    may("max_blocks", Kind::Leaf(leaf::<u64>, "a whole number of blocks")),
                    must("price", AMOUNT),
                ])),
            ),
        ],
    ),
];

struct Walk {
    path: String,
    bad: Vec<Mistake>,
}

impl Walk {
    fn report(&mut self, code: &'static str, message: impl Into<String>) {
        if self.bad.len() < MISTAKES_MAX {
            self.bad.push(Mistake::new(self.path.clone(), code, message));
        }
    }

    /// Runs `check` one level down.
    fn below(&mut self, part: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !part.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(part);
        check(self);
        self.path.truncate(length);
    }

    fn check(&mut self, value: &Value, kind: &Kind) {
        match (kind, value) {
            (Kind::Leaf(read, expected), value) => {
                if let Err(error) = read(value) {
                    let own = error.to_string();
                    // What serde says of types is in the words of Rust; what our own types say is for people.
                    let is_ours = !["invalid ", "unknown ", "missing "].iter().any(|theirs| own.starts_with(theirs));
                    let message = if is_ours {
                        format!("{own}, found {}", found(value))
                    } else {
                        format!("expected {expected}, found {}", found(value))
                    };
                    self.report("bad_value", message);
                }
            }
            (Kind::Object(fields), Value::Object(map)) => self.object(map, &[*fields]),
            (Kind::Price, Value::Object(map)) => self.price(map),
            (Kind::List(kind), Value::Array(list)) => {
                for (index, value) in list.iter().enumerate() {
                    self.below(&format!("[{index}]"), |walk| walk.check(value, kind));
                }
            }
            (Kind::Map(kind), Value::Object(map)) => {
                for (name, value) in map {
                    self.below(name, |walk| walk.check(value, kind));
                }
            }
            (Kind::List(_), _) => self.report("bad_value", format!("expected a list, found {}", found(value))),
            _ => self.report("bad_value", format!("expected an object, found {}", found(value))),
        }
    }

    fn price(&mut self, map: &Map<String, Value>) {
        let name = map.get("model").and_then(Value::as_str).unwrap_or("");
        match MODELS.iter().find(|(known, _)| *known == name) {
            Some((_, fields)) => self.object(map, &[PRICE, fields]),
            None => {
                let known: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
                self.below("model", |walk| walk.report("unknown_model", format!("expected one of {}", known.join(", "))));
            }
        }
    }

    fn object(&mut self, map: &Map<String, Value>, tables: &[&[Field]]) {
        let fields = || tables.iter().flat_map(|fields| fields.iter());
        for (name, value) in map {
            match fields().find(|field| field.name == name) {
                None => {
                    let known: Vec<&str> = fields().map(|field| field.name).collect();
                    let message = format!("there is no such field; the fields here are {}", known.join(", "));
                    self.below(name, |walk| walk.report("unknown_field", message));
                }
                Some(field) if value.is_null() && !field.required => {}
                Some(field) => self.below(name, |walk| walk.check(value, &field.kind)),
            }
        }
        for field in fields().filter(|field| field.required && !map.contains_key(field.name)) {
            self.below(field.name, |walk| walk.report("missing_field", "expected this field"));
        }
    }
}
