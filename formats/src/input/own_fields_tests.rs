//! What a map of CloudEvents does not say is not passed over.

use super::super::cloudevents;
use super::*;
use problem::Code;

const MAP: &str = r#"{"fields":{"customer":"tenantid","quantity":"data.usage.seconds","destination":"data.callee"},
    "attributes":{"region":"data.region"},"constants":{"meter":"call"},"ignore":["data.trace","data.usage.unit"]}"#;
const EVENT: &str = r#"{"specversion":"1.0","id":"e1","source":"/pbx","type":"call.ended.v2","time":"2026-11-20T09:00:00Z","tenantid":"acme-42",
    "data":{"usage":{"seconds":60,"unit":"s"},"callee":"+4930123456","region":"eu","trace":{"a":1}}}"#;

/// `-`: read; else the code, the field and what is said.
fn tell(from: &str, to: &str) -> (String, String, String) {
    let own: OwnFields = serde_json::from_str(MAP).unwrap();
    let body = EVENT.replacen(from, to, 1);
    assert!(from.is_empty() || body != EVENT, "{from}");
    match cloudevents::parse(body.as_bytes(), Some(&own))
        .unwrap()
        .remove(0)
    {
        Ok(_) => ("-".to_owned(), String::new(), String::new()),
        Err((_, problem)) => (
            problem.code.to_string(),
            problem.field.unwrap_or_default(),
            problem.detail,
        ),
    }
}

#[test]
fn a_field_of_data_that_the_map_does_not_name_is_refused() {
    for (from, to, code, field) in [
        ("", "", "-", ""),
        (
            "\"seconds\":60",
            "\"seconds\":60,\"minutes\":5",
            "unknown_field",
            "data.usage.minutes",
        ),
        (
            "\"seconds\":60",
            "\"seconds\":60,\"free\":true",
            "unknown_field",
            "data.usage.free",
        ),
        (
            "\"seconds\":60",
            "\"seconds\":60,\"free\":null",
            "unknown_field",
            "data.usage.free",
        ),
        // The map takes these fields from elsewhere.
        (
            "\"callee\"",
            "\"quantity\":999,\"callee\"",
            "unknown_field",
            "data.quantity",
        ),
        (
            "\"callee\"",
            "\"customer\":\"zed\",\"callee\"",
            "unknown_field",
            "data.customer",
        ),
        ("\"callee\"", "\"destination\":null,\"callee\"", "-", ""),
        // A name with a dot is not a field of an object.
        (
            "\"callee\"",
            "\"usage.seconds\":7,\"callee\"",
            "unknown_field",
            "data.usage.seconds",
        ),
        ("\"callee\"", "\"origin\":\"100\",\"callee\"", "-", ""),
        (
            "{\"seconds\":60,\"unit\":\"s\"}",
            "60",
            "invalid_field",
            "data.usage",
        ),
        (
            "{\"seconds\":60,\"unit\":\"s\"}",
            "[{\"seconds\":60}]",
            "invalid_field",
            "data.usage",
        ),
        ("\"seconds\":60,", "", "missing_field", "data.usage.seconds"),
        (
            "{\"seconds\":60,\"unit\":\"s\"}",
            "null",
            "missing_field",
            "data.usage.seconds",
        ),
        (
            "\"seconds\":60",
            "\"seconds\":-60",
            "negative_quantity",
            "data.usage.seconds",
        ),
        (
            "\"seconds\":60",
            "\"seconds\":{\"a\":1}",
            "invalid_field",
            "data.usage.seconds",
        ),
        ("\"acme-42\"", "\"\"", "invalid_field", "tenantid"),
        (
            "\"+4930123456\"",
            "\"9#4930\"",
            "technical_prefix",
            "data.callee",
        ),
        ("\"eu\"", "\"e\\u0000u\"", "invalid_field", "data.region"),
    ] {
        let (got, at, detail) = tell(from, to);
        assert_eq!(
            (got.as_str(), at.as_str()),
            (code, field),
            "{from} {to}: {detail}"
        );
        assert!(
            got == "-" || detail.contains(&format!("`{field}`")),
            "{detail}"
        );
    }
}

#[test]
fn what_is_refused_says_how_it_may_be_named() {
    let (.., detail) = tell("\"seconds\":60", "\"seconds\":60,\"minutes\":5");
    assert!(detail.contains("`ignore`"), "{detail}");
    let (.., detail) = tell("\"callee\"", "\"quantity\":999,\"callee\"");
    assert!(
        detail.contains("`ignore`") && detail.contains("data.usage.seconds"),
        "{detail}"
    );
}

