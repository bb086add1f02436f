//! Signatures of webhooks as Standard Webhooks 1.0 has them (symmetric, `v1`): HMAC-SHA256 over
//! `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// Of a key; the standard asks for 24 to 64.
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;

/// The secret is none of ours: nothing is signed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected whsec_ and 24 to 64 bytes in base64")]
pub struct BadSecret;

/// A secret of these random bytes: `whsec_…`.
pub fn secret(random: [u8; 32]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(random))
}

/// The header `webhook-signature`: one signature for each secret, the present one first.
///
/// # Errors
/// One of the secrets is none.
pub fn header<'a>(
    secrets: impl Iterator<Item = &'a str>,
    id: &str,
    timestamp_secs: i64,
    body: &[u8],
) -> Result<String, BadSecret> {
    let signatures: Vec<String> = secrets
        .map(|secret| sign(secret, id, timestamp_secs, body))
        .collect::<Result<_, _>>()?;
    if signatures.is_empty() {
        Err(BadSecret)
    } else {
        Ok(signatures.join(" "))
    }
}

fn sign(secret: &str, id: &str, timestamp_secs: i64, body: &[u8]) -> Result<String, BadSecret> {
    let key = STANDARD
        .decode(secret.strip_prefix(PREFIX).ok_or(BadSecret)?)
        .map_err(|_| BadSecret)?;
    if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
        return Err(BadSecret);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| BadSecret)?;
    mac.update(format!("{id}.{timestamp_secs}.").as_bytes());
    mac.update(body);
    Ok(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the standard's own libraries.
    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const AT: i64 = 1_649_367_553;
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNED: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    #[test]
    fn signs_as_the_standard_does() {
        assert_eq!(
            header([SECRET].into_iter(), ID, AT, BODY).as_deref(),
            Ok(SIGNED)
        );
    }

    #[test]
    fn two_secrets_sign_beside_each_other() {
        let other = secret([7; 32]);
        let both = header([other.as_str(), SECRET].into_iter(), ID, AT, BODY).unwrap();
        let alone = header([other.as_str()].into_iter(), ID, AT, BODY).unwrap();
        assert_eq!(both, format!("{alone} {SIGNED}"));
    }

    #[test]
    fn what_is_no_secret_signs_nothing() {
        for secret in [
            "",
            "whsec_",
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "whsec_c2hvcnQ=",
            "whsec_!",
        ] {
            assert_eq!(
                header([secret].into_iter(), ID, AT, BODY),
                Err(BadSecret),
                "{secret:?}"
            );
        }
        assert_eq!(header(std::iter::empty(), ID, AT, BODY), Err(BadSecret));
    }
}
