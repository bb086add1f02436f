//! What has become of an event, as its sender is told.

use super::BatchExecutor;
use crate::batch_executor::refused;
use crate::charge;
use crate::requests::{Outcome, Posted};
use crate::standing::{RatedBy, Standing};
use journal::{Charge, JournalEntry, Kind};
use ledger::Refusal;
use rating::Cents;

impl BatchExecutor {
    /// What has become of an event, to whoever sends it again.
    pub fn told(&self, event: &JournalEntry, standing: &Standing) -> Outcome {
        let open = standing.open.as_deref().unwrap_or_default();
        if standing.charged.is_empty() {
            let reason = match open.first() {
                Some(open) => open.reason.as_str(),
                None if standing.voided => "voided",
                None => event.body.reason.as_str(),
            };
            return Outcome::Unrated {
                reason: reason.to_owned(),
                duplicate: true,
            };
        }
        if standing.voided && event.kind == Kind::Unrated && open.is_empty() {
            return Outcome::Unrated {
                reason: "voided".to_owned(),
                duplicate: true,
            };
        }
        match standing
            .rated
            .ok_or(Refusal::BrokenChain)
            .and_then(|by| self.posted(by, &standing.charged))
        {
            Ok(posted) if open.is_empty() => Outcome::Duplicate(posted),
            Ok(posted) => Outcome::PartlyRated {
                posted,
                open: open.to_vec(),
                duplicate: true,
            },
            Err(refusal) => fault(refusal),
        }
    }

    /// What stands of an event that the journal knows.
    pub fn standing(&self, event: &JournalEntry) -> Standing {
        let mut steps = vec![event];
        let mut next = self.amendment(event.seq).map(|amendment| amendment.by);
        while let Some(step) = next.and_then(|seq| self.referred(seq)) {
            steps.push(step);
            next = step.previous();
        }
        steps[1..].reverse();
        Standing::after(steps)
    }

    /// What a record moved, with the customer's balance as it is now.
    pub fn posted_of(&self, record: &JournalEntry) -> Result<Posted, Refusal> {
        let currency = record.body.currency.ok_or(Refusal::BrokenChain)?;
        let overruled = record.body.refers_to.filter(|_| record.kind == Kind::Rated);
        self.posted(
            RatedBy {
                seq: record.seq,
                customer: record.tenant,
                currency,
                overruled,
            },
            &record.body.charges,
        )
    }

    /// What these charges of an event moved.
    pub(super) fn posted(
        &self,
        RatedBy {
            seq,
            customer,
            currency,
            overruled,
        }: RatedBy,
        charges: &[Charge],
    ) -> Result<Posted, Refusal> {
        let account = charge::customer_account(customer, charges, currency);
        Ok(Posted {
            seq,
            customer,
            currency,
            debit: charge::debit(customer, charges),
            splits: charge::splits(customer, charges)?,
            balance: self
                .books
                .balance(account)
                .map_or(Cents::ZERO, |balance| balance.posted),
            over_hold: None,
            overruled,
        })
    }
}

/// The books could not answer for what they hold: reported, never hidden.
pub(crate) fn fault(refusal: Refusal) -> Outcome {
    Outcome::Rejected(refused(refusal))
}
