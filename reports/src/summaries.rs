//! Usage events in lists: what happened, without why.

use crate::error::Error;
use crate::lacking::Today;
use crate::sources::{Reader, Sources};
use journal::{JournalEntry, Kind};
use schema::list::List;
use schema::words;
use serde::Serialize;

/// A usage event, or a later change to one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventSummary {
    #[schema(example = "0192f1")]
    pub id: String,
    #[schema(example = "pbx-1")]
    pub source: String,
    /// `rated`, `partly_rated` (some links are open), `unrated`, `rated_later` (kept first), `void`
    /// (taken back) or `confirmed` (reported by a tenant above as well as by one below).
    #[schema(value_type = words::EventKind, example = "rated")]
    pub kind: &'static str,
    /// The key that did it, if the caller can see its tenant. Absent for records from before keys
    /// were stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "key_0dks8xn2a4m1c")]
    pub api_key: Option<String>,
    /// External id, or the name as sent if no tenant has it.
    #[schema(example = "acme-42")]
    pub customer: String,
    #[schema(example = "call")]
    pub meter: String,
    #[schema(example = "600", format = "decimal")]
    pub quantity: String,
    #[schema(format = DateTime)]
    pub at: String,
    #[schema(format = DateTime)]
    pub received_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "EUR")]
    pub currency: Option<&'static str>,
    /// Amount debited from the customer (negative: credited back).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 400)]
    pub debit_cents: Option<i64>,
    /// Reason why it had no price on arrival, or none on some links, or why it was voided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In the list of kept usage: what the event lacks now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Today>,
}

/// The name of a usage record's kind; `None`: the record is not about usage.
pub(crate) fn kind_name(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Rated => Some("rated"),
        Kind::Unrated => Some("unrated"),
        Kind::RatedLater => Some("rated_later"),
        Kind::Void => Some("void"),
        Kind::Confirmed => Some("confirmed"),
        _ => None,
    }
}

/// What the customer was debited by a record.
pub(crate) fn debit_of(record: &JournalEntry) -> Option<i64> {
    record
        .body
        .charges
        .iter()
        .find(|charge| charge.link.buyer == record.tenant)
        .map(|charge| charge.link.cents.0)
}

/// The key of whose request a record came, told to those who see whose it was. Whoever has usage
/// rated again may be farther above than who reported it: only the platform is told.
pub(crate) async fn key_of(
    sources: &Sources,
    reader: &Reader<'_>,
    record: &JournalEntry,
) -> Result<Option<String>, Error> {
    let Some(key) = record.body.trail.key else {
        return Ok(None);
    };
    let is_seen = match record.identity.reporter {
        _ if reader.caller.tenant == sources.platform => true,
        Some(reporter) if record.kind != Kind::RatedLater => {
            reader.sees(&*sources.tenant(reporter).await?)
        }
        _ => false,
    };
    Ok(is_seen.then(|| key.to_string()))
}

pub(crate) async fn summary(
    sources: &Sources,
    reader: &Reader<'_>,
    record: &JournalEntry,
) -> Result<Option<EventSummary>, Error> {
    let Some(kind) = kind_name(record.kind) else {
        return Ok(None);
    };
    let kind = if record.kind == Kind::Rated && record.is_kept() {
        "partly_rated"
    } else {
        kind
    };
    Ok(Some(EventSummary {
        id: record.identity.id.clone(),
        source: record.identity.source.to_string(),
        kind,
        api_key: key_of(sources, reader, record).await?,
        customer: customer_of(sources, record).await?,
        meter: record.body.meter.to_string(),
        quantity: record.body.quantity.to_string(),
        at: record.at.to_string(),
        received_at: record.received_at.to_string(),
        currency: record.body.currency.map(rating::Currency::code),
        debit_cents: debit_of(record),
        reason: Some(record.body.reason.clone()).filter(|reason| !reason.is_empty()),
        now: None,
    }))
}

/// External id, or the name as sent.
pub(crate) async fn customer_of(sources: &Sources, record: &JournalEntry) -> Result<String, Error> {
    match record
        .personal
        .as_ref()
        .and_then(|personal| personal.customer_hint.clone())
    {
        Some(hint) => Ok(hint.into()),
        None => Ok(sources.tenant(record.tenant).await?.external_id.clone()),
    }
}

/// From records read with one more than `limit`.
pub async fn page(
    sources: &Sources,
    reader: &Reader<'_>,
    mut records: Vec<JournalEntry>,
    limit: usize,
) -> Result<List<EventSummary>, Error> {
    let has_more = records.len() > limit;
    records.truncate(limit);
    let last = records.last().map(|record| record.seq.0);
    let mut data = Vec::with_capacity(records.len());
    for record in &records {
        data.extend(summary(sources, reader, record).await?);
    }
    Ok(List::new(data, has_more, last))
}
