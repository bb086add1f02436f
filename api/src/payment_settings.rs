//! The settings of payments through a provider, and whether they go together.

use anyhow::{Context as _, bail};
use payments::service::TopUpTerms;
use provider::secret::Secret;
use provider::stripe::{Stripe, StripeSettings};
use rating::{Cents, Currency};
use std::str::FromStr;
use std::sync::Arc;
use url::Url;

/// What can be topped up unless somebody says otherwise: 10.00 to 1000.00 EUR.
const TERMS: &str = "EUR:1000-100000:1000,2500,5000,10000,25000";

const WEBHOOK_SECRET: &str = "whsec_";
const KEYS: [&str; 2] = ["sk_", "rk_"];

#[derive(Debug, Clone, clap::Args)]
pub struct PaymentSettings {
    /// Public URL of this server for payers: `https://billing.example.com`.
    #[arg(long, env = "CENTWISE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Stripe secret key or restricted key. Without it, there are no payments through a provider.
    #[arg(
        long,
        env = "CENTWISE_STRIPE_SECRET_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub stripe_secret_key: Option<Secret>,
    /// Signing secrets of the webhook endpoint `/v1/webhooks/stripe`; two during a rotation.
    #[arg(
        long,
        env = "CENTWISE_STRIPE_WEBHOOK_SECRETS",
        value_name = "SECRETS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub stripe_webhook_secrets: Vec<Secret>,
    /// Signing secrets of `/v1/webhooks/stripe-connect`, for events of connected accounts.
    #[arg(
        long,
        env = "CENTWISE_STRIPE_CONNECT_WEBHOOK_SECRETS",
        value_name = "SECRETS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub stripe_connect_webhook_secrets: Vec<Secret>,
    /// URL of the Stripe API.
    #[arg(long, env = "CENTWISE_STRIPE_API_URL", default_value = provider::stripe::API_URL, value_name = "URL")]
    pub stripe_api_url: String,
    /// Allowed top-ups through the provider: `CURRENCY:MIN-MAX:PRESETS` in minor units, separated
    /// by `;`.
    #[arg(long, env = "CENTWISE_TOP_UP_TERMS", default_value = TERMS, value_name = "TERMS", value_delimiter = ';')]
    pub top_up_terms: Vec<Terms>,
}

impl Default for PaymentSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            stripe_secret_key: None,
            stripe_webhook_secrets: Vec::new(),
            stripe_connect_webhook_secrets: Vec::new(),
            stripe_api_url: provider::stripe::API_URL.to_owned(),
            top_up_terms: TERMS.parse().into_iter().collect(),
        }
    }
}

/// `EUR:1000-100000:1000,2500`
#[derive(Debug, Clone)]
pub struct Terms(TopUpTerms);

#[derive(Debug, thiserror::Error)]
#[error("expected CURRENCY:MIN-MAX or CURRENCY:MIN-MAX:PRESETS in minor units, such as {TERMS}")]
pub struct BadTerms;

impl FromStr for Terms {
    type Err = BadTerms;

    fn from_str(text: &str) -> Result<Self, BadTerms> {
        let cents = |text: &str| text.trim().parse().map(Cents).map_err(|_| BadTerms);
        let mut parts = text.split(':');
        let currency: Currency = parts
            .next()
            .unwrap_or_default()
            .trim()
            .parse()
            .map_err(|_| BadTerms)?;
        let (min, max) = parts
            .next()
            .and_then(|range| range.split_once('-'))
            .ok_or(BadTerms)?;
        let (min, max) = (cents(min)?, cents(max)?);
        let presets = parts
            .next()
            .map(|presets| presets.split(',').map(cents).collect())
            .transpose()?
            .unwrap_or_default();
        let terms = TopUpTerms {
            currency,
            min,
            max,
            presets,
        };
        let within = |cents: &Cents| (terms.min..=terms.max).contains(cents);
        let well = Cents::ZERO < terms.min
            && terms.min <= terms.max
            && terms.presets.iter().all(within)
            && parts.next().is_none();
        if well { Ok(Self(terms)) } else { Err(BadTerms) }
    }
}

impl PaymentSettings {
    /// What can be topped up through the provider.
    pub fn terms(&self) -> Vec<TopUpTerms> {
        self.top_up_terms
            .iter()
            .map(|terms| terms.0.clone())
            .collect()
    }

