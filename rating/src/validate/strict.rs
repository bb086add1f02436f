//! The form of a card: unknown, missing and malformed fields, each with its path.
//!
//! A card that reads as its type is checked only where the type is lenient (the fields of a price
//! model). One that does not is walked once more against the table of fields below, to find them
//! all.

use super::{MISTAKES_MAX, Mistake, located};
use crate::card::{Aggregation, AmountFrom, BlockPolicy, CardDoc, ConversionOp, ZeroDuration};
use crate::money::Rate as Amount;
use crate::rounding::Mode;
use crate::{Currency, Instant, Quantity, json};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

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

/// `[]`, or with spaces between.
fn has_empty_list(json: &[u8]) -> bool {
    json.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'[')
        .any(|(at, _)| {
            let mut behind = json.get(at + 1..).unwrap_or_default().iter();
            behind.find(|byte| !byte.is_ascii_whitespace()) == Some(&b']')
        })
}

/// Lists of what a rate is limited to, and that limit it to nothing; a rate without them is not
/// limited at all.
fn empty_lists(json: &[u8]) -> Vec<Mistake> {
    #[derive(Deserialize)]
    struct Rates {
        rates: Vec<Limits>,
    }
    #[derive(Deserialize)]
    struct Limits {
        prefixes: Option<Vec<IgnoredAny>>,
        origin_prefixes: Option<Vec<IgnoredAny>>,
        window: Option<Days>,
    }
    #[derive(Deserialize)]
    struct Days {
        weekdays: Option<Vec<IgnoredAny>>,
        months: Option<Vec<IgnoredAny>>,
        month_days: Option<Vec<IgnoredAny>>,
        years: Option<Vec<IgnoredAny>>,
    }
    let Ok(found) = serde_json::from_slice::<Rates>(json) else {
        return Vec::new();
    };
    let mut bad = Vec::new();
    for (index, rate) in found.rates.into_iter().enumerate() {
        let days = rate.window.map_or([const { None }; 4], |days| {
            [days.weekdays, days.months, days.month_days, days.years]
        });
        let days = [
            "window.weekdays",
            "window.months",
            "window.month_days",
            "window.years",
        ]
        .into_iter()
        .zip(days);
        let lists = [
            ("prefixes", rate.prefixes),
            ("origin_prefixes", rate.origin_prefixes),
        ]
        .into_iter()
        .chain(days);
        let empty = lists
            .filter(|(_, list)| list.as_ref().is_some_and(Vec::is_empty))
            .map(|(path, _)| path);
        bad.extend(empty.map(|path| {
            Mistake::new(
                format!("rates[{index}].{path}"),
                "empty_list",
                "an empty list may mean none or all: expected some, or no such field for all",
            )
        }));
    }
    bad.truncate(MISTAKES_MAX);
    bad
}

/// A name that `attributes` or `meters` have twice: of two values one would be taken by chance.
/// (Fields are refused as they are read.)
fn given_twice(json: &[u8]) -> Vec<Mistake> {
    #[derive(Deserialize)]
    struct Card {
        #[serde(default)]
        meters: Option<Names>,
        rates: Vec<Attributes>,
    }
    #[derive(Deserialize)]
    struct Attributes {
        #[serde(default)]
        attributes: Option<Names>,
    }
    let Ok(card) = serde_json::from_slice::<Card>(json) else {
        return Vec::new();
    };
    let twice = |path: String| {
        Mistake::new(
            path,
            "given_twice",
            "the name is given twice: expected it once",
        )
    };
    let meters = card
        .meters
        .and_then(|names| names.twice)
        .map(|name| twice(format!("meters.{name}")));
    let named = card
        .rates
        .into_iter()
        .enumerate()
        .filter_map(|(index, rate)| Some((index, rate.attributes?.twice?)));
    meters
        .into_iter()
        .chain(named.map(|(index, name)| twice(format!("rates[{index}].attributes.{name}"))))
        .take(MISTAKES_MAX)
        .collect()
}

/// The names of an object, as far as one of them is there twice.
struct Names {
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let (mut known, mut twice) = (HashSet::new(), None);
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    if known.contains(&name) {
                        twice.get_or_insert(name);
                    } else {
                        known.insert(name);
                    }
                }
                Ok(Names { twice })
            }
        }
        reader.deserialize_map(V)
    }
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
    /// An object that has one of these fields at least.
    Priced(&'static [Field], &'static [&'static str]),
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
    Field {
        name,
        required: true,
        kind,
    }
}
const fn may(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        required: false,
        kind,
    }
}
fn leaf<T: DeserializeOwned>(value: &Value) -> Result<(), serde_json::Error> {
    T::deserialize(value).map(drop)
}

