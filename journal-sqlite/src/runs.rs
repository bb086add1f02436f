//! Sorted runs: an index that takes random keys in bulk. Pure: bytes in, bytes out.
//!
//! An entry is (key: keyed 64-bit hash, seq). A run's part is a sequence of blocks of ascending
//! entries; fences (the first entry of every block) and a bloom filter of its keys stay in memory.
//! Within a block a key is written once, as the difference to the one before, and its seqs follow
//! as differences. Every block carries a checksum: a damaged index must never hide a resend.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::ops::Range;

/// (keyed hash, seq).
pub type Entry = (u64, i64);

/// A block is closed once it is this long: with its last entry, its checksum and its row's header
/// two of them fill a page of 16 KiB.
const BLOCK_BYTES: usize = 8_100;
const CHECKSUM_BYTES: usize = 8;
/// Size of the filter: about 0.15 % of the keys it has never seen pass it. Every one that does
/// costs a read, in every run: at 10 million records that was most of a look-up with 12 bits and
/// 0.5 %.
const FILTER_BITS_PER_KEY: u64 = 16;
const FILTER_PROBES: u32 = 6;
/// Words of one cache line: all probes of a key fall into one.
const LINE_WORDS: usize = 8;

/// A block does not read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a block of the index is damaged")]
pub struct BadBlock;

impl From<BadBlock> for db::SqlError {
    fn from(error: BadBlock) -> Self {
        Self::corrupt(error.to_string())
    }
}

/// A bloom filter in cache lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    words: Vec<u64>,
}

impl Filter {
    pub fn for_keys(keys: u64) -> Self {
        let lines = (keys * FILTER_BITS_PER_KEY).div_ceil(512).max(1);
        Self {
            words: vec![0; lines as usize * LINE_WORDS],
        }
    }

    pub fn insert(&mut self, key: u64) {
        let (line, probes) = self.place(key);
        for probe in 0..FILTER_PROBES {
            let bit = (probes >> (9 * probe + 8)) & 511;
            self.words[line + (bit >> 6) as usize] |= 1 << (bit & 63);
        }
    }

    pub fn may_contain(&self, key: u64) -> bool {
        let (line, probes) = self.place(key);
        (0..FILTER_PROBES).all(|probe| {
            let bit = (probes >> (9 * probe + 8)) & 511;
            self.words[line + (bit >> 6) as usize] >> (bit & 63) & 1 == 1
        })
    }

    /// First word of the key's line (from its high bits) and its probes (from a mix of all).
    fn place(&self, key: u64) -> (usize, u64) {
        let lines = (self.words.len() / LINE_WORDS) as u128;
        let line = (u128::from(key) * lines) >> 64;
        (
            line as usize * LINE_WORDS,
            key.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        )
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect()
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadBlock> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(8 * LINE_WORDS) {
            return Err(BadBlock);
        }
        Ok(Self {
            words: bytes.chunks_exact(8).map(le_u64).collect(),
        })
    }
}

/// What stays in memory of one part of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// First entry of every block.
    pub fences: Vec<Entry>,
    pub filter: Filter,
    pub keys: u64,
}

impl Part {
    /// Blocks that may hold entries of `key`; empty when the filter rules it out.
    pub fn blocks_of(&self, key: u64) -> Range<usize> {
        if self.filter.may_contain(key) {
            self.blocks_between((key, i64::MIN), (key, i64::MAX))
        } else {
            0..0
        }
    }

    /// Blocks that may hold entries of `[from, to]`.
    pub fn blocks_between(&self, from: Entry, to: Entry) -> Range<usize> {
        let start = self
            .fences
            .partition_point(|fence| *fence <= from)
            .saturating_sub(1);
        let end = self.fences.partition_point(|fence| *fence <= to);
        start..end.max(start)
    }

    pub fn fence_bytes(&self) -> Vec<u8> {
        self.fences
            .iter()
            .flat_map(|(key, seq)| [key.to_le_bytes(), seq.to_le_bytes()])
            .flatten()
            .collect()
    }

    pub fn from_bytes(fences: &[u8], filter: &[u8], keys: u64) -> Result<Self, BadBlock> {
        if !fences.len().is_multiple_of(16) {
            return Err(BadBlock);
        }
        let fences = fences
            .chunks_exact(16)
            .map(|b| (le_u64(&b[..8]), le_u64(&b[8..]).cast_signed()))
            .collect();
        Ok(Self {
            fences,
            filter: Filter::from_bytes(filter)?,
            keys,
        })
    }
}

