//! When each key was used last: noted in memory for every request, written once a minute.

use catalog::{Catalog, CatalogError};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use rating::Instant;
use rating::ids::ApiKeyId;

/// Since they were written last, and before.
#[derive(Debug, Default)]
pub struct KeyUses {
    /// The instant, and whether it is to be written.
    uses: DashMap<ApiKeyId, (Instant, bool)>,
}

impl KeyUses {
    pub fn note(&self, key: ApiKeyId, now: Instant) {
        match self.uses.entry(key) {
            Entry::Occupied(mut slot) => *slot.get_mut() = (slot.get().0.max(now), true),
            Entry::Vacant(slot) => drop(slot.insert((now, true))),
        }
    }

    /// As far as this process knows.
    pub fn last(&self, key: ApiKeyId) -> Option<Instant> {
        self.uses.get(&key).map(|used| used.0)
    }

    /// # Errors
    /// The database did not take it; it is written the next time.
    pub async fn write(&self, catalog: &Catalog) -> Result<(), CatalogError> {
        let due: Vec<(ApiKeyId, Instant)> = self
            .uses
            .iter()
            .filter(|used| used.1)
            .map(|used| (*used.key(), used.0))
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        catalog.keys_used(&due).await?;
        for (key, at) in due {
            // Used again meanwhile: it stays due.
            self.uses.remove_if(&key, |_, used| used.0 == at);
        }
        Ok(())
    }
}
