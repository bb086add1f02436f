//! Customers kept in memory with their chains, by who asks and the name it uses. A look-up borrows
//! the name and takes a shared lock: it happens for every event, a change for hardly any.
//!
//! Bounded by two generations: what is used moves to the young one; when that is full the old one
//! is forgotten. Whether an entry is still true is for the reader to say (its generation).

use crate::customer::Customer;
use rating::TenantId;
use rating::fast::FastMap;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Names come from callers, so their hashes are keyed.
type ByName = HashMap<Box<str>, Arc<Customer>>;

#[derive(Debug)]
pub struct Customers {
    kept: RwLock<Kept>,
    /// Of one generation; there are two.
    max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    young: FastMap<TenantId, ByName>,
    young_len: usize,
    old: FastMap<TenantId, ByName>,
}

impl Customers {
    pub fn new(max: usize) -> Self {
        Self {
            kept: RwLock::default(),
            max,
        }
    }

    pub fn get(&self, caller: TenantId, name: &str) -> Option<Arc<Customer>> {
        let of =
            |generation: &FastMap<TenantId, ByName>| generation.get(&caller)?.get(name).cloned();
        let old = {
            // Nothing is left half changed by a panic: every step is one insertion.
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(hit) = of(&kept.young) {
                return Some(hit);
            }
            of(&kept.old)?
        };
        self.put(caller, name, Arc::clone(&old));
        Some(old)
    }

    pub fn put(&self, caller: TenantId, name: &str, customer: Arc<Customer>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.young_len >= self.max {
            kept.old = std::mem::take(&mut kept.young);
            kept.young_len = 0;
        }
        if kept
            .young
            .entry(caller)
            .or_default()
            .insert(name.into(), customer)
            .is_none()
        {
            kept.young_len += 1;
        }
    }
}
