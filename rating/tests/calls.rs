//! Calls and cards, case by case: what is billed, in which pieces, at what price.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use rating::card::Aggregation;
use rating::compile::CompiledCard;
use rating::usage::{Counter, Measured, Number, Usage};
use rating::validate::parse_card;
use rating::{Exact, Instant, Quantity, Unrated};
use serde_json::{Value, json};

fn card(zone: &str, rates: Value) -> CompiledCard {
    let doc = json!({"currency": "EUR", "zone": zone, "rates": rates});
    CompiledCard::compile(&parse_card(doc.to_string().as_bytes()).unwrap()).unwrap()
}

fn call<'a>(at: &str, quantity: &str, destination: &'a str) -> Usage<'a> {
    Usage {
        meter: "call",
        is_call: true,
        aggregation: Aggregation::Sum,
        at: at.parse().unwrap(),
        quantity: quantity.parse().unwrap(),
        amount: None,
        number: Number::International,
        destination: Some(destination),
        origin: None,
        attributes: &[],
    }
}

fn priced(card: &CompiledCard, usage: &Usage<'_>) -> Result<(Measured, Exact), Unrated> {
    let measured = card.measure(usage)?;
    let after = Counter {
        quantity: measured.billed,
        events: 1,
    };
    let exact = card
        .price(&measured, usage, &Counter::default(), &after)?
        .exact;
    Ok((measured, exact))
}

