//! `centwise backup` beside a server under load, and `centwise restore`.

use crate::kill_rounds::{Ledger, send, writers};
use crate::process::Process;
use serde_json::Value;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::process::Command;
use transfer::backup::Scratch;

/// The command, and a secret that a server's environment would have.
fn centwise(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centwise-under-test"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
        .env("CENTWISE_OTHER_PER_MIN", "61")
        .env_remove("CENTWISE_DATABASE_URL")
        .env_remove("CENTWISE_DATA_DIR");
    command
}

pub async fn run(args: &[&str]) -> Output {
    centwise(args).output().await.unwrap()
}

#[track_caller]
pub fn well(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it says when it could not run.
#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = dir
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// One database to another: `from` and `to` are the options that name them.
struct Move<'a> {
    from: &'a [&'a str],
    to: &'a [&'a str],
    backup: &'a Path,
    data_dir: &'a Path,
}

impl Move<'_> {
    /// Loads the server, backs it up meanwhile, kills it, restores. What was acknowledged before
    /// the backup began.
    async fn under_load(&self, process: Process) -> Ledger {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let at = clock::Clock::system().now().plus_secs(-3600).to_string();
        let writers = writers(&process, &ledger, "before", &at);
        while ledger.lock().unwrap().acknowledged.len() < 500 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = ledger.lock().unwrap().clone();
        let said = well(&run(&[&["backup", text(self.backup)], self.from].concat()).await);
        assert!(
            said.starts_with("backed up ") && said.contains(text(self.backup)),
            "{said}"
        );
        assert!(
            ledger.lock().unwrap().acknowledged.len() > before.acknowledged.len(),
            "the server went on"
        );
        process.kill().await;
        for writer in writers {
            writer.await.unwrap();
        }
        let said = well(&run(&[&["restore", text(self.backup)], self.to].concat()).await);
        assert!(
            said.starts_with("restored ") && said.contains("the books are right"),
            "{said}"
        );
        before
    }

    /// The restored database knows all of it: a resend moves nothing.
    async fn resend(&self, restored: &Process, before: &Ledger) {
        let events: Vec<Value> = before
            .acknowledged
            .keys()
            .map(|id| before.events[id].clone())
            .collect();
        for chunk in events.chunks(500) {
            for (id, status, debit) in send(&restored.admin, chunk).await.unwrap() {
                assert_eq!(
                    (status.as_str(), debit),
                    ("duplicate", before.acknowledged[&id]),
                    "{id}"
                );
            }
        }
    }

    async fn check_refusals(&self) {
        let again = refused(&run(&[&["restore", text(self.backup)], self.to].concat()).await);
        assert!(again.contains(" already: restore into "), "{again}");
        let again = refused(&run(&[&["backup", text(self.backup)], self.from].concat()).await);
        assert!(
            again.contains("already exists: a backup never overwrites anything"),
            "{again}"
        );
    }
}

