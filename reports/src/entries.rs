//! One account's side of what moved, derived from the journal: every event is an entry of its own.
//!
//! A statement is read backwards from the present balance, in order of posting, so that its cost
//! grows with the entries since its beginning and not with what is stored.

use crate::error::Error;
use crate::sources::Sources;
use crate::summaries::customer_of;
use catalog::Period;
use journal::{EntryQuery, JournalEntry, Kind, Of, Seq};
use ledger::AccountKey;
use rating::{Cents, Instant};
use schema::list::List;
use schema::words;
use serde::Serialize;
use std::collections::HashMap;
use tenants::Tenant;

/// Entries that a statement reads at most, those after its end included.
const STATEMENT_ENTRIES_MAX: usize = 100_000;
const READ_AT_ONCE: usize = 5_000;
/// Events read at once that voids are about.
const VOIDED_AT_ONCE: usize = 500;
/// How often a statement is started over because the account moved while it was read.
const READS_MAX: usize = 5;

/// One entry of an account.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Entry)]
pub struct EntryBody {
    /// Time of posting.
    #[schema(format = DateTime)]
    pub posted_at: String,
    /// `usage`, `usage_rated_later`, `void`, `top_up`, `adjustment`, `refund`, `dispute`, `payout`,
    /// `payment`, `reclassification` or `carry_settled` (a customer's carried fraction of a cent,
    /// settled when its tenant was closed or its agreement ended).
    #[schema(value_type = words::EntryKind, example = "usage")]
    pub kind: &'static str,
    /// Positive: credited to the account.
    #[schema(example = -400)]
    pub cents: i64,
    /// The event's or the caller's own id.
    #[schema(example = "0192f1")]
    pub id: String,
    #[schema(example = "pbx-1")]
    pub source: String,
    /// Customer whose usage it was.
    #[schema(example = "acme-42")]
    pub customer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(example = "call")]
    pub meter: String,
    /// For calls: seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "600", format = "decimal")]
    pub quantity: Option<String>,
    /// Start of the usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-20T09:00:00Z", format = DateTime)]
    pub at: Option<String>,
    /// Destination of the usage, if it is still known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4930123456")]
    pub destination: Option<String>,
    /// For a void: the event that was voided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voids: Option<VoidedEvent>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// The event that a void took back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct VoidedEvent {
    #[schema(example = "pbx-1")]
    pub source: String,
    #[schema(example = "0192f1")]
    pub id: String,
}

/// Events that records of voids are about.
#[derive(Debug, Default)]
pub(crate) struct Voided(HashMap<Seq, VoidedEvent>);

impl Voided {
    /// Of these records, read a few hundred at a time.
    pub(crate) async fn by(sources: &Sources, records: &[JournalEntry]) -> Result<Self, Error> {
        let of_voids = records.iter().filter(|record| record.kind == Kind::Void);
        let seqs: Vec<Seq> = of_voids
            .filter_map(|record| record.body.refers_to)
            .collect();
        let mut found = HashMap::with_capacity(seqs.len());
        for some in seqs.chunks(VOIDED_AT_ONCE) {
            let query = EntryQuery {
                of: Of::Seqs(some.to_vec()),
                after: None,
                newest_first: false,
                limit: some.len(),
            };
            for record in sources.journal.read(&query).await? {
                found.insert(
                    record.seq,
                    VoidedEvent {
                        source: record.identity.source.to_string(),
                        id: record.identity.id,
                    },
                );
            }
        }
        Ok(Self(found))
    }
}

/// opening + Σ entries = closing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Statement)]
pub struct StatementBody {
    #[schema(example = "acme-42")]
    pub tenant: String,
    #[schema(value_type = words::AccountKind, example = "balance")]
    pub account: &'static str,
    #[schema(example = "EUR")]
    pub currency: &'static str,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: String,
    #[schema(example = 5000)]
    pub opening_cents: i64,
    #[schema(example = 4600)]
    pub closing_cents: i64,
    /// Oldest first.
    pub entries: Vec<EntryBody>,
}

/// What a record moved on one account; `None`: the record is no posting (a hold, a kept event).
fn net(
    sources: &Sources,
    record: &JournalEntry,
    account: AccountKey,
) -> Result<Option<Cents>, Error> {
    if kind_name(record.kind).is_none() {
        return Ok(None);
    }
    let effects = journal::effects(record.identity.root, Some(sources.platform), &record.body)?;
    let sum = effects
        .iter()
        .filter(|effect| effect.account == account)
        .try_fold(Cents::ZERO, |sum, effect| sum.checked_add(effect.cents))?;
    Ok(Some(sum))
}

