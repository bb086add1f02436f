//! Load, `kill -9`, restart, resend: every acknowledged event is posted exactly once.
//!
//! Three rounds; `KILL_ROUNDS=20` for more (`tests/kill_rounds.sh`). On PostgreSQL two servers
//! share a database and one of them is killed; with `KILL_DATABASE_URL` on that database instead of
//! a throw-away one, where every third round runs the command `KILL_DATABASE_BY` (say, a restart of
//! PostgreSQL with `-m immediate`) in its place.

use crate::process::Process;
use crate::served::Asking;
use db::{Db, PostgresOptions};
use journal::Check;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ROUNDS: u64 = 3;
const WRITERS: usize = 6;
const CUSTOMERS: [&str; 4] = ["acme-42", "beta-7", "gamma-1", "delta-3"];
const PREPAID: i64 = 5000;

/// Everything that was sent, in all rounds.
#[derive(Default, Clone)]
pub struct Ledger {
    pub events: BTreeMap<String, Value>,
    /// Debits by id, as acknowledged.
    pub acknowledged: HashMap<String, i64>,
}

fn event(id: &str, number: usize, at: &str) -> Value {
    let customer = CUSTOMERS[number % CUSTOMERS.len()];
    let (meter, quantity) = [
        ("call", 37 + number % 600),
        ("sms", 1 + number % 3),
        ("api_call", 1 + number % 7),
    ][number % 3];
    json!({ "id": id, "source": "load", "customer": customer, "meter": meter, "quantity": quantity.to_string(),
        "at": at, "destination": "+4930123456" })
}

/// Sends batches of different sizes, now and then a call that was allowed by a hold, until the
/// server is gone.
async fn load(asking: Asking, ledger: Arc<Mutex<Ledger>>, name: String, at: String) {
    for turn in 0.. {
        let count = 1 + (turn * 7) % 40;
        let events: Vec<Value> = (0..count)
            .map(|n| event(&format!("{name}-{turn}-{n}"), turn + n, &at))
            .collect();
        ledger.lock().unwrap().events.extend(
            events
                .iter()
                .map(|event| (event["id"].as_str().unwrap().to_owned(), event.clone())),
        );
        if turn % 3 == 0 {
            let hold = json!({ "usage": events[0], "ttl_secs": 600 });
            let placed = asking
                .once(events[0]["id"].as_str().unwrap())
                .ask(hyper::Method::POST, "/v1/holds", hold.to_string().into())
                .await;
            if placed.is_err() {
                return;
            }
        }
        let Ok(answers) = send(&asking, &events).await else {
            return;
        };
        ledger
            .lock()
            .unwrap()
            .acknowledged
            .extend(answers.into_iter().map(|(id, _, debit)| (id, debit)));
    }
}

/// Id, status and debit of every event.
pub async fn send(asking: &Asking, events: &[Value]) -> anyhow::Result<Vec<(String, String, i64)>> {
    let body = json!({ "events": events });
    let answer = asking
        .ask(
            hyper::Method::POST,
            "/v1/usage-events",
            body.to_string().into(),
        )
        .await?;
    anyhow::ensure!(answer.status != 503, "the database is gone");
    let answer = answer.ok();
    let one = |answer: &Value| {
        let text = |field: &str| answer[field].as_str().unwrap().to_owned();
        let debit = answer["debit_cents"]
            .as_i64()
            .unwrap_or_else(|| panic!("{answer}"));
        (text("id"), text("status"), debit)
    };
    Ok(answer["data"].as_array().unwrap().iter().map(one).collect())
}

/// After a restart: what was not acknowledged is sent again, and some of what was.
async fn resend(asking: &Asking, ledger: &Mutex<Ledger>, round: u64) -> (usize, usize) {
    let (mut unsure, mut known) = (Vec::new(), Vec::new());
    {
        let ledger = ledger.lock().unwrap();
        for (position, (id, event)) in ledger.events.iter().enumerate() {
            match ledger.acknowledged.get(id) {
                None => unsure.push(event.clone()),
                Some(_) if position as u64 % 5 == round % 5 => known.push(event.clone()),
                Some(_) => {}
            }
        }
    }
    let mut posted_before = 0;
    for chunk in unsure.chunks(200) {
        for (id, status, debit) in send(asking, chunk).await.unwrap() {
            assert!(status == "rated" || status == "duplicate", "{id}: {status}");
            posted_before += usize::from(status == "duplicate");
            ledger.lock().unwrap().acknowledged.insert(id, debit);
        }
    }
    for chunk in known.chunks(500) {
        for (id, status, debit) in send(asking, chunk).await.unwrap() {
            assert_eq!(
                (status.as_str(), debit),
                ("duplicate", ledger.lock().unwrap().acknowledged[&id]),
                "{id}"
            );
        }
    }
    (unsure.len(), posted_before)
}

