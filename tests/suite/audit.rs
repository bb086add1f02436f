//! The books worked out again from the records alone, and compared with the states that the journal
//! keeps: on every journal the same, apart from the journal's own `verify`.

use centwise_tests::read_all;
use journal::{CounterKey, EntryPayload, Journal, JournalEntry, Kind, Seq, StateKeys};
use ledger::{AccountKey, Balance, LinkCharge};
use rating::usage::Counter;
use rating::{Carry, Cents, Currency, Exact, TenantId, ids::HoldId};
use std::collections::{BTreeMap, HashMap};

/// What the records come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audited {
    pub records: Vec<JournalEntry>,
    pub accounts: BTreeMap<AccountKey, Balance>,
    /// By customer and buyer of the link: exact sum, posted sum, carry.
    pub links: BTreeMap<(TenantId, TenantId), (Exact, Cents, Carry)>,
    pub counters: BTreeMap<CounterKey, Counter>,
}

/// Reads everything, checks the rules of DESIGN "Money", and compares balances, carries and
/// counters with the stored ones.
pub async fn audit(journal: &dyn Journal, platform: TenantId) -> Audited {
    let mut audited = Audited {
        records: read_all(journal).await,
        ..Audited::default()
    };
    let mut open: HashMap<HoldId, EntryPayload> = HashMap::new();
    let mut before = Seq(0);
    for record in &audited.records {
        // On PostgreSQL each root counts by itself, under a number of its own.
        let begins = record.seq.0 >> 40 > before.0 >> 40 && record.seq.0 & ((1 << 40) - 1) == 1;
        assert!(
            record.seq.0 == before.0 + 1 || begins,
            "seqs are dense: {:?} follows {before:?}",
            record.seq
        );
        before = record.seq;
        charges(
            &mut audited.accounts,
            &mut audited.links,
            &mut audited.counters,
            platform,
            record,
        );
        for posting in &record.body.postings {
            post(
                &mut audited.accounts,
                posting.from,
                posting.to,
                posting.cents,
            );
        }
        hold(&mut audited.accounts, &mut open, record);
    }
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    audited
        .accounts
        .iter()
        .for_each(|(key, balance)| *sums.entry(key.currency).or_default() += balance.posted.0);
    assert!(
        sums.values().all(|sum| *sum == 0),
        "the accounts of a currency sum to zero: {sums:?}"
    );
    compare(journal, &audited).await;
    for check in journal.verify().await.unwrap() {
        assert!(check.ok, "{check:?}");
    }
    audited
}

impl Audited {
    /// The records root by root, numbered within their root, whichever way the journal numbers
    /// them.
    pub fn by_root(mut self) -> Self {
        self.records
            .sort_by_key(|record| (record.identity.root, record.seq));
        let (mut named, mut last) = (HashMap::new(), (TenantId(0), 0));
        for record in &self.records {
            let root = record.identity.root;
            last = if last.0 == root {
                (root, last.1 + 1)
            } else {
                (root, 1)
            };
            named.insert(record.seq, Seq(root.0 << 40 | last.1));
        }
        for record in &mut self.records {
            record.seq = named[&record.seq];
            record.body.refers_to = record.body.refers_to.map(|seq| named[&seq]);
            if let Some(steps) = &mut record.body.trail.steps {
                (steps.previous, steps.corrects) = (
                    steps.previous.map(|seq| named[&seq]),
                    steps.corrects.map(|seq| named[&seq]),
                );
            }
        }
        self
    }
}

fn post(
    accounts: &mut BTreeMap<AccountKey, Balance>,
    from: AccountKey,
    to: AccountKey,
    cents: Cents,
) {
    assert!(cents > Cents::ZERO, "a posting moves positive cents");
    accounts.entry(from).or_default().posted.0 -= cents.0;
    accounts.entry(to).or_default().posted.0 += cents.0;
}

