//! Who bears what a customer owes: value in, value out.
//!
//! A tenant below zero is short of that much. Its sellers bear it from its own seller upward: each
//! withholds its commission from that tenant so far, up to what is left; the rest is the
//! platform's. A reseller below zero is short like a customer, and so is one whose balance stands
//! on commission that it withholds: what it bought with that, nobody has paid.
//!
//! A reseller that is short because it sold below its own cost passed on what was not its own: the
//! sellers below it, down to the customer, earned it. They bear that part first, from the lowest
//! upward; the rest is for the sellers above. What the platform itself lost on a customer (it gave
//! back more than it had been charged) is borne by all sellers of that customer in the same way.
//! What a seller got back above what it had paid for its own purchases it keeps from nobody's
//! payment: it withholds it itself.
//!
//! What was paid out to a reseller that withholds it since is not there a second time for the
//! sellers above: until it has earned that back, they wait with what they earned through it. That
//! never makes a debt of theirs.

mod waits;

use rating::{Cents, Overflow, TenantId};
use std::collections::{BTreeMap, HashMap};
use waits::Waits;

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

/// What a reseller, or the platform, lost on a customer to which others below it sell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub customer: TenantId,
    /// From the customer's own seller up to the one that buys from whoever lost.
    pub sellers: Vec<TenantId>,
    /// All in all. Not below zero.
    pub cents: Cents,
    /// In single steps, whatever it had earned on the customer before: that may have been paid out.
    /// Not below zero.
    pub passed: Cents,
}

/// Why commission is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// The tenant owes it.
    Unpaid,
    /// A seller above, or the platform, lost on what the tenant used. Of a seller itself: what it
    /// got back for its own purchases above what it had paid.
    SoldBelowCost,
    /// More was paid out to the tenant than it earned by now.
    Overpaid,
}

/// What a seller withholds because of one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld {
    pub tenant: TenantId,
    pub because: Because,
    /// What the tenant is short of; of a loss of somebody above, what this seller bears of it.
    pub shortfall: Cents,
    pub cents: Cents,
}

/// Where a seller's commission comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Through {
    /// What a tenant used itself.
    Customer(TenantId),
    /// What a reseller used, and all below it.
    Reseller(TenantId),
}

/// What a seller earned so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earned {
    pub through: HashMap<Through, Cents>,
    /// The same of what it gained in single steps, whatever it lost in others.
    pub gained: HashMap<Through, Cents>,
    /// `Some`: not everything is known of each, and the whole sum stands for any of them.
    pub unknown: Option<Cents>,
    /// All of it, and what it bought with its own money.
    pub kept: Cents,
    /// Of that: what it got back for its own purchases above what it had paid for them. It went
    /// through nobody.
    pub given: Cents,
    /// To it.
    pub paid_out: Cents,
}

/// What each seller withholds, by tenant; only what is above zero.
pub type Shares = BTreeMap<TenantId, Vec<Withheld>>;

/// `lost`: by the platform.
///
/// # Errors
/// A sum is too large.
pub fn withhold(
    mut debtors: Vec<Debtor>,
    lost: &[Loss],
    earned: &HashMap<TenantId, Earned>,
) -> Result<Shares, Overflow> {
    // From below: what a reseller withholds is known before it is asked what it is short of itself.
    debtors.sort_by_key(|debtor| (std::cmp::Reverse(debtor.sellers.len()), debtor.tenant));
    let (resellers, customers): (Vec<Debtor>, Vec<Debtor>) = debtors
        .into_iter()
        .partition(|debtor| earned.contains_key(&debtor.tenant));
    let mut ledger = Ledger {
        earned,
        taken: HashMap::new(),
        borne: HashMap::new(),
        shares: BTreeMap::new(),
    };
    ledger.keep_what_was_given()?;
    ledger.pass(&customers)?;
    for loss in lost {
        ledger.bear(
            below_cost(loss),
            Through::Customer(loss.customer),
            &loss.sellers,
            loss.cents,
        )?;
    }
    let waits = waits::look(ledger.clone(), &resellers)?;
    // Whoever bears a loss from above may be short itself by that, and passes it on, to each seller
    // at most once.
    for _ in 0..=resellers.len() {
        if !ledger.pass(&resellers)? {
            break;
        }
    }
    ledger.wait(waits)?;
    let mut shares = Shares::new();
    for ((seller, ..), mut withheld) in ledger.shares {
        // What a seller above lost is not for those below to see.
        if withheld.because == Because::SoldBelowCost {
            withheld.shortfall = withheld.cents;
        }
        shares.entry(seller).or_default().push(withheld);
    }
    Ok(shares)
}

