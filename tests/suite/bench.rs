//! `centwise bench` is believed because it can fail: its check must see money that it did not move.

use crate::served::Asking;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const SIZE: [&str; 4] = ["--deck=50", "--warm-up=0", "--connections=2", "--json"];

fn centwise(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"));
    command
        .args(args)
        .current_dir(dir)
        .env_remove("CENTWISE_KEY")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn bench(args: &[&str], dir: &Path) -> Output {
    centwise(&[&["bench"], args, &SIZE].concat(), dir)
        .output()
        .await
        .unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// A server on a database that a benchmark has filled: the process, its URL and an admin key.
async fn filled(dir: &Path) -> (Child, String, String) {
    let filled = bench(
        &[
            "single",
            "--events=10",
            "--tenants=20",
            "--database-url=./db",
        ],
        dir,
    )
    .await;
    assert_eq!(
        (filled.status.code(), report(&filled)["checked"].as_bool()),
        (Some(0), Some(true)),
        "{filled:?}"
    );
    let printed = String::from_utf8(filled.stderr).unwrap();
    let key = printed
        .split_whitespace()
        .find(|word| word.starts_with("cw_"))
        .unwrap_or_else(|| panic!("no key: {printed}"));
    let serve = ["serve", "--listen=127.0.0.1:0", "--database-url=db"];
    let mut server = centwise(&serve, dir)
        .env("CENTWISE_ADMIN_PER_SEC", "100000")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(url) = line.strip_prefix("listening on ") {
            return (server, url.to_owned(), key.to_owned());
        }
    }
    panic!("the server ended")
}

#[tokio::test]
async fn a_sum_that_was_not_answered_fails_the_check() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, url, key) = filled(dir.path()).await;
    let there = [format!("--url={url}"), format!("--key={key}")];
    let there = [there[0].as_str(), there[1].as_str()];

    let alone = bench(
        &[&["single", "--events=50", "--tenants=20"], &there[..]].concat(),
        dir.path(),
    )
    .await;
    assert_eq!(
        (alone.status.code(), report(&alone)["checked"].as_bool()),
        (Some(0), Some(true)),
        "{alone:?}"
    );
    assert_eq!(report(&alone)["server_cpu_s"], Value::Null, "not its child");

    // The same again, while somebody else moves money of the same customers all the time.
    let args = [&["single", "--duration=1", "--tenants=20"], &there[..]].concat();
    let mut disturbed = std::pin::pin!(bench(&args, dir.path()));
    let asking = Asking::new(url.strip_prefix("http://").unwrap().parse().unwrap(), &key);
    let mut count = 0;
    let disturbed = loop {
        count += 1;
        let asking = asking.once(&format!("cash-{count}"));
        let top_up =
            json!({ "tenant": "bench-c000003", "currency": "EUR", "cents": 1, "reason": "cash" });
        tokio::select! {
            output = &mut disturbed => break output,
            answer = asking.post("/v1/top-ups", top_up) => { answer.ok(); }
        }
    };
    assert_eq!(
        (
            disturbed.status.code(),
            report(&disturbed)["checked"].as_bool()
        ),
        (Some(1), Some(false)),
        "{disturbed:?}"
    );
    server.kill().await.unwrap();
}

#[tokio::test]
async fn a_server_without_the_benchmarks_tenants_says_how_to_fill_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, url, key) = filled(dir.path()).await;
    let more = bench(
        &[
            "balance",
            "--events=1",
            "--tenants=40",
            "--url",
            &url,
            "--key",
            &key,
        ],
        dir.path(),
    )
    .await;
    let said = String::from_utf8(more.stderr).unwrap();
    assert_eq!(more.status.code(), Some(2), "{said}");
    assert!(
        said.contains("bench single --events 1 --tenants 40")
            && said.contains("--database-url DIR"),
        "{said}"
    );
    server.kill().await.unwrap();
}
