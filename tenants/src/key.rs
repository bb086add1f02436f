//! API keys: 256 random bits, shown once, stored as a hash, scoped to a subtree.
//!
//! The secret is found by its hash and then compared in constant time; a key that does not match,
//! is revoked or has expired opens nothing.

use crate::{Invalid, Tenant, TenantKind, invalid::check, tenant::check_name};
use rating::{Instant, TenantId, ids::ApiKeyId};
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;

const SECRET_PREFIX: &str = "cw_";
/// ⌈256 bits / 5⌉.
const SECRET_DIGITS: usize = 52;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything, for the platform's operator.
    PlatformAdmin,
    /// Reads and writes in the key's subtree.
    TenantAdmin,
    /// Reads in the key's subtree.
    TenantRead,
    /// Sends usage, places holds, asks prices and balances in the key's subtree.
    UsageWrite,
    /// Reads the measures of the installation, for monitoring: nothing of anybody's.
    MetricsRead,
}

/// What an operation asks of a key. Every operation names exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// Reads tenants, agreements, cards, usage, entries, statements.
    Read,
    /// Asks a price or a balance: changes nothing.
    Ask,
    /// Sends, voids and corrects usage; places, extends and releases holds.
    UsageWrite,
    /// Changes tenants, agreements, cards, keys below the key's own tenant; moves money by hand.
    TenantWrite,
    /// Changes what belongs to the platform as a whole: meters, settings.
    PlatformWrite,
    /// Reads the measures of the installation.
    Measure,
}

impl Scope {
    pub const ALL: [Self; 5] = [
        Self::PlatformAdmin,
        Self::TenantAdmin,
        Self::TenantRead,
        Self::UsageWrite,
        Self::MetricsRead,
    ];

    /// As it is written in requests and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PlatformAdmin => "platform_admin",
            Self::TenantAdmin => "tenant_admin",
            Self::TenantRead => "tenant_read",
            Self::UsageWrite => "usage_write",
            Self::MetricsRead => "metrics_read",
        }
    }

    pub const fn allows(self, need: Need) -> bool {
        match self {
            Self::PlatformAdmin => true,
            Self::TenantAdmin => !matches!(need, Need::PlatformWrite | Need::Measure),
            Self::TenantRead => matches!(need, Need::Read | Need::Ask),
            Self::UsageWrite => matches!(need, Need::UsageWrite | Need::Ask),
            Self::MetricsRead => matches!(need, Need::Measure),
        }
    }
}

/// Why a key opens nothing. Callers are told no more than "not a valid key"; logs may tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the secret does not match")]
    Secret,
    #[error("the key has been revoked")]
    Revoked,
    #[error("the key has expired")]
    Expired,
}

#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    /// The subtree the key sees.
    pub tenant: TenantId,
    pub root: TenantId,
    pub scope: Scope,
    pub name: String,
    /// BLAKE3 of the secret.
    pub hash: [u8; 32],
    pub created_at: Instant,
    pub expires_at: Option<Instant>,
    pub revoked_at: Option<Instant>,
    /// Whose holder made it; `None`: the program itself, or it is from before this was kept.
    pub made_by: Option<ApiKeyId>,
    /// About when: it is written once a minute.
    pub last_used_at: Option<Instant>,
}

/// Without the hash: it has no place in logs.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            tenant,
            scope,
            name,
            ..
        } = self;
        write!(f, "ApiKey({id} {name:?} {scope:?} {tenant})")
    }
}

/// The secret's text from 256 random bits: `cw_` and 52 base-32 digits. Shown once, never stored.
pub fn new_secret(random: [u8; 32]) -> String {
    let mut text = String::with_capacity(SECRET_PREFIX.len() + SECRET_DIGITS);
    text.push_str(SECRET_PREFIX);
    let (mut bits, mut count) = (0_u32, 0_u32);
    // A zero byte after the last one fills the last digit.
    for byte in random.into_iter().chain([0]) {
        (bits, count) = (((bits << 8) | u32::from(byte)) & 0xffff, count + 8);
        while count >= 5 && text.len() < SECRET_PREFIX.len() + SECRET_DIGITS {
            count -= 5;
            text.push(char::from(ALPHABET[((bits >> count) & 31) as usize]));
        }
    }
    text
}

/// What is stored of a secret, and what it is looked up by.
pub fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// Whether a text has the form of a secret: anything else need not be looked up.
pub fn is_secret(text: &str) -> bool {
    let digits = text.strip_prefix(SECRET_PREFIX).unwrap_or_default();
    digits.len() == SECRET_DIGITS && digits.bytes().all(|byte| ALPHABET.contains(&byte))
}

impl ApiKey {
    /// Whether this secret opens this key now. Order of checks: secret (in constant time), revoked,
    /// expired.
    pub fn check(&self, secret: &str, now: Instant) -> Result<(), KeyError> {
        if !bool::from(hash(secret).ct_eq(&self.hash)) {
            return Err(KeyError::Secret);
        }
        if self.revoked_at.is_some_and(|revoked| revoked <= now) {
            return Err(KeyError::Revoked);
        }
        if self.expires_at.is_some_and(|expires| expires <= now) {
            return Err(KeyError::Expired);
        }
        Ok(())
    }

