//! One suite, stamped per backend: what every journal must do. What only a file can do follows
//! below.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "everything here is a test: what is not expected ends it"
)]

mod failover;
mod file;
mod history;
mod schema;
mod shared_history;
mod statements;
pub mod test_ledger;

use db::{Db, PostgresOptions};
use journal::memory::MemoryJournal;
use journal::{
    Check, CounterKey, EntryQuery, Identity, Journal, JournalEntry, JournalError, Kind, Namespace,
    Of, Seq, StateKeys,
};
use journal_postgres::{PostgresJournal, PostgresJournalOptions};
use journal_sqlite::{JournalOptions, SqliteJournal};
use ledger::{AccountKey, Balance};
use rating::usage::CounterId;
use rating::{Cents, Currency, Exact, Instant, TenantId, ids::HoldId};
use tempfile::TempDir;
use test_ledger::{TestLedger, identity};

pub const ROOT: TenantId = TenantId(100);
pub const ACME: TenantId = TenantId(1_000);
pub const BOLT: TenantId = TenantId(2_000);
pub const CENT: Exact = Exact(Exact::PER_CENT);

/// A journal under test, and the way to break its next commits.
#[derive(Debug)]
pub struct Bench {
    pub journal: Box<dyn Journal>,
    memory: Option<MemoryJournal>,
    pub db: Option<(Db, TempDir)>,
    postgres: Option<(Db, test_postgres::Database)>,
    /// The seq before the first of `ROOT`.
    before: i64,
}

/// What a journal may do differently on PostgreSQL.
pub const TINY: PostgresJournalOptions = PostgresJournalOptions {
    lanes: 2,
    split_by_root: false,
    fold_bytes: 400,
};

impl Bench {
    pub async fn memory() -> Option<Self> {
        let journal = MemoryJournal::new();
        Some(Self {
            journal: Box::new(journal.clone()),
            memory: Some(journal),
            db: None,
            postgres: None,
            before: 0,
        })
    }

    pub async fn sqlite() -> Option<Self> {
        Some(Self::sqlite_with(20).await)
    }

    pub async fn postgres() -> Option<Self> {
        let database = test_postgres::database().await?;
        let db = Db::open_postgres(database.url(), &PostgresOptions::default())
            .await
            .unwrap();
        let journal = PostgresJournal::open_with(&db, TINY).await.unwrap();
        Some(Self {
            journal: Box::new(journal),
            memory: None,
            db: None,
            postgres: Some((db, database)),
            before: 1 << 40,
        })
    }

    /// The seq of the record at this position of `ROOT`.
    fn seq(&self, position: i64) -> Seq {
        Seq(self.before + position)
    }

    pub async fn sqlite_with(pending_records_max: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(&dir.path().join("centwise.db"))
            .await
            .unwrap();
        let journal = SqliteJournal::open_with(
            &db,
            JournalOptions {
                recent_records_max: 16,
                fan_out: 3,
                pending_records_max,
            },
        )
        .await
        .unwrap();
        Self {
            journal: Box::new(journal),
            memory: None,
            db: Some((db, dir)),
            postgres: None,
            before: 0,
        }
    }

    async fn break_commits(&self, broken: bool) {
        if let Some(memory) = &self.memory {
            memory.fail_next_commits(u32::from(broken)).unwrap();
        }
        // Fails after records and chain heads have been written: the whole transaction must go.
        let refuse = "create trigger refuse before insert on batches begin select raise(abort, \
            'refused'); end";
        self.sql(if broken {
            refuse
        } else {
            "drop trigger if exists refuse"
        })
        .await;
        if let Some((Db::Postgres(db), _)) = &self.postgres {
            let refuse = "alter table heads add constraint refuse check (batch < 0) not valid";
            sqlx::query(if broken {
                refuse
            } else {
                "alter table heads drop constraint refuse"
            })
            .execute(&db.pool)
            .await
            .unwrap();
        }
    }

    pub async fn sql(&self, text: &'static str) {
        if let Some((Db::Sqlite(db), _)) = &self.db {
            sqlx::query(text)
                .execute(&mut *db.writer.lock().await)
                .await
                .unwrap();
        }
    }

    async fn pages(&self, of: Of, newest_first: bool, limit: usize) -> Vec<i64> {
        let mut query = EntryQuery {
            of,
            after: None,
            newest_first,
            limit,
        };
        let mut all = Vec::new();
        loop {
            let page = self.journal.read(&query).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { return all };
            query.after = Some(last.seq);
            all.extend(page.iter().map(|record| record.seq.0 - self.before));
        }
    }
}

pub fn balance(tenant: TenantId) -> AccountKey {
    AccountKey::balance(tenant, Currency::EUR)
}

pub fn assert_sound(checks: &[Check]) {
    let wrong: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
    assert!(wrong.is_empty() && !checks.is_empty(), "{wrong:#?}");
}

