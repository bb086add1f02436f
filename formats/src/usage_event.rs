//! Usage as everybody reports it, whatever the format.

use compact_str::CompactString;
use rating::money::Rate as Amount;
use rating::{Instant, Quantity};

/// Events of one batch.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// A usage event as parsed and validated for form (not yet against the directory).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageEvent {
    pub id: String,
    /// Default "default".
    pub source: CompactString,
    /// The customer's external id or `ten_…` id.
    pub customer: CompactString,
    pub meter: CompactString,
    pub quantity: Quantity,
    pub amount: Option<Amount>,
    pub at: Instant,
    /// As sent; normalised by the engine with the customer's country.
    pub destination: Option<CompactString>,
    pub origin: Option<CompactString>,
    /// Sorted by name.
    pub attributes: Vec<(String, String)>,
    /// The hold this usage captures (its id or the caller's key).
    pub hold: Option<String>,
    /// The record as received, for formats that are not our own.
    pub raw: Option<String>,
}
