//! Longest digit prefix over hundreds of thousands of prefixes, in one flat array.
//!
//! A trie in breadth-first order: the children of a node stand side by side, a ten-bit map says which
//! digits exist, so a node is twelve bytes (300,000 prefixes of a real deck: about 5 MB). A large map
//! jumps over its first digits through a table. A prefix whose value does not serve is followed by
//! asking again for a shorter one.
//!
//! Invariant: a node's value is [`VACANT`] or the value of exactly the prefix that leads to it.

/// Longest prefix of a number, in digits (E.164 has 15; tech prefixes come before it).
pub const PREFIX_DIGITS_MAX: usize = 32;

const VACANT: u32 = u32::MAX;
/// Digits that the jump table covers, and the size of map from which it pays.
const JUMP_DIGITS: usize = 4;
const JUMP_SLOTS: usize = 10_000;
const JUMP_NODES_MIN: usize = 4_096;

#[derive(Debug, Clone, Copy)]
struct Node {
    /// Index of the first child; the others follow in the order of their digits.
    children: u32,
    value: u32,
    /// Bit d: a child for digit d exists.
    digits: u16,
}

/// Where a walk stands after the first [`JUMP_DIGITS`] digits.
#[derive(Debug, Clone, Copy)]
struct Jump {
    /// [`VACANT`]: no prefix goes on from here.
    node: u32,
    best: u32,
    best_len: u8,
}

/// Digit prefixes, each with a value below `u32::MAX`.
#[derive(Debug, Clone, Default)]
pub struct PrefixMap {
    nodes: Vec<Node>,
    jumps: Vec<Jump>,
}

/// A digit prefix in one word: four bits per digit (the digit and one), from the top. Sorts as the text
/// does, without touching it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packed(u128);

impl Packed {
    /// `None`: not digits only, or more than [`PREFIX_DIGITS_MAX`].
    pub fn new(prefix: &str) -> Option<Self> {
        if prefix.len() > PREFIX_DIGITS_MAX {
            return None;
        }
        let mut word = 0_u128;
        for (depth, byte) in prefix.bytes().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            word |= u128::from(digit + 1) << Self::shift(depth);
        }
        Some(Self(word))
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
}

/// Why a map could not be built. Position in the list given, once sorted for a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPrefix {
    NotDigits(usize),
    Duplicate(usize),
}

impl PrefixMap {
    /// `entries` need no order; each prefix may occur once.
    pub fn build<P: AsRef<str>>(entries: &[(P, u32)]) -> Result<Self, BadPrefix> {
        let pack = |(index, (prefix, value)): (usize, &(P, u32))| {
            Packed::new(prefix.as_ref()).map(|packed| (packed, *value)).ok_or(BadPrefix::NotDigits(index))
        };
        let mut order = entries.iter().enumerate().map(pack).collect::<Result<Vec<_>, _>>()?;
        order.sort_unstable();
        Self::from_sorted(&order)
    }

    /// From prefixes in order.
    pub fn from_sorted(order: &[(Packed, u32)]) -> Result<Self, BadPrefix> {
        if let Some(at) = order.windows(2).position(|pair| pair[0].0 >= pair[1].0) {
            return Err(BadPrefix::Duplicate(at + 1));
        }
        let mut map = Self { nodes: breadth_first(order), jumps: Vec::new() };
        if map.nodes.len() >= JUMP_NODES_MIN {
            map.jumps = (0..JUMP_SLOTS).map(|slot| map.jump_of(slot)).collect();
        }
        Ok(map)
    }

    /// The longest prefix of `digits` that is in the map and has at most `at_most` digits: its length
    /// and value. A character that is no digit ends the number.
    #[inline]
    pub fn longest(&self, digits: &[u8], at_most: usize) -> Option<(usize, u32)> {
        let digits = &digits[..digits.len().min(at_most)];
        let (node, depth, best, best_len) = match self.jump(digits) {
            Some(jump) => (jump.node, JUMP_DIGITS, jump.best, usize::from(jump.best_len)),
            None => (0, 0, VACANT, 0),
        };
        self.walk(node, digits, depth, best, best_len)
    }

    #[inline]
    fn walk(&self, mut at: u32, digits: &[u8], mut depth: usize, mut best: u32, mut best_len: usize) -> Option<(usize, u32)> {
        while let Some(node) = self.nodes.get(at as usize) {
            if node.value != VACANT {
                (best, best_len) = (node.value, depth);
            }
            let Some(digit) = digits.get(depth).map(|b| b.wrapping_sub(b'0')) else { break };
            if digit > 9 || node.digits & (1 << digit) == 0 {
                break;
            }
            at = node.children + (node.digits & ((1 << digit) - 1)).count_ones();
            depth += 1;
        }
        (best != VACANT).then_some((best_len, best))
    }

