//! One thousand events priced by each price model, one after the other under one counter: measured,
//! the counter moved, priced. The sum is P(total), which stands beside each model.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rating::card::{Aggregation, CardDoc};
use rating::compile::CompiledCard;
use rating::money::Rate as Amount;
use rating::usage::{Counter, Number, Usage};
use rating::{Exact, Instant, Quantity};
use rust_decimal::Decimal;
use std::hint::black_box;

const EVENTS: i64 = 1_000;
/// Of the quantities 1, 2, … 7, 1, 2, … of a thousand events.
const TOTAL: i64 = 3_997;

/// The name, what a thousand events cost in tenths of a cent, and the model.
const MODELS: [(&str, i128, &str); 11] = [
    (
        "per_unit",
        199_850,
        r#"{"model": "per_unit", "unit_price": "0.50", "per": "10"}"#,
    ),
    ("flat", 9_900, r#"{"model": "flat", "amount": "9.90"}"#),
    (
        "graduated",
        150_000 + 5_000 + 299_700,
        r#"{"model": "graduated", "tiers": [{"up_to": "1000", "unit_price": "0.15"}, {"unit_price": "0.10", "flat": "5"}]}"#,
    ),
    (
        "volume",
        319_760,
        r#"{"model": "volume", "tiers": [{"up_to": "100", "unit_price": "0.10"}, {"unit_price": "0.08"}]}"#,
    ),
    // 3,897 beyond the free ones are four started thousands.
    (
        "package",
        20_000,
        r#"{"model": "package", "size": "1000", "amount": "5", "free": "100"}"#,
    ),
    (
        "block_tiers",
        2_000 + 20_000,
        r#"{"model": "block_tiers", "policy": "all_tiers", "tiers": [{"block": "100", "max_blocks": 2, "price": "1"}, {"block": "1000", "price": "5"}]}"#,
    ),
    (
        "percentage",
        99_925 + 100_000,
        r#"{"model": "percentage", "rate": "2.5", "fixed": "0.10"}"#,
    ),
    (
        "graduated_percentage",
        20_000 + 29_970,
        r#"{"model": "graduated_percentage", "tiers": [{"up_to": "1000", "rate": "2"}, {"rate": "1"}]}"#,
    ),
    (
        "cost_plus",
        4_796_400,
        r#"{"model": "cost_plus", "factor": "1.2"}"#,
    ),
    ("dynamic", 3_997_000, r#"{"model": "dynamic"}"#),
    // 500 events of each size: 1,997 units small, 2,000 large.
    (
        "matrix",
        1_997 * 50 + 2_000 * 200,
        r#"{"model": "matrix", "dimensions": ["region", "size"], "default_price": "9", "cells": [
            {"values": ["eu", "small"], "unit_price": "0.05"}, {"values": ["eu", "large"], "unit_price": "0.20"}]}"#,
    ),
];

fn card(model: &str) -> CompiledCard {
    let price: serde_json::Value = serde_json::from_str(model).unwrap();
    let doc = serde_json::json!({ "currency": "EUR", "rates": [{ "key": "all", "meter": "unit", "price": price }] });
    CompiledCard::compile(&serde_json::from_value::<CardDoc>(doc).unwrap()).unwrap()
}

fn quantity(event: i64) -> i64 {
    1 + event % 7
}

/// Σ of a thousand events, and where their counter ends.
fn price_all(card: &CompiledCard, attributes: &[[(String, String); 2]; 2]) -> (i128, Counter) {
    let (mut sum, mut before) = (0, Counter::default());
    for event in 0..black_box(EVENTS) {
        let quantity = quantity(event);
        let usage = Usage {
            meter: "unit",
            is_call: false,
            aggregation: Aggregation::Sum,
            at: Instant::from_secs(1_795_000_000 + event),
            quantity: Quantity::whole(quantity),
            amount: Some(Amount(Decimal::from(quantity))),
            number: Number::International,
            destination: None,
            origin: None,
            attributes: &attributes[(event % 2) as usize],
        };
        let measured = card.measure(&usage).unwrap();
        let after = Counter {
            quantity: before.quantity.checked_add(measured.billed).unwrap(),
            events: before.events + 1,
        };
        sum += card
            .price(&measured, &usage, &before, &after)
            .unwrap()
            .exact
            .0;
        before = after;
    }
    (sum, before)
}

fn models(c: &mut Criterion) {
    assert_eq!((0..EVENTS).map(quantity).sum::<i64>(), TOTAL);
    let attributes = ["small", "large"].map(|size| {
        [
            ("region".to_owned(), "eu".to_owned()),
            ("size".to_owned(), size.to_owned()),
        ]
    });
    let mut group = c.benchmark_group("model");
    group.throughput(Throughput::Elements(EVENTS.unsigned_abs()));
    for (name, tenths_of_cent, model) in MODELS {
        let card = card(model);
        let (sum, counter) = price_all(&card, &attributes);
        assert_eq!(
            (sum, counter.quantity),
            (
                tenths_of_cent * Exact::PER_CENT / 10,
                Quantity::whole(TOTAL)
            ),
            "{name}"
        );
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(price_all(&card, &attributes).0, sum))
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = models);
criterion_main!(benches);
