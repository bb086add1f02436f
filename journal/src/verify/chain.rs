//! The hash chains worked out again, and compared with the heads that were committed.

use super::StoredRow;
use super::tally::{Tally, compare};
use crate::BatchHead;
use crate::hash::{BatchHasher, GENESIS};
use rating::{Instant, TenantId};
use std::collections::{BTreeMap, HashMap};

/// Every root's chain, batch by batch.
#[derive(Debug, Default)]
pub struct Chain {
    pub expected: BTreeMap<(i64, TenantId), BatchHead>,
    chain_heads: HashMap<TenantId, [u8; 32]>,
    open: BTreeMap<TenantId, (BatchHasher, i64)>,
    batch: i64,
    pub tally: Tally,
}

impl Chain {
    /// The rows of this root begin behind a batch with this hash.
    pub fn begin_after(&mut self, root: TenantId, hash: [u8; 32]) {
        self.chain_heads.insert(root, hash);
    }

    pub fn row(&mut self, stored: &StoredRow<'_>) {
        self.tally.examined += 1;
        if stored.batch != self.batch {
            self.close_batch();
            self.batch = stored.batch;
        }
        let root = TenantId(stored.row.root);
        let (batch, expected, chain_heads) = (self.batch, &self.expected, &self.chain_heads);
        let (hasher, records) = self.open.entry(root).or_insert_with(|| {
            let committed_at = expected
                .get(&(batch, root))
                .map_or(Instant::MIN, |head| head.committed_at);
            (
                BatchHasher::new(
                    chain_heads.get(&root).unwrap_or(&GENESIS),
                    root,
                    batch,
                    committed_at,
                ),
                0,
            )
        });
        hasher.row(&stored.row);
        *records += 1;
    }

    fn close_batch(&mut self) {
        let batch = self.batch;
        for (root, (mut hasher, records)) in std::mem::take(&mut self.open) {
            let Some(head) = self.expected.remove(&(batch, root)) else {
                self.tally.differs(format_args!(
                    "batch {batch} of {root} has records and no head"
                ));
                continue;
            };
            if head.records != records {
                self.tally.differs(format_args!(
                    "batch {batch} of {root} had {} records and has {records}",
                    head.records
                ));
            } else if hasher.finish() != head.hash {
                self.tally.differs(format_args!(
                    "batch {batch} of {root} is not what was committed: its hash differs"
                ));
            }
            // From the stored hash on, so that one difference is named once.
            self.chain_heads.insert(root, head.hash);
        }
        let rest = self.expected.split_off(&(batch + 1, TenantId(i64::MIN)));
        for (batch, root) in std::mem::replace(&mut self.expected, rest).into_keys() {
            self.tally
                .differs(format_args!("batch {batch} of {root} has lost its records"));
        }
    }

    pub fn finish(&mut self, stored: &HashMap<TenantId, [u8; 32]>) {
        self.close_batch();
        for (batch, root) in std::mem::take(&mut self.expected).into_keys() {
            self.tally
                .differs(format_args!("batch {batch} of {root} has lost its records"));
        }
        compare(
            "the chain of",
            &self.chain_heads,
            stored,
            PartialEq::eq,
            &mut self.tally,
        );
        self.chain_heads.clear();
        self.batch = 0;
    }
}
