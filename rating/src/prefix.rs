//! Longest digit prefix over hundreds of thousands of prefixes: one table, then a few words side by
//! side.
//!
//! A large map is far from the processor, so what counts is how many bytes it has and how many of
//! its places one number touches. The first digits (five, for 300,000 prefixes) lead through a
//! table to a *bucket*: what is left of the prefixes that begin so, longest first, eight bytes
//! each. The last entry of a bucket fits every number and is the longest prefix that ends before
//! the bucket, so the first entry that fits is the answer and nobody counts. 300,000 prefixes of a
//! real deck: about 3 MB.
//!
//! What does not look like a deck goes on from there: a bucket with more than [`BUCKET_MAX`]
//! entries is one entry instead, a table of the next digit; prefixes longer than [`WINDOW_DIGITS`]
//! more digits share one entry that goes on in another bucket. A prefix whose value does not serve
//! is followed by asking again for a shorter one.

mod build;

/// Longest prefix of a number, in digits (E.164 has 15; tech prefixes come before it).
pub const PREFIX_DIGITS_MAX: usize = 32;

const VACANT: u32 = u32::MAX;
/// Digits of one entry: four bits each, above four bits for kind and count.
const WINDOW_DIGITS: usize = 7;
const BUCKET_MAX: usize = 24;
/// A table of one digit has a slot more, for numbers that end there.
const TABLE_SLOTS: usize = 11;
/// Digits of the first table: as many as it has no more slots than prefixes, up to this.
const FIRST_DIGITS_MAX: u32 = 6;

/// Digit prefixes, each with a value below `u32::MAX`.
#[derive(Debug, Clone, Default)]
pub struct PrefixMap {
    /// Where buckets begin: the table of the first digits, then tables of one digit.
    slots: Vec<u32>,
    entries: Vec<Entry>,
    /// Prefixes that end within the first table, in order: for numbers that end there.
    short: Vec<(Packed, u32)>,
    first_digits: usize,
}

/// What is left of a prefix after the digits that lead to its bucket.
///
/// `key`: up to seven digits from the top, the bit [`GOES_ON`], three bits for their number
/// (`count`). `value`: of the prefix. With [`GOES_ON`] and seven digits the bucket that continues,
/// with none the table of the next digit. Without digits the longest prefix before the bucket: its
/// length stands in place of the digits, its value may be [`VACANT`].
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u32,
    value: u32,
}

const GOES_ON: u32 = 8;
const COUNT: u32 = 7;
const LENGTH_SHIFT: u32 = 4;

impl Entry {
    fn count(self) -> usize {
        (self.key & COUNT) as usize
    }
    fn goes_on(self) -> bool {
        self.key & GOES_ON != 0
    }
    /// Whether a number that goes on with `window` begins with these digits.
    #[inline]
    fn fits(self, window: u32) -> bool {
        let digits = (0xffff_ffff_0000_0000_u64 >> ((self.key & COUNT) * 4)) as u32;
        (self.key ^ window) & digits == 0
    }
}

/// The next eight characters from `depth` on, four bits each from the top: a digit, or 15 where the
/// number ends.
#[inline]
fn window(digits: &[u8], depth: usize) -> u32 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let rest = digits.get(depth..).unwrap_or(&[]);
    let text = match (rest.first_chunk::<8>(), digits.last_chunk::<8>()) {
        (Some(next), _) => u64::from_be_bytes(*next),
        // What follows the end becomes 0, which is no digit.
        (None, Some(last)) if !rest.is_empty() => {
            u64::from_be_bytes(*last) << (64 - 8 * rest.len())
        }
        (None, _) => rest
            .iter()
            .rev()
            .fold(0, |text, &byte| text >> 8 | u64::from(byte) << 56),
    };
    let text = text ^ ZEROS;
    // The top bit of every byte that is above nine.
    let ends = (((text & LOW) + 0x7676_7676_7676_7676) | text) & !LOW;
    let bytes = (text & 0x0f0f_0f0f_0f0f_0f0f) | ((ends >> 7) * 15);
    let pairs = (bytes | bytes >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    (fours | fours >> 16) as u32
}

