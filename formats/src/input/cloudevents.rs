//! CloudEvents 1.0 (<https://github.com/cloudevents/spec>): structured, batched, and binary over
//! HTTP.
//!
//! | CloudEvents | usage event |
//! |---|---|
//! | `id`, `source` | `id`, `source`: the identity, as CloudEvents has it too |
//! | `type` | `meter`, unless `data.meter` names one |
//! | `subject` | `customer`, unless `data.customer` names one |
//! | `time` | `at`, unless `data.at` gives one |
//! | `data` | `quantity`, `amount`, `destination`, `origin`, `attributes`, `hold` |
//!
//! Extension attributes of the envelope are allowed and not used, but for those named as a field of
//! `data`; unknown fields of `data` are refused; a map ([`OwnFields`]) says what either means.

use super::fields;
use super::json::{self, Defaults, Fields};
use super::own_fields::OwnFields;
use super::rawjson::{self, Elements, Pairs};
use super::row::{self, Parsed};
use crate::BATCH_EVENTS_MAX;
use base64::Engine as _;
use percent_encoding::percent_decode_str;
use problem::{Code, Problem};
use std::borrow::Cow;

/// Attributes of an envelope (context attributes and extensions).
const ENVELOPE_MAX: usize = 64;

/// A structured event (`application/cloudevents+json`) or a batch
/// (`application/cloudevents-batch+json`). `own`: where its fields stand, if they have names of
/// their own.
pub fn parse(body: &[u8], own: Option<&OwnFields>) -> Result<Vec<Parsed>, Problem> {
    let text = crate::input::row::utf8(body)?.trim_ascii();
    if !text.starts_with('[') {
        rawjson::check(text).map_err(|error| json::not_json(text, &error))?;
        return Ok(vec![structured(text, own)]);
    }
    let batch =
        Elements::<BATCH_EVENTS_MAX>::read(text).map_err(|error| json::not_json(text, &error))?;
    if batch.more {
        Err(row::too_many())
    } else {
        Ok(batch
            .raws
            .into_iter()
            .map(|raw| structured(raw, own))
            .collect())
    }
}

/// Binary mode: `header` gives the value of a `ce-…` header by its name in lower case; the body is
/// `data`.
pub fn binary<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    own: Option<&OwnFields>,
) -> Parsed {
    let get = |name: &str| {
        header(&format!("ce-{name}")).map(|value| percent_decode_str(value).decode_utf8_lossy())
    };
    let refuse = |problem| (get("id").unwrap_or_default().into_owned(), problem);
    let text = crate::input::row::utf8(body).map_err(refuse)?;
    check_data(text).map_err(refuse)?;
    check_envelope(own, |name| get(name).is_some()).map_err(refuse)?;
    let envelope = Envelope {
        version: get("specversion"),
        id: get("id"),
        source: get("source"),
        kind: get("type"),
        subject: get("subject"),
        time: get("time"),
        data: Some(match own {
            Some(own) => {
                let raw = |name: &str| {
                    get(name).map(|value| {
                        Cow::Owned(serde_json::Value::from(value.as_ref()).to_string())
                    })
                };
                Cow::Owned(own.data(text, raw).map_err(refuse)?)
            }
            None => Cow::Borrowed(text),
        }),
    };
    envelope.into_event(own)
}

fn structured(raw: &str, own: Option<&OwnFields>) -> Parsed {
    let none = String::new;
    let expected = |_| {
        (
            none(),
            Problem::new(Code::InvalidEvent, "expected a CloudEvent: a JSON object"),
        )
    };
    let pairs = Pairs::<ENVELOPE_MAX>::read(raw).map_err(expected)?;
    if pairs.more {
        return Err((
            none(),
            Problem::new(
                Code::InvalidEvent,
                format!("a CloudEvent has at most {ENVELOPE_MAX} attributes"),
            ),
        ));
    }
    let refuse = |problem| (pairs.scalar("id").unwrap_or_default().into_owned(), problem);
    if let Some(path) = rawjson::given_twice(raw) {
        return Err(refuse(json::twice(&path)));
    }
    check_envelope(own, |name| pairs.get(name).is_some()).map_err(refuse)?;
    let mut data = data_of(&pairs).map_err(refuse)?;
    if let Some(data) = &data {
        check_data(data).map_err(refuse)?;
    }
    if let (Some(own), Some(found)) = (own, &data) {
        let raw = |name: &str| pairs.get(name).map(Cow::Borrowed);
        data = Some(Cow::Owned(own.data(found, raw).map_err(refuse)?));
    }
    let get = |name: &str| pairs.get(name).and_then(rawjson::string);
    let envelope = Envelope {
        version: get("specversion"),
        id: get("id"),
        source: get("source"),
        kind: get("type"),
        subject: get("subject"),
        time: get("time"),
        data,
    };
    envelope.into_event(own)
}