fn kind_name(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Rated => Some("usage"),
        Kind::RatedLater => Some("usage_rated_later"),
        Kind::Void => Some("void"),
        Kind::Confirmed => Some("confirmed"),
        Kind::TopUp => Some("top_up"),
        Kind::Adjustment => Some("adjustment"),
        Kind::Refund => Some("refund"),
        Kind::Dispute => Some("dispute"),
        Kind::Payout => Some("payout"),
        Kind::Payment => Some("payment"),
        Kind::Reclassification => Some("reclassification"),
        Kind::CarrySettled => Some("carry_settled"),
        Kind::Unrated
        | Kind::HoldPlaced
        | Kind::HoldExtended
        | Kind::HoldReleased
        | Kind::HoldExpired => None,
    }
}

/// The entry of a record on an account, if it has one.
pub(crate) async fn of_record(
    sources: &Sources,
    record: &JournalEntry,
    account: AccountKey,
    voided: &Voided,
) -> Result<Option<EntryBody>, Error> {
    let (Some(kind), Some(cents)) = (kind_name(record.kind), net(sources, record, account)?) else {
        return Ok(None);
    };
    let is_usage = !record.body.meter.is_empty();
    let destination = record
        .personal
        .as_ref()
        .and_then(|personal| personal.destination.as_ref());
    Ok(Some(EntryBody {
        posted_at: record.received_at.to_string(),
        kind,
        cents: cents.0,
        id: record.identity.id.clone(),
        source: record.identity.source.to_string(),
        customer: customer_of(sources, record).await?,
        meter: record.body.meter.to_string(),
        quantity: is_usage.then(|| record.body.quantity.to_string()),
        at: is_usage.then(|| record.at.to_string()),
        destination: destination.map(ToString::to_string),
        voids: record
            .body
            .refers_to
            .filter(|_| record.kind == Kind::Void)
            .and_then(|seq| voided.0.get(&seq).cloned()),
        reason: record.body.reason.clone(),
    }))
}

/// Records of one list that came in within a period, newest first, at most `limit`.
///
/// # Errors
/// What the journal says.
pub async fn within(
    sources: &Sources,
    of: Of,
    period: Period,
    after: Option<Seq>,
    limit: usize,
) -> Result<Vec<JournalEntry>, Error> {
    let (from, until) = (
        period.from.unwrap_or(Instant::MIN),
        period.until.unwrap_or(Instant::MAX),
    );
    let mut query = EntryQuery {
        of,
        after,
        newest_first: true,
        limit,
    };
    let mut found = sources.journal.read(&query).await?;
    if let Some(later) = found
        .first()
        .filter(|record| record.received_at >= until)
        .map(|record| record.seq)
    {
        query.after = Some(first_since(sources, &query.of, until, later).await?);
        found = sources.journal.read(&query).await?;
    }
    found.truncate(found.partition_point(|record| record.received_at >= from));
    Ok(found)
}

/// A page of an account's entries, newest first.
///
/// # Errors
/// What the journal says.
pub async fn page(
    sources: &Sources,
    account: AccountKey,
    period: Period,
    after: Option<Seq>,
    limit: usize,
) -> Result<List<EntryBody>, Error> {
    let records = within(sources, Of::Account(account), period, after, limit + 1).await?;
    let has_more = records.len() > limit;
    let shown = &records[..records.len().min(limit)];
    let mut data = Vec::with_capacity(shown.len());
    let voided = Voided::by(sources, shown).await?;
    for record in shown {
        data.extend(of_record(sources, record, account, &voided).await?);
    }
    let last = shown.last().map(|record| record.seq.0);
    Ok(List::new(data, has_more, last))
}

/// The first record of a list that came in at `since` or later, as `later` did: they lie in the
/// order in which they came in, so each look halves what is between.
async fn first_since(sources: &Sources, of: &Of, since: Instant, later: Seq) -> Result<Seq, Error> {
    let read = async |after, newest_first| {
        let query = EntryQuery {
            of: of.clone(),
            after,
            newest_first,
            limit: 1,
        };
        Ok::<_, Error>(sources.journal.read(&query).await?.into_iter().next())
    };
    // What lies up to `before` came in earlier.
    let mut before = read(None, false)
        .await?
        .map_or(0, |oldest| oldest.seq.0 - 1);
    let mut first = later.0;
    while first - before > 1 {
        let middle = before + (first - before) / 2;
        match read(Some(Seq(middle + 1)), true).await? {
            Some(record) if record.received_at >= since => first = record.seq.0,
            _ => before = middle,
        }
    }
    Ok(Seq(first))
}

