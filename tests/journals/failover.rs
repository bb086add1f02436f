//! After a failover that lost commits, or a restore to an earlier moment, servers go on without a
//! restart: what a process remembers of commits that are gone does not count.

use super::test_ledger::{TestLedger, identity};
use super::{ACME, CENT, ROOT, TINY, assert_sound, balance};
use db::{Db, PostgresOptions};
use journal::{Identity, Journal, Locking, Namespace, StateKeys};
use journal_postgres::{PostgresJournal, PostgresJournalOptions};
use rating::Exact;
use sqlx::{AssertSqlSafe, PgPool};
use std::sync::Arc;

const TABLES: [&str; 11] = [
    "heads",
    "batches",
    "records",
    "touched",
    "accounts",
    "carries",
    "counters",
    "members",
    "holds",
    "amendments",
    "unrated",
];

/// What a replica has that receives nothing more from now on.
async fn keep(db: &PgPool) {
    for table in TABLES {
        sqlx::raw_sql(AssertSqlSafe(format!(
            "create table kept_{table} as select * from {table}"
        )))
        .execute(db)
        .await
        .unwrap();
    }
}

async fn fail_over(db: &PgPool) {
    for table in TABLES {
        let text = format!("delete from {table}; insert into {table} select * from kept_{table}");
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(db)
            .await
            .unwrap();
    }
}

/// Ids with a time: whether these are new is known from memory.
fn id(kind: u16, number: usize) -> String {
    format!("019a9d2e-{kind:04x}-7000-8000-{number:012x}")
}

fn named(kind: u16, count: usize) -> Vec<Identity> {
    (0..count)
        .map(|number| identity(ROOT, Namespace::Usage, &id(kind, number)))
        .collect()
}

/// As a server does, which remembers what it looked for. What each kind costs is its own.
async fn sell(test_ledger: &mut TestLedger, kind: u16, number: usize, locked: &dyn Journal) {
    let identity = identity(ROOT, Namespace::Usage, &id(kind, number));
    assert_eq!(locked.find_each(&[identity]).await.unwrap(), [None]);
    test_ledger.sale(
        ROOT,
        ACME,
        &id(kind, number),
        Exact(CENT.0 * i128::from(kind) * 5 / 7),
    );
    locked.commit(test_ledger.ring_up()).await.unwrap();
}

async fn enter(journal: &PostgresJournal) -> Arc<dyn Journal> {
    journal.enter(&[ROOT]).await.unwrap()
}

/// So many batches of ours are lost, and another process has committed so many others since.
async fn goes_on(lost: usize, others: usize, fold_bytes: usize) {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let db = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let Db::Postgres(postgres) = &db else {
        unreachable!()
    };
    let open = async || {
        PostgresJournal::open_with(&db, PostgresJournalOptions { fold_bytes, ..TINY })
            .await
            .unwrap()
    };
    let (ours, theirs) = (open().await, open().await);
    let mut test_ledger = TestLedger::default();
    for number in 0..3 {
        sell(&mut test_ledger, 1, number, &*enter(&ours).await).await;
    }
    keep(&postgres.pool).await;
    let mut replica = test_ledger.clone();
    for number in 0..lost {
        sell(&mut test_ledger, 2, number, &*enter(&ours).await).await;
    }
    fail_over(&postgres.pool).await;
    for number in 0..others {
        sell(&mut replica, 3, number, &*enter(&theirs).await).await;
    }

    let keys = StateKeys {
        accounts: vec![balance(ACME), balance(ROOT)],
        carries: vec![ACME],
        ..StateKeys::of(ROOT)
    };
    for number in 0..lost + others + 2 {
        let got = ours.load(&keys).await.unwrap();
        assert_eq!(
            got.accounts[&balance(ACME)],
            replica.books.accounts[&balance(ACME)],
            "{lost} lost, {others} others, {number}"
        );
        assert_eq!(got.carries[&ACME], replica.books.carries[&ACME]);
        let session = enter(&ours).await;
        assert!(
            session
                .find_each(&named(3, others))
                .await
                .unwrap()
                .iter()
                .all(Option::is_some)
        );
        // What was lost is sent again, and is new.
        sell(&mut replica, 2, number, &*session).await;
    }
    assert_sound(&ours.verify().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_in_a_failover_does_not_count() {
    for (lost, others) in [(0, 2), (1, 0), (1, 1), (1, 3), (3, 1), (2, 2)] {
        for fold_bytes in [1, 400, 1 << 20] {
            goes_on(lost, others, fold_bytes).await;
        }
    }
}
