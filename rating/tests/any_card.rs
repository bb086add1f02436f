//! Any card, any usage: the closed form agrees with counting increments one by one, nothing panics,
//! and what validation lets through compiles.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use jiff::tz::TimeZone;
use proptest::prelude::*;
use rating::card::{Aggregation, CallTerms, CardDoc, Rate, Rounding, Step, Window, ZeroDuration};
use rating::compile::CompiledCard;
use rating::rounding::{self, Mode};
use rating::usage::{Counter, Number, Usage};
use rating::validate::{parse_card, validate};
use rating::{Currency, Exact, Instant, Quantity, Ratio, Unrated};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CASES: u32 = 10_000;
const ZONE: &str = "Europe/Berlin";
/// An hour before the clocks change in autumn.
const BASE_SECS: i64 = 1_792_886_400;

fn rate(call: CallTerms) -> Rate {
    Rate {
        key: String::new(),
        meter: "call".to_owned(),
        prefixes: Vec::new(),
        origin_prefixes: Vec::new(),
        attributes: BTreeMap::new(),
        name: None,
        effective_from: None,
        effective_until: None,
        window: None,
        priority: 0,
        blocked: false,
        call: Some(call.into()),
        price: None,
        counted: false,
        rounding: None,
    }
}

fn doc(zone: &str, rates: Vec<Rate>) -> CardDoc {
    let rates = rates
        .into_iter()
        .enumerate()
        .map(|(n, rate)| Rate {
            key: format!("r{n}"),
            priority: n as i32,
            ..rate
        })
        .collect();
    CardDoc {
        currency: Currency::EUR,
        zone: zone.to_owned(),
        fallback: None,
        meters: BTreeMap::new(),
        rates,
    }
}

fn usage(at: Instant, quantity: Quantity, destination: &str) -> Usage<'_> {
    Usage {
        meter: "call",
        is_call: true,
        aggregation: Aggregation::Sum,
        at,
        quantity,
        amount: None,
        number: Number::International,
        destination: Some(destination),
        origin: None,
        attributes: &[],
    }
}

fn near(secs: i64) -> Instant {
    Instant::from_secs(BASE_SECS + secs)
}

prop_compose! {
    fn a_step()(gap in 1_i64..90, price in 0_i64..500, per in 1_i64..100, increment in prop::option::of(1_i64..40), fee in prop::option::of(0_i64..100)) -> Step {
        Step {
            from: Quantity::whole(gap),
            price: cents(price),
            per: Quantity::whole(per),
            increment: increment.map(Quantity::whole),
            fixed_fee: fee.map(cents),
        }
    }
}

fn cents(cents: i64) -> rating::money::Rate {
    format!("{}.{:02}", cents / 100, cents % 100)
        .parse()
        .unwrap()
}

prop_compose! {
    fn some_terms()(
        steps in prop::collection::vec(a_step(), 1..4),
        initial in prop::option::of(1_i64..90),
        next in prop::option::of(1_i64..90),
        connect_fee in prop::option::of(0_i64..100),
        minimum_duration in prop::option::of(0_i64..60),
        included in prop::option::of(0_i64..30),
    ) -> CallTerms {
        let mut from = 0;
        let steps = steps.into_iter().map(|step| {
            let step = Step { from: Quantity::whole(from), ..step };
            from += 17;
            step
        }).collect();
        CallTerms {
            steps,
            initial: initial.map(Quantity::whole),
            next: next.map(Quantity::whole),
            connect_fee: connect_fee.map(cents),
            minimum_duration: minimum_duration.map(Quantity::whole),
            included: included.map(Quantity::whole),
            ..CallTerms::default()
        }
    }
}

/// Windows whose edges lie within minutes of the change of the clocks, at seconds too.
fn a_window() -> impl Strategy<Value = Window> {
    let time =
        (0_u32..4, 0_u32..60, 0_u32..60).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"));
    (
        prop::collection::vec(1_u8..=7, 0..3),
        prop::option::of(time.clone()),
        prop::option::of(time),
    )
        .prop_map(|(weekdays, from, until)| Window {
            weekdays,
            from,
            until,
            ..Window::default()
        })
}

prop_compose! {
    fn a_rate()(
        call in some_terms(),
        window in prop::option::of(a_window()),
        from in prop::option::of(-60_i64..8_000),
        length in prop::option::of(1_i64..8_000),
        prefix in prop::sample::select(vec!["", "4", "49"]),
    ) -> Rate {
        let effective_from = from.map(near);
        let effective_until = length.map(|length| near(from.unwrap_or(0) + length));
        Rate { window: window.map(Box::new), effective_from, effective_until, prefixes: vec![prefix.to_owned()], ..rate(call) }
    }
}

