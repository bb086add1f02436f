//! The audit: the books worked out again from the records, and compared with what is stored.
//!
//! Pure: rows in order of seq go in, checks come out. Memory grows with accounts, customers,
//! counters and open holds, not with records; identities are compared by hash,
//! [`IDENTITIES_PER_PASS`] at a time.
//!
//! What must hold: a balance is the sum of its entries; the accounts of a currency sum to zero;
//! charges form chains, and their postings derive from them; posted = floor(carry + exact) per link
//! and leaf customer, from record to record without a gap; a counter goes on where it stood; `held`
//! is the sum of open holds; an identity occurs once; every root's hash chain is whole; what names
//! a person is what its digest says. Where months were dropped a root begins at its [`Opening`].

mod chain;
mod charges;
mod identities;
mod opening;
mod stored;
mod tally;

pub use identities::{IDENTITIES_PER_PASS, Identities};
pub use opening::{Opening, Totals};
pub use stored::Stored;
pub use tally::DIFFERENCES_MAX;

use crate::hash::{Row, personal_digest};
use crate::{Amendment, BatchHead, Check, Counted, CounterKey, EntryPayload, Kind, Personal, Seq};
use chain::Chain;
use ledger::AccountKey;
use rating::fast::FastMap;
use rating::{Carry, Cents, Currency, TenantId, ids::HoldId};
use std::collections::{BTreeMap, HashMap};
use tally::Tally;

/// One stored row of the journal.
#[derive(Debug, Clone, Copy)]
pub struct StoredRow<'a> {
    pub batch: i64,
    pub row: Row<'a>,
    pub personal: Option<&'a [u8]>,
}

#[derive(Debug, Default)]
pub struct Audit {
    keys: FastMap<TenantId, [u8; 32]>,
    last_seq: i64,
    platform: Option<TenantId>,
    balances: FastMap<AccountKey, i128>,
    carries: FastMap<(TenantId, TenantId), Carry>,
    counters: FastMap<CounterKey, Counted>,
    held: HashMap<HoldId, Vec<(AccountKey, Cents)>>,
    sums: BTreeMap<Currency, i128>,
    zero_sum_examined: u64,
    amendments: HashMap<Seq, Amendment>,
    chain: Chain,
    identities: Identities,
    balance_tally: Tally,
    charge_tally: Tally,
    carry_tally: Tally,
    counter_tally: Tally,
    hold_tally: Tally,
    amendment_tally: Tally,
    personal_tally: Tally,
    opening_tally: Tally,
}

