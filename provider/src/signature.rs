//! Signatures of webhooks as Stripe makes them: `t=<seconds>,v1=<hex>[,v1=<hex>…]`, HMAC-SHA-256
//! with one of our secrets over `<seconds>.<raw body>`.
//! <https://docs.stripe.com/webhooks#verify-manually>

use crate::HookError;
use crate::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use rating::Instant;
use sha2::Sha256;

/// How far the time of a signature may be from ours, before or after.
pub const TOLERANCE_SECS: u32 = 300;

/// Signatures that are looked at in one header; a provider sends one for each of its secrets.
const SIGNATURES_MAX: usize = 8;

/// Knows the secrets of one address. During a rotation there are two; without any, nothing is
/// believed.
#[derive(Debug, Clone)]
pub struct Verifier {
    secrets: Vec<Secret>,
}

impl Verifier {
    pub fn new(secrets: Vec<Secret>) -> Self {
        Self { secrets }
    }

    /// Whether `body`, byte by byte as it came, was signed with one of the secrets within
    /// [`TOLERANCE_SECS`] of `now`.
    ///
    /// # Errors
    /// [`HookError::Unsigned`], [`HookError::Forged`] or [`HookError::Stale`].
    pub fn verify(&self, header: Option<&str>, body: &[u8], now: Instant) -> Result<(), HookError> {
        let signed =
            Signed::parse(header.ok_or(HookError::Unsigned)?).ok_or(HookError::Unsigned)?;
        if !self.secrets.iter().any(|secret| signed.fits(secret, body)) {
            return Err(HookError::Forged);
        }
        let age_micros = i128::from(now.micros()) - i128::from(signed.secs) * 1_000_000;
        let within = age_micros.abs() <= i128::from(TOLERANCE_SECS) * 1_000_000;
        if within {
            Ok(())
        } else {
            Err(HookError::Stale)
        }
    }
}

struct Signed<'a> {
    /// As it was signed.
    time: &'a str,
    secs: i64,
    signatures: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    /// Other schemes (`v0`) are passed over. `None` without exactly one time and at least one
    /// signature.
    fn parse(header: &'a str) -> Option<Self> {
        let mut time = None;
        let mut signatures = Vec::new();
        for (name, value) in header
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
        {
            match name {
                "t" if time.is_some() => return None,
                "t" => time = Some(value),
                "v1" if signatures.len() < SIGNATURES_MAX => {
                    signatures.extend(hex::decode(value).ok())
                }
                _ => {}
            }
        }
        let time = time.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()))?;
        let secs = time.parse().ok()?;
        (!signatures.is_empty()).then_some(Self {
            time,
            secs,
            signatures,
        })
    }

    /// Compares in constant time.
    fn fits(&self, secret: &Secret, body: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
            return false;
        };
        mac.update(self.time.as_bytes());
        mac.update(b".");
        mac.update(body);
        self.signatures
            .iter()
            .any(|signature| mac.clone().verify_slice(signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"{\n  \"id\": \"evt_1\"\n}";
    const NOW: i64 = 1_763_000_000;

    fn sign(secret: &str, time: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn check(secrets: &[&str], header: &str, body: &[u8]) -> Result<(), HookError> {
        let verifier = Verifier::new(secrets.iter().map(|s| s.parse().unwrap()).collect());
        verifier.verify(Some(header), body, Instant::from_secs(NOW))
    }

    #[test]
    fn the_example_of_the_official_library() {
        // stripe 16.1.0: WebhookSignature.generate_signature_header(BODY, "whsec_test", NOW)
        let header =
            "t=1763000000,v1=c31355eaae0a34ca219fb47c59b4013d8a63d96006e3a9d21c2fda45d6da16ae";
        assert_eq!(check(&["whsec_test"], header, BODY), Ok(()));
    }

    #[test]
    fn any_of_several_signatures_and_secrets() {
        let (a, b) = (
            sign("whsec_a", &NOW.to_string(), BODY),
            sign("whsec_b", &NOW.to_string(), BODY),
        );
        let both = format!("t={NOW},v1={a},v1={b},v0={}", "0".repeat(64));
        for secrets in [
            ["whsec_a", "x"],
            ["x", "whsec_a"],
            ["whsec_b", "x"],
            ["x", "whsec_b"],
        ] {
            assert_eq!(check(&secrets, &both, BODY), Ok(()), "{secrets:?}");
        }
        assert_eq!(check(&["x", "y"], &both, BODY), Err(HookError::Forged));
        assert_eq!(
            check(&[], &both, BODY),
            Err(HookError::Forged),
            "no secret believes nothing"
        );
    }

    #[test]
    fn what_was_changed_is_refused() {
        let good = sign("whsec_a", &NOW.to_string(), BODY);
        assert_eq!(
            check(
                &["whsec_a"],
                &format!("t={NOW},v1={good}"),
                b"{\"id\":\"evt_1\"}"
            ),
            Err(HookError::Forged)
        );
        assert_eq!(
            check(&["whsec_a"], &format!("t={},v1={good}", NOW + 1), BODY),
            Err(HookError::Forged)
        );
        assert_eq!(
            check(&["whsec_a"], &format!("t={NOW},v1={}", &good[..62]), BODY),
            Err(HookError::Forged)
        );
        assert_eq!(
            check(
                &["whsec_a"],
                &format!("t={NOW},v1={}", sign("", &NOW.to_string(), BODY)),
                BODY
            ),
            Err(HookError::Forged)
        );
    }

    #[test]
    fn what_is_not_signed_is_refused() {
        let good = sign("whsec_a", &NOW.to_string(), BODY);
        let headers = [
            String::new(),
            "t=".into(),
            format!("t={NOW}"),
            format!("v1={good}"),
            format!("t={NOW},v0={good}"),
            format!("t={NOW},v1=zz"),
            format!("t=+{NOW},v1={good}"),
            format!("t={NOW},t={NOW},v1={good}"),
            format!("t=99999999999999999999,v1={good}"),
        ];
        for header in headers {
            assert_eq!(
                check(&["whsec_a"], &header, BODY),
                Err(HookError::Unsigned),
                "{header}"
            );
        }
        let verifier = Verifier::new(vec!["whsec_a".parse().unwrap()]);
        assert_eq!(
            verifier.verify(None, BODY, Instant::from_secs(NOW)),
            Err(HookError::Unsigned)
        );
    }

    #[test]
    fn only_for_five_minutes() {
        for (skew, expected) in [
            (-301, Err(HookError::Stale)),
            (-300, Ok(())),
            (300, Ok(())),
            (301, Err(HookError::Stale)),
        ] {
            let time = (NOW + skew).to_string();
            let header = format!("t={time},v1={}", sign("whsec_a", &time, BODY));
            assert_eq!(check(&["whsec_a"], &header, BODY), expected, "{skew}");
        }
        let huge = i64::MAX.to_string();
        assert_eq!(
            check(
                &["whsec_a"],
                &format!("t={huge},v1={}", sign("whsec_a", &huge, BODY)),
                BODY
            ),
            Err(HookError::Stale)
        );
    }
}