// ---- the model: one increment at a time ----

fn contains(window: &Window, at: Instant, zone: &TimeZone) -> bool {
    let local = zone.to_datetime(at.timestamp());
    let secs = |text: &Option<String>, absent: i64| {
        text.as_ref().map_or(absent, |t| {
            t.split(':')
                .map(|part| part.parse::<i64>().unwrap())
                .fold(0, |sum, part| sum * 60 + part)
        })
    };
    let (from, until) = (secs(&window.from, 0), secs(&window.until, 86_400));
    let time = i64::from(local.hour()) * 3_600
        + i64::from(local.minute()) * 60
        + i64::from(local.second());
    let on = |date: jiff::civil::Date| {
        let weekday = date.weekday().to_monday_one_offset() as u8;
        window.weekdays.is_empty() || window.weekdays.contains(&weekday)
    };
    let (today, yesterday) = (on(local.date()), on(local.date().yesterday().unwrap()));
    if from < until {
        today && (from..until).contains(&time)
    } else {
        (today && time >= from) || (yesterday && time < until)
    }
}

/// Each rate has a priority of its own; the prefix is fixed at the start.
fn in_force<'a>(rates: &'a [Rate], prefix: &str, at: Instant, zone: &TimeZone) -> Option<&'a Rate> {
    rates
        .iter()
        .filter(|r| r.prefixes[0] == prefix)
        .filter(|r| {
            r.effective_from.is_none_or(|from| from <= at)
                && r.effective_until.is_none_or(|until| at < until)
        })
        .filter(|r| r.window.as_ref().is_none_or(|w| contains(w, at, zone)))
        .max_by_key(|r| (r.effective_from, r.priority))
}

/// Billed quantity and price, or where the gap is.
fn one_by_one(
    rates: &[Rate],
    at: Instant,
    quantity: Quantity,
) -> Result<(Quantity, Exact), Option<Quantity>> {
    let zone = TimeZone::get(ZONE).unwrap();
    let (prefix, start) = ["49", "4", ""]
        .iter()
        .find_map(|p| in_force(rates, p, at, &zone).map(|r| (*p, r)))
        .ok_or(None)?;
    let terms = start.call.as_ref().unwrap();
    let units = |q: Option<Quantity>| q.map_or(0, |q| q.0);
    let pico = |amount: rating::money::Rate| {
        Ratio::new(
            amount.0.mantissa() * 10_i128.pow(14),
            10_i128.pow(amount.0.scale()),
        )
        .unwrap()
    };
    if quantity == Quantity::ZERO {
        return Ok((Quantity::ZERO, Exact::ZERO));
    }
    let mut cost = terms.connect_fee.map_or(Ratio::ZERO, pico);
    let end = quantity.0.max(units(terms.minimum_duration));
    let begin = units(terms.included);
    let mut position = begin;
    let mut fees = Vec::new();
    while position < end {
        let here = Instant(at.0 + i64::try_from(position / 1_000).unwrap());
        let now = in_force(rates, prefix, here, &zone).ok_or(Some(Quantity(position)))?;
        let terms = now.call.as_ref().unwrap();
        let number = terms
            .steps
            .iter()
            .rposition(|step| step.from.0 <= position)
            .unwrap();
        let step = &terms.steps[number];
        let next = terms.next.unwrap_or(Quantity::whole(1));
        let block = step.increment.unwrap_or(if position == begin {
            terms.initial.unwrap_or(next)
        } else {
            next
        });
        cost = cost
            .checked_add(
                pico(step.price)
                    .checked_mul(Ratio::new(block.0, step.per.0).unwrap())
                    .unwrap(),
            )
            .unwrap()
            .reduced();
        if let Some(fee) = step
            .fixed_fee
            .filter(|_| !fees.contains(&(&now.key, number)))
        {
            fees.push((&now.key, number));
            cost = cost.checked_add(pico(fee)).unwrap();
        }
        position += block.0;
    }
    Ok((
        Quantity((position - begin).max(0)),
        rounding::to_exact(cost).unwrap(),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn closed_form_is_one_increment_after_the_other(
        rates in prop::collection::vec(a_rate(), 1..5),
        at_millis in 0_i64..7_200_000,
        quantity_millis in 0_i128..200_000,
    ) {
        let doc = doc(ZONE, rates);
        let card = CompiledCard::compile(&doc).unwrap();
        let (at, quantity) = (near(0).plus_micros(at_millis * 1_000), Quantity(quantity_millis * 1_000_000));
        match (card.measure(&usage(at, quantity, "4930")), one_by_one(&doc.rates, at, quantity)) {
            (Ok(m), Ok(want)) => {
                prop_assert_eq!((m.billed, m.local), want);
                let largest = doc.rates.iter().flat_map(|r| {
                    let call = r.call.as_ref().unwrap();
                    call.steps.iter().filter_map(|s| s.increment).chain(call.initial).chain(call.next).chain([Quantity::whole(1)])
                }).max().unwrap();
                let terms = doc.rates[m.found.rate as usize].call.as_ref().unwrap();
                let due = if quantity.0 == 0 { 0 } else { quantity.0.max(terms.minimum_duration.map_or(0, |q| q.0)) - terms.included.map_or(0, |q| q.0) };
                prop_assert!(m.billed.0 >= due && m.billed.0 < due.max(0) + largest.0);
                let mut at = m.pieces.first().map_or(Quantity::ZERO, |piece| piece.from);
                for piece in &m.pieces {
                    prop_assert_eq!(piece.from, at);
                    at = at.checked_add(piece.billed).unwrap();
                }
            }
            (Err(Unrated::Gap { from }), Err(Some(at))) => prop_assert_eq!(from, at),
            (Err(Unrated::NoRate), Err(None)) => {}
            (got, want) => prop_assert!(false, "{:?}, expected {:?}", got, want),
        }
    }
}

// ---- cards right and wrong ----

/// Numbers at and beyond every edge.
fn a_quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        any::<i64>().prop_map(|n| Quantity(n.into())),
        any::<i128>().prop_map(Quantity),
        (-3_i64..200).prop_map(Quantity::whole),
        Just(Quantity::EVENT_MAX),
    ]
}