#[test]
fn a_map_names_a_place_once() {
    for (map, field) in [
        (
            r#"{"fields":{"quantity":"data.a","amount":"data.a"}}"#,
            "map.fields.quantity",
        ),
        (
            r#"{"fields":{"quantity":"data.a","amount":"data.a.b"}}"#,
            "map.fields.quantity",
        ),
        (
            r#"{"fields":{"quantity":"data.a"},"ignore":["data.a"]}"#,
            "map.ignore",
        ),
        (r#"{"fields":{"quantity":"data."}}"#, "map.fields.quantity"),
        (r#"{"ignore":["trace"]}"#, "map.ignore"),
    ] {
        let own: OwnFields = serde_json::from_str(map).unwrap();
        let refused = own.check().unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_deref()),
            ("invalid_field", Some(field)),
            "{map}: {}",
            refused.detail
        );
    }
    // One place may be a field and an attribute.
    let own: OwnFields =
        serde_json::from_str(r#"{"fields":{"origin":"data.a"},"attributes":{"from":"data.a"}}"#)
            .unwrap();
    own.check().unwrap();
}

/// Of an event whose `data` is this, by a map with these parts: what is read, or the code and
/// field.
fn read_by(map: &str, data: &str) -> String {
    let own: OwnFields = serde_json::from_str(map).unwrap();
    if let Err(problem) = own.check() {
        return format!(
            "map: {} {}",
            problem.code,
            problem.field.unwrap_or_default()
        );
    }
    let body = format!(
        r#"{{"specversion":"1.0","id":"e1","source":"/pbx","type":"sms","subject":"other","time":"2026-11-20T09:00:00Z","data":{data}}}"#
    );
    match cloudevents::parse(body.as_bytes(), Some(&own))
        .unwrap()
        .remove(0)
    {
        Ok(event) => {
            format!(
                "{} of {} {}",
                event.quantity,
                event.customer,
                event
                    .amount
                    .map(|amount| amount.to_string())
                    .unwrap_or_default()
            )
        }
        Err((_, problem)) => format!("{} {}", problem.code, problem.field.unwrap_or_default()),
    }
}

#[test]
fn a_unit_in_the_name_of_a_place_is_stated() {
    for (place, more, value, want) in [
        (
            "duration_ms",
            "",
            "5000",
            "map: ambiguous_unit map.fields.quantity",
        ),
        (
            "duration_ms",
            r#","duration_form":"milliseconds""#,
            "5000",
            "5 of other ",
        ),
        (
            "minutes",
            "",
            "5",
            "map: ambiguous_unit map.fields.quantity",
        ),
        (
            "minutes",
            r#","duration_form":"minutes""#,
            "5",
            "300 of other ",
        ),
        (
            "minutes",
            r#","duration_form":"number""#,
            "5",
            "5 of other ",
        ),
        (
            "seconds",
            r#","duration_form":"minutes""#,
            "5",
            "map: ambiguous_unit map.fields.quantity",
        ),
        ("seconds", "", "5", "5 of other "),
        (
            "usage",
            r#","duration_form":"minutes""#,
            "\"x\"",
            "invalid_field data.usage",
        ),
    ] {
        let map = format!(r#"{{"fields":{{"quantity":"data.{place}"}}{more}}}"#);
        assert_eq!(
            read_by(&map, &format!("{{\"{place}\":{value}}}")),
            want,
            "{place} {more}"
        );
    }
    for (place, more, want) in [
        ("amount_cents", "", "map: ambiguous_unit map.fields.amount"),
        (
            "amount_cents",
            r#","amount_unit":"cents""#,
            "1 of other 1.5",
        ),
        ("sum", "", "1 of other 150"),
    ] {
        let map = format!(r#"{{"fields":{{"amount":"data.{place}"}}{more}}}"#);
        assert_eq!(
            read_by(&map, &format!("{{\"{place}\":150}}")),
            want,
            "{place} {more}"
        );
    }
}

#[test]
fn what_a_map_takes_from_one_place_is_taken_from_no_other() {
    let map = r#"{"fields":{"customer":"data.c","at":"data.began"},"constants":{"quantity":"1"}}"#;
    for (data, want) in [
        (
            r#"{"c":"acme-42","began":"2026-11-20T08:00:00Z"}"#,
            "1 of acme-42 ",
        ),
        (
            r#"{"began":"2026-11-20T08:00:00Z"}"#,
            "missing_field data.c",
        ),
        (
            r#"{"c":null,"began":"2026-11-20T08:00:00Z"}"#,
            "missing_field data.c",
        ),
        (r#"{"c":"acme-42"}"#, "missing_field data.began"),
    ] {
        assert_eq!(read_by(map, data), want, "{data}");
    }
    let with_constant =
        r#"{"fields":{"customer":"data.c"},"constants":{"customer":"house","quantity":"1"}}"#;
    assert_eq!(read_by(with_constant, "{}"), "1 of house ");
}

/// Each was read in the meter's unit, in major units, or as when the usage began.
#[test]
fn every_part_of_a_place_is_understood_or_stated() {
    let checked = |field: &str, place: &str, more: &str| {
        let own: OwnFields =
            serde_json::from_str(&format!(r#"{{"fields":{{"{field}":"{place}"}}{more}}}"#))
                .unwrap();
        own.check().map_err(|problem| {
            assert_eq!(
                problem.field.as_deref(),
                Some(format!("map.fields.{field}").as_str()),
                "{place}"
            );
            assert!(
                problem.detail.contains(&format!("`{place}`")),
                "{}",
                problem.detail
            );
            problem.code
        })
    };
    for place in [
        "data.minutes.value",
        "data.minutes.total",
        "data.hours.value",
        "data.ms.duration",
        "data.duration.minutes.billed",
        "data.durationMs",
        "data.call.billedMinutes",
        "data.duration_x10",
        "data.tenths",
        "data.kb",
        "data.horas",
        "data.einheiten",
        "data.units",
        "data.tokens",
        "data.ring_time",
        "data.ringing",
        "data.pdd.seconds",
        "data.discount",
        "data.cost",
        "data.cost.value",
        "data.call",
        "data.call.id",
        "durationms",
    ] {
        assert_eq!(
            checked("quantity", place, ""),
            Err(Code::AmbiguousUnit),
            "{place}"
        );
        assert_eq!(
            checked("quantity", place, r#","duration_form":"number""#),
            Ok(()),
            "{place}"
        );
    }
    for place in [
        "data.seconds",
        "data.usage.seconds",
        "data.usage",
        "data.duration",
        "data.call.duration",
        "data.callDetails.durationSeconds",
        "data.billing.billed_seconds",
        "data.usage.total",
        "data.value",
        "data.seconds.value",
        "data.event.record.quantity",
        "data.billsec",
        "duration",
    ] {
        assert_eq!(checked("quantity", place, ""), Ok(()), "{place}");
    }
    // The unit of a meter of its own.
    assert_eq!(
        checked(
            "quantity",
            "data.usage.tokens",
            r#","constants":{"meter":"token"}"#
        ),
        Ok(())
    );
    assert_eq!(
        checked(
            "quantity",
            "data.usage.tokens",
            r#","constants":{"meter":"call"}"#
        ),
        Err(Code::AmbiguousUnit)
    );
    for place in [
        "data.cents.value",
        "data.minor.amount",
        "data.usd.amount",
        "data.amount.usd",
        "data.amount_e2",
        "data.discount",
        "data.vat",
        "data.gross",
        "data.refund",
        "data.unit_price",
        "data.points",
        "data.balance",
        "data.deposit",
        "data.usage",
        "data.order",
        "data.invoice",
    ] {
        assert_eq!(
            checked("amount", place, ""),
            Err(Code::AmbiguousUnit),
            "{place}"
        );
        assert_eq!(
            checked("amount", place, r#","amount_unit":"cents""#),
            Ok(()),
            "{place}"
        );
    }
    for place in [
        "data.amount",
        "data.order.total",
        "data.billing.amount",
        "data.call.price.value",
        "data.value",
        "data.price",
    ] {
        assert_eq!(checked("amount", place, ""), Ok(()), "{place}");
    }
    for place in [
        "data.ended_at",
        "data.end",
        "data.call.end",
        "data.hangup",
        "data.updated_at",
        "data.exported_at",
        "data.end.value",
    ] {
        assert_eq!(
            checked("at", place, ""),
            Err(Code::AmbiguousColumn),
            "{place}"
        );
    }
    assert_eq!(checked("at", "data.start_ms", ""), Err(Code::AmbiguousDate));
    for place in [
        "data.at",
        "data.began",
        "data.call.startedAt",
        "data.timestamp",
        "time",
        "data.start.value",
        "data.call.answer_time",
    ] {
        assert_eq!(checked("at", place, ""), Ok(()), "{place}");
    }
}

/// An empty text was no destination, and the call cost what one inside the house does.
#[test]
fn a_mapped_destination_that_says_nobody_is_refused() {
    for (to, code) in [
        ("\"\"", "missing_field"),
        ("\"-\"", "missing_field"),
        ("\"n/a\"", "missing_field"),
        ("\"Germany\"", "invalid_number"),
        ("null", "-"),
    ] {
        let (got, at, detail) = tell("\"+4930123456\"", to);
        assert_eq!(
            (got.as_str(), at.as_str()),
            (code, if code == "-" { "" } else { "data.callee" }),
            "{to}: {detail}"
        );
    }
}
