//! The working set of a batch: balances loaded by the engine, changed by commands in order.
//!
//! How the engine calls it, once per batch, with one `now` for the whole batch:
//! 1. It loads every account the batch may touch ([`Books::load`]); an account that was not loaded
//!    is refused rather than taken for empty.
//! 2. It takes the holds that are over at `now` out of `held`, as a recorded step of its own
//!    ([`Books::expire`], so many in one batch), before any other command. The stored `held` still
//!    counts a hold that is over and not yet swept; while a full page of them comes back, the
//!    engine commits that step alone and asks again. So no check of what is available ever counts a
//!    hold that is over.
//! 3. It runs the commands in order. Usage that names a hold which turns out to be over or ended is
//!    refused by [`Books::capture`] and nothing moves; it has happened all the same, so the engine
//!    posts it with [`Books::charge`], under the limits of usage without a hold.
//! 4. It commits [`Books::into_changed`] together with the records.

use crate::hold::{amount_in, check_amounts};
use crate::posting::{Amounts, LinkCharge, Nets, Posting, nets, postings_of};
use crate::room::{self, Own};
use crate::{AccountKey, Balance, Hold, HoldState, Refusal};
use rating::fast::{FastBuild, FastMap};
use rating::{Cents, Currency, Instant, TenantId};
use smallvec::SmallVec;
use std::collections::hash_map;

/// What one buyer's agreement says about its balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub account: AccountKey,
    /// `None`: no limit (postpaid). `Some(0)`: prepaid.
    pub credit_limit: Option<Cents>,
    /// `on_exhausted: refuse`: usage that the account cannot pay is not posted.
    pub refuse: bool,
}

/// One event on its way into the books: the charges from the customer's link up to the platform's,
/// or those of its links that are charged now.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub root: TenantId,
    pub platform: TenantId,
    /// Whose usage it is, also where its own link is not charged.
    pub customer: TenantId,
    pub currency: Currency,
    pub charges: &'a [LinkCharge],
    /// The buyers' limits, each account once; empty for what must post (voids, late ratings).
    pub limits: &'a [Limit],
}

/// One account's side of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub account: AccountKey,
    /// Signed; may be zero when moves cancel out.
    pub cents: Cents,
    /// The posted balance after it.
    pub balance: Cents,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posted {
    /// Each touched account once.
    pub entries: SmallVec<[Entry; 4]>,
    /// Capture: by how much the net debit exceeded what was held, per account.
    pub over_hold: Amounts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    balance: Balance,
    changed: bool,
}

/// A change of one account, signed.
#[derive(Debug, Clone, Copy)]
struct Delta {
    account: AccountKey,
    posted: Cents,
    held: Cents,
}

/// Balances as they will be: everything about them has been checked.
type Checked = SmallVec<[(AccountKey, Balance); 4]>;
type Deltas = SmallVec<[Delta; 4]>;
/// Balances as they are, of accounts that are to be changed.
type Before = SmallVec<[Balance; 4]>;

#[derive(Debug, Clone, Default)]
pub struct Books {
    slots: FastMap<AccountKey, Slot>,
}

impl Books {
    /// Every account of `keys`; the ones not `found` have never been written and are zero.
    pub fn load(
        keys: impl IntoIterator<Item = AccountKey>,
        found: &FastMap<AccountKey, Balance>,
    ) -> Self {
        let mut books = Self::default();
        books.slots.reserve(found.len());
        books.add(
            keys.into_iter()
                .map(|key| (key, found.get(&key).copied().unwrap_or_default())),
        );
        books
    }

    /// Accounts that turn out to be needed later; one that is there already keeps its changes.
    pub fn add(&mut self, accounts: impl IntoIterator<Item = (AccountKey, Balance)>) {
        for (account, balance) in accounts {
            if let hash_map::Entry::Vacant(slot) = self.slots.entry(account) {
                slot.insert(Slot {
                    balance,
                    changed: false,
                });
            }
        }
    }

    pub fn balance(&self, account: AccountKey) -> Result<Balance, Refusal> {
        self.slots
            .get(&account)
            .map(|slot| slot.balance)
            .ok_or(Refusal::NotLoaded { account })
    }

