//! What lies behind an event on its counters: segments whose prices change when it is taken back.
//!
//! That may be much, and everybody's commands wait while it is worked out: it is bounded, and those
//! that need much take turns.

use crate::segments;
use journal::{Charge, Counted, CounterKey, Journal, JournalEntry, Place, StateKeys};
use prepare::directory::Directory;
use prepare::failures::journal_problem;
use problem::{Code, Problem};
use rating::card::{Aggregation, MeterTerms};
use rating::compile::CompiledCard;
use rating::{CardVersionId, TenantId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Segments behind an event that are worked out again, and written. Behind a change of prices there
/// are as many as stragglers of the old ones; of prices that go by arrival, as many as events.
const BEHIND_MAX: u32 = 10_000;
/// Segments of a counter that are read for it.
const SEGMENTS_MAX: u32 = 100_000;
/// Events of a counter whose values are read to find the one that stands next (`max`, `latest`).
const VALUES_MAX: i64 = 50_000;
/// From so many on it takes turns.
const LONG: i64 = 500;

/// Voids that read much: one at a time of each root, and of the platform.
#[derive(Debug, Default)]
pub struct LongVoids(Mutex<HashMap<TenantId, Arc<Semaphore>>>);

impl LongVoids {
    /// `side`: the root, or the platform.
    async fn turn(&self, side: TenantId) -> Result<OwnedSemaphorePermit, Problem> {
        let ended = || Problem::new(Code::Unavailable, "the engine is shutting down");
        let turns = {
            let mut sides = self.0.lock().map_err(|_| ended())?;
            Arc::clone(
                sides
                    .entry(side)
                    .or_insert_with(|| Arc::new(Semaphore::new(1))),
            )
        };
        turns.acquire_owned().await.map_err(|_| ended())
    }
}

/// An event that is to be taken back.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'a> {
    pub root: TenantId,
    pub charged: &'a JournalEntry,
    /// By charge.
    pub cards: &'a [Option<Arc<CompiledCard>>],
    /// Where its charges count. It may change until the void's turn, which then asks to look again.
    pub places: &'a [Place],
    pub meter: &'a MeterTerms,
}

#[derive(Debug, Default)]
pub struct Behind {
    /// Counters on which a charge counts in an earlier segment than the last, or which another
    /// segment's flats bear on: everything of them is needed.
    pub whole: Vec<CounterKey>,
    /// What prices their segments.
    pub versions: HashMap<CardVersionId, Arc<CompiledCard>>,
    /// Held until it is taken back.
    pub turn: Option<Arc<OwnedSemaphorePermit>>,
}

impl Behind {
    /// `side`: whose turn it is among `long` ones.
    pub async fn of(
        journal: &dyn Journal,
        directory: &Directory,
        (long, side): (&LongVoids, TenantId),
        taken: Taken<'_>,
    ) -> Result<Self, Problem> {
        let Taken { root, charged, .. } = taken;
        let mut keys = StateKeys::of(root);
        let key = |charge: &Charge| {
            charge.counter.map(|id| CounterKey {
                buyer: charge.link.buyer,
                id,
            })
        };
        keys.counters = charged.body.charges.iter().filter_map(key).collect();
        if keys.counters.is_empty() {
            return Ok(Self::default());
        }
        let counters = journal.load(&keys).await.map_err(journal_problem)?.counters;
        let mut all = StateKeys::of(root);
        let (mut versions, mut is_long) = (BTreeSet::new(), false);
        for (key, counted) in &counters {
            let values = taken.values(key, counted)?;
            let segments = taken.segments(key, counted)?;
            is_long |= values.max(segments.into()) >= LONG;
            if segments > 0 {
                all.all_distinct_values.push(*key);
                versions.extend(counted.segment.by.map(|by| by.version));
            }
        }
        let turn = if is_long {
            Some(Arc::new(long.turn(side).await?))
        } else {
            None
        };
        if !all.all_distinct_values.is_empty() {
            let distinct_values = journal
                .load(&all)
                .await
                .map_err(journal_problem)?
                .distinct_values;
            for key in &all.all_distinct_values {
                // Also of those in front of the event: they say which flats were charged by then.
                let ended = segments::closed(distinct_values.iter(), *key, 0);
                versions.extend(
                    ended
                        .values()
                        .filter_map(|closed| closed.by)
                        .map(|by| by.version),
                );
            }
        }
        let mut behind = Self {
            whole: all.all_distinct_values,
            versions: HashMap::new(),
            turn,
        };
        for version in versions {
            behind
                .versions
                .insert(version, directory.version(version).await?);
        }
        Ok(behind)
    }
}

impl Taken<'_> {
    /// Segments of the counter that must be read; mostly none.
    fn segments(&self, key: &CounterKey, counted: &Counted) -> Result<u32, Problem> {
        let (first, last) = (
            self.places
                .iter()
                .find(|place| place.buyer == key.buyer)
                .map_or(0, |place| place.number),
            counted.segment.number,
        );
        let later = last.saturating_sub(first);
        if later == 0 && !(last > 0 && self.has_flats(key)) {
            return Ok(0);
        }
        if later > BEHIND_MAX {
            let detail = format!(
                "{later} segments of its month follow the event, and at most {BEHIND_MAX} can be \
                    recalculated"
            );
            return Err(Problem::new(Code::TooMuchBehind, detail));
        }
        if last > SEGMENTS_MAX {
            return Err(Problem::new(
                Code::TooMuchBehind,
                format!(
                    "its month has {last} segments, and a month of more than {SEGMENTS_MAX} \
                        cannot be recalculated"
                ),
            ));
        }
        Ok(last)
    }

    /// Values of the counter that must be read to find the one that stands next; at most so many.
    fn values(&self, key: &CounterKey, counted: &Counted) -> Result<i64, Problem> {
        let counts_so = |charge: &Charge, card: &CompiledCard| {
            charge.by(0).is_some_and(|by| {
                matches!(
                    card.aggregation(by.rate, self.meter.aggregation),
                    Aggregation::Max | Aggregation::Latest
                )
            })
        };
        if !self.on(key).any(|(charge, card)| counts_so(charge, card)) {
            return Ok(0);
        }
        let values = counted.counter.events;
        if values > VALUES_MAX {
            let detail = format!(
                "its month has {values} values, and a month of more than {VALUES_MAX} cannot be \
                    recalculated without one of them"
            );
            return Err(Problem::new(Code::TooMuchBehind, detail));
        }
        Ok(values)
    }

    /// Whether some of the charge on this counter may have been due once in its month.
    fn has_flats(&self, key: &CounterKey) -> bool {
        self.on(key)
            .any(|(charge, card)| charge.by(0).is_some_and(|by| card.has_flats(by.rate)))
    }

    /// Its charges on this counter, with the cards that priced them.
    fn on<'a>(
        &'a self,
        key: &'a CounterKey,
    ) -> impl Iterator<Item = (&'a Charge, &'a CompiledCard)> {
        let charges = self.charged.body.charges.iter().zip(self.cards);
        let is_on_it =
            |charge: &Charge| charge.link.buyer == key.buyer && charge.counter == Some(key.id);
        charges
            .filter(move |(charge, _)| is_on_it(charge))
            .filter_map(|(charge, card)| Some((charge, card.as_deref()?)))
    }
}