macro_rules! journal_suite {
    ($($backend:ident),+; $tests:tt) => { $(journal_suite!(@ $backend $tests);)+ };
    (@ $backend:ident { $($test:ident),+ $(,)? }) => {
        mod $backend {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(bench) = super::Bench::$backend().await {
                    super::$test(bench).await;
                }
            })+
        }
    };
}

journal_suite!(memory, sqlite, postgres; {
    what_is_committed_is_found_and_read,
    states_are_loaded_as_committed,
    the_first_record_of_an_identity_is_found,
    lists_are_paged_both_ways,
    unrated_events_are_listed_until_settled,
    holds_expire_in_order,
    a_failed_commit_leaves_nothing,
    the_books_are_sound,
    an_empty_batch_is_fine,
    reporters_are_told_apart,
});

async fn reporters_are_told_apart(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    test_ledger.sale(ROOT, ACME, "a", CENT);
    test_ledger.sale(ROOT, ACME, "a", CENT);
    let mut batch = test_ledger.ring_up();
    batch.records[1].identity.reporter = Some(ACME);
    let [of_platform, of_acme] = [0, 1].map(|index: usize| batch.records[index].identity.clone());
    bench.journal.commit(batch).await.unwrap();
    test_ledger.sale(ROOT, BOLT, "b", CENT);
    bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    let nobody = Identity {
        reporter: Some(BOLT),
        ..of_acme.clone()
    };
    let found = bench
        .journal
        .find_each(&[of_acme.clone(), nobody, of_platform.clone()])
        .await
        .unwrap();
    let found: Vec<Option<Identity>> = found
        .into_iter()
        .map(|record| record.map(|record| record.identity.clone()))
        .collect();
    assert_eq!(found, [Some(of_acme), None, Some(of_platform)]);
    let mut reporters = bench
        .journal
        .reporters(&[ROOT, BOLT], Namespace::Usage)
        .await
        .unwrap();
    reporters.sort_unstable();
    assert_eq!(reporters, [(ROOT, None), (ROOT, Some(ACME))]);
    assert_eq!(
        bench
            .journal
            .reporters(&[ROOT], Namespace::Hold)
            .await
            .unwrap(),
        []
    );
    assert_sound(&bench.journal.verify().await.unwrap());
}

async fn what_is_committed_is_found_and_read(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    test_ledger.sale(ROOT, ACME, "a", CENT);
    test_ledger.sale(ROOT, BOLT, "b", CENT);
    let batch = test_ledger.ring_up();
    let mut expected = batch.records.clone();
    let placed = bench.journal.commit(batch).await.unwrap();
    assert_eq!([placed.at(0), placed.at(1)], [bench.seq(1), bench.seq(2)]);
    expected
        .iter_mut()
        .zip(1..)
        .for_each(|(record, position)| record.seq = bench.seq(position));
    let wanted = [
        identity(ROOT, Namespace::Usage, "b"),
        identity(ROOT, Namespace::Usage, "x"),
        identity(ROOT, Namespace::Usage, "a"),
    ];
    let found = bench.journal.find_each(&wanted).await.unwrap();
    assert_eq!(
        found
            .iter()
            .map(|r| r.as_ref().map(|r| r.seq))
            .collect::<Vec<_>>(),
        [Some(bench.seq(2)), None, Some(bench.seq(1))]
    );
    let other = [
        identity(ROOT, Namespace::Amend, "a"),
        identity(TenantId(5), Namespace::Usage, "a"),
    ];
    assert!(
        bench
            .journal
            .find_each(&other)
            .await
            .unwrap()
            .iter()
            .all(Option::is_none),
        "namespace and root are part of the identity"
    );
    let read = bench
        .journal
        .read(&EntryQuery {
            of: Of::All,
            after: None,
            newest_first: false,
            limit: 10,
        })
        .await
        .unwrap();
    assert_eq!(read, expected);
    assert_eq!(found[0].as_deref(), Some(&expected[1]));
}

