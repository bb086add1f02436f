//! A payout as its row has it.

use crate::rows::payout_settings::{BankAccount, PayoutMethod, bank_of};
use catalog::Result;
use db::sql::{corrupt, from_word};
use rating::ids::{PayoutFileId, PayoutId};
use rating::{Cents, Currency, Instant, TenantId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutState {
    /// Nothing has moved.
    Due,
    /// The balance is debited, or about to be; the money is on its way, or nobody knows.
    Paying,
    Paid,
    /// Nothing went out; what was debited is given back, or about to be (`next_at`).
    Failed,
    /// The provider is asked to send it back.
    Reversing,
    /// It came back, and was given back.
    Reversed,
    /// Nothing ever moved.
    Canceled,
}

impl PayoutState {
    /// Whether its money is promised or gone.
    pub fn counts(self) -> bool {
        matches!(
            self,
            Self::Due | Self::Paying | Self::Paid | Self::Reversing
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    pub id: PayoutId,
    pub root: TenantId,
    pub tenant: TenantId,
    pub currency: Currency,
    /// A month, from January of the year 0.
    pub period: i64,
    pub state: PayoutState,
    pub cents: Cents,
    pub method: PayoutMethod,
    /// Of the keys under which it is posted and sent. A new one only once the one before is known
    /// to have sent nothing.
    pub idempotency_epoch: i64,
    /// Of this idempotency epoch.
    pub attempts: i64,
    /// When the worker has something to do; `None`: nothing.
    pub next_at: Option<Instant>,
    /// Where it goes, as it was when it was begun.
    pub payee: Option<String>,
    pub bank: Option<BankAccount>,
    pub file: Option<PayoutFileId>,
    /// The provider's.
    pub transfer: Option<String>,
    /// The bank's.
    pub reference: Option<String>,
    pub error: Option<String>,
    pub created_at: Instant,
    /// This idempotency epoch.
    pub begun_at: Option<Instant>,
    pub paid_at: Option<Instant>,
    pub version: i64,
}

/// Cents of a reseller's payouts that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayoutSums {
    /// On their way or paid.
    pub gone: Cents,
    /// Nothing of it has moved.
    pub due: Cents,
    /// Of what is gone: off the balance for certain.
    pub debited: Cents,
}

#[derive(sqlx::FromRow)]
pub(super) struct SumsRow {
    pub(super) gone: i64,
    pub(super) due: i64,
    pub(super) debited: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct PayoutRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    currency: String,
    period: i64,
    state: String,
    cents: i64,
    method: String,
    #[sqlx(rename = "generation")]
    idempotency_epoch: i64,
    attempts: i64,
    next_at: Option<i64>,
    payee: Option<String>,
    holder: Option<String>,
    iban: Option<String>,
    bic: Option<String>,
    file_id: Option<i64>,
    transfer: Option<String>,
    reference: Option<String>,
    error: Option<String>,
    created_at: i64,
    begun_at: Option<i64>,
    paid_at: Option<i64>,
    version: i64,
}

impl PayoutRow {
    pub(super) fn payout(self) -> Result<Payout> {
        Ok(Payout {
            id: PayoutId(self.id),
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            currency: self.currency.parse().map_err(corrupt)?,
            period: self.period,
            state: from_word(&self.state)?,
            cents: Cents(self.cents),
            method: from_word(&self.method)?,
            idempotency_epoch: self.idempotency_epoch,
            attempts: self.attempts,
            next_at: self.next_at.map(Instant),
            payee: self.payee,
            bank: bank_of(self.holder, self.iban, self.bic),
            file: self.file_id.map(PayoutFileId),
            transfer: self.transfer,
            reference: self.reference,
            error: self.error,
            created_at: Instant(self.created_at),
            begun_at: self.begun_at.map(Instant),
            paid_at: self.paid_at.map(Instant),
            version: self.version,
        })
    }
}
