//! Payouts by bank go out together: one SEPA file with everything that is due in euros. What is in
//! it is debited before; the file and what its payouts know of it are stored at once, and a payout
//! is in one file.

use super::bank::{
    Document, ENTRY_CHARS_MAX, FILE_PAYOUTS_MAX, Transfer, check_payable, id, sepa, target, write,
};
use super::month::Month;
use super::steps::FROZEN;
use super::{Error, Payouts, Result, refused};
use crate::rows::{BankAccount, Payout, PayoutFile, PayoutMethod, PayoutRows, PayoutState};
use catalog::Actor;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use problem::{Code, Problem};
use rating::ids::{PayoutFileId, PayoutId};
use rating::{Cents, Currency, Instant};

/// How far ahead a bank may be asked to carry a file out.
const AHEAD_DAYS_MAX: i32 = 360;
/// One SEPA credit transfer: 999,999,999.99 euros.
const TRANSFER_CENTS_MAX: Cents = Cents(99_999_999_999);

/// Why a due payout is not in the file; it stays due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub payout: PayoutId,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub file: PayoutFile,
    pub payouts: Vec<Payout>,
    pub skipped: Vec<Skipped>,
}

impl Payouts {
    /// A file of every due payout by bank, at most [`FILE_PAYOUTS_MAX`]. They are `paying` from now
    /// on, and their balances debited.
    ///
    /// # Errors
    /// `payee_not_ready` (the platform's own account), `invalid_field` (the date), `nothing_due`;
    /// the records cannot be written.
    pub async fn make_file(
        &self,
        actor: &Actor,
        execution_on: Option<Date>,
        now: Instant,
    ) -> Result<Made> {
        let today = self
            .calendar
            .zone_of(self.calendar.month_of(now))
            .to_datetime(now.timestamp())
            .date();
        let execution_on = execution_on.unwrap_or_else(|| target::next_open(today));
        let latest = today
            .checked_add(AHEAD_DAYS_MAX.days())
            .unwrap_or(Date::MAX);
        if execution_on < today || execution_on > latest {
            let expected = format!("expected a day between {today} and {latest}");
            return Err(Problem::field(Code::InvalidField, "execution_on", expected).into());
        }
        if !target::is_open(execution_on) {
            let next = target::next_open(execution_on);
            let expected = format!(
                "{execution_on} is a weekend or a TARGET holiday, on which banks do not settle: \
                    expected {next}, or another day"
            );
            return Err(Problem::field(Code::InvalidField, "execution_on", expected).into());
        }
        let own = PayoutRows::of(&self.catalog)
            .payout_settings(self.platform)
            .await?
            .and_then(|settings| settings.bank);
        let debtor = own.ok_or_else(|| {
            refused(
                Code::PayeeNotReady,
                "the platform has no bank account to pay from: set its payout settings",
            )
        })?;
        check_payable(&debtor).map_err(|bad| {
            refused(
                Code::PayeeNotReady,
                format!("the platform's account is not valid: {bad}"),
            )
        })?;
        // Only the file itself is made once: what was debited for one that never came goes out with
        // the next.
        let skipped = self.begin_due(&actor.unmarked(), now).await?;
        let id = PayoutFileId((self.new_id)());
        let taken: Vec<(Payout, Payout)> = self
            .debited(now)
            .await?
            .into_iter()
            .map(|payout| {
                (
                    payout.clone(),
                    Payout {
                        file: Some(id),
                        ..payout
                    },
                )
            })
            .collect();
        if taken.is_empty() {
            let why = skipped.first().map_or_else(String::new, |first| {
                format!("; {}: {}", first.payout, first.why)
            });
            return Err(refused(
                Code::NothingDue,
                format!("no payout by bank is due{why}"),
            ));
        }
        let file = self.file_of(id, debtor, execution_on, &taken, now)?;
        PayoutRows::of(&self.catalog)
            .create_payout_file(actor, &file, &taken)
            .await?;
        let payouts = taken
            .into_iter()
            .map(|(before, after)| Payout {
                version: before.version + 1,
                ..after
            })
            .collect();
        Ok(Made {
            file,
            payouts,
            skipped,
        })
    }

