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
mod identities;
mod opening;

pub use identities::{IDENTITIES_PER_PASS, Identities};
pub use opening::{Opening, Totals};

use crate::hash::{Row, personal_digest};
use crate::{
    Amendment, BatchHead, ChargePricing, Check, Counted, CounterKey, EntryPayload, Kind, Personal,
    Place, Seq, State,
};
use chain::Chain;
use ledger::{AccountKey, HoldState};
use rating::fast::FastMap;
use rating::{Carry, Cents, Currency, TenantId, ids::HoldId, rounding};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::hash::BuildHasher;

/// Differences listed per check; the rest is only counted as failure.
pub const DIFFERENCES_MAX: usize = 10;

/// One stored row of the journal.
#[derive(Debug, Clone, Copy)]
pub struct StoredRow<'a> {
    pub batch: i64,
    pub row: Row<'a>,
    pub personal: Option<&'a [u8]>,
}

/// A check under way.
#[derive(Debug, Default)]
struct Tally {
    examined: u64,
    failed: bool,
    differences: Vec<String>,
}

impl Tally {
    fn differs(&mut self, what: impl Display) {
        self.failed = true;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(what.to_string());
        }
    }
    fn into_check(self, name: &str) -> Check {
        Check {
            name: name.to_owned(),
            ok: !self.failed,
            examined: self.examined,
            differences: self.differences,
        }
    }
}

/// What is stored besides the records, at the same moment.
#[derive(Debug, Default)]
pub struct Stored {
    /// Every account, carry, counter, open hold and amendment.
    pub state: State,
    /// Every root's chain head.
    pub chain_heads: HashMap<TenantId, [u8; 32]>,
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

