//! What providers told us: kept before it is answered, worked off behind.

use super::PaymentRows;
use catalog::tenants::platform_in;
use catalog::{CatalogError, Result, one_more};
use db::sql::{change, corrupt, from_word, insert_many, read, statements, word, write};
use rating::Instant;
use serde::{Deserialize, Serialize};

/// Rows removed by one purge.
const PURGED_ROWS_MAX: i64 = 10_000;
/// How long an event is kept that was worked off.
pub const EVENTS_KEPT_SECS: i64 = 90 * 86_400;

macro_rules! columns {
    () => {
        "id, root_id, provider, account, kind, object_json, is_live, created_at, received_at, \
            body, state, attempts, next_at, note"
    };
}

statements! {
    INSERT = concat!(
        "insert into provider_events (", columns!(), ") values ($1, $2, $3, $4, $5, $6, $7, $8, \
            $9, $10, $11, $12, $13, $14) on conflict do nothing"
    );
    DUE = concat!("select ", columns!(), " from provider_events where next_at <= $1 order by \
        next_at, id limit $2");
    /// Whoever saw the row as it is changes it.
    PUT = "update provider_events set state = $3, attempts = $4, next_at = $5, note = $6 where id \
        = $1 and next_at = $2";
    BY_ID = concat!("select ", columns!(), " from provider_events where id = $1");
    KNOWN = "select count(*) from provider_events where id = $1";
    WAITING = "select count(*), coalesce(min(received_at), 0) from provider_events where next_at \
        is not null";
    STUCK = "select count(*) from provider_events where state = 'stuck' and received_at >= $1";
    LAST_HEARD = "select coalesce(max(received_at), 0) from provider_events";
    POLLED = "select value_json from settings where name = 'provider_polled_at'";
    SET_POLLED = "insert into settings (root_id, name, value_json, updated_at) values ($1, \
        'provider_polled_at', $2, $3)";
    SET_POLLED_AGAIN = "update settings set value_json = $2, updated_at = $3 where root_id = $1 \
        and name = 'provider_polled_at'";
    PURGE = concat!(
        "delete from provider_events where (root_id, id) in",
        " (select root_id, id from provider_events where received_at < $1 and next_at is null \
            order by received_at limit $2)"
    );
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    Waiting,
    Done,
    /// Of no concern here: `note` says why.
    Ignored,
    /// Given up after many attempts: somebody must look.
    Stuck,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// The provider's.
    pub id: String,
    pub provider: String,
    /// The connected account it is about, if not ours.
    pub account: Option<String>,
    pub kind: String,
    /// What to read again, in the words of whoever works it off.
    pub object: String,
    pub is_live: bool,
    pub created_at: Instant,
    pub received_at: Instant,
    /// As it came; `None`: it was not told but found.
    pub body: Option<Vec<u8>>,
    pub state: EventState,
    pub attempts: i64,
    /// When to work it off; `None`: that is done.
    pub next_at: Option<Instant>,
    pub note: Option<String>,
}

/// How it stands with what we were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxLook {
    pub waiting: i64,
    pub oldest_waiting_at: Option<Instant>,
    /// Given up since the instant asked for.
    pub stuck: i64,
    pub last_heard_at: Option<Instant>,
}

#[derive(sqlx::FromRow)]
struct EventRow {
    id: String,
    provider: String,
    account: Option<String>,
    kind: String,
    object_json: String,
    is_live: i64,
    created_at: i64,
    received_at: i64,
    body: Option<Vec<u8>>,
    state: String,
    attempts: i64,
    next_at: Option<i64>,
    note: Option<String>,
}

impl EventRow {
    fn event(self) -> Result<ProviderEvent> {
        Ok(ProviderEvent {
            id: self.id,
            provider: self.provider,
            account: self.account,
            kind: self.kind,
            object: self.object_json,
            is_live: self.is_live != 0,
            created_at: Instant(self.created_at),
            received_at: Instant(self.received_at),
            body: self.body,
            state: from_word(&self.state)?,
            attempts: self.attempts,
            next_at: self.next_at.map(Instant),
            note: self.note,
        })
    }
}