    /// Debits what is due, before a bank can see it; what cannot go out, and why.
    async fn begin_due(&self, actor: &Actor, now: Instant) -> Result<Vec<Skipped>> {
        let (due, bank) = (PayoutState::Due, PayoutMethod::Bank);
        let page = PayoutRows::of(&self.catalog)
            .payouts_in_state(due, bank, Some(Currency::EUR), None, FILE_PAYOUTS_MAX)
            .await?;
        let mut skipped = Vec::new();
        for payout in page.data {
            let bank = match self.payable_account(&payout, now).await? {
                Ok(bank) => Some(bank),
                Err(why) => {
                    skipped.push(Skipped {
                        payout: payout.id,
                        why,
                    });
                    continue;
                }
            };
            let (state, begun_at, next_at) = (PayoutState::Paying, Some(now), Some(now));
            let begun = Payout {
                state,
                bank,
                begun_at,
                next_at,
                attempts: 0,
                error: None,
                ..payout.clone()
            };
            match self.begin(actor, &payout, begun, now).await {
                Ok(begun) => drop(self.settle(&begun, now).await?),
                Err(Error::Busy) => skipped.push(Skipped {
                    payout: payout.id,
                    why: "it changed meanwhile".to_owned(),
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(skipped)
    }

    /// What is debited and in no file, also by a call before this one that did not come to its end;
    /// not what somebody pays by hand.
    async fn debited(&self, now: Instant) -> Result<Vec<Payout>> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (paying, bank) = (PayoutState::Paying, PayoutMethod::Bank);
            let page = PayoutRows::of(&self.catalog)
                .payouts_in_state(paying, bank, Some(Currency::EUR), after, FILE_PAYOUTS_MAX)
                .await?;
            after = page.data.last().map(|payout| payout.id);
            for payout in page.data.into_iter().filter(is_free) {
                let payout = if payout.next_at.is_some() {
                    self.settle(&payout, now).await?
                } else {
                    payout
                };
                let payout = if payout.begun_at == Some(now) {
                    payout
                } else {
                    self.looked_at_again(payout, now).await?
                };
                // Another call may have put it into a file of its own since it was read.
                if payout.next_at.is_none() && is_free(&payout) && found.len() < FILE_PAYOUTS_MAX {
                    found.push(payout);
                }
            }
            if !page.has_more || found.len() == FILE_PAYOUTS_MAX {
                return Ok(found);
            }
        }
    }

    /// Debited by a call that did not come to its end: no bank has seen it, and customers may owe
    /// it by now. Then the balance has it back.
    async fn looked_at_again(&self, payout: Payout, now: Instant) -> Result<Payout> {
        if !is_free(&payout) || self.is_covered(&payout, now).await? {
            return Ok(payout);
        }
        let reason = "it was in no file yet, and is withheld for lack of customer payments";
        self.mark_failed(&self.worker(now), &payout, reason, now)
            .await
    }

    /// Where a payout goes, or why it cannot.
    async fn payable_account(
        &self,
        payout: &Payout,
        now: Instant,
    ) -> Result<Result<BankAccount, String>> {
        let settings = PayoutRows::of(&self.catalog)
            .payout_settings(payout.tenant)
            .await?;
        let Some(bank) = settings.and_then(|settings| settings.bank) else {
            return Ok(Err("the reseller has no bank account".to_owned()));
        };
        if let Err(bad) = check_payable(&bank) {
            return Ok(Err(bad.to_string()));
        }
        if payout.cents > TRANSFER_CENTS_MAX {
            return Ok(Err(
                "it exceeds the limit of one SEPA credit transfer".to_owned()
            ));
        }
        if self.is_frozen(payout.tenant).await? {
            return Ok(Err(FROZEN.to_owned()));
        }
        match self.check_payable(payout, now).await {
            Ok(_) => Ok(Ok(bank)),
            Err(Error::Refused(problem)) if problem.code == Code::NotPayable => {
                Ok(Err(problem.detail))
            }
            Err(error) => Err(error),
        }
    }

    fn file_of(
        &self,
        file: PayoutFileId,
        debtor: BankAccount,
        execution_on: Date,
        taken: &[(Payout, Payout)],
        now: Instant,
    ) -> Result<PayoutFile> {
        let transfers: Vec<Transfer> = taken
            .iter()
            .filter_map(|(_, payout)| transfer_of(payout))
            .collect();
        let cents = transfers
            .iter()
            .try_fold(Cents::ZERO, |sum, one| sum.checked_add(one.cents))?;
        let (message_id, execution_on) = (id(file), execution_on.to_string());
        // Whole seconds: some banks take no more.
        let created_at = TimeZone::UTC
            .to_datetime(now.timestamp())
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string();
        let (message_id, on, transfers) = (
            message_id.as_str(),
            execution_on.as_str(),
            transfers.as_slice(),
        );
        let document = Document {
            message_id,
            created_at: &created_at,
            execution_on: on,
            debtor: &debtor,
            transfers,
            cents,
        };
        let xml = write(&document).map_err(|error| refused(Code::Internal, error.to_string()))?;
        let payouts = i64::try_from(transfers.len()).unwrap_or(i64::MAX);
        Ok(PayoutFile {
            id: file,
            root: self.platform,
            currency: Currency::EUR,
            execution_on,
            debtor,
            payouts,
            cents,
            created_at: now,
            xml,
        })
    }

    /// Everything in the file that is not paid yet is, under one reference of the bank.
    ///
    /// # Errors
    /// `not_found`; the records cannot be written: the same again goes on.
    pub async fn mark_file_paid(
        &self,
        actor: &Actor,
        file: PayoutFileId,
        reference: &str,
        now: Instant,
    ) -> Result<Vec<Payout>> {
        let mut payouts = PayoutRows::of(&self.catalog).payouts_of_file(file).await?;
        for payout in payouts
            .iter_mut()
            .filter(|payout| payout.state == PayoutState::Paying)
        {
            *payout = self.mark_paid(actor, payout, reference, now).await?;
        }
        Ok(payouts)
    }
}

/// On its way, in no file, and not paid by hand.
fn is_free(payout: &Payout) -> bool {
    payout.state == PayoutState::Paying && payout.file.is_none() && payout.reference.is_none()
}

fn transfer_of(payout: &Payout) -> Option<Transfer> {
    let entry = sepa(
        &format!("Commission {} {}", Month(payout.period), id(payout.id)),
        ENTRY_CHARS_MAX,
    );
    Some(Transfer {
        end_to_end_id: end_to_end_id(payout),
        cents: payout.cents,
        creditor: payout.bank.clone()?,
        entry,
    })
}

/// Another one for every attempt: the bank may have seen the one before.
fn end_to_end_id(payout: &Payout) -> String {
    match payout.idempotency_epoch {
        1 => id(payout.id),
        idempotency_epoch => id(format!("{}-{idempotency_epoch}", payout.id)),
    }
}
