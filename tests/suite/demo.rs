//! `serve --demo` and the three commands that it prints.

use crate::process::Process;
use crate::served::Asking;
use serde_json::{Value, json};

/// The URL's path, the key and the body of a printed curl command.
fn pasted(process: &Process, line: &str) -> (String, Asking, Option<Value>) {
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .unwrap();
    let path = url.trim_start_matches("http://").split_once('/').unwrap().1;
    let key = line
        .split("Bearer ")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    let body = line
        .split(" -d '")
        .nth(1)
        .map(|rest| serde_json::from_str(rest.split('\'').next().unwrap()).unwrap());
    (format!("/{path}"), process.admin.with_key(Some(key)), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_commands_do_what_they_say() {
    let data_dir = tempfile::tempdir().unwrap();
    let process = Process::start(data_dir.path()).await;
    let commands: Vec<_> = process
        .printed
        .lines()
        .filter(|line| line.starts_with("curl "))
        .collect();
    assert_eq!(commands.len(), 3, "{}", process.printed);

    let splits = json!([{ "tenant": "platform", "cents": 300 }, { "tenant": "muster-telecom", "cents": 100 }]);
    for (command, status) in [
        (commands[0], "rated"),
        (commands[1], "duplicate"),
        (commands[1], "duplicate"),
    ] {
        let (path, asking, body) = pasted(&process, command);
        let answer = asking.post(&path, body.unwrap()).await.ok();
        assert_eq!(
            (
                answer["status"].as_str(),
                answer["debit_cents"].as_i64(),
                answer["balance_cents"].as_i64()
            ),
            (Some(status), Some(400), Some(4600))
        );
        assert_eq!(
            (&answer["splits"], &answer["currency"]),
            (&splits, &json!("EUR"))
        );
    }

    let (path, asking, _) = pasted(&process, commands[2]);
    let why = asking.get(&path).await.ok();
    assert_eq!(
        (&why["splits"], why["charges"].as_array().map(Vec::len)),
        (&splits, Some(2)),
        "{why}"
    );
    for (charge, cents) in why["charges"].as_array().unwrap().iter().zip([400, 300]) {
        assert_eq!(
            (&charge["cents"], &charge["billed"]),
            (&json!(cents), &json!("600")),
            "{charge}"
        );
    }

    // A restart finds everything, and moves nothing.
    assert!(process.stop().await);
    let process = Process::start(data_dir.path()).await;
    let account = process.admin.get("/v1/accounts/acme-42").await.ok();
    assert_eq!(account["posted_cents"], 4600);
    assert!(process.stop().await);
}
