//! What the binaries of tests share: a server to talk to, dice, and how the books are read.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "for tests alone: what is not expected ends them"
)]

pub mod dice;
pub mod served;

use journal::{EntryQuery, Journal, JournalEntry, Of};
use rating::Instant;
use serde_json::{Value, json};

/// The instant at which every world begins.
pub const NOW: &str = "2026-11-20T12:00:00Z";

pub fn instant(text: &str) -> Instant {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no instant"))
}

/// Calls per minute in 60/60 increments, API calls, bookings and SMS by the piece.
pub fn prices(call: &str, api_call: &str, booking: &str, sms: &str) -> Value {
    json!({ "rates": [
        { "key": "call", "meter": "call", "prefixes": [""], "call": { "initial": "60", "next": "60", "steps": [{ "from": "0", "price": call, "per": "60" }] } },
        { "key": "api_call", "meter": "api_call", "price": { "model": "per_unit", "unit_price": api_call } },
        { "key": "booking", "meter": "booking", "price": { "model": "per_unit", "unit_price": booking } },
        { "key": "sms", "meter": "sms", "price": { "model": "per_unit", "unit_price": sms } },
    ]})
}

/// Every record, oldest first.
pub async fn read_all(journal: &dyn Journal) -> Vec<JournalEntry> {
    let (mut records, limit): (Vec<JournalEntry>, usize) = (Vec::new(), 1000);
    loop {
        let after = records.last().map(|record| record.seq);
        let page = journal
            .read(&EntryQuery {
                of: Of::All,
                after,
                newest_first: false,
                limit,
            })
            .await
            .unwrap();
        let full = page.len() == limit;
        records.extend(page);
        if !full {
            return records;
        }
    }
}
