//! How fast the journal takes batches, as the engine uses it: find, load, commit.
//!
//! `cargo run --release -p centwise-store --example throughput -- RECORDS BATCH v4|v7|holds [DIR]`
//! 10,000 customers under 100 resellers; prints rates and processor time per record. Then: how long
//! opening, the newest pages of some lists and `verify` take. `holds`: every second record releases
//! the hold that the one before it placed; ids are random, like hashes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "a measuring tool"
)]

#[path = "../../tests/journals/test_ledger.rs"]
#[expect(dead_code, reason = "shared with the suite, which uses all of it")]
mod test_ledger;

use db::Db;
use journal::{EntryQuery, Journal, Keyed, Of, StateKeys};
use journal_sqlite::SqliteJournal;
use ledger::AccountKey;
use rating::{Currency, Exact, TenantId, ids::HoldId};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROOTS: u64 = 100;
const CUSTOMERS: u64 = 10_000;
/// Lists whose newest records are read, and records of a page.
const LISTED: i64 = 200;
const PAGE: usize = 100;

fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn id(n: u64, ordered: bool) -> String {
    let (a, b) = (mix(n), mix(!n));
    if ordered {
        format!(
            "{:012x}-7{:03x}-{b:016x}",
            1_700_000_000_000 + n / 100,
            a & 0xfff
        )
    } else {
        format!("{a:016x}-4{b:016x}")
    }
}

/// User and system time of this process.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    Duration::from_millis(
        10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()),
    )
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[derive(Default)]
struct Spent {
    sweep: Duration,
    find: Duration,
    load: Duration,
    commit: Duration,
    slowest: Duration,
    processor: Duration,
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (records, size): (u64, u64) = (args[1].parse().unwrap(), args[2].parse().unwrap());
    let (ordered, holds) = (args[3] != "v4", args[3] == "holds");
    let dir = tempfile::tempdir_in(args.get(4).map_or(".", String::as_str)).unwrap();
    let file = dir.path().join("centwise.db");
    let db = Db::open_sqlite(&file).await.unwrap();
    let journal = SqliteJournal::open(&db).await.unwrap();
    let (mut test_ledger, mut spent) = (test_ledger::TestLedger::default(), Spent::default());
    for batch in 0..records / size {
        for n in batch * size..(batch + 1) * size {
            let customer = mix(n ^ 0xabcd) % CUSTOMERS;
            let (root, customer) = (
                TenantId((100 + customer % ROOTS).cast_signed()),
                TenantId((10_000 + customer).cast_signed()),
            );
            let hold = HoldId((mix(n / 2) >> 1).cast_signed());
            match (holds, n % 2) {
                (false, _) => drop(test_ledger.sale(
                    root,
                    customer,
                    &id(n, ordered),
                    Exact(4 * Exact::PER_CENT),
                )),
                (true, 0) => test_ledger.hold(root, customer, hold, 100, rating::Instant::MAX),
                (true, _) => test_ledger.release(hold),
            }
        }
        one_batch(&journal, &mut test_ledger, &mut spent).await;
        if (batch + 1) % (records / size / 10).max(1) == 0 {
            let total = spent.sweep + spent.find + spent.load + spent.commit;
            println!(
                "{:>9} records: {:>7.0}/s (sweep {:?}, find {:?}, load {:?}, commit {:?}, slowest \
                    {:?}), {:.2} us processor each, {} MB",
                (batch + 1) * size,
                ((batch + 1) * size) as f64 / total.as_secs_f64(),
                spent.sweep,
                spent.find,
                spent.load,
                spent.commit,
                spent.slowest,
                spent.processor.as_secs_f64() * 1e6 / ((batch + 1) * size) as f64,
                rss_mb()
            );
        }
    }
    if std::env::var_os("COMMIT_ONLY").is_some() {
        return;
    }
    journal.settle().await.unwrap();
    drop((journal, db));
    println!(
        "{} bytes per record",
        std::fs::metadata(&file).unwrap().len() / records
    );
    let started = Instant::now();
    let db = Db::open_sqlite(&file).await.unwrap();
    let journal = SqliteJournal::open(&db).await.unwrap();
    println!("opened in {:?}", started.elapsed());
    for (name, of) in [
        (
            "a customer's records",
            (|n| Of::Customer(TenantId(10_000 + n))) as fn(i64) -> Of,
        ),
        ("a customer's entries", |n| {
            Of::Account(AccountKey::balance(TenantId(10_000 + n), Currency::EUR))
        }),
        ("a reseller's entries", |n| {
            Of::Account(AccountKey::balance(
                TenantId(100 + n % ROOTS.cast_signed()),
                Currency::EUR,
            ))
        }),
    ] {
        list(&journal, name, of).await;
    }
    let (started, used) = (Instant::now(), processor());
    let checks = journal.verify().await.unwrap();
    assert!(checks.iter().all(|check| check.ok), "{checks:#?}");
    println!(
        "verified in {:?}, processor {:?}",
        started.elapsed(),
        processor() - used
    );
}

/// How long the newest page of a list takes, and the one after it; another list each time.
async fn list(journal: &SqliteJournal, name: &str, of: fn(i64) -> Of) {
    let mut taken = Vec::new();
    for n in 0..LISTED {
        let mut query = EntryQuery {
            of: of(n * 37),
            after: None,
            newest_first: true,
            limit: PAGE,
        };
        for _ in 0..2 {
            let started = Instant::now();
            let page = journal.read(&query).await.unwrap();
            taken.push(started.elapsed());
            assert!(page.is_sorted_by(|a, b| a.seq > b.seq));
            query.after = page.last().map(|record| record.seq);
        }
    }
    taken.sort_unstable();
    println!(
        "{PAGE} of {name}, newest first: median {:?}, slowest {:?}",
        taken[taken.len() / 2],
        taken[taken.len() - 1]
    );
}

async fn one_batch(
    journal: &SqliteJournal,
    test_ledger: &mut test_ledger::TestLedger,
    spent: &mut Spent,
) {
    let batch = test_ledger.ring_up();
    let identities: Vec<_> = batch
        .records
        .iter()
        .map(|record| record.identity.clone())
        .collect();
    let keys = StateKeys {
        accounts: batch.state.accounts.keys().copied().collect(),
        carries: batch.state.carries.keys().copied().collect(),
        counters: batch.state.counters.keys().copied().collect(),
        holds: batch.state.holds.keys().copied().collect(),
        ..StateKeys::default()
    };
    let keyed: Vec<_> = identities
        .iter()
        .map(|one| Keyed {
            key: journal.identity_key(one.name()),
            name: one.name(),
        })
        .collect();
    let (started, used) = (Instant::now(), processor());
    journal
        .expired_holds(batch.committed_at, 100)
        .await
        .unwrap();
    let swept = Instant::now();
    assert!(
        journal
            .find(&keyed)
            .await
            .unwrap()
            .iter()
            .all(Option::is_none)
    );
    let found = Instant::now();
    journal.load(&keys).await.unwrap();
    let loaded = Instant::now();
    journal.commit(batch).await.unwrap();
    let done = Instant::now();
    spent.sweep += swept - started;
    spent.find += found - swept;
    spent.load += loaded - found;
    spent.commit += done - loaded;
    spent.slowest = spent.slowest.max(done - started);
    spent.processor += processor() - used;
}
