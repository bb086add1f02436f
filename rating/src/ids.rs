//! Typed ids. 63 bits, positive, time-ordered (milliseconds, then random bits), made by the
//! application and never by the database, so that rows can move between databases unchanged.
//! Shown with a prefix and thirteen Crockford base-32 digits: `ten_01j9…`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 13;

/// The text is not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind (expected {0}_ and 13 digits)")]
pub struct BadId(pub &'static str);

/// `ms` since the Unix epoch (41 bits from 2020 on) above 22 bits that set apart what is made in
/// the same one.
pub fn compose(unix_ms: i64, number: u32) -> i64 {
    const EPOCH_2020_MS: i64 = 1_577_836_800_000;
    let ms = (unix_ms - EPOCH_2020_MS).clamp(1, (1 << 41) - 1);
    (ms << 22) | i64::from(number & 0x3f_ffff)
}

pub fn encode(prefix: &str, id: i64) -> String {
    let mut text = String::with_capacity(prefix.len() + 1 + DIGITS);
    text.push_str(prefix);
    text.push('_');
    for digit in (0..DIGITS).rev() {
        let index = (id.cast_unsigned() >> (digit * 5)) & 31;
        text.push(char::from(ALPHABET[usize::try_from(index).unwrap_or(0)]));
    }
    text
}

pub fn decode(prefix: &'static str, text: &str) -> Result<i64, BadId> {
    let digits = text
        .strip_prefix(prefix)
        .and_then(|t| t.strip_prefix('_'))
        .ok_or(BadId(prefix))?;
    if digits.len() != DIGITS {
        return Err(BadId(prefix));
    }
    let mut id: u128 = 0;
    for byte in digits.bytes() {
        let index = ALPHABET
            .iter()
            .position(|&c| c == byte)
            .ok_or(BadId(prefix))?;
        id = (id << 5) | index as u128;
    }
    i64::try_from(id).map_err(|_| BadId(prefix))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            pub const PREFIX: &'static str = $prefix;
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode($prefix, self.0))
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                decode($prefix, text).map(Self)
            }
        }
        // Text for people and JSON, the bare number for packed rows.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i64(self.0) }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    i64::deserialize(d).map(Self)
                }
            }
        }
    };
}

id!(/// A node of the tree of sellers and buyers.
    TenantId, "ten");
id!(/// The terms of one link.
    AgreementId, "agr");
id!(/// A seller's prices.
    RateCardId, "crd");
id!(/// One published (immutable) or draft version of a rate card.
    CardVersionId, "ver");
id!(/// Funds set aside for usage under way.
    HoldId, "hld");
id!(/// An API key (not its secret).
    ApiKeyId, "key");
id!(/// What is measured.
    MeterId, "mtr");
id!(/// Money in through a payment provider.
    TopUpId, "top");
id!(/// Money that came in, given back on our word.
    RefundId, "rfd");
id!(/// Something that a tenant is told of.
    NoticeId, "ntc");
id!(/// Where a tenant's own programs hear of things.
    EndpointId, "whe");
id!(/// Whom to write to.
    ContactId, "ctc");
id!(/// One notice on its way to one endpoint or contact.
    DeliveryId, "dlv");
id!(/// Commission paid out for one period.
    PayoutId, "pyt");
id!(/// A file of payouts for the bank.
    PayoutFileId, "ptf");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for id in [1, 32, i64::MAX, compose(1_795_000_000_000, 77)] {
            assert_eq!(TenantId(id).to_string().parse(), Ok(TenantId(id)));
        }
    }

    #[test]
    fn foreign_or_broken_text_is_refused() {
        for text in [
            "",
            "ten_",
            "agr_0000000000001",
            "ten_000000000000u",
            "ten_zzzzzzzzzzzzz",
            "ten_00000000000001",
        ] {
            assert!(text.parse::<TenantId>().is_err(), "{text}");
        }
    }
}
