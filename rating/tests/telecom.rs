//! Runs `tests/conformance/telecom.json` through compiled rate cards: every case of the kinds that
//! rating answers. Expected is the exact cost, not the source's own drift.
//!
//! How a case becomes a card: a tier is a card (the next one its fallback), a slot is a step with
//! its own increment, `max_cost` with strategy `free` is the maximum charge (`disconnect` ends the
//! call and is no price), `*any` is the empty prefix. The source's numbers contain `+` and letters:
//! each of their characters becomes two digits, so that prefixes stay prefixes and `+49` is not
//! `49`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail by panicking"
)]

use rating::card::{Aggregation, CallTerms, CardDoc, Rate, Rounding, Step, Window};
use rating::compile::CompiledCard;
use rating::rounding::{self, Mode};
use rating::usage::{Counter, Measured, Number, Priced, Usage};
use rating::{Currency, Exact, Instant, Quantity, Ratio, Unrated};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const FILE: &str = include_str!("../../tests/conformance/telecom.json");
const KINDS: [&str; 6] = ["rate", "timeline", "quantize", "round", "window", "lpm"];
/// Cases that do not hold, by id, with the reason. A case that holds again must leave this list.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "cgr10-tl-allinone",
    "overshoot: restart: five seconds of an increment are billed twice where the next rate begins",
)];

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    kind: String,
    card: Option<Card>,
    usage: Option<CaseUsage>,
    timeline: Option<Vec<Turn>>,
    window: Option<SourceWindow>,
    at: Option<Instant>,
    table: Option<Vec<String>>,
    number: Option<String>,
    initial: Option<Quantity>,
    increment: Option<Quantity>,
    free: Option<Quantity>,
    value: Option<String>,
    rounding: Option<SourceRounding>,
    expect: Value,
    exact: Option<Value>,
}

#[derive(Deserialize)]
struct Card {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    prefixes: Vec<String>,
    tier: u32,
    priority: i32,
    window: Option<SourceWindow>,
    effective_from: Option<Instant>,
    connect_fee: String,
    slots: Vec<Slot>,
    rounding: SourceRounding,
    max_cost: Option<MaxCost>,
    min_cost: Option<String>,
}

#[derive(Deserialize, Clone)]
struct Slot {
    start: Quantity,
    rate: String,
    unit: Quantity,
    increment: Quantity,
    fixed_fee: Option<String>,
}

#[derive(Deserialize)]
struct Turn {
    at: Quantity,
    slots: Vec<Slot>,
}

#[derive(Deserialize)]
struct SourceWindow {
    weekdays: Vec<u8>,
    months: Vec<u8>,
    monthdays: Vec<u8>,
    years: Vec<i16>,
    from: String,
    to: String,
    #[serde(default)]
    to_inclusive: bool,
}

#[derive(Deserialize)]
struct SourceRounding {
    method: String,
    decimals: u8,
}

#[derive(Deserialize)]
struct MaxCost {
    amount: String,
    strategy: String,
}

#[derive(Deserialize)]
struct CaseUsage {
    kind: Option<String>,
    destination: Option<String>,
    start: Option<Instant>,
    from: Option<Quantity>,
    quantity: Quantity,
}

#[test]
fn telecom() {
    let file: File = serde_json::from_str(FILE).unwrap();
    for (id, _) in EXCEPTIONS {
        assert!(
            file.cases.iter().any(|case| case.id == id),
            "the exception {id} is no case"
        );
    }
    let (mut ran, mut failures) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for case in file
        .cases
        .iter()
        .filter(|case| KINDS.contains(&case.kind.as_str()))
    {
        *ran.entry(&case.kind).or_default() += 1;
        let excepted = EXCEPTIONS.iter().any(|(id, _)| *id == case.id);
        match (run(case), excepted) {
            (Ok(()), true) => {
                failures.push(format!("{}: holds, but is listed as an exception", case.id))
            }
            (Err(why), false) => failures.push(format!("{}: {why}", case.id)),
            _ => {}
        }
    }
    println!(
        "{} cases ran {ran:?}; {} exception(s) {EXCEPTIONS:?}",
        ran.values().sum::<usize>(),
        EXCEPTIONS.len()
    );
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert_eq!((ran.len(), ran.values().sum::<usize>()), (KINDS.len(), 111));
}