fn charges(
    accounts: &mut BTreeMap<AccountKey, Balance>,
    links: &mut BTreeMap<(TenantId, TenantId), (Exact, Cents, Carry)>,
    counters: &mut BTreeMap<CounterKey, Counter>,
    platform: TenantId,
    record: &JournalEntry,
) {
    let charges: Vec<LinkCharge> = record
        .body
        .charges
        .iter()
        .map(|charge| charge.link)
        .collect();
    if charges.is_empty() {
        return;
    }
    assert!(
        matches!(
            record.kind,
            Kind::Rated | Kind::RatedLater | Kind::Void | Kind::CarrySettled
        ),
        "{record:?}"
    );
    for posting in ledger::postings_of(
        record.identity.root,
        platform,
        record.body.currency.unwrap(),
        &charges,
    )
    .unwrap()
    {
        post(accounts, posting.from, posting.to, posting.cents);
    }
    let parts: i64 = ledger::splits_of(&charges)
        .unwrap()
        .iter()
        .map(|(_, cents)| cents.0)
        .sum();
    assert_eq!(
        parts, charges[0].cents.0,
        "the parts sum to what the lowest link charges: {record:?}"
    );
    for charge in &record.body.charges {
        let (exact, posted, carry) = links.entry((record.tenant, charge.link.buyer)).or_default();
        *exact = exact.checked_add(charge.exact).unwrap();
        *posted = posted.checked_add(charge.link.cents).unwrap();
        *carry = charge.carry;
        assert!(
            (0..Exact::PER_CENT as i64).contains(&carry.0),
            "a carry is below one cent: {record:?}"
        );
        assert_eq!(
            posted.0 as i128 * Exact::PER_CENT + i128::from(carry.0),
            exact.0,
            "posted + carry = exact: {record:?}"
        );
        if let Some(id) = charge.counter {
            let counter = counters
                .entry(CounterKey {
                    buyer: charge.link.buyer,
                    id,
                })
                .or_default();
            assert_eq!(
                *counter, charge.before,
                "a counter goes on where it stood: {record:?}"
            );
            *counter = charge.after;
        }
    }
}

fn hold(
    accounts: &mut BTreeMap<AccountKey, Balance>,
    open: &mut HashMap<HoldId, EntryPayload>,
    record: &JournalEntry,
) {
    let Some(id) = record.body.hold else { return };
    if let Some(held) = open.remove(&id) {
        held.held
            .iter()
            .for_each(|(account, cents)| accounts.entry(*account).or_default().held.0 -= cents.0);
    } else {
        assert_eq!(
            record.kind,
            Kind::HoldPlaced,
            "a hold ends once: {record:?}"
        );
    }
    if matches!(record.kind, Kind::HoldPlaced | Kind::HoldExtended) {
        record
            .body
            .held
            .iter()
            .for_each(|(account, cents)| accounts.entry(*account).or_default().held.0 += cents.0);
        open.insert(id, record.body.clone());
    }
}

async fn compare(journal: &dyn Journal, audited: &Audited) {
    let keys = StateKeys {
        accounts: audited.accounts.keys().copied().collect(),
        carries: audited
            .links
            .keys()
            .map(|(customer, _)| *customer)
            .collect(),
        counters: audited.counters.keys().copied().collect(),
        ..StateKeys::default()
    };
    let stored = journal.load(&keys).await.unwrap();
    for (key, balance) in &audited.accounts {
        assert_eq!(
            stored.accounts.get(key).copied().unwrap_or_default(),
            *balance,
            "{key}"
        );
    }
    for ((customer, buyer), (_, _, carry)) in &audited.links {
        let carries = stored.carries.get(customer).cloned().unwrap_or_default();
        let of_link = carries
            .iter()
            .find(|(of, _)| of == buyer)
            .map_or(Carry::ZERO, |(_, carry)| *carry);
        assert_eq!(
            of_link, *carry,
            "the carry of {customer} on the link of {buyer}"
        );
    }
    for (key, counter) in &audited.counters {
        assert_eq!(
            stored
                .counters
                .get(key)
                .copied()
                .unwrap_or_default()
                .counter,
            *counter,
            "{key:?}"
        );
    }
}
