//! Keys of identities: 16 bytes that nobody outside can make collide, in the order of time where
//! the id has one.

use journal::Name;
use siphasher::sip::SipHasher24;
use std::hash::Hasher;

/// Of the database, in two halves.
pub const SECRET_BYTES: usize = 32;
/// The first bit is set for ids without a time.
const WITHOUT_TIME: u128 = 1 << 127;

#[derive(Clone)]
pub struct Secret {
    first: [u8; 16],
    second: [u8; 16],
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    pub fn new(bytes: &[u8; SECRET_BYTES]) -> Self {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        first.copy_from_slice(&bytes[..16]);
        second.copy_from_slice(&bytes[16..]);
        Self { first, second }
    }

    pub fn identity(&self, name: Name<'_>) -> u64 {
        hashed(&self.first, name)
    }

    /// `hash`: [`Self::identity`] of the name. Milliseconds (48 bits) and the hash, or two hashes.
    pub fn key(&self, hash: u64, name: Name<'_>) -> u128 {
        match unix_ms(name.id) {
            Some(ms) => u128::from(ms) << 80 | u128::from(hash) << 16,
            None => WITHOUT_TIME | u128::from(hash) << 64 | u128::from(hashed(&self.second, name)),
        }
    }
}

pub const fn has_time(key: u128) -> bool {
    key < WITHOUT_TIME
}

fn hashed(secret: &[u8; 16], name: Name<'_>) -> u64 {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(&name.root.0.to_le_bytes());
    match name.reporter {
        None => hasher.write(&[name.namespace as u8]),
        Some(reporter) => {
            hasher.write(&[name.namespace as u8 | journal::hash::REPORTED]);
            hasher.write(&reporter.0.to_le_bytes());
        }
    }
    hasher.write(&(name.source.len() as u64).to_le_bytes());
    hasher.write(name.source.as_bytes());
    hasher.write(name.id.as_bytes());
    hasher.finish()
}

/// Of a UUID of version 7 as text; `None` for every other id.
fn unix_ms(id: &str) -> Option<u64> {
    let id = id.as_bytes();
    if id.len() != 36 || id[8] != b'-' || id[13] != b'-' || id[14] != b'7' {
        return None;
    }
    let digit = |ms: u64, byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .map(|digit| ms << 4 | u64::from(digit))
    };
    let ms = id[..8].iter().chain(&id[9..13]).try_fold(0, digit)?;
    // The first bit says that there is no time: far later than 9999.
    (ms < 1 << 47).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::Namespace;
    use rating::TenantId;

    #[test]
    fn ids_with_a_time_are_in_its_order() {
        let secret = Secret::new(&[7; SECRET_BYTES]);
        let key = |id| {
            let name = Name {
                root: TenantId(1),
                reporter: None,
                namespace: Namespace::Usage,
                source: "pbx",
                id,
            };
            secret.key(secret.identity(name), name)
        };
        let early = key("0192a0b1-c2d3-7fff-bfff-ffffffffffff");
        let late = key("0192a0b1-c2d4-7000-8000-000000000000");
        assert!(early < late && has_time(late));
        assert_eq!(early >> 80, 0x0192_a0b1_c2d3);
        let others = [
            "0192a0b1-c2d3-4fff-bfff-ffffffffffff",
            "x",
            "",
            "0192a0b1-c2d3-7fff-bfff-fffffffffff",
            "f192a0b1-c2d3-7fff-bfff-ffffffffffff",
        ];
        assert!(others.iter().all(|id| !has_time(key(id))));
    }
}
