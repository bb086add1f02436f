//! The tables of payouts and commission.

mod commission_customers;
mod commission_months;
mod disputes;
mod payout_files;
mod payout_settings;
mod payouts;

pub use commission_customers::{
    CommissionPosition, CustomerCommission, CustomerGrown, CustomersGrown, add_steps,
};
pub use commission_months::{CommissionMonth, MoveKind, Sum, Sums};
pub use payout_files::PayoutFile;
pub use payout_settings::{BankAccount, PayoutMethod, PayoutSettings};
pub use payouts::{Payout, PayoutState, PayoutSums};

use catalog::Catalog;

/// What payouts keep, in the database of the catalog.
#[derive(Debug, Clone, Copy)]
pub struct PayoutRows<'a>(&'a Catalog);

impl<'a> PayoutRows<'a> {
    pub const fn of(catalog: &'a Catalog) -> Self {
        Self(catalog)
    }
}

/// Every statement, by file: for the tests that prepare each.
pub const STATEMENTS: &[(&str, &[(&str, &str)])] = &[
    ("commission_customers", commission_customers::STATEMENTS),
    ("commission_months", commission_months::STATEMENTS),
    ("disputes", disputes::STATEMENTS),
    ("payout_files", payout_files::STATEMENTS),
    ("payout_settings", payout_settings::STATEMENTS),
    ("payouts", payouts::STATEMENTS),
];
