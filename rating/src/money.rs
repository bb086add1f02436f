//! Money: whole cents at rest, exact amounts (10⁻¹² cent) before, the carry between the two.
//! "Cent" is the minor unit of the account's currency (ISO 4217 exponent): for JPY a yen.

use crate::Overflow;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Whole minor units.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cents(pub i64);

/// The bounds of money, named once (DESIGN, "Exact until posted"). They are asked where something
/// is about to move: pricing, books, the API's fields. What is worked out again from the journal
/// adds up in wider integers, so that whatever was accepted, also before there were bounds, opens
/// again.
impl Cents {
    pub const ZERO: Self = Self(0);
    /// What one event comes to on one link, and what one move by hand or of a payment moves:
    /// 100,000,000,000.00.
    pub const EVENT_MAX: Self = Self(10_000_000_000_000);
    /// What one tenant has, owes, or may be lent: 10,000,000,000,000.00.
    pub const BALANCE_MAX: Self = Self(1_000_000_000_000_000);
    /// Not further from zero than `bound`.
    pub const fn is_within(self, bound: Self) -> bool {
        self.0.unsigned_abs() <= bound.0.unsigned_abs()
    }
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).map(Self).ok_or(Overflow)
    }
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(Overflow)
    }
    pub fn checked_neg(self) -> Result<Self, Overflow> {
        self.0.checked_neg().map(Self).ok_or(Overflow)
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An amount in 10⁻¹² cent: exact from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Exact(pub i128);

impl Exact {
    /// 10⁻¹² cents in one cent.
    pub const PER_CENT: i128 = 1_000_000_000_000;
    pub const CENT_DECIMALS: u32 = 12;
    pub const ZERO: Self = Self(0);

    pub const fn from_cents(cents: Cents) -> Self {
        Self(cents.0 as i128 * Self::PER_CENT)
    }
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).map(Self).ok_or(Overflow)
    }
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(Overflow)
    }
    pub fn checked_neg(self) -> Result<Self, Overflow> {
        self.0.checked_neg().map(Self).ok_or(Overflow)
    }
    /// Decimal text in cents: `0.04`.
    pub fn in_cents(self) -> String {
        plain_decimal(self.0, Self::CENT_DECIMALS)
    }
    /// Decimal text in major units: `0.0004` EUR.
    pub fn in_major(self, currency: Currency) -> String {
        plain_decimal(self.0, Self::CENT_DECIMALS + currency.exponent())
    }
}

impl Serialize for Exact {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.serialize_str(&self.in_cents())
        } else {
            s.serialize_i128(self.0)
        }
    }
}
impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            return Err(serde::de::Error::custom(
                "an exact amount is only written, never read",
            ));
        }
        i128::deserialize(d).map(Self)
    }
}

/// What a link still owes for a leaf customer: [0, 1) cent, in 10⁻¹² cent, positive from buyer to
/// seller.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Carry(pub i64);

impl Carry {
    pub const ZERO: Self = Self(0);
    /// Decimal text in cents: `0.96`.
    pub fn in_cents(self) -> String {
        plain_decimal(i128::from(self.0), Exact::CENT_DECIMALS)
    }
}

/// An ISO 4217 currency that has a minor unit (funds codes and metals without one are refused).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an ISO 4217 code in capitals with a minor unit, such as EUR")]
pub struct BadCurrency;

impl Currency {
    pub const EUR: Self = Self(iso_currency::Currency::EUR);
    pub fn code(self) -> &'static str {
        self.0.code()
    }
    /// Decimals of the minor unit: EUR 2, JPY 0, KWD 3.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(2, u32::from)
    }
    /// ISO 4217 numeric code: the form in packed rows.
    pub fn numeric(self) -> u16 {
        self.0.numeric()
    }
    pub fn from_numeric(numeric: u16) -> Option<Self> {
        iso_currency::Currency::from_numeric(numeric)
            .filter(|c| c.exponent().is_some())
            .map(Self)
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.numeric().cmp(&other.numeric())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl FromStr for Currency {
    type Err = BadCurrency;
    fn from_str(code: &str) -> Result<Self, BadCurrency> {
        iso_currency::Currency::from_code(code)
            .filter(|c| c.exponent().is_some())
            .map(Self)
            .ok_or(BadCurrency)
    }
}
impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.serialize_str(self.code())
        } else {
            s.serialize_u16(self.numeric())
        }
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if d.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
            text.parse().map_err(D::Error::custom)
        } else {
            Self::from_numeric(u16::deserialize(d)?).ok_or_else(|| D::Error::custom(BadCurrency))
        }
    }
}

