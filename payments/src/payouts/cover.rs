//! What is withheld of a reseller's commission now: the balances of everybody below it, and what it earned through each.

use super::earnings::{Purse, Reached};
use super::statements::STATEMENT_RECORDS_MAX;
use super::withheld::{Debtor, Earned, Withheld, withhold};
use super::{Error, Payouts, Result};
use ledger::AccountKey;
use rating::{Cents, Instant, Overflow, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use store::records::CustomerCommission;

/// Customers whose commission and balances are read at once.
const CUSTOMERS_AT_ONCE: usize = 1_000;

/// What a reseller withholds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cover {
    /// The largest first.
    pub withheld: Vec<Withheld>,
    pub cents: Cents,
    /// Of the charges paid that are in its commission: what it bought with its own money.
    pub own: Cents,
}

/// Those below a reseller that may be short.
#[derive(Debug, Default)]
struct Below {
    debtors: Vec<Debtor>,
    /// Customers among them.
    short: HashSet<TenantId>,
    /// Every reseller below, with its sellers from its own up to the one that is asked about.
    resellers: BTreeMap<TenantId, Vec<TenantId>>,
}

impl Payouts {
    /// What is withheld now. Everything of the reseller is added up.
    ///
    /// # Errors
    /// `Unfinished`: a reseller below is still being added up; the journal or the records cannot be read.
    pub(super) async fn cover(&self, purse: Purse, now: Instant) -> Result<Cover> {
        let reseller = purse.account.tenant;
        let mut below = Below::default();
        let mut earned = HashMap::from([(reseller, self.earned(purse, &mut below, true).await?)]);
        self.look_at_resellers(purse, &mut below).await?;
        let sellers: BTreeSet<TenantId> = below.debtors.iter().flat_map(|debtor| debtor.sellers.iter().copied()).collect();
        for &seller in sellers.iter().filter(|&&seller| seller != reseller) {
            let purse = Purse { root: purse.root, account: AccountKey { tenant: seller, ..purse.account } };
            if self.add_up(purse, now, STATEMENT_RECORDS_MAX).await? == Reached::More {
                return Err(Error::Unfinished);
            }
            earned.insert(seller, self.earned(purse, &mut below, false).await?);
        }
        let mut withheld = withhold(below.debtors, &earned)?.remove(&reseller).unwrap_or_default();
        withheld.sort_by_key(|one| (std::cmp::Reverse(one.cents), one.tenant));
        let cents = withheld.iter().try_fold(Cents::ZERO, |sum, one| sum.checked_add(one.cents))?;
        let position = self.records.commission_position(purse.root, reseller, purse.account.currency).await?;
        Ok(Cover { withheld, cents, own: position.map_or(Cents::ZERO, |position| position.own) })
    }

    /// What a seller earned through the resellers below it, and through customers that are short. Who is, is found out on the
    /// way at the top.
    async fn earned(&self, purse: Purse, below: &mut Below, is_top: bool) -> Result<Earned> {
        let AccountKey { tenant, currency, .. } = purse.account;
        let (mut earned, mut after) = (Earned::default(), None);
        loop {
            let page = self.records.commission_customers(purse.root, tenant, currency, after, CUSTOMERS_AT_ONCE).await?;
            if is_top {
                self.look_at(purse, &page.data, below).await?;
            }
            for one in &page.data {
                add(&mut earned, tenant, one, below)?;
            }
            after = page.data.last().map(|one| one.customer);
            if !page.has_more {
                break;
            }
        }
        let position = self.records.commission_position(purse.root, tenant, currency).await?;
        if position.is_some_and(|position| !position.is_complete) {
            let latest = self.latest(purse).await?;
            earned.unknown = Some(latest.map_or(Ok(Cents::ZERO), |row| row.accrued_through())?);
        }
        Ok(earned)
    }

    /// Which of these customers are below zero, and which resellers are between.
    async fn look_at(&self, purse: Purse, customers: &[CustomerCommission], below: &mut Below) -> Result<()> {
        let accounts: Vec<AccountKey> = customers.iter().map(|one| AccountKey { tenant: one.customer, ..purse.account }).collect();
        let balances = self.engine.balances(&accounts).await?;
        for (one, (_, balance)) in customers.iter().zip(balances) {
            let sellers = sellers(purse.account.tenant, &one.path);
            for (index, &reseller) in sellers.iter().enumerate().take(sellers.len().saturating_sub(1)) {
                below.resellers.entry(reseller).or_insert_with(|| sellers[index + 1..].to_vec());
            }
            if balance.posted < Cents::ZERO {
                below.short.insert(one.customer);
                below.debtors.push(Debtor { tenant: one.customer, sellers, balance: balance.posted, paid_out: Cents::ZERO });
            }
        }
        Ok(())
    }

    /// The resellers that are below zero, or that have a debtor below them.
    async fn look_at_resellers(&self, purse: Purse, below: &mut Below) -> Result<()> {
        let accounts: Vec<AccountKey> = below.resellers.keys().map(|&tenant| AccountKey { tenant, ..purse.account }).collect();
        let mut short = Vec::new();
        for some in accounts.chunks(CUSTOMERS_AT_ONCE) {
            short.extend(self.engine.balances(some).await?);
        }
        let mut above: BTreeSet<TenantId> = below.debtors.iter().flat_map(|debtor| debtor.sellers.iter().copied()).collect();
        let in_debt = short
            .iter()
            .filter(|(_, balance)| balance.posted < Cents::ZERO)
            .filter_map(|(account, _)| below.resellers.get(&account.tenant));
        above.extend(in_debt.flatten().copied());
        for (account, balance) in short {
            let Some(sellers) = below.resellers.get(&account.tenant) else { continue };
            if balance.posted < Cents::ZERO || above.contains(&account.tenant) {
                let paid_out = self.records.payouts_counting(purse.root, account.tenant, account.currency).await?.debited;
                let (tenant, sellers) = (account.tenant, sellers.clone());
                below.debtors.push(Debtor { tenant, sellers, balance: balance.posted, paid_out });
            }
        }
        Ok(())
    }
}

/// From a tenant's own seller up to `top`.
fn sellers(top: TenantId, path: &[TenantId]) -> Vec<TenantId> {
    let from = path.iter().position(|&tenant| tenant == top).unwrap_or(path.len());
    path[from..].iter().rev().skip(1).copied().collect()
}

fn add(earned: &mut Earned, seller: TenantId, one: &CustomerCommission, below: &Below) -> Result<(), Overflow> {
    let path = one.path.iter().skip_while(|&&tenant| tenant != seller).skip(1);
    for &through in path.filter(|&&tenant| tenant != one.customer || below.short.contains(&tenant)) {
        let sum = earned.through.entry(through).or_default();
        *sum = sum.checked_add(one.cents)?;
    }
    Ok(())
}
