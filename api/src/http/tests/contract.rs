//! What generators of clients need of the OpenAPI document, so that it cannot come undone.

use crate::http::document;
use serde_json::{Map, Value};

fn contract() -> Value {
    serde_json::to_value(crate::http::document()).unwrap()
}

/// Every operation with its name.
fn operations(document: &Value) -> Vec<(String, &Map<String, Value>)> {
    let items = document["paths"].as_object().unwrap().iter();
    let of_item = |(path, item): (&String, &'_ Value)| {
        let path = path.clone();
        item.as_object()
            .unwrap()
            .keys()
            .map(move |verb| (path.clone(), verb.clone()))
            .collect::<Vec<_>>()
    };
    let names: Vec<(String, String)> = items.flat_map(of_item).collect();
    let found = |(path, verb): (String, String)| {
        let operation = document["paths"][&path][&verb].as_object().unwrap();
        (format!("{verb} {path}"), operation)
    };
    names.into_iter().map(found).collect()
}

/// A field or a parameter: where it is, its name and its schema.
type Named<'a> = (String, &'a str, &'a Value);

fn properties<'a>(at: &str, schema: &'a Value, found: &mut Vec<Named<'a>>) {
    match schema {
        Value::Object(fields) => {
            for (name, property) in fields
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                found.push((at.to_owned(), name, property));
            }
            fields
                .iter()
                .filter(|(name, _)| !name.starts_with("example"))
                .for_each(|(_, value)| properties(at, value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| properties(at, value, found)),
        _ => {}
    }
}

/// Every field of every schema, and every parameter.
fn fields(document: &Value) -> Vec<Named<'_>> {
    let mut found = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        properties(name, schema, &mut found);
    }
    for (at, operation) in operations(document) {
        for parameter in operation
            .get("parameters")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            found.push((
                at.clone(),
                parameter["name"].as_str().unwrap(),
                &parameter["schema"],
            ));
        }
    }
    found
}

/// The types that a schema comes to, through references, alternatives and lists.
fn plain<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    if let Some(place) = schema["$ref"].as_str() {
        return plain(
            document,
            document.pointer(place.trim_start_matches('#')).unwrap(),
        );
    }
    let alternatives = ["oneOf", "anyOf", "allOf"]
        .iter()
        .filter_map(|of| schema[of].as_array())
        .flatten();
    let parts: Vec<&Value> = alternatives
        .chain(schema.get("items"))
        .flat_map(|part| plain(document, part))
        .collect();
    if parts.is_empty() {
        vec![schema]
    } else {
        parts
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    schema["type"] == kind
        || schema["type"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|one| one == kind))
}

#[test]
fn every_response_says_when_it_is_given() {
    for (at, operation) in operations(&contract()) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(
                response["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{at} {status}"
            );
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn follow(document: &Value, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(place) = fields.get("$ref") {
                    let place = place.as_str().unwrap();
                    assert!(
                        place.starts_with("#/") && document.pointer(&place[1..]).is_some(),
                        "{place}"
                    );
                }
                for place in value["discriminator"]["mapping"]
                    .as_object()
                    .into_iter()
                    .flat_map(Map::values)
                {
                    assert!(
                        document.pointer(&place.as_str().unwrap()[1..]).is_some(),
                        "{place}"
                    );
                }
                fields.values().for_each(|value| follow(document, value));
            }
            Value::Array(list) => list.iter().for_each(|value| follow(document, value)),
            _ => {}
        }
    }
    let document = contract();
    follow(&document, &document);
}

/// Fields that have one of a few words, wherever they are. What else is called so is text of
/// somebody else's.
const OF_FEW_WORDS: &[&str] = &[
    "account",
    "aggregation",
    "amount_from",
    "because",
    "code",
    "collect",
    "date_form",
    "format",
    "kind",
    "kinds",
    "locale",
    "method",
    "mode",
    "model",
    "on_exhausted",
    "op",
    "outcome",
    "policy",
    "pricing",
    "round",
    "scope",
    "specversion",
    "state",
    "status",
    "zero_duration",
];
/// The codes of a card's mistakes: every check of a card has its own.
const OF_MANY: &[(&str, &str)] = &[("FieldError", "code")];

