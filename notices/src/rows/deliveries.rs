//! Deliveries: one notice on its way to one endpoint or contact.
//!
//! Invariants: `next_at` is a delivery's claim as well. Whoever tries moves it first (guarded by
//! what it was), to a time by which the attempt is over; what comes of the attempt is written under
//! the same guard. So one process tries at a time, and what a process that died had begun is tried
//! again.

use super::NoticeRows;
use catalog::tenants::tenant_held;
use catalog::{Actor, CatalogError, Change, Page, Period, Result, audit, conflict, one_more};
use db::sql::{Tx, change, corrupt, from_word, look, read, statements, word, write};
use rating::ids::{ContactId, DeliveryId, EndpointId, NoticeId};
use rating::{Instant, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Ids tried when one is taken: ids of one millisecond are random in 22 bits, and a notice may have
/// many deliveries.
const IDS_TRIED_MAX: i64 = 8;
/// Endpoints and contacts with something due that are looked at together.
const DUE_TARGETS_MAX: i64 = 500;
/// Whoever has many leaves room for the others.
const DUE_TARGETS_OF_ROOT_MAX: i64 = 50;

macro_rules! columns {
    () => {
        "id, root_id, tenant_id, channel, target_id, notice_id, kind, payload_json, state, \
            attempts, next_at, last_status, last_error, created_at, tried_at, done_at"
    };
}

statements! {
    INSERT = concat!(
        "insert into deliveries (id, root_id, tenant_id, channel, target_id, notice_id, kind, \
            payload_json, state, attempts, next_at, created_at)",
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11) on conflict do nothing"
    );
    BY_ID = concat!("select ", columns!(), " from deliveries where id = $1");
    OF_TARGET = concat!(
        "select ", columns!(), " from deliveries where target_id = $1 and id < $2 and created_at \
            >= $3 and created_at < $4",
        " order by id desc limit $5"
    );
    DUE_TARGETS = concat!(
        "select root_id, target_id, channel, due_at from (select root_id, target_id, channel, \
            min(next_at) as due_at,",
        " row_number() over (partition by root_id order by min(next_at)) as place from deliveries \
            where next_at <= $1",
        " group by root_id, target_id, channel) as due where place <= $3 order by due_at limit $2"
    );
    DUE_OF_TARGET = concat!("select ", columns!(), " from deliveries where root_id = $1 and \
        target_id = $2 and next_at <= $3 order by next_at limit $4");
    CLAIM = concat!(
        "update deliveries set next_at = $4, attempts = attempts + 1, tried_at = $5",
        " where root_id = $1 and id = $2 and next_at = $3"
    );
    TRIED = concat!(
        "update deliveries set state = $4, next_at = $5, last_status = $6, last_error = $7, \
            done_at = $8",
        " where root_id = $1 and id = $2 and next_at = $3"
    );
    REPLAY = concat!(
        "update deliveries set state = 'waiting', attempts = 0, next_at = $3, done_at = null",
        " where root_id = $1 and id = $2 and (next_at is null or next_at > $3)"
    );
    /// What waits for a target that is gone.
    GIVE_UP = concat!(
        "update deliveries set state = 'failed', next_at = null, last_error = $3, done_at = $4",
        " where root_id = $1 and target_id = $2 and next_at is not null"
    );
    PURGE = concat!(
        "delete from deliveries where (root_id, id) in",
        " (select root_id, id from deliveries where created_at < $1 order by created_at limit $2)"
    );
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Webhook,
    Mail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, or tried again, at `next_at`.
    Waiting,
    Delivered,
    /// Given up.
    Failed,
    /// Only logged: this server sends no e-mail.
    Logged,
}

/// An endpoint or a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    Endpoint(EndpointId),
    Contact(ContactId),
}

impl Target {
    pub const fn channel(self) -> Channel {
        match self {
            Self::Endpoint(_) => Channel::Webhook,
            Self::Contact(_) => Channel::Mail,
        }
    }
    const fn id(self) -> i64 {
        match self {
            Self::Endpoint(id) => id.0,
            Self::Contact(id) => id.0,
        }
    }
    const fn of(channel: Channel, id: i64) -> Self {
        match channel {
            Channel::Webhook => Self::Endpoint(EndpointId(id)),
            Channel::Mail => Self::Contact(ContactId(id)),
        }
    }
}

