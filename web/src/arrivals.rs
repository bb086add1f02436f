//! How much of price lists may have come in at once: so much of each reseller of the platform with
//! all below it, and so much of all of them. Whoever sends slowly has what it sent on its account,
//! and keeps nobody else from sending.

use crate::access::Access;
use crate::problem::ApiProblem;
use crate::turns::WAIT_SECS;
use rating::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A rate deck or a rate card document of a million prefixes fits.
pub(crate) const PRICE_LIST_BYTES_MAX: usize = 256 * 1024 * 1024;
/// One of the largest.
const BYTES_OF_EACH_MAX: usize = PRICE_LIST_BYTES_MAX;
/// Of everybody but the platform.
const BYTES_OF_OTHERS_MAX: usize = 2 * PRICE_LIST_BYTES_MAX;

/// Whose, and whether the platform's.
type Sender = (TenantId, bool);

/// What is there of one sender.
#[derive(Debug, Default)]
struct There {
    bodies: usize,
    bytes: usize,
}

/// By whose they are.
#[derive(Debug, Clone, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<Sender, There>>>);

/// One body; given back when it is dealt with or broken off.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// No other body of its sender comes in: all of its declared length may be reserved. Others
    /// take memory for what has come, so that nobody reserves without end by declaring.
    pub is_alone: bool,
    sender: Sender,
    bytes: usize,
    all: Arrivals,
}

impl Arrivals {
    pub(crate) fn begin(&self, access: &Access) -> Arrival {
        // A reseller makes as many tenants below it as it likes.
        self.begin_of((access.tenant.root, access.is_platform_admin()))
    }

    fn begin_of(&self, sender: Sender) -> Arrival {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.entry(sender).or_default();
        there.bodies += 1;
        Arrival {
            is_alone: there.bodies == 1,
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
        let of_others: usize = all
            .iter()
            .filter(|((_, is_platform), _)| !is_platform)
            .map(|(_, there)| there.bytes)
            .sum();
        let own = all.entry(self.sender).or_default();
        let is_too_much = own.bytes + bytes > BYTES_OF_EACH_MAX
            || (!is_platform && of_others + bytes > BYTES_OF_OTHERS_MAX);
        if is_too_much {
            return Err(ApiProblem::rate_limited(WAIT_SECS));
        }
        own.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = all.get_mut(&self.sender) {
            there.bodies -= 1;
            there.bytes -= self.bytes;
            if there.bodies == 0 {
                all.remove(&self.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use problem::Code;

    #[test]
    fn nobody_sends_on_the_account_of_others() {
        let all = Arrivals::default();
        let of = |tenant, is_platform| all.begin_of((TenantId(tenant), is_platform));
        let code = |taken: Result<(), ApiProblem>| taken.map_err(|refused| refused.problem.code);
        let (mut first, mut second) = (of(2, false), of(2, false));
        assert_eq!((first.is_alone, second.is_alone), (true, false));
        first.take(BYTES_OF_EACH_MAX - 1).unwrap();
        second.take(1).unwrap();
        assert_eq!(
            code(second.take(1)),
            Err(Code::RateLimited),
            "of one reseller and all below it, however many it sends"
        );
        let (mut other, mut last) = (of(3, false), of(4, false));
        other.take(BYTES_OF_EACH_MAX).unwrap();
        assert_eq!(
            code(last.take(1)),
            Err(Code::RateLimited),
            "of all below the platform"
        );
        of(1, true).take(BYTES_OF_EACH_MAX).unwrap();
        drop(first);
        last.take(1).unwrap();
        drop((second, other, last));
        assert!(all.0.lock().unwrap().is_empty());
    }
}
