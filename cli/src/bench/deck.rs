//! A generated rate deck with the shape of a real A-Z deck: how many prefixes there are of each
//! length, how deep they nest (about 2.8 on a look-up path), 609 prices of up to four decimals,
//! steps of 6 s.
//!
//! The same size and seed give the same deck everywhere.

use super::random::Random;
use rating::card::{CallTerms, CardDoc, Rate, Step};
use rating::{Currency, Quantity, money};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashSet};

/// Prefixes of each length, 1 to 11 digits, in a real deck of 36,205.
const LENGTHS: [usize; 11] = [1, 46, 228, 1025, 3025, 5510, 11594, 6805, 7117, 838, 16];
const LENGTHS_SUM: usize = 36_205;
const PRICES: usize = 609;
/// Largest price per minute, in 1/10,000.
const PRICE_MAX: usize = 136_500;
/// Prefixes of one destination, on average.
const PREFIXES_PER_RATE: usize = 6;
/// Of 100 prefixes, those that hang directly below a country's code; the others below any shorter
/// one.
const BELOW_COUNTRY_PERCENT: usize = 95;
/// Digits of a full number.
pub const NUMBER_DIGITS: usize = 14;
/// Calls are billed in steps of this many seconds.
pub const STEP_SECS: i64 = 6;

/// A deck before it becomes a card: prefix → destination, destination → price.
#[derive(Debug, Clone)]
pub struct Deck {
    /// Digits and index into `prices`, shortest first.
    pub prefixes: Vec<(Box<str>, u32)>,
    /// Retail per minute, in 1/10,000 of the major unit, per destination.
    pub prices: Vec<u32>,
}

impl Deck {
    pub fn generate(size: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let digits = nested_prefixes(size, &mut random);
        let table: Vec<u32> = (0..PRICES).map(|n| price_of(n, &mut random)).collect();
        let rates = digits.len().div_ceil(PREFIXES_PER_RATE).max(1);
        let prices = (0..rates)
            .map(|_| table[random.below(table.len())])
            .collect();
        let prefixes = digits
            .into_iter()
            .map(|text| (text, u32::try_from(random.below(rates)).unwrap_or(0)))
            .collect();
        Self { prefixes, prices }
    }

    /// The card for the meter `call`, at `percent` of the retail prices.
    pub fn card(&self, percent: u32) -> CardDoc {
        let mut lists: Vec<Vec<String>> = vec![Vec::new(); self.prices.len()];
        for (digits, destination) in &self.prefixes {
            if let Some(list) = lists.get_mut(*destination as usize) {
                list.push(digits.to_string());
            }
        }
        let rates = lists
            .into_iter()
            .zip(&self.prices)
            .enumerate()
            .filter(|(_, (list, _))| !list.is_empty());
        let rates = rates
            .map(|(index, (prefixes, &price))| rate(index, prefixes, per_minute(price, percent)))
            .collect();
        CardDoc {
            currency: Currency::EUR,
            zone: "UTC".to_owned(),
            fallback: None,
            meters: BTreeMap::new(),
            rates,
        }
    }

    /// A number under a random prefix of the deck, as digits.
    pub fn number(&self, random: &mut Random, digits: &mut [u8; NUMBER_DIGITS]) {
        let prefix = self
            .prefixes
            .get(random.below(self.prefixes.len()))
            .map_or("", |(text, _)| text);
        let mut rest = random.next();
        for (index, slot) in digits.iter_mut().enumerate() {
            *slot = prefix.as_bytes().get(index).copied().unwrap_or_else(|| {
                let digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
                digit
            });
        }
    }
}

/// Up to four decimals between 0 and 13.65, most of them cheap.
fn price_of(index: usize, random: &mut Random) -> u32 {
    let ceiling = if index == 0 {
        1
    } else {
        PRICE_MAX * index / (PRICES - 1)
    };
    let price = random
        .below(ceiling.max(1))
        .min(random.below(ceiling.max(1)))
        + usize::from(index > 0);
    u32::try_from(price).unwrap_or(0)
}

fn per_minute(price: u32, percent: u32) -> money::Rate {
    money::Rate(Decimal::new(i64::from(price) * i64::from(percent), 6).normalize())
}