/// Records of an account posted at `from` or later, newest first. Beyond one page of them it takes
/// a turn: `next` gives one, `turn` keeps it for as long as what is read is held.
///
/// # Errors
/// [`Error::PeriodTooLong`] beyond [`STATEMENT_ENTRIES_MAX`]; what `next` says.
pub(crate) async fn since<T, E: From<Error>, F: Future<Output = Result<T, E>>>(
    sources: &Sources,
    account: AccountKey,
    from: Instant,
    turn: &mut Option<T>,
    next: impl Fn() -> F,
) -> Result<Vec<JournalEntry>, E> {
    let mut found: Vec<JournalEntry> = Vec::new();
    loop {
        let after: Option<Seq> = found.last().map(|record| record.seq);
        let page = sources
            .journal
            .read(&EntryQuery {
                of: Of::Account(account),
                after,
                newest_first: true,
                limit: READ_AT_ONCE,
            })
            .await
            .map_err(Error::from)?;
        let whole = page.len() == READ_AT_ONCE;
        let before = found.len();
        found.extend(
            page.into_iter()
                .take_while(|record| record.received_at >= from),
        );
        if !whole || found.len() < before + READ_AT_ONCE {
            return Ok(found);
        }
        if turn.is_none() {
            *turn = Some(next().await?);
        }
        if found.len() > STATEMENT_ENTRIES_MAX {
            return Err(Error::PeriodTooLong {
                max: STATEMENT_ENTRIES_MAX,
            }
            .into());
        }
    }
}

/// The statement of an account, and the turn that it took. Reads until the account stood still for
/// as long as the reading took.
///
/// # Errors
/// As [`since`]; [`Error::Restless`].
pub async fn statement<T, E: From<Error>, F: Future<Output = Result<T, E>>>(
    sources: &Sources,
    tenant: &Tenant,
    account: AccountKey,
    (from, until): (Instant, Instant),
    next: impl Fn() -> F,
) -> Result<(StatementBody, Option<T>), E> {
    let beginning = sources.journal.beginning(tenant.root).await;
    if let Some(beginning) = beginning.map_err(Error::from)?
        && from < beginning.from
    {
        return Err(Error::BeforeRecords(beginning.from).into());
    }
    let mut turn = None;
    for _ in 0..READS_MAX {
        let newest = newest_seq(sources, account).await?;
        let present = sources.engine.balance(account).await;
        let present = present.map_err(Error::from)?.posted;
        let records = since(sources, account, from, &mut turn, &next).await?;
        if newest_seq(sources, account).await? == newest {
            let period = (from, until);
            let body = of_records(sources, tenant, account, period, present, &records).await?;
            return Ok((body, turn));
        }
    }
    Err(Error::Restless.into())
}

async fn newest_seq(sources: &Sources, account: AccountKey) -> Result<Option<Seq>, Error> {
    let query = EntryQuery {
        of: Of::Account(account),
        after: None,
        newest_first: true,
        limit: 1,
    };
    Ok(sources
        .journal
        .read(&query)
        .await?
        .first()
        .map(|record| record.seq))
}

async fn of_records(
    sources: &Sources,
    tenant: &Tenant,
    account: AccountKey,
    (from, until): (Instant, Instant),
    present: Cents,
    newest_first: &[JournalEntry],
) -> Result<StatementBody, Error> {
    let (mut closing, mut opening) = (present, present);
    let mut entries = Vec::new();
    let voided = Voided::by(sources, newest_first).await?;
    for record in newest_first {
        let Some(entry) = of_record(sources, record, account, &voided).await? else {
            continue;
        };
        opening = opening.checked_sub(Cents(entry.cents))?;
        if record.received_at >= until {
            closing = closing.checked_sub(Cents(entry.cents))?;
        } else {
            entries.push(entry);
        }
    }
    entries.reverse();
    Ok(StatementBody {
        tenant: tenant.external_id.clone(),
        account: account.kind.name(),
        currency: account.currency.code(),
        from: from.to_string(),
        until: until.to_string(),
        opening_cents: opening.0,
        closing_cents: closing.0,
        entries,
    })
}
