//! Random histories on PostgreSQL: two journals on one database, each committing now and then, must
//! answer like the plain model. Rows follow so closely, or from so far, that all ways to a state
//! are gone.
//!
//! `JOURNAL_HISTORIES` sets how many are played.

use super::history::{HOLDS, ROOTS, Step, root_of, step, step_hold};
use super::test_ledger::{TestLedger, identity};
use super::{CENT, assert_sound, balance};
use db::{Db, PostgresOptions};
use journal::memory::MemoryJournal;
use journal::{Batch, EntryQuery, Journal, JournalEntry, Namespace, Of, Seq, StateKeys};
use journal_postgres::{PostgresJournal, PostgresJournalOptions};
use ledger::{AccountKey, Balance};
use proptest::prelude::*;
use rating::{Currency, Exact, Instant, TenantId, ids::HoldId};
use std::collections::{BTreeMap, BTreeSet};

/// Both sides, and which seq of the model is which of the database.
struct Twins {
    model: MemoryJournal,
    journals: [PostgresJournal; 2],
    names: BTreeMap<i64, i64>,
    roots: BTreeMap<i64, TenantId>,
}

impl Twins {
    async fn commit(&mut self, which: usize, mut batch: Batch) {
        let journal = &self.journals[which];
        if batch.records.len().is_multiple_of(2) {
            batch.identity_keys = batch
                .records
                .iter()
                .map(|record| journal.identity_key(record.identity.name()))
                .collect();
        }
        let (wanted, placed) = (
            self.model.commit(batch.clone()).await.unwrap(),
            journal.commit(batch.clone()).await.unwrap(),
        );
        for (index, record) in batch.records.iter().enumerate() {
            self.names.insert(wanted.at(index).0, placed.at(index).0);
            self.roots.insert(wanted.at(index).0, record.identity.root);
        }
    }

    fn named(&self, record: &JournalEntry) -> JournalEntry {
        JournalEntry {
            seq: Seq(self.names[&record.seq.0]),
            ..record.clone()
        }
    }

    /// The database's position that a position of the model means in one root.
    fn after(&self, root: TenantId, after: Option<i64>, newest_first: bool) -> Option<Seq> {
        let after = after?;
        let until = if newest_first { after - 1 } else { after };
        let last = self
            .names
            .range(..=until)
            .rev()
            .find(|(model, _)| self.roots[model] == root)
            .map_or(0, |(_, seq)| *seq);
        Some(Seq(last + i64::from(newest_first)))
    }

    async fn look(
        &self,
        which: usize,
        customer: i64,
        after: Option<i64>,
        newest_first: bool,
        limit: usize,
    ) {
        let (journal, root, tenant) = (
            &self.journals[which],
            root_of(customer),
            TenantId(1000 + customer),
        );
        let lists = [
            Of::Customer(tenant),
            Of::Account(balance(tenant)),
            Of::Account(balance(root)),
            Of::Account(AccountKey::revenue(root, Currency::EUR)),
        ];
        for of in lists {
            let query = EntryQuery {
                of: of.clone(),
                after: after.map(Seq),
                newest_first,
                limit,
            };
            let expected: Vec<JournalEntry> = self
                .model
                .read(&query)
                .await
                .unwrap()
                .iter()
                .map(|record| self.named(record))
                .collect();
            let query = EntryQuery {
                of,
                after: self.after(root, after, newest_first),
                newest_first,
                limit,
            };
            assert_eq!(journal.read(&query).await.unwrap(), expected, "{query:?}");
        }
        let wanted: Vec<_> = (0..60)
            .map(|id| identity(root, Namespace::Usage, &id.to_string()))
            .collect();
        let expected = self.model.find_each(&wanted).await.unwrap();
        let found = journal.find_each(&wanted).await.unwrap();
        assert!(
            found.iter().zip(&expected).all(
                |(got, want)| got.as_deref() == want.as_deref().map(|r| self.named(r)).as_ref()
            )
        );
        self.look_at_states(journal, root, tenant).await;
        let now = Instant(after.unwrap_or(100) / 20);
        assert_eq!(
            journal.expired_holds(now, limit).await.unwrap(),
            self.model.expired_holds(now, limit).await.unwrap()
        );
    }