/// Writes a part: entries in ascending order, without repeats.
#[derive(Debug)]
pub struct PartWriter {
    base: i64,
    block: Vec<u8>,
    last: Option<Entry>,
    part: Part,
    done: Vec<Vec<u8>>,
}

impl PartWriter {
    /// `base`: no seq is below it. `keys`: how many different keys at most.
    pub fn new(base: i64, keys: u64) -> Self {
        let part = Part {
            fences: Vec::new(),
            filter: Filter::for_keys(keys),
            keys: 0,
        };
        Self {
            base,
            block: Vec::new(),
            last: None,
            part,
            done: Vec::new(),
        }
    }

    pub fn push(&mut self, (key, seq): Entry) {
        let same = self.last.filter(|last| last.0 == key);
        if same.is_none() {
            self.part.filter.insert(key);
            self.part.keys += 1;
        }
        if self.block.is_empty() {
            self.part.fences.push((key, seq));
            self.block.resize(CHECKSUM_BYTES, 0);
            put_varint(&mut self.block, self.base.cast_unsigned());
            self.open_group(key, seq);
        } else if let Some((_, before)) = same {
            put_varint(&mut self.block, seq.abs_diff(before));
        } else {
            self.block.push(0);
            self.open_group(key - self.last.map_or(0, |last| last.0), seq);
        }
        self.last = Some((key, seq));
        if self.block.len() >= BLOCK_BYTES {
            self.close_block();
        }
    }

    fn open_group(&mut self, key_step: u64, seq: i64) {
        put_varint(&mut self.block, key_step);
        put_varint(&mut self.block, seq.abs_diff(self.base));
    }

    fn close_block(&mut self) {
        let mut block = std::mem::take(&mut self.block);
        block.push(0);
        let checksum = checksum(&block[CHECKSUM_BYTES..]);
        block[..CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
        self.done.push(block);
    }

    /// Blocks finished since the last call.
    pub fn take_blocks(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.done)
    }

    /// The last blocks, and what stays in memory.
    pub fn finish(mut self) -> (Vec<Vec<u8>>, Part) {
        if !self.block.is_empty() {
            self.close_block();
        }
        (self.done, self.part)
    }
}

/// Calls `each` with every entry in order until it answers false.
pub fn walk(block: &[u8], mut each: impl FnMut(Entry) -> bool) -> Result<(), BadBlock> {
    let (stored, mut rest) = block.split_at_checked(CHECKSUM_BYTES).ok_or(BadBlock)?;
    if le_u64(stored) != checksum(rest) {
        return Err(BadBlock);
    }
    let base = take_varint(&mut rest)?.cast_signed();
    let mut key = 0_u64;
    while !rest.is_empty() {
        key = key.wrapping_add(take_varint(&mut rest)?);
        let mut seq = base.wrapping_add_unsigned(take_varint(&mut rest)?);
        loop {
            if !each((key, seq)) {
                return Ok(());
            }
            match take_varint(&mut rest)? {
                0 => break,
                step => seq = seq.wrapping_add_unsigned(step),
            }
        }
    }
    Ok(())
}

/// Merges the same part of several runs, a step at a time: feed what `hungry` names, then `step`.
#[derive(Debug)]
pub struct Merger {
    inputs: Vec<Input>,
    writer: PartWriter,
}

#[derive(Debug, Default)]
struct Input {
    entries: Vec<Entry>,
    at: usize,
    ended: bool,
}

impl Merger {
    pub fn new(inputs: usize, base: i64, keys: u64) -> Self {
        Self {
            inputs: (0..inputs).map(|_| Input::default()).collect(),
            writer: PartWriter::new(base, keys),
        }
    }

    /// Inputs that have more blocks and nothing left to merge.
    pub fn hungry(&self) -> Vec<usize> {
        let starved = |input: &Input| !input.ended && input.at == input.entries.len();
        self.inputs
            .iter()
            .enumerate()
            .filter(|(_, input)| starved(input))
            .map(|(index, _)| index)
            .collect()
    }

    /// The next blocks of one input; none at all ends it.
    pub fn feed(&mut self, index: usize, blocks: &[Vec<u8>]) -> Result<(), BadBlock> {
        let Some(input) = self.inputs.get_mut(index) else {
            return Err(BadBlock);
        };
        input.entries.clear();
        input.at = 0;
        input.ended = blocks.is_empty();
        for block in blocks {
            walk(block, |entry| {
                input.entries.push(entry);
                true
            })?;
        }
        Ok(())
    }