    /// The accounts that changed, as they are now.
    pub fn changed(&self) -> impl Iterator<Item = (AccountKey, Balance)> + '_ {
        self.slots
            .iter()
            .filter(|(_, slot)| slot.changed)
            .map(|(account, slot)| (*account, slot.balance))
    }

    pub fn into_changed(self) -> FastMap<AccountKey, Balance> {
        let mut changed = FastMap::with_capacity_and_hasher(self.slots.len(), FastBuild::default());
        changed.extend(self.changed());
        changed
    }

    /// Posts usage. Order of checks: chain, loaded, limits (`refuse` only), range.
    pub fn charge(&mut self, event: &Event<'_>) -> Result<Posted, Refusal> {
        let nets = nets(&postings_of(
            event.root,
            event.platform,
            event.currency,
            event.charges,
        )?)?;
        let before = self.before(&nets)?;
        for limit in event.limits.iter().filter(|limit| limit.refuse) {
            let debit = amount_in(&nets, limit.account).checked_neg()?;
            if let Err((available, asked)) = self.covers(limit, debit)? {
                return Err(Refusal::Exhausted {
                    account: limit.account,
                    available,
                    asked,
                });
            }
        }
        self.write_nets(Own::Of(event.customer), &nets, &before)
    }

    /// Posts usage with the hold that was placed for it: always, whatever the limits say. What was
    /// held is given back as a whole. Order of checks: hold's customer, hold open, chain, range.
    pub fn capture(
        &mut self,
        event: &Event<'_>,
        hold: &mut Hold,
        now: Instant,
    ) -> Result<Posted, Refusal> {
        if hold.root != event.root || event.customer != hold.customer {
            return Err(Refusal::HoldOfAnother);
        }
        hold.check_open(now)?;
        let nets = nets(&postings_of(
            event.root,
            event.platform,
            event.currency,
            event.charges,
        )?)?;
        let over_hold = over_hold(&nets, hold)?;
        let checked = self.check(
            Own::Of(event.customer),
            &give_back(posted_deltas(&nets), hold)?,
        )?;
        self.write(&checked);
        hold.state = HoldState::Captured;
        Ok(Posted {
            entries: entries(&nets, &checked),
            over_hold,
        })
    }

    /// Books moves that no limit can refuse: top-ups, adjustments, reversals. Order of checks:
    /// accounts, amounts, loaded, range.
    pub fn post(&mut self, postings: &[Posting]) -> Result<Posted, Refusal> {
        if let Some(posting) = postings.iter().find(|posting| posting.from == posting.to) {
            return Err(Refusal::BadAccount {
                account: posting.from,
            });
        }
        if postings.iter().any(|posting| posting.cents <= Cents::ZERO) {
            return Err(Refusal::BadAmount);
        }
        let nets = nets(postings)?;
        let before = self.before(&nets)?;
        self.write_nets(Own::Every, &nets, &before)
    }

    /// Makes another account of a balance, as large as it is.
    pub fn reclassify(&mut self, posting: Posting) -> Result<Posted, Refusal> {
        let nets = nets(&[posting])?;
        let before = self.before(&nets)?;
        self.write_nets(Own::Whole, &nets, &before)
    }

    /// [`Self::post`], only if what an account loses by it is covered: `limits` name the accounts
    /// that are asked.
    pub fn pay(&mut self, postings: &[Posting], limits: &[Limit]) -> Result<Posted, Refusal> {
        postings
            .iter()
            .try_for_each(|posting| room::check_move(posting.cents))?;
        let nets = nets(postings)?;
        self.check_loaded(nets.iter().map(|(account, _)| *account))?;
        for limit in limits {
            let debit = amount_in(&nets, limit.account).checked_neg()?;
            if let Err((available, asked)) = self.covers(limit, debit)? {
                return Err(Refusal::Insufficient {
                    account: limit.account,
                    available,
                    asked,
                });
            }
        }
        self.post(postings)
    }

    /// Sets a new hold's amounts aside, on all of its accounts or on none. Order of checks: state
    /// and end, amounts, loaded, each account's limit (postpaid accounts have none), range.
    pub fn place_hold(
        &mut self,
        hold: &Hold,
        limits: &[Limit],
        now: Instant,
    ) -> Result<(), Refusal> {
        if hold.state != HoldState::Open {
            return Err(Refusal::HoldEnded { state: hold.state });
        }
        if hold.is_over(now) {
            return Err(Refusal::BadExpiry);
        }
        self.check_cover(&hold.amounts, limits)?;
        let checked = self.check(Own::Of(hold.customer), &held_deltas(&hold.amounts))?;
        self.write(&checked);
        Ok(())
    }

    /// Whether a hold of these amounts could be placed; changes nothing.
    pub fn check_cover(
        &self,
        amounts: &[(AccountKey, Cents)],
        limits: &[Limit],
    ) -> Result<(), Refusal> {
        check_amounts(amounts)?;
        self.check_loaded(amounts.iter().map(|(account, _)| *account))?;
        self.check_room(amounts, limits)
    }

    /// Replaces an open hold's amounts by new totals and its end by another, or changes nothing.
    /// Only what an account holds more than before must be covered. Order of checks: hold open,
    /// end, amounts, loaded, limits, range.
    pub fn extend_hold(
        &mut self,
        hold: &mut Hold,
        totals: Amounts,
        expires_at: Instant,
        limits: &[Limit],
        now: Instant,
    ) -> Result<(), Refusal> {
        hold.check_open(now)?;
        if expires_at <= now {
            return Err(Refusal::BadExpiry);
        }
        check_amounts(&totals)?;
        let deltas = give_back(held_deltas(&totals), hold)?;
        self.check_loaded(deltas.iter().map(|delta| delta.account))?;
        let more: Amounts = deltas
            .iter()
            .filter(|d| d.held > Cents::ZERO)
            .map(|d| (d.account, d.held))
            .collect();
        self.check_room(&more, limits)?;
        let checked = self.check(Own::Of(hold.customer), &deltas)?;
        self.write(&checked);
        (hold.amounts, hold.expires_at) = (totals, expires_at);
        Ok(())
    }

    /// Gives a hold back before its end.
    pub fn release(&mut self, hold: &mut Hold, now: Instant) -> Result<(), Refusal> {
        hold.check_open(now)?;
        self.end(hold, HoldState::Released)
    }

    /// Records that a hold's end has come.
    pub fn expire(&mut self, hold: &mut Hold, now: Instant) -> Result<(), Refusal> {
        match hold.state {
            HoldState::Open if hold.is_over(now) => self.end(hold, HoldState::Expired),
            HoldState::Open => Err(Refusal::HoldNotOver),
            state => Err(Refusal::HoldEnded { state }),
        }
    }

    fn end(&mut self, hold: &mut Hold, state: HoldState) -> Result<(), Refusal> {
        let checked = self.check(Own::Every, &give_back(Deltas::new(), hold)?)?;
        self.write(&checked);
        hold.state = state;
        Ok(())
    }

    /// `Err((available, asked))` when a limited account cannot pay `debit`. What is no debit always
    /// passes.
    fn covers(&self, limit: &Limit, debit: Cents) -> Result<Result<(), (Cents, Cents)>, Refusal> {
        if debit <= Cents::ZERO {
            return Ok(Ok(()));
        }
        let Some(credit_limit) = limit.credit_limit else {
            return Ok(Ok(()));
        };
        let available = room::available(self.balance(limit.account)?, credit_limit);
        Ok(if i128::from(debit.0) > available {
            Err((room::narrow(available)?, debit))
        } else {
            Ok(())
        })
    }

    fn check_room(&self, amounts: &[(AccountKey, Cents)], limits: &[Limit]) -> Result<(), Refusal> {
        for limit in limits {
            if let Err((available, asked)) =
                self.covers(limit, amount_in(amounts, limit.account))?
            {
                return Err(Refusal::Insufficient {
                    account: limit.account,
                    available,
                    asked,
                });
            }
        }
        Ok(())
    }

    fn check_loaded(&self, accounts: impl IntoIterator<Item = AccountKey>) -> Result<(), Refusal> {
        accounts
            .into_iter()
            .try_for_each(|account| self.balance(account).map(drop))
    }

    /// The balances after the changes; an error when one leaves its range.
    fn check(&self, own: Own, deltas: &[Delta]) -> Result<Checked, Refusal> {
        let mut checked = Checked::new();
        for delta in deltas {
            checked.push((
                delta.account,
                after(own, self.balance(delta.account)?, delta)?,
            ));
        }
        Ok(checked)
    }

    /// The balances that these nets change, in their order.
    fn before(&self, nets: &Nets) -> Result<Before, Refusal> {
        let mut before = Before::new();
        for (account, _) in nets {
            before.push(self.balance(*account)?);
        }
        Ok(before)
    }

    /// Usage mostly comes this way: each account is looked for once before, and once to write it.
    fn write_nets(&mut self, own: Own, nets: &Nets, before: &Before) -> Result<Posted, Refusal> {
        let mut checked = Checked::new();
        let mut entries = SmallVec::new();
        for (&(account, cents), &before) in nets.iter().zip(before) {
            let balance = after(
                own,
                before,
                &Delta {
                    account,
                    posted: cents,
                    held: Cents::ZERO,
                },
            )?;
            checked.push((account, balance));
            entries.push(Entry {
                account,
                cents,
                balance: balance.posted,
            });
        }
        self.write(&checked);
        Ok(Posted {
            entries,
            over_hold: Amounts::new(),
        })
    }

    /// The only place that changes a balance.
    fn write(&mut self, checked: &Checked) {
        for &(account, balance) in checked {
            let slot = Slot {
                balance,
                changed: true,
            };
            match self.slots.get_mut(&account) {
                Some(loaded) => *loaded = slot,
                None => drop(self.slots.insert(account, slot)),
            }
        }
    }
}

