//! Exact fractions of 10⁻¹² cents: what a charge is before its one rounding.

use crate::Overflow;

/// `num / den`, `den` > 0. Not necessarily reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    num: i128,
    den: i128,
}

impl Ratio {
    pub const ZERO: Self = Self { num: 0, den: 1 };

    pub fn new(num: i128, den: i128) -> Result<Self, Overflow> {
        if den == 0 || (den < 0 && (den == i128::MIN || num == i128::MIN)) {
            return Err(Overflow);
        }
        Ok(if den < 0 {
            Self {
                num: -num,
                den: -den,
            }
        } else {
            Self { num, den }
        })
    }
    pub const fn whole(num: i128) -> Self {
        Self { num, den: 1 }
    }
    pub const fn num(self) -> i128 {
        self.num
    }
    pub const fn den(self) -> i128 {
        self.den
    }
    pub fn is_zero(self) -> bool {
        self.num == 0
    }
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        if self.den == other.den {
            return Ok(Self {
                num: self.num.checked_add(other.num).ok_or(Overflow)?,
                den: self.den,
            });
        }
        let shared = gcd(self.den, other.den);
        let (left, right) = (other.den / shared, self.den / shared);
        let num = self
            .num
            .checked_mul(left)
            .zip(other.num.checked_mul(right))
            .and_then(|(a, b)| a.checked_add(b));
        num.zip(self.den.checked_mul(left))
            .map(|(num, den)| Self { num, den })
            .ok_or(Overflow)
    }
    pub fn checked_neg(self) -> Result<Self, Overflow> {
        self.num
            .checked_neg()
            .map(|num| Self { num, den: self.den })
            .ok_or(Overflow)
    }
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        self.checked_add(other.checked_neg()?)
    }
    /// Times `num / den`; reduced first, so that it overflows only when the result does.
    pub fn checked_mul(self, other: Self) -> Result<Self, Overflow> {
        let (a, b) = (gcd(self.num, other.den), gcd(other.num, self.den));
        let num = (self.num / a).checked_mul(other.num / b).ok_or(Overflow)?;
        let den = (self.den / b).checked_mul(other.den / a).ok_or(Overflow)?;
        Ok(Self { num, den })
    }
    pub fn reduced(self) -> Self {
        let shared = gcd(self.num, self.den);
        Self {
            num: self.num / shared,
            den: self.den / shared,
        }
    }
    /// Exact comparison, by continued fractions: never overflows.
    pub fn compare(self, other: Self) -> std::cmp::Ordering {
        let (mut a, mut b) = (self, other);
        let mut flipped = false;
        loop {
            let (qa, qb) = (a.num.div_euclid(a.den), b.num.div_euclid(b.den));
            let (ra, rb) = (a.num.rem_euclid(a.den), b.num.rem_euclid(b.den));
            let order = match (qa.cmp(&qb), ra == 0, rb == 0) {
                (std::cmp::Ordering::Equal, false, false) => {
                    (a, b) = (
                        Self {
                            num: a.den,
                            den: ra,
                        },
                        Self {
                            num: b.den,
                            den: rb,
                        },
                    );
                    flipped = !flipped;
                    continue;
                }
                // Equal whole parts: the one without a rest is the smaller.
                (std::cmp::Ordering::Equal, a_whole, b_whole) => b_whole.cmp(&a_whole),
                (order, ..) => order,
            };
            return if flipped { order.reverse() } else { order };
        }
    }
}

/// `a * b`. Numbers of 64 bits, which nearly all are, multiply without the slow check.
#[inline]
pub(crate) fn product(a: i128, b: i128) -> Result<i128, Overflow> {
    match (i64::try_from(a), i64::try_from(b)) {
        (Ok(a), Ok(b)) => Ok(i128::from(a) * i128::from(b)),
        _ => a.checked_mul(b).ok_or(Overflow),
    }
}

/// Greatest common divisor of the magnitudes; at least 1.
pub(crate) fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        // Most numbers fit a machine word, or soon do.
        if let (Ok(mut x), Ok(mut y)) = (u64::try_from(a), u64::try_from(b)) {
            while y != 0 {
                (x, y) = (y, x % y);
            }
            return i128::from(x).max(1);
        }
        (a, b) = (b, a % b);
    }
    i128::try_from(a).map_or(1, |g| g.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn compares_as_cross_products(a in any::<i32>(), b in 1_i32.., c in any::<i32>(), d in 1_i32..) {
            let (x, y) = (Ratio::new(a.into(), b.into()).unwrap(), Ratio::new(c.into(), d.into()).unwrap());
            prop_assert_eq!(x.compare(y), (i128::from(a) * i128::from(d)).cmp(&(i128::from(c) * i128::from(b))));
        }

        #[test]
        fn sums_are_exact(a in any::<i32>(), b in 1_i32.., c in any::<i32>(), d in 1_i32..) {
            let (x, y) = (Ratio::new(a.into(), b.into()).unwrap(), Ratio::new(c.into(), d.into()).unwrap());
            let sum = x.checked_add(y).unwrap();
            prop_assert_eq!(sum.compare(Ratio::new(i128::from(a) * i128::from(d) + i128::from(c) * i128::from(b), i128::from(b) * i128::from(d)).unwrap()), std::cmp::Ordering::Equal);
        }
    }
}
