//! What usage that is kept lacks at the moment: worked out anew when it is read, because what was
//! missing then may be there.

use crate::error::Error;
use crate::sources::{Reader, Sources};
use journal::JournalEntry;
use schema::words;
use serde::Serialize;

/// Result that rating again would have with the current tenants, agreements and prices.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Today {
    /// `lacking`, or `priced`: nothing is missing, and `POST /v1/usage-events/rate-again` charges
    /// it (usage that the balance does not cover stays open under `on_exhausted: refuse`).
    #[schema(value_type = words::TodayStatus, example = "lacking")]
    pub status: &'static str,
    /// The reason as in the response to the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "no_rate")]
    pub reason: Option<&'static str>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Links without a price that the key can see, starting with the customer's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<LackBody>,
}

/// Missing requirement of a link.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Lack)]
pub struct LackBody {
    /// External id of the buyer on the link.
    #[schema(example = "acme-42")]
    pub buyer: String,
    #[schema(example = "no_agreement")]
    pub reason: &'static str,
    #[schema(example = "the agreement begins at 2026-11-20T09:00:00Z")]
    pub detail: String,
    /// Time from which the link has what it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub begins_at: Option<String>,
}

/// What a kept event lacks now, as far as the key may know.
pub(crate) async fn today(
    sources: &Sources,
    reader: &Reader<'_>,
    record: &JournalEntry,
) -> Result<Today, Error> {
    let lacks = sources.engine.lacking(&reader.caller, record).await?;
    let Some(first) = lacks.first() else {
        return Ok(Today {
            status: "priced",
            reason: None,
            detail: None,
            open: Vec::new(),
        });
    };
    let reason = Some(first.reason);
    let (mut detail, mut open) = (None, Vec::new());
    for lack in lacks {
        if let Some(buyer) = lack.buyer {
            if !sources.sees_link(reader, buyer).await? {
                continue;
            }
            let buyer = sources.tenant(buyer).await?.external_id.clone();
            let begins_at = lack.begins_at.map(|at| at.to_string());
            open.push(LackBody {
                buyer,
                reason: lack.reason,
                detail: lack.detail.clone(),
                begins_at,
            });
        }
        detail = detail.or(Some(lack.detail));
    }
    Ok(Today {
        status: "lacking",
        reason,
        detail,
        open,
    })
}