fn rate(index: usize, prefixes: Vec<String>, price: money::Rate) -> Rate {
    let step = Step {
        from: Quantity::ZERO,
        price,
        per: Quantity::whole(60),
        increment: None,
        fixed_fee: None,
    };
    let increment = Some(Quantity::whole(STEP_SECS));
    Rate {
        key: format!("d{index:06}"),
        meter: "call".to_owned(),
        prefixes,
        origin_prefixes: Vec::new(),
        attributes: BTreeMap::new(),
        name: None,
        effective_from: None,
        effective_until: None,
        window: None,
        priority: 0,
        blocked: false,
        call: Some(
            CallTerms {
                initial: increment,
                next: increment,
                steps: vec![step],
                ..CallTerms::default()
            }
            .into(),
        ),
        price: None,
        counted: false,
        rounding: None,
    }
}

/// Distinct prefixes, shortest first, each extending a shorter one where there is one.
fn nested_prefixes(size: usize, random: &mut Random) -> Vec<Box<str>> {
    let mut all: Vec<Box<str>> = Vec::with_capacity(size);
    let mut seen: HashSet<Box<str>> = HashSet::with_capacity(size);
    let mut countries = 0;
    for (index, share) in LENGTHS.iter().enumerate() {
        let (length, shorter) = (index + 1, all.len());
        let room = 10_usize.pow(u32::try_from(length).unwrap_or(1)) / 3;
        let wanted = (size * share / LENGTHS_SUM).clamp(1, room.max(1));
        while all.len() - shorter < wanted && all.len() < size {
            let below = if random.below(100) < BELOW_COUNTRY_PERCENT {
                countries
            } else {
                shorter
            };
            let parent = if length <= 3 {
                ""
            } else {
                &*all[random.below(below)]
            };
            let text = extended(parent, length, random);
            if seen.insert(text.clone()) {
                all.push(text);
            }
        }
        if length <= 3 {
            countries = all.len();
        }
    }
    top_up(size, &mut all, &mut seen, random);
    all
}

/// Shares are rounded down: the few that are missing become eight digits long.
fn top_up(size: usize, all: &mut Vec<Box<str>>, seen: &mut HashSet<Box<str>>, random: &mut Random) {
    while all.len() < size {
        let text = extended("", 8, random);
        if seen.insert(text.clone()) {
            all.push(text);
        }
    }
    all.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
}

/// Digits of the longest country code.
const CODE_DIGITS_MAX: usize = 3;

fn extended(parent: &str, length: usize, random: &mut Random) -> Box<str> {
    let mut text = String::with_capacity(length);
    text.push_str(parent);
    if text.is_empty() {
        // No country code begins with 0.
        text.push(char::from(
            b'1' + u8::try_from(random.below(9)).unwrap_or(0),
        ));
    }
    while text.len() < length {
        // Behind a country code a 0 would be the one that is dialled inside the country only.
        let digit = if text.len() <= CODE_DIGITS_MAX {
            b'1' + u8::try_from(random.below(9)).unwrap_or(0)
        } else {
            random.digit()
        };
        text.push(char::from(digit));
    }
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_shape_of_a_real_deck() {
        let deck = Deck::generate(36_000, 1);
        assert_eq!(deck.prefixes.len(), 36_000);
        let of_length = |n: usize| {
            deck.prefixes
                .iter()
                .filter(|(text, _)| text.len() == n)
                .count()
        };
        for (index, &share) in LENGTHS.iter().enumerate() {
            let (got, want) = (of_length(index + 1), share * 36_000 / LENGTHS_SUM);
            assert!(
                got.abs_diff(want) <= want / 10 + 12,
                "{got} prefixes of {} digits, a real deck has {want}",
                index + 1
            );
        }
        let texts: HashSet<&str> = deck.prefixes.iter().map(|(text, _)| &**text).collect();
        assert_eq!(texts.len(), 36_000, "every prefix once");
        let (mut random, mut digits, mut matches) = (Random::new(2), [0; NUMBER_DIGITS], 0);
        for _ in 0..10_000 {
            deck.number(&mut random, &mut digits);
            let number = std::str::from_utf8(&digits).unwrap();
            matches += (1..=11).filter(|&n| texts.contains(&number[..n])).count();
        }
        assert!(
            (24_000..32_000).contains(&matches),
            "{matches} matching prefixes for 10,000 numbers; about 28,000 are real"
        );
        let prices: HashSet<u32> = deck.prices.iter().copied().collect();
        assert!(
            (400..=PRICES).contains(&prices.len())
                && prices.iter().all(|&p| p as usize <= PRICE_MAX),
            "{} prices",
            prices.len()
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_deck() {
        let (a, b) = (Deck::generate(500, 9), Deck::generate(500, 9));
        assert_eq!((a.prefixes, a.prices), (b.prefixes, b.prices));
        for size in [1, 2, 10, 100, 300_000] {
            assert_eq!(Deck::generate(size, 3).prefixes.len(), size);
        }
    }
}
