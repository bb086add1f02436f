//! What a failed request means: refused for good, or nobody knows yet.
//! <https://docs.stripe.com/error-low-level>, <https://docs.stripe.com/declines/codes>

use super::refused;
use crate::{Decline, ProviderError};
use stripe::{ApiErrors, ApiErrorsType, StripeError};

#[derive(Debug)]
pub enum Failure {
    /// Asking again gives the same answer.
    Final(ProviderError),
    /// Stripe is there, and what was asked may have been done: in use, too many, an answer of 200
    /// that cannot be read.
    Again(String),
    /// Stripe is not there, or not itself. What was asked may have been done.
    Outage(String),
}

impl Failure {
    pub fn of(error: StripeError) -> Self {
        match error {
            StripeError::Stripe(error, status) => Self::answered(&error, status),
            StripeError::JSONDeserialize(_) => Self::Again("an answer that cannot be read".into()),
            StripeError::ClientError(why) => Self::Outage(why),
            StripeError::Timeout => Self::Outage("no answer in time".into()),
            StripeError::ConfigError(why) => Self::Final(refused("configuration", why)),
        }
    }

    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Outage(_))
    }

    fn answered(error: &ApiErrors, status: u16) -> Self {
        match status {
            401 | 403 => Self::Final(ProviderError::Unauthorized),
            402 => Self::Final(ProviderError::Declined(decline(error))),
            404 => Self::Final(ProviderError::NotFound),
            409 | 424 | 429 => Self::Again(format!("status {status}")),
            500.. => Self::Outage(format!("status {status}")),
            // Under this key something else was asked before, and may have been done.
            _ if matches!(error.type_, ApiErrorsType::IdempotencyError) => Self::Final(
                ProviderError::Unknown("the key was used with other parameters".into()),
            ),
            _ => Self::Final(refused(
                code(error),
                error.message.as_deref().unwrap_or_default(),
            )),
        }
    }
}

/// Why a payer's method was not charged.
pub fn decline(error: &ApiErrors) -> Decline {
    let (code, reason) = (code(error), error.decline_code.as_deref());
    let any =
        |list: &[&str]| list.contains(&code) || reason.is_some_and(|reason| list.contains(&reason));
    Decline {
        code: code.to_owned(),
        reason: reason.map(str::to_owned),
        is_hard: any(HARD)
            || matches!(
                error.advice_code.as_deref(),
                Some("do_not_try_again" | "confirm_card_data")
            ),
        needs_payer: any(NEEDS_PAYER),
    }
}

fn code(error: &ApiErrors) -> &str {
    error
        .code
        .as_ref()
        .map_or(error.type_.as_str(), |code| code.as_str())
}

const NEEDS_PAYER: &[&str] = &[
    "authentication_required",
    "payment_intent_authentication_failure",
    "payment_intent_action_required",
];

/// The method will not work again, whatever happens.
const HARD: &[&str] = &[
    "account_closed",
    "bank_account_declined",
    "bank_account_unusable",
    "card_not_supported",
    "charge_not_authorized",
    "currency_not_supported",
    "debit_not_authorized",
    "expired_card",
    "fraudulent",
    "incorrect_number",
    "invalid_account",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "lost_card",
    "mandate_invalid",
    "merchant_blacklist",
    "new_account_information_available",
    "payment_intent_mandate_invalid",
    "pickup_card",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "security_violation",
    "stolen_card",
    "stop_payment_order",
    "transaction_not_allowed",
];
