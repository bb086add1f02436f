//! Who has ever reported usage, or placed holds, in the books of a root: mostly one tenant. Others
//! who may have used the same ids are looked for only among these.

use crate::{JournalEntry, Namespace, Reporter};
use rating::TenantId;
use rating::fast::FastMap;
use smallvec::SmallVec;

/// One who reported: in these books, of this namespace.
pub type Reported = (TenantId, Namespace, Reporter);

#[derive(Debug, Clone, Default)]
pub struct Reporters(FastMap<TenantId, OfRoot>);

type OfRoot = SmallVec<[(Namespace, Reporter); 2]>;

impl Reporters {
    pub fn add(&mut self, root: TenantId, namespace: Namespace, reporter: Reporter) {
        let of_root = self.0.entry(root).or_default();
        if !of_root.contains(&(namespace, reporter)) {
            of_root.push((namespace, reporter));
        }
    }

    pub fn has(&self, (root, namespace, reporter): Reported) -> bool {
        self.0
            .get(&root)
            .is_some_and(|of_root| of_root.contains(&(namespace, reporter)))
    }

    /// How many there are of a root.
    pub fn of_root(&self, root: TenantId) -> usize {
        self.0.get(&root).map_or(0, |of_root| of_root.len())
    }

    pub fn of(&self, roots: &[TenantId], namespace: Namespace) -> Vec<(TenantId, Reporter)> {
        let of_root = |root: &TenantId| {
            let all = self.0.get(root).into_iter().flatten();
            let root = *root;
            all.filter(move |(of, _)| *of == namespace)
                .map(move |(_, reporter)| (root, *reporter))
        };
        roots.iter().flat_map(of_root).collect()
    }

    /// Those of a batch's records that have not reported before.
    pub fn new_ones(&self, records: &[JournalEntry]) -> Vec<Reported> {
        let (mut new, mut last) = (Vec::new(), None);
        for record in records {
            let identity = &record.identity;
            let reported = (identity.root, identity.namespace, identity.reporter);
            // Neighbours are mostly of the same.
            if !identity.namespace.has_reporters() || last == Some(reported) {
                continue;
            }
            last = Some(reported);
            if !self.has(reported) && !new.contains(&reported) {
                new.push(reported);
            }
        }
        new
    }
}
