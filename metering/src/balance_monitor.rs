//! What durable batches changed that somebody waits for: balances that cross a mark, usage without
//! a price, holds that ended by themselves, sellers that pay more than they receive. For notices
//! and automatic top-ups.
//!
//! Vocabulary: a *mark* is the posted balance at or below which an account is told of, for a
//! *purpose*; a *sighting* is what one batch has of interest, made before its commit and told after
//! it.
//!
//! Invariants: nothing is told before its batch is durable; the committer never waits for who
//! listens: what it hands over is kept once per account or count, bounded, until it is taken. It is
//! a hint, which ends with the process: who must miss nothing also looks at the balances themselves
//! now and then.

use journal::{Batch, Kind};
use ledger::{AccountKey, Hold};
use rating::fast::FastMap;
use rating::{Cents, Currency, Exact, TenantId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use tokio::sync::Notify;

/// Accounts, or counts of one sort, that wait to be taken; what comes on top is left to who looks
/// for itself.
pub const WAITING_MAX: usize = 100_000;
/// Accounts remembered as told without a mark of their own; then all are forgotten, and told again.
const UNMARKED_MAX: usize = 1_000_000;

/// What a mark is for. Purposes do not know of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    LowBalance = 0,
    /// Every balance has a threshold here: 0, until [`BalanceMonitor::set_threshold`] says otherwise.
    Exhausted = 1,
    TopUp = 2,
}

const PURPOSES: [Purpose; 3] = [Purpose::LowBalance, Purpose::Exhausted, Purpose::TopUp];

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct BalanceMonitor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    thresholds: [Thresholds; 3],
    /// Whether anybody takes what is counted.
    counting: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Thresholds {
    /// Whether anybody listens.
    used: AtomicBool,
    list: RwLock<FastMap<AccountKey, Threshold>>,
    crossed: Mutex<FastMap<AccountKey, ()>>,
    wake: Notify,
}

#[derive(Debug)]
struct Threshold {
    /// `None`: it is never reached.
    at: Option<Cents>,
    /// The last that was told of it: 0 for no, [`REACHED`], or [`UNKNOWN`] of a new mark.
    reached: AtomicU8,
}

const REACHED: u8 = 1;
/// Somebody may have been told already, so that a rise counts as well.
const UNKNOWN: u8 = 2;

/// What was counted since it was last taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events kept without a price, by the root and the tenant that keeps them and the reason's
    /// code.
    pub unrated: HashMap<(TenantId, TenantId, String), u64>,
    /// Holds that ended by themselves, by root and customer.
    pub expired: HashMap<(TenantId, TenantId), u64>,
    /// Exact sums below zero of what a seller received less what it paid over a batch, by root and
    /// seller.
    pub losses: HashMap<(TenantId, TenantId, Currency), Exact>,
}

impl Counts {
    /// What does not fit is not counted.
    pub fn add(&mut self, more: Self) {
        add(&mut self.unrated, more.unrated, |sum, more| *sum += more);
        add(&mut self.expired, more.expired, |sum, more| *sum += more);
        add(&mut self.losses, more.losses, |sum, more| {
            *sum = sum.checked_add(more).unwrap_or(*sum)
        });
    }
}

/// What one batch has of interest.
#[derive(Debug, Default)]
pub struct BatchObservations {
    /// Posted balances of accounts that a mark may be about.
    balances: Vec<(AccountKey, Cents)>,
    counts: Counts,
}

impl BalanceMonitor {
    /// Replaces all marks of a purpose. An account with a new mark is told of with its next change:
    /// if it is at or below it, and for [`Purpose::LowBalance`] also above. Thresholds that stay as they
    /// were keep what was told.
    pub fn set_thresholds(
        &self,
        purpose: Purpose,
        thresholds: impl IntoIterator<Item = (AccountKey, Cents)>,
    ) {
        let of = self.of(purpose);
        let Ok(mut list) = of.list.write() else {
            return;
        };
        let was = |account: &AccountKey, at: Cents| {
            let same = list.get(account).filter(|old| old.at == Some(at));
            same.map_or(UNKNOWN, |old| old.reached.load(Ordering::Acquire))
        };
        let threshold = |(account, at)| {
            (
                account,
                Threshold {
                    at: Some(at),
                    reached: AtomicU8::new(was(&account, at)),
                },
            )
        };
        let new: FastMap<AccountKey, Threshold> = thresholds.into_iter().map(threshold).collect();
        of.used.store(
            purpose == Purpose::Exhausted || !new.is_empty(),
            Ordering::Release,
        );
        *list = new;
    }