#[test]
fn fields_of_few_words_list_them() {
    let document = contract();
    let mut seen = std::collections::BTreeSet::new();
    for (at, name, schema) in fields(&document) {
        if !OF_FEW_WORDS.contains(&name) || OF_MANY.contains(&(at.as_str(), name)) {
            continue;
        }
        let parts = plain(&document, schema);
        if parts.iter().any(|part| is(part, "string")) {
            assert!(
                parts.iter().any(|part| part["enum"].is_array()),
                "{at}: {name} has no enum: {schema}"
            );
            seen.insert(name);
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), OF_FEW_WORDS);
}

fn looks_like_an_instant(name: &str) -> bool {
    ["at", "from", "until", "time", "wall_clock"].contains(&name)
        || ["_at", "_from", "_until"]
            .iter()
            .any(|end| name.ends_with(end))
}

#[test]
fn instants_are_date_times() {
    let document = contract();
    for (at, name, schema) in fields(&document) {
        for part in plain(&document, schema)
            .into_iter()
            .filter(|part| is(part, "string"))
        {
            let example = schema["example"].as_str().unwrap_or_default();
            let is_instant =
                looks_like_an_instant(name) || (example.len() == 20 && example.ends_with('Z'));
            // A time of the day, and a quantity that has elapsed.
            if is_instant && at != "Window" && part["enum"].is_null() && part["format"] != "decimal"
            {
                assert_eq!(part["format"], "date-time", "{at}: {name}");
            }
        }
    }
}

#[test]
fn cents_are_64_bits_wide_and_fractions_of_them_are_decimals() {
    let document = contract();
    for (at, name, schema) in fields(&document) {
        if name == "cents" || name.ends_with("_cents") {
            for part in plain(&document, schema)
                .into_iter()
                .filter(|part| !is(part, "null") || is(part, "integer"))
            {
                let format = if is(part, "integer") {
                    "int64"
                } else {
                    "decimal"
                };
                assert_eq!(part["format"], format, "{at}: {name}");
            }
        }
    }
}

/// Of text and an object at once there is nothing; generators make a class of it.
#[test]
fn nothing_has_two_types_at_once() {
    let document = contract();
    for (at, name, schema) in fields(&document) {
        for part in schema["allOf"].as_array().into_iter().flatten() {
            assert!(
                part["$ref"].is_string() || part["properties"].is_object(),
                "{at}: {name}: {schema}"
            );
        }
    }
}

#[test]
fn alternatives_that_are_told_apart_by_a_field_say_so() {
    let document = contract();
    let model = &document["components"]["schemas"]["PriceModel"];
    assert_eq!(model["discriminator"]["propertyName"], "model");
    let mapping = model["discriminator"]["mapping"].as_object().unwrap();
    assert_eq!(mapping.len(), model["oneOf"].as_array().unwrap().len());
    for (word, place) in mapping {
        let chosen = document.pointer(&place.as_str().unwrap()[1..]).unwrap();
        assert_eq!(
            chosen["properties"]["model"]["enum"],
            serde_json::json!([word]),
            "{place}"
        );
        assert!(
            chosen["required"]
                .as_array()
                .unwrap()
                .contains(&"model".into()),
            "{place}"
        );
    }
}

/// Generators take the first body, or tell bodies apart by their types.
#[test]
fn usage_is_sent_as_json_first() {
    let text = document::text(&crate::http::document()).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written, contract());
    let places = |kind: &str| {
        text.find(&format!("\"requestBody\":{{\"content\":{{\"{kind}\":{{\"schema\":{{\"$ref\":\"#/components/schemas/UsageReport\""))
    };
    assert!(places("application/json").is_some());
    let body = &written["paths"]["/v1/usage-events"]["post"]["requestBody"]["content"];
    let kinds: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        kinds,
        [
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "application/json",
            "application/x-ndjson"
        ]
    );
    assert!(body["application/cloudevents-batch+json"]["schema"].is_null());
    assert_eq!(
        written["components"]["schemas"]["UsageEvent"]["additionalProperties"],
        false
    );
}
