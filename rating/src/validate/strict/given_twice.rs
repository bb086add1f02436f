//! Names that an object of a card has twice.

use crate::validate::{MISTAKES_MAX, Mistake};
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// A name that `attributes` or `meters` have twice: of two values one would be taken by chance.
/// (Fields are refused as they are read.)
pub(super) fn given_twice(json: &[u8]) -> Vec<Mistake> {
    #[derive(Deserialize)]
    struct Card {
        #[serde(default)]
        meters: Option<Names>,
        rates: Vec<Attributes>,
    }
    #[derive(Deserialize)]
    struct Attributes {
        #[serde(default)]
        attributes: Option<Names>,
    }
    let Ok(card) = serde_json::from_slice::<Card>(json) else {
        return Vec::new();
    };
    let twice = |path: String| {
        Mistake::new(
            path,
            "given_twice",
            "the name is given twice: expected it once",
        )
    };
    let meters = card
        .meters
        .and_then(|names| names.twice)
        .map(|name| twice(format!("meters.{name}")));
    let named = card
        .rates
        .into_iter()
        .enumerate()
        .filter_map(|(index, rate)| Some((index, rate.attributes?.twice?)));
    meters
        .into_iter()
        .chain(named.map(|(index, name)| twice(format!("rates[{index}].attributes.{name}"))))
        .take(MISTAKES_MAX)
        .collect()
}

/// The names of an object, as far as one of them is there twice.
struct Names {
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let (mut known, mut twice) = (HashSet::new(), None);
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    if known.contains(&name) {
                        twice.get_or_insert(name);
                    } else {
                        known.insert(name);
                    }
                }
                Ok(Names { twice })
            }
        }
        reader.deserialize_map(V)
    }
}
