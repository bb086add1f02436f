//! Where money that comes in through a provider is asked for: payment pages and refunds.
//!
//! A row of ours is committed before the provider is called, with every word that it is asked; so
//! the same request of a caller is one page and one refund, whatever process dies in between.

use crate::inbox::Inbox;
use crate::rows::{Created, Origin, PaymentRows, TopUp, TopUpState};
use catalog::{Actor, Catalog, CatalogError};
use db::retry::pause_secs;
use metering::Engine;
use payouts::Payouts;
use problem::{Code, Problem};
use provider::{CallKey, CheckoutRequest, Method, Provider, ProviderError, Session};
use rating::ids::TopUpId;
use rating::{Cents, Currency, Instant, TenantId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tenants::Tenant;
use tokio::sync::Notify;

/// How long a payment page stays open.
pub const PAGE_OPEN_SECS: i64 = 12 * 3600;
/// A page of which nothing was heard is looked at this often.
pub const PAGE_LOOK_SECS: i64 = 3600;
/// A call whose outcome is unknown is made again after this, then twice as late each time, up to
/// the other.
pub const AGAIN_SECS_MIN: i64 = 15;
pub const AGAIN_SECS_MAX: i64 = 3600;

/// Smallest and largest top-up of a currency, and what a page proposes; minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUpTerms {
    pub currency: Currency,
    pub min: Cents,
    pub max: Cents,
    pub presets: Vec<Cents>,
}

/// Time, ids and secrets come from the composition root.
#[derive(Clone)]
pub struct Sources {
    pub now: Arc<dyn Fn() -> Instant + Send + Sync>,
    pub id: Arc<dyn Fn() -> i64 + Send + Sync>,
    pub token: Arc<dyn Fn() -> Result<[u8; 16], Problem> + Send + Sync>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Where payers reach this server: `https://billing.example`.
    pub public_url: Option<String>,
    pub terms: Vec<TopUpTerms>,
}

/// Cheap to clone; one per server.
#[derive(Debug, Clone)]
pub struct PaymentService(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub(crate) catalog: Catalog,
    pub(crate) engine: Engine,
    pub(crate) provider: Option<Arc<dyn Provider>>,
    pub(crate) settings: Settings,
    pub(crate) sources: Sources,
    pub(crate) platform: TenantId,
    /// Hear of the accounts that commissions are paid to.
    pub(crate) payouts: Option<Payouts>,
    pub(crate) inbox: Inbox,
    /// Something is due.
    pub(crate) wake: Notify,
    /// No automatic top-up begins.
    charges_held: AtomicBool,
}

impl std::ops::Deref for PaymentService {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// A page to pay on.
#[derive(Debug, Clone)]
pub struct NewCheckout<'a> {
    pub tenant: &'a Tenant,
    pub cents: Cents,
    pub currency: Currency,
    /// `de`, `en`, `fr`; `None`: as the payer's browser says.
    pub locale: Option<String>,
    /// Where the payer is sent afterwards; by default to a page of ours.
    pub success_url: Option<String>,
    pub cancel_url: Option<String>,
    /// Keep the method for automatic top-ups of this balance.
    pub save_method: bool,
    /// The caller's key with its Idempotency-Key.
    pub request_key: String,
}

impl PaymentService {
    pub fn new(
        catalog: Catalog,
        engine: Engine,
        provider: Option<Arc<dyn Provider>>,
        settings: Settings,
        sources: Sources,
        platform: TenantId,
        payouts: Option<Payouts>,
    ) -> Self {
        let inbox = Inbox::new(catalog.clone());
        Self(Arc::new(Shared {
            catalog,
            engine,
            provider,
            settings,
            sources,
            platform,
            payouts,
            inbox,
            wake: Notify::new(),
            charges_held: AtomicBool::new(false),
        }))
    }

    /// Whether automatic top-ups wait; those that have begun are followed.
    pub fn hold_charges(&self, are_held: bool) {
        self.charges_held.store(are_held, Ordering::Relaxed);
    }

    pub(crate) fn holds_charges(&self) -> bool {
        self.charges_held.load(Ordering::Relaxed)
    }

    /// # Errors
    /// `payments_not_configured`.
    pub fn provider(&self) -> Result<&Arc<dyn Provider>, Problem> {
        self.provider.as_ref().ok_or_else(|| {
            Problem::new(
                Code::PaymentsNotConfigured,
                "this server has no payment provider (CENTWISE_STRIPE_SECRET_KEY); top up by hand",
            )
        })
    }

    pub fn terms(&self) -> &[TopUpTerms] {
        &self.settings.terms
    }

