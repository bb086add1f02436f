//! The tables of notices: what is told, to whom, and whether it arrived.

mod contacts;
mod deliveries;
mod endpoints;
mod notices;
mod thresholds;

pub use contacts::{CONTACTS_MAX, Contact, ContactPatch};
pub use deliveries::{Channel, Delivery, DeliveryState, NewDelivery, Target, Tried};
pub use endpoints::{ENDPOINTS_MAX, Endpoint, EndpointPatch, FORMER_SECRET_SECS, Wanted};
pub use notices::{
    NOTICES_KEPT_SECS, Notice, NoticeKind, Undelivered, append, late_and_lately, undelivered,
};
pub use thresholds::{Limited, Reached, Threshold};

use catalog::Catalog;

/// What notices keep, in the database of the catalog.
#[derive(Debug, Clone, Copy)]
pub struct NoticeRows<'a>(&'a Catalog);

impl<'a> NoticeRows<'a> {
    pub const fn of(catalog: &'a Catalog) -> Self {
        Self(catalog)
    }
}

/// Every statement, by file: for the tests that prepare each.
pub const STATEMENTS: &[(&str, &[(&str, &str)])] = &[
    ("contacts", contacts::STATEMENTS),
    ("deliveries", deliveries::STATEMENTS),
    ("endpoints", endpoints::STATEMENTS),
    ("notices", notices::STATEMENTS),
    ("thresholds", thresholds::STATEMENTS),
];
