//! Plain JSON usage: one event, an array of events, or `{"events":[…]}`.
//!
//! ```json
//! {"id":"0192…","source":"pbx-1","customer":"acme-42","meter":"call","quantity":"600",
//!  "at":"2026-11-20T09:00:00Z","destination":"+4930123456","attributes":{"direction":"outbound"}}
//! ```
//! The body is read once, in place. Unknown fields are refused by name; a field that is `null` is
//! absent.

use super::fields::{self, ATTRIBUTES_MAX, DEFAULT_SOURCE, ID_CHARS_MAX, NAME_CHARS_MAX};
use super::rawjson::{self, Pairs};
use super::row::{Parsed, too_many};
use crate::{BATCH_EVENTS_MAX, UsageEvent, sheet};
use compact_str::CompactString;
use problem::{Code, Problem};
use rating::Instant;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What an event may leave out because the request says it elsewhere (an envelope, a path, the
/// clock).
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults<'a> {
    pub id: Option<&'a str>,
    pub source: Option<&'a str>,
    pub customer: Option<&'a str>,
    pub meter: Option<&'a str>,
    pub at: Option<Instant>,
}

/// The events of a body, in order. An error is the whole request's: not JSON, or more than
/// [`BATCH_EVENTS_MAX`] events (`batch_too_large`).
pub fn parse(body: &[u8]) -> Result<Vec<Parsed>, Problem> {
    let text = crate::input::row::utf8(body)?.trim_ascii();
    if text.starts_with('[') {
        return array(text);
    }
    let found: Fields<'_> = serde_json::from_str(text).map_err(|error| not_json(text, &error))?;
    match found.events {
        Some(raw) if raw.starts_with('[') && found.is_only_events() => array(raw),
        Some(_) => Err(fields::invalid(
            "events",
            "expected an array, alone in the body",
        )),
        None => Ok(vec![found.into_event(&Defaults::default())]),
    }
}

/// One event, with defaults for what it leaves out.
pub fn event(text: &str, defaults: &Defaults<'_>) -> Parsed {
    let found: Fields<'_> =
        serde_json::from_str(text).map_err(|error| (String::new(), not_json(text, &error)))?;
    match found.events {
        Some(_) => Err((String::new(), unknown("events"))),
        None => found.into_event(defaults),
    }
}

/// `text`: all of what was read.
pub(crate) fn not_json(text: &str, error: &serde_json::Error) -> Problem {
    let said = match sheet::without_rows(text.as_bytes()) {
        Some(kind) => format!("this is {kind}"),
        None => rating::validate::located(text.as_bytes(), error),
    };
    Problem::new(Code::InvalidJson, format!("not valid JSON: {said}"))
}

/// A name that one object has twice: nobody knows which of the two is meant.
pub(super) fn twice(path: &str) -> Problem {
    fields::invalid(path, "given twice")
}

/// The beginning of a raw value, for a message.
pub(super) fn found(raw: &str) -> String {
    const CHARS_MAX: usize = 40;
    match raw.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &raw[..end]),
        None => raw.to_owned(),
    }
}

fn unknown(name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    let known = NAMES.join(", ");
    Problem::field(
        Code::UnknownField,
        name.clone(),
        format!("`{name}` is not a field of a usage event; they are {known}"),
    )
}

fn array(text: &str) -> Result<Vec<Parsed>, Problem> {
    // An element that serde cannot hold (a number out of range) must not cost the others: read
    // again, one by one.
    elements(Batch::<false>, text)
        .or_else(|_| elements(Batch::<true>, text))
        .map_err(|error| not_json(text, &error))?
}

fn elements<'a, S: DeserializeSeed<'a>>(
    seed: S,
    text: &'a str,
) -> Result<S::Value, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut json)?;
    json.end().map(|()| value)
}

/// Reads an array of events; `Err` inside: more than a batch may have.
struct Batch<const ONE_BY_ONE: bool>;

impl<const ONE_BY_ONE: bool> Batch<ONE_BY_ONE> {
    fn next<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Option<Parsed>, A::Error> {
        let none = Defaults::default();
        if ONE_BY_ONE {
            return Ok(seq
                .next_element::<&RawValue>()?
                .map(|raw| event(raw.get(), &none)));
        }
        Ok(seq
            .next_element::<Fields<'de>>()?
            .map(|found| found.into_event(&none)))
    }
}

