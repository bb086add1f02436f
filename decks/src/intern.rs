//! Equal values once, by number. A deck of a million rows says the same few things a million times,
//! or a million things once each: what finds a value again is therefore four bytes a place, and no
//! second copy of it.

use super::terms::Terms;
use rating::money::Rate as Amount;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};

const VACANT: u32 = u32::MAX;
const PLACES_MIN: usize = 16;

/// Numbers by the hash of their values, at most half of the places taken.
#[derive(Clone, Default)]
pub(super) struct Places {
    places: Vec<u32>,
    hashes: RandomState,
}

impl Places {
    pub fn hash_of(&self, value: &(impl Hash + ?Sized)) -> u64 {
        self.hashes.hash_one(value)
    }

    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.walk(hash)
            .map_while(|place| {
                self.places
                    .get(place)
                    .copied()
                    .filter(|&number| number != VACANT)
            })
            .find(|&number| is_it(number))
    }

    /// From the place of a hash on, round and round.
    fn walk(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let count = self.places.len();
        // They are as many as a power of two: the lower bits of a hash name one.
        let mask = count.saturating_sub(1);
        let first = usize::try_from(hash & mask as u64).unwrap_or_default();
        (0..count).map(move |step| (first + step) & mask)
    }

    /// `number` is the next: all below it are in already.
    pub fn add(&mut self, number: u32, hash_of: impl Fn(&Self, u32) -> u64) {
        let taken = number as usize + 1;
        let first = if taken * 2 > self.places.len() {
            // The old ones go first: they are not needed, and need not stand beside the new.
            self.places = Vec::new();
            self.places = vec![VACANT; (taken * 2).next_power_of_two().max(PLACES_MIN)];
            0
        } else {
            number
        };
        for number in first..=number {
            let vacant = self
                .walk(hash_of(self, number))
                .find(|&place| self.places.get(place) == Some(&VACANT));
            if let Some(place) = vacant.and_then(|place| self.places.get_mut(place)) {
                *place = number;
            }
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(VACANT)
}

/// Values of one size.
#[derive(Clone)]
pub struct Intern<T> {
    values: Vec<T>,
    places: Places,
}

impl<T> Default for Intern<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            places: Places::default(),
        }
    }
}

impl<T: Hash + Eq> Intern<T> {
    pub fn of(&mut self, value: T) -> u32 {
        if let Some(number) = self.find(&value) {
            return number;
        }
        let next = number(self.values.len());
        self.values.push(value);
        let values = &self.values;
        self.places.add(next, |places, number| {
            values
                .get(number as usize)
                .map_or(0, |value| places.hash_of(value))
        });
        next
    }

    pub fn find(&self, value: &T) -> Option<u32> {
        self.places.find(self.places.hash_of(value), |number| {
            self.get(number) == Some(value)
        })
    }
}

impl<T> Intern<T> {
    pub fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)
    }
    pub fn len(&self) -> usize {
        self.values.len()
    }
}

impl<T: PartialEq> PartialEq for Intern<T> {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}
impl<T: Eq> Eq for Intern<T> {}

impl<T: fmt::Debug> fmt::Debug for Intern<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}

/// Texts, one behind the other.
#[derive(Clone, Default)]
pub struct Texts {
    text: String,
    ends: Vec<u32>,
    places: Places,
}

impl Texts {
    pub fn of(&mut self, text: &str) -> u32 {
        if let Some(number) = self.find(text) {
            return number;
        }
        let next = number(self.ends.len());
        self.text.push_str(text);
        self.ends.push(number(self.text.len()));
        let (all, ends) = (&self.text, &self.ends);
        self.places.add(next, |places, number| {
            places.hash_of(text_at(all, ends, number).unwrap_or_default())
        });
        next
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.places.find(self.places.hash_of(text), |number| {
            self.get(number) == Some(text)
        })
    }

    pub fn get(&self, number: u32) -> Option<&str> {
        text_at(&self.text, &self.ends, number)
    }
    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..number(self.ends.len())).filter_map(|number| self.get(number))
    }
}

fn text_at<'t>(text: &'t str, ends: &[u32], number: u32) -> Option<&'t str> {
    let start = match number.checked_sub(1) {
        Some(before) => *ends.get(before as usize)?,
        None => 0,
    };
    text.get(start as usize..*ends.get(number as usize)? as usize)
}

impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.ends) == (&other.text, &other.ends)
    }
}
impl Eq for Texts {}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Terms of rows. There may be a price a row, and even then few sets of everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllTerms {
    prices: Intern<(Amount, u32)>,
    /// At the price of nothing.
    others: Intern<Terms>,
}

impl AllTerms {
    pub fn of(&mut self, terms: Terms) -> u32 {
        let others = self.others.of(Terms {
            price: Amount::ZERO,
            ..terms
        });
        self.prices.of((terms.price, others))
    }

    pub fn find(&self, terms: &Terms) -> Option<u32> {
        let others = self.others.find(&Terms {
            price: Amount::ZERO,
            ..*terms
        })?;
        self.prices.find(&(terms.price, others))
    }

    pub fn get(&self, number: u32) -> Option<Terms> {
        let (price, others) = *self.prices.get(number)?;
        self.others
            .get(others)
            .map(|others| Terms { price, ..*others })
    }

    pub fn len(&self) -> usize {
        self.prices.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rating::Quantity;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn equal_texts_have_one_number(texts in prop::collection::vec("[ab€]{0,4}", 0..300)) {
            let mut known: Vec<&str> = Vec::new();
            let (mut all, mut boxed) = (Texts::default(), Intern::default());
            for text in &texts {
                let want = known.iter().position(|other| other == text).unwrap_or(known.len());
                if want == known.len() {
                    known.push(text);
                }
                let want = u32::try_from(want).unwrap();
                prop_assert_eq!((all.of(text), boxed.of(text.clone())), (want, want));
            }
            prop_assert_eq!(all.iter().collect::<Vec<_>>(), &known[..]);
            prop_assert_eq!(boxed.values, known);
        }
    }

    #[test]
    fn terms_come_back_as_they_were() {
        let mut all = AllTerms::default();
        let terms = |price: &str, next: i64| Terms {
            price: price.parse().unwrap(),
            next: Quantity::whole(next),
            ..Terms::default()
        };
        let list = [
            terms("0.1", 1),
            terms("0.2", 1),
            terms("0.1", 60),
            terms("0.10", 1),
            terms("0", 0),
        ];
        let numbers: Vec<u32> = list.iter().map(|terms| all.of(*terms)).collect();
        assert_eq!(numbers, [0, 1, 2, 0, 3]);
        for (terms, number) in list.iter().zip(numbers) {
            assert_eq!(
                (all.get(number), all.find(terms)),
                (Some(*terms), Some(number))
            );
        }
        assert_eq!(
            (
                all.len(),
                all.others.len(),
                all.get(4),
                all.find(&terms("0.3", 1))
            ),
            (4, 3, None, None)
        );
    }
}