fn run(case: &Case) -> Result<(), String> {
    match case.kind.as_str() {
        "rate" => rate(case),
        "timeline" => timeline(case),
        "quantize" => quantize(case),
        "round" => round(case),
        "window" => window(case),
        "lpm" => lpm(case),
        other => Err(format!("unknown kind {other}")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), String> {
    if got == want {
        Ok(())
    } else {
        Err(format!("{what} {got:?}, expected {want:?}"))
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// A decimal or a fraction of major units (EUR), to 10⁻¹² cent.
fn exact(number: &str) -> Exact {
    let (num, den) = number.split_once('/').unwrap_or((number, "1"));
    let decimals = num
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let digits: i128 = num.replace('.', "").parse().unwrap();
    let den = den.parse::<i128>().unwrap() * 10_i128.pow(decimals as u32);
    rounding::to_exact(Ratio::new(digits * 10_i128.pow(14), den).unwrap()).unwrap()
}

// ---- cards ----

/// Two digits for each character of the source's numbers.
fn digits(number: &str) -> String {
    let code = |c: char| match c {
        '0'..='9' => c as u32 - '0' as u32,
        '+' => 10,
        '*' => 11,
        'a'..='z' => c as u32 - 'a' as u32 + 20,
        other => panic!("unknown character {other}"),
    };
    number.chars().map(|c| format!("{:02}", code(c))).collect()
}

fn card(rates: Vec<Rate>) -> CompiledCard {
    let rates = rates
        .into_iter()
        .enumerate()
        .map(|(number, rate)| Rate {
            key: format!("entry-{number}"),
            ..rate
        })
        .collect();
    let doc = CardDoc {
        currency: Currency::EUR,
        zone: "UTC".to_owned(),
        fallback: None,
        meters: BTreeMap::new(),
        rates,
    };
    let doc = rating::validate::parse_card(&serde_json::to_vec(&doc).unwrap()).unwrap();
    CompiledCard::compile(&doc).unwrap()
}

fn rate_of(prefixes: Vec<String>, call: CallTerms) -> Rate {
    Rate {
        key: String::new(),
        meter: "usage".to_owned(),
        prefixes,
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

fn step(slot: &Slot) -> Step {
    Step {
        from: slot.start,
        price: slot.rate.parse().unwrap(),
        per: slot.unit,
        increment: Some(slot.increment),
        fixed_fee: slot.fixed_fee.as_ref().map(|fee| fee.parse().unwrap()),
    }
}

/// Finer than 10⁻¹² cent is no rounding.
fn rounding_of(source: &SourceRounding) -> Option<Rounding> {
    let mode = match source.method.as_str() {
        "none" => return None,
        "nearest" => Mode::HalfUp,
        "up" => Mode::Up,
        "down" => Mode::Down,
        other => panic!("unknown rounding {other}"),
    };
    (source.decimals <= 14).then_some(Rounding {
        mode,
        decimals: source.decimals,
    })
}

fn window_of(source: &SourceWindow) -> Window {
    let until = match (source.to_inclusive, source.to.as_str()) {
        (true, "15:00:00") => "15:00:01",
        (_, until) => until,
    };
    assert!(
        !source.to_inclusive || ["24:00:00", "15:00:01"].contains(&until),
        "an inclusive end is converted"
    );
    Window {
        weekdays: source.weekdays.clone(),
        months: source.months.clone(),
        month_days: source.monthdays.clone(),
        years: source.years.clone(),
        from: Some(source.from.clone()),
        until: Some(until.to_owned()),
    }
}

fn entry(entry: &Entry) -> Rate {
    let prefixes = entry
        .prefixes
        .iter()
        .map(|prefix| {
            if prefix == "*any" {
                String::new()
            } else {
                digits(prefix)
            }
        })
        .collect();
    let call = CallTerms {
        steps: entry.slots.iter().map(step).collect(),
        connect_fee: Some(entry.connect_fee.parse().unwrap()),
        minimum_charge: entry
            .min_cost
            .as_ref()
            .map(|amount| amount.parse().unwrap()),
        maximum_charge: entry
            .max_cost
            .as_ref()
            .filter(|cap| cap.strategy == "free")
            .map(|cap| cap.amount.parse().unwrap()),
        ..CallTerms::default()
    };
    Rate {
        effective_from: entry.effective_from,
        window: entry
            .window
            .as_ref()
            .map(|window| Box::new(window_of(window))),
        priority: entry.priority,
        rounding: rounding_of(&entry.rounding),
        ..rate_of(prefixes, call)
    }
}

// ---- usage ----

fn usage(at: Instant, quantity: Quantity, destination: &str, is_call: bool) -> Usage<'_> {
    Usage {
        meter: "usage",
        is_call,
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

fn priced(card: &CompiledCard, usage: &Usage<'_>) -> Result<(Measured, Priced), Unrated> {
    let measured = card.measure(usage)?;
    let priced = card.price(&measured, usage, &Counter::default(), &Counter::default())?;
    Ok((measured, priced))
}

const NOON: Instant = Instant::from_secs(1_705_320_000);

// ---- kinds ----

/// Asks the cards tier by tier.
fn rate(case: &Case) -> Result<(), String> {
    let entries = &case.card.as_ref().unwrap().entries;
    let mut tiers = BTreeMap::<u32, Vec<Rate>>::new();
    for source in entries {
        tiers.entry(source.tier).or_default().push(entry(source));
    }
    let source = case.usage.as_ref().unwrap();
    let destination = digits(source.destination.as_ref().unwrap());
    let is_call = source.kind.as_deref() == Some("voice");
    let usage = usage(
        source.start.unwrap(),
        source.quantity,
        &destination,
        is_call,
    );
    let cards: Vec<CompiledCard> = tiers.into_values().map(card).collect();
    let mut answers = cards.iter().map(|card| (card, priced(card, &usage)));
    let Some((card, answer)) = answers.find(|(_, answer)| !matches!(answer, Err(Unrated::NoRate)))
    else {
        return same("error", Some("no_rate"), text(&case.expect, "error"));
    };
    let (measured, priced) = answer.map_err(|e| e.to_string())?;
    same(
        "cost",
        priced.exact,
        exact(text(case.exact.as_ref().unwrap(), "cost").unwrap()),
    )?;
    if let Some(fee) = text(&case.expect, "connect_fee") {
        let terms = card
            .doc_rate(measured.found.rate)
            .and_then(|rate| rate.call)
            .unwrap();
        let due = if source.quantity == Quantity::ZERO {
            Exact::ZERO
        } else {
            exact(&terms.connect_fee.unwrap().to_string())
        };
        same("connect fee", due, exact(fee))?;
    }
    match case.expect.get("segments_count").and_then(Value::as_u64) {
        Some(count) => same("pieces", measured.pieces.len() as u64, count),
        None => Ok(()),
    }
}

/// Turns are entries that come into force during the call. Offsets count from where the usage
/// starts.
fn timeline(case: &Case) -> Result<(), String> {
    let source = case.usage.as_ref().unwrap();
    let from = source.from.unwrap();
    let shifted = |at: Quantity| Quantity((at.0 - from.0).max(0));
    let turns = case.timeline.as_ref().unwrap();
    let mut rates = Vec::new();
    for (number, turn) in turns.iter().enumerate() {
        // What is over when the turn begins does not count; neither does a turn that is over at the
        // start.
        let over = turns.get(number + 1).is_some_and(|next| next.at <= from);
        let begin = shifted(turn.at);
        let first = turn
            .slots
            .iter()
            .rposition(|slot| shifted(slot.start) <= begin)
            .unwrap_or(0);
        let mut steps: Vec<Step> = turn.slots[first..].iter().map(step).collect();
        for (number, step) in steps.iter_mut().enumerate() {
            step.from = if number == 0 {
                Quantity::ZERO
            } else {
                shifted(step.from)
            };
        }
        let call = CallTerms {
            steps,
            ..CallTerms::default()
        };
        let effective_from = Some(NOON.plus_secs(i64::try_from(begin.0 / Quantity::ONE).unwrap()));
        if !over {
            rates.push(Rate {
                effective_from,
                ..rate_of(vec![String::new()], call)
            });
        }
    }
    let (measured, priced) = priced(&card(rates), &usage(NOON, source.quantity, "1", true))
        .map_err(|e| e.to_string())?;
    same(
        "cost",
        priced.exact,
        exact(text(case.exact.as_ref().unwrap(), "cost").unwrap()),
    )?;
    let segments: Vec<(Quantity, Exact)> = case.expect["segments"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|segment| segment.get("rate").is_some())
        .map(|segment| {
            (
                shifted(text(segment, "from").unwrap().parse().unwrap()),
                exact(text(segment, "rate").unwrap()),
            )
        })
        .collect();
    same(
        "pieces",
        measured.pieces.iter().map(|piece| piece.from).collect(),
        segments
            .into_iter()
            .map(|segment| segment.0)
            .collect::<Vec<_>>(),
    )
}

fn one_second(price: &str) -> Step {
    Step {
        from: Quantity::ZERO,
        price: price.parse().unwrap(),
        per: Quantity::whole(1),
        increment: None,
        fixed_fee: None,
    }
}

fn quantize(case: &Case) -> Result<(), String> {
    let call = CallTerms {
        initial: case.initial.filter(|q| *q != Quantity::ZERO),
        next: case.increment,
        included: case.free,
        steps: vec![one_second("1")],
        ..CallTerms::default()
    };
    let card = card(vec![rate_of(Vec::new(), call)]);
    let quantity = case.usage.as_ref().unwrap().quantity;
    let (measured, priced) =
        priced(&card, &usage(NOON, quantity, "1", true)).map_err(|e| e.to_string())?;
    let billed = text(&case.expect, "billed").unwrap();
    same("billed", measured.billed, billed.parse().unwrap())?;
    same("cost", priced.exact, exact(billed))
}

fn round(case: &Case) -> Result<(), String> {
    let value = case.value.as_ref().unwrap();
    let call = CallTerms {
        connect_fee: Some(value.parse().unwrap()),
        steps: vec![one_second("0")],
        ..CallTerms::default()
    };
    let rounding = rounding_of(case.rounding.as_ref().unwrap());
    let card = card(vec![Rate {
        rounding,
        ..rate_of(Vec::new(), call)
    }]);
    let (_, priced) =
        priced(&card, &usage(NOON, Quantity::whole(1), "1", true)).map_err(|e| e.to_string())?;
    same(
        "value",
        priced.exact,
        exact(text(&case.expect, "value").unwrap()),
    )
}

fn window(case: &Case) -> Result<(), String> {
    let call = CallTerms {
        steps: vec![one_second("1")],
        ..CallTerms::default()
    };
    let window = Some(Box::new(window_of(case.window.as_ref().unwrap())));
    let card = card(vec![Rate {
        window,
        ..rate_of(Vec::new(), call)
    }]);
    let answer = card.measure(&usage(case.at.unwrap(), Quantity(1), "1", true));
    same(
        "contains",
        answer.is_ok(),
        case.expect["contains"].as_bool().unwrap(),
    )
}

fn lpm(case: &Case) -> Result<(), String> {
    let rate = |prefix: &String| {
        rate_of(
            vec![prefix.clone()],
            CallTerms {
                steps: vec![one_second("1")],
                ..CallTerms::default()
            },
        )
    };
    let card = card(case.table.as_ref().unwrap().iter().map(rate).collect());
    let number = case.number.as_ref().unwrap();
    let measured = card
        .measure(&usage(NOON, Quantity::whole(1), number, true))
        .map_err(|e| e.to_string())?;
    same(
        "prefix",
        &number[..usize::from(measured.found.prefix_len)],
        text(&case.expect, "prefix").unwrap(),
    )
}