    /// Merges until an input is hungry or everything has ended. Returns the blocks finished.
    pub fn step(&mut self) -> Vec<Vec<u8>> {
        'merge: loop {
            let mut least: Option<(usize, Entry)> = None;
            for (index, input) in self.inputs.iter().enumerate() {
                match input.entries.get(input.at) {
                    Some(&entry) if least.is_none_or(|(_, best)| entry < best) => {
                        least = Some((index, entry))
                    }
                    Some(_) => {}
                    None if input.ended => {}
                    None => break 'merge,
                }
            }
            let Some((index, entry)) = least else { break };
            self.inputs[index].at += 1;
            self.writer.push(entry);
        }
        self.writer.take_blocks()
    }

    pub fn ended(&self) -> bool {
        self.inputs.iter().all(|input| input.ended)
    }

    pub fn finish(self) -> (Vec<Vec<u8>>, Part) {
        self.writer.finish()
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

fn le_u64(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, BadBlock> {
    let mut value = 0_u64;
    for (index, &byte) in rest.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *rest = &rest[index + 1..];
            return Ok(value);
        }
    }
    Err(BadBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn write(entries: &BTreeSet<Entry>) -> (Vec<Vec<u8>>, Part) {
        let base = entries.iter().map(|e| e.1).min().unwrap_or(0);
        let mut writer = PartWriter::new(base, entries.len() as u64);
        entries.iter().for_each(|&entry| writer.push(entry));
        writer.finish()
    }

    fn read(blocks: &[Vec<u8>]) -> Vec<Entry> {
        let mut all = Vec::new();
        for block in blocks {
            walk(block, |entry| {
                all.push(entry);
                true
            })
            .unwrap();
        }
        all
    }

    fn entries() -> impl Strategy<Value = BTreeSet<Entry>> {
        let key = prop_oneof![0..5_u64, any::<u64>()];
        prop::collection::btree_set((key, 1..5_000_i64), 0..6000)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_written_is_read_and_found(entries in entries()) {
            let (blocks, part) = write(&entries);
            prop_assert_eq!(read(&blocks), entries.iter().copied().collect::<Vec<_>>());
            let part = Part::from_bytes(&part.fence_bytes(), &part.filter.to_bytes(), part.keys).unwrap();
            for &(key, _) in entries.iter().take(50) {
                let found: Vec<Entry> = read(&blocks[part.blocks_of(key)]).into_iter().filter(|e| e.0 == key).collect();
                let expected: Vec<Entry> = entries.range((key, 0)..=(key, i64::MAX)).copied().collect();
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn merging_is_the_union(all in entries(), cuts in prop::collection::vec(1..5_000_i64, 3)) {
            let mut cuts = cuts;
            cuts.push(5_000);
            cuts.sort_unstable();
            let mut from = 0;
            let runs: Vec<_> = cuts.iter().map(|&to| {
                let slice: BTreeSet<Entry> = all.iter().copied().filter(|e| (from..to).contains(&e.1)).collect();
                from = to;
                write(&slice).0
            }).collect();
            let mut merger = Merger::new(runs.len(), 1, all.len() as u64);
            let mut next = vec![0; runs.len()];
            let mut blocks = Vec::new();
            while !merger.ended() {
                for index in merger.hungry() {
                    let end = (next[index] + 2).min(runs[index].len());
                    merger.feed(index, &runs[index][next[index]..end]).unwrap();
                    next[index] = end;
                }
                blocks.extend(merger.step());
            }
            let (last, _) = merger.finish();
            blocks.extend(last);
            prop_assert_eq!(read(&blocks), all.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn damage_is_noticed() {
        let (blocks, _) = write(&BTreeSet::from([(1, 1), (1, 2), (7, 3)]));
        for at in 0..blocks[0].len() {
            let mut block = blocks[0].clone();
            block[at] ^= 1;
            assert_eq!(walk(&block, |_| true), Err(BadBlock), "byte {at}");
        }
    }

    #[test]
    fn the_filter_rules_out_most() {
        let keys: Vec<u64> = (0..20_000_u64)
            .map(|i| checksum(&i.to_le_bytes()))
            .collect();
        let mut filter = Filter::for_keys(10_000);
        keys[..10_000].iter().for_each(|&key| filter.insert(key));
        assert!(keys[..10_000].iter().all(|&key| filter.may_contain(key)));
        let passed = keys[10_000..]
            .iter()
            .filter(|&&key| filter.may_contain(key))
            .count();
        assert!(passed < 40, "{passed} of 10,000 unseen keys pass");
    }
}
