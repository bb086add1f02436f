//! Runs `tests/conformance/usage_billing.json` through the public API: every case of the operations
//! that rating answers. What is left out is left out by rule, with its reason.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail by panicking"
)]

use rating::aggregate::{self, Report};
use rating::card::{Aggregation, Conversion, Rounding};
use rating::model::{CompiledModel, Converter};
use rating::money::{Rate as Amount, plain_decimal};
use rating::rounding::{self, Mode};
use rating::spend::{self, CapacityTier, ZeroUsage};
use rating::usage::{Counter, Number, Usage};
use rating::{Currency, Exact, Instant, Quantity};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const FILE: &str = include_str!("../../tests/conformance/usage_billing.json");
const OPS: [&str; 8] = [
    "price",
    "rerate",
    "allocate",
    "round",
    "aggregate",
    "convert",
    "block_tiers",
    "capacity",
];
/// Cases that do not hold, by id, with the reason. A case that holds again must leave this list.
const EXCEPTIONS: [(&str, &str); 0] = [];

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    op: String,
    #[serde(rename = "in")]
    input: Value,
    out: Value,
    round: Option<Round>,
}

#[derive(Deserialize)]
struct Round {
    dp: i32,
    mode: String,
}

fn mode(name: &str) -> Option<Mode> {
    match name {
        "half_away" => Some(Mode::HalfUp),
        "ceil" => Some(Mode::Ceil),
        "floor" => Some(Mode::Floor),
        "none" => None,
        other => panic!("unknown rounding {other}"),
    }
}

/// Why a case belongs to subscriptions and not to rating.
fn left_out(case: &Case) -> Option<&'static str> {
    if case.input["method"] == "weighted_sum" {
        return Some("weighted_sum: a quantity times the time it stood");
    }
    if case.input.get("buckets").is_some() {
        return Some("buckets: each window of time priced on its own");
    }
    (case.input["model"]["type"] == "graduated_prorated")
        .then_some("graduated_prorated: tiers of prorated events")
}

#[test]
fn usage_billing() {
    let file: File = serde_json::from_str(FILE).unwrap();
    for (id, _) in EXCEPTIONS {
        assert!(
            file.cases.iter().any(|case| case.id == id),
            "the exception {id} is no case"
        );
    }
    let (mut ran, mut left, mut failures) = (
        BTreeMap::<&str, usize>::new(),
        BTreeMap::<&str, usize>::new(),
        Vec::new(),
    );
    for case in file
        .cases
        .iter()
        .filter(|case| OPS.contains(&case.op.as_str()))
    {
        if let Some(reason) = left_out(case) {
            *left.entry(reason).or_default() += 1;
            continue;
        }
        *ran.entry(&case.op).or_default() += 1;
        let excepted = EXCEPTIONS.iter().any(|(id, _)| *id == case.id);
        let (got, want) = (run(case), expected(case));
        match (got == want, excepted) {
            (true, true) => {
                failures.push(format!("{}: holds, but is listed as an exception", case.id))
            }
            (false, false) => failures.push(format!("{}: got {got:?}, expected {want:?}", case.id)),
            _ => {}
        }
    }
    println!(
        "{} cases ran {ran:?}; left out {left:?}",
        ran.values().sum::<usize>()
    );
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert_eq!(
        (ran.len(), ran.values().sum::<usize>(), left.len()),
        (OPS.len(), 137, 3)
    );
}

/// The numbers that must come out, without superfluous zeros.
fn expected(case: &Case) -> Vec<String> {
    let out = ["amount", "value", "deltas", "parts"]
        .iter()
        .find_map(|name| case.out.get(name))
        .unwrap();
    texts(out)
        .into_iter()
        .map(|text| amount(text).to_string())
        .collect()
}