    /// What is right by itself, and yet hardly what somebody wants.
    pub fn warning(&self) -> Option<&'static str> {
        (self.stripe_secret_key.is_some() && self.stripe_webhook_secrets.is_empty()).then_some(
            "CENTWISE_STRIPE_SECRET_KEY is set without CENTWISE_STRIPE_WEBHOOK_SECRETS: no \
                provider message is accepted, and \
             payments, refunds and disputes are noticed only by polling every ten minutes \
             (docs/stripe.md)",
        )
    }

    /// Whether they go together.
    ///
    /// # Errors
    /// Names the variable, never a secret.
    pub fn check(&self) -> anyhow::Result<()> {
        let currencies: Vec<Currency> = self
            .top_up_terms
            .iter()
            .map(|terms| terms.0.currency)
            .collect();
        if let Some(twice) = currencies
            .iter()
            .enumerate()
            .find(|(at, currency)| currencies[..*at].contains(currency))
            .map(|(_, twice)| twice)
        {
            bail!("CENTWISE_TOP_UP_TERMS (--top-up-terms): {twice} has terms twice");
        }
        if let Some(url) = &self.public_url
            && !is_public_url(url)
        {
            // What stands before an `@` may be a password.
            let shown = if url.contains('@') {
                "it".to_owned()
            } else {
                format!("`{url}`")
            };
            bail!(
                "CENTWISE_PUBLIC_URL (--public-url): {shown} is not an address; expected \
                    https://HOST[:PORT][/PATH] without a user or parameters"
            );
        }
        if !is_web_address(&self.stripe_api_url) {
            bail!(
                "CENTWISE_STRIPE_API_URL (--stripe-api-url): expected an address that begins with \
                    https://"
            );
        }
        let secrets = [
            (
                "CENTWISE_STRIPE_WEBHOOK_SECRETS",
                &self.stripe_webhook_secrets,
            ),
            (
                "CENTWISE_STRIPE_CONNECT_WEBHOOK_SECRETS",
                &self.stripe_connect_webhook_secrets,
            ),
        ];
        for (name, secrets) in secrets {
            let is_one = |secret: &Secret| {
                secret
                    .reveal()
                    .strip_prefix(WEBHOOK_SECRET)
                    .is_some_and(|rest| !rest.trim().is_empty())
            };
            if !secrets.iter().all(is_one) {
                bail!(
                    "{name}: expected signing secrets that begin with {WEBHOOK_SECRET}, with \
                        commas in between"
                );
            }
            if !secrets.is_empty() && self.stripe_secret_key.is_none() {
                bail!(
                    "{name} is set without CENTWISE_STRIPE_SECRET_KEY: nothing that the provider \
                        reports could be looked up"
                );
            }
        }
        let Some(key) = &self.stripe_secret_key else {
            return Ok(());
        };
        let is_key = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic());
        if !KEYS
            .iter()
            .any(|start| key.reveal().strip_prefix(start).is_some_and(is_key))
        {
            bail!(
                "CENTWISE_STRIPE_SECRET_KEY: expected a secret or restricted key, which begins \
                    with {} and has no spaces",
                KEYS.join(" or ")
            );
        }
        self.provider()
            .context("CENTWISE_STRIPE_SECRET_KEY (and CENTWISE_STRIPE_API_URL)")?;
        if self.public_url.is_none() {
            bail!(
                "CENTWISE_STRIPE_SECRET_KEY is set without CENTWISE_PUBLIC_URL: payers could not \
                    come back from the provider's page"
            );
        }
        Ok(())
    }

    /// `None`: there is none.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn provider(&self) -> anyhow::Result<Option<Arc<Stripe>>> {
        let Some(settings) = self.stripe() else {
            return Ok(None);
        };
        Ok(Some(Arc::new(
            Stripe::new(&settings).context("cannot use the settings for Stripe")?,
        )))
    }

    /// `None`: there is no key.
    pub fn stripe(&self) -> Option<StripeSettings> {
        let key = self.stripe_secret_key.as_ref()?;
        Some(StripeSettings {
            api_url: self.stripe_api_url.clone(),
            webhook_secrets: self.stripe_webhook_secrets.clone(),
            connect_webhook_secrets: self.stripe_connect_webhook_secrets.clone(),
            ..StripeSettings::new(key.clone())
        })
    }
}

fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn is_public_url(text: &str) -> bool {
    let bare = |url: Url| {
        url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    is_web_address(text) && Url::parse(text).is_ok_and(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_of_currencies() {
        let terms = TERMS.parse::<Terms>().unwrap().0;
        assert_eq!(
            (terms.currency, terms.min, terms.max, terms.presets.len()),
            (Currency::EUR, Cents(1000), Cents(100_000), 5)
        );
        assert!("CHF:500-500".parse::<Terms>().is_ok());
        for bad in [
            "",
            "EUR",
            "EUR:10",
            "EUR:0-10",
            "EUR:20-10",
            "EUR:1-10:11",
            "XXY:1-10",
            "EUR:1-10:1:2",
            "EUR:a-10",
        ] {
            assert!(bad.parse::<Terms>().is_err(), "{bad}");
        }
    }
}
