//! What Stripe is asked with. Checked before anything is sent: a wrong setting is a reason not to
//! start.

use crate::secret::Secret;
use std::num::NonZeroU32;
use std::time::Duration;
use url::{Host, Url};

pub const API_URL: &str = "https://api.stripe.com/";

/// Requests per second below which Stripe (100 live, 25 in a sandbox) does not refuse us. A quarter
/// more may come at once.
const RATE_LIVE: NonZeroU32 = NonZeroU32::new(80).unwrap();
const RATE_SANDBOX: NonZeroU32 = NonZeroU32::new(20).unwrap();

#[derive(Debug, Clone)]
pub struct StripeSettings {
    /// `sk_live_…`, `sk_test_…`, or a restricted key (`rk_…`).
    pub secret_key: Secret,
    pub api_url: String,
    /// Of the endpoint for our own account; two while one is being replaced.
    pub webhook_secrets: Vec<Secret>,
    /// Of the endpoint for connected accounts.
    pub connect_webhook_secrets: Vec<Secret>,
    /// Of one attempt.
    pub timeout: Duration,
    /// Attempts of one call, and the pause before the second; each further pause is twice as long,
    /// up to 4 s.
    pub attempts_max: usize,
    pub first_pause: Duration,
    /// Of this process. `None`: four fifths of what Stripe allows, which is right for one process.
    pub requests_per_sec: Option<NonZeroU32>,
}

impl StripeSettings {
    pub fn new(secret_key: Secret) -> Self {
        Self {
            secret_key,
            api_url: API_URL.into(),
            webhook_secrets: Vec::new(),
            connect_webhook_secrets: Vec::new(),
            timeout: Duration::from_secs(10),
            attempts_max: 4,
            first_pause: Duration::from_millis(250),
            requests_per_sec: None,
        }
    }

    /// Whether the key moves real money.
    ///
    /// # Errors
    /// It is not a secret key.
    pub fn is_live(&self) -> Result<bool, BadSettings> {
        let key = self.secret_key.reveal();
        let kind = key
            .strip_prefix("sk_")
            .or_else(|| key.strip_prefix("rk_"))
            .ok_or(BadSettings::Key)?;
        match kind.split_once('_') {
            Some(("live", rest)) if !rest.is_empty() => Ok(true),
            Some(("test", rest)) if !rest.is_empty() => Ok(false),
            _ => Err(BadSettings::Key),
        }
    }

    /// The base address with its slash at the end.
    ///
    /// # Errors
    /// It is no address, or one over which the key would travel readable.
    pub(super) fn base_url(&self) -> Result<String, BadSettings> {
        let mut url: Url = self.api_url.parse().map_err(|_| BadSettings::Url)?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(BadSettings::Url);
        }
        match url.scheme() {
            "https" if url.has_host() => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(BadSettings::Url),
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(url.into())
    }

    pub(super) fn rate(&self, is_live: bool) -> NonZeroU32 {
        self.requests_per_sec
            .unwrap_or(if is_live { RATE_LIVE } else { RATE_SANDBOX })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    #[error(
        "expected a secret or restricted key of Stripe: sk_live_…, sk_test_…, rk_live_… or \
            rk_test_…"
    )]
    Key,
    #[error(
        "expected an https address without query, such as https://api.stripe.com/ (http only on \
            this machine)"
    )]
    Url,
    #[error(
        "the key before was of the other mode (live or test): another account needs a start with it"
    )]
    Mode,
    #[error("the client cannot be made from these settings")]
    Client,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(key: &str) -> StripeSettings {
        StripeSettings::new(key.parse().unwrap())
    }

    #[test]
    fn the_key_says_whether_it_is_live() {
        for (key, live) in [
            ("sk_live_a", true),
            ("rk_live_a_b", true),
            ("sk_test_a", false),
            ("rk_test_a", false),
        ] {
            assert_eq!(settings(key).is_live(), Ok(live), "{key}");
        }
        for key in [
            "pk_live_a",
            "whsec_a",
            "sk_live_",
            "sk_a",
            "live_a",
            "sk_prod_a",
        ] {
            assert_eq!(settings(key).is_live(), Err(BadSettings::Key), "{key}");
        }
    }

    #[test]
    fn only_https_beyond_this_machine() {
        let base = |url: &str| {
            StripeSettings {
                api_url: url.into(),
                ..settings("sk_test_a")
            }
            .base_url()
        };
        assert_eq!(base(API_URL).as_deref(), Ok(API_URL));
        assert_eq!(
            base("https://proxy.example/stripe").as_deref(),
            Ok("https://proxy.example/stripe/")
        );
        for url in [
            "http://127.0.0.1:18440",
            "http://[::1]:1/",
            "http://localhost:1",
        ] {
            assert!(base(url).is_ok_and(|url| url.ends_with('/')), "{url}");
        }
        for url in [
            "http://api.stripe.com/",
            "http://127.0.0.1.evil.example/",
            "ftp://x/",
            "api.stripe.com",
            "",
            "https://u:p@x/",
            "https://x/?a",
        ] {
            assert_eq!(base(url), Err(BadSettings::Url), "{url}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let mut settings = settings("sk_live_key");
        settings.webhook_secrets = vec!["whsec_own".parse().unwrap()];
        settings.connect_webhook_secrets = vec!["whsec_connect".parse().unwrap()];
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("sk_live") && !shown.contains("whsec"),
            "{shown}"
        );
    }
}
