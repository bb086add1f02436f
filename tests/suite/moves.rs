//! `centwise migrate-store`: after a move from the embedded database the new one answers as the old
//! one would have.

use crate::audit::Audited;
use crate::histories::{Operation, Plot, image, market, run};
use crate::process::Process;
use crate::served::Asking;
use crate::world::{Backend, World};
use centwise_tests::read_all;
use db::{Db, PostgresOptions};
use journal::{EntryQuery, Identity, JournalEntry, Kind, Of, Seq, StateKeys};
use rating::TenantId;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// Operations before the move and after it.
const OPERATIONS: usize = 300;
const MONTH_SECS: i64 = 20 * 86_400;

fn migrate_store(from: &Path, to: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"));
    command.args([
        "migrate-store",
        "--json",
        "--from",
        &format!("sqlite:{}", from.display()),
        "--to",
        to,
    ]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Moves it; what the command reports of it.
async fn moved(from: &Path, to: &str) -> Value {
    let output = migrate_store(from, to).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    report(&output)
}

/// It could not run; what it said.
async fn refused(from: &Path, to: &str) -> String {
    let output = migrate_store(from, to).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// A number of the comparison, which is the same on both sides.
#[track_caller]
fn compared(report: &Value, what: &str) -> i64 {
    let line = report["compared"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["what"] == what);
    let line = line.unwrap_or_else(|| panic!("{what}: {report}"));
    assert_eq!(line["source"], line["target"], "{what}");
    line["source"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_goes_on_where_it_was() {
    for seed in 40..42 {
        let Some(database) = test_postgres::database().await else {
            return;
        };
        let (old, mut plot) = (market(Backend::Sqlite).await, Plot::new(seed));
        for done in 0..OPERATIONS {
            let operation = plot.next();
            run(&old, &plot, &operation).await;
            if done == OPERATIONS / 2 {
                // Over the end of a month.
                old.pass(MONTH_SECS);
                plot.now += MONTH_SECS;
            }
        }
        let image = image(&old.file);
        let report = moved(image.path(), database.url()).await;
        assert!(
            compared(&report, "records Rated") > 100 && compared(&report, "holds open") > 0,
            "{report}"
        );
        assert!(
            compared(&report, "members") > 0 && compared(&report, "amendments") > 0,
            "{report}"
        );
        let new = old.moved(database).await;
        same(&old, &new).await;

        // Everything that was ever sent is sent again.
        for event in plot.events.clone() {
            let resent = Operation::Batch(vec![event]);
            same_answer(&old, &new, &plot, &resent).await;
        }
        for _ in 0..OPERATIONS {
            let operation = plot.next();
            same_answer(&old, &new, &plot, &operation).await;
        }
        same(&old, &new).await;
    }
}

async fn same_answer(old: &World, new: &World, plot: &Plot, operation: &Operation) {
    let (want, got) = (
        run(old, plot, operation).await,
        run(new, plot, operation).await,
    );
    assert_eq!(want, got, "{operation:?}");
}

/// The books, the lists and what is remembered of every record.
async fn same(old: &World, new: &World) {
    let (want, got) = (old.audit().await, new.audit().await);
    let roots: BTreeSet<TenantId> = want
        .records
        .iter()
        .map(|record| record.identity.root)
        .collect();
    for account in want.accounts.keys() {
        assert_eq!(
            listed(old, Of::Account(*account)).await,
            listed(new, Of::Account(*account)).await,
            "{account}"
        );
    }
    for customer in want
        .records
        .iter()
        .map(|record| record.tenant)
        .collect::<BTreeSet<_>>()
    {
        assert_eq!(
            listed(old, Of::Customer(customer)).await,
            listed(new, Of::Customer(customer)).await,
            "{customer}"
        );
    }
    for root in roots {
        assert_eq!(
            listed(old, Of::Unrated(root)).await,
            listed(new, Of::Unrated(root)).await,
            "{root}"
        );
    }
    assert_eq!(remembered(old, &want).await, remembered(new, &got).await);
    assert!(want.by_root() == got.by_root(), "the books differ");
}

/// What names a record on either side.
type Named = (Kind, Identity, i64);

fn named(record: &JournalEntry) -> Named {
    (
        record.kind,
        record.identity.clone(),
        record.received_at.micros(),
    )
}

/// As a statement lists them: newest first, page by page.
async fn listed(world: &World, of: Of) -> Vec<Named> {
    let (mut all, mut after): (Vec<Named>, Option<Seq>) = (Vec::new(), None);
    loop {
        let page = world
            .journal
            .read(&EntryQuery {
                of: of.clone(),
                after,
                newest_first: true,
                limit: 37,
            })
            .await
            .unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.seq);
        all.extend(page.iter().map(named));
    }
}

/// Members, holds, and what became of every record.
async fn remembered(
    world: &World,
    audited: &Audited,
) -> (Vec<String>, Vec<String>, Vec<(Named, Kind, Named)>) {
    let by_seq: HashMap<Seq, Named> = audited
        .records
        .iter()
        .map(|record| (record.seq, named(record)))
        .collect();
    let keys = StateKeys {
        counters: audited.counters.keys().copied().collect(),
        all_distinct_values: audited.counters.keys().copied().collect(),
        holds: audited
            .records
            .iter()
            .filter_map(|record| record.body.hold)
            .collect(),
        amendments: audited.records.iter().map(|record| record.seq).collect(),
        ..StateKeys::default()
    };
    let state = world.journal.load(&keys).await.unwrap();
    let mut distinct_values: Vec<String> = state
        .distinct_values
        .iter()
        .map(|distinct_value| format!("{distinct_value:?}"))
        .collect();
    let mut holds: Vec<String> = state
        .holds
        .values()
        .map(|hold| format!("{hold:?}"))
        .collect();
    let amended = state.amendments.iter().map(|(of, amendment)| {
        (
            by_seq[of].clone(),
            amendment.kind,
            by_seq[&amendment.by].clone(),
        )
    });
    let mut amended: Vec<_> = amended.collect();
    distinct_values.sort_unstable();
    holds.sort_unstable();
    amended.sort_by_key(|(of, ..)| (of.1.clone(), of.2));
    (distinct_values, holds, amended)
}

fn usage(id: &str, quantity: &str, at: &str) -> Value {
    json!({ "id": id, "customer": "acme-42", "meter": "call", "quantity": quantity, "at": at, "destination": "+4930123456" })
}

async fn balance(asking: &Asking) -> (i64, i64) {
    let account = asking.get("/v1/accounts/acme-42?currency=EUR").await.ok();
    (
        account["posted_cents"].as_i64().unwrap(),
        account["held_cents"].as_i64().unwrap(),
    )
}

/// Who sells, buys and asks finds everything as it was: keys, answers to repeated requests, open
/// holds, explanations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_installation_is_served_as_before() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let old = Process::start(dir.path()).await;
    let printed = old.printed.clone();
    let at = clock::Clock::system().now().plus_secs(-3600).to_string();
    let sold = old
        .admin
        .post("/v1/usage-events", usage("sold", "600", &at))
        .await
        .ok();
    old.admin
        .post("/v1/usage-events", usage("wrong", "60", &at))
        .await
        .ok();
    let held = old
        .admin
        .once("held")
        .post(
            "/v1/holds",
            json!({ "usage": usage("held", "300", &at), "ttl_secs": 3600 }),
        )
        .await
        .ok();
    let top_up = json!({ "tenant": "acme-42", "cents": 700, "currency": "EUR", "reason": "cash" });
    let mut paid = old
        .admin
        .once("cash")
        .post("/v1/top-ups", top_up.clone())
        .await
        .ok();
    let (before, why) = (
        balance(&old.admin).await,
        old.admin.get("/v1/usage-events/default/sold").await.ok(),
    );

    let in_use = refused(dir.path(), database.url()).await;
    assert!(
        in_use.contains("a server is running on the source"),
        "{in_use}"
    );
    assert!(old.stop().await);
    assert_eq!(moved(dir.path(), database.url()).await["ok"], true);
    let again = refused(dir.path(), database.url()).await;
    assert!(again.contains("was moved to the database"), "{again}");

    let new = Process::start_on(dir.path(), Some(database.url())).await;
    let keys = |printed: &str| {
        printed
            .split_whitespace()
            .filter(|word| word.starts_with("cw_"))
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert!(
        keys(&printed).is_superset(&keys(&new.printed)),
        "the same keys count"
    );
    assert_eq!(balance(&new.admin).await, before);
    assert_eq!(
        new.admin.get("/v1/usage-events/default/sold").await.ok(),
        why
    );
    let resent = new
        .admin
        .post("/v1/usage-events", usage("sold", "600", &at))
        .await
        .ok();
    assert_eq!(
        (&resent["status"], &resent["debit_cents"]),
        (&json!("duplicate"), &sold["debit_cents"])
    );
    paid["duplicate"] = json!(true);
    assert_eq!(
        new.admin
            .once("cash")
            .post("/v1/top-ups", top_up)
            .await
            .ok(),
        paid,
        "carried out before"
    );
    assert_eq!(balance(&new.admin).await, before);
    let log = new.admin.get("/v1/audit-log?limit=1000").await.ok();
    let entry = log["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["resource"] == "top_up" && entry["reason"] == "cash")
        .unwrap();
    let db = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    let journal = journal_postgres::PostgresJournal::open(&db).await.unwrap();
    let named = Seq(entry["resource_id"].as_str().unwrap().parse().unwrap());
    let record = read_all(&journal)
        .await
        .into_iter()
        .find(|record| record.seq == named)
        .unwrap();
    assert_eq!(
        record.kind,
        Kind::TopUp,
        "the log names the record where it is now"
    );

    // A void, the end of a hold: of what happened before the move.
    let void = json!({ "customer": "acme-42", "reason": "wrong" });
    let voided = new
        .admin
        .once("back")
        .post("/v1/usage-events/default/wrong/void", void)
        .await;
    assert!(voided.status < 300, "{voided:?}");
    new.admin
        .once("release")
        .post(
            &format!("/v1/holds/{}/release", held["id"].as_str().unwrap()),
            json!({}),
        )
        .await
        .ok();
    assert_eq!(balance(&new.admin).await, (before.0 + 40, 0));
    assert!(new.stop().await);
    let checks = transfer::audit::verify(&db).await.unwrap();
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    assert!(
        checks
            .iter()
            .any(|check| check.name == "audit_log" && check.examined > 0),
        "{checks:?}"
    );
}

/// Two sets of the same books would both go on. Who gives the new one up says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_moved_is_served_no_more() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    assert!(Process::start(dir.path()).await.stop().await);
    moved(dir.path(), database.url()).await;
    let old = dir.path().to_str().unwrap();
    let (_, name) = database.url().rsplit_once('/').unwrap();
    for said in [served(old).await, refused(dir.path(), database.url()).await] {
        assert!(
            said.contains(&format!("was moved to the database {name} at 127.0.0.1:")),
            "{said}"
        );
        assert!(
            said.contains("--take-back") && !said.contains("postgres://"),
            "{said}"
        );
    }
    let verified = centwise(&["verify", "--data-dir", old]).await;
    assert_eq!(
        verified.status.code(),
        Some(0),
        "it can be read: {verified:?}"
    );

    // Nobody takes it for the books: good backups would give way to it.
    let backed_up = centwise(&["backup", &format!("{old}/b.tar"), "--data-dir", old]).await;
    assert!(
        backed_up.status.code() == Some(2)
            && String::from_utf8_lossy(&backed_up.stderr).contains("was moved to"),
        "{backed_up:?}"
    );
    let health = centwise(&["health-check", "--data-dir", old]).await;
    assert!(
        health.status.code() == Some(2)
            && String::from_utf8_lossy(&health.stdout).contains("was moved to"),
        "{health:?}"
    );
    let take_back = ["migrate-store", "--take-back", "--from", old];
    let taken = centwise(&take_back).await;
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
    assert!(Process::start(dir.path()).await.stop().await);
    let nothing = String::from_utf8(centwise(&take_back).await.stderr).unwrap();
    assert!(
        nothing.contains("was not moved: there is nothing to take back"),
        "{nothing}"
    );
}

pub async fn centwise(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_centwise-under-test"))
        .args(arguments)
        .output()
        .await
        .unwrap()
}

/// A move that ends in the middle leaves a database that nobody takes for the whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_all_there_is_not_served() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let old = World::reference(Backend::Sqlite).await;
    old.call("acme-42", "600").text().await;
    let image = image(&old.file);
    let (mut locking, mut looking) = (
        PgConnection::connect(database.url()).await.unwrap(),
        PgConnection::connect(database.url()).await.unwrap(),
    );
    let mut locked = locking.begin().await.unwrap();
    // It comes to this table after the journal and the tenants, and waits.
    sqlx::query("lock table api_keys in share mode")
        .execute(&mut *locked)
        .await
        .unwrap();
    let mut moving = migrate_store(image.path(), database.url()).spawn().unwrap();
    while sqlx::query_scalar::<_, i64>("select count(*) from agreements")
        .fetch_one(&mut looking)
        .await
        .unwrap()
        == 0
    {
        assert_eq!(moving.try_wait().unwrap(), None);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    moving.kill().await.unwrap();
    locked.rollback().await.unwrap();

    for said in [
        served(database.url()).await,
        refused(image.path(), database.url()).await,
    ] {
        assert!(
            said.contains(
                "make that database anew (dropdb, createdb) and run `centwise migrate-store` again"
            ),
            "{said}"
        );
    }
}

/// A server does not start; what it says.
async fn served(database_url: &str) -> String {
    let serve = [
        "serve",
        "--listen=127.0.0.1:0",
        "--database-url",
        database_url,
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"))
        .args(serve)
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_are_wrong_stay_where_they_are() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let old = World::reference(Backend::Sqlite).await;
    old.call("acme-42", "600").text().await;
    let image = image(&old.file);
    let file = image.path().join("centwise.db");
    let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    sqlx::query("update records set at_us = at_us + 1 where kind = 1")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let output = migrate_store(image.path(), database.url())
        .output()
        .await
        .unwrap();
    let (code, report) = (output.status.code(), report(&output));
    assert_eq!(
        (code, &report["ok"], &report["compared"]),
        (Some(1), &json!(false), &json!([])),
        "{report}"
    );
    let chain = report["source"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "hash_chain")
        .unwrap();
    assert_eq!(chain["ok"], false);

    // Nothing was begun there.
    let db = Db::open_postgres(database.url(), &PostgresOptions::default())
        .await
        .unwrap();
    assert_eq!(catalog::Catalog::new(&db).platform().await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_there_or_not_meant_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = refused(dir.path(), "postgres://127.0.0.1:1/x").await;
    assert!(nothing.contains("there is no database"), "{nothing}");
    let back = refused(dir.path(), "sqlite:books.db").await;
    assert!(
        back.contains("is moved to PostgreSQL, and not back"),
        "{back}"
    );
}