impl<'de, const ONE_BY_ONE: bool> DeserializeSeed<'de> for Batch<ONE_BY_ONE> {
    type Value = Result<Vec<Parsed>, Problem>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de, const ONE_BY_ONE: bool> Visitor<'de> for Batch<ONE_BY_ONE> {
    type Value = Result<Vec<Parsed>, Problem>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(parsed) = Self::next(&mut seq)? {
            if events.len() == BATCH_EVENTS_MAX {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Err(too_many()));
            }
            events.push(parsed);
        }
        Ok(Ok(events))
    }
}

/// The fields of a usage event; [`Fields::raw`] is in this order.
const NAMES: [&str; 11] = [
    "id",
    "source",
    "customer",
    "meter",
    "quantity",
    "amount",
    "at",
    "destination",
    "origin",
    "attributes",
    "hold",
];

/// An event as raw values in place. Reading it fails only on broken JSON; what is wrong with its
/// form is kept for [`Fields::into_event`] to say.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    raw: [Option<&'a str>; NAMES.len()],
    events: Option<&'a str>,
    unknown: Option<String>,
    twice: Option<&'static str>,
    not_an_object: bool,
}

impl<'a> Fields<'a> {
    fn is_only_events(&self) -> bool {
        self.unknown.is_none() && self.twice.is_none() && self.raw.iter().all(Option::is_none)
    }

    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        NAMES
            .iter()
            .position(|n| *n == name)
            .and_then(|i| self.raw[i])
    }

    fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        rawjson::string(raw)
            .map(Some)
            .ok_or_else(|| match rawjson::scalar(raw) {
                Some(digits) => fields::invalid(
                    name,
                    format_args!("expected text, such as \"{digits}\"; found {digits}"),
                ),
                None => fields::invalid(name, format_args!("expected text; found {}", found(raw))),
            })
    }

    fn required<T: for<'t> From<&'t str>>(
        &self,
        name: &str,
        default: Option<&str>,
        chars_max: usize,
    ) -> Result<T, Problem> {
        match (self.text(name)?, default) {
            (Some(text), _) => fields::text(name, &text, chars_max).map(T::from),
            (None, Some(text)) => fields::text(name, text, chars_max).map(T::from),
            (None, None) => Err(fields::missing(name)),
        }
    }

    fn number(&self, name: &str) -> Result<Option<CompactString>, Problem> {
        self.text(name)?
            .map_or(Ok(None), |text| fields::number(name, &text))
    }

    fn decimal<T>(
        &self,
        name: &str,
        read: fn(&str, &str) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        let expected = || {
            format!(
                "expected a decimal as text or number, such as \"60\" or 0.5; found {}",
                found(raw)
            )
        };
        let digits = rawjson::scalar(raw).ok_or_else(|| fields::invalid(name, expected()))?;
        read(name, &digits).map(Some)
    }

    fn at(&self, default: Option<Instant>) -> Result<Instant, Problem> {
        match (self.text("at")?, default) {
            (Some(text), _) => fields::instant("at", &text),
            (None, Some(at)) => Ok(at),
            (None, None) => Err(fields::missing("at")),
        }
    }

    fn attributes(&self) -> Result<Vec<(String, String)>, Problem> {
        let Some(raw) = self.raw("attributes") else {
            return Ok(Vec::new());
        };
        let expected = || {
            format!(
                "expected an object of texts, such as {{\"direction\":\"outbound\"}}; found {}",
                found(raw)
            )
        };
        let found = Pairs::<ATTRIBUTES_MAX>::read(raw)
            .map_err(|_| fields::invalid("attributes", expected()))?;
        if found.more {
            return Err(fields::invalid(
                "attributes",
                format_args!("at most {ATTRIBUTES_MAX} are kept"),
            ));
        }
        let mut attributes = Vec::with_capacity(found.pairs.len());
        for (name, raw) in &found.pairs {
            let value = rawjson::string(raw);
            let value = value.ok_or_else(|| {
                fields::invalid(
                    &format!("attributes.{name}"),
                    "expected text, such as \"true\" or \"5\"",
                )
            })?;
            fields::push_attribute(&mut attributes, name, &value)?;
        }
        fields::sort_attributes(&mut attributes)?;
        Ok(attributes)
    }

    /// The ladder of checks: form, identity, who and what, how much, when, the rest.
    fn check(&self, defaults: &Defaults<'_>) -> Result<UsageEvent, Problem> {
        if self.not_an_object {
            return Err(Problem::new(
                Code::InvalidEvent,
                "expected an event: a JSON object",
            ));
        }
        if let Some(name) = &self.unknown {
            return Err(unknown(name));
        }
        if let Some(name) = self.twice {
            return Err(twice(name));
        }
        let id: String = self.required("id", defaults.id, ID_CHARS_MAX)?;
        fields::identity(&id)?;
        let source = self.required(
            "source",
            defaults.source.or(Some(DEFAULT_SOURCE)),
            NAME_CHARS_MAX,
        )?;
        let customer = self.required("customer", defaults.customer, ID_CHARS_MAX)?;
        let meter: CompactString = self.required("meter", defaults.meter, NAME_CHARS_MAX)?;
        let amount = self.decimal("amount", fields::amount)?;
        let quantity =
            fields::measure(self.decimal("quantity", fields::quantity)?, amount, &meter)?;
        let at = self.at(defaults.at)?;
        let destination = self.number("destination")?;
        let origin = self.number("origin")?;
        let attributes = self.attributes()?;
        let hold = self
            .raw("hold")
            .map(|_| self.required("hold", None, ID_CHARS_MAX))
            .transpose()?;
        Ok(UsageEvent {
            id,
            source,
            customer,
            meter,
            quantity,
            amount,
            at,
            destination,
            origin,
            attributes,
            hold,
            raw: None,
        })
    }

    pub(super) fn into_event(self, defaults: &Defaults<'_>) -> Parsed {
        self.check(defaults)
            .map_err(|problem| (self.readable_id(defaults), problem))
    }

    /// The id for the answer to a refused event, if it can be told at all.
    fn readable_id(&self, defaults: &Defaults<'_>) -> String {
        let id = self
            .text("id")
            .ok()
            .flatten()
            .or(defaults.id.map(Cow::Borrowed))
            .unwrap_or_default();
        id.chars()
            .filter(|c| !c.is_control())
            .take(ID_CHARS_MAX)
            .collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

/// A value that is no event: noted, not an error of the JSON.
macro_rules! not_an_object {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Fields<'de>, E> {
            Ok(Fields { not_an_object: true, ..Fields::default() })
        })*
    };
}

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a usage event")
    }
    not_an_object!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    fn visit_unit<E>(self) -> Result<Fields<'de>, E> {
        Ok(Fields {
            not_an_object: true,
            ..Fields::default()
        })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fields<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields {
            not_an_object: true,
            ..Fields::default()
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let (mut found, mut seen) = (Fields::default(), 0_u16);
        while let Some(key) = map.next_key::<Key>()? {
            let raw = map.next_value::<&RawValue>()?.get();
            let (slot, number) = match key {
                Key::Field(index) => (&mut found.raw[index], index),
                Key::Events => (&mut found.events, NAMES.len()),
                Key::Unknown(name) => {
                    found.unknown.get_or_insert(name);
                    continue;
                }
            };
            // Absent too, where it is `null`: a field is said once.
            if seen & (1 << number) != 0 {
                found.twice = Some(key.name());
            } else if raw != "null" {
                *slot = Some(raw);
            }
            seen |= 1 << number;
        }
        Ok(found)
    }
}

enum Key {
    Field(usize),
    Events,
    Unknown(String),
}

impl Key {
    fn name(&self) -> &'static str {
        match self {
            Self::Field(index) => NAMES[*index],
            Self::Events | Self::Unknown(_) => "events",
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(match NAMES.iter().position(|n| *n == name) {
                    Some(index) => Key::Field(index),
                    None if name == "events" => Key::Events,
                    None => Key::Unknown(name.to_owned()),
                })
            }
        }
        d.deserialize_identifier(V)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
