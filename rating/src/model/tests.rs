//! What each model costs, in the words of a card. (More cases: `tests/usage_billing.rs`.)

use super::*;
use crate::Instant;
use crate::card::Conversion;

fn compiled(json: &str) -> CompiledModel {
    CompiledModel::compile(&serde_json::from_str(json).unwrap(), Currency::EUR, None).unwrap()
}

fn reached(quantity: &str) -> Counter {
    Counter {
        quantity: quantity.parse().unwrap(),
        events: 1,
    }
}

/// P at each quantity, in cents.
#[track_caller]
fn check(json: &str, cases: &[(&str, &str)]) {
    let model = compiled(json);
    for (quantity, want) in cases {
        assert_eq!(
            model.p(&reached(quantity)).map(Exact::in_cents).as_deref(),
            Ok(*want),
            "P({quantity})"
        );
    }
}

#[test]
fn lines() {
    check(
        r#"{"model":"per_unit","unit_price":"0.40","per":"60"}"#,
        &[("600", "400"), ("1", "0.666666666667"), ("-60", "-40")],
    );
    check(
        r#"{"model":"flat","amount":"9.99"}"#,
        &[("0", "999"), ("100", "999"), ("-1", "999")],
    );
}

#[test]
fn tiers_go_on_beyond_the_last_one() {
    let tiers = r#""tiers":[{"up_to":"10","unit_price":"1","flat":"5"},{"up_to":"20","unit_price":"0.5","flat":"1"}]"#;
    let graduated = [
        ("0", "500"),
        ("10", "1500"),
        ("10.5", "1625"),
        ("20", "2100"),
        ("40", "3100"),
        ("-3", "500"),
    ];
    check(&format!(r#"{{"model":"graduated",{tiers}}}"#), &graduated);
    let volume = [
        ("0", "500"),
        ("10", "1500"),
        ("11", "650"),
        ("20", "1100"),
        ("40", "2100"),
        ("-3", "500"),
    ];
    check(&format!(r#"{{"model":"volume",{tiers}}}"#), &volume);
    check(
        r#"{"model":"graduated","tiers":[{"up_to":"10","unit_price":"1"},{"unit_price":"2"}]}"#,
        &[("-3", "-300")],
    );
}

#[test]
fn an_empty_first_tier_means_no_flat_without_usage() {
    let json = r#"{"model":"graduated","tiers":[{"up_to":"0"},{"unit_price":"1","flat":"5"}]}"#;
    check(
        json,
        &[("0", "0"), ("0.000000001", "500.0000001"), ("1", "600")],
    );
}

#[test]
fn blocks() {
    let package = r#"{"model":"package","size":"10","amount":"1","free":"5"}"#;
    check(
        package,
        &[
            ("0", "0"),
            ("5", "0"),
            ("5.1", "100"),
            ("15", "100"),
            ("15.000000001", "200"),
            ("-50", "0"),
        ],
    );
    let tiers =
        r#"[{"block":"10","max_blocks":2,"price":"1"},{"block":"100","max_blocks":1,"price":"5"}]"#;
    let all = [
        ("20", "200"),
        ("21", "700"),
        ("120", "700"),
        ("121", "1200"),
        ("-5", "0"),
    ];
    check(
        &format!(r#"{{"model":"block_tiers","policy":"all_tiers","tiers":{tiers}}}"#),
        &all,
    );
    let top = [("20", "200"), ("21", "500"), ("121", "1000")];
    check(
        &format!(r#"{{"model":"block_tiers","policy":"top_tier","tiers":{tiers}}}"#),
        &top,
    );
}

#[test]
fn modifiers_apply_in_order() {
    let json = r#"{"model":"per_unit","unit_price":"2","convert":{"op":"divide","factor":"1000","round":"ceil"},
        "allowance":"3","percent_discount":"25","maximum_spend":"10"}"#;
    check(
        json,
        &[
            ("3000", "0"),
            ("3001", "150"),
            ("9000", "900"),
            ("20000", "1000"),
            ("-5000", "0"),
        ],
    );
    let exact = r#"{"model":"per_unit","unit_price":"3","convert":{"op":"divide","factor":"3"},"allowance":"1"}"#;
    check(
        exact,
        &[("1", "0"), ("3", "0"), ("4", "100"), ("10", "700")],
    );
}

#[test]
fn a_rounding_comes_before_the_maximum() {
    let json = r#"{"model":"per_unit","unit_price":"0.004","maximum_spend":"1.005"}"#;
    let rounding = Some(Rounding {
        mode: Mode::Up,
        decimals: 2,
    });
    let model = CompiledModel::compile(
        &serde_json::from_str(json).unwrap(),
        Currency::EUR,
        rounding,
    )
    .unwrap();
    for (quantity, want) in [
        ("1", "1"),
        ("3", "2"),
        ("250", "100"),
        ("251", "100.5"),
        ("900", "100.5"),
    ] {
        assert_eq!(
            model.p(&reached(quantity)).map(Exact::in_cents).as_deref(),
            Ok(want),
            "P({quantity})"
        );
    }
}

#[test]
fn minor_units_are_those_of_the_currency() {
    let model =
        serde_json::from_str(r#"{"model":"per_unit","unit_price":"0.5","maximum_spend":"100"}"#)
            .unwrap();
    for (currency, want) in [
        ("JPY", "1.5"),
        ("EUR", "150"),
        ("KWD", "1500"),
        ("CLF", "15000"),
    ] {
        let model = CompiledModel::compile(&model, currency.parse().unwrap(), None).unwrap();
        assert_eq!(
            model.p(&reached("3")).map(Exact::in_cents).as_deref(),
            Ok(want),
            "{currency}"
        );
    }
}

#[test]
fn no_event_costs_nothing() {
    let model = compiled(r#"{"model":"flat","amount":"1"}"#);
    assert_eq!(model.p(&Counter::default()), Ok(Exact::ZERO));
    assert_eq!(
        model.p(&reached("0")).map(Exact::in_cents).as_deref(),
        Ok("100")
    );
}

fn usage(
    quantity: &str,
    amount: Option<&str>,
    attributes: &'static [(String, String)],
) -> Usage<'static> {
    Usage {
        meter: "payment",
        is_call: false,
        aggregation: Aggregation::Sum,
        at: Instant::MIN,
        quantity: quantity.parse().unwrap(),
        amount: amount.map(|amount| amount.parse().unwrap()),
        number: crate::usage::Number::International,
        destination: None,
        origin: None,
        attributes,
    }
}

/// Amounts in order → the charge of each, in cents.
#[track_caller]
fn check_events(json: &str, events: &[(&str, &str)]) {
    let model = compiled(json);
    let mut counter = Counter::default();
    for (amount, want) in events {
        let usage = usage("0", Some(amount), &[]);
        assert_eq!(
            model
                .local(&usage, &counter)
                .map(Exact::in_cents)
                .as_deref(),
            Ok(*want),
            "{amount} after {counter:?}"
        );
        let billed = model.billed(&usage).unwrap();
        counter = Counter {
            quantity: counter.quantity.checked_add(billed).unwrap(),
            events: counter.events + 1,
        };
    }
}

#[test]
fn percentages() {
    check_events(
        r#"{"model":"percentage","rate":"1.5","fixed":"0.25"}"#,
        &[("100", "175"), ("0", "25"), ("-100", "-150")],
    );
    let limited = r#"{"model":"percentage","rate":"10","minimum_per_event":"1","maximum_per_event":"5","percent_discount":"50"}"#;
    check_events(
        limited,
        &[("1", "50"), ("20", "100"), ("900", "250"), ("-900", "-250")],
    );
    let free =
        r#"{"model":"percentage","rate":"1","fixed":"1","free_events":3,"free_amount":"100"}"#;
    check_events(
        free,
        &[("60", "0"), ("50", "110"), ("10", "110"), ("10", "110")],
    );
    check_events(
        r#"{"model":"percentage","rate":"1","free_amount":"100"}"#,
        &[("60", "0"), ("-60", "0"), ("110", "10"), ("-20", "-10")],
    );
    check_events(
        r#"{"model":"percentage","rate":"1","free_events":1}"#,
        &[("60", "0"), ("60", "60")],
    );
}

#[test]
fn limits_of_an_event_hold_after_the_rounding() {
    let json = r#"{"model":"percentage","rate":"1","minimum_per_event":"0.105","maximum_per_event":"1.005"}"#;
    for (mode, amount, want) in [
        (Mode::Up, "500", "100.5"),
        (Mode::Down, "1", "10.5"),
        (Mode::Up, "50.1", "51"),
        (Mode::Down, "-500", "-100.5"),
    ] {
        let rounding = Some(Rounding { mode, decimals: 2 });
        let model = CompiledModel::compile(
            &serde_json::from_str(json).unwrap(),
            Currency::EUR,
            rounding,
        )
        .unwrap();
        let charge = model.local(&usage("0", Some(amount), &[]), &Counter::default());
        assert_eq!(
            charge.map(Exact::in_cents).as_deref(),
            Ok(want),
            "{mode:?} {amount}"
        );
    }
}

#[test]
fn passed_through_amounts() {
    check_events(
        r#"{"model":"cost_plus","factor":"1.2"}"#,
        &[("0.0125", "1.5"), ("-10", "-1200")],
    );
    check_events(
        r#"{"model":"dynamic"}"#,
        &[("0.402", "40.2"), ("0.000000001", "0.0000001")],
    );
    for json in [
        r#"{"model":"dynamic"}"#,
        r#"{"model":"cost_plus","factor":"1"}"#,
    ] {
        assert_eq!(
            compiled(json).local(&usage("5", None, &[]), &Counter::default()),
            Err(Unrated::NoAmount)
        );
    }
}

#[test]
fn percentages_take_the_quantity_if_there_is_no_amount() {
    let model = compiled(r#"{"model":"percentage","rate":"10"}"#);
    assert_eq!(
        model
            .local(&usage("5", None, &[]), &Counter::default())
            .map(Exact::in_cents)
            .as_deref(),
        Ok("50")
    );
    assert_eq!(
        model.billed(&usage("5", Some("7"), &[])),
        Ok(Quantity::whole(7))
    );
    assert_eq!(
        model.billed(&usage("5", Some("0.0000000001"), &[])),
        Err(Unrated::Overflow(Overflow))
    );
    assert_eq!(model.aggregation(Aggregation::Count), Aggregation::Sum);
}

#[test]
fn a_percentage_is_of_what_the_card_says() {
    for tiers in [
        r#""model":"percentage","rate":"10""#,
        r#""model":"graduated_percentage","tiers":[{"rate":"10"}]"#,
    ] {
        let of = |from: &str| compiled(&format!("{{{tiers}{from}}}"));
        let charge = |model: &CompiledModel, amount: Option<&str>| -> Result<String, Unrated> {
            let usage = usage("5", amount, &[]);
            let billed = model.billed(&usage)?;
            let grown = model.p(&Counter {
                quantity: billed,
                events: 1,
            })?;
            Ok(grown
                .checked_add(model.local(&usage, &Counter::default())?)?
                .in_cents())
        };
        for (from, amount, want) in [
            (r#","amount_from":"amount""#, Some("7"), Ok("70")),
            (r#","amount_from":"amount""#, None, Err(Unrated::NoAmount)),
            (r#","amount_from":"quantity""#, Some("7"), Ok("50")),
            (r#","amount_from":"quantity""#, None, Ok("50")),
            // Of a card that was stored before it could say so.
            ("", Some("7"), Ok("70")),
            ("", None, Ok("50")),
        ] {
            assert_eq!(
                charge(&of(from), amount),
                want.map(str::to_owned),
                "{tiers}{from} {amount:?}"
            );
        }
    }
}

#[test]
fn a_matrix_prices_by_attributes() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let attributes = |model: &str, kind: &str| -> &'static [(String, String)] {
        vec![pair("kind", kind), pair("model", model)].leak()
    };
    let cells = r#""dimensions":["model","kind"],"cells":[{"values":["x","in"],"unit_price":"0.001"},{"values":["x","out"],"unit_price":"0.003"},
        {"values":["a","in"],"unit_price":"0.002"}]"#;
    let strict = compiled(&format!(r#"{{"model":"matrix",{cells}}}"#));
    for (model, kind, want) in [
        ("x", "in", Ok("100")),
        ("x", "out", Ok("300")),
        ("a", "in", Ok("200")),
        ("a", "out", Err(Unrated::NoCell)),
    ] {
        let charge = strict.local(
            &usage("1000", None, attributes(model, kind)),
            &Counter::default(),
        );
        assert_eq!(
            charge.map(Exact::in_cents),
            want.map(str::to_owned),
            "{model} {kind}"
        );
    }
    let lacking = strict.local(
        &usage("1000", None, vec![pair("model", "x")].leak()),
        &Counter::default(),
    );
    assert_eq!(lacking, Err(Unrated::NoAttribute("kind".to_owned())));
    let lenient = compiled(&format!(
        r#"{{"model":"matrix",{cells},"default_price":"0.01","allowance":"900"}}"#
    ));
    assert_eq!(
        lenient
            .local(&usage("1000", None, &[]), &Counter::default())
            .map(Exact::in_cents)
            .as_deref(),
        Ok("100")
    );
    assert_eq!(
        lenient
            .local(&usage("1000", None, &[]), &reached("950"))
            .map(Exact::in_cents)
            .as_deref(),
        Ok("1000")
    );
    assert!(lenient.needs_counter() && !lenient.is_cumulative() && !strict.needs_counter());
}

#[test]
fn conversions_are_exact() {
    let convert = |json: &str, quantity: &str| {
        let conversion: Conversion = serde_json::from_str(json).unwrap();
        Converter::new(&conversion)
            .and_then(|converter| converter.convert(quantity.parse().unwrap()))
    };
    let third = convert(r#"{"op":"divide","factor":"3"}"#, "1").unwrap();
    assert_eq!((third.num(), third.den()), (1_000_000_000, 3));
    assert_eq!(
        convert(r#"{"op":"multiply","factor":"0"}"#, "1"),
        Err(Overflow)
    );
}

#[test]
fn mistakes_are_listed_with_their_path() {
    let listed = |json: &str| {
        let mistakes =
            CompiledModel::compile(&serde_json::from_str(json).unwrap(), Currency::EUR, None)
                .unwrap_err();
        mistakes
            .into_iter()
            .map(|(path, code, _)| format!("{path} {code}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for (json, want) in [
        (
            r#"{"model":"per_unit","unit_price":"1","per":"0"}"#,
            "per not_positive",
        ),
        (
            r#"{"model":"package","size":"-1","amount":"1","free":"-1"}"#,
            "size not_positive, free negative",
        ),
        (r#"{"model":"graduated","tiers":[]}"#, "tiers missing"),
        (
            r#"{"model":"graduated","tiers":[{"unit_price":"1"},{"unit_price":"1"}]}"#,
            "tiers[0].up_to missing",
        ),
        (
            r#"{"model":"volume","tiers":[{"up_to":"5"},{"up_to":"5"},{}]}"#,
            "tiers[1].up_to not_ascending",
        ),
        (
            r#"{"model":"volume","tiers":[{"up_to":"-5"}]}"#,
            "tiers[0].up_to not_ascending",
        ),
        (
            r#"{"model":"graduated_percentage","tiers":[{"up_to":"0.0000000001","rate":"1"}]}"#,
            "tiers[0].up_to too_fine",
        ),
        (
            r#"{"model":"block_tiers","policy":"all_tiers","tiers":[{"block":"0","price":"1"},{"block":"1","max_blocks":0,"price":"1"}]}"#,
            "tiers[1].max_blocks not_positive, tiers[0].block not_positive",
        ),
        (
            r#"{"model":"block_tiers","policy":"top_tier","tiers":[{"block":"1","price":"1"},{"block":"1","price":"1"}]}"#,
            "tiers[0].max_blocks missing",
        ),
        (
            r#"{"model":"flat","amount":"1","percent_discount":"100.1"}"#,
            "percent_discount percent_above_100",
        ),
        (
            r#"{"model":"flat","amount":"1","percent_discount":"-1","allowance":"-1"}"#,
            "allowance negative, percent_discount negative",
        ),
        (
            r#"{"model":"flat","amount":"1","maximum_spend":"1","minimum_spend":"2"}"#,
            "minimum_spend minimum_above_maximum",
        ),
        (
            r#"{"model":"flat","amount":"1","maximum_spend":"-1"}"#,
            "maximum_spend negative",
        ),
        (
            r#"{"model":"flat","amount":"1","convert":{"op":"divide","factor":"0"}}"#,
            "convert.factor not_positive",
        ),
        (
            r#"{"model":"percentage","rate":"1","free_amount":"-1","minimum_per_event":"2","maximum_per_event":"1"}"#,
            "minimum_per_event minimum_above_maximum, free_amount negative",
        ),
        (
            r#"{"model":"dynamic","maximum_spend":"1","allowance":"1","convert":{"op":"divide","factor":"2"}}"#,
            "maximum_spend not_with_this_model, allowance not_with_this_model, convert \
                not_with_this_model",
        ),
        (r#"{"model":"cost_plus","factor":"-1"}"#, "factor negative"),
        (
            r#"{"model":"matrix","dimensions":["a"],"cells":[{"values":["x"],"unit_price":"1"},{"values":["x"],"unit_price":"2"},{"values":[],"unit_price":"2"}]}"#,
            "cells[2].values wrong_length, cells[1].values duplicate",
        ),
        (
            r#"{"model":"matrix","dimensions":[],"cells":[]}"#,
            "dimensions missing",
        ),
    ] {
        assert_eq!(listed(json), want, "{json}");
    }
}
