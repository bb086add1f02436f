//! Who else may have reported an event. Along one chain, reports with the same customer, source and
//! id are one event, and the highest reporter's counts; so a command looks for the records of the
//! others on its customer's chain that have ever reported in that root. Mostly there is only one
//! reporter, and nobody to look for.

use journal::{Journal, Name, Reporter};
use rating::TenantId;
use rating::aggregate::Level;
use rating::fast::FastMap;
use smallvec::SmallVec;

/// By root: who has ever reported usage there, by the journal, the batches under way and the
/// present one.
#[derive(Debug, Clone, Default)]
pub struct Reporters {
    by_root: FastMap<TenantId, SmallVec<[Reporter; 2]>>,
    /// The last one added: neighbours are mostly of the same.
    last: Option<(TenantId, Reporter)>,
}

impl Reporters {
    #[inline]
    pub fn add(&mut self, root: TenantId, reporter: Reporter) {
        if self.last == Some((root, reporter)) {
            return;
        }
        self.last = Some((root, reporter));
        let of_root = self.by_root.entry(root).or_default();
        if !of_root.contains(&reporter) {
            of_root.push(reporter);
        }
    }

    /// A root that is asked for, whoever reported there.
    pub fn add_root(&mut self, root: TenantId) {
        self.by_root.entry(root).or_default();
    }

    pub fn roots(&self) -> Vec<TenantId> {
        self.by_root.keys().copied().collect()
    }

    #[inline]
    pub fn of(&self, root: TenantId) -> &[Reporter] {
        self.by_root
            .get(&root)
            .map_or(&[], |of_root| of_root.as_slice())
    }

    /// Those of another batch, in the roots of this one.
    pub fn extend(&mut self, other: &Self) {
        for root in self.roots() {
            other
                .of(root)
                .iter()
                .for_each(|reporter| self.add(root, *reporter));
        }
    }

    /// Whether anybody has somebody to look for.
    #[inline]
    pub fn are_several(&self) -> bool {
        self.by_root.values().any(|of_root| of_root.len() > 1)
    }
}

/// How far below the platform a reporter is on a customer's path. Who is not on it is below
/// everybody.
#[inline]
pub fn level(path: &[TenantId], reporter: Reporter) -> Level {
    let place = reporter.map_or(Some(0), |reporter| {
        path.iter().position(|tenant| *tenant == reporter)
    });
    place
        .and_then(|place| Level::try_from(place).ok())
        .unwrap_or(Level::MAX)
}

/// Another tenant of the chain that may have reported the same event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    pub reporter: Reporter,
    /// Of the name that the event has by this reporter.
    pub key: u64,
    /// It sells to the reporter at hand, directly or not.
    pub is_above: bool,
}

/// The others on this path (from the platform down to the customer), the highest first.
pub fn others(
    reporters: &[Reporter],
    path: &[TenantId],
    name: Name<'_>,
    journal: &dyn Journal,
) -> Vec<Other> {
    let own = rank(path, name.reporter).unwrap_or(usize::MAX);
    let of_path = |reporter: &Reporter| rank(path, *reporter).map(|rank| (rank, *reporter));
    let mut ranked: Vec<(usize, Reporter)> = reporters
        .iter()
        .filter(|other| **other != name.reporter)
        .filter_map(of_path)
        .collect();
    ranked.sort_unstable();
    let other = |(rank, reporter)| Other {
        reporter,
        key: journal.identity_key(Name { reporter, ..name }),
        is_above: rank < own,
    };
    ranked.into_iter().map(other).collect()
}

/// How far below the platform; `None`: not on this path.
#[inline]
pub fn rank(path: &[TenantId], reporter: Reporter) -> Option<usize> {
    match reporter {
        None => Some(0),
        Some(tenant) => path
            .iter()
            .position(|distinct_value| *distinct_value == tenant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::Namespace;
    use journal::memory::MemoryJournal;

    #[test]
    fn others_are_those_of_the_chain_and_the_highest_comes_first() {
        let (platform, root, customer, beside) =
            (TenantId(1), TenantId(2), TenantId(3), TenantId(4));
        let journal = MemoryJournal::new();
        let name = Name {
            root,
            reporter: Some(root),
            namespace: Namespace::Usage,
            source: "pbx",
            id: "1",
        };
        let all = [Some(customer), Some(beside), Some(root), None];
        let found = others(&all, &[platform, root, customer], name, &journal);
        let found: Vec<_> = found
            .iter()
            .map(|other| (other.reporter, other.is_above))
            .collect();
        assert_eq!(found, [(None, true), (Some(customer), false)]);
    }

    #[test]
    fn one_reporter_has_nobody_to_look_for() {
        let mut reporters = Reporters::default();
        reporters.add(TenantId(2), None);
        reporters.add(TenantId(3), Some(TenantId(3)));
        reporters.add(TenantId(2), None);
        assert!(!reporters.are_several());
        let mut before = Reporters::default();
        before.add(TenantId(2), Some(TenantId(2)));
        before.add(TenantId(9), None);
        reporters.extend(&before);
        assert!(reporters.are_several());
        assert_eq!(
            (
                reporters.of(TenantId(2)).len(),
                reporters.of(TenantId(9)).len()
            ),
            (2, 0)
        );
    }
}
