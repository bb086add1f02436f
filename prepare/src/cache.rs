//! Records in memory: bounded, shared by all requests, and forgotten at once with every cold write.
//!
//! Invariants: what is kept carries the generation it was read under, so that a change made while
//! it was being read is never missed. What another process changes is noticed by
//! `Directory::watch`.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

/// Locks of their own, so that readers on different cores seldom meet.
const SHARDS: usize = 16;

/// How many cold writes there have been. Clones count together: caches that are filled from one
/// another must share one.
#[derive(Debug, Clone, Default)]
pub struct Generation(Arc<AtomicU64>);

impl Generation {
    /// After every cold write: what was read before counts no longer.
    pub fn next(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Values by key; each is as good as the generation it was read under.
#[derive(Debug)]
pub struct Cache<K, V> {
    shards: [RwLock<Shard<K, V>>; SHARDS],
    hasher: RandomState,
    generation: Generation,
    /// Entries of one shard's half.
    half_max: usize,
}

/// Two halves: what is used moves to the young one; when that is full, the old one is forgotten.
#[derive(Debug)]
struct Shard<K, V> {
    young: HashMap<K, Kept<V>>,
    old: HashMap<K, Kept<V>>,
}

#[derive(Debug, Clone)]
struct Kept<V> {
    generation: u64,
    value: V,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// Keeps the `entries_max` used last, and at most twice as many.
    pub fn new(entries_max: usize, generation: &Generation) -> Self {
        let shard = || {
            RwLock::new(Shard {
                young: HashMap::new(),
                old: HashMap::new(),
            })
        };
        Self {
            shards: std::array::from_fn(|_| shard()),
            hasher: RandomState::new(),
            generation: generation.clone(),
            half_max: entries_max.div_ceil(SHARDS).max(1),
        }
    }

    /// The value as it is kept, or as it is read now. That there is none is not kept.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn get_or_read<E>(
        &self,
        key: K,
        read: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        // Before the records are read: a change made meanwhile then makes the entry stale.
        let generation = self.generation.now();
        if let Some(value) = self.get(&key, generation) {
            return Ok(Some(value));
        }
        let value = read.await?;
        if let Some(value) = &value {
            self.keep(
                key,
                Kept {
                    generation,
                    value: value.clone(),
                },
            );
        }
        Ok(value)
    }

    fn get(&self, key: &K, generation: u64) -> Option<V> {
        let lock = self.shard(key);
        let aged = {
            let shard = lock.read().ok()?;
            match shard.young.get(key) {
                Some(kept) => return (kept.generation == generation).then(|| kept.value.clone()),
                None => shard.old.contains_key(key),
            }
        };
        if !aged {
            return None;
        }
        let mut shard = lock.write().ok()?;
        let (key, kept) = shard.old.remove_entry(key)?;
        let value = (kept.generation == generation).then(|| kept.value.clone())?;
        shard.put(key, kept, self.half_max);
        Some(value)
    }

    fn keep(&self, key: K, kept: Kept<V>) {
        if let Ok(mut shard) = self.shard(&key).write() {
            shard.put(key, kept, self.half_max);
        }
    }

    fn shard(&self, key: &K) -> &RwLock<Shard<K, V>> {
        let hash = self.hasher.hash_one(key);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
    }
}

impl<K: Hash + Eq, V> Shard<K, V> {
    fn put(&mut self, key: K, kept: Kept<V>, half_max: usize) {
        if self.young.len() >= half_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn cache(entries_max: usize) -> (Cache<u32, u32>, Generation) {
        let generation = Generation::default();
        (Cache::new(entries_max, &generation), generation)
    }

    async fn read(cache: &Cache<u32, u32>, key: u32, now: Option<u32>) -> Option<u32> {
        let Ok(value) = cache
            .get_or_read(key, async { Ok::<_, Infallible>(now) })
            .await;
        value
    }

    #[tokio::test]
    async fn kept_until_the_next_write() {
        let (cache, generation) = cache(100);
        assert_eq!(read(&cache, 1, None).await, None);
        assert_eq!(read(&cache, 1, Some(10)).await, Some(10));
        assert_eq!(read(&cache, 1, Some(11)).await, Some(10));
        generation.next();
        assert_eq!(read(&cache, 1, Some(12)).await, Some(12));
        assert_eq!(read(&cache, 1, Some(13)).await, Some(12));
    }

    #[tokio::test]
    async fn a_write_while_it_is_read_is_not_missed() {
        let (cache, generation) = cache(100);
        let overtaken = async {
            generation.next();
            Ok::<_, Infallible>(Some(10))
        };
        assert_eq!(cache.get_or_read(1, overtaken).await, Ok(Some(10)));
        assert_eq!(read(&cache, 1, Some(11)).await, Some(11));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_kept() {
        let (cache, _) = cache(100);
        assert_eq!(
            cache.get_or_read(1, async { Err("gone") }).await,
            Err("gone")
        );
        assert_eq!(read(&cache, 1, Some(11)).await, Some(11));
    }

    #[tokio::test]
    async fn bounded_and_what_is_used_stays() {
        let (cache, _) = cache(64);
        for key in 1..10_000 {
            assert_eq!(
                read(&cache, 0, Some(key)).await,
                Some(1),
                "read once, at first"
            );
            read(&cache, key, Some(key)).await;
        }
        let kept = |shard: &RwLock<Shard<u32, u32>>| {
            shard
                .read()
                .map(|shard| shard.young.len() + shard.old.len())
                .unwrap()
        };
        let kept: usize = cache.shards.iter().map(kept).sum();
        assert!(kept <= 128, "{kept}");
    }
}