impl Audit {
    /// `keys`: the personal keys of tenants (an erased one is absent, and its records are taken as
    /// they are). `records`: about how many will come.
    pub fn new(keys: HashMap<TenantId, [u8; 32]>, records: u64) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            identities: Identities::new(records),
            ..Self::default()
        }
    }

    /// The batches that the following rows belong to, in order.
    pub fn expect_batches(&mut self, batches: impl IntoIterator<Item = BatchHead>) {
        self.chain.expected.extend(
            batches
                .into_iter()
                .map(|head| ((head.batch, head.root), head)),
        );
    }

    pub fn row(&mut self, stored: &StoredRow<'_>) {
        let row = &stored.row;
        if row.seq != self.last_seq + 1 {
            self.chain.tally.differs(format_args!(
                "batch {}: records before {} are missing",
                stored.batch, row.seq
            ));
        }
        self.last_seq = row.seq;
        self.chain.row(stored);
        self.identities.add(row);
        self.personal(stored);
        let (Some(kind), Ok(body)) = (
            Kind::from_code(i64::from(row.kind)),
            postcard::from_bytes::<EntryPayload>(row.body),
        ) else {
            self.charge_tally.differs(format_args!(
                "record {} of batch {} does not read back",
                row.seq, stored.batch
            ));
            return;
        };
        self.charges(row, kind, &body);
        self.effects(row, &body);
        self.hold(row, kind, &body);
        if let (Kind::Void | Kind::RatedLater, Some(of)) = (kind, body.refers_to) {
            self.amendments.insert(
                of,
                Amendment {
                    kind,
                    by: Seq(row.seq),
                },
            );
        }
    }

    /// Under the tenant's key, or under none for a sender nobody knew.
    fn personal(&mut self, stored: &StoredRow<'_>) {
        let (Some(packed), Some(key)) =
            (stored.personal, self.keys.get(&TenantId(stored.row.tenant)))
        else {
            return;
        };
        self.personal_tally.examined += 1;
        let fits = postcard::from_bytes::<Personal>(packed).is_ok_and(|personal| {
            let is = |key: &[u8; 32]| personal_digest(key, &personal) == stored.row.personal_digest;
            is(key) || is(&[0; 32])
        });
        if !fits {
            let (seq, batch) = (stored.row.seq, stored.batch);
            self.personal_tally.differs(format_args!(
                "batch {batch}: the personal part of record {seq} is not what its digest says"
            ));
        }
    }

    /// One and the same in every record that names it.
    fn platform_of(&mut self, root: TenantId, body: &EntryPayload) -> Option<TenantId> {
        let mut links = body.charges.iter().map(|charge| charge.link);
        if let Some(top) = links.find(|link| link.buyer == root) {
            self.platform.get_or_insert(top.seller);
        }
        self.platform
    }

    fn effects(&mut self, row: &Row<'_>, body: &EntryPayload) {
        for posting in &body.postings {
            if posting.cents <= Cents::ZERO {
                self.balance_tally.differs(format_args!(
                    "record {}: a posting of {} cents",
                    row.seq, posting.cents
                ));
            }
        }
        let root = TenantId(row.root);
        match crate::effects(root, self.platform_of(root, body), body) {
            Ok(effects) => {
                for effect in effects {
                    *self.balances.entry(effect.account).or_default() += i128::from(effect.cents.0);
                    self.balance_tally.examined += u64::from(effect.cents != Cents::ZERO);
                }
            }
            Err(refusal) => self
                .charge_tally
                .differs(format_args!("record {}: {refusal}", row.seq)),
        }
    }

    fn hold(&mut self, row: &Row<'_>, kind: Kind, body: &EntryPayload) {
        let Some(hold) = body.hold else { return };
        self.hold_tally.examined += 1;
        match kind {
            Kind::HoldPlaced | Kind::HoldExtended => {
                drop(self.held.insert(hold, body.held.clone()))
            }
            _ if self.held.remove(&hold).is_none() => self.hold_tally.differs(format_args!(
                "record {} ends {hold}, which is not open",
                row.seq
            )),
            _ => {}
        }
    }

    /// Identities that did not fit into the first pass: for each further pass feed every row again.
    pub const fn identities(&mut self) -> &mut Identities {
        &mut self.identities
    }

    /// Where a journal is one per root: the rows of the next one follow, behind this seq.
    pub const fn begin_root(&mut self, before: Seq) {
        self.last_seq = before.0;
    }

    /// The same of a root whose first records are gone: its rows follow behind the opening.
    pub fn begin_at(&mut self, opening: &Opening) {
        self.opening_tally.examined += 1;
        let (root, batch) = (opening.root, opening.batch);
        if opening.digest != opening.digest_now() {
            self.opening_tally.differs(format_args!(
                "{root}: the opening after batch {batch} is not what was kept: its digest differs"
            ));
        }
        match opening.read() {
            Ok(totals) => {
                self.balances.extend(totals.balances);
                self.carries.extend(totals.carries);
                self.counters.extend(
                    totals
                        .counters
                        .into_iter()
                        .map(|(key, counter)| (key, Counted::before_segments(counter))),
                );
                self.held.extend(totals.held);
            }
            Err(error) => self.opening_tally.differs(format_args!(
                "{root}: the opening after batch {batch}: {error}"
            )),
        }
        self.last_seq = opening.last.0;
        self.chain.begin_after(root, opening.hash);
    }

    /// What the rows of the present root come to so far.
    pub fn totals(&self) -> Totals {
        fn sorted<K: Ord + Clone, V: Clone>(all: impl Iterator<Item = (K, V)>) -> Vec<(K, V)> {
            let mut all: Vec<(K, V)> = all.collect();
            all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            all
        }
        let balances = self.balances.iter().filter(|(_, sum)| **sum != 0);
        let carries = self
            .carries
            .iter()
            .filter(|(_, carry)| **carry != Carry::ZERO);
        Totals {
            balances: sorted(balances.map(|(key, sum)| (*key, *sum))),
            carries: sorted(carries.map(|(key, carry)| (*key, *carry))),
            counters: sorted(
                self.counters
                    .iter()
                    .map(|(key, counted)| (*key, counted.counter)),
            ),
            held: sorted(self.held.iter().map(|(id, held)| (*id, held.clone()))),
        }
    }

    /// After the last row of a root, with what is stored of it; nothing of it is kept.
    pub fn end_root(&mut self, stored: &Stored) {
        self.compare(stored);
        self.carries.clear();
        self.counters.clear();
        self.held.clear();
        self.amendments.clear();
    }

    /// After the last row.
    pub fn finish(mut self, stored: &Stored) -> Vec<Check> {
        self.compare(stored);
        let zero_sum = self.zero_sum();
        vec![
            self.balance_tally.into_check("balances"),
            zero_sum.into_check("zero_sum"),
            self.charge_tally.into_check("charges"),
            self.carry_tally.into_check("carry"),
            self.counter_tally.into_check("counters"),
            self.hold_tally.into_check("holds"),
            self.amendment_tally.into_check("amendments"),
            self.identities.tally.into_check("identities"),
            self.personal_tally.into_check("personal"),
            self.opening_tally.into_check("openings"),
            self.chain.tally.into_check("hash_chain"),
        ]
    }
}
