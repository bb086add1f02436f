//! Who bears what a customer owes: value in, value out.
//!
//! A tenant below zero is short of that much. Its sellers bear it from its own seller upward: each withholds its commission
//! from that tenant so far, up to what is left; the rest is the platform's. A reseller below zero is short like a customer,
//! and so is one whose balance stands on commission that it withholds: what it bought with that, nobody has paid.
//!
//! A reseller that is short because it sold below its own cost passed on what was not its own: the sellers below it, down to
//! the customer, earned it. They bear that part first, from the lowest upward; the rest is for the sellers above.
//!
//! What was paid out to a reseller that withholds it since is not there a second time for the sellers above: until it has
//! earned that back, they wait with what they earned through it. That never makes a debt of theirs.

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
    /// Of a reseller: what it sold below its own cost.
    pub losses: Vec<Loss>,
}

/// What a reseller lost on a customer to which others below it sell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub customer: TenantId,
    /// From the customer's own seller up to the one that buys from the reseller.
    pub sellers: Vec<TenantId>,
    /// Positive.
    pub cents: Cents,
}

/// Why commission is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// The tenant owes it.
    Unpaid,
    /// A seller above sold below its cost what the tenant used, and owes it.
    SoldBelowCost,
    /// More was paid out to the tenant than it earned by now.
    Overpaid,
}

/// What a seller withholds because of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld {
    pub tenant: TenantId,
    pub because: Because,
    /// What the tenant is short of, or what was lost on it.
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
    /// All of it, and what it bought with its own money.
    pub kept: Cents,
    /// To it.
    pub paid_out: Cents,
}

/// What each seller withholds, by tenant; only what is above zero.
pub type Shares = BTreeMap<TenantId, Vec<Withheld>>;

/// # Errors
/// A sum is too large.
pub fn withhold(mut debtors: Vec<Debtor>, earned: &HashMap<TenantId, Earned>) -> Result<Shares, Overflow> {
    // From below: what a reseller withholds is known before it is asked what it is short of itself.
    debtors.sort_by_key(|debtor| (std::cmp::Reverse(debtor.sellers.len()), debtor.tenant));
    let mut ledger = Ledger { earned, taken: HashMap::new(), borne: HashMap::new(), shares: BTreeMap::new() };
    // Whoever bears a loss from above may be short itself by that: until nothing is left to bear, or nobody to bear it.
    while ledger.pass(&debtors)? {}
    for debtor in &debtors {
        ledger.wait_for(debtor)?;
    }
    let mut shares = Shares::new();
    for ((seller, ..), withheld) in ledger.shares {
        shares.entry(seller).or_default().push(withheld);
    }
    Ok(shares)
}

struct Ledger<'a> {
    earned: &'a HashMap<TenantId, Earned>,
    /// What a seller withholds already of what went through a tenant; through itself: of everything.
    taken: HashMap<(TenantId, TenantId), Cents>,
    /// Of each debtor's shortfall, and of each of its losses.
    borne: HashMap<(TenantId, Option<TenantId>), Cents>,
    shares: BTreeMap<(TenantId, TenantId, Because), Withheld>,
}

