//! Random histories: the database, with runs so small that they are written and merged all the
//! time, must answer like the plain model.

use super::test_ledger::{TestLedger, identity};
use super::{CENT, assert_sound, balance, seqs};
use db::Db;
use journal::memory::MemoryJournal;
use journal::{EntryQuery, Journal, Namespace, Of, Seq, StateKeys};
use journal_sqlite::{JournalOptions, SqliteJournal};
use ledger::{AccountKey, Balance, HoldState};
use proptest::prelude::*;
use rating::{Currency, Exact, Instant, TenantId, ids::HoldId};

pub const ROOTS: i64 = 3;
pub const CUSTOMERS: i64 = 7;
pub const HOLDS: i64 = 4 * CUSTOMERS;

#[derive(Debug, Clone)]
pub enum Step {
    /// Sales of (customer, id): ids repeat.
    Commit(Vec<(i64, u16)>),
    /// Each places this hold, or does what it says with it if it is open; all in one batch.
    Holds(Vec<(i64, HoldStep)>),
    Reopen,
    Settle,
    Look {
        customer: i64,
        after: Option<i64>,
        newest_first: bool,
        limit: usize,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum HoldStep {
    Extend(i64),
    Capture,
    Release,
    Expire,
}

fn hold_step() -> impl Strategy<Value = HoldStep> {
    prop_oneof![
        2 => (1..30_i64).prop_map(HoldStep::Extend),
        1 => Just(HoldStep::Capture),
        1 => Just(HoldStep::Release),
        1 => Just(HoldStep::Expire),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    let customer = 0..CUSTOMERS;
    prop_oneof![
        6 => prop::collection::vec((customer.clone(), 0..60_u16), 0..12).prop_map(Step::Commit),
        5 => prop::collection::vec((0..HOLDS, hold_step()), 1..4).prop_map(Step::Holds),
        2 => Just(Step::Reopen),
        1 => Just(Step::Settle),
        4 => (customer, prop::option::of(0..200_i64), any::<bool>(), 1..20_usize)
            .prop_map(|(customer, after, newest_first, limit)| Step::Look { customer, after, newest_first, limit }),
    ]
}

pub fn root_of(customer: i64) -> TenantId {
    TenantId(100 + customer % ROOTS)
}

async fn same_answers(model: &MemoryJournal, journal: &SqliteJournal, step: &Step) {
    let Step::Look {
        customer,
        after,
        newest_first,
        limit,
    } = step
    else {
        return;
    };
    let (root, tenant) = (root_of(*customer), TenantId(1000 + customer));
    let lists = [
        Of::Customer(tenant),
        Of::Account(balance(tenant)),
        Of::Account(balance(root)),
        Of::Account(AccountKey::revenue(root, Currency::EUR)),
        Of::All,
    ];
    for of in lists {
        let query = EntryQuery {
            of,
            after: after.map(Seq),
            newest_first: *newest_first,
            limit: *limit,
        };
        let (expected, got) = (
            model.read(&query).await.unwrap(),
            journal.read(&query).await.unwrap(),
        );
        assert_eq!(seqs(&got), seqs(&expected), "{query:?}");
        assert_eq!(got, expected);
    }
    let wanted: Vec<_> = (0..60)
        .map(|id| identity(root, Namespace::Usage, &id.to_string()))
        .collect();
    assert_eq!(
        journal.find_each(&wanted).await.unwrap(),
        model.find_each(&wanted).await.unwrap()
    );
    let keys = StateKeys {
        accounts: vec![balance(tenant), balance(root)],
        carries: vec![tenant],
        holds: (0..HOLDS).map(HoldId).collect(),
        ..StateKeys::default()
    };
    let (mut expected, mut got) = (
        model.load(&keys).await.unwrap(),
        journal.load(&keys).await.unwrap(),
    );
    let now = Instant(after.unwrap_or(100) / 20);
    let (due, expected_due) = (
        journal.expired_holds(now, *limit).await.unwrap(),
        model.expired_holds(now, *limit).await.unwrap(),
    );
    assert_eq!(due, expected_due);
    // Empty and absent are the same.
    expected
        .accounts
        .retain(|_, balance| *balance != Balance::default());
    got.accounts
        .retain(|_, balance| *balance != Balance::default());
    assert_eq!(
        (got.accounts, got.carries, got.holds),
        (expected.accounts, expected.carries, expected.holds)
    );
}

pub fn step_hold(test_ledger: &mut TestLedger, number: i64, step: HoldStep) {
    let (id, customer) = (HoldId(number), number % CUSTOMERS);
    let Some(hold) = test_ledger.books.holds.get(&id) else {
        return test_ledger.hold(
            root_of(customer),
            TenantId(1000 + customer),
            id,
            7 + number,
            Instant(9 - customer),
        );
    };
    match step {
        _ if hold.state != HoldState::Open => {}
        HoldStep::Extend(cents) => test_ledger.extend(id, cents, Instant(cents / 3)),
        HoldStep::Capture => test_ledger.capture(id, Exact(CENT.0 * i128::from(number))),
        HoldStep::Release => test_ledger.release(id),
        HoldStep::Expire => test_ledger.expire(id),
    }
}

async fn play(steps: Vec<Step>, options: JournalOptions) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open_sqlite(&dir.path().join("centwise.db"))
        .await
        .unwrap();
    let model = MemoryJournal::new();
    let mut journal = SqliteJournal::open_with(&db, options).await.unwrap();
    let mut test_ledger = TestLedger::default();
    for step in steps {
        match &step {
            Step::Commit(sales) => {
                for (customer, id) in sales {
                    test_ledger.sale(
                        root_of(*customer),
                        TenantId(1000 + customer),
                        &id.to_string(),
                        Exact(CENT.0 * 3 / 7),
                    );
                }
                let mut batch = test_ledger.ring_up();
                if sales.len() % 2 == 0 {
                    batch.identity_keys = batch
                        .records
                        .iter()
                        .map(|record| journal.identity_key(record.identity.name()))
                        .collect();
                }
                assert_eq!(
                    journal.commit(batch.clone()).await.unwrap(),
                    model.commit(batch).await.unwrap()
                );
            }
            Step::Holds(steps) => {
                steps
                    .iter()
                    .for_each(|(hold, step)| step_hold(&mut test_ledger, *hold, *step));
                let batch = test_ledger.ring_up();
                assert_eq!(
                    journal.commit(batch.clone()).await.unwrap(),
                    model.commit(batch).await.unwrap()
                );
            }
            Step::Reopen => {
                journal.settle().await.unwrap();
                journal = SqliteJournal::open_with(&db, options).await.unwrap();
            }
            Step::Settle => journal.settle().await.unwrap(),
            Step::Look { .. } => same_answers(&model, &journal, &step).await,
        }
    }
    let (expected, mut got) = (
        model.verify().await.unwrap(),
        journal.verify().await.unwrap(),
    );
    // The model has no records beside its journal.
    let of_records = got.split_off(expected.len());
    assert_eq!(got, expected, "also the hash chains are the same");
    assert!(of_records.iter().all(|check| check.ok), "{of_records:?}");
    let sound: Vec<_> = got
        .into_iter()
        .filter(|check| check.name != "identities")
        .collect();
    assert_sound(&sound);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_database_answers_like_the_model(
        steps in prop::collection::vec(step(), 1..40),
        recent_records_max in 1..30_usize,
        fan_out in 2..4_usize,
        pending_records_max in 1..60_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(steps, JournalOptions { recent_records_max, fan_out, pending_records_max }));
    }
}