fn run(case: &Case) -> Vec<String> {
    match case.op.as_str() {
        "price" => vec![price(case)],
        "rerate" => rerate(case),
        "allocate" => allocate(&case.input),
        "round" => vec![round(case)],
        "aggregate" => vec![sum(&case.input)],
        "convert" => vec![convert(&case.input)],
        "block_tiers" => vec![block_tiers(case)],
        "capacity" => vec![capacity(&case.input)],
        other => panic!("unknown operation {other}"),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().map(|value| value.as_str().unwrap()).collect(),
        value => vec![value.as_str().unwrap()],
    }
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// No quantity: the case is about a price that is due whatever was used.
fn quantity(value: &Value) -> Quantity {
    value.as_str().unwrap_or("0").parse().unwrap()
}

fn reached(quantity: Quantity) -> Counter {
    Counter {
        quantity,
        events: 1,
    }
}

fn shown(exact: Exact) -> String {
    exact.in_major(Currency::EUR)
}

fn exact(value: &Value) -> Exact {
    compiled(&json!({"type": "flat", "amount": value}), None, None)
        .at(Quantity::ZERO)
        .unwrap()
}

/// Their field names → ours.
const NAMES: [(&str, &str); 7] = [
    ("unit", "unit_price"),
    ("factor", "unit_price"),
    ("min_per_event", "minimum_per_event"),
    ("max_per_event", "maximum_per_event"),
    ("min", "minimum_spend"),
    ("max", "maximum_spend"),
    ("usage_discount", "allowance"),
];

fn renamed(fields: &Value) -> Map<String, Value> {
    let ours = |name: &str| {
        NAMES
            .iter()
            .find(|(theirs, _)| *theirs == name)
            .map_or(name, |(_, ours)| ours)
            .to_owned()
    };
    let fields = fields
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| !value.is_null());
    fields
        .map(|(name, value)| (ours(name), value.clone()))
        .collect()
}

/// The case's model as a card's JSON.
fn card_model(model: &Value, convert: Option<&Value>) -> Value {
    let mut card = renamed(model);
    let kind = match card.remove("type").unwrap().as_str().unwrap() {
        "unit" | "multiplier" => "per_unit".to_owned(),
        "dynamic_sum" => "dynamic".to_owned(),
        same => same.to_owned(),
    };
    card.insert("model".into(), kind.into());
    if let Some(tiers) = card.get_mut("tiers") {
        *tiers = tiers
            .as_array()
            .unwrap()
            .iter()
            .map(|tier| Value::Object(renamed(tier)))
            .collect();
    }
    if let Some(free) = card.get_mut("free_events") {
        *free = free.as_str().unwrap().parse::<u32>().unwrap().into();
    }
    if let Some(convert) = convert {
        card.insert("convert".into(), conversion(convert));
    }
    Value::Object(card)
}

fn conversion(convert: &Value) -> Value {
    let round = mode(convert["round"].as_str().unwrap());
    json!({"op": convert["op"], "factor": convert["factor"], "round": round})
}

fn compiled(model: &Value, convert: Option<&Value>, round: Option<&Round>) -> CompiledModel {
    let card = serde_json::from_value(card_model(model, convert)).unwrap();
    let rounding = round.map(|round| Rounding {
        mode: mode(&round.mode).unwrap(),
        decimals: u8::try_from(round.dp).unwrap(),
    });
    CompiledModel::compile(&card, Currency::EUR, rounding).unwrap()
}

fn price(case: &Case) -> String {
    let input = &case.input;
    let model = compiled(&input["model"], input.get("convert"), case.round.as_ref());
    if let Some(events) = input.get("events") {
        return shown(local(&model, texts(events).into_iter().map(amount)));
    }
    if let Some(cents) = input.get("event_amounts_cents") {
        let major = |cents: &str| Amount(amount(cents).0 / rust_decimal::Decimal::ONE_HUNDRED);
        return shown(local(&model, texts(cents).into_iter().map(major)));
    }
    let before = input
        .get("quantity_before")
        .map_or_else(Counter::default, |before| reached(quantity(before)));
    let after = reached(
        before
            .quantity
            .checked_add(quantity(&input["quantity"]))
            .unwrap(),
    );
    let total = model.p(&after).unwrap();
    let billed = input
        .get("billed_before")
        .map_or_else(|| model.p(&before).unwrap(), exact);
    let due = if input["final"] == false {
        Exact::ZERO
    } else {
        close(&model, &after, total)
    };
    shown(total.checked_sub(billed).unwrap().checked_add(due).unwrap())
}

fn close(model: &CompiledModel, counter: &Counter, billed: Exact) -> Exact {
    spend::due_at_close(model, counter, billed, ZeroUsage::Charged).unwrap()
}