fn an_amount() -> impl Strategy<Value = rating::money::Rate> {
    (-5_i64..1_000_000_000_000_000, 0_u32..13)
        .prop_map(|(n, scale)| rating::money::Rate(rust_decimal::Decimal::new(n, scale)))
}

prop_compose! {
    fn wild_terms()(
        steps in prop::collection::vec((a_quantity(), an_amount(), a_quantity(), prop::option::of(a_quantity()), prop::option::of(an_amount())), 0..4),
        initial in prop::option::of(a_quantity()),
        next in prop::option::of(a_quantity()),
        fees in (prop::option::of(an_amount()), prop::option::of(an_amount()), prop::option::of(an_amount())),
        durations in (prop::option::of(a_quantity()), prop::option::of(a_quantity()), prop::option::of(a_quantity())),
        tame in any::<bool>(),
    ) -> CallTerms {
        let positive = |q: Quantity| if tame { Quantity(q.0.unsigned_abs().max(1) as i128 & i128::MAX) } else { q };
        let steps = steps.into_iter().enumerate().map(|(n, (from, price, per, increment, fixed_fee))| Step {
            from: if tame { Quantity::whole(n as i64 * 30) } else { from },
            price,
            per: positive(per),
            increment: increment.map(positive),
            fixed_fee,
        }).collect();
        CallTerms {
            steps,
            initial: initial.map(positive),
            next: next.map(positive),
            connect_fee: fees.0,
            minimum_charge: fees.1,
            maximum_charge: fees.2,
            minimum_duration: durations.0.map(positive),
            free_if_shorter_than: durations.1.filter(|_| !tame),
            included: durations.2.map(positive),
            zero_duration: if tame { ZeroDuration::Charged } else { ZeroDuration::Free },
        }
    }
}

