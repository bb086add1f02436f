//! Accounts at the provider that commission goes to: opened with a link for the reseller, and read
//! again until the provider lets money go there.

use super::{Error, Payouts, Result, refused};
use crate::rows::{PayoutMethod, PayoutRows, PayoutSettings};
use catalog::{Actor, CatalogError};
use problem::{Code, Problem};
use provider::{CallKey, PayeeRequest, ProviderError};
use rating::{Cents, Currency, Instant, TenantId};
use tenants::Tenant;

pub const HOLD_BACK_DAYS_DEFAULT: u16 = 14;
/// 25.00 of a currency with cents.
pub const MINIMUM_CENTS_DEFAULT: i64 = 2500;
/// How old what is known of a payee may be: while it cannot be paid, and once it can.
const READ_AGAIN_SECS: i64 = 3600;
const READ_AGAIN_READY_SECS: i64 = 86_400;
/// How often the same is tried because others changed the row.
const LOOKS_MAX: usize = 5;
const PAGE_ROWS: usize = 200;

/// Where a reseller goes on to tell the provider who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onboarding {
    pub settings: PayoutSettings,
    /// Good for minutes.
    pub url: String,
}

/// What holds for a reseller without settings of its own; not stored.
pub fn default_settings(
    tenant: &Tenant,
    currency: Currency,
    method: PayoutMethod,
) -> PayoutSettings {
    PayoutSettings {
        root: tenant.root,
        tenant: tenant.id,
        currency,
        method,
        hold_back_days: HOLD_BACK_DAYS_DEFAULT,
        minimum: Cents(MINIMUM_CENTS_DEFAULT),
        bank: None,
        country: None,
        payee: None,
        payee_idempotency_epoch: 0,
        transfers_enabled: false,
        payouts_enabled: false,
        requirements: Vec::new(),
        payee_read_at: None,
        version: 0,
        updated_at: Instant(0),
    }
}

impl Payouts {
    /// A link for the reseller; its account at the provider is opened if there is none. `fresh` is
    /// stored if the reseller has no settings yet. Any number of calls open one account.
    ///
    /// # Errors
    /// `payments_not_configured`, `missing_field` (country); the provider's.
    pub async fn onboard(
        &self,
        actor: &Actor,
        fresh: PayoutSettings,
        country: Option<&str>,
        return_url: &str,
        refresh_url: &str,
    ) -> Result<Onboarding> {
        let provider = self.provider()?;
        let settings = self.with_payee(actor, fresh, country).await?;
        let payee = settings.payee.as_deref().ok_or(Error::Busy)?;
        let url = provider
            .onboarding_url(payee, return_url, refresh_url)
            .await?;
        Ok(Onboarding { settings, url })
    }

    async fn with_payee(
        &self,
        actor: &Actor,
        fresh: PayoutSettings,
        country: Option<&str>,
    ) -> Result<PayoutSettings> {
        for _ in 0..LOOKS_MAX {
            let settings = PayoutRows::of(&self.catalog)
                .payout_settings(fresh.tenant)
                .await?
                .unwrap_or_else(|| fresh.clone());
            if settings.payee.is_some() {
                return Ok(settings);
            }
            // Our row names the call before it is made: the country is part of what the key stands
            // for.
            let country = settings
                .country
                .clone()
                .or_else(|| country.map(str::to_owned));
            let missing = || {
                Problem::field(
                    Code::MissingField,
                    "country",
                    "expected the country of the reseller's account",
                )
            };
            let country = country.ok_or_else(missing)?;
            let idempotency_epoch = settings.payee_idempotency_epoch.max(1);
            let named = PayoutSettings {
                country: Some(country.clone()),
                payee_idempotency_epoch: idempotency_epoch,
                ..settings.clone()
            };
            let named = if named == settings {
                Some(settings)
            } else {
                self.stored(actor, &named).await?
            };
            let Some(named) = named else { continue };
            match self.open(&named, country).await {
                Ok(opened) => {
                    if let Some(stored) = self.stored(actor, &opened).await? {
                        return Ok(stored);
                    }
                }
                Err(error) => {
                    if error.is_definitive() {
                        // What was asked may be put right: the next call is another one.
                        let again = PayoutSettings {
                            country: None,
                            payee_idempotency_epoch: idempotency_epoch + 1,
                            ..named
                        };
                        self.stored(actor, &again).await?;
                    }
                    return Err(error.into());
                }
            }
        }
        Err(Error::Busy)
    }

