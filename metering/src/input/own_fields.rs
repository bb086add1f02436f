//! CloudEvents with fields of their own, through a map that says what each is.
//!
//! ```json
//! {"fields": {"customer": "tenantid", "quantity": "data.seconds", "destination": "data.callee"},
//!  "attributes": {"region": "data.region"}, "constants": {"meter": "call"}, "ignore": ["data.trace"]}
//! ```
//! A place is an attribute of the envelope by its name (extensions too), or a field of `data` behind a dot. What the map
//! does not name is read as ever; a field of `data` that nobody names is refused.

use super::rawjson::{self, Pairs};
use super::{fields, json};
use crate::command::Problem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The fields of an event that a place or a constant may give.
const FIELDS: [&str; 8] = ["customer", "meter", "quantity", "amount", "at", "destination", "origin", "hold"];
/// Fields of one object.
const NAMES_MAX: usize = 256;
type Object<'a> = Pairs<'a, NAMES_MAX>;

/// Where the fields of an event stand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnFields {
    /// Field of the event → place.
    pub fields: BTreeMap<String, String>,
    /// Attribute → place; absent or null is no attribute.
    pub attributes: BTreeMap<String, String>,
    /// Field → value of every event that has no place for it, or nothing there.
    pub constants: BTreeMap<String, String>,
    /// Places in `data` that mean nothing.
    pub ignore: Vec<String>,
}

impl OwnFields {
    /// # Errors
    /// A field that no event has.
    pub fn check(&self) -> Result<(), Problem> {
        match self.fields.keys().chain(self.constants.keys()).find(|name| !FIELDS.contains(&name.as_str())) {
            Some(name) => {
                let known = FIELDS.join(", ");
                Err(Problem::field(
                    "unknown_field",
                    format!("map.{name}"),
                    format!("`{name}` is not a field that a map gives; they are {known}"),
                ))
            }
            None => Ok(()),
        }
    }

    /// The `data` as its own fields would have it, written anew. `envelope`: an attribute's raw value by its name.
    pub(super) fn data<'e>(&self, data: &str, envelope: impl Fn(&str) -> Option<Cow<'e, str>>) -> Result<String, Problem> {
        let object = Object::read(data).map_err(|error| fields::invalid("data", json::not_json(error)))?;
        let place = |path: &str| -> Option<Cow<'_, str>> {
            match path.strip_prefix("data.") {
                Some(path) => inside(&object, path).map(Cow::Borrowed),
                None => envelope(path).map(|raw| Cow::Owned(raw.into_owned())),
            }
        };
        let mut written: Vec<(String, String)> = Vec::new();
        for name in FIELDS {
            let stands = self.fields.get(name).and_then(|path| place(path)).filter(|raw| raw.as_ref() != "null");
            let constant = || self.constants.get(name).map(|text| quoted(text));
            let own = || object.get(name).filter(|_| !self.fields.contains_key(name)).map(str::to_owned);
            let value = stands.map(|raw| if is_number(name) { raw.into_owned() } else { as_text(&raw) }).or_else(own).or_else(constant);
            written.extend(value.map(|value| (name.to_owned(), value)));
        }
        if let Some(attributes) = self.attributes(&object, place)? {
            written.push(("attributes".to_owned(), attributes));
        }
        let rest = object.pairs.iter().filter(|(name, _)| !self.names(name) && !FIELDS.contains(&name.as_ref()) && name != "attributes");
        written.extend(rest.map(|(name, raw)| (name.clone().into_owned(), (*raw).to_owned())));
        let pairs: Vec<String> = written.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
        Ok(format!("{{{}}}", pairs.join(",")))
    }

    /// Those of `data` and those of the map.
    fn attributes<'v>(&self, object: &Object<'_>, place: impl Fn(&str) -> Option<Cow<'v, str>>) -> Result<Option<String>, Problem> {
        let given = object.get("attributes");
        let read: Option<BTreeMap<&str, &RawValue>> =
            given.map(serde_json::from_str).transpose().map_err(|_| fields::invalid("attributes", "expected an object of texts"))?;
        let mut pairs: Vec<String> = read.into_iter().flatten().map(|(name, raw)| format!("{}:{}", quoted(name), raw.get())).collect();
        for (name, path) in &self.attributes {
            if let Some(raw) = place(path).filter(|raw| raw.as_ref() != "null") {
                pairs.push(format!("{}:{}", quoted(name), as_text(&raw)));
            }
        }
        Ok((!pairs.is_empty()).then(|| format!("{{{}}}", pairs.join(","))))
    }

    /// Does the map say what this field of `data` is, or that it is nothing?
    fn names(&self, name: &str) -> bool {
        let first = |path: &String| path.strip_prefix("data.").and_then(|path| path.split('.').next()).is_some_and(|first| first == name);
        self.fields.values().chain(self.attributes.values()).chain(&self.ignore).any(first)
    }
}

fn is_number(field: &str) -> bool {
    matches!(field, "quantity" | "amount")
}

/// `a.b` is the field `b` of the object `a`.
fn inside<'a>(object: &Object<'a>, path: &str) -> Option<&'a str> {
    match path.split_once('.') {
        None => object.get(path),
        Some((first, rest)) => inside(&Object::read(object.get(first)?).ok()?, rest),
    }
}

/// A number or a truth value as text; a text as it is.
fn as_text(raw: &str) -> String {
    match rawjson::scalar(raw) {
        Some(text) if !raw.starts_with('"') => quoted(&text),
        None if raw == "true" || raw == "false" => quoted(raw),
        _ => raw.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