    fn charges(&mut self, row: &Row<'_>, kind: Kind, body: &EntryPayload) {
        self.charge_tally.examined += 1;
        let priced = matches!(
            kind,
            Kind::Rated | Kind::RatedLater | Kind::Void | Kind::CarrySettled
        );
        if !priced && !body.charges.is_empty() {
            self.charge_tally.differs(format_args!(
                "record {} has charges and is no rated event",
                row.seq
            ));
        }
        if body.charges.is_empty() {
            return;
        }
        if let Some(what) = misplaced(row, kind, body) {
            self.charge_tally
                .differs(format_args!("record {}: {what}", row.seq));
        }
        if body.currency.is_none() {
            return self.charge_tally.differs(format_args!(
                "record {}: charges without a currency",
                row.seq
            ));
        }
        for charge in &body.charges {
            if kind == Kind::CarrySettled {
                self.settled(row, charge);
            }
            self.carry(row, charge);
            self.counter(row, kind, charge, body.place(charge.link.buyer));
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

    fn carry(&mut self, row: &Row<'_>, charge: &crate::Charge) {
        self.carry_tally.examined += 1;
        let carry = self
            .carries
            .entry((TenantId(row.tenant), charge.link.buyer))
            .or_default();
        if rounding::post(*carry, charge.exact) != Ok((charge.link.cents, charge.carry)) {
            let (exact, cents, after) = (
                charge.exact.in_cents(),
                charge.link.cents,
                charge.carry.in_cents(),
            );
            let before = carry.in_cents();
            self.carry_tally.differs(format_args!(
                "record {}: carry {before} + {exact} is not {cents} + {after}",
                row.seq
            ));
        }
        *carry = charge.carry;
    }

    /// What ends with its owner ends half up, and by nothing else. Asked before [`Self::carry`].
    fn settled(&mut self, row: &Row<'_>, charge: &crate::Charge) {
        let carry = self
            .carries
            .get(&(TenantId(row.tenant), charge.link.buyer))
            .copied()
            .unwrap_or_default();
        let half_up = rounding::end_carry(carry) == Ok((charge.link.cents, charge.exact));
        if !half_up
            || charge.carry != Carry::ZERO
            || charge.counter.is_some()
            || charge.pricing != ChargePricing::Carry
        {
            let (is, exact) = (carry.in_cents(), charge.exact.in_cents());
            self.carry_tally.differs(format_args!(
                "record {}: carry {is} was settled as {} cents by {exact}",
                row.seq, charge.link.cents
            ));
        }
    }

    fn counter(
        &mut self,
        row: &Row<'_>,
        kind: Kind,
        charge: &crate::Charge,
        place: Option<&Place>,
    ) {
        let Some(id) = charge.counter else { return };
        self.counter_tally.examined += 1;
        let counter = self
            .counters
            .entry(CounterKey {
                buyer: charge.link.buyer,
                id,
            })
            .or_default();
        if counter.counter != charge.before {
            let (is, was) = (charge.before.quantity, counter.counter.quantity);
            self.counter_tally.differs(format_args!(
                "record {}: the counter starts at {is} and stood at {was}",
                row.seq
            ));
        }
        counter.follow(charge, place, kind == Kind::Void);
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

    fn compare(&mut self, stored: &Stored) {
        self.chain.finish(&stored.chain_heads);
        self.sum_up(stored);
        self.compare_balances(stored);
        self.compare_carries(stored);
        compare(
            "counter",
            &self.counters,
            &stored.state.counters,
            Counted::agrees,
            &mut self.counter_tally,
        );
        compare(
            "amendment of",
            &self.amendments,
            &stored.state.amendments,
            Amendment::eq,
            &mut self.amendment_tally,
        );
        self.amendment_tally.examined += self.amendments.len() as u64;
        self.compare_holds(stored);
    }

    fn sum_up(&mut self, stored: &Stored) {
        for (key, balance) in stored
            .state
            .accounts
            .iter()
            .filter(|(_, balance)| balance.posted != Cents::ZERO)
        {
            self.zero_sum_examined += 1;
            *self.sums.entry(key.currency).or_default() += i128::from(balance.posted.0);
        }
    }

    fn zero_sum(&mut self) -> Tally {
        let mut tally = Tally {
            examined: self.zero_sum_examined,
            ..Tally::default()
        };
        for (currency, sum) in std::mem::take(&mut self.sums)
            .into_iter()
            .filter(|(_, sum)| *sum != 0)
        {
            tally.differs(format_args!("{currency}: the accounts sum to {sum} cents"));
        }
        tally
    }

    fn compare_balances(&mut self, stored: &Stored) {
        for (key, balance) in &stored.state.accounts {
            let sum = self.balances.remove(key).unwrap_or_default();
            if sum != i128::from(balance.posted.0) {
                self.balance_tally.differs(format_args!(
                    "{key}: the balance is {}, its entries sum to {sum}",
                    balance.posted
                ));
            }
        }
        for (key, sum) in self.balances.drain().filter(|(_, sum)| *sum != 0) {
            self.balance_tally.differs(format_args!(
                "{key}: there is no such account, its entries sum to {sum}"
            ));
        }
    }

    fn compare_carries(&mut self, stored: &Stored) {
        let links = stored.state.carries.iter().flat_map(|(&customer, links)| {
            links
                .iter()
                .map(move |&(buyer, carry)| ((customer, buyer), carry))
        });
        let stored: HashMap<(TenantId, TenantId), Carry> =
            links.filter(|(_, carry)| *carry != Carry::ZERO).collect();
        self.carries.retain(|_, carry| *carry != Carry::ZERO);
        for (key, carry) in &self.carries {
            if stored.get(key) != Some(carry) {
                let (customer, buyer) = key;
                let is = stored.get(key).copied().unwrap_or_default().in_cents();
                self.carry_tally.differs(format_args!(
                    "{customer} on the link of {buyer}: {is} is carried, not {}",
                    carry.in_cents()
                ));
            }
        }
        for (customer, buyer) in stored.keys().filter(|key| !self.carries.contains_key(key)) {
            self.carry_tally.differs(format_args!(
                "{customer} on the link of {buyer}: something is carried without a charge"
            ));
        }
    }

    fn compare_holds(&mut self, stored: &Stored) {
        let mut held: HashMap<AccountKey, i128> = HashMap::new();
        for hold in stored
            .state
            .holds
            .values()
            .filter(|hold| hold.state == HoldState::Open)
        {
            match self.held.remove(&hold.id) {
                Some(amounts) if amounts.as_slice() == hold.amounts.as_slice() => {}
                Some(_) => self.hold_tally.differs(format_args!(
                    "{}: the hold is not what its records say",
                    hold.id
                )),
                None => self.hold_tally.differs(format_args!(
                    "{}: the hold is open without a record",
                    hold.id
                )),
            }
            hold.amounts.iter().for_each(|(account, cents)| {
                *held.entry(*account).or_default() += i128::from(cents.0)
            });
        }
        for hold in self.held.keys() {
            self.hold_tally.differs(format_args!(
                "{hold}: the hold is open by its records and not stored as open"
            ));
        }
        for (key, balance) in &stored.state.accounts {
            let sum = held.remove(key).unwrap_or_default();
            if sum != i128::from(balance.held.0) {
                self.hold_tally.differs(format_args!(
                    "{key}: {} held, its open holds sum to {sum}",
                    balance.held
                ));
            }
        }
        for key in held.keys() {
            self.hold_tally.differs(format_args!(
                "{key}: there is no such account, and holds on it are open"
            ));
        }
    }
}

/// Whether charges begin or end at a link where they must not. Usage is charged up to the platform,
/// save what corrects lower links alone; from the customer up, save where links are open. Later
/// steps may be about any links.
fn misplaced(row: &Row<'_>, kind: Kind, body: &EntryPayload) -> Option<&'static str> {
    let (first, last) = (body.charges.first()?, body.charges.last()?);
    let is_open = body
        .trail
        .steps
        .as_ref()
        .is_some_and(|steps| !steps.open.is_empty());
    if kind != Kind::Rated {
        return None;
    }
    if !is_open && first.link.buyer.0 != row.tenant {
        return Some("the first charge is not the customer's");
    }
    (body
        .trail
        .steps
        .as_ref()
        .is_none_or(|steps| steps.corrects.is_none())
        && last.link.buyer.0 != row.root)
        .then_some("the last charge is not the platform's")
}

fn compare<
    K: Eq + std::hash::Hash + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
    S: BuildHasher,
    T: BuildHasher,
>(
    what: &str,
    worked_out: &HashMap<K, V, S>,
    stored: &HashMap<K, V, T>,
    is_same: fn(&V, &V) -> bool,
    tally: &mut Tally,
) {
    for (key, value) in worked_out {
        if stored.get(key).is_none_or(|stored| !is_same(stored, value)) {
            tally.differs(format_args!(
                "{what} {key:?}: {:?} is stored, {value:?} follows from the records",
                stored.get(key)
            ));
        }
    }
    for key in stored.keys().filter(|key| !worked_out.contains_key(key)) {
        tally.differs(format_args!("{what} {key:?}: stored without a record"));
    }
}
