//! What must be true of a root, whatever the keys below it did: read from its records alone.

use super::subtree::Subtree;
use rating::{Cents, Exact, TenantId};
use std::collections::{BTreeMap, HashSet};
use store::journal::{Charge, Kind, Namespace, Record, Seq};

/// One root and its records, oldest first.
pub struct Books<'a> {
    pub platform: TenantId,
    pub subtree: &'a Subtree,
    pub records: &'a [&'a Record],
}

/// What is wrong, if anything is.
type Check = fn(&Books) -> Option<String>;

pub const CHECKS: [(&str, Check); 1] = [("owed", owed)];

impl Books<'_> {
    /// The link at which the platform sells.
    fn top<'r>(&self, record: &'r Record) -> Option<&'r Charge> {
        record.body.charges.iter().find(|charge| charge.link.seller == self.platform)
    }

    fn top_exact(&self, record: &Record) -> Exact {
        self.top(record).map_or(Exact::ZERO, |top| top.exact)
    }

    fn sum_at_top<'r>(&self, records: impl IntoIterator<Item = &'r &'r Record>) -> Exact {
        records.into_iter().fold(Exact::ZERO, |sum, record| sum.checked_add(self.top_exact(record)).unwrap())
    }

    /// What the platform had of each customer, in cents.
    pub fn part(&self) -> BTreeMap<TenantId, i64> {
        let mut part = BTreeMap::new();
        for record in self.records.iter().filter(|record| matches!(record.kind, Kind::Rated | Kind::RatedLater | Kind::Void)) {
            *part.entry(record.tenant).or_default() += self.top(record).map_or(0, |top| top.link.cents.0);
        }
        part
    }
}

/// Every call that the platform reported is charged at its own price, or at least at the floor.
fn owed(books: &Books) -> Option<String> {
    for call in &books.subtree.calls {
        let usage = |record: &&&Record| record.identity.namespace == Namespace::Usage && record.identity.id == call.id;
        let of: HashSet<Seq> =
            books.records.iter().filter(usage).filter(|record| record.tenant == call.tenant).map(|record| record.seq).collect();
        let is_of = |record: &&&Record| of.contains(&record.seq) || record.body.refers_to.is_some_and(|seq| of.contains(&seq));
        let charged = books.sum_at_top(books.records.iter().filter(is_of));
        let owed = Exact::from_cents(Cents(call.owed_cents));
        if charged < owed {
            return Some(format!("{} of {}: {} of {} cents charged", call.id, call.customer, charged.in_cents(), owed.in_cents()));
        }
    }
    None
}
