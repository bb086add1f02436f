//! Which identities occur twice: by hash first, in full only where hashes repeat.

use super::tally::{DIFFERENCES_MAX, Tally};
use crate::hash::Row;
use crate::{Identity, Namespace};
use rating::TenantId;
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::Hasher;

/// Hashes of identities compared at once: 128 MiB.
pub const IDENTITIES_PER_PASS: u64 = 16 * 1024 * 1024;

/// Which identities occur twice, by hash: one part of the hashes per pass, sorted.
#[derive(Debug, Default)]
pub struct Identities {
    parts: u64,
    part: u64,
    hashes: Vec<u64>,
    /// Hashes that occur twice: to be compared in full.
    suspects: Vec<u64>,
    seen: HashMap<Identity, i64>,
    pub(super) tally: Tally,
}

impl Identities {
    pub(super) fn new(records: u64) -> Self {
        Self {
            parts: records.div_ceil(IDENTITIES_PER_PASS).max(1),
            ..Self::default()
        }
    }

    pub fn add(&mut self, row: &Row<'_>) {
        if row.namespace == Namespace::Engine as u8 {
            return;
        }
        let hash = identity_hash(row);
        if (u128::from(hash) * u128::from(self.parts)) >> 64 == u128::from(self.part) {
            self.hashes.push(hash);
        }
    }

    /// Ends a pass; true if another one is needed.
    pub fn next_pass(&mut self) -> bool {
        let hashes = &mut self.hashes;
        self.tally.examined += hashes.len() as u64;
        hashes.sort_unstable();
        self.suspects.extend(
            hashes
                .windows(2)
                .filter(|pair| pair[0] == pair[1])
                .map(|pair| pair[0]),
        );
        self.suspects.sort_unstable();
        hashes.clear();
        self.part += 1;
        self.part < self.parts
    }

    pub fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// The last pass, when there are suspects: every row again.
    pub fn confirm(&mut self, row: &Row<'_>) {
        let Some(namespace) =
            Namespace::from_code(i64::from(row.namespace)).filter(|n| *n != Namespace::Engine)
        else {
            return;
        };
        if self.suspects.binary_search(&identity_hash(row)).is_err()
            || self.tally.differences.len() >= DIFFERENCES_MAX
        {
            return;
        }
        let identity = Identity {
            root: TenantId(row.root),
            reporter: row.reporter.map(TenantId),
            namespace,
            source: row.source.into(),
            id: row.id.to_owned(),
        };
        if let Some(first) = self.seen.get(&identity) {
            self.tally.differs(format_args!(
                "records {first} and {} have the same identity: source {:?}, id {:?}",
                row.seq, row.source, row.id
            ));
        } else {
            self.seen.insert(identity, row.seq);
        }
    }
}

fn identity_hash(row: &Row<'_>) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&row.root.to_le_bytes());
    if let Some(reporter) = row.reporter {
        hasher.write(&reporter.to_le_bytes());
    }
    hasher.write(&[row.namespace
        | if row.reporter.is_some() {
            crate::hash::REPORTED
        } else {
            0
        }]);
    hasher.write(&(row.source.len() as u64).to_le_bytes());
    hasher.write(row.source.as_bytes());
    hasher.write(row.id.as_bytes());
    hasher.finish()
}