    pub(crate) fn now(&self) -> Instant {
        (self.sources.now)()
    }

    /// The server itself, in the audit log.
    pub(crate) fn actor(&self, reason: &str) -> Actor {
        let request_id = String::new();
        Actor {
            key: None,
            tenant: self.platform,
            at: self.now(),
            request_id,
            reason: Some(reason.to_owned()),
            once: None,
        }
    }

    pub(crate) fn check_terms(&self, cents: Cents, currency: Currency) -> Result<(), Problem> {
        let Some(terms) = self
            .settings
            .terms
            .iter()
            .find(|terms| terms.currency == currency)
        else {
            let offered: Vec<_> = self
                .settings
                .terms
                .iter()
                .map(|terms| terms.currency.code())
                .collect();
            return Err(Problem::field(
                Code::CurrencyNotOffered,
                "currency",
                format!("expected one of {}", offered.join(", ")),
            ));
        };
        if cents < terms.min || cents > terms.max {
            let detail = format!(
                "expected {} to {} minor units of {currency}",
                terms.min, terms.max
            );
            return Err(Problem::field(Code::AmountOutOfRange, "cents", detail));
        }
        Ok(())
    }

    /// A payment page for a top-up: one for each request, whatever happens in between.
    ///
    /// # Errors
    /// `payments_not_configured`, `currency_not_offered`, `amount_out_of_range`,
    /// `idempotency_conflict`, what [`Self::payer`] says, `currency_not_agreed`,
    /// `provider_unavailable` (the same request again later gets the page), `provider_refused`.
    pub async fn checkout(&self, actor: &Actor, new: NewCheckout<'_>) -> Result<TopUp, Problem> {
        self.provider()?;
        let asked = self.new_top_up(&new).await?;
        let found = match PaymentRows::of(&self.catalog)
            .create_top_up(actor, &asked)
            .await
            .map_err(unread)?
        {
            Created::Fresh(top_up) => return self.open_page(top_up).await,
            Created::Earlier(top_up) => top_up,
        };
        if (found.tenant, found.cents, found.currency)
            != (asked.tenant, asked.cents, asked.currency)
        {
            return Err(Problem::field(
                Code::IdempotencyConflict,
                "Idempotency-Key",
                "use a new key for a new request",
            ));
        }
        if found.session.is_none() && found.state == TopUpState::Pending {
            return self.open_page(found).await;
        }
        Ok(found)
    }