    /// Sets one account's mark, which is `reached` or not as the caller knows. `None`: it has none.
    pub fn set_threshold(
        &self,
        purpose: Purpose,
        account: AccountKey,
        at: Option<Cents>,
        reached: bool,
    ) {
        if let Ok(mut list) = self.of(purpose).list.write() {
            list.insert(
                account,
                Threshold {
                    at,
                    reached: AtomicU8::new(u8::from(reached)),
                },
            );
        }
    }

    /// Accounts that reached their mark or rose above it since this was asked last; waits until
    /// there are some. Each was so at a durable instant: what its balance is now, the journal says.
    pub async fn crossed(&self, purpose: Purpose) -> Vec<AccountKey> {
        loop {
            let crossed = self.take_crossed(purpose);
            if !crossed.is_empty() {
                return crossed;
            }
            self.of(purpose).wake.notified().await;
        }
    }

    /// The same without waiting.
    pub fn take_crossed(&self, purpose: Purpose) -> Vec<AccountKey> {
        let taken = self
            .of(purpose)
            .crossed
            .lock()
            .map(|mut crossed| std::mem::take(&mut *crossed));
        taken.unwrap_or_default().into_keys().collect()
    }

    /// What was counted since this was asked last. It is counted from the first time on.
    pub fn take_counts(&self) -> Counts {
        self.0.counting.store(true, Ordering::Release);
        self.0
            .counts
            .lock()
            .map(|mut counts| std::mem::take(&mut *counts))
            .unwrap_or_default()
    }

    /// Before the commit: `below_cost` are the records (by index) that a seller lost money with.
    pub fn look(&self, batch: &Batch, below_cost: &[u32]) -> BatchObservations {
        let mut observations = BatchObservations::default();
        self.look_at_balances(batch, &mut observations.balances);
        if self.0.counting.load(Ordering::Acquire) {
            for record in batch
                .unrated
                .iter()
                .filter_map(|&index| batch.records.get(index))
            {
                let key = (
                    record.identity.root,
                    record.tenant,
                    record.body.reason.clone(),
                );
                *observations.counts.unrated.entry(key).or_default() += 1;
            }
            // Holds that are over come before all else.
            for record in batch
                .records
                .iter()
                .take_while(|record| record.kind == Kind::HoldExpired)
            {
                *observations
                    .counts
                    .expired
                    .entry((record.identity.root, record.tenant))
                    .or_default() += 1;
            }
            observations.counts.losses = losses(batch, below_cost);
        }
        observations
    }

    /// Holds that expired in a step of their own, durably.
    pub fn expired(&self, holds: &[Hold]) {
        if !self.0.counting.load(Ordering::Acquire) {
            return;
        }
        let mut counts = Counts::default();
        for hold in holds {
            *counts
                .expired
                .entry((hold.root, hold.customer))
                .or_default() += 1;
        }
        self.count(counts);
    }

    /// After the commit, and before the next one of the same roots.
    pub fn tell(&self, observations: BatchObservations) {
        for purpose in PURPOSES {
            let of = self.of(purpose);
            if of.used.load(Ordering::Acquire) && !observations.balances.is_empty() {
                of.tell(purpose, &observations.balances);
            }
        }
        if observations.counts != Counts::default() {
            self.count(observations.counts);
        }
    }

    fn count(&self, new: Counts) {
        if let Ok(mut counts) = self.0.counts.lock() {
            counts.add(new);
        }
    }