prop_compose! {
    fn wild_rate()(
        call in wild_terms(),
        prefixes in prop::collection::vec("[49]{0,3}|[0-9+a]{0,40}", 0..3),
        window in prop::option::of((prop::collection::vec(any::<u8>(), 0..3), "[0-2][0-9]:[0-6][0-9]|.{0,4}", prop::collection::vec(1960_i16..2040, 0..2))),
        period in (prop::option::of(any::<i64>()), prop::option::of(any::<i64>())),
        rounding in prop::option::of((0_u8..20).prop_map(|decimals| Rounding { mode: Mode::HalfUp, decimals })),
        blocked in any::<bool>(),
    ) -> Rate {
        let window = window.map(|(weekdays, from, years)| Box::new(Window { weekdays, years, from: Some(from), ..Window::default() }));
        Rate {
            prefixes,
            window,
            effective_from: period.0.map(Instant),
            effective_until: period.1.map(Instant),
            rounding,
            blocked,
            ..rate(call)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn no_card_and_no_quantity_panics(
        rates in prop::collection::vec(wild_rate(), 0..4),
        zone in prop::sample::select(vec!["UTC", ZONE, "Antarctica/Troll", "Nowhere", ""]),
        at in any::<i64>(),
        quantity in a_quantity(),
        destination in "[49]{0,4}|.{0,4}",
    ) {
        let doc = doc(zone, rates);
        let mistakes = validate(&doc);
        prop_assert_eq!(CompiledCard::compile(&doc).is_ok(), mistakes.is_empty(), "{:?}", mistakes);
        if let Ok(card) = CompiledCard::compile(&doc) {
            for at in [Instant(at), Instant::from_secs(BASE_SECS), Instant::MAX] {
                for is_call in [true, false] {
                    let usage = Usage { is_call, ..usage(at, quantity, &destination) };
                    if let Ok(measured) = card.measure(&usage) {
                        prop_assert!(measured.local.0 >= 0 && measured.billed.0 >= 0);
                        let _ = card.price(&measured, &usage, &Counter::default(), &Counter { quantity: measured.billed, events: 1 });
                    }
                }
            }
        }
    }
}

// ---- JSON ----

fn a_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "-?[0-9]{1,40}(\\.[0-9]{1,20})?".prop_map(Value::from),
        prop::sample::select(vec!["EUR", "UTC", "per_unit", "graduated", "call", "49"])
            .prop_map(Value::from),
    ];
    let key = || {
        prop::sample::select(vec![
            "model",
            "tiers",
            "price",
            "call",
            "steps",
            "from",
            "rates",
            "unit_price",
            "up_to",
            "x",
        ])
    };
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4).prop_map(|fields| Value::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

/// A right card that uses most fields.
fn a_right_card() -> Value {
    json!({"currency": "EUR", "zone": "Europe/Berlin", "fallback": "standard",
    "meters": {"call": {"unit": "second"}, "seats": {"unit": "seat", "aggregation": "unique", "unique_by": "user"}},
    "rates": [
        {"key": "a", "meter": "call", "prefixes": ["49"], "origin_prefixes": ["1"], "attributes": {"direction": "inbound"}, "name": "Germany",
         "effective_from": "2026-01-01T00:00:00Z", "effective_until": "2027-01-01T00:00:00Z", "priority": 2, "counted": true,
         "window": {"weekdays": [1, 2], "months": [1], "month_days": [3], "years": [2026], "from": "08:00", "until": "18:00:30"},
         "rounding": {"mode": "half_up", "decimals": 4},
         "call": {"initial": "60", "next": "6", "connect_fee": "0.05", "minimum_duration": "1", "minimum_charge": "0.01",
                  "maximum_charge": "9", "free_if_shorter_than": "2", "included": "3",
                  "steps": [{"from": "0", "price": "0.4", "per": "60", "increment": "30", "fixed_fee": "0.1"}, {"from": "60", "price": "0.3"}]}},
        {"key": "b", "meter": "api", "price": {"model": "graduated", "allowance": "5", "maximum_spend": "100",
            "tiers": [{"up_to": "10", "unit_price": "0.1", "flat": "1"}, {"unit_price": "0.05"}]}},
        {"key": "c", "meter": "spam", "blocked": true},
    ]})
}

/// Puts `value` where `way` leads.
fn replace(target: &mut Value, way: &[usize], value: Value, name: &str) {
    let Some((&turn, rest)) = way.split_first() else {
        *target = value;
        return;
    };
    match target {
        Value::Array(list) if !list.is_empty() => {
            let length = list.len();
            replace(&mut list[turn % length], rest, value, name);
        }
        Value::Object(map) if turn % 7 == 6 => {
            map.insert(name.to_owned(), value);
        }
        Value::Object(map) if !map.is_empty() => {
            let length = map.len();
            replace(
                map.values_mut().nth(turn % length).unwrap(),
                rest,
                value,
                name,
            );
        }
        other => *other = value,
    }
}

#[test]
fn the_right_card_is_right() {
    let doc = parse_card(a_right_card().to_string().as_bytes()).unwrap();
    assert_eq!(parse_card(&serde_json::to_vec(&doc).unwrap()).unwrap(), doc);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn any_json_is_a_card_or_a_list_of_mistakes(
        changes in prop::collection::vec((prop::collection::vec(0_usize..40, 0..6), a_json(), "[a-z_]{1,8}"), 1..3),
        cut in prop::option::weighted(0.1, 0_usize..600),
    ) {
        let mut value = a_right_card();
        for (way, json, name) in changes {
            replace(&mut value, &way, json, &name);
        }
        let text = value.to_string();
        let bytes = &text.as_bytes()[..cut.unwrap_or(usize::MAX).min(text.len())];
        match parse_card(bytes) {
            Ok(doc) => prop_assert!(CompiledCard::compile(&doc).is_ok()),
            Err(mistakes) => prop_assert!(!mistakes.is_empty() && mistakes.iter().all(|m| !m.code.is_empty() && !m.message.is_empty())),
        }
    }
}
