//! Usage that is kept without a price, and what it lacks now.

use crate::error::Error;
use crate::lacking;
use crate::sources::{Reader, Sources};
use crate::summaries::{self, EventSummary};
use journal::{EntryQuery, Of, Seq};
use schema::list::List;

/// Steps in which a subtree's events are looked for among its root's.
const LOOKS_MAX: usize = 20;

/// Events of a page whose lacks are worked out before others have their turn.
const LACKS_AT_ONCE: usize = 32;

/// A page of what is kept in a list, as far as its reader sees whose it is. It may be short although
/// there is more.
///
/// # Errors
/// The books cannot be read.
pub async fn unrated(
    sources: &Sources,
    reader: &Reader<'_>,
    of: Of,
    mut after: Option<Seq>,
    limit: usize,
) -> Result<List<EventSummary>, Error> {
    let mut data = Vec::new();
    for _ in 0..LOOKS_MAX {
        let found = sources
            .journal
            .read(&EntryQuery {
                of: of.clone(),
                after,
                newest_first: false,
                limit: limit + 1,
            })
            .await?;
        let has_more = found.len() > limit;
        for record in found.iter().take(limit) {
            if data.len() == limit {
                return Ok(List::new(data, true, after.map(|seq| seq.0)));
            }
            after = Some(record.seq);
            if reader.sees(&*sources.tenant(record.tenant).await?) {
                if data.len() % LACKS_AT_ONCE == LACKS_AT_ONCE - 1 {
                    // A long page must not keep others waiting.
                    tokio::task::yield_now().await;
                }
                let now = Some(lacking::today(sources, reader, record).await?);
                data.extend(
                    summaries::summary(sources, reader, record)
                        .await?
                        .map(|summary| EventSummary { now, ..summary }),
                );
            }
        }
        if !has_more {
            return Ok(List::new(data, false, None));
        }
    }
    Ok(List::new(data, true, after.map(|seq| seq.0)))
}
