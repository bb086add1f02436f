//! What is withheld of a reseller's commission now: the balances of everybody below it, and what it
//! earned through each.

use super::commission_account::CommissionAccount;
use super::earnings::{Reached, STATEMENT_RECORDS_MAX};
use super::withheld::{Debtor, Earned, Loss, Shares, Through, Withheld, withhold};
use super::{Error, Payouts, Result};
use crate::rows::{CustomerCommission, PayoutRows, add_steps};
use journal::Namespace;
use ledger::AccountKey;
use metering::requests::SellerCover;
use rating::{Cents, Instant, Overflow, TenantId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Customers whose commission and balances are read at once.
const CUSTOMERS_AT_ONCE: usize = 1_000;

/// What a reseller withholds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cover {
    /// The largest first.
    pub withheld: Vec<Withheld>,
    pub cents: Cents,
    /// Of the charges paid that are in its commission: what it bought with its own money. Not below
    /// zero.
    pub own: Cents,
}

/// Those below a reseller that may be short.
#[derive(Debug, Default)]
struct Below {
    debtors: BTreeMap<TenantId, Debtor>,
    /// Customers that are short, or on which a seller above them lost.
    looked_at: HashSet<TenantId>,
    /// Every reseller below, with its sellers from its own up to the top.
    resellers: BTreeMap<TenantId, Vec<TenantId>>,
    /// By the seller that lost, the platform too.
    losses: HashMap<TenantId, Vec<Loss>>,
}

impl Payouts {
    /// What is withheld now. Everything of the reseller is added up.
    ///
    /// # Errors
    /// `Unfinished`: another reseller of the chain is still being added up; the journal or the
    /// records cannot be read.
    pub(super) async fn cover(
        &self,
        commission_account: CommissionAccount,
        now: Instant,
    ) -> Result<Cover> {
        let reseller = commission_account.account.tenant;
        let mut withheld = self
            .shares(
                commission_account.of(self.top(commission_account, now).await?),
                reseller,
                now,
            )
            .await?
            .remove(&reseller)
            .unwrap_or_default();
        withheld.sort_by_key(|one| (std::cmp::Reverse(one.cents), one.tenant));
        let cents = withheld
            .iter()
            .try_fold(Cents::ZERO, |sum, one| sum.checked_add(one.cents))?;
        let position = PayoutRows::of(&self.catalog)
            .commission_position(
                commission_account.root,
                reseller,
                commission_account.account.currency,
            )
            .await?;
        Ok(Cover {
            withheld,
            cents,
            own: position
                .map_or(Cents::ZERO, |position| position.own)
                .max(Cents::ZERO),
        })
    }

    /// What a seller has on its balance, and what of it is no money yet. `most`: all that it ever
    /// earned stands for what it withholds, which is found sooner.
    ///
    /// # Errors
    /// `Unfinished`: its records are still being added up; the journal or the records cannot be
    /// read.
    pub async fn seller_cover(
        &self,
        account: AccountKey,
        most: bool,
        now: Instant,
    ) -> Result<SellerCover> {
        let path = self
            .engine
            .directory()
            .path(account.tenant)
            .await?
            .unwrap_or_default();
        let commission_account = CommissionAccount {
            root: path.get(1).copied().unwrap_or(account.tenant),
            account,
        };
        // First: what is earned meanwhile is withheld, and does not count.
        let posted = self.engine.balance(account).await?.posted;
        self.add_up_whole(commission_account, now).await?;
        let withheld = match most {
            true => self.most_withheld(commission_account).await?,
            false => self.cover(commission_account, now).await?.cents,
        };
        Ok(SellerCover {
            account,
            posted,
            withheld,
        })
    }

    async fn most_withheld(&self, commission_account: CommissionAccount) -> Result<Cents> {
        let AccountKey {
            tenant, currency, ..
        } = commission_account.account;
        let earned = PayoutRows::of(&self.catalog)
            .commission_gained(commission_account.root, tenant, currency)
            .await?;
        let Some(position) = PayoutRows::of(&self.catalog)
            .commission_position(commission_account.root, tenant, currency)
            .await?
        else {
            return Ok(earned);
        };
        let given = position.own.min(Cents::ZERO).checked_neg()?;
        match position.is_complete {
            true => Ok(earned.checked_add(given)?),
            false => Ok(self
                .latest(commission_account)
                .await?
                .map_or(Ok(Cents::ZERO), |row| row.accrued_through())?
                .max(earned)
                .checked_add(given)?),
        }
    }

