//! What a payment provider can be asked, in nobody's particular words.
//!
//! Whoever moves money gives a [`CallKey`] from a row of its own, written before the call: the same
//! key again never moves it twice. Reading needs none. Amounts are minor units of the currency as
//! the ledger counts them; where a provider counts otherwise, its adapter converts, and refuses
//! what it cannot say exactly.

pub mod secret;
pub mod signature;
pub mod stripe;

use async_trait::async_trait;
use rating::{Cents, Currency, Instant};
use serde::{Deserialize, Serialize};

/// Names one attempt of an operation: `<operation id>:<idempotency epoch>`. A new idempotency epoch
/// only after a definitive refusal. Whatever a call says besides its key must come from the row
/// that the key names: providers refuse a key that comes again with other parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallKey(pub String);

/// How long after its first use a key is surely still known at the provider (Stripe: 24 hours).
/// Later a repeated call might move money again: what is unknown by then is for a human to settle.
pub const KEY_GOOD_SECS: i64 = 23 * 3600;

/// A page on which somebody pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutRequest {
    /// Ours, to find the row again: the id of the top-up.
    pub reference: String,
    pub cents: Cents,
    pub currency: Currency,
    /// What the payer reads: "Top-up Muster Telecom".
    pub description: String,
    pub methods: Vec<Method>,
    /// `de`, `en`, `fr`; `None`: as the browser says.
    pub locale: Option<String>,
    pub success_url: String,
    pub cancel_url: String,
    pub expires_at: Instant,
    /// The provider's customer, to keep the method with.
    pub customer: Option<String>,
    /// Keep the method for charges without the payer (automatic top-up).
    pub save_method: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Card,
    SepaDebit,
}

/// A payment page as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: String,
    /// As we named it.
    pub reference: Option<String>,
    /// `None` once it is over.
    pub url: Option<String>,
    pub status: SessionStatus,
    /// The payment it came to, once there is one.
    pub payment: Option<String>,
    pub cents: Cents,
    pub currency: Option<Currency>,
    pub customer: Option<String>,
    pub expires_at: Instant,
    pub live: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    Open,
    /// The payer is done; the money may still be on its way.
    Complete,
    Expired,
}

/// A charge of a saved method while nobody is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRequest {
    /// Ours: the id of the top-up.
    pub reference: String,
    pub cents: Cents,
    pub currency: Currency,
    pub description: String,
    pub customer: String,
    pub method: String,
}

/// One payment with everything that became of it: what is posted for it follows from this alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: String,
    pub reference: Option<String>,
    pub cents: Cents,
    /// What has come in, before refunds and disputes.
    pub received: Cents,
    pub currency: Currency,
    pub status: PaymentStatus,
    pub customer: Option<String>,
    pub method: Option<String>,
    /// Why the last attempt failed, if it did.
    pub failure: Option<Decline>,
    pub charge: Option<Charge>,
    pub live: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Waits for a method or a confirmation.
    Open,
    /// The payer must do something (3-D Secure).
    RequiresAction,
    /// On its way (SEPA): shown, not spendable.
    Processing,
    Succeeded,
    Canceled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub id: String,
    pub cents: Cents,
    /// What the provider kept for it, its refunds and conversions, once it says so; also in another
    /// currency, where it settles in one.
    pub fees: Vec<Fee>,
    /// Its holder, or the provider, says that it was fraud.
    pub is_fraud: bool,
    /// All of them.
    pub refunds: Vec<Refund>,
    pub disputes: Vec<Dispute>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fee {
    pub cents: Cents,
    pub currency: Currency,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: String,
    /// As we named it, if we asked for it.
    pub reference: Option<String>,
    pub cents: Cents,
    pub status: RefundStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundStatus {
    /// Also those that wait for the payer.
    Pending,
    Succeeded,
    /// May still come 30 days after it succeeded.
    Failed,
    Canceled,
}

impl RefundStatus {
    /// Whether its money counts as given back.
    pub fn counts(self) -> bool {
        matches!(self, Self::Pending | Self::Succeeded)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    pub id: String,
    pub cents: Cents,
    pub status: DisputeStatus,
    /// What it has taken from us so far, net of what was given back; 0 before funds are withdrawn.
    pub withdrawn: Cents,
    /// What the provider asks for handling it.
    pub fee: Cents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeStatus {
    /// A question of the payer's bank (`warning_*`): withdraws nothing.
    Inquiry,
    Open,
    Won,
    Lost,
}

impl Payment {
    /// How often its payer, or the payer's bank, said that it was not right: disputes, inquiries,
    /// reports of fraud.
    pub fn contests(&self) -> i64 {
        let of = |charge: &Charge| charge.disputes.len() + usize::from(charge.is_fraud);
        self.charge
            .as_ref()
            .map_or(0, |charge| i64::try_from(of(charge)).unwrap_or(i64::MAX))
    }
}

/// A payment that the books cannot count: in a currency that is not ours, or in parts of our
/// smallest unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignPayment {
    pub id: String,
    pub reference: Option<String>,
    /// In the provider's words: `usdc`.
    pub currency: String,
    /// What has come in and was not given back, in the provider's units.
    pub amount: i64,
    pub live: bool,
}

/// A refund that we ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// Ours: the id of the refund.
    pub reference: String,
    pub payment: String,
    pub cents: Cents,
    pub currency: Currency,
}

/// Somebody whose methods are kept. Names no person: the reference is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRequest {
    pub reference: String,
}

