//! What rating one usage costs: the longest prefix over 36,000 and 300,000, and one call measured
//! and priced. Each bench asserts its answer.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rating::card::{Aggregation, CallTerms, CardDoc, Rate, Step};
use rating::compile::CompiledCard;
use rating::prefix::PrefixMap;
use rating::usage::{Counter, Number, Usage};
use rating::{Currency, Instant, Quantity};
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;

/// A small deck and the largest there is.
const SIZES: [(&str, usize); 2] = [("36k", 36_000), ("300k", 300_000)];
const NUMBERS: usize = 4_096;
const START: Instant = Instant::from_secs(1_795_000_000);

/// A fixed sequence of digits, so that every run sees the same deck.
struct Digits(u64);

impl Digits {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
    fn number(&mut self, digits: u64) -> String {
        (0..digits)
            .map(|_| char::from(b'0' + self.below(10) as u8))
            .collect()
    }
}

/// Break-outs under a few hundred countries, as in a real A-Z deck; and numbers to look up in it.
fn deck(size: usize) -> (Vec<String>, Vec<String>) {
    let mut digits = Digits(7);
    let countries: Vec<String> = (0..230)
        .map(|_| format!("{}{}", 1 + digits.below(9), digits.number(2)))
        .collect();
    let mut prefixes = BTreeSet::from(["".to_owned()]);
    while prefixes.len() < size {
        let country = &countries[digits.below(230) as usize];
        let rest = 1 + digits.below(5);
        prefixes.insert(format!("{country}{}", digits.number(rest)));
    }
    let prefixes: Vec<String> = prefixes.into_iter().collect();
    let numbers = (0..NUMBERS)
        .map(|_| {
            format!(
                "{}{}",
                prefixes[digits.below(size as u64) as usize],
                digits.number(6)
            )
        })
        .collect();
    (prefixes, numbers)
}

fn longest_by_scan<'a>(prefixes: &'a BTreeSet<&str>, number: &str) -> &'a str {
    (0..=number.len())
        .rev()
        .find_map(|len| prefixes.get(&number[..len]))
        .copied()
        .unwrap()
}

fn longest_prefix(c: &mut Criterion) {
    let mut group = c.benchmark_group("longest_prefix");
    group.throughput(Throughput::Elements(NUMBERS as u64));
    for (name, size) in SIZES {
        let (prefixes, numbers) = deck(size);
        let entries: Vec<(&str, u32)> = prefixes.iter().map(String::as_str).zip(0..).collect();
        let map = PrefixMap::build(&entries).unwrap();
        assert!(map.size_bytes() < 50_000_000, "{} bytes", map.size_bytes());
        let sorted: BTreeSet<&str> = prefixes.iter().map(String::as_str).collect();
        let mut digits = 0;
        for number in &numbers {
            let (len, value) = map.longest(number.as_bytes(), usize::MAX).unwrap();
            assert_eq!(
                (&number[..len], prefixes[value as usize].as_str()),
                (longest_by_scan(&sorted, number), &number[..len])
            );
            digits += len;
        }
        let longest = |number: &String| {
            map.longest(black_box(number.as_bytes()), usize::MAX)
                .map_or(0, |found| found.0)
        };
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(numbers.iter().map(longest).sum::<usize>(), digits))
        });
    }
    group.finish();
}

/// One price for every tenth of a cent: 400 distinct terms.
fn card(prefixes: &[String]) -> CompiledCard {
    let rate = |(number, prefix): (usize, &String)| Rate {
        key: format!("to-{prefix}"),
        meter: "call".to_owned(),
        prefixes: vec![prefix.clone()],
        origin_prefixes: Vec::new(),
        attributes: BTreeMap::new(),
        name: None,
        effective_from: None,
        effective_until: None,
        window: None,
        priority: 0,
        blocked: false,
        call: Some(Arc::new(CallTerms {
            initial: Some(Quantity::whole(30)),
            next: Some(Quantity::whole(6)),
            steps: vec![Step {
                from: Quantity::ZERO,
                price: format!("0.{:03}", 1 + number % 400).parse().unwrap(),
                per: Quantity::whole(60),
                increment: None,
                fixed_fee: None,
            }],
            ..CallTerms::default()
        })),
        price: None,
        counted: false,
        rounding: None,
    };
    let rates = prefixes.iter().enumerate().map(rate).collect();
    let doc = CardDoc {
        currency: Currency::EUR,
        zone: "Europe/Berlin".to_owned(),
        fallback: None,
        meters: BTreeMap::new(),
        rates,
    };
    CompiledCard::compile(&doc).unwrap()
}

fn call(destination: &str) -> Usage<'_> {
    Usage {
        meter: "call",
        is_call: true,
        aggregation: Aggregation::Sum,
        at: START,
        quantity: Quantity::whole(95),
        amount: None,
        number: Number::International,
        destination: Some(destination),
        origin: None,
        attributes: &[],
    }
}

fn price(card: &CompiledCard, destination: &str) -> i128 {
    let usage = call(destination);
    let measured = card.measure(&usage).unwrap();
    let counter = Counter::default();
    card.price(&measured, &usage, &counter, &counter)
        .unwrap()
        .exact
        .0
}

fn one_call(c: &mut Criterion) {
    let mut group = c.benchmark_group("one_call");
    for (name, size) in SIZES {
        let (prefixes, numbers) = deck(size);
        let card = card(&prefixes);
        let entries: Vec<(&str, u32)> = prefixes.iter().map(String::as_str).zip(0..).collect();
        let map = PrefixMap::build(&entries).unwrap();
        let mut sum = 0;
        for number in &numbers {
            // 95 s at 30/6 are 96 s: 1.6 minutes at so many tenths of a cent.
            let tenths =
                1 + i128::from(map.longest(number.as_bytes(), usize::MAX).unwrap().1) % 400;
            assert_eq!(price(&card, number), tenths * 160_000_000_000, "{number}");
            sum += tenths * 160_000_000_000;
        }
        group.throughput(Throughput::Elements(NUMBERS as u64));
        let all = || {
            numbers
                .iter()
                .map(|number| price(&card, black_box(number)))
                .sum::<i128>()
        };
        group.bench_function(name, |b| b.iter(|| assert_eq!(all(), sum)));
    }
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = longest_prefix, one_call);
criterion_main!(benches);