    /// From whom on everybody matters: the reseller itself, or, if anybody above it or the platform
    /// lost on its customers, the root, since a seller may be short by what it withholds for those
    /// above it.
    async fn top(&self, commission_account: CommissionAccount, now: Instant) -> Result<TenantId> {
        let AccountKey {
            tenant, currency, ..
        } = commission_account.account;
        let path = self
            .engine
            .directory()
            .path(tenant)
            .await?
            .unwrap_or_default();
        for &upper in path.iter().take_while(|&&one| one != tenant) {
            match upper == self.platform {
                true => {
                    self.add_up_platform(commission_account.of(commission_account.root))
                        .await?
                }
                false => self.add_up_whole(commission_account.of(upper), now).await?,
            }
            if PayoutRows::of(&self.catalog)
                .lost_on_customers_of(commission_account.root, upper, tenant, currency)
                .await?
            {
                self.add_up_whole(commission_account.of(commission_account.root), now)
                    .await?;
                return Ok(commission_account.root);
            }
        }
        Ok(tenant)
    }

    /// What everybody from the top down withholds, as far as it matters to this reseller.
    async fn shares(
        &self,
        top: CommissionAccount,
        reseller: TenantId,
        now: Instant,
    ) -> Result<Shares> {
        let (mut below, mut earned) = (Below::default(), HashMap::new());
        if top.account.tenant == top.root {
            self.look_at_platform(top, &mut below).await?;
        }
        earned.insert(
            top.account.tenant,
            self.earned(top, &mut below, true).await?,
        );
        self.look_at_corrections(top, &mut below, now).await?;
        let in_debt = self.look_at_resellers(top, &below).await?;
        let sellers = below
            .debtors
            .values()
            .flat_map(|debtor| debtor.sellers.iter().copied());
        let mut to_do: BTreeSet<(usize, TenantId)> = sellers
            .chain(in_debt)
            .filter_map(|seller| below.ranked(seller))
            .collect();
        to_do.extend(below.sellers_at_a_loss(self.platform));
        to_do.extend(below.sellers_at_a_loss(top.account.tenant));
        let path = self
            .engine
            .directory()
            .path(reseller)
            .await?
            .unwrap_or_default();
        to_do.extend(path.iter().filter_map(|&seller| below.ranked(seller)));
        // From the top down: what a seller lost is looked for in what those below it earned.
        while let Some((_, seller)) = to_do.pop_first() {
            self.add_up_whole(top.of(seller), now).await?;
            earned.insert(
                seller,
                self.earned(top.of(seller), &mut below, false).await?,
            );
            to_do.extend(
                below
                    .sellers_at_a_loss(seller)
                    .into_iter()
                    .filter(|(_, lower)| !earned.contains_key(lower)),
            );
        }
        // Those that bought something for themselves are asked as the resellers they are.
        below
            .debtors
            .retain(|debtor, _| !earned.contains_key(debtor));
        // Whose commission may be withheld may have bought something with it.
        let accounts: Vec<AccountKey> = earned
            .keys()
            .map(|&seller| top.of(seller).account)
            .collect();
        for (account, balance) in self.engine.balances(&accounts).await? {
            let seller = account.tenant;
            let (sellers, losses) = (
                below.resellers.get(&seller).cloned().unwrap_or_default(),
                below.losses.remove(&seller).unwrap_or_default(),
            );
            let paid_out = PayoutRows::of(&self.catalog)
                .payouts_counting(top.root, seller, account.currency)
                .await?
                .debited;
            let debtor = Debtor {
                tenant: seller,
                sellers,
                balance: balance.posted,
                paid_out,
                losses,
            };
            below.debtors.insert(seller, debtor);
        }
        let lost = below.losses.remove(&self.platform).unwrap_or_default();
        Ok(withhold(
            below.debtors.into_values().collect(),
            &lost,
            &earned,
        )?)
    }