/// An account that commissions are paid to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayeeRequest {
    pub reference: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    pub id: String,
    /// The provider lets money go there.
    pub transfers_enabled: bool,
    /// The payee can be paid out from there.
    pub payouts_enabled: bool,
    /// What it still asks of the payee.
    pub requirements: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRequest {
    /// Ours: the id of the payout.
    pub reference: String,
    pub payee: String,
    pub cents: Cents,
    pub currency: Currency,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub id: String,
    pub reference: Option<String>,
    pub cents: Cents,
    pub currency: Currency,
    pub reversed: Cents,
}

/// One move of the provider's balance of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceMove {
    pub id: String,
    pub kind: MoveKind,
    /// The charge, refund, dispute, transfer, … that it belongs to; of what sends a transfer back:
    /// the transfer.
    pub source: Option<String>,
    pub sum: MoveSum,
    pub created_at: Instant,
}

/// Signed, before the fee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveSum {
    Counted {
        cents: Cents,
        fee: Cents,
        currency: Currency,
    },
    /// In a currency that is not ours, or in parts of our smallest unit: as the provider counts.
    Uncounted {
        amount: i64,
        fee: i64,
        currency: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveKind {
    Charge,
    Refund,
    Dispute,
    Transfer,
    /// Made by hand, or by the provider, for reasons of its own.
    Adjustment,
    /// From the provider's balance to our bank: nothing the books know of.
    ToBank,
    Other,
}

/// That something happened, without what: the object is read again by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    /// The provider's word: `payment_intent.succeeded`.
    pub kind: String,
    pub object: Object,
    pub created_at: Instant,
    pub live: bool,
    /// The connected account it is about, if not ours.
    pub account: Option<String>,
}

/// To which of our two addresses a message was sent: each has secrets of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// About our own account there.
    Own,
    /// About the accounts that commissions are paid to.
    Connected,
}

/// Why a message is not believed. Nothing of it may be used, or written to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    #[error("the message is not signed")]
    Unsigned,
    #[error("the signature does not fit the message")]
    Forged,
    #[error("the message was signed too long ago, or in the future")]
    Stale,
    /// Signed, and yet no event.
    #[error("the message is no event")]
    Malformed,
    /// An event without an id that could be kept: there is nothing to be told again.
    #[error("the event has no id of the provider's")]
    Unnamed,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    Session(String),
    Payment(String),
    /// By the payment it belongs to: charges, refunds and disputes are read with it.
    OfPayment(String),
    /// A charge, refund or dispute whose event did not say of which payment.
    OfCharge(String),
    Transfer(String),
    Payee(String),
    /// A saved method that can be used no longer.
    MethodGone(String),
    MandateGone {
        mandate: String,
        method: Option<String>,
    },
    CustomerGone(String),
    /// A payment's holder told the bank that it was fraud; nothing of it has moved yet.
    FraudOf(String),
    /// The same by its charge.
    FraudOfCharge(String),
    /// It is named in no way that the provider names things.
    Unnamed,
    /// Of the provider's second form: it has nothing of its object.
    SecondForm,
    /// Nothing to us.
    Other,
}

/// Bytes of a provider's id.
const ID_BYTES_MAX: usize = 255;

/// Whether it can be an id of the provider's: it goes into addresses and statements.
pub fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

