//! What the journal keeps of an event, and the event as it was sent.

use crate::distinct_value;
use crate::requests::UsageEvent;
use compact_str::ToCompactString;
use journal::{EntryPayload, JournalEntry, Kind, Seq, Trail};
use prepare::event::RatedEvent;

/// What the event says of itself.
pub fn event_body(prepared: &RatedEvent) -> EntryPayload {
    let event = &prepared.event;
    EntryPayload {
        meter: event.meter.clone(),
        quantity: event.quantity,
        amount: event.amount.map(|amount| amount.to_string()),
        distinct_value: prepared
            .priced
            .as_ref()
            .ok()
            .and_then(|plan| distinct_value::name(prepared, plan)),
        trail: Trail {
            key: prepared.sender_key,
            steps: None,
        },
        ..EntryPayload::default()
    }
}

pub fn record_of(prepared: Box<RatedEvent>, kind: Kind, body: EntryPayload) -> JournalEntry {
    let (at, received_at, content, tenant) = (
        prepared.event.at,
        prepared.received_at,
        prepared.content,
        prepared.owner(),
    );
    let is_open = body
        .trail
        .steps
        .as_ref()
        .is_some_and(|steps| !steps.open.is_empty());
    let is_kept = kind == Kind::Unrated || (kind == Kind::Rated && is_open);
    let as_sent = is_kept || matches!(kind, Kind::HoldPlaced | Kind::HoldExtended);
    let (identity, personal, personal_digest) = prepared.into_record_parts(as_sent);
    JournalEntry {
        seq: Seq(0),
        kind,
        tenant,
        identity,
        at,
        received_at,
        content,
        body,
        personal,
        personal_digest,
    }
}

/// A kept or held usage as it was reported.
pub fn event_of(record: &JournalEntry) -> UsageEvent {
    let personal = record.personal.clone().unwrap_or_default();
    UsageEvent {
        id: record.identity.id.clone(),
        source: record.identity.source.clone(),
        customer: personal
            .customer_hint
            .unwrap_or_else(|| record.tenant.to_compact_string()),
        meter: record.body.meter.clone(),
        quantity: record.body.quantity,
        amount: record
            .body
            .amount
            .as_deref()
            .and_then(|amount| amount.parse().ok()),
        at: record.at,
        destination: personal.destination,
        origin: personal.origin,
        attributes: personal.attributes,
        hold: None,
        raw: personal.raw,
    }
}