/// Event by event, the counter running on.
fn local(model: &CompiledModel, amounts: impl Iterator<Item = Amount>) -> Exact {
    let (mut counter, mut sum) = (Counter::default(), Exact::ZERO);
    for amount in amounts {
        let usage = Usage {
            meter: "payment",
            is_call: false,
            aggregation: Aggregation::Sum,
            at: Instant::MIN,
            quantity: Quantity::ZERO,
            amount: Some(amount),
            number: Number::International,
            destination: None,
            origin: None,
            attributes: &[],
        };
        sum = sum
            .checked_add(model.local(&usage, &counter).unwrap())
            .unwrap();
        let known = aggregate::DistinctValueChange::Report(aggregate::Known::default());
        let billed = model.billed(&usage).unwrap();
        counter = aggregate::grow(
            model.aggregation(usage.aggregation),
            &counter,
            billed,
            known,
        )
        .unwrap();
    }
    sum
}

fn rerate(case: &Case) -> Vec<String> {
    let model = compiled(&case.input["model"], None, case.round.as_ref());
    let steps: Vec<Counter> = case.input["cumulative"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| reached(quantity(step)))
        .collect();
    let mut before = Counter::default();
    let mut deltas = Vec::new();
    for (index, after) in steps.iter().enumerate() {
        let total = model.p(after).unwrap();
        let mut delta = total.checked_sub(model.p(&before).unwrap()).unwrap();
        if index + 1 == steps.len() && case.input["final_last"] == true {
            delta = delta.checked_add(close(&model, after, total)).unwrap();
        }
        deltas.push(shown(delta));
        before = *after;
    }
    deltas
}

fn allocate(input: &Value) -> Vec<String> {
    let decimals: u32 = input["dp"].as_str().unwrap().parse().unwrap();
    let mut total = amount(input["total"].as_str().unwrap()).0;
    total.rescale(decimals);
    let weights: Vec<u64> = texts(&input["weights"])
        .into_iter()
        .map(|weight| weight.parse().unwrap())
        .collect();
    let parts = rounding::allocate(i64::try_from(total.mantissa()).unwrap(), &weights).unwrap();
    parts
        .into_iter()
        .map(|part| plain_decimal(part.into(), decimals))
        .collect()
}

fn round(case: &Case) -> String {
    let (value, round) = (
        amount(case.input["value"].as_str().unwrap()).0,
        case.round.as_ref().unwrap(),
    );
    let rounded = rounding::to_decimals(
        value.mantissa(),
        value.scale(),
        round.dp,
        mode(&round.mode).unwrap(),
    )
    .unwrap();
    plain_decimal(rounded, value.scale())
}

fn sum(input: &Value) -> String {
    assert_eq!(input["method"], "sum");
    let at = |value: &Value| {
        format!("{}Z", value.as_str().unwrap())
            .parse::<Instant>()
            .unwrap()
    };
    let events = input["events"].as_array().unwrap().iter();
    let reports: Vec<_> = events
        .map(|event| Report {
            at: at(&event["t"]),
            quantity: quantity(&event["v"]),
            unique_by: None,
            level: 0,
        })
        .collect();
    let sum = aggregate::over(
        Aggregation::Sum,
        &reports,
        at(&input["from"]),
        at(&input["to"]),
    )
    .unwrap();
    sum.quantity.to_string()
}

fn convert(input: &Value) -> String {
    let conversion: Conversion = serde_json::from_value(conversion(&input["convert"])).unwrap();
    let converted = Converter::new(&conversion)
        .unwrap()
        .convert(quantity(&input["quantity"]))
        .unwrap();
    assert_eq!(converted.den(), 1, "no case needs more than nine decimals");
    Quantity(converted.num()).to_string()
}

fn block_tiers(case: &Case) -> String {
    let billed = case.input.get("already_billed").map_or(Exact::ZERO, exact);
    let units = case.input["units"].as_array().unwrap().iter();
    let total = units.fold(Exact::ZERO, |sum, unit| {
        let mut model =
            json!({"type": "block_tiers", "policy": case.input["policy"], "tiers": unit["tiers"]});
        for tier in model["tiers"].as_array_mut().unwrap() {
            tier["max_blocks"] = tier["max_blocks"]
                .as_str()
                .map(|blocks| blocks.parse::<u64>().unwrap())
                .into();
        }
        let price = compiled(&model, None, case.round.as_ref())
            .p(&reached(quantity(&unit["quantity"])))
            .unwrap();
        sum.checked_add(price).unwrap()
    });
    shown(total.checked_sub(billed).unwrap())
}

fn capacity(input: &Value) -> String {
    let tiers: Vec<CapacityTier> = serde_json::from_value(input["tiers"].clone()).unwrap();
    let used: BTreeMap<String, Quantity> = serde_json::from_value(input["usage"].clone()).unwrap();
    spend::capacity(&tiers, &used).unwrap().price.to_string()
}