    /// Accounts on a list, and those that are used up.
    fn look_at_balances(&self, batch: &Batch, found: &mut Vec<(AccountKey, Cents)>) {
        let lists = PURPOSES.map(|purpose| {
            let of = self.of(purpose);
            of.used
                .load(Ordering::Acquire)
                .then(|| of.list.read().ok())
                .flatten()
        });
        if lists.iter().all(Option::is_none) {
            return;
        }
        let unmarked = lists[Purpose::Exhausted as usize].is_some();
        let lists: Vec<_> = lists
            .iter()
            .flatten()
            .filter(|list| !list.is_empty())
            .collect();
        for (account, balance) in batch
            .state
            .accounts
            .iter()
            .filter(|(account, _)| account.kind.is_of_buyer())
        {
            let used_up = unmarked && balance.posted <= Cents::ZERO;
            if used_up || lists.iter().any(|list| list.contains_key(account)) {
                found.push((*account, balance.posted));
            }
        }
    }

    fn of(&self, purpose: Purpose) -> &Thresholds {
        &self.0.thresholds[purpose as usize]
    }
}

impl Thresholds {
    fn tell(&self, purpose: Purpose, balances: &[(AccountKey, Cents)]) {
        let (mut crossed, mut unmarked) = (Vec::new(), Vec::new());
        if let Ok(list) = self.list.read() {
            for &(account, posted) in balances {
                match list.get(&account) {
                    Some(threshold) => {
                        let reached = threshold.at.is_some_and(|at| posted <= at);
                        let was = threshold.reached.swap(u8::from(reached), Ordering::AcqRel);
                        let counts = was != UNKNOWN || reached || purpose == Purpose::LowBalance;
                        if was != u8::from(reached) && counts {
                            crossed.push(account);
                        }
                    }
                    None if purpose == Purpose::Exhausted && posted <= Cents::ZERO => {
                        unmarked.push(account)
                    }
                    None => {}
                }
            }
        }
        self.remember(&unmarked);
        crossed.append(&mut unmarked);
        if crossed.is_empty() {
            return;
        }
        if let Ok(mut waiting) = self.crossed.lock() {
            let room = WAITING_MAX.saturating_sub(waiting.len());
            waiting.extend(crossed.into_iter().take(room).map(|account| (account, ())));
        }
        self.wake.notify_one();
    }

    /// Told once, until it rises again.
    fn remember(&self, unmarked: &[AccountKey]) {
        if unmarked.is_empty() {
            return;
        }
        let Ok(mut list) = self.list.write() else {
            return;
        };
        if list.len() + unmarked.len() > UNMARKED_MAX {
            list.clear();
        }
        list.extend(unmarked.iter().map(|account| {
            (
                *account,
                Threshold {
                    at: Some(Cents::ZERO),
                    reached: AtomicU8::new(REACHED),
                },
            )
        }));
    }
}

/// Of the sellers that lost money with one of these records: what they lost over the whole batch,
/// if they did.
fn losses(batch: &Batch, below_cost: &[u32]) -> HashMap<(TenantId, TenantId, Currency), Exact> {
    let mut sums = HashMap::new();
    if below_cost.is_empty() {
        return sums;
    }
    let parts = || {
        batch
            .records
            .iter()
            .filter(|record| matches!(record.kind, Kind::Rated | Kind::RatedLater))
            .flat_map(|record| {
                let key = |seller| {
                    record
                        .body
                        .currency
                        .map(|currency| (record.identity.root, seller, currency))
                };
                let part = |received: Exact, paid: Exact| {
                    received.checked_sub(paid).unwrap_or(Exact::ZERO)
                };
                record.body.charges.windows(2).filter_map(move |pair| {
                    Some((
                        key(pair[0].link.seller)?,
                        part(pair[0].exact, pair[1].exact),
                    ))
                })
            })
    };
    for (key, _) in parts().filter(|(_, part)| *part < Exact::ZERO) {
        sums.insert(key, Exact::ZERO);
    }
    for (key, part) in parts() {
        if let Some(sum) = sums.get_mut(&key) {
            *sum = sum.checked_add(part).unwrap_or(*sum);
        }
    }
    sums.retain(|_, sum| *sum < Exact::ZERO);
    sums
}

fn add<K: std::hash::Hash + Eq, V: Default>(
    to: &mut HashMap<K, V>,
    more: HashMap<K, V>,
    add: impl Fn(&mut V, V),
) {
    for (key, value) in more {
        if to.len() < WAITING_MAX || to.contains_key(&key) {
            add(to.entry(key).or_default(), value);
        }
    }
}

#[cfg(test)]
mod tests;
