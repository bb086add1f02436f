//! The OpenAPI document in parts that a reader can review: one per tag, with the schemas that its
//! operations alone use, and one with what several share. Nothing is left out: the parts put
//! together are the document.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A response or parameter that so many operations have alike is listed once.
const ALIKE_MIN: usize = 3;
/// The part of what several tags use.
pub const SHARED: &str = "shared";
const SCHEMAS: &str = "#/components/schemas/";

type Parts = BTreeMap<String, Value>;

/// The document's parts by name.
pub fn parts(document: &Value) -> Parts {
    let alike = alike(document);
    let users = users_of_schemas(document);
    let mut parts = Parts::new();
    let mut rest = document.clone();
    for (path, method, operation) in operations(document) {
        let mut operation = operation.clone();
        for_each_piece(&mut operation, |piece| {
            if let Some(name) = alike.get(&piece.to_string()) {
                *piece = Value::String(name.clone());
            }
        });
        let tag = tag_of(&operation).to_owned();
        put(
            &mut parts,
            &tag,
            "paths",
            &format!("{method} {path}"),
            operation,
        );
    }
    for (name, schema) in object(&document["components"]["schemas"]) {
        let part = match users.get(name).map(|tags| tags.iter().collect::<Vec<_>>()) {
            Some(tags) if tags.len() == 1 => tags[0].clone(),
            _ => SHARED.to_owned(),
        };
        put(&mut parts, &part, "schemas", name, schema.clone());
    }
    for (piece, name) in alike {
        let piece = serde_json::from_str(&piece).unwrap();
        put(&mut parts, SHARED, "alike", &name, piece);
    }
    rest["paths"] = Value::Null;
    rest["components"]["schemas"] = Value::Null;
    put(&mut parts, SHARED, "document", "rest", rest);
    parts
}

/// The document that these parts are of.
pub fn together(parts: &Parts) -> Value {
    let mut document = parts[SHARED]["document"]["rest"].clone();
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for part in parts.values() {
        for (at, operation) in object(&part["paths"]) {
            let (method, path) = at.split_once(' ').unwrap();
            let mut operation = operation.clone();
            for_each_piece(&mut operation, |piece| {
                if let Value::String(name) = piece {
                    *piece = parts[SHARED]["alike"][&*name].clone();
                }
            });
            let item = paths.entry(path).or_insert_with(|| Map::new().into());
            item[method] = operation;
        }
        schemas
            .extend(object(&part["schemas"]).map(|(name, schema)| (name.clone(), schema.clone())));
    }
    document["paths"] = paths.into();
    document["components"]["schemas"] = schemas.into();
    document
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    object(&document["paths"]).flat_map(|(path, item)| {
        object(item).map(move |(method, operation)| (path, method, operation))
    })
}

fn tag_of(operation: &Value) -> &str {
    operation["tags"][0].as_str().unwrap()
}

fn put(parts: &mut Parts, part: &str, group: &str, name: &str, value: Value) {
    let part = parts
        .entry(part.to_owned())
        .or_insert_with(|| Map::new().into());
    part[group][name] = value;
}

/// Every response and parameter.
fn for_each_piece(operation: &mut Value, mut with: impl FnMut(&mut Value)) {
    let responses = operation["responses"].as_object_mut().unwrap();
    responses.values_mut().for_each(&mut with);
    if let Some(parameters) = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
    {
        parameters.iter_mut().for_each(with);
    }
}

/// Pieces that several operations have alike, with a name for each: `404 a`, `Idempotency-Key a`.
fn alike(document: &Value) -> BTreeMap<String, String> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (_, _, operation) in operations(document) {
        for (status, response) in object(&operation["responses"]) {
            *counts
                .entry((status.clone(), response.to_string()))
                .or_default() += 1;
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap().to_owned();
            *counts.entry((name, parameter.to_string())).or_default() += 1;
        }
    }
    let mut letters: BTreeMap<String, char> = BTreeMap::new();
    let often = counts.into_iter().filter(|(_, count)| *count >= ALIKE_MIN);
    often
        .map(|((of, piece), _)| {
            let letter = letters.entry(of.clone()).or_insert('`');
            *letter = char::from_u32(u32::from(*letter) + 1).unwrap();
            (piece, format!("{of} {letter}"))
        })
        .collect()
}

/// The tags whose operations use a schema, directly or through others.
fn users_of_schemas(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, _, operation) in operations(document) {
        let mut to_do = schemas_in(operation);
        while let Some(name) = to_do.pop() {
            if users
                .entry(name.clone())
                .or_default()
                .insert(tag_of(operation).to_owned())
            {
                to_do.extend(schemas_in(&document["components"]["schemas"][&name]));
            }
        }
    }
    users
}

fn schemas_in(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(to)) => to
                    .strip_prefix(SCHEMAS)
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
                _ => schemas_in(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(schemas_in).collect(),
        _ => Vec::new(),
    }
}
