//! What only a file can do: survive a crash at any point, and be damaged.

use super::test_ledger::{TestLedger, identity};
use super::{ACME, BOLT, Bench, CENT, ROOT, assert_sound, balance};
use db::Db;
use journal::{
    CounterKey, DistinctValue, DistinctValueKey, EntryQuery, Journal, Namespace, Of, StateKeys,
};
use journal_sqlite::{JournalOptions, SqliteJournal};
use rating::usage::CounterId;
use rating::{Instant, ids::HoldId};
use std::path::Path;
use tempfile::TempDir;
use transfer::audit::verify_file;

const TINY: JournalOptions = JournalOptions {
    recent_records_max: 4,
    fan_out: 2,
    pending_records_max: 7,
};

/// The files as a crash would leave them: copied while the database is open.
fn crash_image(dir: &Path) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    for name in ["centwise.db", "centwise.db-wal"] {
        std::fs::copy(dir.join(name), image.path().join(name)).unwrap();
    }
    image
}

async fn reopened(image: &TempDir) -> (Db, SqliteJournal) {
    let db = Db::open_sqlite(&image.path().join("centwise.db"))
        .await
        .unwrap();
    let journal = SqliteJournal::open_with(&db, TINY).await.unwrap();
    (db, journal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_nothing_that_was_committed() {
    let bench = Bench::sqlite().await.unwrap();
    let (_, dir) = bench.db.as_ref().unwrap();
    let mut test_ledger = TestLedger::default();
    test_ledger.hold(ROOT, ACME, HoldId(1), 10, Instant(1));
    for event in 0..60 {
        test_ledger.sale(ROOT, ACME, &event.to_string(), CENT);
        bench.journal.commit(test_ledger.ring_up()).await.unwrap();
        if event % 10 != 9 {
            continue;
        }
        let image = crash_image(dir.path());
        let (_db, journal) = reopened(&image).await;
        let wanted: Vec<_> = (0..=event + 1)
            .map(|event| identity(ROOT, Namespace::Usage, &event.to_string()))
            .collect();
        let found = journal.find_each(&wanted).await.unwrap();
        assert_eq!(
            found.iter().flatten().count(),
            event + 1,
            "after event {event}"
        );
        let keys = StateKeys {
            accounts: vec![balance(ACME)],
            open_holds: vec![HoldId(1)],
            ..StateKeys::default()
        };
        let state = journal.load(&keys).await.unwrap();
        assert_eq!(
            state.accounts[&balance(ACME)],
            test_ledger.books.accounts[&balance(ACME)]
        );
        assert_eq!(state.holds.len(), 1);
        let mut again = test_ledger.clone();
        again.sale(ROOT, BOLT, "after the crash", CENT);
        journal.commit(again.ring_up()).await.unwrap();
        assert_sound(&journal.verify().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_index_is_built_again() {
    let bench = Bench::sqlite().await.unwrap();
    let mut test_ledger = TestLedger::default();
    for event in 0..100 {
        test_ledger.sale(ROOT, ACME, &event.to_string(), CENT);
        bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    }
    for damage in [
        "update index_runs set first_seq = first_seq + 1",
        "update index_runs set ids_filter = x'00'",
        "delete from index_runs",
    ] {
        bench.sql(damage).await;
        let image = crash_image(bench.db.as_ref().unwrap().1.path());
        let (_db, journal) = reopened(&image).await;
        let wanted: Vec<_> = (0..100)
            .map(|event| identity(ROOT, Namespace::Usage, &event.to_string()))
            .collect();
        assert_eq!(
            journal
                .find_each(&wanted)
                .await
                .unwrap()
                .iter()
                .flatten()
                .count(),
            100,
            "{damage}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_named() {
    let damages = [
        (
            "update records set source = 'pbx-2' where seq = 17",
            "hash_chain",
            "batch 5",
        ),
        (
            "update records set body = cast(substr(body, 1, 20) || x'ff' || substr(body, 22) as \
                blob) where seq = 17",
            "hash_chain",
            "batch 5",
        ),
        (
            "update records set at_us = at_us + 1 where seq = 1",
            "hash_chain",
            "batch 1",
        ),
        (
            "update records set content = zeroblob(16) where seq = 40",
            "hash_chain",
            "batch 10",
        ),
        (
            "delete from records where seq = 17",
            "hash_chain",
            "batch 5",
        ),
        (
            "delete from records where seq > 36",
            "hash_chain",
            "batch 10",
        ),
        (
            "update batches set hash = zeroblob(32) where batch = 3",
            "hash_chain",
            "batch 3",
        ),
        (
            "update batches set committed_us = 1 where batch = 3",
            "hash_chain",
            "batch 3",
        ),
        (
            "update accounts set posted = posted + 1 where tenant = 1000",
            "balances",
            "ten_",
        ),
        (
            "update accounts set posted = posted + 1 where tenant = 1000",
            "zero_sum",
            "EUR",
        ),
        (
            "update accounts set held = held + 1 where tenant = 1000",
            "holds",
            "held",
        ),
        ("delete from carries", "carry", "ten_"),
        (
            "update counters set events = events + 1",
            "counters",
            "counter",
        ),
        ("update holds set state = 3 where id = 1", "holds", "hld_"),
        (
            "insert into amendments values (7, 4, 8)",
            "amendments",
            "amendment",
        ),
    ];
    let bench = Bench::sqlite_with(1).await;
    let (_, dir) = bench.db.as_ref().unwrap();
    let mut test_ledger = TestLedger::default();
    for batch in 0..10 {
        for event in 0..3 {
            test_ledger.sale(
                ROOT,
                ACME,
                &format!("{batch}-{event}"),
                rating::Exact(CENT.0 / 3),
            );
        }
        test_ledger.hold(ROOT, ACME, HoldId(batch + 1), 10, Instant(1));
        bench.journal.commit(test_ledger.ring_up()).await.unwrap();
    }
    assert_sound(&verify_file(&dir.path().join("centwise.db")).await.unwrap());
    for (damage, check, names) in damages {
        let image = crash_image(dir.path());
        let file = image.path().join("centwise.db");
        {
            let Db::Sqlite(db) = Db::open_sqlite(&file).await.unwrap() else {
                unreachable!()
            };
            sqlx::query(damage)
                .execute(&mut *db.writer.lock().await)
                .await
                .unwrap();
        }
        let checks = verify_file(&file).await.unwrap();
        let found = checks.iter().find(|one| one.name == check).unwrap();
        assert!(
            !found.ok && found.differences[0].contains(names),
            "{damage}: {found:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distinct_values_are_kept_by_counter() {
    let bench = Bench::sqlite().await.unwrap();
    let counter = |rate_key| CounterKey {
        buyer: ACME,
        id: CounterId { rate_key, month: 3 },
    };
    let distinct_value = |rate_key, value: &str| DistinctValueKey {
        counter: counter(rate_key),
        value: value.into(),
    };
    let mut batch = TestLedger::default().ring_up();
    for (key, count) in [
        (distinct_value(1, "a"), 1),
        (distinct_value(1, "b"), 2),
        (distinct_value(2, "a"), 3),
    ] {
        batch.state.distinct_values.insert(
            key,
            DistinctValue {
                count,
                at: Instant(count),
            },
        );
    }
    bench.journal.commit(batch).await.unwrap();
    let keys = StateKeys {
        distinct_values: vec![distinct_value(2, "a"), distinct_value(2, "z")],
        all_distinct_values: vec![counter(1)],
        ..StateKeys::default()
    };
    let distinct_values = bench.journal.load(&keys).await.unwrap().distinct_values;
    let mut counts: Vec<i64> = distinct_values
        .values()
        .map(|distinct_value| distinct_value.count)
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3]);
}

/// A caller that stops waiting changes nothing: the commit goes on, and the next one comes after
/// it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_stop_waiting() {
    let bench = Bench::sqlite().await.unwrap();
    let mut test_ledger = TestLedger::default();
    for event in 0..20 {
        test_ledger.sale(ROOT, ACME, &event.to_string(), CENT);
        let commit = bench.journal.commit(test_ledger.ring_up());
        if event % 2 == 0 {
            let _ = tokio::time::timeout(std::time::Duration::ZERO, commit).await;
            // Commits queue in order of their start; wait for this one through the next read of the
            // end.
            while bench
                .journal
                .find_each(&[identity(ROOT, Namespace::Usage, &event.to_string())])
                .await
                .unwrap()[0]
                .is_none()
            {
                tokio::task::yield_now().await;
            }
        } else {
            commit.await.unwrap();
        }
    }
    let query = EntryQuery {
        of: Of::All,
        after: None,
        newest_first: false,
        limit: 100,
    };
    assert_eq!(bench.journal.read(&query).await.unwrap().len(), 20);
    assert_sound(&bench.journal.verify().await.unwrap());
}
