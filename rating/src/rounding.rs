//! Every rounding of the workspace. Nothing else divides money or quantities.

use crate::{Carry, Cents, Exact, Overflow, Quantity, Ratio};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

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
#[inline]
pub fn divide(num: i128, den: i128, mode: Mode) -> Result<i128, Overflow> {
    if den <= 0 {
        return Err(Overflow);
    }
    if den == 1 {
        return Ok(num);
    }
    // Numbers of 64 bits, which nearly all are, divide in one instruction.
    if let (Ok(num), Ok(den)) = (u64::try_from(num), u64::try_from(den)) {
        let (quotient, rest) = (num / den, num % den);
        let up = rest != 0 && goes_up(rest.cmp(&(den - rest)), false, quotient % 2 != 0, mode);
        return Ok(i128::from(quotient) + i128::from(up));
    }
    divide_wide(num, den, mode)
}

#[cold]
fn divide_wide(num: i128, den: i128, mode: Mode) -> Result<i128, Overflow> {
    let towards_zero = num / den;
    let rest = num - towards_zero * den;
    if rest < 0 {
        settle(towards_zero - 1, rest + den, den, mode)
    } else {
        settle(towards_zero, rest, den, mode)
    }
}

/// `(count · price + base) / den` to a whole number: only the result must fit, the product may be
/// twice as wide. `den` must be positive.
pub fn divide_sum(
    count: i128,
    price: i128,
    base: i128,
    den: i128,
    mode: Mode,
) -> Result<i128, Overflow> {
    if let Some(num) = count
        .checked_mul(price)
        .and_then(|product| product.checked_add(base))
    {
        return divide(num, den, mode);
    }
    let width = u128::try_from(den)
        .ok()
        .filter(|&den| den > 0)
        .ok_or(Overflow)?;
    let (quotient, rest) = wide_quotient(count.unsigned_abs(), price.unsigned_abs(), width)?;
    let (quotient, rest) = match (count < 0) != (price < 0) {
        true if rest > 0 => (-quotient - 1, den - rest),
        true => (-quotient, 0),
        false => (quotient, rest),
    };
    let (more, base_rest) = (base.div_euclid(den), base.rem_euclid(den));
    let over = rest >= den - base_rest;
    let rest = if over {
        rest - (den - base_rest)
    } else {
        rest + base_rest
    };
    settle(
        quotient
            .checked_add(more)
            .and_then(|sum| sum.checked_add(i128::from(over)))
            .ok_or(Overflow)?,
        rest,
        den,
        mode,
    )
}

/// From the floor of a quotient and its rest, in [0, den), to the multiple that the mode asks for.
fn settle(quotient: i128, rest: i128, den: i128, mode: Mode) -> Result<i128, Overflow> {
    if rest == 0 {
        return Ok(quotient);
    }
    let up = goes_up(
        rest.cmp(&(den - rest)),
        quotient < 0,
        quotient % 2 != 0,
        mode,
    );
    quotient.checked_add(i128::from(up)).ok_or(Overflow)
}

/// Whether a value between two whole numbers becomes the upper one. `rest` is its distance from the
/// lower one (which may be negative or odd) compared with the other distance.
#[inline]
fn goes_up(rest: Ordering, negative: bool, odd: bool, mode: Mode) -> bool {
    match mode {
        Mode::Floor => false,
        Mode::Ceil => true,
        Mode::Down => negative,
        Mode::Up => !negative,
        Mode::HalfUp => rest.is_gt() || (rest.is_eq() && !negative),
        Mode::HalfEven => rest.is_gt() || (rest.is_eq() && odd),
    }
}

/// `a · b / den` and the rest, bit by bit over the 256 bits of the product. `den` < 2¹²⁷.
fn wide_quotient(a: u128, b: u128, den: u128) -> Result<(i128, i128), Overflow> {
    let half = |x: u128| (x >> 64, x & u128::from(u64::MAX));
    let ((a1, a0), (b1, b0)) = (half(a), half(b));
    let (middle, carry) = (a1 * b0).overflowing_add(a0 * b1);
    let (low, low_carry) = (a0 * b0).overflowing_add(middle << 64);
    let high = a1 * b1 + (middle >> 64) + (u128::from(carry) << 64) + u128::from(low_carry);
    let (mut quotient, mut rest) = (0_u128, 0_u128);
    for (word, bit) in [high, low]
        .into_iter()
        .flat_map(|word| (0..128).rev().map(move |bit| (word, bit)))
    {
        rest = rest << 1 | (word >> bit & 1);
        if quotient >> 127 != 0 {
            return Err(Overflow);
        }
        quotient <<= 1;
        if rest >= den {
            (rest, quotient) = (rest - den, quotient | 1);
        }
    }
    i128::try_from(quotient)
        .ok()
        .zip(i128::try_from(rest).ok())
        .ok_or(Overflow)
}

/// The one rounding of a charge: half-even to 10⁻¹² cent.
pub fn to_exact(pico_cents: Ratio) -> Result<Exact, Overflow> {
    divide(pico_cents.num(), pico_cents.den(), Mode::HalfEven).map(Exact)
}

