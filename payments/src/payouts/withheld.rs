//! Who bears what a customer owes: value in, value out.
//!
//! A tenant below zero is short of that much. Its sellers bear it from its own seller upward: each withholds its commission
//! from that tenant so far, up to what is left; the rest is the platform's. A reseller below zero is short like a customer,
//! and so is one whose balance stands on commission that it withholds: what it bought with that, nobody has paid.

use rating::{Cents, Overflow, TenantId};
use std::collections::{BTreeMap, HashMap};

/// A tenant that may be short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debtor {
    pub tenant: TenantId,
    /// From its own seller upward.
    pub sellers: Vec<TenantId>,
    /// Posted.
    pub balance: Cents,
    /// Of a reseller: what was paid out to it, and is off the balance.
    pub paid_out: Cents,
}

/// What a seller withholds because of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld {
    pub tenant: TenantId,
    /// What the tenant is short of.
    pub shortfall: Cents,
    pub cents: Cents,
}

/// What a seller earned so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earned {
    /// By the tenant it went through: a customer, or a reseller and all below it.
    pub through: HashMap<TenantId, Cents>,
    /// `Some`: not everything is known of each, and the whole sum stands for any of them.
    pub unknown: Option<Cents>,
}

/// What each seller withholds, by tenant; only what is above zero.
pub type Shares = BTreeMap<TenantId, Vec<Withheld>>;

/// # Errors
/// A sum is too large.
pub fn withhold(mut debtors: Vec<Debtor>, earned: &HashMap<TenantId, Earned>) -> Result<Shares, Overflow> {
    // From below: what a reseller withholds is known before it is asked what it is short of itself.
    debtors.sort_by_key(|debtor| (std::cmp::Reverse(debtor.sellers.len()), debtor.tenant));
    let mut shares = Shares::new();
    // What a seller withholds already of what went through a tenant; through itself: of everything.
    let mut taken: HashMap<(TenantId, TenantId), Cents> = HashMap::new();
    for debtor in &debtors {
        let uncovered = taken.get(&(debtor.tenant, debtor.tenant)).copied().unwrap_or_default();
        let shortfall = shortfall(debtor, uncovered)?;
        let mut rest = shortfall;
        for (index, seller) in debtor.sellers.iter().enumerate() {
            let most = left(*seller, debtor.tenant, earned, &taken)?;
            let cents = most.min(rest);
            if cents <= Cents::ZERO {
                continue;
            }
            rest = rest.checked_sub(cents)?;
            shares.entry(*seller).or_default().push(Withheld { tenant: debtor.tenant, shortfall, cents });
            for through in std::iter::once(&debtor.tenant).chain(&debtor.sellers[..=index]) {
                let sum = taken.entry((*seller, *through)).or_default();
                *sum = sum.checked_add(cents)?;
            }
        }
    }
    Ok(shares)
}

fn shortfall(debtor: &Debtor, uncovered: Cents) -> Result<Cents, Overflow> {
    let now = debtor.balance.checked_neg()?;
    // Without payouts: what went out too much is the reseller's own debt, and not what it bought for nothing.
    let bought = uncovered.checked_sub(debtor.balance)?.checked_sub(debtor.paid_out)?;
    Ok(now.max(bought).max(Cents::ZERO))
}

/// A seller's commission through a tenant that it does not withhold yet.
fn left(
    seller: TenantId,
    through: TenantId,
    earned: &HashMap<TenantId, Earned>,
    taken: &HashMap<(TenantId, TenantId), Cents>,
) -> Result<Cents, Overflow> {
    let taken = |through| taken.get(&(seller, through)).copied().unwrap_or_default();
    let Some(earned) = earned.get(&seller) else { return Ok(Cents::ZERO) };
    match earned.unknown {
        Some(all) => all.checked_sub(taken(seller)),
        None => earned.through.get(&through).copied().unwrap_or_default().checked_sub(taken(through)),
    }
}

#[cfg(test)]
mod tests;
