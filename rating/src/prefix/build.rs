//! Prefixes in order become tables and buckets, from the shortest to the longest.

use super::{
    BUCKET_MAX, BadPrefix, Entry, FIRST_DIGITS_MAX, GOES_ON, LENGTH_SHIFT, Packed, PrefixMap,
    TABLE_SLOTS, VACANT, WINDOW_DIGITS,
};
use std::collections::HashMap;
use std::ops::Range;

/// Value and length of the longest prefix on the way so far.
type Best = (u32, usize);

struct Builder<'a> {
    order: &'a [(Packed, u32)],
    map: PrefixMap,
    /// Buckets that hold nothing of their own.
    lone: HashMap<Best, u32>,
}

impl PrefixMap {
    /// `entries` need no order; each prefix may occur once.
    pub fn build<P: AsRef<str>>(entries: &[(P, u32)]) -> Result<Self, BadPrefix> {
        let pack = |(index, (prefix, value)): (usize, &(P, u32))| {
            Packed::new(prefix.as_ref())
                .map(|packed| (packed, *value))
                .ok_or(BadPrefix::NotDigits(index))
        };
        let mut order = entries
            .iter()
            .enumerate()
            .map(pack)
            .collect::<Result<Vec<_>, _>>()?;
        order.sort_unstable();
        Self::from_sorted(&order)
    }

    /// From prefixes in order.
    pub fn from_sorted(order: &[(Packed, u32)]) -> Result<Self, BadPrefix> {
        if let Some(at) = order.windows(2).position(|pair| pair[0].0 >= pair[1].0) {
            return Err(BadPrefix::Duplicate(at + 1));
        }
        if order.is_empty() {
            return Ok(Self::default());
        }
        let first_digits = order.len().ilog10().min(FIRST_DIGITS_MAX);
        let short = order
            .iter()
            .filter(|entry| entry.0.len() < first_digits as usize)
            .copied()
            .collect();
        let map = Self {
            slots: vec![0; 10_usize.pow(first_digits)],
            entries: Vec::new(),
            short,
            first_digits: first_digits as usize,
        };
        let mut builder = Builder {
            order,
            map,
            lone: HashMap::new(),
        };
        builder.first_table(0..order.len(), 0, (VACANT, 0), 0);
        let mut map = builder.map;
        map.slots.shrink_to_fit();
        map.entries.shrink_to_fit();
        Ok(map)
    }
}

impl Builder<'_> {
    /// Fills the part of the first table that lies under the digits so far, which make `slot`.
    fn first_table(&mut self, run: Range<usize>, depth: usize, best: Best, slot: usize) {
        let left = self.map.first_digits - depth;
        if left == 0 {
            self.map.slots[slot] = self.bucket(run, depth, best);
        } else if run.is_empty() {
            let (lone, below) = (self.lone(best), 10_usize.pow(left as u32));
            self.map.slots[slot * below..(slot + 1) * below].fill(lone);
        } else {
            let (run, best) = self.without_own(run, depth, best);
            for digit in 0..10 {
                self.first_table(
                    self.with_digit(&run, depth, digit),
                    depth + 1,
                    best,
                    slot * 10 + digit as usize,
                );
            }
        }
    }

    /// A bucket of the prefixes of `run`, which share their first `depth` digits: where it begins.
    fn bucket(&mut self, run: Range<usize>, depth: usize, best: Best) -> u32 {
        let (run, best) = self.without_own(run, depth, best);
        if run.is_empty() {
            return self.lone(best);
        }
        let mut heads = self.heads(run.clone(), depth);
        if heads.len() > BUCKET_MAX {
            return self.table(&run, depth, best);
        }
        heads.sort_by_key(|(entry, _)| std::cmp::Reverse((entry.count(), entry.goes_on())));
        let start = self.map.entries.len();
        self.map
            .entries
            .extend(heads.iter().map(|(entry, _)| *entry));
        self.map.entries.push(end_of_bucket(best));
        for (index, (entry, run)) in heads
            .iter()
            .enumerate()
            .filter(|(_, (entry, _))| entry.goes_on())
        {
            let shorter = heads
                .iter()
                .find(|(other, _)| !other.goes_on() && other.fits(entry.key));
            let best = shorter.map_or(best, |(other, _)| (other.value, depth + other.count()));
            self.map.entries[start + index].value =
                self.bucket(run.clone(), depth + WINDOW_DIGITS, best);
        }
        start as u32
    }

    /// A table of the next digit, as the only entry of its bucket.
    fn table(&mut self, run: &Range<usize>, depth: usize, best: Best) -> u32 {
        let (start, slots) = (self.map.entries.len(), self.map.slots.len());
        self.map.entries.push(Entry {
            key: GOES_ON,
            value: slots as u32,
        });
        let lone = self.lone(best);
        self.map.slots.extend([lone; TABLE_SLOTS]);
        for digit in 0..10 {
            self.map.slots[slots + digit as usize] =
                self.bucket(self.with_digit(run, depth, digit), depth + 1, best);
        }
        start as u32
    }

    fn lone(&mut self, best: Best) -> u32 {
        let entries = &mut self.map.entries;
        *self.lone.entry(best).or_insert_with(|| {
            entries.push(end_of_bucket(best));
            (entries.len() - 1) as u32
        })
    }

    /// The entries of a bucket, each with the prefixes that go on from it.
    fn heads(&self, run: Range<usize>, depth: usize) -> Vec<(Entry, Range<usize>)> {
        let mut heads = Vec::new();
        let mut at = run.start;
        while at < run.end {
            let (prefix, value) = self.order[at];
            let (count, digits) = (
                (prefix.len() - depth).min(WINDOW_DIGITS),
                (0..WINDOW_DIGITS),
            );
            let key = digits.fold(0, |key, n| {
                (key << 4) | prefix.digit(depth + n).unwrap_or(0)
            }) << 4
                | count as u32;
            let mut end = at + 1;
            if prefix.len() - depth > WINDOW_DIGITS {
                let shared = prefix.first(depth + WINDOW_DIGITS);
                end = at
                    + self.order[at..run.end]
                        .partition_point(|entry| entry.0.first(depth + WINDOW_DIGITS) == shared);
                heads.push((
                    Entry {
                        key: key | GOES_ON,
                        value: VACANT,
                    },
                    at..end,
                ));
            } else {
                heads.push((Entry { key, value }, at..at));
            }
            at = end;
        }
        heads
    }

    /// The run without the prefix that ends at `depth`, which is then the best so far.
    fn without_own(&self, run: Range<usize>, depth: usize, best: Best) -> (Range<usize>, Best) {
        match self.order[run.clone()].first() {
            Some((prefix, value)) if prefix.len() == depth => {
                (run.start + 1..run.end, (*value, depth))
            }
            _ => (run, best),
        }
    }

    /// The part of a run whose next digit is this one.
    fn with_digit(&self, run: &Range<usize>, depth: usize, digit: u32) -> Range<usize> {
        let before = |digit: u32| {
            run.start
                + self.order[run.clone()]
                    .partition_point(|entry| entry.0.digit(depth) < Some(digit))
        };
        before(digit)..before(digit + 1)
    }
}

/// What fits every number: the longest prefix before the bucket.
fn end_of_bucket((value, length): Best) -> Entry {
    Entry {
        key: (length as u32) << LENGTH_SHIFT,
        value,
    }
}