/// To `decimals` of the number whose unit is `unit` parts (may be negative: tens, hundreds).
/// A step finer than one part changes nothing.
pub fn to_decimals(
    value: i128,
    part_decimals: u32,
    decimals: i32,
    mode: Mode,
) -> Result<i128, Overflow> {
    let shift = i64::from(part_decimals) - i64::from(decimals);
    let Ok(shift) = u32::try_from(shift) else {
        return Ok(value);
    };
    let step = 10_i128.checked_pow(shift).ok_or(Overflow)?;
    divide(value, step, mode)?.checked_mul(step).ok_or(Overflow)
}

/// A ratio of 10⁻¹² cents rounded to a multiple of `step` (10⁻¹² cents).
pub fn ratio_to_step(value: Ratio, step: i128, mode: Mode) -> Result<Exact, Overflow> {
    let den = value.den().checked_mul(step).ok_or(Overflow)?;
    divide(value.num(), den, mode)?
        .checked_mul(step)
        .map(Exact)
        .ok_or(Overflow)
}

/// posted = floor(carry + exact); the rest, in [0, 1) cent, is carried (DESIGN: whole cents without
/// losing fractions).
#[inline]
pub fn post(carry: Carry, exact: Exact) -> Result<(Cents, Carry), Overflow> {
    const PER_CENT: i64 = Exact::PER_CENT as i64;
    let total = exact.0.checked_add(i128::from(carry.0)).ok_or(Overflow)?;
    if let Ok(total) = i64::try_from(total) {
        return Ok((
            Cents(total.div_euclid(PER_CENT)),
            Carry(total.rem_euclid(PER_CENT)),
        ));
    }
    post_wide(total)
}

#[cold]
fn post_wide(total: i128) -> Result<(Cents, Carry), Overflow> {
    let cents = i64::try_from(total.div_euclid(Exact::PER_CENT)).map_err(|_| Overflow)?;
    let rest = i64::try_from(total.rem_euclid(Exact::PER_CENT)).map_err(|_| Overflow)?;
    Ok((Cents(cents), Carry(rest)))
}

/// A carry whose owner ends (DESIGN, T6): half up to whole cents, and the exact amount by which
/// that differs from what was owed, so that carry + exact = cents and nothing is carried on.
pub fn end_carry(carry: Carry) -> Result<(Cents, Exact), Overflow> {
    let cents = divide(i128::from(carry.0), Exact::PER_CENT, Mode::HalfUp)?;
    let cents = i64::try_from(cents).map(Cents).map_err(|_| Overflow)?;
    Ok((
        cents,
        Exact::from_cents(cents).checked_sub(Exact(i128::from(carry.0)))?,
    ))
}

/// The whole cents that cover an exact amount: what a hold sets aside.
pub fn ceil_cents(exact: Exact) -> Result<Cents, Overflow> {
    i64::try_from(divide(exact.0, Exact::PER_CENT, Mode::Ceil)?)
        .map(Cents)
        .map_err(|_| Overflow)
}

/// How many blocks of `size` cover (`Ceil`) or fit into (`Floor`) a quantity. `size` must be
/// positive.
#[inline]
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
    for &(_, index) in rests
        .iter()
        .take(usize::try_from(missing).map_err(|_| Overflow)?)
    {
        parts[index] += 1;
    }
    let sign = i128::from(total.signum());
    parts
        .into_iter()
        .map(|part| i64::try_from(part * sign).map_err(|_| Overflow))
        .collect()
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

    #[test]
    fn what_is_carried_ends_half_up() {
        const PER_CENT: i64 = Exact::PER_CENT as i64;
        for (carry, cents) in [
            (0, 0),
            (1, 0),
            (PER_CENT / 2 - 1, 0),
            (PER_CENT / 2, 1),
            (PER_CENT - 1, 1),
        ] {
            let (settled, exact) = end_carry(Carry(carry)).unwrap();
            assert_eq!(settled, Cents(cents), "{carry}");
            assert_eq!(
                post(Carry(carry), exact),
                Ok((settled, Carry::ZERO)),
                "{carry}"
            );
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
        fn a_large_amount_is_posted_like_a_small_one(amount in any::<i64>(), beyond in -9_i128..9, carry in 0_i64..1_000_000_000_000) {
            for exact in [i128::from(amount), i128::from(i64::MAX) + beyond, i128::from(i64::MIN) + beyond, Exact::PER_CENT * i128::from(amount)] {
                let total = exact + i128::from(carry);
                let want = (i64::try_from(total.div_euclid(Exact::PER_CENT)), total.rem_euclid(Exact::PER_CENT) as i64);
                prop_assert_eq!(post(Carry(carry), Exact(exact)), want.0.map(|cents| (Cents(cents), Carry(want.1))).map_err(|_| Overflow));
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
        fn a_wide_product_divides_like_a_narrow_one(
            count in any::<i64>(), price in any::<i64>(), base in any::<i64>(), den in 1_i64..i64::MAX, scale in 0_u32..60,
        ) {
            // The same fraction, once as it is and once with both sides times 2ˢ·3: too wide for an
            // i128.
            let [count, price, base, den] = [count, price, base, den].map(i128::from);
            let wider = 3_i128 << scale;
            for mode in [Mode::Up, Mode::Down, Mode::HalfUp, Mode::HalfEven, Mode::Ceil, Mode::Floor] {
                let narrow = divide(count * price + base, den, mode);
                prop_assert_eq!(divide_sum(count, price * wider, base * wider, den * wider, mode), narrow);
                prop_assert_eq!(divide_sum(price * wider, -count, base * wider, den * wider, mode), divide(base - count * price, den, mode));
            }
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
