//! What `health-check` says of the machine: room on the disk of the embedded database, and the age
//! of the newest backup.

use super::finding::{Check, Status};
use api::backups;
use api::gauges::free_bytes;
use rating::Instant;
use std::path::Path;

/// Less is a failure: the write-ahead log grows by this while a backup is taken.
const DISK_BYTES_MIN: u64 = 200 << 20;
const DISK_BYTES_LOW: u64 = 2 << 30;
/// A nightly backup that has not been late.
const BACKUP_SECS_MAX: i64 = 26 * 3600;

/// `data_dir`: of the embedded database.
pub fn disk(data_dir: &Path) -> Check {
    let (status, detail) = match free_bytes(data_dir) {
        None => (
            Status::Warning,
            format!("the free space of {} is unknown", data_dir.display()),
        ),
        Some(free) => {
            let status = match free {
                ..DISK_BYTES_MIN => Status::Failure,
                DISK_BYTES_MIN..DISK_BYTES_LOW => Status::Warning,
                _ => Status::Ok,
            };
            (
                status,
                format!(
                    "{} MiB free on the disk of {}",
                    free >> 20,
                    data_dir.display()
                ),
            )
        }
    };
    Check {
        name: "disk",
        status,
        detail,
    }
}

/// Of the directory that `backup` writes into.
pub fn backup(dir: &Path, now: Instant) -> Check {
    let (status, detail) = match backups::newest(dir) {
        Err(error) => (
            Status::Warning,
            format!("{} cannot be read: {error}", dir.display()),
        ),
        Ok(None) => (
            Status::Warning,
            format!("there is no backup in {}", dir.display()),
        ),
        Ok(Some(newest)) => {
            let age = (now.micros() - newest.micros()) / 1_000_000;
            let status = if age > BACKUP_SECS_MAX {
                Status::Warning
            } else {
                Status::Ok
            };
            (
                status,
                format!(
                    "the newest backup is from {newest}, {} hours ago",
                    age / 3600
                ),
            )
        }
    };
    Check {
        name: "backup",
        status,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_is_late_is_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let at = |text: &str| text.parse::<Instant>().unwrap();
        assert_eq!(
            backup(dir.path(), at("2026-11-21T04:00:00Z")).status,
            Status::Warning
        );
        std::fs::write(dir.path().join("centwise-2026-11-20T03-00-00Z.tar"), "").unwrap();
        for (now, status) in [
            ("2026-11-21T04:00:00Z", Status::Ok),
            ("2026-11-21T06:00:00Z", Status::Warning),
        ] {
            assert_eq!(backup(dir.path(), at(now)).status, status, "{now}");
        }
    }

    #[test]
    fn a_disk_says_how_much_room_it_has() {
        let here = disk(Path::new("."));
        assert!(here.detail.contains("MiB free"), "{here:?}");
        assert_eq!(disk(Path::new("/no/such/place")).status, Status::Warning);
    }
}
