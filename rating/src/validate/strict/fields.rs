//! The fields of a card and of each price model, and what each of them holds.

use crate::card::{Aggregation, AmountFrom, BlockPolicy, ConversionOp, ZeroDuration};
use crate::money::Rate as Amount;
use crate::rounding::Mode;
use crate::{Currency, Instant, Quantity};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a field holds.
pub(super) enum Kind {
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

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) kind: Kind,
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

pub(super) const CARD: &[Field] = &[
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
pub(super) const PRICE: &[Field] = &[
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
pub(super) const MODELS: &[(&str, &[Field])] = &[
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
