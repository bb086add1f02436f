//! A write-ahead log that was damaged while nobody ran: what it takes with it is missed at the next
//! opening.

use crate::moves::centwise;
use crate::process::Process;
use crate::world::{Backend, World};
use db::{Db, unfit};
use journal::{EntryQuery, Journal as _, Of};
use journal_sqlite::SqliteJournal;
use std::path::{Path, PathBuf};
use transfer::audit::verify_file;

const DAMAGES: usize = 50;

/// The files of a server that was killed, in a directory of their own.
fn killed(world: &World, name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal", "-last"] {
        std::fs::copy(
            beside(&world.file, suffix),
            dir.path().join(format!("{name}{suffix}")),
        )
        .unwrap();
    }
    let file = dir.path().join(name);
    (dir, file)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

/// One of fifty.
fn damage(log: &Path, number: usize) {
    let mut bytes = std::fs::read(log).unwrap();
    match number {
        0 => return std::fs::remove_file(log).unwrap(),
        1 => bytes.truncate(bytes.len() / 2),
        _ => {
            let place = (bytes.len() - 1) * (number - 2) / (DAMAGES - 3);
            bytes[place] ^= 0x10;
        }
    }
    std::fs::write(log, bytes).unwrap();
}

/// Records and entries of the audit log.
async fn opened(file: &Path) -> Result<(usize, usize), String> {
    let db = Db::open_sqlite(file)
        .await
        .map_err(|error| error.to_string())?;
    let journal = SqliteJournal::open(&db)
        .await
        .map_err(|error| error.to_string())?;
    let query = EntryQuery {
        of: Of::All,
        after: None,
        newest_first: true,
        limit: 1,
    };
    let last = journal
        .read(&query)
        .await
        .unwrap()
        .first()
        .map_or(0, |record| record.seq.0);
    let records = catalog::Catalog::new(&db);
    let changes = match records.platform().await.unwrap() {
        Some(platform) => records
            .audit_log(&platform, &catalog::AuditFilter::default(), None, 100)
            .await
            .unwrap()
            .data
            .len(),
        None => 0,
    };
    Ok((usize::try_from(last).unwrap(), changes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_no_smaller_installation() {
    let world = World::new(Backend::Sqlite).await.into_demo().await;
    for n in 0..10 {
        world
            .batch(&[
                world.call("acme-42", "600").id(&format!("c-{n}")),
                world.call("acme-43", "60").id(&format!("d-{n}")),
            ])
            .await;
    }
    let (_dir, whole) = killed(&world, "centwise.db");
    let all = opened(&whole).await.unwrap();
    assert!(all.0 >= 20 && all.1 > 3, "{all:?}");
    let mut refused = 0;
    for number in 0..DAMAGES {
        let (_dir, file) = killed(&world, "centwise.db");
        damage(&beside(&file, "-wal"), number);
        match opened(&file).await {
            Ok(found) => assert_eq!(found, all, "damage {number}"),
            Err(why) => {
                refused += 1;
                for part in [
                    "has lost commits",
                    "was acknowledged",
                    "centwise.db-wal",
                    "centwise.db-last",
                    "Lost commits",
                ] {
                    assert!(why.contains(part), "{number}: {why}");
                }
                let checks = verify_file(&file).await.unwrap_or_default();
                assert!(
                    checks
                        .iter()
                        .any(|check| check.name == "acknowledged" && !check.ok)
                        || checks.is_empty(),
                    "{checks:?}"
                );
                // Nor is it backed up in place of a better one.
                assert_eq!(
                    unfit(&file).await.unwrap().as_deref(),
                    why.strip_prefix("error with configuration: "),
                    "{number}"
                );
                // Who knows what is lost goes on.
                std::fs::remove_file(beside(&file, "-last")).unwrap();
                match opened(&file).await {
                    Ok(left) => assert!(
                        left.0 < all.0 || left.1 < all.1,
                        "{number}: {left:?} of {all:?}"
                    ),
                    // All that there was.
                    Err(why) => assert!(why.contains("has no tables"), "{number}: {why}"),
                }
            }
        }
    }
    assert_eq!(refused, DAMAGES, "each of these loses something");
}

/// A change of the records that no usage follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_records_is_missed_like_usage() {
    let world = World::new(Backend::Sqlite).await.into_demo().await;
    world.batch(&[world.call("acme-42", "600").id("c-1")]).await;
    let (_dir, older) = killed(&world, "older.db");
    world
        .reseller(
            "late",
            "platform",
            serde_json::json!({ "card": "wholesale" }),
        )
        .await;
    std::fs::copy(beside(&world.file, "-last"), beside(&older, "-last")).unwrap();
    let refused = opened(&older).await.unwrap_err();
    assert!(refused.contains("audit log's entry"), "{refused}");
}

/// What `serve` says of a directory in which it makes nothing.
async fn refused(dir: &Path) -> String {
    let served = centwise(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        dir.to_str().unwrap(),
    ])
    .await;
    assert_eq!(served.status.code(), Some(2), "{served:?}");
    assert!(!dir.join("centwise.db").exists());
    String::from_utf8(served.stderr).unwrap()
}

/// A database that was away for a moment: a new one in its place took its log, and what was
/// committed last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_its_database_is_left_alone() {
    let world = World::new(Backend::Sqlite).await.into_demo().await;
    world.batch(&[world.call("acme-42", "600").id("c-1")]).await;
    let (_dir, untouched) = killed(&world, "centwise.db");
    let all = opened(&untouched).await.unwrap();

    let (dir, file) = killed(&world, "centwise.db");
    let (log, away) = (
        std::fs::read(beside(&file, "-wal")).unwrap(),
        dir.path().join("away"),
    );
    std::fs::rename(&file, &away).unwrap();
    for said in [refused(dir.path()).await, opened(&file).await.unwrap_err()] {
        assert!(
            said.contains("centwise.db-wal is") && said.contains("no new database is made"),
            "{said}"
        );
    }
    assert_eq!(std::fs::read(beside(&file, "-wal")).unwrap(), log);
    std::fs::rename(&away, &file).unwrap();
    assert_eq!(opened(&file).await.unwrap(), all);

    for (left, said) in [
        ("-last", "no new database is made"),
        (".restoring", "was broken off. Restore it again"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(format!("centwise.db{left}")), "left").unwrap();
        let refused = refused(dir.path()).await;
        assert!(
            refused.contains(left) && refused.contains(said),
            "{refused}"
        );
    }
}

/// Somebody copied the file without its log: before the first checkpoint nothing is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_without_tables_is_no_new_installation() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (data, data_of_copy) = (dir.path().join("data"), copy.path().join("data"));
    let process = Process::start_with(&data, None, &[]).await;
    std::fs::create_dir(&data_of_copy).unwrap();
    std::fs::copy(data.join("centwise.db"), data_of_copy.join("centwise.db")).unwrap();
    for _ in 0..2 {
        let served = centwise(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data_of_copy.to_str().unwrap(),
        ])
        .await;
        let said = String::from_utf8_lossy(&served.stderr);
        assert_eq!(served.status.code(), Some(2), "{served:?}");
        assert!(
            said.contains("has no tables") && said.contains("-wal is missing"),
            "{said}"
        );
    }
    assert!(process.stop().await);
}
