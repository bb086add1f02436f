use super::*;
use serde_json::{Value, json};

/// Path and code of every mistake.
fn mistakes(card: &Value) -> Vec<(String, &'static str)> {
    match parse_card(card.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.into_iter().map(|m| (m.path, m.code)).collect(),
    }
}

fn check(card: &Value, want: &[(&str, &'static str)]) {
    let want: Vec<(String, &'static str)> = want
        .iter()
        .map(|&(path, code)| (path.to_owned(), code))
        .collect();
    assert_eq!(mistakes(card), want, "{card}");
}

fn card(rates: Value) -> Value {
    json!({"currency": "EUR", "rates": rates})
}

/// A right rate with some fields set.
fn rate(key: &str, fields: Value) -> Value {
    let mut rate =
        json!({"key": key, "meter": "call", "call": {"steps": [{"from": "0", "price": "0.01"}]}});
    for (name, value) in fields.as_object().unwrap() {
        rate[name] = value.clone();
    }
    rate
}

fn call(terms: Value) -> Value {
    json!({ "call": terms })
}

#[test]
fn the_documented_card_is_right() {
    check(
        &json!({"currency":"EUR","zone":"Europe/Berlin","fallback":"standard","rates":[
        {"key":"de-mobile","meter":"call","prefixes":["4915","4916","4917"],
         "call":{"initial":"60","next":"60","connect_fee":"0.05","steps":[{"from":"0","price":"0.40","per":"60"}]}},
        {"key":"api","meter":"api_call","price":{"model":"graduated","tiers":[
          {"up_to":"1000","unit_price":"0.15"},{"unit_price":"0.10"}]}}]}),
        &[],
    );
}

#[test]
fn the_form_is_strict() {
    let price = |model: Value| card(json!([{"key": "a", "meter": "api", "price": model}]));
    for (card, want) in [
        (json!([]), &[("", "bad_value")][..]),
        (json!({"currency": "EUR"}), &[("rates", "missing_field")]),
        (
            json!({"currency": "eur", "rates": [], "colour": 1}),
            &[("colour", "unknown_field"), ("currency", "bad_value")],
        ),
        (
            card(json!([
                rate("a", json!({"colour": 1})),
                rate("b", json!({"priority": "high"}))
            ])),
            &[
                ("rates[0].colour", "unknown_field"),
                ("rates[1].priority", "bad_value"),
            ],
        ),
        (
            card(json!([rate(
                "a",
                call(json!({"steps": [{"from": "0", "prise": "1"}]}))
            )])),
            &[
                ("rates[0].call.steps[0].prise", "unknown_field"),
                ("rates[0].call.steps[0].price", "missing_field"),
            ],
        ),
        (
            card(json!([rate(
                "a",
                call(json!({"steps": [{"from": "0", "price": 0.1}]}))
            )])),
            &[("rates[0].call.steps[0].price", "bad_value")],
        ),
        (
            price(json!({"model": "flat", "amount": "1", "amuont": "2"})),
            &[("rates[0].price.amuont", "unknown_field")],
        ),
        (
            price(json!({"model": "flat"})),
            &[("rates[0].price.amount", "missing_field")],
        ),
        (
            price(json!({"model": "flet", "amount": "1"})),
            &[("rates[0].price.model", "unknown_model")],
        ),
        (
            price(json!({"model": "volume", "tiers": [{"unit_price": "1", "upto": "3"}]})),
            &[("rates[0].price.tiers[0].upto", "unknown_field")],
        ),
        (
            price(json!({"model": "graduated", "tiers": [{"up_to": "10"}, {}]})),
            &[
                ("rates[0].price.tiers[0].unit_price", "missing_field"),
                ("rates[0].price.tiers[1].unit_price", "missing_field"),
            ],
        ),
        (
            price(
                json!({"model": "volume", "tiers": [{"up_to": "10", "flat": "1"}, {"unit_price": "0"}]}),
            ),
            &[],
        ),
    ] {
        check(&card, want);
    }
    assert_eq!(parse_card(b"{").unwrap_err()[0].code, "bad_json");
}

#[test]
fn every_mistake_has_its_path_and_code() {
    let steps = json!([{"from": "0", "price": "1"}]);
    for (fields, want) in [
        (
            json!({"prefixes": ["49", "+49"]}),
            &[("prefixes[1]", "not_digits")][..],
        ),
        (
            json!({"prefixes": ["49", "49"]}),
            &[("prefixes[1]", "duplicate_prefix")],
        ),
        (
            json!({"origin_prefixes": ["123456789012345678901234567890123"]}),
            &[("origin_prefixes[0]", "too_long")],
        ),
        (json!({"meter": ""}), &[("meter", "empty")]),
        (json!({"name": "x".repeat(201)}), &[("name", "too_long")]),
        (
            json!({"effective_from": "2026-01-01T00:00:00Z", "effective_until": "2026-01-01T00:00:00Z"}),
            &[("effective_until", "empty_period")],
        ),
        (
            json!({"window": {"weekdays": [8], "from": "24:00"}}),
            &[
                ("window.weekdays[0]", "out_of_range"),
                ("window.from", "bad_time"),
            ],
        ),
        (
            json!({"window": {"months": [2], "month_days": [30]}}),
            &[("window.month_days", "empty_window")],
        ),
        (
            json!({"rounding": {"mode": "up", "decimals": 15}}),
            &[("rounding.decimals", "out_of_range")],
        ),
        (
            json!({"price": {"model": "dynamic"}}),
            &[("call.steps", "steps_with_price")],
        ),
        (call(json!({"connect_fee": "1"})), &[("price", "no_price")]),
        (json!({"call": null}), &[("price", "no_price")]),
        (
            json!({"call": {"minimum_charge": "1"}, "price": {"model": "dynamic"}}),
            &[("call.minimum_charge", "limit_with_price")],
        ),
        (
            call(json!({"steps": steps, "initial": "0", "connect_fee": "-1", "included": "-1"})),
            &[
                ("call.initial", "not_positive"),
                ("call.included", "negative"),
                ("call.connect_fee", "negative"),
            ],
        ),
        (
            call(json!({"steps": steps, "minimum_charge": "2", "maximum_charge": "1"})),
            &[("call.minimum_charge", "minimum_above_maximum")],
        ),
        (
            call(
                json!({"steps": [{"from": "1", "price": "-1", "per": "0"}, {"from": "1", "price": "1", "increment": "0"}]}),
            ),
            &[
                ("call.steps[0].from", "first_step_not_at_zero"),
                ("call.steps[0].price", "negative"),
                ("call.steps[0].per", "not_positive"),
                ("call.steps[1].from", "step_order"),
                ("call.steps[1].increment", "not_positive"),
            ],
        ),
        (
            call(
                json!({"steps": [{"from": "0", "price": "1000000000000000", "per": "0.000000007"}], "next": "1000000000000000"}),
            ),
            &[("call", "too_large")],
        ),
    ] {
        let want: Vec<(String, &str)> = want
            .iter()
            .map(|(path, code)| (format!("rates[0].{path}"), *code))
            .collect();
        let want: Vec<(&str, &'static str)> = want
            .iter()
            .map(|(path, code)| (path.as_str(), *code))
            .collect();
        check(&card(json!([rate("a", fields)])), &want);
    }
    check(
        &json!({"currency": "EUR", "zone": "Europe/Nowhere", "rates": []}),
        &[("zone", "bad_zone"), ("rates", "no_rates")],
    );
    check(
        &card(json!([
            rate("a", json!({"prefixes": ["1"]})),
            rate("a", json!({"prefixes": ["2"]}))
        ])),
        &[("rates[1].key", "duplicate_key")],
    );
    let price = json!({"model": "graduated", "tiers": []});
    assert_eq!(
        mistakes(&card(json!([{"key": "a", "meter": "api", "price": price}])))[0].0,
        "rates[0].price.tiers"
    );
}

#[test]
fn a_blocked_rate_needs_no_price() {
    check(
        &card(json!([{"key": "a", "meter": "call", "prefixes": ["49"], "blocked": true}])),
        &[],
    );
}

#[test]
fn rates_that_tie_are_refused() {
    let (tie, none) = (&[("rates[1].prefixes[0]", "tie")][..], &[][..]);
    let plain = json!({"prefixes": ["49"]});
    let with = |name: &str, value: Value| {
        let mut fields = plain.clone();
        fields[name] = value;
        fields
    };
    for (a, b, want) in [
        (plain.clone(), plain.clone(), tie),
        (plain.clone(), json!({"prefixes": ["491"]}), none),
        (plain.clone(), with("meter", json!("sms")), none),
        (plain.clone(), with("priority", json!(1)), none),
        (
            plain.clone(),
            with("effective_from", json!("2026-01-01T00:00:00Z")),
            none,
        ),
        (
            plain.clone(),
            with("effective_until", json!("2026-01-01T00:00:00Z")),
            tie,
        ),
        (plain.clone(), with("attributes", json!({"a": "1"})), none),
        (
            with("attributes", json!({"a": "1"})),
            with("attributes", json!({"a": "2"})),
            none,
        ),
        (
            with("attributes", json!({"a": "1"})),
            with("attributes", json!({"b": "2"})),
            tie,
        ),
        (
            with("attributes", json!({"a": "1", "c": "1"})),
            with("attributes", json!({"b": "2", "c": "2"})),
            none,
        ),
        (plain.clone(), with("origin_prefixes", json!(["44"])), none),
        (
            with("origin_prefixes", json!(["1", "44"])),
            with("origin_prefixes", json!(["44"])),
            tie,
        ),
        (plain.clone(), with("window", json!({"weekdays": [1]})), tie),
        (
            with("window", json!({"weekdays": [2]})),
            with("window", json!({"weekdays": [1]})),
            none,
        ),
        (
            with("window", json!({"until": "08:00"})),
            with("window", json!({"from": "08:00"})),
            none,
        ),
        (
            with("window", json!({"until": "08:00:01"})),
            with("window", json!({"from": "08:00"})),
            tie,
        ),
        (
            with("window", json!({"from": "22:00", "until": "06:00"})),
            with("window", json!({"from": "06:00", "until": "22:00"})),
            none,
        ),
        (
            with(
                "window",
                json!({"weekdays": [5], "from": "22:00", "until": "06:00"}),
            ),
            with("window", json!({"weekdays": [6], "until": "06:00"})),
            tie,
        ),
        (
            with(
                "window",
                json!({"weekdays": [5], "from": "22:00", "until": "06:00"}),
            ),
            with("window", json!({"weekdays": [5], "until": "06:00"})),
            none,
        ),
    ] {
        check(&card(json!([rate("a", a), rate("b", b)])), want);
    }
    let everything = json!({"prefixes": [""]});
    check(
        &card(json!([rate("a", json!({})), rate("b", everything)])),
        tie,
    );
    check(
        &card(json!([rate("a", json!({})), rate("b", json!({}))])),
        &[("rates[1]", "tie")],
    );
}

#[test]
fn a_card_that_was_read_holds_equal_terms_once() {
    let dear = json!({"prefixes": ["44"], "call": {"steps": [{"from": "0", "price": "0.02"}]}});
    let rates = json!([
        rate("a", json!({"prefixes": ["49"]})),
        rate("b", dear),
        rate("c", json!({"prefixes": ["33"]}))
    ]);
    let doc = parse_card(card(rates).to_string().as_bytes()).unwrap();
    let calls: Vec<_> = doc
        .rates
        .iter()
        .map(|rate| rate.call.clone().unwrap())
        .collect();
    assert!(std::sync::Arc::ptr_eq(&calls[0], &calls[2]) && calls[0] != calls[1]);
    assert_eq!(parse_card(&serde_json::to_vec(&doc).unwrap()).unwrap(), doc);
}

#[test]
fn a_card_is_checked_against_its_meters() {
    let with = |aggregation: &str, rate: Value| {
        let unique = if aggregation == "unique" {
            json!("user")
        } else {
            Value::Null
        };
        let mut card = card(json!([rate]));
        card["meters"] =
            json!({"use": {"unit": "x", "aggregation": aggregation, "unique_by": unique}});
        card
    };
    let matrix = json!({"model": "matrix", "dimensions": ["a"], "cells": [{"values": ["x"], "unit_price": "1"}]});
    let matrix = json!({"key": "r", "meter": "use", "price": matrix});
    let steps =
        json!({"key": "r", "meter": "use", "call": {"steps": [{"from": "0", "price": "1"}]}});
    let percent = json!({"key": "r", "meter": "use", "price": {"model": "percentage", "rate": "1", "amount_from": "quantity"}});
    let counted =
        json!({"key": "r", "meter": "use", "price": {"model": "per_unit", "unit_price": "1"}});
    for (aggregation, rate, want) in [
        ("sum", &matrix, None),
        ("count", &matrix, None),
        ("max", &matrix, Some("price.model")),
        ("unique", &matrix, Some("price.model")),
        ("latest", &matrix, Some("price.model")),
        ("sum", &steps, None),
        ("count", &steps, Some("call.steps")),
        ("max", &steps, Some("call.steps")),
        ("unique", &steps, Some("call.steps")),
        ("max", &percent, Some("price.amount_from")),
        ("sum", &percent, None),
        ("max", &counted, None),
        ("unique", &counted, None),
    ] {
        let want: Vec<(String, &str)> = want
            .map(|path| (format!("rates[0].{path}"), "not_with_this_model"))
            .into_iter()
            .collect();
        assert_eq!(
            mistakes(&with(aggregation, rate.clone())),
            want,
            "{aggregation} {rate}"
        );
    }
}

#[test]
fn a_card_is_checked_against_the_meters_of_a_server() {
    let seat = MeterTerms {
        unit: "seat".to_owned(),
        aggregation: crate::card::Aggregation::Unique,
        unique_by: Some("user".to_owned()),
    };
    let server = std::collections::BTreeMap::from([("seat".to_owned(), seat)]);
    let found = |card: Value| -> Vec<String> {
        let doc = parse_card(card.to_string().as_bytes()).unwrap();
        meters::check(&doc, &server, meters::Known::All, |_| true)
            .into_iter()
            .map(|m| format!("{} {}: {}", m.path, m.code, m.message))
            .collect()
    };
    let rate = |meter: &str| json!({"key": meter, "meter": meter, "price": {"model": "per_unit", "unit_price": "1"}});
    assert_eq!(found(card(json!([rate("seat")]))), Vec::<String>::new());
    assert_eq!(
        found(card(json!([rate("seats")]))),
        ["rates[0].meter unknown_meter: there is no meter \"seats\"; there are seat"]
    );
    let mut other = card(json!([rate("seat")]));
    other["meters"] =
        json!({"seat": {"unit": "seat", "aggregation": "unique", "unique_by": "user"}});
    assert_eq!(found(other.clone()), Vec::<String>::new());
    other["meters"] = json!({"seat": {"unit": "seat"}});
    let differs = "meters.seat meter_differs: the server's meter is in \"seat\" and counts by \
        `unique` by \"user\": expected the same, or no entry";
    assert_eq!(found(other), [differs]);
}

#[test]
fn a_card_that_a_server_publishes_says_what_it_means() {
    let terms = |unit: &str| MeterTerms {
        unit: unit.to_owned(),
        aggregation: crate::card::Aggregation::Sum,
        unique_by: None,
    };
    let server = std::collections::BTreeMap::from([
        ("sms".to_owned(), terms("message")),
        ("call".to_owned(), terms("second")),
    ]);
    let call = |meter: &str| json!({"key": "a", "meter": meter, "call": {"steps": [{"from": "0", "price": "1"}]}});
    for (rate, want) in [
        (call("call"), None),
        (call("sms"), Some("rates[0].call not_with_this_meter")),
    ] {
        let doc = parse_card(card(json!([rate])).to_string().as_bytes()).unwrap();
        let found = meters::check(&doc, &server, meters::Known::All, |_| true);
        let found: Vec<String> = found
            .into_iter()
            .map(|mistake| format!("{} {}", mistake.path, mistake.code))
            .collect();
        assert_eq!(found, want.into_iter().collect::<Vec<_>>(), "{rate}");
        // What is stored, or priced offline with meters of its own, goes on.
        assert_eq!(
            meters::check(&doc, &server, meters::Known::Some, |_| true),
            []
        );
    }
}

#[test]
fn a_card_without_sense_is_refused_and_one_that_is_stored_goes_on() {
    let priced = |price: Value| json!({"key": "a", "meter": "sms", "price": price});
    let tiers = |model: &str, last: Value| {
        priced(json!({"model": model, "tiers": [{"up_to": "10", "unit_price": "1"}, last]}))
    };
    let blocks = |last: Value| {
        priced(json!({"model": "block_tiers", "policy": "all_tiers", "tiers": [last]}))
    };
    let percent = |last: Value| priced(json!({"model": "graduated_percentage", "tiers": [last]}));
    let matrix = |dimensions: Value, cells: Value, default: Value| {
        priced(
            json!({"model": "matrix", "dimensions": dimensions, "cells": cells, "default_price": default}),
        )
    };
    let window = |window: Value| rate("a", json!({ "window": window }));
    let per_unit = json!({"model": "per_unit", "unit_price": "1"});
    for (rate, want) in [
        (tiers("graduated", json!({"unit_price": "0.5"})), None),
        (
            tiers("graduated", json!({"up_to": "20", "unit_price": "0.5"})),
            Some("price.tiers[1].up_to last_tier_ends"),
        ),
        (
            tiers("volume", json!({"up_to": "20", "unit_price": "0.5"})),
            Some("price.tiers[1].up_to last_tier_ends"),
        ),
        (
            percent(json!({"up_to": "20", "rate": "5"})),
            Some("price.tiers[0].up_to last_tier_ends"),
        ),
        (blocks(json!({"block": "10", "price": "1"})), None),
        (
            blocks(json!({"block": "10", "price": "1", "max_blocks": 2})),
            Some("price.tiers[0].max_blocks last_tier_ends"),
        ),
        (priced(json!({"model": "flat", "amount": "5"})), None),
        (
            priced(json!({"model": "flat", "amount": "5", "allowance": "5"})),
            Some("price.allowance not_with_this_model"),
        ),
        (
            priced(
                json!({"model": "flat", "amount": "5", "convert": {"op": "divide", "factor": "60"}}),
            ),
            Some("price.convert not_with_this_model"),
        ),
        (matrix(json!(["r"]), json!([]), json!("1")), None),
        (
            matrix(json!(["r"]), json!([]), Value::Null),
            Some("price.cells no_price"),
        ),
        (
            matrix(
                json!(["r", "s", "r"]),
                json!([{"values": ["a", "b", "c"], "unit_price": "1"}]),
                Value::Null,
            ),
            Some("price.dimensions[2] duplicate"),
        ),
        (
            json!({"key": "a", "meter": "sms", "blocked": true, "price": per_unit}),
            Some("price blocked_with_price"),
        ),
        (rate("a", json!({"blocked": true})), None),
        (
            window(json!({"from": "08:00", "until": "08:00"})),
            Some("window.until empty_window"),
        ),
        (
            window(json!({"until": "00:00"})),
            Some("window.until empty_window"),
        ),
        (window(json!({"from": "00:00", "until": "24:00"})), None),
        (window(json!({"from": "22:00", "until": "06:00"})), None),
    ] {
        let card = card(json!([rate]));
        let want: Vec<String> = want
            .into_iter()
            .map(|want| format!("rates[0].{want}"))
            .collect();
        let found: Vec<String> = mistakes(&card)
            .into_iter()
            .map(|(path, code)| format!("{path} {code}"))
            .collect();
        assert_eq!(found, want, "{rate}");
        let stored: CardDoc = serde_json::from_value(card).unwrap();
        assert!(
            crate::compile::CompiledCard::compile(&stored).is_ok(),
            "{rate}"
        );
    }
}

#[test]
fn an_empty_list_is_neither_all_nor_none() {
    for (fields, want) in [
        (json!({"prefixes": []}), vec!["prefixes"]),
        (
            json!({"prefixes": ["49"], "origin_prefixes": []}),
            vec!["origin_prefixes"],
        ),
        (
            json!({"window": {"weekdays": [], "months": []}}),
            vec!["window.weekdays", "window.months"],
        ),
        (
            json!({"window": {"month_days": [], "years": []}}),
            vec!["window.month_days", "window.years"],
        ),
        (
            json!({"window": {"weekdays": [1], "months": [ 12 ]}}),
            vec![],
        ),
        (
            json!({"prefixes": [""], "name": "a list [] of nothing"}),
            vec![],
        ),
        (json!({"attributes": {}}), vec![]),
    ] {
        let want: Vec<(String, &str)> = want
            .into_iter()
            .map(|path| (format!("rates[0].{path}"), "empty_list"))
            .collect();
        assert_eq!(
            mistakes(&card(json!([rate("a", fields.clone())]))),
            want,
            "{fields}"
        );
    }
    let spaced =
        br#"{"currency":"EUR","rates":[{"key":"a","meter":"m","prefixes":[ ],"blocked":true}]}"#;
    assert_eq!(parse_card(spaced).unwrap_err()[0].code, "empty_list");
}

#[test]
fn a_name_is_given_once_in_every_object() {
    let rate = |fields: &str| {
        format!(r#"{{"key":"a","meter":"m","price":{{"model":"flat","amount":"1"}}{fields}}}"#)
    };
    let card = |more: &str, fields: &str| {
        format!(r#"{{"currency":"EUR"{more},"rates":[{}]}}"#, rate(fields))
    };
    for (card, want) in [
        (card("", r#","attributes":{"r":"a","s":"b"}"#), None),
        (
            card("", r#","attributes":{"r":"a","s":"c","r":"b"}"#),
            Some("rates[0].attributes.r"),
        ),
        (
            card("", r#","attributes":{"r":"a","\u0072":"a"}"#),
            Some("rates[0].attributes.r"),
        ),
        (
            card(r#","meters":{"m":{"unit":"x"},"n":{"unit":"x"}}"#, ""),
            None,
        ),
        (
            card(r#","meters":{"m":{"unit":"x"},"m":{"unit":"y"}}"#, ""),
            Some("meters.m"),
        ),
    ] {
        let found = parse_card(card.as_bytes()).err().unwrap_or_default();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|mistake| (mistake.path.as_str(), mistake.code))
            .collect();
        assert_eq!(
            found,
            want.map(|path| (path, "given_twice"))
                .into_iter()
                .collect::<Vec<_>>(),
            "{card}"
        );
    }
}

#[test]
fn an_object_is_no_list_of_its_values() {
    let steps = json!([{"from": "0", "price": "1"}]);
    let with = |fields: Value| card(json!([rate("a", fields)]));
    let price = |price: Value| card(json!([{"key": "a", "meter": "m", "price": price}]));
    let mut meters = price(json!({"model": "flat", "amount": "1"}));
    meters["meters"] = json!({"m": ["unit", "sum"]});
    for (card, path) in [
        (with(json!({"call": ["60", "60", steps]})), "rates[0].call"),
        (
            with(call(json!({"steps": [["0", "1", "60"]]}))),
            "rates[0].call.steps[0]",
        ),
        (with(json!({"rounding": ["up", 2]})), "rates[0].rounding"),
        (
            with(json!({"window": [[1], [], [], [], null, null]})),
            "rates[0].window",
        ),
        (card(json!([["a", "call"]])), "rates[0]"),
        (price(json!(["flat", "1"])), "rates[0].price"),
        (
            price(json!({"model": "graduated", "tiers": [["10", "1"]]})),
            "rates[0].price.tiers[0]",
        ),
        (meters, "meters.m"),
        (json!(["EUR", "UTC", null, {}, []]), ""),
    ] {
        check(&card, &[(path, "bad_value")]);
    }
}

#[test]
fn what_has_no_effect_yet_is_said() {
    let price = json!({"model": "per_unit", "unit_price": "1", "minimum_spend": "5"});
    let doc = parse_card(
        card(json!([{"key": "a", "meter": "x", "price": price}]))
            .to_string()
            .as_bytes(),
    )
    .unwrap();
    let said: Vec<(String, &str)> = meters::without_effect(&doc)
        .into_iter()
        .map(|m| (m.path, m.code))
        .collect();
    assert_eq!(
        said,
        [("rates[0].price.minimum_spend".to_owned(), "not_yet_due")]
    );
}

#[test]
fn a_new_percentage_is_of_the_amount() {
    let price = json!({"model": "percentage", "rate": "1"});
    let doc = parse_card(
        card(json!([{"key": "a", "meter": "x", "price": price}]))
            .to_string()
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(
        serde_json::to_value(&doc.rates[0].price).unwrap()["amount_from"],
        "amount"
    );
    let stored: crate::card::CardDoc =
        serde_json::from_value(card(json!([{"key": "a", "meter": "x", "price": price}]))).unwrap();
    assert_eq!(
        stored.rates[0].price.as_ref().unwrap().model.amount_from(),
        Some(None)
    );
}

#[test]
fn messages_are_for_people() {
    let messages = |card: &str| -> Vec<String> {
        parse_card(card.as_bytes())
            .unwrap_err()
            .into_iter()
            .map(|mistake| format!("{}: {}", mistake.path, mistake.message))
            .collect()
    };
    let rate = |fields: &str| {
        format!(r#"{{"currency":"EUR","rates":[{{"key":"a","meter":"call",{fields}}}]}}"#)
    };
    let step = r#"[{"from":"0","price":"1"}]"#;
    for (card, want) in [
        (
            rate(&format!(r#""call":{{"steps":{step},"colour":1}}"#)),
            "rates[0].call.colour: there is no such field; the fields here are initial, next, \
                steps, connect_fee, minimum_duration, minimum_charge, maximum_charge, \
                free_if_shorter_than, included, zero_duration",
        ),
        (
            rate(r#""price":{"model":"flat","amount":"1","per":"60"}"#),
            "rates[0].price.per: there is no such field; the fields here are model, allowance, \
                percent_discount, maximum_spend, minimum_spend, convert, amount",
        ),
        (
            rate(&format!(r#""call":{{"steps":{step}}},"priority":"high""#)),
            "rates[0].priority: expected a whole number, found \"high\"",
        ),
        (
            rate(&format!(
                r#""call":{{"steps":{step}}},"window":{{"weekdays":["Mon"]}}"#
            )),
            "rates[0].window.weekdays[0]: expected a day's number, 1 Monday to 7 Sunday, \
                found \"Mon\"",
        ),
        (
            rate(&format!(
                r#""call":{{"steps":{step}}},"rounding":{{"mode":5,"decimals":300}}"#
            )),
            "rates[0].rounding.decimals: expected a whole number of decimals, found 300",
        ),
        (
            rate(r#""price":{"model":"per_unit","unit_price":0.5}"#),
            "rates[0].price.unit_price: expected a decimal as text, such as \"0.0125\", found 0.5",
        ),
        (
            r#"{"currency":"EUR","rates":[}"#.to_owned(),
            ": expected JSON: expected value, behind `{\"currency\":\"EUR\",\"rates\":[}`",
        ),
    ] {
        let found = messages(&card);
        assert_eq!(found.first().map(String::as_str), Some(want), "{card}");
        let all = found.join(" ");
        for word in ["at line", "column", "u8", "i32", "string or map", "variant"] {
            assert!(!all.contains(word), "{word}: {all}");
        }
    }
}
