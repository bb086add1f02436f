//! A walk of a JSON document along the table of fields: every field that is unknown, missing or
//! malformed, with its path.

use super::fields::{Field, Kind, MODELS, PRICE};
use crate::validate::{MISTAKES_MAX, Mistake};
use serde_json::{Map, Value};

pub(super) struct Walk {
    pub(super) path: String,
    pub(super) bad: Vec<Mistake>,
}

impl Walk {
    pub(super) fn report(&mut self, code: &'static str, message: impl Into<String>) {
        if self.bad.len() < MISTAKES_MAX {
            self.bad
                .push(Mistake::new(self.path.clone(), code, message));
        }
    }

    /// Runs `check` one level down.
    fn below(&mut self, part: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !part.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(part);
        check(self);
        self.path.truncate(length);
    }

    pub(super) fn check(&mut self, value: &Value, kind: &Kind) {
        match (kind, value) {
            (Kind::Leaf(read, expected), value) => {
                if let Err(error) = read(value) {
                    let own = error.to_string();
                    // What serde says of types is in the words of Rust; what our own types say is
                    // for people.
                    let is_ours = !["invalid ", "unknown ", "missing "]
                        .iter()
                        .any(|theirs| own.starts_with(theirs));
                    let message = if is_ours {
                        format!("{own}, found {}", found(value))
                    } else {
                        format!("expected {expected}, found {}", found(value))
                    };
                    self.report("bad_value", message);
                }
            }
            (Kind::Object(fields), Value::Object(map)) => self.object(map, &[*fields]),
            (Kind::Priced(fields, one_of), Value::Object(map)) => {
                self.object(map, &[*fields]);
                if !one_of
                    .iter()
                    .any(|name| map.get(*name).is_some_and(|value| !value.is_null()))
                {
                    let (first, rest) = (
                        one_of.first().copied().unwrap_or_default(),
                        one_of.get(1..).unwrap_or_default(),
                    );
                    let message = format!(
                        "expected this field or {}; what costs nothing has \"0\"",
                        rest.join(", ")
                    );
                    self.below(first, |walk| walk.report("missing_field", message));
                }
            }
            (Kind::Price, Value::Object(map)) => self.price(map),
            (Kind::List(kind), Value::Array(list)) => {
                for (index, value) in list.iter().enumerate() {
                    self.below(&format!("[{index}]"), |walk| walk.check(value, kind));
                }
            }
            (Kind::Map(kind), Value::Object(map)) => {
                for (name, value) in map {
                    self.below(name, |walk| walk.check(value, kind));
                }
            }
            (Kind::List(_), _) => self.report(
                "bad_value",
                format!("expected a list, found {}", found(value)),
            ),
            _ => self.report(
                "bad_value",
                format!("expected an object, found {}", found(value)),
            ),
        }
    }

    fn price(&mut self, map: &Map<String, Value>) {
        let name = map.get("model").and_then(Value::as_str).unwrap_or("");
        match MODELS.iter().find(|(known, _)| *known == name) {
            Some((_, fields)) => self.object(map, &[PRICE, fields]),
            None => {
                let known: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
                self.below("model", |walk| {
                    walk.report(
                        "unknown_model",
                        format!("expected one of {}", known.join(", ")),
                    )
                });
            }
        }
    }

    fn object(&mut self, map: &Map<String, Value>, tables: &[&[Field]]) {
        let fields = || tables.iter().flat_map(|fields| fields.iter());
        for (name, value) in map {
            match fields().find(|field| field.name == name) {
                None => {
                    let known: Vec<&str> = fields().map(|field| field.name).collect();
                    let message = format!(
                        "there is no such field; the fields here are {}",
                        known.join(", ")
                    );
                    self.below(name, |walk| walk.report("unknown_field", message));
                }
                Some(field) if value.is_null() && !field.required => {}
                Some(field) => self.below(name, |walk| walk.check(value, &field.kind)),
            }
        }
        for field in fields().filter(|field| field.required && !map.contains_key(field.name)) {
            self.below(field.name, |walk| {
                walk.report("missing_field", "expected this field")
            });
        }
    }
}

/// Characters of what was found that a message shows.
const FOUND_CHARS_MAX: usize = 40;

fn found(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