async fn states_are_loaded_as_committed(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    let hold = HoldId(5_000);
    let counter = |buyer| CounterKey {
        buyer,
        id: CounterId {
            rate_key: 77,
            month: 24_322,
        },
    };
    let keys = StateKeys {
        accounts: vec![
            balance(ACME),
            balance(BOLT),
            balance(ACME),
            AccountKey::revenue(ROOT, Currency::EUR),
        ],
        carries: vec![ACME, BOLT],
        counters: vec![counter(ACME), counter(BOLT)],
        holds: vec![hold],
        open_holds: vec![hold, HoldId(1)],
        ..StateKeys::of(ROOT)
    };
    assert!(bench.journal.load(&keys).await.unwrap().accounts.is_empty());
    for round in 0..3 {
        test_ledger.sale(ROOT, ACME, &format!("a{round}"), Exact(CENT.0 * 7 / 3));
        test_ledger.top_up(ROOT, ACME, &format!("t{round}"), 500);
        match round {
            1 => test_ledger.hold(ROOT, ACME, hold, 30, Instant(9_000_000)),
            2 => test_ledger.release(hold),
            _ => {}
        }
        bench.journal.commit(test_ledger.ring_up()).await.unwrap();
        let state = bench.journal.load(&keys).await.unwrap();
        assert_eq!(
            state.accounts.get(&balance(ACME)),
            test_ledger.books.accounts.get(&balance(ACME))
        );
        assert_eq!(state.accounts.len(), 2, "what was never written is absent");
        assert_eq!(state.carries, test_ledger.books.carries);
        assert_eq!(state.counters, test_ledger.books.counters);
        assert_eq!(state.holds, test_ledger.books.holds);
        let open = StateKeys {
            open_holds: vec![hold],
            ..StateKeys::of(ROOT)
        };
        assert_eq!(
            bench.journal.load(&open).await.unwrap().holds.len(),
            usize::from(round == 1)
        );
    }
}

async fn the_first_record_of_an_identity_is_found(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    for number in 0..40 {
        test_ledger.sale(ROOT, ACME, "same", CENT);
        let committed = bench.journal.commit(test_ledger.ring_up()).await;
        // PostgreSQL refuses what a look-up under the root's lock would have found.
        assert!(
            committed.is_ok() || (number > 0 && bench.postgres.is_some()),
            "{committed:?}"
        );
    }
    let found = bench
        .journal
        .find_each(&[identity(ROOT, Namespace::Usage, "same")])
        .await
        .unwrap();
    assert_eq!(
        found[0].as_ref().map(|record| record.seq),
        Some(bench.seq(1))
    );
    if bench.postgres.is_some() {
        return;
    }
    let checks = bench.journal.verify().await.unwrap();
    let repeated = checks
        .iter()
        .find(|check| check.name == "identities")
        .unwrap();
    assert!(
        !repeated.ok && repeated.differences[0].contains("records 1 and 2"),
        "{repeated:?}"
    );
}

async fn lists_are_paged_both_ways(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    let (mut acme, mut bolt) = (Vec::new(), Vec::new());
    for event in 1..=120_i64 {
        if event % 3 == 0 {
            // Zero cents: the charge counts all the same.
            test_ledger.sale(ROOT, BOLT, &event.to_string(), Exact(1));
            bolt.push(event);
        } else {
            test_ledger.sale(ROOT, ACME, &event.to_string(), CENT);
            acme.push(event);
        }
        if event % 7 == 0 {
            bench.journal.commit(test_ledger.ring_up()).await.unwrap();
        }
    }
    bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    let all: Vec<i64> = (1..=120).collect();
    let lists = [
        (Of::Customer(ACME), acme.clone()),
        (Of::Account(balance(ACME)), acme.clone()),
        (Of::Account(balance(BOLT)), bolt),
        (Of::Account(balance(ROOT)), all.clone()),
        (
            Of::Account(AccountKey::revenue(ROOT, Currency::EUR)),
            all.clone(),
        ),
        (Of::Account(AccountKey::income(ROOT, Currency::EUR)), vec![]),
        (
            Of::Account(AccountKey::balance(ACME, "USD".parse().unwrap())),
            vec![],
        ),
        (Of::Customer(ROOT), vec![]),
        (Of::All, all),
        (
            Of::Seqs(
                [9, 3, 9, 119, 4_000]
                    .map(|position| bench.seq(position))
                    .to_vec(),
            ),
            vec![3, 9, 119],
        ),
    ];
    for (of, mut expected) in lists {
        for limit in [1, 7, 1000] {
            assert_eq!(
                bench.pages(of.clone(), false, limit).await,
                expected,
                "{of:?}, oldest first by {limit}"
            );
        }
        expected.reverse();
        for limit in [2, 11, 1000] {
            assert_eq!(
                bench.pages(of.clone(), true, limit).await,
                expected,
                "{of:?}, newest first by {limit}"
            );
        }
    }
}