/// The price in EUR and the pieces as `rate@from+billed`.
fn answer(card: &CompiledCard, usage: &Usage<'_>) -> (String, String) {
    match priced(card, usage) {
        Ok((measured, exact)) => {
            let piece = |p: &rating::usage::Piece| {
                format!("{}@{}+{}", card.rate_key(p.rate).unwrap(), p.from, p.billed)
            };
            (
                exact.in_major(card.currency()),
                measured
                    .pieces
                    .iter()
                    .map(piece)
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        }
        Err(error) => (error.code().to_owned(), error.to_string()),
    }
}

fn check(card: &CompiledCard, at: &str, quantity: &str, cost: &str, pieces: &str) {
    assert_eq!(
        answer(card, &call(at, quantity, "493012345")),
        (cost.to_owned(), pieces.to_owned()),
        "{at} {quantity}"
    );
}

fn per_minute(key: &str, price: &str, increment: &str, more: Value) -> Value {
    let steps = json!([{"from": "0", "price": price, "per": "60"}]);
    let mut rate = json!({"key": key, "meter": "call", "prefixes": ["49"], "call": {"initial": increment, "next": increment, "steps": steps}});
    rate.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    rate
}

fn window(window: Value) -> Value {
    json!({ "window": window })
}

#[test]
fn increments() {
    for (terms, quantity, cost, billed) in [
        (json!({"initial": "60", "next": "60"}), "1", "0.6", "60"),
        (json!({"initial": "60", "next": "60"}), "60", "0.6", "60"),
        (
            json!({"initial": "60", "next": "60"}),
            "60.001",
            "1.2",
            "120",
        ),
        (json!({"initial": "30", "next": "6"}), "32", "0.36", "36"),
        (json!({"initial": "60", "next": "1"}), "61", "0.61", "61"),
        (json!({}), "67.54", "0.68", "68"),
        (json!({"next": "0.001"}), "67.54", "0.6754", "67.54"),
        (json!({"connect_fee": "0.05"}), "0", "0", "0"),
        (json!({"connect_fee": "0.05"}), "10", "0.15", "10"),
        (json!({"minimum_duration": "30"}), "10", "0.3", "30"),
        (json!({"minimum_duration": "30"}), "0", "0", "0"),
        (json!({"minimum_charge": "0.25"}), "10", "0.25", "10"),
        (
            json!({"maximum_charge": "0.25", "connect_fee": "0.2"}),
            "10",
            "0.25",
            "10",
        ),
        (
            json!({"free_if_shorter_than": "5", "connect_fee": "0.05", "minimum_charge": "1"}),
            "4.999",
            "0",
            "0",
        ),
        (
            json!({"free_if_shorter_than": "5", "connect_fee": "0.05"}),
            "5",
            "0.1",
            "5",
        ),
        (
            json!({"included": "10", "connect_fee": "0.05"}),
            "8",
            "0.05",
            "0",
        ),
        (
            json!({"included": "10", "initial": "60"}),
            "15",
            "0.6",
            "60",
        ),
    ] {
        let mut terms = terms;
        terms["steps"] = json!([{"from": "0", "price": "0.60", "per": "60"}]);
        let card = card("UTC", json!([{"key": "r", "meter": "call", "call": terms}]));
        let (measured, exact) =
            priced(&card, &call("2026-11-20T09:00:00Z", quantity, "49")).unwrap();
        assert_eq!(
            (exact.in_major(card.currency()), measured.billed.to_string()),
            (cost.to_owned(), billed.to_owned()),
            "{terms} {quantity}"
        );
    }
}

#[test]
fn steps_by_elapsed_time() {
    let steps = json!([
        {"from": "0", "price": "1.20", "per": "60", "fixed_fee": "0.10"},
        {"from": "60", "price": "0.60", "per": "60", "increment": "6", "fixed_fee": "0.01"},
    ]);
    let card = card(
        "UTC",
        json!([{"key": "r", "meter": "call", "call": {"initial": "25", "next": "25", "steps": steps}}]),
    );
    let at = "2026-11-20T09:00:00Z";
    check(&card, at, "20", "0.6", "r@0+25");
    // The third block of 25 s ends at 75 s: the second step begins there, not at 60 s.
    check(&card, at, "70", "1.6", "r@0+75");
    check(&card, at, "76", "1.67", "r@0+75 r@75+6");
}

#[test]
fn over_midnight() {
    let rates = json!([
        per_minute(
            "week",
            "0.60",
            "1",
            window(json!({"weekdays": [1, 2, 3, 4, 5]}))
        ),
        per_minute("weekend", "0.30", "1", window(json!({"weekdays": [6, 7]}))),
    ]);
    let berlin = card("Europe/Berlin", rates);
    // A Friday; midnight in Berlin is 23:00 UTC.
    check(
        &berlin,
        "2026-11-20T22:55:00Z",
        "600",
        "4.5",
        "week@0+300 weekend@300+300",
    );
    check(&berlin, "2026-11-20T22:55:00Z", "299.5", "3", "week@0+300");
    let night = json!([
        per_minute(
            "day",
            "0.60",
            "60",
            window(json!({"from": "06:00", "until": "22:00"}))
        ),
        per_minute(
            "night",
            "0.30",
            "60",
            window(json!({"from": "22:00", "until": "06:00"}))
        ),
    ]);
    let utc = card("UTC", night);
    // The block that begins at 21:59:30 ends at 22:00:30; the night begins there.
    check(
        &utc,
        "2026-11-20T21:59:30Z",
        "90",
        "0.9",
        "day@0+60 night@60+60",
    );
    check(&utc, "2026-11-20T21:59:30Z", "60", "0.6", "day@0+60");
    check(&utc, "2026-11-20T23:59:30Z", "60", "0.3", "night@0+60");
    // A night that belongs to Friday ends on Saturday morning.
    let friday = card(
        "UTC",
        json!([per_minute(
            "friday",
            "0.30",
            "1",
            window(json!({"weekdays": [5], "from": "22:00", "until": "06:00"}))
        )]),
    );
    check(&friday, "2026-11-21T05:59:00Z", "60", "0.3", "friday@0+60");
    check(
        &friday,
        "2026-11-20T05:59:00Z",
        "60",
        "no_rate",
        "no rate of the card covers this usage",
    );
}

#[test]
fn over_a_change_of_the_clocks() {
    let rates = json!([
        per_minute("early", "0.30", "1", window(json!({"until": "02:30"}))),
        per_minute("late", "0.60", "1", window(json!({"from": "02:30"}))),
    ]);
    let berlin = card("Europe/Berlin", rates);
    // 29 March: 02:00 becomes 03:00 at 01:00 UTC; 02:30 does not exist.
    check(
        &berlin,
        "2026-03-29T00:30:00Z",
        "3600",
        "27",
        "early@0+1800 late@1800+1800",
    );
    // 25 October: 03:00 becomes 02:00 at 01:00 UTC; the hour from 02:00 happens twice.
    check(
        &berlin,
        "2026-10-25T00:00:00Z",
        "7200",
        "54",
        "early@0+1800 late@1800+1800 early@3600+1800 late@5400+1800",
    );
    let days = json!([
        per_minute("sunday", "0.30", "1", window(json!({"weekdays": [7]}))),
        per_minute(
            "other",
            "0.60",
            "1",
            window(json!({"weekdays": [1, 2, 3, 4, 5, 6]}))
        ),
    ]);
    let berlin = card("Europe/Berlin", days);
    check(
        &berlin,
        "2026-10-24T22:00:00Z",
        "90060",
        "450.6",
        "sunday@0+90000 other@90000+60",
    );
    check(
        &berlin,
        "2026-03-28T23:00:00Z",
        "82860",
        "414.6",
        "sunday@0+82800 other@82800+60",
    );
}

#[test]
fn over_a_change_of_price() {
    let change = "2026-12-01T00:00:00Z";
    let rates = json!([
        per_minute("old", "0.30", "60", json!({})),
        per_minute("new", "0.60", "60", json!({"effective_from": change})),
    ]);
    let card_ = card("UTC", rates);
    check(
        &card_,
        "2026-11-30T23:58:30Z",
        "180",
        "1.2",
        "old@0+120 new@120+60",
    );
    check(
        &card_,
        "2026-11-30T23:58:00Z",
        "180",
        "1.2",
        "old@0+120 new@120+60",
    );
    check(&card_, change, "60", "0.6", "new@0+60");
    let ending = card(
        "UTC",
        json!([per_minute(
            "old",
            "0.30",
            "1",
            json!({ "effective_until": change })
        )]),
    );
    check(&ending, "2026-11-30T23:59:00Z", "60", "0.3", "old@0+60");
    check(
        &ending,
        "2026-11-30T23:59:00Z",
        "61",
        "no_rate",
        "the card has no rate for the part of the call from 60 s",
    );
    // An entry that is blocked or priced by P(q) does not cut a call that began before it.
    let blocked = json!([
        per_minute("old", "0.30", "1", json!({})),
        per_minute(
            "blocked",
            "0.30",
            "1",
            json!({"effective_from": change, "blocked": true})
        )
    ]);
    let card_ = card("UTC", blocked);
    check(&card_, "2026-11-30T23:59:00Z", "120", "0.6", "old@0+120");
    check(
        &card_,
        change,
        "120",
        "blocked",
        "this destination is blocked",
    );
}

/// A rate priced by P(q), by the minute unless `model` says otherwise.
fn modelled(key: &str, model: Value, more: Value) -> Value {
    let mut rate = json!({"key": key, "meter": "call", "prefixes": ["49"], "call": {"initial": "1", "next": "1"}, "price": model});
    rate.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    rate
}

fn by_minute(price: &str) -> Value {
    json!({"model": "per_unit", "unit_price": price, "per": "60"})
}

fn until_18() -> Value {
    window(json!({"until": "18:00"}))
}

fn from_18() -> Value {
    window(json!({"from": "18:00"}))
}

#[test]
fn a_call_under_a_price_model_is_cut_too() {
    let card_ = card(
        "UTC",
        json!([
            modelled("day", by_minute("0.10"), until_18()),
            modelled("night", by_minute("0.02"), from_18())
        ]),
    );
    check(
        &card_,
        "2026-11-20T17:59:00Z",
        "120",
        "0.12",
        "day@0+60 night@60+60",
    );
    check(&card_, "2026-11-20T17:58:00Z", "60", "0.1", "day@0+60");
    check(
        &card_,
        "2026-11-20T23:59:00Z",
        "120",
        "0.12",
        "night@0+60 day@60+60",
    );
    // Modifiers of a price by the unit, other increments on the other side, and a change of price
    // at a date.
    let minutes = json!({"model": "per_unit", "unit_price": "0.04", "convert": {"op": "divide", "factor": "60"}, "percent_discount": "50"});
    let block = json!({"call": {"initial": "60", "next": "60"}, "window": {"from": "18:00"}});
    let card_ = card(
        "UTC",
        json!([
            modelled("day", by_minute("0.10"), until_18()),
            modelled("night", minutes, block)
        ]),
    );
    check(
        &card_,
        "2026-11-20T17:59:00Z",
        "61",
        "0.12",
        "day@0+60 night@60+60",
    );
    let change = json!({"effective_from": "2026-12-01T00:00:00Z"});
    let card_ = card(
        "UTC",
        json!([
            modelled("old", by_minute("0.10"), json!({})),
            per_minute("new", "0.60", "60", change)
        ]),
    );
    check(
        &card_,
        "2026-11-30T23:59:00Z",
        "61",
        "0.7",
        "old@0+60 new@60+60",
    );
    // Without increments the price is by the second, and the cut falls wherever it falls.
    let plain = |key: &str, price: &str, more: Value| {
        modelled(key, by_minute(price), {
            let mut more = more;
            more["call"] = Value::Null;
            more
        })
    };
    let card_ = card(
        "UTC",
        json!([
            plain("day", "0.60", until_18()),
            plain("night", "0.06", from_18())
        ]),
    );
    check(
        &card_,
        "2026-11-20T17:59:59.5Z",
        "10.25",
        "0.01475",
        "day@0+0.5 night@0.5+9.75",
    );
}

/// A call of a month is cut at each of a day's windows, but not among thousands of rates at
/// thousands of edges.
#[test]
fn a_call_is_not_cut_without_end() {
    let windows = |count: u32| {
        let secs = 86_400 / count;
        let hms = |at: u32| format!("{:02}:{:02}:{:02}", at / 3600, at / 60 % 60, at % 60);
        let rate = |index: u32| {
            let until = if index + 1 == count {
                "24:00".to_owned()
            } else {
                hms((index + 1) * secs)
            };
            per_minute(
                &format!("k{index}"),
                "0.60",
                "1",
                window(json!({ "from": hms(index * secs), "until": until })),
            )
        };
        card("UTC", Value::Array((0..count).map(rate).collect()))
    };
    let month = call("2026-10-01T00:00:00Z", "2678400", "49");
    for (count, want) in [
        (12, Ok(12 * 31)),
        (40, Ok(40 * 31)),
        (2000, Err("overflow")),
    ] {
        let measured = windows(count)
            .measure(&month)
            .map(|measured| measured.pieces.len())
            .map_err(|unrated| unrated.code());
        assert_eq!(measured, want, "{count} windows");
    }
}

#[test]
fn the_counter_of_a_cut_call_grows_by_its_own_rate() {
    let tiers = json!({"model": "graduated", "tiers": [{"up_to": "60", "unit_price": "0.01"}, {"unit_price": "0.005"}]});
    let card = card(
        "UTC",
        json!([
            modelled("day", tiers, until_18()),
            modelled("night", by_minute("0.06"), from_18())
        ]),
    );
    let usage = call("2026-11-20T17:59:00Z", "120", "49");
    let measured = card.measure(&usage).unwrap();
    assert_eq!(
        (measured.billed, measured.local),
        (Quantity::whole(60), Exact(6 * Exact::PER_CENT))
    );
    let (before, after) = (
        Counter {
            quantity: Quantity::whole(30),
            events: 1,
        },
        Counter {
            quantity: Quantity::whole(90),
            events: 2,
        },
    );
    let priced = card.price(&measured, &usage, &before, &after).unwrap();
    assert_eq!(priced.exact.in_major(card.currency()), "0.51");
    let back = card
        .between(measured.found.rate, 0, &after, &before)
        .unwrap()
        .checked_sub(priced.local)
        .unwrap();
    assert_eq!(back, priced.exact.checked_neg().unwrap());
}

#[test]
fn a_call_under_way_runs_on_into_what_prices_only_calls_that_begin_there() {
    let flat = json!({"model": "flat", "amount": "9.90"});
    for other in [
        per_minute(
            "night",
            "0.30",
            "1",
            json!({"window": {"from": "18:00"}, "blocked": true}),
        ),
        modelled("night", flat.clone(), from_18()),
        modelled(
            "night",
            json!({"model": "per_unit", "unit_price": "1", "allowance": "100"}),
            from_18(),
        ),
    ] {
        let day = per_minute("day", "0.60", "1", until_18());
        let into = card("UTC", json!([day, other]));
        check(&into, "2026-11-20T17:59:00Z", "120", "1.2", "day@0+120");
        check(
            &into,
            "2026-11-20T17:59:00Z",
            "21661",
            "216.61",
            "day@0+21661",
        );
    }
    // A stretch for which nothing says anything has no price.
    let gap = json!([
        per_minute("day", "0.60", "1", until_18()),
        modelled(
            "night",
            flat,
            window(json!({"from": "18:00", "until": "19:00"}))
        )
    ]);
    check(
        &card("UTC", gap),
        "2026-11-20T17:59:00Z",
        "3661",
        "no_rate",
        "the card has no rate for the part of the call from 3660 s",
    );
}

#[test]
fn a_free_call_is_free_under_every_price() {
    let terms = |price: Value| json!([{"key": "r", "meter": "call", "call": {"free_if_shorter_than": "5", "connect_fee": "1"}, "price": price}]);
    let flat = card("UTC", terms(json!({"model": "flat", "amount": "9.90"})));
    for quantity in ["0", "4"] {
        let (measured, exact) =
            priced(&flat, &call("2026-11-20T09:00:00Z", quantity, "49")).unwrap();
        assert_eq!(
            (exact, measured.counter),
            (Exact::ZERO, None),
            "it costs nothing and counts for nothing"
        );
    }
    check(&flat, "2026-11-20T09:00:00Z", "5", "10.9", "r@0+5");
}

#[test]
fn a_call_of_no_time_is_free_unless_the_card_says_otherwise() {
    for (terms, cost, billed) in [
        (
            json!({"connect_fee": "0.05", "minimum_charge": "0.25", "minimum_duration": "10"}),
            "0",
            "0",
        ),
        (
            json!({"connect_fee": "0.05", "zero_duration": "free"}),
            "0",
            "0",
        ),
        (
            json!({"connect_fee": "0.05", "zero_duration": "charged"}),
            "0.05",
            "0",
        ),
        (
            json!({"minimum_charge": "0.25", "zero_duration": "charged"}),
            "0.25",
            "0",
        ),
        (
            json!({"minimum_duration": "10", "zero_duration": "charged"}),
            "0.1",
            "10",
        ),
        (
            json!({"connect_fee": "0.05", "zero_duration": "charged", "free_if_shorter_than": "1"}),
            "0",
            "0",
        ),
        (json!({"zero_duration": "charged"}), "0", "0"),
    ] {
        let mut terms = terms;
        terms["steps"] = json!([{"from": "0", "price": "0.60", "per": "60"}]);
        let card = card("UTC", json!([{"key": "r", "meter": "call", "call": terms}]));
        let (measured, exact) = priced(&card, &call("2026-11-20T09:00:00Z", "0", "49")).unwrap();
        assert_eq!(
            (exact.in_major(card.currency()), measured.billed.to_string()),
            (cost.to_owned(), billed.to_owned()),
            "{terms}"
        );
    }
}

#[test]
fn limits_hold_after_the_rates_own_rounding() {
    let limited = |terms: Value| card("UTC", json!([per_minute("r", "0.10", "1", terms)]));
    let terms = |limit: &str, amount: &str, mode: &str| json!({"rounding": {"mode": mode, "decimals": 2}, "call": {limit: amount, "steps": [{"from": "0", "price": "0.10", "per": "60"}]}});
    check(
        &limited(terms("maximum_charge", "0.105", "up")),
        "2026-11-20T00:00:00Z",
        "600",
        "0.105",
        "r@0+600",
    );
    check(
        &limited(terms("minimum_charge", "0.105", "down")),
        "2026-11-20T00:00:00Z",
        "6",
        "0.105",
        "r@0+6",
    );
    check(
        &limited(terms("maximum_charge", "0.105", "up")),
        "2026-11-20T00:00:00Z",
        "61",
        "0.105",
        "r@0+61",
    );
    check(
        &limited(terms("maximum_charge", "0.105", "up")),
        "2026-11-20T00:00:00Z",
        "59",
        "0.1",
        "r@0+59",
    );
}

#[test]
fn what_is_no_call_is_not_cut() {
    let rates = json!([
        per_minute("day", "0.60", "1", window(json!({"until": "22:00"}))),
        per_minute("night", "0.30", "1", window(json!({"from": "22:00"}))),
    ]);
    let card = card("UTC", rates);
    let usage = Usage {
        is_call: false,
        ..call("2026-11-20T21:59:00Z", "120", "49")
    };
    assert_eq!(
        answer(&card, &usage),
        ("1.2".to_owned(), "day@0+120".to_owned())
    );
    assert!(
        card.measure(&usage).unwrap().counter.is_some(),
        "what is no call keeps its counter"
    );
    assert!(
        card.measure(&Usage {
            is_call: true,
            ..usage
        })
        .unwrap()
        .counter
        .is_none()
    );
}

#[test]
fn a_call_of_25_hours_at_one_second_takes_microseconds() {
    let rates = json!([
        per_minute(
            "day",
            "0.60",
            "1",
            window(json!({"from": "08:00", "until": "18:00"}))
        ),
        per_minute(
            "night",
            "0.30",
            "1",
            window(json!({"from": "18:00", "until": "08:00"}))
        ),
    ]);
    let card = card("Europe/Berlin", rates);
    let pieces = "night@0+28800 day@28800+36000 night@64800+25200";
    check(&card, "2026-11-19T23:00:00Z", "90000", "630", pieces);
    let usage = call("2026-11-19T23:00:00Z", "90000", "49");
    let started = std::time::Instant::now();
    for _ in 0..1_000 {
        card.measure(&usage).unwrap();
    }
    assert!(
        started.elapsed().as_millis() < 1_000,
        "1000 calls took {:?}",
        started.elapsed()
    );
}

#[test]
fn the_longest_prefix_in_force_wins() {
    let until = json!({"prefixes": ["4915"], "effective_until": "2026-12-01T00:00:00Z"});
    let mut any = per_minute("any", "0.10", "60", json!({}));
    any.as_object_mut().unwrap().remove("prefixes");
    let rates = json!([
        any,
        per_minute("germany", "0.20", "60", json!({"prefixes": ["49"]})),
        per_minute("mobile", "0.30", "60", until),
        per_minute(
            "holiday",
            "0.05",
            "60",
            json!({"prefixes": ["49"], "priority": 1, "window": {"months": [12], "month_days": [25]}})
        ),
        per_minute(
            "inbound",
            "0.01",
            "60",
            json!({"prefixes": ["49"], "attributes": {"direction": "inbound"}})
        ),
        per_minute(
            "from-abroad",
            "0.90",
            "60",
            json!({"prefixes": ["49"], "origin_prefixes": ["1", "44"]})
        ),
        per_minute(
            "from-jersey",
            "0.95",
            "60",
            json!({"prefixes": ["49"], "origin_prefixes": ["441534"]})
        ),
    ]);
    let card = card("UTC", rates);
    let inbound = [("direction".to_owned(), "inbound".to_owned())];
    for (at, destination, origin, attributes, key, len) in [
        ("2026-11-20T00:00:00Z", "33", None, &[][..], "any", 0),
        ("2026-11-20T00:00:00Z", "4930", None, &[], "germany", 2),
        ("2026-11-20T00:00:00Z", "4915", None, &[], "mobile", 4),
        ("2026-12-01T00:00:00Z", "4915", None, &[], "germany", 2),
        ("2026-12-25T00:00:00Z", "4915", None, &[], "holiday", 2),
        ("2026-12-25T00:00:00Z", "4930", None, &inbound, "inbound", 2),
        (
            "2026-12-25T00:00:00Z",
            "4930",
            Some("4420"),
            &inbound,
            "from-abroad",
            2,
        ),
        (
            "2026-12-25T00:00:00Z",
            "4930",
            Some("44153400"),
            &[],
            "from-jersey",
            2,
        ),
        (
            "2026-12-25T00:00:00Z",
            "4930",
            Some("33"),
            &[],
            "holiday",
            2,
        ),
    ] {
        let found = card
            .measure(&Usage {
                origin,
                attributes,
                ..call(at, "60", destination)
            })
            .unwrap()
            .found;
        assert_eq!(
            (card.rate_key(found.rate).unwrap(), found.prefix_len),
            (key, len),
            "{at} {destination} {origin:?}"
        );
    }
    let sms = Usage {
        meter: "sms",
        ..call("2026-11-20T00:00:00Z", "1", "49")
    };
    assert_eq!(card.measure(&sms), Err(Unrated::NoRate));
}

#[test]
fn what_has_no_rate_is_told_what_it_missed() {
    let card = card(
        "UTC",
        json!([
            per_minute(
                "day",
                "0.20",
                "60",
                json!({"prefixes": ["49"], "window": {"from": "08:00", "until": "18:00"}})
            ),
            per_minute(
                "mobile",
                "0.20",
                "60",
                json!({"prefixes": ["4915"], "effective_from": "2026-12-01T00:00:00Z"})
            ),
            per_minute(
                "old",
                "0.20",
                "60",
                json!({"prefixes": ["33"], "effective_until": "2026-01-01T00:00:00Z"})
            ),
            per_minute(
                "in",
                "0.20",
                "60",
                json!({"prefixes": ["44"], "attributes": {"direction": "inbound"}})
            ),
            per_minute(
                "from",
                "0.20",
                "60",
                json!({"prefixes": ["45"], "origin_prefixes": ["1"]})
            ),
        ]),
    );
    let at = "2026-11-20T20:00:00Z";
    for (destination, want) in [
        ("4930", "its rate is not in force at this hour (`window`)"),
        ("33", "its rate ended at 2026-01-01T00:00:00Z"),
        (
            "44",
            "the nearest rate wants the attribute direction to be \"inbound\"",
        ),
        ("45", "the rates of this destination are for other origins"),
        ("1", "no rate has a prefix of this destination"),
        (
            "",
            "every rate of this meter looks at the destination, and the event has none that can \
                be read as a number",
        ),
    ] {
        let usage = call(at, "60", destination);
        assert_eq!(card.measure(&usage), Err(Unrated::NoRate), "{destination}");
        assert_eq!(card.missed(&usage).to_string(), want, "{destination}");
    }
    let fax = Usage {
        meter: "fax",
        ..call(at, "60", "49")
    };
    assert_eq!(card.missed(&fax).to_string(), "no rate is of this meter");
}

#[test]
fn billed_seconds_priced_by_tiers() {
    let price = json!({"model": "graduated", "tiers": [{"up_to": "600", "unit_price": "0.01"}, {"unit_price": "0.005"}]});
    let rates = json!([{"key": "r", "meter": "call", "call": {"initial": "60", "next": "60", "connect_fee": "0.05"}, "price": price}]);
    let card = card("Europe/Berlin", rates);
    let usage = call("2026-10-31T23:30:00Z", "61", "49");
    let measured = card.measure(&usage).unwrap();
    assert_eq!(
        (measured.billed, measured.local, measured.cumulative),
        (Quantity::whole(120), Exact(5 * Exact::PER_CENT), true)
    );
    // November has begun in Berlin.
    assert_eq!(measured.counter.unwrap().month, 2026 * 12 + 10);
    let (before, after) = (
        Counter {
            quantity: Quantity::whole(540),
            events: 9,
        },
        Counter {
            quantity: Quantity::whole(660),
            events: 10,
        },
    );
    let priced = card.price(&measured, &usage, &before, &after).unwrap();
    assert_eq!(priced.exact.in_major(card.currency()), "0.95");
    let back = card
        .between(measured.found.rate, 0, &after, &before)
        .unwrap()
        .checked_sub(priced.local)
        .unwrap();
    assert_eq!(back, priced.exact.checked_neg().unwrap());
}

#[test]
fn the_rates_own_rounding_comes_before_ours() {
    let rounding = json!({"rounding": {"mode": "up", "decimals": 2}});
    let card = card("UTC", json!([per_minute("r", "0.10", "1", rounding)]));
    check(&card, "2026-11-20T00:00:00Z", "61", "0.11", "r@0+61");
}

#[test]
fn thirds_are_rounded_once() {
    let steps = json!([{"from": "0", "price": "0.10", "per": "7"}, {"from": "10", "price": "0.10", "per": "11"}]);
    let card = card(
        "UTC",
        json!([{"key": "r", "meter": "call", "call": {"steps": steps}}]),
    );
    // 10/70 + 10/110 EUR
    check(
        &card,
        "2026-11-20T00:00:00Z",
        "20",
        "0.23376623376623",
        "r@0+10 r@10+10",
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    let rates = json!([
        per_minute(
            "day",
            "0.60",
            "1",
            window(json!({"from": "08:00", "until": "18:00"}))
        ),
        per_minute(
            "night",
            "0.30",
            "1",
            window(json!({"from": "18:00", "until": "08:00"}))
        ),
    ]);
    let cut = card("UTC", rates);
    let at = "2026-11-20T00:00:00Z";
    for (quantity, want) in [
        ("1000000000000000", "overflow"),
        ("10000000000", "overflow"),
        ("-1", "overflow"),
    ] {
        assert_eq!(
            answer(&cut, &call(at, quantity, "49")).0,
            want,
            "{quantity}"
        );
    }
    let dear = card(
        "UTC",
        json!([per_minute("r", "1000000000000000", "1", json!({}))]),
    );
    assert_eq!(
        answer(&dear, &call(at, "1000000000000000", "49")).0,
        "overflow"
    );
    assert_eq!(
        answer(
            &dear,
            &Usage {
                at: Instant::MAX,
                ..call(at, "60", "49")
            }
        )
        .0,
        "1000000000000000"
    );
}

#[test]
fn a_rate_is_explained_as_it_was_written() {
    let rates = json!([
        per_minute(
            "a",
            "0.60",
            "1",
            json!({"name": "Germany", "prefixes": ["49", "4930"]})
        ),
        per_minute("b", "0.60", "1", json!({"prefixes": ["33"]})),
    ]);
    let card = card("UTC", rates);
    let written = |rate| serde_json::to_value(card.doc_rate(rate).unwrap()).unwrap();
    let call = json!({"initial": "1", "next": "1", "steps": [{"from": "0", "price": "0.60", "per": "60"}]});
    assert_eq!(written(0)["name"], json!("Germany"));
    assert_eq!(
        (written(0)["key"].as_str(), written(1)["key"].as_str()),
        (Some("a"), Some("b"))
    );
    assert_eq!(
        written(1)["call"]["steps"][0]["price"]
            .as_str()
            .map(|p| p.parse::<rating::money::Rate>()),
        call["steps"][0]["price"].as_str().map(str::parse)
    );
    assert_eq!(card.doc_rate(2), None);
    assert_ne!(
        rating::compile::key_digest("call", "all"),
        rating::compile::key_digest("sms", "all")
    );
}

#[test]
fn the_empty_prefix_is_that_of_every_number() {
    let world = json!({"key": "world", "meter": "call", "prefixes": [""], "call": {"steps": [{"from": "0", "price": "1"}]}});
    let emergency = json!({"key": "emergency", "meter": "call", "prefixes": ["000"], "call": {"steps": [{"from": "0", "price": "0"}]}});
    let any = json!({"key": "any", "meter": "call", "attributes": {"kind": "internal"}, "call": {"steps": [{"from": "0", "price": "0.5"}]}});
    let card = card("UTC", json!([world, emergency, any]));
    let internal = [("kind".to_owned(), "internal".to_owned())];
    let of = |destination: Option<&str>, number: Number, attributes: &[(String, String)]| {
        let usage = Usage {
            destination,
            number,
            attributes,
            ..call("2026-11-20T09:00:00Z", "10", "")
        };
        priced(&card, &usage)
            .map(|(_, exact)| format!("{exact:?}"))
            .unwrap_or_else(|unrated| format!("{unrated:?}"))
    };
    let number = of(Some("4930123456"), Number::International, &[]);
    assert_ne!(number, "NoRate");
    assert_ne!(of(Some("000"), Number::Short, &[]), number);
    for destination in [
        None,
        Some(""),
        Some("voicemail"),
        Some("*98"),
        Some("s"),
        Some("1-800-FLOWERS"),
    ] {
        assert_eq!(
            of(destination, Number::International, &[]),
            "NoRate",
            "{destination:?}"
        );
        assert_ne!(
            of(destination, Number::International, &internal),
            "NoRate",
            "{destination:?}"
        );
    }
    assert_eq!(of(Some("1002"), Number::Short, &[]), "NoRate");
    assert_ne!(of(Some("1002"), Number::Short, &internal), "NoRate");
    // Without the first, the short way has nothing to choose from.
    let only = self::card("UTC", json!([world_alone()]));
    assert!(priced(&only, &call("2026-11-20T09:00:00Z", "10", "voicemail")).is_err());
    assert!(priced(&only, &call("2026-11-20T09:00:00Z", "10", "4930123456")).is_ok());
    let america = self::card(
        "UTC",
        json!([{"key": "us", "meter": "call", "prefixes": ["1"], "call": {"steps": [{"from": "0", "price": "1"}]}}]),
    );
    assert!(
        priced(
            &america,
            &call("2026-11-20T09:00:00Z", "10", "1-800-FLOWERS")
        )
        .is_err()
    );
    assert!(priced(&america, &call("2026-11-20T09:00:00Z", "10", "18005550100")).is_ok());
}

/// An internal call costs nothing here: whoever sends a number of a mobile without its country's
/// code does not get it so.
#[test]
fn a_number_of_an_unclear_country_has_no_price_where_destinations_have() {
    let internal = json!({"key": "internal", "meter": "call", "call": {"steps": [{"from": "0", "price": "0"}]}});
    let whole = json!({"key": "whole", "meter": "call", "prefixes": ["3281234567"], "call": {"steps": [{"from": "0", "price": "1"}]}});
    let of = |card: &CompiledCard, number: Number| {
        let usage = Usage {
            number,
            ..call("2026-11-20T09:00:00Z", "10", "3281234567")
        };
        priced(card, &usage)
            .map_err(|unrated| (unrated, card.missed(&usage)))
            .is_ok()
    };
    let several = card("UTC", json!([internal, whole]));
    assert!(of(&several, Number::International) && of(&several, Number::Short));
    assert!(!of(&several, Number::Unclear));
    assert!(of(&card("UTC", json!([internal])), Number::Unclear));
    assert!(!of(&card("UTC", json!([world_alone()])), Number::Unclear));
}

fn world_alone() -> serde_json::Value {
    json!({"key": "world", "meter": "call", "prefixes": [""], "call": {"steps": [{"from": "0", "price": "1"}]}})
}