    async fn look_at_states(&self, journal: &PostgresJournal, root: TenantId, tenant: TenantId) {
        let accounts = vec![
            balance(tenant),
            balance(root),
            AccountKey::revenue(root, Currency::EUR),
        ];
        let keys = StateKeys {
            accounts,
            carries: vec![tenant],
            holds: (0..HOLDS).map(HoldId).collect(),
            ..StateKeys::of(root)
        };
        let of_root = |hold: &HoldId| root_of(hold.0 % super::history::CUSTOMERS) == root;
        let (mut expected, mut got) = (
            self.model.load(&keys).await.unwrap(),
            journal.load(&keys).await.unwrap(),
        );
        expected
            .accounts
            .retain(|_, balance| *balance != Balance::default());
        got.accounts
            .retain(|_, balance| *balance != Balance::default());
        expected.holds.retain(|id, _| of_root(id));
        assert_eq!(
            (got.accounts, got.carries, got.holds),
            (expected.accounts, expected.carries, expected.holds)
        );
        let open = StateKeys {
            open_holds: (0..HOLDS).map(HoldId).filter(of_root).collect(),
            ..StateKeys::of(root)
        };
        assert_eq!(
            journal.load(&open).await.unwrap().holds,
            self.model.load(&open).await.unwrap().holds
        );
    }

    /// Everything, in the order of the roots' numbers.
    async fn look_at_all(&self, which: usize, limit: usize, newest_first: bool) {
        let all = EntryQuery {
            of: Of::All,
            after: None,
            newest_first: false,
            limit: usize::MAX,
        };
        let mut expected: Vec<JournalEntry> = self
            .model
            .read(&all)
            .await
            .unwrap()
            .iter()
            .map(|record| self.named(record))
            .collect();
        expected.sort_unstable_by_key(|record| record.seq);
        if newest_first {
            expected.reverse();
        }
        let mut query = EntryQuery {
            of: Of::All,
            after: None,
            newest_first,
            limit,
        };
        let mut got = Vec::new();
        loop {
            let page = self.journals[which].read(&query).await.unwrap();
            let Some(last) = page.last() else { break };
            query.after = Some(last.seq);
            got.extend(page);
        }
        assert_eq!(got, expected);
    }
}

async fn play(steps: Vec<(usize, Step)>, options: PostgresJournalOptions) {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let db = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let open = async || PostgresJournal::open_with(&db, options).await.unwrap();
    let mut twins = Twins {
        model: MemoryJournal::new(),
        journals: [open().await, open().await],
        names: BTreeMap::new(),
        roots: BTreeMap::new(),
    };
    let (mut test_ledger, mut used) = (TestLedger::default(), BTreeSet::new());
    for (which, step) in steps {
        match &step {
            Step::Commit(sales) => {
                // The key of the database refuses what a look-up would have found.
                for (customer, id) in sales
                    .iter()
                    .filter(|(customer, id)| used.insert((customer % ROOTS, *id)))
                {
                    test_ledger.sale(
                        root_of(*customer),
                        TenantId(1000 + customer),
                        &id.to_string(),
                        Exact(CENT.0 * 3 / 7),
                    );
                }
                twins.commit(which, test_ledger.ring_up()).await;
            }
            Step::Holds(steps) => {
                let named = |test_ledger: &TestLedger, hold: &i64| {
                    test_ledger.books.holds.contains_key(&HoldId(*hold))
                };
                for (hold, step) in steps {
                    // An extension's name is the same for all holds of a root here.
                    let again = matches!(step, super::history::HoldStep::Extend(_))
                        && named(&test_ledger, hold);
                    if !again
                        || used.insert((100 + root_of(*hold % super::history::CUSTOMERS).0, 0))
                    {
                        step_hold(&mut test_ledger, *hold, *step);
                    }
                }
                twins.commit(which, test_ledger.ring_up()).await;
            }
            Step::Reopen => twins.journals[which] = open().await,
            Step::Settle => twins.look_at_all(which, 7, which == 0).await,
            Step::Look {
                customer,
                after,
                newest_first,
                limit,
            } => {
                twins
                    .look(which, *customer, *after, *newest_first, *limit)
                    .await
            }
        }
    }
    assert_sound(&twins.journals[0].verify().await.unwrap());
}

fn cases() -> u32 {
    std::env::var("JOURNAL_HISTORIES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn two_processes_answer_like_the_model(
        steps in prop::collection::vec((0..2_usize, step()), 1..40),
        fold_bytes in prop_oneof![Just(1_usize), 100..2000_usize, Just(1 << 20)],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(steps, PostgresJournalOptions { lanes: 2, split_by_root: false, fold_bytes }));
    }
}
