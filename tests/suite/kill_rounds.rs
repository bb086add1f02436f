//! Load, `kill -9`, restart, resend: every acknowledged event is posted exactly once.
//!
//! Three rounds; `KILL_ROUNDS=20` for more (`tests/kill_rounds.sh`).

use crate::process::Process;
use crate::served::Asking;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ROUNDS: u64 = 3;
const WRITERS: usize = 6;
const CUSTOMERS: [&str; 4] = ["acme-42", "beta-7", "gamma-1", "delta-3"];
const PREPAID: i64 = 5000;

/// Everything that was sent, in all rounds.
#[derive(Default)]
struct Ledger {
    events: BTreeMap<String, Value>,
    /// Debits by id, as acknowledged.
    acknowledged: HashMap<String, i64>,
}

fn event(id: &str, number: usize, at: &str) -> Value {
    let customer = CUSTOMERS[number % CUSTOMERS.len()];
    let (meter, quantity) = [("call", 37 + number % 600), ("sms", 1 + number % 3), ("api_call", 1 + number % 7)][number % 3];
    json!({ "id": id, "source": "load", "customer": customer, "meter": meter, "quantity": quantity.to_string(),
        "at": at, "destination": "+4930123456" })
}

/// Sends batches of different sizes, now and then a call that was allowed by a hold, until the server is gone.
async fn load(asking: Asking, ledger: Arc<Mutex<Ledger>>, name: String, at: String) {
    for turn in 0.. {
        let count = 1 + (turn * 7) % 40;
        let events: Vec<Value> = (0..count).map(|n| event(&format!("{name}-{turn}-{n}"), turn + n, &at)).collect();
        ledger.lock().unwrap().events.extend(events.iter().map(|event| (event["id"].as_str().unwrap().to_owned(), event.clone())));
        if turn % 3 == 0 {
            let hold = json!({ "usage": events[0], "ttl_secs": 600 });
            let placed =
                asking.once(events[0]["id"].as_str().unwrap()).ask(hyper::Method::POST, "/v1/holds", hold.to_string().into()).await;
            if placed.is_err() {
                return;
            }
        }
        let Ok(answers) = send(&asking, &events).await else { return };
        ledger.lock().unwrap().acknowledged.extend(answers.into_iter().map(|(id, _, debit)| (id, debit)));
    }
}

/// Id, status and debit of every event.
async fn send(asking: &Asking, events: &[Value]) -> anyhow::Result<Vec<(String, String, i64)>> {
    let body = json!({ "events": events });
    let answer = asking.ask(hyper::Method::POST, "/v1/usage-events", body.to_string().into()).await?.ok();
    let one = |answer: &Value| {
        let text = |field: &str| answer[field].as_str().unwrap().to_owned();
        let debit = answer["debit_cents"].as_i64().unwrap_or_else(|| panic!("{answer}"));
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
            assert_eq!((status.as_str(), debit), ("duplicate", ledger.lock().unwrap().acknowledged[&id]), "{id}");
        }
    }
    (unsure.len(), posted_before)
}

/// Each balance is what was paid in, less every acknowledged debit once; `verify` finds nothing.
async fn check(asking: &Asking, ledger: &Mutex<Ledger>, data_dir: &Path) {
    let mut debits: BTreeMap<String, i64> = BTreeMap::new();
    {
        let ledger = ledger.lock().unwrap();
        assert_eq!(ledger.events.len(), ledger.acknowledged.len());
        for (id, event) in &ledger.events {
            *debits.entry(event["customer"].as_str().unwrap().to_owned()).or_default() += ledger.acknowledged[id];
        }
    }
    for customer in CUSTOMERS {
        let account = asking.get(&format!("/v1/accounts/{customer}")).await.ok();
        assert_eq!(account["posted_cents"], PREPAID - debits.get(customer).copied().unwrap_or_default(), "{customer}");
    }
    for check in store::sqlite::verify_file(&data_dir.join("centwise.db")).await.unwrap() {
        assert!(check.ok, "{check:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled() {
    let rounds: u64 = std::env::var("KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let data_dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut process = Process::start(data_dir.path()).await;
    let at = api::clock::Clock::system().now().plus_secs(-3600).to_string();
    for round in 0..rounds {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(load(process.admin.clone(), Arc::clone(&ledger), format!("r{round}-w{writer}"), at.clone())))
            .collect();
        // At a moment that no one chose: the processes' own pace makes it different each time.
        tokio::time::sleep(Duration::from_micros(150_000 + (round * 7_919_123) % 900_000)).await;
        process.kill().await;
        for writer in writers {
            writer.await.unwrap();
        }
        process = Process::start(data_dir.path()).await;
        let (unsure, posted_before) = resend(&process.admin, &ledger, round).await;
        check(&process.admin, &ledger, data_dir.path()).await;
        let sent = ledger.lock().unwrap().events.len();
        println!("round {}: {sent} events so far, {unsure} not acknowledged, of which {posted_before} had been posted", round + 1);
    }
    assert!(process.stop().await, "SIGTERM ends it well");
}
