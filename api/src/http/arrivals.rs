//! How much of price lists may have come in at once: so much of each reseller of the platform with
//! all below it, and so much of all of them. Whoever sends slowly has what it sent on its account,
//! and keeps nobody else from sending.

use crate::auth::Access;
use crate::http::price_lists::PRICE_LIST_BYTES_MAX;
use crate::http::turns::WAIT_SECS;
use crate::problem::ApiProblem;
use rating::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One of the largest.
const BYTES_OF_EACH_MAX: usize = PRICE_LIST_BYTES_MAX;
/// Of everybody but the platform.
const BYTES_OF_OTHERS_MAX: usize = 2 * PRICE_LIST_BYTES_MAX;

/// Whose, and whether the platform's.
type Sender = (TenantId, bool);

/// Bytes that are there, by whose they are.
#[derive(Debug, Clone, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<Sender, usize>>>);

/// One body; given back when it is dealt with or broken off.
#[derive(Debug)]
pub struct Arrival {
    sender: Sender,
    bytes: usize,
    all: Arrivals,
}

impl Arrivals {
    pub fn begin(&self, access: &Access) -> Arrival {
        // A reseller makes as many tenants below it as it likes.
        self.begin_of((access.tenant.root, access.is_platform_admin()))
    }

    fn begin_of(&self, sender: Sender) -> Arrival {
        Arrival {
            sender,
            bytes: 0,
            all: self.clone(),
        }
    }
}

impl Arrival {
    /// # Errors
    /// `rate_limited`: there is more than may be there at once.
    pub fn take(&mut self, bytes: usize) -> Result<(), ApiProblem> {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, is_platform) = self.sender;
        let own = all.get(&self.sender).copied().unwrap_or_default() + bytes;
        let others: usize = all
            .iter()
            .filter(|((_, is_platform), _)| !is_platform)
            .map(|(_, bytes)| bytes)
            .sum();
        if own > BYTES_OF_EACH_MAX || (!is_platform && others + bytes > BYTES_OF_OTHERS_MAX) {
            return Err(ApiProblem::rate_limited(WAIT_SECS));
        }
        all.insert(self.sender, own);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all
            .get(&self.sender)
            .map_or(0, |bytes| bytes.saturating_sub(self.bytes));
        if left == 0 {
            all.remove(&self.sender);
        } else {
            all.insert(self.sender, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sends_on_the_account_of_others() {
        let all = Arrivals::default();
        let of = |tenant, is_platform| all.begin_of((TenantId(tenant), is_platform));
        let code = |taken: Result<(), ApiProblem>| taken.map_err(|refused| refused.problem.code);
        let (mut first, mut second) = (of(2, false), of(2, false));
        first.take(BYTES_OF_EACH_MAX - 1).unwrap();
        second.take(1).unwrap();
        assert_eq!(
            code(second.take(1)),
            Err("rate_limited"),
            "of one reseller and all below it, however many it sends"
        );
        let (mut other, mut last) = (of(3, false), of(4, false));
        other.take(BYTES_OF_EACH_MAX).unwrap();
        assert_eq!(
            code(last.take(1)),
            Err("rate_limited"),
            "of all below the platform"
        );
        of(1, true).take(BYTES_OF_EACH_MAX).unwrap();
        drop(first);
        last.take(1).unwrap();
        drop((second, other, last));
        assert!(all.0.lock().unwrap().is_empty());
    }
}