impl PaymentRows<'_> {
    /// Keeps events; how many of them were new.
    pub async fn keep_provider_events(self, events: &[ProviderEvent]) -> Result<u64> {
        write!(self.0, |tx| {
            let platform = platform_in(tx)
                .await?
                .ok_or(CatalogError::NotFound { what: "platform" })?
                .id;
            let rows: Vec<_> = events
                .iter()
                .map(|event| Ok((event, word(&event.state)?)))
                .collect::<Result<_>>()?;
            Ok(insert_many!(
                tx,
                INSERT,
                rows,
                |row| &row.0.id,
                platform.0,
                &row.0.provider,
                row.0.account.as_deref(),
                &row.0.kind,
                &row.0.object,
                i64::from(row.0.is_live),
                row.0.created_at.micros(),
                row.0.received_at.micros(),
                row.0.body.as_deref(),
                &row.1,
                row.0.attempts,
                row.0.next_at.map(Instant::micros),
                row.0.note.as_deref()
            ))
        })
    }

    pub async fn knows_provider_event(self, id: &str) -> Result<bool> {
        Ok(read!(self.0, fetch_one as (i64,), KNOWN, id)?.0 > 0)
    }

    pub async fn provider_event(self, id: &str) -> Result<Option<ProviderEvent>> {
        read!(self.0, fetch_optional as EventRow, BY_ID, id)?
            .map(EventRow::event)
            .transpose()
    }

    /// Those to work off by now, the longest due first.
    pub async fn due_provider_events(
        self,
        now: Instant,
        limit: usize,
    ) -> Result<Vec<ProviderEvent>> {
        let rows = read!(
            self.0,
            fetch_all as EventRow,
            DUE,
            now.micros(),
            one_more(limit) - 1
        )?;
        rows.into_iter().map(EventRow::event).collect()
    }

    /// False: somebody else took it since `before` was read.
    pub async fn put_provider_event(
        self,
        before: &ProviderEvent,
        after: &ProviderEvent,
    ) -> Result<bool> {
        let Some(seen) = before.next_at else {
            return Ok(false);
        };
        write!(self.0, |tx| {
            let (state, next_at) = (word(&after.state)?, after.next_at.map(Instant::micros));
            Ok(change!(
                tx,
                PUT,
                after.id.as_str(),
                seen.micros(),
                state,
                after.attempts,
                next_at,
                after.note.as_deref()
            )? == 1)
        })
    }

    pub async fn inbox_look(self, stuck_since: Instant) -> Result<InboxLook> {
        let (waiting, oldest) = read!(self.0, fetch_one as (i64, i64), WAITING)?;
        let (stuck,) = read!(self.0, fetch_one as (i64,), STUCK, stuck_since.micros())?;
        let (heard,) = read!(self.0, fetch_one as (i64,), LAST_HEARD)?;
        let some = |micros: i64| (micros > 0).then_some(Instant(micros));
        Ok(InboxLook {
            waiting,
            oldest_waiting_at: some(oldest),
            stuck,
            last_heard_at: some(heard),
        })
    }

    /// When the provider was last asked for what it had told nobody.
    pub async fn provider_polled_at(self) -> Result<Option<Instant>> {
        let row = read!(self.0, fetch_optional as (String,), POLLED)?;
        row.map(|(micros,)| {
            micros
                .parse()
                .map(Instant)
                .map_err(|error| corrupt(error).into())
        })
        .transpose()
    }

    pub async fn set_provider_polled_at(self, now: Instant) -> Result<()> {
        write!(self.0, |tx| {
            let platform = platform_in(tx)
                .await?
                .ok_or(CatalogError::NotFound { what: "platform" })?
                .id;
            let micros = now.micros().to_string();
            // Two that write it for the first time at once: the second finds it taken, and asks
            // again next time.
            if change!(
                &mut *tx,
                SET_POLLED_AGAIN,
                platform.0,
                micros.as_str(),
                now.micros()
            )? == 0
            {
                change!(tx, SET_POLLED, platform.0, micros.as_str(), now.micros())?;
            }
            Ok(())
        })
    }

    /// Removes what was worked off long ago, oldest first, a bounded number; how many.
    pub async fn purge_provider_events(self, now: Instant) -> Result<u64> {
        write!(self.0, |tx| {
            let purged = change!(
                tx,
                PURGE,
                now.plus_secs(-EVENTS_KEPT_SECS).micros(),
                PURGED_ROWS_MAX
            )?;
            Ok(purged)
        })
    }
}
