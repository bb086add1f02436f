//! Which states a batch touches, and under which roots.

use super::{CounterKey, DistinctValueKey, Seq};
use ledger::{AccountKey, Balance};
use rating::fast::FastMap;
use rating::{TenantId, ids::HoldId};

/// Which states a batch touches. Duplicates are allowed.
#[derive(Debug, Clone, Default)]
pub struct StateKeys {
    pub accounts: Vec<AccountKey>,
    /// Leaf customers whose carries are needed.
    pub carries: Vec<TenantId>,
    pub counters: Vec<CounterKey>,
    pub distinct_values: Vec<DistinctValueKey>,
    /// Counters of which every distinct value is needed (a void of `max` or `latest`).
    pub all_distinct_values: Vec<CounterKey>,
    pub holds: Vec<HoldId>,
    /// Only if they are open: usage that may carry its hold's id. Mostly absent, so answered
    /// without the disk.
    pub open_holds: Vec<HoldId>,
    pub amendments: Vec<Seq>,
    /// Whose the keys are; those before the first mark are of a root that the caller does not know.
    pub marks: Vec<Mark>,
}

/// From these lengths on the keys belong to this root.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    root: TenantId,
    /// In the order of [`KeysOf`]. A batch has far fewer than 2³² keys.
    from: [u32; KINDS],
}

impl Mark {
    pub const fn root(&self) -> TenantId {
        self.root
    }
}

/// A kind of key that belongs to a root.
#[derive(Debug, Clone, Copy)]
pub enum KeysOf {
    Accounts,
    Carries,
    Counters,
    DistinctValues,
    AllMembers,
    Holds,
    OpenHolds,
}

const KINDS: usize = 7;

impl StateKeys {
    /// Of keys that belong to one root.
    pub fn of(root: TenantId) -> Self {
        let mut keys = Self::default();
        keys.under(root);
        keys
    }

    /// What is pushed from here on belongs to this root.
    pub fn under(&mut self, root: TenantId) {
        if self.marks.last().is_none_or(|last| last.root != root) {
            let lengths = [
                self.accounts.len(),
                self.carries.len(),
                self.counters.len(),
                self.distinct_values.len(),
                self.all_distinct_values.len(),
                self.holds.len(),
                self.open_holds.len(),
            ];
            self.marks.push(Mark {
                root,
                from: lengths.map(|length| length as u32),
            });
        }
    }

    /// The keys of one kind in runs of one root; `None`: not known.
    pub fn runs<'a, K>(
        &'a self,
        kind: KeysOf,
        keys: &'a [K],
    ) -> impl Iterator<Item = (Option<TenantId>, &'a [K])> {
        let from = move |mark: &Mark| (mark.from[kind as usize] as usize).min(keys.len());
        let unknown = (None, &keys[..self.marks.first().map_or(keys.len(), from)]);
        let known = self.marks.iter().enumerate().map(move |(index, mark)| {
            let end = self.marks.get(index + 1).map_or(keys.len(), from);
            (Some(mark.root), &keys[from(mark)..end])
        });
        std::iter::once(unknown)
            .chain(known)
            .filter(|(_, run)| !run.is_empty())
    }

    /// The accounts that are not among `known`, and nothing else.
    pub fn other_accounts(&self, known: &FastMap<AccountKey, Balance>) -> Self {
        let mut others = Self::default();
        for (root, accounts) in self.runs(KeysOf::Accounts, &self.accounts) {
            root.into_iter().for_each(|root| others.under(root));
            others.accounts.extend(
                accounts
                    .iter()
                    .filter(|account| !known.contains_key(account)),
            );
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_belong_to_the_mark_before_them() {
        let mut keys = StateKeys::default();
        keys.holds.push(HoldId(1));
        keys.under(TenantId(7));
        keys.under(TenantId(8));
        keys.holds.extend([HoldId(2), HoldId(3)]);
        keys.carries.push(TenantId(80));
        keys.under(TenantId(7));
        keys.holds.push(HoldId(4));
        let holds: Vec<_> = keys
            .runs(KeysOf::Holds, &keys.holds)
            .map(|(root, run)| (root.map(|root| root.0), run.len()))
            .collect();
        assert_eq!(holds, [(None, 1), (Some(8), 2), (Some(7), 1)]);
        let carries: Vec<_> = keys.runs(KeysOf::Carries, &keys.carries).collect();
        assert_eq!(carries, [(Some(TenantId(8)), &[TenantId(80)][..])]);
    }
}