impl PrefixMap {
    /// The longest prefix of `digits` that is in the map and has at most `at_most` digits: its
    /// length and value. A character that is no digit ends the number.
    #[inline]
    pub fn longest(&self, digits: &[u8], at_most: usize) -> Option<(usize, u32)> {
        let digits = &digits[..digits.len().min(at_most)];
        let Some(slot) = self.first_slot(digits) else {
            return self.longest_short(digits);
        };
        let (mut start, mut depth) = (*self.slots.get(slot)?, self.first_digits);
        loop {
            let window = window(digits, depth);
            let entry = self
                .entries
                .get(start as usize..)?
                .iter()
                .find(|entry| entry.fits(window))?;
            match (entry.goes_on(), entry.count()) {
                (false, 0) => {
                    return (entry.value != VACANT)
                        .then_some(((entry.key >> LENGTH_SHIFT) as usize, entry.value));
                }
                (false, count) => return Some((depth + count, entry.value)),
                (true, 0) => {
                    let digit = (window >> 28) as usize;
                    start = *self
                        .slots
                        .get(entry.value as usize + digit.min(TABLE_SLOTS - 1))?;
                    depth += 1;
                }
                (true, count) => (start, depth) = (entry.value, depth + count),
            }
        }
    }

    /// `None`: the number ends within the first digits.
    #[inline]
    fn first_slot(&self, digits: &[u8]) -> Option<usize> {
        let mut slot = 0_usize;
        for byte in digits.get(..self.first_digits)? {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            slot = slot * 10 + usize::from(digit);
        }
        Some(slot)
    }

    #[cold]
    fn longest_short(&self, digits: &[u8]) -> Option<(usize, u32)> {
        let number = digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .take(self.first_digits);
        let number = number.enumerate().fold(Packed(0), |packed, (depth, byte)| {
            packed.with(depth, byte - b'0')
        });
        (0..self.first_digits).rev().find_map(|len| {
            let found = self
                .short
                .binary_search_by_key(&number.first(len)?, |entry| entry.0)
                .ok()?;
            Some((len, self.short[found].1))
        })
    }

    /// Bytes on the heap.
    pub fn size_bytes(&self) -> usize {
        let (slots, entries) = (
            self.slots.capacity() * size_of::<u32>(),
            self.entries.capacity() * size_of::<Entry>(),
        );
        slots + entries + self.short.capacity() * size_of::<(Packed, u32)>()
    }
}

/// A digit prefix in one word: four bits per digit (the digit and one), from the top. Sorts as the
/// text does, without touching it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packed(u128);

impl Packed {
    /// `None`: not digits only, or more than [`PREFIX_DIGITS_MAX`].
    pub fn new(prefix: &str) -> Option<Self> {
        if prefix.len() > PREFIX_DIGITS_MAX {
            return None;
        }
        let mut packed = Self(0);
        for (depth, byte) in prefix.bytes().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            packed = packed.with(depth, digit);
        }
        Some(packed)
    }
    fn with(self, depth: usize, digit: u8) -> Self {
        Self(self.0 | u128::from(digit + 1) << Self::shift(depth))
    }
    const fn shift(depth: usize) -> usize {
        124 - 4 * depth
    }
    /// `None`: the prefix ends before.
    fn digit(self, depth: usize) -> Option<u32> {
        if depth >= PREFIX_DIGITS_MAX {
            return None;
        }
        ((self.0 >> Self::shift(depth)) as u32 & 15).checked_sub(1)
    }
    fn len(self) -> usize {
        PREFIX_DIGITS_MAX - self.0.trailing_zeros() as usize / 4
    }
    /// Its first digits. `None`: it has fewer.
    fn first(self, digits: usize) -> Option<Self> {
        let kept = u128::MAX.checked_shl(128 - 4 * digits as u32).unwrap_or(0);
        (digits <= self.len()).then_some(Self(self.0 & kept))
    }
}

