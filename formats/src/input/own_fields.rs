//! CloudEvents with fields of their own, through a map that says what each is.
//!
//! ```json
//! {"fields": {"customer": "tenantid", "quantity": "data.seconds", "destination": "data.callee"},
//!  "attributes": {"region": "data.region"}, "constants": {"meter": "call"}, "ignore": ["data.trace"]}
//! ```
//! A place is an attribute of the envelope by its name (extensions too), or a field of `data`
//! behind a dot, at any depth. What the map does not name is read as ever, unless the map takes
//! that field from elsewhere; any other field of `data`, at any depth, is refused: nothing that is
//! there is half understood.

use super::rawjson::{self, Pairs};
use super::said::{self, AmountUnit, Named};
use super::titles;
use super::when::DateForm;
use super::{fields, json};
use crate::sheet::decimal::Mark;
use crate::sheet::duration::{self, DurationForm};
use crate::sheet::shown;
use problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The fields of an event that a place or a constant may give.
const FIELDS: [&str; 8] = [
    "customer",
    "meter",
    "quantity",
    "amount",
    "at",
    "destination",
    "origin",
    "hold",
];
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
    /// What the numbers of `quantity` are, where the name of its place says another unit than the
    /// meter's.
    pub duration_form: Option<DurationForm>,
    /// What the numbers of `amount` are, where the name of its place says so.
    pub amount_unit: Option<AmountUnit>,
}

