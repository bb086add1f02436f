//! `docs/centwise.postman_collection.json`: the OpenAPI document as a collection of requests for
//! Postman, in step with it.
//!
//! After a change of the API: `UPDATE_POSTMAN=1 cargo test postman`.

use serde_json::{Map, Value, json};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/centwise.postman_collection.json"
);
const FORMAT: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

fn collection(document: &Value) -> Value {
    let mut folders: Map<String, Value> = Map::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let folder = folders
                .entry(operation["tags"][0].as_str().unwrap())
                .or_insert_with(|| json!([]));
            folder
                .as_array_mut()
                .unwrap()
                .push(request(document, path, verb, operation));
        }
    }
    let folders: Vec<Value> = folders
        .into_iter()
        .map(|(tag, requests)| json!({"name": tag, "item": requests}))
        .collect();
    json!({
        "info": {"name": "Centwise", "description": document["info"]["description"], "schema": FORMAT},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{api_key}}", "type": "string"}]},
        "variable": [{"key": "base_url", "value": "http://127.0.0.1:8080"}, {"key": "api_key", "value": ""}],
        "item": folders,
    })
}

fn request(document: &Value, path: &str, verb: &str, operation: &Value) -> Value {
    let about = [&operation["summary"], &operation["description"]]
        .map(|text| text.as_str().unwrap_or_default());
    let (kind, body) = body(document, operation).unzip();
    let mut headers = parameters(operation, "header");
    headers.extend(kind.map(|kind| json!({"key": "Content-Type", "value": kind})));
    let mut request = json!({
        "method": verb.to_uppercase(),
        "description": about.join("\n\n").trim(),
        "header": headers,
        "url": url(path, operation),
    });
    if let Some(body) = body {
        request["body"] = body;
    }
    if operation
        .get("security")
        .is_none_or(|security| security[0].get("api_key").is_none())
    {
        request["auth"] = json!({"type": "noauth"});
    }
    json!({"name": about[0], "request": request})
}

fn url(path: &str, operation: &Value) -> Value {
    let path: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .map(|part| part.replace('{', ":").replace('}', ""))
        .collect();
    let (query, variables) = (
        parameters(operation, "query"),
        parameters(operation, "path"),
    );
    let sent = query.iter().filter(|one| one["disabled"] != true);
    let sent: Vec<String> = sent
        .map(|one| {
            format!(
                "{}={}",
                one["key"].as_str().unwrap(),
                one["value"].as_str().unwrap()
            )
        })
        .collect();
    let question = if sent.is_empty() { "" } else { "?" };
    let raw = format!(
        "{{{{base_url}}}}/{}{question}{}",
        path.join("/"),
        sent.join("&")
    );
    json!({"raw": raw, "host": ["{{base_url}}"], "path": path, "query": query, "variable": variables})
}

/// What need not be sent is there, switched off.
fn parameters(operation: &Value, place: &str) -> Vec<Value> {
    let all = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == place);
    let shown = |parameter: &Value| {
        let mut shown = json!({"key": parameter["name"], "value": value(parameter)});
        if let Some(about) = parameter["description"].as_str() {
            shown["description"] = about.into();
        }
        if parameter["required"] != true {
            shown["disabled"] = true.into();
        }
        shown
    };
    all.map(shown).collect()
}

fn value(parameter: &Value) -> String {
    let example = [&parameter["example"], &parameter["schema"]["example"]]
        .into_iter()
        .find(|example| !example.is_null());
    match (parameter["name"].as_str().unwrap_or_default(), example) {
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(example)) => example.to_string(),
        ("Idempotency-Key", None) => "{{$guid}}".to_owned(),
        ("tenant", None) => "acme-42".to_owned(),
        ("reseller", None) => "muster-telecom".to_owned(),
        _ => String::new(),
    }
}

/// The media type that generators take, and an example of it.
fn body(document: &Value, operation: &Value) -> Option<(String, Value)> {
    let kinds = operation["requestBody"]["content"].as_object()?;
    let (kind, content) = kinds
        .get_key_value("application/json")
        .or_else(|| kinds.iter().next())?;
    let place = content["schema"]["$ref"]
        .as_str()
        .unwrap_or_default()
        .trim_start_matches('#');
    let named = document
        .pointer(place)
        .map_or(&Value::Null, |schema| &schema["example"]);
    let example = [&content["example"], named]
        .into_iter()
        .find(|example| !example.is_null());
    let raw = match example {
        Some(Value::String(text)) => text.clone(),
        Some(example) => serde_json::to_string_pretty(example).ok()?,
        None => if kind.ends_with("json") { "{}" } else { "" }.to_owned(),
    };
    let language = if kind.ends_with("json") {
        "json"
    } else {
        "text"
    };
    Some((
        kind.clone(),
        json!({"mode": "raw", "raw": raw, "options": {"raw": {"language": language}}}),
    ))
}

#[test]
fn the_postman_collection_is_in_step_with_the_document() {
    let collection = collection(&serde_json::to_value(crate::http::document()).unwrap());
    let wanted = serde_json::to_string_pretty(&collection).unwrap() + "\n";
    if std::env::var_os("UPDATE_POSTMAN").is_some() {
        std::fs::write(FILE, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        found == wanted,
        "{FILE} is not in step: UPDATE_POSTMAN=1 cargo test --workspace --locked postman"
    );
}
