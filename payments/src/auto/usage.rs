//! Automatic top-ups are for usage: how much of a balance's fall came from anything else.
//!
//! The row keeps how far the journal was read and what other debits (refunds, disputes,
//! adjustments, payouts) took until then, less what came in since by other ways than an automatic
//! top-up. It is read on only when a balance is at its threshold, by whichever process looks; so a
//! restart forgets nothing.

use super::{TRIES_MAX, overflow, rules};
use crate::rows::{AutoTopUp, Origin, PaymentRows};
use crate::service::{PaymentService, unread};
use crate::settlement::SOURCE;
use journal::{EntryQuery, JournalEntry, Kind, Namespace, Of, Seq};
use ledger::AccountKey;
use prepare::failures::journal_problem;
use problem::Problem;
use rating::{Cents, Currency, TenantId};

/// Records of one read, and of one look; a balance with more of them is looked at again.
const READ_RECORDS: usize = 1_000;
const LOOK_RECORDS_MAX: usize = 200_000;

/// Whether a record moves a balance by something else than usage.
fn is_other(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::TopUp
            | Kind::Adjustment
            | Kind::Refund
            | Kind::Dispute
            | Kind::Payment
            | Kind::Payout
            | Kind::Reclassification
    )
}

impl PaymentService {
    /// Where the journal stands of this balance: counting begins behind it.
    pub(super) async fn position(&self, account: AccountKey) -> Result<Seq, Problem> {
        let query = EntryQuery {
            of: Of::Account(account),
            after: None,
            newest_first: true,
            limit: 1,
        };
        let newest = self
            .engine
            .journal()
            .read(&query)
            .await
            .map_err(journal_problem)?;
        Ok(newest.first().map_or(Seq(0), |record| record.seq))
    }

    /// The row with everything counted, and the balance at that moment; a balance above the
    /// threshold needs no counting. `None`: there is more to count, the next look goes on.
    pub(super) async fn counted(
        &self,
        auto: &AutoTopUp,
    ) -> Result<Option<(AutoTopUp, Cents)>, Problem> {
        let account = AccountKey::balance(auto.tenant, auto.currency);
        let mut counted = auto.clone();
        for _ in 0..TRIES_MAX {
            // The balance first: whatever moves it afterwards is seen, and then it is read again.
            let balance = self.engine.balance(account).await?.posted;
            if balance > auto.threshold {
                return Ok(Some((counted, balance)));
            }
            let (has_moved, is_end);
            (counted, has_moved, is_end) = self.count_on(counted, account).await?;
            if !is_end {
                self.keep_count(auto, &counted).await?;
                return Ok(None);
            }
            if !has_moved {
                return Ok(Some((counted, balance)));
            }
        }
        self.keep_count(auto, &counted).await?;
        Ok(None)
    }

    /// Reads on; with whether something else than usage was among it, and whether that was all.
    async fn count_on(
        &self,
        mut auto: AutoTopUp,
        account: AccountKey,
    ) -> Result<(AutoTopUp, bool, bool), Problem> {
        let mut seen = match auto.seen {
            Some(seen) => seen,
            None => self.position(account).await?,
        };
        let (mut has_moved, mut read) = (false, 0);
        while read < LOOK_RECORDS_MAX {
            let query = EntryQuery {
                of: Of::Account(account),
                after: Some(seen),
                newest_first: false,
                limit: READ_RECORDS,
            };
            let records = self
                .engine
                .journal()
                .read(&query)
                .await
                .map_err(journal_problem)?;
            for record in records.iter().filter(|record| is_other(record.kind)) {
                auto = rules::moved(&auto, self.other_cents(record, account).await?)
                    .map_err(overflow)?;
                has_moved = true;
            }
            seen = records.last().map_or(seen, |record| record.seq);
            auto.seen = Some(seen);
            read += records.len();
            if records.len() < READ_RECORDS {
                return Ok((auto, has_moved, true));
            }
        }
        Ok((auto, has_moved, false))
    }

    /// What a record moved the balance by. Of an automatic top-up only what was taken back again:
    /// it is for usage, and makes up for nothing else.
    async fn other_cents(
        &self,
        record: &JournalEntry,
        account: AccountKey,
    ) -> Result<Cents, Problem> {
        let mut cents = Cents::ZERO;
        for (_, net) in ledger::nets(&record.body.postings)
            .map_err(overflow)?
            .into_iter()
            .filter(|(of, _)| *of == account)
        {
            cents = cents.checked_add(net).map_err(overflow)?;
        }
        let is_step = record.identity.namespace == Namespace::Payment
            && record.identity.source.as_str() == SOURCE;
        if record.kind != Kind::TopUp || !is_step {
            return Ok(cents);
        }
        let Some((payment, _)) = record.identity.id.rsplit_once(':') else {
            return Ok(cents);
        };
        let Some(payment) = PaymentRows::of(&self.catalog)
            .payment(payment)
            .await
            .map_err(unread)?
        else {
            return Ok(cents);
        };
        match PaymentRows::of(&self.catalog)
            .top_up(payment.top_up)
            .await
            .map_err(unread)?
        {
            Some(top_up) if top_up.origin == Origin::Auto => Ok(cents
                .checked_sub(top_up.cents)
                .map_err(overflow)?
                .min(Cents::ZERO)),
            _ => Ok(cents),
        }
    }

    /// How far it was counted, for the next look. Who changed the row meanwhile knows as much, or
    /// counts again.
    pub(super) async fn keep_count(
        &self,
        before: &AutoTopUp,
        counted: &AutoTopUp,
    ) -> Result<(), Problem> {
        if (before.seen, before.other) != (counted.seen, counted.other) {
            let after = AutoTopUp {
                seen: counted.seen,
                other: counted.other,
                updated_at: self.now(),
                ..before.clone()
            };
            PaymentRows::of(&self.catalog)
                .put_auto_top_up(before, &after)
                .await
                .map_err(unread)?;
        }
        Ok(())
    }

    /// Somebody who pays sets it up: what was taken until now is no longer its affair.
    pub(super) async fn count_anew(
        &self,
        tenant: TenantId,
        currency: Currency,
    ) -> Result<(Option<Seq>, Cents), Problem> {
        Ok((
            Some(self.position(AccountKey::balance(tenant, currency)).await?),
            Cents::ZERO,
        ))
    }
}
