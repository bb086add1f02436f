//! Every rounding of the workspace. Nothing else divides money or quantities.

use crate::{Carry, Cents, Exact, Overflow, Quantity, Ratio};
use serde::{Deserialize, Serialize};

/// How a value between two multiples becomes one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
    /// To the nearest, a tie away from zero.
    HalfUp,
    /// To the nearest, a tie to the even neighbour.
    HalfEven,
    /// Towards plus infinity.
    Ceil,
    /// Towards minus infinity.
    Floor,
}

/// `num / den` to a whole number. `den` must be positive.
pub fn divide(num: i128, den: i128, mode: Mode) -> Result<i128, Overflow> {
    if den <= 0 {
        return Err(Overflow);
    }
    let (quotient, rest) = (num.div_euclid(den), num.rem_euclid(den));
    if rest == 0 {
        return Ok(quotient);
    }
    // floor = quotient, ceil = quotient + 1; |rest| against the other side decides the nearest.
    let other = den - rest;
    let up = match mode {
        Mode::Floor => false,
        Mode::Ceil => true,
        Mode::Down => num < 0,
        Mode::Up => num > 0,
        Mode::HalfUp => rest > other || (rest == other && num > 0),
        Mode::HalfEven => rest > other || (rest == other && quotient % 2 != 0),
    };
    quotient.checked_add(i128::from(up)).ok_or(Overflow)
}

/// The one rounding of a charge: half-even to 10⁻¹² cent.
pub fn to_exact(pico_cents: Ratio) -> Result<Exact, Overflow> {
    divide(pico_cents.num(), pico_cents.den(), Mode::HalfEven).map(Exact)
}

/// To `decimals` of the number whose unit is `unit` parts (may be negative: tens, hundreds).
/// A step finer than one part changes nothing.
pub fn to_decimals(value: i128, part_decimals: u32, decimals: i32, mode: Mode) -> Result<i128, Overflow> {
    let shift = i64::from(part_decimals) - i64::from(decimals);
    let Ok(shift) = u32::try_from(shift) else { return Ok(value) };
    let step = 10_i128.checked_pow(shift).ok_or(Overflow)?;
    divide(value, step, mode)?.checked_mul(step).ok_or(Overflow)
}

/// A ratio of 10⁻¹² cents rounded to a multiple of `step` (10⁻¹² cents).
pub fn ratio_to_step(value: Ratio, step: i128, mode: Mode) -> Result<Exact, Overflow> {
    let den = value.den().checked_mul(step).ok_or(Overflow)?;
    divide(value.num(), den, mode)?.checked_mul(step).map(Exact).ok_or(Overflow)
}

/// posted = floor(carry + exact); the rest, in [0, 1) cent, is carried (DESIGN: whole cents without losing fractions).
pub fn post(carry: Carry, exact: Exact) -> Result<(Cents, Carry), Overflow> {
    let total = exact.0.checked_add(i128::from(carry.0)).ok_or(Overflow)?;
    let cents = i64::try_from(total.div_euclid(Exact::PER_CENT)).map_err(|_| Overflow)?;
    let rest = i64::try_from(total.rem_euclid(Exact::PER_CENT)).map_err(|_| Overflow)?;
    Ok((Cents(cents), Carry(rest)))
}

/// The whole cents that cover an exact amount: what a hold sets aside.
pub fn ceil_cents(exact: Exact) -> Result<Cents, Overflow> {
    i64::try_from(divide(exact.0, Exact::PER_CENT, Mode::Ceil)?).map(Cents).map_err(|_| Overflow)
}

/// How many blocks of `size` cover (`Ceil`) or fit into (`Floor`) a quantity. `size` must be positive.
pub fn blocks(quantity: Quantity, size: Quantity, mode: Mode) -> Result<i128, Overflow> {
    divide(quantity.0, size.0, mode)
}

/// Divides `total` by weights so that the parts sum to it (largest remainder); equal remainders are
/// served in order of position. Weights must not be negative and not all zero.
pub fn allocate(total: i64, weights: &[u64]) -> Result<Vec<i64>, Overflow> {
    let sum: i128 = weights.iter().map(|&w| i128::from(w)).sum();
    if sum == 0 {
        return Err(Overflow);
    }
    let magnitude = i128::from(total.unsigned_abs());
    let mut parts = Vec::with_capacity(weights.len());
    let mut rests = Vec::with_capacity(weights.len());
    for (index, &weight) in weights.iter().enumerate() {
        let share = magnitude.checked_mul(i128::from(weight)).ok_or(Overflow)?;
        parts.push(share / sum);
        rests.push((std::cmp::Reverse(share % sum), index));
    }
    let missing = magnitude - parts.iter().sum::<i128>();
    rests.sort_unstable();
    for &(_, index) in rests.iter().take(usize::try_from(missing).map_err(|_| Overflow)?) {
        parts[index] += 1;
    }
    let sign = i128::from(total.signum());
    parts.into_iter().map(|part| i64::try_from(part * sign).map_err(|_| Overflow)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn modes() {
        use Mode::*;
        // value in tenths -> whole
        for (value, want) in [
            (25, [3, 2, 3, 2, 3, 2]),
            (15, [2, 1, 2, 2, 2, 1]),
            (-25, [-3, -2, -3, -2, -2, -3]),
            (-21, [-3, -2, -2, -2, -2, -3]),
            (20, [2; 6]),
        ] {
            let got = [Up, Down, HalfUp, HalfEven, Ceil, Floor].map(|mode| divide(value, 10, mode));
            assert_eq!(got, want.map(Ok), "{value}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn posted_plus_carry_is_the_sum_of_exact(amounts in prop::collection::vec(-9_000_000_000_000_000_i128..9_000_000_000_000_000, 0..40)) {
            let (mut carry, mut posted, mut exact) = (Carry::ZERO, 0_i128, 0_i128);
            for amount in amounts {
                let (cents, rest) = post(carry, Exact(amount)).unwrap();
                prop_assert!((0..Exact::PER_CENT).contains(&i128::from(rest.0)));
                (carry, posted, exact) = (rest, posted + i128::from(cents.0), exact + amount);
                prop_assert_eq!(posted * Exact::PER_CENT + i128::from(carry.0), exact);
                prop_assert_eq!(posted, exact.div_euclid(Exact::PER_CENT));
            }
        }

        #[test]
        fn parts_sum_to_the_whole(total in any::<i64>(), weights in prop::collection::vec(0_u64..1_000_000, 1..12)) {
            prop_assume!(weights.iter().any(|&w| w > 0));
            let parts = allocate(total, &weights).unwrap();
            prop_assert_eq!(parts.iter().map(|&p| i128::from(p)).sum::<i128>(), i128::from(total));
            prop_assert!(parts.iter().zip(&weights).all(|(&part, &weight)| weight > 0 || part == 0));
        }

        #[test]
        fn division_stays_within_one_step(num in any::<i64>(), den in 1_i64..i64::MAX) {
            for mode in [Mode::Up, Mode::Down, Mode::HalfUp, Mode::HalfEven, Mode::Ceil, Mode::Floor] {
                let whole = divide(num.into(), den.into(), mode).unwrap();
                prop_assert!((whole * i128::from(den) - i128::from(num)).abs() < i128::from(den));
            }
        }
    }
}