impl OwnFields {
    /// # Errors
    /// A field that no event has, a place that is none, or that the map names for two things.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(name) = self
            .fields
            .keys()
            .chain(self.constants.keys())
            .find(|name| !FIELDS.contains(&name.as_str()))
        {
            let detail = format!(
                "`{name}` is not a field that a map gives; they are {}",
                FIELDS.join(", ")
            );
            return Err(Problem::field(
                Code::UnknownField,
                format!("map.{name}"),
                detail,
            ));
        }
        for (at, path) in self.places() {
            let is_path =
                |path: &str| !path.is_empty() && path.split('.').all(|part| !part.is_empty());
            if !is_path(path)
                || path == "data"
                || (at == "map.ignore" && !path.starts_with("data."))
            {
                let expected = "expected a field of `data`, such as data.usage.seconds (or, if it \
                    is not ignored, the name of an attribute)";
                return Err(fields::invalid(
                    &at,
                    format_args!("{expected}; found {}", shown(path)),
                ));
            }
        }
        self.check_overlaps()?;
        self.check_words()
    }

    /// What a place says of its field, by all of its parts, is understood or stated: by the words
    /// of the titles of columns.
    fn check_words(&self) -> Result<(), Problem> {
        let of = |field: &'static str| {
            self.fields
                .get(field)
                .map(|place| (place.as_str(), titles::of_place(place, field)))
        };
        let of_map = |problem: Problem| Problem {
            field: problem.field.map(|field| format!("map.fields.{field}")),
            ..problem
        };
        let meter = self
            .constants
            .get("meter")
            .map(String::as_str)
            .filter(|_| !self.fields.contains_key("meter"));
        if let Some((place, title)) = of("quantity") {
            let named = Named::Place {
                place,
                title: &title,
            };
            said::check_durations(named, self.duration_form, meter)
                .and_then(|read| read)
                .map_err(of_map)?;
            said::check_words_of_quantities(named, self.duration_form, meter).map_err(of_map)?;
        }
        if let Some((place, title)) = of("amount") {
            let named = Named::Place {
                place,
                title: &title,
            };
            said::check_amounts(named, self.amount_unit).map_err(of_map)?;
            said::check_words_of_amounts(named, self.amount_unit).map_err(of_map)?;
        }
        let Some((place, title)) = of("at") else {
            return Ok(());
        };
        said::check_instants(
            "at",
            Named::Place {
                place,
                title: &title,
            },
            None,
            DateForm::default(),
        )
        .map_err(of_map)
    }

    /// A number as the map states it.
    fn number(&self, field: &str, raw: &str) -> Result<String, Problem> {
        let text = raw.trim_matches('"');
        let place = || self.place_of(field).unwrap_or_default();
        let wrong = |detail: String| fields::invalid(&place(), detail);
        match (field, self.duration_form, self.amount_unit) {
            ("quantity", Some(form), _) if form != DurationForm::Number => {
                duration::read(text, form, Mark::Point)
                    .map(|read| quoted(&read.to_string()))
                    .map_err(wrong)
            }
            ("amount", _, Some(AmountUnit::Cents)) => {
                let amount = text.parse().map_err(|_| {
                    wrong(format!(
                        "cannot read {}: expected a decimal number",
                        shown(raw)
                    ))
                })?;
                said::amount(self.amount_unit, amount).map(|amount| quoted(&amount.to_string()))
            }
            _ => Ok(raw.to_owned()),
        }
    }

    /// What is one thing is no other, and no part of another.
    fn check_overlaps(&self) -> Result<(), Problem> {
        let places: Vec<_> = self.places().collect();
        let all = places.iter().enumerate();
        let pairs = all.flat_map(|(index, one)| {
            places
                .get(index + 1..)
                .unwrap_or_default()
                .iter()
                .map(move |other| (one, other))
        });
        for ((at, path), (other_at, other)) in pairs {
            // An attribute may keep what is a field too.
            let is_attribute = |at: &str| at.starts_with("map.attributes.");
            let is_same = path == other && !is_attribute(at) && !is_attribute(other_at);
            let is_ignored = path == other && other_at == "map.ignore";
            if is_same || is_ignored || is_within(path, other) || is_within(other, path) {
                let detail = format!(
                    "{} is named by {at} already, or is part of it ({})",
                    shown(other),
                    shown(path)
                );
                return Err(fields::invalid(other_at, detail));
            }
        }
        Ok(())
    }

    /// Everything that the map names, and where it does.
    fn places(&self) -> impl Iterator<Item = (String, &str)> {
        let fields = self
            .fields
            .iter()
            .map(|(name, path)| (format!("map.fields.{name}"), path.as_str()));
        let attributes = self
            .attributes
            .iter()
            .map(|(name, path)| (format!("map.attributes.{name}"), path.as_str()));
        fields.chain(attributes).chain(
            self.ignore
                .iter()
                .map(|path| ("map.ignore".to_owned(), path.as_str())),
        )
    }

    /// Where a field of the event, or an attribute, stands by this map: for what is said of it.
    pub(super) fn place_of(&self, field: &str) -> Option<String> {
        if let Some(name) = field.strip_prefix("attributes.") {
            return self.attributes.get(name).cloned();
        }
        self.fields.get(field).cloned()
    }

    /// The `data` as its own fields would have it, written anew. `envelope`: an attribute's raw
    /// value by its name.
    pub(super) fn data<'e>(
        &self,
        data: &str,
        envelope: impl Fn(&str) -> Option<Cow<'e, str>>,
    ) -> Result<String, Problem> {
        let object = Object::read(data)
            .map_err(|error| fields::invalid("data", json::not_json(data, &error).detail))?;
        self.check_names("data", &object)?;
        let place = |path: &str| -> Option<Cow<'_, str>> {
            match path.strip_prefix("data.") {
                Some(path) => inside(&object, path).map(Cow::Borrowed),
                None => envelope(path).map(|raw| Cow::Owned(raw.into_owned())),
            }
        };
        let mut written: Vec<(String, String)> = Vec::new();
        for name in FIELDS {
            let stands = self
                .fields
                .get(name)
                .and_then(|path| place(path))
                .filter(|raw| raw.as_ref() != "null");
            let constant = || self.constants.get(name).map(|text| quoted(text));
            let own = || {
                object
                    .get(name)
                    .filter(|_| !self.fields.contains_key(name))
                    .map(str::to_owned)
            };
            let stands = stands
                .map(|raw| {
                    if is_number(name) {
                        self.number(name, &raw)
                    } else {
                        Ok(as_text(&raw))
                    }
                })
                .transpose()?;
            let value = stands.or_else(own).or_else(constant);
            if let Some(place) = self
                .fields
                .get(name)
                .filter(|_| value.is_none() && is_needed(name))
            {
                // What stands elsewhere in the envelope is something else.
                return Err(Problem::field(
                    Code::MissingField,
                    place.clone(),
                    format!("`{place}`: the map takes `{name}` from there"),
                ));
            }
            written.extend(value.map(|value| (name.to_owned(), value)));
        }
        if let Some(attributes) = self.attributes(&object, place)? {
            written.push(("attributes".to_owned(), attributes));
        }
        let pairs: Vec<String> = written
            .iter()
            .map(|(name, value)| format!("{}:{value}", quoted(name)))
            .collect();
        Ok(format!("{{{}}}", pairs.join(",")))
    }

    /// Is every field of this object of `data`, and of those within it, one that the map names, or
    /// one of an event?
    fn check_names(&self, path: &str, object: &Object<'_>) -> Result<(), Problem> {
        if object.more {
            return Err(fields::invalid(
                path,
                format_args!("an object has at most {NAMES_MAX} fields"),
            ));
        }
        for (name, raw) in &object.pairs {
            let place = format!("{path}.{name}");
            let is_one_name = !name.contains('.');
            if is_one_name && self.places().any(|(_, named)| named == place) {
                continue;
            }
            if is_one_name && self.places().any(|(_, named)| is_within(named, &place)) {
                if *raw != "null" {
                    let expected = || {
                        fields::invalid(
                            &place,
                            format_args!("expected an object; found {}", json::found(raw)),
                        )
                    };
                    let within = if raw.starts_with('{') {
                        Object::read(raw).ok()
                    } else {
                        None
                    };
                    self.check_names(&place, &within.ok_or_else(expected)?)?;
                }
                continue;
            }
            self.check_usual(path, name, raw)?;
        }
        Ok(())
    }

    /// A field that the map does not name.
    fn check_usual(&self, path: &str, name: &str, raw: &str) -> Result<(), Problem> {
        let is_usual = path == "data" && (FIELDS.contains(&name) || name == "attributes");
        let place = format!("{path}.{name}");
        let detail = match self.fields.get(name) {
            Some(other) if is_usual && raw != "null" => {
                format!(
                    "`{place}`: the map takes `{name}` from `{other}`; if this one means nothing, \
                        name it in the map's `ignore`"
                )
            }
            _ if is_usual => return Ok(()),
            _ => format!(
                "`{place}`: the map does not say what it is: name it among `fields` or \
                    `attributes`, or in `ignore` if it means nothing"
            ),
        };
        Err(Problem::field(Code::UnknownField, place, detail))
    }

    /// Those of `data` and those of the map.
    fn attributes<'v>(
        &self,
        object: &Object<'_>,
        place: impl Fn(&str) -> Option<Cow<'v, str>>,
    ) -> Result<Option<String>, Problem> {
        let given = object.get("attributes");
        let read = given
            .filter(|raw| *raw != "null")
            .map(Object::read)
            .transpose();
        let read =
            read.map_err(|_| fields::invalid("data.attributes", "expected an object of texts"))?;
        let named = read.iter().flat_map(|read| &read.pairs);
        let mut pairs: Vec<String> = named
            .map(|(name, raw)| format!("{}:{raw}", quoted(name)))
            .collect();
        for (name, path) in &self.attributes {
            if let Some(raw) = place(path).filter(|raw| raw.as_ref() != "null") {
                pairs.push(format!("{}:{}", quoted(name), as_text(&raw)));
            }
        }
        Ok((!pairs.is_empty()).then(|| format!("{{{}}}", pairs.join(","))))
    }
}

/// Is `path` a part of what stands at `whole`?
fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole)
        .is_some_and(|rest| rest.starts_with('.'))
}

fn is_needed(field: &str) -> bool {
    matches!(field, "customer" | "meter" | "quantity" | "at")
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

#[cfg(test)]
#[path = "own_fields_tests.rs"]
mod tests;
