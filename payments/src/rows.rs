//! The tables of payments.

mod auto_top_ups;
mod inbox;
pub mod look;
mod payments;
mod refunds;
mod top_ups;

pub use auto_top_ups::{AUTO_ROWS_MAX, AutoState, AutoTopUp};
pub use inbox::{EventState, InboxLook, ProviderEvent};
pub use payments::{FeesElsewhere, Foreign, Payment, Settlement};
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
    ("inbox", inbox::STATEMENTS),
    ("payments", payments::STATEMENTS),
    ("refunds", refunds::STATEMENTS),
    ("top_ups", top_ups::STATEMENTS),
];
