//! The tables of payments, payouts and commission.

mod auto_top_ups;
mod commission_customers;
mod commission_months;
mod inbox;
pub mod look;
mod payments;
mod payout_files;
mod payout_settings;
mod payouts;
mod refunds;
mod top_ups;

pub use auto_top_ups::{AUTO_ROWS_MAX, AutoState, AutoTopUp};
pub use commission_customers::{
    CommissionPosition, CustomerCommission, CustomerGrown, CustomersGrown, add_steps,
};
pub use commission_months::{CommissionMonth, MoveKind, Sum, Sums};
pub use inbox::{EventState, InboxLook, ProviderEvent};
pub use payments::{FeesElsewhere, Foreign, Payment, Settlement};
pub use payout_files::PayoutFile;
pub use payout_settings::{BankAccount, PayoutMethod, PayoutSettings};
pub use payouts::{Payout, PayoutState, PayoutSums};
pub use refunds::{Refund, RefundState};
pub use top_ups::{Created, Origin, TopUp, TopUpState};

use catalog::Catalog;

/// What payments keep, in the database of the catalog.
#[derive(Debug, Clone, Copy)]
pub struct PaymentRows<'a>(&'a Catalog);

impl<'a> PaymentRows<'a> {
    pub const fn of(catalog: &'a Catalog) -> Self {
        Self(catalog)
    }
}

/// Every statement, by file: for the tests that prepare each.
pub const STATEMENTS: &[(&str, &[(&str, &str)])] = &[
    ("auto_top_ups", auto_top_ups::STATEMENTS),
    ("commission_customers", commission_customers::STATEMENTS),
    ("commission_months", commission_months::STATEMENTS),
    ("inbox", inbox::STATEMENTS),
    ("payments", payments::STATEMENTS),
    ("payout_files", payout_files::STATEMENTS),
    ("payout_settings", payout_settings::STATEMENTS),
    ("payouts", payouts::STATEMENTS),
    ("refunds", refunds::STATEMENTS),
    ("top_ups", top_ups::STATEMENTS),
];