async fn unrated_events_are_listed_until_settled(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    for event in 1..=5 {
        test_ledger.unrated(ROOT, ACME, &format!("u{event}"));
    }
    bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    test_ledger.rate_later(ROOT, ACME, bench.seq(2), CENT);
    bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    assert_eq!(bench.pages(Of::Unrated(ROOT), false, 2).await, [1, 3, 4, 5]);
    assert_eq!(bench.pages(Of::Unrated(ROOT), true, 3).await, [5, 4, 3, 1]);
    assert_eq!(
        bench.pages(Of::Unrated(ACME), false, 2).await,
        Vec::<i64>::new()
    );
    assert_eq!(bench.pages(Of::EveryUnrated, false, 2).await, [1, 3, 4, 5]);
    assert_eq!(bench.pages(Of::EveryUnrated, true, 3).await, [5, 4, 3, 1]);
    let keys = StateKeys {
        amendments: vec![bench.seq(1), bench.seq(2)],
        ..StateKeys::of(ROOT)
    };
    let amendments = bench.journal.load(&keys).await.unwrap().amendments;
    assert_eq!(amendments.len(), 1);
    let amendment = amendments[&bench.seq(2)];
    assert_eq!(
        (amendment.kind, amendment.by),
        (Kind::RatedLater, bench.seq(6))
    );
    assert_sound(&bench.journal.verify().await.unwrap());
}

async fn holds_expire_in_order(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    for (id, until) in [(1, 300), (2, 100), (3, 200), (4, 900), (5, 50)] {
        test_ledger.hold(ROOT, ACME, HoldId(id), 10, Instant(until));
    }
    test_ledger.release(HoldId(5));
    bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    let ids = async |now, limit| {
        let holds = bench
            .journal
            .expired_holds(Instant(now), limit)
            .await
            .unwrap();
        holds.iter().map(|hold| hold.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(99, 10).await, Vec::<i64>::new());
    assert_eq!(
        ids(200, 10).await,
        [2, 3],
        "a hold is over at its end, not after it"
    );
    assert_eq!(ids(1000, 3).await, [2, 3, 1]);
    assert_sound(&bench.journal.verify().await.unwrap());
}

async fn a_failed_commit_leaves_nothing(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    test_ledger.sale(ROOT, ACME, "a", CENT);
    bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    bench.break_commits(true).await;
    let mut lost = test_ledger.clone();
    lost.sale(ROOT, ACME, "b", CENT);
    lost.hold(ROOT, ACME, HoldId(1), 10, Instant(1));
    let refused = bench.journal.commit(lost.ring_up()).await.unwrap_err();
    assert!(matches!(refused, JournalError::Unavailable(_)), "{refused}");
    let keys = StateKeys {
        accounts: vec![balance(ACME)],
        holds: vec![HoldId(1)],
        open_holds: vec![HoldId(1)],
        ..StateKeys::of(ROOT)
    };
    let state = bench.journal.load(&keys).await.unwrap();
    assert_eq!(
        state.accounts[&balance(ACME)],
        Balance {
            posted: Cents(-1),
            held: Cents::ZERO
        }
    );
    assert!(state.holds.is_empty());
    assert_eq!(
        bench
            .journal
            .find_each(&[identity(ROOT, Namespace::Usage, "b")])
            .await
            .unwrap(),
        [None]
    );
    assert!(
        bench
            .journal
            .expired_holds(Instant(9), 9)
            .await
            .unwrap()
            .is_empty()
    );
    bench.break_commits(false).await;
    test_ledger.sale(ROOT, ACME, "b", CENT);
    assert_eq!(
        bench
            .journal
            .commit(test_ledger.ring_up())
            .await
            .unwrap()
            .at(0),
        bench.seq(2),
        "no seq is lost"
    );
    assert_eq!(bench.pages(Of::Customer(ACME), false, 10).await, [1, 2]);
    assert_sound(&bench.journal.verify().await.unwrap());
}

async fn the_books_are_sound(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    for batch in 0..10 {
        for event in 0..12 {
            let (root, customer) = (TenantId(100 + event % 3), TenantId(1_000 + event));
            test_ledger.sale(
                root,
                customer,
                &format!("{batch}-{event}"),
                Exact(CENT.0 * 4 / 100 * i128::from(event + 1)),
            );
        }
        test_ledger.top_up(ROOT, ACME, &batch.to_string(), 500);
        bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    }
    let checks = bench.journal.verify().await.unwrap();
    assert_sound(&checks);
    let examined = |name: &str| {
        checks
            .iter()
            .find(|check| check.name == name)
            .unwrap()
            .examined
    };
    assert_eq!(
        (
            examined("hash_chain"),
            examined("identities"),
            examined("carry")
        ),
        (130, 130, 240)
    );
}

async fn an_empty_batch_is_fine(bench: Bench) {
    let mut test_ledger = TestLedger::default();
    bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    test_ledger.sale(ROOT, ACME, "a", CENT);
    assert_eq!(
        bench
            .journal
            .commit(test_ledger.ring_up())
            .await
            .unwrap()
            .at(0),
        bench.seq(1)
    );
    assert!(bench.journal.find_each(&[]).await.unwrap().is_empty());
    assert_sound(&bench.journal.verify().await.unwrap());
}

pub fn seqs(records: &[JournalEntry]) -> Vec<i64> {
    records.iter().map(|record| record.seq.0).collect()
}