    #[inline]
    fn jump(&self, digits: &[u8]) -> Option<Jump> {
        if self.jumps.is_empty() {
            return None;
        }
        let mut slot = 0_usize;
        for byte in digits.first_chunk::<JUMP_DIGITS>()? {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            slot = slot * 10 + usize::from(digit);
        }
        self.jumps.get(slot).copied()
    }

    /// The walk over the digits of `slot`, as far as it leads.
    fn jump_of(&self, slot: usize) -> Jump {
        let (mut at, mut best, mut best_len) = (0_u32, VACANT, 0);
        let mut rest = JUMP_SLOTS;
        for depth in 0..JUMP_DIGITS {
            let node = self.nodes[at as usize];
            if node.value != VACANT {
                (best, best_len) = (node.value, depth as u8);
            }
            rest /= 10;
            let digit = slot / rest % 10;
            if node.digits & (1 << digit) == 0 {
                return Jump { node: VACANT, best, best_len };
            }
            at = node.children + (node.digits & ((1 << digit) - 1)).count_ones();
        }
        Jump { node: at, best, best_len }
    }

    /// Bytes on the heap.
    pub fn size_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.jumps.capacity() * size_of::<Jump>()
    }
}

/// Nodes of the sorted, distinct prefixes; each node covers a run of them.
fn breadth_first(order: &[(Packed, u32)]) -> Vec<Node> {
    if order.is_empty() {
        return Vec::new();
    }
    let mut nodes = vec![Node { children: 0, value: VACANT, digits: 0 }];
    let mut runs = vec![(0_usize, order.len())];
    let (mut level, mut depth) = (0..1, 0);
    while !level.is_empty() {
        let next = nodes.len();
        for at in level {
            let (mut from, until) = runs[at];
            if order[from].0.digit(depth).is_none() {
                nodes[at].value = order[from].1;
                from += 1;
            }
            nodes[at].children = nodes.len() as u32;
            while from < until {
                let Some(digit) = order[from].0.digit(depth) else { break };
                let end = from + order[from..until].partition_point(|entry| entry.0.digit(depth) == Some(digit));
                nodes[at].digits |= 1 << digit;
                nodes.push(Node { children: 0, value: VACANT, digits: 0 });
                runs.push((from, end));
                from = end;
            }
        }
        (level, depth) = (next..nodes.len(), depth + 1);
    }
    nodes.shrink_to_fit();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(prefixes: &[&str]) -> PrefixMap {
        let entries: Vec<(&str, u32)> = prefixes.iter().enumerate().map(|(i, &p)| (p, i as u32)).collect();
        PrefixMap::build(&entries).unwrap()
    }

    #[test]
    fn walks_from_the_longest_to_the_shortest() {
        let map = map(&["1503", "150", "15", "", "44"]);
        let mut found = Vec::new();
        let mut at_most = usize::MAX;
        while let Some((len, value)) = map.longest(b"15035551234", at_most) {
            found.push((len, value));
            let Some(shorter) = len.checked_sub(1) else { break };
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
            (vec![("123456789012345678901234567890123", 0)], BadPrefix::NotDigits(0)),
        ] {
            assert_eq!(PrefixMap::build(&entries).map(|_| ()), Err(want));
        }
    }

    fn naive(entries: &[(String, u32)], number: &str, at_most: usize) -> Option<(usize, u32)> {
        let fits = |p: &&(String, u32)| p.0.len() <= at_most && number.starts_with(&p.0);
        entries.iter().filter(fits).max_by_key(|p| p.0.len()).map(|p| (p.0.len(), p.1))
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
        assert_eq!(map.longest(format!("{longest}99").as_bytes(), usize::MAX), Some((PREFIX_DIGITS_MAX, 0)));
        assert_eq!(map.longest(&longest.as_bytes()[..31], usize::MAX), Some((1, 1)));
    }

    #[test]
    fn a_large_map_agrees_with_itself_without_the_jump_table() {
        let mut seed = 7_u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 33
        };
        let mut prefixes: Vec<String> =
            (0..300_000).map(|_| next().to_string()).map(|t| t[..t.len().min(3 + t.len() % 7)].to_owned()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let entries: Vec<(String, u32)> = prefixes.into_iter().zip(0..).collect();
        let map = PrefixMap::build(&entries).unwrap();
        let plain = PrefixMap { nodes: map.nodes.clone(), jumps: Vec::new() };
        assert!(!map.jumps.is_empty() && map.size_bytes() < 20_000_000, "{} bytes", map.size_bytes());
        for _ in 0..20_000 {
            let number = next().to_string();
            for at_most in [usize::MAX, 5, 3] {
                assert_eq!(map.longest(number.as_bytes(), at_most), plain.longest(number.as_bytes(), at_most), "{number}");
            }
        }
    }
}
