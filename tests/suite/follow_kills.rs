//! `ingest --follow` as a process, killed at instants that nobody chose while its file grows and is
//! rotated: every record of the file is charged once.

use crate::process::Process;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

const LINES: usize = 600;
/// A minute at 0.40.
const CENTS: i64 = 40;
/// Kills, at the least.
const KILLS: usize = 60;

fn line(day: &str, id: usize) -> String {
    format!(
        "\"acme-42\",\"100\",\"+4930123456\",\"from\",\"D\",\"SIP/1\",\"SIP/2\",\"Dial\",\"x\",\"{day} 09:00:00\",\"{day} 09:00:05\",\"{day} 09:01:05\",65,60,\"ANSWERED\",\"DOC\",\"k.{id}\",\"\",\"\",\"k.{id}\",{id}\n"
    )
}

fn command(server: &Process, file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"));
    command
        .arg("ingest")
        .arg(file)
        .args(["--format", "asterisk", "--zone", "UTC", "--follow"]);
    command.args(["--url", &server.url(), "--key", &server.key()]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

fn followed(server: &Process, file: &Path) -> Child {
    command(server, file).spawn().unwrap()
}

/// Writes the file as a switch does, with lines that are not whole for a while, and renames it once
/// in the middle.
async fn grow(file: PathBuf, day: String) {
    let open = || {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .unwrap()
    };
    let mut master = open();
    for id in 0..LINES {
        if id == LINES / 2 {
            std::fs::rename(&file, file.with_file_name("Master.csv.1")).unwrap();
            master = open();
        }
        let line = line(&day, id);
        let cut = (id * 37) % line.len();
        master.write_all(&line.as_bytes()[..cut]).unwrap();
        tokio::time::sleep(Duration::from_millis(8)).await;
        master.write_all(&line.as_bytes()[cut..]).unwrap();
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
}

/// Mostly around its first piece, which it sends as soon as it has begun: before, while the server
/// works on it, while it notes where it is. Now and then several pieces later.
fn delay(kills: u64) -> Duration {
    let micros = if kills % 8 == 7 {
        1_000_000 + (kills * 7_919) % 200_000
    } else {
        4_000 + (kills * 7_919_123) % 90_000
    };
    Duration::from_micros(micros)
}

async fn balance(server: &Process) -> i64 {
    server.admin.get("/v1/accounts/acme-42").await.ok()["posted_cents"]
        .as_i64()
        .unwrap()
}

/// Ids of all events, from the list.
async fn charged(server: &Process) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = server
            .admin
            .get(&format!(
                "/v1/usage-events?customer=acme-42&limit=1000{after}"
            ))
            .await
            .ok();
        ids.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"]
            .as_str()
            .filter(|_| page["has_more"] == true)
        {
            Some(cursor) => after = format!("&cursor={cursor}"),
            None => return ids,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_followed_is_charged_once_whenever_the_command_is_killed() {
    let (data_dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Process::start(data_dir.path()).await;
    let file = folder.path().join("Master.csv");
    let before = balance(&server).await;
    let day = clock::Clock::system()
        .now()
        .plus_secs(-24 * 3600)
        .to_string()[..10]
        .to_owned();
    let growing = tokio::spawn(grow(file.clone(), day));
    let (mut kills, mut in_the_middle) = (0_usize, 0);
    while kills < KILLS || !growing.is_finished() {
        let mut follower = followed(&server, &file);
        tokio::time::sleep(delay(kills as u64)).await;
        follower.kill().await.unwrap();
        kills += 1;
        let posted = (before - balance(&server).await) / CENTS;
        in_the_middle += usize::from(posted > 0 && posted < LINES as i64);
    }
    growing.await.unwrap();
    assert!(
        in_the_middle > 2,
        "of {kills} kills only {in_the_middle} were while it was at it"
    );
    // What the last one left.
    let last = command(&server, &file)
        .arg("--once")
        .status()
        .await
        .unwrap();
    assert!(last.success());
    assert_eq!(
        before - balance(&server).await,
        CENTS * LINES as i64,
        "after {kills} kills"
    );
    let mut ids = charged(&server).await;
    assert_eq!(ids.len(), LINES);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), LINES, "each under an id of its own");
}
