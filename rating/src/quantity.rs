//! Quantities: decimals with at most nine decimals, held as whole billionths of the meter's unit.

use crate::Overflow;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Billionths of the meter's base unit (calls: of a second). Signed: corrections are negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(pub i128);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadQuantity {
    #[error("expected a decimal number, such as \"600\" or \"0.25\"")]
    NotADecimal,
    #[error("expected at most 9 decimals")]
    TooFine,
    #[error("expected at most 15 digits before the point")]
    TooLarge,
}

impl Quantity {
    pub const DECIMALS: u32 = 9;
    /// Billionths in one unit.
    pub const ONE: i128 = 1_000_000_000;
    pub const ZERO: Self = Self(0);
    /// The largest quantity of one event: 10¹⁵ units.
    pub const EVENT_MAX: Self = Self(1_000_000_000_000_000 * Self::ONE);

    pub const fn whole(units: i64) -> Self {
        Self(units as i128 * Self::ONE)
    }
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).map(Self).ok_or(Overflow)
    }
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(Overflow)
    }
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
    pub fn from_decimal(value: Decimal) -> Result<Self, BadQuantity> {
        let value = value.normalize();
        if value.scale() > Self::DECIMALS {
            return Err(BadQuantity::TooFine);
        }
        let factor = 10_i128.pow(Self::DECIMALS - value.scale());
        let nano = value
            .mantissa()
            .checked_mul(factor)
            .ok_or(BadQuantity::TooLarge)?;
        if nano.unsigned_abs() > Self::EVENT_MAX.0.unsigned_abs() {
            return Err(BadQuantity::TooLarge);
        }
        Ok(Self(nano))
    }
}

impl FromStr for Quantity {
    type Err = BadQuantity;
    /// Plain decimals only (`-12.5`); no exponent, no group separators, no surrounding space.
    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (mut value, mut decimals, mut seen, mut point): (i128, u32, bool, bool) =
            (0, 0, false, false);
        for &byte in digits {
            match byte {
                b'0'..=b'9' => {
                    seen = true;
                    if point && decimals == Self::DECIMALS {
                        if byte != b'0' {
                            return Err(BadQuantity::TooFine);
                        }
                        continue;
                    }
                    value = value * 10 + i128::from(byte - b'0');
                    if value > Self::EVENT_MAX.0 {
                        return Err(BadQuantity::TooLarge);
                    }
                    decimals += u32::from(point);
                }
                b'.' if !point && seen => point = true,
                _ => return Err(BadQuantity::NotADecimal),
            }
        }
        if !seen || digits.last() == Some(&b'.') {
            return Err(BadQuantity::NotADecimal);
        }
        let value = value * 10_i128.pow(Self::DECIMALS - decimals);
        if value > Self::EVENT_MAX.0 {
            return Err(BadQuantity::TooLarge);
        }
        Ok(Self(if negative { -value } else { value }))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::money::plain_decimal(self.0, Self::DECIMALS))
    }
}

impl Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.collect_str(self)
        } else {
            s.serialize_i128(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            crate::money::decimal_from_text(d)
        } else {
            i128::deserialize(d).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_plain_decimals_only() {
        for (text, want) in [
            ("600", Ok(600_000_000_000)),
            ("600.0", Ok(600_000_000_000)),
            ("-0.25", Ok(-250_000_000)),
            ("0.000000001", Ok(1)),
            ("0.0000000010", Ok(1)),
            ("0.0000000001", Err(BadQuantity::TooFine)),
            ("1000000000000000", Ok(Quantity::EVENT_MAX.0)),
            ("1000000000000001", Err(BadQuantity::TooLarge)),
            (
                "1234567890123456789012345678901234567890",
                Err(BadQuantity::TooLarge),
            ),
            ("", Err(BadQuantity::NotADecimal)),
            ("-", Err(BadQuantity::NotADecimal)),
            ("1.", Err(BadQuantity::NotADecimal)),
            (".5", Err(BadQuantity::NotADecimal)),
            ("1e3", Err(BadQuantity::NotADecimal)),
            ("1,5", Err(BadQuantity::NotADecimal)),
            (" 1", Err(BadQuantity::NotADecimal)),
            ("NaN", Err(BadQuantity::NotADecimal)),
        ] {
            assert_eq!(text.parse::<Quantity>().map(|q| q.0), want, "{text}");
        }
    }

    #[test]
    fn shows_no_superfluous_zero() {
        for (nano, want) in [
            (0, "0"),
            (600_000_000_000, "600"),
            (-250_000_000, "-0.25"),
            (1, "0.000000001"),
        ] {
            assert_eq!(Quantity(nano).to_string(), want);
        }
    }
}
