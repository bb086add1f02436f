//! A reseller's balance by month, added up from the journal: each record once, in the journal's
//! order.
//!
//! A record belongs to the month of its posting, or, if that is closed, to the first month that is
//! not: months are closed by position, so a record that was posted at midnight's last instant and
//! written behind one of the next day counts into the next month. So opening + Σ = closing holds at
//! every position, and a closed month never changes.

use super::calendar::Calendar;
use super::commission_account::CommissionAccount;
use super::customers::{grow, grow_platform};
use super::month::Month;
use super::{Error, Payouts, Result};
use crate::rows::{CommissionMonth, CommissionPosition, MoveKind, PayoutRows, Sum};
use journal::{Effect, EffectKind, EntryQuery, JournalEntry, Kind, Of, Seq};
use ledger::{AccountKey, Refusal};
use rating::{Cents, Instant, Overflow};

/// Records added up for one request; with more to do it is [`Error::Unfinished`], and the next
/// request goes on.
pub const STATEMENT_RECORDS_MAX: usize = 100_000;
/// Records read and stored as one step.
const STEP_RECORDS: usize = 5_000;
/// After the end of a month: what was posted in it is written by then.
const SETTLED_SECS: i64 = 600;
/// How often an opening balance is worked out again because the account moved meanwhile.
const LOOKS_MAX: usize = 5;

/// What a record moved on a balance, by kind; signed.
///
/// # Errors
/// Its charges are not a chain, or an amount has no negative.
pub fn moves(
    record: &JournalEntry,
    account: AccountKey,
) -> Result<Vec<(MoveKind, Cents)>, Refusal> {
    let kind_of = |effect: &Effect| match effect.kind {
        EffectKind::ChargePaid => Some(MoveKind::ChargesPaid),
        EffectKind::ChargeReceived => Some(MoveKind::ChargesReceived),
        EffectKind::Posted => kind_of(record.kind),
    };
    let effects = journal::effects(record.identity.root, None, &record.body)?;
    Ok(effects
        .iter()
        .filter(|effect| effect.account == account)
        .filter_map(|effect| Some((kind_of(effect)?, effect.cents)))
        .collect())
}

/// What postings of their own are; `None`: the record has none.
fn kind_of(kind: Kind) -> Option<MoveKind> {
    match kind {
        Kind::TopUp => Some(MoveKind::TopUp),
        Kind::Adjustment | Kind::Reclassification => Some(MoveKind::Adjustment),
        Kind::Refund => Some(MoveKind::Refund),
        Kind::Dispute => Some(MoveKind::Dispute),
        Kind::Payout => Some(MoveKind::Payout),
        Kind::Payment => Some(MoveKind::Payment),
        Kind::Rated
        | Kind::RatedLater
        | Kind::Void
        | Kind::CarrySettled
        | Kind::Unrated
        | Kind::Confirmed => None,
        Kind::HoldPlaced | Kind::HoldExtended | Kind::HoldReleased | Kind::HoldExpired => None,
    }
}

/// The latest row, grown by these records (in order), and the months that follow it; empty if
/// nothing moved and nothing is to be closed.
///
/// # Errors
/// A sum is too large, or a record's charges are not a chain.
pub fn add_up(
    commission_account: CommissionAccount,
    latest: Option<&CommissionMonth>,
    opening: Cents,
    records: &[JournalEntry],
    calendar: &Calendar,
) -> Result<Vec<CommissionMonth>, Refusal> {
    let mut rows: Vec<CommissionMonth> = latest
        .filter(|row| row.closed_at.is_none())
        .cloned()
        .into_iter()
        .collect();
    for record in records {
        let of = calendar.month_of(record.received_at);
        let last = rows.last().or(latest);
        let month = match last {
            Some(row) if row.closed_at.is_some() => of.max(Month(row.month).next()),
            Some(row) => of.max(Month(row.month)),
            None => of,
        };
        if last.is_none_or(|row| row.month != month.0) {
            let next = following(commission_account, last, opening, month)?;
            if let Some(row) = rows.last_mut() {
                row.closed_at = Some(record.received_at);
            }
            rows.push(next);
        }
        let Some(row) = rows.last_mut() else { continue };
        for (kind, cents) in moves(record, commission_account.account)? {
            let sum: &mut Sum = row.sums.entry(kind).or_default();
            sum.cents = sum.cents.checked_add(cents)?;
            sum.entries += 1;
        }
        row.through = record.seq;
    }
    Ok(rows)
}