const TEXT: Kind = Kind::Leaf(leaf::<String>, "a text");
const FLAG: Kind = Kind::Leaf(leaf::<bool>, "true or false");
const QUANTITY: Kind = Kind::Leaf(
    leaf::<Quantity>,
    "a decimal as text, such as \"60\" or \"0.5\"",
);
const AMOUNT: Kind = Kind::Leaf(leaf::<Amount>, "a decimal as text, such as \"0.0125\"");
const INSTANT: Kind = Kind::Leaf(
    leaf::<Instant>,
    "an instant, such as \"2026-11-20T09:00:00Z\"",
);
const MODE: Kind = Kind::Leaf(
    leaf::<Mode>,
    "one of up, down, half_up, half_even, ceil, floor",
);
const AMOUNT_FROM: Kind = Kind::Leaf(leaf::<AmountFrom>, "`amount` or `quantity`");
const WEEKDAYS: Kind = Kind::List(&Kind::Leaf(
    leaf::<u8>,
    "a day's number, 1 Monday to 7 Sunday",
));
const MONTHS: Kind = Kind::List(&Kind::Leaf(leaf::<u8>, "a month's number, 1 to 12"));
const MONTH_DAYS: Kind = Kind::List(&Kind::Leaf(leaf::<u8>, "a day's number, 1 to 31"));
const TEXTS: Kind = Kind::List(&TEXT);

const CARD: &[Field] = &[
    must(
        "currency",
        Kind::Leaf(leaf::<Currency>, "an ISO 4217 code, such as \"EUR\""),
    ),
    may("zone", TEXT),
    may("fallback", TEXT),
    may("meters", Kind::Map(&Kind::Object(METER))),
    must("rates", Kind::List(&Kind::Object(RATE))),
];
const METER: &[Field] = &[
    must("unit", TEXT),
    may(
        "aggregation",
        Kind::Leaf(
            leaf::<Aggregation>,
            "one of sum, count, max, unique, latest",
        ),
    ),
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
    may(
        "rounding",
        Kind::Object(&[
            must("mode", MODE),
            must(
                "decimals",
                Kind::Leaf(leaf::<u8>, "a whole number of decimals"),
            ),
        ]),
    ),
];
const WINDOW: &[Field] = &[
    may("weekdays", WEEKDAYS),
    may("months", MONTHS),
    may("month_days", MONTH_DAYS),
    may(
        "years",
        Kind::List(&Kind::Leaf(leaf::<i16>, "a year, such as 2026")),
    ),
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
    may(
        "zero_duration",
        Kind::Leaf(leaf::<ZeroDuration>, "`free` or `charged`"),
    ),
];
const STEP: &[Field] = &[
    must("from", QUANTITY),
    must("price", AMOUNT),
    may("per", QUANTITY),
    may("increment", QUANTITY),
    may("fixed_fee", AMOUNT),
];

