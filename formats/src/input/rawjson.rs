//! JSON read in place: an object as (name, raw value) pairs that point into the body, so that the
//! digits of a number are the ones that were sent.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Pairs of one object in order; more than `LIMIT` are read but not kept, and `more` says so.
#[derive(Debug)]
pub struct Pairs<'a, const LIMIT: usize> {
    pub pairs: Vec<(Cow<'a, str>, &'a str)>,
    pub more: bool,
}

impl<'a, const LIMIT: usize> Pairs<'a, LIMIT> {
    pub fn read(raw: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(raw)
    }
    /// The raw value of the first pair of that name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.pairs
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, raw)| *raw)
    }
    /// The text of a string or the digits of a number; `None`: absent, empty, or neither.
    pub fn scalar(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)
            .and_then(scalar)
            .filter(|text| !text.is_empty())
    }
}

impl<'de: 'a, 'a, const LIMIT: usize> Deserialize<'de> for Pairs<'a, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<const LIMIT: usize>;
        impl<'de, const LIMIT: usize> Visitor<'de> for V<LIMIT> {
            type Value = Pairs<'de, LIMIT>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut pairs, mut more) = (Vec::new(), false);
                while let Some(Name(name)) = map.next_key()? {
                    if pairs.len() < LIMIT {
                        pairs.push((name, map.next_value::<&RawValue>()?.get()));
                    } else {
                        more = true;
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Pairs { pairs, more })
            }
        }
        d.deserialize_map(V::<LIMIT>)
    }
}

/// A name, borrowed from the body unless it has escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        d.deserialize_str(V)
    }
}

/// The text of a raw JSON string; `None`: not a string (or broken escapes).
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The digits of a raw JSON number, or the text of a string.
pub fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first() {
        Some(b'"') => string(raw),
        Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(raw)),
        _ => None,
    }
}

/// Is the text one JSON value?
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ())
}

/// The path of the first name that an object of `json` has twice, at whatever depth. `json` is
/// JSON. Which of the two a reader takes is chance, so that none is right.
pub fn given_twice(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    let (mut levels, mut at): (Vec<Level<'_>>, usize) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => levels.push(Level {
                names: Some(HashSet::new()),
                is_name_next: true,
                name: Cow::Borrowed(""),
            }),
            b'[' => levels.push(Level {
                names: None,
                is_name_next: false,
                name: Cow::Borrowed(""),
            }),
            b'}' | b']' => drop(levels.pop()),
            b',' => {
                if let Some(level) = levels.last_mut() {
                    level.is_name_next = level.names.is_some();
                }
            }
            b'"' => {
                let end = end_of_text(bytes, at);
                if let Some(level) = levels.last_mut().filter(|level| level.is_name_next) {
                    level.is_name_next = false;
                    level.name = string(json.get(at..end)?)?;
                    let name = level.name.clone();
                    if level
                        .names
                        .as_mut()
                        .is_some_and(|names| !names.insert(name))
                    {
                        let names = levels
                            .iter()
                            .filter(|level| level.names.is_some())
                            .map(|level| level.name.as_ref());
                        return Some(names.collect::<Vec<_>>().join("."));
                    }
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// An object or array that [`given_twice`] is in.
struct Level<'a> {
    /// `None`: an array.
    names: Option<HashSet<Cow<'a, str>>>,
    is_name_next: bool,
    name: Cow<'a, str>,
}

/// Behind the quote that closes the one at `from`.
fn end_of_text(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The elements of an array as raw values; more than `LIMIT` are read but not kept, and `more` says
/// so.
#[derive(Debug)]
pub struct Elements<'a, const LIMIT: usize> {
    pub raws: Vec<&'a str>,
    pub more: bool,
}

impl<'a, const LIMIT: usize> Elements<'a, LIMIT> {
    pub fn read(raw: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(raw)
    }
}

impl<'de: 'a, 'a, const LIMIT: usize> Deserialize<'de> for Elements<'a, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<const LIMIT: usize>;
        impl<'de, const LIMIT: usize> Visitor<'de> for V<LIMIT> {
            type Value = Elements<'de, LIMIT>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let (mut raws, mut more) = (Vec::new(), false);
                while raws.len() < LIMIT {
                    match seq.next_element::<&RawValue>()? {
                        Some(raw) => raws.push(raw.get()),
                        None => return Ok(Elements { raws, more }),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    more = true;
                }
                Ok(Elements { raws, more })
            }
        }
        d.deserialize_seq(V::<LIMIT>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_twice_wherever_it_is() {
        for (json, want) in [
            (r#"{"a":1,"b":{"a":1,"c":[{"a":1},{"a":1}]}}"#, None),
            (r#"{"a":1,"a":1}"#, Some("a")),
            (r#"{"a":1,"\u0061":1}"#, Some("a")),
            (r#"{"a":{"b":1,"c":2,"b":3}}"#, Some("a.b")),
            (
                r#"{"x":{},"a":[1,{"b":{"c":"c","d":0}},{"b":1,"b":2}]}"#,
                Some("a.b"),
            ),
            (r#"{"a":"\"a\",","b":"}{","a":1}"#, Some("a")),
            (r#"{"a":"b","b":["a","a",{"b":"b"}]}"#, None),
            ("5", None),
            ("\"a\"", None),
        ] {
            assert_eq!(given_twice(json).as_deref(), want, "{json}");
        }
        // Not JSON at all.
        for json in ["{\"a", "{\"a\\", "]]", "{,\"a\",\"a\"", "{\"\\x\":1}"] {
            let _ = given_twice(json);
        }
    }
}