/// A delivery to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Another is taken should this one be.
    pub id: DeliveryId,
    /// The target's.
    pub root: TenantId,
    pub tenant: TenantId,
    pub target: Target,
    pub notice: NoticeId,
    pub kind: super::NoticeKind,
    /// What is sent, the same bytes in every attempt.
    pub payload: String,
    /// False: it is only logged.
    pub to_be_tried: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub root: TenantId,
    pub tenant: TenantId,
    pub target: Target,
    pub notice: NoticeId,
    pub kind: super::NoticeKind,
    pub payload: String,
    pub state: DeliveryState,
    /// Begun, the present one included.
    pub attempts: u32,
    pub next_at: Option<Instant>,
    /// Of the last attempt that was answered.
    pub last_status: Option<u16>,
    /// Of the last attempt, if it failed: in our words, nothing of the answer's body.
    pub last_error: Option<String>,
    pub created_at: Instant,
    pub tried_at: Option<Instant>,
    pub done_at: Option<Instant>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub state: DeliveryState,
    /// Of what is still waiting.
    pub next_at: Option<Instant>,
    pub status: Option<u16>,
    pub error: Option<String>,
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    id: i64,
    root_id: i64,
    tenant_id: i64,
    channel: String,
    target_id: i64,
    notice_id: i64,
    kind: String,
    payload_json: String,
    state: String,
    attempts: i64,
    next_at: Option<i64>,
    last_status: Option<i64>,
    last_error: Option<String>,
    created_at: i64,
    tried_at: Option<i64>,
    done_at: Option<i64>,
}

impl DeliveryRow {
    fn delivery(self) -> Result<Delivery> {
        Ok(Delivery {
            id: DeliveryId(self.id),
            root: TenantId(self.root_id),
            tenant: TenantId(self.tenant_id),
            target: Target::of(from_word(&self.channel)?, self.target_id),
            notice: NoticeId(self.notice_id),
            kind: from_word(&self.kind)?,
            payload: self.payload_json,
            state: from_word(&self.state)?,
            attempts: u32::try_from(self.attempts).map_err(corrupt)?,
            next_at: self.next_at.map(Instant),
            last_status: self
                .last_status
                .map(u16::try_from)
                .transpose()
                .map_err(corrupt)?,
            last_error: self.last_error,
            created_at: Instant(self.created_at),
            tried_at: self.tried_at.map(Instant),
            done_at: self.done_at.map(Instant),
        })
    }
}

/// The id it was given.
pub(super) async fn insert(tx: &mut Tx<'_>, new: &NewDelivery, now: Instant) -> Result<DeliveryId> {
    let state = word(if new.to_be_tried {
        &DeliveryState::Waiting
    } else {
        &DeliveryState::Logged
    })?;
    let (channel, kind) = (word(&new.target.channel())?, word(&new.kind)?);
    let next_at = new.to_be_tried.then(|| now.micros());
    let (id, root, tenant, target, notice) = (
        new.id.0,
        new.root.0,
        new.tenant.0,
        new.target.id(),
        new.notice.0,
    );
    let (payload, now) = (new.payload.as_str(), now.micros());
    for further in 0..IDS_TRIED_MAX {
        let (id, channel, kind, state) = (
            id.saturating_add(further),
            channel.as_str(),
            kind.as_str(),
            state.as_str(),
        );
        if change!(
            &mut *tx, INSERT, id, root, tenant, channel, target, notice, kind, payload, state,
            next_at, now
        )? == 1
        {
            return Ok(DeliveryId(id));
        }
    }
    Err(conflict("id", "it is taken"))
}

pub(super) async fn purge(tx: &mut Tx<'_>, before: i64, rows_max: i64) -> Result<u64> {
    Ok(change!(tx, PURGE, before, rows_max)?)
}

/// Nothing is tried any more for this target.
pub(super) async fn give_up(
    tx: &mut Tx<'_>,
    root: TenantId,
    target: Target,
    why: &str,
    now: Instant,
) -> Result<u64> {
    Ok(change!(
        tx,
        GIVE_UP,
        root.0,
        target.id(),
        why,
        now.micros()
    )?)
}

