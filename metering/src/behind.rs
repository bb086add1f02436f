//! What lies behind an event on its counters: segments whose prices change when it is taken back.

use crate::command::Problem;
use crate::directory::Directory;
use crate::engine::journal_problem;
use crate::segments::{self, SEGMENTS_MAX};
use rating::compile::CompiledCard;
use rating::{CardVersionId, TenantId};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use store::journal::{Charge, CounterKey, Journal, Place, Record, StateKeys};

#[derive(Debug, Default)]
pub struct Behind {
    /// Counters on which a charge counts in an earlier segment than the last: everything of them is needed.
    pub whole: Vec<CounterKey>,
    /// What prices their later segments.
    pub versions: HashMap<CardVersionId, Arc<CompiledCard>>,
}

impl Behind {
    /// `places`: where the charges count. It may change until the void's turn, which then asks to look again.
    pub async fn of(
        journal: &dyn Journal,
        directory: &Directory,
        root: TenantId,
        charged: &Record,
        places: &[Place],
    ) -> Result<Self, Problem> {
        let mut keys = StateKeys::of(root);
        let key = |charge: &Charge| charge.counter.map(|id| CounterKey { buyer: charge.link.buyer, id });
        keys.counters = charged.body.charges.iter().filter_map(key).collect();
        if keys.counters.is_empty() {
            return Ok(Self::default());
        }
        let counters = journal.load(&keys).await.map_err(journal_problem)?.counters;
        let mut all = StateKeys::of(root);
        let (mut firsts, mut versions) = (Vec::new(), BTreeSet::new());
        for (key, counted) in &counters {
            let first = places.iter().find(|place| place.buyer == key.buyer).map_or(0, |place| place.number);
            let later = counted.segment.number.saturating_sub(first);
            check_count(later)?;
            if later > 0 {
                all.all_members.push(*key);
                firsts.push((*key, first));
                versions.extend(counted.segment.by.map(|by| by.version));
            }
        }
        if !firsts.is_empty() {
            let members = journal.load(&all).await.map_err(journal_problem)?.members;
            for (key, first) in &firsts {
                let ended = segments::closed(members.iter(), *key, first + 1);
                versions.extend(ended.values().filter_map(|closed| closed.by).map(|by| by.version));
            }
        }
        let mut behind = Self { whole: all.all_members, versions: HashMap::new() };
        for version in versions {
            behind.versions.insert(version, directory.version(version).await?);
        }
        Ok(behind)
    }
}

fn check_count(later: u32) -> Result<(), Problem> {
    if later <= SEGMENTS_MAX {
        return Ok(());
    }
    let detail = format!("{later} segments of its month lie behind the event, and at most {SEGMENTS_MAX} are worked out again");
    Err(Problem::new("too_much_behind", detail))
}
