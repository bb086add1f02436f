//! What moved a reseller's balance in one month: exact at the position up to which it was added up.

use super::commission_account::CommissionAccount;
use super::earnings::{Reached, STATEMENT_RECORDS_MAX};
use super::month::Month;
use super::{Error, Payouts, Result};
use crate::rows::Sums;
use journal::{EntryQuery, JournalEntry, Of, Seq};
use rating::{Cents, Instant};

/// opening + Σ sums = closing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthView {
    pub month: Month,
    pub from: Instant,
    pub until: Instant,
    pub opening: Cents,
    pub closing: Cents,
    /// Of this month alone: charges received − charges paid.
    pub commission: Cents,
    /// The same of every month up to this one.
    pub accrued: Cents,
    pub sums: Sums,
    /// Nothing is added any more.
    pub is_closed: bool,
    /// Its records: behind this position, …
    pub after: Seq,
    /// … up to this one.
    pub through: Seq,
}

impl Payouts {
    /// # Errors
    /// `Unfinished`; the journal or the records cannot be read.
    pub async fn month(
        &self,
        commission_account: CommissionAccount,
        month: Month,
        now: Instant,
    ) -> Result<MonthView> {
        if self
            .add_up(commission_account, now, STATEMENT_RECORDS_MAX)
            .await?
            == Reached::More
        {
            return Err(Error::Unfinished);
        }
        let (from, until) = (self.calendar.start(month), self.calendar.until(month));
        let is_over = super::earnings::is_over(month, now, &self.calendar);
        let empty = |closing, accrued, through| MonthView {
            month,
            from,
            until,
            opening: closing,
            closing,
            commission: Cents::ZERO,
            accrued,
            sums: Sums::new(),
            is_closed: is_over,
            after: through,
            through,
        };
        Ok(match self.up_to(commission_account, month).await? {
            None => empty(Cents::ZERO, Cents::ZERO, Seq(0)),
            Some(row) if row.month != month.0 => {
                empty(row.closing()?, row.accrued_through()?, row.through)
            }
            Some(row) => MonthView {
                month,
                from,
                until,
                opening: row.opening,
                closing: row.closing()?,
                commission: row.commission()?,
                accrued: row.accrued_through()?,
                is_closed: row.closed_at.is_some() || is_over,
                after: row.after,
                through: row.through,
                sums: row.sums,
            },
        })
    }

    /// Records of a month in order, behind `after`, at most `limit`, and whether there are more.
    /// Those that moved nothing (a hold) count as well.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn records_of(
        &self,
        commission_account: CommissionAccount,
        view: &MonthView,
        after: Option<Seq>,
        limit: usize,
    ) -> Result<(Vec<JournalEntry>, bool)> {
        let after = after.map_or(view.after, |after| after.max(view.after));
        if after >= view.through {
            return Ok((Vec::new(), false));
        }
        let query = EntryQuery {
            of: Of::Account(commission_account.account),
            after: Some(after),
            newest_first: false,
            limit: limit + 1,
        };
        let mut records = self.journal().read(&query).await?;
        records.retain(|record| record.seq <= view.through);
        let has_more = records.len() > limit;
        records.truncate(limit);
        Ok((records, has_more))
    }
}
