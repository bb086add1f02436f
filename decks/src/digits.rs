//! A prefix in sixteen bytes: of a deck there are up to a million of them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// Digits that need no place of their own; nearly every prefix has fewer.
const SHORT_MAX: usize = 14;

/// The digits of a prefix.
#[derive(Clone)]
pub struct Prefix(Digits);

#[derive(Clone)]
enum Digits {
    Short(u8, [u8; SHORT_MAX]),
    Long(Box<Long>),
}

/// Longer ones take the space of a text of their own; a pointer to it keeps the others small.
#[derive(Clone)]
struct Long(Box<str>);

impl From<&str> for Prefix {
    fn from(digits: &str) -> Self {
        let mut short = [0; SHORT_MAX];
        match (short.get_mut(..digits.len()), u8::try_from(digits.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(digits.as_bytes());
                Self(Digits::Short(len, short))
            }
            _ => Self(Digits::Long(Box::new(Long(digits.into())))),
        }
    }
}

impl Prefix {
    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Digits::Short(len, digits) => digits.get(..usize::from(*len)).unwrap_or_default(),
            Digits::Long(long) => long.0.as_bytes(),
        }
    }
}

impl Deref for Prefix {
    type Target = str;
    fn deref(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

impl Borrow<str> for Prefix {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Prefix {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}
impl Eq for Prefix {}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As texts are ordered.
impl Ord for Prefix {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

/// As the text is, which finds it in a set.
impl Hash for Prefix {
    fn hash<H: Hasher>(&self, state: &mut H) {
        str::hash(self, state);
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        str::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn short_and_long_ones_are_their_texts() {
        assert_eq!(size_of::<Prefix>(), 16);
        let texts = [
            "",
            "4",
            "49301234567890",
            "493012345678901",
            "12345678901234567890123456789012",
            "5",
        ];
        let set: HashSet<Prefix> = texts.into_iter().map(Prefix::from).collect();
        for (position, text) in texts.into_iter().enumerate() {
            assert_eq!(&*Prefix::from(text), text);
            assert!(
                set.contains(text) && !set.contains(format!("{text}0").as_str()),
                "{text}"
            );
            for other in &texts[position..] {
                assert_eq!(
                    Prefix::from(text).cmp(&Prefix::from(*other)),
                    text.cmp(other),
                    "{text} {other}"
                );
                assert_eq!(Prefix::from(text) == Prefix::from(*other), text == *other);
            }
        }
    }
}
