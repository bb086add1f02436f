use super::*;
use problem::Code;
use proptest::prelude::*;

const GOOD: &str = r#"{"id":"e1","source":"pbx-1","customer":"acme-42","meter":"call","quantity":"600","at":"2026-11-20T09:00:00Z","destination":"+4930123456","attributes":{"direction":"outbound","a":"b"}}"#;

fn parse_one(body: &str) -> Parsed {
    let mut all = parse(body.as_bytes()).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn reads_the_documented_event() {
    let event = parse_one(GOOD).unwrap();
    assert_eq!(
        (
            event.id.as_str(),
            event.source.as_str(),
            event.customer.as_str(),
            event.meter.as_str()
        ),
        ("e1", "pbx-1", "acme-42", "call")
    );
    assert_eq!(event.quantity, rating::Quantity::whole(600));
    assert_eq!(event.at.to_string(), "2026-11-20T09:00:00Z");
    assert_eq!(event.destination.as_deref(), Some("+4930123456"));
    assert_eq!(
        event.attributes,
        [
            ("a".into(), "b".into()),
            ("direction".into(), "outbound".into())
        ]
    );
}

#[test]
fn content_is_equal_after_parsing() {
    let want = parse_one(GOOD).unwrap();
    for other in [
        GOOD.replace("\"600\"", "600.0"),
        GOOD.replace("\"600\"", "\"600.000\""),
        GOOD.replace("09:00:00Z", "10:00:00+01:00"),
        GOOD.replace("acme-42", "\\u0061cme-42"),
        GOOD.replace(
            r#""direction":"outbound","a":"b""#,
            r#""a":"b","direction":"outbound""#,
        ),
        GOOD.replacen('{', r#"{"hold":null,"origin":"","#, 1),
        format!("[{GOOD}]"),
        format!("\u{feff} {{\"events\": [ {GOOD} ]}} "),
    ] {
        assert_eq!(parse_one(&other).as_ref(), Ok(&want), "{other}");
    }
}

#[test]
fn exponents_are_read_exactly() {
    for (text, want) in [
        ("1e-7", "0.0000001"),
        ("6E+2", "600"),
        ("1.25e1", "12.5"),
        ("\"1e-7\"", "0.0000001"),
        ("6.0e2", "600"),
    ] {
        assert_eq!(
            parse_one(&GOOD.replace("\"600\"", text))
                .unwrap()
                .quantity
                .to_string(),
            want,
            "{text}"
        );
    }
    let amount = parse_one(
        &GOOD
            .replace("\"quantity\":\"600\"", "\"amount\":2.5e-3")
            .replace("\"call\"", "\"booking\""),
    )
    .unwrap()
    .amount;
    assert_eq!(amount.unwrap().to_string(), "0.0025");
}

/// It was charged as one second.
#[test]
fn how_long_a_call_lasted_is_not_its_amount() {
    let (_, problem) =
        parse_one(&GOOD.replace("\"quantity\":\"600\"", "\"amount\":\"7\"")).unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.field.as_deref()),
        ("missing_field", Some("quantity"))
    );
    let both = parse_one(&GOOD.replace(
        "\"quantity\":\"600\"",
        "\"quantity\":\"600\",\"amount\":\"7\"",
    ))
    .unwrap();
    assert_eq!(
        (both.quantity, both.amount),
        (rating::Quantity::whole(600), "7".parse().ok())
    );
}

#[test]
fn defaults_stand_in() {
    let body = r#"{"customer":"c","meter":"x","amount":0.10,"at":"2026-11-20T09:00:00Z"}"#;
    let event = event(
        body,
        &Defaults {
            id: Some("k"),
            ..Defaults::default()
        },
    )
    .unwrap();
    assert_eq!((event.id.as_str(), event.source.as_str()), ("k", "default"));
    assert_eq!(
        (event.quantity, event.amount),
        (rating::Quantity::whole(1), "0.1".parse().ok())
    );
}

/// Refused with this code and field, and the id is told.
fn check(change: (&str, &str), code: &str, field: &str) {
    let body = GOOD.replacen(change.0, change.1, 1);
    assert_ne!(body, GOOD, "{change:?}");
    let (id, problem) = parse_one(&body).unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.field.as_deref()),
        (code, Some(field)),
        "{change:?} {}",
        problem.detail
    );
    assert!(field == "id" || id == "e1", "{change:?}");
    assert!(problem.detail.contains(field), "{}", problem.detail);
}

