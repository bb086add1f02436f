//! What stands behind an answer: one durable commit on SQLite of 1, 100 or 1000 records (10,000
//! customers under 100 resellers), and the hash chain over 1000 rows. Every commit's answer is
//! checked, and the books at the end.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench stops at the first wrong answer"
)]

mod common;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use db::Db;
use journal::hash::{BatchHasher, GENESIS, Row};
use journal::{Batch, Journal, Seq};
use journal_sqlite::SqliteJournal;
use rating::{Exact, Instant, TenantId};
use std::cell::RefCell;
use std::hint::black_box;

#[path = "../../tests/journals/test_ledger.rs"]
#[expect(
    dead_code,
    reason = "shared with the journal's suite, which uses all of it"
)]
mod test_ledger;

const BATCHES: [i64; 3] = [1, 100, 1_000];
const CUSTOMERS: i64 = 10_000;
const ROOTS: i64 = 100;

fn next_batch(test_ledger: &mut test_ledger::TestLedger, sold: &mut i64, size: i64) -> Batch {
    for event in *sold..*sold + size {
        // 7919 is prime: every customer once before any of them comes again.
        let customer = event * 7_919 % CUSTOMERS;
        test_ledger.sale(
            TenantId(100 + customer % ROOTS),
            TenantId(10_000 + customer),
            &event.to_string(),
            Exact(4 * Exact::PER_CENT),
        );
    }
    *sold += size;
    test_ledger.ring_up()
}

fn commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal");
    group.sample_size(20);
    for size in BATCHES {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let dir = tempfile::tempdir().expect("a directory");
        let journal = runtime.block_on(async {
            let db = Db::open_sqlite(&dir.path().join("centwise.db"))
                .await
                .expect("a database");
            SqliteJournal::open(&db).await.expect("a journal")
        });
        let made = RefCell::new((test_ledger::TestLedger::default(), 0));
        let mut committed = 0;
        group.throughput(Throughput::Elements(size.unsigned_abs()));
        group.bench_function(format!("commit {size}"), |bencher| {
            let setup = || {
                let (test_ledger, sold) = &mut *made.borrow_mut();
                next_batch(test_ledger, sold, size)
            };
            bencher.iter_batched(
                setup,
                |batch| {
                    let first = runtime.block_on(journal.commit(batch)).expect("a commit");
                    assert_eq!(first.at(0), Seq(committed + 1));
                    committed += size;
                },
                BatchSize::PerIteration,
            );
        });
        let checks = runtime.block_on(journal.verify()).expect("an audit");
        assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    }
    group.finish();
}

/// Changes only with the canonical bytes of a row: then every chain that is stored breaks.
const HASH: &str = "11095c588092a8cb8b9fe242d62467c1a05420779e66b5c06ff31ea733f6799d";

fn chain(criterion: &mut Criterion) {
    const ROWS: i64 = 1_000;
    let ids: Vec<String> = (0..ROWS)
        .map(|row| format!("01934b6e-7a10-7c31-8f00-{row:012x}"))
        .collect();
    let hash = || {
        let mut batch = BatchHasher::new(
            &GENESIS,
            TenantId(100),
            1,
            Instant::from_secs(1_795_000_000),
        );
        for (id, seq) in ids.iter().zip(1..) {
            let (kind, namespace) = (1, 1);
            let (tenant, at_us) = (10_000 + seq, 1_795_000_000_000_000 + seq);
            let (content, body, personal_digest) = (&[1; 16], &[2; 96], &[3; 16]);
            let received_us = at_us;
            batch.row(&Row {
                reporter: None,
                seq,
                kind,
                tenant,
                root: 100,
                namespace,
                source: "pbx-1",
                id,
                at_us,
                received_us,
                content,
                body,
                personal_digest,
            });
        }
        batch
            .finish()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Elements(ROWS.unsigned_abs()));
    group.bench_function("hash chain over 1000 rows", |bencher| {
        bencher.iter(|| assert_eq!(black_box(hash()), HASH))
    });
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = commit, chain);
criterion_main!(benches);