    async fn add_up_whole(
        &self,
        commission_account: CommissionAccount,
        now: Instant,
    ) -> Result<()> {
        match self
            .add_up(commission_account, now, STATEMENT_RECORDS_MAX)
            .await?
        {
            Reached::More => Err(Error::Unfinished),
            _ => Ok(()),
        }
    }

    /// What a seller earned through the resellers below it, and through customers that are looked
    /// at. Which are short, is found out on the way at the top.
    async fn earned(
        &self,
        commission_account: CommissionAccount,
        below: &mut Below,
        is_top: bool,
    ) -> Result<Earned> {
        let AccountKey {
            tenant, currency, ..
        } = commission_account.account;
        let (mut earned, mut after, mut by_customer) = (Earned::default(), None, Vec::new());
        loop {
            let page = PayoutRows::of(&self.catalog)
                .commission_customers(
                    commission_account.root,
                    tenant,
                    currency,
                    after,
                    CUSTOMERS_AT_ONCE,
                )
                .await?;
            if is_top {
                self.look_at(commission_account, &page.data, below).await?;
            }
            for one in &page.data {
                below.note_loss(tenant, one)?;
                by_customer.push((one.customer, one.cents, one.gained));
                for lower in sellers(tenant, &one.path)
                    .into_iter()
                    .filter(|&lower| lower != tenant)
                {
                    add(&mut earned, Through::Reseller(lower), one.cents, one.gained)?;
                }
            }
            after = page.data.last().map(|one| one.customer);
            if !page.has_more {
                break;
            }
        }
        // By now it is known which customers matter, and which sell to others as well.
        for (customer, cents, gained) in by_customer {
            if below.looked_at.contains(&customer) {
                add(&mut earned, Through::Customer(customer), cents, gained)?;
            }
            if below.resellers.contains_key(&customer) {
                add(&mut earned, Through::Reseller(customer), cents, gained)?;
            }
        }
        let position = PayoutRows::of(&self.catalog)
            .commission_position(commission_account.root, tenant, currency)
            .await?;
        let all = self
            .latest(commission_account)
            .await?
            .map_or(Ok(Cents::ZERO), |row| row.accrued_through())?;
        earned.unknown = position
            .is_some_and(|position| !position.is_complete)
            .then_some(all);
        let own = position.map_or(Cents::ZERO, |position| position.own);
        earned.kept = all.checked_add(own.max(Cents::ZERO))?;
        earned.given = own.min(Cents::ZERO).checked_neg()?;
        earned.paid_out = PayoutRows::of(&self.catalog)
            .payouts_counting(commission_account.root, tenant, currency)
            .await?
            .gone;
        Ok(earned)
    }