impl NoticeRows<'_> {
    /// One delivery by itself: of a notice that is told to this target only, because somebody asked
    /// for it. The id it was given.
    pub async fn create_delivery(self, actor: &Actor, new: &NewDelivery) -> Result<DeliveryId> {
        write!(self.0, |tx| {
            tenant_held(tx, new.tenant).await?;
            let made = insert(tx, new, actor.at).await?;
            let after = Some(json!({ "notice": new.notice, "kind": new.kind }));
            let (tenant, root, id) = (new.tenant, new.root, made.to_string());
            let change = Change {
                tenant,
                root,
                resource: "delivery",
                id,
                action: "create",
                before: None,
                after,
            };
            audit::append(tx, actor, &change).await?;
            Ok(made)
        })
    }

    pub async fn delivery(self, id: DeliveryId) -> Result<Option<Delivery>> {
        read!(self.0, fetch_optional as DeliveryRow, BY_ID, id.0)?
            .map(DeliveryRow::delivery)
            .transpose()
    }

    /// The log of an endpoint or contact, of what was made in the period, newest first, older than
    /// the delivery `before`.
    pub async fn deliveries_of(
        self,
        target: Target,
        period: Period,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Page<Delivery>> {
        let (before, (from, until)) = (before.map_or(i64::MAX, |id| id.0), period.micros());
        let rows = read!(
            self.0,
            fetch_all as DeliveryRow,
            OF_TARGET,
            target.id(),
            before,
            from,
            until,
            one_more(limit)
        )?;
        Page::of(rows, limit, DeliveryRow::delivery)
    }

    /// Who has something due, with its root; the longest due first.
    pub async fn targets_due(self, now: Instant) -> Result<Vec<(TenantId, Target)>> {
        let rows = read!(
            self.0,
            fetch_all as (i64, i64, String, i64),
            DUE_TARGETS,
            now.micros(),
            DUE_TARGETS_MAX,
            DUE_TARGETS_OF_ROOT_MAX
        )?;
        let target = |(root, id, channel, _): (i64, i64, String, i64)| {
            Ok((TenantId(root), Target::of(from_word(&channel)?, id)))
        };
        rows.into_iter().map(target).collect()
    }

    /// What is due for one of them, the longest due first.
    pub async fn deliveries_due(
        self,
        root: TenantId,
        target: Target,
        now: Instant,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = read!(
            self.0,
            fetch_all as DeliveryRow,
            DUE_OF_TARGET,
            root.0,
            target.id(),
            now.micros(),
            limit
        )?;
        rows.into_iter().map(DeliveryRow::delivery).collect()
    }

    /// Takes a delivery on, until `until`. `None`: somebody else has.
    pub async fn claim_delivery(
        self,
        delivery: &Delivery,
        now: Instant,
        until: Instant,
    ) -> Result<Option<Delivery>> {
        let Some(next_at) = delivery.next_at else {
            return Ok(None);
        };
        let (root, id) = (delivery.root.0, delivery.id.0);
        let claimed: Result<u64> = write!(self.0, |tx| {
            Ok(change!(
                tx,
                CLAIM,
                root,
                id,
                next_at.micros(),
                until.micros(),
                now.micros()
            )?)
        });
        let claimed = claimed?;
        let taken = || Delivery {
            attempts: delivery.attempts + 1,
            next_at: Some(until),
            tried_at: Some(now),
            ..delivery.clone()
        };
        Ok((claimed == 1).then(taken))
    }

    /// Keeps what came of an attempt at a claimed delivery, unless the claim was over and another
    /// process took it.
    pub async fn delivery_tried(
        self,
        delivery: &Delivery,
        tried: &Tried,
        now: Instant,
    ) -> Result<()> {
        let Some(claimed_until) = delivery.next_at else {
            return Ok(());
        };
        let done_at = (tried.state != DeliveryState::Waiting).then(|| now.micros());
        let (state, next_at) = (word(&tried.state)?, tried.next_at.map(Instant::micros));
        let (status, error) = (tried.status.map(i64::from), tried.error.as_deref());
        let (root, id) = (delivery.root.0, delivery.id.0);
        write!(self.0, |tx| {
            change!(
                tx,
                TRIED,
                root,
                id,
                claimed_until.micros(),
                state.as_str(),
                next_at,
                status,
                error,
                done_at
            )?;
            Ok(())
        })
    }

    /// Tries a delivery again from the beginning, under the same id.
    pub async fn replay_delivery(self, actor: &Actor, id: DeliveryId) -> Result<Delivery> {
        let missing = || CatalogError::NotFound { what: "delivery" };
        write!(self.0, |tx| {
            let row = look!(&mut *tx, fetch_optional as DeliveryRow, BY_ID, id.0)?;
            let before = row.ok_or_else(missing)?.delivery()?;
            tenant_held(tx, before.tenant).await?;
            change!(&mut *tx, REPLAY, before.root.0, id.0, actor.at.micros())?;
            let change = Change {
                tenant: before.tenant,
                root: before.root,
                resource: "delivery",
                id: id.to_string(),
                action: "replay",
                before: Some(summary(&before)),
                after: None,
            };
            audit::append(tx, actor, &change).await?;
            look!(&mut *tx, fetch_optional as DeliveryRow, BY_ID, id.0)?
                .ok_or_else(missing)?
                .delivery()
        })
    }
}

fn summary(delivery: &Delivery) -> Value {
    json!({ "notice": delivery.notice, "kind": delivery.kind, "state": delivery.state, "attempts": delivery.attempts })
}
