//! Where an audit of a root may begin: at the end of a batch, once the records up to it are gone.
//!
//! Before months are dropped their records are audited, and what they come to is kept here. A
//! digest binds that to the chain's hash after the batch, from which the chain of the records that
//! stay goes on.

use crate::codec::{pack, unpack};
use crate::{CounterKey, JournalError, Result, Seq};
use ledger::AccountKey;
use rating::usage::Counter;
use rating::{Carry, Cents, Instant, TenantId, ids::HoldId};
use serde::{Deserialize, Serialize};

/// Changes whenever the digested bytes do.
const DOMAIN: &[u8] = b"centwise opening 1";

/// What the records of a root up to a batch come to; sorted. Fields are only appended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Σ entries, cents.
    pub balances: Vec<(AccountKey, i128)>,
    /// By leaf customer and buyer of the link.
    pub carries: Vec<((TenantId, TenantId), Carry)>,
    pub counters: Vec<(CounterKey, Counter)>,
    /// Holds that were open then, with what they set aside.
    pub held: Vec<(HoldId, Vec<(AccountKey, Cents)>)>,
}

impl Totals {
    pub fn packed(&self) -> Result<Vec<u8>> {
        pack(self)
    }
    pub fn unpacked(bytes: &[u8]) -> Result<Self> {
        unpack(bytes, "the totals of an opening")
    }
}

/// A root's books at the end of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub root: TenantId,
    pub batch: i64,
    /// The batch's last record.
    pub last: Seq,
    /// Of the root's chain after the batch.
    pub hash: [u8; 32],
    pub committed_at: Instant,
    /// What arrived from here on is there.
    pub from: Instant,
    /// When records of this root were dropped for the first time.
    pub since: Instant,
    /// [`Totals`], packed.
    pub totals: Vec<u8>,
    /// As stored; right if it is [`Self::digest_now`].
    pub digest: [u8; 32],
}

impl Opening {
    /// Over everything else.
    pub fn digest_now(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN).update(&self.hash);
        for number in [
            self.root.0,
            self.batch,
            self.last.0,
            self.committed_at.micros(),
            self.from.micros(),
            self.since.micros(),
        ] {
            hasher.update(&number.to_le_bytes());
        }
        *hasher.update(&self.totals).finalize().as_bytes()
    }

    pub fn with_digest(mut self) -> Self {
        self.digest = self.digest_now();
        self
    }

    /// # Errors
    /// The totals do not read back.
    pub fn read(&self) -> Result<Totals, JournalError> {
        Totals::unpacked(&self.totals)
    }
}