/// The balance after a change; an error when it leaves its range.
fn after(own: Own, before: Balance, delta: &Delta) -> Result<Balance, Refusal> {
    let (posted, held) = (
        before.posted.checked_add(delta.posted)?,
        before.held.checked_add(delta.held)?,
    );
    if held < Cents::ZERO {
        return Err(Refusal::NotHeld {
            account: delta.account,
        });
    }
    let after = Balance { posted, held };
    room::check(own, delta.account, before, after)?;
    Ok(after)
}

fn posted_deltas(nets: &Nets) -> Deltas {
    nets.iter()
        .map(|&(account, posted)| Delta {
            account,
            posted,
            held: Cents::ZERO,
        })
        .collect()
}

fn held_deltas(amounts: &[(AccountKey, Cents)]) -> Deltas {
    amounts
        .iter()
        .map(|&(account, held)| Delta {
            account,
            posted: Cents::ZERO,
            held,
        })
        .collect()
}

/// Adds to what an account holds, merging with the account's other changes.
fn add_held(deltas: &mut Deltas, account: AccountKey, held: Cents) -> Result<(), Refusal> {
    match deltas.iter_mut().find(|delta| delta.account == account) {
        Some(delta) => delta.held = delta.held.checked_add(held)?,
        None => deltas.push(Delta {
            account,
            posted: Cents::ZERO,
            held,
        }),
    }
    Ok(())
}

/// What a hold's end gives back, on top of `deltas`.
fn give_back(mut deltas: Deltas, hold: &Hold) -> Result<Deltas, Refusal> {
    for &(account, cents) in &hold.amounts {
        add_held(&mut deltas, account, cents.checked_neg()?)?;
    }
    Ok(deltas)
}

/// Where the net debit is more than what was held.
fn over_hold(nets: &Nets, hold: &Hold) -> Result<Amounts, Refusal> {
    let mut over = Amounts::new();
    for &(account, cents) in nets {
        let debit = cents.checked_neg()?;
        if debit > Cents::ZERO && debit > hold.amount(account) {
            over.push((account, debit.checked_sub(hold.amount(account))?));
        }
    }
    Ok(over)
}

/// `checked` begins with the nets' accounts, in their order.
fn entries(nets: &Nets, checked: &Checked) -> SmallVec<[Entry; 4]> {
    nets.iter()
        .zip(checked)
        .map(|(&(account, cents), (_, after))| Entry {
            account,
            cents,
            balance: after.posted,
        })
        .collect()
}
