//! Digests of what an event says: they tell a resend from a conflict.

use crate::digest::Digest;
use formats::UsageEvent;

/// Keys the digests of events whose customer is unknown.
pub(crate) const NO_KEY: [u8; 32] = [0; 32];

/// Of an event as it was sent, outside an installation.
pub(crate) fn content_of(event: &UsageEvent) -> [u8; 16] {
    content_digest(&NO_KEY, event, &event.customer, [None, None])
}

/// Of what an event is called, outside an installation.
pub(crate) fn identity_digest(source: &str, id: &str) -> [u8; 16] {
    Digest::keyed(&NO_KEY).text(source).text(id).finish()
}

/// Equal after parsing: "600" = 600.0; attributes are sorted; the hold and the raw record do not
/// count. `sent`: destination and origin as sent, where the event has other digits by now.
pub(crate) fn content_digest(
    key: &[u8; 32],
    event: &UsageEvent,
    customer: &str,
    sent: [Option<&str>; 2],
) -> [u8; 16] {
    let amount = event.amount.map(|amount| amount.to_string());
    let mut digest = Digest::keyed(key);
    digest
        .text(customer)
        .text(&event.meter)
        .number(event.quantity.0)
        .number(event.at.micros().into())
        .optional(amount.as_deref())
        .optional(sent[0].or(event.destination.as_deref()))
        .optional(sent[1].or(event.origin.as_deref()));
    for (name, value) in &event.attributes {
        digest.text(name).text(value);
    }
    digest.finish()
}