impl Ledger<'_> {
    /// Whether anything more was withheld.
    fn pass(&mut self, debtors: &[Debtor]) -> Result<bool, Overflow> {
        let mut is_more = false;
        for debtor in debtors {
            let uncovered = self.taken.get(&(debtor.tenant, debtor.tenant)).copied().unwrap_or_default();
            let shortfall = shortfall(debtor, uncovered)?;
            let mut rest = shortfall.checked_sub(self.borne(debtor.tenant, None))?;
            for loss in &debtor.losses {
                let lost = loss.cents.checked_sub(self.borne(debtor.tenant, Some(loss.customer)))?.min(rest);
                let share = Withheld { tenant: loss.customer, because: Because::SoldBelowCost, shortfall: loss.cents, cents: Cents::ZERO };
                let cents = self.bear(share, &loss.sellers, lost)?;
                self.add_borne(debtor.tenant, Some(loss.customer), cents)?;
                rest = rest.checked_sub(cents)?;
            }
            let share = Withheld { tenant: debtor.tenant, because: Because::Unpaid, shortfall, cents: Cents::ZERO };
            rest = rest.checked_sub(self.bear(share, &debtor.sellers, rest)?)?;
            let cents = shortfall.checked_sub(rest)?.checked_sub(self.borne(debtor.tenant, None))?;
            self.add_borne(debtor.tenant, None, cents)?;
            is_more |= cents > Cents::ZERO;
        }
        Ok(is_more)
    }

    /// The sellers above a reseller that was paid out too much wait with what they earned through it.
    fn wait_for(&mut self, debtor: &Debtor) -> Result<(), Overflow> {
        let paid_out = self.earned.get(&debtor.tenant).map_or(Cents::ZERO, |earned| earned.paid_out);
        let debt = self.open(debtor.tenant)?.checked_neg()?.min(paid_out);
        if debt > Cents::ZERO {
            let share = Withheld { tenant: debtor.tenant, because: Because::Overpaid, shortfall: debt, cents: Cents::ZERO };
            self.bear(share, &debtor.sellers, debt)?;
        }
        Ok(())
    }

    /// What a seller could still be paid; below zero: it was paid too much.
    fn open(&self, seller: TenantId) -> Result<Cents, Overflow> {
        let Some(earned) = self.earned.get(&seller) else { return Ok(Cents::ZERO) };
        let taken = self.taken.get(&(seller, seller)).copied().unwrap_or_default();
        earned.kept.checked_sub(taken)?.checked_sub(earned.paid_out)
    }

    /// Each of the sellers, from the lowest up, withholds what it can of `cents`; how much they do.
    fn bear(&mut self, share: Withheld, sellers: &[TenantId], cents: Cents) -> Result<Cents, Overflow> {
        let mut rest = cents;
        for (index, seller) in sellers.iter().enumerate() {
            let mut part = self.left(*seller, share.tenant)?.min(rest);
            if share.because == Because::Overpaid {
                part = part.min(self.open(*seller)?);
            }
            if part <= Cents::ZERO {
                continue;
            }
            rest = rest.checked_sub(part)?;
            let withheld = self.shares.entry((*seller, share.tenant, share.because)).or_insert(share);
            withheld.shortfall = share.shortfall;
            withheld.cents = withheld.cents.checked_add(part)?;
            for through in std::iter::once(&share.tenant).chain(&sellers[..=index]) {
                let sum = self.taken.entry((*seller, *through)).or_default();
                *sum = sum.checked_add(part)?;
            }
        }
        cents.checked_sub(rest)
    }

    /// A seller's commission through a tenant that it does not withhold yet.
    fn left(&self, seller: TenantId, through: TenantId) -> Result<Cents, Overflow> {
        let taken = |through| self.taken.get(&(seller, through)).copied().unwrap_or_default();
        let Some(earned) = self.earned.get(&seller) else { return Ok(Cents::ZERO) };
        match earned.unknown {
            Some(all) => all.checked_sub(taken(seller)),
            None => earned.through.get(&through).copied().unwrap_or_default().checked_sub(taken(through)),
        }
    }

    fn borne(&self, debtor: TenantId, customer: Option<TenantId>) -> Cents {
        self.borne.get(&(debtor, customer)).copied().unwrap_or_default()
    }

    fn add_borne(&mut self, debtor: TenantId, customer: Option<TenantId>, cents: Cents) -> Result<(), Overflow> {
        let sum = self.borne.entry((debtor, customer)).or_default();
        *sum = sum.checked_add(cents)?;
        Ok(())
    }
}

fn shortfall(debtor: &Debtor, uncovered: Cents) -> Result<Cents, Overflow> {
    let now = debtor.balance.checked_neg()?;
    // Without payouts: what went out too much is the reseller's own debt, and not what it bought for nothing.
    let bought = uncovered.checked_sub(debtor.balance)?.checked_sub(debtor.paid_out)?;
    Ok(now.max(bought).max(Cents::ZERO))
}

#[cfg(test)]
mod tests;