    /// What the platform lost on customers of the root.
    async fn look_at_platform(&self, top: CommissionAccount, below: &mut Below) -> Result<()> {
        self.add_up_platform(top).await?;
        let mut after = None;
        loop {
            let page = PayoutRows::of(&self.catalog)
                .losses(
                    top.root,
                    self.platform,
                    top.account.currency,
                    after,
                    CUSTOMERS_AT_ONCE,
                )
                .await?;
            for one in &page.data {
                below.note_loss(self.platform, one)?;
            }
            after = page.data.last().map(|one| one.customer);
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Which of these customers are below zero, and which resellers are between.
    async fn look_at(
        &self,
        commission_account: CommissionAccount,
        customers: &[CustomerCommission],
        below: &mut Below,
    ) -> Result<()> {
        let accounts: Vec<AccountKey> = customers
            .iter()
            .map(|one| AccountKey {
                tenant: one.customer,
                ..commission_account.account
            })
            .collect();
        let balances = self.engine.balances(&accounts).await?;
        for (one, (_, balance)) in customers.iter().zip(balances) {
            let sellers = sellers(commission_account.account.tenant, &one.path);
            for (index, &reseller) in sellers
                .iter()
                .enumerate()
                .take(sellers.len().saturating_sub(1))
            {
                below
                    .resellers
                    .entry(reseller)
                    .or_insert_with(|| sellers[index + 1..].to_vec());
            }
            if balance.posted < Cents::ZERO {
                below.looked_at.insert(one.customer);
                let (tenant, balance) = (one.customer, balance.posted);
                let debtor = Debtor {
                    tenant,
                    sellers,
                    balance,
                    paid_out: Cents::ZERO,
                    losses: Vec::new(),
                };
                below.debtors.insert(tenant, debtor);
            }
        }
        Ok(())
    }

    /// A reseller may give what one of its customers used to another one, on its own links: those
    /// above it never sold to that one, and are paid for its usage all the same when it pays.
    /// Whoever does so reports usage.
    async fn look_at_corrections(
        &self,
        top: CommissionAccount,
        below: &mut Below,
        now: Instant,
    ) -> Result<()> {
        let reporters = self
            .journal()
            .reporters(&[top.root], Namespace::Usage)
            .await?;
        let resellers: BTreeSet<TenantId> = reporters
            .into_iter()
            .filter_map(|(_, reporter)| reporter)
            .filter(|reporter| below.resellers.contains_key(reporter))
            .collect();
        for reseller in resellers {
            self.add_up_whole(top.of(reseller), now).await?;
            let mut after = None;
            loop {
                let page = PayoutRows::of(&self.catalog)
                    .commission_customers(
                        top.root,
                        reseller,
                        top.account.currency,
                        after,
                        CUSTOMERS_AT_ONCE,
                    )
                    .await?;
                self.look_at(top, &page.data, below).await?;
                after = page.data.last().map(|one| one.customer);
                if !page.has_more {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The resellers that are below zero, and all that sell to them.
    async fn look_at_resellers(
        &self,
        commission_account: CommissionAccount,
        below: &Below,
    ) -> Result<Vec<TenantId>> {
        let accounts: Vec<AccountKey> = below
            .resellers
            .keys()
            .map(|&tenant| AccountKey {
                tenant,
                ..commission_account.account
            })
            .collect();
        let mut in_debt = Vec::new();
        for some in accounts.chunks(CUSTOMERS_AT_ONCE) {
            for (account, balance) in self.engine.balances(some).await? {
                if let Some(sellers) = below
                    .resellers
                    .get(&account.tenant)
                    .filter(|_| balance.posted < Cents::ZERO)
                {
                    in_debt.extend(std::iter::once(&account.tenant).chain(sellers));
                }
            }
        }
        Ok(in_debt)
    }
}

impl Below {
    /// How far below the top a reseller is; `None`: it is the top, or not below it.
    fn ranked(&self, reseller: TenantId) -> Option<(usize, TenantId)> {
        self.resellers
            .get(&reseller)
            .map(|sellers| (sellers.len(), reseller))
    }

    /// What a seller, or the platform, lost on a customer whom somebody below it sells to.
    fn note_loss(&mut self, seller: TenantId, one: &CustomerCommission) -> Result<(), Overflow> {
        let sellers: Vec<TenantId> = sellers(seller, &one.path)
            .into_iter()
            .filter(|&lower| lower != seller)
            .collect();
        let (cents, passed) = (
            one.cents.checked_neg()?.max(Cents::ZERO),
            one.passed.max(Cents::ZERO),
        );
        if (cents > Cents::ZERO || passed > Cents::ZERO) && !sellers.is_empty() {
            self.looked_at.insert(one.customer);
            let loss = Loss {
                customer: one.customer,
                sellers,
                cents,
                passed,
            };
            self.losses.entry(seller).or_default().push(loss);
        }
        Ok(())
    }

    /// Who sold on what this seller sold below its cost.
    fn sellers_at_a_loss(&self, seller: TenantId) -> BTreeSet<(usize, TenantId)> {
        let losses = self.losses.get(&seller).into_iter().flatten();
        losses
            .flat_map(|loss| loss.sellers.iter().filter_map(|lower| self.ranked(*lower)))
            .collect()
    }
}

/// From a tenant's own seller up to `top`.
fn sellers(top: TenantId, path: &[TenantId]) -> Vec<TenantId> {
    let from = path
        .iter()
        .position(|&tenant| tenant == top)
        .unwrap_or(path.len());
    path[from..].iter().rev().skip(1).copied().collect()
}

fn add(earned: &mut Earned, through: Through, cents: Cents, gained: Cents) -> Result<(), Overflow> {
    let sum = earned.through.entry(through).or_default();
    *sum = sum.checked_add(cents)?;
    let sum = earned.gained.entry(through).or_default();
    *sum = add_steps(*sum, gained);
    Ok(())
}