#[test]
fn every_problem_names_its_field() {
    let long = "x".repeat(256);
    let (long_id, long_value) = (format!("\"{long}\""), format!("\"b{long}\""));
    let many: String = (0..32)
        .map(|i| format!("\"k{i}\":\"v\","))
        .collect::<String>()
        + "\"a\":";
    for (change, code, field) in [
        (("\"id\":\"e1\",", ""), "missing_field", "id"),
        (("\"e1\"", "5"), "invalid_field", "id"),
        (("\"e1\"", "\"\""), "invalid_field", "id"),
        (("\"e1\"", long_id.as_str()), "invalid_field", "id"),
        (("\"e1\"", "\"\\u0007\""), "invalid_field", "id"),
        (("\"e1\"", "\"\\ud800\""), "invalid_field", "id"),
        (
            ("\"customer\":\"acme-42\",", ""),
            "missing_field",
            "customer",
        ),
        (("\"acme-42\"", "null"), "missing_field", "customer"),
        (("\"acme-42\"", "[1]"), "invalid_field", "customer"),
        (("\"meter\":\"call\",", ""), "missing_field", "meter"),
        (("\"quantity\":\"600\",", ""), "missing_field", "quantity"),
        (("\"600\"", "\"-1\""), "negative_quantity", "quantity"),
        (("\"600\"", "-0.5"), "negative_quantity", "quantity"),
        (("\"600\"", "1e-10"), "invalid_field", "quantity"),
        (("\"600\"", "1e99"), "invalid_field", "quantity"),
        (
            ("\"+4930123456\"", "\"9#4930123456\""),
            "technical_prefix",
            "destination",
        ),
        (("\"600\"", "true"), "invalid_field", "quantity"),
        (
            ("\"600\"", "1234567890123456789012345678901234567890"),
            "invalid_field",
            "quantity",
        ),
        (("\"600\"", "0.0000000001"), "invalid_field", "quantity"),
        (
            ("\"600\"", "6,\"amount\":\"-1\""),
            "negative_amount",
            "amount",
        ),
        (
            ("\"600\"", "6,\"amount\":\"abc\""),
            "invalid_field",
            "amount",
        ),
        (
            ("\"at\":\"2026-11-20T09:00:00Z\",", ""),
            "missing_field",
            "at",
        ),
        (("09:00:00Z", "09:00:00"), "invalid_field", "at"),
        (("2026-11-20", "2026-13-20"), "invalid_field", "at"),
        (
            ("\"+4930123456\"", long_id.as_str()),
            "invalid_field",
            "destination",
        ),
        (("\"destination\"", "\"dest\""), "unknown_field", "dest"),
        (
            ("\"meter\"", "\"meter\":\"m\",\"meter\""),
            "invalid_field",
            "meter",
        ),
        (
            ("{\"direction\":\"outbound\",\"a\":\"b\"}", "5"),
            "invalid_field",
            "attributes",
        ),
        (("\"b\"", "5"), "invalid_field", "attributes.a"),
        (
            ("\"b\"", long_value.as_str()),
            "invalid_field",
            "attributes.a",
        ),
        (
            ("\"a\":\"b\"", "\"a\":\"b\",\"a\":\"c\""),
            "invalid_field",
            "attributes.a",
        ),
        (("\"a\":", many.as_str()), "invalid_field", "attributes"),
    ] {
        check(change, code, field);
    }
}

#[test]
fn refusals_show_the_value_and_what_is_expected() {
    for (quantity, detail) in [
        (
            "1e400",
            "`quantity`: cannot read `1e400`: expected at most 15 digits before the point and 9 \
                decimals",
        ),
        (
            "\"1e99\"",
            "`quantity`: cannot read `1e99`: expected at most 15 digits before the point and 9 \
                decimals",
        ),
        (
            "-2",
            "`quantity`: -2 is below zero: expected 0 or more (usage is taken back with a void or \
                a correction)",
        ),
        (
            "true",
            "`quantity`: expected a decimal as text or number, such as \"60\" or 0.5; found true",
        ),
    ] {
        let (_, problem) = parse_one(&GOOD.replace("\"600\"", quantity)).unwrap_err();
        assert_eq!(problem.detail, detail);
    }
    let amount = |amount: &str| {
        parse_one(&GOOD.replace("\"quantity\":\"600\"", &format!("\"amount\":{amount}")))
            .unwrap_err()
            .1
            .detail
    };
    assert_eq!(
        amount("\"-0.5\""),
        "`amount`: -0.5 is below zero: expected 0 or more (usage is taken back with a void or a \
            correction)"
    );
    assert!(amount("1e400").contains("`1e400`"), "{}", amount("1e400"));
    let (_, problem) = parse_one(&GOOD.replace("\"acme-42\"", "42")).unwrap_err();
    assert_eq!(
        problem.detail,
        "`customer`: expected text, such as \"42\"; found 42"
    );
    let (_, problem) = parse_one(&GOOD.replacen(
        "\"quantity\":\"600\"",
        "\"quantity\":null,\"quantity\":1",
        1,
    ))
    .unwrap_err();
    assert_eq!(problem.detail, "`quantity`: given twice");
}

