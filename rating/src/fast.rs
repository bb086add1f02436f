//! Maps whose keys nobody outside can choose: our own ids and hashes. Multiply and rotate, no
//! secret.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub type FastBuild = BuildHasherDefault<FastHasher>;
pub type FastMap<K, V> = HashMap<K, V, FastBuild>;

#[derive(Debug, Clone, Copy, Default)]
pub struct FastHasher(u64);

/// 2^64 divided by the golden ratio, odd.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl FastHasher {
    const fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for FastHasher {
    /// The high bits are the good ones, and the map takes its bucket from the low ones: folded
    /// twice.
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(FACTOR);
        mixed ^ (mixed >> 32)
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }
    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }
    fn write_i64(&mut self, value: i64) {
        self.mix(value.cast_unsigned());
    }
    fn write_isize(&mut self, value: isize) {
        self.mix(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    #[test]
    fn neighbours_and_time_ordered_ids_spread() {
        let build: BuildHasherDefault<FastHasher> = BuildHasherDefault::default();
        for step in [1_i64, 8, 1 << 22, 1 << 40] {
            let low: HashSet<u64> = (0..4096_i64)
                .map(|n| build.hash_one(n.wrapping_mul(step)) & 0xffff)
                .collect();
            assert!(low.len() > 3500, "step {step}: {} of 4096", low.len());
        }
    }
}
