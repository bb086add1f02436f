//! Refusals by stable codes: which field, what was expected, and a code for programs.
//!
//! Every crate says what it refuses by a [`Code`], so that a program's flow follows from variants,
//! and the HTTP API's table of statuses and titles has a row for each.

use std::fmt;

macro_rules! codes {
    ($($name:ident = $text:literal,)*) => {
        /// Stable: part of the API. A code once answered keeps its name and its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($name,)*
            /// Usage that cannot be priced, by the reason under which it is kept as unrated: see
            /// [`Code::of_reason`].
            Unrated(&'static str),
        }

        impl Code {
            /// Every code but the reasons of unrated usage.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code of usage that cannot be priced, by its reason: some reasons are codes of
            /// their own.
            pub fn of_reason(reason: &'static str) -> Self {
                let known = Self::ALL.iter().find(|code| code.as_str() == reason);
                known.copied().unwrap_or(Self::Unrated(reason))
            }

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unrated(reason) => reason,
                }
            }
        }
    };
}

codes! {
    InvalidJson = "invalid_json",
    InvalidRequest = "invalid_request",
    InvalidSignature = "invalid_signature",
    MissingIdempotencyKey = "missing_idempotency_key",
    Unauthorized = "unauthorized",
    InsufficientBalance = "insufficient_balance",
    PaymentDeclined = "payment_declined",
    Exhausted = "exhausted",
    Forbidden = "forbidden",
    CreditAboveCap = "credit_above_cap",
    PlatformSetsCollect = "platform_sets_collect",
    PlacedAbove = "placed_above",
    OnlyTighter = "only_tighter",
    TermsOfThePast = "terms_of_the_past",
    TermsFromAbove = "terms_from_above",
    BeyondReach = "beyond_reach",
    NotFound = "not_found",
    MethodNotAllowed = "method_not_allowed",
    IdConflict = "id_conflict",
    IdempotencyConflict = "idempotency_conflict",
    IdempotencyInProgress = "idempotency_in_progress",
    BalanceTooLarge = "balance_too_large",
    Conflict = "conflict",
    LastAdminKey = "last_admin_key",
    AmbiguousId = "ambiguous_id",
    NoAgreementInForce = "no_agreement_in_force",
    AccountsNotEmpty = "accounts_not_empty",
    MeterInUse = "meter_in_use",
    PaymentsNotConfigured = "payments_not_configured",
    NotRefundable = "not_refundable",
    AlreadyVoided = "already_voided",
    UpperLinksOpen = "upper_links_open",
    VoidNotExact = "void_not_exact",
    TooMuchBehind = "too_much_behind",
    HoldOver = "hold_over",
    HoldEnded = "hold_ended",
    OtherRoot = "other_root",
    HoldOfAnother = "hold_of_another",
    PayoutState = "payout_state",
    HeldBack = "held_back",
    PayoutFrozen = "payout_frozen",
    NotPayable = "not_payable",
    PayeeNotReady = "payee_not_ready",
    NothingDue = "nothing_due",
    PayoutExists = "payout_exists",
    NotRestored = "not_restored",
    Restored = "restored",
    ReversalRefused = "reversal_refused",
    ProviderRefused = "provider_refused",
    CounterNotKept = "counter_not_kept",
    BodyTooLarge = "body_too_large",
    BatchTooLarge = "batch_too_large",
    DeckTooLarge = "deck_too_large",
    UnsupportedMediaType = "unsupported_media_type",
    AmbiguousColumn = "ambiguous_column",
    AmbiguousDate = "ambiguous_date",
    AmbiguousNumber = "ambiguous_number",
    AmbiguousTime = "ambiguous_time",
    AmbiguousUnit = "ambiguous_unit",
    AmbiguousZone = "ambiguous_zone",
    AmountOutOfRange = "amount_out_of_range",
    AmountTooLarge = "amount_too_large",
    AutoTopUpNotSet = "auto_top_up_not_set",
    BeforeRecords = "before_records",
    Contradiction = "contradiction",
    CurrencyMismatch = "currency_mismatch",
    CurrencyNotAgreed = "currency_not_agreed",
    CurrencyNotOffered = "currency_not_offered",
    FutureEvent = "future_event",
    HoldNotOver = "hold_not_over",
    ImpossibleDuration = "impossible_duration",
    IncompleteRecord = "incomplete_record",
    InvalidAccount = "invalid_account",
    InvalidAmount = "invalid_amount",
    InvalidCard = "invalid_card",
    InvalidDeck = "invalid_deck",
    InvalidEvent = "invalid_event",
    InvalidExpiry = "invalid_expiry",
    InvalidField = "invalid_field",
    InvalidNumber = "invalid_number",
    InvalidReason = "invalid_reason",
    InvalidRow = "invalid_row",
    MissingField = "missing_field",
    NegativeAmount = "negative_amount",
    NegativeQuantity = "negative_quantity",
    NoSuchTime = "no_such_time",
    NotCollectedHere = "not_collected_here",
    NotRated = "not_rated",
    NotWithThisMeter = "not_with_this_meter",
    Overflow = "overflow",
    Overtaken = "overtaken",
    PeriodTooLong = "period_too_long",
    SecondLeg = "second_leg",
    TechnicalPrefix = "technical_prefix",
    TenantClosed = "tenant_closed",
    UnknownColumn = "unknown_column",
    UnknownDisposition = "unknown_disposition",
    UnknownField = "unknown_field",
    UnknownLine = "unknown_line",
    UnknownMeter = "unknown_meter",
    UnreadableFile = "unreadable_file",
    ZoneRequired = "zone_required",
    RateLimited = "rate_limited",
    Overloaded = "overloaded",
    Internal = "internal",
    BrokenChain = "broken_chain",
    AccountNotLoaded = "account_not_loaded",
    HeldMismatch = "held_mismatch",
    CorruptCard = "corrupt_card",
    ProviderUnavailable = "provider_unavailable",
    Unavailable = "unavailable",
    ClockStepped = "clock_stepped",
    Stalled = "stalled",
    TaskDown = "task_down",
    NotWritable = "not_writable",
    Unfinished = "unfinished",
    Timeout = "timeout",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal. Becomes problem+json.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    pub code: Code,
    /// JSON pointer-like path of the field, if one is to blame: `quantity`, `rates[3].prefixes[0]`.
    pub field: Option<String>,
    pub detail: String,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            field: None,
            detail: detail.into(),
        }
    }
    pub fn field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code,
            field: Some(field.into()),
            detail: detail.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        let is_stable = |name: &&&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert_eq!(names.iter().filter(is_stable).count(), names.len());
    }
}
