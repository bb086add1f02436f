//! States that are not in their rows yet.

use journal::{Carries, Counted, CounterKey};
use ledger::{AccountKey, Balance, Hold};
use rating::fast::FastMap;
use rating::{TenantId, ids::HoldId};

/// States that are newer than their rows, and how many records made them so.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    pub accounts: FastMap<AccountKey, Balance>,
    pub carries: FastMap<TenantId, Carries>,
    pub counters: FastMap<CounterKey, Counted>,
    /// Open or ended.
    pub holds: FastMap<HoldId, Hold>,
    pub records: usize,
}

impl Pending {
    pub fn add(
        &mut self,
        accounts: FastMap<AccountKey, Balance>,
        carries: FastMap<TenantId, Carries>,
        counters: FastMap<CounterKey, Counted>,
        holds: FastMap<HoldId, Hold>,
        records: usize,
    ) {
        self.accounts.extend(accounts);
        self.carries.extend(carries);
        self.counters.extend(counters);
        self.holds.extend(holds);
        self.records += records;
    }
}