/// `value` · 10⁻ᵈᵉᶜⁱᵐᵃˡˢ as text without superfluous zeros.
pub fn plain_decimal(value: i128, decimals: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!(
        "{:0>width$}",
        value.unsigned_abs(),
        width = decimals as usize + 1
    );
    let (whole, fraction) = digits.split_at(digits.len() - decimals as usize);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

/// Reads a decimal given as text or as a whole number. A fraction given as a JSON number is
/// refused: it would pass through a float. (Usage events accept it; they are read by their raw
/// digits.)
pub fn decimal_from_text<'de, T: FromStr<Err: fmt::Display>, D: serde::Deserializer<'de>>(
    d: D,
) -> Result<T, D::Error> {
    struct Text<T>(std::marker::PhantomData<T>);
    impl<T: FromStr<Err: fmt::Display>> serde::de::Visitor<'_> for Text<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a decimal as text, such as \"0.25\"")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
        fn visit_u64<E: serde::de::Error>(self, whole: u64) -> Result<T, E> {
            self.visit_str(&whole.to_string())
        }
        fn visit_i64<E: serde::de::Error>(self, whole: i64) -> Result<T, E> {
            self.visit_str(&whole.to_string())
        }
    }
    d.deserialize_any(Text(std::marker::PhantomData))
}

/// An exact decimal (rates, amounts): at most 12 decimals and 15 digits before the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate(pub Decimal);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a decimal with at most 12 decimals and 15 digits before the point, such as \"0.0125\""
)]
pub struct BadRate;

impl Rate {
    pub const DECIMALS: u32 = 12;
    pub const ZERO: Self = Self(Decimal::ZERO);

    pub fn from_decimal(value: Decimal) -> Result<Self, BadRate> {
        let value = value.normalize();
        let limit = Decimal::from(1_000_000_000_000_000_i64);
        if value.scale() > Self::DECIMALS || value.abs() > limit {
            Err(BadRate)
        } else {
            Ok(Self(value))
        }
    }
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }
}
impl FromStr for Rate {
    type Err = BadRate;
    fn from_str(text: &str) -> Result<Self, BadRate> {
        let plain = !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-')
            && text.bytes().next_back().is_some_and(|b| b.is_ascii_digit())
            && text
                .trim_start_matches('-')
                .bytes()
                .next()
                .is_some_and(|b| b.is_ascii_digit());
        if !plain {
            return Err(BadRate);
        }
        Self::from_decimal(Decimal::from_str_exact(text).map_err(|_| BadRate)?)
    }
}
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}
impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            return decimal_from_text(d);
        }
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// 10⁻¹² cents of an amount in major units.
pub fn pico_cents(amount: Rate, currency: Currency) -> Result<i128, Overflow> {
    // A rate has at most 12 decimals, so the scale never exceeds what is multiplied in.
    let shift = (Exact::CENT_DECIMALS + currency.exponent())
        .checked_sub(amount.0.scale())
        .ok_or(Overflow)?;
    10_i128
        .checked_pow(shift)
        .and_then(|factor| amount.0.mantissa().checked_mul(factor))
        .ok_or(Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_have_their_exponents() {
        for (code, exponent) in [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)] {
            assert_eq!(
                code.parse::<Currency>().map(Currency::exponent),
                Ok(exponent),
                "{code}"
            );
        }
        for code in ["eur", "EU", "XXX", "XAU", "ZZZ", ""] {
            assert!(code.parse::<Currency>().is_err(), "{code}");
        }
    }

    #[test]
    fn amounts_show_as_plain_decimals() {
        assert_eq!(Exact(40_000_000_000).in_cents(), "0.04");
        assert_eq!(Exact(40_000_000_000).in_major(Currency::EUR), "0.0004");
        assert_eq!(Exact(-1_500_000_000_000).in_cents(), "-1.5");
    }

    #[test]
    fn rates_are_read_by_their_digits() {
        for (text, ok) in [
            ("0.40", true),
            ("-1", true),
            ("1e3", false),
            ("0.1234567890123", false),
            ("", false),
            (".5", false),
            ("9999999999999999", false),
        ] {
            assert_eq!(text.parse::<Rate>().is_ok(), ok, "{text}");
        }
        assert!(
            serde_json::from_str::<Rate>("0.10").is_err(),
            "a float on the way"
        );
        assert_eq!(serde_json::from_str::<Rate>("3").ok(), "3".parse().ok());
        assert_eq!(
            serde_json::from_str::<Rate>("\"0.10\"").ok(),
            "0.1".parse().ok()
        );
    }
}
