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
    /// Counters on which a charge counts in an earlier segment than the last, or which another segment's flats bear on:
    /// everything of them is needed.
    pub whole: Vec<CounterKey>,
    /// What prices their segments.
    pub versions: HashMap<CardVersionId, Arc<CompiledCard>>,
}

impl Behind {
    /// `places`: where the charges count. It may change until the void's turn, which then asks to look again.
    pub async fn of(
        journal: &dyn Journal,
        directory: &Directory,
        root: TenantId,
        (charged, cards): (&Record, &[Option<Arc<CompiledCard>>]),
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
            if later > 0 || (counted.segment.number > 0 && has_flats(charged, cards, key)) {
                all.all_members.push(*key);
                firsts.push(*key);
                versions.extend(counted.segment.by.map(|by| by.version));
            }
        }
        if !firsts.is_empty() {
            let members = journal.load(&all).await.map_err(journal_problem)?.members;
            for key in &firsts {
                // Also of those in front of the event: they say which flats were charged by then.
                let ended = segments::closed(members.iter(), *key, 0);
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

/// Whether some of the charge on this counter may have been due once in its month.
fn has_flats(charged: &Record, cards: &[Option<Arc<CompiledCard>>], key: &CounterKey) -> bool {
    charged.body.charges.iter().zip(cards).any(|(charge, card)| {
        let is_on_it = charge.link.buyer == key.buyer && charge.counter == Some(key.id);
        is_on_it && card.as_ref().zip(charge.by(0)).is_some_and(|(card, by)| card.has_flats(by.rate))
    })
}

fn check_count(later: u32) -> Result<(), Problem> {
    if later <= SEGMENTS_MAX {
        return Ok(());
    }
    let detail = format!("{later} segments of its month lie behind the event, and at most {SEGMENTS_MAX} are worked out again");
    Err(Problem::new("too_much_behind", detail))
}