    pub const fn allows(&self, need: Need) -> bool {
        self.scope.allows(need)
    }

    /// A new key against the tenant it is made for: only the platform's own may be platform admin,
    /// or read measures.
    pub fn validate(&self, tenant: &Tenant) -> Result<(), Invalid> {
        check_name(&self.name)?;
        check(
            self.tenant == tenant.id && self.root == tenant.root,
            "tenant",
            "expected the tenant that the key is made for",
        )?;
        let of_platform = tenant.kind == TenantKind::Platform;
        let for_platform = matches!(self.scope, Scope::PlatformAdmin | Scope::MetricsRead);
        check(
            !for_platform || of_platform,
            "scope",
            "platform_admin and metrics_read are for keys of the platform itself",
        )?;
        check(
            self.expires_at
                .is_none_or(|expires| self.created_at < expires),
            "expires_at",
            "expected an instant in the future",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tenant;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn key(secret: &str) -> ApiKey {
        ApiKey {
            id: ApiKeyId(1),
            tenant: TenantId(2),
            root: TenantId(2),
            scope: Scope::TenantAdmin,
            name: "switch".into(),
            hash: hash(secret),
            created_at: Instant(10),
            expires_at: None,
            revoked_at: None,
            made_by: None,
            last_used_at: None,
        }
    }

    #[test]
    fn secrets_have_one_form() {
        assert_eq!(new_secret([0; 32]), format!("cw_{}", "0".repeat(52)));
        assert_eq!(new_secret([0xff; 32]), format!("cw_{}g", "z".repeat(51)));
        for text in [
            "",
            "cw_",
            "cw_0",
            &"0".repeat(55),
            &format!("cw_{}", "u".repeat(52)),
            &format!("cw_{}", "0".repeat(53)),
        ] {
            assert!(!is_secret(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_bit_of_the_secret_counts(random in any::<[u8; 32]>()) {
            let mut texts = HashSet::from([new_secret(random)]);
            for bit in 0..256 {
                let mut other = random;
                other[bit / 8] ^= 1 << (bit % 8);
                texts.insert(new_secret(other));
            }
            prop_assert_eq!(texts.len(), 257);
            prop_assert!(texts.iter().all(|text| is_secret(text)));
        }
    }

    #[test]
    fn the_order_of_the_checks() {
        let secret = new_secret([7; 32]);
        let now = Instant(100);
        let dead = ApiKey {
            revoked_at: Some(now),
            expires_at: Some(now),
            ..key(&secret)
        };
        let expired = ApiKey {
            revoked_at: None,
            ..dead.clone()
        };
        assert_eq!(dead.check("cw_other", now), Err(KeyError::Secret));
        assert_eq!(dead.check(&secret, now), Err(KeyError::Revoked));
        assert_eq!(expired.check(&secret, now), Err(KeyError::Expired));
        assert_eq!(
            expired.check(&secret, Instant(99)),
            Ok(()),
            "the end is exclusive"
        );
        assert_eq!(key(&secret).check(&secret, now), Ok(()));
        assert_eq!(
            key(&secret).check(&secret.to_uppercase(), now),
            Err(KeyError::Secret)
        );
    }

    #[test]
    fn what_each_scope_may_do() {
        use Need::*;
        for (scope, allowed) in [
            (
                Scope::PlatformAdmin,
                &[Read, Ask, UsageWrite, TenantWrite, PlatformWrite, Measure][..],
            ),
            (Scope::TenantAdmin, &[Read, Ask, UsageWrite, TenantWrite]),
            (Scope::TenantRead, &[Read, Ask]),
            (Scope::UsageWrite, &[Ask, UsageWrite]),
            (Scope::MetricsRead, &[Measure]),
        ] {
            for need in [Read, Ask, UsageWrite, TenantWrite, PlatformWrite, Measure] {
                assert_eq!(
                    scope.allows(need),
                    allowed.contains(&need),
                    "{scope:?} {need:?}"
                );
            }
        }
    }

    #[test]
    fn scopes_are_named_as_they_are_written() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        }
    }

    #[test]
    fn platform_admins_belong_to_the_platform() {
        let (secret, reseller) = (new_secret([7; 32]), tenant(&[1, 2]));
        assert_eq!(key(&secret).validate(&reseller), Ok(()));
        let admin = ApiKey {
            scope: Scope::PlatformAdmin,
            ..key(&secret)
        };
        assert_eq!(
            admin.validate(&reseller).map_err(|invalid| invalid.field),
            Err("scope")
        );
        let admin = ApiKey {
            tenant: TenantId(1),
            root: TenantId(1),
            ..admin
        };
        assert_eq!(admin.validate(&tenant(&[1])), Ok(()));
        assert_eq!(
            admin.validate(&reseller).map_err(|invalid| invalid.field),
            Err("tenant")
        );
        let stillborn = ApiKey {
            expires_at: Some(Instant(10)),
            ..key(&secret)
        };
        assert_eq!(
            stillborn
                .validate(&reseller)
                .map_err(|invalid| invalid.field),
            Err("expires_at")
        );
    }

    #[test]
    fn a_key_shows_no_hash_in_logs() {
        assert!(!format!("{:?}", key("cw_x")).contains("hash"));
    }
}
