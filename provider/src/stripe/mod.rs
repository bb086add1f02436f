//! Stripe, through `async-stripe`: the version of its API is the one that the library was made
//! from, in requests and in answers. Every object says which of our rows it belongs to in its
//! metadata (`reference`), and nothing about anybody.

mod amounts;
mod breaker;
mod checkout;
mod client;
mod connect;
mod event;
mod failure;
mod moves;
mod payment;
mod settings;

pub use settings::{API_URL, BadSettings, StripeSettings};

use crate::signature::Verifier;
use crate::{
    BalanceMove, CallKey, ChargeRequest, CheckoutRequest, CustomerRequest, Event, Hook, HookError,
    Page, Payee, PayeeRequest, Payment, Provider, ProviderError, Refund, RefundRequest, Result,
    Session, Transfer, TransferRequest, is_id,
};
use async_trait::async_trait;
use client::Client;
use rating::{Cents, Currency, Instant};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// What our metadata is kept under. One entry: the library writes maps in any order, and a repeated
/// request must be the same byte by byte.
const REFERENCE: &str = "reference";

#[derive(Debug)]
pub struct Stripe {
    is_live: bool,
    /// Another one when the settings are read again; whoever began with this one ends with it.
    asked: watch::Sender<Arc<Asked>>,
}

/// Whom we are to Stripe, and whom we believe.
#[derive(Debug)]
struct Asked {
    client: Client,
    own: Verifier,
    connected: Verifier,
}

impl Asked {
    fn with(settings: &StripeSettings) -> Result<Self, BadSettings> {
        Ok(Self {
            client: Client::new(settings)?,
            own: Verifier::new(settings.webhook_secrets.clone()),
            connected: Verifier::new(settings.connect_webhook_secrets.clone()),
        })
    }
}

/// Settings that can take the place of those before.
#[derive(Debug)]
pub struct Renewal(Arc<Asked>);

impl Stripe {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// The key or the address cannot be right.
    pub fn new(settings: &StripeSettings) -> Result<Self, BadSettings> {
        let (asked, _) = watch::channel(Arc::new(Asked::with(settings)?));
        Ok(Self {
            is_live: settings.is_live()?,
            asked,
        })
    }

    /// Nothing is changed yet.
    ///
    /// # Errors
    /// As [`Self::new`]; or the key is of the other mode, in which there is nothing of what the
    /// books know.
    pub fn renewal(&self, settings: &StripeSettings) -> Result<Renewal, BadSettings> {
        if settings.is_live()? != self.is_live {
            return Err(BadSettings::Mode);
        }
        Ok(Renewal(Arc::new(Asked::with(settings)?)))
    }

    /// From now on.
    pub fn renew(&self, renewal: Renewal) {
        self.asked.send_replace(renewal.0);
    }

    fn asked(&self) -> Arc<Asked> {
        Arc::clone(&self.asked.borrow())
    }
}

#[async_trait]
impl Provider for Stripe {
    fn is_live(&self) -> bool {
        self.is_live
    }

    async fn ping(&self) -> Result<()> {
        moves::ping(&self.asked().client).await
    }

    async fn create_checkout(&self, key: &CallKey, request: &CheckoutRequest) -> Result<Session> {
        checkout::create(&self.asked().client, key, request).await
    }

    async fn session(&self, id: &str) -> Result<Session> {
        named(id)?;
        checkout::read(&self.asked().client, id).await
    }

    async fn expire_session(&self, id: &str) -> Result<Session> {
        named(id)?;
        checkout::expire(&self.asked().client, id).await
    }

    async fn session_of(&self, payment: &str) -> Result<Option<Session>> {
        checkout::of_payment(&self.asked().client, payment).await
    }

    async fn charge(&self, key: &CallKey, request: &ChargeRequest) -> Result<Payment> {
        payment::charge(&self.asked().client, key, request).await
    }

    async fn payment(&self, id: &str) -> Result<Payment> {
        named(id)?;
        payment::read(&self.asked().client, id).await
    }

    async fn payment_of(&self, charge: &str) -> Result<Option<String>> {
        named(charge)?;
        payment::of_charge(&self.asked().client, charge).await
    }

    async fn refund(&self, key: &CallKey, request: &RefundRequest) -> Result<Refund> {
        payment::refund(&self.asked().client, key, request).await
    }

    async fn create_customer(&self, key: &CallKey, request: &CustomerRequest) -> Result<String> {
        checkout::create_customer(&self.asked().client, key, request).await
    }

    async fn create_payee(&self, key: &CallKey, request: &PayeeRequest) -> Result<Payee> {
        connect::create(&self.asked().client, key, request).await
    }

    async fn payee(&self, id: &str) -> Result<Payee> {
        named(id)?;
        connect::read(&self.asked().client, id).await
    }

    async fn onboarding_url(
        &self,
        payee: &str,
        return_url: &str,
        refresh_url: &str,
    ) -> Result<String> {
        connect::onboarding_url(&self.asked().client, payee, return_url, refresh_url).await
    }

    async fn transfer(&self, key: &CallKey, request: &TransferRequest) -> Result<Transfer> {
        connect::transfer(&self.asked().client, key, request).await
    }

    async fn transfer_by_id(&self, id: &str) -> Result<Transfer> {
        named(id)?;
        connect::read_transfer(&self.asked().client, id).await
    }

    async fn reverse_transfer(
        &self,
        key: &CallKey,
        transfer: &str,
        cents: Cents,
        currency: Currency,
    ) -> Result<Transfer> {
        named(transfer)?;
        connect::reverse(&self.asked().client, key, transfer, cents, currency).await
    }

    fn receive(
        &self,
        hook: Hook,
        signature: Option<&str>,
        body: &[u8],
        now: Instant,
    ) -> Result<Event, HookError> {
        let asked = self.asked();
        let verifier = match hook {
            Hook::Own => &asked.own,
            Hook::Connected => &asked.connected,
        };
        verifier.verify(signature, body, now)?;
        event::parse(body)
    }

    async fn events(&self, since: Instant, after: Option<&str>) -> Result<Page<Event>> {
        moves::events(&self.asked().client, since, after).await
    }

    async fn moves(
        &self,
        from: Instant,
        until: Instant,
        after: Option<&str>,
    ) -> Result<Page<BalanceMove>> {
        moves::moves(&self.asked().client, from, until, after).await
    }
}

/// Ids go into the path of a request: under what is none of Stripe's there is nothing.
fn named(id: &str) -> Result<()> {
    if is_id(id) {
        Ok(())
    } else {
        Err(ProviderError::NotFound)
    }
}

fn metadata(reference: &str) -> HashMap<String, String> {
    HashMap::from([(REFERENCE.to_owned(), reference.to_owned())])
}

fn reference(metadata: &HashMap<String, String>) -> Option<String> {
    metadata.get(REFERENCE).cloned()
}

fn refused(code: &str, detail: impl ToString) -> ProviderError {
    ProviderError::Refused {
        code: code.to_owned(),
        detail: detail.to_string(),
    }
}

/// What Stripe did not say in time is asked for again later.
fn unreadable(what: &str) -> ProviderError {
    ProviderError::Unknown(format!("{what} cannot be read"))
}

/// Whole seconds, as Stripe counts time.
fn secs(at: Instant) -> i64 {
    at.micros().div_euclid(1_000_000)
}