/// What a part of the commission from a tenant is a part of as well.
fn path_of(from: Through, tenant: TenantId) -> Vec<Through> {
    match from {
        Through::Customer(_) => vec![from, Through::Reseller(tenant)],
        Through::Reseller(_) => vec![from],
    }
}

const fn below_cost(loss: &Loss) -> Withheld {
    Withheld {
        tenant: loss.customer,
        because: Because::SoldBelowCost,
        shortfall: loss.cents,
        cents: Cents::ZERO,
    }
}

#[derive(Clone)]
struct Ledger<'a> {
    earned: &'a HashMap<TenantId, Earned>,
    /// What a seller withholds already of what went through a tenant; through itself: of
    /// everything.
    taken: HashMap<(TenantId, Through), Cents>,
    /// Of each debtor's shortfall, and of each of its losses.
    borne: HashMap<(TenantId, Option<TenantId>), Cents>,
    shares: BTreeMap<(TenantId, TenantId, Because), Withheld>,
}

impl Ledger<'_> {
    /// What came back to sellers for their own purchases, and was never paid.
    fn keep_what_was_given(&mut self) -> Result<(), Overflow> {
        for (&seller, earned) in self
            .earned
            .iter()
            .filter(|(_, earned)| earned.given > Cents::ZERO)
        {
            let (because, cents) = (Because::SoldBelowCost, earned.given);
            self.shares.insert(
                (seller, seller, because),
                Withheld {
                    tenant: seller,
                    because,
                    shortfall: cents,
                    cents,
                },
            );
            self.take(seller, &[Through::Reseller(seller)], cents)?;
        }
        Ok(())
    }

    /// Whether anything more was withheld.
    fn pass(&mut self, debtors: &[Debtor]) -> Result<bool, Overflow> {
        let mut is_more = false;
        for debtor in debtors {
            let shortfall = shortfall(debtor, self.taken_of(debtor.tenant))?;
            let mut rest = shortfall.checked_sub(self.borne(debtor.tenant, None))?;
            for loss in &debtor.losses {
                let lost = loss
                    .cents
                    .checked_sub(self.borne(debtor.tenant, Some(loss.customer)))?
                    .min(rest);
                let cents = self.bear(
                    below_cost(loss),
                    Through::Customer(loss.customer),
                    &loss.sellers,
                    lost,
                )?;
                self.add_borne(debtor.tenant, Some(loss.customer), cents)?;
                rest = rest.checked_sub(cents)?;
            }
            let share = Withheld {
                tenant: debtor.tenant,
                because: Because::Unpaid,
                shortfall,
                cents: Cents::ZERO,
            };
            rest =
                rest.checked_sub(self.bear(share, self.through(debtor), &debtor.sellers, rest)?)?;
            let cents = shortfall
                .checked_sub(rest)?
                .checked_sub(self.borne(debtor.tenant, None))?;
            self.add_borne(debtor.tenant, None, cents)?;
            is_more |= cents > Cents::ZERO;
        }
        Ok(is_more)
    }

    /// What is waited for beyond what is withheld already. It never makes a debt.
    fn wait(&mut self, waits: Waits) -> Result<(), Overflow> {
        for (seller, waits) in waits {
            let mut more = waits.withheld.checked_sub(self.taken_of(seller))?;
            for line in waits.lines {
                let cents = line.cents.min(more);
                if cents > Cents::ZERO {
                    self.add_share(seller, line, cents)?;
                    more = more.checked_sub(cents)?;
                }
            }
        }
        Ok(())
    }

    /// What a seller could still be paid; below zero: it was paid too much.
    fn open(&self, seller: TenantId) -> Result<Cents, Overflow> {
        let Some(earned) = self.earned.get(&seller) else {
            return Ok(Cents::ZERO);
        };
        earned
            .kept
            .checked_sub(self.taken_of(seller))?
            .checked_sub(earned.paid_out)
    }

    /// What a seller withholds already.
    fn taken_of(&self, seller: TenantId) -> Cents {
        self.taken
            .get(&(seller, Through::Reseller(seller)))
            .copied()
            .unwrap_or_default()
    }

    fn through(&self, debtor: &Debtor) -> Through {
        match self.earned.contains_key(&debtor.tenant) {
            true => Through::Reseller(debtor.tenant),
            false => Through::Customer(debtor.tenant),
        }
    }

    /// Each of the sellers, from the lowest up, withholds what it can of `cents`; how much they do.
    fn bear(
        &mut self,
        share: Withheld,
        from: Through,
        sellers: &[TenantId],
        cents: Cents,
    ) -> Result<Cents, Overflow> {
        let mut rest = cents;
        let mut path = path_of(from, share.tenant);
        for &seller in sellers {
            path.push(Through::Reseller(seller));
            let part = self.left(seller, from)?.min(rest);
            if part <= Cents::ZERO {
                continue;
            }
            rest = rest.checked_sub(part)?;
            self.add_share(seller, share, part)?;
            self.take(seller, &path, part)?;
        }
        cents.checked_sub(rest)
    }

    fn add_share(
        &mut self,
        seller: TenantId,
        share: Withheld,
        cents: Cents,
    ) -> Result<(), Overflow> {
        let sum = self
            .shares
            .get(&(seller, share.tenant, share.because))
            .map_or(Cents::ZERO, |withheld| withheld.cents);
        let withheld = Withheld {
            cents: sum.checked_add(cents)?,
            ..share
        };
        self.shares
            .insert((seller, share.tenant, share.because), withheld);
        Ok(())
    }

    fn take(&mut self, seller: TenantId, path: &[Through], cents: Cents) -> Result<(), Overflow> {
        for &through in path {
            let sum = self.taken.entry((seller, through)).or_default();
            *sum = sum.checked_add(cents)?;
        }
        Ok(())
    }

    /// A seller's commission through a tenant that it does not withhold yet.
    fn left(&self, seller: TenantId, through: Through) -> Result<Cents, Overflow> {
        let Some(earned) = self.earned.get(&seller) else {
            return Ok(Cents::ZERO);
        };
        if let Some(all) = earned.unknown {
            return all.checked_sub(self.taken_of(seller));
        }
        let taken = self
            .taken
            .get(&(seller, through))
            .copied()
            .unwrap_or_default();
        earned
            .through
            .get(&through)
            .copied()
            .unwrap_or_default()
            .checked_sub(taken)
    }

    /// The same of what it gained in single steps.
    fn gained(&self, seller: TenantId, through: Through) -> Result<Cents, Overflow> {
        let gained = self
            .earned
            .get(&seller)
            .and_then(|earned| earned.gained.get(&through))
            .copied()
            .unwrap_or_default();
        let taken = self
            .taken
            .get(&(seller, through))
            .copied()
            .unwrap_or_default();
        gained.checked_sub(taken)
    }

    fn borne(&self, debtor: TenantId, customer: Option<TenantId>) -> Cents {
        self.borne
            .get(&(debtor, customer))
            .copied()
            .unwrap_or_default()
    }

    fn add_borne(
        &mut self,
        debtor: TenantId,
        customer: Option<TenantId>,
        cents: Cents,
    ) -> Result<(), Overflow> {
        let sum = self.borne.entry((debtor, customer)).or_default();
        *sum = sum.checked_add(cents)?;
        Ok(())
    }
}

fn shortfall(debtor: &Debtor, uncovered: Cents) -> Result<Cents, Overflow> {
    let now = debtor.balance.checked_neg()?;
    // Without payouts: what went out too much is the reseller's own debt, and not what it bought
    // for nothing.
    let bought = uncovered
        .checked_sub(debtor.balance)?
        .checked_sub(debtor.paid_out)?;
    Ok(now.max(bought).max(Cents::ZERO))
}

#[cfg(test)]
mod tests;