/// Fields of every price model.
const PRICE: &[Field] = &[
    must("model", TEXT),
    may("allowance", QUANTITY),
    may("percent_discount", AMOUNT),
    may("maximum_spend", AMOUNT),
    may("minimum_spend", AMOUNT),
    may(
        "convert",
        Kind::Object(&[
            must(
                "op",
                Kind::Leaf(leaf::<ConversionOp>, "`multiply` or `divide`"),
            ),
            must("factor", AMOUNT),
            may("round", MODE),
        ]),
    ),
];
const TIERS: Kind = Kind::List(&Kind::Priced(
    &[
        may("up_to", QUANTITY),
        may("unit_price", AMOUNT),
        may("flat", AMOUNT),
    ],
    &["unit_price", "flat"],
));
/// Fields of each model.
const MODELS: &[(&str, &[Field])] = &[
    (
        "per_unit",
        &[must("unit_price", AMOUNT), may("per", QUANTITY)],
    ),
    ("flat", &[must("amount", AMOUNT)]),
    ("graduated", &[must("tiers", TIERS)]),
    ("volume", &[must("tiers", TIERS)]),
    (
        "package",
        &[
            must("size", QUANTITY),
            must("amount", AMOUNT),
            may("free", QUANTITY),
            may("round", MODE),
        ],
    ),
    (
        "percentage",
        &[
            must("rate", AMOUNT),
            may("amount_from", AMOUNT_FROM),
            may("fixed", AMOUNT),
            may(
                "free_events",
                Kind::Leaf(leaf::<u32>, "a whole number of events"),
            ),
            may("free_amount", AMOUNT),
            may("minimum_per_event", AMOUNT),
            may("maximum_per_event", AMOUNT),
        ],
    ),
    (
        "graduated_percentage",
        &[
            must(
                "tiers",
                Kind::List(&Kind::Object(&[
                    may("up_to", AMOUNT),
                    must("rate", AMOUNT),
                    may("flat", AMOUNT),
                ])),
            ),
            may("amount_from", AMOUNT_FROM),
        ],
    ),
    ("cost_plus", &[must("factor", AMOUNT)]),
    ("dynamic", &[]),
    (
        "matrix",
        &[
            must("dimensions", TEXTS),
            must(
                "cells",
                Kind::List(&Kind::Object(&[
                    must("values", TEXTS),
                    must("unit_price", AMOUNT),
                ])),
            ),
            may("default_price", AMOUNT),
        ],
    ),
    (
        "block_tiers",
        &[
            must(
                "policy",
                Kind::Leaf(leaf::<BlockPolicy>, "`all_tiers` or `top_tier`"),
            ),
            must(
                "tiers",
                Kind::List(&Kind::Object(&[
                    must("block", QUANTITY),
                    may(
                        "max_blocks",
                        Kind::Leaf(leaf::<u64>, "a whole number of blocks"),
                    ),
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
            self.bad
                .push(Mistake::new(self.path.clone(), code, message));
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
                    // What serde says of types is in the words of Rust; what our own types say is
                    // for people.
                    let is_ours = !["invalid ", "unknown ", "missing "]
                        .iter()
                        .any(|theirs| own.starts_with(theirs));
                    let message = if is_ours {
                        format!("{own}, found {}", found(value))
                    } else {
                        format!("expected {expected}, found {}", found(value))
                    };
                    self.report("bad_value", message);
                }
            }
            (Kind::Object(fields), Value::Object(map)) => self.object(map, &[*fields]),
            (Kind::Priced(fields, one_of), Value::Object(map)) => {
                self.object(map, &[*fields]);
                if !one_of
                    .iter()
                    .any(|name| map.get(*name).is_some_and(|value| !value.is_null()))
                {
                    let (first, rest) = (
                        one_of.first().copied().unwrap_or_default(),
                        one_of.get(1..).unwrap_or_default(),
                    );
                    let message = format!(
                        "expected this field or {}; what costs nothing has \"0\"",
                        rest.join(", ")
                    );
                    self.below(first, |walk| walk.report("missing_field", message));
                }
            }
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
            (Kind::List(_), _) => self.report(
                "bad_value",
                format!("expected a list, found {}", found(value)),
            ),
            _ => self.report(
                "bad_value",
                format!("expected an object, found {}", found(value)),
            ),
        }
    }

    fn price(&mut self, map: &Map<String, Value>) {
        let name = map.get("model").and_then(Value::as_str).unwrap_or("");
        match MODELS.iter().find(|(known, _)| *known == name) {
            Some((_, fields)) => self.object(map, &[PRICE, fields]),
            None => {
                let known: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
                self.below("model", |walk| {
                    walk.report(
                        "unknown_model",
                        format!("expected one of {}", known.join(", ")),
                    )
                });
            }
        }
    }

    fn object(&mut self, map: &Map<String, Value>, tables: &[&[Field]]) {
        let fields = || tables.iter().flat_map(|fields| fields.iter());
        for (name, value) in map {
            match fields().find(|field| field.name == name) {
                None => {
                    let known: Vec<&str> = fields().map(|field| field.name).collect();
                    let message = format!(
                        "there is no such field; the fields here are {}",
                        known.join(", ")
                    );
                    self.below(name, |walk| walk.report("unknown_field", message));
                }
                Some(field) if value.is_null() && !field.required => {}
                Some(field) => self.below(name, |walk| walk.check(value, &field.kind)),
            }
        }
        for field in fields().filter(|field| field.required && !map.contains_key(field.name)) {
            self.below(field.name, |walk| {
                walk.report("missing_field", "expected this field")
            });
        }
    }
}