    async fn open(
        &self,
        settings: &PayoutSettings,
        country: String,
    ) -> Result<PayoutSettings, ProviderError> {
        let Some(provider) = &self.provider else {
            return Err(ProviderError::NotSent("there is no provider".to_owned()));
        };
        let key = CallKey(format!(
            "{}:payee:{}",
            settings.tenant, settings.payee_idempotency_epoch
        ));
        let payee = provider
            .create_payee(
                &key,
                &PayeeRequest {
                    reference: settings.tenant.to_string(),
                    country,
                },
            )
            .await?;
        Ok(with_state(settings, &payee, None))
    }

    /// `None`: somebody else changed the row.
    async fn stored(
        &self,
        actor: &Actor,
        settings: &PayoutSettings,
    ) -> Result<Option<PayoutSettings>> {
        match PayoutRows::of(&self.catalog)
            .put_payout_settings(actor, settings)
            .await
        {
            Ok(stored) => Ok(Some(stored)),
            Err(CatalogError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads an account at the provider again; called when the provider says that it changed.
    /// `None`: nobody's here.
    ///
    /// # Errors
    /// The provider's; the records cannot be written.
    pub async fn refresh_payee(&self, payee: &str, now: Instant) -> Result<Option<PayoutSettings>> {
        let provider = self.provider()?;
        for _ in 0..LOOKS_MAX {
            let Some(settings) = PayoutRows::of(&self.catalog)
                .payout_settings_of_payee(payee)
                .await?
            else {
                return Ok(None);
            };
            let read = with_state(&settings, &provider.payee(payee).await?, Some(now));
            // Only news are worth an entry in the log.
            if let Some(stored) = self.stored(&self.worker(now), &read).await? {
                return Ok(Some(stored));
            }
        }
        Err(Error::Busy)
    }

    /// The payee, if the provider lets money go there.
    pub(super) async fn ready_payee(
        &self,
        settings: &PayoutSettings,
        now: Instant,
    ) -> Result<String> {
        self.provider()?;
        let not_ready = |detail: String| refused(Code::PayeeNotReady, detail);
        let Some(payee) = settings.payee.clone() else {
            return Err(not_ready(
                "the reseller has no account at the provider yet: send it its onboarding link"
                    .to_owned(),
            ));
        };
        if settings.transfers_enabled {
            return Ok(payee);
        }
        let read = self.refresh_payee(&payee, now).await?;
        match read.filter(|settings| settings.transfers_enabled) {
            Some(_) => Ok(payee),
            None => Err(not_ready(
                "the provider does not allow transfers to the reseller's account yet".to_owned(),
            )),
        }
    }

    /// Reads the accounts again that nothing was heard of for long; how many.
    ///
    /// # Errors
    /// The records cannot be read.
    pub async fn poll_payees(&self, now: Instant) -> Result<usize> {
        let (mut after, mut polled): (Option<TenantId>, usize) = (None, 0);
        if self.provider.is_none() {
            return Ok(0);
        }
        loop {
            let page = PayoutRows::of(&self.catalog)
                .all_payout_settings(after, PAGE_ROWS)
                .await?;
            for settings in page.data.iter().filter(|settings| is_stale(settings, now)) {
                let Some(payee) = &settings.payee else {
                    continue;
                };
                polled += 1;
                if let Err(error) = self.refresh_payee(payee, now).await {
                    tracing::warn!(%error, reseller = %settings.tenant, "reading a payee's state \
                        failed");
                }
            }
            match page.data.last().filter(|_| page.has_more) {
                Some(last) => after = Some(last.tenant),
                None => return Ok(polled),
            }
        }
    }
}

fn is_stale(settings: &PayoutSettings, now: Instant) -> bool {
    let secs = if settings.transfers_enabled && settings.payouts_enabled {
        READ_AGAIN_READY_SECS
    } else {
        READ_AGAIN_SECS
    };
    settings
        .payee_read_at
        .is_none_or(|read| read.plus_secs(secs) <= now)
}

fn with_state(
    settings: &PayoutSettings,
    payee: &provider::Payee,
    read_at: Option<Instant>,
) -> PayoutSettings {
    PayoutSettings {
        payee: Some(payee.id.clone()),
        transfers_enabled: payee.transfers_enabled,
        payouts_enabled: payee.payouts_enabled,
        requirements: payee.requirements.clone(),
        payee_read_at: read_at,
        ..settings.clone()
    }
}