impl Object {
    /// Whether its names can be asked for.
    pub fn is_named(&self) -> bool {
        match self {
            Self::Session(id)
            | Self::Payment(id)
            | Self::OfPayment(id)
            | Self::OfCharge(id)
            | Self::Transfer(id) => is_id(id),
            Self::Payee(id)
            | Self::MethodGone(id)
            | Self::CustomerGone(id)
            | Self::FraudOf(id)
            | Self::FraudOfCharge(id) => is_id(id),
            Self::MandateGone { mandate, method } => {
                is_id(mandate) && method.as_deref().is_none_or(is_id)
            }
            Self::Unnamed => false,
            Self::SecondForm | Self::Other => true,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Where to go on.
    pub next: Option<String>,
}

/// Why a payer's method was not charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// `card_declined`, `expired_card`, `authentication_required`, …
    pub code: String,
    /// The bank's: `insufficient_funds`, `lost_card`, …
    pub reason: Option<String>,
    /// Trying again cannot help.
    pub is_hard: bool,
    pub needs_payer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Definitive: no money moved. A new attempt takes a new idempotency epoch of the key.
    #[error("declined: {}", .0.code)]
    Declined(Decline),
    /// Definitive: the request is refused as it is.
    #[error("refused ({code}): {detail}")]
    Refused { code: String, detail: String },
    #[error("there is no such object")]
    NotFound,
    /// Definitive: it is there, and the books cannot count it.
    #[error("{} of {} cannot be counted", .0.amount, .0.currency)]
    Uncountable(Box<ForeignPayment>),
    /// Nobody knows whether it happened: the same key again, then read.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// Not sent: the provider has been failing, or we have asked too often.
    #[error("the provider is not asked at the moment: {0}")]
    NotSent(String),
    /// The key is not accepted.
    #[error("the provider does not accept our key")]
    Unauthorized,
}

impl ProviderError {
    /// Nothing happened, and nothing will of this idempotency epoch.
    pub fn is_definitive(&self) -> bool {
        matches!(
            self,
            Self::Declined(_) | Self::Refused { .. } | Self::NotFound | Self::Uncountable(_)
        )
    }
}

pub type Result<T, E = ProviderError> = std::result::Result<T, E>;

/// A payment provider. Every call is bounded in time and has been tried more than once when it
/// fails.
#[async_trait]
pub trait Provider: Send + Sync + std::fmt::Debug + 'static {
    /// Whether its keys move real money.
    fn is_live(&self) -> bool;
    /// Whether its keys are accepted.
    async fn ping(&self) -> Result<()>;

    async fn create_checkout(&self, key: &CallKey, request: &CheckoutRequest) -> Result<Session>;
    async fn session(&self, id: &str) -> Result<Session>;
    async fn expire_session(&self, id: &str) -> Result<Session>;
    /// The page that a payment came from.
    async fn session_of(&self, payment: &str) -> Result<Option<Session>>;

    async fn charge(&self, key: &CallKey, request: &ChargeRequest) -> Result<Payment>;
    /// With its charge, refunds and disputes.
    async fn payment(&self, id: &str) -> Result<Payment>;
    /// The payment a charge belongs to.
    async fn payment_of(&self, charge: &str) -> Result<Option<String>>;
    async fn refund(&self, key: &CallKey, request: &RefundRequest) -> Result<Refund>;

    async fn create_customer(&self, key: &CallKey, request: &CustomerRequest) -> Result<String>;

    async fn create_payee(&self, key: &CallKey, request: &PayeeRequest) -> Result<Payee>;
    async fn payee(&self, id: &str) -> Result<Payee>;
    /// A page where the payee tells the provider who it is; good for minutes.
    async fn onboarding_url(
        &self,
        payee: &str,
        return_url: &str,
        refresh_url: &str,
    ) -> Result<String>;
    async fn transfer(&self, key: &CallKey, request: &TransferRequest) -> Result<Transfer>;
    async fn transfer_by_id(&self, id: &str) -> Result<Transfer>;
    async fn reverse_transfer(
        &self,
        key: &CallKey,
        transfer: &str,
        cents: Cents,
        currency: Currency,
    ) -> Result<Transfer>;

    /// The event in a message that was sent to us, if its signature (the header as it came) fits
    /// the raw bytes.
    fn receive(
        &self,
        hook: Hook,
        signature: Option<&str>,
        body: &[u8],
        now: Instant,
    ) -> Result<Event, HookError>;

    /// Events since an instant, newest first.
    async fn events(&self, since: Instant, after: Option<&str>) -> Result<Page<Event>>;
    /// Moves of our balance there in `[from, until)`, newest first.
    async fn moves(
        &self,
        from: Instant,
        until: Instant,
        after: Option<&str>,
    ) -> Result<Page<BalanceMove>>;
}