    async fn new_top_up(&self, new: &NewCheckout<'_>) -> Result<TopUp, Problem> {
        self.check_terms(new.cents, new.currency)?;
        self.payer_in(new.tenant, new.currency).await?;
        let customer = if new.save_method {
            self.customer_of(new).await?
        } else {
            None
        };
        let now = self.now();
        let (id, token) = (TopUpId((self.sources.id)()), (self.sources.token)()?);
        let expires_at = now.plus_secs(PAGE_OPEN_SECS);
        let page = |what: &str, own: &Option<String>| match (own, &self.settings.public_url) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(public)) => Ok(format!(
                "{}/pay/{}/{what}",
                public.trim_end_matches('/'),
                hex(&token)
            )),
            (None, None) => Err(Problem::field(
                Code::MissingField,
                "success_url",
                "this server's public address is not set (CENTWISE_PUBLIC_URL)",
            )),
        };
        let request = CheckoutRequest {
            reference: id.to_string(),
            cents: new.cents,
            currency: new.currency,
            description: format!("Top-up {}", new.tenant.name),
            methods: if new.currency == Currency::EUR {
                vec![Method::Card, Method::SepaDebit]
            } else {
                vec![Method::Card]
            },
            locale: new.locale.clone(),
            success_url: page("done", &new.success_url)?,
            cancel_url: page("cancelled", &new.cancel_url)?,
            expires_at,
            customer,
            save_method: new.save_method,
        };
        let request = serde_json::to_string(&request)
            .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        Ok(TopUp {
            id,
            root: new.tenant.root,
            tenant: new.tenant.id,
            currency: new.currency,
            cents: new.cents,
            origin: Origin::Checkout,
            state: TopUpState::Pending,
            request_key: new.request_key.clone(),
            token,
            request,
            session: None,
            url: None,
            payment: None,
            failure: None,
            idempotency_epoch: 0,
            attempts: 0,
            next_at: Some(now.plus_secs(AGAIN_SECS_MIN)),
            created_at: now,
            updated_at: now,
            expires_at,
        })
    }

    /// Who keeps the methods of this balance at the provider, if there is one yet.
    async fn customer_of(&self, new: &NewCheckout<'_>) -> Result<Option<String>, Problem> {
        let auto = PaymentRows::of(&self.catalog)
            .auto_top_up(new.tenant.id, new.currency)
            .await
            .map_err(unread)?;
        let missing = || {
            Problem::field(
                Code::AutoTopUpNotSet,
                "save_method",
                "a payment method is saved only for an automatic top-up: set one up first",
            )
        };
        Ok(auto.ok_or_else(missing)?.customer)
    }

    /// Asks the provider for the page of a row that has none yet.
    pub(crate) async fn open_page(&self, top_up: TopUp) -> Result<TopUp, Problem> {
        let request: CheckoutRequest = serde_json::from_str(&top_up.request).map_err(|error| {
            Problem::new(Code::Internal, format!("top_ups.request_json: {error}"))
        })?;
        let key = CallKey(format!("{}:{}", top_up.id, top_up.idempotency_epoch));
        let asked = self.provider()?.create_checkout(&key, &request).await;
        let now = self.now();
        let mut after = TopUp {
            updated_at: now,
            attempts: top_up.attempts + 1,
            ..top_up.clone()
        };
        match &asked {
            Ok(Session {
                id,
                url,
                expires_at,
                ..
            }) => {
                after.session = Some(id.clone());
                after.url = url.clone();
                after.expires_at = *expires_at;
                after.next_at = Some(now.plus_secs(PAGE_LOOK_SECS));
            }
            Err(error) if error.is_definitive() => {
                after.state = TopUpState::Failed;
                after.idempotency_epoch += 1;
                after.failure = Some(code_of(error));
                after.next_at = None;
            }
            // Nobody has seen a page that was perhaps made: it runs out by itself.
            Err(_) if now >= top_up.expires_at => {
                after.state = TopUpState::Expired;
                after.next_at = None;
            }
            Err(_) => after.next_at = Some(now.plus_secs(again_secs(after.attempts))),
        }
        if !PaymentRows::of(&self.catalog)
            .put_top_up(&top_up, &after)
            .await
            .map_err(unread)?
        {
            // Another process asked as well, with the same key: it got the same page.
            return PaymentRows::of(&self.catalog)
                .top_up(top_up.id)
                .await
                .map_err(unread)?
                .ok_or_else(|| Problem::new(Code::NotFound, "the top-up no longer exists"));
        }
        asked
            .map(|_| after)
            .map_err(|error| provider_problem(&error))
    }
}

/// Doubles from [`AGAIN_SECS_MIN`] up to [`AGAIN_SECS_MAX`].
pub(crate) fn again_secs(attempts: i64) -> i64 {
    pause_secs(AGAIN_SECS_MIN, AGAIN_SECS_MAX, attempts)
}

/// What is kept of a refusal.
pub(crate) fn code_of(error: &ProviderError) -> String {
    match error {
        ProviderError::Declined(decline) => decline.code.clone(),
        ProviderError::Refused { code, .. } => code.clone(),
        ProviderError::NotFound => "not_found".to_owned(),
        ProviderError::Uncountable(_) => "amount_not_countable".to_owned(),
        _ => "unknown".to_owned(),
    }
}

pub(crate) fn provider_problem(error: &ProviderError) -> Problem {
    tracing::warn!(%error, "payment provider request failed");
    match error {
        ProviderError::Declined(decline) => Problem::new(
            Code::PaymentDeclined,
            format!("the payment was declined ({})", decline.code),
        ),
        ProviderError::Refused { code, detail } => Problem::new(
            Code::ProviderRefused,
            format!("the payment provider refused the request ({code}): {detail}"),
        ),
        ProviderError::NotFound => Problem::new(
            Code::ProviderRefused,
            "the payment provider has no such object",
        ),
        ProviderError::Uncountable(_) => Problem::new(
            Code::ProviderRefused,
            format!("the payment provider's amount is not valid: {error}"),
        ),
        ProviderError::Unauthorized => Problem::new(
            Code::ProviderUnavailable,
            "the payment provider does not accept this server's key",
        ),
        ProviderError::Unknown(_) | ProviderError::NotSent(_) => Problem::new(
            Code::ProviderUnavailable,
            "the payment provider does not answer; send the same request again in a minute",
        ),
    }
}

pub(crate) fn unread(error: CatalogError) -> Problem {
    prepare::failures::record_problem(error)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The token of a page's address.
pub fn token_of(text: &str) -> Option<[u8; 16]> {
    let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let mut token = [0; 16];
    for (byte, pair) in token.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(token)
}

/// The language that a top-up's payment page was asked for in.
pub fn page_locale(top_up: &TopUp) -> Option<String> {
    serde_json::from_str::<CheckoutRequest>(&top_up.request)
        .ok()?
        .locale
}
