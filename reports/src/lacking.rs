//! What usage that is kept lacks at the moment: worked out anew when it is read, because what was
//! missing then may be there.

use crate::error::Error;
use crate::sources::{Reader, Sources};
use journal::JournalEntry;
use schema::words;
use serde::Serialize;

/// What trying again would meet, by today's tenants, agreements and prices.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Today {
    /// `lacking`, or `priced`: everything is there, and `POST /v1/usage-events/rate-again` charges
    /// it (what the balance does not cover stays open under `on_exhausted: refuse`).
    #[schema(value_type = words::TodayStatus, example = "lacking")]
    pub status: &'static str,
    /// As the answer to the event would have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "no_rate")]
    pub reason: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Links without a price that the key may see, from the customer's own up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<LackBody>,
}

/// What a link lacks.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Lack)]
pub struct LackBody {
    /// Who buys on it: an external id.
    #[schema(example = "acme-42")]
    pub buyer: String,
    #[schema(example = "no_agreement")]
    pub reason: &'static str,
    #[schema(example = "the agreement begins at 2026-11-20T09:00:00Z")]
    pub detail: String,
    /// From when on it has what it lacks.
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