/// The row of a month behind `last`.
fn following(
    commission_account: CommissionAccount,
    last: Option<&CommissionMonth>,
    opening: Cents,
    month: Month,
) -> Result<CommissionMonth, Overflow> {
    let (after, opening, accrued) = match last {
        Some(row) => (row.through, row.closing()?, row.accrued_through()?),
        None => (Seq(0), opening, Cents::ZERO),
    };
    let AccountKey {
        tenant, currency, ..
    } = commission_account.account;
    let sums = crate::rows::Sums::new();
    Ok(CommissionMonth {
        root: commission_account.root,
        tenant,
        currency,
        month: month.0,
        after,
        through: after,
        opening,
        accrued,
        sums,
        closed_at: None,
    })
}

/// How far a purse is added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Everything that is in the journal.
    Now,
    /// There is more: the same call goes on.
    More,
}

impl Payouts {
    /// Adds up what came in since the last time, at most about `records_max` records, and closes
    /// what is over.
    ///
    /// # Errors
    /// The journal or the records cannot be read or written; a sum is too large.
    pub async fn add_up(
        &self,
        commission_account: CommissionAccount,
        now: Instant,
        records_max: usize,
    ) -> Result<Reached> {
        let mut read = 0;
        while read < records_max {
            let latest = self.latest(commission_account).await?;
            let position = self.position(commission_account).await?;
            let after = latest.as_ref().map(|row| row.through);
            if let Some(through) =
                after.filter(|&through| position.is_none_or(|position| position.through < through))
            {
                read += self.catch_up(commission_account, position, through).await?;
                continue;
            }
            let query = EntryQuery {
                of: Of::Account(commission_account.account),
                after,
                newest_first: false,
                limit: STEP_RECORDS,
            };
            let records = self.journal().read(&query).await?;
            let opening = match (&latest, records.first()) {
                (None, Some(first)) => self.opening(commission_account, first).await?,
                _ => Cents::ZERO,
            };
            let mut rows = add_up(
                commission_account,
                latest.as_ref(),
                opening,
                &records,
                &self.calendar,
            )?;
            let is_end = records.len() < STEP_RECORDS;
            if is_end {
                close_what_is_over(&mut rows, now, &self.calendar);
            }
            read += records.len().max(1);
            let customers = (!records.is_empty())
                .then(|| grow(commission_account, position, true, &records))
                .transpose()?;
            let is_same = customers.is_none() && rows.last() == latest.as_ref();
            let stored = is_same
                || PayoutRows::of(&self.catalog)
                    .add_commission(latest.as_ref(), &rows, customers.as_ref())
                    .await?;
            // Another process was faster: what it stored is where to go on.
            if stored && is_end {
                return Ok(Reached::Now);
            }
        }
        Ok(Reached::More)
    }

    /// Adds up by customer what the months have already: all of an installation that had none
    /// before. How many records.
    async fn catch_up(
        &self,
        commission_account: CommissionAccount,
        position: Option<CommissionPosition>,
        through: Seq,
    ) -> Result<usize> {
        let after = position.map(|position| position.through);
        let query = EntryQuery {
            of: Of::Account(commission_account.account),
            after,
            newest_first: false,
            limit: STEP_RECORDS,
        };
        let mut records = self.journal().read(&query).await?;
        let read = records.len().max(1);
        let is_end =
            records.len() < STEP_RECORDS || records.last().is_none_or(|last| last.seq >= through);
        records.retain(|record| record.seq <= through);
        let mut grown = grow(
            commission_account,
            position,
            self.has_all(commission_account).await?,
            &records,
        )?;
        if is_end {
            grown.after.through = through;
        }
        PayoutRows::of(&self.catalog)
            .add_commission(None, &[], Some(&grown))
            .await?;
        Ok(read)
    }