fn data_of<'a>(pairs: &Pairs<'a, ENVELOPE_MAX>) -> Result<Option<Cow<'a, str>>, Problem> {
    if pairs.get("data").is_some() && pairs.get("data_base64").is_some() {
        return Err(fields::invalid(
            "data_base64",
            "`data` is there too: expected one of the two",
        ));
    }
    if let Some(raw) = pairs.get("data") {
        return Ok(Some(Cow::Borrowed(raw)));
    }
    let Some(raw) = pairs.get("data_base64") else {
        return Ok(None);
    };
    let decoded = rawjson::string(raw).and_then(|text| {
        base64::engine::general_purpose::STANDARD
            .decode(&*text)
            .ok()
    });
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(|text| Some(Cow::Owned(text)))
        .ok_or_else(|| fields::invalid("data_base64", "expected JSON in base64"))
}

/// What is measured stands in `data`: an attribute of the envelope that has its name would be
/// passed over. A map says what one means.
fn check_envelope(own: Option<&OwnFields>, has: impl Fn(&str) -> bool) -> Result<(), Problem> {
    const OF_DATA: [&str; 9] = [
        "quantity",
        "amount",
        "customer",
        "meter",
        "at",
        "destination",
        "origin",
        "hold",
        "attributes",
    ];
    let found = OF_DATA.into_iter().find(|name| own.is_none() && has(name));
    let refused = |name: &str| {
        Problem::field(
            Code::UnknownField,
            name,
            format!("`{name}` stands beside `data`: expected it in `data`"),
        )
    };
    found.map_or(Ok(()), |name| Err(refused(name)))
}

/// One JSON object, in which no name is given twice.
fn check_data(data: &str) -> Result<(), Problem> {
    let text = data.trim_ascii();
    rawjson::check(text)
        .map_err(|error| fields::invalid("data", json::not_json(text, &error).detail))?;
    if !text.starts_with('{') {
        return Err(fields::invalid(
            "data",
            format_args!("expected a JSON object; found {}", json::found(text)),
        ));
    }
    rawjson::given_twice(text).map_or(Ok(()), |path| Err(json::twice(&format!("data.{path}"))))
}

struct Envelope<'a> {
    version: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    source: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
}

impl Envelope<'_> {
    /// `own`: where `data` had its fields before they were written anew.
    fn into_event(self, own: Option<&OwnFields>) -> Parsed {
        let refuse = |problem: Problem| (self.id.clone().unwrap_or_default().into_owned(), problem);
        match self.version.as_deref() {
            Some("1.0") => {}
            Some(_) => return Err(refuse(fields::invalid("specversion", "expected \"1.0\""))),
            None => return Err(refuse(fields::missing("specversion"))),
        }
        for (field, value) in [("id", &self.id), ("source", &self.source)] {
            if value.is_none() {
                return Err(refuse(fields::missing(field)));
            }
        }
        let at = self
            .time
            .as_deref()
            .map(|time| fields::instant("time", time))
            .transpose()
            .map_err(refuse)?;
        let data = self
            .data
            .as_deref()
            .ok_or_else(|| refuse(fields::missing("data")))?;
        let found: Fields<'_> = serde_json::from_str(data)
            .map_err(|e| refuse(fields::invalid("data", json::not_json(data, &e).detail)))?;
        if let Some(name) = ["id", "source"]
            .into_iter()
            .find(|name| found.raw(name).is_some())
        {
            return Err(refuse(Problem::field(
                Code::UnknownField,
                format!("data.{name}"),
                format!("`data.{name}`: the envelope says it"),
            )));
        }
        let has = |name: &str| found.raw(name).is_some();
        let enveloped = [
            ("customer", "subject", has("customer")),
            ("meter", "type", has("meter")),
            ("at", "time", has("at")),
        ];
        let defaults = Defaults {
            id: self.id.as_deref(),
            source: self.source.as_deref(),
            customer: self.subject.as_deref(),
            meter: self.kind.as_deref(),
            at,
        };
        found
            .into_event(&defaults)
            .map_err(|(id, problem)| (id, in_envelope(problem, &enveloped, own)))
    }
}