/// Why a map could not be built. Position in the list given, once sorted for a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPrefix {
    NotDigits(usize),
    Duplicate(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(prefixes: &[&str]) -> PrefixMap {
        let entries: Vec<(&str, u32)> = prefixes
            .iter()
            .enumerate()
            .map(|(i, &p)| (p, i as u32))
            .collect();
        PrefixMap::build(&entries).unwrap()
    }

    #[test]
    fn walks_from_the_longest_to_the_shortest() {
        let map = map(&["1503", "150", "15", "", "44"]);
        let mut found = Vec::new();
        let mut at_most = usize::MAX;
        while let Some((len, value)) = map.longest(b"15035551234", at_most) {
            found.push((len, value));
            let Some(shorter) = len.checked_sub(1) else {
                break;
            };
            at_most = shorter;
        }
        assert_eq!(found, [(4, 0), (3, 1), (2, 2), (0, 3)]);
        assert_eq!(map.longest(b"+44", usize::MAX), Some((0, 3)));
        assert_eq!(PrefixMap::default().longest(b"49", usize::MAX), None);
    }

    #[test]
    fn refuses_what_is_no_prefix() {
        for (entries, want) in [
            (vec![("49", 0), ("+49", 1)], BadPrefix::NotDigits(1)),
            (vec![("49", 0), ("49", 1)], BadPrefix::Duplicate(1)),
            (
                vec![("123456789012345678901234567890123", 0)],
                BadPrefix::NotDigits(0),
            ),
        ] {
            assert_eq!(PrefixMap::build(&entries).map(|_| ()), Err(want));
        }
    }

    fn naive(entries: &[(String, u32)], number: &str, at_most: usize) -> Option<(usize, u32)> {
        let fits = |p: &&(String, u32)| p.0.len() <= at_most && number.starts_with(&p.0);
        entries
            .iter()
            .filter(fits)
            .max_by_key(|p| p.0.len())
            .map(|p| (p.0.len(), p.1))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn agrees_with_a_scan(
            prefixes in prop::collection::btree_set("[0-3]{0,6}", 0..40),
            number in "[0-3]{0,9}",
            at_most in 0_usize..8,
        ) {
            let entries: Vec<(String, u32)> = prefixes.into_iter().zip(0..).collect();
            let map = PrefixMap::build(&entries).unwrap();
            prop_assert_eq!(map.longest(number.as_bytes(), at_most), naive(&entries, &number, at_most));
        }
    }

    #[test]
    fn a_prefix_may_have_every_digit_it_can() {
        let longest = "12345678901234567890123456789012";
        let map = map(&[longest, "1"]);
        assert_eq!(
            map.longest(format!("{longest}99").as_bytes(), usize::MAX),
            Some((PREFIX_DIGITS_MAX, 0))
        );
        assert_eq!(
            map.longest(&longest.as_bytes()[..31], usize::MAX),
            Some((1, 1))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn agrees_with_a_scan_where_prefixes_are_long_and_crowded(
            prefixes in prop::collection::btree_set("[0-1]{0,4}(7{0,9}[0-2]{0,2}){0,2}", 0..200),
            number in "[0-1]{0,4}(7{0,9}[0-2]{0,2}){0,2}[0-9x]?[0-9]{0,3}",
            at_most in 0_usize..40,
        ) {
            let entries: Vec<(String, u32)> = prefixes.into_iter().zip(0..).collect();
            let map = PrefixMap::build(&entries).unwrap();
            for number in entries.iter().map(|entry| &entry.0).take(5).chain([&number]) {
                prop_assert_eq!(map.longest(number.as_bytes(), at_most), naive(&entries, number, at_most));
            }
        }
    }

    #[test]
    fn a_large_map_agrees_with_a_hash_map() {
        let mut seed = 7_u64;
        let mut next = move || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        let mut prefixes: Vec<String> = (0..300_000)
            .map(|_| next().to_string())
            .map(|t| t[..t.len().min(3 + t.len() % 7)].to_owned())
            .collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let entries: Vec<(String, u32)> = prefixes.into_iter().zip(0..).collect();
        let map = PrefixMap::build(&entries).unwrap();
        assert!(
            map.first_digits > 3 && map.size_bytes() < 5_000_000,
            "{} bytes",
            map.size_bytes()
        );
        let by_text: std::collections::HashMap<&str, u32> = entries
            .iter()
            .map(|(text, value)| (text.as_str(), *value))
            .collect();
        for _ in 0..20_000 {
            let number = next().to_string();
            for at_most in [usize::MAX, 5, 3] {
                let longest = (0..=number.len().min(at_most))
                    .rev()
                    .find_map(|len| Some((len, *by_text.get(&number[..len])?)));
                assert_eq!(map.longest(number.as_bytes(), at_most), longest, "{number}");
            }
        }
    }
}
