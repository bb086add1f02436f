//! A reseller's commission by customer, added up from the journal: what it received from its buyer
//! less what it paid to its seller, link by link, so that a record may have some of an event's
//! links and a later one the others. The platform's part of what the customers of a root used is
//! kept in the same way.

use super::commission_account::CommissionAccount;
use crate::rows::{CommissionPosition, CustomerGrown, CustomersGrown, add_steps};
use journal::{JournalEntry, Kind, Seq};
use ledger::Settlement;
use rating::{Cents, Overflow, TenantId};
use std::collections::BTreeMap;

/// What a record is to a reseller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Commission from the record's customer; signed.
    Commission(Cents),
    /// Bought for somebody that it collects from itself, or for itself: paid from its own money.
    Own(Cents),
}

/// `None`: the record charges the reseller nothing.
///
/// # Errors
/// A sum is too large.
pub fn share(
    record: &JournalEntry,
    commission_account: CommissionAccount,
) -> Result<Option<Share>, Overflow> {
    let (reseller, currency) = (
        commission_account.account.tenant,
        commission_account.account.currency,
    );
    if record.body.currency != Some(currency) {
        return Ok(None);
    }
    let links = || record.body.charges.iter().map(|charge| charge.link);
    let sold = links().find(|link| link.seller == reseller);
    let bought = links().find(|link| link.buyer_account(currency) == commission_account.account);
    let paid = bought.map_or(Cents::ZERO, |link| link.cents);
    Ok(match sold {
        None if bought.is_none() => None,
        None if record.tenant == reseller => Some(Share::Own(paid)),
        Some(link) if link.settlement != Settlement::Platform => Some(Share::Own(paid)),
        _ => Some(Share::Commission(
            sold.map_or(Cents::ZERO, |link| link.cents)
                .checked_sub(paid)?,
        )),
    })
}

/// What a reseller lost by a record while those below it gained: it passed that on, whatever it had
/// earned before. A void takes it back.
///
/// # Errors
/// A sum is too large.
pub fn passed(
    record: &JournalEntry,
    commission_account: CommissionAccount,
) -> Result<Cents, Overflow> {
    let Some(Share::Commission(cents)) = share(record, commission_account)? else {
        return Ok(Cents::ZERO);
    };
    let links = || record.body.charges.iter().map(|charge| charge.link);
    let sold = links()
        .find(|link| link.seller == commission_account.account.tenant)
        .map_or(Cents::ZERO, |link| link.cents);
    let used = links()
        .find(|link| link.buyer == record.tenant)
        .map_or(Cents::ZERO, |link| link.cents);
    let (lost, gained) = (cents.checked_neg()?, used.checked_sub(sold)?);
    match record.kind {
        Kind::Void => lost
            .checked_neg()?
            .min(gained.checked_neg()?)
            .max(Cents::ZERO)
            .checked_neg(),
        _ => Ok(lost.min(gained).max(Cents::ZERO)),
    }
}

/// What a reseller gained by a record, if it did. A void takes it back.
const fn gained(record: &JournalEntry, commission: Cents) -> Cents {
    match (record.kind, commission.0) {
        (Kind::Void, ..=0) | (Kind::Rated | Kind::RatedLater, 0..) => commission,
        _ => Cents::ZERO,
    }
}

#[derive(Default)]
struct Customers(BTreeMap<TenantId, CustomerGrown>);

impl Customers {
    fn add(&mut self, more: CustomerGrown) -> Result<(), Overflow> {
        let nothing = CustomerGrown {
            cents: Cents::ZERO,
            passed: Cents::ZERO,
            gained: Cents::ZERO,
            ..more
        };
        let sums = self.0.entry(more.customer).or_insert(nothing);
        sums.cents = sums.cents.checked_add(more.cents)?;
        sums.passed = add_steps(sums.passed, more.passed);
        sums.gained = add_steps(sums.gained, more.gained);
        Ok(())
    }
}

/// The position behind these records (in order), and what they came to.
///
/// # Errors
/// A sum is too large.
pub fn grow(
    commission_account: CommissionAccount,
    before: Option<CommissionPosition>,
    is_complete: bool,
    records: &[JournalEntry],
) -> Result<CustomersGrown, Overflow> {
    let (root, tenant, currency) = (
        commission_account.root,
        commission_account.account.tenant,
        commission_account.account.currency,
    );
    let beginning = CommissionPosition {
        root,
        tenant,
        currency,
        through: Seq(0),
        own: Cents::ZERO,
        is_complete: true,
    };
    let mut after = before.unwrap_or(beginning);
    after.is_complete &= is_complete;
    let mut customers = Customers::default();
    for record in records {
        match share(record, commission_account)? {
            Some(Share::Commission(cents)) => {
                let (passed, gained) = (passed(record, commission_account)?, gained(record, cents));
                customers.add(CustomerGrown {
                    customer: record.tenant,
                    cents,
                    passed,
                    gained,
                })?;
            }
            Some(Share::Own(cents)) => after.own = after.own.checked_add(cents)?,
            None => {}
        }
        after.through = record.seq;
    }
    Ok(CustomersGrown {
        before,
        after,
        customers: customers.0.into_values().collect(),
    })
}

/// The same of the platform, from the records of the top of a root: what it was paid for each
/// customer of the root. Of months of the journal that were dropped before, nothing is known.
///
/// # Errors
/// A sum is too large.
pub fn grow_platform(
    platform: TenantId,
    top: CommissionAccount,
    before: Option<CommissionPosition>,
    records: &[JournalEntry],
) -> Result<CustomersGrown, Overflow> {
    let (root, currency) = (top.root, top.account.currency);
    let beginning = CommissionPosition {
        root,
        tenant: platform,
        currency,
        through: Seq(0),
        own: Cents::ZERO,
        is_complete: true,
    };
    let mut after = before.unwrap_or(beginning);
    let mut customers = Customers::default();
    for record in records {
        after.through = record.seq;
        if record.body.currency != Some(currency) {
            continue;
        }
        for charge in record
            .body
            .charges
            .iter()
            .filter(|charge| charge.link.buyer_account(currency) == top.account)
        {
            let (customer, cents) = (record.tenant, charge.link.cents);
            customers.add(CustomerGrown {
                customer,
                cents,
                passed: Cents::ZERO,
                gained: Cents::ZERO,
            })?;
        }
    }
    Ok(CustomersGrown {
        before,
        after,
        customers: customers.0.into_values().collect(),
    })
}