#[test]
fn what_is_not_json_says_where_and_not_in_lines_and_columns() {
    for (body, detail) in [
        (
            "{\"id\":\"e1\",",
            "not valid JSON: it ends in the middle, behind `{\"id\":\"e1\",`",
        ),
        (
            "[{\"id\":\"e1\"} {}]",
            "not valid JSON: expected `,` or `]`, behind `[{\"id\":\"e1\"} {`",
        ),
        (
            "{\"id\":e1}",
            "not valid JSON: expected value, behind `{\"id\":e`",
        ),
    ] {
        assert_eq!(parse(body.as_bytes()).unwrap_err().detail, detail);
    }
}

#[test]
fn one_bad_event_never_costs_the_others() {
    for bad in [
        "5",
        "null",
        "\"text\"",
        "[[1],{}]",
        "1e999",
        "-1.5",
        "true",
        "{}",
        r#"{"id":{"a":1e999}}"#,
        r#"{"x":[1,2]}"#,
    ] {
        let parsed = parse(format!("[{GOOD},{bad},{GOOD}]").as_bytes()).unwrap();
        assert_eq!(
            parsed.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, false, true],
            "{bad}"
        );
    }
}

#[test]
fn a_body_that_is_not_json_is_one_problem() {
    for bad in [
        "",
        "x",
        "{",
        "[",
        "[{]",
        "[1,]",
        "{\"id\":}",
        "{\"events\":[}",
        &format!("{GOOD}{GOOD}"),
        &format!("[{GOOD}] x"),
    ] {
        assert_eq!(
            parse(bad.as_bytes()).unwrap_err().code.as_str(),
            "invalid_json",
            "{bad}"
        );
    }
    assert_eq!(
        parse(b"{\"id\":\"\xff\"}").unwrap_err().code.as_str(),
        "invalid_json"
    );
    assert_eq!(
        parse(GOOD.replacen('{', r#"{"events":[],"#, 1).as_bytes())
            .unwrap_err()
            .field
            .as_deref(),
        Some("events")
    );
    assert_eq!(
        parse(br#"{"events":5}"#).unwrap_err().code.as_str(),
        "invalid_field"
    );
    assert_eq!(parse(br#"{"events":[]}"#), Ok(vec![]));
}

#[test]
fn a_batch_is_bounded() {
    let body = format!("[{}0]", "0,".repeat(BATCH_EVENTS_MAX));
    assert_eq!(
        parse(body.as_bytes()).unwrap_err().code.as_str(),
        "batch_too_large"
    );
    let body = format!("[{}0]", "0,".repeat(BATCH_EVENTS_MAX - 1));
    assert_eq!(parse(body.as_bytes()).unwrap().len(), BATCH_EVENTS_MAX);
}

/// Each was no destination, and cost what a call inside the house does.
#[test]
fn a_destination_that_says_nobody_is_refused() {
    let of = |to: &str| {
        parse_one(&GOOD.replacen("\"+4930123456\"", to, 1))
            .map_err(|(_, problem)| (problem.code, problem.field))
    };
    for to in [
        "\"\"",
        "\" \"",
        "\"-\"",
        "\"n/a\"",
        "\"NULL\"",
        "\"\\\\N\"",
        "\"#N/A\"",
    ] {
        assert_eq!(
            of(to).unwrap_err(),
            (Code::MissingField, Some("destination".to_owned())),
            "{to}"
        );
    }
    for to in ["\"Germany\"", "\"Deutschland Mobil\"", "\"x\""] {
        assert_eq!(of(to).unwrap_err().0, Code::InvalidNumber, "{to}");
    }
    assert_eq!(of("null").unwrap().destination, None);
    assert_eq!(
        of("\"voicemail\"").unwrap().destination.as_deref(),
        Some("voicemail")
    );
}

#[test]
fn an_id_that_lost_its_digits_is_none() {
    let of = |id: &str| {
        parse_one(&GOOD.replacen("\"e1\"", &format!("\"{id}\""), 1))
            .map_err(|(_, problem)| problem.code)
    };
    for id in ["1.79618E+12", "1.79618e+12", "#REF!", "N/A", "-", "null"] {
        assert_eq!(of(id).unwrap_err(), Code::InvalidField, "{id}");
    }
    for id in [
        "0",
        "123e4567",
        "1795165644.0",
        "6f5902ac-0001-4a0b-9c00-000000000001",
        "1E+12:7",
        "unknown",
    ] {
        assert!(of(id).is_ok(), "{id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn never_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn never_panics_on_a_broken_event(at in 0..GOOD.len(), cut in 0..20_usize, put in "[-0-9a-z\\\\\"{}\\[\\]:,. \u{7f}ü]{0,6}") {
        let end = (at + cut).min(GOOD.len());
        let _ = parse(format!("{}{put}{}", &GOOD[..at], &GOOD[end..]).as_bytes());
    }
}