/// One part, as any `tar` gives it.
async fn part(backup: &Path, name: &str) -> Vec<u8> {
    let output = Command::new("tar")
        .arg("xOf")
        .arg(backup)
        .arg(name)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_everything_acknowledged_before() {
    let (dir, data_dir, restored) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let backup = dir.path().join("one.tar");
    let (from, to) = (
        ["--data-dir", text(data_dir.path())],
        ["--data-dir", text(restored.path())],
    );
    let moving = Move {
        from: &from,
        to: &to,
        backup: &backup,
        data_dir: data_dir.path(),
    };
    let before = moving
        .under_load(Process::start(moving.data_dir).await)
        .await;
    let checked = well(&run(&["restore", "--check", text(&backup)]).await);
    assert!(
        checked.starts_with("checked ") && checked.contains("the books are right"),
        "{checked}"
    );
    assert_eq!(names(dir.path()), ["one.tar"], "nothing is left beside it");
    std::fs::copy(
        data_dir.path().join("demo-keys.json"),
        restored.path().join("demo-keys.json"),
    )
    .unwrap();
    let process = Process::start(restored.path()).await;
    moving.resend(&process, &before).await;
    moving.check_refusals().await;
    assert!(process.stop().await);

    let manifest: Value = serde_json::from_slice(&part(&backup, "manifest.json").await).unwrap();
    assert_eq!(
        (
            &manifest["database"],
            &manifest["settings"]["CENTWISE_OTHER_PER_MIN"]
        ),
        (&"sqlite".into(), &"61".into()),
        "{manifest}"
    );
    assert_eq!(
        manifest["settings"]["CENTWISE_DATA_DIR"],
        text(data_dir.path())
    );
    let elsewhere = refused(
        &run(&[
            "restore",
            text(&backup),
            "--database-url",
            "postgres://127.0.0.1:1/x",
        ])
        .await,
    );
    assert!(
        elsewhere.contains("the backup is of an embedded database"),
        "{elsewhere}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_leaves_the_place_empty() {
    let (dir, data_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert!(Process::start(data_dir.path()).await.stop().await);
    well(
        &run(&[
            "backup",
            text(dir.path()),
            "--data-dir",
            text(data_dir.path()),
            "--keep",
            "2",
        ])
        .await,
    );
    let made = names(dir.path());
    assert!(
        made.len() == 1 && made[0].starts_with("centwise-20") && made[0].ends_with("Z.tar"),
        "{made:?}"
    );
    let backup = dir.path().join(&made[0]);
    let mut bytes = std::fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&backup, &bytes).unwrap();
    let place = dir.path().join("place");
    for args in [&["restore"][..], &["restore", "--check"]] {
        let damaged =
            refused(&run(&[args, &[text(&backup), "--data-dir", text(&place)]].concat()).await);
        assert!(
            damaged.contains("is damaged: database.sqlite.lz4 does not match its checksum"),
            "{damaged}"
        );
    }
    assert_eq!(names(dir.path()), made, "nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_postgres_under_load_has_everything_acknowledged_before() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let (dir, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let restored = Scratch::create(database.url(), &format!("restored_{}", std::process::id()))
        .await
        .unwrap();
    let url = restored.url().to_owned();
    let backup = dir.path().join("one.tar");
    let (from, to) = (["--database-url", database.url()], ["--database-url", &url]);
    let moving = Move {
        from: &from,
        to: &to,
        backup: &backup,
        data_dir: keys.path(),
    };
    let before = moving
        .under_load(Process::start_on(keys.path(), Some(database.url())).await)
        .await;
    let process = Process::start_on(keys.path(), Some(&url)).await;
    moving.resend(&process, &before).await;
    moving.check_refusals().await;
    assert!(process.stop().await);
    let checked = well(
        &run(&[
            "restore",
            "--check",
            text(&backup),
            "--database-url",
            database.url(),
        ])
        .await,
    );
    assert!(
        checked.starts_with("checked ") && checked.contains("the books are right"),
        "{checked}"
    );
    let nowhere = refused(&run(&["restore", "--check", text(&backup)]).await);
    assert!(
        nowhere.contains("specify a server for a temporary one"),
        "{nowhere}"
    );
    restored.remove().await.unwrap();

    // The URL's password came through the environment; it is in no part of the backup.
    let manifest = String::from_utf8(part(&backup, "manifest.json").await).unwrap();
    let password = database.url().split(['@', ':']).nth(2).unwrap();
    assert!(
        !manifest.contains(password) && manifest.contains("\"dumped_by\""),
        "{manifest}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_backup_leaves_nothing() {
    let Some(database) = test_postgres::database().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let pool = sqlx::PgPool::connect(database.url()).await.unwrap();
    let mut lock = pool.begin().await.unwrap();
    sqlx::raw_sql("lock table tenants")
        .execute(&mut *lock)
        .await
        .unwrap();
    let path = dir.path().join("one.tar");
    let backup = centwise(&["backup", text(&path)])
        .env("CENTWISE_DATABASE_URL", database.url())
        .spawn()
        .unwrap();
    let waiting = "select exists (select 1 from pg_locks where not granted and locktype = \
        'relation' and database = (select oid from pg_database where datname = \
        current_database()))";
    while !sqlx::query_scalar::<_, bool>(waiting)
        .fetch_one(&pool)
        .await
        .unwrap()
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        Command::new("kill")
            .args(["-TERM", &backup.id().unwrap().to_string()])
            .status()
            .await
            .unwrap()
            .success()
    );
    let stopped = refused(&backup.wait_with_output().await.unwrap());
    assert!(stopped.contains("stopped by a signal"), "{stopped}");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path()).await;
    let missing = dir.path().join("no/such/folder");
    let data_dir = ["--data-dir", text(dir.path())];
    for (path, more) in [
        (missing.clone(), &["--keep", "3"][..]),
        (missing.join("a.tar"), &[]),
        (missing.join(""), &[]),
    ] {
        let said = refused(&run(&[&["backup", text(&path)], &data_dir[..], more].concat()).await);
        assert!(
            said.contains(&format!("the directory {}", text(&missing)))
                && said.contains(" does not exist: create it first"),
            "{said}"
        );
    }
    assert!(process.stop().await);
}
