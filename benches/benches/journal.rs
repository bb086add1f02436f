//! One durable commit of a thousand records on SQLite: 10,000 customers under 100 resellers. Every
//! commit's answer is checked, and the books at the end.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first wrong answer")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rating::{Exact, TenantId};
use std::cell::RefCell;
use store::db::Db;
use store::journal::{Batch, Journal, Seq};
use store::sqlite::SqliteJournal;

#[path = "../../store/src/suite/till.rs"]
#[expect(dead_code, reason = "shared with the journal's suite, which uses all of it")]
mod till;

const BATCH: i64 = 1_000;
const CUSTOMERS: i64 = 10_000;
const ROOTS: i64 = 100;

fn next_batch(till: &mut till::Till, sold: &mut i64) -> Batch {
    for event in *sold..*sold + BATCH {
        // 7919 is prime: every customer once before any of them comes again.
        let customer = event * 7_919 % CUSTOMERS;
        till.sale(TenantId(100 + customer % ROOTS), TenantId(10_000 + customer), &event.to_string(), Exact(4 * Exact::PER_CENT));
    }
    *sold += BATCH;
    till.ring_up()
}

fn commit(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let journal = runtime.block_on(async {
        let db = Db::open_sqlite(&dir.path().join("centwise.db")).await.expect("a database");
        SqliteJournal::open(&db).await.expect("a journal")
    });
    let made = RefCell::new((till::Till::default(), 0));
    let mut committed = 0;
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Elements(BATCH.unsigned_abs())).sample_size(20);
    group.bench_function("commit_1000", |bencher| {
        let setup = || {
            let (till, sold) = &mut *made.borrow_mut();
            next_batch(till, sold)
        };
        bencher.iter_batched(
            setup,
            |batch| {
                let first = runtime.block_on(journal.commit(batch)).expect("a commit");
                assert_eq!(first, Seq(committed + 1));
                committed += BATCH;
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    let checks = runtime.block_on(journal.verify()).expect("an audit");
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
}

criterion_group!(benches, commit);
criterion_main!(benches);
