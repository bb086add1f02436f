//! Nobody is paid from what another one lacks: value in, value out.
//!
//! A seller lacks what its balance is short of the commission that it withholds, whatever it was
//! paid out for good reason: what went out is not there a second time. It passed that on to the
//! sellers below it, on whose customers it lost, and to those above it, who earned it through the
//! seller; and if these have it no more, they did the same. Whoever could be paid something of it
//! waits with that much. This never makes a debt: what nobody waits for is the lacking seller's
//! alone.

use super::{Because, Debtor, Ledger, Through, Withheld};
use rating::{Cents, Overflow, TenantId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What sellers wait with, beside what they withhold for customers and for the platform.
pub(super) type Waits = BTreeMap<TenantId, Wait>;

#[derive(Debug, Default)]
pub(super) struct Wait {
    /// All that it withholds at least.
    pub withheld: Cents,
    pub lines: Vec<Withheld>,
}

/// `ledger`: what is withheld for customers and for the platform.
pub(super) fn look(ledger: Ledger<'_>, resellers: &[Debtor]) -> Result<Waits, Overflow> {
    let debtors = resellers
        .iter()
        .map(|debtor| (debtor.tenant, debtor))
        .collect();
    let mut search = Search {
        ledger,
        debtors,
        passed: HashMap::new(),
        waits: Waits::new(),
    };
    let mut lacking = Vec::new();
    for debtor in resellers {
        lacking.push((debtor, search.has(debtor)?.checked_neg()?));
    }
    for (debtor, mut lacks) in lacking {
        while lacks > Cents::ZERO {
            let found =
                search.pass_on(debtor, lacks, lacks, &mut HashSet::from([debtor.tenant]))?;
            if found == Cents::ZERO {
                break;
            }
            lacks = lacks.checked_sub(found)?;
        }
    }
    for (seller, wait) in &mut search.waits {
        wait.withheld = search.ledger.taken_of(*seller);
    }
    Ok(search.waits)
}

struct Search<'a> {
    ledger: Ledger<'a>,
    debtors: HashMap<TenantId, &'a Debtor>,
    /// Of a seller's loss on a customer.
    passed: HashMap<(TenantId, TenantId), Cents>,
    waits: Waits,
}

impl<'a> Search<'a> {
    /// Of its balance, without what it withholds; below zero: what it lacks.
    fn has(&self, debtor: &Debtor) -> Result<Cents, Overflow> {
        debtor
            .balance
            .checked_sub(self.ledger.taken_of(debtor.tenant))
    }

    /// Looks for what a seller lacks (`lacks`), up to `cents`; how much is found. Each seller is
    /// asked once.
    fn pass_on(
        &mut self,
        debtor: &'a Debtor,
        cents: Cents,
        lacks: Cents,
        asked: &mut HashSet<TenantId>,
    ) -> Result<Cents, Overflow> {
        let mut rest = cents;
        for loss in &debtor.losses {
            let key = (debtor.tenant, loss.customer);
            let most = loss
                .cents
                .max(loss.passed)
                .checked_sub(self.passed.get(&key).copied().unwrap_or_default())?
                .min(rest);
            let found = self.ask_all(
                super::below_cost(loss),
                Through::Customer(loss.customer),
                &loss.sellers,
                most,
                asked,
            )?;
            let passed = self.passed.entry(key).or_default();
            *passed = passed.checked_add(found)?;
            rest = rest.checked_sub(found)?;
        }
        let share = Withheld {
            tenant: debtor.tenant,
            because: Because::Overpaid,
            shortfall: lacks,
            cents: Cents::ZERO,
        };
        rest = rest.checked_sub(self.ask_all(
            share,
            Through::Reseller(debtor.tenant),
            &debtor.sellers,
            rest,
            asked,
        )?)?;
        cents.checked_sub(rest)
    }

    /// From the lowest up.
    fn ask_all(
        &mut self,
        share: Withheld,
        from: Through,
        sellers: &[TenantId],
        cents: Cents,
        asked: &mut HashSet<TenantId>,
    ) -> Result<Cents, Overflow> {
        let (mut rest, mut path) = (cents, super::path_of(from, share.tenant));
        for &seller in sellers {
            path.push(Through::Reseller(seller));
            let part = self
                .ledger
                .left(seller, from)?
                .max(self.ledger.gained(seller, from)?)
                .min(rest);
            if part > Cents::ZERO {
                rest = rest.checked_sub(self.ask(seller, share, &path, part, asked)?)?;
            }
        }
        cents.checked_sub(rest)
    }

    /// What a seller could be paid it waits with; for the rest it asks others.
    fn ask(
        &mut self,
        seller: TenantId,
        share: Withheld,
        path: &[Through],
        cents: Cents,
        asked: &mut HashSet<TenantId>,
    ) -> Result<Cents, Overflow> {
        let Some(&debtor) = self.debtors.get(&seller) else {
            return Ok(Cents::ZERO);
        };
        let waits = self
            .ledger
            .open(seller)?
            .min(self.has(debtor)?)
            .min(cents)
            .max(Cents::ZERO);
        if waits > Cents::ZERO {
            self.ledger.take(seller, path, waits)?;
            self.waits.entry(seller).or_default().lines.push(Withheld {
                cents: waits,
                ..share
            });
        }
        let rest = cents.checked_sub(waits)?;
        let mut found = Cents::ZERO;
        if rest > Cents::ZERO && asked.insert(seller) {
            found = self.pass_on(debtor, rest, rest, asked)?;
            // What went through it is not asked for again; it is no share of its own.
            self.ledger.take(seller, &path[..path.len() - 1], found)?;
        }
        waits.checked_add(found)
    }
}
