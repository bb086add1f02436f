//! The words that a field may have, as the document lists them.
//!
//! Invariant: words of a type come from the type. One that is missing here does not compile, and
//! its spelling is that of the answers.

use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

/// `all`: every value of a type, which `is_listed` names one by one.
fn spelled<T: Serialize>(all: &[T], _is_listed: fn(&T)) -> RefOr<Schema> {
    listed(
        all.iter()
            .map(|word| serde_json::to_value(word).unwrap_or_default()),
    )
}

pub fn listed(words: impl Iterator<Item = serde_json::Value>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .enum_values(Some(words))
        .build()
        .into()
}

/// Words of a type elsewhere in the workspace.
macro_rules! words_of {
    ($($(#[$about:meta])* $name:ident = $of:ty { $($word:ident),+ $(,)? })+) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                type Of = $of;
                spelled(&[$(Of::$word),+], |word| match word { $(Of::$word => ()),+ })
            }
        }

        impl ToSchema for $name {}
    )+};
}

/// Words that answers are given in text.
#[macro_export]
macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($word:literal),+ $(,)? })+) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub struct $name;

        impl $name {
            pub const ALL: &[&str] = &[$($word),+];
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::words::listed(Self::ALL.iter().map(|&word| word.into()))
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}

words_of! {
    AccountKind = ledger::AccountKind { Balance, Book, Income, Disputed, Revenue, External, Suspense, Expense }
    Aggregation = rating::card::Aggregation { Count, Sum, Max, Unique, Latest }
    AmountFrom = rating::card::AmountFrom { Amount, Quantity }
    AutoTopUpState = payments::rows::AutoState { On, Paused, Off }
    BlockPolicy = rating::card::BlockPolicy { AllTiers, TopTier }
    Collect = tenants::Collect { Platform, Reseller }
    ConversionOp = rating::card::ConversionOp { Multiply, Divide }
    DeckDateForm = formats::input::when::DateForm { YearFirst, DayFirst, MonthFirst, EpochSeconds, EpochMillis }
    DeckMode = decks::Mode { Full, Partial }
    DeliveryState = notices::rows::DeliveryState { Waiting, Delivered, Failed, Logged }
    HoldState = ledger::HoldState { Open, Captured, Released, Expired }
    NoticeKind = notices::rows::NoticeKind {
        BalanceLow, BalanceExhausted, TopUpSucceeded, TopUpFailed, TopUpActionRequired, AutoTopUpPaused, PaymentAttention, PayoutPaid,
        PayoutFailed, UsageUnrated, MarginNegative, HoldExpired, Test,
    }
    OnExhausted = tenants::OnExhausted { Post, Refuse }
    PayoutMethod = payouts::rows::PayoutMethod { Stripe, Bank }
    PayoutState = payouts::rows::PayoutState { Due, Paying, Paid, Failed, Reversing, Reversed, Canceled }
    RefundState = payments::rows::RefundState { Pending, Sent, Succeeded, Failed }
    RoundingMode = rating::rounding::Mode { Up, Down, HalfUp, HalfEven, Ceil, Floor }
    Scope = tenants::Scope { PlatformAdmin, TenantAdmin, TenantRead, UsageWrite, MetricsRead }
    StatementSumKind = payouts::rows::MoveKind {
        ChargesReceived, ChargesPaid, TopUp, Adjustment, Refund, Dispute, Payout, Payment,
    }
    TenantKind = tenants::TenantKind { Platform, Reseller, Customer }
    TopUpOrigin = payments::rows::Origin { Checkout, Auto }
    TopUpState = payments::rows::TopUpState { Pending, Processing, Succeeded, Failed, Expired }
    ZeroDuration = rating::card::ZeroDuration { Free, Charged }
}

words! {
    CardVersionStatus { "draft", "awaiting_approval", "published" }
    EntryKind {
        "usage", "usage_rated_later", "void", "confirmed", "top_up", "adjustment", "refund", "dispute", "payout", "payment",
        "reclassification", "carry_settled",
    }
    EventKind { "rated", "partly_rated", "unrated", "rated_later", "void", "confirmed" }
    EventStatus { "rated", "partly_rated", "duplicate", "unrated", "rejected" }
    ExplanationStatus { "rated", "partly_rated", "unrated", "voided", "partly_voided" }
    HealthStatus { "ok" }
    LaterKind { "rated_later", "void", "confirmed" }
    Locale { "de", "en", "fr" }
    PayoutOutcome {
        "created", "would_be_created", "exists", "nothing_payable", "withheld", "below_minimum", "frozen", "unfinished", "failed",
    }
    Pricing { "wholesale", "commission" }
    ReportFormat { "json", "csv" }
    TodayStatus { "lacking", "priced" }
    WithheldBecause { "unpaid", "sold_below_cost", "overpaid" }
}
