//! Open holds in memory.

use ledger::{Hold, HoldState};
use rating::fast::FastMap;
use rating::{Instant, ids::HoldId};
use std::collections::BTreeSet;

/// All open holds: whether an event's id names one, and which are over, is answered without the
/// disk.
#[derive(Debug, Default)]
pub struct OpenHolds {
    by_id: FastMap<HoldId, Hold>,
    by_end: BTreeSet<(Instant, HoldId)>,
}

impl OpenHolds {
    pub fn get(&self, id: &HoldId) -> Option<&Hold> {
        self.by_id.get(id)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The hold as it is now, open or not.
    pub fn set(&mut self, hold: &Hold) {
        if let Some(before) = self.by_id.remove(&hold.id) {
            self.by_end.remove(&(before.expires_at, before.id));
        }
        if hold.state == HoldState::Open {
            self.by_end.insert((hold.expires_at, hold.id));
            self.by_id.insert(hold.id, hold.clone());
        }
    }

    /// Oldest end first.
    pub fn over(&self, now: Instant) -> impl Iterator<Item = &Hold> {
        let over = self.by_end.iter().take_while(move |(end, _)| *end <= now);
        over.filter_map(|(_, id)| self.by_id.get(id))
    }
}

impl FromIterator<Hold> for OpenHolds {
    fn from_iter<T: IntoIterator<Item = Hold>>(holds: T) -> Self {
        let mut open = Self::default();
        holds.into_iter().for_each(|hold| open.set(&hold));
        open
    }
}
