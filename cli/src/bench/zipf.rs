//! Some customers use far more than others: the customer of rank k is drawn with a probability in
//! proportion to 1/k^s (Zipf's law).

use super::random::Random;
use anyhow::ensure;

/// Sum of all weights is below this: a draw is one number below it and one search.
const WEIGHT_BITS: i32 = 62;
/// Neighbouring ranks are so many places apart: the large customers do not share a reseller.
/// Primes.
const STRIDES: [usize; 2] = [7_919, 104_729];

#[derive(Debug)]
pub struct Zipf {
    /// Σ of the weights up to and including each rank.
    sums: Vec<u64>,
    stride: usize,
}

impl Zipf {
    /// # Errors
    /// An exponent that is not between 0 (all alike) and 10.
    #[expect(
        clippy::float_arithmetic,
        reason = "a law of probability; no money near it"
    )]
    pub fn new(count: usize, exponent: f64) -> anyhow::Result<Self> {
        ensure!(
            (0.0..=10.0).contains(&exponent),
            "cannot draw by Zipf's law with the exponent {exponent}: expected 0 to 10"
        );
        let count = count.max(1);
        let one = 2_f64.powi(WEIGHT_BITS) / count as f64;
        let mut sum = 0;
        let sums = (1..=count).map(|rank| {
            // At least 1: every customer can be drawn.
            sum += (one * (rank as f64).powf(-exponent)) as u64 + 1;
            sum
        });
        let sums = sums.collect();
        let stride = STRIDES
            .into_iter()
            .find(|prime| !count.is_multiple_of(*prime))
            .unwrap_or(1);
        Ok(Self { sums, stride })
    }

    /// An index below `count`.
    pub fn draw(&self, random: &mut Random) -> usize {
        let sum = self.sums.last().copied().unwrap_or(1);
        let at = (u128::from(random.next()) * u128::from(sum)) >> 64;
        let rank = self.sums.partition_point(|&upto| u128::from(upto) <= at);
        rank * self.stride % self.sums.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of `count` was drawn in a million draws, by rank.
    fn drawn(count: usize, exponent: f64) -> Vec<u32> {
        let zipf = Zipf::new(count, exponent).unwrap();
        let (mut random, mut by_index) = (Random::new(5), vec![0; count]);
        (0..1_000_000).for_each(|_| by_index[zipf.draw(&mut random)] += 1);
        (0..count)
            .map(|rank| by_index[rank * zipf.stride % count])
            .collect()
    }

    #[test]
    fn the_second_is_half_of_the_first() {
        let by_rank = drawn(1_000, 1.0);
        // Of a thousand, the first has 1/H(1000) = 13.36 %.
        for (rank, share) in [(1, 133_592), (2, 66_796), (10, 13_359), (100, 1_336)] {
            let got = by_rank[rank - 1];
            assert!(
                got.abs_diff(share) < share / 10,
                "rank {rank}: {got} of a million, {share} are right"
            );
        }
        assert!(by_rank[999] > 50, "and nobody is left out");
        let steep = drawn(1_000, 2.0);
        assert!(
            steep[1].abs_diff(steep[0] / 4) < steep[0] / 40,
            "a quarter at exponent 2"
        );
    }

    #[test]
    fn at_zero_all_are_alike() {
        let by_rank = drawn(100, 0.0);
        assert!(
            by_rank.iter().all(|times| times.abs_diff(10_000) < 500),
            "{by_rank:?}"
        );
    }

    #[test]
    fn odd_sizes_and_exponents() {
        assert_eq!(Zipf::new(1, 1.0).unwrap().draw(&mut Random::new(1)), 0);
        let zipf = Zipf::new(7_919, 1.0).unwrap();
        let mut random = Random::new(1);
        assert!(
            (0..1_000)
                .map(|_| zipf.draw(&mut random))
                .any(|index| index != 0),
            "a stride that does not divide the number"
        );
        assert!(Zipf::new(100_000, 10.0).is_ok());
        for exponent in [-0.1, 10.1, f64::NAN, f64::INFINITY] {
            assert!(Zipf::new(10, exponent).is_err(), "{exponent}");
        }
    }
}