    /// Adds up what the platform was paid for each customer of a root, by the top of it.
    ///
    /// # Errors
    /// `Unfinished`; the journal or the records cannot be read or written.
    pub(super) async fn add_up_platform(&self, top: CommissionAccount) -> Result<()> {
        let mut read = 0;
        while read < STATEMENT_RECORDS_MAX {
            let position = PayoutRows::of(&self.catalog)
                .commission_position(top.root, self.platform, top.account.currency)
                .await?;
            let after = position.map(|position| position.through);
            let query = EntryQuery {
                of: Of::Account(top.account),
                after,
                newest_first: false,
                limit: STEP_RECORDS,
            };
            let records = self.journal().read(&query).await?;
            let is_end = records.len() < STEP_RECORDS;
            read += records.len().max(1);
            let grown = grow_platform(self.platform, top, position, &records)?;
            // Another process was faster: what it stored is where to go on.
            let stored = records.is_empty()
                || PayoutRows::of(&self.catalog)
                    .add_commission(None, &[], Some(&grown))
                    .await?;
            if stored && is_end {
                return Ok(());
            }
        }
        Err(Error::Unfinished)
    }

    /// Whether no record of the reseller is gone that the months know.
    async fn has_all(&self, commission_account: CommissionAccount) -> Result<bool> {
        let Some(beginning) = self.journal().beginning(commission_account.root).await? else {
            return Ok(true);
        };
        let tenant = self
            .catalog
            .tenant(commission_account.account.tenant)
            .await?;
        Ok(tenant.is_some_and(|tenant| tenant.created_at >= beginning.from))
    }

    async fn position(
        &self,
        commission_account: CommissionAccount,
    ) -> Result<Option<CommissionPosition>> {
        let AccountKey {
            tenant, currency, ..
        } = commission_account.account;
        Ok(PayoutRows::of(&self.catalog)
            .commission_position(commission_account.root, tenant, currency)
            .await?)
    }

    /// How far it was added up.
    pub(super) async fn latest(
        &self,
        commission_account: CommissionAccount,
    ) -> Result<Option<CommissionMonth>> {
        self.up_to(commission_account, Month(i64::MAX)).await
    }

    /// The latest month with records up to `month`.
    pub async fn up_to(
        &self,
        commission_account: CommissionAccount,
        month: Month,
    ) -> Result<Option<CommissionMonth>> {
        let AccountKey {
            tenant, currency, ..
        } = commission_account.account;
        Ok(PayoutRows::of(&self.catalog)
            .commission_month(commission_account.root, tenant, currency, month.0)
            .await?)
    }

    /// What the balance was before the first record that is there: not 0 once months of the journal
    /// are gone.
    async fn opening(
        &self,
        commission_account: CommissionAccount,
        first: &JournalEntry,
    ) -> Result<Cents> {
        if self
            .journal()
            .beginning(commission_account.root)
            .await?
            .is_none()
        {
            return Ok(Cents::ZERO);
        }
        for _ in 0..LOOKS_MAX {
            let present = self
                .engine
                .balance(commission_account.account)
                .await?
                .posted;
            let (mut moved, mut after) = (Cents::ZERO, Seq(first.seq.0 - 1));
            loop {
                let query = EntryQuery {
                    of: Of::Account(commission_account.account),
                    after: Some(after),
                    newest_first: false,
                    limit: STEP_RECORDS,
                };
                let records = self.journal().read(&query).await?;
                for (_, cents) in records
                    .iter()
                    .map(|record| moves(record, commission_account.account))
                    .collect::<Result<Vec<_>, _>>()?
                    .concat()
                {
                    moved = moved.checked_add(cents)?;
                }
                after = records.last().map_or(after, |record| record.seq);
                if records.len() < STEP_RECORDS {
                    break;
                }
            }
            if self
                .engine
                .balance(commission_account.account)
                .await?
                .posted
                == present
            {
                return Ok(present.checked_sub(moved)?);
            }
        }
        Err(Error::Busy)
    }
}

fn close_what_is_over(rows: &mut [CommissionMonth], now: Instant, calendar: &Calendar) {
    if let Some(row) = rows.last_mut()
        && row.closed_at.is_none()
        && is_over(Month(row.month), now, calendar)
    {
        row.closed_at = Some(now);
    }
}

/// Whether everything that was posted in a month is written by now.
pub(super) fn is_over(month: Month, now: Instant, calendar: &Calendar) -> bool {
    now >= calendar.until(month).plus_secs(SETTLED_SECS)
}