/// Each balance is what was paid in, less every acknowledged debit once.
async fn check(asking: &Asking, ledger: &Mutex<Ledger>) {
    let mut debits: BTreeMap<String, i64> = BTreeMap::new();
    {
        let ledger = ledger.lock().unwrap();
        assert_eq!(ledger.events.len(), ledger.acknowledged.len());
        for (id, event) in &ledger.events {
            *debits
                .entry(event["customer"].as_str().unwrap().to_owned())
                .or_default() += ledger.acknowledged[id];
        }
    }
    for customer in CUSTOMERS {
        let account = asking.get(&format!("/v1/accounts/{customer}")).await.ok();
        assert_eq!(
            account["posted_cents"],
            PREPAID - debits.get(customer).copied().unwrap_or_default(),
            "{customer}"
        );
    }
}

pub fn assert_sound(checks: Vec<Check>) {
    checks
        .iter()
        .for_each(|check| assert!(check.ok, "{check:?}"));
}

pub fn writers(
    process: &Process,
    ledger: &Arc<Mutex<Ledger>>,
    name: &str,
    at: &str,
) -> Vec<tokio::task::JoinHandle<()>> {
    let one = |writer| {
        tokio::spawn(load(
            process.admin.clone(),
            Arc::clone(ledger),
            format!("{name}-w{writer}"),
            at.to_owned(),
        ))
    };
    (0..WRITERS).map(one).collect()
}

/// At a moment that no one chose: the processes' own pace makes it different each time.
pub async fn some_time(round: u64) {
    tokio::time::sleep(Duration::from_micros(
        150_000 + (round * 7_919_123) % 900_000,
    ))
    .await;
}

pub fn rounds(default: u64) -> u64 {
    std::env::var("KILL_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled() {
    let data_dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut process = Process::start(data_dir.path()).await;
    let at = clock::Clock::system().now().plus_secs(-3600).to_string();
    for round in 0..rounds(ROUNDS) {
        let writers = writers(&process, &ledger, &format!("r{round}"), &at);
        some_time(round).await;
        process.kill().await;
        for writer in writers {
            writer.await.unwrap();
        }
        process = Process::start(data_dir.path()).await;
        let (unsure, posted_before) = resend(&process.admin, &ledger, round).await;
        check(&process.admin, &ledger).await;
        assert_sound(
            transfer::audit::verify_file(&data_dir.path().join("centwise.db"))
                .await
                .unwrap(),
        );
        let sent = ledger.lock().unwrap().events.len();
        println!(
            "round {}: {sent} events so far, {unsure} not acknowledged, of which {posted_before} \
                had been posted",
            round + 1
        );
    }
    assert!(process.stop().await, "SIGTERM ends it well");
}

/// Ends one of two servers, or the database beneath both.
async fn strike(processes: &mut Vec<Process>, round: u64, data_dir: &std::path::Path, url: &str) {
    match std::env::var("KILL_DATABASE_BY") {
        Ok(command) if round % 3 == 2 => {
            let done = tokio::process::Command::new("sh")
                .args(["-c", &command])
                .status()
                .await
                .unwrap();
            assert!(done.success(), "{command}");
        }
        _ => {
            processes.remove(round as usize % 2).kill().await;
            processes.push(Process::start_on(data_dir, Some(url)).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_two_servers_on_postgres() {
    let own = std::env::var("KILL_DATABASE_URL").ok();
    let database = if own.is_none() {
        test_postgres::database().await
    } else {
        None
    };
    let Some(url) = own
        .as_deref()
        .or(database.as_ref().map(test_postgres::Database::url))
    else {
        return;
    };
    let data_dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let first = Process::start_on(data_dir.path(), Some(url)).await;
    let mut processes = vec![first, Process::start_on(data_dir.path(), Some(url)).await];
    let at = clock::Clock::system().now().plus_secs(-3600).to_string();
    for round in 0..rounds(2) {
        let both = processes.iter().enumerate();
        let writers: Vec<_> = both
            .flat_map(|(number, process)| {
                writers(process, &ledger, &format!("r{round}-p{number}"), &at)
            })
            .collect();
        some_time(round).await;
        strike(&mut processes, round, data_dir.path(), url).await;
        for writer in writers {
            // Those of the server that lives go on until they are told.
            writer.abort();
            let ended = writer.await;
            assert!(ended.is_ok() || ended.unwrap_err().is_cancelled());
        }
        let asking = &processes[round as usize % 2].admin;
        let (unsure, posted_before) = resend(asking, &ledger, round).await;
        check(asking, &ledger).await;
        let db = Db::open_postgres(url, &PostgresOptions::default())
            .await
            .unwrap();
        assert_sound(transfer::audit::verify_database(&db).await.unwrap());
        let sent = ledger.lock().unwrap().events.len();
        println!(
            "round {}: {sent} events so far, {unsure} not acknowledged, of which {posted_before} \
                had been posted",
            round + 1
        );
    }
    for process in processes {
        assert!(process.stop().await, "SIGTERM ends it well");
    }
}