/// The problem in the words of the envelope: `customer` is its `subject` unless `data` named it, or
/// the place in the map.
fn in_envelope(
    mut problem: Problem,
    enveloped: &[(&str, &str, bool)],
    own: Option<&OwnFields>,
) -> Problem {
    let Some(field) = problem.field.take() else {
        return problem;
    };
    let mapped = own.and_then(|own| own.place_of(&field));
    let place = match enveloped.iter().find(|(name, ..)| *name == field) {
        _ if mapped.is_some() => mapped.unwrap_or_default(),
        Some((_, outside, false)) => (*outside).to_owned(),
        _ if field == "id" || field == "source" => field.clone(),
        _ => format!("data.{field}"),
    };
    problem.detail = problem
        .detail
        .replacen(&format!("`{field}`"), &format!("`{place}`"), 1);
    problem.field = Some(place);
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_data_in_the_envelope_is_not_passed_over() {
        let event = |more: &str| {
            let text = format!(
                r#"{{"specversion":"1.0","id":"a","source":"s","type":"call","subject":"acme","time":"2026-11-20T09:00:00Z"{more},"data":{{"quantity":"1"}}}}"#
            );
            parse(text.as_bytes(), None).unwrap().remove(0)
        };
        for name in ["quantity", "customer", "at"] {
            let (id, problem) = event(&format!(r#","{name}":"5""#)).unwrap_err();
            assert_eq!(
                (&*id, problem.code.as_str(), problem.field.as_deref()),
                ("a", "unknown_field", Some(name))
            );
        }
        // It was charged by the rate without the attribute.
        let (_, problem) = event(r#","attributes":{"model":"large"}"#).unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.field.as_deref()),
            ("unknown_field", Some("attributes"))
        );
        assert!(event(r#","traceparent":"00-1-2-3""#).is_ok());
        let header = |name: &str| match name {
            "ce-specversion" => Some("1.0"),
            "ce-id" => Some("a"),
            "ce-amount" => Some("5"),
            _ => None,
        };
        assert_eq!(
            binary(header, br#"{"quantity":"1"}"#, None)
                .unwrap_err()
                .1
                .code
                .as_str(),
            "unknown_field"
        );
    }
    use proptest::prelude::*;

    const GOOD: &str = r#"{"specversion":"1.0","id":"e1","source":"/apps/booking","type":"booking","subject":"acme-42","time":"2026-11-20T09:00:00Z","datacontenttype":"application/json","traceparent":"00-x","data":{"quantity":2,"attributes":{"room":"blue"}}}"#;

    fn one(body: &str) -> Parsed {
        parse(body.as_bytes(), None).unwrap().remove(0)
    }

    #[test]
    fn the_three_modes_say_the_same() {
        let want = one(GOOD).unwrap();
        assert_eq!(
            (
                want.id.as_str(),
                want.source.as_str(),
                want.customer.as_str(),
                want.meter.as_str()
            ),
            ("e1", "/apps/booking", "acme-42", "booking")
        );
        assert_eq!(want.quantity, rating::Quantity::whole(2));
        assert_eq!(
            parse(format!("[{GOOD},{GOOD}]").as_bytes(), None).unwrap(),
            [Ok(want.clone()), Ok(want.clone())]
        );
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", "e1"),
            ("ce-source", "%2Fapps/booking"),
            ("ce-type", "booking"),
            ("ce-subject", "acme-42"),
            ("ce-time", "2026-11-20T10:00:00+01:00"),
        ];
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        assert_eq!(
            binary(
                header,
                br#"{"quantity":"2.0","attributes":{"room":"blue"}}"#,
                None
            ),
            Ok(want.clone())
        );
        let encoded =
            r#""data_base64":"eyJxdWFudGl0eSI6MiwiYXR0cmlidXRlcyI6eyJyb29tIjoiYmx1ZSJ9fQ==""#;
        assert_eq!(
            one(&GOOD.replace(
                r#""data":{"quantity":2,"attributes":{"room":"blue"}}"#,
                encoded
            )),
            Ok(want)
        );
    }

    #[test]
    fn data_may_name_meter_customer_and_instant() {
        let event = one(&GOOD.replace(
            "\"quantity\":2",
            r#""quantity":2,"meter":"m","customer":"c","at":"2026-01-01T00:00:00Z""#,
        ))
        .unwrap();
        assert_eq!(
            (
                event.meter.as_str(),
                event.customer.as_str(),
                event.at.to_string().as_str()
            ),
            ("m", "c", "2026-01-01T00:00:00Z")
        );
    }

    #[test]
    fn fields_of_their_own_are_read_by_a_map() {
        let own: OwnFields = serde_json::from_str(
            r#"{"fields":{"customer":"tenantid","quantity":"data.usage.seconds","destination":"data.callee"},
                "attributes":{"region":"data.region","plan":"plan"},"constants":{"meter":"call"},"ignore":["data.trace"]}"#,
        )
        .unwrap();
        let body = r#"{"specversion":"1.0","id":"e1","source":"/pbx","type":"call.ended.v2","time":"2026-11-20T09:00:00Z","tenantid":"acme-42","plan":3,
            "data":{"usage":{"seconds":6e1},"callee":"+4930123456","region":"eu","trace":{"a":1}}}"#;
        let one = |body: &str| parse(body.as_bytes(), Some(&own)).unwrap().remove(0);
        let event = one(body).unwrap();
        assert_eq!(
            (
                event.customer.as_str(),
                event.meter.as_str(),
                event.quantity.to_string().as_str()
            ),
            ("acme-42", "call", "60")
        );
        assert_eq!(event.destination.as_deref(), Some("+4930123456"));
        assert_eq!(
            event.attributes,
            [("plan".into(), "3".into()), ("region".into(), "eu".into())]
        );
        // What nobody names is refused, and so is what is not where the map says.
        let (_, problem) = one(&body.replace("\"trace\"", "\"more\"")).unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.field.as_deref()),
            ("unknown_field", Some("data.more"))
        );
        let (_, problem) = one(&body.replace("\"seconds\"", "\"secs\"")).unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.field.as_deref()),
            ("unknown_field", Some("data.usage.secs"))
        );
        let (_, problem) = one(&body.replace("\"seconds\":6e1", "")).unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.field.as_deref()),
            ("missing_field", Some("data.usage.seconds"))
        );
        assert_eq!(
            serde_json::from_str::<OwnFields>(r#"{"fields":{"id":"data.x"}}"#)
                .unwrap()
                .check()
                .unwrap_err()
                .code
                .as_str(),
            "unknown_field"
        );
        // An event that has the usual fields is read as ever.
        assert_eq!(
            parse(GOOD.as_bytes(), Some(&OwnFields::default())).unwrap(),
            [super::structured(GOOD, None)]
        );
    }

    #[test]
    fn problems_speak_of_the_envelope() {
        for (from, to, code, field) in [
            (
                "\"specversion\":\"1.0\",",
                "",
                "missing_field",
                "specversion",
            ),
            ("\"1.0\"", "\"0.3\"", "invalid_field", "specversion"),
            ("\"id\":\"e1\",", "", "missing_field", "id"),
            (
                "\"source\":\"/apps/booking\",",
                "",
                "missing_field",
                "source",
            ),
            ("\"subject\":\"acme-42\",", "", "missing_field", "subject"),
            ("\"type\":\"booking\",", "", "missing_field", "type"),
            (
                "\"time\":\"2026-11-20T09:00:00Z\",",
                "",
                "missing_field",
                "time",
            ),
            ("09:00:00Z", "9 o'clock", "invalid_field", "time"),
            ("\"quantity\":2,", "", "missing_field", "data.quantity"),
            (
                "\"quantity\":2",
                "\"quantity\":-2",
                "negative_quantity",
                "data.quantity",
            ),
            (
                "\"quantity\":2",
                "\"quantity\":2,\"x\":1",
                "unknown_field",
                "data.x",
            ),
            (
                "\"quantity\":2",
                "\"quantity\":2,\"id\":\"e2\"",
                "unknown_field",
                "data.id",
            ),
            ("\"data\"", "\"more\"", "missing_field", "data"),
            (
                "\"data\"",
                "\"data_base64\"",
                "invalid_field",
                "data_base64",
            ),
        ] {
            let body = GOOD.replacen(from, to, 1);
            let (_, problem) = one(&body).unwrap_err();
            assert_eq!(
                (problem.code.as_str(), problem.field.as_deref()),
                (code, Some(field)),
                "{body}"
            );
        }
        assert_eq!(parse(b"{", None).unwrap_err().code.as_str(), "invalid_json");
        assert_eq!(
            parse(b"[1]", None)
                .unwrap()
                .remove(0)
                .unwrap_err()
                .1
                .code
                .as_str(),
            "invalid_event"
        );
    }

    #[test]
    fn a_name_given_twice_is_refused_at_any_depth() {
        for (from, to, field) in [
            ("\"id\":\"e1\"", "\"id\":\"e1\",\"id\":\"e2\"", "id"),
            ("\"data\"", "\"data\":{\"quantity\":1},\"data\"", "data"),
            ("\"traceparent\"", "\"t\":1,\"t\":2,\"traceparent\"", "t"),
            (
                "\"quantity\":2",
                "\"quantity\":2,\"quantity\":3",
                "data.quantity",
            ),
            (
                "\"quantity\":2",
                "\"quantity\":null,\"quantity\":3",
                "data.quantity",
            ),
            (
                "\"quantity\":2",
                "\"quantity\":2,\"\\u0071uantity\":3",
                "data.quantity",
            ),
            (
                "\"room\":\"blue\"",
                "\"room\":\"blue\",\"room\":\"red\"",
                "data.attributes.room",
            ),
        ] {
            for own in [None, Some(OwnFields::default())] {
                let body = GOOD.replacen(from, to, 1);
                let (_, problem) = parse(body.as_bytes(), own.as_ref())
                    .unwrap()
                    .remove(0)
                    .unwrap_err();
                assert_eq!(
                    (problem.code.as_str(), problem.field.as_deref()),
                    ("invalid_field", Some(field)),
                    "{body}"
                );
                assert_eq!(problem.detail, format!("`{field}`: given twice"));
            }
        }
        let header = |name: &str| {
            (name != "ce-subject").then_some(if name == "ce-specversion" {
                "1.0"
            } else {
                "2026-11-20T09:00:00Z"
            })
        };
        let (_, problem) = binary(
            header,
            br#"{"customer":"c","quantity":1,"quantity":2}"#,
            None,
        )
        .unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("data.quantity"));
        // Objects beside one another have their own names.
        assert!(
            one(&GOOD.replacen(
                "\"traceparent\"",
                "\"t\":[{\"a\":1},{\"a\":1}],\"traceparent\"",
                1
            ))
            .is_ok()
        );
        let both = GOOD.replacen("\"data\"", "\"data_base64\":\"e30=\",\"data\"", 1);
        assert_eq!(
            one(&both).unwrap_err().1.field.as_deref(),
            Some("data_base64")
        );
    }

    #[test]
    fn data_that_is_no_object_is_said_so() {
        for data in ["\"{}\"", "[]", "5", "\"quantity\""] {
            for own in [None, Some(OwnFields::default())] {
                let body = GOOD.replace(r#"{"quantity":2,"attributes":{"room":"blue"}}"#, data);
                let (_, problem) = parse(body.as_bytes(), own.as_ref())
                    .unwrap()
                    .remove(0)
                    .unwrap_err();
                assert_eq!(
                    (problem.code.as_str(), problem.field.as_deref()),
                    ("invalid_field", Some("data")),
                    "{body}"
                );
                assert!(
                    problem.detail.contains("a JSON object"),
                    "{}",
                    problem.detail
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn never_panics(at in 0..GOOD.len(), cut in 0..20_usize, put in "[-0-9a-z\"{}\\[\\]:,ü]{0,6}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let end = (at + cut).min(GOOD.len());
            let _ = parse(format!("{}{put}{}", &GOOD[..at], &GOOD[end..]).as_bytes(), None);
            let _ = parse(&bytes, None);
            let _ = parse(&bytes, Some(&OwnFields::default()));
            let _ = binary(|_| Some("1.0"), &bytes, None);
        }
    }
}
